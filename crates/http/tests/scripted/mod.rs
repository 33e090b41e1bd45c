//! A master or an agent that does what a test says, on raw sockets, so that a test sees each byte that a client sends.

use serde_json::Value as Json;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Waits for something, but not for ever.
pub(crate) async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what).await.expect("it comes in time")
}

/// A listening socket.
pub(crate) struct Scripted {
    listener: TcpListener,
    pub(crate) address: String,
}

/// A connection of the client.
pub(crate) struct Socket {
    socket: TcpStream,
    /// What was read and not used yet.
    read: Vec<u8>,
}

/// A request of the client.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Returns the type of the call.
    pub(crate) fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap().to_owned()
    }
}

impl Scripted {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        Self { listener, address }
    }

    /// Accepts the next connection.
    pub(crate) async fn accept(&self) -> Socket {
        let (socket, _) = within(self.listener.accept()).await.unwrap();
        Socket { socket, read: Vec::new() }
    }

    /// Accepts a connection, reads a request, and answers it as a whole.
    pub(crate) async fn refuse(&self, status: u16, headers: &str, body: &str) -> Request {
        let (mut socket, request) = self.request().await;
        socket.answer(status, headers, body).await;
        request
    }

    /// Accepts a connection with its first request.
    pub(crate) async fn request(&self) -> (Socket, Request) {
        let mut socket = self.accept().await;
        let request = socket.request().await.expect("a request");
        (socket, request)
    }

    /// Accepts a connection whose request is a SUBSCRIBE, and opens the stream `s1`.
    pub(crate) async fn subscribe(&self) -> (Socket, Request) {
        self.subscribe_as("s1").await
    }

    pub(crate) async fn subscribe_as(&self, stream_id: &str) -> (Socket, Request) {
        let (mut socket, request) = self.request().await;
        assert_eq!(request.kind(), "SUBSCRIBE");
        socket.open(stream_id).await;
        (socket, request)
    }
}

impl Socket {
    /// Reads a request; none when the client has closed the connection.
    pub(crate) async fn request(&mut self) -> Option<Request> {
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            if !self.more().await {
                return None;
            }
        };
        let head = String::from_utf8(self.read.drain(..end + 4).collect()).unwrap();
        let mut request = Request { head, body: Vec::new() };
        let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
        while self.read.len() < length {
            if !self.more().await {
                return None;
            }
        }
        request.body = self.read.drain(..length).collect();
        Some(request)
    }

    /// Reads a call and accepts it.
    pub(crate) async fn call(&mut self) -> Request {
        let request = self.request().await.expect("a call");
        self.answer(202, "", "").await;
        request
    }

    async fn more(&mut self) -> bool {
        within(self.socket.read_buf(&mut self.read)).await.is_ok_and(|length| length > 0)
    }

    /// Waits until the client has closed the connection.
    pub(crate) async fn closed(&mut self) {
        while self.more().await {}
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        within(self.socket.write_all(bytes.as_ref())).await.unwrap();
    }

    pub(crate) async fn answer(&mut self, status: u16, headers: &str, body: &str) {
        let head = format!("HTTP/1.1 {status} Some Reason\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len());
        self.send(head).await;
    }

    /// Sends the head of a stream.
    pub(crate) async fn open(&mut self, stream_id: &str) {
        self.send(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nMesos-Stream-Id: {stream_id}\r\n\r\n"))
            .await;
    }

    /// Sends a piece of a stream, as one chunk.
    pub(crate) async fn chunk(&mut self, bytes: &[u8]) {
        let chunk = [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
        self.send(chunk).await;
    }

    /// Sends an event.
    pub(crate) async fn event(&mut self, event: &Json) {
        self.record(event.to_string().as_bytes()).await;
    }

    pub(crate) async fn record(&mut self, record: &[u8]) {
        self.chunk(&[format!("{}\n", record.len()).as_bytes(), record].concat()).await;
    }

    /// Ends a stream in order.
    pub(crate) async fn end(&mut self) {
        self.send("0\r\n\r\n").await;
    }
}
