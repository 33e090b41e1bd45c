//! Ends: of containers and their executors, of frameworks, and of the agent itself.

use super::AgentMachine;
use super::effect::{Effect, Exit};
use super::hosted::{Cause, Phase, RunIx, Stage};
use super::input::{ContainerEvent, Rejected};
use super::record::{ContainerId, Record};
use super::timers::Timer;
use apportion::executor::Event;
use apportion::{FrameworkId, TaskId, TaskState, Text};
use apportion_http::internal::AgentCall;

/// The wait status that the master is told of an executor that has none, or whose own is not known (Mesos,
/// `Slave::executorTerminated`).
pub(super) const UNKNOWN_STATUS: i32 = -1;

impl AgentMachine {
    pub(super) fn container_event(&mut self, container: ContainerId, event: ContainerEvent) -> Result<(), Rejected> {
        let ends = matches!(event, ContainerEvent::Failed { .. } | ContainerEvent::Ended { .. });
        if self.strays.contains_key(&container) {
            if ends {
                self.stray_ended(&container);
            }
            return Ok(());
        }
        let ix = self.hosted.of_container(&container).ok_or(Rejected::UnknownContainer(container))?;
        let Some(executor) = self.hosted.get_mut(ix) else { return Ok(()) };
        match event {
            ContainerEvent::Step(step) => executor.step = step,
            ContainerEvent::Started(process) => {
                executor.process = Some(process);
                executor.step = "waiting for SUBSCRIBE".into();
                let (run, is_durable) = (executor.run.clone(), executor.checkpoint);
                if is_durable && executor.phase != Phase::Recovering {
                    self.store_for_sure(Record::Process(run, process));
                }
            }
            ContainerEvent::Failed { message } => self.end_run(ix, Some(Cause::NotLaunched(message)), None),
            ContainerEvent::Ended { status, limitation } => {
                self.end_run(ix, limitation.map(Cause::Limit), Some(status.unwrap_or(UNKNOWN_STATUS)));
            }
        }
        Ok(())
    }

    fn stray_ended(&mut self, container: &ContainerId) {
        let Some((run, is_own)) = self.strays.remove(container) else { return };
        if is_own {
            self.store_for_sure(Record::ForgetRun(run));
        } else if self.strays.values().all(|(_, is_own)| *is_own) {
            self.store_for_sure(Record::ForgetStrays);
        }
    }

    /// Asks an executor to end, with all its tasks. After the grace period all of its container is killed; at once, if it has no
    /// stream.
    pub(super) fn shut_down_run(&mut self, ix: RunIx, cause: Cause) {
        let due = self.now + self.settings.executor_shutdown_grace_period;
        let Some(executor) = self.hosted.get_mut(ix) else { return };
        if matches!(executor.phase, Phase::Terminating | Phase::Ended) {
            return;
        }
        let has_container = executor.phase != Phase::Storing;
        let can_hear = executor.phase == Phase::Running && executor.stream.is_some();
        executor.phase = Phase::Terminating;
        executor.cause.get_or_insert(cause);
        self.timers.cancel(&mut executor.timer);
        if !has_container {
            self.end_run(ix, None, None);
        } else if can_hear {
            executor.timer = Some(self.timers.set(due, Timer::Run(ix)));
            self.tell(ix, Event::Shutdown);
        } else {
            let container = executor.run.container.clone();
            self.emit(Effect::Destroy(container));
        }
    }

    /// Handles that an executor has not subscribed or has not ended in time.
    pub(super) fn run_timer(&mut self, ix: RunIx) {
        let timeout = self.settings.executor_registration_timeout;
        let Some(executor) = self.hosted.get_mut(ix) else { return };
        executor.timer = None;
        let cause = match executor.phase {
            Phase::Launching => {
                let took = super::describe::duration(timeout);
                let step = &executor.step;
                let message =
                    format!("Executor did not register within {took} (--executor_registration_timeout): it was {step}");
                Cause::NotRegistered(message)
            }
            Phase::Recovering => Cause::NotReregistered,
            Phase::Terminating => {
                let container = executor.run.container.clone();
                self.emit(Effect::Destroy(container));
                return;
            }
            Phase::Storing | Phase::Running | Phase::Ended => return,
        };
        self.shut_down_run(ix, cause);
    }

    /// Handles the end of a run: nothing of it is left. Its open tasks get a status.
    pub(super) fn end_run(&mut self, ix: RunIx, cause: Option<Cause>, status: Option<i32>) {
        let Some(executor) = self.hosted.get_mut(ix).filter(|executor| executor.is_live()) else { return };
        let cause = executor.cause.clone().filter(|cause| *cause != Cause::Other).or(cause);
        let is_made = executor.kind.is_of_one_task();
        executor.exit = (!is_made).then(|| status.unwrap_or(UNKNOWN_STATUS)); // the master holds resources for it
        self.timers.cancel(&mut executor.timer);
        let open: Vec<(TaskId, Stage, bool)> = executor
            .tasks
            .values()
            .filter(|task| task.is_open())
            .map(|task| (task.task.id.clone(), task.stage, task.kill.is_some()))
            .collect();
        self.hosted.end(ix);
        if let Some(stream) = self.hosted.set_stream(ix, None) {
            self.emit(Effect::CloseStream(stream));
        }
        for (id, stage, is_killed) in open {
            let (state, reason, message) = self.last_words(ix, cause.as_ref(), stage, is_killed);
            self.end_task(ix, &id, state, &reason, &message);
        }
        self.tell_exit(ix);
        self.settle(ix);
    }

    /// Returns state, reason and message of a task whose executor has ended.
    fn last_words(&self, ix: RunIx, cause: Option<&Cause>, stage: Stage, is_killed: bool) -> (TaskState, Text, String) {
        let failed = |reason: &str, message: String| (TaskState::Failed, Text::from(reason), message);
        match cause {
            Some(Cause::NotRegistered(message)) => failed("REASON_EXECUTOR_REGISTRATION_TIMEOUT", message.clone()),
            Some(Cause::NotReregistered) => {
                let took = super::describe::duration(self.settings.executor_reregistration_timeout);
                let message = format!("Executor did not reregister within {took} (--executor_reregistration_timeout)");
                failed("REASON_EXECUTOR_REREGISTRATION_TIMEOUT", message)
            }
            Some(Cause::NotLaunched(message)) => failed("REASON_CONTAINER_LAUNCH_FAILED", message.to_string()),
            Some(Cause::Limit(limit)) => (TaskState::Failed, limit.reason.clone(), limit.message.to_string()),
            Some(Cause::Other) | None if is_killed => (
                TaskState::Killed,
                "REASON_EXECUTOR_TERMINATED".into(),
                "Executor terminated after the kill".to_owned(),
            ),
            Some(Cause::Other) | None => {
                let never_began = self.hosted.get(ix).is_some_and(|executor| executor.process.is_none());
                if stage == Stage::Unclear && never_began {
                    let message = "The agent was started again before the executor got the task".to_owned();
                    return (self.dropped(ix), "REASON_AGENT_RESTARTED".into(), message);
                }
                failed("REASON_EXECUTOR_TERMINATED", "Executor terminated".to_owned())
            }
        }
    }

    /// Tells the master that an executor has ended, once the statuses of its tasks are on their way.
    pub(super) fn tell_exit(&mut self, ix: RunIx) {
        let is_registered = self.link.is_registered();
        let Some(executor) = self.hosted.get_mut(ix) else { return };
        if executor.is_live() || executor.exit.is_none() {
            return;
        }
        if !executor.tasks.values().all(|task| task.updates.is_stored()) {
            return;
        }
        let Some(status) = executor.exit.take() else { return };
        let (framework_id, executor_id) = (executor.run.framework.clone(), executor.run.executor.clone());
        let is_completed = self.hosted.framework(&framework_id).is_none_or(|hosted| hosted.is_terminating);
        if is_registered && !is_completed {
            self.tell_master(AgentCall::ExecutorExited { framework_id, executor_id, status });
        }
    }

    /// Forgets a run that has ended and has nothing left to tell, a framework without runs, and leaves if that was waited for.
    pub(super) fn settle(&mut self, ix: RunIx) {
        let Some(executor) = self.hosted.get(ix) else { return };
        let framework = executor.run.framework.clone();
        let is_terminating = self.hosted.framework(&framework).is_some_and(|hosted| hosted.is_terminating);
        if !executor.is_live() && is_terminating {
            let tasks: Vec<TaskId> = executor.tasks.keys().cloned().collect();
            for task in tasks {
                self.forget_task(ix, &task);
            }
        }
        let Some(executor) = self.hosted.get(ix) else { return };
        if !executor.is_live() && executor.tasks.is_empty() {
            let (run, directory, is_durable) = (executor.run.clone(), executor.directory.clone(), executor.checkpoint);
            let has_folder = executor.was_launched();
            self.hosted.complete_run(ix);
            if is_durable {
                self.store_for_sure(Record::ForgetRun(run));
            }
            if has_folder {
                self.emit(Effect::Discard(directory));
            }
            self.settle_framework(&framework);
        }
        self.end_drain();
        self.leave_if_done();
    }

    fn settle_framework(&mut self, id: &FrameworkId) {
        let Some(framework) = self.hosted.framework(id).filter(|framework| framework.runs.is_empty()) else { return };
        let is_stored = framework.is_stored;
        self.hosted.complete_framework(id);
        if is_stored {
            self.store_for_sure(Record::ForgetFramework(id.clone()));
        }
    }

    /// Ends all executors of a framework. Its statuses are of no interest any more.
    pub(super) fn shut_down_framework(&mut self, id: &FrameworkId) {
        let Some(framework) = self.hosted.framework_mut(id) else { return };
        framework.is_terminating = true;
        let runs: Vec<RunIx> = framework.runs.iter().copied().collect();
        for ix in runs {
            self.shut_down_run(ix, Cause::Other);
            self.settle(ix);
        }
    }

    /// Ends draining when no task is left.
    pub(super) fn end_drain(&mut self) {
        if self.drain.is_some() && self.hosted.all().all(|(_, executor)| executor.tasks.is_empty()) {
            self.set_drain(None);
        }
    }

    /// Ends all executors, gives up the id, and leaves then.
    pub(super) fn leave(&mut self, exit: Exit) {
        if self.leaving.is_none() {
            self.leaving = Some(exit);
            self.store_for_sure(Record::ForgetAgent);
            self.end_all(|_| true);
        }
    }

    /// Ends what does not outlive the agent, and leaves then.
    pub(super) fn stop(&mut self) {
        if self.leaving.is_none() {
            self.leaving = Some(Exit::Stopped);
            self.end_all(|checkpoint| !checkpoint);
        }
    }

    fn end_all(&mut self, ends: impl Fn(bool) -> bool) {
        let live = self.hosted.all().filter(|(_, executor)| executor.is_live() && ends(executor.checkpoint));
        let live: Vec<RunIx> = live.map(|(ix, _)| ix).collect();
        for ix in live {
            self.shut_down_run(ix, Cause::Other);
        }
        self.leave_if_done();
    }

    fn leave_if_done(&mut self) {
        let Some(exit) = &self.leaving else { return };
        let stays = |checkpoint| *exit == Exit::Stopped && checkpoint;
        let is_done = self.hosted.all().all(|(_, executor)| !executor.is_live() || stays(executor.checkpoint));
        if is_done && !self.has_left {
            self.has_left = true;
            let exit = exit.clone();
            self.emit(Effect::Exit(exit));
        }
    }

    /// Returns the state of a task that never began.
    pub(super) fn dropped(&self, ix: RunIx) -> TaskState {
        let framework = self.hosted.get(ix).and_then(|executor| self.hosted.framework(&executor.run.framework));
        framework.map_or(TaskState::Lost, |framework| super::launching::lost_or_dropped(&framework.info))
    }
}
