//! [`HealthCheck`]: a health check of an app; [`Health`]: the results of the checks of one task.
//!
//! Keys, defaults and rules are those of Marathon's page *Health Checks* and its classes `HealthCheck`, `Health` and
//! `HealthCheckActor`. The executor makes the checks and reports each result in a status update; what follows from the
//! results is decided here.

use apportion::placement::{JsonNode, ReadError};
use apportion::{TaskId, TaskState, TaskStatus, Time};
use serde_json::json;
use std::fmt;
use std::time::Duration;

/// The longest duration that may be written, in seconds: a year.
const MAX_SECONDS: u64 = 365 * 86_400;

/// The longest time from the start of a task to its first check (Marathon's `FirstHealthCheckTime`).
const FIRST_CHECK: Duration = Duration::from_secs(1);

/// The shortest interval and timeout.
pub(crate) const SHORTEST: Duration = Duration::from_secs(1);

/// The label of a status update that has the index of the check whose result it reports.
const LABEL: &str = "health-check";

/// One of an app's `healthChecks`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthCheck {
    /// The request, connection or command.
    pub probe: Probe,
    /// `gracePeriodSeconds`: from the start of a task that was never healthy, for how long failures do not count.
    pub grace: Duration,
    /// `intervalSeconds`: the time from one check to the next.
    pub interval: Duration,
    /// `timeoutSeconds`: a check that takes longer fails.
    pub timeout: Duration,
    /// `maxConsecutiveFailures`: with that many failures in a row the task is killed; 0 = never.
    pub max_failures: u64,
    /// `delaySeconds`: the time from the start of a task to its first check, if it is given. (Marathon's default of 15 holds
    /// for checks that Mesos makes; here the first check comes soon.)
    pub delay: Option<Duration>,
}

/// The kind of a health check (Marathon's `protocol`).
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "an executor has to handle all of them")]
pub enum Probe {
    /// A GET request must be answered with a good status.
    Http {
        /// Whether the request is HTTPS.
        tls: bool,
        /// The path, which begins with `/`.
        path: String,
        /// The port of the task.
        port: PortRef,
        /// Whether a status from 100 to 199 is no result (`ignoreHttp1xx`) instead of a failure.
        ignore_1xx: bool,
        /// The statuses that are good.
        statuses: Statuses,
    },
    /// A connection must be accepted.
    Tcp {
        /// The port of the task.
        port: PortRef,
    },
    /// A shell command must exit with status 0.
    Command(String),
}

/// The statuses of an answer that are good.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "an executor has to handle all of them")]
pub enum Statuses {
    /// From 200 to 399.
    Success,
    /// These.
    OneOf(Vec<u16>),
}

impl Statuses {
    /// Returns whether a status is good.
    pub fn contains(&self, status: u16) -> bool {
        match self {
            Self::Success => (200..=399).contains(&status),
            Self::OneOf(statuses) => statuses.contains(&status),
        }
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Success => f.write_str("one from 200 to 399"),
            Self::OneOf(statuses) => {
                let statuses: Vec<String> = statuses.iter().map(u16::to_string).collect();
                f.write_str(&statuses.join(" or "))
            }
        }
    }
}

/// The port of a health check (`port` or `portIndex`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "an executor has to handle all of them")]
pub enum PortRef {
    /// A fixed number.
    Number(u16),
    /// The port of the task with that index.
    Index(usize),
}

impl HealthCheck {
    /// Reads the `healthChecks` of an app that has `ports` ports. `MESOS_HTTP`, `MESOS_HTTPS` and `MESOS_TCP`, which Mesos
    /// makes for Marathon, are read as `HTTP`, `HTTPS` and `TCP`.
    ///
    /// Like Marathon it passes over what a check of the protocol does not use. An interval or a timeout of 0 is the shortest.
    pub(crate) fn read_all(app: JsonNode<'_>, ports: usize) -> Result<Vec<Self>, ReadError> {
        let Some(checks) = app.get("healthChecks") else { return Ok(Vec::new()) };
        checks.items("a list of health checks")?.map(|check| Self::read(check, ports)).collect()
    }

    fn read(check: JsonNode<'_>, ports: usize) -> Result<Self, ReadError> {
        check.object()?;
        let seconds = |key: &str| {
            let expected =
                |given: JsonNode<'_>| given.wrong(format!("a whole number of seconds from 0 to {MAX_SECONDS}"));
            let given = check.get(key).map(|given| given.whole(MAX_SECONDS).map_err(|_| expected(given)));
            given.transpose().map(|given| given.map(Duration::from_secs))
        };
        let failures = check.get("maxConsecutiveFailures").map(|failures| failures.whole(1_000_000)).transpose()?;
        Ok(Self {
            probe: Probe::read(check, ports)?,
            grace: seconds("gracePeriodSeconds")?.unwrap_or(Duration::from_secs(300)),
            interval: seconds("intervalSeconds")?.unwrap_or(Duration::from_secs(60)).max(SHORTEST),
            timeout: seconds("timeoutSeconds")?.unwrap_or(Duration::from_secs(20)).max(SHORTEST),
            max_failures: failures.unwrap_or(3),
            delay: seconds("delaySeconds")?,
        })
    }

    /// Returns the time from the start of a task to its first check.
    pub fn first(&self) -> Duration {
        self.delay.unwrap_or_else(|| self.interval.min(FIRST_CHECK))
    }
}

impl Probe {
    fn read(check: JsonNode<'_>, ports: usize) -> Result<Self, ReadError> {
        const PROTOCOLS: &str = "HTTP, HTTPS, TCP, COMMAND, MESOS_HTTP, MESOS_HTTPS or MESOS_TCP";
        let protocol = check.get("protocol");
        let name = protocol.map(|protocol| protocol.text()).transpose()?.unwrap_or("HTTP");
        match name {
            "HTTP" | "HTTPS" | "MESOS_HTTP" | "MESOS_HTTPS" => {
                let path = read_path(check)?;
                let ignore_1xx = check.get("ignoreHttp1xx").map(|ignore| ignore.boolean()).transpose()?;
                Ok(Self::Http {
                    tls: name.ends_with('S'),
                    path,
                    port: PortRef::read(check, ports)?,
                    ignore_1xx: ignore_1xx.unwrap_or(false),
                    statuses: Statuses::Success,
                })
            }
            "TCP" | "MESOS_TCP" => Ok(Self::Tcp { port: PortRef::read(check, ports)? }),
            "COMMAND" => {
                let command = check.required("command", "an object with the command as its value")?;
                command.object()?;
                Ok(Self::Command(command.required("value", "a shell command")?.name()?.to_owned()))
            }
            _ => Err(protocol.unwrap_or(check).wrong(PROTOCOLS)),
        }
    }
}

/// Reads the `path` of a request; it may lack its first slash.
pub(crate) fn read_path(check: JsonNode<'_>) -> Result<String, ReadError> {
    let Some(path) = check.get("path") else { return Ok("/".to_owned()) };
    let text = path.text()?;
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(path.wrong("a path such as /health"));
    }
    Ok(if text.starts_with('/') { text.to_owned() } else { format!("/{text}") })
}

impl PortRef {
    fn read(check: JsonNode<'_>, ports: usize) -> Result<Self, ReadError> {
        if let Some(port) = check.get("port") {
            if let Some(index) = check.get("portIndex") {
                return Err(index.wrong("nothing beside a port"));
            }
            let number = port.whole(u16::MAX.into()).ok().and_then(|number| u16::try_from(number).ok());
            let number = number.filter(|number| *number > 0).ok_or_else(|| port.wrong("a port from 1 to 65535"))?;
            return Ok(Self::Number(number));
        }
        let Some(index) = check.get("portIndex") else {
            let none = || check.wrong("a port, as the app has none of its own");
            return if ports > 0 { Ok(Self::Index(0)) } else { Err(none()) };
        };
        let number = index.whole(u32::MAX.into()).ok().and_then(|number| usize::try_from(number).ok());
        let is_there = number.filter(|number| *number < ports);
        is_there.map(Self::Index).ok_or_else(|| index.wrong(format!("the index of one of the app's {ports} ports")))
    }

    /// Returns the port of a task with these host ports; `None` if the port is not on the host.
    pub fn of(self, ports: &[Option<u64>]) -> Option<u16> {
        match self {
            Self::Number(number) => Some(number),
            Self::Index(index) => ports.get(index).copied().flatten().and_then(|number| u16::try_from(number).ok()),
        }
    }
}

/// Returns the status update that reports the result of a check of a running task. `check` is the index of the check in its
/// app; the error says why the task is not healthy.
pub fn result_status(task: &TaskId, check: usize, result: Result<(), String>) -> TaskStatus {
    let mut status =
        TaskStatus::new(task.clone(), TaskState::Running).reason("REASON_TASK_HEALTH_CHECK_STATUS_UPDATED");
    status.healthy = Some(result.is_ok());
    if let Err(why) = result {
        status.message = Some(format!("health check {check}: {why}").into());
    }
    let labels = json!({"labels": [{"key": LABEL, "value": check.to_string()}]});
    status.details.insert("labels", labels);
    status
}

/// Returns the index of the check whose result a status update reports; 0 if it does not say.
fn check_index(status: &TaskStatus) -> usize {
    label(status, LABEL).and_then(|index| index.parse().ok()).unwrap_or(0)
}

/// Returns the value of a label of a status update.
pub(crate) fn label(status: &TaskStatus, name: &str) -> Option<String> {
    let labels = status.details.get("labels")?.get("labels")?;
    let label = labels.elements().find(|label| label.get("key").is_some_and(|key| key == name))?;
    Some(label.get("value")?.as_str()?.into_owned())
}

/// The health of a running task, by all checks of its app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Some check has no result that counts yet.
    Unknown,
    /// The last result of each check is a success, or there are no checks.
    Healthy,
    /// The last result of some check is a failure.
    Unhealthy,
    /// Some check has failed `maxConsecutiveFailures` times in a row: the task has to be killed and replaced.
    TooManyFailures,
}

/// The results of the checks of one task.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    started: Time,
    records: Vec<CheckRecord>,
}

/// The results of one check.
#[derive(Debug, Clone, Default)]
struct CheckRecord {
    grace: Duration,
    max_failures: u64,
    /// The last result that counts: whether it is a success.
    last: Option<bool>,
    was_healthy: bool,
    /// The number of failures in a row.
    failures: u64,
    /// The time of the last result.
    last_at: Option<Time>,
}

impl Health {
    /// Returns the health of a task that runs since `started`.
    pub(crate) fn new(checks: &[HealthCheck], started: Time) -> Self {
        let record = |check: &HealthCheck| CheckRecord {
            grace: check.grace,
            max_failures: check.max_failures,
            ..CheckRecord::default()
        };
        Self { started, records: checks.iter().map(record).collect() }
    }

    /// Applies a status update. An update without a result, or with one that is not newer than the last of its check, changes
    /// nothing, so that updates may come twice or late. A result is of the time in its update, or else of now.
    pub(crate) fn apply(&mut self, status: &TaskStatus, now: Time) {
        let at = status.timestamp.and_then(|secs| Time::try_from_secs_f64(secs).ok()).unwrap_or(now);
        if let (Some(good), TaskState::Running) = (status.healthy, status.state) {
            self.record_result(check_index(status), good, at);
        }
    }

    /// Records the result of a check at that time. Failures within the grace period do not count as long as the check never
    /// succeeded.
    pub(crate) fn record_result(&mut self, check: usize, good: bool, at: Time) {
        let Some(record) = self.records.get_mut(check).filter(|record| record.last_at < Some(at)) else { return };
        record.last_at = Some(at);
        if good {
            record.was_healthy = true;
            record.failures = 0;
        } else if !record.was_healthy && at < self.started + record.grace {
            return;
        } else {
            record.failures = record.failures.saturating_add(1);
        }
        record.last = Some(good);
    }

    /// Returns the verdict on all results so far.
    ///
    /// `HealthCheckActor` compares before it counts a failure, so it kills with one failure more than its documentation says.
    /// Here it is as documented, and as Mesos does it.
    pub(crate) fn verdict(&self) -> Verdict {
        if self.records.iter().any(|record| record.max_failures > 0 && record.failures >= record.max_failures) {
            Verdict::TooManyFailures
        } else if self.records.iter().any(|record| record.last == Some(false)) {
            Verdict::Unhealthy
        } else if self.records.iter().any(|record| record.last.is_none()) {
            Verdict::Unknown
        } else {
            Verdict::Healthy
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value as Json;

    fn read(checks: Json) -> Result<Vec<HealthCheck>, String> {
        let app = json!({"healthChecks": checks});
        HealthCheck::read_all(JsonNode::root(&app), 2).map_err(|error| error.to_string())
    }

    fn secs(number: u64) -> Time {
        Time::from_secs(number)
    }

    #[test]
    fn what_is_not_written_is_as_marathon_has_it() {
        let checks = read(json!([{}, {"protocol": "MESOS_TCP", "port": "80"}, {"protocol": "COMMAND",
            "command": {"value": "true"}, "intervalSeconds": 5, "timeoutSeconds": 4, "gracePeriodSeconds": 0,
            "maxConsecutiveFailures": 0}]));
        let checks = checks.unwrap();
        let http = Probe::Http {
            tls: false,
            path: "/".to_owned(),
            port: PortRef::Index(0),
            ignore_1xx: false,
            statuses: Statuses::Success,
        };
        let times = |check: &HealthCheck| [check.grace, check.interval, check.timeout].map(|time| time.as_secs());
        assert_eq!((&checks[0].probe, times(&checks[0]), checks[0].max_failures), (&http, [300, 60, 20], 3));
        assert_eq!(checks[1].probe, Probe::Tcp { port: PortRef::Number(80) });
        assert_eq!(checks[2].probe, Probe::Command("true".to_owned()));
        assert_eq!((times(&checks[2]), checks[2].max_failures), ([0, 5, 4], 0));
        assert_eq!(HealthCheck::read_all(JsonNode::root(&json!({"healthChecks": null})), 0), Ok(vec![]));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_path() {
        let cases = [
            (json!({}), "healthChecks: found {}, expected a list of health checks"),
            (json!([1]), "healthChecks[0]: found 1, expected an object"),
            (json!([{}, {"protocol": "UDP"}]), "healthChecks[1].protocol: found \"UDP\", expected HTTP, HTTPS, TCP"),
            (json!([{"path": "/a b"}]), "healthChecks[0].path: found \"/a b\", expected a path such as /health"),
            (json!([{"portIndex": 2}]), "healthChecks[0].portIndex: found 2, expected the index of one of the app's 2"),
            (json!([{"portIndex": 0, "port": 80}]), "healthChecks[0].portIndex: found 0, expected nothing beside"),
            (json!([{"port": 0}]), "healthChecks[0].port: found 0, expected a port from 1 to 65535"),
            (json!([{"timeoutSeconds": -1}]), "healthChecks[0].timeoutSeconds: found -1, expected a whole number"),
            (json!([{"gracePeriodSeconds": 1e18}]), "healthChecks[0].gracePeriodSeconds: found 1e+18, expected"),
            (json!([{"maxConsecutiveFailures": 0.5}]), "healthChecks[0].maxConsecutiveFailures: found 0.5, expected"),
            (json!([{"protocol": "COMMAND"}]), "healthChecks[0].command: is not there: expected an object"),
            (json!([{"protocol": "COMMAND", "command": {}}]), "healthChecks[0].command.value: is not there"),
        ];
        for (checks, message) in cases {
            let error = read(checks.clone()).unwrap_err();
            assert!(error.contains(message), "{checks}: {error}");
        }
        let app = json!({"healthChecks": [{}]});
        let error = HealthCheck::read_all(JsonNode::root(&app), 0).unwrap_err().to_string();
        assert_eq!(error, "healthChecks[0]: found {}, expected a port, as the app has none of its own");
    }

    #[test]
    fn what_a_check_does_not_use_is_passed_over_and_the_shortest_time_is_a_second() {
        let checks = read(json!([
            {"protocol": "TCP", "path": "/", "command": {"value": "x"}, "intervalSeconds": 0, "timeoutSeconds": 0},
            {"protocol": "COMMAND", "command": {"value": "x"}, "path": "/", "port": 80, "portIndex": 9, "delaySeconds": 7},
            {"path": "health", "command": {"value": "x"}},
        ]));
        let checks = checks.unwrap();
        assert_eq!(checks[0].probe, Probe::Tcp { port: PortRef::Index(0) });
        assert_eq!((checks[0].interval, checks[0].timeout), (SHORTEST, SHORTEST));
        assert_eq!(checks[1].probe, Probe::Command("x".to_owned()));
        assert_eq!(checks.iter().map(|check| check.first().as_secs()).collect::<Vec<_>>(), [1, 7, 1]);
        assert!(matches!(&checks[2].probe, Probe::Http { path, .. } if path == "/health"));
    }

    #[test]
    fn failures_count_from_the_first_success_or_the_end_of_the_grace_period() {
        let checks = read(json!([{"gracePeriodSeconds": 10}])).unwrap();
        let mut health = Health::new(&checks, secs(100));
        for at in [101, 105, 109] {
            health.record_result(0, false, secs(at));
            assert_eq!(health.verdict(), Verdict::Unknown);
        }
        let mut late = health.clone();
        for (at, verdict) in [(110, Verdict::Unhealthy), (111, Verdict::Unhealthy), (112, Verdict::TooManyFailures)] {
            late.record_result(0, false, secs(at));
            assert_eq!(late.verdict(), verdict, "{at}");
        }
        health.record_result(0, true, Time::from_micros(109_500_000));
        assert_eq!(health.verdict(), Verdict::Healthy);
        health.record_result(0, false, Time::from_micros(109_700_000)); // within the grace period, and it has been healthy
        assert_eq!(health.verdict(), Verdict::Unhealthy);
        health.record_result(0, true, secs(110));
        for (at, verdict) in [(111, Verdict::Unhealthy), (112, Verdict::Unhealthy), (113, Verdict::TooManyFailures)] {
            health.record_result(0, false, secs(at));
            assert_eq!(health.verdict(), verdict, "{at}");
        }
    }

    #[test]
    fn all_checks_must_be_good_and_one_that_never_kills_does_not() {
        let never = json!({"gracePeriodSeconds": 0, "maxConsecutiveFailures": 0});
        let checks = read(json!([never, {"gracePeriodSeconds": 0, "maxConsecutiveFailures": 1}])).unwrap();
        let mut health = Health::new(&checks, secs(0));
        health.record_result(0, true, secs(1));
        assert_eq!(health.verdict(), Verdict::Unknown);
        health.record_result(1, true, secs(1));
        assert_eq!(health.verdict(), Verdict::Healthy);
        (2..20).for_each(|at| health.record_result(0, false, secs(at)));
        assert_eq!(health.verdict(), Verdict::Unhealthy);
        health.record_result(1, false, secs(2));
        assert_eq!(health.verdict(), Verdict::TooManyFailures);
        health.record_result(7, false, secs(20)); // there is no such check
        assert_eq!(Health::new(&[], secs(0)).verdict(), Verdict::Healthy);
    }

    #[test]
    fn a_status_counts_once_and_only_if_it_is_new() {
        let checks = read(json!([{"gracePeriodSeconds": 0}, {"gracePeriodSeconds": 0}])).unwrap();
        let mut health = Health::new(&checks, secs(0));
        let status = |check, good: bool, at: f64| {
            let mut status =
                result_status(&"t1".into(), check, if good { Ok(()) } else { Err("no answer".to_owned()) });
            status.timestamp = Some(at);
            status
        };
        health.apply(&status(0, true, 1.0), secs(1));
        let bad = status(1, false, 1.0);
        assert_eq!(bad.message.as_deref(), Some("health check 1: no answer"));
        (1..9).for_each(|now| health.apply(&bad, secs(now)));
        assert_eq!(health.verdict(), Verdict::Unhealthy); // eight updates about one failure
        health.apply(&status(1, true, 3.0), secs(3));
        health.apply(&status(1, false, 2.0), secs(4)); // late
        assert_eq!(health.verdict(), Verdict::Healthy);
        let mut ended = status(1, false, 5.0);
        ended.state = TaskState::Finished;
        health.apply(&ended, secs(5));
        health.apply(&TaskStatus::new("t1", TaskState::Running), secs(5));
        assert_eq!(health.verdict(), Verdict::Healthy);
    }

    #[test]
    fn a_port_is_a_number_or_one_of_the_tasks() {
        let ports = [Some(31_000), None];
        let of = |port: PortRef| port.of(&ports);
        assert_eq!(
            [PortRef::Number(8), PortRef::Index(0), PortRef::Index(1), PortRef::Index(2)].map(of),
            [Some(8), Some(31_000), None, None]
        );
    }
}
