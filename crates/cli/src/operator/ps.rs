//! The list of tasks with what they use, as `ps` lists processes.

use super::arguments::PsArguments;
use super::http::Master;
use super::state::State;
use super::table::{Kind, Table, counted};
use super::tasks::state;
use super::{Failure, Printer};
use serde::Deserialize;
use std::collections::BTreeMap;

/// An item of `/monitor/statistics` of an agent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Container {
    executor_id: String,
    framework_id: String,
    statistics: Statistics,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Statistics {
    cpus_user_time_secs: f64,
    cpus_system_time_secs: f64,
    mem_rss_bytes: Option<f64>,
}

/// Lists the tasks that run, or all, with memory and CPU time of their containers.
pub(super) fn list(master: &Master, arguments: &PsArguments, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let answer = master.get("/state")?;
    if printer.is_json {
        return printer.answer(&answer);
    }
    let known: State = answer.read()?;
    let mut tasks: Vec<_> = known.tasks().filter(|placed| arguments.all || !placed.has_ended).collect();
    tasks.sort_by(|a, b| (a.task.since().unwrap_or(f64::MAX)).total_cmp(&b.task.since().unwrap_or(f64::MAX)));
    let mut used: BTreeMap<&str, Vec<Container>> = BTreeMap::new();
    let mut silent = 0;
    for placed in tasks.iter().filter(|placed| !placed.has_ended) {
        let id = placed.task.slave_id.as_str();
        let Some(authority) = known.agent(id).and_then(|agent| agent.authority()) else { continue };
        used.entry(id).or_insert_with(|| {
            let read = master.agent(authority).get("/monitor/statistics").and_then(|answer| answer.read());
            read.unwrap_or_else(|_| {
                silent += 1; // a simulated agent, or one that is away: its tasks are listed all the same
                Vec::new()
            })
        });
    }
    let columns = [
        ("TASK", Kind::Id),
        ("NAME", Kind::Text),
        ("USER", Kind::Word),
        ("HOST", Kind::Text),
        ("STATE", Kind::Word),
        ("RSS", Kind::Number),
        ("CPU TIME", Kind::Number),
    ];
    let mut table = Table::new(columns);
    for placed in &tasks {
        let task = placed.task;
        let host = known.agent(&task.slave_id).map(|agent| agent.hostname.clone()).unwrap_or_default();
        let is_its = |container: &&Container| {
            container.framework_id == task.framework_id && container.executor_id == task.executor()
        };
        let statistics = used.get(task.slave_id.as_str()).filter(|_| !placed.has_ended);
        let statistics = statistics.and_then(|all| all.iter().find(is_its)).map(|container| container.statistics);
        table.row([
            task.id.clone(),
            task.name.clone(),
            placed.user().to_owned(),
            host,
            state(&task.state),
            statistics.and_then(|used| used.mem_rss_bytes).map(size).unwrap_or_default(),
            statistics.map(|used| time(used.cpus_user_time_secs + used.cpus_system_time_secs)).unwrap_or_default(),
        ]);
    }
    let silent = match silent {
        0 => String::new(),
        _ => format!("; {} told nothing of what they use", counted(silent, "agent")),
    };
    printer.table(&table, &format!("{}{silent}", counted(table.len(), "task")))
}

/// Returns a number of bytes as people read it: `1.5 MB`.
fn size(bytes: f64) -> String {
    let units = ["B", "KB", "MB", "GB", "TB"];
    let (mut amount, mut unit) = (bytes, 0);
    while amount >= 1024.0 && unit + 1 < units.len() {
        amount /= 1024.0;
        unit += 1;
    }
    if unit == 0 || amount >= 100.0 {
        format!("{amount:.0} {}", units[unit])
    } else {
        format!("{amount:.1} {}", units[unit])
    }
}

/// Returns a time as `ps` writes it, with tenths below a minute: `4.2`, `1:05`, `2:00:09`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time since the start of a process")]
fn time(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.1}");
    }
    let whole = seconds as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours == 0 { format!("{minutes}:{seconds:02}") } else { format!("{hours}:{minutes:02}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_for_people() {
        assert_eq!([0.0, 1536.0, 2_097_152.0, 314_572_800.0].map(size), ["0 B", "1.5 KB", "2.0 MB", "300 MB"]);
        assert_eq!([0.04, 59.94, 65.0, 7209.5].map(time), ["0.0", "59.9", "1:05", "2:00:09"]);
    }
}
