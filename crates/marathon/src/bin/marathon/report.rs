//! The report at the end: as a table, or as one JSON document.

use crate::log::{BAD, BOLD, MAX_SHOWN, ports};
use apportion::{Text, Time};
use apportion_marathon::{Deployment, DeploymentState, Instance, Marathon, QueueItem};
use comfy_table::{CellAlignment, Table};
use serde_json::{Map, Value as Json, json};
use std::io::{self, Write};

/// Writes all tasks, as `mesos ps` lists them.
pub(crate) fn table(marathon: &Marathon, out: &mut impl Write) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["ID", "APP", "AGENT", "RACK", "CPUS", "MEM", "PORTS", "STATE", "HEALTH"]);
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
            ports(&task.launch),
            task.state.to_string(),
            match task.healthy() {
                Some(true) => "healthy",
                Some(false) => "unhealthy",
                None if task.definition.health_checks.is_empty() => "-",
                None => "unknown",
            }
            .to_owned(),
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

/// Writes the deployments that are not finished, with the apps that they wait for.
pub(crate) fn unfinished(marathon: &Marathon, out: &mut impl Write) -> io::Result<()> {
    for deployment in marathon.deployments().iter().filter(|deployment| deployment.state == DeploymentState::Running) {
        let open: Vec<&str> = deployment.pending().take(MAX_SHOWN).map(Text::as_str).collect();
        let (number, step) = (deployment.number, deployment.step().unwrap_or_default());
        writeln!(out)?;
        writeln!(out, "{BAD}deployment {number}{BAD:#} is not finished: {step}; it waits for {}", open.join(", "))?;
    }
    Ok(())
}

/// Writes the launch queue: per app, why instances could not be placed, or the end of its launch delay.
pub(crate) fn queue(queue: &[QueueItem<'_>], out: &mut impl Write) -> io::Result<()> {
    for QueueItem { app, instances, until, reasons, near_miss, .. } in queue {
        writeln!(out)?;
        let of = app.instances;
        if let Some(until) = until {
            writeln!(
                out,
                "{BAD}{}{BAD:#}: {instances} of {of} not launched again before {until}s, as they failed",
                app.id
            )?;
            continue;
        }
        writeln!(out, "{BAD}{}{BAD:#}: {instances} of {of} could not be placed", app.id)?;
        if let Some(near_miss) = near_miss {
            let verb = if *instances == 1 { "waits" } else { "wait" };
            writeln!(out, "  {instances} {verb}: {near_miss}")?;
        }
        if reasons.is_empty() {
            writeln!(out, "  no agent has anything left to offer")?;
        }
        for (agent, reason) in reasons.iter().take(MAX_SHOWN) {
            writeln!(out, "  {agent}: {}: {}", reason.barrier.kind(), reason.barrier)?;
        }
        if reasons.len() > MAX_SHOWN {
            writeln!(out, "  and {} more reasons", reasons.len() - MAX_SHOWN)?;
        }
    }
    Ok(())
}

/// Returns the whole report as JSON.
pub(crate) fn json(marathon: &Marathon, now: Time) -> Json {
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
            "healthy": task.healthy(),
            "version": task.generation,
        })
    };
    let unplaced = |waiting: QueueItem<'_>| {
        let reasons: Vec<_> = waiting.reasons.iter().map(|(_, reason)| reason).collect();
        let mut unplaced = json!({"app": waiting.app.id, "instances": waiting.instances, "reasons": reasons});
        if let Some(near_miss) = waiting.near_miss {
            unplaced["near_miss"] = json!(near_miss);
        }
        if let Some(until) = waiting.until {
            unplaced["until"] = json!(until);
        }
        unplaced
    };
    json!({
        "tasks": marathon.tasks().map(task).collect::<Vec<_>>(),
        "unplaced": marathon.queue(now).into_iter().map(unplaced).collect::<Vec<_>>(),
        "deployments": marathon.deployments().iter().map(Deployment::json).collect::<Vec<_>>(),
    })
}
