//! An agent of a cluster: it runs what the frameworks of a master launch.
//!
//! The agent is a state machine, as the master is: inputs in, effects out. What does I/O is around it.

pub mod checkpoint;
mod containers;
mod detect;
mod driver;
pub mod executor;
mod fetching;
mod gc;
pub mod machine;
mod master;
mod metrics;
mod operator;
mod page;
mod program;
mod sandboxes;
mod server;
mod settings;
mod statistics;
mod storage;
mod view;
pub mod volumes;

pub use detect::{DetectError, resources};
pub use program::{Program, RunError, run};
pub use settings::Settings;
