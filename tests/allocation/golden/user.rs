//! Users whose tasks are all alike, and a cluster that is filled with them.

use apportion::allocator::{SorterChoice, Weight};
use apportion::simulation::Cluster;
use apportion::{
    Accept, Agent, Calls, Command, Config, Effect, Filters, Framework, FrameworkId, Offer, Resources, Role, Scheduler,
    Task, Time,
};
use std::time::Duration;

/// Launches one task for each offer that it fits in, and turns what is too small down for good.
#[derive(Debug)]
pub(crate) struct User {
    demand: Resources,
    launched: usize,
}

impl Scheduler for User {
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        for offer in offers {
            if offer.resources.contains(&self.demand) {
                self.launched += 1;
                let task = Task::new(self.launched.to_string(), self.demand.clone());
                calls.accept(Accept::of(&offer).launch(task).refuse_rest_for(Duration::ZERO));
            } else {
                calls.decline_for(&offer, Filters::refuse_for(Filters::MAX_REFUSE));
            }
        }
    }
}

/// Two resources, as the paper has them.
pub(crate) fn pair([cpus, mem]: [u64; 2]) -> Resources {
    format!("cpus:{cpus};mem:{mem}").parse().unwrap()
}

/// The size of an agent, users by role and what a task of each needs, and weights.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub(crate) capacity: [u64; 2],
    pub(crate) users: Vec<(&'static str, [u64; 2])>,
    pub(crate) weights: Vec<(&'static str, f64)>,
    pub(crate) sorter: SorterChoice,
}

/// No weights, DRF.
pub(crate) fn pool<const N: usize>(capacity: [u64; 2], users: [(&'static str, [u64; 2]); N]) -> Instance {
    Instance { capacity, users: users.to_vec(), weights: Vec::new(), sorter: SorterChoice::default() }
}

/// Who launched a task, and the shares of all users right after.
pub(crate) type Pick = (String, Vec<f64>);

impl Instance {
    fn cluster(&self) -> Cluster<User> {
        let mut config = Config::default();
        config.options.min_allocatable = Vec::new();
        config.sorter = self.sorter.clone();
        let mut cluster = Cluster::new(config);
        for (role, weight) in &self.weights {
            let weight = Weight::try_from_f64(*weight).unwrap();
            cluster.command(Command::SetWeight(Role::new(*role).unwrap(), weight)).unwrap();
        }
        for (role, demand) in &self.users {
            let user = User { demand: pair(*demand), launched: 0 };
            cluster.add_framework(Framework::new(framework_of(role)).role(Role::new(*role).unwrap()), user).unwrap();
        }
        cluster
    }

    fn add_agent(&self, number: u64, cluster: &mut Cluster<User>) {
        cluster.add_agent(Agent::new(format!("agent-{number}"), pair(self.capacity))).unwrap();
    }

    /// How many tasks each user has when nothing more fits on one agent.
    pub(crate) fn filled(&self) -> Vec<usize> {
        self.filled_one_by_one(1)
    }

    /// How many tasks each user has when nothing more fits on so many agents, each of which is filled
    /// before the next one comes.
    pub(crate) fn filled_one_by_one(&self, agents: u64) -> Vec<usize> {
        let mut cluster = self.cluster();
        for agent in 1..=agents {
            self.add_agent(agent, &mut cluster);
            cluster.run_until(Time::from_secs(agent * 10_000));
        }
        let launched = |(role, _): &(&str, _)| cluster.scheduler(&framework_of(role)).unwrap().launched;
        self.users.iter().map(launched).collect()
    }

    /// Every launch until nothing more fits on one agent.
    pub(crate) fn picks(&self) -> Vec<Pick> {
        let mut cluster = self.cluster();
        self.add_agent(1, &mut cluster);
        let mut picks = Vec::new();
        while let Some(emitted) = cluster.step(Time::from_secs(10_000)) {
            if let Effect::Launch { framework, .. } = emitted.effect {
                let state = cluster.master().state();
                let share = |user: &str| state.roles.iter().find(|role| role.role.as_str() == user).unwrap().share;
                picks.push((framework.to_string(), self.users.iter().map(|(role, _)| share(role)).collect()));
            }
        }
        picks
    }
}

/// The user's framework: its role, without the separator that an id must not contain.
fn framework_of(role: &str) -> FrameworkId {
    FrameworkId::new(role.replace('/', "."))
}
