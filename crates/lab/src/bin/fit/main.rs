//! What offers that fit are worth: requests, bounds and chunks, each with and without.
//!
//! ```text
//! cargo run --release -p apportion-lab --bin fit -- swim [--trace TSV] [--seed S]
//! cargo run --release -p apportion-lab --bin fit -- omega [--svg busy.svg]
//! cargo run --release -p apportion-lab --bin fit -- greedy
//! ```
//!
//! - `swim` runs a trace of Hadoop jobs twice: first the users take what they are offered, or decline it; then they request offers
//!   for the tasks that they have.
//! - `omega` runs a batch framework beside a service framework that thinks ever longer and holds its offers meanwhile: with
//!   nothing against that, with a timeout of all offers, and with bounds.
//! - `greedy` divides one agent between two frameworks that take all that they are offered, in chunks of several sizes.
//!
//! With `--json` each run is a line.

mod greedy;
mod omega;
mod picture;
mod swim;
mod trace;

use apportion::Time;
use apportion_console::{Failure, STATUSES, Stdout, create};
use clap::{Args, Parser, Subcommand};
use comfy_table::{CellAlignment, Table, presets};
use omega::Remedy;
use serde::Serialize;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// The trace that `swim` runs unless it is given another one.
const TRACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/traces/swim/FB-2009_samples_24_times_1hr_0.tsv");
/// The times for which the service scheduler thinks about a job, in milliseconds.
const THINKING: [u64; 5] = [100, 1_000, 10_000, 30_000, 100_000];
/// The most units in an offer of `greedy`.
const CHUNKS: [Option<u64>; 4] = [None, Some(100), Some(10), Some(1)];

/// What requests, bounds and chunks of offers are worth.
#[derive(Debug, Parser)]
#[command(version, after_help = STATUSES)]
struct Arguments {
    #[command(subcommand)]
    experiment: Experiment,
    /// Prints JSON, a line for each run.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Experiment {
    /// Runs a SWIM trace of Hadoop jobs, 24 times faster, with and without requests.
    Swim(Swim),
    /// Runs a batch framework beside one that thinks long, with and without bounds.
    Omega(Omega),
    /// Divides an agent between two greedy frameworks, in chunks of several sizes.
    Greedy,
}

#[derive(Debug, Args)]
struct Swim {
    /// The trace, as SWIM has it; `-` for standard input [default: FB-2009_samples_24_times_1hr_0]
    #[arg(long, value_name = "TSV")]
    trace: Option<PathBuf>,
    /// How many agents of cpus:3;mem:6144 there are.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    agents: u32,
    /// How many users, in four groups, the jobs are dealt out to.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    users: u16,
    /// Users, sizes and durations are drawn from this.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Only the jobs of so many seconds.
    #[arg(long, value_name = "SECONDS")]
    until: Option<u32>,
}

#[derive(Debug, Args)]
struct Omega {
    /// How many agents of cpus:4;mem:16 there are; with fewer than 500, jobs have fewer tasks.
    #[arg(long, value_name = "N", default_value_t = omega::AGENTS, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    agents: u32,
    /// For how many hours, of virtual time.
    #[arg(long, value_name = "H", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    hours: u16,
    /// Only with this against the slow scheduler, instead of each in turn.
    #[arg(long, value_name = "REMEDY")]
    remedy: Option<Remedy>,
    /// Plots how busy the batch scheduler is into this file, as SVG.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

fn main() -> ExitCode {
    apportion_console::main(|arguments: &Arguments, out: &mut Stdout| match &arguments.experiment {
        Experiment::Swim(swim) => run_swim(swim, arguments.json, out),
        Experiment::Omega(omega) => run_omega(omega, arguments.json, out),
        Experiment::Greedy => run_greedy(arguments.json, out),
    })
}

fn run_swim(arguments: &Swim, json: bool, out: &mut Stdout) -> Result<(), Failure> {
    let until = arguments.until.map_or(Time::MAX, |seconds| Time::from_secs(seconds.into()));
    let users = usize::from(arguments.users);
    let jobs =
        trace::read(arguments.trace.as_deref().unwrap_or_else(|| Path::new(TRACE)), users, until, arguments.seed)?;
    let mut run = |requests| -> Result<swim::Outcome, Failure> {
        let outcome = swim::run(&jobs, arguments.agents, users, requests)?;
        if outcome.jobs < jobs.len() {
            return Err(Failure::Run(format!("{} of {} jobs were done: expected all", outcome.jobs, jobs.len())));
        }
        if json {
            line(out, &outcome)?;
        }
        Ok(outcome)
    };
    let (without, with) = (run(false)?, run(true)?);
    if json {
        return Ok(());
    }
    writeln!(out, "{} jobs of {} users, {} agents, seed {}\n", jobs.len(), users, arguments.agents, arguments.seed)?;
    let mut table = table(["", "WHAT THERE IS", "REQUESTS"]);
    let mut row = |what: &str, of: &dyn Fn(&swim::Outcome) -> String| {
        table.add_row([what.to_owned(), of(&without), of(&with)]);
    };
    row("tasks", &|run| run.launched.to_string());
    row("offers", &|run| run.offers.to_string());
    row("offers a task", &|run| format!("{:.2}", run.offers_a_task));
    row("effects and calls", &|run| run.events.to_string());
    row("a job is done after, mean", &|run| format!("{:.1} s", run.completion_mean));
    row("95 % of the jobs within", &|run| format!("{:.1} s", run.completion_p95));
    row("all are done at", &|run| format!("{:.0} s", run.makespan));
    row("the run took", &|run| format!("{:.1} s", run.seconds));
    finish(table, out)
}

fn run_omega(arguments: &Omega, json: bool, out: &mut Stdout) -> Result<(), Failure> {
    let mut plot = arguments.svg.as_deref().map(create).transpose()?;
    let length = Time::from_secs(u64::from(arguments.hours) * 60 * 60);
    let remedies =
        arguments.remedy.map_or_else(|| vec![Remedy::None, Remedy::Timeout, Remedy::Bounds], |one| vec![one]);
    let mut outcomes = Vec::new();
    for thinking in THINKING.map(Duration::from_millis) {
        for remedy in &remedies {
            let outcome = omega::run(arguments.agents, length, thinking, *remedy)?;
            if json {
                line(out, &outcome)?;
            }
            outcomes.push(outcome);
        }
    }
    if let Some(file) = &mut plot {
        file.write_all(picture::plot(&outcomes)?.as_bytes())?;
        file.flush()?;
    }
    if json {
        return Ok(());
    }
    writeln!(out, "{} agents, {} h\n", arguments.agents, arguments.hours)?;
    let mut table =
        table(["SERVICE THINKS", "AGAINST IT", "BATCH BUSY", "JOBS", "WAIT", "SERVICE BUSY", "TASKS", "WAIT"]);
    for outcome in &outcomes {
        table.add_row([
            format!("{} s", outcome.thinking),
            outcome.remedy.name().to_owned(),
            format!("{:.3}", outcome.batch.busy),
            outcome.batch.jobs.to_string(),
            outcome.batch.waiting.to_string(),
            format!("{:.3}", outcome.service.busy),
            outcome.service.launched.to_string(),
            outcome.service.waiting.to_string(),
        ]);
    }
    finish(table, out)
}

fn run_greedy(json: bool, out: &mut Stdout) -> Result<(), Failure> {
    let mut table = table(["UNITS IN AN OFFER", "FIRST", "SECOND"]);
    for chunk in CHUNKS {
        let outcome = greedy::run(chunk)?;
        if json {
            line(out, &outcome)?;
            continue;
        }
        let [first, second] = outcome.tasks.map(|tasks| tasks.to_string());
        table.add_row([chunk.map_or_else(|| "the agent".to_owned(), |units| units.to_string()), first, second]);
    }
    if json { Ok(()) } else { finish(table, out) }
}

fn line(out: &mut Stdout, outcome: &impl Serialize) -> Result<(), Failure> {
    serde_json::to_writer(&mut *out, outcome).map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(out.flush()?)
}

fn table<const COLUMNS: usize>(header: [&str; COLUMNS]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header);
    table
}

/// Prints a table with its numbers on the right.
fn finish(mut table: Table, out: &mut Stdout) -> Result<(), Failure> {
    table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    Ok(writeln!(out, "{table}")?)
}
