//! The processes of a task: commands in its sandbox, with its environment.

use super::HOST;
use apportion_exec::ProcessBuilder;
use apportion_marathon::TaskCommand;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Returns the process of a task. Whatever has its sandbox in the environment ends with it.
pub(crate) fn of_task(task: &TaskCommand, sandbox: &Path) -> ProcessBuilder {
    prepare(ProcessBuilder::new(task.argv()), task, sandbox).marked_by("MESOS_SANDBOX", sandbox.as_os_str().as_bytes())
}

/// Returns a shell command with the sandbox and the environment of a task.
pub(crate) fn of_shell(script: &str, task: &TaskCommand, sandbox: &Path) -> ProcessBuilder {
    prepare(ProcessBuilder::shell(script), task, sandbox)
}

fn prepare(builder: ProcessBuilder, task: &TaskCommand, sandbox: &Path) -> ProcessBuilder {
    let builder = builder.directory(sandbox).variables(inherited()).variable("MESOS_SANDBOX", sandbox);
    builder.variables(task.env()).variable("HOST", HOST)
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
    use std::io::{self, Read};

    /// Returns what a process says, and how it ended.
    fn run(builder: ProcessBuilder) -> (String, String) {
        let (mut reader, writer) = io::pipe().unwrap();
        let exit = builder.stdout(writer).spawn().unwrap().wait().unwrap();
        let mut said = String::new();
        reader.read_to_string(&mut said).unwrap();
        (said, exit.to_string())
    }

    #[test]
    fn arguments_are_run_without_a_shell_and_scripts_with_one() {
        let variables = json!([{"name": "MESOS_TASK_ID", "value": "a.1"}, {"name": "HOST", "value": "agent-1"}]);
        let command = json!({"shell": false, "value": "printf", "arguments": ["printf", "%s", "$HOME"],
            "environment": {"variables": variables}});
        let task = Task::new("a.1", "cpus:1".parse().unwrap()).detail("command", command);
        let (task, folder) = (TaskCommand::from_task(&task).unwrap(), std::env::temp_dir());
        assert_eq!(run(of_task(&task, &folder)).0, "$HOME");
        let (said, exit) = run(of_shell("printf $MESOS_TASK_ID@$HOST; exit 3", &task, &folder));
        assert_eq!((said.as_str(), exit.as_str()), ("a.1@127.0.0.1", "exited with status 3"));
        let (names, _) = run(of_shell("env | cut -d= -f1 | sort", &task, &folder));
        let allowed = ["HOME", "HOST", "LANG", "MESOS_SANDBOX", "MESOS_TASK_ID", "PATH", "PWD", "OLDPWD", "SHLVL", "_"];
        assert!(names.lines().all(|name| allowed.contains(&name)), "{names}");
    }
}
