//! The processes of a task: commands in its sandbox, with its environment.

use super::HOST;
use apportion_marathon::Order;
use std::path::Path;
use std::process::Command;

/// The command of its task, in that sandbox.
pub(crate) fn command(order: &Order, sandbox: &Path) -> Command {
    prepared(order, order.argv().iter().map(String::as_str), sandbox)
}

/// A shell command where its task runs.
pub(crate) fn shell(order: &Order, script: &str, sandbox: &Path) -> Command {
    prepared(order, ["sh", "-c", script].into_iter(), sandbox)
}

fn prepared<'a>(order: &Order, mut argv: impl Iterator<Item = &'a str>, sandbox: &Path) -> Command {
    let mut command = Command::new(argv.next().unwrap_or_default());
    command.args(argv).current_dir(sandbox).env("MESOS_SANDBOX", sandbox).envs(order.env()).env("HOST", HOST);
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use apportion::Task;
    use serde_json::json;

    #[test]
    fn arguments_are_run_without_a_shell_and_scripts_with_one() {
        let task = Task::new("a.1", "cpus:1".parse().unwrap());
        let variables = json!([{"name": "MESOS_TASK_ID", "value": "a.1"}, {"name": "HOST", "value": "agent-1"}]);
        let order = json!({"shell": false, "value": "printf", "arguments": ["printf", "%s", "$HOME"],
            "environment": {"variables": variables}});
        let order = Order::of(&task.detail("command", order)).unwrap();
        let output = command(&order, &std::env::temp_dir()).output().unwrap();
        assert_eq!(output.stdout, b"$HOME");
        let output = shell(&order, "printf $MESOS_TASK_ID@$HOST; exit 3", &std::env::temp_dir()).output().unwrap();
        assert_eq!((output.stdout.as_slice(), output.status.code()), (&b"a.1@127.0.0.1"[..], Some(3)));
    }
}
