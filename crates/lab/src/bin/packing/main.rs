//! Packs the openb trace: the part of a cluster's GPUs that is in use when pods keep arriving, by policy.
//!
//!     cargo run --release -p apportion-lab --bin packing -- [--nodes CSV] [--pods CSV] [--orders TXT | --seed S]
//!                                              [--policy NAME] [--json]
//!
//! The trace is Alibaba's GPU cluster of 2023, the protocol that of Weng et al., *Beware of Fragmentation: Scheduling
//! GPU-Sharing Workloads with Fragmentation Gradient Descent*, USENIX ATC'23: pods arrive in a shuffled order until
//! they want 130 % of all GPUs, none ever ends, and one that fits nowhere is dropped. With seeds 42 to 51 the arrivals
//! are those of the published runs, and so are the results.

mod arrivals;
mod go;
mod run;
mod trace;

use apportion::packing::TargetWorkload;
use apportion_console::{Failure, STATUSES, Stdout};
use clap::{Parser, ValueEnum};
use comfy_table::{CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use run::{Outcome, Policy, capacity};
use std::io::Write;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use trace::{Node, Order, Pod};

/// The folder of the trace.
const TRACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/traces/openb");

/// How much of a cluster's GPUs is in use when pods keep arriving, by policy.
#[derive(Debug, Parser)]
#[command(version, after_help = STATUSES)]
struct Arguments {
    /// The list of nodes: sn, cpu_milli, memory_mib, gpu, model [default: the trace's nodes with GPUs]
    #[arg(long, value_name = "CSV")]
    nodes: Option<PathBuf>,
    /// A list of pods: name, cpu_milli, memory_mib, num_gpu, gpu_milli, gpu_spec; several are compared [default: the
    /// trace's five]
    #[arg(long, value_name = "CSV")]
    pods: Vec<PathBuf>,
    /// The order of arrival: a line of rows of the list of pods, and a line of ranks of the nodes by name
    #[arg(long, value_name = "TXT", conflicts_with_all = ["seed", "runs"])]
    orders: Option<PathBuf>,
    /// The seed of the order of arrival
    #[arg(long, value_name = "S", default_value_t = 42, allow_negative_numbers = true)]
    seed: i64,
    /// How many seeds, one after the other
    #[arg(long, value_name = "N", default_value = "1", conflicts_with = "json")]
    runs: NonZeroU16,
    /// How nodes are chosen [default: each policy in turn; with --json: Outlook]
    #[arg(long, value_name = "NAME", ignore_case = true)]
    policy: Option<Policy>,
    /// Prints one run as JSON: policy, placed, arrived, and columns, the percentages in use at 0 to 130 % arrived
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    apportion_console::main(|arguments: &Arguments, out: &mut Stdout| {
        let text = if arguments.json { json(arguments) } else { table(arguments) };
        out.write_all(text.map_err(Failure::input)?.as_bytes())?;
        Ok(())
    })
}

/// A list of pods, with its orders of arrival, on the nodes.
struct Workload<'a> {
    nodes: &'a [Node],
    pods: Vec<Pod>,
    mix: TargetWorkload,
    orders: Vec<(u64, Order)>,
}

impl<'a> Workload<'a> {
    fn read(arguments: &Arguments, nodes: &'a [Node], pods: &Path) -> Result<Self, String> {
        let file = pods.display();
        let pods = trace::pods(pods)?;
        let orders = match &arguments.orders {
            Some(path) => vec![(0, trace::order(path, nodes.len(), pods.len())?)],
            None => {
                let seeds = (0..arguments.runs.get()).map(|run| arguments.seed.saturating_add(run.into()));
                let order = |seed: i64| {
                    let order = arrivals::drawn(nodes, &pods, capacity(nodes), seed);
                    order.map(|order| (seed.cast_unsigned(), order)).map_err(|error| format!("{file}: {error}"))
                };
                seeds.map(order).collect::<Result<_, _>>()?
            }
        };
        let mix = TargetWorkload::of(pods.iter().map(|pod| &pod.demand));
        Ok(Self { nodes, pods, mix, orders })
    }

    fn run(&self, policy: Policy, progress: &ProgressBar) -> Vec<Outcome> {
        let fitness = policy.fitness(&self.mix, self.nodes);
        let run = |(seed, order): &(u64, Order)| {
            progress.set_message(policy.to_string());
            let outcome = run::run(self.nodes, &self.pods, order, policy, &*fitness, *seed);
            progress.inc(1);
            outcome
        };
        self.orders.iter().map(run).collect()
    }
}

/// Returns a progress bar over that many runs, on standard error, which is hidden unless that is a terminal.
fn progress(runs: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos} of {len} runs, {msg}").expect("this is a template");
    ProgressBar::new(runs as u64).with_style(style)
}

fn nodes(arguments: &Arguments) -> Result<Vec<Node>, String> {
    let path = arguments.nodes.clone().unwrap_or_else(|| Path::new(TRACE).join("gpu_nodes.csv"));
    let nodes = trace::nodes(&path)?;
    if capacity(&nodes) == 0 { Err(format!("{}: gpu: expected a node with some", path.display())) } else { Ok(nodes) }
}

fn json(arguments: &Arguments) -> Result<String, String> {
    let default = Path::new(TRACE).join("default.csv");
    let pods = match arguments.pods.as_slice() {
        [] => &default,
        [one] => one,
        many => return Err(format!("{} lists of pods: expected one with --json", many.len())),
    };
    let nodes = nodes(arguments)?;
    let outcomes =
        Workload::read(arguments, &nodes, pods)?.run(arguments.policy.unwrap_or(Policy::Outlook), &progress(1));
    outcomes
        .iter()
        .map(|outcome| serde_json::to_string(outcome).map(|text| text + "\n").map_err(|error| error.to_string()))
        .collect()
}

fn table(arguments: &Arguments) -> Result<String, String> {
    let lists = match arguments.pods.as_slice() {
        [] => ["default", "gpushare100", "multigpu50", "gpuspec33", "cpu250"]
            .map(|list| Path::new(TRACE).join(list).with_extension("csv"))
            .to_vec(),
        lists => lists.to_vec(),
    };
    let nodes = nodes(arguments)?;
    let workloads = lists.iter().map(|list| Workload::read(arguments, &nodes, list)).collect::<Result<Vec<_>, _>>()?;

    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    let name = |list: &PathBuf| list.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    table.set_header([vec!["policy".to_owned()], lists.iter().map(name).collect()].concat());
    let policies = arguments.policy.map_or_else(|| Policy::value_variants().to_vec(), |policy| vec![policy]);
    let progress = progress(policies.len() * workloads.iter().map(|workload| workload.orders.len()).sum::<usize>());
    for policy in policies {
        let cells = workloads.iter().map(|workload| cell(&workload.run(policy, &progress)));
        table.add_row([vec![policy.to_string()], cells.collect()].concat());
    }
    progress.finish_and_clear();
    (1..=lists.len())
        .filter_map(|column| table.column_mut(column).map(|column| column.set_cell_alignment(CellAlignment::Right)))
        .for_each(drop);
    let orders = match &arguments.orders {
        Some(path) => format!("the order of {}", path.display()),
        None if arguments.runs.get() == 1 => format!("seed {}", arguments.seed),
        None => format!(
            "seeds {} to {}",
            arguments.seed,
            arguments.seed.saturating_add(i64::from(arguments.runs.get()) - 1)
        ),
    };
    Ok(format!(
        "GPUs in use when the pods that came want 130 % of all {}, in %; {orders}\n\n{table}\n",
        capacity(&nodes) / 1000
    ))
}

/// Returns the mean of the last column, and its standard deviation over the runs.
fn cell(outcomes: &[Outcome]) -> String {
    let last: Vec<f64> = outcomes.iter().filter_map(|outcome| *outcome.columns.last()?).collect();
    if last.is_empty() {
        return "-".to_owned(); // a given order may end before
    }
    let count = f64::from(u32::try_from(last.len()).expect("no more than 65,535 runs"));
    let mean = last.iter().sum::<f64>() / count;
    if last.len() == 1 {
        return format!("{mean:.2}");
    }
    let deviation = (last.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt();
    format!("{mean:.2} ± {deviation:.2}")
}
