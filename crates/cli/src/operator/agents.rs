//! The list of agents.

use super::Printer;
use super::http::Master;
use super::resources::{Resource, shown, sum};
use super::table::{Kind, Table, counted};
use apportion::Quantities;
use apportion_console::Failure;
use serde::Deserialize;

/// An id, or another text that Mesos wraps: `{"value": "a1"}`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Value {
    pub(super) value: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Agents {
    agents: Vec<Agent>,
    recovered_agents: Vec<AgentInfo>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Agent {
    agent_info: AgentInfo,
    active: bool,
    deactivated: bool,
    drain_info: Option<DrainInfo>,
    total_resources: Vec<Resource>,
    allocated_resources: Vec<Resource>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AgentInfo {
    id: Value,
    hostname: String,
    attributes: Vec<Attribute>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct DrainInfo {
    state: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Attribute {
    name: String,
    text: Option<Value>,
    scalar: Option<super::resources::Amount>,
    ranges: Option<Ranges>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Ranges {
    range: Vec<Range>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Range {
    begin: u64,
    end: u64,
}

/// Lists the agents.
pub(super) fn list(master: &Master, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let answer = master.call("GET_AGENTS", None)?;
    if printer.is_json {
        return printer.answer(&answer);
    }
    let Agents { agents, recovered_agents } = answer.body()?;
    let totals: Vec<Quantities> = agents.iter().map(|agent| sum(&agent.total_resources)).collect();
    let shown = shown(totals.iter());
    let mut columns = vec![("ID", Kind::Id), ("HOST", Kind::Text), ("STATE", Kind::Word)];
    columns.extend(shown.iter().map(|(_, head)| (*head, Kind::Number)));
    columns.push(("ATTRIBUTES", Kind::Text));
    let mut table = Table::new(columns);
    for (agent, total) in agents.iter().zip(&totals) {
        let (info, used) = (&agent.agent_info, sum(&agent.allocated_resources));
        let amounts = shown.iter().map(|(name, _)| format!("{}/{}", used.amount(name), total.amount(name)));
        let start = [info.id.value.clone(), info.hostname.clone(), agent.state().to_owned()];
        table.row(start.into_iter().chain(amounts).chain([info.attributes()]));
    }
    for info in &recovered_agents {
        let start = [info.id.value.clone(), info.hostname.clone(), "recovered".to_owned()];
        let amounts = shown.iter().map(|_| String::new());
        table.row(start.into_iter().chain(amounts).chain([info.attributes()]));
    }
    let active = agents.iter().filter(|agent| agent.state() == "active").count();
    let summary = match table.len() - active {
        0 => counted(table.len(), "agent"),
        _ => format!("{}, of which {active} active", counted(table.len(), "agent")),
    };
    printer.table(&table, &summary)
}

impl Agent {
    /// Returns the state, as a word. Mesos' own are longer: `DRAINING`, for one, is a field of an object.
    fn state(&self) -> &'static str {
        match &self.drain_info {
            Some(drain) if drain.state == "DRAINED" => "drained",
            Some(_) => "draining",
            None if self.deactivated => "deactivated",
            None if self.active => "active",
            None => "disconnected",
        }
    }
}

impl AgentInfo {
    fn attributes(&self) -> String {
        let attribute = |attribute: &Attribute| format!("{}={}", attribute.name, attribute.value());
        self.attributes.iter().map(attribute).collect::<Vec<_>>().join(" ")
    }
}

impl Attribute {
    fn value(&self) -> String {
        match (&self.text, &self.scalar, &self.ranges) {
            (Some(text), ..) => text.value.clone(),
            (None, Some(number), _) => number.value.to_string(),
            (None, None, Some(ranges)) => {
                let range = |range: &Range| format!("{}-{}", range.begin, range.end);
                format!("[{}]", ranges.range.iter().map(range).collect::<Vec<_>>().join(","))
            }
            (None, None, None) => String::new(),
        }
    }
}
