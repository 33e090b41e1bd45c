//! The processes of a task: commands in its sandbox, with its environment.

use super::HOST;
use apportion_marathon::TaskCommand;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

/// Returns the process of a task.
pub(crate) fn of_task(task: &TaskCommand, sandbox: &Path) -> Command {
    prepare(task, task.argv().iter().map(String::as_str), sandbox)
}

/// Returns a shell command with the sandbox and the environment of a task.
pub(crate) fn of_shell(script: &str, task: &TaskCommand, sandbox: &Path) -> Command {
    prepare(task, ["sh", "-c", script].into_iter(), sandbox)
}

fn prepare<'a>(task: &TaskCommand, mut argv: impl Iterator<Item = &'a str>, sandbox: &Path) -> Command {
    let mut command = Command::new(argv.next().unwrap_or_default());
    command.args(argv).current_dir(sandbox).env_clear().envs(inherited());
    command.env("MESOS_SANDBOX", sandbox).envs(task.env()).env("HOST", HOST);
    command
}

/// Returns the variables of this program that a task gets too: without them few programs are found, or say much.
fn inherited() -> impl Iterator<Item = (&'static str, OsString)> {
    ["PATH", "HOME", "LANG"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use apportion::Task;
    use serde_json::json;

    #[test]
    fn arguments_are_run_without_a_shell_and_scripts_with_one() {
        let variables = json!([{"name": "MESOS_TASK_ID", "value": "a.1"}, {"name": "HOST", "value": "agent-1"}]);
        let command = json!({"shell": false, "value": "printf", "arguments": ["printf", "%s", "$HOME"],
            "environment": {"variables": variables}});
        let task = Task::new("a.1", "cpus:1".parse().unwrap()).detail("command", command);
        let (task, folder) = (TaskCommand::from_task(&task).unwrap(), std::env::temp_dir());
        assert_eq!(of_task(&task, &folder).output().unwrap().stdout, b"$HOME");
        let output = of_shell("printf $MESOS_TASK_ID@$HOST; exit 3", &task, &folder).output().unwrap();
        assert_eq!((output.stdout.as_slice(), output.status.code()), (&b"a.1@127.0.0.1"[..], Some(3)));
        let output = of_shell("env | cut -d= -f1 | sort", &task, &folder).output().unwrap();
        let allowed = ["HOME", "HOST", "LANG", "MESOS_SANDBOX", "MESOS_TASK_ID", "PATH", "PWD", "OLDPWD", "SHLVL", "_"];
        let names = String::from_utf8(output.stdout).unwrap();
        assert!(names.lines().all(|name| allowed.contains(&name)), "{names}");
    }
}
