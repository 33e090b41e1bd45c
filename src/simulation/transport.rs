//! The transport between master, schedulers and executors: values in memory, or their v1 JSON.

use crate::details::Details;
use crate::executor as executors;
use crate::id::{ExecutorId, FrameworkId};
use crate::scheduler::{Call, Event, Rejected};
use crate::v1::{Dialect, ExecutorCall, Message, SchedulerCall, V1Error};

/// Passes messages on as they are, or encodes and decodes them as a connection would.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Transport {
    #[default]
    InMemory,
    Json,
}

impl Transport {
    fn pass<M: Message>(self, dialect: &Dialect, message: M) -> Result<M, V1Error> {
        match self {
            Self::InMemory => Ok(message),
            Self::Json => dialect.decode(dialect.encode(&message)),
        }
    }

    /// Carries an event to a scheduler. One that cannot be decoded arrives as an unknown event with its JSON.
    pub(super) fn event(self, dialect: &Dialect, event: Event) -> Event {
        match self {
            Self::InMemory => event,
            Self::Json => {
                let json = dialect.encode(&event);
                let unreadable = |error: V1Error| {
                    let error = error.to_string();
                    Event::Unknown(Details::from_iter([("unreadable", &json), ("error", &error)]))
                };
                dialect.decode(&json).unwrap_or_else(unreadable)
            }
        }
    }

    /// Carries a call to the master. One that cannot be decoded is rejected.
    pub(super) fn call(self, dialect: &Dialect, framework: &FrameworkId, call: Call) -> Result<Call, Box<Rejected>> {
        match self {
            Self::InMemory => Ok(call),
            Self::Json => {
                let sent = SchedulerCall::new(framework.clone(), call);
                let arrived = dialect.decode(dialect.encode(&sent));
                let arrived = arrived.map(|arrived: SchedulerCall| arrived.call);
                arrived.map_err(|error| Box::new(Rejected::new(sent.call, error.to_string())))
            }
        }
    }

    /// Carries an event to an executor. One that cannot be decoded becomes an error event.
    pub(super) fn executor_event(self, dialect: &Dialect, event: executors::Event) -> executors::Event {
        self.pass(dialect, event).unwrap_or_else(|error| executors::Event::Error(error.to_string()))
    }

    /// Carries a call of an executor to its agent.
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
