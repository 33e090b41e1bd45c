//! The list of tasks.

use super::Printer;
use super::agents::Value;
use super::arguments::TasksArguments;
use super::http::Master;
use super::resources::{Resource, shown, sum};
use super::table::{Kind, Table, counted};
use apportion::Quantities;
use apportion_console::Failure;
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tasks {
    tasks: Vec<Task>,
    unreachable_tasks: Vec<Task>,
    completed_tasks: Vec<Task>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Task {
    task_id: Value,
    framework_id: Value,
    agent_id: Value,
    state: String,
    resources: Vec<Resource>,
}

/// Lists the tasks, or those of a framework or an agent.
pub(super) fn list(master: &Master, arguments: &TasksArguments, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let answer = master.call("GET_TASKS", None)?;
    if printer.is_json {
        return printer.answer(&answer);
    }
    let Tasks { mut tasks, unreachable_tasks, completed_tasks } = answer.body()?;
    let is_wanted = |task: &Task| {
        arguments.framework.as_ref().is_none_or(|id| *id == task.framework_id.value)
            && arguments.agent.as_ref().is_none_or(|id| *id == task.agent_id.value)
    };
    let ended = unreachable_tasks.into_iter().chain(completed_tasks).filter(is_wanted);
    tasks.retain(is_wanted);
    let mut left_out = 0;
    if arguments.all {
        tasks.extend(ended);
    } else {
        left_out = ended.count();
    }
    let used: Vec<Quantities> = tasks.iter().map(|task| sum(&task.resources)).collect();
    let shown = shown(used.iter());
    let mut columns = vec![("ID", Kind::Id), ("FRAMEWORK", Kind::Id), ("AGENT", Kind::Id), ("STATE", Kind::Word)];
    columns.extend(shown.iter().map(|(_, head)| (*head, Kind::Number)));
    let mut table = Table::new(columns);
    for (task, used) in tasks.iter().zip(&used) {
        let ids = [&task.task_id, &task.framework_id, &task.agent_id].map(|id| id.value.clone());
        let amounts = shown.iter().map(|(name, _)| used.amount(name).to_string());
        table.row(ids.into_iter().chain([state(&task.state)]).chain(amounts));
    }
    let summary = match left_out {
        0 => counted(table.len(), "task"),
        _ => format!("{}; {left_out} ended or unreachable, which --all shows", counted(table.len(), "task")),
    };
    printer.table(&table, &summary)
}

/// Returns Mesos' name of a state as a word: `TASK_RUNNING` is `running`.
pub(super) fn state(name: &str) -> String {
    name.strip_prefix("TASK_").unwrap_or(name).to_ascii_lowercase().replace('_', " ")
}
