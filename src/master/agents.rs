//! Agents: their registration, their changes, and the ways in which they go and return.

use super::executors::LiveExecutor;
use super::registration::{AgentUpdate, Registration, RunningExecutor, RunningTask};
use super::saved::{sorted_map, sorted_set};
use super::tasks::{LiveTask, by_master, lost_or, unreachable_since};
use super::{CommandError, Effect, ExecutorRef, Master};
use crate::agent::Agent;
use crate::allocator::{Allocator, AllocatorError, Change, Holding};
use crate::id::{self, AgentId, FrameworkId, TaskId};
use crate::offer::{repeated_volume, volume_id};
use crate::task::TaskState;
use indexmap::{IndexMap, IndexSet};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What an agent that is gone is told.
pub(super) const GONE: &str = "the agent was declared gone";

/// The registered agents that are not offered, besides those that [drain](super::drains).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Inactive {
    /// The agents whose connection is broken, with the tasks there that were told to be lost.
    #[serde(serialize_with = "sorted_map")]
    disconnected: IndexMap<AgentId, BTreeSet<(FrameworkId, TaskId)>, foldhash::fast::RandomState>,
    /// The agents that an operator has deactivated; one that is expected, too.
    #[serde(serialize_with = "sorted_set")]
    deactivated: IndexSet<AgentId, foldhash::fast::RandomState>,
}

impl Inactive {
    pub(super) fn is_disconnected(&self, agent: &AgentId) -> bool {
        self.disconnected.contains_key(agent)
    }

    pub(super) fn is_deactivated(&self, agent: &AgentId) -> bool {
        self.deactivated.contains(agent)
    }

    /// Returns the number of agents whose connection is broken.
    pub(super) fn disconnected(&self) -> usize {
        self.disconnected.len()
    }
}

/// What the master makes of a task that an agent brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Brought {
    /// It is taken in.
    New,
    /// It is known there already, by that number.
    Known(u64),
    /// Its id runs elsewhere.
    Conflict,
    /// It is a copy that is to be killed: it was told to be lost, or it is known as a copy.
    Copy,
}

/// What was on an agent before its connection broke and has ended meanwhile.
#[derive(Debug)]
struct Ended {
    executors: Vec<ExecutorRef>,
    /// The tasks that the agent does not bring: their frameworks are told.
    missing: Vec<u64>,
    /// The tasks that it brings in a terminal state, and copies that their live task has replaced.
    silently: Vec<u64>,
}

impl<A: Allocator> Master<A> {
    /// Registers an agent, for the first time or again. One that is gone is shut down instead.
    pub(super) fn add_agent(&mut self, registration: Registration) -> Result<(), CommandError> {
        let Registration { agent, tasks, executors } = registration;
        if self.absent.is_gone(&agent.id) {
            self.shut_down_agent(agent.id);
            return Ok(());
        }
        check_registration(&agent, &tasks, &executors)?;
        let is_known = self.agents.contains(&agent.id);
        if is_known && !self.inactive.is_disconnected(&agent.id) {
            return Err(AllocatorError::AgentExists(agent.id).into());
        }
        let (id, hostname) = (agent.id.clone(), agent.hostname.clone());
        let known = self.maintenance.window(&hostname);
        let window = agent.unavailability.or(known); // what the agent comes with counts for its machine
        let agent = Arc::new(Agent { unavailability: window, ..agent });
        let brought: Vec<(Brought, RunningTask)> = tasks
            .into_iter()
            .filter(|running| !running.state.is_terminal() || is_known)
            .map(|running| (self.classify(&id, &running), running))
            .collect();
        let holdings = self.brought_holdings(&id, &brought, &executors);
        let ended = self.ended(&id, &brought, &executors);
        if is_known {
            self.readmit(&agent, &holdings, &ended)?;
        } else {
            self.allocator.apply(Change::AddAgent { agent: &agent, held: &holdings })?;
        }

        let was_unreachable = self.absent.unreachable_since(&id).is_some();
        self.absent.remove(&id);
        self.maintenance.schedule(&id, window);
        self.agents.insert(agent);
        self.tell_drain(&id);
        for executor in &ended.executors {
            self.executors.remove(executor);
        }
        self.add_executors(&id, executors);
        for number in ended.silently {
            self.drop_freed_task(number);
        }
        self.take_in(&id, brought, was_unreachable);
        for number in ended.missing {
            let Some(task) = self.drop_freed_task(number) else { continue };
            let reason = "REASON_RECONCILIATION";
            self.tell_ended(task, |framework| lost_or(framework, TaskState::Gone), |status| status.reason(reason));
        }
        self.inactive.disconnected.swap_remove(&id);
        self.update_activity(&id);
        if !self.tasks.any_on(&id) {
            self.note_idle(&id);
        }
        if window != known {
            self.maintenance.clear_refusals_of_agent(&id);
            self.change_window(&hostname, window, Some(&id));
        }
        self.make_offers(Some(&id));
        self.recovery.came(&id); // the one that completes the number waits for the next batch like those before it
        Ok(())
    }

    fn classify(&self, agent: &AgentId, running: &RunningTask) -> Brought {
        let (framework, task) = (&running.framework, &running.task.id);
        let lost = self.inactive.disconnected.get(agent);
        let was_told_lost = lost.is_some_and(|lost| lost.contains(&(framework.clone(), task.clone())));
        let is_here = |live: &&LiveTask| live.holding.agent == *agent;
        if self.tasks.get(framework, task).filter(is_here).is_some() {
            self.tasks.find(framework, task).map_or(Brought::New, Brought::Known)
        } else if was_told_lost || self.tasks.find_copy(framework, task, agent).is_some() {
            Brought::Copy
        } else if self.tasks.contains(framework, task) {
            Brought::Conflict
        } else {
            Brought::New
        }
    }

    /// Returns what an agent brings that is not held yet.
    fn brought_holdings(
        &self,
        agent: &AgentId,
        brought: &[(Brought, RunningTask)],
        executors: &[RunningExecutor],
    ) -> Vec<Holding> {
        let is_new = |(kind, running): &&(Brought, RunningTask)| {
            let is_held = match kind {
                Brought::Known(_) => true,
                Brought::New | Brought::Conflict => false,
                Brought::Copy => self.tasks.find_copy(&running.framework, &running.task.id, agent).is_some(),
            };
            !is_held && !running.state.is_terminal()
        };
        let tasks = brought.iter().filter(is_new).map(|(_, running)| holding_of(agent, running));
        let is_started = |executor: &&RunningExecutor| {
            !executor.resources.is_empty() && self.executors.get(&executor.framework, agent, &executor.id).is_none()
        };
        let executors = executors.iter().filter(is_started).map(|executor| executor_holding(agent, executor));
        tasks.chain(executors).collect()
    }

    /// Returns what was on an agent before its connection broke and has ended meanwhile.
    fn ended(&self, agent: &AgentId, brought: &[(Brought, RunningTask)], executors: &[RunningExecutor]) -> Ended {
        let running: BTreeSet<_> = executors.iter().map(|executor| (&executor.framework, &executor.id)).collect();
        let mut gone = self.executors.on(agent);
        gone.retain(|executor| !running.contains(&(&executor.framework, &executor.executor)));

        let by_name: BTreeMap<_, _> = brought
            .iter()
            .map(|(kind, running)| ((&running.framework, &running.task.id), (*kind, running.state.is_terminal())))
            .collect();
        let mut ended = Ended { executors: gone, missing: Vec::new(), silently: Vec::new() };
        for (number, task) in self.tasks.on(agent) {
            match by_name.get(&(&task.holding.framework, &task.id)) {
                None => ended.missing.push(number),
                Some((_, true)) => ended.silently.push(number), // its status comes from the agent
                // An agent runs an id once: if that is the live task, a copy there has ended.
                Some((Brought::Known(live), _)) if *live != number => ended.silently.push(number),
                Some(_) => {}
            }
        }
        ended
    }

    /// Updates the account of an agent that returns after a broken connection.
    fn readmit(&mut self, agent: &Arc<Agent>, held: &[Holding], ended: &Ended) -> Result<(), CommandError> {
        let numbers = ended.missing.iter().chain(&ended.silently);
        let mut freed: Vec<Holding> = numbers.filter_map(|number| self.tasks.holding(*number)).cloned().collect();
        freed.extend(ended.executors.iter().filter_map(|executor| self.executors.holding(executor)).cloned());
        Ok(self.allocator.apply(Change::ReadmitAgent { agent, held, ended: &freed })?)
    }

    fn add_executors(&mut self, agent: &AgentId, executors: Vec<RunningExecutor>) {
        for executor in executors {
            if self.executors.get(&executor.framework, agent, &executor.id).is_none() {
                let holding = executor_holding(agent, &executor);
                let of = ExecutorRef::new(executor.framework, agent.clone(), executor.id);
                self.executors.add(of, LiveExecutor { holding, info: None });
            }
        }
    }

    /// Takes in the tasks that an agent brings, and kills those that must not run there.
    fn take_in(&mut self, agent: &AgentId, brought: Vec<(Brought, RunningTask)>, was_unreachable: bool) {
        for (kind, running) in brought {
            let holding = holding_of(agent, &running);
            let RunningTask { framework, task, state, executor, .. } = running;
            if state.is_terminal() {
                continue;
            }
            let live = LiveTask::new(&task, holding, state, executor.clone());
            let must_end = match kind {
                Brought::Known(number) => {
                    self.tasks.renew(number, state, executor);
                    self.removed.contains(&framework)
                }
                Brought::Conflict => {
                    self.tasks.add(live.copy());
                    self.tell_conflict(agent, &framework, &task.id);
                    true
                }
                Brought::Copy => {
                    if self.tasks.find_copy(&framework, &task.id, agent).is_none() {
                        let runs_elsewhere = self.tasks.contains(&framework, &task.id);
                        self.tasks.add(live.copy());
                        if runs_elsewhere {
                            self.tell_conflict(agent, &framework, &task.id);
                        }
                    }
                    true
                }
                Brought::New => {
                    if was_unreachable && self.has_framework(&framework) {
                        let status = live.status("REASON_AGENT_REREGISTERED");
                        self.emit(Effect::Status { framework: framework.clone(), status });
                    }
                    self.tasks.add(live);
                    self.removed.contains(&framework)
                }
            };
            if must_end {
                self.emit(Effect::Kill { agent: agent.clone(), framework, task: task.id, grace: None });
            } else {
                self.drain_task(agent, &framework, &task.id);
            }
        }
    }

    fn tell_conflict(&mut self, agent: &AgentId, framework: &FrameworkId, task: &TaskId) {
        let (agent, framework, task) = (agent.clone(), framework.clone(), task.clone());
        self.emit(Effect::TaskConflict { agent, framework, task });
    }

    pub(super) fn update_agent(&mut self, update: AgentUpdate) -> Result<(), CommandError> {
        let id = update.id;
        let unknown = || AllocatorError::UnknownAgent(id.clone());
        let before = self.agents.get(&id).ok_or_else(unknown)?;
        let total = self.allocator.agent(&id).ok_or_else(unknown)?.total.into_owned();
        let mut before = Agent::clone(before);
        before.resources = total; // operations change the total in the allocator only
        let mut agent = before.clone();
        agent.resources = update.resources.unwrap_or(agent.resources);
        agent.attributes = update.attributes.unwrap_or(agent.attributes);
        agent.domain = update.domain.or(agent.domain);
        if agent == before {
            return Ok(());
        }
        check_volumes(&agent)?;
        let agent = Arc::new(agent);
        self.allocator.apply(Change::UpdateAgent(&agent))?;
        self.agents.insert(agent);
        self.make_offers(Some(&id));
        Ok(())
    }

    pub(super) fn check_registered(&self, agent: &AgentId) -> Result<(), CommandError> {
        let unknown = || AllocatorError::UnknownAgent(agent.clone()).into();
        self.agents.contains(agent).then_some(()).ok_or_else(unknown)
    }

    /// Checks that an agent is registered, or expected by a new leader.
    pub(super) fn check_known(&self, agent: &AgentId) -> Result<(), CommandError> {
        if self.recovery.is_missing(agent) { Ok(()) } else { self.check_registered(agent) }
    }

    /// Removes an agent, by an operator or because it has unregistered. Its tasks are lost.
    pub(super) fn remove_agent(&mut self, agent: &AgentId) -> Result<(), CommandError> {
        self.check_registered(agent)?;
        self.withdraw(agent);
        let reason = "REASON_AGENT_REMOVED";
        let all = self.tasks.on(agent).map(|(number, _)| number).collect();
        self.end_tasks_with(all, |_| TaskState::Lost, |status| status.reason(reason));
        self.drains.end(agent);
        self.unregister(agent)?;
        self.emit(Effect::AgentLost { agent: agent.clone() });
        Ok(())
    }

    /// Marks the connection of an agent as broken. What runs there waits for its return if its framework has checkpoints.
    pub(super) fn disconnect_agent(&mut self, agent: &AgentId) -> Result<(), CommandError> {
        self.check_registered(agent)?;
        if self.inactive.is_disconnected(agent) {
            return Ok(());
        }
        self.withdraw(agent);
        let is_lost = |task: &LiveTask| {
            let entry = self.framework(&task.holding.framework);
            !task.is_copy && entry.is_ok_and(|entry| !entry.framework.checkpoint)
        };
        let lost: Vec<(u64, (FrameworkId, TaskId))> = self
            .tasks
            .on(agent)
            .filter(|(_, task)| is_lost(task))
            .map(|(number, task)| (number, (task.holding.framework.clone(), task.id.clone())))
            .collect();
        let (numbers, told): (Vec<u64>, BTreeSet<_>) = lost.into_iter().unzip();
        self.inactive.disconnected.insert(agent.clone(), told);
        let reason = "REASON_AGENT_DISCONNECTED";
        self.end_tasks_with(numbers, |_| TaskState::Lost, |status| status.reason(reason));
        self.update_activity(agent);
        Ok(())
    }

    /// Removes an agent that cannot be reached, or one that a new leader expects in vain.
    pub(super) fn agent_unreachable(&mut self, agent: &AgentId) -> Result<(), CommandError> {
        self.check_known(agent)?;
        let mut tasks = Vec::new();
        if self.agents.contains(agent) {
            self.withdraw(agent);
            let live: Vec<_> = self.tasks.on(agent).collect();
            let all = live.iter().map(|(number, _)| *number).collect();
            let ordinary = live.iter().filter(|(_, task)| !task.is_copy);
            tasks = ordinary.map(|(_, task)| (task.holding.framework.clone(), task.id.clone())).collect();
            let (reason, since) = ("REASON_AGENT_REMOVED", self.now);
            let state = |framework: &_| lost_or(framework, TaskState::Unreachable);
            self.end_tasks_with(all, state, |status| {
                let is_lost = status.state == TaskState::Lost;
                let status = status.reason(reason);
                if is_lost { status } else { unreachable_since(status, since) }
            });
            self.unregister(agent)?;
        }
        self.recovery.give_up(agent);
        let limits = (self.config.remembered.agents, self.config.remembered.unreachable_tasks);
        let forgotten = self.absent.add_unreachable(agent.clone(), self.now, tasks, limits);
        forgotten.iter().for_each(|agent| self.drains.end(agent));
        self.emit(Effect::AgentLost { agent: agent.clone() });
        Ok(())
    }

    /// Removes an agent for good.
    pub(super) fn agent_gone(&mut self, agent: &AgentId) -> Result<(), CommandError> {
        if self.absent.is_gone(agent) {
            return Ok(());
        }
        let is_unreachable = self.absent.unreachable_since(agent).is_some();
        if !is_unreachable {
            self.check_known(agent)?;
        }
        let (reason, reason_if_lost) = ("REASON_AGENT_REMOVED_BY_OPERATOR", "REASON_AGENT_REMOVED");
        let reason_of = |state| if state == TaskState::Lost { reason_if_lost } else { reason };
        let is_registered = self.agents.contains(agent);
        if is_registered {
            self.withdraw(agent);
            let all = self.tasks.on(agent).map(|(number, _)| number).collect();
            let state = |framework: &_| lost_or(framework, TaskState::GoneByOperator);
            self.end_tasks_with(all, state, |status| {
                let reason = reason_of(status.state);
                status.reason(reason)
            });
            self.unregister(agent)?;
        }
        self.drains.end(agent);
        self.recovery.give_up(agent);
        let (tasks, forgotten) = self.absent.add_gone(agent.clone(), self.config.remembered.agents);
        forgotten.iter().for_each(|agent| self.drains.end(agent));
        for (framework, task) in tasks {
            let Ok(entry) = self.framework(&framework) else { continue };
            if !self.tasks.contains(&framework, &task) {
                let state = lost_or(&entry.framework, TaskState::GoneByOperator);
                let status = by_master(task, state, reason_of(state), Some(agent.clone()));
                self.emit(Effect::Status { framework, status });
            }
        }
        if is_registered {
            self.emit(Effect::AgentLost { agent: agent.clone() });
            self.shut_down_agent(agent.clone());
        }
        Ok(())
    }

    fn shut_down_agent(&mut self, agent: AgentId) {
        self.emit(Effect::ShutdownAgent { agent, message: GONE });
    }

    /// Rescinds the offers and inverse offers of an agent.
    pub(super) fn withdraw(&mut self, agent: &AgentId) {
        self.rescind_of_agent(agent);
        self.rescind_inverse_of_agent(agent);
    }

    /// Drops an agent on which no offers and tasks are left.
    fn unregister(&mut self, agent: &AgentId) -> Result<(), CommandError> {
        let executors = self.executors.on(agent);
        self.end_executors(&executors);
        self.maintenance.clear_refusals_of_agent(agent);
        self.maintenance.schedule(agent, None); // the window stays with the machine
        self.inactive.disconnected.swap_remove(agent);
        self.inactive.deactivated.swap_remove(agent);
        self.allocator.apply(Change::RemoveAgent(agent))?;
        self.agents.remove(agent);
        Ok(())
    }

    pub(super) fn set_agent_active(&mut self, agent: &AgentId, active: bool) -> Result<(), CommandError> {
        self.check_known(agent)?;
        if active {
            self.inactive.deactivated.swap_remove(agent);
            self.drains.end(agent);
        } else {
            self.inactive.deactivated.insert(agent.clone());
            self.withdraw(agent);
        }
        self.update_activity(agent);
        Ok(())
    }

    /// Returns whether an agent is connected, is not deactivated and does not drain.
    pub(super) fn may_be_offered(&self, agent: &AgentId) -> bool {
        let Inactive { disconnected, deactivated } = &self.inactive;
        !disconnected.contains_key(agent) && !deactivated.contains(agent) && self.drains.get(agent).is_none()
    }

    /// Returns the registered agents that may not be offered.
    pub(super) fn inactive_agents(&self) -> impl Iterator<Item = &AgentId> {
        let Inactive { disconnected, deactivated } = &self.inactive;
        let deactivated = deactivated.iter().filter(|agent| !disconnected.contains_key(*agent));
        let draining = self
            .drains
            .agents()
            .filter(|agent| !disconnected.contains_key(*agent) && !self.inactive.deactivated.contains(*agent));
        let all = disconnected.keys().chain(deactivated).chain(draining);
        all.filter(|agent| self.agents.contains(agent))
    }

    /// Has the allocator offer an agent, or not.
    pub(super) fn update_activity(&mut self, agent: &AgentId) {
        let active = self.may_be_offered(agent);
        if self.allocator.agent(agent).is_some_and(|account| account.active != active) {
            self.allocator.apply(Change::SetAgentActive { agent, active }).expect("it has an account");
        }
    }
}

fn holding_of(agent: &AgentId, running: &RunningTask) -> Holding {
    Holding {
        framework: running.framework.clone(),
        role: running.role.clone(),
        agent: agent.clone(),
        resources: running.task.resources.clone(),
    }
}

fn executor_holding(agent: &AgentId, running: &RunningExecutor) -> Holding {
    Holding {
        framework: running.framework.clone(),
        role: running.role.clone(),
        agent: agent.clone(),
        resources: running.resources.clone(),
    }
}

fn check_registration(agent: &Agent, tasks: &[RunningTask], executors: &[RunningExecutor]) -> Result<(), CommandError> {
    agent.id.check()?;
    check_volumes(agent)?;
    let mut seen = BTreeSet::new();
    for running in tasks {
        running.framework.check()?;
        running.task.id.check()?;
        if let Some(executor) = &running.executor {
            executor.check()?;
        }
        let (framework, task) = (&running.framework, &running.task.id);
        if !seen.insert((framework, task)) {
            return Err(CommandError::TaskExists { framework: framework.clone(), task: task.clone() });
        }
    }
    let mut seen = BTreeSet::new();
    for RunningExecutor { id, framework, .. } in executors {
        framework.check()?;
        id.check()?;
        if !seen.insert((framework, id)) {
            return Err(CommandError::ExecutorExists { framework: framework.clone(), executor: id.clone() });
        }
    }
    Ok(())
}

/// Checks that volumes have valid persistence ids, and those of one role different ones (Mesos,
/// `validateUniquePersistenceID`).
fn check_volumes(agent: &Agent) -> Result<(), CommandError> {
    agent.resources.iter().filter_map(volume_id).try_for_each(|volume| id::check(volume))?;
    match repeated_volume(&agent.resources) {
        Some(id) => Err(CommandError::DuplicateVolume { agent: agent.id.clone(), id: id.clone() }),
        None => Ok(()),
    }
}
