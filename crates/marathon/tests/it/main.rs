//! The framework on a simulated cluster, and the program `marathon`: its launches, its output, its errors.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod apps;
#[cfg(unix)]
mod connected;
#[cfg(unix)]
mod exec;
mod haproxy;
mod program;
mod rollout;
