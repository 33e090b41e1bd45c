//! Runs a GPU cluster's trace, Alibaba's "openb" (Weng et al., USENIX ATC'23), against the master.
//!
//! Every node is an agent, every pod a task, in order of arrival; each QoS class is a framework of
//! its own. GPUs are taken as one amount of thousandths per node (`gpu_milli`), so a share of one GPU is a share of the amount;
//! `gpus` itself is given to tasks in whole GPUs.
//!
//! ```text
//! cargo run --release -p apportion-lab --bin openb -- NODES.csv PODS.csv --journal run.jsonl --effects out.jsonl
//! cargo run --release --example replay -- run.jsonl | cmp - out.jsonl
//! ```
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program talks to its user")]

use apportion::simulation::Cluster;
use apportion::{
    Accept, Agent, AttributeValue, Call, Calls, Command, Config, Effect, Emitted, Filters, Framework, FrameworkId,
    Offer, OfferId, Resources, Role, Scalar, Scheduler, Task, TaskId, TaskState, TaskStatus, Time, journal,
};
use clap::Parser;
use indexmap::IndexMap;
use serde::Deserialize;
use std::cmp::Reverse;
use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// The most offers that a framework keeps for pods to come.
const MAX_KEPT: usize = 16;

/// Runs the openb trace and records it as a journal.
#[derive(Debug, Parser)]
struct Arguments {
    /// The list of nodes: sn, cpu_milli, memory_mib, gpu, model.
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
        let agent = Agent::new(self.sn.as_str(), amounts(self.cpu_milli, self.memory_mib, self.gpu * 1000)?);
        let model = (!self.model.is_empty()).then_some(self.model.as_str());
        Ok(model.into_iter().fold(agent, |agent, model| agent.attribute("model", model)))
    }
}

impl Pod {
    fn task(&self) -> Result<Task, Box<dyn Error>> {
        let gpus = self.num_gpu * self.gpu_milli;
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
    journal: Option<BufWriter<File>>,
    effects: Option<BufWriter<File>>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let nodes: Vec<Node> = read(&arguments.nodes)?;
    let pods: Vec<Pod> = read(&arguments.pods)?;
    let create = |path: &Option<PathBuf>| path.as_deref().map(create).transpose();
    let mut output = Output { journal: create(&arguments.journal)?, effects: create(&arguments.effects)? };

    let config = Config::new().offer_timeout(Duration::from_secs(24 * 60 * 60)); // no class keeps its offers for ever
    output.write_config(&config)?;
    let mut cluster = Cluster::new(config).recording();
    for node in &nodes {
        cluster.add_agent(node.agent()?)?;
    }
    for pod in &pods {
        let class = FrameworkId::from(pod.qos.as_str());
        if cluster.scheduler(&class).is_none() {
            let role = Role::new(pod.qos.as_str())?;
            let framework = Framework::new(class).role(role);
            cluster.add_framework(framework, Class::default())?;
        }
    }
    let mut counts = Counts::default();
    for pod in &pods {
        run_until(&mut cluster, Time::from_secs(pod.creation_time), &mut counts, &mut output)?;
        let task = pod.task()?;
        cluster.tell(&pod.qos.as_str().into(), |class, calls| class.submit(pod.clone(), task, calls))?;
    }
    while let Some(end) = counts.last_end.take() {
        run_until(&mut cluster, end, &mut counts, &mut output)?;
    }
    output.write_end(cluster.now())?;

    println!("agents    {:>9}", nodes.len());
    println!("pods      {:>9}", pods.len());
    println!("offers    {:>9}", counts.offers);
    println!("launched  {:>9}", counts.launched);
    println!("ended     {:>9}", counts.ended);
    println!("never ran {:>9}", pods.len() - counts.launched);
    output.finish()
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

    fn finish(self) -> Result<(), Box<dyn Error>> {
        for file in [self.journal, self.effects].into_iter().flatten() {
            file.into_inner().map_err(|error| error.to_string())?.sync_all()?;
        }
        Ok(())
    }
}

fn create(path: &Path) -> Result<BufWriter<File>, String> {
    File::create(path).map(BufWriter::new).map_err(|error| format!("{}: {error}", path.display()))
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Vec<T>, String> {
    let wrong = |error: csv::Error| format!("{}: {error}", path.display());
    let mut rows = csv::Reader::from_path(path).map_err(wrong)?;
    rows.deserialize().map(|row| row.map_err(wrong)).collect()
}
