//! What people, and programs, are shown.

use crate::framework::{Instance, Marathon, Waiting};
use anstyle::{AnsiColor, Style};
use apportion::placement::{App, HostPort};
use apportion::simulation::Cluster;
use apportion::{Effect, Emitted, FrameworkId, Offer, TaskId, TaskStatus, Time};
use comfy_table::{CellAlignment, Table};
use serde_json::{Map, Value as Json, json};
use std::io::{self, Write};

/// Of many lines alike, only so many are shown.
const SHOWN: usize = 12;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();

/// Tells what happens, line by line, as it happens.
pub(crate) struct Log<W> {
    out: W,
    /// Offers that arrived last, one after another.
    offers: Vec<(Time, Offer)>,
}

impl<W: Write> Log<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, offers: Vec::new() }
    }

    /// Where it is told.
    pub(crate) fn out(&mut self) -> &mut W {
        &mut self.out
    }

    /// A part of the story.
    pub(crate) fn heading(&mut self, text: &str) -> io::Result<()> {
        self.flush()?;
        writeln!(self.out, "{BOLD}{text}{BOLD:#}")
    }

    /// The end of the story: what follows stands apart.
    pub(crate) fn gap(&mut self) -> io::Result<()> {
        self.flush()?;
        writeln!(self.out)
    }

    /// One thing that happened.
    pub(crate) fn tell(&mut self, emitted: &Emitted, marathon: &Marathon) -> io::Result<()> {
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
                self.line(emitted.at, style, "status", &told(status))
            }
            Effect::Kill { agent, task, .. } => self.line(emitted.at, BAD, "kill", &format!("{task} on {agent}")),
            Effect::Rescind { offer, .. } => self.line(emitted.at, DIM, "rescind", offer.as_str()),
            Effect::OperationFailed { operation, error, .. } => {
                self.line(emitted.at, BAD, "refused", &format!("{operation}: {error}"))
            }
            // There is no maintenance here, and nothing else that a framework of this kind would see.
            Effect::Offer(_) | Effect::InverseOffer(_) | Effect::RescindInverseOffer { .. } | _ => Ok(()),
        }
    }

    /// What the framework asked for and did not get.
    pub(crate) fn refusals(&mut self, at: Time, messages: &[String]) -> io::Result<()> {
        messages.iter().try_for_each(|message| self.line(at, BAD, "refused", message))
    }

    /// The offers that are still to be told.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let offers = std::mem::take(&mut self.offers);
        for (at, offer) in offers.iter().take(SHOWN) {
            let attributes =
                if offer.attributes.is_empty() { String::new() } else { format!("  {}", offer.attributes) };
            let text = format!("{} of {}  {}{attributes}", offer.id, offer.agent, offer.resources);
            self.line(*at, DIM, "offer", &text)?;
        }
        match (offers.len().saturating_sub(SHOWN), offers.last()) {
            (0, _) | (_, None) => Ok(()),
            (more, Some((at, _))) => self.line(*at, DIM, "offer", &format!("and {more} more")),
        }
    }

    fn line(&mut self, at: Time, style: Style, what: &str, text: &str) -> io::Result<()> {
        writeln!(self.out, "{:>8}  {style}{what:<7}{style:#}  {text}", format!("{at}s"))
    }
}

fn told(status: &TaskStatus) -> String {
    let why = status.message.as_deref().or(status.reason.as_deref());
    format!("{} {}{}", status.task, status.state, why.map(|why| format!(" ({why})")).unwrap_or_default())
}

fn rack(marathon: &Marathon, task: &TaskId) -> String {
    let rack = marathon.task(task).and_then(|task| task.launch.location.attributes.first("rack"));
    rack.map(|rack| format!(" ({rack})")).unwrap_or_default()
}

fn ports_of(marathon: &Marathon, task: &TaskId) -> String {
    let task = marathon.task(task).filter(|task| !task.launch.ports.is_empty());
    task.map(|task| format!("  ports {}", ports(task, marathon.app(&task.launch.app)))).unwrap_or_default()
}

/// Host ports, each with the port of the container that it leads to, if that is another.
fn ports(task: &Instance, app: Option<&App>) -> String {
    let requests = app.map(|app| app.ports.as_slice()).unwrap_or_default();
    let port = |(i, host): (usize, &Option<u64>)| {
        let request = requests.get(i);
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
    task.launch.ports.iter().enumerate().map(port).collect::<Vec<_>>().join(",")
}

/// All tasks, as `mesos ps` lists them.
pub(crate) fn table(marathon: &Marathon, out: &mut impl Write) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["ID", "APP", "AGENT", "RACK", "CPUS", "MEM", "PORTS", "STATE"]);
    for task in marathon.tasks() {
        let rack = task.launch.location.attributes.first("rack").map_or_else(|| "-".to_owned(), ToString::to_string);
        let amount = |name: &str| task.launch.resources.amount(name).to_string();
        table.add_row([
            task.launch.id.to_string(),
            task.launch.app.to_string(),
            task.launch.agent.to_string(),
            rack,
            amount("cpus"),
            amount("mem"),
            ports(task, marathon.app(&task.launch.app)),
            task.state.to_string(),
        ]);
    }
    for column in [4, 5] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut lines = table.lines();
    if let Some(header) = lines.next() {
        writeln!(out, "{BOLD}{}{BOLD:#}", header.trim_end())?;
    }
    lines.try_for_each(|line| writeln!(out, "{}", line.trim_end()))
}

/// Per app, what could not be placed, and why.
pub(crate) fn waiting(waiting: &[Waiting<'_>], out: &mut impl Write) -> io::Result<()> {
    for Waiting { app, instances, reasons } in waiting {
        writeln!(out)?;
        let of = app.instances;
        writeln!(out, "{BAD}{}{BAD:#}: {instances} of {of} could not be placed", app.id)?;
        if reasons.is_empty() {
            writeln!(out, "  no agent has anything left to offer")?;
        }
        for (agent, reason) in reasons.iter().take(SHOWN) {
            writeln!(out, "  {agent}: {}: {}", reason.barrier.kind(), reason.barrier)?;
        }
        if reasons.len() > SHOWN {
            writeln!(out, "  and {} more reasons", reasons.len() - SHOWN)?;
        }
    }
    Ok(())
}

/// The same as one JSON document.
pub(crate) fn json(cluster: &Cluster<Marathon>, framework: &FrameworkId) -> Json {
    let Some(marathon) = cluster.scheduler(framework) else { return Json::Null };
    let task = |task: &Instance| {
        let mut attributes = Map::new();
        for one in &task.launch.location.attributes {
            attributes.entry(one.name.to_string()).or_insert_with(|| json!(one.value.to_string()));
        }
        json!({
            "id": task.launch.id,
            "app": task.launch.app,
            "agent": task.launch.agent,
            "hostname": task.launch.location.hostname,
            "attributes": attributes,
            "cpus": task.launch.resources.amount("cpus"),
            "mem": task.launch.resources.amount("mem"),
            "ports": task.launch.ports,
            "state": task.state,
        })
    };
    let unplaced = |waiting: Waiting<'_>| {
        let reasons: Vec<_> = waiting.reasons.iter().map(|(_, reason)| reason).collect();
        json!({"app": waiting.app.id, "instances": waiting.instances, "reasons": reasons})
    };
    json!({
        "tasks": marathon.tasks().map(task).collect::<Vec<_>>(),
        "unplaced": marathon.waiting().into_iter().map(unplaced).collect::<Vec<_>>(),
    })
}
