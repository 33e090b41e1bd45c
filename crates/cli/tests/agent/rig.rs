//! A master in this program, an agent as a process of its own, and a framework that launches what a test says.

use crate::wire::{Client, Subscribed, bounded, get, subscribe};
use apportion::Config;
use apportion_http::{NoAgents, Server, Settings};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value as Json, json};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// The file of the program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_apportion");

/// An agent that runs as a process.
pub(crate) struct Agent {
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Agent {
    /// Starts an agent, and waits until it serves.
    fn start(program: &Path, master: SocketAddr, work_dir: &Path, port: u16, flags: &[&str]) -> Self {
        let mut process = Command::new(program)
            .arg("agent")
            .arg(format!("--master={master}"))
            .arg(format!("--work_dir={}", work_dir.display()))
            .arg(format!("--port={port}"))
            .args(["--resources=cpus:4;mem:1024;disk:1024;ports:[31000-31009]", "--attributes=rack:r1"])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split_once("http://").and_then(|(_, rest)| rest.split(',').next()?.parse().ok());
        Self { address: address.unwrap_or_else(|| panic!("the agent does not start: {line:?}")), process }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// Waits for the end of the process. Returns its exit code.
    pub(crate) async fn exit(&mut self) -> Option<i32> {
        for _ in 0..3000 {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.code();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the agent does not end");
    }
}

/// A master, an agent and a framework.
pub(crate) struct Rig {
    _server: Server,
    pub(crate) master: SocketAddr,
    pub(crate) agent: Agent,
    pub(crate) framework: Subscribed,
    /// Offers that came and were not used.
    offers: Vec<Json>,
    work_dir: TempDir,
}

impl Rig {
    pub(crate) async fn start(checkpoint: bool, flags: &[&str]) -> Self {
        Self::start_with(Path::new(PROGRAM), checkpoint, flags).await
    }

    /// The same with an agent that is started from another file of the program.
    pub(crate) async fn start_with(program: &Path, checkpoint: bool, flags: &[&str]) -> Self {
        Self::begin(Settings::default(), program, checkpoint, flags).await
    }

    /// The same with other settings of the master.
    pub(crate) async fn start_under(settings: Settings, checkpoint: bool, flags: &[&str]) -> Self {
        Self::begin(settings, Path::new(PROGRAM), checkpoint, flags).await
    }

    async fn begin(settings: Settings, program: &Path, checkpoint: bool, flags: &[&str]) -> Self {
        let config = Config::new().allocation_interval(Duration::from_millis(20));
        let server = Server::start(settings.config(config), NoAgents);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let master = listener.local_addr().unwrap();
        tokio::spawn(server.serve(listener));
        let work_dir = tempfile::tempdir().unwrap();
        let agent = Agent::start(program, master, work_dir.path(), 0, flags);
        let framework = framework(master, checkpoint).await;
        Self { _server: server, master, agent, framework, offers: Vec::new(), work_dir }
    }

    /// Returns the folder of the agent.
    pub(crate) fn work_dir(&self) -> PathBuf {
        self.work_dir.path().canonicalize().unwrap()
    }

    /// Returns the file that has the description of the agent, as it is stored.
    pub(crate) fn agent_record(&self) -> PathBuf {
        let latest = self.work_dir().join("meta/slaves/latest").canonicalize().unwrap();
        latest.join("slave.info")
    }

    /// Drops the offers that have come and were not used.
    pub(crate) fn forget_offers(&mut self) {
        self.offers.clear();
    }

    /// Kills the agent as a crash does.
    pub(crate) async fn kill_agent(&mut self) {
        self.agent.signal(Signal::KILL);
        self.agent.exit().await;
    }

    /// Starts the agent again, at the same address.
    pub(crate) fn start_agent(&mut self, flags: &[&str]) {
        let port = self.agent.address.port();
        self.agent = Agent::start(Path::new(PROGRAM), self.master, self.work_dir.path(), port, flags);
    }

    async fn call(&self, call: Json) {
        let answer = self.framework.call(self.master, call).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
    }

    /// Launches a task on the next offer: `task` is a `TaskInfo` without an agent.
    pub(crate) async fn launch(&mut self, mut task: Json) {
        let offer = self.offer().await;
        task["agent_id"] = offer["agent_id"].clone();
        let launch = json!({"type": "LAUNCH", "launch": {"task_infos": [task]}});
        self.accept(&offer, launch).await;
    }

    pub(crate) async fn accept(&self, offer: &Json, operation: Json) {
        self.accept_all(offer, &[operation]).await;
    }

    pub(crate) async fn accept_all(&self, offer: &Json, operations: &[Json]) {
        self.call(json!({"type": "ACCEPT", "accept": {
            "offer_ids": [offer["id"]], "operations": operations, "filters": {"refuse_seconds": 0.0},
        }}))
        .await;
    }

    pub(crate) async fn decline(&self, offer: &Json) {
        let decline = json!({"offer_ids": [offer["id"]], "filters": {"refuse_seconds": 0.0}});
        self.call(json!({"type": "DECLINE", "decline": decline})).await;
    }

    pub(crate) async fn offer(&mut self) -> Json {
        while self.offers.is_empty() {
            let event = self.framework.stream.event_of("OFFERS").await;
            self.offers.extend(event["offers"]["offers"].as_array().unwrap().iter().cloned());
        }
        self.offers.remove(0)
    }

    pub(crate) async fn kill(&self, task: &str, grace: Option<u64>) {
        let policy = grace.map(|seconds| json!({"grace_period": {"nanoseconds": seconds * 1_000_000_000}}));
        self.call(json!({"type": "KILL", "kill": {"task_id": {"value": task}, "kill_policy": policy}})).await;
    }

    /// Sends a message to an executor.
    pub(crate) async fn message(&self, agent: &Json, executor: &str, data: &str) {
        let message = json!({"agent_id": agent, "executor_id": {"value": executor}, "data": data});
        self.call(json!({"type": "MESSAGE", "message": message})).await;
    }

    /// Waits for the next status, and acknowledges it.
    pub(crate) async fn status(&mut self) -> Json {
        let status = self.unacknowledged().await;
        self.acknowledge(&status).await;
        status
    }

    /// Waits for the next status.
    pub(crate) async fn unacknowledged(&mut self) -> Json {
        let found = async {
            loop {
                let event = self.framework.stream.event().await.expect("the stream goes on");
                match event["type"].as_str().unwrap() {
                    "UPDATE" => return event["update"]["status"].clone(),
                    "OFFERS" => self.offers.extend(event["offers"]["offers"].as_array().unwrap().iter().cloned()),
                    "RESCIND" => {
                        let gone = &event["rescind"]["offer_id"];
                        self.offers.retain(|offer| offer["id"] != *gone);
                    }
                    _ => {}
                }
            }
        };
        bounded("a status", found).await
    }

    pub(crate) async fn acknowledge(&self, status: &Json) {
        if status["uuid"].is_string() {
            self.call(json!({"type": "ACKNOWLEDGE", "acknowledge": {
                "agent_id": status["agent_id"], "task_id": status["task_id"], "uuid": status["uuid"],
            }}))
            .await;
        }
    }

    /// Waits for a status of that state, and acknowledges all on the way.
    pub(crate) async fn status_of(&mut self, state: &str) -> Json {
        loop {
            let status = self.status().await;
            if status["state"] == state {
                return status;
            }
            let is_terminal = ["FINISHED", "FAILED", "KILLED", "LOST", "ERROR"];
            assert!(!is_terminal.iter().any(|end| status["state"] == format!("TASK_{end}")), "{status}");
        }
    }

    /// Asks the agent for JSON.
    pub(crate) async fn ask(&self, path: &str) -> Json {
        let answer = get(self.agent.address, path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        serde_json::from_str(answer.text()).unwrap()
    }

    /// Waits until the agent is registered.
    pub(crate) async fn registered(&self) {
        let registered = async {
            while self.ask("/metrics/snapshot").await["slave/registered"] != 1.0 {
                tokio::time::sleep(PAUSE).await;
            }
        };
        bounded("a registration", registered).await;
    }

    /// Waits until so many executors have ended, and returns them as `/state` shows them.
    pub(crate) async fn completed(&self, number: usize) -> Vec<Json> {
        let completed = async {
            loop {
                let state = self.ask("/slave(1)/state.json").await;
                let lists = ["frameworks", "completed_frameworks"].map(|list| state[list].as_array().unwrap().clone());
                let ended =
                    lists.iter().flatten().flat_map(|framework| framework["completed_executors"].as_array().unwrap());
                let ended: Vec<Json> = ended.cloned().collect();
                if ended.len() >= number {
                    return ended;
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        bounded("the end of executors", completed).await
    }

    /// Reads a file of the sandbox of an executor.
    pub(crate) async fn file(&self, framework: &str, executor: &str, name: &str) -> String {
        let path = format!("/frameworks/{framework}/executors/{executor}/runs/latest/{name}");
        let read = self.ask(&format!("/files/read?path={path}&offset=0&length=-1")).await;
        read["data"].as_str().unwrap().to_owned()
    }
}

/// A framework of the user that runs the test.
async fn framework(master: SocketAddr, checkpoint: bool) -> Subscribed {
    let mut stream = Client::connect(master).await;
    let mut call = subscribe(None, 3600.0);
    call["subscribe"]["framework_info"]["checkpoint"] = checkpoint.into();
    call["subscribe"]["framework_info"]["user"] = user().into();
    stream.post("", &call).await;
    let head = stream.head().await.unwrap();
    assert_eq!(head.status, 200, "{head:?}");
    let stream_id = head.header("mesos-stream-id").unwrap().to_owned();
    let event = stream.event().await.unwrap();
    let id = event["subscribed"]["framework_id"]["value"].as_str().unwrap().to_owned();
    Subscribed { stream, id, stream_id }
}

fn user() -> String {
    let id = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(id.stdout).unwrap().trim().to_owned()
}

/// Returns a task that runs a command of a shell.
pub(crate) fn command(id: &str, script: &str) -> Json {
    json!({
        "name": id, "task_id": {"value": id},
        "resources": [
            {"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.1}},
            {"name": "mem", "type": "SCALAR", "scalar": {"value": 32.0}},
        ],
        "command": {"value": script},
    })
}

/// Returns a task of an executor that runs a command of a shell.
pub(crate) fn of_executor(id: &str, executor: &str, script: &str) -> Json {
    let mut task = command(id, "");
    task.as_object_mut().unwrap().remove("command");
    task["executor"] = json!({"executor_id": {"value": executor}, "command": {"value": script}});
    task
}

/// Returns whether a process lives.
pub(crate) fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| state != 'Z')
}

/// Waits until the output of a task has a number, its process.
pub(crate) async fn pid(rig: &Rig, task: &str) -> u32 {
    let framework = rig.framework.id.clone();
    for _ in 0..1000 {
        if let Ok(pid) = rig.file(&framework, task, "stdout").await.trim().parse() {
            return pid;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("{task} tells no process");
}
