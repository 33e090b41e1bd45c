//! [`SimulatedExecutor`]: an executor that runs nothing, and sends the updates that a task would. Its health checks succeed
//! until it is told to fail them.

use crate::health::{HealthCheck, SHORTEST, result_status};
use crate::readiness::{ReadinessCheck, ready_status};
use apportion::executor::{Executor, Reports};
use apportion::placement::JsonNode;
use apportion::{Task, TaskId, Time};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// The message to an executor after which all health checks of its task fail.
pub const FAIL_CHECKS: &[u8] = b"sick";

/// An executor of one simulated task: the task runs until it is killed.
#[derive(Debug, Default)]
pub struct SimulatedExecutor {
    task: Option<TaskId>,
    checks: Vec<HealthCheck>,
    /// The readiness checks, all of which pass at the first attempt.
    readiness: Option<(Time, usize)>,
    /// The checks to make, by time. A check that succeeded is not made again, because nothing would change.
    due: BTreeMap<Time, Vec<usize>>,
    checks_fail: bool,
    /// The number of failures still to report: as many as have the task killed, so that a task whose checks never kill it does
    /// not keep the simulation busy for ever.
    failures_left: u64,
}

impl SimulatedExecutor {
    fn schedule(&mut self, check: usize, at: Time, reports: &mut Reports) {
        self.due.entry(at).or_default().push(check);
        reports.wake_at(at);
    }
}

impl Executor for SimulatedExecutor {
    fn launch(&mut self, task: Task, reports: &mut Reports) {
        reports.running(&task.id);
        let app = json!({"healthChecks": task.details.get("healthChecks").map(Json::from)});
        // The app was read with its own number of ports before, so any number will do here.
        self.checks = HealthCheck::read_all(JsonNode::root(&app), usize::MAX).unwrap_or_default();
        let readiness = ReadinessCheck::of_task(JsonNode::root(&json!({
            "readinessChecks": task.details.get("readinessChecks").map(Json::from)
        })));
        let count = readiness.map_or(0, |checks| checks.len());
        if count > 0 {
            self.readiness = Some((reports.at() + SHORTEST, count));
            reports.wake_at(reports.at() + SHORTEST);
        }
        self.task = Some(task.id);
        for (check, first) in self.checks.iter().map(HealthCheck::first).enumerate().collect::<Vec<_>>() {
            self.schedule(check, reports.at() + first, reports);
        }
    }

    fn message(&mut self, data: Vec<u8>, reports: &mut Reports) {
        if data == FAIL_CHECKS && !self.checks_fail {
            self.checks_fail = true;
            let reported = |check: &HealthCheck| {
                check.max_failures.saturating_add(check.grace.as_secs() / check.interval.as_secs().max(1) + 1)
            };
            self.failures_left = self.checks.iter().map(reported).fold(0, u64::saturating_add);
            self.due.clear();
            for (check, interval) in self.checks.iter().map(|check| check.interval).enumerate().collect::<Vec<_>>() {
                self.schedule(check, reports.at() + interval, reports);
            }
        }
    }

    fn woken(&mut self, reports: &mut Reports) {
        let later = self.due.split_off(&(reports.at() + Duration::from_micros(1)));
        let due = std::mem::replace(&mut self.due, later);
        let Some(task) = self.task.clone() else { return };
        if let Some((_, count)) = self.readiness.take_if(|(at, _)| *at <= reports.at()) {
            (0..count).for_each(|check| reports.update(ready_status(&task, check)));
        }
        for check in due.into_values().flatten() {
            let result = if self.checks_fail { Err("sick".to_owned()) } else { Ok(()) };
            reports.update(result_status(&task, check, result));
            self.failures_left = self.failures_left.saturating_sub(1);
            if self.checks_fail && self.failures_left > 0 {
                let interval = self.checks[check].interval;
                self.schedule(check, reports.at() + interval, reports);
            }
        }
    }

    fn kill(&mut self, task: TaskId, _: Option<Duration>, reports: &mut Reports) {
        self.due.clear();
        self.readiness = None;
        self.task = None;
        reports.killed(&task);
    }
}
