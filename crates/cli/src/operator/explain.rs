//! Why frameworks are offered no more.

use super::Printer;
use super::arguments::ExplainArguments;
use super::http::{Answer, Master};
use super::query::Query;
use super::table::counted;
use apportion_console::Failure;
use serde::Deserialize;
use serde_json::Value as Json;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Explained {
    explanations: Vec<Explanation>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Explanation {
    framework: String,
    role: String,
    agent: Option<String>,
    reasons: Vec<Reason>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reason {
    kind: String,
    text: String,
    /// The number of agents that it is the reason for, if not one agent was asked for.
    agents: Option<usize>,
}

/// Explains what keeps a framework, or each of all, from being offered more.
pub(super) fn explain(master: &Master, arguments: &ExplainArguments, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let frameworks = match &arguments.framework {
        Some(framework) => vec![framework.clone()],
        None => frameworks(master)?,
    };
    for framework in &frameworks {
        let query = Query::new("/apportion/explain")
            .with("framework", Some(framework))
            .with("role", arguments.role.as_ref())
            .with("agent", arguments.agent.as_ref());
        let answer = master.get(&query.into_path())?;
        if printer.is_json {
            printer.answer(&answer)?;
        } else {
            print(&answer, printer)?;
        }
    }
    if !printer.is_json && arguments.framework.is_none() {
        printer.line(&counted(frameworks.len(), "framework"))?;
    }
    Ok(())
}

fn print(answer: &Answer, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let Explained { explanations } = answer.read()?;
    for Explanation { framework, role, agent, reasons } in &explanations {
        let on = agent.as_ref().map_or_else(String::new, |agent| format!(" on {agent}"));
        printer.line(&format!("{framework} in role {role}{on}:"))?;
        for Reason { kind, text, agents } in reasons {
            let text = if text.is_empty() { kind } else { text };
            let agents = agents.map_or_else(String::new, |agents| format!("{}: ", counted(agents, "agent")));
            printer.indented(&format!("{agents}{text}"))?;
        }
    }
    Ok(())
}

/// Returns the ids of all frameworks.
fn frameworks(master: &Master) -> Result<Vec<String>, Failure> {
    let items = Query::new("/apportion/frameworks").pages(master, |_| Ok(()))?;
    Ok(items.iter().filter_map(|framework| framework.get("id").and_then(Json::as_str)).map(str::to_owned).collect())
}
