//! The agent as a state machine: [`Input`]s in, [`Effect`]s out. It reads no clock and does no I/O.
//!
//! ```text
//!     master    --- MasterEvent --------->              --- Connect, Master --------------> master
//!     executors --- Subscribe, Call ----->    agent's   --- Executor ---------------------> executors
//!     containers --- ContainerEvent ----->    machine   --- Launch, Reattach, Destroy ----> containers
//!     disk      --- Recovered, Stored --->              --- Store, Discard ---------------> disk
//! ```
//!
//! ```
//! use apportion::{Agent, Framework, Role, Task, Time};
//! use apportion_agent::machine::{AgentMachine, Effect, Input, Recovered, Settings};
//! use apportion_http::internal::{MasterEvent, Welcome};
//! use std::time::Duration;
//!
//! let settings = Settings::new(Agent::new("", "cpus:4;mem:4096".parse()?).hostname("node-1"), "/var/lib/mesos");
//! let mut agent = AgentMachine::start(Time::ZERO, settings, Recovered::default())?;
//!
//! // It registers as soon as it is known which master leads: after a random wait of up to a second.
//! agent.handle(Time::ZERO, Input::MasterFound)?;
//! let registers_at = agent.poll_timeout().expect("a time to register");
//! agent.advance(registers_at);
//! assert!(matches!(agent.poll_effect(), Some(Effect::Connect(_))));
//! let welcome = Welcome::new("a1", 1, Duration::from_secs(15), 5);
//! agent.handle(registers_at, Input::Master(Box::new(MasterEvent::Registered(welcome))))?;
//!
//! // A task of a command is run by an executor that the agent makes for it.
//! let task = Task::new("t1", "cpus:1".parse()?).detail("command", serde_json::json!({"value": "sleep 10"}));
//! let run = MasterEvent::Run { framework_info: Framework::new("f1").role(Role::default()), task };
//! agent.handle(registers_at, Input::Master(Box::new(run)))?;
//! let launch = std::iter::from_fn(|| agent.poll_effect()).find_map(|effect| match effect {
//!     Effect::Launch(launch) => Some(launch),
//!     _ => None,
//! });
//! assert_eq!(launch.expect("a container").run.executor.as_str(), "t1");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What is promised to a framework that checkpoints is stored first: a task before it is handed to its executor, a status before the
//! executor is told that it need not send it again. So an agent that is started again goes on where it was.

mod describe;
mod effect;
mod ending;
mod hosted;
mod input;
mod launching;
mod link;
mod record;
mod recovery;
mod registering;
mod reservations;
mod settings;
pub mod simulation;
mod statuses;
mod subscribing;
mod timers;
mod updates;

pub use effect::{Effect, Exit, FetchUri, Launch, Program};
pub use hosted::{HostedExecutor, HostedTask, Phase, Stage};
pub use input::{ContainerEvent, Input, Limitation, Rejected, StreamId, Ticket};
pub use record::{
    AgentRecord, ContainerId, ExecutorKind, ExecutorRecord, Process, Record, Recovered, RecoveredFramework,
    RecoveredRun, RecoveredTask, Run, Stray,
};
pub use recovery::{Difference, Incompatible};
pub use settings::{Containerizer, ReconfigurationPolicy, Recover, Settings};

use apportion::{AgentId, Drain, Framework, FrameworkId, Resources, TaskId, Text, Time, Uuid};
use hosted::{Hosted, HostedFramework, RunIx};
use link::Link;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use timers::{Timer, TimerKey, Timers};

/// The time after which a record is written again that could not be.
const STORE_RETRY: Duration = Duration::from_secs(10);

/// The most records that wait to be written again.
const MAX_UNSTORED: usize = 4_096;

/// An agent as a state machine; see the [module](self).
///
/// The loop around it passes inputs to [`handle`](Self::handle), carries out what [`poll_effect`](Self::poll_effect) returns, and
/// calls [`advance`](Self::advance) when [`poll_timeout`](Self::poll_timeout) says so.
#[derive(Debug)]
pub struct AgentMachine {
    settings: Settings,
    /// The resources that operations have made; those of the agent's settings contain them.
    checkpointed: Resources,
    /// The resources as they were given, without operations.
    given: Resources,
    drain: Option<Drain>,
    epoch: u64,
    link: Link,
    hosted: Hosted,
    /// Runs that are being ended and that nobody hears of, and whether they are of this agent.
    strays: BTreeMap<ContainerId, (Run, bool)>,
    timers: Timers,
    store_agent: Option<TimerKey>,
    /// Records that could not be written and will be tried again.
    unstored: VecDeque<Record>,
    effects: VecDeque<Effect>,
    /// What goes on when a record is stored.
    stores: BTreeMap<Ticket, AfterStore>,
    tickets: u64,
    /// Set when the agent is to end, once its executors have.
    leaving: Option<Exit>,
    has_left: bool,
    now: Time,
    drawn: u64,
}

/// What goes on when a record is stored.
#[derive(Debug, Clone, PartialEq)]
enum AfterStore {
    /// The launch of a run.
    Launch(RunIx),
    /// The launch of a task.
    Task(RunIx, TaskId),
    /// A status.
    Status(RunIx, TaskId),
    /// A framework.
    Framework(FrameworkId),
    /// The agent itself.
    Agent,
    /// Nothing, but the record is tried again if it cannot be written.
    Again(Box<Record>),
    /// Nothing.
    Nothing,
}

/// A framework of an agent, with its executors.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FrameworkView<'a> {
    /// The framework.
    pub info: &'a Arc<Framework>,
    /// Its executors that run, or that have statuses which are not acknowledged, in order of launching.
    pub executors: Vec<&'a HostedExecutor>,
    /// The latest of its completed executors, in order of completion.
    pub completed_executors: Vec<&'a HostedExecutor>,
}

impl AgentMachine {
    /// Handles an input. Timers that are due up to `at` fire first, in order of time; a time before that of an earlier input counts
    /// as that one.
    ///
    /// # Errors
    ///
    /// [`Rejected`] when the input is refused: it has changed nothing, but that due timers have fired.
    pub fn handle(&mut self, at: Time, input: Input) -> Result<(), Rejected> {
        self.advance(at);
        if self.has_left {
            return Ok(());
        }
        match input {
            Input::MasterFound => self.master_found(),
            Input::MasterLost { leader_known } => self.master_lost(leader_known),
            Input::Master(event) => return self.event(*event),
            Input::Subscribe { stream, framework, executor, tasks, updates } => {
                return self.subscribe(stream, framework, executor, tasks, updates);
            }
            Input::Call { framework, executor, call } => return self.call(framework, executor, call),
            Input::StreamEnded(stream) => {
                if let Some(ix) = self.hosted.of_stream(stream) {
                    self.hosted.set_stream(ix, None);
                }
            }
            Input::Container(container, event) => return self.container_event(container, event),
            Input::Stored(ticket, result) => return self.stored(ticket, result),
            Input::Unregister => self.unregister(),
            Input::Stop => self.stop(),
        }
        Ok(())
    }

    /// Has all timers fire that are due up to `at`.
    pub fn advance(&mut self, at: Time) {
        while let Some((due, timer)) = self.timers.pop(at) {
            self.now = self.now.max(due);
            match timer {
                Timer::Link => self.link_timer(),
                Timer::Run(ix) => self.run_timer(ix),
                Timer::Resend(ix, task) => self.resend(ix, &task),
                Timer::StoreAgain(ix, task) => self.store_next(ix, &task),
                Timer::StoreAgent => self.store_agent(),
                Timer::StoreUnstored => self.store_unstored(),
            }
        }
        self.now = self.now.max(at);
    }

    /// Removes and returns the next effect, in order of their coming.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Returns the time of the next timer, for [`advance`](Self::advance).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.next()
    }

    /// Returns the agent as it is now: with its id, once it has one, and with what operations have made of its resources.
    #[must_use]
    pub fn agent(&self) -> &apportion::Agent {
        &self.settings.agent
    }

    /// Returns whether the agent is registered with a master, and has a stream to it.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        self.link.is_registered()
    }

    /// Returns how the agent drains, if it does.
    #[must_use]
    pub fn drain(&self) -> Option<Drain> {
        self.drain
    }

    /// Returns the frameworks that have executors or unacknowledged statuses here, in order of coming.
    pub fn frameworks(&self) -> impl Iterator<Item = FrameworkView<'_>> {
        self.hosted.frameworks().map(|framework| self.view(framework))
    }

    /// Returns the latest of the completed frameworks, in order of completion.
    pub fn completed_frameworks(&self) -> impl Iterator<Item = FrameworkView<'_>> {
        self.hosted.completed().map(|framework| self.view(framework))
    }

    /// Returns the executors whose container is not gone, in order of launching.
    pub fn executors(&self) -> impl Iterator<Item = &HostedExecutor> {
        self.hosted.all().map(|(_, executor)| executor).filter(|executor| executor.is_live())
    }

    fn view<'a>(&'a self, framework: &'a HostedFramework) -> FrameworkView<'a> {
        let (executors, completed) = self.hosted.executors_of(framework);
        let (executors, completed_executors) = (executors.collect(), completed.collect());
        FrameworkView { info: &framework.info, executors, completed_executors }
    }

    fn emit(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    /// Has a record written.
    fn store(&mut self, record: Record, then: AfterStore) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.stores.insert(ticket, then);
        self.emit(Effect::Store(ticket, record));
        ticket
    }

    /// Has a record written, again and again if need be.
    fn store_for_sure(&mut self, record: Record) {
        self.store(record.clone(), AfterStore::Again(Box::new(record)));
    }

    fn not_stored(&mut self, record: Record, error: &Text) {
        self.emit(Effect::Warn(format!("a record is not stored, and will be again: {error}")));
        if self.unstored.is_empty() {
            self.timers.set(self.now + STORE_RETRY, Timer::StoreUnstored);
        }
        // What is dropped here is found out of date at the next start.
        if self.unstored.len() < MAX_UNSTORED {
            self.unstored.push_back(record);
        }
    }

    fn store_unstored(&mut self) {
        for record in std::mem::take(&mut self.unstored) {
            let is_over =
                matches!(&record, Record::Process(run, _) if self.hosted.of_container(&run.container).is_none());
            if !is_over {
                self.store_for_sure(record);
            }
        }
    }

    fn stored(&mut self, ticket: Ticket, result: Result<(), Text>) -> Result<(), Rejected> {
        let then = self.stores.remove(&ticket).ok_or(Rejected::UnknownTicket(ticket))?;
        match (then, result) {
            (AfterStore::Launch(ix), result) => self.run_stored(ix, result),
            (AfterStore::Task(ix, task), result) => self.task_stored(ix, &task, result),
            (AfterStore::Status(ix, task), result) => self.status_stored(ix, &task, result),
            (AfterStore::Framework(id), Err(error)) => self.framework_not_stored(&id, &error),
            (AfterStore::Agent, Err(error)) => self.agent_not_stored(&error),
            (AfterStore::Again(record), Err(error)) => self.not_stored(*record, &error),
            (AfterStore::Nothing, Err(error)) => self.emit(Effect::Warn(format!("a record is not stored: {error}"))),
            (AfterStore::Framework(_) | AfterStore::Agent | AfterStore::Again(_) | AfterStore::Nothing, Ok(())) => {}
        }
        Ok(())
    }

    /// Draws a UUID.
    fn draw(&mut self) -> Uuid {
        self.drawn += 1;
        Uuid::from_seed(self.settings.seed, self.drawn)
    }

    fn id(&self) -> &AgentId {
        &self.settings.agent.id
    }
}
