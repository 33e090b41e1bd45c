//! The processes that the program `marathon` runs, by its own tests.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test may fail")]

#[path = "../examples/marathon/exec/attempt.rs"]
mod attempt;
#[path = "../examples/marathon/exec/follow.rs"]
mod follow;
#[path = "../examples/marathon/health.rs"]
mod health;
#[path = "../examples/marathon/exec/process.rs"]
mod process;
#[path = "../examples/marathon/program.rs"]
mod program;
#[path = "../examples/marathon/exec/runner.rs"]
mod runner;
#[path = "../examples/marathon/exec/signal.rs"]
mod signal;
