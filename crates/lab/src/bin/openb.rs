//! Runs a GPU cluster's trace, Alibaba's "openb" (Weng et al., USENIX ATC'23), against the master.
//!
//! Every node is an agent, every pod a task, in order of arrival; each QoS class is a framework of
//! its own. GPUs are taken as one amount of thousandths per node (`gpu_milli`), so a share of one GPU is a share of the amount;
//! `gpus` itself is given to tasks in whole GPUs.
//!
//! ```text
//! trace=crates/lab/tests/traces/openb
//! cargo run --release -p apportion-lab --bin openb -- $trace/nodes.csv $trace/pods.csv --journal run.jsonl --effects out.jsonl
//! cargo run --release --example replay -- run.jsonl | cmp - out.jsonl
//! ```

use apportion::simulation::Cluster;
use apportion::{
    Accept, Agent, AttributeValue, Call, Calls, Command, Config, Effect, Emitted, Filters, Framework, FrameworkId,
    Offer, OfferId, Resources, Role, Scalar, Scheduler, Task, TaskId, TaskState, TaskStatus, Time, journal,
};
use apportion_console::{Failure, Named, STATUSES, Stdout, create, paths};
use clap::Parser;
use indexmap::IndexMap;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use std::cmp::Reverse;
use std::error::Error;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// The most offers that a framework keeps for pods to come.
const MAX_KEPT: usize = 16;

/// Runs the openb trace and records it as a journal.
#[derive(Debug, Parser)]
#[command(version, after_help = STATUSES)]
struct Arguments {
    /// The list of nodes, as CSV, `-` for standard input: sn, cpu_milli, memory_mib, gpu, model.
    nodes: PathBuf,
    /// The list of pods, in order of their creation_time.
    pods: PathBuf,
    /// Where to write the commands.
    #[arg(long)]
    journal: Option<PathBuf>,
    /// Where to write the effects.
    #[arg(long)]
    effects: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Node {
    sn: String,
    cpu_milli: u64,
    memory_mib: u64,
    gpu: u64,
    model: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Pod {
    name: String,
    cpu_milli: u64,
    memory_mib: u64,
    num_gpu: u64,
    gpu_milli: u64,
    gpu_spec: String,
    qos: String,
    pod_phase: String,
    creation_time: u64,
    deletion_time: u64,
}

impl Node {
    fn agent(&self) -> Result<Agent, Box<dyn Error>> {
        let agent =
            Agent::new(self.sn.as_str(), amounts(self.cpu_milli, self.memory_mib, self.gpu.saturating_mul(1000))?);
        let model = (!self.model.is_empty()).then_some(self.model.as_str());
        Ok(model.into_iter().fold(agent, |agent, model| agent.attribute("model", model)))
    }
}

impl Pod {
    fn task(&self) -> Result<Task, Box<dyn Error>> {
        let gpus = self.num_gpu.saturating_mul(self.gpu_milli);
        Ok(Task::new(self.name.as_str(), amounts(self.cpu_milli, self.memory_mib, gpus)?))
    }

    /// Returns whether the offer's GPUs are of a model that the pod accepts.
    fn suits(&self, offer: &Offer) -> bool {
        let model = offer.attributes.first("model");
        self.gpu_spec.is_empty() || self.gpu_spec.split('|').any(|spec| model == Some(&AttributeValue::from(spec)))
    }

    fn last_state(&self) -> TaskState {
        if self.pod_phase == "Failed" { TaskState::Failed } else { TaskState::Finished }
    }
}

/// The resource of GPUs, in thousandths of one.
const GPU_MILLI: &str = "gpu_milli";

fn amounts(cpu_milli: u64, memory_mib: u64, gpu_milli: u64) -> Result<Resources, Box<dyn Error>> {
    let resources = Resources::builder()
        .scalar("cpus", Scalar::milli(cpu_milli))
        .scalar("mem", Scalar::units(memory_mib))
        .scalar(GPU_MILLI, Scalar::units(gpu_milli));
    Ok(resources.build()?)
}

/// The scheduler of the pods of one QoS class: first fit.
///
/// The largest offers are kept, the rest is declined for good. That loses nothing: resources that grow beyond what was
/// declined are offered again, and those that do not grow do not hold the waiting pods either.
#[derive(Debug, Default)]
struct Class {
    waiting: Vec<(Pod, Task)>,
    kept: IndexMap<OfferId, Offer>,
    launched: IndexMap<TaskId, Pod>,
}

impl Class {
    fn submit(&mut self, pod: Pod, task: Task, calls: &mut Calls) {
        let fitting = |offer: &&Offer| offer.resources.contains(&task.resources) && pod.suits(offer);
        match self.kept.values().find(fitting).map(|offer| offer.id.clone()) {
            Some(id) => {
                if let Some(offer) = self.kept.shift_remove(&id) {
                    self.launch(&offer, vec![(pod, task)], calls);
                }
            }
            None => {
                self.waiting.push((pod, task));
                calls.revive();
            }
        }
    }

    fn launch(&mut self, offer: &Offer, pods: Vec<(Pod, Task)>, calls: &mut Calls) {
        let mut accept = Accept::of(offer).refuse_rest_for(Duration::ZERO);
        for (pod, task) in pods {
            self.launched.insert(task.id.clone(), pod);
            accept = accept.launch(task);
        }
        calls.accept(accept);
    }

    /// Launches the waiting pods that fit into the offer, the oldest first.
    fn take_waiting(&mut self, offer: &Offer) -> Vec<(Pod, Task)> {
        let mut left = offer.resources.clone();
        let taken = self.waiting.extract_if(.., |(pod, task)| match left.checked_sub(&task.resources) {
            Ok(rest) if pod.suits(offer) => {
                left = rest;
                true
            }
            _ => false,
        });
        taken.collect()
    }
}

impl Scheduler for Class {
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        for offer in offers {
            let taken = self.take_waiting(&offer);
            if taken.is_empty() {
                self.kept.insert(offer.id.clone(), offer);
            } else {
                self.launch(&offer, taken, calls);
            }
        }
        let room = |offer: &Offer| Reverse((offer.resources.amount(GPU_MILLI), offer.resources.amount("cpus")));
        self.kept.sort_by_cached_key(|_, offer| room(offer));
        if self.kept.len() > MAX_KEPT {
            let declined = self.kept.split_off(MAX_KEPT).into_keys().collect();
            calls.push(Call::Decline {
                offers: declined,
                filters: Filters::refuse_for(Filters::MAX_REFUSE),
                each: false,
            });
        }
    }

    fn rescinded(&mut self, offer: OfferId, _: &mut Calls) {
        self.kept.shift_remove(&offer);
    }
}

/// The files of the recording.
struct Output {
    journal: Option<Named<BufWriter<File>>>,
    effects: Option<Named<BufWriter<File>>>,
}

fn main() -> ExitCode {
    apportion_console::main(run)
}

fn run(arguments: &Arguments, out: &mut Stdout) -> Result<(), Failure> {
    let outputs = [("--journal", &arguments.journal), ("--effects", &arguments.effects)];
    let outputs = outputs.into_iter().filter_map(|(option, path)| Some((option, path.as_deref()?)));
    paths::check([arguments.nodes.as_path(), arguments.pods.as_path()], outputs)?;
    let nodes: Vec<Node> = read(&arguments.nodes)?;
    let pods: Vec<Pod> = read(&arguments.pods)?;
    let create = |path: &Option<PathBuf>| path.as_deref().map(create).transpose();
    let mut output = Output { journal: create(&arguments.journal)?, effects: create(&arguments.effects)? };
    let wrong =
        |file: &Path, name: &str, error: &dyn Error| Failure::input(format!("{}: {name}: {error}", file.display()));
    let agent = |node: &Node| node.agent().map_err(|error| wrong(&arguments.nodes, &node.sn, &*error));
    let task = |pod: &Pod| pod.task().map_err(|error| wrong(&arguments.pods, &pod.name, &*error));
    let role = |pod: &Pod| Role::new(pod.qos.as_str()).map_err(|error| wrong(&arguments.pods, &pod.name, &error));
    let agents = nodes.iter().map(agent).collect::<Result<Vec<_>, _>>()?;
    let work = pods.iter().map(|pod| Ok((pod, task(pod)?, role(pod)?))).collect::<Result<Vec<_>, Failure>>()?;
    let counts = simulate(agents, work, &mut output)?;
    output.finish()?;
    for (what, count) in [
        ("agents", nodes.len()),
        ("pods", pods.len()),
        ("offers", counts.offers),
        ("launched", counts.launched),
        ("ended", counts.ended),
        ("never ran", pods.len() - counts.launched),
    ] {
        writeln!(out, "{what:<9} {count:>9}")?;
    }
    Ok(())
}

/// Runs all pods to their ends. Progress is shown where standard error is a terminal.
fn simulate(agents: Vec<Agent>, work: Vec<(&Pod, Task, Role)>, output: &mut Output) -> Result<Counts, Box<dyn Error>> {
    let style = ProgressStyle::with_template("{bar:30} {pos} of {len} pods").expect("this is a template");
    let bar = ProgressBar::new(work.len() as u64).with_style(style);

    let config = Config::new().offer_timeout(Duration::from_secs(24 * 60 * 60)); // no class keeps its offers for ever
    output.write_config(&config)?;
    let mut cluster = Cluster::new(config).recording();
    for agent in agents {
        cluster.add_agent(agent)?;
    }
    for (pod, _, role) in &work {
        let class = FrameworkId::from(pod.qos.as_str());
        if cluster.scheduler(&class).is_none() {
            let framework = Framework::new(class).role(role.clone());
            cluster.add_framework(framework, Class::default())?;
        }
    }
    let mut counts = Counts::default();
    for (pod, task, _) in work {
        run_until(&mut cluster, Time::from_secs(pod.creation_time), &mut counts, output)?;
        cluster.tell(&pod.qos.as_str().into(), |class, calls| class.submit(pod.clone(), task, calls))?;
        bar.inc(1);
    }
    while let Some(end) = counts.last_end.take() {
        run_until(&mut cluster, end, &mut counts, output)?;
    }
    output.write_end(cluster.now())?;
    bar.finish_and_clear();
    Ok(counts)
}

#[derive(Debug, Default)]
struct Counts {
    offers: usize,
    launched: usize,
    ended: usize,
    /// The time at which the last of the launched pods will end.
    last_end: Option<Time>,
}

/// Runs the cluster up to that time. A launched pod runs for as long as in the trace.
fn run_until(
    cluster: &mut Cluster<Class>,
    until: Time,
    counts: &mut Counts,
    output: &mut Output,
) -> Result<(), Box<dyn Error>> {
    while let Some(emitted) = cluster.step(until) {
        if let Effect::Launch { framework, task, .. } = &emitted.effect {
            counts.launched += 1;
            let pod = cluster.scheduler(framework).and_then(|class| class.launched.get(&task.id));
            if let Some(pod) = pod {
                let ran = pod.deletion_time.saturating_sub(pod.creation_time).max(1);
                let status = TaskStatus::new(task.id.clone(), pod.last_state());
                let end = emitted.at + Duration::from_secs(ran);
                counts.last_end = counts.last_end.max(Some(end));
                cluster.schedule(end, Command::TaskStatus(framework.clone(), status));
            }
        }
        counts.offers += usize::from(matches!(emitted.effect, Effect::Offer(_)));
        let ended = |status: &TaskStatus| status.state.is_terminal();
        counts.ended += usize::from(matches!(&emitted.effect, Effect::Status { status, .. } if ended(status)));
        output.write(cluster, &emitted)?;
    }
    output.write_commands(cluster)
}

impl Output {
    /// Writes the first line of the journal.
    fn write_config(&mut self, config: &Config) -> Result<(), Box<dyn Error>> {
        if let Some(journal) = &mut self.journal {
            writeln!(journal, "{}", journal::header(config))?;
        }
        Ok(())
    }

    fn write(&mut self, cluster: &mut Cluster<Class>, emitted: &Emitted) -> Result<(), Box<dyn Error>> {
        if let Some(effects) = self.effects.as_mut().filter(|_| emitted.effect.is_in_journal()) {
            writeln!(effects, "{}", journal::effect_line(emitted))?;
        }
        self.write_commands(cluster)
    }

    fn write_commands(&mut self, cluster: &mut Cluster<Class>) -> Result<(), Box<dyn Error>> {
        for (at, command) in cluster.take_commands() {
            if let Some(journal) = &mut self.journal {
                writeln!(journal, "{}", journal::record(at, &command))?;
            }
        }
        Ok(())
    }

    /// Writes the last line of the journal, so that a replay runs the timers up to the end.
    fn write_end(&mut self, at: Time) -> Result<(), Box<dyn Error>> {
        if let Some(journal) = &mut self.journal {
            writeln!(journal, r#"{{"at":{at},"do":{{"advance":{{}}}}}}"#)?;
        }
        Ok(())
    }

    fn finish(self) -> io::Result<()> {
        [self.journal, self.effects].into_iter().flatten().try_for_each(|mut file| file.flush())
    }
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Vec<T>, Failure> {
    let mut rows = csv::Reader::from_reader(apportion_console::open(path)?);
    let wrong = |error: csv::Error| Failure::input(wrong_csv(path, &error));
    rows.deserialize().map(|row| row.map_err(wrong)).collect()
}

/// Returns the message for text that is no CSV, or has a wrong value.
fn wrong_csv(path: &Path, error: &csv::Error) -> String {
    let line = error.position().map_or(1, csv::Position::line);
    if let csv::ErrorKind::Utf8 { .. } = error.kind() {
        return format!("{}:{line}: found bytes that are no UTF-8, expected text", path.display());
    }
    if let csv::ErrorKind::Deserialize { err, .. } = error.kind() {
        return format!("{}:{line}: {err}", path.display());
    }
    format!("{}: {error}", path.display())
}
