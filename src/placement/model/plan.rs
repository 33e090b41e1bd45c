//! [`Plan`]: the answer of a planner.

use super::barrier::Obstacle;
use super::expansion::Expansion;
use super::near_miss::NearMiss;
use super::ports::{self, PortRequest};
use super::running::Running;
use crate::constraint::Location;
use crate::id::{AgentId, OfferId, TaskId};
use crate::json::Json;
use crate::offer::{Accept, Filters, Operation};
use crate::resources::Resources;
use crate::scheduler::{Call, Calls};
use crate::task::Task;
use crate::text::Text;
use indexmap::IndexMap;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use std::sync::Arc;

/// The answer of a planner: tasks to launch, offers to decline, and apps that have to wait.
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
    /// Returns one accept for each offer that is used.
    #[must_use]
    pub fn accepts(&self) -> Vec<Accept> {
        let mut tasks: IndexMap<&OfferId, Vec<Task>> = IndexMap::new();
        for launch in &self.launches {
            tasks.entry(&launch.offer).or_default().push(launch.task());
        }
        let accept = |(offer, tasks): (&OfferId, Vec<Task>)| Accept::to([offer.clone()]).then(Operation::Launch(tasks));
        tasks.into_iter().map(accept).collect()
    }

    /// Answers all offers: accepts those that are used and declines the others.
    pub fn answer(&self, calls: &mut Calls) {
        self.accepts().into_iter().for_each(|accept| calls.accept(accept));
        if !self.declines.is_empty() {
            calls.push(Call::Decline { offers: self.declines.clone(), filters: Filters::default(), each: false });
        }
    }
}

/// A task to launch in an offer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Launch {
    /// The offer.
    pub offer: OfferId,
    /// The app.
    pub app: Text,
    /// The id of the task.
    pub id: TaskId,
    /// The resources that it takes.
    pub resources: Resources,
    /// Its host ports, in the order of the app's ports; none where a port needs no host port.
    pub ports: Vec<Option<u64>>,
    /// The agent of the offer.
    pub agent: AgentId,
    /// The location of the agent.
    pub location: Arc<Location>,
    /// The port requests of the app.
    pub requests: Arc<[PortRequest]>,
}

impl Launch {
    /// Returns the environment variables for host and ports, by Marathon's names: `HOST`, `PORT0`, ..., `PORT`,
    /// `PORTS`,
    /// `PORT_80`, `PORT_HTTP`.
    #[must_use]
    pub fn env(&self) -> IndexMap<String, String> {
        ports::environment(&self.location.hostname, &self.requests, &self.ports)
    }

    /// Returns the task for a master: its name is the app, its command has the environment.
    #[must_use]
    pub fn task(&self) -> Task {
        let variable = |(name, value): (String, String)| Json::object([("name", name), ("value", value)]);
        let variables: Vec<_> = self.env().into_iter().map(variable).collect();
        let task = Task::new(self.id.clone(), self.resources.clone());
        Task { agent: Some(self.agent.clone()), ..task }
            .detail("name", self.app.as_str())
            .detail("command", Json::object([("environment", Json::object([("variables", Json::array(variables))]))]))
    }

    /// Returns the task as it runs after the launch.
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

/// Instances of an app that have to wait, and why no offer will do.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Unplaced {
    /// The app.
    pub app: Text,
    /// The number of instances that wait.
    pub instances: u64,
    /// Every check that fails, offer by offer, after all launches of the plan. For a group: at the point where the
    /// group was given up, for the app that did not find all its places.
    pub reasons: Vec<Obstacle>,
    /// The smallest change with which one more instance would fit. In JSON: `{"offer": "o1", "text": "one more rack"}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub near_miss: Option<NearMiss>,
    /// What would have to be added for all instances that wait, if that was [asked](crate::placement::Problem::expand) and
    /// found. In JSON: `add`, a list of texts.
    #[serde(rename = "add", skip_serializing_if = "Option::is_none")]
    pub expansion: Option<Expansion>,
    /// The shortage of its group, if it is of a group: then no task of the group is launched.
    #[serde(skip)]
    pub group: Option<GroupShortage>,
}

/// A group that did not find places for all its tasks: none of them is launched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("group {group} needs {needed} places at once, and found {found}")]
pub struct GroupShortage {
    /// The group.
    pub group: Text,
    /// The number of tasks that it has to launch.
    pub needed: u64,
    /// The number of tasks that found a place before one did not.
    pub found: u64,
}
