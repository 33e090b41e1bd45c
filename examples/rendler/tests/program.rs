//! The program `rendler`: what it writes, and what it refuses.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use serde_json::{Value as Json, json};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const SITE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/site");

/// Runs the program with a folder of its own to write into.
fn rendler(arguments: &[&str]) -> (Output, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rendler"));
    command.args(arguments).arg("--out").arg(folder.path().join("out"));
    (command.output().unwrap(), folder)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn pictures(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder.join("out/pictures")).unwrap();
    files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn the_shipped_site_is_drawn() {
    let (output, folder) = rendler(&[SITE, "--cards"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    let summary = "8 pages, 30 links, 1 other file, 1 missing, 8 text cards";
    assert!(told.lines().any(|line| line == summary), "{told}");
    assert!(told.contains("/retired/slots.html: missing: no such file; linked from /glossary.html\n"), "{told}");
    assert!(told.contains("the pictures are text cards"), "{told}");
    assert_eq!(pictures(folder.path()).len(), 8);

    let dot = fs::read_to_string(folder.path().join("out/graph.dot")).unwrap();
    assert_eq!((dot.matches(" -> ").count(), dot.matches("image=\"pictures/").count()), (30, 8));
    assert!(dot.contains("  \"/glossary.html\" -> \"/retired/slots.html\";\n"), "{dot}");
    assert!(
        dot.contains("\"/retired/slots.html\" [label=\"/retired/slots.html\\nmissing: no such file\", class=missing];")
    );
    let html = fs::read_to_string(folder.path().join("out/graph.html")).unwrap();
    assert_eq!(html.matches("data:image/svg+xml;base64,").count(), 8);
    assert!(html.contains(summary) && html.contains("<h1>") && html.contains(" · file://"), "{html}");
}

/// Accepts a connection of an executor. A read from it that takes too long fails.
fn accept(agent: &TcpListener) -> BufReader<TcpStream> {
    let (socket, _) = agent.accept().unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    BufReader::new(socket)
}

/// Reads a call of an executor.
fn call(socket: &mut BufReader<TcpStream>) -> Json {
    let mut length = 0;
    loop {
        let mut line = String::new();
        socket.read_line(&mut line).unwrap();
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
        if line.is_empty() {
            let mut body = vec![0; length];
            socket.read_exact(&mut body).unwrap();
            return serde_json::from_slice(&body).unwrap();
        }
    }
}

/// Sends an event to an executor.
fn event(socket: &mut BufReader<TcpStream>, event: &Json) {
    let event = event.to_string();
    let record = format!("{}\n{event}", event.len());
    write!(socket.get_mut(), "{:x}\r\n{record}\r\n", record.len()).unwrap();
}

/// The program as an agent starts it: an executor that crawls a page, and ends when it is told to.
#[test]
fn an_agent_starts_it_as_an_executor() {
    let agent = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rendler"));
    command.args([SITE, "--executor", "--cards", "--out"]).arg(folder.path());
    command.env("MESOS_FRAMEWORK_ID", "f1").env("MESOS_EXECUTOR_ID", "crawler").env("MESOS_CHECKPOINT", "0");
    command.env("MESOS_AGENT_ENDPOINT", agent.local_addr().unwrap().to_string());
    let mut program = command.spawn().unwrap();
    let mut stream = accept(&agent);
    assert_eq!(call(&mut stream)["type"], "SUBSCRIBE");
    write!(stream.get_mut(), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    let info = json!({"executor_id": {"value": "crawler"}});
    event(&mut stream, &json!({"type": "SUBSCRIBED", "subscribed": {"executor_info": info}}));
    let job = "eyJraW5kIjoiY3Jhd2wiLCJwYWdlIjoiL2luZGV4Lmh0bWwifQ=="; // {"kind":"crawl","page":"/index.html"}
    let resources = json!([{"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.25}}]);
    let task = json!({"name": "t", "task_id": {"value": "t"}, "agent_id": {"value": "a"}, "resources": resources, "data": job});
    event(&mut stream, &json!({"type": "LAUNCH", "launch": {"task": task}}));
    let mut calls = accept(&agent);
    for state in ["TASK_RUNNING", "TASK_FINISHED"] {
        let update = call(&mut calls);
        assert_eq!(update["update"]["status"]["state"], state);
        if state == "TASK_FINISHED" {
            assert!(update["update"]["status"]["data"].as_str().unwrap().len() > 100, "the links: {update}");
        }
        write!(calls.get_mut(), "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n").unwrap();
    }
    event(&mut stream, &json!({"type": "SHUTDOWN"}));
    write!(stream.get_mut(), "0\r\n\r\n").unwrap();
    assert!(program.wait().unwrap().success());

    command.env("MESOS_EXECUTOR_ID", "painter");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("expected crawler or renderer"));
}

#[test]
fn the_same_site_is_the_same_drawing() {
    let draw = || {
        let (output, folder) = rendler(&[SITE, "--cards", "--agents", "5"]);
        assert!(output.status.success());
        ["graph.dot", "graph.html"].map(|name| fs::read_to_string(folder.path().join("out").join(name)).unwrap())
    };
    assert_eq!(draw(), draw());
}

/// A browser that cannot draw is no reason to crawl less.
#[cfg(unix)]
#[test]
fn a_browser_that_fails_leaves_pages_without_pictures() {
    let (output, folder) = rendler(&[SITE, "--browser", "/bin/false", "--retries", "1", "--renders", "2"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    assert_eq!(told.matches("the browser ended with exit status: 1 and made no picture").count(), 2, "{told}");
    assert!(told.contains("tried again: 2 times\n8 pages, 30 links, 1 other file, 1 missing\n"), "{told}");
    assert!(pictures(folder.path()).is_empty());
}

#[test]
fn wrong_input_is_refused_with_status_2_and_a_precise_message() {
    for (arguments, message) in [
        (&["no/such/folder"][..], "no/such/folder: No such file"),
        (&["http://example.org/"], "http://example.org/: example.org is not this machine"),
        (&["ftp://localhost/"], "ftp://localhost/: found ftp://, expected http:// or a folder"),
        (&[SITE, "--pages", "0"], "0 is not in 1..=100000"),
        (&[SITE, "--browser", "/no/browser"], "--browser /no/browser: no such file"),
        (&[SITE, "--cards", "--browser", "/bin/false"], "cannot be used with"),
        (&[SITE, "--master", "zk://z1:2181/mesos"], "ZooKeeper is not asked, expected host:port"),
        (&[SITE, "--master", "file:///no/such/file"], "/no/such/file: No such file"),
        (&[SITE, "--master", "m1:5050", "--agents", "3"], "cannot be used with"),
        (&[], "required"),
    ] {
        let (output, _folder) = rendler(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(message), "{arguments:?}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_master_that_breaks_off_is_told_and_one_that_refuses_is_status_1() {
    let master = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = master.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rendler"));
    command.args([SITE, "--cards", "--master", &address, "--out"]).arg(folder.path()).stderr(Stdio::piped());
    let program = command.spawn().unwrap();
    drop(master.accept().unwrap());
    let mut socket = accept(&master);
    let subscribe = call(&mut socket);
    assert_eq!((&subscribe["type"], subscribe["framework_id"].is_null()), (&json!("SUBSCRIBE"), true));
    write!(socket.get_mut(), "HTTP/1.1 400 Bad Request\r\nContent-Length: 7\r\n\r\nno role").unwrap();
    let output = program.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(told.contains("WARN a subscription has failed") && told.contains(&address), "{told}");
    assert!(told.ends_with("the subscription was refused (status 400): no role\n"), "{told}");
}

#[test]
fn a_first_page_that_cannot_be_had_is_status_1() {
    // A port that was free a moment ago, and where nobody listens.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let site = format!("http://127.0.0.1:{port}/");
    let (output, _folder) = rendler(&[&site, "--retries", "0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).starts_with(&format!("{site}: ")), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    assert!(told.starts_with("/: failed: ") && !told.contains("linked from"), "{told}");
}

#[test]
fn it_ends_quietly_on_a_closed_pipe_and_with_a_line_on_a_full_device() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let arguments = [SITE, "--cards", "--out", out.to_str().unwrap()];
    apportion_console::testing::check_endings(Path::new(env!("CARGO_BIN_EXE_rendler")), &arguments);
}

#[test]
fn outputs_are_checked_before_the_crawl() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("out/graph.html")).unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    for (out, message) in [("out", "/out/graph.html: Is a directory"), ("file", "/file/pictures: ")] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rendler"));
        let output = command.args([SITE, "--cards", "--out"]).arg(folder.path().join(out)).output().unwrap();
        assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(2), true));
        assert!(text(&output.stderr).contains(message), "{}", text(&output.stderr));
    }
    assert_eq!(fs::read_dir(folder.path().join("out/pictures")).unwrap().count(), 0, "nothing was crawled");
}

/// Ctrl-C while a server keeps it waiting: what there is is drawn.
#[cfg(unix)]
#[test]
fn an_interrupted_crawl_is_drawn_as_far_as_it_went() {
    use std::io::{Read, Write};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let site = format!("http://{}/", listener.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rendler"));
    command.args([&site, "--renders", "0", "--out"]).arg(folder.path()).stdout(Stdio::piped());
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    let (mut first, _) = listener.accept().unwrap();
    let _ = first.read(&mut [0; 4096]).unwrap();
    let body = "<a href=next>next</a>";
    write!(first, "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        .unwrap();
    drop(first);
    let second = listener.accept().unwrap(); // the crawl of /next waits for an answer from now on
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    drop(second);
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("1 page, 1 link, 1 not crawled\n"), "{}", text(&output.stdout));
    assert!(text(&output.stderr).starts_with("interrupted"), "{}", text(&output.stderr));
    assert!(fs::read_to_string(folder.path().join("graph.dot")).unwrap().contains("\"/\" -> \"/next\""));
}
