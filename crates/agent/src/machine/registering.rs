//! The link to the master: registration, pings, and what it says about the agent itself.

use super::effect::{Effect, Exit};
use super::input::Rejected;
use super::link::{ANSWER_TIMEOUT, LinkState};
use super::message::{BroughtTask, Enrolment, FromMaster, Registered, ToMaster};
use super::record::{AgentRecord, Record};
use super::timers::Timer;
use super::{AfterStore, AgentMachine};
use apportion::{Drain, FrameworkId, Operation, RunningExecutor, Text, Uuid};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// The time after which the agent itself is stored again, if it could not be.
const STORE_RETRY: Duration = Duration::from_secs(10);

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

    /// Returns the agent as it registers.
    fn enrolment(&self) -> Enrolment {
        let (mut frameworks, mut executors, mut tasks) = (Vec::new(), Vec::new(), Vec::new());
        for framework in self.hosted.frameworks().filter(|framework| !framework.is_terminating) {
            frameworks.push(Arc::clone(&framework.info));
        }
        let told: BTreeSet<&FrameworkId> = frameworks.iter().map(|framework| &framework.id).collect();
        for (_, executor) in self.hosted.all().filter(|(_, executor)| told.contains(&executor.run.framework)) {
            let is_made = executor.kind.is_of_one_task();
            let framework = &executor.run.framework;
            if executor.is_live() && !is_made {
                let (id, role) = (executor.run.executor.clone(), executor.role.clone());
                executors.push(RunningExecutor::new(id, framework.clone(), role, executor.info.resources.clone()));
            }
            for task in executor.tasks.values().filter(|task| !task.is_stranger) {
                tasks.push(BroughtTask {
                    framework: framework.clone(),
                    role: task.task.role.clone().unwrap_or_else(|| executor.role.clone()),
                    task: task.task.clone(),
                    state: task.state,
                    sent: task.updates.last_sent(),
                    executor: (!is_made).then(|| executor.run.executor.clone()),
                });
            }
        }
        Enrolment {
            agent: self.settings.agent.clone(),
            version: self.settings.version.clone(),
            nonce: Uuid::from_seed(self.settings.seed, 0),
            frameworks,
            executors,
            tasks,
            epoch: self.epoch,
        }
    }

    pub(super) fn message(&mut self, message: FromMaster) -> Result<(), Rejected> {
        if let FromMaster::Registered(registered) = message {
            return self.registered(registered);
        }
        if let FromMaster::Shutdown { message } = message {
            self.shut_down(message); // it may be the answer to a registration
            return Ok(());
        }
        if !self.link.is_registered() {
            return Err(Rejected::NotRegistered);
        }
        match message {
            FromMaster::Registered(_) | FromMaster::Shutdown { .. } => {}
            FromMaster::Ping { seq, connected } => self.ping(seq, connected),
            FromMaster::Run { framework, role, task } => return self.run(&framework, &role, vec![task], false),
            FromMaster::RunGroup { framework, role, tasks } => return self.run(&framework, &role, tasks, true),
            FromMaster::Kill { framework, task, grace } => self.kill(&framework, &task, grace),
            FromMaster::ShutdownExecutor { framework, executor } => {
                if let Some(ix) = self.hosted.live(&framework, &executor) {
                    self.shut_down_run(ix, super::hosted::Cause::Other);
                }
            }
            FromMaster::ShutdownFramework(framework) => self.shut_down_framework(&framework),
            FromMaster::Message { framework, executor, data } => self.pass_message(&framework, &executor, data),
            FromMaster::UpdateFramework(framework) => {
                if self.hosted.framework(&framework.id).is_some() {
                    self.update_framework(&framework);
                }
            }
            FromMaster::Acknowledge { framework, task, uuid } => self.acknowledge(&framework, &task, &uuid),
            FromMaster::Operation(operation) => self.operate(&operation),
            FromMaster::Drain(drain) => self.set_drain(Some(drain)),
        }
        Ok(())
    }

    fn registered(&mut self, registered: Registered) -> Result<(), Rejected> {
        registered.agent.check()?;
        if self.link.state != LinkState::Registering || self.leaving.is_some() {
            return Ok(());
        }
        self.link.succeeded();
        let is_new = *self.id() != registered.agent;
        let is_later = registered.epoch > self.epoch;
        self.settings.agent.id = registered.agent;
        self.epoch = self.epoch.max(registered.epoch);
        self.set_link(LinkState::Registered(registered.ping_timeout), Some(registered.ping_timeout));
        if is_new || is_later {
            self.store_agent();
        }
        for framework in registered.completed {
            self.shut_down_framework(&framework);
        }
        for (framework, task) in registered.ends {
            self.kill(&framework, &task, None);
        }
        self.send_all_anew();
        Ok(())
    }

    fn ping(&mut self, seq: u64, connected: bool) {
        if connected {
            if let LinkState::Registered(timeout) = self.link.state {
                self.set_link(self.link.state, Some(timeout));
            }
            self.emit(Effect::Master(ToMaster::Pong { seq }));
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

    pub(super) fn agent_not_stored(&mut self, error: &Text) {
        self.emit(Effect::Warn(format!("the agent itself is not stored: {error}")));
        self.timers.cancel(&mut self.store_agent);
        self.store_agent = Some(self.timers.set(self.now + STORE_RETRY, Timer::StoreAgent));
    }

    /// Keeps the result of an operation. One that cannot be done was done before: it is repeated after a broken stream.
    fn operate(&mut self, operation: &Operation) {
        let Ok(conversion) = operation.conversion(None) else { return };
        let agent = &self.settings.agent;
        let left = agent.resources.checked_sub(&conversion.consumed);
        let Some(resources) = left.ok().and_then(|left| left.checked_add(&conversion.converted).ok()) else { return };
        if resources != agent.resources {
            self.settings.agent.resources = resources;
            self.checkpointed = super::reservations::checkpointed(&self.settings.agent.resources);
            self.store_agent();
        }
    }

    pub(super) fn set_drain(&mut self, drain: Option<Drain>) {
        if self.drain != drain {
            self.drain = drain;
            self.store_agent();
        }
    }

    /// Ends all, forgets the id and leaves.
    fn shut_down(&mut self, message: Text) {
        self.leave(Exit::ShutDown(message));
    }

    pub(super) fn unregister(&mut self) {
        if self.link.is_registered() {
            self.emit(Effect::Master(ToMaster::Unregister));
        }
        self.leave(Exit::Unregistered);
    }
}
