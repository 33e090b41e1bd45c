//! The link to the master: registration, pings, and what it says about the agent itself.

use super::effect::{Effect, Exit};
use super::hosted::Cause;
use super::input::Rejected;
use super::link::{ANSWER_TIMEOUT, LinkState};
use super::record::{AgentRecord, Record};
use super::timers::Timer;
use super::{AfterStore, AgentMachine, STORE_RETRY};
use crate::volumes::Volume;
use apportion::{Drain, Framework, FrameworkId, Operation, Resources, Text, Uuid};
use apportion_http::internal::{AgentCall, MasterEvent, Register, ReportedExecutor, ReportedTask, Reregister, Welcome};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

impl AgentMachine {
    pub(super) fn master_found(&mut self) {
        match self.link.state {
            LinkState::Searching if self.leaving.is_none() => self.wait_to_register(),
            LinkState::Searching | LinkState::Waiting | LinkState::Registering | LinkState::Registered(_) => {}
        }
    }

    pub(super) fn master_lost(&mut self, leader_known: bool) {
        self.set_link(LinkState::Searching, None);
        if leader_known && self.leaving.is_none() {
            self.wait_to_register();
        }
    }

    fn wait_to_register(&mut self) {
        let bytes = self.draw();
        let draw = bytes.as_bytes()[8..].iter().fold(0, |number, byte| (number << 8) | u64::from(*byte));
        let at = self.link.next_attempt(self.now, draw);
        self.set_link(LinkState::Waiting, Some(at.since(self.now)));
    }

    /// Changes the state of the link, which ends unless something happens within that time.
    fn set_link(&mut self, state: LinkState, lasts: Option<Duration>) {
        self.timers.cancel(&mut self.link.timer);
        self.link.state = state;
        self.link.timer = lasts.map(|lasts| self.timers.set(self.now + lasts, Timer::Link));
    }

    pub(super) fn link_timer(&mut self) {
        match self.link.state {
            LinkState::Searching => {}
            LinkState::Waiting => {
                self.set_link(LinkState::Registering, Some(ANSWER_TIMEOUT));
                let enrolment = self.enrolment();
                self.emit(Effect::Connect(Box::new(enrolment)));
            }
            LinkState::Registering => {
                self.emit(Effect::Warn(format!("no master has answered within {} s", ANSWER_TIMEOUT.as_secs())));
                self.give_up_master();
            }
            LinkState::Registered(timeout) => {
                self.emit(Effect::Warn(format!("no ping of the master for {} s", timeout.as_secs_f64())));
                self.give_up_master();
            }
        }
    }

    fn give_up_master(&mut self) {
        self.set_link(LinkState::Searching, None);
        self.emit(Effect::Disconnect);
    }

    /// Returns the call that registers the agent.
    fn enrolment(&self) -> AgentCall {
        let nonce = Uuid::from_seed(self.settings.seed, 0);
        let registration = Register::new(self.settings.agent.clone(), self.settings.address, nonce);
        if self.id().as_str().is_empty() {
            return AgentCall::Register(Box::new(registration));
        }
        let mut call = Reregister::new(registration);
        call.epoch = self.epoch;
        for framework in self.hosted.frameworks().filter(|framework| !framework.is_terminating) {
            call.frameworks.push(Framework::clone(&framework.info));
        }
        for (_, executor) in self.hosted.all() {
            let id = &executor.run.framework;
            if self.hosted.framework(id).is_some_and(|framework| framework.is_terminating) {
                continue;
            }
            let is_made = executor.kind.is_of_one_task();
            if executor.is_live() && !is_made {
                let mut info = executor.info.clone();
                info.role.get_or_insert_with(|| executor.role.clone());
                call.executors.push(ReportedExecutor::new(id.clone(), info));
            }
            for task in executor.tasks.values().filter(|task| !task.is_stranger) {
                let mut reported = ReportedTask::new(id.clone(), task.task.clone(), task.state);
                reported.executor_id = (!is_made).then(|| executor.run.executor.clone());
                reported.status_update_state = task.updates.last_sent().map(|(state, _)| state);
                reported.status_update_uuid = task.updates.last_sent().map(|(_, uuid)| uuid);
                call.tasks.push(reported);
            }
        }
        AgentCall::Reregister(Box::new(call))
    }

    pub(super) fn event(&mut self, event: MasterEvent) -> Result<(), Rejected> {
        match event {
            MasterEvent::Registered(welcome) | MasterEvent::Reregistered(welcome) => return self.registered(welcome),
            // These may answer a registration.
            MasterEvent::Shutdown { message } => {
                self.leave(Exit::ShutDown(message.into()));
                return Ok(());
            }
            MasterEvent::Error { message } => {
                self.emit(Effect::Warn(format!("the master has refused the agent: {message}")));
                return Ok(()); // the end of the stream follows
            }
            _ if !self.link.is_registered() => return Err(Rejected::NotRegistered),
            MasterEvent::Ping { seq, connected } => self.ping(seq, connected),
            MasterEvent::Run { framework_info, task } => return self.run(framework_info, vec![task], false),
            MasterEvent::RunGroup { framework_info, tasks } => return self.run(framework_info, tasks, true),
            MasterEvent::Kill { framework_id, task_id, grace_period } => {
                self.kill(&framework_id, &task_id, grace_period);
            }
            MasterEvent::ShutdownExecutor { framework_id, executor_id } => {
                if let Some(ix) = self.hosted.live(&framework_id, &executor_id) {
                    self.shut_down_run(ix, Cause::Other);
                }
            }
            MasterEvent::ShutdownFramework { framework_id } => self.shut_down_framework(&framework_id),
            MasterEvent::Message { framework_id, executor_id, data } => {
                self.pass_message(&framework_id, &executor_id, data);
            }
            MasterEvent::UpdateFramework { framework_info } => {
                if self.hosted.framework(&framework_info.id).is_some() {
                    self.update_framework(framework_info);
                }
            }
            MasterEvent::Acknowledge { framework_id, task_id, uuid } => {
                self.acknowledge(&framework_id, &task_id, &uuid);
            }
            MasterEvent::ApplyOperation { operation, .. } => self.operate(&operation),
            MasterEvent::Drain(drain) => {
                self.set_drain(Some(drain));
                self.end_drain(); // an agent without tasks is drained: it may be reactivated, of which it does not hear
            }
            _ => self.emit(Effect::Warn("an event of the master is not known to this agent".to_owned())),
        }
        Ok(())
    }

    /// Sends a call of the stream.
    pub(super) fn tell_master(&mut self, call: AgentCall) {
        self.emit(Effect::Master(Box::new(call)));
    }

    fn registered(&mut self, welcome: Welcome) -> Result<(), Rejected> {
        welcome.agent_id.check()?;
        if self.link.state != LinkState::Registering || self.leaving.is_some() {
            return Ok(());
        }
        self.link.succeeded();
        let limit = welcome.ping_limit();
        let (is_new, is_later) = (*self.id() != welcome.agent_id, welcome.epoch > self.epoch);
        self.settings.agent.id = welcome.agent_id;
        self.epoch = self.epoch.max(welcome.epoch);
        self.set_link(LinkState::Registered(limit), Some(limit));
        if is_new || is_later {
            self.store_agent();
        }
        self.send_all_anew();
        Ok(())
    }

    fn ping(&mut self, seq: u64, connected: bool) {
        if connected {
            if let LinkState::Registered(timeout) = self.link.state {
                self.set_link(self.link.state, Some(timeout));
            }
            self.tell_master(AgentCall::Pong { seq });
        } else {
            self.give_up_master();
        }
    }

    pub(super) fn store_agent(&mut self) {
        self.timers.cancel(&mut self.store_agent);
        if self.leaving.is_some() || self.id().as_str().is_empty() {
            return;
        }
        let mut agent = self.settings.agent.clone();
        agent.resources = self.given.clone();
        let record = AgentRecord {
            checkpointed: self.checkpointed.clone(),
            drain: self.drain,
            epoch: self.epoch,
            ..AgentRecord::new(agent, self.settings.boot_id.clone())
        };
        self.store(Record::Agent(Box::new(record)), AfterStore::Agent);
    }

    /// Notes that a framework could not be stored. It is tried again with its next task.
    pub(super) fn framework_not_stored(&mut self, id: &FrameworkId, error: &Text) {
        self.emit(Effect::Warn(format!("framework {id} is not stored: {error}")));
        if let Some(framework) = self.hosted.framework_mut(id) {
            framework.is_stored = false;
        }
    }

    pub(super) fn agent_not_stored(&mut self, error: &Text) {
        self.emit(Effect::Warn(format!("the agent itself is not stored: {error}")));
        self.timers.cancel(&mut self.store_agent);
        self.store_agent = Some(self.timers.set(self.now + STORE_RETRY, Timer::StoreAgent));
    }

    /// Keeps the result of an operation. If that is not possible, the master is told the resources as they are.
    fn operate(&mut self, operation: &Operation) {
        let agent = &self.settings.agent;
        let resources = operation.conversion(None).ok().and_then(|conversion| {
            let left = agent.resources.checked_sub(&conversion.consumed).ok()?;
            left.checked_add(&conversion.converted).ok()
        });
        let Some(resources) = resources else {
            let resources = agent.resources.clone();
            self.emit(Effect::Warn(format!("the operation {} cannot be kept", operation.name())));
            self.tell_master(AgentCall::UpdateResources { resources });
            return;
        };
        if resources != agent.resources {
            let folders = |resources: &Resources| -> BTreeSet<PathBuf> {
                Volume::all(resources, &self.settings.work_dir).into_iter().map(|volume| volume.folder).collect()
            };
            let changed: Vec<PathBuf> =
                folders(&agent.resources).symmetric_difference(&folders(&resources)).cloned().collect();
            self.settings.agent.resources = resources;
            self.checkpointed = super::reservations::checkpointed(&self.settings.agent.resources);
            self.store_agent();
            changed.into_iter().for_each(|folder| self.emit(Effect::RemoveVolume(folder)));
        }
    }

    pub(super) fn set_drain(&mut self, drain: Option<Drain>) {
        if self.drain != drain {
            self.drain = drain;
            self.store_agent();
        }
    }

    pub(super) fn unregister(&mut self) {
        if self.link.is_registered() {
            self.tell_master(AgentCall::Unregister);
        }
        self.leave(Exit::Unregistered);
    }
}
