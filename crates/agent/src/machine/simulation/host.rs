//! [`Host`]: a machine with an agent, its disk, and processes.

use super::convert::{command, event};
use super::disk::Disk;
use crate::machine::{
    AgentMachine, ContainerEvent, ContainerId, Effect, Input, Launch, Process, Run, Settings, StreamId,
};
use apportion::delivery::{AgentMessage, Closed};
use apportion::executor::{Call, Event, Session};
use apportion::{AgentId, Command, Executor, ExecutorInfo, Reports, Time, Uuid};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::time::Duration;

/// The time that the start of a process, and then its first call, take.
const STEP: Duration = Duration::from_millis(5);

/// The time after which an executor without a stream subscribes again.
const RESUBSCRIBE: Duration = Duration::from_millis(500);

/// Creates executors.
pub struct StartExecutor(Box<Start>);

type Start = dyn FnMut(&AgentId, &ExecutorInfo) -> Option<Box<dyn Executor>> + Send;

impl StartExecutor {
    pub(super) fn new(
        start: impl FnMut(&AgentId, &ExecutorInfo) -> Option<Box<dyn Executor>> + Send + 'static,
    ) -> Self {
        Self(Box::new(start))
    }
}

impl fmt::Debug for StartExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartExecutor").finish_non_exhaustive()
    }
}

/// A machine with an agent.
#[derive(Debug)]
pub(super) struct Host {
    id: AgentId,
    settings: Settings,
    /// None while the agent is down.
    pub(super) machine: Option<AgentMachine>,
    pub(super) disk: Disk,
    pub(super) is_disk_full: bool,
    pub(super) is_cut: bool,
    has_stream: bool,
    /// The number of effects until the agent crashes.
    crashes_after: Option<u32>,
    processes: BTreeMap<ContainerId, SimulatedProcess>,
    launching: BTreeMap<ContainerId, Launch>,
    later: BTreeMap<(Time, u64), Later>,
    commands: VecDeque<Command>,
    counted: u64,
    has_exited: bool,
}

/// An executor's process. It outlives its agent, if it checkpoints.
#[derive(Debug)]
struct SimulatedProcess {
    run: Run,
    session: Session<Box<dyn Executor>>,
    process: Process,
    is_of_one_task: bool,
    checkpoint: bool,
    stream: Option<StreamId>,
    /// The UUIDs of terminal statuses that are not acknowledged.
    last: BTreeSet<Uuid>,
}

/// What happens later on a host.
#[derive(Debug, Clone)]
enum Later {
    Start(ContainerId),
    Subscribe(ContainerId),
    Wake(ContainerId),
    End(ContainerId, i32),
    FindMaster,
}

impl Host {
    pub(super) fn new(id: AgentId, settings: Settings) -> Self {
        Self {
            id,
            settings,
            machine: None,
            disk: Disk::default(),
            is_disk_full: false,
            is_cut: false,
            has_stream: false,
            crashes_after: None,
            processes: BTreeMap::new(),
            launching: BTreeMap::new(),
            later: BTreeMap::new(),
            commands: VecDeque::new(),
            counted: 0,
            has_exited: false,
        }
    }

    pub(super) fn executors(&self) -> usize {
        self.processes.len()
    }

    pub(super) fn take_commands(&mut self) -> impl Iterator<Item = Command> + '_ {
        self.commands.drain(..)
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        let later = self.later.keys().next().map(|(at, _)| *at);
        later.into_iter().chain(self.machine.as_ref().and_then(AgentMachine::poll_timeout)).min()
    }

    fn count(&mut self) -> u64 {
        self.counted += 1;
        self.counted
    }

    fn at(&mut self, at: Time, later: Later) {
        let number = self.count();
        self.later.insert((at, number), later);
    }

    /// Starts the agent, unless it runs or has left for good.
    pub(super) fn start_agent(&mut self, now: Time) {
        if self.machine.is_some() || self.has_exited {
            return;
        }
        let mut settings = self.settings.clone();
        settings.seed = self.settings.seed.wrapping_mul(1_000_003).wrapping_add(self.count());
        let machine = AgentMachine::start(now, settings, self.disk.recovered());
        self.machine = Some(machine.expect("its settings are those of before"));
        self.at(now, Later::FindMaster);
    }

    pub(super) fn crash_after(&mut self, now: Time, effects: u32) {
        if effects == 0 {
            self.crash(now);
        } else if self.machine.is_some() {
            self.crashes_after = Some(effects);
        }
    }

    fn crash(&mut self, now: Time) {
        self.machine = None;
        self.crashes_after = None;
        self.launching.clear();
        self.drop_stream();
        self.processes.retain(|_, process| process.checkpoint);
        let containers: Vec<ContainerId> = self.processes.keys().cloned().collect();
        for container in containers {
            self.lose_stream(now, &container);
        }
    }

    pub(super) fn boot(&mut self, now: Time) {
        self.processes.clear();
        self.crash(now);
        self.settings.boot_id = apportion::Text::from_display(format_args!("boot-{}", self.counted));
        self.start_agent(now);
    }

    fn drop_stream(&mut self) {
        if std::mem::replace(&mut self.has_stream, false) {
            self.commands.push_back(Command::DisconnectAgent(self.id.clone()));
        }
    }

    pub(super) fn cut(&mut self, now: Time) {
        self.is_cut = true;
        self.has_stream = false; // the master does not notice
        self.input(now, Input::MasterLost { leader_known: true });
    }

    pub(super) fn lose_master(&mut self, now: Time) {
        self.has_stream = false;
        self.input(now, Input::MasterLost { leader_known: true });
    }

    pub(super) fn kill_executor(&mut self, now: Time, number: usize) -> bool {
        let Some(container) = self.processes.keys().nth(number).cloned() else { return false };
        self.end_process(now, &container, 9);
        true
    }

    pub(super) fn break_stream(&mut self, now: Time, number: usize) -> bool {
        let Some((container, stream)) =
            self.processes.iter().nth(number).map(|(container, process)| (container.clone(), process.stream))
        else {
            return false;
        };
        self.lose_stream(now, &container);
        if let Some(stream) = stream {
            self.input(now, Input::StreamEnded(stream));
        }
        stream.is_some()
    }

    fn lose_stream(&mut self, now: Time, container: &ContainerId) {
        if let Some(process) = self.processes.get_mut(container)
            && process.stream.take().is_some()
        {
            self.at(now + RESUBSCRIBE, Later::Subscribe(container.clone()));
        }
    }

    /// Ends a process, with all that is in it.
    fn end_process(&mut self, now: Time, container: &ContainerId, status: i32) {
        if self.processes.remove(container).is_some() {
            let event = ContainerEvent::Ended { status: Some(status), limitation: None };
            self.input(now, Input::Container(container.clone(), event));
        }
    }

    pub(super) fn receive(&mut self, now: Time, message: AgentMessage) {
        // The master closes the stream before, when the agent opens the next one.
        let is_of_before = matches!(message, AgentMessage::Close(Closed::Disconnected));
        if self.is_cut || !self.has_stream || is_of_before {
            return;
        }
        match event(&self.id, message) {
            Some(event) => {
                self.input(now, Input::Master(Box::new(event)));
            }
            None => {
                self.has_stream = false;
                self.input(now, Input::MasterLost { leader_known: true });
            }
        }
    }

    /// Passes an input to the agent, if it runs. Returns false if the agent is down or refuses it.
    fn input(&mut self, now: Time, input: Input) -> bool {
        self.machine.as_mut().is_some_and(|machine| machine.handle(now, input).is_ok())
    }

    pub(super) fn advance(&mut self, now: Time, start: &mut StartExecutor) {
        if let Some(machine) = &mut self.machine {
            machine.advance(now);
        }
        self.run(now);
        while let Some(entry) = self.later.first_entry().filter(|entry| entry.key().0 <= now) {
            let later = entry.remove();
            self.happen(now, later, start);
            self.run(now);
        }
    }

    fn happen(&mut self, now: Time, later: Later, start: &mut StartExecutor) {
        match later {
            Later::FindMaster => {
                self.input(now, Input::MasterFound);
            }
            Later::Start(container) => self.start_process(now, &container, start),
            Later::Subscribe(container) => self.subscribe(now, &container),
            Later::Wake(container) => {
                let reports = self.processes.get_mut(&container).map(|process| process.session.wake(now));
                self.calls(now, &container, reports.unwrap_or_default());
            }
            Later::End(container, status) => self.end_process(now, &container, status),
        }
    }

    fn start_process(&mut self, now: Time, container: &ContainerId, start: &mut StartExecutor) {
        let Some(launch) = self.launching.remove(container) else { return };
        let info = ExecutorInfo::new(launch.run.executor.clone());
        let Some(executor) = (start.0)(&self.id, &info) else {
            let event = ContainerEvent::Failed { message: "the executor cannot be started".into() };
            self.input(now, Input::Container(container.clone(), event));
            return;
        };
        let number = self.count();
        let process = Process { pid: u32::try_from(number).unwrap_or(u32::MAX), started: now.as_micros() };
        let seed = now.as_micros() ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.settings.seed;
        let session = Session::new(launch.run.executor.clone(), executor, seed);
        let is_of_one_task = matches!(&launch.program, crate::machine::Program::BuiltIn(kind) if kind.is_of_one_task());
        let started = SimulatedProcess {
            run: launch.run,
            session,
            process,
            is_of_one_task,
            checkpoint: launch.checkpoint,
            stream: None,
            last: BTreeSet::new(),
        };
        self.processes.insert(container.clone(), started);
        self.input(now, Input::Container(container.clone(), ContainerEvent::Started(process)));
        self.at(now + STEP, Later::Subscribe(container.clone()));
    }

    /// Has an executor subscribe. It ends if its agent does not know it, and tries again later if there is none.
    fn subscribe(&mut self, now: Time, container: &ContainerId) {
        let stream = StreamId(self.count());
        let Some(process) = self.processes.get_mut(container).filter(|process| process.stream.is_none()) else {
            return;
        };
        let Some(machine) = &mut self.machine else {
            self.at(now + RESUBSCRIBE, Later::Subscribe(container.clone()));
            return;
        };
        let Call::Subscribe { tasks, updates } = process.session.subscribe() else { return };
        process.stream = Some(stream);
        let (framework, executor) = (process.run.framework.clone(), process.run.executor.clone());
        if machine.handle(now, Input::Subscribe { stream, framework, executor, tasks, updates }).is_err() {
            self.end_process(now, container, 1 << 8);
        }
    }

    /// Makes the calls of an executor. What the agent does not take is told with the next subscription.
    fn calls(&mut self, now: Time, container: &ContainerId, reports: Reports) {
        for wake in reports.wakes().to_vec() {
            self.at(wake, Later::Wake(container.clone()));
        }
        for call in reports.into_vec() {
            let Some(process) = self.processes.get_mut(container) else { return };
            if let Call::Update(status) = &call
                && status.state.is_terminal()
            {
                process.last.extend(status.uuid);
            }
            let (framework, executor) = (process.run.framework.clone(), process.run.executor.clone());
            if process.stream.is_some() && !self.input(now, Input::Call { framework, executor, call }) {
                self.lose_stream(now, container);
            }
        }
    }

    fn deliver(&mut self, now: Time, stream: StreamId, event: Event) {
        let found = self.processes.iter_mut().find(|(_, process)| process.stream == Some(stream));
        let Some((container, process)) = found else { return };
        let container = container.clone();
        let is_shutdown = event == Event::Shutdown;
        let mut is_over = false;
        if let Event::Acknowledged { uuid, .. } = &event {
            is_over = process.last.remove(uuid) && process.is_of_one_task;
        }
        let reports = process.session.receive(event, now);
        self.calls(now, &container, reports);
        if is_shutdown || is_over {
            self.at(now + STEP, Later::End(container, 0));
        }
    }

    /// Carries out what the agent asks for, until it asks for nothing more or crashes.
    pub(super) fn run(&mut self, now: Time) {
        while let Some(effect) = self.machine.as_mut().and_then(AgentMachine::poll_effect) {
            if let Some(left) = &mut self.crashes_after {
                *left -= 1;
                if *left == 0 {
                    self.crash(now);
                    return;
                }
            }
            self.carry_out(now, effect);
        }
    }

    fn carry_out(&mut self, now: Time, effect: Effect) {
        match effect {
            Effect::Connect(_) if self.is_cut => {
                self.input(now, Input::MasterLost { leader_known: true });
            }
            Effect::Connect(call) => {
                // A second stream of an agent ends the first.
                self.commands.push_back(Command::DisconnectAgent(self.id.clone()));
                self.has_stream = true;
                self.commands.extend(command(&self.id, *call));
            }
            Effect::Disconnect => {
                self.drop_stream();
                self.at(now + STEP, Later::FindMaster);
            }
            Effect::Master(call) => {
                if self.has_stream && !self.is_cut {
                    self.commands.extend(command(&self.id, *call));
                }
            }
            Effect::Executor { stream, event, .. } => self.deliver(now, stream, event),
            Effect::CloseStream(stream) => {
                let found = self.processes.iter().find(|(_, process)| process.stream == Some(stream));
                if let Some(container) = found.map(|(container, _)| container.clone()) {
                    self.lose_stream(now, &container);
                }
            }
            Effect::Launch(launch) => {
                let container = launch.run.container.clone();
                self.launching.insert(container.clone(), *launch);
                self.at(now + STEP, Later::Start(container));
            }
            Effect::Reattach { run, .. } => {
                let event = match self.processes.get(&run.container) {
                    Some(process) => ContainerEvent::Started(process.process),
                    None => ContainerEvent::Ended { status: None, limitation: None },
                };
                self.input(now, Input::Container(run.container, event));
            }
            Effect::Destroy(container) => self.destroy(now, container),
            Effect::DestroyStray(stray) => self.destroy(now, stray.run.container),
            Effect::Store(ticket, record) => {
                let result = if self.is_disk_full {
                    Err("/work/meta: no space; 0 KiB are free there".into())
                } else {
                    self.disk.write(&record);
                    Ok(())
                };
                self.input(now, Input::Stored(ticket, result));
            }
            Effect::Exit(_) => {
                self.has_exited = true;
                self.crash(now);
            }
            Effect::Resize(..) | Effect::Discard(_) | Effect::RemoveVolume(_) | Effect::Warn(_) => {}
        }
    }

    fn destroy(&mut self, now: Time, container: ContainerId) {
        self.launching.remove(&container);
        self.processes.remove(&container);
        let event = ContainerEvent::Ended { status: Some(9), limitation: None };
        self.input(now, Input::Container(container, event));
    }
}
