//! An agent's machine in the hands of a test, which plays the master, the executors, the containers and the disk.

use apportion::executor::{Call, Event};
use apportion::{
    Agent, Capability, ExecutorInfo, Framework, FrameworkId, Json, Role, Task, TaskId, TaskState, TaskStatus, Time,
    Uuid,
};
use apportion_agent::machine::simulation::Disk;
use apportion_agent::machine::{
    AgentMachine, ContainerEvent, ContainerId, Effect, Exit, Input, Launch, Process, Record, Rejected, Run, Settings,
    StreamId, Ticket,
};
use apportion_http::internal::{AgentCall, MasterEvent, Reregister, Welcome};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// An agent and what has come out of it.
pub(crate) struct Rig {
    pub(crate) settings: Settings,
    pub(crate) agent: AgentMachine,
    pub(crate) at: Time,
    pub(crate) disk: Disk,
    /// False has all stores fail.
    pub(crate) disk_works: bool,
    pub(crate) calls: Vec<AgentCall>,
    pub(crate) events: Vec<(StreamId, Event)>,
    pub(crate) launches: Vec<Launch>,
    pub(crate) reattached: Vec<(Run, Option<Process>)>,
    pub(crate) strays: Vec<Run>,
    pub(crate) destroyed: Vec<ContainerId>,
    pub(crate) discarded: Vec<PathBuf>,
    pub(crate) records: Vec<Record>,
    pub(crate) warnings: Vec<String>,
    pub(crate) disconnects: usize,
    pub(crate) exit: Option<Exit>,
    streams: u64,
    drawn: u64,
    /// UUIDs of the statuses that were stored before they were acknowledged to their executor.
    stored: Vec<Uuid>,
}

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) fn settings() -> Settings {
    let mut settings = Settings::new(Agent::new("", "cpus:8;mem:8192;disk:1000".parse().unwrap()).hostname("h1"), "/w");
    settings.boot_id = "boot-1".into();
    settings.seed = 1;
    settings
}

/// A framework that checkpoints and understands all states of tasks.
pub(crate) fn framework() -> Framework {
    let framework = Framework::new("f1").role(Role::default()).checkpoint();
    framework.capability(Capability::PartitionAware).capability(Capability::TaskKillingState)
}

pub(crate) fn command(id: &str) -> Task {
    let mut task = Task::new(id, "cpus:1;mem:64".parse().unwrap());
    task.role = Some(Role::default());
    task.detail("command", Json::object([("value", "sleep 10")]))
}

pub(crate) fn custom(id: &str, executor: &str) -> Task {
    let mut task = Task::new(id, "cpus:1;mem:64".parse().unwrap());
    task.role = Some(Role::default());
    let mut info = ExecutorInfo::new(executor).detail("command", Json::object([("value", "./run")]));
    info.resources = "cpus:0.5".parse().unwrap();
    task.detail("executor", info)
}

pub(crate) fn welcome(epoch: u64) -> Welcome {
    Welcome::new("a1", epoch, secs(15), 5)
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(settings(), Disk::default())
    }

    pub(crate) fn with(settings: Settings, disk: Disk) -> Self {
        let agent = AgentMachine::start(Time::from_secs(1_000), settings.clone(), disk.recovered()).unwrap();
        let mut rig = Self {
            settings,
            agent,
            at: Time::from_secs(1_000),
            disk,
            disk_works: true,
            calls: Vec::new(),
            events: Vec::new(),
            launches: Vec::new(),
            reattached: Vec::new(),
            strays: Vec::new(),
            destroyed: Vec::new(),
            discarded: Vec::new(),
            records: Vec::new(),
            warnings: Vec::new(),
            disconnects: 0,
            exit: None,
            streams: 0,
            drawn: 0,
            stored: Vec::new(),
        };
        rig.pump();
        rig
    }

    /// An agent that is registered.
    pub(crate) fn registered() -> Self {
        let mut rig = Self::new();
        rig.register();
        rig
    }

    pub(crate) fn register(&mut self) {
        self.input(Input::MasterFound);
        let event = match self.registration() {
            AgentCall::Register(_) => MasterEvent::Registered(welcome(1)),
            _ => MasterEvent::Reregistered(welcome(1)),
        };
        self.master(event);
    }

    /// What the agent registers with after a broken stream.
    pub(crate) fn reregisters(&mut self) -> Reregister {
        self.input(Input::MasterLost { leader_known: true });
        match self.registration() {
            AgentCall::Reregister(call) => *call,
            other => panic!("{other:?}"),
        }
    }

    /// Waits for the call that registers the agent, and takes it.
    pub(crate) fn registration(&mut self) -> AgentCall {
        let is_registration = |call: &AgentCall| matches!(call, AgentCall::Register(_) | AgentCall::Reregister(_));
        for _ in 0..1_000 {
            if let Some(found) = self.calls.iter().position(is_registration) {
                return self.calls.remove(found);
            }
            let next = self.agent.poll_timeout().expect("a time to register");
            self.wait(next.since(self.at));
        }
        panic!("no registration");
    }

    /// Kills the agent and starts it again: all that is not stored is lost.
    pub(crate) fn restart(&mut self) {
        let mut settings = self.settings.clone();
        settings.seed += 1;
        self.restart_as(settings);
    }

    pub(crate) fn restart_as(&mut self, settings: Settings) {
        let (at, streams, drawn) = (self.at, self.streams, self.drawn);
        let stored = std::mem::take(&mut self.stored);
        *self = Self::with(settings, self.disk.clone());
        (self.at, self.streams, self.drawn, self.stored) = (self.at.max(at), streams, drawn, stored);
    }

    pub(crate) fn try_input(&mut self, input: Input) -> Result<(), Rejected> {
        let result = self.agent.handle(self.at, input);
        self.pump();
        result
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.try_input(input).unwrap();
    }

    pub(crate) fn master(&mut self, event: MasterEvent) {
        self.input(Input::Master(Box::new(event)));
    }

    pub(crate) fn run(&mut self, framework: Framework, task: Task) {
        self.master(MasterEvent::Run { framework_info: framework, task });
    }

    pub(crate) fn kill(&mut self, task: &str) {
        self.master(MasterEvent::Kill { framework_id: "f1".into(), task_id: task.into(), grace_period: None });
    }

    pub(crate) fn wait(&mut self, span: Duration) {
        let end = self.at + span;
        while let Some(next) = self.agent.poll_timeout().filter(|next| *next <= end) {
            self.at = self.at.max(next);
            self.agent.advance(self.at);
            self.pump();
        }
        self.at = end;
        self.agent.advance(end);
        self.pump();
    }

    /// Waits while the master sends its pings.
    pub(crate) fn wait_with_pings(&mut self, span: Duration) {
        let end = self.at + span;
        while self.at < end {
            self.wait(end.since(self.at).min(secs(15)));
            self.master(MasterEvent::Ping { seq: 1, connected: true });
            self.calls.retain(|call| !matches!(call, AgentCall::Pong { .. }));
        }
    }

    pub(crate) fn container(&mut self, event: ContainerEvent) {
        let container = self.launches.last().expect("a launch").run.container.clone();
        self.input(Input::Container(container, event));
    }

    pub(crate) fn ended(&mut self, container: ContainerId, status: i32) {
        self.input(Input::Container(container, ContainerEvent::Ended { status: Some(status), limitation: None }));
    }

    /// The last launch starts its process.
    pub(crate) fn started(&mut self) {
        self.container(ContainerEvent::Started(Process { pid: 100, started: 7 }));
    }

    pub(crate) fn subscribe(&mut self, executor: &str) -> StreamId {
        self.resubscribe(executor, Vec::new(), Vec::new())
    }

    pub(crate) fn resubscribe(&mut self, executor: &str, tasks: Vec<Task>, updates: Vec<TaskStatus>) -> StreamId {
        self.streams += 1;
        let stream = StreamId(self.streams);
        let (framework, executor) = ("f1".into(), executor.into());
        self.input(Input::Subscribe { stream, framework, executor, tasks, updates });
        stream
    }

    /// A task of a command that runs, with its executor's id the same.
    pub(crate) fn running(&mut self, task: &str) -> StreamId {
        self.run(framework(), command(task));
        self.started();
        let stream = self.subscribe(task);
        let uuid = self.update(task, task, TaskState::Running);
        self.acknowledge(task, uuid);
        stream
    }

    pub(crate) fn status(&mut self, task: &str, state: TaskState) -> TaskStatus {
        self.drawn += 1;
        let mut status = TaskStatus::new(task, state);
        status.uuid = Some(Uuid::from_seed(99, self.streams * 1_000 + self.drawn));
        status
    }

    pub(crate) fn update(&mut self, executor: &str, task: &str, state: TaskState) -> Uuid {
        let status = self.status(task, state);
        let uuid = status.uuid.unwrap();
        self.call(executor, Call::Update(Box::new(status))).unwrap();
        uuid
    }

    pub(crate) fn call(&mut self, executor: &str, call: Call) -> Result<(), Rejected> {
        self.try_input(Input::Call { framework: "f1".into(), executor: executor.into(), call })
    }

    pub(crate) fn acknowledge(&mut self, task: &str, uuid: Uuid) {
        self.master(MasterEvent::Acknowledge { framework_id: "f1".into(), task_id: task.into(), uuid });
    }

    /// Acknowledges all that is in flight until nothing is.
    pub(crate) fn acknowledge_all(&mut self) {
        loop {
            let statuses = self.take_statuses();
            if statuses.is_empty() {
                return;
            }
            for status in statuses {
                self.acknowledge(status.task.as_str(), status.uuid.unwrap());
            }
        }
    }

    /// Takes the statuses that the master has got.
    pub(crate) fn take_statuses(&mut self) -> Vec<TaskStatus> {
        let mut statuses = Vec::new();
        self.calls.retain(|call| match call {
            AgentCall::StatusUpdate { status, .. } => {
                statuses.push(status.clone());
                false
            }
            _ => true,
        });
        statuses
    }

    /// Takes them as task, state and reason.
    pub(crate) fn take_states(&mut self) -> Vec<(String, TaskState, String)> {
        let statuses = self.take_statuses().into_iter();
        let reason = |status: &TaskStatus| status.reason.as_ref().map(ToString::to_string).unwrap_or_default();
        statuses.map(|status| (status.task.to_string(), status.state, reason(&status))).collect()
    }

    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events).into_iter().map(|(_, event)| event).collect()
    }

    pub(crate) fn kinds(&mut self) -> Vec<&'static str> {
        self.take_events().iter().map(Event::kind).collect()
    }

    pub(crate) fn last_container(&self) -> ContainerId {
        self.launches.last().expect("a launch").run.container.clone()
    }

    /// Returns the live tasks by framework.
    pub(crate) fn tasks(&self) -> BTreeMap<(FrameworkId, TaskId), TaskState> {
        let views = self.agent.frameworks().flat_map(|view| view.executors);
        let tasks = views.flat_map(|executor| {
            executor.tasks.values().map(|task| ((executor.run.framework.clone(), task.task.id.clone()), task.state))
        });
        tasks.collect()
    }

    fn pump(&mut self) {
        while let Some(effect) = self.agent.poll_effect() {
            match effect {
                Effect::Connect(call) | Effect::Master(call) => self.calls.push(*call),
                Effect::Disconnect => self.disconnects += 1,
                Effect::Executor { stream, event, .. } => {
                    if let Event::Acknowledged { uuid, .. } = &event
                        && self.agent.frameworks().any(|view| view.info.checkpoint)
                    {
                        assert!(self.stored.contains(uuid), "{uuid} is acknowledged before it is stored");
                    }
                    self.events.push((stream, event));
                }
                Effect::CloseStream(_) | Effect::Resize(..) => {}
                Effect::Launch(launch) => self.launches.push(*launch),
                Effect::Reattach { run, process, .. } => self.reattached.push((run, process)),
                Effect::DestroyStray(stray) => self.strays.push(stray.run),
                Effect::Destroy(container) => self.destroyed.push(container),
                Effect::Store(ticket, record) => self.store(ticket, record),
                Effect::Discard(folder) | Effect::RemoveVolume(folder) => self.discarded.push(folder),
                Effect::Warn(warning) => self.warnings.push(warning),
                Effect::Exit(exit) => self.exit = Some(exit),
                other => panic!("{other:?}"),
            }
        }
    }

    fn store(&mut self, ticket: Ticket, record: Record) {
        let result = if self.disk_works {
            if let Record::Update(_, status) = &record {
                self.stored.extend(status.uuid);
            }
            self.disk.write(&record);
            self.records.push(record);
            Ok(())
        } else {
            Err("/w/meta: No space left on device (os error 28); 0 KiB are free there".into())
        };
        self.agent.handle(self.at, Input::Stored(ticket, result)).unwrap();
    }
}

impl Rig {
    /// The master answers the registration that was just taken.
    pub(crate) fn register_answer(&mut self) {
        self.master(MasterEvent::Reregistered(welcome(1)));
    }
}
