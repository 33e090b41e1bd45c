//! [`Effect`]: what an agent asks for.

use super::input::{StreamId, Ticket};
use super::record::{ContainerId, ExecutorKind, Process, Record, Run, Stray};
use super::settings::Containerizer;
use crate::volumes::Volume;
use apportion::executor::Event;
use apportion::v1::Dialect;
use apportion::{Json, JsonRef, Resources, Text};
use apportion_http::internal::AgentCall;
use std::path::PathBuf;

/// What an agent asks for. The loop around it carries effects out in order of their coming; it may go on with the next one while
/// one is under way, but for [records](Effect::Store), which it writes one after the other.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Effect {
    /// Open a stream to the leading master with this call, which registers the agent. Its events follow as
    /// [`Input::Master`](super::Input::Master), or else [`Input::MasterLost`](super::Input::MasterLost).
    Connect(Box<AgentCall>),
    /// Close the stream to the master and find out which one leads; [`Input::MasterFound`](super::Input::MasterFound) follows. The
    /// end of this stream is not told.
    Disconnect,
    /// Send a call of the stream to the master.
    Master(Box<AgentCall>),
    /// Send an event to an executor.
    Executor {
        /// Its stream.
        stream: StreamId,
        /// The variant of v1 JSON that its framework reads.
        dialect: Dialect,
        /// The event.
        event: Event,
    },
    /// Close the stream to an executor, after what was sent before. Its end is not told.
    CloseStream(StreamId),
    /// Launch a container. Its [events](super::ContainerEvent) follow: [`Started`](super::ContainerEvent::Started), or
    /// [`Failed`](super::ContainerEvent::Failed).
    Launch(Box<Launch>),
    /// Find the container of a run before the agent's start again, by its process or by its name.
    /// [`Started`](super::ContainerEvent::Started) follows, or [`Ended`](super::ContainerEvent::Ended).
    Reattach {
        /// The run.
        run: Run,
        /// Its sandbox.
        directory: PathBuf,
        /// Its process, if it is known.
        process: Option<Process>,
        /// What contains it.
        containerizer: Containerizer,
    },
    /// Kill all of a container now, whatever it does: fetching, pulling, running.
    /// [`Ended`](super::ContainerEvent::Ended) follows when nothing of it is left.
    Destroy(ContainerId),
    /// Find a run and kill all that is left of it, as [`Destroy`](Self::Destroy) does. It is not one that the agent lists.
    DestroyStray(Stray),
    /// Set the limits of a container: the resources of its executor and of its tasks.
    Resize(ContainerId, Resources),
    /// Write a record, and tell the [result](super::Input::Stored).
    Store(Ticket, Record),
    /// A sandbox, or a folder in one, is not needed any more: remove it after `gc_delay`, or before if the disk is full.
    Discard(PathBuf),
    /// Remove the folder of a persistent volume with all that is in it, if it is there: the volume is destroyed, or is made anew and
    /// may not have what another had left.
    RemoveVolume(PathBuf),
    /// Log something that a person should know.
    Warn(String),
    /// End the program. Nothing follows.
    Exit(Exit),
}

/// A container to launch.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Launch {
    /// The run: its container's id, and the executor in it.
    pub run: Run,
    /// What contains it.
    pub containerizer: Containerizer,
    /// The program.
    pub program: Program,
    /// The sandbox, which is made and belongs to the user.
    pub directory: PathBuf,
    /// What is fetched into the sandbox before the start.
    pub uris: Vec<FetchUri>,
    /// The environment, complete but for `HOME`: if that is missing, it is the home of the user, and the sandbox if there is none.
    pub environment: Vec<(Text, Text)>,
    /// The user that it runs as; `None` for that of the agent.
    pub user: Option<Text>,
    /// Its limits: the resources of the executor and of its tasks.
    pub resources: Resources,
    /// Its persistent volumes; those of tasks that an executor contains by itself are not among them.
    pub volumes: Vec<Volume>,
    /// Mesos' `ContainerInfo`, if the executor or the task has one: volumes, network, image.
    pub container: Option<Json>,
    /// True if it outlives the agent: it is found again after a restart.
    pub checkpoint: bool,
}

/// The program of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Program {
    /// A built-in executor: the agent's own program, with the subcommand for that kind.
    BuiltIn(ExecutorKind),
    /// A command of `/bin/sh -c`.
    Shell(Text),
    /// A program with all its arguments, of which the first is its name.
    Program {
        /// The file to start; `None` for that of the image.
        file: Option<Text>,
        /// The arguments. If a file is given and there are any, the first is the name that the program sees.
        arguments: Vec<Text>,
    },
}

/// What is fetched into a sandbox: Mesos' `CommandInfo.URI`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "these are the fields of Mesos")]
pub struct FetchUri {
    /// The URI, or an absolute path.
    pub value: Text,
    /// True if it becomes executable, and is not unpacked.
    pub executable: bool,
    /// True if an archive is unpacked.
    pub extract: bool,
    /// True if it may come from a cache.
    pub cache: bool,
    /// Its name in the sandbox, if it is not the last part of the path.
    pub output_file: Option<Text>,
}

impl FetchUri {
    /// Reads the list of a Mesos `CommandInfo`. An entry without a value is left out.
    pub(crate) fn all(command: Option<&Json>) -> Vec<Self> {
        let list = command.and_then(|command| command.get("uris"));
        let read = |uri: JsonRef<'_>| {
            let flag = |name, default| uri.get(name).and_then(JsonRef::as_bool).unwrap_or(default);
            let output_file = uri.get("output_file").and_then(|name| name.as_str().map(Text::new));
            Some(Self {
                value: Text::new(uri.get("value")?.as_str()?),
                executable: flag("executable", false),
                extract: flag("extract", true),
                cache: flag("cache", false),
                output_file: output_file.filter(|name| !name.is_empty()),
            })
        };
        list.into_iter().flat_map(JsonRef::elements).filter_map(read).collect()
    }
}

/// Why an agent ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Exit {
    /// The operator has unregistered it. The status is 0.
    #[error("the agent is unregistered")]
    Unregistered,
    /// The master has shut it down. The status is 0.
    #[error("the master has shut the agent down: {0}")]
    ShutDown(Text),
    /// All executors of before are ended, as `--recover=cleanup` asks. The status is 0.
    #[error("all executors have ended")]
    CleanedUp,
    /// It was [stopped](super::Input::Stop). Executors of frameworks that checkpoint go on. The status is 0.
    #[error("the agent was stopped")]
    Stopped,
}
