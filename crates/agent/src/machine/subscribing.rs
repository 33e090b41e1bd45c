//! Executors: their subscriptions and their calls.

use super::effect::Effect;
use super::hosted::{Cause, HostedTask, Phase, RunIx, Stage};
use super::input::{Rejected, StreamId};
use super::record::ExecutorKind;
use super::updates::MAX_WAITING;
use super::{AfterStore, AgentMachine, Record};
use apportion::executor::{Call, Event, Subscribed};
use apportion::v1;
use apportion::{Details, ExecutorId, FrameworkId, Resources, Task, TaskId, TaskStatus};
use apportion_http::internal::AgentCall;
use std::collections::BTreeSet;

/// The most tasks of an executor that the agent knows only by its statuses.
const MAX_STRANGERS: usize = 1_000;

impl AgentMachine {
    /// Handles the subscription of an executor.
    pub(super) fn subscribe(
        &mut self,
        stream: StreamId,
        framework: FrameworkId,
        executor: ExecutorId,
        tasks: Vec<Task>,
        updates: Vec<TaskStatus>,
    ) -> Result<(), Rejected> {
        let ix = self.find_executor(framework, executor)?;
        if let Some(status) = updates.iter().find(|status| status.uuid.is_none()) {
            return Err(Rejected::NoUuid(status.task.clone()));
        }
        if let Some(before) = self.hosted.set_stream(ix, Some(stream)) {
            self.emit(Effect::CloseStream(before));
        }
        let Some(executor) = self.hosted.get_mut(ix) else { return Ok(()) };
        if executor.phase == Phase::Terminating {
            self.tell(ix, Event::Shutdown);
            return Ok(());
        }
        let is_first = matches!(executor.phase, Phase::Launching | Phase::Storing);
        executor.phase = Phase::Running;
        self.timers.cancel(&mut executor.timer);
        self.tell_subscribed(ix);
        for status in updates {
            // One too many is not acknowledged, so that it comes again with the next subscription.
            let _ = self.update(ix, status);
        }
        self.settle_launches(ix, tasks, is_first);
        self.resize(ix);
        self.hand_over(ix);
        Ok(())
    }

    fn find_executor(&self, framework: FrameworkId, executor: ExecutorId) -> Result<RunIx, Rejected> {
        if self.hosted.framework(&framework).is_none() {
            return Err(Rejected::UnknownFramework(framework));
        }
        let found = self.hosted.live(&framework, &executor);
        found.ok_or(Rejected::UnknownExecutor(framework, executor))
    }

    fn tell_subscribed(&mut self, ix: RunIx) {
        let Some(executor) = self.hosted.get(ix) else { return };
        let Some(framework) = self.hosted.framework(&executor.run.framework) else { return };
        let mut subscribed = Subscribed::new(executor.info.clone());
        subscribed.framework = v1::framework_info(&framework.info);
        subscribed.agent = v1::agent_info(&self.settings.agent);
        subscribed.agent.insert("port", u64::from(self.settings.address.port()));
        subscribed.container = Some(Details::from_iter([("value", executor.run.container.as_str())]));
        self.tell(ix, Event::Subscribed(Box::new(subscribed)));
    }

    /// Settles which tasks an executor has that subscribes, by those that it lists and those that it has sent statuses of. What it
    /// should have and has not was lost on the way (Mesos, `Slave::subscribe`).
    fn settle_launches(&mut self, ix: RunIx, listed: Vec<Task>, is_first: bool) {
        let names: BTreeSet<TaskId> = listed.iter().map(|task| task.id.clone()).collect();
        let dropped = self.dropped(ix);
        let Some(executor) = self.hosted.get(ix) else { return };
        let (mut lost, mut killed, mut has) = (Vec::new(), Vec::new(), Vec::new());
        for (id, task) in &executor.tasks {
            match task.stage {
                Stage::Launched | Stage::Unclear if task.is_open() => {
                    if names.contains(id) || task.updates.is_any() {
                        has.push(id.clone());
                        killed.extend(task.kill.map(|grace| (id.clone(), grace)));
                    } else if !is_first {
                        lost.push(id.clone());
                    }
                }
                Stage::Storing | Stage::Queued | Stage::Unclear | Stage::Launched => {}
            }
        }
        for id in has {
            if let Some(task) = self.hosted.task_mut(ix, &id) {
                task.stage = Stage::Launched;
            }
        }
        for task in listed {
            self.take_in_task(ix, task);
        }
        let has_lost = !lost.is_empty();
        for id in lost {
            self.end_task(ix, &id, dropped, "REASON_AGENT_RESTARTED", "The executor has not got the task");
        }
        // One that was made for what was lost has nothing to do.
        let is_needless = self.hosted.get(ix).is_some_and(|executor| {
            executor.kind != ExecutorKind::Custom && !executor.tasks.values().any(HostedTask::is_open)
        });
        if has_lost && is_needless {
            self.shut_down_run(ix, Cause::Other);
        }
        for (task, grace) in killed {
            self.tell(ix, Event::Kill { task, grace });
        }
    }

    /// Takes in a task that its executor has and the agent does not know: its file was lost.
    fn take_in_task(&mut self, ix: RunIx, mut task: Task) {
        let Some(executor) = self.hosted.get(ix) else { return };
        let is_completed = executor.completed_tasks.iter().any(|known| known.task.id == task.id);
        if executor.tasks.contains_key(&task.id) || is_completed || task.id.check().is_err() {
            return;
        }
        let (run, is_durable) = (executor.run.clone(), executor.checkpoint);
        task.agent = Some(self.id().clone());
        task.role.get_or_insert_with(|| executor.role.clone());
        if is_durable {
            self.store(Record::Task(run, Box::new(task.clone())), AfterStore::Nothing);
        }
        self.hosted.add_task(ix, HostedTask { stage: Stage::Launched, ..HostedTask::new(task, is_durable) });
    }

    /// Handles a call of an executor that has subscribed.
    pub(super) fn call(&mut self, framework: FrameworkId, executor: ExecutorId, call: Call) -> Result<(), Rejected> {
        let ix = self.find_executor(framework, executor)?;
        let Some(executor) = self.hosted.get(ix) else { return Ok(()) };
        if matches!(executor.phase, Phase::Storing | Phase::Launching | Phase::Recovering) {
            return Err(Rejected::NotSubscribed);
        }
        match call {
            Call::Update(status) => self.update(ix, *status),
            Call::Message(data) => {
                let (framework_id, executor_id) = (executor.run.framework.clone(), executor.run.executor.clone());
                if self.link.is_registered() {
                    self.tell_master(AgentCall::Message { framework_id, executor_id, data });
                }
                Ok(())
            }
            Call::Subscribe { .. } | Call::Heartbeat | _ => Ok(()),
        }
    }

    /// Takes a status of an executor in, unless it was before.
    fn update(&mut self, ix: RunIx, status: TaskStatus) -> Result<(), Rejected> {
        let uuid = status.uuid.ok_or_else(|| Rejected::NoUuid(status.task.clone()))?;
        status.task.check()?;
        let Some(executor) = self.hosted.get(ix) else { return Ok(()) };
        let id = status.task.clone();
        let completed = executor.completed_tasks.iter().find(|known| known.task.id == id);
        let known = executor.tasks.get(&id);
        let is_seen = |task: Option<&HostedTask>| task.is_some_and(|task| task.updates.has_seen(&uuid));
        if is_seen(known) || is_seen(completed) {
            if !known.is_some_and(|task| task.updates.is_incoming(&uuid)) {
                self.tell(ix, Event::Acknowledged { task: id, uuid });
            }
            return Ok(());
        }
        let full = |most| Err(Rejected::TooManyUpdates { task: id.clone(), most });
        let is_others =
            |ix: &RunIx| self.hosted.get(*ix).is_some_and(|other| other.run.executor != executor.run.executor);
        match known {
            None if self.hosted.of_task(&executor.run.framework, &id).iter().any(is_others) => {
                return Err(Rejected::OtherExecutor(id));
            }
            Some(task) if task.updates.is_full() => return full(MAX_WAITING),
            Some(_) => {}
            None if executor.tasks.values().filter(|task| task.is_stranger).count() >= MAX_STRANGERS => {
                return full(MAX_STRANGERS);
            }
            None => {
                // A status that comes after the last one was acknowledged is stored and sent like any other.
                let (run, is_durable) = (executor.run.clone(), executor.checkpoint && completed.is_some());
                let task = completed.map_or_else(|| Task::new(id.clone(), Resources::new()), |task| task.task.clone());
                if is_durable {
                    self.store(Record::Task(run, Box::new(task.clone())), AfterStore::Nothing);
                }
                let stranger = HostedTask::new(task, is_durable);
                self.hosted.add_task(ix, HostedTask { is_stranger: true, stage: Stage::Launched, ..stranger });
            }
        }
        if let Some(task) = self.hosted.task_mut(ix, &id)
            && task.stage == Stage::Unclear
        {
            task.stage = Stage::Launched;
        }
        self.take_in(ix, status, true);
        Ok(())
    }
}
