//! [`Tasks`]: those that run, those that are unreachable, and those that have ended.

use super::entry::{Standing, TaskEntry};
use super::pages::{Pages, Slot};
use super::state_counts::StateCounts;
use super::{Change, Changes, Map, Touched};
use apportion::{AgentId, FrameworkId, Master, Role, RunningTask, StatusSource, Task, TaskId, TaskState, TaskStatus};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// The tasks: a table, with indices by framework and by agent.
#[derive(Debug)]
pub(super) struct Tasks {
    table: Pages<TaskEntry>,
    of_framework: Map<FrameworkId, OfFramework>,
    on_agent: Map<AgentId, OnAgent>,
    /// The number of tasks that ever came.
    came: u64,
    max_completed: usize,
    max_unreachable: usize,
}

#[derive(Debug, Default)]
struct OfFramework {
    live: Map<TaskId, Slot>,
    copies: BTreeSet<Slot>,
    /// The oldest first.
    unreachable: VecDeque<Slot>,
    completed: VecDeque<Slot>,
    /// The live ones.
    active: StateCounts,
    /// Those that have ended since the framework registered.
    ended: StateCounts,
}

/// The tasks of an agent, which may be unreachable.
#[derive(Debug, Default)]
struct OnAgent {
    /// Live ones and copies.
    held: BTreeSet<Slot>,
    unreachable: Vec<Slot>,
}

impl Tasks {
    pub(super) fn new(max_completed: usize, max_unreachable: usize) -> Self {
        Self {
            table: Pages::default(),
            of_framework: Map::default(),
            on_agent: Map::default(),
            came: 0,
            max_completed,
            max_unreachable,
        }
    }

    /// Returns a copy to read.
    pub(super) fn copy(&self) -> Pages<TaskEntry> {
        self.table.copy()
    }

    /// Returns the tasks of a framework by state: those that have not ended, and those that have since it registered.
    pub(super) fn counts(&self, framework: &FrameworkId) -> (StateCounts, StateCounts) {
        let Some(of_framework) = self.of_framework.get(framework) else { return Default::default() };
        let mut active = of_framework.active;
        of_framework.unreachable.iter().for_each(|_| active.add(TaskState::Unreachable));
        (active, of_framework.ended)
    }

    /// Adds a task that is launched.
    pub(super) fn launched(
        &mut self,
        framework: FrameworkId,
        agent: AgentId,
        role: Role,
        task: Task,
        changes: &Changes,
    ) {
        let (state, standing) = (TaskState::Staging, Standing::Live);
        let number = self.came;
        let (executor, statuses) = (None, Vec::new());
        let entry = TaskEntry { number, framework, agent, role, task, executor, state, statuses, standing };
        self.add(entry, changes);
    }

    fn add(&mut self, entry: TaskEntry, changes: &Changes) {
        self.came += 1;
        let entry = Arc::new(entry);
        let slot = self.table.insert(entry.clone());
        self.hold(&entry, slot);
        if entry.standing == Standing::Live {
            changes.tell(|| Change::TaskAdded(entry));
        }
    }

    /// Adds a live task or a copy to the indices.
    fn hold(&mut self, entry: &TaskEntry, slot: Slot) {
        of_mut(&mut self.on_agent, &entry.agent).held.insert(slot);
        let of_framework = of_mut(&mut self.of_framework, &entry.framework);
        if entry.standing == Standing::Copy {
            of_framework.copies.insert(slot);
            return;
        }
        of_framework.active.add(entry.state);
        if let Some(before) = of_framework.live.insert(entry.task.id.clone(), slot) {
            tracing::error!(task = %entry.task.id, "the view has a task that the master has not");
            if let Some(before) = self.table.get(before) {
                of_framework.active.remove(before.state);
            }
            self.forget(before);
        }
    }

    /// Notes a status that a framework is told.
    pub(super) fn status(
        &mut self,
        master: &Master,
        framework: &FrameworkId,
        status: TaskStatus,
        touched: &Touched,
        seconds: f64,
        changes: &Changes,
    ) {
        let Some((slot, agent)) = self.live(framework, &status.task) else {
            if status.state == TaskState::Error && !is_answer(&status) {
                of_mut(&mut self.of_framework, framework).ended.add(TaskState::Error); // it was never launched
            }
            self.status_of_unreachable(framework, status, touched, seconds, changes);
            return;
        };
        if status.agent.as_ref().is_some_and(|told| *told != agent) {
            return;
        }
        let runs = master.known_task(framework, &status.task).filter(|known| known.holding.agent == agent);
        match runs {
            // An answer to a reconciliation is nothing new, and a task that was rejected is not the one that runs.
            Some(known) if is_answer(&status) || known.state != status.state => {}
            Some(_) => self.note(slot, status, seconds, changes),
            None => {
                let is_unreachable = matches!(touched, Touched::Unreachable(of) if *of == agent);
                self.end(slot, Some(status), is_unreachable, seconds, changes);
            }
        }
    }

    /// Notes what the framework of a task of an unreachable agent is told when the agent comes back, or is gone.
    fn status_of_unreachable(
        &mut self,
        framework: &FrameworkId,
        status: TaskStatus,
        touched: &Touched,
        seconds: f64,
        changes: &Changes,
    ) {
        let Touched::Agent(agent) = touched else { return };
        if status.state.is_terminal()
            && let Some(slot) = self.unreachable_on(agent, framework, &status.task)
        {
            self.end(slot, Some(status), false, seconds, changes);
        }
    }

    /// Handles a status that no framework is told.
    pub(super) fn status_of_untold(
        &mut self,
        master: &Master,
        framework: &FrameworkId,
        status: TaskStatus,
        seconds: f64,
        changes: &Changes,
    ) {
        let has_copies = self.of_framework.get(framework).is_some_and(|of_framework| !of_framework.copies.is_empty());
        if let Some(agent) = status.agent.as_ref().filter(|_| has_copies) {
            self.check_agent(master, agent, seconds, changes); // a copy may have ended
        }
        let Some((slot, agent)) = self.live(framework, &status.task) else { return };
        if master.known_task(framework, &status.task).is_none() {
            self.end(slot, Some(status), false, seconds, changes);
            self.forget_unless_known(master, framework);
        } else if status.agent.as_ref().is_none_or(|told| *told == agent) {
            self.note(slot, status, seconds, changes);
        }
    }

    /// Takes in what an agent has brought, and ends what it has not.
    pub(super) fn registered(
        &mut self,
        master: &Master,
        agent: &AgentId,
        brought: Vec<RunningTask>,
        seconds: f64,
        changes: &Changes,
    ) {
        let mut brought: BTreeMap<(FrameworkId, TaskId), RunningTask> = brought
            .into_iter()
            .map(|running| ((running.framework.clone(), running.task.id.clone()), running))
            .collect();
        for known in master.known_tasks_on(agent) {
            let framework = &known.holding.framework;
            let brought = brought.remove(&(framework.clone(), known.id.clone()));
            if known.is_copy {
                if self.copy_on(agent, framework, known.id).is_none()
                    && let Some(running) = brought
                {
                    self.add_brought(agent, running, Standing::Copy, changes);
                }
            } else if let Some((slot, _)) = self.live(framework, known.id).filter(|(_, on)| on == agent) {
                if let Some(entry) = self.table.change(slot) {
                    of_mut(&mut self.of_framework, framework).active.change(entry.state, known.state);
                    entry.state = known.state;
                    entry.executor = known.executor.cloned().or_else(|| entry.executor.take());
                }
            } else if let Some(slot) = self.unreachable_on(agent, framework, known.id) {
                self.revive(slot, known.state, changes);
            } else if let Some(running) = brought {
                self.add_brought(agent, running, Standing::Live, changes);
            }
        }
        for ((framework, task), running) in brought {
            let ended = self.live(&framework, &task).filter(|(_, on)| on == agent);
            if let Some((slot, _)) = ended.filter(|_| running.state.is_terminal()) {
                let mut status = TaskStatus::new(task, running.state);
                (status.source, status.agent) = (Some(StatusSource::Agent), Some(agent.clone()));
                self.end(slot, Some(status), false, seconds, changes);
            }
        }
        let left = self.on_agent.get_mut(agent).map(|on| std::mem::take(&mut on.unreachable)).unwrap_or_default();
        for slot in left {
            self.end(slot, None, false, seconds, changes);
        }
    }

    fn add_brought(&mut self, agent: &AgentId, running: RunningTask, standing: Standing, changes: &Changes) {
        let RunningTask { framework, role, task, state, executor, .. } = running;
        let (number, agent, statuses) = (self.came, agent.clone(), Vec::new());
        self.add(TaskEntry { number, framework, agent, role, task, executor, state, statuses, standing }, changes);
    }

    /// Makes a task of an unreachable agent one that runs.
    fn revive(&mut self, slot: Slot, state: TaskState, changes: &Changes) {
        self.leave(slot);
        let Some(entry) = self.table.change(slot) else { return };
        (entry.state, entry.standing) = (state, Standing::Live);
        entry.statuses.retain(|status| !matches!(status.state, TaskState::Unreachable | TaskState::Lost));
        if let Some(entry) = self.table.get(slot).cloned() {
            self.hold(&entry, slot);
            changes.tell(|| Change::TaskAdded(entry));
        }
    }

    /// Ends the tasks of an agent that the master has no more. Those that nobody was told of are lost.
    pub(super) fn check_agent(&mut self, master: &Master, agent: &AgentId, seconds: f64, changes: &Changes) {
        let Some(on) = self.on_agent.get(agent) else { return };
        let copies: BTreeSet<(&FrameworkId, &TaskId)> = master
            .known_tasks_on(agent)
            .filter(|known| known.is_copy)
            .map(|known| (&known.holding.framework, known.id))
            .collect();
        let has_ended = |slot: &&Slot| {
            self.table.get(**slot).is_some_and(|entry| {
                let (framework, task) = (&entry.framework, &entry.task.id);
                match entry.standing {
                    Standing::Copy => !copies.contains(&(framework, task)),
                    Standing::Live | Standing::Unreachable | Standing::Completed => {
                        master.known_task(framework, task).is_none_or(|known| known.holding.agent != *agent)
                    }
                }
            })
        };
        let ended: Vec<Slot> = on.held.iter().filter(has_ended).copied().collect();
        for slot in ended {
            let Some(entry) = self.table.get(slot).cloned() else { continue };
            let mut status = TaskStatus::new(entry.task.id.clone(), TaskState::Lost).reason("REASON_AGENT_REMOVED");
            (status.source, status.agent) = (Some(StatusSource::Master), Some(agent.clone()));
            self.end(slot, Some(status), false, seconds, changes);
            self.forget_unless_known(master, &entry.framework);
        }
    }

    /// Ends all tasks of a framework that is removed (Mesos, `Master::removeFramework`).
    pub(super) fn end_framework(&mut self, framework: &FrameworkId, seconds: f64, changes: &Changes) {
        let Some(of_framework) = self.of_framework.get(framework) else { return };
        let mut slots: Vec<Slot> = of_framework.live.values().chain(&of_framework.copies).copied().collect();
        slots.sort_unstable_by_key(|slot| self.table.get(*slot).map(|entry| entry.number));
        for slot in slots {
            let Some(entry) = self.table.get(slot) else { continue };
            let mut status =
                TaskStatus::new(entry.task.id.clone(), TaskState::Killed).reason("REASON_FRAMEWORK_REMOVED");
            (status.source, status.agent) = (Some(StatusSource::Master), Some(entry.agent.clone()));
            status.message = Some(format!("Framework {framework} removed").into());
            self.end(slot, Some(status), false, seconds, changes);
        }
    }

    /// Forgets what has ended of a framework, and what is unreachable.
    pub(super) fn forget_framework(&mut self, framework: &FrameworkId) {
        let Some(of_framework) = self.of_framework.get_mut(framework) else { return };
        of_framework.ended = StateCounts::default();
        let slots: Vec<Slot> = of_framework.completed.iter().chain(&of_framework.unreachable).copied().collect();
        slots.into_iter().for_each(|slot| self.forget(slot));
        if self.of_framework.get(framework).is_some_and(OfFramework::is_empty) {
            self.of_framework.swap_remove(framework);
        }
    }

    /// Forgets what has ended of a framework that the master does not know: there may be any number of them.
    fn forget_unless_known(&mut self, master: &Master, framework: &FrameworkId) {
        if master.known_framework(framework).is_none() {
            self.forget_framework(framework);
        }
    }

    /// Notes a status of a task that goes on.
    fn note(&mut self, slot: Slot, status: TaskStatus, seconds: f64, changes: &Changes) {
        let Some(entry) = self.table.change(slot) else { return };
        let (status, before) = (kept(status, seconds), entry.state);
        entry.note(status.clone());
        if let Some(of_framework) = self.of_framework.get_mut(&entry.framework)
            && of_framework.live.get(&entry.task.id) == Some(&slot)
        {
            of_framework.active.change(before, entry.state);
        }
        if let Some(entry) = self.table.get(slot) {
            changes.tell(|| Change::TaskUpdated(entry.clone(), status));
        }
    }

    /// Ends a task, or makes it an unreachable one. A copy is forgotten, and so is what never got a terminal status.
    fn end(&mut self, slot: Slot, status: Option<TaskStatus>, is_unreachable: bool, seconds: f64, changes: &Changes) {
        let Some(entry) = self.leave(slot) else { return };
        let is_known_end = is_unreachable || status.is_some() || entry.state.is_terminal();
        if entry.standing == Standing::Copy || !is_known_end {
            self.forget(slot);
            return;
        }
        if let Some(status) = status {
            self.note(slot, status, seconds, changes);
        }
        let Some(entry) = self.table.change(slot) else { return };
        entry.standing = if is_unreachable { Standing::Unreachable } else { Standing::Completed };
        let (framework, agent) = (entry.framework.clone(), entry.agent.clone());
        let of_framework = of_mut(&mut self.of_framework, &framework);
        if !is_unreachable {
            of_framework.ended.add(entry.state);
        }
        let (list, most) = match is_unreachable {
            true => (&mut of_framework.unreachable, self.max_unreachable),
            false => (&mut of_framework.completed, self.max_completed),
        };
        list.push_back(slot);
        let too_many = (list.len() > most).then(|| list[0]);
        if is_unreachable {
            of_mut(&mut self.on_agent, &agent).unreachable.push(slot);
        }
        if let Some(oldest) = too_many {
            self.forget(oldest);
        }
    }

    /// Removes a task from all indices, but not from the table.
    fn leave(&mut self, slot: Slot) -> Option<Arc<TaskEntry>> {
        let entry = self.table.get(slot)?.clone();
        if let Some(on) = self.on_agent.get_mut(&entry.agent) {
            on.held.remove(&slot);
            on.unreachable.retain(|other| *other != slot);
            if on.held.is_empty() && on.unreachable.is_empty() {
                self.on_agent.swap_remove(&entry.agent);
            }
        }
        if let Some(of_framework) = self.of_framework.get_mut(&entry.framework) {
            match entry.standing {
                Standing::Live => {
                    if of_framework.live.get(&entry.task.id) == Some(&slot) {
                        of_framework.live.swap_remove(&entry.task.id);
                        of_framework.active.remove(entry.state);
                    }
                }
                Standing::Copy => drop(of_framework.copies.remove(&slot)),
                Standing::Unreachable => of_framework.unreachable.retain(|other| *other != slot),
                Standing::Completed => leave_list(&mut of_framework.completed, slot),
            }
            if of_framework.is_empty() {
                self.of_framework.swap_remove(&entry.framework);
            }
        }
        Some(entry)
    }

    fn forget(&mut self, slot: Slot) {
        self.leave(slot);
        self.table.remove(slot);
    }

    fn live(&self, framework: &FrameworkId, task: &TaskId) -> Option<(Slot, AgentId)> {
        let slot = *self.of_framework.get(framework)?.live.get(task)?;
        Some((slot, self.table.get(slot)?.agent.clone()))
    }

    fn copy_on(&self, agent: &AgentId, framework: &FrameworkId, task: &TaskId) -> Option<Slot> {
        let copies = self.of_framework.get(framework)?.copies.iter().copied();
        self.find(copies, agent, framework, task)
    }

    fn unreachable_on(&self, agent: &AgentId, framework: &FrameworkId, task: &TaskId) -> Option<Slot> {
        let unreachable = self.on_agent.get(agent)?.unreachable.iter().copied();
        self.find(unreachable, agent, framework, task)
    }

    fn find(
        &self,
        mut slots: impl Iterator<Item = Slot>,
        agent: &AgentId,
        framework: &FrameworkId,
        task: &TaskId,
    ) -> Option<Slot> {
        slots.find(|slot| {
            let entry = self.table.get(*slot);
            entry.is_some_and(|entry| entry.task.id == *task && entry.framework == *framework && entry.agent == *agent)
        })
    }
}

impl OfFramework {
    fn is_empty(&self) -> bool {
        self.live.is_empty()
            && self.copies.is_empty()
            && self.unreachable.is_empty()
            && self.completed.is_empty()
            && self.ended.is_empty()
    }
}

/// Returns the value of a key, a new one if there is none. The key is copied only then.
fn of_mut<'a, K: std::hash::Hash + Eq + Clone, V: Default>(map: &'a mut Map<K, V>, key: &K) -> &'a mut V {
    match map.get_index_of(key) {
        Some(index) => &mut map[index],
        None => map.entry(key.clone()).or_default(),
    }
}

/// Removes a slot from a list, mostly from its front.
fn leave_list(list: &mut VecDeque<Slot>, slot: Slot) {
    if list.front() == Some(&slot) {
        list.pop_front();
    } else {
        list.retain(|other| *other != slot);
    }
}

/// Returns whether a status is an answer to a reconciliation, or to a kill of a task that is not known.
fn is_answer(status: &TaskStatus) -> bool {
    status.source == Some(StatusSource::Master) && status.reason.as_deref() == Some("REASON_RECONCILIATION")
}

/// Returns a status as it is kept: without data, which is passed on only, and with a time.
fn kept(mut status: TaskStatus, seconds: f64) -> Arc<TaskStatus> {
    status.data = None;
    status.timestamp.get_or_insert(seconds);
    Arc::new(status)
}
