//! [`Metrics`]: counters and gauges of a master, for operators.

mod messages;

pub use messages::{AgentMessageMetrics, CallMetrics, CommandMetrics, EffectMetrics};

use super::{Command, Effect, FrameworkEntry, Master};
use crate::allocator::Allocator;
use crate::id::FrameworkId;
use crate::resources::Quantities;
use crate::task::TaskState;
use crate::time::Time;
use indexmap::IndexMap;
use serde::Serialize;
use std::borrow::Cow;

/// Declares a struct of counters and gauges, each with the name of its metric: that of Mesos, or one that begins with
/// `apportion/` where Mesos has none.
macro_rules! metrics {
    (
        $(#[$attribute:meta])*
        pub struct $name:ident { $($(#[doc = $doc:literal])+ $field:ident: $type:ty = $metric:literal,)+ }
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
        #[non_exhaustive]
        pub struct $name {
            $(
                $(#[doc = $doc])+
                #[doc = ""]
                #[doc = concat!("Metric: `", $metric, "`.")]
                pub $field: $type,
            )+
        }

        impl $name {
            /// Returns each with the name of its metric.
            #[expect(clippy::cast_precision_loss, reason = "nothing is counted up to 2^53")]
            pub fn named(&self) -> impl Iterator<Item = (&'static str, f64)> + use<> {
                [$(($metric, self.$field as f64)),+].into_iter()
            }
        }
    };
}
use metrics;

/// Counters and gauges of a master. Counters start at 0 with the master, and with one that is restored.
///
/// Each tells the name of its metric: that of Mesos, or one that begins with `apportion/` where Mesos has none. What the
/// allocator counts, it tells itself: see [`AllocatorMetrics`](crate::allocator::AllocatorMetrics). Commands are handled when
/// they come, so `master/event_queue_messages` and its like are the caller's to tell; what waits to be sent is counted by
/// [`DeliveryMetrics`](crate::delivery::DeliveryMetrics).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Metrics {
    /// The commands that were handled, those that were rejected included.
    ///
    /// Metric: `apportion/commands`.
    pub commands: u64,
    /// The commands that were rejected.
    ///
    /// Metric: `apportion/commands_rejected`.
    pub rejected_commands: u64,
    /// The effects that were not polled yet.
    ///
    /// Metric: `apportion/effects_queued`.
    pub queued_effects: usize,
    /// The calls of frameworks by kind.
    pub calls: CallMetrics,
    /// The messages of agents and executors by kind.
    pub agent_messages: AgentMessageMetrics,
    /// The other commands by kind.
    pub other_commands: CommandMetrics,
    /// The effects by kind: what frameworks, agents and operators were told.
    pub effects: EffectMetrics,
    /// The offers by how they ended, and those that have not yet.
    pub offers: OfferMetrics,
    /// The agents by how they are.
    pub agents: AgentMetrics,
    /// The frameworks by how they are.
    pub frameworks: FrameworkMetrics,
    /// The tasks by state, and those that have ended.
    pub tasks: TaskMetrics,
    /// The frameworks that have live offers or have let some time out, in order of coming: who keeps resources from others.
    pub offered: Vec<FrameworkOffers>,
}

/// The offers that a framework has not answered. It has no metric of its own: the names of frameworks are not bounded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FrameworkOffers {
    /// The framework.
    pub framework: FrameworkId,
    /// The number of its live offers.
    pub live: usize,
    /// The time at which the oldest of them was made.
    pub since: Option<Time>,
    /// The number of its offers that have timed out.
    pub timed_out: u64,
}

impl Metrics {
    /// Returns all counters and gauges with the names of their metrics, as `/metrics/snapshot` of Mesos has them.
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion::{Agent, Command, Config, Framework, Master, Role, Time};
    /// use std::collections::BTreeMap;
    ///
    /// let mut master = Master::new(Config::default());
    /// master.handle(Time::ZERO, Command::AddFramework(Framework::new("f1").role(Role::default())))?;
    /// master.handle(Time::ZERO, Command::AddAgent(Agent::new("a1", "cpus:8".parse()?).into()))?;
    ///
    /// let metrics: BTreeMap<_, _> = master.metrics().named().chain(master.allocator().metrics().named()).collect();
    /// assert_eq!(metrics["master/outstanding_offers"], 1.0);
    /// assert_eq!(metrics["master/messages_register_slave"], 1.0);
    /// assert_eq!(metrics["allocator/mesos/resources/cpus/offered_or_allocated"], 8.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[expect(clippy::cast_precision_loss, reason = "nothing is counted up to 2^53")]
    pub fn named(&self) -> impl Iterator<Item = (Cow<'static, str>, f64)> + use<> {
        let own = [
            ("apportion/commands", self.commands as f64),
            ("apportion/commands_rejected", self.rejected_commands as f64),
            ("apportion/effects_queued", self.queued_effects as f64),
        ];
        let messages = self.calls.named().chain(self.agent_messages.named()).chain(self.other_commands.named());
        let gauges = self.agents.named().chain(self.frameworks.named()).chain(self.tasks.named());
        let all = own.into_iter().chain(messages).chain(self.effects.named()).chain(self.offers.named()).chain(gauges);
        all.map(|(name, value)| (Cow::Borrowed(name), value))
    }
}

metrics! {
    /// Counters of offers, and the number of live ones.
    pub struct OfferMetrics {
        /// The live offers.
        live: usize = "master/outstanding_offers",
        /// The offers that were made.
        made: u64 = "apportion/offers/made",
        /// Those that were accepted with an operation that was done.
        accepted: u64 = "apportion/offers/accepted",
        /// Those that were declined, or accepted without an operation that was done.
        declined: u64 = "apportion/offers/declined",
        /// Those that were rescinded, other than for a timeout.
        rescinded: u64 = "apportion/offers/rescinded",
        /// Those that were rescinded because nobody answered in time.
        timed_out: u64 = "apportion/offers/timed_out",
        /// Those whose framework has failed over or was removed.
        void: u64 = "apportion/offers/void",
    }
}

metrics! {
    /// The agents by how they are.
    pub struct AgentMetrics {
        /// Those that are registered and connected.
        connected: usize = "master/slaves_connected",
        /// Those whose connection is broken.
        disconnected: usize = "master/slaves_disconnected",
        /// Those that may be offered.
        active: usize = "master/slaves_active",
        /// Those that are registered and may not be offered: disconnected, deactivated or draining.
        inactive: usize = "master/slaves_inactive",
        /// Those that are remembered as unreachable.
        unreachable: usize = "master/slaves_unreachable",
    }
}

metrics! {
    /// The frameworks by how they are.
    pub struct FrameworkMetrics {
        /// Those that are connected.
        connected: usize = "master/frameworks_connected",
        /// Those whose connection is broken.
        disconnected: usize = "master/frameworks_disconnected",
        /// Those that a new leader expects to subscribe.
        recovered: usize = "apportion/frameworks/recovered",
    }
}

metrics! {
    /// Gauges of live tasks by their latest state, and counters of those that have ended by their last one.
    pub struct TaskMetrics {
        /// Launched and not reported yet.
        staging: u64 = "master/tasks_staging",
        /// Being started by their executors.
        starting: u64 = "master/tasks_starting",
        /// Running.
        running: u64 = "master/tasks_running",
        /// Being killed by their executors.
        killing: u64 = "master/tasks_killing",
        /// Ended by themselves, with success.
        finished: u64 = "master/tasks_finished",
        /// Ended by themselves, without success.
        failed: u64 = "master/tasks_failed",
        /// Ended because their frameworks wanted it.
        killed: u64 = "master/tasks_killed",
        /// Never started: what was asked for cannot be done.
        error: u64 = "master/tasks_error",
        /// Lost with their agents, as frameworks are told that are not partition-aware.
        lost: u64 = "master/tasks_lost",
        /// Never started: their launch did not come through.
        dropped: u64 = "master/tasks_dropped",
        /// Told to be unreachable, so often; a task that comes back counts as launched anew.
        unreachable: u64 = "master/tasks_unreachable",
        /// Ended with their agents.
        gone: u64 = "master/tasks_gone",
        /// Ended because an operator has given up their agents.
        gone_by_operator: u64 = "master/tasks_gone_by_operator",
    }
}

impl TaskMetrics {
    /// Counts a task in that state.
    pub(super) fn count(&mut self, state: TaskState) {
        self.add(state, 1);
    }

    fn add(&mut self, state: TaskState, tasks: u64) {
        let counter = match state {
            TaskState::Staging => &mut self.staging,
            TaskState::Starting => &mut self.starting,
            TaskState::Running => &mut self.running,
            TaskState::Killing => &mut self.killing,
            TaskState::Finished => &mut self.finished,
            TaskState::Failed => &mut self.failed,
            TaskState::Killed => &mut self.killed,
            TaskState::Error => &mut self.error,
            TaskState::Lost => &mut self.lost,
            TaskState::Dropped => &mut self.dropped,
            TaskState::Unreachable => &mut self.unreachable,
            TaskState::Gone => &mut self.gone,
            TaskState::GoneByOperator => &mut self.gone_by_operator,
            TaskState::Unknown => return,
        };
        *counter += tasks;
    }
}

/// The numbers of live tasks by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct StateCounts([u64; TaskState::ALL.len()]);

impl StateCounts {
    pub(super) fn add(&mut self, state: TaskState) {
        self.0[state as usize] += 1;
    }

    pub(super) fn remove(&mut self, state: TaskState) {
        self.0[state as usize] -= 1;
    }

    fn iter(self) -> impl Iterator<Item = (TaskState, u64)> {
        TaskState::ALL.into_iter().zip(self.0)
    }
}

/// The counters of a master.
#[derive(Debug, Clone, Default)]
pub(super) struct Counters {
    pub(super) commands: u64,
    pub(super) rejected_commands: u64,
    calls: CallMetrics,
    agent_messages: AgentMessageMetrics,
    other_commands: CommandMetrics,
    effects: EffectMetrics,
    /// The offers that were made and have ended; how many are live is not counted here.
    pub(super) offers: OfferMetrics,
    /// The tasks that have ended.
    pub(super) ended_tasks: TaskMetrics,
}

impl Counters {
    #[inline]
    pub(super) fn count_command(&mut self, command: &Command) {
        self.commands += 1;
        *self.of_kind(command) += 1;
    }

    #[inline]
    pub(super) fn count_effect(&mut self, effect: &Effect) {
        self.effects.count(effect);
    }
}

impl<A: Allocator> Master<A> {
    /// Returns the amounts that tasks and executors hold, without what is in offers. O(tasks + executors).
    #[must_use]
    pub fn in_use(&self) -> Quantities {
        let held = self.tasks.iter().map(|task| &task.holding).chain(self.executors.holdings());
        let mut sum = Quantities::new();
        held.for_each(|holding| sum += &holding.resources.quantities());
        sum
    }

    /// Returns the counters and gauges. O(frameworks + inactive agents): cheap enough to be asked for every few seconds.
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion::{Agent, Command, Config, Master, Time};
    ///
    /// let mut master = Master::new(Config::default());
    /// master.handle(Time::ZERO, Command::AddAgent(Agent::new("a1", "cpus:8".parse()?).into()))?;
    /// assert!(master.handle(Time::ZERO, Command::RemoveAgent("a9".into())).is_err());
    /// let metrics = master.metrics();
    /// assert_eq!((metrics.agents.connected, metrics.commands, metrics.rejected_commands), (1, 2, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let Counters { commands, rejected_commands, calls, agent_messages, other_commands, effects, .. } =
            self.counters;
        let mut tasks = self.counters.ended_tasks;
        self.tasks.by_state().iter().for_each(|(state, number)| tasks.add(state, number));
        let inactive = self.inactive_agents().count();
        let disconnected = self.inactive.disconnected();
        let agents = AgentMetrics {
            connected: self.agents.len() - disconnected,
            disconnected,
            active: self.agents.len() - inactive,
            inactive,
            unreachable: self.absent.unreachable(),
        };
        let recovered = self.frameworks.values().filter(|entry| entry.is_recovered).count();
        let connected = self.connected_frameworks().count();
        let frameworks =
            FrameworkMetrics { connected, disconnected: self.frameworks.len() - recovered - connected, recovered };
        Metrics {
            commands,
            rejected_commands,
            queued_effects: self.effects.len(),
            calls,
            agent_messages,
            other_commands,
            effects,
            offers: OfferMetrics { live: self.offers.len(), ..self.counters.offers },
            agents,
            frameworks,
            tasks,
            offered: self.offered(),
        }
    }

    /// Counts the live offers and the timed-out ones of each framework that has any.
    fn offered(&self) -> Vec<FrameworkOffers> {
        let mut live: IndexMap<&FrameworkId, (usize, Time)> = IndexMap::new();
        for (_, offer) in self.offers.iter() {
            live.entry(&offer.holding.framework).or_insert((0, offer.made_at)).0 += 1; // in order of making
        }
        let offered = |entry: &FrameworkEntry| {
            let framework = &entry.framework.id;
            let (live, since) = live.get(framework).map_or((0, None), |(live, since)| (*live, Some(*since)));
            let timed_out = entry.timed_out;
            let has_any = live > 0 || timed_out > 0;
            has_any.then(|| FrameworkOffers { framework: framework.clone(), live, since, timed_out })
        };
        self.frameworks.values().filter_map(offered).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Agent;
    use crate::allocator::Quota;
    use crate::framework::Framework;
    use crate::master::Config;
    use crate::role::Role;
    use std::collections::BTreeMap;

    #[test]
    fn each_metric_has_a_name_of_its_own() {
        let mut master = Master::new(Config::default());
        let role = Role::new("eng/web").unwrap();
        let quota = Quota::new("cpus:1".parse().unwrap(), "cpus:4;gpus:2".parse().unwrap());
        for command in [
            Command::SetQuota(role.clone(), quota),
            Command::AddAgent(Agent::new("a1", "cpus:8;mem:512".parse().unwrap()).into()),
            Command::AddFramework(Framework::new("f1").role(role)),
        ] {
            master.handle(Time::ZERO, command).unwrap();
        }
        let (own, allocators) = (master.metrics(), master.allocator().metrics());
        let named: Vec<(Cow<'_, str>, f64)> = own.named().chain(allocators.named()).collect();
        let by_name: BTreeMap<_, _> = named.iter().cloned().collect();
        assert_eq!(by_name.len(), named.len());
        let known = ["master/", "allocator/mesos/", "apportion/"];
        assert!(by_name.keys().all(|name| known.iter().any(|within| name.starts_with(within))));
        let expected = [
            ("cpus/guarantee", 1.0),
            ("cpus/limit", 4.0),
            ("cpus/offered_or_allocated", 4.0),
            ("gpus/limit", 2.0),
            ("mem/offered_or_allocated", 512.0),
        ];
        for (name, value) in expected {
            let path = format!("allocator/mesos/quota/roles/eng/web/resources/{name}");
            assert_eq!(by_name.get(path.as_str()), Some(&value), "{path}");
        }
    }
}
