//! Tasks with a Docker image. `crates/exec/tests/docker/engine` starts an engine for them; without one they say so and do nothing,
//! but for the first.

use crate::rig::{Rig, command, is_running, of_executor};
use crate::wire::{bounded, get};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value as Json, json};
use std::net::SocketAddr;
use std::time::Duration;

/// An engine, and an image of a busybox that it has.
struct Engine {
    socket: String,
    image: String,
}

impl Engine {
    fn find() -> Option<Self> {
        #[expect(clippy::disallowed_methods, reason = "how the script tells where the engine is")]
        let told = |name| std::env::var(name).ok();
        let found = told("APPORTION_TEST_DOCKER_SOCKET").zip(told("APPORTION_TEST_DOCKER_IMAGE"));
        #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
        if found.is_none() {
            eprintln!("no real engine: skipped (crates/exec/tests/docker/engine starts one)");
        }
        found.map(|(socket, image)| Self { socket, image })
    }

    /// Starts an agent that asks this engine.
    async fn rig(&self, checkpoint: bool, ports: &str) -> Rig {
        Rig::start(checkpoint, &self.flags(ports).each_ref().map(String::as_str)).await
    }

    /// Each test has ports of its own: the tests share the machine.
    fn flags(&self, ports: &str) -> [String; 3] {
        [
            "--containerizers=docker,mesos".to_owned(),
            format!("--docker_socket={}", self.socket),
            format!("--resources=cpus:4;mem:1024;disk:1024;ports:[{ports}]"),
        ]
    }

    fn task(&self, id: &str, script: &str, docker: Json) -> Json {
        with_image(command(id, script), &self.image, docker)
    }
}

/// Returns a task that runs in a container of that image; `docker` is what else its `DockerInfo` says.
fn with_image(mut task: Json, image: &str, mut docker: Json) -> Json {
    docker["image"] = image.into();
    task["container"] = json!({"type": "DOCKER", "docker": docker});
    task
}

fn with_port(mut task: Json, port: u16) -> Json {
    let range = json!({"range": [{"begin": port, "end": port}]});
    task["resources"].as_array_mut().unwrap().push(json!({"name": "ports", "type": "RANGES", "ranges": range}));
    task
}

/// Waits until a file of a sandbox is as it should be, and returns its text.
async fn file(rig: &Rig, executor: &str, name: &str, is_right: impl Fn(&str) -> bool) -> String {
    let framework = &rig.framework.id;
    let path = format!("/frameworks/{framework}/executors/{executor}/runs/latest/{name}");
    let path = format!("/files/read?path={path}&offset=0&length=-1");
    let wait = async {
        loop {
            let answer = get(rig.agent.address, &path).await;
            let read: Json = serde_json::from_str(answer.text()).unwrap_or_default(); // it may not be there yet
            if let Some(text) = read["data"].as_str().filter(|text| is_right(text)) {
                return text.to_owned();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    bounded(name, wait).await
}

/// Waits until something in a container answers over HTTP.
async fn answer(address: SocketAddr) -> String {
    let wait = async {
        while std::net::TcpStream::connect(address).is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        get(address, "/").await.text().to_owned()
    };
    bounded("an answer of the container", wait).await
}

#[tokio::test]
async fn without_an_engine_a_task_fails_and_the_agent_goes_on() {
    let flags = ["--containerizers=docker,mesos", "--docker_socket=/no/such/docker.sock"];
    let mut rig = Rig::start(false, &flags).await;
    rig.launch(with_image(command("t", "true"), "redis", json!({}))).await;
    let failed = rig.status_of("TASK_FAILED").await;
    assert_eq!(failed["reason"], "REASON_CONTAINER_LAUNCH_FAILED", "{failed}");
    let message = failed["message"].as_str().unwrap();
    assert!(message.contains("/no/such/docker.sock") && message.contains("does not answer"), "{message}");
    file(&rig, "t", "stderr", |text| text.contains("/no/such/docker.sock")).await;

    let mut task = of_executor("other", "f", "true");
    task["executor"]["container"] = json!({"type": "DOCKER", "docker": {"image": "redis"}});
    rig.launch(task).await;
    let failed = rig.status_of("TASK_FAILED").await;
    assert_eq!(failed["reason"], "REASON_CONTAINER_LAUNCH_FAILED", "{failed}");
    assert!(failed["message"].as_str().unwrap().contains("/no/such/docker.sock"), "{failed}");

    rig.launch(command("process", "exit 0")).await;
    rig.status_of("TASK_FINISHED").await;
}

#[tokio::test]
async fn a_container_ends_with_its_exit_code_and_its_output_is_in_the_sandbox() {
    let Some(engine) = Engine::find() else { return };
    let mut rig = engine.rig(false, "31100-31109").await;
    let script = "echo out; echo err >&2; echo $MESOS_CONTAINER_NAME > $MESOS_SANDBOX/name; echo $A; exit 7";
    let mut task = engine.task("code", script, json!({}));
    task["command"]["environment"] = json!({"variables": [{"name": "A", "value": "of the task"}]});
    rig.launch(task).await;
    let failed = rig.status_of("TASK_FAILED").await;
    assert_eq!(failed["message"], "Container exited with status 7", "{failed}");
    let framework = rig.framework.id.clone();
    assert_eq!(rig.file(&framework, "code", "stdout").await, "out\nof the task\n");
    assert_eq!(rig.file(&framework, "code", "stderr").await, "err\n");
    let mut tail = tokio::process::Command::new(env!("CARGO_BIN_EXE_apportion"));
    let tail = tail.args(["tail", "--master", &rig.master.to_string(), "code"]).kill_on_drop(true).output();
    assert_eq!(bounded("the output of `tail`", tail).await.unwrap().stdout, b"out\nof the task\n");
    let ended = rig.completed(1).await;
    let container = ended[0]["container"].as_str().unwrap();
    assert_eq!(rig.file(&framework, "code", "name").await, format!("mesos-{container}\n"));

    // No image, no port of its own, no such parameter, too little memory.
    let port = json!({"network": "BRIDGE", "port_mappings": [{"host_port": 31_101, "container_port": 80}]});
    for (id, task, words) in [
        ("image", with_image(command("image", "true"), "no-such-image.invalid/x", json!({})), "no-such-image.invalid"),
        ("port", engine.task("port", "true", port), "Port [31101] not included in resources"),
        (
            "parameter",
            engine.task("parameter", "true", json!({"parameters": [{"key": "nosuch", "value": "1"}]})),
            "nosuch",
        ),
    ] {
        rig.launch(task).await;
        let failed = rig.status_of("TASK_FAILED").await;
        assert_eq!(
            (&failed["task_id"]["value"], &failed["reason"]),
            (&json!(id), &json!("REASON_CONTAINER_LAUNCH_FAILED"))
        );
        assert!(failed["message"].as_str().unwrap().contains(words), "{failed}");
        file(&rig, id, "stderr", |text| text.contains(words)).await;
    }

    rig.launch(engine.task("hog", "tail /dev/zero", json!({}))).await;
    let failed = rig.status_of("TASK_FAILED").await;
    assert_eq!(failed["reason"], "REASON_CONTAINER_LIMITATION_MEMORY", "{failed}");
}

#[tokio::test]
async fn ports_of_a_container_answer_where_its_network_has_them() {
    let Some(engine) = Engine::find() else { return };
    let mut rig = engine.rig(false, "31110-31119").await;
    let serve = |port| format!("mkdir /www; echo served > /www/index.html; exec httpd -f -p {port} -h /www");
    let port = json!({"network": "BRIDGE", "port_mappings": [{"host_port": 31_110, "container_port": 80}]});
    let mut task = with_port(engine.task("bridge", &serve(80), port), 31_110);
    task["health_check"] =
        json!({"type": "HTTP", "http": {"port": 80, "path": "/"}, "delay_seconds": 0.0, "interval_seconds": 0.1});
    rig.launch(task).await;
    let running = rig.status_of("TASK_RUNNING").await;
    let infos = &running["container_status"]["network_infos"][0];
    let address = infos["ip_addresses"][0]["ip_address"].as_str().unwrap_or_else(|| panic!("{running}"));
    let healthy = loop {
        let status = rig.status_of("TASK_RUNNING").await;
        if status["healthy"] == true {
            break status;
        }
    };
    assert_eq!(healthy["container_status"]["network_infos"][0]["ip_addresses"][0]["ip_address"], address);
    assert_eq!(answer(SocketAddr::new(address.parse().unwrap(), 80)).await, "served\n");
    assert_eq!(answer(SocketAddr::from(([127, 0, 0, 1], 31_110))).await, "served\n");

    rig.launch(with_port(engine.task("host", &serve(31_111), json!({"network": "HOST"})), 31_111)).await;
    rig.status_of("TASK_RUNNING").await;
    assert_eq!(answer(SocketAddr::from(([127, 0, 0, 1], 31_111))).await, "served\n");

    for task in ["bridge", "host"] {
        rig.kill(task, Some(1)).await;
        let killed = rig.status_of("TASK_KILLED").await;
        assert_eq!(killed["task_id"]["value"], task);
    }
    assert!(std::net::TcpStream::connect(("127.0.0.1", 31_110)).is_err());
    assert!(std::net::TcpStream::connect(("127.0.0.1", 31_111)).is_err());
}

/// Waits until the script of a task has told its pid on the machine, which it has with the `pid` of the host.
async fn pid(rig: &Rig, task: &str) -> u32 {
    file(rig, task, "stdout", |text| text.lines().next().is_some_and(|line| line.parse::<u32>().is_ok()))
        .await
        .lines()
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

fn of_host() -> Json {
    json!({"parameters": [{"key": "pid", "value": "host"}]})
}

#[tokio::test]
async fn a_container_that_ignores_its_kill_or_loses_its_executor_is_ended() {
    let Some(engine) = Engine::find() else { return };
    let mut rig = engine.rig(false, "31120-31129").await;
    let script = "trap '' TERM; echo $$; while :; do sleep 0.1; done";
    rig.launch(engine.task("stubborn", script, of_host())).await;
    rig.status_of("TASK_RUNNING").await;
    let first = pid(&rig, "stubborn").await;
    assert!(is_running(first));
    rig.kill("stubborn", Some(1)).await;
    rig.status_of("TASK_KILLED").await;
    assert!(!is_running(first));

    rig.launch(engine.task("orphan", script, of_host())).await;
    rig.status_of("TASK_RUNNING").await;
    let second = pid(&rig, "orphan").await;
    let executor = executor_pid(&rig, "orphan");
    kill_process(Pid::from_raw(executor).unwrap(), Signal::KILL).unwrap();
    let failed = rig.status_of("TASK_FAILED").await;
    assert_eq!(failed["reason"], "REASON_EXECUTOR_TERMINATED", "{failed}");
    assert!(!is_running(second), "it is ended before that is told");
}

/// Returns the pid of the executor of a task, which is known by the sandbox that it runs in.
fn executor_pid(rig: &Rig, task: &str) -> i32 {
    let folder = rig.work_dir();
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let mut found = processes.filter_map(|entry| {
        let sandbox = std::fs::read_link(entry.path().join("cwd")).ok()?;
        let is_of_task = sandbox.starts_with(&folder) && sandbox.iter().any(|part| part == task);
        is_of_task.then(|| entry.file_name().to_str()?.parse().ok())?
    });
    found.next().unwrap()
}

#[tokio::test]
async fn an_agent_that_is_started_again_finds_its_containers() {
    let Some(engine) = Engine::find() else { return };
    let mut rig = engine.rig(true, "31130-31139").await;
    let script = "echo $$; while [ ! -e $MESOS_SANDBOX/end ]; do sleep 0.05; done; echo end; exit 3";
    for id in ["ends", "killed"] {
        rig.launch(engine.task(id, script, of_host())).await;
        rig.status_of("TASK_RUNNING").await;
    }
    let pids = [pid(&rig, "ends").await, pid(&rig, "killed").await];
    rig.kill_agent().await;
    assert!(pids.into_iter().all(is_running));
    rig.start_agent(&engine.flags("31130-31139").each_ref().map(String::as_str));
    rig.registered().await;
    assert_eq!([pid(&rig, "ends").await, pid(&rig, "killed").await], pids);
    let state = rig.ask("/state").await;
    let executors = state["frameworks"][0]["executors"].as_array().unwrap();
    let ends = executors.iter().find(|executor| executor["id"] == "ends").unwrap();
    std::fs::write(format!("{}/end", ends["directory"].as_str().unwrap()), "").unwrap();
    let failed = ended(&mut rig, "ends").await;
    assert_eq!(
        (&failed["state"], &failed["message"]),
        (&json!("TASK_FAILED"), &json!("Container exited with status 3"))
    );
    file(&rig, "ends", "stdout", |text| text == format!("{}\nend\n", pids[0])).await;
    rig.kill("killed", Some(1)).await;
    assert_eq!(ended(&mut rig, "killed").await["state"], "TASK_KILLED");
    assert!(!pids.into_iter().any(is_running));
}

/// Waits for the last status of a task.
async fn ended(rig: &mut Rig, task: &str) -> Json {
    loop {
        let status = rig.status().await;
        if status["task_id"]["value"] == task && status["state"] != "TASK_RUNNING" {
            return status;
        }
    }
}

#[tokio::test]
async fn an_executor_of_a_framework_runs_in_a_container() {
    let Some(engine) = Engine::find() else { return };
    let mut rig = engine.rig(false, "31140-31149").await;
    let mut task = of_executor("t", "e", "env > $MESOS_SANDBOX/environment; ls /bin/busybox; exit 7");
    task["executor"]["container"] = json!({"type": "DOCKER", "docker": {"image": engine.image}});
    rig.launch(task).await;
    let failed = rig.status_of("TASK_FAILED").await;
    assert_eq!(failed["reason"], "REASON_EXECUTOR_TERMINATED", "{failed}");
    let failure = rig.framework.stream.event_of("FAILURE").await;
    assert_eq!(failure["failure"]["status"], 1792, "{failure}");
    file(&rig, "e", "stdout", |text| text == "/bin/busybox\n").await;
    let environment = file(&rig, "e", "environment", |text| !text.is_empty()).await;
    for expected in ["MESOS_EXECUTOR_ID=e", "MESOS_SANDBOX=/mnt/mesos/sandbox"] {
        assert!(environment.lines().any(|line| line == expected), "{expected} is not in\n{environment}");
    }

    let mut task = of_executor("u", "f", "trap '' TERM; echo $$; while :; do sleep 0.1; done");
    task["executor"]["container"] =
        json!({"type": "DOCKER", "docker": {"image": engine.image, "parameters": of_host()["parameters"]}});
    rig.launch(task).await;
    let first = pid(&rig, "f").await;
    rig.kill("u", None).await;
    rig.status_of("TASK_KILLED").await;
    bounded("the end of the container", async {
        while is_running(first) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}
