//! A client that knows nothing but sockets, so that a test sees each byte of an answer.

#![allow(dead_code, reason = "each test uses a part of it")]

use apportion::{Agent, Command};
use apportion_http::{NoAgents, Server, Settings};
use serde_json::{Value as Json, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Starts a server with an agent `a1`.
pub(crate) async fn start(settings: Settings) -> (Server, SocketAddr) {
    let server = Server::start(settings, NoAgents);
    let agent = Agent::new("a1", "cpus:4;mem:1024;ports:[31000-31009]".parse().unwrap()).attribute("rack", "r1");
    server.command(Command::AddAgent(agent.into())).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(server.serve(listener));
    (server, address)
}

/// Waits, but not for ever: a test that hangs says where.
pub(crate) async fn bounded<T>(what: &str, wait: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(Duration::from_secs(30), wait).await;
    waited.unwrap_or_else(|_| panic!("nothing came within 30 s: {what}"))
}

/// A connection.
pub(crate) struct Client {
    pub(crate) socket: TcpStream,
    /// What was read and not used yet.
    read: Vec<u8>,
}

/// The head of an answer, and its body unless that is a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Returns a header, if the answer has it.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let header = |line: &'_ str| {
            let (found, _) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(found.len() + 2)
        };
        self.head.lines().find_map(|line| header(line).map(|start| &line[start..]))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self { socket: TcpStream::connect(address).await.unwrap(), read: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        bounded("send", self.socket.write_all(bytes.as_ref())).await.unwrap();
    }

    /// Sends a call as JSON.
    pub(crate) async fn post(&mut self, headers: &str, body: &Json) {
        self.post_bytes("application/json", headers, body.to_string().as_bytes()).await;
    }

    pub(crate) async fn post_bytes(&mut self, content_type: &str, headers: &str, body: &[u8]) {
        let head = format!(
            "POST /api/v1/scheduler HTTP/1.1\r\nHost: m\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n{headers}\r\n",
            body.len()
        );
        self.send([head.as_bytes(), body].concat()).await;
    }

    /// Reads more; false at the end.
    async fn more(&mut self) -> bool {
        bounded("read", self.socket.read_buf(&mut self.read)).await.is_ok_and(|length| length > 0)
    }

    /// Reads up to and without a separator.
    async fn until(&mut self, separator: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.read.windows(separator.len()).position(|window| window == separator) {
                let found = self.read.drain(..at + separator.len()).take(at).collect();
                return Some(found);
            }
            if !self.more().await {
                return None;
            }
        }
    }

    pub(crate) async fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.read.len() < length {
            if !self.more().await {
                return None;
            }
        }
        Some(self.read.drain(..length).collect())
    }

    /// Reads the head of an answer.
    pub(crate) async fn head(&mut self) -> Option<Answer> {
        let head = String::from_utf8(self.until(b"\r\n\r\n").await?).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Some(Answer { status, head, body: Vec::new() })
    }

    /// Reads a whole answer.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        let mut answer = self.head().await?;
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        answer.body = self.exactly(length).await?;
        Some(answer)
    }

    /// Reads a chunk; none at the end of the stream or of the connection.
    pub(crate) async fn chunk(&mut self) -> Option<Vec<u8>> {
        let length = self.until(b"\r\n").await?;
        let length = usize::from_str_radix(std::str::from_utf8(&length).unwrap(), 16).unwrap();
        let chunk = self.exactly(length).await?;
        assert_eq!(self.exactly(2).await?, b"\r\n");
        (length > 0).then_some(chunk)
    }

    /// Reads a chunk that is one whole record.
    pub(crate) async fn record(&mut self) -> Option<Vec<u8>> {
        let chunk = self.chunk().await?;
        let end = chunk.iter().position(|byte| *byte == b'\n').expect("a record begins with its length");
        let (length, record) = (&chunk[..end], &chunk[end + 1..]);
        assert_eq!(std::str::from_utf8(length).unwrap(), record.len().to_string(), "one record, one chunk");
        Some(record.to_vec())
    }

    /// Reads a JSON event.
    pub(crate) async fn event(&mut self) -> Option<Json> {
        let record = self.record().await?;
        assert!(!record.contains(&b'\n'));
        Some(serde_json::from_slice(&record).unwrap())
    }

    /// Reads events up to one of that type, which it returns.
    pub(crate) async fn event_of(&mut self, kind: &str) -> Json {
        let found = async {
            loop {
                let event = self.event().await.expect("the stream goes on");
                if event["type"] == kind {
                    return event;
                }
                assert!(event["type"] != "ERROR", "{event}");
            }
        };
        bounded(kind, found).await // heartbeats come for ever
    }
}

/// Asks for a path over a connection of its own.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Answer {
    let mut client = Client::connect(address).await;
    client.send(format!("GET {path} HTTP/1.1\r\nHost: m\r\n\r\n")).await;
    client.answer().await.unwrap()
}

/// Returns the head of a call of an operator whose body has that length. The answer has the encoding of the call.
pub(crate) fn operator_head(content_type: &str, length: usize) -> String {
    format!(
        "POST /api/v1 HTTP/1.1\r\nHost: m\r\nContent-Type: {content_type}\r\nAccept: {content_type}\r\nContent-Length: {length}\r\n\r\n"
    )
}

/// Sends a call of an operator over a connection of its own.
pub(crate) async fn operate(address: SocketAddr, content_type: &str, body: &[u8]) -> Answer {
    let mut client = Client::connect(address).await;
    client.send([operator_head(content_type, body.len()).as_bytes(), body].concat()).await;
    client.answer().await.unwrap()
}

/// Sends a call of an operator, and returns the status and the answer as JSON.
pub(crate) async fn ask(address: SocketAddr, body: Json) -> (u16, Json) {
    let answer = operate(address, "application/json", body.to_string().as_bytes()).await;
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
}

/// A framework with its stream.
pub(crate) struct Subscribed {
    pub(crate) stream: Client,
    pub(crate) id: String,
    pub(crate) stream_id: String,
}

/// Returns a subscription.
pub(crate) fn subscribe(id: Option<&str>, failover_timeout: f64) -> Json {
    let id = id.map(|id| json!({ "value": id }));
    json!({"type": "SUBSCRIBE", "framework_id": id, "subscribe": {"framework_info": {
        "user": "root", "name": "test", "id": id, "roles": ["web"], "failover_timeout": failover_timeout,
        "capabilities": [{"type": "MULTI_ROLE"}, {"type": "RESERVATION_REFINEMENT"}],
    }}})
}

/// Subscribes, and reads SUBSCRIBED.
pub(crate) async fn subscribed(address: SocketAddr, id: Option<&str>, failover_timeout: f64) -> Subscribed {
    let mut stream = Client::connect(address).await;
    stream.post("", &subscribe(id, failover_timeout)).await;
    let head = stream.head().await.unwrap();
    assert_eq!(head.status, 200, "{head:?}");
    let stream_id = head.header("mesos-stream-id").unwrap().to_owned();
    let event = stream.event().await.unwrap();
    let id = event["subscribed"]["framework_id"]["value"].as_str().unwrap_or_else(|| panic!("{event}")).to_owned();
    Subscribed { stream, id, stream_id }
}

impl Subscribed {
    /// Sends a call over another connection, and returns the answer.
    pub(crate) async fn call(&self, address: SocketAddr, mut call: Json) -> Answer {
        let mut client = Client::connect(address).await;
        call["framework_id"] = json!({ "value": self.id });
        client.post(&format!("Mesos-Stream-Id: {}\r\n", self.stream_id), &call).await;
        client.answer().await.unwrap()
    }
}
