//! [`Ending`]: how a process or a container has ended.

use apportion_exec::signal_name;

/// How the process or the container of a task has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "these are the ends that a task can have")]
pub enum Ending {
    /// It has exited with this status.
    Exited(i32),
    /// A signal of this number has ended it.
    Signaled(i32),
    /// It needed more memory than it has; what was measured, for people.
    OutOfMemory(String),
    /// It could not be started, for this reason.
    NotStarted(String),
    /// It has ended, and nobody knows how; why not.
    Unknown(String),
}

impl Ending {
    /// Returns true for an exit with status 0.
    #[must_use]
    pub fn is_success(&self) -> bool {
        *self == Self::Exited(0)
    }

    /// Returns the message of the task's last status, in Mesos' words. Programs read the number in it.
    #[must_use]
    pub fn message(&self, what: &str) -> String {
        match self {
            Self::Exited(status) => format!("{what} exited with status {status}"),
            Self::Signaled(signal) => format!("{what} terminated with signal {}", signal_name(*signal)),
            Self::OutOfMemory(why) | Self::NotStarted(why) | Self::Unknown(why) => why.clone(),
        }
    }

    /// Returns the reason of a failure by its Mesos name, if there is more to say than that the command has failed.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Exited(_) | Self::Signaled(_) | Self::Unknown(_) => None, // as recorded of a Mesos
            Self::OutOfMemory(_) => Some("REASON_CONTAINER_LIMITATION_MEMORY"),
            Self::NotStarted(_) => Some("REASON_CONTAINER_LAUNCH_FAILED"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_those_of_mesos() {
        assert_eq!(Ending::Exited(3).message("Command"), "Command exited with status 3");
        assert_eq!(Ending::Signaled(15).message("Container"), "Container terminated with signal Terminated");
        assert_eq!(Ending::Signaled(36).message("Command"), "Command terminated with signal Real-time signal 2");
        assert_eq!(Ending::Signaled(0).message("Command"), "Command terminated with signal Unknown signal 0");
        assert!(Ending::Exited(0).is_success() && !Ending::Exited(1).is_success());
    }
}
