//! What an agent makes of a description: which executor runs a task, in what, with which program, environment and user.

use super::effect::{FetchUri, Launch, Program};
use super::hosted::HostedExecutor;
use super::record::{ExecutorKind, Run};
use super::settings::{Containerizer, Settings};
use crate::volumes::Volume;
use apportion::{AgentId, ExecutorId, ExecutorInfo, Framework, Json, JsonRef, Task, Text};
use indexmap::IndexMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The resources of an executor that the agent makes for a command, beside those of the task (Mesos,
/// `DEFAULT_EXECUTOR_CPUS` and `_MEM`).
const COMMAND_EXECUTOR_RESOURCES: &str = "cpus:0.1;mem:32";

/// The longest command that is shown whole in the name of its executor, and what is shown of longer ones.
const MAX_COMMAND: usize = 15;
const SHOWN_COMMAND: usize = 12;

/// The sandbox as Docker containers see it.
const MAPPED_SANDBOX: &str = "/mnt/mesos/sandbox";

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// An executor for a task.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Description {
    pub(super) kind: ExecutorKind,
    pub(super) info: ExecutorInfo,
    /// What contains it, or why nothing does.
    pub(super) containerizer: Result<Containerizer, String>,
}

/// Describes the executor for a task, which names `custom`, or for a group of tasks.
pub(super) fn describe(
    task: &Task,
    custom: Option<ExecutorInfo>,
    is_group: bool,
    enabled: &[Containerizer],
) -> Description {
    let Some(info) = custom else {
        let kind = if is_docker(task.details.get("container")) { ExecutorKind::Docker } else { ExecutorKind::Command };
        let containerizer = choose(task.details.get("container"), enabled);
        return Description { kind, info: command_executor(task), containerizer };
    };
    let is_default = info.details.get("type").and_then(|kind| kind.as_str()).is_some_and(|kind| kind == "DEFAULT");
    let is_default = is_default || (is_group && !info.details.contains("command"));
    let kind = if is_default { ExecutorKind::Default } else { ExecutorKind::Custom };
    let containerizer = choose(info.details.get("container"), enabled);
    Description { kind, info, containerizer }
}

/// Returns the executor that the agent makes for a task without one: its id is that of the task (Mesos,
/// `Slave::getExecutorInfo`).
fn command_executor(task: &Task) -> ExecutorInfo {
    let command = task.details.get("command");
    let name = format!("Command Executor (Task: {}) (Command: {})", task.id, shown(command));
    let mut info = ExecutorInfo::new(ExecutorId::from(task.id.as_str())).detail("name", name);
    info = info.detail("source", task.id.as_str());
    for field in ["command", "container", "labels", "discovery"] {
        if let Some(value) = task.details.get(field) {
            info = info.detail(field, value.clone());
        }
    }
    info.resources = COMMAND_EXECUTOR_RESOURCES.parse().expect("these are resources");
    info.role.clone_from(&task.role);
    info
}

/// Returns a command as the name of its executor shows it.
fn shown(command: Option<&Json>) -> String {
    let short = |text: &str| {
        if text.chars().count() > MAX_COMMAND {
            let head: String = text.chars().take(SHOWN_COMMAND).collect();
            format!("{head}...")
        } else {
            text.to_owned()
        }
    };
    let value = command.and_then(|command| command.get("value")?.as_str().map(std::borrow::Cow::into_owned));
    match value {
        None => "NO EXECUTABLE".to_owned(),
        Some(value) if is_shell(command) => format!("sh -c '{}'", short(&value)),
        Some(value) => {
            let arguments: Vec<String> = texts(command.and_then(|command| command.get("arguments"))).collect();
            format!("[{}, {}]", value, short(&arguments.join(", ")))
        }
    }
}

fn is_shell(command: Option<&Json>) -> bool {
    command.and_then(|command| command.get("shell")?.as_bool()).unwrap_or(true)
}

fn texts(list: Option<JsonRef<'_>>) -> impl Iterator<Item = String> {
    list.into_iter().flat_map(JsonRef::elements).filter_map(|text| Some(text.as_str()?.into_owned()))
}

fn is_docker(container: Option<&Json>) -> bool {
    container.and_then(|container| container.get("type")?.as_str()).is_some_and(|kind| kind == "DOCKER")
}

/// Chooses what contains an executor with that `ContainerInfo`.
fn choose(container: Option<&Json>, enabled: &[Containerizer]) -> Result<Containerizer, String> {
    let has_image = container.and_then(|container| container.get("mesos")?.get("image")).is_some();
    let wanted = if is_docker(container) { Containerizer::Docker } else { Containerizer::Mesos };
    let names: Vec<&str> = enabled.iter().map(|containerizer| containerizer.as_str()).collect();
    let names = names.join(",");
    if wanted == Containerizer::Mesos && has_image {
        return Err(format!("None of the enabled containerizers ({names}) could create a container with an image"));
    }
    if enabled.contains(&wanted) {
        Ok(wanted)
    } else {
        Err(format!(
            "None of the enabled containerizers ({names}) could create a container for it: expected {}",
            wanted.as_str()
        ))
    }
}

/// Returns the sandbox of a run.
pub(super) fn sandbox(work_dir: &Path, agent: &AgentId, run: &Run) -> PathBuf {
    let parts = ["slaves", agent.as_str(), "frameworks", run.framework.as_str(), "executors", run.executor.as_str()];
    let executor = parts.iter().fold(work_dir.to_path_buf(), |path, part| path.join(part));
    executor.join("runs").join(run.container.as_str())
}

/// Returns the container that is to be launched for an executor.
pub(super) fn launch(settings: &Settings, framework: &Framework, executor: &HostedExecutor) -> Launch {
    let info = &executor.info;
    let command = info.details.get("command");
    let program =
        if executor.kind == ExecutorKind::Custom { program(command) } else { Program::BuiltIn(executor.kind) };
    let user = command.and_then(|command| command.get("user")?.as_str().map(Text::new));
    let user = user.or_else(|| framework.user.clone()).filter(|user| settings.switch_user && !user.is_empty());
    let resources = if executor.kind == ExecutorKind::Docker { info.resources.clone() } else { executor.resources() };
    let volumes = match executor.kind {
        ExecutorKind::Command | ExecutorKind::Custom => Volume::all(&resources, &settings.work_dir),
        ExecutorKind::Default | ExecutorKind::Docker => Volume::all(&info.resources, &settings.work_dir),
    };
    Launch {
        run: executor.run.clone(),
        containerizer: executor.containerizer,
        program,
        directory: executor.directory.clone(),
        uris: FetchUri::all(command),
        environment: environment(settings, executor),
        user,
        resources,
        volumes,
        container: info.details.get("container").cloned(),
        checkpoint: executor.checkpoint,
    }
}

fn program(command: Option<&Json>) -> Program {
    let value = command.and_then(|command| command.get("value")?.as_str().map(Text::new));
    match value {
        Some(value) if is_shell(command) => Program::Shell(value),
        file => {
            let arguments = texts(command.and_then(|command| command.get("arguments"))).map(Text::from).collect();
            Program::Program { file, arguments }
        }
    }
}

/// Returns the environment of an executor: that of the settings, then the agent's variables, then those of the framework. A task
/// that a built-in executor runs has its variables from that executor, in LAUNCH.
fn environment(settings: &Settings, executor: &HostedExecutor) -> Vec<(Text, Text)> {
    let mut variables: IndexMap<Text, Text> = settings.executor_environment.iter().cloned().collect();
    variables.entry("PATH".into()).or_insert_with(|| DEFAULT_PATH.into());
    let directory = executor.directory.to_string_lossy();
    let is_mapped = executor.kind == ExecutorKind::Custom && executor.containerizer == Containerizer::Docker;
    let own: [(&str, Text); 14] = [
        ("MESOS_FRAMEWORK_ID", executor.run.framework.as_str().into()),
        ("MESOS_EXECUTOR_ID", executor.run.executor.as_str().into()),
        ("MESOS_CONTAINER_ID", executor.run.container.as_str().into()),
        ("MESOS_AGENT_ENDPOINT", Text::from_display(settings.address)),
        ("MESOS_SLAVE_ID", settings.agent.id.as_str().into()),
        ("MESOS_SLAVE_PID", Text::from_display(format_args!("slave(1)@{}", settings.address))),
        ("MESOS_DIRECTORY", Text::new(&directory)),
        ("MESOS_SANDBOX", if is_mapped { MAPPED_SANDBOX.into() } else { Text::new(&directory) }),
        ("MESOS_CHECKPOINT", if executor.checkpoint { "1" } else { "0" }.into()),
        ("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", duration(settings.executor_shutdown_grace_period)),
        ("MESOS_RECOVERY_TIMEOUT", duration(settings.recovery_timeout)),
        ("MESOS_SUBSCRIPTION_BACKOFF_MAX", "2secs".into()),
        ("MESOS_HTTP_COMMAND_EXECUTOR", "1".into()),
        ("LIBPROCESS_PORT", "0".into()),
    ];
    variables.extend(own.map(|(name, value)| (name.into(), value)));
    if executor.kind == ExecutorKind::Custom {
        let command = executor.info.details.get("command");
        let list = command.and_then(|command| command.get("environment")?.get("variables"));
        variables.extend(list.into_iter().flat_map(JsonRef::elements).filter_map(|variable| {
            let value = variable.get("value").and_then(|value| value.as_str().map(Text::new)).unwrap_or_default();
            Some((Text::new(variable.get("name")?.as_str()?), value))
        }));
    }
    variables.into_iter().collect()
}

/// Returns a duration as Mesos writes it: in the largest unit of which it is a whole number.
pub(super) fn duration(span: Duration) -> Text {
    const UNITS: [(u128, &str); 8] = [
        (604_800_000_000_000, "weeks"),
        (86_400_000_000_000, "days"),
        (3_600_000_000_000, "hrs"),
        (60_000_000_000, "mins"),
        (1_000_000_000, "secs"),
        (1_000_000, "ms"),
        (1_000, "us"),
        (1, "ns"),
    ];
    let nanos = span.as_nanos();
    let is_whole = |(unit, _): &&(u128, &str)| nanos >= *unit && nanos.is_multiple_of(*unit);
    let (unit, name) = UNITS.iter().find(is_whole).unwrap_or(&(1, "ns"));
    Text::from_display(format_args!("{}{name}", nanos / unit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const BOTH: [Containerizer; 2] = [Containerizer::Docker, Containerizer::Mesos];

    fn task(command: serde_json::Value) -> Task {
        Task::new("t1", "cpus:1".parse().unwrap()).detail("command", command)
    }

    #[test]
    fn a_command_executor_is_named_by_task_and_command() {
        for (command, shown) in [
            (json!({"value": "sleep 10"}), "sh -c 'sleep 10'"),
            (json!({"value": "fifteen letters"}), "sh -c 'fifteen letters'"),
            (json!({"value": "sixteen letters!"}), "sh -c 'sixteen lett...'"),
            (json!({"shell": false, "value": "/bin/echo", "arguments": ["echo", "a"]}), "[/bin/echo, echo, a]"),
            (json!({"shell": false}), "NO EXECUTABLE"),
        ] {
            let Description { kind, info, containerizer } = describe(&task(command), None, false, &BOTH);
            let name = format!("Command Executor (Task: t1) (Command: {shown})");
            assert_eq!(info.details.get("name").unwrap(), name.as_str());
            assert_eq!(
                (kind, info.id.as_str(), containerizer),
                (ExecutorKind::Command, "t1", Ok(Containerizer::Mesos))
            );
            assert_eq!(info.resources, "cpus:0.1;mem:32".parse().unwrap());
        }
    }

    #[test]
    fn the_container_decides_on_kind_and_containerizer() {
        let docker = task(json!({"value": "true"})).detail("container", json!({"type": "DOCKER"}));
        let found = describe(&docker, None, false, &BOTH);
        assert_eq!((found.kind, found.containerizer), (ExecutorKind::Docker, Ok(Containerizer::Docker)));
        let error = describe(&docker, None, false, &[Containerizer::Mesos]).containerizer.unwrap_err();
        assert_eq!(
            error,
            "None of the enabled containerizers (mesos) could create a container for it: expected docker"
        );
        let image = json!({"type": "MESOS", "mesos": {"image": {"type": "DOCKER"}}});
        let error = describe(&docker.clone().detail("container", image), None, false, &BOTH).containerizer.unwrap_err();
        assert!(error.contains("(docker,mesos)"), "{error}");

        let custom = ExecutorInfo::new("e1").detail("command", json!({"value": "./run"}));
        assert_eq!(describe(&docker, Some(custom), false, &BOTH).kind, ExecutorKind::Custom);
        let default = ExecutorInfo::new("e1").detail("type", "DEFAULT");
        assert_eq!(describe(&docker, Some(default), true, &BOTH).kind, ExecutorKind::Default);
    }

    #[test]
    fn durations_are_written_in_their_largest_unit() {
        for (millis, text) in
            [(5_000, "5secs"), (900_000, "15mins"), (1_500, "1500ms"), (604_800_000, "1weeks"), (0, "0ns")]
        {
            assert_eq!(duration(Duration::from_millis(millis)).as_str(), text);
        }
    }

    #[test]
    fn the_environment_of_the_framework_is_above_that_of_the_agent_above_that_of_the_settings() {
        let mut settings = Settings::new(apportion::Agent::new("a1", "cpus:1".parse().unwrap()), "/work");
        settings.executor_environment = vec![("MESOS_CHECKPOINT".into(), "x".into()), ("LANG".into(), "C".into())];
        let run =
            Run { framework: "f1".into(), executor: "e1".into(), container: super::super::ContainerId::new("c1") };
        let directory = sandbox(&settings.work_dir, &settings.agent.id, &run);
        let variables =
            json!({"variables": [{"name": "LANG", "value": "de"}, {"name": "MESOS_SANDBOX", "value": "mine"}]});
        let info = ExecutorInfo::new("e1").detail("command", json!({"value": "./run", "environment": variables}));
        let executor = HostedExecutor::new(run, ExecutorKind::Custom, "web".parse().unwrap(), info, directory);
        let launch = launch(&settings, &Framework::new("f1"), &executor);
        let value = |name: &str| {
            let found: Vec<&Text> =
                launch.environment.iter().filter(|(n, _)| n == name).map(|(_, value)| value).collect();
            assert_eq!(found.len(), 1, "{name}");
            found[0].as_str()
        };
        assert_eq!([value("LANG"), value("MESOS_SANDBOX"), value("MESOS_CHECKPOINT")], ["de", "mine", "0"]);
        assert_eq!(value("MESOS_DIRECTORY"), "/work/slaves/a1/frameworks/f1/executors/e1/runs/c1");
        assert_eq!(value("MESOS_SLAVE_PID"), "slave(1)@127.0.0.1:5051");
        assert_eq!(
            [value("MESOS_RECOVERY_TIMEOUT"), value("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD")],
            ["15mins", "5secs"]
        );
        assert_eq!(launch.program, Program::Shell("./run".into()));
    }
}
