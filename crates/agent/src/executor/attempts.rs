//! Checks as they are made, of processes and of containers alike.

use super::checks::{CheckKind, ProbeKind, ProbeResult};
use super::ending::Ending;
use super::program::{Outcome, Outcomes};
use apportion::TaskId;
use apportion_exec::Exit;
use apportion_exec::check::{self, Attempt, REDIRECTS};
use std::net::IpAddr;
use std::time::Duration;

/// The time limit of a check that has none: it ends with its task.
pub(super) const NO_LIMIT: Duration = Duration::from_secs(365 * 86_400);

/// Returns the check of a task at that address; `None` for a command.
pub(super) fn over_network(what: &ProbeKind, address: IpAddr) -> Option<check::Probe> {
    match what {
        ProbeKind::Command { .. } => None,
        ProbeKind::Http { tls, port, path } => {
            let (address, path) = ((address, *port).into(), path.clone());
            Some(if *tls {
                check::Probe::Https { address, path, redirects: REDIRECTS }
            } else {
                check::Probe::Http { address, path, redirects: REDIRECTS }
            })
        }
        ProbeKind::Tcp { port } => Some(check::Probe::Tcp((address, *port).into())),
    }
}

/// Begins a check; its result is told as an outcome. Dropping what is returned ends its command.
pub(super) fn begin(
    task: &TaskId,
    kind: CheckKind,
    what: Result<check::Probe, String>,
    limit: Option<Duration>,
    outcomes: &Outcomes,
) -> Option<Attempt> {
    let (told, sender) = (task.clone(), outcomes.clone());
    let done = move |outcome| {
        let _ = sender.send(Outcome::Probed(told, kind, result(outcome))); // the executor may be at its end
    };
    let begun =
        what.and_then(|what| Attempt::begin(what, limit.unwrap_or(NO_LIMIT), done).map_err(|error| error.to_string()));
    match begun {
        Ok(attempt) => Some(attempt),
        Err(why) => {
            let _ = outcomes.send(Outcome::Probed(task.clone(), kind, ProbeResult::Nothing(why))); // as above
            None
        }
    }
}

/// Returns how a process has ended.
pub(super) fn ending(exit: Exit) -> Ending {
    let Some(status) = exit.status() else {
        return Ending::Unknown("nobody knows how the command has ended".to_owned());
    };
    match (status.code(), status.signal()) {
        (Some(code), _) => Ending::Exited(code),
        (None, Some(signal)) => Ending::Signaled(signal),
        (None, None) => Ending::Unknown(format!("the command has ended with the wait status {}", status.raw())),
    }
}

fn result(outcome: check::Outcome) -> ProbeResult {
    use check::Outcome::{Command, Failed, Http, Tcp, TimedOut};
    match outcome {
        Command(exit) => match ending(exit) {
            Ending::Exited(status) => ProbeResult::Exited(status),
            other @ (Ending::Signaled(_) | Ending::OutOfMemory(_) | Ending::NotStarted(_) | Ending::Unknown(_)) => {
                ProbeResult::Nothing(other.message("The check"))
            }
        },
        Http(status) => ProbeResult::Status(status),
        Tcp(connected) => ProbeResult::Connected(connected.is_ok()),
        Failed(why) => ProbeResult::Nothing(why),
        TimedOut(limit) => ProbeResult::Nothing(format!("there was no result in {limit:?}")),
        other => ProbeResult::Nothing(format!("{other:?}")),
    }
}
