//! [`Probe`]: a check or health check as its task describes it; [`Checker`]: when it is made, and what its results mean.

use super::work::{CommandLine, WorkError, text, variables};
use apportion::{Json, JsonRef, Time};
use apportion_exec::health::{AttemptId, CheckMonitor, HealthMonitor, HealthReport, HealthSettings, Pace};
use std::time::Duration;

/// A check or a health check of a task (Mesos' `CheckInfo`, `HealthCheck`).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Probe {
    /// Its kind, which says whether its results are judged.
    pub kind: CheckKind,
    /// The command, the request or the connection that it makes.
    pub what: ProbeKind,
    /// The time from the start of the task to the first time.
    pub delay: Duration,
    /// The time from the end of one to the next.
    pub interval: Duration,
    /// A check that takes longer has no result, a health check has failed; `None` for no limit.
    pub timeout: Option<Duration>,
    /// From the start of a task that was never healthy, for how long failures do not count.
    pub grace: Duration,
    /// The number of failures in a row that has the task killed.
    pub max_failures: u64,
}

/// The two kinds of checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "Mesos has these two, and who makes them has to tell them apart")]
pub enum CheckKind {
    /// A health check: its results are judged, and a task that stays unhealthy is killed.
    Health,
    /// A check: its results are told as they are.
    Check,
}

/// The ways to check a task.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "who makes the checks has to handle all of them")]
pub enum ProbeKind {
    /// Runs a command with the task's environment, user and sandbox; it is healthy if it exits with 0.
    Command {
        /// The command.
        line: CommandLine,
        /// Variables to set above those of the task.
        environment: Vec<(String, String)>,
    },
    /// Sends a GET request, following redirects; a final status from 200 to 399 is healthy.
    Http {
        /// True for HTTPS.
        tls: bool,
        /// The port, of the task's network.
        port: u16,
        /// The path, which begins with `/`, or is empty.
        path: String,
    },
    /// Opens a connection.
    Tcp {
        /// The port, of the task's network.
        port: u16,
    },
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "who makes the checks chooses among these")]
pub enum ProbeResult {
    /// The command has exited with this status.
    Exited(i32),
    /// The answer to the request had this status.
    Status(u16),
    /// Whether the connection was accepted.
    Connected(bool),
    /// There was none: the check took too long, or could not be made.
    Nothing(String),
}

impl CheckKind {
    /// Returns the field of `TaskInfo` that describes it.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::Health => "health_check",
            Self::Check => "check",
        }
    }
}

impl Probe {
    /// Reads a `CheckInfo` or a `HealthCheck`.
    pub(super) fn of(json: JsonRef<'_>, kind: CheckKind) -> Result<Self, WorkError> {
        let seconds = |name, default: f64| {
            let seconds = json.get(name).and_then(JsonRef::as_f64).unwrap_or(default);
            Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO) // as Mesos: none if it is negative
        };
        let timeout = seconds("timeout_seconds", 20.0);
        Ok(Self {
            kind,
            what: ProbeKind::of(json, kind)?,
            delay: seconds("delay_seconds", 15.0),
            interval: seconds("interval_seconds", 10.0),
            timeout: Some(timeout).filter(|timeout| !timeout.is_zero()),
            grace: seconds("grace_period_seconds", 10.0),
            max_failures: json.get("consecutive_failures").and_then(JsonRef::as_u64).unwrap_or(3),
        })
    }
}

impl ProbeKind {
    fn of(json: JsonRef<'_>, kind: CheckKind) -> Result<Self, WorkError> {
        let what = kind.field();
        let named = text(json, "type").filter(|name| name != "UNKNOWN");
        let part = |name: &str, field: &str| {
            let is_meant = named.as_deref().is_none_or(|named| named == name);
            json.get(field).filter(|part| is_meant && !part.is_null())
        };
        let port = |part: JsonRef<'_>| {
            let found = part.get("port").map_or_else(|| "missing".to_owned(), |port| port.text().to_owned());
            found.parse().ok().filter(|port| *port != 0).ok_or(WorkError::Port { what, found })
        };
        if let Some(command) = part("COMMAND", "command") {
            // A check has its command one level deeper than a health check.
            let command = command.get("command").unwrap_or(command);
            Ok(Self::Command { line: CommandLine::of(command, what)?, environment: variables(command)? })
        } else if let Some(http) = part("HTTP", "http") {
            let tls = text(http, "scheme").is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
            let path = text(http, "path").unwrap_or_default();
            let path = if path.is_empty() || path.starts_with('/') { path } else { format!("/{path}") };
            Ok(Self::Http { tls, port: port(http)?, path })
        } else if let Some(tcp) = part("TCP", "tcp") {
            Ok(Self::Tcp { port: port(tcp)? })
        } else {
            Err(WorkError::Check(what))
        }
    }

    fn name(&self) -> (&'static str, &'static str) {
        match self {
            Self::Command { .. } => ("COMMAND", "command"),
            Self::Http { .. } => ("HTTP", "http"),
            Self::Tcp { .. } => ("TCP", "tcp"),
        }
    }

    /// Returns Mesos' `CheckStatusInfo`: with a result, or empty while there is none.
    fn status(&self, result: Option<&ProbeResult>) -> Json {
        let (kind, field) = self.name();
        let none = || Json::object([] as [(&str, Json); 0]);
        let told = match result {
            Some(ProbeResult::Exited(status)) => Json::object([("exit_code", i64::from(*status))]),
            Some(ProbeResult::Status(status)) => Json::object([("status_code", i64::from(*status))]),
            Some(ProbeResult::Connected(succeeded)) => Json::object([("succeeded", *succeeded)]),
            Some(ProbeResult::Nothing(_)) | None => none(),
        };
        Json::object([("type", Json::from(kind)), (field, told)])
    }
}

impl ProbeResult {
    fn is_healthy(&self) -> bool {
        match self {
            Self::Exited(status) => *status == 0,
            Self::Status(status) => (200..400).contains(status),
            Self::Connected(succeeded) => *succeeded,
            Self::Nothing(_) => false,
        }
    }
}

/// When a check is made, and what its results mean: a monitor of `apportion-exec`, on the clock of the executor.
#[derive(Debug, Clone)]
pub(super) struct Checker {
    probe: Probe,
    monitor: Monitor,
    /// The one that is being made, or was last.
    attempt: Option<AttemptId>,
}

#[derive(Debug, Clone)]
enum Monitor {
    Health(HealthMonitor),
    Check(CheckMonitor<ProbeResult>),
}

/// What follows from a result.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Finding {
    /// The health is to be told, and the task to be killed if it was unhealthy too often.
    Health { is_healthy: bool, kill: bool },
    /// The result of a check has changed.
    Changed(Json),
}

/// Returns a time as monitors have it.
fn monotonic(at: Time) -> Duration {
    at.since(Time::ZERO)
}

impl Checker {
    /// Returns the checker of a task that has started just now.
    pub(super) fn new(probe: Probe, started: Time) -> Self {
        let pace =
            Pace { delay: probe.delay, interval: probe.interval, timeout: probe.timeout.unwrap_or(Duration::MAX) };
        let monitor = match probe.kind {
            CheckKind::Health => {
                // A failure at the end of the grace period does not count either (Mesos' `HealthChecker`).
                let last = if probe.grace.is_zero() { Duration::ZERO } else { Duration::from_nanos(1) };
                let settings = HealthSettings {
                    pace,
                    grace: probe.grace.saturating_add(last),
                    consecutive_failures: Some(u32::try_from(probe.max_failures).unwrap_or(u32::MAX)),
                };
                Monitor::Health(HealthMonitor::new(settings, monotonic(started)))
            }
            CheckKind::Check => Monitor::Check(CheckMonitor::new(pace, monotonic(started))),
        };
        Self { probe, monitor, attempt: None }
    }

    /// Returns the time at which the next one is due, unless one is being made.
    pub(super) fn due(&self) -> Option<Time> {
        let due = match &self.monitor {
            Monitor::Health(monitor) => monitor.due(),
            Monitor::Check(monitor) => monitor.due(),
        };
        due.map(|due| Time::ZERO + due)
    }

    /// Returns the check to make now, if one is due.
    pub(super) fn begin(&mut self, at: Time) -> Option<Probe> {
        let attempt = match &mut self.monitor {
            Monitor::Health(monitor) => monitor.begin(monotonic(at)),
            Monitor::Check(monitor) => monitor.begin(monotonic(at)),
        };
        self.attempt = Some(attempt?);
        Some(self.probe.clone())
    }

    /// Returns whose results these are.
    pub(super) fn kind(&self) -> CheckKind {
        self.probe.kind
    }

    /// Returns Mesos' `CheckStatusInfo` of the last result, for a check; a health check has none.
    pub(super) fn check_status(&self) -> Option<Json> {
        match &self.monitor {
            Monitor::Check(monitor) => Some(self.probe.what.status(monitor.last())),
            Monitor::Health(_) => None,
        }
    }

    /// Takes the result of the one that was made.
    pub(super) fn result(&mut self, at: Time, result: &ProbeResult) -> Option<Finding> {
        let attempt = self.attempt?;
        match &mut self.monitor {
            Monitor::Health(monitor) => {
                let HealthReport { healthy, kill, .. } =
                    monitor.complete(attempt, Some(result.is_healthy()), monotonic(at))?;
                Some(Finding::Health { is_healthy: healthy, kill })
            }
            Monitor::Check(monitor) => {
                let result = (!matches!(result, ProbeResult::Nothing(_))).then(|| result.clone());
                let is_news = monitor.complete(attempt, result, monotonic(at));
                is_news.then(|| self.check_status().map(Finding::Changed)).flatten()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, kind: CheckKind) -> Probe {
        Probe::of(Json::parse(text).unwrap().view(), kind).unwrap()
    }

    #[test]
    fn the_defaults_are_those_of_mesos() {
        let probe = read(r#"{"command":{"value":"true"}}"#, CheckKind::Health);
        let seconds = Duration::from_secs;
        assert_eq!((probe.delay, probe.interval, probe.timeout), (seconds(15), seconds(10), Some(seconds(20))));
        assert_eq!((probe.grace, probe.max_failures), (seconds(10), 3));
        let endless = r#"{"type":"TCP","tcp":{"port":1},"timeout_seconds":0}"#;
        assert_eq!(read(endless, CheckKind::Check).timeout, None);
    }

    #[test]
    fn what_is_checked_is_named_by_the_type_or_by_the_field_that_is_there() {
        let what = |text| read(text, CheckKind::Check).what;
        let http = r#"{"type":"HTTP","http":{"port":80,"path":"up"},"tcp":{"port":1}}"#;
        assert_eq!(what(http), ProbeKind::Http { tls: false, port: 80, path: "/up".into() });
        assert_eq!(what(r#"{"tcp":{"port":9}}"#), ProbeKind::Tcp { port: 9 });
        let command = r#"{"type":"COMMAND","command":{"command":{"value":"x"}}}"#;
        assert_eq!(what(command), ProbeKind::Command { line: CommandLine::Shell("x".into()), environment: vec![] });
    }

    /// Feeds results at the times at which they are due, and returns what follows from each.
    fn findings(checker: &mut Checker, results: &[ProbeResult]) -> Vec<Option<Finding>> {
        let one = |result| {
            let at = checker.due().unwrap();
            assert!(checker.begin(at - Duration::from_micros(1)).is_none() && checker.begin(at).is_some());
            assert!(checker.begin(at).is_none(), "one at a time");
            checker.result(at, result)
        };
        results.iter().map(one).collect()
    }

    #[test]
    fn failures_count_in_a_row_after_the_grace_period_or_the_first_success() {
        let text = r#"{"tcp":{"port":1},"delay_seconds":0,"interval_seconds":4,"grace_period_seconds":5,"consecutive_failures":2}"#;
        let (good, bad) = (ProbeResult::Connected(true), ProbeResult::Connected(false));
        let healthy = Some(Finding::Health { is_healthy: true, kill: false });
        let unhealthy = |kill| Some(Finding::Health { is_healthy: false, kill });
        let mut checker = Checker::new(read(text, CheckKind::Health), Time::from_secs(1));
        let results = [&bad, &bad, &bad, &good, &good, &bad, &good, &bad, &bad].map(Clone::clone);
        let expected = [
            None,
            None,
            unhealthy(false),
            healthy.clone(),
            None,
            unhealthy(false),
            healthy,
            unhealthy(false),
            unhealthy(true),
        ];
        assert_eq!(findings(&mut checker, &results), expected);
        let mut checker = Checker::new(read(text, CheckKind::Health), Time::from_secs(1));
        let first = [good, ProbeResult::Nothing("too late".into())];
        assert_eq!(findings(&mut checker, &first)[1], unhealthy(false), "no grace once it was healthy");
    }

    #[test]
    fn changes_of_a_check_are_told() {
        let text = r#"{"type":"COMMAND","command":{"command":{"value":"x"}}}"#;
        let mut checker = Checker::new(read(text, CheckKind::Check), Time::ZERO);
        assert_eq!(checker.check_status().unwrap().text(), r#"{"type":"COMMAND","command":{}}"#);
        let results = [ProbeResult::Exited(3), ProbeResult::Exited(3), ProbeResult::Nothing(String::new())];
        let texts: Vec<_> = findings(&mut checker, &results)
            .into_iter()
            .map(|finding| {
                finding.map(|finding| {
                    let Finding::Changed(status) = finding else { panic!("{finding:?}") };
                    status.text().to_owned()
                })
            })
            .collect();
        let expected = [r#"{"type":"COMMAND","command":{"exit_code":3}}"#, r#"{"type":"COMMAND","command":{}}"#];
        assert_eq!(texts, [Some(expected[0].to_owned()), None, Some(expected[1].to_owned())]);
    }
}
