//! [`Planner`]: pending tasks and offers in, launches, declines and reasons out.
//!
//! What an app may ask for, and what the planner makes of it, is Marathon's: constraints, ports, roles, volumes,
//! maintenance, scarce gpus. On top come wishes and strategies, as Fenzo, Swarm and Nomad have them.

mod app;
mod barrier;
mod choice;
mod desk;
mod fitness;
mod grammar;
mod group;
mod marathon;
mod near_miss;
mod ports;
mod problem;
mod reader;
mod round;
mod running;
mod search;
mod serve;
mod skew;
mod spread;
mod state;
mod syntax;
mod table;
mod term;
mod version;
mod volume;

pub use app::{App, GpuBehavior};
pub use barrier::{Barrier, Obstacle};
pub use fitness::{Fitness, Load, Prospect, Strategy, Usage};
pub use group::GroupShortage;
pub use near_miss::{Change, NearMiss};
pub use ports::{HostPort, PortRequest, PortShortage};
pub use problem::Problem;
pub use reader::{ReadError, ReadFault, TextError};
pub use running::Running;
pub use spread::Spread;
pub use syntax::{SyntaxError, SyntaxFault, read_json};
pub use version::{Version, VersionError};
pub use volume::{VolumeRequest, VolumeShortage, VolumeSource};

use crate::constraint::Location;
use crate::id::{AgentId, OfferId, TaskId};
use crate::offer::{Accept, Filters, Offer, Operation};
use crate::resources::Resources;
use crate::role::Role;
use crate::scheduler::{Call, Calls};
use crate::task::Task;
use crate::time::Time;
use indexmap::IndexMap;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::json;
use smol_str::SmolStr;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Matches apps with offers: the heart of a framework.
///
/// Apps are served in the order in which they are listed, instance by instance. Of the offers in which a task may run, the
/// best one is chosen by, in turn: preferences, spreads, fewest tasks on the value of a `GROUP_BY`, strategy, order of the
/// offers. The same input gives the same plan.
///
/// # Complexity
///
/// O(offers) per task that is placed where there is an opinion on which offer is the best; without one, an offer that a
/// task was refused for good is not looked at again.
///
/// # Examples
///
/// A framework that runs one app, in a few lines:
///
/// ```
/// use apportion::constraint::Condition;
/// use apportion::placement::{App, Launch, Planner, Running};
/// use apportion::{Calls, Offer, Role, Scheduler};
///
/// #[derive(Debug)]
/// struct OneApp {
///     app: App,
///     running: Vec<Running>,
/// }
///
/// impl Scheduler for OneApp {
///     fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
///         let plan = Planner::new().at(calls.at()).plan([&self.app], &self.running, &offers);
///         self.running.extend(plan.launches.iter().map(Launch::running));
///         plan.answer(calls);
///     }
/// }
///
/// let unique: Condition = "hostname UNIQUE".parse()?;
/// let mut framework = OneApp { app: App::new("redis").instances(2).require(unique), running: vec![] };
/// let all: apportion::Resources = "cpus:4;mem:1024;ports:[31000-31999]".parse()?;
/// let offers = ["a1", "a2", "a3"].map(|agent| Offer::new(agent, "f1", Role::default(), agent, all.clone()));
/// let mut calls = Calls::default();
/// framework.offers(offers.into(), &mut calls);
/// assert_eq!(framework.running.len(), 2); // one per host
/// assert_eq!(calls.into_vec().len(), 3); // two accepts and a decline
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Planner {
    /// Where dynamic ports begin, and what [`Strategy::Random`] draws from. None: the lowest ports, and 0.
    pub seed: Option<u64>,
    /// Which of the offers left is the best, where an app does not say.
    pub strategy: Strategy,
    /// The roles of the resources that are taken, where an app does not say. None: `*` and the app's role.
    pub accepted_roles: Option<Vec<Role>>,
    /// Where apps stay that ask for no region or zone. None: anywhere.
    pub region: Option<SmolStr>,
    /// Now, on the clock of maintenance windows.
    pub now: Time,
    /// How long before a maintenance window nothing is launched any more.
    pub draining: Duration,
    /// Whether an app without gpus is placed where there are some, where its label does not say.
    pub gpu_behavior: GpuBehavior,
    /// Ids that new tasks do not get, besides those that run: of tasks that have ended.
    pub taken: BTreeSet<TaskId>,
}

impl Planner {
    /// A planner with Marathon's defaults, at time 0.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, at that moment.
    #[must_use]
    pub fn at(mut self, now: Time) -> Self {
        self.now = now;
        self
    }

    /// The same, with that seed.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The same, with that strategy.
    #[must_use]
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Says which tasks to launch in which offers, which offers to decline, and why the rest has to wait.
    ///
    /// Apps of one id count as one another's tasks: keep ids apart.
    pub fn plan<'a>(&self, apps: impl IntoIterator<Item = &'a App>, running: &[Running], offers: &[Offer]) -> Plan {
        let apps: IndexMap<&str, &App> = apps.into_iter().map(|app| (app.id.as_str(), app)).collect();
        round::serve(self, &apps, running, offers)
    }
}

/// What a planner says.
///
/// In JSON: `{"launch": [...], "decline": ["o2"], "unplaced": [...]}`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// The tasks to launch, in order of decision.
    #[serde(rename = "launch")]
    pub launches: Vec<Launch>,
    /// The offers of which nothing is taken.
    #[serde(rename = "decline")]
    pub declines: Vec<OfferId>,
    /// The apps that have to wait.
    pub unplaced: Vec<Unplaced>,
}

impl Plan {
    /// One accept for each offer of which something is taken.
    #[must_use]
    pub fn accepts(&self) -> Vec<Accept> {
        let mut tasks: IndexMap<&OfferId, Vec<Task>> = IndexMap::new();
        for launch in &self.launches {
            tasks.entry(&launch.offer).or_default().push(launch.task());
        }
        let accept = |(offer, tasks): (&OfferId, Vec<Task>)| Accept::to([offer.clone()]).then(Operation::Launch(tasks));
        tasks.into_iter().map(accept).collect()
    }

    /// Answers all offers: accepts those of which something is taken, declines the others.
    pub fn answer(&self, calls: &mut Calls) {
        self.accepts().into_iter().for_each(|accept| calls.accept(accept));
        if !self.declines.is_empty() {
            calls.push(Call::Decline { offers: self.declines.clone(), filters: Filters::default() });
        }
    }
}

/// A task to launch, and in which offer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Launch {
    /// The offer.
    pub offer: OfferId,
    /// The app.
    pub app: SmolStr,
    /// The id of the task.
    pub id: TaskId,
    /// What it takes.
    pub resources: Resources,
    /// Its host ports, as its ports stand in the app; none where it has no host port.
    pub ports: Vec<Option<u64>>,
    /// The agent of the offer.
    pub agent: AgentId,
    /// Where that stands.
    pub location: Arc<Location>,
    /// The ports that its app asks for.
    pub requests: Arc<[PortRequest]>,
}

impl Launch {
    /// What the task is told of its host and ports, by Marathon's names: `HOST`, `PORT0`, ..., `PORT`, `PORTS`, `PORT_80`,
    /// `PORT_HTTP`.
    #[must_use]
    pub fn env(&self) -> IndexMap<String, String> {
        ports::environment(&self.location.hostname, &self.requests, &self.ports)
    }

    /// The task as a master takes it: its app is its name, and the environment is in its command.
    #[must_use]
    pub fn task(&self) -> Task {
        let variable = |(name, value): (String, String)| json!({"name": name, "value": value});
        let variables: Vec<_> = self.env().into_iter().map(variable).collect();
        let task = Task::new(self.id.clone(), self.resources.clone());
        Task { agent: Some(self.agent.clone()), ..task }
            .detail("name", self.app.as_str())
            .detail("command", json!({"environment": {"variables": variables}}))
    }

    /// The task as it runs then.
    #[must_use]
    pub fn running(&self) -> Running {
        let mut running = Running::new(&self.app, self.id.clone(), Arc::clone(&self.location));
        running.resources = Some(self.resources.clone());
        running
    }
}

impl Serialize for Launch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Launch", 6)?;
        object.serialize_field("offer", &self.offer)?;
        object.serialize_field("app", &self.app)?;
        object.serialize_field("task", &self.id)?;
        object.serialize_field("resources", &self.resources)?;
        object.serialize_field("ports", &self.ports)?;
        object.serialize_field("env", &self.env())?;
        object.end()
    }
}

/// Instances of an app that have to wait, and why each offer will not do.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Unplaced {
    /// The app.
    pub app: SmolStr,
    /// How many instances.
    pub instances: u64,
    /// Every check that fails, offer by offer, as they stand once all is placed that can be; of a group, as they stood when
    /// it was given up, for the app that did not find all its places.
    pub reasons: Vec<Obstacle>,
    /// The smallest change that would let one more instance in.
    #[serde(skip)]
    pub near_miss: Option<NearMiss>,
    /// What its group lacked, if it is of one: then none of the group is launched.
    #[serde(skip)]
    pub group: Option<GroupShortage>,
}

#[cfg(test)]
mod tests;
