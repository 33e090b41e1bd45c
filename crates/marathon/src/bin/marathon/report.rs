//! The report at the end: as a table, or as one JSON document.

use crate::failures::{AppFailures, Failures};
use crate::log::{BAD, BOLD, Log, MAX_SHOWN, ports, seconds};
use crate::why;
use anstyle::Style;
use apportion::{FrameworkId, Master, Text, Time};
use apportion_console::stdout;
use apportion_marathon::{Deployment, DeploymentState, Instance, Marathon, QueueItem};
use serde_json::{Map, Value as Json, json};
use std::io::{self, BufWriter, Write};

/// All that is reported at the end.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) marathon: &'a Marathon,
    pub(crate) now: Time,
    pub(crate) failures: &'a Failures,
    /// The apps to explain.
    pub(crate) why: &'a [Text],
    /// The master, if it is within this program, and the id of the framework.
    pub(crate) master: Option<(&'a Master, &'a FrameworkId)>,
}

impl Report<'_> {
    /// Writes it for people.
    pub(crate) fn write<W: Write>(&self, log: &mut Log<W>) -> io::Result<()> {
        log.gap()?;
        table(self.marathon, log)?;
        unfinished(self.marathon, log)?;
        queue(&self.marathon.queue(self.now), log)?;
        failures(self.failures, log)?;
        for app in self.why {
            log.gap()?;
            self.reasons(app).iter().try_for_each(|line| log.plain(line, 4))?;
        }
        log.finish()
    }

    /// Prints it as one JSON document.
    pub(crate) fn print_json(&self) -> io::Result<()> {
        let mut out = BufWriter::new(stdout());
        let mut document = json(self.marathon, self.now, self.failures);
        for app in self.why {
            document["why"][app.as_str()] = self.reasons(app).into();
        }
        serde_json::to_writer_pretty(&mut out, &document)?;
        writeln!(out)?;
        out.flush()
    }

    fn reasons(&self, app: &str) -> Vec<String> {
        why::lines(self.marathon, self.master, app, self.now)
    }
}

/// Returns the number of instances for which there is no place.
pub(crate) fn waiting(marathon: &Marathon, now: Time) -> u64 {
    let waits = marathon.queue(now).into_iter().filter(|item| item.until.is_none());
    waits.map(|item| item.instances).sum()
}

const COLUMNS: [&str; 9] = ["ID", "APP", "AGENT", "RACK", "CPUS", "MEM", "PORTS", "STATE", "HEALTH"];

/// Writes all tasks, as `mesos ps` lists them.
fn table<W: Write>(marathon: &Marathon, log: &mut Log<W>) -> io::Result<()> {
    let row = |task: &Instance| {
        let rack = task.launch.location.attributes.first("rack").map_or_else(|| "-".to_owned(), ToString::to_string);
        let amount = |name: &str| task.launch.resources.amount(name).to_string();
        [
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
        ]
    };
    let rows: Vec<[String; 9]> = marathon.tasks().map(row).collect();
    for (number, line) in laid_out(&rows, log.columns()).iter().enumerate() {
        log.cut(if number == 0 { BOLD } else { Style::new() }, line)?;
    }
    Ok(())
}

/// Lays out a table with its heads. Where a row is too long for the columns of the terminal, it goes on in further lines, which
/// are indented.
fn laid_out(rows: &[[String; 9]], columns: Option<usize>) -> Vec<String> {
    let widths: [usize; 9] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0).max(COLUMNS[column].len())
    });
    let is_number = |column: usize| ["CPUS", "MEM"].contains(&COLUMNS[column]);
    let line = |cells: [&str; 9]| {
        let (mut text, mut used) = (String::new(), 0);
        for (column, cell) in cells.into_iter().enumerate() {
            let width = widths[column];
            if columns.is_some_and(|columns| used > 0 && used + width > columns) {
                text.truncate(text.trim_end().len());
                text.push_str("\n    ");
                used = 4;
            }
            text += &if is_number(column) { format!("{cell:>width$}  ") } else { format!("{cell:<width$}  ") };
            used += width + 2;
        }
        text.trim_end().to_owned()
    };
    let cells = rows.iter().map(|row| row.each_ref().map(String::as_str));
    [COLUMNS].into_iter().chain(cells).map(line).collect()
}

/// Writes the deployments that are not finished, with the apps that they wait for.
fn unfinished<W: Write>(marathon: &Marathon, log: &mut Log<W>) -> io::Result<()> {
    for deployment in marathon.deployments().iter().filter(|deployment| deployment.state == DeploymentState::Running) {
        let open: Vec<&str> = deployment.pending().take(MAX_SHOWN).map(Text::as_str).collect();
        let (number, step) = (deployment.number, deployment.step().unwrap_or_default());
        log.gap()?;
        let text = format!(" is not finished: {step}; it waits for {}", open.join(", "));
        log.styled(BAD, &format!("deployment {number}"), &text, 2)?;
    }
    Ok(())
}

/// Writes the launch queue: per app, why instances could not be placed, or the end of its launch delay.
fn queue<W: Write>(queue: &[QueueItem<'_>], log: &mut Log<W>) -> io::Result<()> {
    for QueueItem { app, instances, until, reasons, near_miss, .. } in queue {
        log.gap()?;
        let of = app.instances;
        if let Some(until) = until {
            let text = format!(": {instances} of {of} not launched again before {}, as they failed", seconds(*until));
            log.styled(BAD, &app.id, &text, 2)?;
            continue;
        }
        log.styled(BAD, &app.id, &format!(": {instances} of {of} could not be placed"), 2)?;
        if let Some(near_miss) = near_miss {
            let verb = if *instances == 1 { "waits" } else { "wait" };
            log.plain(&format!("  {instances} {verb}: {near_miss}"), 4)?;
        }
        if reasons.is_empty() {
            log.plain("  no agent has anything left to offer", 4)?;
        }
        for (agent, reason) in reasons.iter().take(MAX_SHOWN) {
            log.plain(&format!("  {agent}: {}: {}", reason.barrier.kind(), reason.barrier), 4)?;
        }
        if reasons.len() > MAX_SHOWN {
            log.plain(&format!("  and {} more reasons", reasons.len() - MAX_SHOWN), 4)?;
        }
    }
    Ok(())
}

/// Writes how often the tasks of each app have failed, and the last words of the last one.
fn failures<W: Write>(failures: &Failures, log: &mut Log<W>) -> io::Result<()> {
    for (app, AppFailures { count, task, why, last_words }) in failures.iter() {
        log.gap()?;
        let times = if *count == 1 { "1 failure".to_owned() } else { format!("{count} failures") };
        log.styled(BAD, app, &format!(": {times}; the last one: {task} {why}"), 2)?;
        if let Some(words) = last_words {
            log.plain(&format!("  {task} | {words}"), 4)?;
        }
    }
    Ok(())
}

/// Returns the whole report as JSON.
fn json(marathon: &Marathon, now: Time, failures: &Failures) -> Json {
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
        if let Some(expansion) = waiting.expansion {
            unplaced["add"] = json!(expansion);
        }
        if let Some(until) = waiting.until {
            unplaced["until"] = json!(until);
        }
        unplaced
    };
    let failure = |(app, failures): (&Text, &AppFailures)| {
        let AppFailures { count, task, why, last_words } = failures;
        json!({"app": app, "count": count, "last": {"task": task, "why": why, "last_words": last_words}})
    };
    json!({
        "failures": failures.iter().map(failure).collect::<Vec<_>>(),
        "tasks": marathon.tasks().map(task).collect::<Vec<_>>(),
        "unplaced": marathon.queue(now).into_iter().map(unplaced).collect::<Vec<_>>(),
        "deployments": marathon.deployments().iter().map(Deployment::json).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_is_too_long_goes_on_in_the_next_line() {
        let row = [
            "shop_front_web.1",
            "/shop/front/web",
            "agent-1",
            "rack-1",
            "0.25",
            "128",
            "31000->80",
            "TASK_RUNNING",
            "healthy",
        ];
        let rows = [row.map(str::to_owned)];
        let wide = laid_out(&rows, None);
        assert!(wide.iter().all(|line| !line.contains('\n')), "{wide:?}");
        for columns in [40, 60, 80, 100] {
            let narrow = laid_out(&rows, Some(columns));
            assert!(
                narrow.iter().flat_map(|line| line.lines()).all(|line| line.chars().count() <= columns),
                "{narrow:?}"
            );
            let words = |lines: &[String]| lines.join(" ").split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(words(&narrow), words(&wide));
        }
    }
}
