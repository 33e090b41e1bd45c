//! Why a container cannot be had, or the engine does not do what it is asked.

use std::path::PathBuf;
use std::time::Duration;

use super::LoginError;

/// Why a task's infos make no container. The engine was not asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContainerError {
    /// The info has no `container.docker.image`.
    #[error("the container names no Docker image")]
    NoImage,
    /// `parameters` that no engine is told, by their keys.
    #[error("unknown Docker parameters: {}", .0.join(", "))]
    UnknownParameters(Vec<String>),
    /// A parameter's value is not of the form that its key needs.
    #[error("Docker parameter {key} cannot be {value:?}: {expected}")]
    BadParameter {
        /// The parameter's key.
        key: String,
        /// The value that was found.
        value: String,
        /// What is expected.
        expected: &'static str,
    },
    /// `port_mappings` in a network that maps no ports.
    #[error("port mappings need the network BRIDGE or USER, not {0}")]
    MappingsWithoutNetwork(String),
    /// A mapped port of the host is not among the task's resources: the words of Mesos, which clients read.
    #[error("Port [{0}] not included in resources")]
    PortNotIncluded(u64),
    /// A mapping with a port or protocol that does not exist.
    #[error("there is no port mapping {0}")]
    BadMapping(String),
    /// A network that the v1 API does not have.
    #[error("unknown Docker network {0:?}")]
    UnknownNetwork(String),
    /// The network USER without a name in `network_infos`.
    #[error("the network USER needs a name in network_infos")]
    NoNetworkName,
    /// A volume whose paths are both relative.
    #[error("a volume cannot be relative on both sides: {host:?} to {container:?}")]
    BothRelative {
        /// `host_path`.
        host: String,
        /// `container_path`.
        container: String,
    },
    /// A volume's path that is missing, or leaves the sandbox by `..`.
    #[error("a volume cannot have the path {0:?}")]
    BadVolume(String),
}

/// Why the engine did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The engine does not answer: it is not there, or has broken off.
    #[error("the Docker engine at {} does not answer: {cause}", socket.display())]
    Absent {
        /// The path of its socket.
        socket: PathBuf,
        /// The system's words.
        cause: String,
    },
    /// The engine did not answer in time.
    #[error("the Docker engine at {} did not {call} within {} s", socket.display(), limit.as_secs())]
    Late {
        /// The path of its socket.
        socket: PathBuf,
        /// What it was asked to do.
        call: String,
        /// How long it had.
        limit: Duration,
    },
    /// The engine says no.
    #[error("the Docker engine at {} cannot {call}: {message}", socket.display())]
    Refused {
        /// The path of its socket.
        socket: PathBuf,
        /// What it was asked to do.
        call: String,
        /// The status of its answer; 0 if it stands in an answer's stream.
        status: u16,
        /// The engine's words.
        message: String,
    },
    /// The sandbox's files for the output cannot be opened. The engine was not asked.
    #[error("the output of the container cannot be written to {}: {cause}", sandbox.display())]
    Output {
        /// The sandbox.
        sandbox: PathBuf,
        /// The system's words.
        cause: String,
    },
    /// The image's registry has a login that cannot be used.
    #[error(transparent)]
    Login(#[from] LoginError),
}

impl EngineError {
    /// Tells whether the engine says that there is no such container, image or network: a container that it does not know has ended.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    /// Tells whether asking again may help: the engine is gone, late, or answers 5xx. Such an answer ends no task.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Absent { .. } | Self::Late { .. } => true,
            Self::Refused { status, .. } => *status >= 500,
            Self::Output { .. } | Self::Login(_) => false,
        }
    }
}
