//! Hierarchical DRF starves no leaf, where adding shares up level by level does.
//!
//! The examples are those of the H-DRF paper (Bhattacharya et al., SoCC'13) as volcano's design page
//! has them, recomputed with exact rationals. Each agent holds one unit of one resource, so that
//! offers are handed out unit by unit, as the paper fills the cluster.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use apportion::allocator::{Drf, Hdrf, SorterChoice, Weight};
use apportion::simulation::Cluster;
use apportion::{
    Accept, Agent, Calls, Command, Config, Filters, Framework, FrameworkId, Offer, Resources, Role, Scheduler, Task,
    TaskState, TaskStatus,
};
use std::time::Duration;

/// Takes units of one resource, up to a number, and turns all else down for good.
#[derive(Debug)]
struct Taker {
    wants: Resources,
    most: usize,
    launched: usize,
    running: Vec<String>,
}

impl Scheduler for Taker {
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        for offer in offers {
            if self.running.len() < self.most && offer.resources.contains(&self.wants) {
                self.launched += 1;
                let id = format!("t{}", self.launched);
                self.running.push(id.clone());
                calls.accept(Accept::of(&offer).launch(Task::new(id, self.wants.clone())));
            } else {
                calls.decline_for(&offer, Filters::refuse_for(Filters::MAX_REFUSE));
            }
        }
    }

    fn update(&mut self, status: TaskStatus, _: &mut Calls) {
        if status.state.is_terminal() {
            self.running.retain(|id| id != status.task.as_str());
        }
    }
}

struct Leaf {
    role: &'static str,
    wants: &'static str,
    most: usize,
}

const fn leaf(role: &'static str, wants: &'static str) -> Leaf {
    Leaf { role, wants, most: usize::MAX }
}

/// The framework of a role: an id has no slash.
fn framework_of(role: &str) -> FrameworkId {
    role.replace('/', ".").into()
}

/// A cluster of so many units of each of two resources, filled.
fn filled(sorter: SorterChoice, units: [usize; 2], weights: &[(&str, f64)], leaves: &[Leaf]) -> Cluster<Taker> {
    let mut config = Config::default();
    config.sorter = sorter;
    config.options.min_allocatable = Vec::new();
    let mut cluster = Cluster::new(config);
    for (role, weight) in weights {
        let weight = Weight::try_from_f64(*weight).unwrap();
        cluster.command(Command::SetWeight(Role::new(*role).unwrap(), weight)).unwrap();
    }
    for leaf in leaves {
        let taker = Taker { wants: leaf.wants.parse().unwrap(), most: leaf.most, launched: 0, running: Vec::new() };
        cluster
            .add_framework(Framework::new(framework_of(leaf.role)).role(Role::new(leaf.role).unwrap()), taker)
            .unwrap();
    }
    for (name, units) in ["one", "two"].into_iter().zip(units) {
        for unit in 0..units {
            let total = format!("{name}:1").parse().unwrap();
            cluster.add_agent(Agent::new(format!("{name}-{unit}"), total)).unwrap();
        }
    }
    settle(&mut cluster);
    cluster
}

fn settle(cluster: &mut Cluster<Taker>) {
    let until = cluster.now() + Duration::from_secs(20);
    cluster.run_until(until);
}

/// Tasks of these frameworks end one after the other, each time refilling the cluster.
fn churn(cluster: &mut Cluster<Taker>, frameworks: &[&str], rounds: usize) {
    for round in 0..rounds {
        let framework = framework_of(frameworks[round % frameworks.len()]);
        let Some(task) = cluster.scheduler(&framework).unwrap().running.first().cloned() else { continue };
        cluster.command(Command::TaskStatus(framework, TaskStatus::new(task, TaskState::Finished))).unwrap();
        settle(cluster);
    }
}

fn held(cluster: &Cluster<Taker>, leaves: &[Leaf]) -> Vec<usize> {
    leaves.iter().map(|leaf| cluster.scheduler(&framework_of(leaf.role)).unwrap().running.len()).collect()
}

fn hdrf() -> SorterChoice {
    SorterChoice::Hdrf(Hdrf::default())
}

/// Golden C4, second row (G2).
const STARVING: [Leaf; 3] = [leaf("n1", "two:1"), leaf("n2/n21", "one:1"), leaf("n2/n22", "two:1")];

#[test]
fn a_child_with_a_cheap_resource_does_not_starve_its_sibling() {
    let mut cluster = filled(hdrf(), [10, 10], &[], &STARVING);
    churn(&mut cluster, &["n1", "n2/n22"], 60);
    assert_eq!(held(&cluster, &STARVING), [5, 10, 5]);
}

#[test]
fn adding_shares_up_starves_as_in_mesos() {
    let mut cluster = filled(SorterChoice::Drf(Drf::default()), [10, 10], &[], &STARVING);
    churn(&mut cluster, &["n2/n22", "n1"], 60);
    assert_eq!(held(&cluster, &STARVING), [10, 10, 0]);
}

#[test]
fn a_used_up_resource_does_not_count_against_a_parent() {
    // Golden C4, third row (G3).
    let leaves = [
        leaf("n1", "one:1"),
        leaf("n2", "one:1"),
        leaf("n3/n31", "one:1"),
        leaf("n3/n32", "two:1"),
        leaf("n4", "two:1"),
    ];
    let mut cluster = filled(hdrf(), [30, 30], &[], &leaves);
    churn(&mut cluster, &["n1", "n2", "n3/n31", "n3/n32", "n4"], 200);
    assert_eq!(held(&cluster, &leaves), [10, 10, 10, 15, 15]);
}

#[test]
fn children_are_scaled_by_their_weights() {
    // W1: one resource of 36; n2's children 2 : 1.
    let leaves = [leaf("n1", "one:1"), leaf("n2/a", "one:1"), leaf("n2/b", "one:1")];
    let mut cluster = filled(hdrf(), [36, 0], &[("n2/a", 2.0)], &leaves);
    churn(&mut cluster, &["n1", "n2/a", "n2/b"], 120);
    assert_eq!(held(&cluster, &leaves), [18, 12, 6]);
}

#[test]
fn three_levels_keep_to_their_weights() {
    // T3: shares eng 3/4, sci 1/4 of resource one.
    let leaves =
        [leaf("eng/dev/d1", "one:1"), leaf("eng/dev/d2", "two:1"), leaf("eng/prod", "one:1"), leaf("sci", "one:1")];
    let mut cluster = filled(hdrf(), [48, 48], &[("eng", 3.0), ("eng/prod", 2.0)], &leaves);
    churn(&mut cluster, &["eng/dev/d1", "eng/prod", "sci"], 240);
    assert_eq!(held(&cluster, &leaves), [12, 48, 24, 12]);
}

#[test]
fn a_satisfied_leaf_leaves_its_share_to_the_others() {
    // B1: n1 wants only 10.
    let mut leaves = [leaf("n1", "one:1"), leaf("n3/n31", "one:1"), leaf("n3/n32", "two:1"), leaf("n4", "two:1")];
    leaves[0].most = 10;
    let mut cluster = filled(hdrf(), [30, 30], &[], &leaves);
    churn(&mut cluster, &["n3/n32", "n4"], 120);
    assert_eq!(held(&cluster, &leaves), [10, 20, 15, 15]);
}

#[test]
fn one_that_refuses_everything_does_not_let_its_siblings_swallow_the_cluster() {
    // O1: z refuses everything.
    let mut leaves = [leaf("n1", "one:1"), leaf("n2/a", "one:1"), leaf("n2/z", "one:1")];
    leaves[2].most = 0;
    let mut cluster = filled(hdrf(), [24, 0], &[], &leaves);
    churn(&mut cluster, &["n1", "n2/a"], 120);
    assert_eq!(held(&cluster, &leaves), [12, 12, 0]);
}
