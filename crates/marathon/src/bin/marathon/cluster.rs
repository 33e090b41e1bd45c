//! The agents of the cluster: generated, or read from a file.

use apportion::placement::{JsonNode, ReadError, read_json_up_to};
use apportion::{Agent, AgentId, Attributes, Ranges, Resources};
use indexmap::IndexMap;
use serde::Deserialize;
use std::path::Path;

/// The file of `--cluster`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClusterFile {
    agents: Vec<AgentEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AgentEntry {
    id: AgentId,
    hostname: Option<String>,
    resources: Resources,
    #[serde(default)]
    attributes: Attributes,
    region: Option<String>,
    zone: Option<String>,
}

/// Returns that many agents on three racks, large and small ones in turn. If all are on one machine, their ports are disjoint.
pub(crate) fn generate(count: u16, on_one_machine: bool) -> IndexMap<AgentId, Agent> {
    // From Mesos' first port to the first ephemeral port of Linux, if these are enough.
    let (first, each) = (31_000, (1768 / count).max(3));
    let ports = |number: u16| match on_one_machine {
        true => (first + (number - 1) * each)..=(first + number * each - 1),
        false => first..=32_000,
    };
    let agent = |number: u16| {
        let id = format!("agent-{number}");
        let rack = (number - 1) % 3 + 1;
        let (resources, disk) = match number % 2 {
            0 => ("cpus:4;mem:14861;disk:35164", "hdd"),
            _ => ("cpus:8;mem:30976;disk:70328", "ssd"),
        };
        let ports = ports(number);
        let resources = format!("{resources};ports:[{}-{}]", ports.start(), ports.end());
        let agent = Agent::new(id.as_str(), resources.parse().expect("they are written above"));
        agent
            .attribute("rack", format!("rack-{rack}").as_str())
            .attribute("disk", disk)
            .domain("home", format!("zone-{rack}"))
    };
    (1..=count).map(agent).map(|agent| (agent.id.clone(), agent)).collect()
}

/// Reads the agents of a file. The message of an error begins with the name of the file.
pub(crate) fn read(file: &Path, max_bytes: usize) -> Result<IndexMap<AgentId, Agent>, String> {
    let name = file.display();
    let text = apportion_console::read(file, max_bytes).map_err(|failure| failure.to_string())?;
    let json = read_json_up_to(&text, max_bytes).map_err(|error| format!("{name}:{error}"))?;
    let wrong = |error: ReadError| error.locate(&text).in_file(&name.to_string()).to_string();
    JsonNode::root(&json).object().map_err(wrong)?; // serde would take a list for one
    let plain = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&text);
    let written: ClusterFile = serde_json::from_slice(plain).map_err(|error| at(&name.to_string(), &error))?;
    if written.agents.is_empty() {
        return Err(format!("{name}: agents: found {}, expected at least one", json["agents"]));
    }
    let mut agents = IndexMap::new();
    for (i, written) in written.agents.into_iter().enumerate() {
        let path = format!("{name}: agents[{i}]");
        let mut agent = Agent::new(written.id.clone(), written.resources).attributes(written.attributes);
        if let Some(hostname) = written.hostname {
            agent = agent.hostname(hostname);
        }
        match (written.region, written.zone) {
            (Some(region), Some(zone)) => agent = agent.domain(region, zone),
            (None, None) => {}
            (Some(_), None) => return Err(format!("{path}: region without zone, expected both or none")),
            (None, Some(_)) => return Err(format!("{path}: zone without region, expected both or none")),
        }
        if written.id.as_str().is_empty() || agent.hostname.is_empty() {
            return Err(format!("{path}: found an empty name, expected an id and a hostname"));
        }
        if agents.insert(written.id.clone(), agent).is_some() {
            return Err(format!("{path}: found the id {:?} for the second time", written.id.as_str()));
        }
    }
    Ok(agents)
}

/// Returns a message for each agent of a file that shares ports with another one, and so cannot be on the same machine.
pub(crate) fn port_clashes(file: &Path, agents: &IndexMap<AgentId, Agent>) -> Vec<String> {
    let (mut taken, mut wrong) = (Ranges::default(), Vec::new());
    for (i, agent) in agents.values().enumerate() {
        let ports = agent.resources.ranges("ports");
        let (mut free, mut shared) = (ports.clone(), ports.clone());
        free.remove(&taken);
        shared.remove(&free);
        if !shared.is_empty() {
            let place = format!("{}: agents[{i}].resources", file.display());
            wrong.push(format!("{place}: ports {shared} are of another agent too, expected others: with --exec all agents are on this machine"));
        }
        taken.insert(&ports);
    }
    wrong
}

/// Puts the place first, as in all messages about a file.
fn at(name: &str, error: &serde_json::Error) -> String {
    let message = error.to_string();
    let what = message.rsplit_once(" at line ").map_or(message.as_str(), |(what, _)| what);
    format!("{name}:{}:{}: {what}", error.line(), error.column())
}
