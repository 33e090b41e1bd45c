//! `apportion`: a master that frameworks of Mesos connect to.

#![expect(clippy::print_stderr, reason = "a program tells its user why it ends")]

mod arguments;
mod flags;
mod node;
mod open_files;
mod simulated;
mod values;

use arguments::{Arguments, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match Arguments::read() {
        Ok(arguments) => arguments,
        Err(end) => return end,
    };
    let ended = match arguments.command {
        Command::Master(flags) => node::run(&flags, None),
        Command::Up(up) => node::run(&up.master, Some(&up.agents)),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
