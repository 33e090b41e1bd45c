//! `--why APP`: the whole chain of reasons why instances of an app do not run, for a person.

use apportion::{FrameworkId, Master, Text, Time};
use apportion_marathon::{DeploymentState, Marathon, QueueItem, RunningApp};
use indexmap::IndexMap;

/// The most lines of one kind.
const MAX_SHOWN: usize = 12;

/// Returns the reasons, a line each: what runs, what waits and for what, the offers seen by reason, the nearest miss, and what
/// the master, if it is within this program, says about the role of the app.
pub(crate) fn lines(marathon: &Marathon, master: Option<(&Master, &FrameworkId)>, app: &str, now: Time) -> Vec<String> {
    let mut lines = Vec::new();
    let Some(running) = marathon.running_apps().find(|running| running.definition.app.id == app) else {
        lines.push(format!("{app} has not been started"));
        lines.extend(unfinished(marathon));
        return lines;
    };
    let tasks: Vec<_> = marathon.tasks().filter(|task| task.launch.app == app).collect();
    let up = tasks.iter().filter(|task| task.is_up()).count();
    lines.push(format!("{app} wants {}: {up} are up, {} are not", running.definition.app.instances, tasks.len() - up));
    for task in tasks.iter().filter(|task| !task.is_up()).take(MAX_SHOWN) {
        let health = match (task.healthy(), task.is_ready()) {
            (Some(false), _) => ", unhealthy",
            (None, _) if !task.definition.health_checks.is_empty() => ", not healthy yet",
            (_, false) => ", not ready yet",
            (Some(true) | None, true) => "",
        };
        lines.push(format!("{} on {} is {}{health}", task.launch.id, task.launch.agent, task.state));
    }
    let queue = marathon.queue(now);
    match queue.iter().find(|item| item.app.id == app) {
        Some(item) => lines.extend(waiting(item)),
        None => lines.push("no launch is due".to_owned()),
    }
    lines.extend(unfinished(marathon).into_iter().filter(|line| line.contains(app)));
    if let Some((master, framework)) = master {
        lines.extend(by_master(running, master, framework));
    }
    lines
}

/// Returns the deployments that are not finished.
fn unfinished(marathon: &Marathon) -> Vec<String> {
    let open = marathon.deployments().iter().filter(|deployment| deployment.state == DeploymentState::Running);
    let line = |deployment: &apportion_marathon::Deployment| {
        let waits_for: Vec<&str> = deployment.pending().take(MAX_SHOWN).map(Text::as_str).collect();
        let step = deployment.step().unwrap_or_default();
        format!("deployment {} is at {step}, and waits for {}", deployment.number, waits_for.join(", "))
    };
    open.map(line).collect()
}

/// Returns why launches wait.
fn waiting(item: &QueueItem<'_>) -> Vec<String> {
    let QueueItem { instances, until, reasons, agents, near_miss, expansion, .. } = item;
    let mut lines = Vec::new();
    let verb = if *instances == 1 { "waits" } else { "wait" };
    match (until, near_miss) {
        (Some(until), _) => lines.push(format!("{instances} {verb} for the back-off, which ends at {until}s")),
        (None, Some(near_miss)) => lines.push(format!("{instances} {verb}: {near_miss}")),
        (None, None) => lines.push(format!("{instances} {verb}")),
    }
    if let Some(expansion) = expansion {
        lines.push(format!("to be added for all of them: {expansion}"));
    }
    let mut by_kind: IndexMap<&str, Vec<String>> = IndexMap::new();
    for (agent, reason) in reasons {
        by_kind.entry(reason.barrier.kind()).or_default().push(format!("{} ({agent})", reason.barrier));
    }
    by_kind.sort_by(|_, one, _, other| other.len().cmp(&one.len()));
    let offers = if *agents == 1 { "the offer of 1 agent" } else { &format!("the offers of {agents} agents") };
    if *agents > 0 {
        lines.push(format!("{offers} did not fit:"));
    }
    for (kind, details) in by_kind {
        let more = if details.len() > 1 { ", and the like" } else { "" };
        let first = details.first().map(String::as_str).unwrap_or_default();
        lines.push(format!("  {} of {kind}: {first}{more}", details.len()));
    }
    lines
}

/// Returns what the master says about the app's role.
fn by_master(running: &RunningApp, master: &Master, framework: &FrameworkId) -> Vec<String> {
    let role = running.definition.app.role.clone().unwrap_or_default();
    let explanations = master.explain(framework, Some(&role), None).unwrap_or_default();
    let reasons = explanations.iter().flat_map(|explanation| &explanation.reasons).take(MAX_SHOWN);
    reasons.map(|(reason, agents)| format!("the master, of role {role}: {reason} ({agents} agents)")).collect()
}
