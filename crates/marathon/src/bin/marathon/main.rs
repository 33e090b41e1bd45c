//! The program `marathon`: runs Marathon's apps on an in-process cluster, with simulated tasks or with processes, or on a cluster
//! that is reached over the network.
//!
//! ```text
//! cargo run --release -p apportion-marathon -- [FILE.json ...] [--cluster FILE.json | --agents N] [--json]
//!     [--scale /redis=5] [--update FILE.json] [--restart APP] [--stop APP|GROUP] [--lose agent-2] [--sick TASK]
//!     [--haproxy FILE [--haproxy-group GROUP]] [--why APP] [--exec [--follow APP|TASK] [--for SECONDS] [--sandbox FOLDER]]
//! cargo run --release -p apportion-marathon -- --master HOST:PORT [FILE.json ...] [--for SECONDS] [--scale ...] [--update ...] ...
//! ```
//!
//! A file is an app or a group of apps. Without one it runs `simple`, `redis-unique` and `nginx-bridge-port` of
//! `crates/marathon/apps`, or with `--exec` the first of these, because the others are images. A cluster
//! file is `{"agents": [{"id": "a1", "resources": "cpus:4;mem:1024;ports:[31000-32000]"}]}`; an agent may
//! also have `hostname`, `attributes`, and `region` with `zone`.
//!
//! Tasks are simulated in virtual time, or with `--exec` are processes of this machine in real time, until Ctrl-C: then all
//! are ended, dependents before their dependencies. A second Ctrl-C kills them. With `--master` they run on the agents of that
//! cluster, as commands or containers, and end in the same way.
//!
//! `--help` has all options and the exit statuses. Wrong input ends it with nothing launched and nothing on standard output.

mod arguments;
mod cluster;
mod connected;
#[cfg_attr(not(target_os = "linux"), path = "exec/elsewhere.rs")]
mod exec;
mod failures;
mod haproxy;
mod input;
mod log;
mod report;
mod session;
mod warnings;
mod why;

use apportion_console::{Failure, Named, STANDARD_OUTPUT, Stdout, paths};
use arguments::Arguments;
use connected::Connected;
use input::{Action, Input};
use log::Log;
use session::{Resources, Session};
use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    apportion_console::main_with(Arguments::of_program, |arguments: &Arguments, _: &mut Stdout| {
        let haproxy = arguments.haproxy.as_deref().map(|file| ("--haproxy", file));
        paths::check(arguments.inputs(), haproxy)?;
        run(arguments, &Input::read(arguments).map_err(Failure::Input)?)
    })
}

fn run(arguments: &Arguments, input: &Input) -> Result<(), Failure> {
    input.warnings.iter().for_each(apportion_console::warn);
    // Whether a task exists whose checks are to fail shows only after the steps before: so there is a dry run before any output.
    let has_output = !arguments.json || arguments.haproxy.is_some();
    if has_output && input.steps.iter().any(|step| matches!(step.action, Action::FailChecks(_))) {
        let mut dry_run = Session::<io::Sink>::new(input, Resources::default(), None)?;
        input.steps.iter().try_for_each(|step| dry_run.run(step))?;
    }
    let resources = Resources::new(arguments, input).map_err(Failure::Input)?;
    let out = Named::new(STANDARD_OUTPUT, anstream::stdout().lock());
    let log = (!arguments.json).then(|| Log::new(out, arguments.columns(), arguments.verbose));
    let waiting = match &arguments.master {
        Some(masters) => {
            apportion_console::log_warnings();
            let mut connected = Connected::new(masters.clone(), input, (resources, log), arguments.seconds)?;
            input.steps.iter().try_for_each(|step| connected.run(step))?;
            connected.finish()?
        }
        None => {
            let mut session = Session::new(input, resources, log)?;
            input.steps.iter().try_for_each(|step| session.run(step))?;
            session.finish()?
        }
    };
    if arguments.strict && waiting > 0 {
        return Err(Failure::Unplaced(format!("{waiting} could not be placed")));
    }
    Ok(())
}
