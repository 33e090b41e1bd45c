//! [`Program`]: what the tasks of an app run, and [`Order`]: what the executor of one of them is told of it.
//!
//! Keys and variables are those of Marathon's class `AppDefinition` and of its page *Task Environment Variables*.

use crate::health::HealthCheck;
use apportion::Task;
use apportion::placement::{App, JsonNode, Launch, ReadError};
use indexmap::IndexMap;
use serde_json::{Value as Json, json};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How long a task that is to end may take, unless the app says otherwise (Mesos' `KillPolicy`).
const GRACE: Duration = Duration::from_secs(3);

/// What the tasks of an app run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    /// A shell command, `cmd`.
    shell: Option<String>,
    /// A program and its arguments, `args`.
    args: Vec<String>,
    env: IndexMap<String, String>,
    /// How long a task may take to end before it is killed.
    grace: Duration,
}

impl Program {
    /// Reads what an app runs, whose image is looked at by nobody.
    pub(crate) fn read(app: JsonNode<'_>) -> Result<Self, ReadError> {
        let shell = app.get("cmd").map(|cmd| Ok::<_, ReadError>(c_text(cmd)?.to_owned())).transpose()?;
        let mut args = Vec::new();
        if let Some(given) = app.get("args") {
            if shell.is_some() {
                return Err(given.wrong("nothing beside a cmd"));
            }
            for arg in given.items("a list of texts")? {
                args.push(c_text(arg)?.to_owned());
            }
        }
        let mut env = IndexMap::new();
        if let Some(given) = app.get("env") {
            for (name, value) in given.members()? {
                if name.is_empty() || name.contains(['=', '\0']) {
                    return Err(given.wrong("names without = in them"));
                }
                let text = match value.json() {
                    Json::Number(_) | Json::Bool(_) => value.json().to_string(),
                    Json::Null => continue,
                    Json::String(_) | Json::Array(_) | Json::Object(_) => c_text(value)?.to_owned(),
                };
                env.insert(name.to_owned(), text);
            }
        }
        let grace = match app.get("taskKillGracePeriodSeconds") {
            None => GRACE,
            Some(given) => Duration::from_secs(given.whole(86_400)?),
        };
        Ok(Self { shell, args, env, grace })
    }

    /// Whether there is nothing to run: what runs is in an image.
    pub(crate) fn is_empty(&self) -> bool {
        self.shell.is_none() && self.args.is_empty()
    }

    /// The task of a launch, with what its executor is told: as Mesos has it, and its health checks and ports.
    pub(crate) fn task(&self, launch: &Launch, app: &App, version: &str, checks: &Json) -> Task {
        let mut variables: IndexMap<String, String> = metadata(app, version).collect();
        variables.insert("MESOS_TASK_ID".to_owned(), launch.id.to_string());
        variables.extend(launch.env());
        variables.extend(self.env.iter().map(|(name, value)| (name.clone(), value.clone())));
        let variables = variables.into_iter().map(|(name, value)| json!({"name": name, "value": value}));
        let mut command = json!({"shell": self.shell.is_some(), "environment": {"variables": variables.collect::<Vec<_>>()}});
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
            .detail("healthChecks", checks.clone())
            .detail("ports", json!(launch.ports))
    }
}

/// A text as programs take it.
fn c_text(node: JsonNode<'_>) -> Result<&'_ str, ReadError> {
    let text = node.json().as_str().filter(|text| !text.contains('\0'));
    text.ok_or_else(|| node.wrong("a text"))
}

/// What a task is told of its app (`TaskBuilder.taskContextEnv`).
fn metadata(app: &App, version: &str) -> impl Iterator<Item = (String, String)> {
    const LONGEST: usize = 512;
    let escaped = |name: &str| {
        let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' };
        name.chars().map(plain).collect::<String>()
    };
    let named = app.labels.iter().filter(|(name, value)| name.len() < LONGEST && value.len() < LONGEST);
    let labels: Vec<(String, String)> = named.map(|(name, value)| (escaped(name), value.to_string())).collect();
    let names: Vec<&str> = labels.iter().map(|(name, _)| name.as_str()).collect();
    let of_app = [
        ("MARATHON_APP_ID", app.id.to_string()),
        ("MARATHON_APP_VERSION", version.to_owned()),
        ("MARATHON_APP_RESOURCE_CPUS", app.cpus.to_string()),
        ("MARATHON_APP_RESOURCE_MEM", app.mem.to_string()),
        ("MARATHON_APP_RESOURCE_DISK", app.disk.to_string()),
        ("MARATHON_APP_RESOURCE_GPUS", app.gpus.to_string()),
        ("MARATHON_APP_LABELS", names.join(" ")),
    ];
    let image = app.image.iter().map(|image| ("MARATHON_APP_DOCKER_IMAGE".to_owned(), image.to_string()));
    let of_app: Vec<_> = of_app.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(image).collect();
    of_app.into_iter().chain(labels.into_iter().map(|(name, value)| (format!("MARATHON_APP_LABEL_{name}"), value)))
}

/// What an executor is told of the one task that it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    /// The program and its arguments.
    argv: Vec<String>,
    env: IndexMap<String, String>,
    pub(crate) grace: Duration,
    pub(crate) checks: Vec<HealthCheck>,
    pub(crate) ports: Vec<Option<u64>>,
}

impl Order {
    /// Reads what a task brings; a text says what is missing.
    pub(crate) fn of(task: &Task) -> Result<Self, String> {
        let whole = Json::Object(task.details.clone());
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
        let variable = |variable: &Json| Some((variable["name"].as_str()?.to_owned(), variable["value"].as_str()?.to_owned()));
        let nanoseconds = whole["kill_policy"]["grace_period"]["nanoseconds"].as_u64();
        let ports: Vec<_> = whole["ports"].as_array().into_iter().flatten().map(Json::as_u64).collect();
        let checks = HealthCheck::read_all(JsonNode::root(&whole), ports.len()).map_err(|error| error.to_string())?;
        Ok(Self {
            argv,
            env: variables.into_iter().flatten().filter_map(variable).collect(),
            grace: nanoseconds.map_or(GRACE, Duration::from_nanos),
            checks,
            ports,
        })
    }

    /// The command of its task, in that sandbox.
    pub(crate) fn command(&self, sandbox: &Path) -> Command {
        self.prepared(self.argv.iter().map(String::as_str), sandbox)
    }

    /// A shell command where its task runs.
    pub(crate) fn shell(&self, script: &str, sandbox: &Path) -> Command {
        self.prepared(["sh", "-c", script].into_iter(), sandbox)
    }

    fn prepared<'a>(&self, mut argv: impl Iterator<Item = &'a str>, sandbox: &Path) -> Command {
        let mut command = Command::new(argv.next().unwrap_or_default());
        command.args(argv).current_dir(sandbox).env("MESOS_SANDBOX", sandbox).envs(&self.env);
        command
    }
}
