//! Statuses: from an executor, or made by the agent; stored; sent until they are acknowledged; forgotten.

use super::effect::{Effect, Exit};
use super::hosted::{HostedTask, RunIx};
use super::record::{ExecutorKind, Record};
use super::timers::Timer;
use super::{AfterStore, AgentMachine};
use apportion::executor::Event;
use apportion::{FrameworkId, Json, StatusSource, TaskId, TaskState, TaskStatus, Text, Uuid};
use apportion_http::internal::AgentCall;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

impl AgentMachine {
    /// Ends a task with a status of the agent.
    pub(super) fn end_task(&mut self, ix: RunIx, id: &TaskId, state: TaskState, reason: &str, message: &str) {
        let Some(executor) = self.hosted.get(ix) else { return };
        let mut status = TaskStatus::new(id.clone(), state).reason(reason).message(message);
        let uuid = uuid_of_end(executor.run.container.as_str(), id);
        (status.uuid, status.source) = (Some(uuid), Some(StatusSource::Agent));
        self.take_in(ix, status, false);
    }

    /// Takes a status in: it is completed, and will be stored and sent.
    pub(super) fn take_in(&mut self, ix: RunIx, mut status: TaskStatus, from_executor: bool) {
        let Some(executor) = self.hosted.get(ix) else { return };
        status.agent = Some(self.id().clone());
        status.executor = Some(executor.run.executor.clone());
        status.timestamp = status.timestamp.or_else(|| Some(self.now.as_secs_f64()));
        if executor.was_launched() {
            let address = (!status.state.is_terminal()).then(|| self.settings.address.ip().to_string());
            complete_container_status(&mut status, executor.run.container.as_str(), address.as_deref());
        }
        let is_kill = matches!(status.state, TaskState::Killing | TaskState::Killed);
        if is_kill && self.drain.is_some() {
            status.reason = Some("REASON_AGENT_DRAINING".into());
        }
        let id = status.task.clone();
        if let Some(task) = self.hosted.task_mut(ix, &id) {
            task.updates.push(status, from_executor);
            self.store_next(ix, &id);
        }
    }

    /// Stores the next status of a task, and moves those on that need not be stored.
    pub(super) fn store_next(&mut self, ix: RunIx, id: &TaskId) {
        loop {
            let Some(executor) = self.hosted.get(ix) else { return };
            let Some(task) = executor.tasks.get(id) else { return };
            let Some(status) = task.updates.next_to_store() else { return };
            if !task.is_durable {
                self.move_on(ix, id);
                continue;
            }
            let record = Record::Update(executor.run.clone(), Box::new(status.clone()));
            let ticket = self.store(record, AfterStore::Status(ix, id.clone()));
            if let Some(task) = self.hosted.task_mut(ix, id) {
                task.updates.storing(ticket);
            }
            return;
        }
    }

    pub(super) fn status_stored(&mut self, ix: RunIx, id: &TaskId, result: Result<(), Text>) {
        let now = self.now;
        let Some(task) = self.hosted.task_mut(ix, id) else { return };
        let Err(error) = result else {
            self.move_on(ix, id);
            self.store_next(ix, id);
            return;
        };
        if task.updates.is_from_executor() {
            let again = now + task.updates.store_failed();
            self.timers.set(again, Timer::StoreAgain(ix, id.clone()));
            self.emit(Effect::Warn(format!("a status of task {id} is not stored and not acknowledged: {error}")));
        } else {
            self.move_on(ix, id); // the agent would make it again after a restart
            self.store_next(ix, id);
        }
    }

    /// Moves the first status of a task on: its executor is told that it is stored, and the master gets it.
    fn move_on(&mut self, ix: RunIx, id: &TaskId) {
        let Some(task) = self.hosted.task_mut(ix, id) else { return };
        let Some((status, from_executor)) = task.updates.stored() else { return };
        let had_ended = task.state.is_terminal();
        task.note(&status);
        let has_ended = task.state.is_terminal() && !had_ended;
        if let Some(uuid) = status.uuid.filter(|_| from_executor) {
            self.tell(ix, Event::Acknowledged { task: id.clone(), uuid });
        }
        if has_ended {
            self.resize(ix);
        }
        self.send(ix, id);
        self.tell_exit(ix);
    }

    /// Sends the status in flight, if it was not sent and there is a master.
    fn send(&mut self, ix: RunIx, id: &TaskId) {
        if self.hosted.task(ix, id).is_some_and(|task| task.updates.is_unsent()) {
            self.resend(ix, id);
        }
    }

    /// Sends the status in flight again.
    pub(super) fn resend(&mut self, ix: RunIx, id: &TaskId) {
        if !self.link.is_registered() || self.leaving.as_ref().is_some_and(|exit| *exit != Exit::Stopped) {
            return;
        }
        let now = self.now;
        let Some(executor) = self.hosted.get_mut(ix) else { return };
        let framework = executor.run.framework.clone();
        let Some(task) = executor.tasks.get_mut(id) else { return };
        let Some(status) = task.updates.first().cloned() else { return };
        let again = now + task.updates.sent();
        self.timers.cancel(&mut task.updates.timer);
        task.updates.timer = Some(self.timers.set(again, Timer::Resend(ix, id.clone())));
        let latest_state = task.state;
        self.tell_master(AgentCall::StatusUpdate { framework_id: framework, status, latest_state });
    }

    /// Sends all statuses in flight, after a registration.
    pub(super) fn send_all_anew(&mut self) {
        let is_waiting = |task: &&HostedTask| task.updates.first().is_some();
        let all = self.hosted.all();
        let waiting: Vec<(RunIx, TaskId)> = all
            .flat_map(|(ix, executor)| {
                executor.tasks.values().filter(is_waiting).map(move |task| (ix, task.task.id.clone()))
            })
            .collect();
        for (ix, id) in waiting {
            if let Some(task) = self.hosted.task_mut(ix, &id) {
                task.updates.send_anew();
            }
            self.resend(ix, &id);
        }
    }

    /// Handles a framework's acknowledgement of a status.
    pub(super) fn acknowledge(&mut self, framework: &FrameworkId, id: &TaskId, uuid: &Uuid) {
        let runs = self.hosted.of_task(framework, id).to_vec();
        for ix in runs {
            let Some(executor) = self.hosted.get_mut(ix) else { continue };
            let run = executor.run.clone();
            let Some(task) = executor.tasks.get_mut(id) else { continue };
            if !task.updates.acknowledge(uuid) {
                continue;
            }
            self.timers.cancel(&mut task.updates.timer);
            if task.is_durable {
                self.store(Record::Acknowledged(run, id.clone(), *uuid), AfterStore::Nothing);
            }
            self.send(ix, id);
            self.forget_if_done(ix, id);
            return;
        }
    }

    /// Forgets a task whose terminal status is acknowledged.
    fn forget_if_done(&mut self, ix: RunIx, id: &TaskId) {
        let Some(executor) = self.hosted.get(ix) else { return };
        let Some(task) = executor.tasks.get(id) else { return };
        let is_over = task.state.is_terminal() || task.is_stranger;
        if is_over && task.updates.is_done() {
            let is_durable = task.is_durable;
            let (run, directory) = (executor.run.clone(), executor.directory.join("tasks").join(id.as_str()));
            let has_folder = executor.kind == ExecutorKind::Default && executor.is_live();
            self.forget_task(ix, id);
            if is_durable {
                self.store_for_sure(Record::ForgetTask(run, id.clone()));
            }
            if has_folder {
                self.emit(Effect::Discard(directory));
            }
            self.settle(ix);
        }
    }

    /// Drops what is left to do for a task, and moves it to those that are completed.
    pub(super) fn forget_task(&mut self, ix: RunIx, id: &TaskId) {
        if let Some(task) = self.hosted.task_mut(ix, id) {
            self.timers.cancel(&mut task.updates.timer);
        }
        self.hosted.complete_task(ix, id);
    }
}

/// Returns the UUID of the status by which an agent ends a task. It is the same each time: an agent that could not store it, and was
/// started again, ends the task a second time, and nobody takes that for another end.
fn uuid_of_end(container: &str, task: &TaskId) -> Uuid {
    let hash = |text: &str| {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        hasher.finish()
    };
    Uuid::from_seed(hash(container), hash(task.as_str()))
}

/// Adds the container to a status, and its address as long as there is one, unless its executor says otherwise.
fn complete_container_status(status: &mut TaskStatus, container: &str, address: Option<&str>) {
    let mut fields: apportion::Details =
        status.details.get("container_status").map(|known| known.view().into()).unwrap_or_default();
    if !fields.contains("container_id") {
        fields.insert("container_id", Json::object([("value", container)]));
    }
    if let Some(address) = address.filter(|_| !fields.contains("network_infos")) {
        let addresses = Json::array([Json::object([("ip_address", address)])]);
        fields.insert("network_infos", Json::array([Json::object([("ip_addresses", addresses)])]));
    }
    status.details.insert("container_status", fields);
}
