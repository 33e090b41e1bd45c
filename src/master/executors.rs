//! Executors: what they hold besides their tasks, and the messages between them and their schedulers.

use super::{CommandError, Effect, ExecutorRef, Master};
use crate::allocator::{Allocator, Change, Holding, SnapshotError};
use crate::details::Details;
use crate::id::{AgentId, ExecutorId, FrameworkId};
use crate::resources::Resources;
use crate::role::Role;
use crate::task::ExecutorInfo;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The executors that run: ordered maps by framework and by agent.
#[derive(Debug, Clone, Default)]
pub(super) struct Executors {
    by_framework: BTreeMap<FrameworkId, BTreeMap<(AgentId, ExecutorId), LiveExecutor>>,
    by_agent: BTreeMap<AgentId, BTreeSet<(FrameworkId, ExecutorId)>>,
}

#[derive(Debug, Clone)]
pub(super) struct LiveExecutor {
    pub(super) holding: Holding,
    /// The description, unless the executor came with its agent.
    pub(super) info: Option<ExecutorInfo>,
}

/// An executor in a snapshot.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedExecutor {
    id: ExecutorId,
    holding: Holding,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    info: Option<SavedInfo>,
}

/// The description of an executor, as it was given.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedInfo {
    resources: Resources,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    details: Details,
}

impl Executors {
    pub(super) fn save(&self) -> Vec<SavedExecutor> {
        let all = self.by_framework.values().flatten();
        let save = |((_, id), LiveExecutor { holding, info }): (&(_, ExecutorId), &LiveExecutor)| {
            let saved = |info: &ExecutorInfo| {
                let ExecutorInfo { resources, role, details, .. } = info.clone();
                SavedInfo { resources, role, details }
            };
            SavedExecutor { id: id.clone(), holding: holding.clone(), info: info.as_ref().map(saved) }
        };
        all.map(save).collect()
    }

    pub(super) fn restore(saved: Vec<SavedExecutor>) -> Result<Self, SnapshotError> {
        let mut executors = Self::default();
        for SavedExecutor { id, holding, info } in saved {
            let of = ExecutorRef::new(holding.framework.clone(), holding.agent.clone(), id.clone());
            if executors.get(&of.framework, &of.agent, &of.executor).is_some() {
                return Err(SnapshotError::repeated("executor", id.as_str()));
            }
            let info = info.map(|SavedInfo { resources, role, details }| ExecutorInfo { id, resources, role, details });
            executors.add(of, LiveExecutor { holding, info });
        }
        Ok(executors)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_framework.is_empty()
    }

    pub(super) fn get(&self, framework: &FrameworkId, agent: &AgentId, id: &ExecutorId) -> Option<&LiveExecutor> {
        if self.is_empty() {
            return None; // command tasks alone: the usual case makes no key
        }
        self.by_framework.get(framework)?.get(&(agent.clone(), id.clone()))
    }

    pub(super) fn add(&mut self, of: ExecutorRef, executor: LiveExecutor) {
        self.by_agent.entry(of.agent.clone()).or_default().insert((of.framework.clone(), of.executor.clone()));
        self.by_framework.entry(of.framework).or_default().insert((of.agent, of.executor), executor);
    }

    /// Forgets an executor. Its resources are freed by the caller.
    pub(super) fn remove(&mut self, of: &ExecutorRef) -> Option<LiveExecutor> {
        let executors = self.by_framework.get_mut(&of.framework)?;
        let removed = executors.remove(&(of.agent.clone(), of.executor.clone()))?;
        if executors.is_empty() {
            self.by_framework.remove(&of.framework);
        }
        if let Some(on) = self.by_agent.get_mut(&of.agent) {
            on.remove(&(of.framework.clone(), of.executor.clone()));
            if on.is_empty() {
                self.by_agent.remove(&of.agent);
            }
        }
        Some(removed)
    }

    /// Returns the holding of an executor, if the executor is known and has resources of its own.
    pub(super) fn holding(&self, of: &ExecutorRef) -> Option<&Holding> {
        let executor = self.get(&of.framework, &of.agent, &of.executor)?;
        Some(&executor.holding).filter(|holding| !holding.resources.is_empty())
    }

    /// Returns the agents with executors.
    pub(super) fn agents(&self) -> impl Iterator<Item = &AgentId> {
        self.by_agent.keys()
    }

    /// Returns the executors on an agent, in order of their names.
    pub(super) fn on(&self, agent: &AgentId) -> Vec<ExecutorRef> {
        let named = self.by_agent.get(agent).into_iter().flatten();
        named.map(|(framework, id)| ExecutorRef::new(framework.clone(), agent.clone(), id.clone())).collect()
    }

    /// Returns the executors of a framework, in order of their names.
    pub(super) fn of_framework(&self, framework: &FrameworkId) -> Vec<ExecutorRef> {
        let named = self.by_framework.get(framework).into_iter().flat_map(BTreeMap::keys);
        named.map(|(agent, id)| ExecutorRef::new(framework.clone(), agent.clone(), id.clone())).collect()
    }

    /// Returns the ids of the executors of a framework on an agent.
    pub(super) fn ids(&self, framework: &FrameworkId, agent: &AgentId) -> Vec<ExecutorId> {
        let Some(executors) = self.by_framework.get(framework) else { return Vec::new() };
        executors.keys().filter(|(on, _)| on == agent).map(|(_, id)| id.clone()).collect()
    }

    /// Returns all executors with their ids, in order of frameworks, agents and ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&ExecutorId, &LiveExecutor)> {
        self.by_framework.values().flatten().map(|((_, id), executor)| (id, executor))
    }

    /// Returns the holdings of all executors.
    pub(super) fn holdings(&self) -> impl Iterator<Item = &Holding> {
        self.by_framework.keys().flat_map(|framework| self.holdings_of(framework))
    }

    /// Returns the holdings of the executors of a framework.
    pub(super) fn holdings_of(&self, framework: &FrameworkId) -> impl Iterator<Item = &Holding> {
        let executors = self.by_framework.get(framework).into_iter().flat_map(BTreeMap::values);
        executors.map(|executor| &executor.holding).filter(|holding| !holding.resources.is_empty())
    }
}

impl<A: Allocator> Master<A> {
    pub(super) fn message(&mut self, to: ExecutorRef, data: Vec<u8>) -> Result<(), CommandError> {
        self.check_registered(&to.agent)?;
        let ExecutorRef { framework, agent, executor } = to;
        self.emit(Effect::Message { agent, framework, executor, data });
        Ok(())
    }

    pub(super) fn shutdown(&mut self, executor: ExecutorRef) -> Result<(), CommandError> {
        self.check_registered(&executor.agent)?;
        let ExecutorRef { framework, agent, executor } = executor;
        self.emit(Effect::Shutdown { agent, framework, executor });
        Ok(())
    }

    pub(super) fn executor_message(&mut self, from: ExecutorRef, data: Vec<u8>) -> Result<(), CommandError> {
        self.framework(&from.framework)?;
        let ExecutorRef { framework, agent, executor } = from;
        self.emit(Effect::ExecutorMessage { framework, agent, executor, data });
        Ok(())
    }

    /// Ends an executor. One that is not known frees nothing, but its framework is told.
    pub(super) fn executor_ended(&mut self, ended: ExecutorRef, status: i32) -> Result<(), CommandError> {
        let is_registered = self.framework(&ended.framework).map(|_| ());
        if !self.end_executor(&ended) {
            is_registered.clone()?;
        }
        if is_registered.is_ok() {
            let ExecutorRef { framework, agent, executor } = ended;
            self.emit(Effect::ExecutorEnded { framework, agent, executor, status });
        }
        Ok(())
    }

    /// Frees the resources of an executor. Returns false if it is not known.
    pub(super) fn end_executor(&mut self, ended: &ExecutorRef) -> bool {
        let Some(LiveExecutor { holding, .. }) = self.executors.remove(ended) else { return false };
        if !holding.resources.is_empty() {
            self.allocator.apply(Change::EndTask(&holding)).expect("an agent is only removed after its executors");
        }
        true
    }

    pub(super) fn end_executors(&mut self, ended: &[ExecutorRef]) {
        for executor in ended {
            self.end_executor(executor);
        }
    }
}
