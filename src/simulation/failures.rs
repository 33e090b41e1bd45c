//! Faults: masters that fail over, agents that are cut off, and a network that is not perfect.

use super::network::{Crossing, Fate};
use super::{Arrival, Cluster, NotInCluster, Scheduled};
use crate::allocator::Allocator;
use crate::delivery::Delivery;
use crate::id::{AgentId, FrameworkId};
use crate::master::{Command, CommandError, Master};
use crate::scheduler::{Calls, Scheduler};

impl<S: Scheduler, A: Allocator> Cluster<S, A> {
    /// Returns the delivery of a master. Schedulers take their messages in the same process, so queues need no bound.
    pub(super) fn delivery_of(master: Master<A>) -> Delivery<A> {
        Delivery::new(master).bounded(u64::MAX, |_| 1).observing()
    }

    /// Lets `decide` decide what becomes of each message between the master, the schedulers and the agents: by a rule, or by a
    /// [seed](super::Faults). A delayed [`Call`](crate::Call) is a scheduler that thinks, a delayed launch an agent that is
    /// busy.
    ///
    /// Agents send each status once: what is lost is found by reconciliation.
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion::delivery::AgentMessage;
    /// use apportion::simulation::{Cluster, Crossing, Fate};
    /// # use apportion::Scheduler;
    /// use std::time::Duration;
    ///
    /// # fn run<S: Scheduler>(cluster: Cluster<S>) {
    /// // It takes an agent five seconds to launch a task.
    /// let cluster = cluster.with_network(|message| match message {
    ///     Crossing::AgentMessage(_, AgentMessage::Launch { .. }) => Fate::Late(Duration::from_secs(5)),
    ///     _ => Fate::Arrives,
    /// });
    /// # }
    /// ```
    #[must_use]
    pub fn with_network(mut self, decide: impl FnMut(Crossing<'_>) -> Fate + Send + 'static) -> Self {
        self.network = Some(Box::new(decide));
        self
    }

    /// Cuts an agent off: messages to it are lost and its statuses wait, while what runs there goes on. The master does not
    /// know: [`Command::DisconnectAgent`] and [`Command::AgentUnreachable`] say when it notices.
    ///
    /// # Errors
    ///
    /// [`NotInCluster`] when there is no such agent.
    pub fn partition(&mut self, agent: &AgentId) -> Result<(), NotInCluster> {
        self.run_agents();
        if self.agents.cut(agent) { Ok(()) } else { Err(NotInCluster::Agent(agent.clone())) }
    }

    /// Connects an agent that was [cut off](Cluster::partition) again: it registers with what runs there, unless the master has
    /// noticed nothing, and then sends the statuses that waited.
    ///
    /// # Errors
    ///
    /// [`NotInCluster`] when there is no such agent.
    pub fn heal(&mut self, agent: &AgentId) -> Result<(), NotInCluster> {
        if !self.agents.is_cut(agent) {
            return Err(NotInCluster::Agent(agent.clone()));
        }
        let registration = self.agents.registration(agent);
        self.run_agents(); // what was sent until now is lost
        self.agents.advance(self.delivery.now());
        self.agents.heal(agent);
        if let Some(registration) = registration
            && self.master().connected_agent(agent).is_none()
        {
            let _ = self.delivery.handle(self.now(), Command::AddAgent(registration)); // a gone agent is told to shut down
        }
        self.collect_reports();
        Ok(())
    }

    /// Replaces the master by another one that knows nothing but what it was given: a new leader. All agents register with
    /// it, in order, and then the frameworks subscribe, which are told that they were
    /// [disconnected](Scheduler::disconnected); messages between the old one and schedulers are lost. The clock goes on.
    /// Returns the old master.
    ///
    /// A successor with an [`id_prefix`](crate::Config::id_prefix) of its own never gives an id that the old one gave, and
    /// one that was given [`Command::Recover`] waits for its agents.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when the clock of the new master is ahead; nothing has changed then.
    pub fn fail_master(&mut self, mut successor: Master<A>) -> Result<Master<A>, CommandError> {
        successor.advance(self.now())?;
        let mut delivery = Self::delivery_of(successor);
        if self.records {
            delivery = delivery.recording();
        }
        let old = std::mem::replace(&mut self.delivery, delivery).into_master();
        self.injected.clear();
        self.agenda.retain(
            |_, action| !matches!(action, Scheduled::Arrival(arrival) if !matches!(**arrival, Arrival::FromAgent(_))),
        );
        let agents: Vec<AgentId> = self.agents.ids().filter(|agent| !self.agents.is_cut(agent)).cloned().collect();
        for agent in agents {
            if let Some(registration) = self.agents.registration(&agent) {
                let _ = self.delivery.handle(self.now(), Command::AddAgent(registration));
            }
        }
        self.agents.advance(self.delivery.now());
        self.agents.master_failed();
        self.collect_reports();
        let frameworks: Vec<FrameworkId> = self.members.keys().filter(|id| old.is_connected(id)).cloned().collect();
        for framework in frameworks {
            let mut calls = Calls::new(self.now());
            if let Some(member) = self.members.get_mut(&framework) {
                member.scheduler.disconnected(&mut calls);
                let info = member.framework.clone();
                let _ = self.delivery.subscribe(self.now(), info);
            }
            for timer in calls.wakes() {
                self.wake(timer.at, Scheduled::WakeScheduler(framework.clone(), timer.token)); // its calls are lost
            }
        }
        Ok(old)
    }
}
