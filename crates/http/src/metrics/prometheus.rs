//! The metrics in Prometheus' text form. What one name has of it is told apart by labels; what clients could make many of is bounded.

use super::Figures;
use super::traffic::{OTHER, Traffic};
use apportion::{Quantities, Scalar};
use serde::Serialize;
use serde_json::Value as Json;
use std::cmp::Reverse;
use std::fmt::{Display, Write as _};

/// The most frameworks that have metrics of their own: those for which most waits.
const MAX_FRAMEWORKS: usize = 100;

/// The most roles that have metrics of their own, in order of path.
const MAX_ROLES: usize = 1000;

/// The media type of the text form.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Returns all metrics as text. Without figures, because the master was too slow to tell them, there are only those of the server.
#[expect(clippy::cast_precision_loss, reason = "nothing is counted up to 2^53")]
pub(crate) fn exposition(figures: Option<&Figures>, traffic: &Traffic, is_leading: bool, waiting: usize) -> String {
    let mut text = Text(String::new());
    text.one("apportion_leading", Kind::Gauge, "Whether this master leads, 0 or 1.", u64::from(is_leading));
    text.one("apportion_inputs_waiting", Kind::Gauge, "Calls and commands that wait for the master.", waiting);
    if let Some(figures) = figures {
        of_master(&mut text, figures);
        of_allocator(&mut text, figures);
        of_streams(&mut text, figures);
    }
    let (open, accepted) = traffic.connections();
    text.one("apportion_http_connections", Kind::Gauge, "Open connections.", open);
    text.one("apportion_http_connections_accepted_total", Kind::Counter, "Connections that were accepted.", accepted);
    let mut answers = text.family("apportion_http_answers_total", Kind::Counter, "Answers by endpoint and status.");
    for ((endpoint, status), number) in traffic.answers() {
        let endpoint = if endpoint == OTHER { endpoint.to_owned() } else { format!("/{endpoint}") };
        answers.sample(&[("endpoint", &endpoint), ("status", &status)], number as f64);
    }
    let mut calls = text.family("apportion_http_calls_total", Kind::Counter, "Calls that passed all checks, by type.");
    for (api, kind, number) in traffic.calls() {
        calls.sample(&[("api", &api), ("type", &kind)], number as f64);
    }
    text.0
}

fn of_master(text: &mut Text, figures: &Figures) {
    let master = &figures.master;
    text.one("apportion_uptime_seconds", Kind::Gauge, "Time since the start.", figures.uptime.as_secs_f64());
    text.one("apportion_commands_total", Kind::Counter, "Commands that the master has handled.", master.commands);
    text.one(
        "apportion_commands_rejected_total",
        Kind::Counter,
        "Commands that the master has rejected.",
        master.rejected_commands,
    );
    text.by_name("apportion_calls_total", Kind::Counter, "Calls of frameworks by type.", "type", &master.calls);
    text.by_name(
        "apportion_agent_messages_total",
        Kind::Counter,
        "Messages of agents and executors by type.",
        "type",
        &master.agent_messages,
    );
    text.by_name(
        "apportion_other_commands_total",
        Kind::Counter,
        "Commands of operators and of the program by type.",
        "type",
        &master.other_commands,
    );
    text.by_name(
        "apportion_effects_total",
        Kind::Counter,
        "What frameworks, agents and operators were told, by type.",
        "type",
        &master.effects,
    );
    text.one("apportion_offers", Kind::Gauge, "Live offers.", master.offers.live);
    text.one("apportion_offers_made_total", Kind::Counter, "Offers that were made.", master.offers.made);
    let offers = &master.offers;
    let mut ended = text.family("apportion_offers_ended_total", Kind::Counter, "Offers that have ended, by how.");
    for (how, number) in [
        ("accepted", offers.accepted),
        ("declined", offers.declined),
        ("rescinded", offers.rescinded),
        ("timed_out", offers.timed_out),
        ("void", offers.void),
    ] {
        ended.sample(&[("how", &how)], number.value());
    }
    text.by_name(
        "apportion_agents",
        Kind::Gauge,
        "Agents by how they are; one may be counted twice.",
        "is",
        &master.agents,
    );
    text.by_name("apportion_frameworks", Kind::Gauge, "Frameworks by how they are.", "is", &master.frameworks);
    let tasks = &master.tasks;
    let mut live = text.family("apportion_tasks", Kind::Gauge, "Live tasks by their latest state.");
    for (state, number) in [
        ("staging", tasks.staging),
        ("starting", tasks.starting),
        ("running", tasks.running),
        ("killing", tasks.killing),
    ] {
        live.sample(&[("state", &state)], number.value());
    }
    let mut ended =
        text.family("apportion_tasks_ended_total", Kind::Counter, "Tasks that have ended, by their last state.");
    for (state, number) in [
        ("finished", tasks.finished),
        ("failed", tasks.failed),
        ("killed", tasks.killed),
        ("error", tasks.error),
        ("lost", tasks.lost),
        ("dropped", tasks.dropped),
        ("unreachable", tasks.unreachable),
        ("gone", tasks.gone),
        ("gone_by_operator", tasks.gone_by_operator),
    ] {
        ended.sample(&[("state", &state)], number.value());
    }
    let mut cluster =
        text.family("apportion_resources", Kind::Gauge, "Amounts of all agents, and what tasks use of them.");
    for (name, amounts) in &figures.amounts {
        for (what, revocable, amount) in [
            ("total", "no", amounts.total),
            ("used", "no", amounts.used),
            ("total", "yes", amounts.revocable_total),
            ("used", "yes", amounts.revocable_used),
        ] {
            cluster.sample(&[("resource", name), ("what", &what), ("revocable", &revocable)], amount.as_f64());
        }
    }
}

fn of_allocator(text: &mut Text, figures: &Figures) {
    let allocator = &figures.allocator;
    text.one("apportion_allocations_total", Kind::Counter, "Allocations that were run.", allocator.allocation_runs);
    text.one(
        "apportion_agents_to_visit",
        Kind::Gauge,
        "Agents that the next allocation visits.",
        allocator.agents_to_visit,
    );
    text.one("apportion_refusals", Kind::Gauge, "Live filters of declined offers.", allocator.refusals);
    let mut headroom =
        text.family("apportion_headroom", Kind::Gauge, "Free amounts, and those that guarantees require.");
    for (what, amounts) in [("free", &allocator.headroom), ("required", &allocator.required_headroom)] {
        for (resource, amount) in amounts.iter() {
            headroom.sample(&[("resource", &resource), ("what", &what)], amount.as_f64());
        }
    }
    let roles = &allocator.roles[..allocator.roles.len().min(MAX_ROLES)];
    text.one(
        "apportion_roles",
        Kind::Gauge,
        "Roles that are known; the first 1,000 have metrics of their own.",
        allocator.roles.len(),
    );
    let mut shares = text.family("apportion_role_share", Kind::Gauge, "The dominant share of a role, over its weight.");
    for role in roles {
        shares.sample(&[("role", &role.role)], role.share);
    }
    let mut refusals = text.family("apportion_role_refusals", Kind::Gauge, "Live filters under a role.");
    for role in roles {
        refusals.sample(&[("role", &role.role)], role.refusals.value());
    }
    let mut held = text.family("apportion_role_held", Kind::Gauge, "What a role holds, offered or in use.");
    for role in roles {
        for (resource, amount) in role.held.iter() {
            held.sample(&[("role", &role.role), ("resource", &resource)], amount.as_f64());
        }
    }
    let mut quota = text.family("apportion_role_quota", Kind::Gauge, "Quota of a role, and how far it is used.");
    for role in roles.iter().filter(|role| !role.quota.is_empty()) {
        let mut add = |what: &str, resource: &str, amount: Scalar| {
            let labels: [(&str, &dyn Display); 3] = [("role", &role.role), ("resource", &resource), ("what", &what)];
            quota.sample(&labels, amount.as_f64());
        };
        role.quota.limits.iter().for_each(|(resource, amount)| add("limit", resource, amount));
        let amounts: [(&str, &Quantities); 3] =
            [("guarantee", &role.quota.guarantees), ("consumed", &role.consumed), ("lacking", &role.below_guarantee)];
        for (what, amounts) in amounts {
            amounts.iter().for_each(|(resource, amount)| add(what, resource, amount));
        }
    }
}

fn of_streams(text: &mut Text, figures: &Figures) {
    let delivery = &figures.delivery;
    let mut queued = text.family("apportion_messages_queued", Kind::Gauge, "Messages that were not taken yet.");
    for (to, number) in [
        ("frameworks", delivery.framework_messages),
        ("agents", delivery.agent_messages),
        ("operators", delivery.notices),
    ] {
        queued.sample(&[("to", &to)], number.value());
    }
    text.one(
        "apportion_too_slow_total",
        Kind::Counter,
        "Frameworks and agents that were cut because they read too slowly.",
        delivery.too_slow,
    );
    text.one("apportion_http_streams", Kind::Gauge, "Frameworks with an open stream.", figures.streams.len());
    text.one(
        "apportion_http_bytes_queued",
        Kind::Gauge,
        "Bytes that wait for all frameworks, about.",
        figures.queued_bytes(),
    );
    let mut slowest: Vec<_> = figures.streams.iter().collect();
    slowest.sort_by_key(|(framework, _, bytes)| (Reverse(*bytes), framework));
    slowest.truncate(MAX_FRAMEWORKS);
    let help = "Messages that wait for a framework; of the 100 for which most waits.";
    let mut messages = text.family("apportion_framework_messages_queued", Kind::Gauge, help);
    for (framework, number, _) in &slowest {
        messages.sample(&[("framework", framework)], number.value());
    }
    let help = "Bytes that wait for a framework, about; of the 100 for which most waits.";
    let mut bytes = text.family("apportion_framework_bytes_queued", Kind::Gauge, help);
    for (framework, _, number) in &slowest {
        bytes.sample(&[("framework", framework)], number.value());
    }
    text.one(
        "apportion_recording",
        Kind::Gauge,
        "Whether the journal is recorded, 0 or 1.",
        u64::from(figures.is_recording),
    );
}

/// The text form, as it grows.
struct Text(String);

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
}

/// A number that is a value.
trait Number {
    fn value(self) -> f64;
}

impl Number for f64 {
    fn value(self) -> f64 {
        self
    }
}

impl Number for u64 {
    #[expect(clippy::cast_precision_loss, reason = "nothing is counted up to 2^53")]
    fn value(self) -> f64 {
        self as f64
    }
}

impl Number for usize {
    #[expect(clippy::cast_precision_loss, reason = "nothing is counted up to 2^53")]
    fn value(self) -> f64 {
        self as f64
    }
}

/// The samples of one name.
struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Text {
    fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n"); // texts take all
        Family { text: &mut self.0, name }
    }

    fn one(&mut self, name: &'static str, kind: Kind, help: &str, value: impl Number) {
        self.family(name, kind, help).sample(&[], value.value());
    }

    /// Writes the fields of a struct of numbers, each with its name as a label.
    fn by_name(&mut self, name: &'static str, kind: Kind, help: &str, label: &str, numbers: &impl Serialize) {
        let mut family = self.family(name, kind, help);
        let Ok(Json::Object(numbers)) = serde_json::to_value(numbers) else { return };
        for (field, number) in &numbers {
            family.sample(&[(label, field)], number.as_f64().unwrap_or_default());
        }
    }
}

impl Family<'_> {
    fn sample(&mut self, labels: &[(&str, &dyn Display)], value: f64) {
        self.text.push_str(self.name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let separator = if index == 0 { '{' } else { ',' };
            let escaped = text.to_string().replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.text, "{separator}{label}=\"{escaped}\"");
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_help_type_and_escaped_labels() {
        let mut text = Text(String::new());
        let mut family = text.family("apportion_a", Kind::Gauge, "An amount.");
        family.sample(&[("role", &"a\"b\\c\nd"), ("resource", &"cpus")], 1.5);
        family.sample(&[("role", &"e")], 3.0);
        text.one("apportion_b_total", Kind::Counter, "A number.", 7_u64);
        let expected = "# HELP apportion_a An amount.\n# TYPE apportion_a gauge\n\
            apportion_a{role=\"a\\\"b\\\\c\\nd\",resource=\"cpus\"} 1.5\napportion_a{role=\"e\"} 3\n\
            # HELP apportion_b_total A number.\n# TYPE apportion_b_total counter\napportion_b_total 7\n";
        assert_eq!(text.0, expected);
    }
}
