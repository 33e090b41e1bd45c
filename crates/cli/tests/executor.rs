//! The built-in executors as programs, against an agent that does what a test says.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_types,
    reason = "a test that goes wrong ends, and its waits are bounded in real time"
)]

#[expect(dead_code, reason = "the tests of other packages use more of it")]
#[path = "../../http/tests/scripted/mod.rs"]
mod scripted;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use scripted::{Scripted, Socket, within};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// An executor that runs, with its agent.
struct Running {
    agent: Scripted,
    stream: Socket,
    calls: Option<Socket>,
    sandbox: TempDir,
    process: Child,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Running {
    async fn start(kind: &str, others: &[(&str, &str)]) -> Self {
        let agent = Scripted::start().await;
        let sandbox = tempfile::tempdir().unwrap();
        let output = |name| fs::File::create(sandbox.path().join(name)).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_apportion"))
            .args(["executor", kind])
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("MESOS_FRAMEWORK_ID", "f1")
            .env("MESOS_EXECUTOR_ID", "e1")
            .env("MESOS_AGENT_ENDPOINT", &agent.address)
            .env("MESOS_SANDBOX", sandbox.path())
            .env("MESOS_CHECKPOINT", "1")
            .env("MESOS_SUBSCRIPTION_BACKOFF_MAX", "10ms")
            .env("MESOS_EXECUTOR_AUTHENTICATION_TOKEN", "s3cret")
            .envs(others.iter().copied())
            .current_dir(sandbox.path())
            .stdin(Stdio::null())
            .stdout(output("stdout"))
            .stderr(output("stderr"))
            .spawn()
            .unwrap();
        let (stream, _) = agent.subscribe().await;
        let mut running = Self { agent, stream, calls: None, sandbox, process };
        running.subscribed().await;
        running
    }

    async fn subscribed(&mut self) {
        let framework = json!({"user": "root", "name": "f", "capabilities": [{"type": "TASK_KILLING_STATE"}]});
        let event = json!({"executor_info": {"executor_id": {"value": "e1"}}, "framework_info": framework,
            "agent_info": {"hostname": "h1"}});
        self.stream.event(&json!({"type": "SUBSCRIBED", "subscribed": event})).await;
    }

    async fn launch(&mut self, task: Json) {
        self.stream.event(&json!({"type": "LAUNCH", "launch": {"task": task}})).await;
    }

    async fn kill(&mut self, task: &str, grace: f64) {
        let grace = json!({"grace_period": {"nanoseconds": grace * 1e9}});
        self.stream.event(&json!({"type": "KILL", "kill": {"task_id": {"value": task}, "kill_policy": grace}})).await;
    }

    /// Reads the next status, and acknowledges it.
    async fn status(&mut self) -> Json {
        let status = self.unacknowledged().await;
        let acknowledged = json!({"task_id": status["task_id"], "uuid": status["uuid"]});
        self.stream.event(&json!({"type": "ACKNOWLEDGED", "acknowledged": acknowledged})).await;
        status
    }

    async fn unacknowledged(&mut self) -> Json {
        if self.calls.is_none() {
            self.calls = Some(self.agent.accept().await);
        }
        let call = self.calls.as_mut().unwrap().call().await;
        assert_eq!(call.kind(), "UPDATE");
        call.json()["update"]["status"].clone()
    }

    /// Reads statuses, acknowledges them, and checks their states.
    async fn states(&mut self, expected: &[&str]) -> Json {
        let mut last = Json::Null;
        for state in expected {
            last = self.status().await;
            assert_eq!(last["state"], *state, "{last}");
        }
        last
    }

    /// Waits for the end of the program.
    async fn ended(&mut self) -> Option<i32> {
        within(async {
            loop {
                if let Some(status) = self.process.try_wait().unwrap() {
                    return status.code();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
    }

    /// Waits for a file of the sandbox, and returns its lines.
    async fn lines(&self, path: &str) -> Vec<String> {
        let path = self.sandbox.path().join(path);
        within(async {
            loop {
                let text = fs::read_to_string(&path).unwrap_or_default();
                if text.ends_with('\n') {
                    return text.lines().map(str::to_owned).collect();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
    }
}

fn task(id: &str, command: &str, more: &Json) -> Json {
    let mut task = json!({"name": id, "task_id": {"value": id}, "agent_id": {"value": "a1"}, "resources": [],
        "command": {"value": command}});
    task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    task
}

fn is_running(pid: &str) -> bool {
    let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
    let is_zombie =
        || fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).is_ok_and(|stat| stat.contains(") Z "));
    test_kill_process(pid).is_ok() && !is_zombie()
}

#[tokio::test]
async fn a_command_runs_in_the_sandbox_and_the_executor_ends_with_it() {
    let mut executor = Running::start("command", &[]).await;
    let command = "echo to $WHO in $(pwd) as $MESOS_TASK_ID; echo oops >&2; echo token: $MESOS_EXECUTOR_AUTHENTICATION_TOKEN; exit 5";
    let environment =
        json!({"command": {"value": command, "environment": {"variables": [{"name": "WHO", "value": "you"}]}}});
    executor.launch(task("t", command, &environment)).await;
    let last = executor.states(&["TASK_STARTING", "TASK_RUNNING", "TASK_FAILED"]).await;
    assert_eq!(
        (&last["message"], &last["executor_id"]["value"]),
        (&json!("Command exited with status 5"), &json!("e1"))
    );
    assert_eq!(executor.ended().await, Some(0));
    let sandbox = executor.sandbox.path().canonicalize().unwrap();
    let expected = [format!("to you in {} as t", sandbox.display()), "token:".to_owned()];
    assert_eq!(executor.lines("stdout").await, expected, "a secret of the executor is not passed on");
    assert_eq!(executor.lines("stderr").await, ["oops"]);
}

#[tokio::test]
async fn a_program_that_is_not_there_fails_and_its_name_is_told() {
    let mut executor = Running::start("command", &[]).await;
    let program =
        json!({"command": {"value": "no-such-program", "shell": false, "arguments": ["no-such-program", "1"]}});
    executor.launch(task("t", "", &program)).await;
    let last = executor.states(&["TASK_STARTING", "TASK_FAILED"]).await;
    assert!(last["message"].as_str().unwrap().contains("no-such-program"), "{last}");
    assert_eq!(last["reason"], "REASON_CONTAINER_LAUNCH_FAILED");
    assert_eq!(executor.ended().await, Some(0));
}

#[tokio::test]
async fn nothing_is_left_of_a_tree_that_does_not_want_to_end() {
    let mut executor = Running::start("command", &[]).await;
    // Children that ignore SIGTERM, of which one leaves the session and is an orphan.
    let tree =
        "trap '' TERM; (setsid sh -c 'echo $$; exec sleep 1000' &); sleep 1000 & echo $!; while :; do sleep 1000; done";
    executor.launch(task("t", tree, &json!({}))).await;
    executor.states(&["TASK_STARTING", "TASK_RUNNING"]).await;
    let pids = within(async {
        loop {
            let lines = executor.lines("stdout").await;
            if lines.len() == 2 {
                return lines;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(pids.iter().all(|pid| is_running(pid)));
    executor.kill("t", 0.2).await;
    let last = executor.states(&["TASK_KILLING", "TASK_KILLED"]).await;
    assert_eq!(last["message"], "Command terminated with signal Killed");
    assert!(!pids.iter().any(|pid| is_running(pid)), "all of it is gone before that is told");
    assert_eq!(executor.ended().await, Some(0));
}

#[tokio::test]
async fn what_a_task_leaves_behind_ends_before_the_task_is_said_to_have_ended() {
    let mut executor = Running::start("command", &[]).await;
    executor.launch(task("t", "setsid sh -c 'echo $$; exec sleep 1000' & sleep 0.2", &json!({}))).await;
    executor.states(&["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]).await;
    assert!(!is_running(&executor.lines("stdout").await[0]));
}

#[tokio::test]
async fn a_group_has_sandboxes_of_its_own_and_one_that_fails_takes_the_rest_along() {
    let mut executor = Running::start("default", &[]).await;
    let tasks = [
        task("good", "echo good in $MESOS_SANDBOX; trap 'exit 0' TERM; while :; do sleep 0.05; done", &json!({})),
        task("bad", "until [ -s ../good/stdout ]; do sleep 0.01; done; exit 3", &json!({})),
    ];
    executor.stream.event(&json!({"type": "LAUNCH_GROUP", "launch_group": {"task_group": {"tasks": tasks}}})).await;
    let mut found = Vec::new();
    for _ in 0..7 {
        let status = executor.status().await;
        let [task, state] =
            [&status["task_id"]["value"], &status["state"]].map(|text| text.as_str().unwrap().to_owned());
        found.push((task, state));
    }
    for (task, states) in [
        ("good", vec!["TASK_STARTING", "TASK_RUNNING", "TASK_KILLING", "TASK_KILLED"]),
        ("bad", vec!["TASK_STARTING", "TASK_RUNNING", "TASK_FAILED"]),
    ] {
        let told: Vec<&str> = found.iter().filter(|(of, _)| of == task).map(|(_, state)| &**state).collect();
        assert_eq!(told, states, "{task}");
    }
    assert_eq!(executor.ended().await, Some(0));
    let sandbox = executor.sandbox.path().canonicalize().unwrap().join("tasks/good");
    assert_eq!(executor.lines("tasks/good/stdout").await, [format!("good in {}", sandbox.display())]);
}

#[tokio::test]
async fn a_command_that_ends_at_once_is_told_to_run_first() {
    let mut executor = Running::start("default", &[]).await;
    let tasks: Vec<Json> = (0..30).map(|number| task(&format!("t{number}"), "exit 0", &json!({}))).collect();
    executor.stream.event(&json!({"type": "LAUNCH_GROUP", "launch_group": {"task_group": {"tasks": tasks}}})).await;
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for _ in 0..3 * tasks.len() {
        let status = executor.status().await;
        let [task, state] =
            [&status["task_id"]["value"], &status["state"]].map(|text| text.as_str().unwrap().to_owned());
        told.entry(task).or_default().push(state);
    }
    for (task, states) in told {
        assert_eq!(states, ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"], "{task}");
    }
}

#[tokio::test]
async fn what_a_task_of_a_group_needs_is_fetched_into_its_sandbox_and_a_kill_does_not_wait_for_it() {
    let mut executor = Running::start("default", &[]).await;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("data"), "fetched\n").unwrap();
    let of = |name: &str, uri: &str| {
        let uris = json!([{"value": uri, "output_file": "here", "executable": true}]);
        task(name, "", &json!({"command": {"value": "cat here; test -x here; exit $?", "uris": uris}}))
    };
    let path = folder.path().join("data").display().to_string();
    let group = |tasks: Json| json!({"type": "LAUNCH_GROUP", "launch_group": {"task_group": {"tasks": tasks}}});
    executor.stream.event(&group(json!([of("good", &path)]))).await;
    executor.states(&["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]).await;
    assert_eq!(executor.lines("tasks/good/stdout").await, ["fetched"]);

    let mut executor = Running::start("default", &[]).await;
    executor.stream.event(&group(json!([of("bad", &format!("{path}.missing"))]))).await;
    let failed = executor.states(&["TASK_STARTING", "TASK_FAILED"]).await;
    assert_eq!(failed["reason"], "REASON_CONTAINER_LAUNCH_FAILED");
    assert!(failed["message"].as_str().unwrap().contains(&format!("{path}.missing")), "{failed}");
    assert!(executor.lines("tasks/bad/stderr").await[0].contains(".missing"));

    let mut executor = Running::start("default", &[]).await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap(); // it takes the connection, and never answers
    let uri = format!("http://{}/data", silent.local_addr().unwrap());
    executor.stream.event(&group(json!([of("slow", &uri)]))).await;
    executor.states(&["TASK_STARTING"]).await;
    let _connection = within(silent.accept()).await.unwrap();
    executor.kill("slow", 1000.0).await;
    executor.states(&["TASK_KILLING", "TASK_KILLED"]).await;
    assert_eq!(executor.ended().await, Some(0));
}

#[tokio::test]
async fn checks_run_in_the_sandbox_and_an_unhealthy_task_is_killed() {
    let mut executor = Running::start("command", &[]).await;
    let checks = json!({
        "health_check": {"type": "COMMAND", "command": {"value": "[ -e healthy ]"}, "delay_seconds": 0, "interval_seconds": 0.05,
            "grace_period_seconds": 0, "consecutive_failures": 1},
        "check": {"type": "COMMAND", "command": {"command": {"value": "exit $RESULT"}}, "delay_seconds": 0, "interval_seconds": 1000},
        "command": {"value": "exec sleep 1000", "environment": {"variables": [{"name": "RESULT", "value": "4"}]}},
    });
    fs::write(executor.sandbox.path().join("healthy"), "").unwrap();
    executor.launch(task("t", "", &checks)).await;
    executor.states(&["TASK_STARTING", "TASK_RUNNING", "TASK_RUNNING"]).await;
    let both = executor.status().await;
    assert_eq!((&both["healthy"], &both["check_status"]["command"]["exit_code"]), (&json!(true), &json!(4)));
    fs::remove_file(executor.sandbox.path().join("healthy")).unwrap();
    let last = executor.states(&["TASK_RUNNING", "TASK_KILLING", "TASK_KILLED"]).await;
    assert_eq!(last["healthy"], false);
}

#[tokio::test]
async fn an_executor_outlives_its_agent_and_tells_the_next_one() {
    let mut executor = Running::start("command", &[("MESOS_RECOVERY_TIMEOUT", "1mins")]).await;
    executor.launch(task("t", "until [ -e done ]; do sleep 0.01; done", &json!({}))).await;
    executor.states(&["TASK_STARTING", "TASK_RUNNING"]).await;
    executor.stream.end().await; // the agent ends
    executor.calls = None;
    fs::write(executor.sandbox.path().join("done"), "").unwrap();
    // The agent is back; the task may end before or after the subscription.
    let (stream, subscribe) = executor.agent.subscribe().await;
    executor.stream = stream;
    executor.subscribed().await;
    let with_it = subscribe.json()["subscribe"]["unacknowledged_updates"][0]["status"].clone();
    let status = if with_it.is_null() { executor.unacknowledged().await } else { with_it };
    assert_eq!(status["state"], "TASK_FINISHED");
    let acknowledged = json!({"task_id": status["task_id"], "uuid": status["uuid"]});
    executor.stream.event(&json!({"type": "ACKNOWLEDGED", "acknowledged": acknowledged})).await;
    assert_eq!(executor.ended().await, Some(0));
}

#[tokio::test]
async fn a_task_does_not_outlive_an_agent_that_does_not_come_back() {
    for others in [[("MESOS_CHECKPOINT", "0")], [("MESOS_RECOVERY_TIMEOUT", "100ms")]] {
        let mut executor = Running::start("command", &others).await;
        executor.launch(task("t", "echo $$; exec sleep 1000", &json!({}))).await;
        executor.states(&["TASK_STARTING", "TASK_RUNNING"]).await;
        let pid = executor.lines("stdout").await.remove(0);
        assert!(is_running(&pid));
        let Running { agent, stream, calls, .. } = &mut executor;
        *agent = Scripted::start().await; // nobody listens at the address any more
        let _ = calls.take();
        stream.end().await;
        assert_eq!(executor.ended().await, Some(0));
        assert!(!is_running(&pid));
    }
}

#[tokio::test]
async fn a_shutdown_ends_the_task_and_tells_of_it() {
    let mut executor = Running::start("command", &[]).await;
    executor.launch(task("t", "exec sleep 1000", &json!({}))).await;
    executor.states(&["TASK_STARTING", "TASK_RUNNING"]).await;
    executor.stream.event(&json!({"type": "SHUTDOWN"})).await;
    executor.states(&["TASK_KILLING", "TASK_KILLED"]).await;
    assert_eq!(executor.ended().await, Some(0));
}

#[tokio::test]
async fn a_task_that_is_killed_by_somebody_fails() {
    let mut executor = Running::start("command", &[]).await;
    executor.launch(task("t", "echo $$; exec sleep 1000", &json!({}))).await;
    executor.states(&["TASK_STARTING", "TASK_RUNNING"]).await;
    let pid = executor.lines("stdout").await.remove(0);
    kill_process(Pid::from_raw(pid.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
    let last = executor.states(&["TASK_FAILED"]).await;
    assert_eq!(last["message"], "Command terminated with signal Killed");
}

#[test]
fn an_executor_without_its_environment_says_what_is_missing() {
    let command =
        Command::new(env!("CARGO_BIN_EXE_apportion")).args(["executor", "command"]).env_clear().output().unwrap();
    assert_eq!(command.status.code(), Some(1));
    assert_eq!(String::from_utf8(command.stderr).unwrap(), "MESOS_FRAMEWORK_ID is not set\n");
}
