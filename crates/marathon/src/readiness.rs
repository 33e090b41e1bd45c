//! [`ReadinessCheck`]: a check that a task has to pass once before it counts as up.
//!
//! Keys and defaults are those of Marathon's page *Readiness Checks*. As long as a task is not ready, the deployment that
//! started it does not go on, and neither do the apps that depend on its app. A task that was ready once stays so.

use crate::health::{PortRef, Probe, SHORTEST, Statuses, label, read_path};
use apportion::placement::{App, JsonNode, PortRequest, ReadError};
use apportion::{TaskId, TaskState, TaskStatus};
use serde_json::{Value as Json, json};
use std::time::Duration;

/// The longest duration that may be written, in seconds: a year.
const MAX_SECONDS: u64 = 365 * 86_400;

/// The label of a status update that has the index of the check that a task has passed.
const LABEL: &str = "readiness-check";

/// One of an app's `readinessChecks`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadinessCheck {
    /// The request.
    pub probe: Probe,
    /// `intervalSeconds`: the time from one check to the next.
    pub interval: Duration,
    /// `timeoutSeconds`: a check that takes longer fails.
    pub timeout: Duration,
}

impl ReadinessCheck {
    /// Reads the `readinessChecks` of an app, each of a port by name.
    pub(crate) fn read_all(node: JsonNode<'_>, app: &App) -> Result<Vec<Self>, ReadError> {
        Self::read_list(node, |check| port_index(check, &app.ports))
    }

    /// Reads the checks from the details of a task, each of a port by index.
    pub(crate) fn of_task(details: JsonNode<'_>) -> Result<Vec<Self>, ReadError> {
        Self::read_list(details, |check| {
            let index = check.required("portIndex", "the index of a port")?;
            usize::try_from(index.whole(u16::MAX.into())?).map_err(|_| index.wrong("the index of a port"))
        })
    }

    fn read_list(
        node: JsonNode<'_>,
        port: impl Fn(JsonNode<'_>) -> Result<usize, ReadError>,
    ) -> Result<Vec<Self>, ReadError> {
        let Some(checks) = node.get("readinessChecks") else { return Ok(Vec::new()) };
        checks
            .items("a list of readiness checks")?
            .map(|check| Self::read(check, PortRef::Index(port(check)?)))
            .collect()
    }

    fn read(check: JsonNode<'_>, port: PortRef) -> Result<Self, ReadError> {
        check.object()?;
        let seconds = |key: &str, default: u64| {
            let given = check.get(key).map(|given| given.whole(MAX_SECONDS)).transpose();
            given.map(|given| Duration::from_secs(given.unwrap_or(default)).max(SHORTEST))
        };
        let tls = match check.get("protocol") {
            None => false,
            Some(protocol) => match protocol.text()? {
                "HTTP" => false,
                "HTTPS" => true,
                _ => return Err(protocol.wrong("HTTP or HTTPS")),
            },
        };
        let statuses = match check.get("httpStatusCodesForReady") {
            None => vec![200],
            Some(codes) => {
                let code = |code: JsonNode<'_>| code.whole(999)?.try_into().map_err(|_| code.wrong("a status"));
                codes.items("a list of statuses")?.map(code).collect::<Result<_, _>>()?
            }
        };
        let (path, statuses) = (read_path(check)?, Statuses::OneOf(statuses));
        Ok(Self {
            probe: Probe::Http { tls, path, port, ignore_1xx: false, statuses },
            interval: seconds("intervalSeconds", 30)?,
            timeout: seconds("timeoutSeconds", 10)?,
        })
    }

    /// Returns the check as the details of a task have it.
    pub(crate) fn json(&self) -> Json {
        let mut json = json!({"intervalSeconds": self.interval.as_secs(), "timeoutSeconds": self.timeout.as_secs()});
        if let Probe::Http { tls, path, port: PortRef::Index(index), statuses: Statuses::OneOf(codes), .. } =
            &self.probe
        {
            json["protocol"] = json!(if *tls { "HTTPS" } else { "HTTP" });
            json["path"] = json!(path);
            json["portIndex"] = json!(index);
            json["httpStatusCodesForReady"] = json!(codes);
        }
        json
    }
}

/// Returns the index of the port that a check names.
fn port_index(check: JsonNode<'_>, ports: &[PortRequest]) -> Result<usize, ReadError> {
    const DEFAULT: &str = "http-api";
    check.object()?;
    let given = check.get("portName");
    let name = given.map(|name| name.text()).transpose()?.unwrap_or(DEFAULT);
    let found = ports.iter().position(|port| port.name.as_deref() == Some(name));
    let names = || {
        let names: Vec<&str> = ports.iter().filter_map(|port| port.name.as_deref()).collect();
        if names.is_empty() { "a port with that name".to_owned() } else { format!("one of {}", names.join(", ")) }
    };
    found.ok_or_else(|| {
        given.map_or_else(|| check.wrong(format!("a port named {DEFAULT}")), |given| given.wrong(names()))
    })
}

/// Returns the status update that reports that a running task has passed a readiness check. `check` is the index of the
/// check in its app.
pub fn ready_status(task: &TaskId, check: usize) -> TaskStatus {
    let mut status = TaskStatus::new(task.clone(), TaskState::Running).message("ready");
    let labels = json!({"labels": [{"key": LABEL, "value": check.to_string()}]});
    status.details.insert("labels", labels);
    status
}

/// Returns the index of the readiness check that a task has passed, if that is what a status update reports.
pub(crate) fn passed(status: &TaskStatus) -> Option<usize> {
    label(status, LABEL)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(checks: Json) -> Result<Vec<ReadinessCheck>, String> {
        let app =
            json!({"id": "a", "portDefinitions": [{"name": "admin"}, {"name": "http-api"}], "readinessChecks": checks});
        let node = JsonNode::root(&app);
        ReadinessCheck::read_all(node, &App::from_json(&app).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_written_is_as_marathon_has_it_and_tasks_carry_it() {
        let checks = read(json!([{}, {"protocol": "HTTPS", "path": "ready", "portName": "admin", "intervalSeconds": 0,
            "timeoutSeconds": 3, "httpStatusCodesForReady": [200, 503]}]));
        let checks = checks.unwrap();
        let http = |tls, path: &str, index, codes: &[u16]| Probe::Http {
            tls,
            path: path.to_owned(),
            port: PortRef::Index(index),
            ignore_1xx: false,
            statuses: Statuses::OneOf(codes.to_vec()),
        };
        assert_eq!(checks[0].probe, http(false, "/", 1, &[200]));
        assert_eq!((checks[0].interval.as_secs(), checks[0].timeout.as_secs()), (30, 10));
        assert_eq!(checks[1].probe, http(true, "/ready", 0, &[200, 503]));
        assert_eq!((checks[1].interval.as_secs(), checks[1].timeout.as_secs()), (1, 3));
        let details = json!({"readinessChecks": checks.iter().map(ReadinessCheck::json).collect::<Vec<_>>()});
        assert_eq!(ReadinessCheck::of_task(JsonNode::root(&details)), Ok(checks));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_path() {
        for (checks, message) in [
            (
                json!([{"portName": "web"}]),
                "readinessChecks[0].portName: found \"web\", expected one of admin, http-api",
            ),
            (json!([{"protocol": "TCP"}]), "readinessChecks[0].protocol: found \"TCP\", expected HTTP or HTTPS"),
            (json!([{"httpStatusCodesForReady": ["x"]}]), "readinessChecks[0].httpStatusCodesForReady[0]: found \"x\""),
            (json!({}), "readinessChecks: found {}, expected a list of readiness checks"),
        ] {
            let error = read(checks).unwrap_err();
            assert!(error.starts_with(message), "{error}");
        }
        let none = json!({"id": "a", "ports": [0], "readinessChecks": [{}]});
        let error = ReadinessCheck::read_all(JsonNode::root(&none), &App::from_json(&none).unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "readinessChecks[0]: found {}, expected a port named http-api");
    }
}
