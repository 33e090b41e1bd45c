//! Hadoop and MPI share one cluster, each with its own scheduler and executors.
//!
//! A Hadoop-like framework runs many short maps, where their data lies if it can (delay scheduling), and then reduces; an
//! MPI-like one runs gangs of equal ranks, all or none. Each has a role, the master divides the cluster by dominant
//! resource fairness. The run is drawn as it goes, and then compared with the same work on a cluster cut in two, as in
//! section 6 of the Mesos paper (Hindman et al., NSDI'11). At the end its closed forms are compared with the simulator.
//!
//! `cargo run --release -p apportion-lab --bin hadoop-and-mpi -- --svg shares.svg`
//!
//! With `--master 127.0.0.1:5050` both run over HTTP on the cluster of a master, such as that of `apportion up --agents 6`,
//! in real time; their schedulers are the same.

mod connected;
mod hadoop;
mod mpi;
mod picture;
mod run;
#[cfg(test)]
mod tests;
mod theory;
mod worker;

use apportion::AgentId;
use apportion_console::{STATUSES, Stdout, create, width};
use apportion_http::client::Masters;
use clap::Parser;
use comfy_table::Table;
use hadoop::Hadoop;
use mpi::Mpi;
use run::{Outcome, Participants, run};
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Hadoop and MPI on one cluster.
#[derive(Debug, Parser)]
#[command(version, after_help = STATUSES)]
struct Args {
    /// How many agents of four cpus there are.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(2..=1000))]
    agents: u16,
    /// Seconds between two pictures; 0 = none.
    #[arg(long, default_value_t = 20)]
    every: u64,
    /// How many columns to draw to; unless given, those of the terminal, or 80.
    #[arg(long, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(20..))]
    width: Option<u16>,
    /// Plots the shares into this file, as SVG.
    #[arg(long)]
    svg: Option<PathBuf>,
    /// Runs on the cluster of these masters, of which --agents says how large it is: host:port, several with commas between, or
    /// file:///path.
    #[arg(long, value_name = "MASTERS", conflicts_with_all = ["every", "width", "svg"])]
    master: Option<Masters>,
}

fn mean(times: &[f64]) -> f64 {
    times.iter().sum::<f64>() / f64::from(u32::try_from(times.len()).unwrap_or(u32::MAX))
}

fn last(times: &[f64]) -> f64 {
    times.iter().copied().fold(0.0, f64::max)
}

fn main() -> ExitCode {
    apportion_console::main(|args: &Args, out: &mut Stdout| {
        if let Some(masters) = &args.master {
            return Ok(connect(args, masters, out)?);
        }
        let mut plot = args.svg.as_deref().map(create).transpose()?;
        let columns = usize::from(args.width.unwrap_or_else(|| u16::try_from(width()).unwrap_or(u16::MAX)));
        let shared = watch(args, columns, out)?;
        compare(args, &shared, out)?;
        closed_forms(out)?;
        if let (Some(file), Some(path)) = (&mut plot, &args.svg) {
            file.write_all(picture::plot(&shared.samples)?.as_bytes())?;
            file.flush()?;
            writeln!(out, "\nplotted: {}", path.display())?;
        }
        Ok(())
    })
}

/// Runs both frameworks over HTTP, and tells when they were done.
fn connect(args: &Args, masters: &Masters, out: &mut Stdout) -> Result<(), Box<dyn Error>> {
    let ids: Vec<AgentId> = (0..args.agents).map(|number| AgentId::from(format!("agent-{number}"))).collect();
    let (hadoop, mpi) = (Hadoop::new(run::job(&ids, args.agents), run::DELAY), Mpi::new(run::GANG, run::PATIENCE));
    let gangs = usize::from(args.agents) * 3 / 2;
    apportion_console::log_warnings();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(connected::run(masters, hadoop, mpi, gangs))?;
    writeln!(out, "Hadoop is done after {:.1} s", outcome.hadoop.unwrap_or_default())?;
    writeln!(
        out,
        "MPI is done after {:.1} s, a gang on average after {:.1} s",
        last(&outcome.mpi),
        mean(&outcome.mpi)
    )?;
    writeln!(out, "maps where their data lies: {:.0} %", outcome.local * 100.0)?;
    Ok(())
}

/// Draws the shared cluster as it goes, and the shares.
fn watch(args: &Args, columns: usize, out: &mut Stdout) -> Result<Outcome, Box<dyn Error>> {
    let shared = run(args.agents, Participants::Both, |cluster, at| {
        if args.every > 0 && at.as_micros().is_multiple_of(args.every.saturating_mul(1_000_000)) {
            writeln!(out, "after {at} s   (m map, R reduce, = rank)\n{}\n", picture::draw(cluster, columns))?;
        }
        Ok(())
    })?;
    let columns = columns.saturating_sub("  hadoop ││".chars().count());
    writeln!(out, "dominant shares, {} s", last(&shared.mpi).max(shared.hadoop.unwrap_or_default()))?;
    writeln!(out, "  hadoop │{}│", picture::strip(&shared.samples, columns, |sample| sample.hadoop))?;
    writeln!(out, "  mpi    │{}│\n", picture::strip(&shared.samples, columns, |sample| sample.mpi))?;
    Ok(shared)
}

/// Runs each framework on its half of the cluster, and compares.
fn compare(args: &Args, shared: &Outcome, out: &mut Stdout) -> Result<(), Box<dyn Error>> {
    let half = args.agents / 2;
    let hadoop = run(half, Participants::OnlyHadoop, |_, _| Ok(()))?;
    let mpi = run(half, Participants::OnlyMpi, |_, _| Ok(()))?;
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["", "SHARED", "CUT IN TWO", "FASTER"]);
    let seconds = |seconds: f64| format!("{seconds:.1} s");
    let mut row = |what: &str, shared: f64, apart: f64| {
        table.add_row([what.to_owned(), seconds(shared), seconds(apart), format!("{:.2} x", apart / shared)]);
    };
    row("Hadoop is done", shared.hadoop.unwrap_or_default(), hadoop.hadoop.unwrap_or_default());
    row("MPI is done", last(&shared.mpi), last(&mpi.mpi));
    row("a gang is done, on average", mean(&shared.mpi), mean(&mpi.mpi));
    writeln!(out, "{table}")?;
    let apart = f64::midpoint(hadoop.utilisation, mpi.utilisation);
    let (whole, apart) = (shared.utilisation * 100.0, apart * 100.0);
    writeln!(out, "\ncpus that ran tasks: {whole:.0} % shared, {apart:.0} % cut in two")?;
    writeln!(out, "maps where their data lies: {:.0} %\n", shared.local * 100.0)?;
    Ok(())
}

/// Compares the simulator with the model of the Mesos paper.
fn closed_forms(out: &mut Stdout) -> Result<(), Box<dyn Error>> {
    writeln!(
        out,
        "The model of the Mesos paper (NSDI'11, section 6.2, table 2) and this simulator.\n\
         A job wants 100 slots of a full cluster and has work for 200 s on all of them.\n\
         It gets a slot when the task there ends; tasks take 100 s on average. An elastic\n\
         job uses each slot as it comes, a rigid one waits for all. Model → simulated:\n"
    )?;
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["TASK TIMES", "JOB", "ALL SLOTS AFTER", "DONE AFTER", "UTILISATION"]);
    for case in theory::CASES {
        let (form, seen) = (case.closed_form(), case.simulated()?);
        let whole = |seconds: Option<f64>| seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.0}"));
        table.add_row([
            if case.exponential { "exponential" } else { "constant" }.to_owned(),
            if case.elastic { "elastic" } else { "rigid" }.to_owned(),
            format!("{} → {} s", whole(form.ramp_up), whole(seen.ramp_up)),
            format!("{:.0} → {:.0} s", form.completion, seen.completion),
            format!("{:.2} → {:.2}", form.utilisation, seen.utilisation),
        ]);
    }
    writeln!(out, "{table}")?;
    Ok(())
}
