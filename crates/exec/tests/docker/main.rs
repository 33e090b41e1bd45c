//! Docker containers: what is asked of an engine, and how one that hangs, fails or is gone is borne.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test that goes wrong ends"
)]

mod asked;
mod calls;
mod fake;
mod output;
mod real;
