//! The list of frameworks.

use super::Printer;
use super::agents::Value;
use super::arguments::FrameworksArguments;
use super::http::Master;
use super::resources::{Resource, shown, sum};
use super::table::{Kind, Table, counted};
use apportion::Quantities;
use apportion_console::Failure;
use serde::Deserialize;
use serde_json::Value as Json;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Frameworks {
    frameworks: Vec<Framework>,
    completed_frameworks: Vec<Framework>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Framework {
    framework_info: FrameworkInfo,
    active: bool,
    connected: bool,
    recovered: bool,
    offers: Vec<Json>,
    allocated_resources: Vec<Resource>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FrameworkInfo {
    id: Value,
    name: String,
    role: String,
    roles: Vec<String>,
}

/// Lists the frameworks.
pub(super) fn list(master: &Master, arguments: &FrameworksArguments, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let answer = master.call("GET_FRAMEWORKS", None)?;
    if printer.is_json {
        return printer.answer(&answer);
    }
    let Frameworks { frameworks, completed_frameworks: completed } = answer.body()?;
    let rows = frameworks.iter().map(|framework| (framework, framework.state()));
    let ended = completed.iter().filter(|_| arguments.all).map(|framework| (framework, "completed"));
    let rows: Vec<(&Framework, &str)> = rows.chain(ended).collect();
    let used: Vec<Quantities> = rows.iter().map(|(framework, _)| sum(&framework.allocated_resources)).collect();
    let shown = shown(used.iter());
    let mut columns = vec![("ID", Kind::Id), ("NAME", Kind::Text), ("ROLES", Kind::Text), ("STATE", Kind::Word)];
    columns.extend(shown.iter().map(|(_, head)| (*head, Kind::Number)));
    columns.push(("OFFERS", Kind::Number));
    let mut table = Table::new(columns);
    for ((framework, state), used) in rows.iter().zip(&used) {
        let info = &framework.framework_info;
        let start = [info.id.value.clone(), info.name.clone(), info.roles(), (*state).to_owned()];
        let amounts = shown.iter().map(|(name, _)| used.amount(name).to_string());
        table.row(start.into_iter().chain(amounts).chain([framework.offers.len().to_string()]));
    }
    let left_out = if arguments.all { 0 } else { completed.len() };
    let summary = match left_out {
        0 => counted(table.len(), "framework"),
        _ => format!("{}; {left_out} completed, which --all shows", counted(table.len(), "framework")),
    };
    printer.table(&table, &summary)
}

impl Framework {
    fn state(&self) -> &'static str {
        match (self.recovered, self.connected, self.active) {
            (true, false, _) => "recovered",
            (_, false, _) => "disconnected",
            (_, true, false) => "inactive",
            (_, true, true) => "active",
        }
    }
}

impl FrameworkInfo {
    /// Returns the roles; a framework of one role may say it in the old form.
    fn roles(&self) -> String {
        match self.roles.as_slice() {
            [] if self.role.is_empty() => "*".to_owned(),
            [] => self.role.clone(),
            roles => roles.join(","),
        }
    }
}
