//! The framework on a simulated cluster, and the program `marathon`: what it launches where, what it says, and what it refuses.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

#[cfg(unix)]
mod exec;
mod haproxy;
mod program;
mod rollout;
