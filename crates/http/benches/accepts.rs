//! Measures the ACCEPTs that a master does in a second, each sent when the one before is answered: JSON and protobuf, one task and a hundred
//! tasks a call. Server and client share the machine.
//!
//! `cargo bench -p apportion-http`; with `-- --test` once on a small cluster.

#![expect(clippy::disallowed_types, clippy::disallowed_methods, clippy::print_stdout, reason = "a bench measures time")]

use apportion::v1::RecordReader;
use apportion::{Agent, Command};
use apportion_http::protobuf::MessageType;
use apportion_http::{NoAgents, Server, Settings};
use serde_json::{Value as Json, json};
use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Instant;

type Failed = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failed> {
    let agents = if std::env::args().any(|argument| argument == "--test") { 20 } else { 10_000 };
    for tasks in [1, 100] {
        for content_type in ["application/json", "application/x-protobuf"] {
            let calls = agents / tasks.min(10);
            let seconds = measure(calls, tasks, content_type)?;
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let (calls_a_second, launches) = (calls as f64 / seconds, (calls * tasks) as f64 / seconds);
            println!(
                "{content_type:22} {tasks:3} tasks a call: {calls_a_second:6.0} calls/s, {launches:6.0} launches/s"
            );
        }
    }
    Ok(())
}

/// Returns the time in which so many calls are answered.
fn measure(calls: usize, tasks: usize, content_type: &str) -> Result<f64, Failed> {
    let (sender, receiver) = std::sync::mpsc::channel();
    let server = thread::spawn(move || serve(calls, &sender));
    let address = receiver.recv()?;
    let mut stream = post(address, "application/json", "", &subscription())?;
    let (stream_id, offers) = offers(&mut stream, calls)?;
    let mut bodies = Vec::with_capacity(calls);
    for (number, offer) in offers.iter().enumerate() {
        let json = accept(number, offer, tasks).to_string();
        let is_json = content_type == "application/json";
        bodies.push(if is_json { json.into_bytes() } else { MessageType::SCHEDULER_CALL.from_json(&json)? });
    }
    thread::spawn(move || std::io::copy(&mut stream, &mut std::io::sink())); // events are read, and thrown away
    let mut socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    let (start, mut answer) = (Instant::now(), [0; 4096]);
    for body in &bodies {
        socket.write_all(&request(content_type, &stream_id, body))?;
        let length = socket.read(&mut answer)?;
        if !answer[..length].starts_with(b"HTTP/1.1 202") {
            return Err(String::from_utf8_lossy(&answer[..length]).into());
        }
    }
    // An ACCEPT is answered once it is queued. This call is answered once it is done, after all before it.
    let mut info = framework_info();
    info["id"] = json!({"value": "apportion-F1"});
    let update = json!({"type": "UPDATE_FRAMEWORK", "framework_id": info["id"],
        "update_framework": {"framework_info": info}});
    socket.write_all(&request("application/json", &stream_id, update.to_string().as_bytes()))?;
    let length = socket.read(&mut answer)?;
    if !answer[..length].starts_with(b"HTTP/1.1 200") {
        return Err(String::from_utf8_lossy(&answer[..length]).into());
    }
    let seconds = start.elapsed().as_secs_f64();
    drop(server);
    Ok(seconds)
}

/// Runs a server with so many agents, until the bench ends.
fn serve(agents: usize, started: &std::sync::mpsc::Sender<SocketAddr>) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let server = Server::start(Settings::default(), NoAgents);
        for number in 0..agents {
            let agent =
                Agent::new(format!("a{number}"), "cpus:128;mem:131072;disk:131072;ports:[31000-32000]".parse()?);
            server.command(Command::AddAgent(agent.into())).await?;
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        started.send(listener.local_addr()?)?;
        server.serve(listener).await;
        Ok(())
    })
}

fn framework_info() -> Json {
    json!({"user": "root", "name": "bench", "roles": ["web"],
        "capabilities": [{"type": "MULTI_ROLE"}, {"type": "RESERVATION_REFINEMENT"}]})
}

fn subscription() -> Vec<u8> {
    json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": framework_info()}}).to_string().into_bytes()
}

fn accept(number: usize, offer: &Json, tasks: usize) -> Json {
    let task = |task: usize| {
        let id = format!("task.{number}.{task}");
        json!({"name": id, "task_id": {"value": id}, "agent_id": offer["agent_id"],
            "command": {"value": "sleep 30", "environment": {"variables": [{"name": "A", "value": "b"}]}},
            "labels": {"labels": [{"key": "app", "value": "bench"}]},
            "resources": [
                {"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.5}, "allocation_info": {"role": "web"}},
                {"name": "mem", "type": "SCALAR", "scalar": {"value": 64.0}, "allocation_info": {"role": "web"}}]})
    };
    let tasks: Vec<Json> = (0..tasks).map(task).collect();
    let operation = json!({"type": "LAUNCH", "launch": {"task_infos": tasks}});
    json!({"type": "ACCEPT", "framework_id": {"value": "apportion-F1"}, "accept": {"offer_ids": [offer["id"]],
        "operations": [operation], "filters": {"refuse_seconds": 1e6}}})
}

fn request(content_type: &str, stream_id: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /api/v1/scheduler HTTP/1.1\r\nHost: m\r\nContent-Type: {content_type}\r\n{stream_id}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn post(address: SocketAddr, content_type: &str, stream_id: &str, body: &[u8]) -> Result<TcpStream, Failed> {
    let mut socket = TcpStream::connect(address)?;
    socket.write_all(&request(content_type, stream_id, body))?;
    Ok(socket)
}

/// Reads a stream until there are so many offers. Returns the header of its id, and the offers.
fn offers(stream: &mut TcpStream, number: usize) -> Result<(String, Vec<Json>), Failed> {
    let (mut read, mut piece) = (Vec::new(), vec![0; 1 << 20]);
    let mut more = |read: &mut Vec<u8>| -> Result<(), Failed> {
        let length = stream.read(&mut piece)?;
        read.extend_from_slice(&piece[..length]);
        if length == 0 { Err("the stream ends".into()) } else { Ok(()) }
    };
    let find = |read: &[u8], end: &[u8]| read.windows(end.len()).position(|window| window == end);
    let head = loop {
        match find(&read, b"\r\n\r\n") {
            Some(end) => break read.drain(..end + 4).collect::<Vec<u8>>(),
            None => more(&mut read)?,
        }
    };
    let head = String::from_utf8(head)?;
    let id = head.lines().find(|line| line.starts_with("Mesos-Stream-Id")).ok_or("a stream has an id")?;
    let (mut records, mut offers) = (RecordReader::default(), Vec::new());
    while offers.len() < number {
        let Some(end) = find(&read, b"\r\n") else {
            more(&mut read)?;
            continue;
        };
        let length = usize::from_str_radix(std::str::from_utf8(&read[..end])?, 16)?;
        while read.len() < end + 4 + length {
            more(&mut read)?;
        }
        let chunk: Vec<u8> = read.drain(..end + 4 + length).collect();
        let mut piece = &chunk[end + 2..end + 2 + length];
        while let Some(record) = records.read(&mut piece)? {
            let event: Json = serde_json::from_slice(&record)?;
            offers.extend(event["offers"]["offers"].as_array().into_iter().flatten().cloned());
        }
    }
    offers.truncate(number);
    Ok((format!("{id}\r\n"), offers))
}
