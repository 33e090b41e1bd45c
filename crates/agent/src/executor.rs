//! The built-in executors: what runs commands, groups of tasks and containers when a framework brings no executor of its own.
//!
//! Each is a program of its own, in a session of its own, which speaks the v1 executor API to the agent and survives it. What they
//! decide is [`Runner`], a state machine.

mod checks;
mod ending;
mod runner;
mod work;

pub use checks::{CheckKind, Probe, ProbeKind, ProbeResult};
pub use ending::Ending;
pub use runner::{Action, Runner};
pub use work::{CommandLine, DEFAULT_GRACE, Work, WorkError};
