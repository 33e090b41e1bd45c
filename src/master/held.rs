//! [`Held`]: a part of an agent with what holds it, for those who look at a master.

use super::Master;
use crate::allocator::{Allocator, Holding};
use crate::framework::Framework;
use crate::id::{OfferId, TaskId};
use crate::task::TaskState;
use crate::time::Time;
use std::sync::Arc;

/// A part of an agent, and what holds it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Held<'a> {
    /// The resources, with their agent, and the framework and role that they count for.
    pub holding: &'a Holding,
    /// What holds them.
    pub by: Holds<'a>,
}

/// What holds a part of an agent.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Holds<'a> {
    /// A live offer.
    Offer {
        /// Its id.
        id: OfferId,
        /// The time at which it was made.
        made_at: Time,
    },
    /// A task that is not terminal.
    Task {
        /// Its id.
        id: &'a TaskId,
        /// Its latest state.
        state: TaskState,
    },
    /// An executor with resources of its own.
    Executor,
}

impl<A: Allocator> Master<A> {
    /// Returns all that is held of the agents: by live offers in order of making, by tasks in order of launching, then by
    /// executors. Nothing is copied but the ids of offers.
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion::{Agent, Command, Config, Framework, Holds, Master, Role, Time};
    ///
    /// let mut master = Master::new(Config::default());
    /// master.handle(Time::from_secs(4), Command::AddAgent(Agent::new("a1", "cpus:8".parse()?).into()))?;
    /// master.handle(Time::from_secs(4), Command::AddFramework(Framework::new("f1").role(Role::default())))?;
    ///
    /// let held = master.held().next().expect("an offer was made");
    /// assert_eq!(held.holding.resources.to_string(), "cpus:8");
    /// assert_eq!(held.by, Holds::Offer { id: "O1".into(), made_at: Time::from_secs(4) });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn held(&self) -> impl Iterator<Item = Held<'_>> {
        let offers = self.offers.iter().map(|(number, offer)| Held {
            holding: &offer.holding,
            by: Holds::Offer { id: self.offer_id(number), made_at: offer.made_at },
        });
        let tasks = self
            .tasks
            .iter()
            .map(|task| Held { holding: &task.holding, by: Holds::Task { id: &task.id, state: task.state } });
        let executors = self.executors.holdings().map(|holding| Held { holding, by: Holds::Executor });
        offers.chain(tasks).chain(executors)
    }

    /// Returns the frameworks as they described themselves last, in order of registration.
    pub fn frameworks(&self) -> impl Iterator<Item = &Arc<Framework>> {
        self.frameworks.values().map(|entry| &entry.framework)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Agent;
    use crate::master::{Command, Config, Registration, RunningExecutor, RunningTask};
    use crate::task::Task;

    #[test]
    fn offers_tasks_and_executors_hold_parts_of_agents() {
        let mut master = Master::new(Config::default());
        let role: crate::role::Role = "web".parse().unwrap();
        let running = RunningTask::new("f", role.clone(), Task::new("t", "cpus:1".parse().unwrap()));
        let executor = RunningExecutor::new("e", "f", role.clone(), "cpus:2;mem:32".parse().unwrap());
        let registration = Registration::from(Agent::new("s", "cpus:8;mem:64".parse().unwrap()));
        let agent = Command::AddAgent(registration.task(running).executor(executor));
        for command in [Command::AddFramework(Framework::new("f").role(role)), agent] {
            master.handle(Time::from_secs(7), command).unwrap();
        }
        let held: Vec<_> = master.held().map(|held| (held.holding.resources.to_string(), held.by)).collect();
        let offer = Holds::Offer { id: "O1".into(), made_at: Time::from_secs(7) };
        let task = "t".into();
        assert_eq!(
            held,
            [
                ("cpus:5;mem:32".to_owned(), offer),
                ("cpus:1".to_owned(), Holds::Task { id: &task, state: TaskState::Running }),
                ("cpus:2;mem:32".to_owned(), Holds::Executor),
            ]
        );
        assert_eq!(master.frameworks().map(|framework| framework.id.as_str()).collect::<Vec<_>>(), ["f"]);
    }
}
