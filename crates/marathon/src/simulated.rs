//! [`Simulated`]: an executor that only says what its task would. Its health checks come out well until it is told to be sick.

use crate::health::{HealthCheck, tell};
use apportion::executor::{Executor, Reports};
use apportion::placement::JsonNode;
use apportion::{Task, TaskId, Time};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// The message after which all health checks of a task fail.
pub const SICK: &[u8] = b"sick";

/// Runs one task, in words only.
#[derive(Debug, Default)]
pub struct Simulated {
    task: Option<TaskId>,
    checks: Vec<HealthCheck>,
    /// When each check is made next. One that came out well is not made again: nothing would come of it.
    due: BTreeMap<Time, Vec<usize>>,
    is_sick: bool,
    /// How many failures are still told: as many as it takes for the task to be given up, or else it could go on for ever.
    failures: u64,
}

impl Simulated {
    fn plan(&mut self, check: usize, at: Time, reports: &mut Reports) {
        self.due.entry(at).or_default().push(check);
        reports.wake_at(at);
    }
}

impl Executor for Simulated {
    fn launch(&mut self, task: Task, reports: &mut Reports) {
        reports.running(&task.id);
        let app = json!({"healthChecks": task.details.get("healthChecks")});
        // They were read before, with the ports of the app; any number of ports will do here.
        self.checks = HealthCheck::read_all(JsonNode::root(&app), usize::MAX).unwrap_or_default();
        self.task = Some(task.id);
        for (check, first) in self.checks.iter().map(HealthCheck::first).enumerate().collect::<Vec<_>>() {
            self.plan(check, reports.at() + first, reports);
        }
    }

    fn message(&mut self, data: Vec<u8>, reports: &mut Reports) {
        if data == SICK && !self.is_sick {
            self.is_sick = true;
            let told = |check: &HealthCheck| {
                check.max_failures.saturating_add(check.grace.as_secs() / check.interval.as_secs().max(1) + 1)
            };
            self.failures = self.checks.iter().map(told).fold(0, u64::saturating_add);
            self.due.clear();
            for (check, interval) in self.checks.iter().map(|check| check.interval).enumerate().collect::<Vec<_>>() {
                self.plan(check, reports.at() + interval, reports);
            }
        }
    }

    fn woken(&mut self, reports: &mut Reports) {
        let later = self.due.split_off(&(reports.at() + Duration::from_micros(1)));
        let due = std::mem::replace(&mut self.due, later);
        let Some(task) = self.task.clone() else { return };
        for check in due.into_values().flatten() {
            let result = if self.is_sick { Err("sick".to_owned()) } else { Ok(()) };
            reports.update(tell(&task, check, result));
            self.failures = self.failures.saturating_sub(1);
            if self.is_sick && self.failures > 0 {
                let interval = self.checks[check].interval;
                self.plan(check, reports.at() + interval, reports);
            }
        }
    }

    fn kill(&mut self, task: TaskId, _: Option<Duration>, reports: &mut Reports) {
        self.due.clear();
        self.task = None;
        reports.killed(&task);
    }
}
