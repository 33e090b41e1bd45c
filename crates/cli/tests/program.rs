//! The program as its user starts it.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::cast_possible_truncation,
    reason = "a test that goes wrong ends"
)]

use serde_json::{Value as Json, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// A running program, which ends with the test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn apportion(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_apportion"));
    command.args(arguments).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Starts the program and returns the address that it tells.
fn start(arguments: &[&str]) -> (Program, String) {
    let mut program = Program(apportion(arguments).stderr(Stdio::null()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(program.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let address = line.split("http://").nth(1).and_then(|rest| rest.split(',').next());
    (program, address.unwrap_or_else(|| panic!("{line:?}")).to_owned())
}

fn post(address: &str, headers: &str, body: &Json) -> TcpStream {
    let mut socket = TcpStream::connect(address).unwrap();
    let body = body.to_string();
    let head = format!(
        "POST /api/v1/scheduler HTTP/1.1\r\nHost: m\r\nConnection: close\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all((head + &body).as_bytes()).unwrap();
    socket
}

#[test]
fn a_framework_runs_a_task_on_a_simulated_agent() {
    let (mut program, address) = start(&["up", "--port=0", "--agents", "2", "--allocation_interval=50ms"]);
    let info = json!({"user": "root", "name": "test", "role": "web"});
    let stream = post(&address, "", &json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": info}}));
    let mut lines = BufReader::new(stream).lines();
    let mut stream_id = String::new();
    let (mut id, mut states, mut has_launched) = (Json::Null, Vec::new(), false);
    while states.last().is_none_or(|state| state != "TASK_FINISHED") {
        let line = lines.next().unwrap().unwrap();
        if let Some(value) = line.strip_prefix("Mesos-Stream-Id: ") {
            stream_id = format!("Mesos-Stream-Id: {value}\r\n");
        }
        // Between two records there is a chunk's and a record's length, on lines of their own.
        let Ok(event @ Json::Object(_)) = serde_json::from_str::<Json>(line.trim()) else { continue };
        match event["type"].as_str().unwrap() {
            "SUBSCRIBED" => id = event["subscribed"]["framework_id"].clone(),
            "OFFERS" if !has_launched => {
                let offer = &event["offers"]["offers"][0];
                assert!(offer["hostname"].as_str().unwrap().starts_with("127.0.0."));
                let resources = json!([{"name": "cpus", "type": "SCALAR", "scalar": {"value": 1}},
                    {"name": "mem", "type": "SCALAR", "scalar": {"value": 32}}]);
                let task = json!({"name": "t", "task_id": {"value": "t"}, "agent_id": offer["agent_id"],
                    "resources": resources, "command": {"value": "sleep 0.05"}});
                let accept = json!({"offer_ids": [offer["id"]],
                    "operations": [{"type": "LAUNCH", "launch": {"task_infos": [task]}}]});
                let call = json!({"type": "ACCEPT", "framework_id": id, "accept": accept});
                let mut answer = String::new();
                post(&address, &stream_id, &call).read_to_string(&mut answer).unwrap();
                assert!(answer.starts_with("HTTP/1.1 202 Accepted\r\n"), "{answer}");
                has_launched = true;
            }
            "UPDATE" => {
                let status = &event["update"]["status"];
                assert!(status["uuid"].is_string() && status["timestamp"].as_f64().unwrap() > 1.7e9, "{status}");
                states.push(status["state"].as_str().unwrap().to_owned());
            }
            _ => {}
        }
    }
    assert_eq!(states, ["TASK_RUNNING", "TASK_FINISHED"]);

    let pid = rustix::process::Pid::from_child(&program.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(program.0.wait().unwrap().success(), "it ends in order");
}

#[test]
fn what_is_wrong_with_the_command_line_is_said() {
    let said = |arguments: &[&str]| {
        let output = apportion(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(said(&["master", "--hartbeat_interval=1secs"]).contains("--heartbeat-interval"));
    assert!(said(&["mastr"]).contains("master"));
    let error = said(&["master", "--port=0", "--authenticate_http_frameworks"]);
    assert!(error.contains("--credentials=FILE"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    std::fs::write(&file, "{}").unwrap();
    let flag = format!("--credentials={}", file.display());
    assert!(said(&["master", "--port=0", &flag]).contains("credentials"));
    let output = apportion(&["--help"]).output().unwrap();
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("master"));
}
