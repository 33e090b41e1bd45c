//! The health of tasks in the program `marathon`, by its own tests.
#![expect(dead_code, reason = "what makes the checks is in the program")]

#[path = "../examples/marathon/health.rs"]
mod health;
