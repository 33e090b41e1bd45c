//! The program, run as its user runs it.

use serde_json::{Value as Json, json};
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// The longest that a test waits for one thing.
const LIMIT: Duration = Duration::from_secs(60);

/// A running program, which ends with the test.
pub(crate) struct Program(pub(crate) Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Program {
    /// Sends a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.0), signal).unwrap();
    }

    /// Waits for the end, and returns the exit status.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        for _ in 0..LIMIT.as_millis() / 10 {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the program does not end");
    }
}

/// Returns the command of the program, with no environment but `PATH`.
pub(crate) fn apportion(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_apportion"));
    command.args(arguments).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the program to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    apportion(arguments).output().unwrap()
}

/// Runs the program to its end, and returns its exit status, what it printed and what it said on standard error.
pub(crate) fn said(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = run(arguments);
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// Starts the program and returns the address that it tells.
pub(crate) fn start(arguments: &[&str]) -> (Program, String) {
    started(apportion(arguments).stderr(Stdio::null()))
}

/// Starts a command of the program, and returns the address that it tells.
pub(crate) fn started(command: &mut Command) -> (Program, String) {
    let mut program = Program(command.spawn().unwrap());
    let line = read_up_to(program.0.stdout.as_mut().unwrap(), "\n");
    let address = line.split("http://").nth(1).and_then(|rest| rest.split(',').next());
    (program, address.unwrap_or_else(|| panic!("{line:?}")).to_owned())
}

/// Reads up to that text and no further.
pub(crate) fn read_up_to(from: &mut impl Read, text: &str) -> String {
    let mut read = Vec::new();
    while !read.ends_with(text.as_bytes()) {
        let mut byte = [0];
        from.read_exact(&mut byte).unwrap_or_else(|error| panic!("{}: {error}", String::from_utf8_lossy(&read)));
        read.extend(byte);
    }
    String::from_utf8(read).unwrap()
}

/// Gets a path, and returns the whole answer.
pub(crate) fn get(address: &str, path: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket.write_all(format!("GET {path} HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

/// A framework that runs on a master.
pub(crate) struct Framework {
    address: String,
    lines: std::io::Lines<BufReader<TcpStream>>,
    pub(crate) stream_id: String,
    pub(crate) id: String,
    /// The event SUBSCRIBED.
    pub(crate) subscribed: Json,
}

impl Framework {
    /// Subscribes under that name, with a role of its own.
    pub(crate) fn subscribe(address: &str, name: &str) -> Self {
        let info = json!({"user": "root", "name": name, "role": name});
        let stream = post(address, "", &json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": info}}));
        let lines = BufReader::new(stream).lines();
        let (stream_id, id) = (String::new(), String::new());
        let mut framework = Self { address: address.to_owned(), lines, stream_id, id, subscribed: Json::Null };
        let event = framework.event().unwrap();
        assert_eq!(event["type"], "SUBSCRIBED", "{event}");
        framework.id = event["subscribed"]["framework_id"]["value"].as_str().unwrap().to_owned();
        framework.subscribed = event;
        framework
    }

    /// Reads the next event; none at the end of the stream.
    pub(crate) fn event(&mut self) -> Option<Json> {
        loop {
            let line = self.lines.next()?.unwrap();
            if let Some(value) = line.strip_prefix("Mesos-Stream-Id: ") {
                value.clone_into(&mut self.stream_id);
            }
            // Between two records there is a chunk's and a record's length, on lines of their own.
            if let Ok(event @ Json::Object(_)) = serde_json::from_str::<Json>(line.trim()) {
                return Some(event);
            }
        }
    }

    /// Reads events up to one of that type.
    pub(crate) fn event_of(&mut self, kind: &str) -> Json {
        loop {
            let event = self.event().expect("the stream goes on");
            if event["type"] == kind {
                return event;
            }
        }
    }

    /// Calls, and returns the status line of the answer.
    pub(crate) fn call(&self, mut call: Json) -> String {
        call["framework_id"] = json!({ "value": self.id });
        let mut answer = String::new();
        let header = format!("Mesos-Stream-Id: {}\r\n", self.stream_id);
        post(&self.address, &header, &call).read_to_string(&mut answer).unwrap();
        answer.lines().next().unwrap_or_default().to_owned()
    }

    /// Launches a task of 1 cpu and 32 MB on the first agent of an offer.
    pub(crate) fn launch(&self, offers: &Json, task: &str, command: &str) {
        let offer = &offers["offers"]["offers"][0];
        let resources = json!([{"name": "cpus", "type": "SCALAR", "scalar": {"value": 1}},
            {"name": "mem", "type": "SCALAR", "scalar": {"value": 32}}]);
        let info = json!({"name": task, "task_id": {"value": task}, "agent_id": offer["agent_id"],
            "resources": resources, "command": {"value": command}});
        let accept = json!({"offer_ids": [offer["id"]],
            "operations": [{"type": "LAUNCH", "launch": {"task_infos": [info]}}]});
        let status = self.call(json!({"type": "ACCEPT", "accept": accept}));
        assert_eq!(status, "HTTP/1.1 202 Accepted");
    }
}

fn post(address: &str, headers: &str, body: &Json) -> TcpStream {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    let body = body.to_string();
    let head = format!(
        "POST /api/v1/scheduler HTTP/1.1\r\nHost: m\r\nConnection: close\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all((head + &body).as_bytes()).unwrap();
    socket
}
