//! A small engine on a Unix socket, which answers as a test says and keeps what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use apportion_exec::docker::{Engine, EngineError, Timing};
use serde_json::{Value, json};

/// One call as it came.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: String,
    /// The path and query, without the version.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Value,
}

impl Call {
    /// Tells whether the call is of this method, and its path of this form: `*` stands for one part.
    pub(crate) fn is(&self, method: &str, path: &str) -> bool {
        let own = self.target.split('?').next().unwrap_or_default();
        let mut parts = own.split('/');
        let same = path.split('/').all(|part| parts.next().is_some_and(|own| part == "*" || part == own));
        self.method == method && same && parts.next().is_none()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What the engine does about a call.
pub(crate) enum Answer {
    Json(u16, Value),
    /// A stream that ends well.
    Stream(Vec<u8>),
    /// A stream that breaks off in the middle.
    Cut(Vec<u8>),
    /// A connection that is taken over, as for a command in a container.
    Upgrade(Vec<u8>),
    /// Neither answers nor closes.
    Hang,
    /// Closes without an answer.
    Close,
}

impl Answer {
    pub(crate) fn ok(body: Value) -> Self {
        Self::Json(200, body)
    }

    pub(crate) fn error(status: u16, message: &str) -> Self {
        Self::Json(status, json!({"message": message}))
    }
}

type Handler = dyn Fn(&Call) -> Answer + Send + Sync;

/// The engine. Dropping it closes its socket and all connections.
pub(crate) struct Fake {
    socket: PathBuf,
    shared: Arc<Shared>,
    accepting: Option<thread::JoinHandle<()>>,
}

struct Shared {
    handler: Box<Handler>,
    calls: Mutex<Vec<Call>>,
    connections: Mutex<Vec<UnixStream>>,
    ended: AtomicBool,
}

impl Fake {
    /// Starts an engine whose socket is in a folder. It tells its version (API 1.41) itself.
    pub(crate) fn start(folder: &Path, handler: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> Self {
        let socket = folder.join("docker.sock");
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).unwrap();
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            calls: Mutex::default(),
            connections: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        let accept = move || {
            for connection in listener.incoming() {
                if serving.ended.load(Ordering::SeqCst) {
                    return;
                }
                let (connection, serving) = (connection.unwrap(), Arc::clone(&serving));
                serving.connections.lock().unwrap().push(connection.try_clone().unwrap());
                thread::Builder::new().spawn(move || serving.serve(connection)).unwrap();
            }
        };
        let accepting = thread::Builder::new().spawn(accept).unwrap();
        Self { socket, shared, accepting: Some(accepting) }
    }

    /// Connects with short limits, so that what is late is soon late.
    pub(crate) async fn connect(&self) -> Engine {
        connect(&self.socket).await.unwrap()
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Returns the calls of a method and path so far.
    pub(crate) fn calls(&self, method: &str, path: &str) -> Vec<Call> {
        self.shared.calls.lock().unwrap().iter().filter(|call| call.is(method, path)).cloned().collect()
    }

    /// Returns method and path of all calls but that for the version.
    pub(crate) fn order(&self) -> Vec<String> {
        let calls = self.shared.calls.lock().unwrap();
        let told =
            calls.iter().map(|call| format!("{} {}", call.method, call.target.split('?').next().unwrap_or_default()));
        told.filter(|call| call != "GET /version").collect()
    }
}

pub(crate) async fn connect(socket: &Path) -> Result<Engine, EngineError> {
    let timing = Timing {
        limit: Duration::from_millis(500),
        retry: Duration::from_millis(10),
        longest_retry: Duration::from_millis(50),
    };
    Engine::connect_with(socket, timing).await
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        let _ = UnixStream::connect(&self.socket); // wakes the thread that accepts
        let _ = self.accepting.take().map(thread::JoinHandle::join);
        let _ = std::fs::remove_file(&self.socket);
        for connection in self.shared.connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn serve(&self, mut connection: UnixStream) {
        let Some(call) = read(&connection) else { return };
        self.calls.lock().unwrap().push(call.clone());
        let answer = match call.is("GET", "/version") {
            true => match (self.handler)(&call) {
                Answer::Json(200, own) if own["ApiVersion"].is_string() => Answer::Json(200, own),
                _ => Answer::ok(json!({"ApiVersion": "1.41"})),
            },
            false => (self.handler)(&call),
        };
        let close = "Connection: close\r\n";
        let sent = match answer {
            Answer::Json(status, body) => {
                let body = if body.is_null() { String::new() } else { body.to_string() };
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{close}\r\n"
                );
                connection.write_all((head + &body).as_bytes())
            }
            Answer::Stream(bytes) => connection.write_all(&chunked(&bytes, "0\r\n\r\n")),
            Answer::Cut(bytes) => connection.write_all(&chunked(&bytes, "")),
            Answer::Upgrade(bytes) => {
                let head = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
                connection.write_all(&[head.as_slice(), &bytes].concat())
            }
            Answer::Hang => return, // kept open with the engine's connections
            Answer::Close => Ok(()),
        };
        drop(sent); // who asked may be gone
        let _ = connection.shutdown(Shutdown::Both);
    }
}

fn chunked(bytes: &[u8], end: &str) -> Vec<u8> {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    let size = format!("{:x}\r\n", bytes.len());
    let chunk = if bytes.is_empty() { Vec::new() } else { [size.as_bytes(), bytes, b"\r\n"].concat() };
    [head.as_bytes(), &chunk, end.as_bytes()].concat()
}

fn read(connection: &UnixStream) -> Option<Call> {
    let mut reader = BufReader::new(connection);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let target = match target.strip_prefix("/v1.").and_then(|rest| rest.find('/').map(|slash| rest[slash..].to_owned()))
    {
        Some(rest) => rest,
        None => target,
    };
    Some(Call { method, target, headers, body: serde_json::from_slice(&body).unwrap_or(Value::Null) })
}

/// Returns an inspection of a container.
pub(crate) fn state(running: bool, exit_code: i64, out_of_memory: bool) -> Answer {
    Answer::ok(json!({
        "Id": "abc",
        "State": {"Status": if running { "running" } else { "exited" }, "Running": running, "ExitCode": exit_code, "OOMKilled": out_of_memory},
    }))
}

/// Returns a piece of output as engines send it: 1 is stdout, 2 is stderr.
pub(crate) fn piece(stream: u8, line: &str) -> Vec<u8> {
    let length = u32::try_from(line.len()).unwrap().to_be_bytes();
    [&[stream, 0, 0, 0], length.as_slice(), line.as_bytes()].concat()
}
