//! [`Summary`]: agents and frameworks with the numbers of their tasks by state.

use super::agents::Slave;
use super::frameworks::Basics;
use super::reading::Indexed;
use crate::gate::Gate;
use apportion::{AgentId, FrameworkId, TaskState};
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use std::collections::{BTreeMap, BTreeSet};

/// The states that are counted, in Mesos' order.
const COUNTED: [TaskState; 10] = [
    TaskState::Staging,
    TaskState::Starting,
    TaskState::Running,
    TaskState::Killing,
    TaskState::Finished,
    TaskState::Killed,
    TaskState::Failed,
    TaskState::Lost,
    TaskState::Error,
    TaskState::Unreachable,
];

#[derive(Debug, Serialize)]
pub(super) struct Summary<'a> {
    hostname: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<&'a str>,
    slaves: Vec<SlaveSummary<'a>>,
    frameworks: Vec<FrameworkSummary<'a>>,
}

#[derive(Debug, Serialize)]
struct SlaveSummary<'a> {
    #[serde(flatten)]
    slave: Slave<'a>,
    #[serde(flatten)]
    counts: Counts,
    framework_ids: BTreeSet<&'a str>,
}

#[derive(Debug, Serialize)]
struct FrameworkSummary<'a> {
    #[serde(flatten)]
    basics: Basics<'a>,
    #[serde(flatten)]
    counts: Counts,
    slave_ids: BTreeSet<&'a str>,
}

/// Numbers of tasks by state.
#[derive(Debug, Clone, Copy, Default)]
struct Counts([u64; COUNTED.len()]);

impl Counts {
    fn count(&mut self, state: TaskState) {
        if let Some(index) = COUNTED.iter().position(|counted| *counted == state) {
            self.0[index] += 1;
        }
    }
}

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(COUNTED.len()))?;
        for (state, count) in COUNTED.iter().zip(self.0) {
            map.serialize_entry(state.as_str(), &count)?;
        }
        map.end()
    }
}

impl<'a> Summary<'a> {
    pub(super) fn of(gate: &'a Gate, view: &'a Indexed<'a>) -> Self {
        let mut on_agent: BTreeMap<&AgentId, (Counts, BTreeSet<&str>)> = BTreeMap::new();
        let mut of_framework: BTreeMap<&FrameworkId, (Counts, BTreeSet<&str>)> = BTreeMap::new();
        for task in &view.tasks {
            let (counts, frameworks) = on_agent.entry(&task.agent).or_default();
            counts.count(task.state);
            frameworks.insert(task.framework.as_str());
            let (counts, agents) = of_framework.entry(&task.framework).or_default();
            counts.count(task.state);
            agents.insert(task.agent.as_str());
        }
        let slaves = view.agents.iter().map(|entry| {
            let (counts, framework_ids) = on_agent.remove(&entry.agent.id).unwrap_or_default();
            SlaveSummary { slave: Slave::of(entry, view), counts, framework_ids }
        });
        let frameworks = view.snapshot.frameworks.iter().map(|entry| {
            let (counts, slave_ids) = of_framework.remove(&entry.framework.id).unwrap_or_default();
            FrameworkSummary { basics: Basics::of(entry, view), counts, slave_ids }
        });
        Self {
            hostname: &gate.settings.hostname,
            cluster: gate.settings.cluster.as_deref(),
            slaves: slaves.collect(),
            frameworks: frameworks.collect(),
        }
    }
}
