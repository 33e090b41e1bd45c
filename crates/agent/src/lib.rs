//! An agent of a cluster: it runs what the frameworks of a master launch.
//!
//! The agent is a state machine, as the master is: inputs in, effects out. What does I/O is around it.

pub mod checkpoint;
mod detect;
pub mod executor;
pub mod machine;

pub use detect::{DetectError, resources};
