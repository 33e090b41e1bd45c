//! [`Absent`]: the agents that are not registered any more, and the tasks that were on them.

use super::recent::Recent;
use crate::allocator::{SnapshotError, check_count};
use crate::id::{AgentId, FrameworkId, TaskId};
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The agents that are unreachable or gone, as many as are remembered.
#[derive(Debug, Clone, Default)]
pub(super) struct Absent {
    agents: Recent<AgentId, Why>,
    /// By framework, the tasks of unreachable agents, in order of becoming unreachable.
    tasks: BTreeMap<FrameworkId, BTreeMap<u64, TaskId>>,
    added: u64,
    /// The number of unreachable agents.
    unreachable: usize,
}

#[derive(Debug, Clone)]
enum Why {
    Unreachable { since: Time, tasks: Vec<(FrameworkId, u64)> },
    Gone,
}

/// The absent agents in a snapshot, from the one that has been absent longest.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedAbsent {
    agents: Vec<SavedAgent>,
    added: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedAgent {
    agent: AgentId,
    /// The time since when it is unreachable; none if it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unreachable_since: Option<Time>,
    /// The tasks that are remembered, each with its number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tasks: Vec<(u64, FrameworkId, TaskId)>,
}

impl Absent {
    pub(super) fn save(&self) -> SavedAbsent {
        let remembered = |(framework, number): &(FrameworkId, u64)| {
            let task = self.tasks.get(framework)?.get(number)?;
            Some((*number, framework.clone(), task.clone()))
        };
        let save = |(agent, why): (&AgentId, &Why)| {
            let (unreachable_since, tasks) = match why {
                Why::Unreachable { since, tasks } => (Some(*since), tasks.iter().filter_map(remembered).collect()),
                Why::Gone => (None, Vec::new()),
            };
            SavedAgent { agent: agent.clone(), unreachable_since, tasks }
        };
        SavedAbsent { agents: self.agents.iter().map(save).collect(), added: self.added }
    }

    pub(super) fn restore(saved: SavedAbsent) -> Result<Self, SnapshotError> {
        let mut absent = Self { added: check_count("tasks of unreachable agents", saved.added)?, ..Self::default() };
        for SavedAgent { agent, unreachable_since, tasks } in saved.agents {
            if absent.agents.contains(&agent) {
                return Err(SnapshotError::repeated("absent agent", agent.as_str()));
            }
            let mut numbers = Vec::with_capacity(tasks.len());
            for (number, framework, task) in tasks {
                let of_framework = absent.tasks.entry(framework.clone()).or_default();
                if number > absent.added || of_framework.insert(number, task).is_some() {
                    let kind = "tasks of unreachable agents";
                    return Err(SnapshotError::Count { kind, found: number, most: absent.added });
                }
                numbers.push((framework, number));
            }
            let why = unreachable_since.map_or(Why::Gone, |since| Why::Unreachable { since, tasks: numbers });
            absent.insert(agent, why, usize::MAX);
        }
        Ok(absent)
    }

    /// Returns the time since when an agent is unreachable.
    pub(super) fn unreachable_since(&self, agent: &AgentId) -> Option<Time> {
        match self.agents.get(agent)? {
            Why::Unreachable { since, .. } => Some(*since),
            Why::Gone => None,
        }
    }

    /// Returns the number of unreachable agents.
    pub(super) fn unreachable(&self) -> usize {
        self.unreachable
    }

    pub(super) fn is_gone(&self, agent: &AgentId) -> bool {
        matches!(self.agents.get(agent), Some(Why::Gone))
    }

    /// Remembers an agent as unreachable, with its tasks: at most `most` of each framework. Returns the agents that are
    /// forgotten for it.
    pub(super) fn add_unreachable(
        &mut self,
        agent: AgentId,
        since: Time,
        tasks: impl IntoIterator<Item = (FrameworkId, TaskId)>,
        (agents, most): (usize, usize),
    ) -> Vec<AgentId> {
        let mut numbers = Vec::new();
        for (framework, task) in tasks {
            self.added += 1;
            let of_framework = self.tasks.entry(framework.clone()).or_default();
            of_framework.insert(self.added, task);
            if of_framework.len() > most {
                of_framework.pop_first();
            }
            if of_framework.is_empty() {
                self.tasks.remove(&framework);
            }
            numbers.push((framework, self.added));
        }
        self.insert(agent, Why::Unreachable { since, tasks: numbers }, agents)
    }

    /// Remembers an agent as gone. Returns the tasks that were on it when it became unreachable, and the agents that are
    /// forgotten for it.
    pub(super) fn add_gone(&mut self, agent: AgentId, limit: usize) -> (Vec<(FrameworkId, TaskId)>, Vec<AgentId>) {
        let tasks = self.remove(&agent);
        (tasks, self.insert(agent, Why::Gone, limit))
    }

    fn insert(&mut self, agent: AgentId, why: Why, limit: usize) -> Vec<AgentId> {
        self.remove(&agent);
        self.unreachable += usize::from(matches!(why, Why::Unreachable { .. }));
        let mut forgotten = Vec::new();
        for (agent, why) in self.agents.insert(agent, why, limit) {
            self.take_tasks(why);
            forgotten.push(agent);
        }
        forgotten
    }

    /// Forgets an agent. Returns the tasks that were on it when it became unreachable.
    pub(super) fn remove(&mut self, agent: &AgentId) -> Vec<(FrameworkId, TaskId)> {
        self.agents.remove(agent).map_or_else(Vec::new, |why| self.take_tasks(why))
    }

    fn take_tasks(&mut self, why: Why) -> Vec<(FrameworkId, TaskId)> {
        let Why::Unreachable { tasks: numbers, .. } = why else { return Vec::new() };
        self.unreachable -= 1;
        let mut tasks = Vec::new();
        for (framework, number) in numbers {
            let Some(of_framework) = self.tasks.get_mut(&framework) else { continue };
            let task = of_framework.remove(&number); // absent if it was forgotten
            if of_framework.is_empty() {
                self.tasks.remove(&framework);
            }
            tasks.extend(task.map(|task| (framework, task)));
        }
        tasks
    }

    /// Forgets the tasks of a framework that is removed.
    pub(super) fn drop_framework(&mut self, framework: &FrameworkId) {
        self.tasks.remove(framework);
    }
}
