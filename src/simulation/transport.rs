//! How messages travel: as values, or through their v1 JSON.

use crate::executor as executors;
use crate::id::{ExecutorId, FrameworkId};
use crate::scheduler::{Call, Event};
use crate::v1::{Dialect, ExecutorCall, Message, SchedulerCall, V1Error};

/// Hands messages over as they are, or writes and reads them again as a connection would.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    Values,
    Json,
}

impl Wire {
    fn pass<M: Message>(self, dialect: &Dialect, message: M) -> Result<M, V1Error> {
        match self {
            Self::Values => Ok(message),
            Self::Json => dialect.decode(dialect.encode(&message)),
        }
    }

    /// Hands an event to a scheduler; one that cannot be read is told as an error.
    pub(super) fn event(self, dialect: &Dialect, event: Event) -> Event {
        self.pass(dialect, event).unwrap_or_else(|error| Event::Error(error.to_string()))
    }

    /// Hands a call to the master, which may have to turn it away unread.
    pub(super) fn call(self, dialect: &Dialect, framework: &FrameworkId, call: Call) -> Result<Call, V1Error> {
        Ok(self.pass(dialect, SchedulerCall::new(framework.clone(), call))?.call)
    }

    /// Hands an event to an executor; one that cannot be read is told as an error.
    pub(super) fn executor_event(self, dialect: &Dialect, event: executors::Event) -> executors::Event {
        self.pass(dialect, event).unwrap_or_else(|error| executors::Event::Error(error.to_string()))
    }

    /// Hands a call to an agent, which may have to turn it away unread.
    pub(super) fn executor_call(
        self,
        dialect: &Dialect,
        framework: &FrameworkId,
        executor: &ExecutorId,
        call: executors::Call,
    ) -> Result<executors::Call, V1Error> {
        Ok(self.pass(dialect, ExecutorCall::new(framework.clone(), executor.clone(), call))?.call)
    }
}
