//! The program as its user starts and ends it.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that goes wrong ends")]

#[allow(dead_code, reason = "other tests use more of it")]
mod running;

use apportion_console::testing::check_endings_with;
use running::{Framework, apportion, get, read_up_to, said, start, started};
use rustix::process::Signal;
use serde_json::Value as Json;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn a_framework_runs_a_task_on_a_simulated_agent() {
    let (mut program, address) =
        start(&["up", "--simulated", "--port=0", "--agents", "2", "--allocation_interval=50ms"]);
    let mut framework = Framework::subscribe(&address, "web");
    let offers = framework.event_of("OFFERS");
    assert!(offers["offers"]["offers"][0]["hostname"].as_str().unwrap().starts_with("127.0.0."));
    framework.launch(&offers, "t", "sleep 0.05");
    let mut states = Vec::new();
    while states.last().is_none_or(|state| state != "TASK_FINISHED") {
        let event = framework.event_of("UPDATE");
        let status = &event["update"]["status"];
        assert!(status["uuid"].is_string() && status["timestamp"].as_f64().unwrap() > 1.7e9, "{status}");
        states.push(status["state"].as_str().unwrap().to_owned());
    }
    assert_eq!(states, ["TASK_RUNNING", "TASK_FINISHED"]);
    program.signal(Signal::TERM);
    assert_eq!(program.ended(), Some(0));
}

#[test]
fn a_signal_ends_the_master_in_order_and_a_second_one_at_once() {
    for (signal, name) in [(Signal::INT, "interrupted"), (Signal::TERM, "terminated")] {
        let (mut program, address) = started(&mut apportion(&["up", "--simulated", "--port=0"]));
        let mut framework = Framework::subscribe(&address, "web");
        program.signal(signal);
        while framework.event().is_some() {} // the end of the stream, and no error of the connection
        assert_eq!(program.ended(), Some(0));
        let mut log = String::new();
        program.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        assert!(log.contains(&format!("{name}: the master ends")) && log.contains("the master has ended"), "{log}");
    }
    let (mut program, address) = started(&mut apportion(&["up", "--simulated", "--port=0"]));
    // A request that never ends holds the master up.
    let mut socket = std::net::TcpStream::connect(address).unwrap();
    std::io::Write::write_all(&mut socket, b"POST /api/v1 HTTP/1.1\r\nHost: m\r\nContent-Length: 9\r\n\r\n").unwrap();
    program.signal(Signal::INT);
    let mut log = program.0.stderr.take().unwrap();
    read_up_to(&mut log, "interrupted: the master ends");
    program.signal(Signal::TERM);
    let status = program.ended();
    assert!(status == Some(130) || status == Some(0), "0 if the signal came after the end: {status:?}");
}

#[test]
fn it_tells_where_to_connect_and_the_command_for_it_works() {
    let (mut program, address) = start(&["up", "--simulated", "--port=0", "--agents=2"]);
    let mut stdout = program.0.stdout.take().unwrap();
    let text = read_up_to(&mut stdout, "Ctrl-C ends it.\n"); // behind the first line, which has been read
    drop(stdout); // nobody reads on
    assert!(text.contains("apportion agents --master"), "{text}");
    let curl = text.lines().find(|line| line.trim().starts_with("curl ")).unwrap();
    if let Ok(output) = Command::new("sh").args(["-c", &curl.replace("curl ", "curl -s ")]).output()
        && output.status.success()
    {
        let answer: Json = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["type"], "GET_ROLES");
    } else {
        eprintln!("curl is not installed: skipped");
    }
    let (status, flags, _) = said(&["weights", "--master", &address]);
    assert_eq!((status, flags.as_str()), (Some(0), "no weights set; any other is 1\n"));
    program.signal(Signal::TERM);
    assert_eq!(program.ended(), Some(0));
}

#[test]
fn the_work_folder_holds_the_id_and_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let work_dir = folder.path().join("a/b");
    let flag = format!("--work_dir={}", work_dir.display());
    let (mut program, _) = start(&["master", "--port=0", &flag, "--log-json"]);
    program.signal(Signal::TERM);
    assert_eq!(program.ended(), Some(0));
    let id = std::fs::read_to_string(work_dir.join("id")).unwrap();
    assert_eq!(id.trim().len(), 36, "{id}");
    let log = std::fs::read_to_string(work_dir.join("logs/master.log")).unwrap();
    let lines: Vec<Json> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said = |text: &str| lines.iter().any(|line| line["fields"]["message"].as_str().unwrap().contains(text));
    assert!(said("of an earlier run are not kept") && said("the master has ended"), "{log}");

    let (status, _, error) = running::said(&["master", "--port=0", "--work-dir=/dev/null/x"]);
    assert!(status == Some(1) && error.starts_with("/dev/null/x: "), "{error}");
}

#[test]
fn clients_are_told_what_is_advertised_and_the_flags() {
    let flags = ["--ip=0.0.0.0", "--port=0", "--advertise_ip=127.0.0.2", "--no-hostname-lookup", "--domain=eu/a"];
    let (_program, address) = start(&[&["up", "--simulated"], &flags[..]].concat());
    assert!(address.starts_with("127.0.0.2:"), "{address}");
    let told = get(&address, "/flags");
    let told: Json = serde_json::from_str(told.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    let expected = [("domain", "eu/a"), ("advertise_ip", "127.0.0.2"), ("hostname_lookup", "false"), ("port", "0")];
    for (name, value) in expected.into_iter().chain([("allocation_interval", "1secs"), ("agents", "3")]) {
        assert_eq!(told["flags"][name], value, "{name}");
    }
    assert!(get(&address, "/redirect").contains(&format!("Location: //{address}/\r\n")));
    let mut framework = Framework::subscribe(&address, "web");
    let info = &framework.subscribed["subscribed"]["master_info"];
    assert_eq!(info["address"]["ip"], "127.0.0.2");
    assert_eq!(info["domain"]["fault_domain"]["zone"]["name"], "a");
    framework.event_of("OFFERS");
}

#[test]
fn a_record_is_complete_when_the_program_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let work_dir = format!("--work_dir={}", folder.path().display());
    let (mut program, address) =
        start(&["up", "--simulated", "--port=0", "--agents=2", &work_dir, "--record=run.jsonl"]);
    Framework::subscribe(&address, "web").event_of("OFFERS");
    program.signal(Signal::TERM);
    assert_eq!(program.ended(), Some(0));
    let lines = std::fs::read_to_string(folder.path().join("run.jsonl")).unwrap();
    let lines: Vec<Json> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str| lines.iter().filter(|line| line["do"][kind].is_object()).count();
    assert_eq!((of("restore"), of("add_agent")), (1, 2), "{lines:?}");
}

#[test]
fn few_open_files_are_said() {
    let program = env!("CARGO_BIN_EXE_apportion");
    let script = format!("ulimit -n 100 && exec {program} up --port 0");
    let (mut program, _) =
        started(Command::new("sh").args(["-c", &script]).stdout(Stdio::piped()).stderr(Stdio::piped()));
    program.signal(Signal::TERM);
    assert_eq!(program.ended(), Some(0));
    let mut log = String::new();
    program.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(log.contains("room for 34 frameworks of 2 connections each") && log.contains("limit=100"), "{log}");
}

#[test]
fn what_is_wrong_with_the_command_line_is_said() {
    let said = |arguments: &[&str]| {
        let (status, out, error) = said(arguments);
        assert_eq!((status, out.as_str()), (Some(1), ""), "{arguments:?}");
        error
    };
    assert!(said(&["master", "--hartbeat_interval=1secs"]).contains("--heartbeat-interval"));
    assert!(said(&["mastr"]).contains("master"));
    assert!(said(&["master", "--allocation_interval=0ns"]).contains("at least 1us"));
    let error = said(&["master", "--port=0", "--authenticate_http_frameworks"]);
    assert!(error.contains("--credentials=FILE"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    std::fs::write(&file, "{}").unwrap();
    let flag = format!("--credentials={}", file.display());
    assert!(said(&["master", "--port=0", &flag]).contains("credentials"));
    assert!(said(&["master", "--port=0", "--whitelist=no/such/file"]).contains("\nno/such/file: "), "after the log");
}

#[test]
fn the_program_ends_as_every_program_does() {
    let (_program, address) = start(&["master", "--port=0"]);
    check_endings_with(Path::new(env!("CARGO_BIN_EXE_apportion")), &["roles", "--master", &address], 1);
}
