//! A master under load, with its clients on the same machine.
//!
//! - `turnover`: tasks end all the time. Measures the time from a status that frees resources to the launch that uses them.
//! - `idle`: frameworks that are subscribed and do nothing. Measures the memory and the processor time of the master.
//!
//! ```text
//! cargo bench -p apportion-http --bench load -- turnover --agents 10000 --interval 100
//! cargo bench -p apportion-http --bench load -- turnover --agents 10000 --interval 100 --operators
//! cargo bench -p apportion-http --bench load -- idle --subscribers 5000
//! ```
//!
//! The Mesos paper (Hindman et al., NSDI 2011, section 6.5) measures something else: the time to the first task of a new
//! framework, on 99 machines, which is below a second up to 50,000 agents.

#![expect(clippy::disallowed_types, clippy::disallowed_methods, clippy::print_stdout, reason = "a bench measures time")]

mod agents;
mod frameworks;
mod idle;
mod operators;
mod turnover;

use clap::{Parser, Subcommand};
use std::error::Error;

pub(crate) type Failed = Box<dyn Error + Send + Sync>;

/// Runs a master under load and tells how it bears it.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    load: Option<Load>,
    /// Set by `cargo bench`.
    #[arg(long, hide = true, global = true)]
    bench: bool,
    /// Runs every load once, small.
    #[arg(long)]
    test: bool,
}

#[derive(Debug, Subcommand)]
enum Load {
    /// Tasks end all the time.
    Turnover(turnover::Size),
    /// Frameworks are subscribed and do nothing.
    Idle(idle::Size),
    /// The clients of `idle`, in a process of their own.
    #[command(hide = true)]
    Subscribe(idle::Clients),
}

fn main() -> Result<(), Failed> {
    let arguments = Arguments::parse();
    match arguments.load {
        Some(Load::Turnover(size)) => turnover::run(&size),
        Some(Load::Idle(size)) => idle::run(&size),
        Some(Load::Subscribe(clients)) => idle::subscribe(&clients),
        None if arguments.test => {
            turnover::run(&turnover::Size::small())?;
            idle::run(&idle::Size { subscribers: 20, seconds: 1 })
        }
        None => {
            for agents in [10_000, 20_000, 30_000] {
                turnover::run(&turnover::Size { agents, ..turnover::Size::default() })?;
            }
            turnover::run(&turnover::Size { operators: true, ..turnover::Size::default() })?;
            idle::run(&idle::Size { subscribers: 5_000, seconds: 60 })
        }
    }
}
