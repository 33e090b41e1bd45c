//! The metrics of an agent, under Mesos' names. All are there from the first answer on.

use crate::driver::{Counters, Driver};
use crate::gc::Counts;
use crate::machine::Phase;
use crate::server::AgentSite;
use crate::view::View;
use apportion::{Resources, TaskState};
use apportion_http::system_figures;
use apportion_http::transport::unix_time;
use serde_json::{Map, Value as Json};
use std::time::Duration;

/// What is asked of the loop.
struct Known {
    view: View,
    counters: Counters,
    gc: Counts,
    fetches: [u64; 2],
}

impl Known {
    fn of(driver: &Driver) -> Self {
        let (gc, fetches) = (driver.gc.counts(), driver.containers.fetches());
        Self { view: driver.view(), counters: driver.counters, gc, fetches }
    }
}

/// Returns all metrics by name. If the loop does not answer in that time, those are left out which it alone knows.
pub(crate) async fn snapshot(site: &AgentSite, timeout: Duration) -> Json {
    let known = tokio::time::timeout(timeout, site.ask(Known::of)).await.ok().and_then(Result::ok);
    let mut all = Map::new();
    let mut put = |name: &str, value: f64| _ = all.insert(name.to_owned(), value.into());
    put("slave/uptime_secs", unix_time().saturating_sub(site.started).as_secs_f64());
    put("slave/recovery_time_secs", site.recovery.as_secs_f64());
    #[expect(clippy::cast_precision_loss, reason = "a count of files")]
    put("slave/recovery_errors", site.recovery_errors as f64);
    for (name, value) in system_figures() {
        put(name, value);
    }
    for name in NOTHING {
        put(name, 0.0);
    }
    if let Some(known) = &known {
        known.put(&mut put);
    }
    Json::Object(all)
}

/// What this agent has none of.
const NOTHING: [&str; 9] = [
    "slave/executors_preempted",
    "containerizer/fetcher/cache_size_total_bytes",
    "containerizer/fetcher/cache_size_used_bytes",
    "containerizer/mesos/container_destroy_errors",
    "containerizer/mesos/provisioner/remove_container_errors",
    "containerizer/mesos/provisioner/bind/remove_rootfs_errors",
    "containerizer/mesos/filesystem/containers_new_rootfs",
    "containerizer/mesos/disk/project_ids_free",
    "containerizer/mesos/disk/project_ids_total",
];

/// The states of tasks that are counted.
const STATES: [(&str, TaskState); 10] = [
    ("staging", TaskState::Staging),
    ("starting", TaskState::Starting),
    ("running", TaskState::Running),
    ("killing", TaskState::Killing),
    ("finished", TaskState::Finished),
    ("failed", TaskState::Failed),
    ("killed", TaskState::Killed),
    ("lost", TaskState::Lost),
    ("error", TaskState::Error),
    ("gone", TaskState::Gone),
];

impl Known {
    #[expect(clippy::cast_precision_loss, reason = "counts of less than 2^53")]
    fn put(&self, put: &mut impl FnMut(&str, f64)) {
        let (view, counters) = (&self.view, &self.counters);
        put("slave/registered", f64::from(u8::from(view.is_registered)));
        put("slave/frameworks_active", view.frameworks.len() as f64);
        let executors = |is: fn(Phase) -> bool| view.live().filter(|executor| is(executor.phase)).count() as f64;
        put(
            "slave/executors_registering",
            executors(|phase| matches!(phase, Phase::Storing | Phase::Launching | Phase::Recovering)),
        );
        put("slave/executors_running", executors(|phase| phase == Phase::Running));
        put("slave/executors_terminating", executors(|phase| phase == Phase::Terminating));
        let ended = view.all().map(|framework| {
            framework.completed.len() + framework.executors.iter().filter(|executor| !executor.is_live()).count()
        });
        put("slave/executors_terminated", ended.sum::<usize>() as f64);
        for (name, state) in STATES {
            put(&format!("slave/tasks_{name}"), view.count(state) as f64);
        }
        let used = view.used();
        for name in ["cpus", "mem", "disk", "gpus"] {
            let amount = |resources: &Resources, is_revocable: bool| {
                resources.filter(|resource| resource.is_revocable() == is_revocable).amount(name).as_f64()
            };
            for (infix, is_revocable) in [("", false), ("revocable_", true)] {
                let (total, used) = (amount(&view.total, is_revocable), amount(&used, is_revocable));
                put(&format!("slave/{name}_{infix}total"), total);
                put(&format!("slave/{name}_{infix}used"), used);
                put(&format!("slave/{name}_{infix}percent"), if total > 0.0 { used / total } else { 0.0 });
            }
        }
        put("slave/valid_status_updates", counters.valid_status_updates as f64);
        put("slave/invalid_status_updates", counters.invalid_status_updates as f64);
        put("slave/valid_framework_messages", counters.valid_framework_messages as f64);
        put("slave/invalid_framework_messages", counters.invalid_framework_messages as f64);
        put("slave/container_launch_errors", counters.container_launch_errors as f64);
        put("slave/executor_directory_max_allowed_age_secs", self.gc.max_age.as_secs_f64());
        put("gc/path_removals_pending", self.gc.pending as f64);
        put("gc/path_removals_succeeded", self.gc.succeeded as f64);
        put("gc/path_removals_failed", self.gc.failed as f64);
        let [succeeded, failed] = self.fetches;
        put("containerizer/fetcher/task_fetches_succeeded", succeeded as f64);
        put("containerizer/fetcher/task_fetches_failed", failed as f64);
    }
}
