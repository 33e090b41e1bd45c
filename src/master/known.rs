//! What a master knows of one task, executor, offer, framework or agent: for programs that keep a view of it, and cannot afford
//! [`Master::state`] after each command.

use super::Master;
use super::command::Drain;
use super::executors::LiveExecutor;
use super::frameworks::FrameworkEntry;
use super::offers::offer_id;
use super::tasks::LiveTask;
use crate::agent::Agent;
use crate::allocator::{Allocator, Holding};
use crate::framework::Framework;
use crate::id::{AgentId, ExecutorId, FrameworkId, OfferId, TaskId};
use crate::resources::Resources;
use crate::role::Role;
use crate::task::{ExecutorInfo, TaskState};
use crate::time::Time;
use std::borrow::Cow;
use std::sync::Arc;

/// A task that is not terminal.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct KnownTask<'a> {
    /// Its id.
    pub id: &'a TaskId,
    /// Its framework, role, agent and resources.
    pub holding: &'a Holding,
    /// Its latest state.
    pub state: TaskState,
    /// The executor that runs it, if that is known.
    pub executor: Option<&'a ExecutorId>,
    /// True if it is a copy: an agent brought it although its id runs elsewhere, or although its framework was told that it is
    /// lost. A copy holds its resources until it is killed, and its framework does not hear of it.
    pub is_copy: bool,
}

/// An executor that runs, or is about to.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct KnownExecutor<'a> {
    /// Its id.
    pub id: &'a ExecutorId,
    /// Its framework, role and agent, and the resources of its own, which may be none.
    pub holding: &'a Holding,
    /// Its description; none if an agent has brought it.
    pub info: Option<&'a ExecutorInfo>,
}

/// A live offer.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct KnownOffer<'a> {
    /// Its number, of which [`Config::offer_id`](crate::Config::offer_id) makes the id.
    pub number: u64,
    /// Its framework, role, agent and resources.
    pub holding: &'a Holding,
    /// The time at which it was made.
    pub made_at: Time,
}

/// A framework that is registered, or recovered.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct KnownFramework<'a> {
    /// The framework as it described itself last.
    pub framework: &'a Arc<Framework>,
    /// True if it is connected.
    pub active: bool,
    /// True if it was registered with the leader before, and has not subscribed since.
    pub recovered: bool,
    /// The roles for which it has suppressed offers.
    pub suppressed: &'a [Role],
}

/// A registered agent.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct KnownAgent<'a> {
    /// The agent as it was registered and updated. Operations change its total, not this.
    pub agent: &'a Arc<Agent>,
    /// Its total resources.
    pub total: Cow<'a, Resources>,
    /// True if its connection is not broken.
    pub connected: bool,
    /// True if an operator has deactivated it.
    pub deactivated: bool,
    /// How it drains, if it does.
    pub drain: Option<Drain>,
}

impl crate::master::Config {
    /// Returns the id of the offer of that number.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(apportion::Config::new().id_prefix("m1-").offer_id(7).as_str(), "m1-O7");
    /// ```
    #[must_use]
    pub fn offer_id(&self, number: u64) -> OfferId {
        offer_id(&self.id_prefix, 'O', number)
    }
}

impl<A: Allocator> Master<A> {
    /// Returns the task of a framework with that id, if it is not terminal. A copy is not returned.
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion::{Agent, Command, Config, Master, Registration, Role, RunningTask, Task, TaskState, Time};
    ///
    /// let mut master = Master::new(Config::default());
    /// let task = RunningTask::new("f1", Role::default(), Task::new("t1", "cpus:1;mem:64".parse()?));
    /// let agent = Registration::from(Agent::new("a1", "cpus:4;mem:1024".parse()?)).task(task);
    /// master.handle(Time::ZERO, Command::AddAgent(agent))?;
    /// let known = master.known_task(&"f1".into(), &"t1".into()).expect("it runs");
    /// assert_eq!((known.state, known.holding.agent.as_str()), (TaskState::Running, "a1"));
    /// assert_eq!(master.known_tasks_on(&"a1".into()).count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn known_task(&self, framework: &FrameworkId, task: &TaskId) -> Option<KnownTask<'_>> {
        self.tasks.get(framework, task).map(known_task)
    }

    /// Returns the tasks on an agent that are not terminal, in order of launching, copies included.
    pub fn known_tasks_on(&self, agent: &AgentId) -> impl Iterator<Item = KnownTask<'_>> {
        self.tasks.on(agent).map(|(_, task)| known_task(task))
    }

    /// Returns all tasks that are not terminal, in order of launching, copies included.
    pub fn known_tasks(&self) -> impl Iterator<Item = KnownTask<'_>> {
        self.tasks.iter().map(known_task)
    }

    /// Returns all executors, in order of their frameworks, agents and ids.
    pub fn known_executors(&self) -> impl Iterator<Item = KnownExecutor<'_>> {
        self.executors.iter().map(|(id, LiveExecutor { holding, info })| KnownExecutor {
            id,
            holding,
            info: info.as_ref(),
        })
    }

    /// Returns the live offers, in order of making.
    pub fn known_offers(&self) -> impl Iterator<Item = KnownOffer<'_>> {
        self.offers.iter().map(|(number, offer)| KnownOffer { number, holding: &offer.holding, made_at: offer.made_at })
    }

    /// Returns a framework that is registered, or recovered.
    #[must_use]
    pub fn known_framework(&self, framework: &FrameworkId) -> Option<KnownFramework<'_>> {
        self.frameworks.get(framework).map(known_framework)
    }

    /// Returns the frameworks that are registered, or recovered, in order of coming.
    pub fn known_frameworks(&self) -> impl Iterator<Item = KnownFramework<'_>> {
        self.frameworks.values().map(known_framework)
    }

    /// Returns a registered agent.
    #[must_use]
    pub fn known_agent(&self, agent: &AgentId) -> Option<KnownAgent<'_>> {
        let total = self.allocator.agent(agent)?.total;
        Some(KnownAgent {
            agent: self.agents.get(agent)?,
            total,
            connected: !self.inactive.is_disconnected(agent),
            deactivated: self.inactive.is_deactivated(agent),
            drain: self.drains.get(agent),
        })
    }
}

fn known_task(task: &LiveTask) -> KnownTask<'_> {
    KnownTask {
        id: &task.id,
        holding: &task.holding,
        state: task.state,
        executor: task.executor(),
        is_copy: task.is_copy,
    }
}

fn known_framework(entry: &FrameworkEntry) -> KnownFramework<'_> {
    KnownFramework {
        framework: &entry.framework,
        active: entry.active,
        recovered: entry.is_recovered,
        suppressed: &entry.suppressed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::master::{Command, Config, Registration, RunningExecutor, RunningTask};
    use crate::task::Task;

    #[test]
    fn what_is_known_of_each_is_what_the_state_says() {
        let mut master = Master::new(Config::default());
        let agent = Registration::from(Agent::new("a1", "cpus:8;mem:1024".parse().unwrap()))
            .task(
                RunningTask::new("f1", Role::default(), Task::new("t1", "cpus:1;mem:64".parse().unwrap()))
                    .executor("e1"),
            )
            .executor(RunningExecutor::new("e1", "f1", Role::default(), "cpus:1".parse().unwrap()));
        let drain = Drain { mark_gone: true, ..Drain::default() };
        for command in [
            Command::AddAgent(agent),
            Command::AddAgent(Agent::new("a2", "cpus:2;mem:64".parse().unwrap()).into()),
            Command::AddFramework(Framework::new("f1").role(Role::default())),
            Command::DrainAgent("a1".into(), drain),
            Command::DisconnectAgent("a2".into()),
            Command::DeactivateAgent("a2".into()),
            Command::ActivateAgent("a2".into()),
        ] {
            master.handle(Time::ZERO, command).unwrap();
        }
        master
            .handle(Time::ZERO, Command::AddAgent(Agent::new("a3", "cpus:3;mem:96".parse().unwrap()).into()))
            .unwrap();

        let (state, executors) = (master.state(), master.known_executors().collect::<Vec<_>>());
        let offers: Vec<_> =
            master.known_offers().map(|offer| (master.config().offer_id(offer.number), offer)).collect();
        assert_eq!(offers.len(), 1);
        assert_eq!((&offers[0].0, &offers[0].1.holding.resources), (&state.offers[0].id, &state.offers[0].resources));
        for found in &state.agents {
            let known = master.known_agent(&found.id).unwrap();
            assert_eq!(
                (known.connected, known.drain.is_some(), &*known.total),
                (found.connected, found.draining, &found.total)
            );
            let may_be_offered = known.connected && !known.deactivated && known.drain.is_none();
            assert_eq!(may_be_offered, found.active);
        }
        assert_eq!(master.known_agent(&"a1".into()).unwrap().drain, Some(drain));
        let task = master.known_tasks_on(&"a1".into()).next().unwrap();
        assert_eq!(master.known_tasks().collect::<Vec<_>>(), [task]);
        assert_eq!((task.executor, task.is_copy), (Some(executors[0].id), false));
        assert_eq!((executors.len(), executors[0].info), (1, None));
        let frameworks: Vec<_> = master.known_frameworks().collect();
        assert_eq!(frameworks, [master.known_framework(&"f1".into()).unwrap()]);
        assert!(frameworks[0].active && !frameworks[0].recovered);
    }
}
