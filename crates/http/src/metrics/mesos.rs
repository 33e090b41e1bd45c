//! The metrics under Mesos' names, and under names that begin with `apportion/` where Mesos has none.

use super::frameworks::FrameworkFigures;
use super::traffic::Traffic;
use super::{Amounts, Figures, system};
use apportion::Scalar;
use std::collections::BTreeMap;

/// Names that tools look for from the first answer on, of things that this master does not have or not measure: they are 0. It has
/// no registry that is replicated, handles commands when they come, and reads no clock while it allocates.
const ALWAYS: [&str; 44] = [
    "allocator/event_queue_dispatches",
    "allocator/mesos/allocation_run_latency_ms",
    "allocator/mesos/allocation_run_ms",
    "allocator/mesos/event_queue_dispatches",
    "allocator/mesos/resources/cpus/offered_or_allocated",
    "allocator/mesos/resources/cpus/total",
    "allocator/mesos/resources/disk/offered_or_allocated",
    "allocator/mesos/resources/disk/total",
    "allocator/mesos/resources/mem/offered_or_allocated",
    "allocator/mesos/resources/mem/total",
    "master/dropped_messages",
    "master/event_queue_dispatches",
    "master/event_queue_http_requests",
    "master/event_queue_messages",
    "master/http_cache_hits",
    "master/invalid_executor_to_framework_messages",
    "master/invalid_framework_to_executor_messages",
    "master/invalid_operation_status_update_acknowledgements",
    "master/invalid_operation_status_updates",
    "master/invalid_status_update_acknowledgements",
    "master/invalid_status_updates",
    "master/messages_authenticate",
    "master/messages_operation_status_update",
    "master/messages_reregister_framework",
    "master/messages_reregister_slave",
    "master/operator_event_stream_subscribers",
    "master/recovery_slave_removals",
    "master/slave_removals/reason_registered",
    "master/slave_reregistrations",
    "master/slave_shutdowns_canceled",
    "master/slave_shutdowns_completed",
    "master/slave_shutdowns_scheduled",
    "master/slave_unreachable_canceled",
    "master/valid_operation_status_updates",
    "overlay/log/ensemble_size",
    "overlay/log/recovered",
    "registrar/log/ensemble_size",
    "registrar/log/recovered",
    "registrar/queued_operations",
    "registrar/registry_size_bytes",
    "registrar/state_fetch_ms",
    "registrar/state_store_ms",
    "system/load_1min",
    "system/mem_total_bytes",
];

/// Timers of Mesos, each with its distribution.
const TIMERS: [&str; 3] =
    ["allocator/mesos/allocation_run_latency_ms", "allocator/mesos/allocation_run_ms", "registrar/state_store_ms"];
const DISTRIBUTION: [&str; 9] = ["count", "max", "min", "p50", "p90", "p95", "p99", "p999", "p9999"];

/// The operations that Mesos counts by kind and state.
const OPERATIONS: [&str; 8] =
    ["create", "create_disk", "destroy", "destroy_disk", "grow_volume", "reserve", "shrink_volume", "unreserve"];
const OPERATION_STATES: [&str; 9] =
    ["dropped", "error", "failed", "finished", "gone_by_operator", "pending", "recovering", "total", "unreachable"];

/// Returns all metrics by name. Without figures, because the master was too slow to tell them, there are only those of the server.
#[expect(clippy::cast_precision_loss, reason = "nothing is counted up to 2^53")]
pub(crate) fn snapshot(
    figures: Option<&Figures>,
    traffic: &Traffic,
    is_leading: bool,
    waiting: usize,
) -> BTreeMap<String, f64> {
    let mut all: BTreeMap<String, f64> = BTreeMap::new();
    if let Some(figures) = figures {
        all.extend(of_master(figures));
    }
    let mut set = |name: &str, value: f64| _ = all.insert(name.to_owned(), value);
    set("master/elected", f64::from(u8::from(is_leading)));
    set("master/event_queue_messages", waiting as f64);
    system::figures().into_iter().for_each(|(name, value)| set(name, value));
    let (open, accepted) = traffic.connections();
    set("apportion/http/connections", open as f64);
    set("apportion/http/connections_accepted", accepted as f64);
    for ((endpoint, status), number) in traffic.answers() {
        set(&format!("apportion/http/answers/{endpoint}/{status}"), number as f64);
    }
    for (api, kind, number) in traffic.calls() {
        set(&format!("apportion/http/calls/{api}/{}", kind.to_ascii_lowercase()), number as f64);
    }
    all
}

#[expect(clippy::cast_precision_loss, reason = "nothing is counted up to 2^53")]
fn of_master(figures: &Figures) -> BTreeMap<String, f64> {
    let distributions = TIMERS.iter().flat_map(|timer| DISTRIBUTION.iter().map(move |part| format!("{timer}/{part}")));
    let kinds = OPERATIONS.iter().map(|kind| format!("{kind}/")).chain([String::new()]);
    let operations =
        kinds.flat_map(|kind| OPERATION_STATES.iter().map(move |state| format!("master/operations/{kind}{state}")));
    let always = ALWAYS.iter().map(|name| (*name).to_owned()).chain(distributions).chain(operations);
    let mut all: BTreeMap<String, f64> = always.map(|name| (name, 0.0)).collect();
    let core = figures.master.named().chain(figures.allocator.named());
    all.extend(core.map(|(name, value)| (name.into_owned(), value)));

    all.extend(figures.frameworks.iter().flat_map(FrameworkFigures::named).map(|(name, value)| (name, value as f64)));

    let mut set = |name: &str, value: f64| _ = all.insert(name.to_owned(), value);
    set("master/uptime_secs", figures.uptime.as_secs_f64());
    for name in ["cpus", "gpus", "mem", "disk"] {
        let Amounts { total, used, revocable_total, revocable_used } = figures.amounts(name);
        for (kind, total, used) in [("", total, used), ("revocable_", revocable_total, revocable_used)] {
            set(&format!("master/{name}_{kind}total"), total.as_f64());
            set(&format!("master/{name}_{kind}used"), used.as_f64());
            set(&format!("master/{name}_{kind}percent"), part(used, total));
        }
    }
    let (master, delivery) = (&figures.master, &figures.delivery);
    let (calls, agents, others) = (&master.calls, &master.agent_messages, &master.other_commands);
    let removals = others.remove_agent + others.agent_unreachable + others.agent_gone + agents.unregister;
    let done = master.effects.operation;
    for (name, number) in [
        ("master/frameworks_active", master.frameworks.connected as u64),
        ("master/frameworks_inactive", master.frameworks.disconnected as u64),
        ("master/slave_registrations", agents.register),
        ("master/slave_removals", removals),
        ("master/slave_removals/reason_unhealthy", others.agent_unreachable),
        ("master/slave_removals/reason_unregistered", agents.unregister),
        ("master/slave_unreachable_scheduled", others.agent_unreachable),
        ("master/slave_unreachable_completed", others.agent_unreachable),
        ("master/valid_status_updates", agents.task_status),
        ("master/valid_status_update_acknowledgements", calls.acknowledge),
        ("master/valid_operation_status_update_acknowledgements", calls.acknowledge_operation),
        ("master/valid_framework_to_executor_messages", calls.message),
        ("master/valid_executor_to_framework_messages", agents.executor_message),
        ("master/operations/finished", done),
        ("master/operations/failed", master.effects.operation_failed),
        ("master/operations/total", done + master.effects.operation_failed),
        ("apportion/delivery/framework_messages", delivery.framework_messages as u64),
        ("apportion/delivery/agent_messages", delivery.agent_messages as u64),
        ("apportion/delivery/notices", delivery.notices as u64),
        ("apportion/delivery/offers", delivery.offers as u64),
        ("apportion/delivery/inverse_offers", delivery.inverse_offers as u64),
        ("apportion/delivery/too_slow", delivery.too_slow),
        ("apportion/http/streams", figures.streams.len() as u64),
        ("apportion/http/bytes_queued", figures.queued_bytes()),
        ("apportion/recording", u64::from(figures.is_recording)),
    ] {
        set(name, number as f64);
    }
    all
}

/// Returns which part of a total is used, 0 if there is none.
fn part(used: Scalar, total: Scalar) -> f64 {
    if total.is_zero() { 0.0 } else { used.as_f64() / total.as_f64() }
}
