//! [`Plan`]: what a planner says.

use super::barrier::Obstacle;
use super::near_miss::NearMiss;
use super::ports::{self, PortRequest};
use super::running::Running;
use crate::constraint::Location;
use crate::id::{AgentId, OfferId, TaskId};
use crate::offer::{Accept, Filters, Operation};
use crate::resources::Resources;
use crate::scheduler::{Call, Calls};
use crate::task::Task;
use indexmap::IndexMap;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::json;
use smol_str::SmolStr;
use std::sync::Arc;

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

/// Too few places for a whole group: none of its tasks is launched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("group {group} needs {needed} places at once, and found {found}")]
pub struct GroupShortage {
    /// The group.
    pub group: SmolStr,
    /// How many tasks it has to launch.
    pub needed: u64,
    /// How many of them found a place before one did not.
    pub found: u64,
}
