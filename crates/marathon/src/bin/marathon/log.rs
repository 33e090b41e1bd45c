//! [`Log`]: a line for each event, for people.

use crate::exec::Line;
use anstyle::{AnsiColor, Style};
use apportion::placement::{HostPort, Launch};
use apportion::{Effect, Emitted, Offer, TaskId, TaskStatus, Time};
use apportion_marathon::{Marathon, Notice};
use std::io::{self, Write};
use std::path::Path;

/// The most lines shown of many alike.
pub(crate) const MAX_SHOWN: usize = 12;

pub(crate) const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default();

/// Writes a line for each event. Consecutive offers are collected, and shortened if they are many.
pub(crate) struct Log<W> {
    out: W,
    /// The offers since the last other event.
    offers: Vec<(Time, Offer)>,
}

impl<W: Write> Log<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, offers: Vec::new() }
    }

    /// Returns the output.
    pub(crate) fn out(&mut self) -> &mut W {
        &mut self.out
    }

    /// Writes the heading of a step.
    pub(crate) fn heading(&mut self, text: &str) -> io::Result<()> {
        self.flush()?;
        writeln!(self.out, "{BOLD}{text}{BOLD:#}")
    }

    /// Writes an empty line.
    pub(crate) fn gap(&mut self) -> io::Result<()> {
        self.flush()?;
        writeln!(self.out)
    }

    /// Writes an effect of the master.
    pub(crate) fn effect(&mut self, emitted: &Emitted, marathon: &Marathon) -> io::Result<()> {
        if let Effect::Offer(offer) = &emitted.effect {
            self.offers.push((emitted.at, offer.clone()));
            return Ok(());
        }
        self.flush()?;
        match &emitted.effect {
            Effect::Launch { agent, task, .. } => {
                let place = format!("{} on {agent}{}", task.id, rack(marathon, &task.id));
                let amounts = task.resources.filter(|resource| resource.name() != "ports");
                let text = format!("{place}  {amounts}{}", ports_of(marathon, &task.id));
                self.line(emitted.at, GOOD, "launch", &text)
            }
            Effect::Status { status, .. } => {
                let style = if status.state.is_terminal() { BAD } else { GOOD };
                self.line(emitted.at, style, "status", &status_text(status))
            }
            Effect::Kill { agent, task, .. } => self.line(emitted.at, BAD, "kill", &format!("{task} on {agent}")),
            Effect::Rescind { offer, .. } => self.line(emitted.at, DIM, "rescind", offer.as_str()),
            Effect::OperationFailed { operation, error, .. } => {
                self.line(emitted.at, BAD, "refused", &format!("{operation}: {error}"))
            }
            // There is no maintenance here, nor anything else that concerns this framework.
            Effect::Offer(_) | Effect::InverseOffer(_) | Effect::RescindInverseOffer { .. } | _ => Ok(()),
        }
    }

    /// Writes a notice of the framework.
    pub(crate) fn notice(&mut self, notice: &Notice) -> io::Result<()> {
        self.flush()?;
        self.line(notice.at, if notice.topic == "deploy" { BOLD } else { BAD }, notice.topic, &notice.text)
    }

    /// Writes a line of the output of a task.
    pub(crate) fn output(&mut self, line: &Line) -> io::Result<()> {
        self.flush()?;
        let style = if line.is_error { BAD } else { Style::new() };
        writeln!(self.out, "{style}{}{style:#} | {}", line.task, line.text)
    }

    /// Writes that a file was written.
    pub(crate) fn file(&mut self, at: Time, what: &str, file: &Path) -> io::Result<()> {
        self.flush()?;
        self.line(at, DIM, what, &format!("{} is written", file.display()))
    }

    /// Writes the collected offers.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let offers = std::mem::take(&mut self.offers);
        for (at, offer) in offers.iter().take(MAX_SHOWN) {
            let attributes =
                if offer.attributes.is_empty() { String::new() } else { format!("  {}", offer.attributes) };
            let text = format!("{} of {}  {}{attributes}", offer.id, offer.agent, offer.resources);
            self.line(*at, DIM, "offer", &text)?;
        }
        match (offers.len().saturating_sub(MAX_SHOWN), offers.last()) {
            (0, _) | (_, None) => Ok(()),
            (more, Some((at, _))) => self.line(*at, DIM, "offer", &format!("and {more} more")),
        }
    }

    fn line(&mut self, at: Time, style: Style, what: &str, text: &str) -> io::Result<()> {
        writeln!(self.out, "{:>8}  {style}{what:<7}{style:#}  {text}", format!("{at}s"))
    }
}

fn status_text(status: &TaskStatus) -> String {
    let health = match status.healthy {
        Some(true) => " healthy",
        Some(false) => " unhealthy",
        None => "",
    };
    let why = status.message.as_deref().or_else(|| status.reason.as_deref().filter(|_| status.healthy.is_none()));
    format!("{} {}{health}{}", status.task, status.state, why.map(|why| format!(" ({why})")).unwrap_or_default())
}

fn rack(marathon: &Marathon, task: &TaskId) -> String {
    let rack = marathon.task(task).and_then(|task| task.launch.location.attributes.first("rack"));
    rack.map(|rack| format!(" ({rack})")).unwrap_or_default()
}

fn ports_of(marathon: &Marathon, task: &TaskId) -> String {
    let task = marathon.task(task).filter(|task| !task.launch.ports.is_empty());
    task.map(|task| format!("  ports {}", ports(&task.launch))).unwrap_or_default()
}

/// Returns the host ports of a task, each with its container port if that differs: `31000->80`.
pub(crate) fn ports(launch: &Launch) -> String {
    let port = |(i, host): (usize, &Option<u64>)| {
        let request = launch.requests.get(i);
        let inner = request.map(|request| u64::from(request.number)).filter(|number| *number != 0);
        match (host, inner) {
            (Some(host), Some(inner)) if *host != inner => format!("{host}->{inner}"),
            (Some(host), _) => host.to_string(),
            (None, inner) if request.is_some_and(|request| request.host == HostPort::None) => {
                inner.map_or_else(|| "-".to_owned(), |inner| format!("-->{inner}"))
            }
            (None, _) => "-".to_owned(),
        }
    };
    launch.ports.iter().enumerate().map(port).collect::<Vec<_>>().join(",")
}
