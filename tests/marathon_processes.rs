//! The processes that the program `marathon` runs, by its own tests.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test may fail")]

#[path = "../examples/marathon/process.rs"]
mod process;
