//! Agents that register over the network, for the first time or again, with what runs on them.

use super::Leader;
use super::remote::{RemoteAgent, Updates};
use super::streams::Open;
use crate::internal::api::Enrolment;
use crate::internal::stream::{AgentStream, agent_stream};
use crate::internal::{MasterEvent, Register, ReportedTask, Reregister};
use apportion::{
    AgentId, Capability, Command, Framework, FrameworkId, Registration, RunningExecutor, RunningTask, StatusSource,
    TaskId, TaskState, TaskStatus, Time,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// The longest time that a framework is awaited: a year.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

impl Leader {
    /// Opens the stream of an agent that registers. It says how that went.
    pub(super) fn open_agent(
        &mut self,
        at: Time,
        back: Reregister,
        enrolment: Enrolment,
        cut: Arc<Notify>,
    ) -> AgentStream {
        let id = match enrolment {
            Enrolment::New => self.new_agent_id(&back.registration),
            Enrolment::Returns => back.registration.agent_info.id.clone(),
        };
        if id.as_str().is_empty() {
            return self.refuse_agent(id, "expected the id that the agent was given");
        }
        if self.delivery.master().agent(&id).is_some() && !self.remote.agents.contains_key(&id) {
            return self.refuse_agent(id, "an agent within the master's program has this id");
        }
        self.end_former_connection(at, &id);
        let updates = self.recover_frameworks(at, &back.frameworks);
        self.drop_lost_launches(at, &id, &back.tasks);

        let stream_id = self.next_stream_id();
        let (source, stream) = agent_stream(id.clone(), stream_id, self.signals.clone());
        let Register { ip, port, nonce, .. } = back.registration;
        let mut remote = RemoteAgent::new((ip, port), nonce, stream_id, enrolment, at);
        remote.updates = updates;
        let before = self.remote.insert(id.clone(), remote, at + self.ping_interval());
        let untold = self.untold_tasks(&back.tasks);
        let unreachable = self.delivery.master().metrics().agents.unreachable;
        self.remote.streams.insert(id.clone(), Open::new(stream_id, source, cut));
        if let Err(error) = self.command(at, Command::AddAgent(registration(&id, back))) {
            self.remote.remove(&id);
            if let Some(before) = before {
                self.remote.restore(id.clone(), before);
            }
            drop(self.remote.streams.remove(&id));
            return self.refuse_agent(id, &error.to_string());
        }
        if let (Some(remote), Some(before)) = (self.remote.agents.get_mut(&id), before) {
            let master = self.delivery.master();
            remote.kills = before.kills;
            remote.kills.repeat(|framework, task| {
                master.known_task(framework, task).is_some_and(|known| known.holding.agent == id)
            });
        }
        self.gate.agents.begin_stream(stream_id, id.clone());
        tracing::info!(agent = %id, stream = %stream_id, kind = enrolment.kind(), "an agent has registered");
        // The master itself tells of tasks on an agent that was unreachable.
        if self.delivery.master().metrics().agents.unreachable == unreachable {
            self.tell_returned(at, &id, untold);
        }
        self.pump_agent(at, &id);
        stream
    }

    /// Returns a stream that says why an agent is refused, and ends.
    fn refuse_agent(&mut self, id: AgentId, reason: &str) -> AgentStream {
        tracing::warn!(agent = %id, reason, "an agent is refused");
        let (source, stream) = agent_stream(id, self.next_stream_id(), self.signals.clone());
        let event = MasterEvent::Error { message: reason.to_owned() };
        let _ = source.events.try_send(Box::new(event)); // the stream is empty
        stream
    }

    /// Returns the id of an agent that has none: one that registers once more gets the same.
    fn new_agent_id(&mut self, register: &Register) -> AgentId {
        if let Some(id) = self.remote.nonces.get(&register.nonce) {
            return id.clone();
        }
        loop {
            let id = AgentId::from(format!("{}S{}", self.delivery.master().config().id_prefix, self.remote.named));
            self.remote.named += 1;
            if self.delivery.master().agent(&id).is_none() && !self.remote.agents.contains_key(&id) {
                return id;
            }
        }
    }

    /// A second stream of an agent ends the first: that counts as broken.
    fn end_former_connection(&mut self, at: Time, id: &AgentId) {
        let open = self.end_agent_stream(id);
        if let Some(open) = &open {
            tracing::info!(agent = %id, stream = %open.id, "an agent comes over another connection: this stream ends");
        }
        if self.delivery.master().known_agent(id).is_some_and(|known| known.connected)
            && let Err(error) = self.run(at, Command::DisconnectAgent(id.clone()))
        {
            tracing::error!(agent = %id, %error, "an agent cannot be disconnected");
        }
    }

    /// Makes frameworks known that agents name and the master does not know. Returns what the agent does not know of them.
    fn recover_frameworks(&mut self, at: Time, named: &[Framework]) -> Updates {
        let mut updates = Updates::new();
        for framework in named {
            let master = self.delivery.master();
            if let Some(known) = master.known_framework(&framework.id) {
                if !known.recovered && **known.framework != *framework {
                    updates.insert(framework.id.clone(), Some(known.framework.clone()));
                }
                continue;
            }
            if master.has_removed(&framework.id) {
                updates.insert(framework.id.clone(), None);
                continue;
            }
            let own = framework.failover_timeout.unwrap_or(LONGEST).min(LONGEST);
            let timeout = own.max(self.gate.settings.agent_reregister_timeout);
            if let Err(error) = self.run(at, Command::RecoverFramework(framework.clone(), timeout)) {
                tracing::warn!(framework = %framework.id, %error, "a framework that an agent names is not known");
            }
        }
        updates
    }

    /// Ends the tasks that were launched on an agent and never came there.
    fn drop_lost_launches(&mut self, at: Time, id: &AgentId, reported: &[ReportedTask]) {
        let has: BTreeSet<_> = reported.iter().map(|task| (&task.framework_id, &task.task.id)).collect();
        let master = self.delivery.master();
        let is_lost = |framework: &FrameworkId, task: &TaskId| !has.contains(&(framework, task));
        let lost: Vec<(FrameworkId, TaskId)> = master
            .known_tasks_on(id)
            .filter(|task| is_lost(&task.holding.framework, task.id))
            .map(|task| (task.holding.framework.clone(), task.id.clone()))
            .collect();
        for (framework, task) in lost {
            self.drop_launch(at, id, framework, task, "REASON_RECONCILIATION");
        }
    }

    /// Ends a task that was launched on an agent and has not come there: one of which nothing was told yet.
    pub(super) fn drop_launch(
        &mut self,
        at: Time,
        id: &AgentId,
        framework: FrameworkId,
        task: TaskId,
        reason: &'static str,
    ) {
        let master = self.delivery.master();
        let is_launching = master
            .known_task(&framework, &task)
            .is_some_and(|known| known.state == TaskState::Staging && known.holding.agent == *id);
        if is_launching {
            let knows = |framework: &Framework| framework.has_capability(Capability::PartitionAware);
            let known = master.known_framework(&framework).is_some_and(|known| knows(known.framework));
            let state = if known { TaskState::Dropped } else { TaskState::Lost };
            let status = by_master(task, state, id, reason).message("The task never reached its agent");
            self.tell(at, framework, status);
        }
    }

    /// Returns the tasks that an agent brings and the master does not know.
    fn untold_tasks(&self, reported: &[ReportedTask]) -> Vec<(FrameworkId, TaskId, TaskState)> {
        let master = self.delivery.master();
        let is_new = |task: &&ReportedTask| {
            !task.latest_state.is_terminal() && master.known_task(&task.framework_id, &task.task.id).is_none()
        };
        let name = |task: &ReportedTask| (task.framework_id.clone(), task.task.id.clone(), task.latest_state);
        reported.iter().filter(is_new).map(name).collect()
    }

    /// Tells frameworks of tasks that an agent has brought: a master that has just started may have said that they are unknown.
    fn tell_returned(&mut self, at: Time, id: &AgentId, untold: Vec<(FrameworkId, TaskId, TaskState)>) {
        for (framework, task, state) in untold {
            let master = self.delivery.master();
            let is_connected = master.known_framework(&framework).is_some_and(|known| known.active && !known.recovered);
            let is_here = master.known_task(&framework, &task).is_some_and(|known| known.holding.agent == *id);
            if is_connected && is_here {
                self.tell(at, framework, by_master(task, state, id, "REASON_AGENT_REREGISTERED"));
            }
        }
    }

    /// Has the master tell a framework a status.
    fn tell(&mut self, at: Time, framework: FrameworkId, status: TaskStatus) {
        let task = status.task.clone();
        if let Err(error) = self.run(at, Command::TaskStatus(framework, status)) {
            tracing::warn!(%task, %error, "a status cannot be told");
        }
    }
}

/// Returns a status of the master, which is not acknowledged.
fn by_master(task: TaskId, state: TaskState, agent: &AgentId, reason: &'static str) -> TaskStatus {
    let mut status = TaskStatus::new(task, state).reason(reason);
    (status.source, status.agent) = (Some(StatusSource::Master), Some(agent.clone()));
    status
}

/// Returns the command's form of an agent that comes.
fn registration(id: &AgentId, back: Reregister) -> Registration {
    let mut agent = back.registration.agent_info;
    agent.id = id.clone();
    let mut registration = Registration::from(agent);
    registration.tasks = back.tasks.into_iter().map(running).collect();
    let executor = |reported: crate::internal::ReportedExecutor| {
        let info = reported.executor_info;
        RunningExecutor::new(info.id, reported.framework_id, info.role.unwrap_or_default(), info.resources)
    };
    registration.executors = back.executors.into_iter().map(executor).collect();
    registration
}

fn running(reported: ReportedTask) -> RunningTask {
    let ReportedTask { framework_id, task, executor_id, latest_state, .. } = reported;
    let role = task.role.clone().unwrap_or_default();
    let mut running = RunningTask::new(framework_id, role, task).state(latest_state);
    running.executor = executor_id;
    running
}
