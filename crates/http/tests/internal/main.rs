//! The master's side of the internal protocol, row by row, through raw sockets: an agent that does what a test says.
//!
//! 1. [`registration`]: ids, second streams, refusals, and where an agent is reached
//! 2. [`liveness`]: pings, broken streams, agents that go and return
//! 3. [`tasks`]: launches, statuses end to end, executors, operations
//! 4. [`restart`]: a master that has just started, and agents that bring what they run
//! 5. [`connection`]: the agent's end

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test that goes wrong ends")]

#[path = "../wire/mod.rs"]
mod wire;

mod connection;
mod liveness;
mod registration;
mod restart;
mod scripted;
mod tasks;
