//! The program of the guide that connects a scheduler to a master, against a small master.
#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

use apportion::v1::connection::{Connection, SchedulerDriver, StopReason};
use apportion::{Call, Calls, Framework, Offer, Role, Scheduler};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc::channel;
use std::time::Duration;

#[expect(dead_code, unreachable_pub, reason = "it is shown as a whole program, with a `main` of its own")]
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "it shows where a program logs")]
#[expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "a program has threads and a clock")]
#[path = "../../docs/connect.rs"]
mod connect;

/// Reads a request: its head in lower case, and its body.
fn request(stream: &mut impl BufRead) -> Option<(String, String)> {
    let (mut head, mut line) = (String::new(), String::new());
    while stream.read_line(&mut line).ok()? > 2 {
        head += &line.to_lowercase();
        line.clear();
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.trim().parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((head, String::from_utf8(body).ok()?))
}
/// A master that offers once, and notes what it is told. It is at `//localhost`, and elsewhere it says so.
fn master(listener: TcpListener) -> Vec<String> {
    let port = listener.local_addr().unwrap().port();
    let (told, seen) = channel();
    let mut stream = None;
    for connection in listener.incoming() {
        let mut connection = connection.unwrap();
        let mut reader = BufReader::new(connection.try_clone().unwrap());
        let Some((head, body)) = request(&mut reader) else { continue };
        if head.contains("host: 127.0.0.1") {
            write!(connection, "HTTP/1.1 307 Temporary Redirect\r\nLocation: //localhost:{port}/api/v1/scheduler\r\nContent-Length: 0\r\n\r\n").unwrap();
        } else if body.contains("SUBSCRIBE") {
            assert!(!head.contains("mesos-stream-id"));
            let mut events = Vec::new();
            let subscribed = r#"{"type":"SUBSCRIBED","subscribed":{"framework_id":{"value":"f-7"},"heartbeat_interval_seconds":15}}"#;
            let offers = r#"{"type":"OFFERS","offers":{"offers":[{"id":{"value":"O1"},"framework_id":{"value":"f-7"},"agent_id":{"value":"a1"},"hostname":"h1","resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":1.5}}]}]}}"#;
            apportion::v1::write_record(subscribed.as_bytes(), &mut events);
            apportion::v1::write_record(offers.as_bytes(), &mut events);
            write!(connection, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nMesos-Stream-Id: s-1\r\nContent-Type: application/json\r\n\r\n").unwrap();
            for piece in events.chunks(50) {
                write!(connection, "{:x}\r\n", piece.len()).unwrap();
                connection.write_all(piece).unwrap();
                write!(connection, "\r\n").unwrap();
            }
            stream = Some(connection);
        } else {
            let mut next = Some((head, body));
            while let Some((head, body)) = next {
                assert!(head.contains("mesos-stream-id: s-1") && body.contains(r#""framework_id":{"value":"f-7"}"#));
                let is_teardown = body.contains("TEARDOWN");
                told.send(body).unwrap();
                write!(connection, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n").unwrap();
                if is_teardown {
                    std::thread::sleep(Duration::from_millis(50));
                    write!(stream.take().unwrap(), "0\r\n\r\n").unwrap();
                    return seen.try_iter().collect();
                }
                next = request(&mut reader);
            }
        }
    }
    Vec::new()
}
/// Declines what it is offered, sleeps, and tears itself down.
struct Sleeper;
impl Scheduler for Sleeper {
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        calls.decline_all(&offers, Duration::from_secs(60));
        calls.wake_at(calls.at() + Duration::from_millis(20));
    }

    fn woken(&mut self, calls: &mut Calls) {
        calls.push(Call::Teardown);
    }
}

#[test]
fn the_program_of_the_guide_follows_a_redirect_declines_and_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    #[expect(clippy::disallowed_methods, reason = "the master has a thread of its own")]
    let server = std::thread::spawn(move || master(listener));
    let connection = Connection::new([address], Framework::new("").role(Role::new("web").unwrap()), 7).unwrap();
    assert_eq!(connect::run(SchedulerDriver::new(connection, Sleeper), &connect::client()), StopReason::TornDown);
    let told = server.join().unwrap();
    assert!(told[0].contains("DECLINE") && told[1].contains("TEARDOWN"), "{told:?}");
}
