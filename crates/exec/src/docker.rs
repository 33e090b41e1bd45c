//! Docker containers, through the engine's HTTP API on its Unix socket.
//!
//! [`Container`] is what a task asks for, worked out from its v1 infos without the engine: a pure function, whose refusals name what cannot be had.
//! [`Engine`] carries it out. Each of its calls has a limit, so an engine that hangs holds up one container; an engine that is gone ends no task.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use apportion_exec::docker::{Container, Engine, Logins, Place};
//! use serde_json::json;
//! use std::time::Duration;
//!
//! let task = json!({
//!     "task_id": {"value": "web"},
//!     "container": {"type": "DOCKER", "docker": {"image": "nginx:1", "network": "BRIDGE", "port_mappings": [{"host_port": 31000, "container_port": 80}]}},
//!     "resources": [
//!         {"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.5}},
//!         {"name": "mem", "type": "SCALAR", "scalar": {"value": 64.0}},
//!         {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 31000, "end": 31000}]}},
//!     ],
//! });
//! let place = Place::new("c7d2", "agent-1", "/var/lib/agent/sandbox").label("task", "web");
//! let container = Container::of(&task, &place)?;
//!
//! let engine = Engine::connect("/var/run/docker.sock").await?;
//! let running = engine.launch(&container, &Logins::default()).await?; // pulls, creates, starts, follows the output
//! let addresses = running.inspect().await?.addresses;
//! let ended = running.wait().await; // asks again while the engine is away
//! println!("{addresses:?} ended with {:?}", ended.exit_code);
//! # running.stop(Duration::from_secs(3)).await; Ok(()) }
//! ```

mod container;
mod engine;
mod error;
mod login;
mod logs;
mod parameters;
mod running;
mod timestamp;
mod volumes;

pub use container::{Container, Place};
pub use engine::{Engine, Found, LIMIT, Timing};
pub use error::{ContainerError, EngineError};
pub use login::{LoginError, Logins};
pub use running::{Ended, Inspection, Running};
