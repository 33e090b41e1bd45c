//! Hadoop and MPI share one cluster, each with its own scheduler and executors.
//!
//! A Hadoop-like framework runs many short maps, where their data lies if it can (delay scheduling), and then reduces; an
//! MPI-like one runs gangs of equal ranks, all or none. Each has a role, the master divides the cluster by dominant
//! resource fairness. The run is drawn as it goes, and then compared with the same work on a cluster cut in two, as in
//! section 6 of the Mesos paper (Hindman et al., NSDI'11). At the end its closed forms are compared with the simulator.
//!
//! `cargo run --release -p apportion-lab --bin hadoop-and-mpi -- --svg shares.svg`
#![expect(clippy::print_stdout, reason = "a program talks to its user")]

mod hadoop;
mod mpi;
mod picture;
mod run;
#[cfg(test)]
mod tests;
mod theory;
mod worker;

use clap::Parser;
use comfy_table::Table;
use run::{Participants, run};
use std::error::Error;
use std::path::PathBuf;

/// Hadoop and MPI on one cluster.
#[derive(Debug, Parser)]
struct Args {
    /// How many agents of four cpus there are.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(2..=1000))]
    agents: u16,
    /// Seconds between two pictures; 0 = none.
    #[arg(long, default_value_t = 20)]
    every: u64,
    /// Plots the shares into this file.
    #[arg(long)]
    svg: Option<PathBuf>,
}

fn mean(times: &[f64]) -> f64 {
    times.iter().sum::<f64>() / f64::from(u32::try_from(times.len()).unwrap_or(u32::MAX))
}

fn last(times: &[f64]) -> f64 {
    times.iter().copied().fold(0.0, f64::max)
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let shared = run(args.agents, Participants::Both, |cluster, at| {
        if args.every > 0 && at.as_micros() % (args.every * 1_000_000) == 0 {
            println!("after {at} s   (m map, R reduce, = rank)\n{}\n", picture::draw(cluster));
        }
    })?;
    println!("dominant shares, {} s", last(&shared.mpi).max(shared.hadoop.unwrap_or_default()));
    println!("  hadoop │{}│", picture::strip(&shared.samples, |sample| sample.hadoop));
    println!("  mpi    │{}│\n", picture::strip(&shared.samples, |sample| sample.mpi));

    let half = args.agents / 2;
    let (hadoop, mpi) = (run(half, Participants::OnlyHadoop, |_, _| ())?, run(half, Participants::OnlyMpi, |_, _| ())?);
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
    println!("{table}");
    let apart = f64::midpoint(hadoop.utilisation, mpi.utilisation);
    println!("\ncpus that ran tasks: {:.0} % shared, {:.0} % cut in two", shared.utilisation * 100.0, apart * 100.0);
    println!("maps where their data lies: {:.0} %\n", shared.local * 100.0);

    println!("a job of k = 100 slots and work 2kT, T = 100 s (closed form → simulated)");
    for case in theory::CASES {
        let (form, seen) = (case.closed_form(), case.simulated()?);
        let whole = |seconds: Option<f64>| seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.0}"));
        println!(
            "  {:11} {:7}  ramp-up {:>3} → {:>3} s   completion {:3.0} → {:3.0} s   utilisation {:.2} → {:.2}",
            if case.exponential { "exponential" } else { "constant" },
            if case.elastic { "elastic" } else { "rigid" },
            whole(form.ramp_up),
            whole(seen.ramp_up),
            form.completion,
            seen.completion,
            form.utilisation,
            seen.utilisation
        );
    }
    if let Some(file) = &args.svg {
        picture::plot(&shared.samples, file)?;
        println!("\nplotted: {}", file.display());
    }
    Ok(())
}
