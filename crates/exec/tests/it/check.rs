//! Checks as they are made: commands, requests, connections.

use crate::witness::{LONG, Witness};
use apportion_exec::ProcessBuilder;
use apportion_exec::check::{Attempt, Outcome, Probe, REDIRECTS};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

fn made_within(probe: Probe, timeout: Duration) -> Outcome {
    let (sender, done) = mpsc::channel();
    let attempt = Attempt::begin(probe, timeout, move |outcome| sender.send(outcome).unwrap());
    let _attempt = attempt.unwrap();
    done.recv_timeout(LONG).unwrap()
}

fn made(probe: Probe) -> Outcome {
    made_within(probe, LONG)
}

fn http(port: u16, path: &str, redirects: u32) -> Probe {
    Probe::Http { address: local(port), path: path.to_owned(), redirects }
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Answers one request after the other, and says what was asked for.
fn server(answers: &'static [&'static str]) -> (u16, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = move |answer: &&str| {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let (mut asked, mut line) = (String::new(), String::new());
        reader.read_line(&mut asked).unwrap();
        while reader.read_line(&mut line).unwrap() > 2 {
            line.clear();
        }
        let answer = format!("HTTP/1.1 {answer}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        reader.get_mut().write_all(answer.as_bytes()).unwrap();
        asked.trim().to_owned()
    };
    (port, Builder::new().spawn(move || answers.iter().map(serve).collect()).unwrap())
}

#[test]
fn a_request_is_judged_by_its_status() {
    let cases = [
        ("200 OK", 200, Ok(())),
        ("204 No Content", 204, Ok(())),
        ("302 Found\r\nlocation: /there", 302, Ok(())),
        ("404 Not Found", 404, Err("found HTTP status 404, expected one from 200 to 399")),
        ("500 Internal", 500, Err("found HTTP status 500, expected one from 200 to 399")),
    ];
    for (answer, status, judged) in cases {
        let (port, served) = server(Box::leak(Box::new([answer])));
        let outcome = made(http(port, "/up?x=1", 0));
        assert_eq!(outcome, Outcome::Http(status));
        assert_eq!(outcome.judge(), judged.map_err(str::to_owned));
        assert_eq!(served.join().unwrap(), ["GET /up?x=1 HTTP/1.1"]);
    }
}

#[test]
fn redirects_are_followed_as_far_as_asked_for() {
    let (port, served) = server(&["302 Found\r\nlocation: /there", "503 Not Yet"]);
    assert_eq!(made(http(port, "/", REDIRECTS)), Outcome::Http(503));
    assert_eq!(served.join().unwrap(), ["GET / HTTP/1.1", "GET /there HTTP/1.1"]);
    let (port, served) = server(&["399 Nowhere", "399 Nowhere"]);
    assert_eq!(made(http(port, "/", REDIRECTS)).judge(), Ok(()));
    served.join().unwrap();
    let (port, served) = server(&["302 Found\r\nlocation: /", "302 Found\r\nlocation: /"]);
    assert!(made(http(port, "/", 1)).judge().is_err());
    served.join().unwrap();
}

#[test]
fn a_connection_is_accepted_or_not() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    assert_eq!(made(Probe::Tcp(listener.local_addr().unwrap())), Outcome::Tcp(Ok(())));
    for probe in [Probe::Tcp(local(1)), http(1, "/", 0)] {
        assert!(made(probe).judge().unwrap_err().contains("refused")); // no test is given a port below 1024
    }
}

#[test]
fn one_that_does_not_answer_times_out() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let short = Duration::from_millis(50);
    let outcome = made_within(http(listener.local_addr().unwrap().port(), "/", 0), short);
    assert_eq!(outcome, Outcome::TimedOut(short));
    assert_eq!(outcome.judge(), Err("it took longer than 0.05 s".to_owned()));
}

#[test]
fn a_command_is_judged_by_how_it_ends_and_leaves_nothing() {
    let command =
        |script: &str| Probe::Command(Box::new(ProcessBuilder::shell(script).variable("PATH", "/usr/bin:/bin")));
    assert_eq!(made(command("exit 0")).judge(), Ok(()));
    assert_eq!(made(command("exit 2")).judge(), Err("exited with status 2".to_owned()));
    assert_eq!(made(command("kill -KILL $$")).judge(), Err("terminated with signal Killed".to_owned()));
    let missing = made(Probe::Command(Box::new(ProcessBuilder::new(["no-such-command"]))));
    assert!(matches!(&missing, Outcome::Failed(why) if why.contains("no-such-command")), "{missing:?}");

    let (witness, writer) = Witness::new();
    let builder = ProcessBuilder::shell("sleep 1000 & wait").variable("PATH", "/usr/bin:/bin").stdout(writer);
    let short = Duration::from_millis(50);
    assert_eq!(made_within(Probe::Command(Box::new(builder)), short), Outcome::TimedOut(short));
    assert_eq!(witness.rest(), "");
}

#[test]
fn one_that_is_dropped_ends() {
    let (witness, writer) = Witness::new();
    let builder = ProcessBuilder::shell("echo up; sleep 1000 & wait").variable("PATH", "/usr/bin:/bin").stdout(writer);
    let attempt = Attempt::begin(Probe::Command(Box::new(builder)), LONG, |_| {}).unwrap();
    assert_eq!(witness.line(), "up\n");
    drop(attempt);
    assert_eq!(witness.rest(), "");
}
