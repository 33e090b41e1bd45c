//! The same against a real engine, which `tests/docker/engine` starts; without one these tests do nothing and say so.

use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use apportion_exec::docker::{Container, Engine, Logins, Place};
use serde_json::{Value, json};
use tokio::time::timeout;

const AGENT: &str = "agent-real";

/// The engine's socket and the image's name, if there is an engine.
fn engine() -> Option<(PathBuf, String)> {
    #[expect(clippy::disallowed_methods, reason = "how the script tells where the engine is")]
    let told = |name| std::env::var(name).ok();
    let found = told("APPORTION_TEST_DOCKER_SOCKET").zip(told("APPORTION_TEST_DOCKER_IMAGE"));
    if found.is_none() {
        println!("no real engine: skipped (tests/docker/engine starts one)");
    }
    found.map(|(socket, image)| (PathBuf::from(socket), image))
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), what).await.expect("within a minute")
}

fn resources(port: u64) -> Value {
    json!([
        {"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.5}},
        {"name": "mem", "type": "SCALAR", "scalar": {"value": 32.0}},
        {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": port, "end": port}]}},
    ])
}

fn container(id: &str, sandbox: &Path, image: &str, docker: Value, command: &str) -> Container {
    let mut info =
        json!({"container": {"docker": docker}, "command": {"value": command}, "resources": resources(31_999)});
    info["container"]["docker"]["image"] = image.into();
    Container::of(&info, &Place::new(format!("{id}-{}", std::process::id()), AGENT, sandbox)).unwrap()
}

fn text(sandbox: &Path, name: &str) -> String {
    std::fs::read_to_string(sandbox.join(name)).unwrap()
}

#[tokio::test]
async fn exit_code_output_and_sandbox() {
    let Some((socket, image)) = engine() else { return };
    let sandbox = tempfile::tempdir().unwrap();
    let command = "echo out; echo err >&2; echo $MESOS_CONTAINER_NAME > $MESOS_SANDBOX/made; pwd; exit 7";
    let container = container(
        "exit",
        sandbox.path(),
        &image,
        json!({"parameters": [{"key": "workdir", "value": "/tmp"}]}),
        command,
    );
    let client = Engine::connect(&socket).await.unwrap();
    let running = soon(client.launch(&container, &Logins::default())).await.unwrap();
    let ended = soon(running.wait()).await;
    assert_eq!((ended.exit_code, ended.out_of_memory), (Some(7), false));
    assert_eq!(text(sandbox.path(), "stdout"), "out\n/tmp\n");
    assert_eq!(text(sandbox.path(), "stderr"), "err\n");
    assert_eq!(text(sandbox.path(), "made"), format!("{}\n", container.name));
    let found = soon(client.containers(AGENT)).await.unwrap();
    let found = found.iter().find(|found| found.name == container.name).unwrap();
    assert!(!found.running && format!("mesos-{}", found.container_id) == container.name);
    let inspection = soon(client.inspect(&container.name)).await.unwrap();
    // The engine notes the start after the fact: of a container that ends at once, `finished_at` may be the earlier.
    assert!(inspection.started_at.is_some() && inspection.finished_at.is_some(), "{inspection:?}");
    soon(running.remove()).await.unwrap();
    assert!(soon(client.inspect(&container.name)).await.unwrap_err().is_unknown());
}

#[tokio::test]
async fn what_the_engine_refuses_is_told_in_its_words() {
    let Some((socket, image)) = engine() else { return };
    let sandbox = tempfile::tempdir().unwrap();
    let client = Engine::connect(&socket).await.unwrap();
    let cases = [
        ("no-such-image-here.invalid/x", json!({}), "pull the image"),
        ("UPPER:case", json!({}), "invalid reference format"),
        (
            image.as_str(),
            json!({"parameters": [{"key": "volumes-from", "value": "nobody"}]}),
            "No such container: nobody",
        ),
        (image.as_str(), json!({"parameters": [{"key": "entrypoint", "value": "/no/such"}]}), "no such file"),
    ];
    for (image, docker, words) in cases {
        let container = container("refused", sandbox.path(), image, docker, "true");
        let refused = soon(client.launch(&container, &Logins::default())).await.unwrap_err().to_string();
        assert!(refused.contains(words) && refused.contains(&*socket.to_string_lossy()), "{refused}");
    }
}

#[tokio::test]
async fn bridge_maps_a_port_and_has_an_address() {
    let Some((socket, image)) = engine() else { return };
    let sandbox = tempfile::tempdir().unwrap();
    let docker = json!({"network": "BRIDGE", "port_mappings": [{"host_port": 31_999, "container_port": 80}],
        "parameters": [{"key": "mac-address", "value": "02:42:ac:11:00:99"}]});
    let command = "ip addr show eth0 | grep -o 02:42:ac:11:00:99; mkdir /www; echo served > /www/index.html; exec httpd -f -p 80 -h /www";
    let container = container("bridge", sandbox.path(), &image, docker, command);
    let client = Engine::connect(&socket).await.unwrap();
    let running = soon(client.launch(&container, &Logins::default())).await.unwrap();
    let address = running.inspect().await.unwrap().addresses[0];
    let mapped = SocketAddr::from(([127, 0, 0, 1], 31_999));
    for place in [SocketAddr::new(address, 80), mapped] {
        let answer = soon(async {
            loop {
                match get(place) {
                    Some(answer) if answer.ends_with("served\n") => return answer,
                    _ => tokio::time::sleep(Duration::from_millis(50)).await, // until the server in it listens
                }
            }
        });
        assert!(answer.await.starts_with("HTTP/1.1 200"));
    }
    let check = |words: &str| ["sh", "-c", words].map(str::to_owned).to_vec();
    let limit = Duration::from_secs(20);
    assert_eq!(soon(running.exec(&check("wget -q -O - http://127.0.0.1/ | grep served"), &[], limit)).await, Ok(0));
    assert_eq!(soon(running.exec(&check("echo $A; exit $A"), &["A=4".to_owned()], limit)).await, Ok(4));
    let late = soon(running.exec(&check("sleep 4321"), &[], Duration::from_millis(300))).await;
    assert!(late.is_err(), "{late:?}");
    let gone = soon(running.exec(&check("! ps | grep -v grep | grep 'sleep 4321'"), &[], limit)).await;
    assert_eq!(gone, Ok(0), "the check that was late is killed");
    soon(running.stop(Duration::from_secs(1))).await;
    assert!(soon(running.wait()).await.exit_code.is_some());
    assert_eq!(text(sandbox.path(), "stdout").lines().next(), Some("02:42:ac:11:00:99"));
    soon(running.remove()).await.unwrap();
}

fn get(address: SocketAddr) -> Option<String> {
    let mut connection = TcpStream::connect_timeout(&address, Duration::from_secs(5)).ok()?;
    connection.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    connection.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[tokio::test]
async fn memory_and_cpu_are_limited() {
    let Some((socket, image)) = engine() else { return };
    let sandbox = tempfile::tempdir().unwrap();
    let client = Engine::connect(&socket).await.unwrap();
    let hog = container("hog", sandbox.path(), &image, json!({}), "tail /dev/zero");
    let running = soon(client.launch(&hog, &Logins::default())).await.unwrap();
    let ended = soon(running.wait()).await;
    assert!(ended.out_of_memory, "{ended:?}");
    soon(running.remove()).await.unwrap();
    let cgroup = "cat /sys/fs/cgroup/cpu/cpu.shares 2>/dev/null || cat /sys/fs/cgroup/cpu.weight";
    let shares = container("shares", sandbox.path(), &image, json!({"network": "NONE"}), cgroup);
    let running = soon(client.launch(&shares, &Logins::default())).await.unwrap();
    assert_eq!(soon(running.wait()).await.exit_code, Some(0));
    let told = text(sandbox.path(), "stdout");
    assert!(["512", "20", "59"].contains(&told.trim()), "512 shares, or the weight that engines make of them: {told}");
    soon(running.remove()).await.unwrap();
}

#[tokio::test]
async fn tree_that_ignores_the_stop_is_killed() {
    let Some((socket, image)) = engine() else { return };
    let sandbox = tempfile::tempdir().unwrap();
    let client = Engine::connect(&socket).await.unwrap();
    let command = "trap '' TERM; (trap '' TERM; setsid sleep 5432) & echo ready; while true; do sleep 1; done";
    let container = container("stubborn", sandbox.path(), &image, json!({"network": "HOST"}), command);
    let running = soon(client.launch(&container, &Logins::default())).await.unwrap();
    soon(async {
        while text(sandbox.path(), "stdout") != "ready\n" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    soon(running.stop(Duration::from_millis(500))).await;
    assert_eq!(soon(running.wait()).await.exit_code, Some(137));
    soon(client.destroy(&container.name)).await;
    assert!(soon(client.inspect(&container.name)).await.unwrap_err().is_unknown());
}

/// Runs last of all, by itself: the script's engine is stopped (with `live-restore`, so that its containers go on) and started again.
#[tokio::test]
#[ignore = "stops the engine under the other tests: the script runs it by itself"]
async fn engine_that_is_stopped_and_back_ends_no_task() {
    let Some((socket, image)) = engine() else { return };
    #[expect(clippy::disallowed_methods, reason = "the script's own command, `stop` or `start`")]
    let script = std::env::var("APPORTION_TEST_DOCKER_ENGINE").unwrap();
    let tell = |what: &str| assert!(Command::new(&script).arg(what).status().unwrap().success(), "{what}");
    let sandbox = tempfile::tempdir().unwrap();
    let client = Engine::connect(&socket).await.unwrap();
    let command = "i=0; while [ ! -e $MESOS_SANDBOX/end ]; do i=$((i+1)); echo $i; sleep 0.1; done; echo done; exit 5";
    let container = container("outlives", sandbox.path(), &image, json!({}), command);
    let running = soon(client.launch(&container, &Logins::default())).await.unwrap();
    let wait = tokio::spawn(async move { (running.wait().await, running) });
    tell("stop");
    let lost = client.inspect(&container.name).await.unwrap_err();
    assert!(lost.is_passing(), "{lost}");
    assert!(!wait.is_finished());
    tell("start");
    soon(async { while client.inspect(&container.name).await.is_err() {} }).await;
    std::fs::write(sandbox.path().join("end"), "").unwrap();
    let (ended, running) = soon(wait).await.unwrap();
    assert_eq!(ended.exit_code, Some(5));
    let stdout = text(sandbox.path(), "stdout");
    let lines: Vec<&str> = stdout.lines().collect();
    let (last, counted) = lines.split_last().unwrap();
    assert_eq!(*last, "done");
    for (number, line) in (1..).zip(counted) {
        assert_eq!(*line, number.to_string(), "no line twice, none lost: {stdout}");
    }
    soon(running.remove()).await.unwrap();
}
