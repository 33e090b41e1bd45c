//! The agent as a state machine.

mod effect;
mod input;
mod message;
mod record;
mod settings;

pub use effect::{Effect, Exit, FetchUri, Launch, Program};
pub use input::{ContainerEvent, Input, Limitation, Rejected, StreamId, Ticket};
pub use message::{BroughtTask, Enrolment, FromMaster, Registered, ToMaster};
pub use record::{
    AgentRecord, ContainerId, ExecutorKind, ExecutorRecord, Process, Record, Recovered, RecoveredFramework,
    RecoveredRun, RecoveredTask, Run,
};
pub use settings::{Containerizer, ReconfigurationPolicy, Recover, Settings};
