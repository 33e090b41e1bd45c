//! [`Work`]: what a task says about how it is run, checked and killed.

use super::checks::{CheckKind, Probe};
use crate::machine::FetchUri;
use apportion::{Details, Json, JsonRef, Task};
use std::time::Duration;

/// The grace period of a kill when neither the call nor the task has one (Mesos' `DEFAULT_KILL_POLICY`).
pub const DEFAULT_GRACE: Duration = Duration::from_secs(3);

/// What a task says about how it is run, checked and killed: the fields of Mesos' `TaskInfo` that an executor reads.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Work {
    /// The program to start; `None` when a container's image has its own.
    pub command: Option<CommandLine>,
    /// The user to run as, if the task names one.
    pub user: Option<String>,
    /// Variables to set, above those of the executor.
    pub environment: Vec<(String, String)>,
    /// The files that are fetched into the sandbox before the start.
    pub uris: Vec<FetchUri>,
    /// Mesos' `ContainerInfo`, uninterpreted.
    pub container: Option<Json>,
    /// The time from SIGTERM to SIGKILL when a kill does not say it.
    pub grace: Duration,
    /// The longest time that the task may run.
    pub max_completion: Option<Duration>,
    /// The checks of the task.
    pub probes: Vec<Probe>,
}

/// A program with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "what starts programs has to handle all of them")]
pub enum CommandLine {
    /// A line for `/bin/sh -c`.
    Shell(String),
    /// A program that is looked up in `PATH`, and its arguments, of which the first is its own name.
    Program {
        /// The program.
        value: String,
        /// Its arguments, the first of which is `argv[0]`.
        arguments: Vec<String>,
    },
}

/// The reason why a task cannot be run as it is described.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkError {
    /// There is nothing to start.
    #[error("the task has neither a command nor a container image")]
    NoCommand,
    /// A command lacks its value.
    #[error("{0} has no value: expected a shell command or a program")]
    NoValue(&'static str),
    /// A variable is of a kind that is not supported.
    #[error("the variable {0} of the command's environment has no value; secrets are not supported")]
    NoVariable(String),
    /// A check lacks what it is to do.
    #[error("{0}: expected a type COMMAND, HTTP or TCP, and the field of that name")]
    Check(&'static str),
    /// A port is none.
    #[error("{what}: the port is {found}, expected a number from 1 to 65535")]
    Port {
        /// The check.
        what: &'static str,
        /// What was found.
        found: String,
    },
}

impl Work {
    /// Reads what a task says.
    ///
    /// # Errors
    ///
    /// [`WorkError`] when there is nothing to start, or a check cannot be made.
    pub fn of(task: &Task) -> Result<Self, WorkError> {
        let details = &task.details;
        let container = present(details, "container").cloned();
        let has_image = container.as_ref().is_some_and(|container| container.get("docker").is_some());
        let command = present(details, "command").map(Json::view);
        let line = match command.map(|command| CommandLine::of(command, "the command")) {
            Some(Ok(line)) => Some(line),
            Some(Err(_)) | None if has_image => None,
            Some(Err(error)) => return Err(error),
            None => return Err(WorkError::NoCommand),
        };
        let mut probes = Vec::new();
        for kind in [CheckKind::Health, CheckKind::Check] {
            if let Some(check) = present(details, kind.field()) {
                probes.push(Probe::of(check.view(), kind)?);
            }
        }
        let user = command.and_then(|command| text(command, "user")).filter(|user| !user.is_empty());
        Ok(Self {
            command: line,
            user,
            environment: command.map(variables).transpose()?.unwrap_or_default(),
            uris: FetchUri::all(present(details, "command")),
            container,
            grace: nanoseconds(details.get("kill_policy").and_then(|policy| policy.get("grace_period")))
                .unwrap_or(DEFAULT_GRACE),
            max_completion: nanoseconds(details.get("max_completion_time").map(Json::view)),
            probes,
        })
    }
}

impl CommandLine {
    /// Reads Mesos' `CommandInfo`.
    pub(super) fn of(command: JsonRef<'_>, what: &'static str) -> Result<Self, WorkError> {
        let value = text(command, "value").filter(|value| !value.is_empty()).ok_or(WorkError::NoValue(what))?;
        if command.get("shell").and_then(JsonRef::as_bool).unwrap_or(true) {
            return Ok(Self::Shell(value));
        }
        let arguments = command.get("arguments").into_iter().flat_map(JsonRef::elements);
        let mut arguments: Vec<String> =
            arguments.filter_map(|argument| Some(argument.as_str()?.into_owned())).collect();
        if arguments.is_empty() {
            arguments.push(value.clone()); // a program without even its name is more than most can stand
        }
        Ok(Self::Program { value, arguments })
    }

    /// Returns the program and its arguments without `argv[0]`, as [`std::process::Command`] wants them.
    #[must_use]
    pub fn program(&self) -> (&str, Vec<&str>) {
        match self {
            Self::Shell(line) => ("/bin/sh", vec!["-c", line]),
            Self::Program { value, arguments } => (value, arguments.iter().skip(1).map(String::as_str).collect()),
        }
    }
}

/// Returns the variables of a command's environment.
pub(super) fn variables(command: JsonRef<'_>) -> Result<Vec<(String, String)>, WorkError> {
    let variables = command.get("environment").and_then(|environment| environment.get("variables"));
    let variables = variables.into_iter().flat_map(JsonRef::elements);
    let read = |variable: JsonRef<'_>| {
        let name = text(variable, "name").unwrap_or_default();
        let value = text(variable, "value").ok_or_else(|| WorkError::NoVariable(name.clone()))?;
        Ok((name, value))
    };
    variables.map(read).collect()
}

/// Returns a detail that is there and not null.
fn present<'a>(details: &'a Details, name: &str) -> Option<&'a Json> {
    details.get(name).filter(|json| !json.is_null())
}

/// Returns a text field.
pub(super) fn text(json: JsonRef<'_>, name: &str) -> Option<String> {
    json.get(name)?.as_str().map(std::borrow::Cow::into_owned)
}

/// Reads Mesos' `DurationInfo`; a negative one is zero.
fn nanoseconds(json: Option<JsonRef<'_>>) -> Option<Duration> {
    let nanoseconds = json?.get("nanoseconds")?;
    let nanoseconds = nanoseconds.as_i64().or_else(|| nanoseconds.as_str()?.parse().ok())?; // Mesos reads both
    Some(Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::super::checks::ProbeKind;
    use super::*;
    use serde_json::json;

    fn task(fields: &serde_json::Value) -> Task {
        let fields = fields.as_object().unwrap().iter();
        let empty = Task::new("t", "cpus:1".parse().unwrap());
        fields.fold(empty, |task, (name, value)| task.detail(name.as_str(), value.clone()))
    }

    #[test]
    fn a_command_is_a_line_for_the_shell_unless_it_says_no() {
        let line = |command| Work::of(&task(&json!({ "command": command }))).map(|work| work.command.unwrap());
        assert_eq!(line(json!({"value": "echo $A"})), Ok(CommandLine::Shell("echo $A".into())));
        assert_eq!(
            line(json!({"value": "true", "shell": true, "arguments": ["x"]})).unwrap().program().1,
            ["-c", "true"]
        );
        let program = line(json!({"value": "sleep", "shell": false, "arguments": ["sleep", "5"]})).unwrap();
        assert_eq!(program.program(), ("sleep", vec!["5"]));
        let alone = line(json!({"value": "ls", "shell": false})).unwrap();
        assert_eq!(alone, CommandLine::Program { value: "ls".into(), arguments: vec!["ls".into()] });
        assert_eq!(line(json!({"shell": false})), Err(WorkError::NoValue("the command")));
        assert_eq!(Work::of(&task(&json!({}))), Err(WorkError::NoCommand));
        let image = json!({"container": {"type": "DOCKER", "docker": {"image": "i"}}, "command": {"shell": false}});
        assert_eq!(Work::of(&task(&image)).unwrap().command, None, "the image has its own");
    }

    #[test]
    fn times_users_and_variables_are_read() {
        let work = Work::of(&task(&json!({
            "command": {"value": "x", "user": "u", "uris": [{"value": "file:///a"}],
                "environment": {"variables": [{"name": "A", "value": ""}, {"name": "B", "value": "2"}]}},
            "kill_policy": {"grace_period": {"nanoseconds": 1_500_000_000}},
            "max_completion_time": {"nanoseconds": "2000000000"},
        })))
        .unwrap();
        assert_eq!(work.environment, [("A".into(), String::new()), ("B".into(), "2".into())]);
        assert_eq!((work.user.as_deref(), work.uris.len()), (Some("u"), 1));
        assert_eq!((work.grace, work.max_completion), (Duration::from_millis(1500), Some(Duration::from_secs(2))));
        let plain = Work::of(&task(&json!({"command": {"value": "x"}}))).unwrap();
        assert_eq!((plain.grace, plain.max_completion, plain.user), (DEFAULT_GRACE, None, None));
        let secret =
            json!({"command": {"value": "x", "environment": {"variables": [{"name": "S", "type": "SECRET"}]}}});
        assert_eq!(Work::of(&task(&secret)), Err(WorkError::NoVariable("S".into())));
    }

    #[test]
    fn a_check_that_cannot_be_made_is_an_error() {
        let of =
            |check| Work::of(&task(&json!({"command": {"value": "x"}, "health_check": check}))).map(|work| work.probes);
        let probes = of(json!({"type": "TCP", "tcp": {"port": 80}})).unwrap();
        assert_eq!(probes[0].what, ProbeKind::Tcp { port: 80 });
        assert_eq!(of(json!({"type": "HTTP"})), Err(WorkError::Check("health_check")));
        let port = Err(WorkError::Port { what: "health_check", found: "99999".into() });
        assert_eq!(of(json!({"http": {"port": 99999}})), port);
    }
}
