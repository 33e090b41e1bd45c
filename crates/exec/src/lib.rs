//! What runs tasks on a machine: processes in sessions of their own, sandboxes, cgroups, checks, and, as features, a fetcher and
//! Docker containers. Linux only.
//!
//! Everything here but `docker` is synchronous: a call that waits says so, and belongs on a thread of its own.
//!
//! ```
//! use apportion_exec::{Exit, ProcessBuilder};
//! use std::fs::File;
//!
//! let sandbox = tempfile::tempdir()?;
//! let process = ProcessBuilder::shell("echo hello, $WHO; exit 3")
//!     .variable("WHO", "world")
//!     .directory(sandbox.path())
//!     .stdout(File::create(sandbox.path().join("stdout"))?)
//!     .spawn()?;
//! let exit = process.wait()?; // nothing that it started is left
//! assert_eq!(exit.to_string(), "exited with status 3");
//! assert_eq!(std::fs::read_to_string(sandbox.path().join("stdout"))?, "hello, world\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | purpose |
//! | --- | --- |
//! | `process` `spawn` | a running process, found again by pid and start time; how one is started |
//! | `tree` `subreaper` | all that a process has started, to be signalled and killed; orphans that are given to this program |
//! | `wait_status` `user` | how a process ended; users by name |
//! | `proc` [`ports`] | what `/proc` says of processes; the ports on which they wait for connections |
//! | [`cgroup`] [`statistics`] | limits and accounts of the kernel; the resource use of a container |
//! | [`sandbox`] [`beneath`] [`rotation`] | folders of tasks and their names; files below a folder that no path can leave; bounds of output |
//! | `fetch`, a feature | what a task needs beside its command, from URIs into its sandbox |
//! | `docker`, a feature | containers, through the engine's API |
//! | [`check`] [`health`] | health checks as they are made; when, and what follows from them |
#![cfg(target_os = "linux")]
#![expect(clippy::disallowed_types, reason = "processes take real time, so the clock is a real one")]

pub mod beneath;
pub mod cgroup;
pub mod check;
#[cfg(feature = "docker")]
#[cfg_attr(docsrs, doc(cfg(feature = "docker")))]
pub mod docker;
#[cfg(feature = "fetch")]
#[cfg_attr(docsrs, doc(cfg(feature = "fetch")))]
pub mod fetch;
pub mod health;
pub mod ports;
mod proc;
mod process;
pub mod rotation;
pub mod sandbox;
mod spawn;
pub mod statistics;
mod subreaper;
#[cfg(feature = "fetch")]
mod tls;
mod tree;
mod user;
mod wait_status;

pub use proc::{ProcessId, boot_id, values_of_variable};
pub use process::{Exit, Process};
pub use spawn::{ProcessBuilder, SpawnError};
pub use subreaper::{become_subreaper, kill_orphans, reap_orphans};
pub use tree::{Survivors, Tree};
pub use user::{User, UserError};
pub use wait_status::{WaitStatus, signal_name};
