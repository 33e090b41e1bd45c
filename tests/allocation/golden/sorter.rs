//! Mesos' scenarios for its sorter, `sorter_tests.cpp`: who is in front of whom.

use apportion::allocator::{
    Allocator, ClientId, Drf, Hierarchical, Holding, Options, ShareTree, Sorter, Totals, Weight,
};
use apportion::{Agent, Framework, Resources, Role, Time};
use std::sync::{Arc, Mutex};

/// DRF that writes down the first order that it was asked for.
#[derive(Debug, Clone, Default)]
struct Watched {
    drf: Drf,
    first: Arc<Mutex<Option<Vec<String>>>>,
}

impl Sorter for Watched {
    fn begin(&mut self, tree: &ShareTree, totals: &Totals) {
        self.drf.begin(tree, totals);
        let mut drf = self.drf.clone();
        let order = std::iter::from_fn(|| drf.next(tree, totals));
        let names = || order.map(|client| tree.name(tree.leaf(client).unwrap()).to_owned()).collect();
        self.first.lock().unwrap().get_or_insert_with(names);
    }

    fn next(&mut self, tree: &ShareTree, totals: &Totals) -> Option<ClientId> {
        self.drf.next(tree, totals)
    }

    fn charged(&mut self, tree: &ShareTree, client: ClientId) {
        self.drf.charged(tree, client);
    }
}

/// Clients, each a role with one framework, that hold parts of a cluster whose total is set.
///
/// Whatever a client holds is an agent of its own, in use as a whole; one more agent has the rest.
struct Scene {
    allocator: Hierarchical<Watched, Drf>,
    first: Arc<Mutex<Option<Vec<String>>>>,
    held: Vec<Holding>,
    agents: Resources,
}

fn amounts(cpus: u64, mem: u64) -> Resources {
    format!("cpus:{cpus};mem:{mem}").parse().unwrap()
}

impl Scene {
    fn new() -> Self {
        let mut options = Options::default();
        options.min_allocatable = Vec::new();
        let watched = Watched::default();
        let first = Arc::clone(&watched.first);
        let mut allocator = Hierarchical::new(options, watched, Drf::default());
        allocator.add_agent(&Arc::new(Agent::new("rest", Resources::new())), &[]).unwrap();
        Self { allocator, first, held: Vec::new(), agents: Resources::new() }
    }

    fn add(&mut self, client: &str, cpus: u64, mem: u64) {
        let framework = Framework::new(client).role(Role::new(client).unwrap());
        self.allocator.add_framework(&Arc::new(framework), &[]).unwrap();
        self.allocated(client, cpus, mem);
    }

    fn allocated(&mut self, client: &str, cpus: u64, mem: u64) {
        let resources = amounts(cpus, mem);
        self.agents = self.agents.checked_add(&resources).unwrap();
        let agent = format!("agent-{}", self.held.len());
        let (framework, role, agent) = (client.into(), Role::new(client).unwrap(), agent.as_str().into());
        let holding = Holding { framework, role, agent, resources };
        let agent = Agent::new(holding.agent.clone(), holding.resources.clone());
        self.allocator.add_agent(&Arc::new(agent), std::slice::from_ref(&holding)).unwrap();
        self.held.push(holding);
    }

    /// Ends what a client holds of that size.
    fn unallocated(&mut self, client: &str, cpus: u64, mem: u64) {
        let resources = amounts(cpus, mem);
        let mut held = self.held.iter();
        let ended = held.find(|held| held.framework.as_str() == client && held.resources == resources);
        self.allocator.end_task(ended.unwrap()).unwrap();
    }

    fn remove(&mut self, client: &str) {
        self.allocator.remove_framework(&client.into()).unwrap();
    }

    fn weight(&mut self, client: &str, weight: f64) {
        self.allocator.set_weight(&Role::new(client).unwrap(), Weight::try_from_f64(weight).unwrap());
    }

    /// The order of the clients in a cluster of that size.
    fn order(&mut self, cpus: u64, mem: u64) -> String {
        let rest = amounts(cpus, mem).checked_sub(&self.agents).unwrap();
        self.allocator.update_agent(&Arc::new(Agent::new("rest", rest))).unwrap();
        *self.first.lock().unwrap() = None;
        for offer in self.allocator.allocate(Time::ZERO, Some(&"rest".into())) {
            self.allocator.end_offer(&offer, &[]).unwrap();
        }
        self.first.lock().unwrap().take().unwrap().join(",")
    }
}

/// `DRF`: by dominant share, as holdings and totals change.
#[test]
fn drf() {
    let mut scene = Scene::new();
    scene.add("a", 5, 5);
    scene.add("b", 2, 2);
    scene.allocated("b", 4, 4);
    assert_eq!(scene.order(100, 100), "a,b");
    scene.add("c", 1, 1);
    scene.add("d", 3, 1);
    assert_eq!(scene.order(100, 100), "c,d,a,b");
    scene.unallocated("a", 5, 5);
    scene.remove("a");
    scene.unallocated("b", 4, 4);
    assert_eq!(scene.order(100, 100), "c,b,d");
    scene.add("e", 1, 5);
    assert_eq!(scene.order(50, 100), "c,b,e,d");
    scene.add("f", 5, 1);
    scene.allocated("c", 0, 15);
    assert_eq!(scene.order(50, 200), "e,b,d,c,f");
}

/// `WDRF`: the same over weights, which may come late.
#[test]
fn weighted_drf() {
    let mut scene = Scene::new();
    scene.add("a", 5, 5);
    scene.add("b", 6, 6);
    assert_eq!(scene.order(100, 100), "a,b");
    scene.weight("b", 2.0);
    assert_eq!(scene.order(100, 100), "b,a");
    scene.add("c", 4, 4);
    assert_eq!(scene.order(100, 100), "b,c,a");
    scene.weight("d", 10.0);
    scene.add("d", 10, 20);
    assert_eq!(scene.order(100, 100), "d,b,c,a");
    scene.unallocated("b", 6, 6);
    scene.remove("b");
    assert_eq!(scene.order(100, 100), "d,c,a");
    scene.allocated("d", 10, 25);
    assert_eq!(scene.order(100, 100), "c,d,a");
    scene.weight("e", 0.1);
    scene.add("e", 1, 1);
    assert_eq!(scene.order(100, 100), "c,d,a,e");
}

/// Ties: the same share goes by the count of what was given, and the same count by the name.
#[test]
fn ties_go_by_count_then_by_name() {
    let mut scene = Scene::new();
    scene.add("b", 4, 4);
    scene.add("a", 4, 4);
    scene.add("c", 2, 2);
    scene.allocated("c", 2, 2);
    assert_eq!(scene.order(100, 100), "a,b,c");
    assert_eq!(scene.order(100, 100), "b,a,c"); // a was offered the rest, and gave it back
}
