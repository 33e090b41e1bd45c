//! Allocator workloads of fixed size, timed: those that Mesos' own allocator was measured with.
//!
//! ```text
//! cargo run --release -p apportion-lab --bin workload -- NAME [--agents N] [--frameworks F] [--roles R]
//!     [--rounds K] [--seed S] [--json]
//! ```
//!
//! | name | what is timed |
//! | --- | --- |
//! | `cycle` | one allocation of all agents, then one with nothing left to give |
//! | `event` | one agent given back and allocated again |
//! | `decline` | allocations while every framework refuses all that it is offered, until nobody wants anything |
//! | `suppress`, `extreme-suppress` | allocations while ever more frameworks, or nearly all, want no offers |
//! | `quota` | allocations that meet quotas of half an agent and of two |
//! | `add-and-update` | agents that come with tasks, and then get revocable resources |
//! | `launch-loop` | allocations until 19,500 tasks of three sizes run |
//! | `recover` | a master that comes back from the text of as many commands as rounds, and from a snapshot |
//! | `sort` | the DRF sorter alone |
//! | `resources` | the arithmetic of resources |
//! | `growth` | each operation at three sizes, and how its cost grows; `--only NAME` for those whose names begin like that |
//!
//! The allocator is called as an embedder would call it, through [`apportion::allocator::Allocator`], and
//! every offer is read within the time that is reported. The number of offers of each round is known
//! beforehand; a run that makes another number exits with status 1. Wrong arguments: 2.
//!
//! With `--json` each line is an object (`workload`, `agents`, `frameworks`, `roles`, `step`, `round`,
//! `seconds`, `offers`, and other measures of a step); the `round` of a preparatory step is null. The last line is
//! the peak memory of the process, if the system reports it.
#![expect(clippy::disallowed_types, reason = "a program that measures time reads a clock")]

mod arithmetic;
mod cluster;
mod cycle;
mod growth;
mod join;
mod launch;
mod quota;
mod recover;
mod refusal;
mod report;
mod sort;

use apportion_console::Stdout;
use clap::{Parser, ValueEnum};
use report::{Failure, Report};
use std::process::ExitCode;

/// Runs one workload and tells how long each of its rounds took.
#[derive(Debug, Clone, Parser)]
#[command(version, after_help = STATUSES)]
struct Arguments {
    /// The workload.
    name: Workload,
    /// How many agents; 80 for `launch-loop`.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    agents: Option<u32>,
    /// How many frameworks; for `quota` as many as agents, for `launch-loop` 554.
    #[arg(long, value_name = "F", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    frameworks: Option<u32>,
    /// Among how many roles the frameworks are dealt out; 1 is the default role for all.
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    roles: Option<u32>,
    /// How many rounds at most; of `resources`, how many turns, of which the fastest counts.
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// What is drawn at random is drawn from this.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Offers the agents in a random order, as Mesos does, rather than in that in which they came.
    #[arg(long)]
    shuffle: bool,
    /// `cycle` and `event`: part of each agent is in use from the start.
    #[arg(long)]
    used: bool,
    /// `growth`: only the operations whose names begin like this.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Prints JSON, one object a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Workload {
    Cycle,
    Event,
    Decline,
    Suppress,
    ExtremeSuppress,
    Quota,
    AddAndUpdate,
    LaunchLoop,
    Recover,
    Sort,
    Resources,
    Growth,
}

impl Arguments {
    /// Returns the default numbers of agents and frameworks: those of Mesos' benchmark, if it has one size.
    fn usual(&self) -> (usize, usize) {
        if self.name == Workload::LaunchLoop {
            (80, 554)
        } else if self.name == Workload::Quota {
            (300, self.agents.map_or(300, |agents| agents as usize))
        } else {
            (1_000, 100)
        }
    }

    fn agents(&self) -> usize {
        self.agents.map_or_else(|| self.usual().0, |agents| agents as usize)
    }

    fn frameworks(&self) -> usize {
        self.frameworks.map_or_else(|| self.usual().1, |frameworks| frameworks as usize)
    }

    /// Returns the number of roles; for `quota` and `launch-loop` it follows from the number of frameworks.
    fn roles(&self) -> usize {
        if self.name == Workload::LaunchLoop {
            launch::Mix::of(self.frameworks()).roles()
        } else if self.name == Workload::Quota {
            self.frameworks()
        } else {
            self.roles.map_or(1, |roles| roles as usize).min(self.frameworks())
        }
    }

    fn rounds(&self, usual: usize) -> usize {
        self.rounds.map_or(usual, |rounds| rounds as usize)
    }
}

fn main() -> ExitCode {
    apportion_console::main(|arguments: &Arguments, _: &mut Stdout| Ok(run(arguments)?))
}

const STATUSES: &str = "\
Exit status: 0; 1 when the output cannot be written or a workload makes another number of offers than it must; 2 for wrong
arguments. A closed pipe ends it with 0.";

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Some(work) = arguments.name.work() else { return growth::growth(arguments) };
    let report = Report::begin(arguments)?;
    work(arguments, &report)?;
    report.end()
}

/// Runs a workload of one size.
type Work = fn(&Arguments, &Report) -> Result<(), Failure>;

impl Workload {
    /// Returns what runs a workload of one size; none for the one that has many.
    fn work(self) -> Option<Work> {
        Some(match self {
            Self::Cycle => cycle::cycle,
            Self::Event => cycle::event,
            Self::Decline => refusal::decline,
            Self::Suppress => refusal::suppress,
            Self::ExtremeSuppress => refusal::extreme_suppress,
            Self::Quota => quota::quota,
            Self::AddAndUpdate => join::add_and_update,
            Self::LaunchLoop => launch::launch_loop,
            Self::Recover => recover::recover,
            Self::Sort => sort::sort,
            Self::Resources => arithmetic::resources,
            Self::Growth => return None,
        })
    }
}
