//! The program `marathon` against a master that it reaches over HTTP.

use crate::program::{file, marathon};
use apportion::{Agent, Command as MasterCommand, Config, TaskState};
use apportion_http::{Server, Settings, SimulatedAgents};
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

/// A master with three agents, each on a rack of its own.
struct Cluster {
    runtime: Runtime,
    server: Server,
    address: String,
}

impl Cluster {
    fn start() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let config = Config::default().allocation_interval(Duration::from_millis(20));
        let (server, address) = runtime.block_on(async {
            let server = Server::start(Settings::default().config(config), SimulatedAgents::new(7));
            for number in 1..=3 {
                let resources = "cpus:4;mem:4096;ports:[31000-31009]".parse().unwrap();
                let agent = Agent::new(format!("a{number}"), resources).attribute("rack", &*format!("rack-{number}"));
                server.command(MasterCommand::AddAgent(agent.into())).await.unwrap();
            }
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap().to_string();
            tokio::spawn(server.serve(listener));
            (server, address)
        });
        Self { runtime, server, address }
    }

    /// Returns the tasks that run: their ids and agents.
    fn running(&self) -> Vec<(String, String)> {
        let tasks = self.server.query(|master| {
            let running = master.known_tasks().filter(|task| task.state == TaskState::Running);
            running.map(|task| (task.id.to_string(), task.holding.agent.to_string())).collect()
        });
        self.runtime.block_on(tasks).unwrap()
    }

    fn frameworks(&self) -> usize {
        self.runtime.block_on(self.server.query(|master| master.known_frameworks().count())).unwrap()
    }
}

/// The program while it runs. It ends with the test.
struct Program(Child, BufReader<ChildStdout>);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Program {
    fn start(cluster: &Cluster, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_marathon"));
        command.args(["--master", &cluster.address]).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self(child, output)
    }

    /// Reads up to a line with that text.
    fn read_up_to(&mut self, text: &str) -> String {
        let mut read = String::new();
        while !read.contains(text) {
            assert!(self.1.read_line(&mut read).unwrap() > 0, "it has ended without {text}:\n{read}");
        }
        read
    }

    fn interrupt(&self) {
        let sent = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

fn of<'a>(tasks: &'a [(String, String)], app: &str) -> BTreeSet<&'a str> {
    let own = tasks.iter().filter(|(task, _)| task.starts_with(app));
    own.map(|(_, agent)| agent.as_str()).collect()
}

#[test]
fn apps_run_on_the_agents_of_a_cluster_under_their_constraints_until_ctrl_c() {
    let cluster = Cluster::start();
    let apps = ["apps/redis-unique-app.json", "apps/nginx-bridge-port-app.json", "--scale", "/redis=3"];
    let mut program = Program::start(&cluster, &apps);
    let log = program.read_up_to("deploy   2: finished");
    for part in ["offers: 12 cpus", "launch   redis.1 on a", "(rack-", "status   nginx.2 TASK_RUNNING", "->80"] {
        assert!(log.contains(part), "{part} is not in:\n{log}");
    }
    let running = cluster.running();
    assert_eq!((running.len(), of(&running, "redis").len()), (5, 3), "one on each host: {running:?}");
    program.interrupt();
    let rest = program.read_up_to("all is to end");
    assert!(rest.contains("TASK_RUNNING") && rest.contains("/nginx"), "the report:\n{rest}");
    let mut rest = String::new();
    program.1.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("status   redis.3 TASK_KILLED"), "{rest}");
    assert_eq!(program.0.wait().unwrap().code(), Some(130));
    assert_eq!((cluster.running().len(), cluster.frameworks()), (0, 0));
}

#[test]
fn an_app_that_finds_no_place_says_why() {
    let cluster = Cluster::start();
    let apps = ["apps/redis-bridge-app.json", "--update"];
    let folder = tempfile::tempdir().unwrap();
    let elsewhere =
        r#"{"id": "redis", "cmd": "serve", "instances": 1, "cpus": 9, "constraints": [["rack", "CLUSTER", "rack-2"]]}"#;
    let elsewhere = file(&folder, "large.json", elsewhere);
    let mut program = Program::start(&cluster, &[apps[0], apps[1], &elsewhere, "--why", "/redis"]);
    program.read_up_to("deploy   1: finished");
    let running = cluster.running();
    assert_eq!(of(&running, "redis"), BTreeSet::from(["a2"]), "all on rack-2: {running:?}");
    program.read_up_to("redis.2 TASK_KILLED"); // of the first version
    program.interrupt();
    let report = program.read_up_to("all is to end");
    assert!(report.contains("cpus") && report.contains("1 of 1 could not be placed"), "{report}");
}

#[test]
fn what_agents_cannot_do_is_refused_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let app = r#"{"id": "web", "cmd": "serve", "env": {"A": {"secret": "s"}}}"#;
    let app = file(&folder, "web.json", app);
    let output = marathon(&["--master", "127.0.0.1:1", &app]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{told}");
    assert!(told.contains("/web has a secret as its A"), "{told}");
    for wrong in [["--exec", ""], ["--agents", "3"], ["--lose", "a1"], ["--sick", "web.1"]] {
        let wrong: Vec<&str> = wrong.into_iter().filter(|argument| !argument.is_empty()).collect();
        let output = marathon(&[&["--master", "127.0.0.1:1"], &wrong[..]].concat());
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
}
