//! [`Program`]: the command of an app; [`TaskCommand`]: the same for one task, as its executor reads it.
//!
//! Tasks run without a container: the limits of an app are ignored, its image is only a variable, and a task
//! listens on `$PORT0`, not on a port of a container. Keys and variables are those of Marathon's class `AppDefinition` and of
//! its page *Task Environment Variables*.

use crate::health::HealthCheck;
use crate::readiness::ReadinessCheck;
use apportion::placement::{App, JsonNode, Launch, ReadError};
use apportion::{Scalar, Task};
use indexmap::IndexMap;
use serde_json::{Value as Json, json};
use std::time::Duration;

/// The time from SIGTERM to SIGKILL, unless the app has its own (Mesos' `KillPolicy`).
const DEFAULT_GRACE: Duration = Duration::from_secs(3);

/// Amounts of cpus, mem, disk and gpus.
pub(crate) type Amounts = [Scalar; 4];

/// The command of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    /// A shell command, `cmd`.
    shell: Option<String>,
    /// A program and its arguments, `args`.
    args: Vec<String>,
    env: IndexMap<String, String>,
    /// The name of a variable whose value is a secret.
    secret: Option<String>,
    /// `taskKillGracePeriodSeconds`: the time from SIGTERM to SIGKILL.
    grace: Duration,
}

impl Program {
    /// Reads `cmd`, `args`, `env` and `taskKillGracePeriodSeconds` of an app.
    pub(crate) fn read(app: JsonNode<'_>) -> Result<Self, ReadError> {
        let shell = app.get("cmd").map(|cmd| Ok::<_, ReadError>(c_string(cmd)?.to_owned())).transpose()?;
        let shell = shell.filter(|shell| !shell.is_empty());
        let mut args = Vec::new();
        if let Some(given) = app.get("args") {
            for arg in given.items("a list of texts")? {
                args.push(c_string(arg)?.to_owned());
            }
            if shell.is_some() && !args.is_empty() {
                return Err(given.wrong("nothing beside a cmd"));
            }
        }
        let (mut env, mut secret) = (IndexMap::new(), None);
        if let Some(given) = app.get("env") {
            for (name, value) in given.members()? {
                if name.is_empty() || name.contains(['=', '\0']) {
                    return Err(given.wrong("names without = in them"));
                }
                let text = match value.json() {
                    Json::Number(_) | Json::Bool(_) => value.json().to_string(),
                    Json::Null => continue,
                    Json::Object(object) if object.contains_key("secret") => {
                        secret.get_or_insert_with(|| name.to_owned());
                        continue;
                    }
                    Json::String(_) | Json::Array(_) | Json::Object(_) => c_string(value)?.to_owned(),
                };
                env.insert(name.to_owned(), text);
            }
        }
        let grace = match app.get("taskKillGracePeriodSeconds") {
            None => DEFAULT_GRACE,
            Some(given) => Duration::from_secs(given.whole(86_400)?),
        };
        Ok(Self { shell, args, env, secret, grace })
    }

    /// Returns whether there is no command, because the image has it.
    pub(crate) fn is_empty(&self) -> bool {
        self.shell.is_none() && self.args.is_empty()
    }

    /// Returns whether there are only arguments, which an image gives to its entrypoint.
    pub(crate) fn is_args(&self) -> bool {
        self.shell.is_none() && !self.args.is_empty()
    }

    /// Returns the name of a variable that is a secret, if there is one.
    pub(crate) fn secret(&self) -> Option<&str> {
        self.secret.as_deref()
    }

    /// Returns the task of a launch. Its details have the command and the kill policy in Mesos' form, and the ports; `amounts` are
    /// those that the app asks for itself.
    pub(crate) fn task(&self, launch: &Launch, app: &App, amounts: Amounts, version: &str) -> Task {
        let mut variables = metadata(app, amounts, version);
        variables.insert("MESOS_TASK_ID".to_owned(), launch.id.to_string());
        variables.extend(launch.env());
        variables.extend(self.env.iter().map(|(name, value)| (name.clone(), value.clone())));
        let variables = variables.into_iter().map(|(name, value)| json!({"name": name, "value": value}));
        let mut command =
            json!({"shell": self.shell.is_some(), "environment": {"variables": variables.collect::<Vec<_>>()}});
        match &self.shell {
            Some(shell) => command["value"] = json!(shell),
            None => {
                command["value"] = json!(self.args.first());
                command["arguments"] = json!(self.args);
            }
        }
        let nanoseconds = u64::try_from(self.grace.as_nanos()).unwrap_or(u64::MAX);
        launch
            .task()
            .detail("command", command)
            .detail("kill_policy", json!({"grace_period": {"nanoseconds": nanoseconds}}))
            .detail("ports", json!(launch.ports))
    }
}

/// Reads a text without a NUL, which no process could take.
fn c_string(node: JsonNode<'_>) -> Result<&'_ str, ReadError> {
    let text = node.json().as_str().filter(|text| !text.contains('\0'));
    text.ok_or_else(|| node.wrong("a text"))
}

/// Returns the variables about the app in the environment of a task (`TaskBuilder.taskContextEnv`).
fn metadata(app: &App, [cpus, mem, disk, gpus]: Amounts, version: &str) -> IndexMap<String, String> {
    let mut variables = IndexMap::new();
    let mut add = |name: &str, value: String| drop(variables.insert(format!("MARATHON_APP_{name}"), value));
    add("ID", app.id.to_string());
    add("VERSION", version.to_owned());
    if let Some(image) = &app.image {
        add("DOCKER_IMAGE", image.to_string());
    }
    let amounts = [("CPUS", cpus), ("MEM", mem), ("DISK", disk), ("GPUS", gpus)];
    for (name, amount) in amounts {
        add(&format!("RESOURCE_{name}"), amount.to_string());
    }
    const MAX_LABEL_LEN: usize = 512; // longer names and values are left out
    let labels = app.labels.iter().filter(|(name, value)| name.len() < MAX_LABEL_LEN && value.len() < MAX_LABEL_LEN);
    let mut names = Vec::new();
    for (name, value) in labels {
        let name = variable(name);
        add(&format!("LABEL_{name}"), value.to_string());
        names.push(name);
    }
    add("LABELS", names.join(" "));
    variables
}

/// Returns the name of a label in the environment: each run of other characters than letters, digits and `_` becomes one `_`.
fn variable(label: &str) -> String {
    let mut name = String::new();
    for letter in label.chars() {
        let is_plain = letter.is_ascii_alphanumeric() || letter == '_';
        if is_plain || !name.ends_with('\u{0}') {
            name.push(if is_plain { letter.to_ascii_uppercase() } else { '\u{0}' });
        }
    }
    name.replace('\u{0}', "_")
}

/// A persistent volume of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskVolume {
    /// Its path in the working directory of the task (`containerPath`).
    pub path: String,
    /// The name of what outlives the task: tasks with the same name have the same volume.
    pub name: String,
}

/// The command of one task: argument vector, environment, health checks, ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskCommand {
    /// The program, followed by its arguments.
    argv: Vec<String>,
    env: IndexMap<String, String>,
    /// The time from SIGTERM to SIGKILL.
    pub grace: Duration,
    /// The health checks that the executor has to make.
    pub health_checks: Vec<HealthCheck>,
    /// The readiness checks that the executor has to make, each until it passes.
    pub readiness_checks: Vec<ReadinessCheck>,
    /// The volumes of the task.
    pub volumes: Vec<TaskVolume>,
    /// The host ports of the task, in the order of the app's ports; `None` where a port is not on the host.
    pub ports: Vec<Option<u64>>,
}

impl TaskCommand {
    /// Reads the details of a task.
    ///
    /// # Errors
    ///
    /// A message, if the task has no command or a wrong health check.
    pub fn from_task(task: &Task) -> Result<Self, String> {
        let whole = Json::Object(task.details.clone().into());
        let texts = |list: &Json| -> Vec<String> {
            list.as_array().into_iter().flatten().filter_map(Json::as_str).map(str::to_owned).collect()
        };
        let command = &whole["command"];
        let value = command["value"].as_str();
        let argv = match value {
            Some(value) if command["shell"] != false => ["sh", "-c", value].map(str::to_owned).into(),
            Some(_) => texts(&command["arguments"]),
            None => Vec::new(),
        };
        if argv.is_empty() {
            return Err("the task brings no command".to_owned());
        }
        let variables = command["environment"]["variables"].as_array();
        let variable =
            |variable: &Json| Some((variable["name"].as_str()?.to_owned(), variable["value"].as_str()?.to_owned()));
        let nanoseconds = whole["kill_policy"]["grace_period"]["nanoseconds"].as_u64();
        let ports: Vec<_> = whole["ports"].as_array().into_iter().flatten().map(Json::as_u64).collect();
        let health_checks =
            HealthCheck::read_all(JsonNode::root(&whole), ports.len()).map_err(|error| error.to_string())?;
        let readiness_checks = ReadinessCheck::of_task(JsonNode::root(&whole)).map_err(|error| error.to_string())?;
        let volume = |volume: &Json| {
            let text = |key: &str| volume[key].as_str().map(str::to_owned);
            Some(TaskVolume { path: text("containerPath")?, name: text("name")? })
        };
        Ok(Self {
            argv,
            env: variables.into_iter().flatten().filter_map(variable).collect(),
            grace: nanoseconds.map_or(DEFAULT_GRACE, Duration::from_nanos),
            health_checks,
            readiness_checks,
            volumes: whole["volumes"].as_array().into_iter().flatten().filter_map(volume).collect(),
            ports,
        })
    }

    /// Returns the program, followed by its arguments.
    pub fn argv(&self) -> &[String] {
        &self.argv
    }

    /// Returns the variables of its environment.
    pub fn env(&self) -> &IndexMap<String, String> {
        &self.env
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apportion::placement::Planner;
    use apportion::{Offer, Role};

    fn read(app: Json) -> Result<Program, String> {
        Program::read(JsonNode::root(&app)).map_err(|error| error.to_string())
    }

    /// The order for the first task of an app.
    fn command(json: &Json) -> TaskCommand {
        let app = App::from_json(json).unwrap();
        let all = "cpus:4;mem:1024;ports:[31000-31999]".parse().unwrap();
        let offer = Offer::new("o1", "f1", Role::default(), "a1", all);
        let plan = Planner::new().plan([&app], &[], &[offer]);
        let program = Program::read(JsonNode::root(json)).unwrap();
        let amounts = [app.cpus, app.mem, app.disk, app.gpus];
        let task = program.task(&plan.launches[0], &app, amounts, "2015-04-02T09:37:00.596Z");
        let checks = json.get("healthChecks").cloned().unwrap_or_default();
        TaskCommand::from_task(&task.detail("healthChecks", checks)).unwrap()
    }

    #[test]
    fn a_task_is_told_what_marathon_tells() {
        let json = json!({"id": "shop/web", "cmd": "exec serve $PORT0", "cpus": 0.5, "ports": [80, 81],
            "container": {"docker": {"image": "nginx:1"}}, "labels": {"tier-1--a": "front", "HAPROXY_0_MODE": "http"},
            "env": {"N": 5, "PORT1": "mine", "X": null}, "healthChecks": [{"portIndex": 1}]});
        let command = command(&json);
        assert_eq!(command.argv, ["sh", "-c", "exec serve $PORT0"]);
        let mut env: Vec<String> = command.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        env.sort_unstable();
        let expected = [
            "HOST=a1",
            "MARATHON_APP_DOCKER_IMAGE=nginx:1",
            "MARATHON_APP_ID=/shop/web",
            "MARATHON_APP_LABELS=HAPROXY_0_MODE TIER_1_A",
            "MARATHON_APP_LABEL_HAPROXY_0_MODE=http",
            "MARATHON_APP_LABEL_TIER_1_A=front",
            "MARATHON_APP_RESOURCE_CPUS=0.5",
            "MARATHON_APP_RESOURCE_DISK=0",
            "MARATHON_APP_RESOURCE_GPUS=0",
            "MARATHON_APP_RESOURCE_MEM=128",
            "MARATHON_APP_VERSION=2015-04-02T09:37:00.596Z",
            "MESOS_TASK_ID=shop_web.1",
            "N=5",
            "PORT0=31000",
            "PORT1=mine",
            "PORT=31000",
            "PORTS=31000,31001",
            "PORT_80=31000",
            "PORT_81=31001",
        ];
        assert_eq!(env, expected);
        assert_eq!((command.grace, command.health_checks.len()), (Duration::from_secs(3), 1));
        assert_eq!(command.ports, [Some(31_000), Some(31_001)]);
    }

    #[test]
    fn arguments_are_run_without_a_shell() {
        let command = command(&json!({"id": "a", "args": ["printf", "%s", "$HOME"], "taskKillGracePeriodSeconds": 0}));
        assert_eq!(command.argv, ["printf", "%s", "$HOME"]);
        assert_eq!(command.grace, Duration::ZERO);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_path() {
        let cases = [
            (json!({"cmd": 1}), "cmd: found 1, expected a text"),
            (json!({"cmd": "a", "args": ["b"]}), "args: found [\"b\"], expected nothing beside a cmd"),
            (json!({"args": ["b", 1]}), "args[1]: found 1, expected a text"),
            (json!({"env": {"A": ["s"]}}), "env.A: found [\"s\"], expected a text"),
            (json!({"env": {"A=B": "c"}}), "env: found {\"A=B\":\"c\"}, expected names without = in them"),
            (
                json!({"taskKillGracePeriodSeconds": -1}),
                "taskKillGracePeriodSeconds: found -1, expected a whole number",
            ),
        ];
        for (app, message) in cases {
            let error = read(app).unwrap_err();
            assert!(error.starts_with(message), "{error}");
        }
        assert!(read(json!({"cmd": null, "args": []})).unwrap().is_empty());
        assert!(read(json!({"cmd": ""})).unwrap().is_empty());
        assert!(!read(json!({"cmd": "true", "args": []})).unwrap().is_empty());
        let secret = read(json!({"cmd": "true", "env": {"A": "b", "C": {"secret": "s"}}})).unwrap();
        assert_eq!((secret.is_empty(), secret.secret()), (false, Some("C")));
        assert_eq!(
            TaskCommand::from_task(&Task::new("t", "cpus:1".parse().unwrap())),
            Err("the task brings no command".to_owned())
        );
    }
}
