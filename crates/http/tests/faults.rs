//! Clients and networks that do wrong: the master keeps little for them, says so in its log, and goes on with the others.

#![allow(clippy::unwrap_used, reason = "a test that goes wrong ends")]

mod wire;

use apportion_http::{NoAgents, Server, Settings};
use serde_json::{Value as Json, json};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, yield_now};
use tracing::subscriber::DefaultGuard;
use wire::{Client, bounded, start, subscribe, subscribed};

/// What the master logs in this test: each test has a runtime of one thread.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn start() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn count(&self, text: &str) -> usize {
        String::from_utf8_lossy(&self.0.lock().unwrap()).matches(text).count()
    }

    /// Waits until a line has that text.
    async fn has(&self, text: &str) {
        bounded(text, async {
            while self.count(text) == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await; // a log is no event to wait for
            }
        })
        .await;
    }
}

/// Sends what the other end may not take any more; returns whether it did.
async fn try_send(client: &mut Client, bytes: impl AsRef<[u8]>) -> bool {
    bounded("send", client.socket.write_all(bytes.as_ref())).await.is_ok()
}

/// Returns the number of frameworks that the master knows.
async fn frameworks(server: &Server) -> usize {
    server.query(|master| master.state().frameworks.len()).await.unwrap()
}

/// The service goes on: a new framework is offered something.
async fn goes_on(address: SocketAddr) {
    let mut other = subscribed(address, None, 0.0).await;
    other.stream.event_of("OFFERS").await;
}

#[tokio::test]
async fn a_half_open_connection_is_closed_whether_it_is_silent_within_a_head_or_within_a_body() {
    let (log, _guard) = Log::start();
    let (_server, address) = start(Settings::default().idle_timeout(Duration::from_millis(50))).await;
    for sent in ["", "POST /api/v1/scheduler HTT", "GET /version HTTP/1.1\r\nHost: m\r\n"] {
        let mut half = Client::connect(address).await;
        half.send(sent).await;
        assert!(half.answer().await.is_none_or(|answer| answer.status == 408), "{sent:?}");
    }
    log.has("a connection without a whole request is closed").await;

    let mut half = Client::connect(address).await;
    half.send("POST /api/v1/scheduler HTTP/1.1\r\nHost: m\r\nContent-Length: 100\r\n\r\n{\"type\":").await;
    assert_eq!(half.answer().await.unwrap().status, 408);
    assert!(half.answer().await.is_none(), "it is closed");
    log.has("a body comes too slowly").await;
    goes_on(address).await;
}

#[tokio::test]
async fn a_client_that_sends_single_bytes_is_served_unless_it_takes_for_ever() {
    let (log, _guard) = Log::start();
    let (_server, address) = start(Settings::default()).await;
    let mut slow = Client::connect(address).await;
    let body = subscribe(None, 0.0).to_string();
    let head = "POST /api/v1/scheduler HTTP/1.1\r\nHost: m\r\nContent-Type: application/json\r\n";
    for byte in format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).bytes() {
        slow.send([byte]).await;
        yield_now().await;
    }
    assert_eq!(slow.head().await.unwrap().status, 200);
    slow.event_of("OFFERS").await;

    let (_server, address) = start(Settings::default().idle_timeout(Duration::from_millis(50))).await;
    let mut slow = Client::connect(address).await;
    slow.send(format!("{head}Content-Length: 1000000\r\n\r\n")).await;
    let (mut sending, mut pause) = (0, tokio::time::interval(Duration::from_millis(10)));
    let ended = log.has("a body comes too slowly");
    tokio::pin!(ended);
    loop {
        tokio::select! {
            () = &mut ended => break,
            _ = pause.tick() => {
                slow.send(" ").await; // never a pause of 50 ms
                sending += 1;
            }
        }
    }
    assert!(sending > 10, "{sending}");
    goes_on(address).await;
}

/// Has the master send so many statuses that no socket takes them all: each repeats an id of so many bytes.
async fn overwhelm(address: SocketAddr, framework: &wire::Subscribed, statuses: usize, bytes: usize) {
    let task = |number| json!({"task_id": {"value": format!("{number}{}", "x".repeat(bytes))}});
    let tasks: Vec<Json> = (0..statuses).map(task).collect();
    let call = json!({"type": "RECONCILE", "reconcile": {"tasks": tasks}});
    assert_eq!(framework.call(address, call).await.status, 202);
}

#[tokio::test]
async fn a_framework_that_stops_reading_is_cut_when_too_much_waits_for_it() {
    let (log, _guard) = Log::start();
    let (_server, address) = start(Settings::default().slow_readers(1 << 20, Duration::from_secs(600))).await;
    let slow = subscribed(address, None, 100.0).await;
    overwhelm(address, &slow, 400, 100_000).await;
    log.has("too much waits for a framework, which is cut").await;
    assert_eq!(slow.call(address, json!({"type": "REVIVE"})).await.status, 403);
    goes_on(address).await;
}

#[tokio::test]
async fn a_framework_that_stops_reading_is_cut_after_a_time() {
    let (log, _guard) = Log::start();
    let (_server, address) = start(Settings::default().slow_readers(1 << 30, Duration::from_millis(100))).await;
    let slow = subscribed(address, None, 100.0).await;
    overwhelm(address, &slow, 400, 100_000).await;
    bounded("403", async { while slow.call(address, json!({"type": "REVIVE"})).await.status != 403 {} }).await;
    assert!(log.count("which is cut") + log.count("and is cut") > 0);
    goes_on(address).await;
}

/// Its stream has ended, but the rest of it is still to be written.
#[tokio::test]
async fn a_stream_that_another_has_followed_does_not_wait_for_its_reader() {
    let (log, _guard) = Log::start();
    let (_server, address) = start(Settings::default().slow_readers(1 << 30, Duration::from_millis(500))).await;
    let _first = subscribed(address, Some("f"), 100.0).await;
    let slow = subscribed(address, Some("f"), 100.0).await;
    overwhelm(address, &slow, 40, 700_000).await;
    let mut second = subscribed(address, Some("f"), 100.0).await;
    second.stream.event_of("OFFERS").await;
    log.has("a client takes nothing of its answer, and is cut").await;
    assert_eq!(second.call(address, json!({"type": "REVIVE"})).await.status, 202);
    assert!(log.count("another connection takes a framework over") >= 2);
}

#[tokio::test]
async fn a_client_that_asks_and_never_reads_is_cut() {
    let (log, _guard) = Log::start();
    let (_server, address) = start(Settings::default().slow_readers(1 << 20, Duration::from_millis(100))).await;
    let mut greedy = Client::connect(address).await;
    let requests = "GET /version HTTP/1.1\r\nHost: m\r\n\r\n".repeat(10_000);
    let asking = async {
        loop {
            if !try_send(&mut greedy, &requests).await {
                return; // the connection is cut
            }
        }
    };
    bounded("the cut", asking).await;
    log.has("a client takes nothing of its answer, and is cut").await;
    goes_on(address).await;
}

#[tokio::test]
async fn a_hundred_subscriptions_that_are_cut_leave_nothing() {
    let (log, _guard) = Log::start();
    let (server, address) = start(Settings::default()).await;
    for _ in 0..100 {
        drop(subscribed(address, None, 0.0).await);
    }
    bounded("no framework", async { while frameworks(&server).await > 0 {} }).await;
    assert_eq!(server.query(|master| master.state().offers.len()).await.unwrap(), 0);
    assert_eq!(log.count("the connection of a framework has ended"), 100);

    // One framework that comes and goes keeps its place, once.
    for _ in 0..100 {
        drop(subscribed(address, Some("again"), 100.0).await);
    }
    bounded("no offers", async { while server.query(|master| master.state().offers.len()).await.unwrap() > 0 {} })
        .await;
    assert_eq!(frameworks(&server).await, 1);
    goes_on(address).await;
}

#[tokio::test]
async fn a_call_of_64_mib_is_read_and_a_larger_one_refused() {
    const MOST: usize = 64 << 20;
    let (log, _guard) = Log::start();
    let (_server, address) = start(Settings::default()).await;
    let framework = subscribed(address, None, 0.0).await;
    let call = json!({"type": "REVIVE", "framework_id": {"value": framework.id}}).to_string();
    let stream = format!("Mesos-Stream-Id: {}\r\n", framework.stream_id);
    let mut large = Client::connect(address).await;
    large.post_bytes("application/json", &stream, format!("{call}{}", " ".repeat(MOST - call.len())).as_bytes()).await;
    assert_eq!(large.answer().await.unwrap().status, 202);

    let mut larger = Client::connect(address).await;
    let head = format!("POST /api/v1/scheduler HTTP/1.1\r\nHost: m\r\nContent-Length: {}\r\n\r\n", MOST + 1);
    larger.send(head).await;
    try_send(&mut larger, vec![b' '; MOST + 1]).await;
    assert_eq!(larger.answer().await.unwrap().status, 413);
    log.has("a body is too large, and refused").await;
    drop(framework); // it holds what there is
    goes_on(address).await;
}

#[tokio::test]
async fn large_bodies_at_once_have_bounded_memory() {
    const MOST: usize = 256 << 10;
    let (log, _guard) = Log::start();
    let (_server, address) = start(Settings::default().max_request_body(MOST)).await;
    let head = format!("POST /api/v1/scheduler HTTP/1.1\r\nHost: m\r\nContent-Length: {MOST}\r\n\r\n");
    let mut waiting = Vec::new();
    for _ in 0..10 {
        let mut large = Client::connect(address).await;
        large.send(&head).await;
        try_send(&mut large, vec![b' '; MOST - 1]).await;
        waiting.push(large);
    }
    // Those for which there is no room are answered at the end of their bodies, and so are the others.
    let mut statuses = Vec::new();
    for mut large in waiting.into_iter().rev() {
        try_send(&mut large, " ").await;
        statuses.push(large.answer().await.unwrap().status);
    }
    assert!(statuses.iter().filter(|status| **status == 503).count() >= 5, "{statuses:?}");
    assert!(statuses.iter().filter(|status| **status == 400).count() >= 3, "{statuses:?}: no content type");
    log.has("too many large bodies come at once").await;
    goes_on(address).await;
}

#[tokio::test]
async fn garbage_is_answered_with_400_or_nothing() {
    let (log, _guard) = Log::start();
    let (_server, address) = start(Settings::default()).await;
    let hello: &[u8] = b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03 a TLS client";
    for (number, garbage) in
        [hello, &[0; 100_000], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"SSH-2.0-x\r\n", b"GET\r\n\r\n"]
            .into_iter()
            .enumerate()
    {
        let mut client = Client::connect(address).await;
        try_send(&mut client, garbage).await;
        let _ = client.socket.shutdown().await;
        let answer = client.answer().await;
        assert!(answer.is_none_or(|answer| matches!(answer.status, 400 | 431 | 505)), "{number}");
    }
    log.has("a client sends what is not HTTP, and is cut").await;
    goes_on(address).await;
}

#[tokio::test]
async fn too_many_connections_are_closed_at_once_and_later_ones_are_served() {
    let (log, _guard) = Log::start();
    let (_server, address) = start(Settings::default().max_connections(3)).await;
    let get = async |client: &mut Client| {
        try_send(client, "GET /health HTTP/1.1\r\nHost: m\r\n\r\n").await;
        client.answer().await.map(|answer| answer.status)
    };
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut client = Client::connect(address).await;
        assert_eq!(get(&mut client).await, Some(200));
        open.push(client);
    }
    for _ in 0..10 {
        assert_eq!(get(&mut Client::connect(address).await).await, None);
    }
    assert_eq!(log.count("too many connections are open"), 1, "once");
    open.truncate(2);
    bounded("a place", async { while get(&mut Client::connect(address).await).await.is_none() {} }).await;
    log.has("connections are accepted again").await;
}

/// Starts a server without memory of an earlier one, at its address.
async fn restart<T>(address: SocketAddr, before: JoinHandle<T>) -> Server {
    before.abort(); // all connections are closed
    assert!(before.await.is_err_and(|error| error.is_cancelled()));
    let bind = async {
        loop {
            match TcpListener::bind(address).await {
                Ok(listener) => return listener,
                Err(_) => yield_now().await, // until the system has closed the socket of before
            }
        }
    };
    let listener = bounded("the address", bind).await;
    let server = Server::start(Settings::default().id("second", 1), NoAgents);
    tokio::spawn(server.serve(listener));
    server
}

#[tokio::test]
async fn a_restarted_master_takes_a_framework_back_under_its_id() {
    let server = Server::start(Settings::default().id("first", 1), NoAgents);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(server.serve(listener));
    let mut framework = subscribed(address, None, 100.0).await;
    assert_eq!(framework.id, "first-F1");
    framework.stream.event_of("HEARTBEAT").await;

    let _server = restart(address, serving).await;
    assert!(framework.stream.event().await.is_none(), "the stream is cut");
    let answer = framework.call(address, json!({"type": "REVIVE"})).await;
    assert_eq!(answer.status, 400, "this master does not know it");
    let mut back = subscribed(address, Some(&framework.id), 100.0).await;
    assert_eq!(back.id, framework.id);
    let task = json!({"task_id": {"value": "of before"}, "agent_id": {"value": "a1"}});
    let call = json!({"type": "RECONCILE", "reconcile": {"tasks": [task]}});
    assert_eq!(back.call(address, call).await.status, 202);
    let status = back.stream.event_of("UPDATE").await;
    assert_eq!(status["update"]["status"]["state"], "TASK_LOST", "{status}");
    assert_eq!(subscribed(address, None, 0.0).await.id, "second-F1", "ids of two runs differ");
}
