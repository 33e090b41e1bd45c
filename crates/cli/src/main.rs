//! `apportion`: a master that frameworks of Mesos connect to, and the commands of its operators.

mod address;
mod agent;
mod agent_flags;
mod arguments;
mod config_folder;
mod flags;
mod master_flags;
mod node;
mod open_files;
mod operator;
mod run;
mod shell;
mod up;
mod values;

use apportion_agent::executor;
use apportion_console::{Failure, Stdout};
use arguments::{Arguments, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    // One starts for each command that is launched: no command line is described, no log set up.
    if let Some(program) = executor::Program::parse(std::env::args_os().skip(1)) {
        return execute(program);
    }
    apportion_console::main_with(Arguments::read, run)
}

/// Runs a built-in executor. What it says stands in its sandbox.
fn execute(program: executor::Program) -> ExitCode {
    program.run().map_or_else(|error| Failure::Run(error.to_string()).report(), |()| ExitCode::SUCCESS)
}

fn run(arguments: &Arguments, out: &mut Stdout) -> Result<(), Failure> {
    match &arguments.command {
        Command::Master(flags) => node::run(flags, &node::Cluster::Alone, out),
        Command::Up(up) => node::run(&up.master, &up.cluster(), out),
        Command::Agent(flags) => agent::run(flags, out),
        Command::Run(arguments) => run::run(arguments),
        Command::Operator(command) => operator::run(command, out),
        Command::Completions { shell } => shell::completions(*shell, out),
        Command::Man { command } => shell::manual(command, out),
    }
}
