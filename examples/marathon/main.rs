//! A Marathon-like framework in an in-process cluster: apps in, tasks on agents out.
//!
//! ```text
//! cargo run --release --example marathon -- [APP.json ...] [--cluster FILE.json | --agents N]
//!     [--scale /redis=5] [--lose agent-2] [--json]
//! ```
//!
//! Without an app it runs `simple`, `redis-unique` and `nginx-bridge-port` of `examples/apps`. A cluster
//! file is `{"agents": [{"id": "a1", "resources": "cpus:4;mem:1024;ports:[31000-32000]"}]}`; an agent may
//! also have `hostname`, `attributes`, and `region` with `zone`. Wrong input ends in exit status 2,
//! with nothing launched and nothing on standard output.
#![expect(clippy::print_stderr, reason = "a program tells its user what is wrong")]

mod cluster;
mod framework;
mod report;

use apportion::placement::App;
use apportion::simulation::Cluster;
use apportion::{Agent, AgentId, Calls, Capability, CommandError, Config, Framework, FrameworkId};
use clap::Parser;
use framework::Marathon;
use indexmap::IndexMap;
use report::Log;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Runs apps, written for Marathon, in an in-process cluster.
#[derive(Debug, Parser)]
struct Arguments {
    /// The apps, each a file of Marathon's JSON.
    #[arg(value_name = "APP.json")]
    apps: Vec<PathBuf>,
    /// The agents, as a file of JSON.
    #[arg(long, value_name = "FILE.json", conflicts_with = "agents")]
    cluster: Option<PathBuf>,
    /// How many agents to make up, on three racks.
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    agents: u16,
    /// Once all runs, wants so many instances of an app.
    #[arg(long, value_name = "APP=N", value_parser = scale)]
    scale: Vec<(String, u64)>,
    /// At last, loses an agent and all tasks on it.
    #[arg(long, value_name = "AGENT")]
    lose: Vec<AgentId>,
    /// Prints one JSON document at the end, and nothing else.
    #[arg(long)]
    json: bool,
}

fn scale(text: &str) -> Result<(String, u64), String> {
    let (app, instances) = text.rsplit_once('=').ok_or("expected APP=N, such as /redis=5")?;
    let most = App::MOST_INSTANCES;
    let wrong = || format!("found {instances:?}, expected a whole number from 0 to {most}");
    let number = instances.parse().ok().filter(|number| *number <= most).ok_or_else(wrong)?;
    Ok((App::new(app).id.to_string(), number))
}

/// The apps that run when none is given: the talk's, but for two more of the id `redis`.
const APPS: [(&str, &str); 3] = [
    ("examples/apps/simple-app.json", include_str!("../apps/simple-app.json")),
    ("examples/apps/redis-unique-app.json", include_str!("../apps/redis-unique-app.json")),
    ("examples/apps/nginx-bridge-port-app.json", include_str!("../apps/nginx-bridge-port-app.json")),
];

/// How long the cluster is given to come to rest, in virtual time.
const REST: Duration = Duration::from_secs(60);

/// Why the program ends with another status than 0.
enum Failure {
    Input(Vec<String>),
    Output(io::Error),
}

impl From<CommandError> for Failure {
    /// The cluster is made of input, so what the master refuses is wrong input.
    fn from(error: CommandError) -> Self {
        Self::Input(vec![error.to_string()])
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let checked = check(&arguments).map_err(Failure::Input);
    match checked.and_then(|(apps, agents)| run(&arguments, apps, agents)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Input(messages)) => {
            messages.iter().for_each(|message| eprintln!("{message}"));
            ExitCode::from(2)
        }
        // Whoever reads our output has seen enough.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(Failure::Output(error)) => {
            eprintln!("standard output: {error}");
            ExitCode::FAILURE
        }
    }
}

type Agents = IndexMap<AgentId, Agent>;

/// Reads everything before anything happens; what is wrong is told all at once.
fn check(arguments: &Arguments) -> Result<(Vec<App>, Agents), Vec<String>> {
    let mut wrong = Vec::new();
    let mut apps: IndexMap<String, (String, App)> = IndexMap::new();
    for (file, text) in texts(&arguments.apps) {
        let read = text.and_then(|text| text.parse::<App>().map_err(|error| error.in_file(&file).to_string()));
        match read {
            Err(message) => wrong.push(message),
            Ok(app) => match apps.get(app.id.as_str()) {
                Some((other, _)) => wrong.push(format!("{file}: id: {} is the id of the app in {other} too", app.id)),
                None => drop(apps.insert(app.id.to_string(), (file, app))),
            },
        }
    }
    let agents = match &arguments.cluster {
        None => cluster::made_up(arguments.agents),
        Some(file) => cluster::read(file).unwrap_or_else(|message| {
            wrong.push(message);
            Agents::new()
        }),
    };
    if !wrong.is_empty() {
        return Err(wrong); // what follows would only be in the way
    }
    let names = |names: &mut dyn Iterator<Item = &str>| names.take(12).collect::<Vec<_>>().join(", ");
    for (app, _) in &arguments.scale {
        if !apps.contains_key(app) {
            let known = names(&mut apps.keys().map(String::as_str));
            wrong.push(format!("--scale: there is no app {app}, expected one of {known}"));
        }
    }
    for (i, agent) in arguments.lose.iter().enumerate() {
        if !agents.contains_key(agent) {
            let known = names(&mut agents.keys().map(AgentId::as_str));
            wrong.push(format!("--lose: there is no agent {agent}, expected one of {known}"));
        } else if arguments.lose[..i].contains(agent) {
            wrong.push(format!("--lose: {agent} is lost already"));
        }
    }
    if wrong.is_empty() { Ok((apps.into_values().map(|(_, app)| app).collect(), agents)) } else { Err(wrong) }
}

/// The names of the files with apps, and what is in them.
fn texts(files: &[PathBuf]) -> Vec<(String, Result<String, String>)> {
    if files.is_empty() {
        return APPS.map(|(name, text)| (name.to_owned(), Ok(text.to_owned()))).into();
    }
    let read = |file: &PathBuf| {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|error| format!("{name}: {error}"));
        (name, text)
    };
    files.iter().map(read).collect()
}

fn run(arguments: &Arguments, apps: Vec<App>, agents: Agents) -> Result<(), Failure> {
    let out = anstream::stdout().lock();
    let mut stage = Stage::new(apps, agents, (!arguments.json).then(|| Log::new(out)))?;
    stage.play("start")?;
    for (app, instances) in &arguments.scale {
        stage.tell(|marathon, calls| marathon.scale(app, *instances, calls));
        stage.play(&format!("{app} is to have {instances}"))?;
    }
    for agent in &arguments.lose {
        stage.cluster.remove_agent(agent)?;
        stage.play(&format!("{agent} is lost"))?;
    }
    Ok(stage.end()?)
}

/// Where it all happens, and who tells of it.
struct Stage<W> {
    cluster: Cluster<Marathon>,
    framework: FrameworkId,
    log: Option<Log<W>>,
}

impl<W: Write> Stage<W> {
    fn new(apps: Vec<App>, agents: Agents, log: Option<Log<W>>) -> Result<Self, CommandError> {
        let mut cluster = Cluster::new(Config::default());
        let marathon = Marathon::new(apps);
        let mut framework =
            Framework::new("marathon").capability(Capability::GpuResources).capability(Capability::RegionAware);
        for role in marathon.roles() {
            framework = framework.role(role);
        }
        let id = framework.id.clone();
        for agent in agents.into_values() {
            cluster.add_agent(agent)?;
        }
        cluster.add_framework(framework, marathon)?;
        Ok(Self { cluster, framework: id, log })
    }

    fn tell(&mut self, act: impl FnOnce(&mut Marathon, &mut Calls)) {
        self.cluster.tell(&self.framework, act);
    }

    /// Lets everything happen until the cluster has come to rest.
    fn play(&mut self, heading: &str) -> io::Result<()> {
        if let Some(log) = &mut self.log {
            log.heading(heading)?;
        }
        let until = self.cluster.now() + REST;
        while let Some(emitted) = self.cluster.step(until) {
            if let (Some(log), Some(marathon)) = (&mut self.log, self.cluster.scheduler(&self.framework)) {
                log.tell(&emitted, marathon)?;
            }
        }
        let (now, mut refusals) = (self.cluster.now(), Vec::new());
        self.tell(|marathon, _| refusals = marathon.take_refusals());
        if let Some(log) = &mut self.log {
            log.flush()?;
            log.refusals(now, &refusals)?;
        }
        Ok(())
    }

    /// Learns why what waits still has to, and shows what came of it all.
    fn end(mut self) -> io::Result<()> {
        self.tell(Marathon::ask_again);
        self.cluster.run_until(self.cluster.now() + REST);
        let Some(marathon) = self.cluster.scheduler(&self.framework) else { return Ok(()) };
        match self.log {
            Some(mut log) => {
                log.gap()?;
                let out = log.out();
                report::table(marathon, out)?;
                report::waiting(&marathon.waiting(), out)?;
                out.flush()
            }
            None => {
                let mut out = io::stdout().lock();
                serde_json::to_writer_pretty(&mut out, &report::json(&self.cluster, &self.framework))?;
                writeln!(out)?;
                out.flush()
            }
        }
    }
}
