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

mod arguments;
mod cluster;
mod framework;
mod input;
mod log;
mod report;
mod stage;

use apportion::CommandError;
use apportion::placement::App;
use arguments::Arguments;
use clap::Parser;
use input::Agents;
use log::Log;
use stage::Stage;
use std::io;
use std::process::ExitCode;

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
    let checked = input::check(&arguments).map_err(Failure::Input);
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
