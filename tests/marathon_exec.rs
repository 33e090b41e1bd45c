//! The processes that the program `marathon` runs, by its own tests.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test may fail")]

#[path = "../examples/marathon/attempt.rs"]
mod attempt;
#[path = "../examples/marathon/health.rs"]
mod health;
#[path = "../examples/marathon/process.rs"]
mod process;
#[path = "../examples/marathon/program.rs"]
mod program;
