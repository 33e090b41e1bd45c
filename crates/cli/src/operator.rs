//! The commands of operators: each asks a master over HTTP, and prints the answer for people, or as it came.

mod agents;
pub(crate) mod arguments;
mod changes;
mod explain;
mod frameworks;
pub(crate) mod http;
mod maintenance;
mod offers;
pub(crate) mod output;
mod ps;
mod query;
mod resources;
mod roles;
pub(crate) mod sandbox;
mod state;
mod table;
mod tasks;

use apportion_console::{Failure, Stdout};
use arguments::{Command, Connection, Listing, MaintenanceAction, Output, QuotaAction, SandboxAction, WeightsAction};
use http::{Answer, Master, MasterError};
use std::io::{IsTerminal as _, Write as _};
use table::Table;

/// The largest file of a secret in bytes.
const MAX_SECRET: usize = 64 << 10;

/// Runs a command.
pub(crate) fn run(command: &Command, out: &mut Stdout) -> Result<(), Failure> {
    match command {
        Command::Agents(listing) => listed(listing, out, agents::list),
        Command::Frameworks(arguments) => {
            listed(&arguments.listing, out, |master, printer| frameworks::list(master, arguments, printer))
        }
        Command::Tasks(arguments) => {
            listed(&arguments.listing, out, |master, printer| tasks::list(master, arguments, printer))
        }
        Command::Ps(arguments) => {
            listed(&arguments.listing, out, |master, printer| ps::list(master, arguments, printer))
        }
        Command::Tail(arguments) => output::tail(&master(&arguments.connection)?, arguments, &mut plain(out)),
        Command::Logs(arguments) => output::logs(&master(&arguments.connection)?, arguments, &mut plain(out)),
        Command::Sandbox(arguments) => {
            let master = master(&arguments.connection)?;
            match &arguments.action {
                SandboxAction::Ls { output, .. } => {
                    output::sandbox(&master, arguments, &mut Printer::new(*output, out))
                }
                SandboxAction::Cat { .. } => output::sandbox(&master, arguments, &mut plain(out)),
            }
        }
        Command::Offers(arguments) => {
            listed(&arguments.listing, out, |master, printer| offers::list(master, arguments, printer))
        }
        Command::Explain(arguments) => {
            listed(&arguments.listing, out, |master, printer| explain::explain(master, arguments, printer))
        }
        Command::Roles(listing) => listed(listing, out, roles::list),
        Command::Quota(arguments) => {
            let master = master(&arguments.listing.connection)?;
            match &arguments.action {
                None => roles::quotas(&master, &mut Printer::new(arguments.listing.output, out)),
                Some(QuotaAction::Show(output)) => roles::quotas(&master, &mut Printer::new(*output, out)),
                Some(QuotaAction::Set(set)) => changes::set_quota(&master, set, &mut plain(out)),
                Some(QuotaAction::Remove { role }) => changes::remove_quota(&master, role, &mut plain(out)),
            }
        }
        Command::Weights(arguments) => {
            let master = master(&arguments.listing.connection)?;
            match &arguments.action {
                None => roles::weights(&master, &mut Printer::new(arguments.listing.output, out)),
                Some(WeightsAction::Show(output)) => roles::weights(&master, &mut Printer::new(*output, out)),
                Some(WeightsAction::Set { weights }) => changes::set_weights(&master, &weights.0, &mut plain(out)),
            }
        }
        Command::Reserve(arguments) => changes::reserve(&master(&arguments.connection)?, arguments, &mut plain(out)),
        Command::Unreserve(arguments) => {
            changes::unreserve(&master(&arguments.connection)?, arguments, &mut plain(out))
        }
        Command::Maintenance(arguments) => {
            let master = master(&arguments.listing.connection)?;
            match &arguments.action {
                None => maintenance::show(&master, &mut Printer::new(arguments.listing.output, out)),
                Some(MaintenanceAction::Show(output)) => maintenance::show(&master, &mut Printer::new(*output, out)),
                Some(MaintenanceAction::Schedule(schedule)) => {
                    maintenance::schedule(&master, schedule, &mut plain(out))
                }
                Some(MaintenanceAction::Cancel { machines }) => maintenance::cancel(&master, machines, &mut plain(out)),
                Some(MaintenanceAction::Start { machines }) => maintenance::start(&master, machines, &mut plain(out)),
                Some(MaintenanceAction::Stop { machines }) => maintenance::stop(&master, machines, &mut plain(out)),
            }
        }
        Command::Drain(arguments) => changes::drain(&master(&arguments.connection)?, arguments, &mut plain(out)),
        Command::Deactivate(arguments) => {
            changes::deactivate(&master(&arguments.connection)?, &arguments.agent, &mut plain(out))
        }
        Command::Reactivate(arguments) => {
            changes::reactivate(&master(&arguments.connection)?, &arguments.agent, &mut plain(out))
        }
        Command::Gone(arguments) => changes::gone(&master(&arguments.connection)?, &arguments.agent, &mut plain(out)),
        Command::Teardown(arguments) => {
            changes::teardown(&master(&arguments.connection)?, &arguments.framework, &mut plain(out))
        }
    }
}

/// Runs a command that lists something.
fn listed(
    listing: &Listing,
    out: &mut Stdout,
    list: impl FnOnce(&Master, &mut Printer<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    list(&master(&listing.connection)?, &mut Printer::new(listing.output, out))
}

impl From<MasterError> for Failure {
    fn from(error: MasterError) -> Self {
        Self::Run(error.to_string())
    }
}

/// Returns the master that the options name.
pub(crate) fn master(connection: &Connection) -> Result<Master, Failure> {
    let master = Master::new(&connection.master, connection.timeout);
    Ok(match login(connection)? {
        Some((principal, secret)) => master.login(&principal, &secret),
        None => master,
    })
}

/// Returns the principal and the secret to log in with, if the options name them.
pub(crate) fn login(connection: &Connection) -> Result<Option<(String, String)>, Failure> {
    match (&connection.principal, &connection.secret_file) {
        (None, None) => Ok(None),
        (Some(principal), Some(file)) => {
            // Wrong arguments have status 1 in this program.
            let secret =
                apportion_console::read(file, MAX_SECRET).map_err(|failure| Failure::Run(failure.to_string()))?;
            let secret = String::from_utf8_lossy(&secret);
            Ok(Some((principal.clone(), secret.trim_end_matches(['\r', '\n']).to_owned())))
        }
        (Some(_), None) => Err(Failure::Run("--principal: expected --secret-file, too".to_owned())),
        (None, Some(_)) => Err(Failure::Run("--secret-file: expected --principal, too".to_owned())),
    }
}

/// Standard output, and the form of what is written to it.
struct Printer<'a> {
    out: &'a mut Stdout,
    is_json: bool,
    width: Option<usize>,
}

/// Returns the printer of a command that has no table.
fn plain(out: &mut Stdout) -> Printer<'_> {
    Printer { out, is_json: false, width: None }
}

impl<'a> Printer<'a> {
    fn new(output: Output, out: &'a mut Stdout) -> Self {
        let terminal = || std::io::stdout().is_terminal().then(apportion_console::width);
        Self { out, is_json: output.json, width: output.width.map(usize::from).or_else(terminal) }
    }

    /// Prints an answer as it came, on a line of its own.
    fn answer(&mut self, answer: &Answer) -> Result<(), Failure> {
        self.out.write_all(answer.text())?;
        if !answer.text().ends_with(b"\n") {
            self.out.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Prints a table, and below it a line that says how many rows it has.
    fn table(&mut self, table: &Table, summary: &str) -> Result<(), Failure> {
        for line in table.lines(self.width) {
            writeln!(self.out, "{line}")?;
        }
        self.line(summary)
    }

    /// Prints a text below a heading, in as many lines as it takes.
    fn indented(&mut self, text: &str) -> Result<(), Failure> {
        let text = text.replace(char::is_control, "\u{fffd}");
        let options = textwrap::Options::new(self.width.unwrap_or(usize::MAX));
        for line in textwrap::wrap(&text, options.initial_indent("  ").subsequent_indent("    ")) {
            writeln!(self.out, "{line}")?;
        }
        Ok(())
    }

    fn line(&mut self, line: &str) -> Result<(), Failure> {
        Ok(writeln!(self.out, "{}", line.replace(char::is_control, "\u{fffd}"))?)
    }
}
