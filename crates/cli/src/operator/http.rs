//! [`Master`]: a blocking HTTP client of a master, over hyper and a runtime of the calling thread.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, LOCATION};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value as Json, json};
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;

/// The number of redirects that are followed for one request.
const MAX_REDIRECTS: usize = 5;

/// The largest answer in bytes: the state of some 100,000 agents.
const MAX_ANSWER: usize = 512 << 20;

/// The most characters of a refusal that are shown.
const MAX_REASON: usize = 300;

/// A master to ask. Each request has a connection and a time limit of its own.
#[derive(Debug, Clone)]
pub(crate) struct Master {
    who: &'static str,
    authority: String,
    login: Option<HeaderValue>,
    limit: Duration,
}

/// The reason why a master has not answered as expected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MasterError {
    #[error("the {server} cannot be reached: {error}")]
    Unreachable { server: String, error: io::Error },
    #[error("the {server} has not answered {asked} within {limit:?}")]
    TimedOut { server: String, asked: String, limit: Duration },
    #[error("the {server} has answered {asked} with {}: {reason}", status.as_u16())]
    Refused { server: String, asked: String, status: StatusCode, reason: String },
    #[error("the {server} redirects {asked} to no address: expected //HOST:PORT, found {location:?}")]
    Location { server: String, asked: String, location: String },
    #[error("{asked} was redirected more than {MAX_REDIRECTS} times, last by the {server}")]
    TooManyRedirects { server: String, asked: String },
    #[error("the connection to the {server} broke off during {asked}: {why}")]
    Broken { server: String, asked: String, why: String },
    #[error("the {server} has answered {asked} with something unexpected: {why}")]
    Unreadable { server: String, asked: String, why: String },
    #[error("{0}")]
    System(io::Error),
}

/// The answer to a request, with what was asked of which master.
#[derive(Debug)]
pub(crate) struct Answer {
    server: String,
    asked: String,
    body: Bytes,
}

/// A request that may be sent to several masters, one after the other.
struct Question {
    /// The name for messages: the type of a call, or a path.
    name: String,
    method: Method,
    path: String,
    body: Bytes,
}

impl Master {
    /// Returns the master at `HOST:PORT`, whose requests have that time limit.
    pub(crate) fn new(authority: impl Into<String>, limit: Duration) -> Self {
        Self { who: "master", authority: authority.into(), login: None, limit }
    }

    /// Returns an agent of this master, which is asked in the same way.
    pub(crate) fn agent(&self, authority: impl Into<String>) -> Self {
        Self { who: "agent", authority: authority.into(), login: None, limit: self.limit } // a login is for the master alone
    }

    /// Returns the name of a server for messages.
    fn name(&self, authority: &str) -> String {
        format!("{} at {authority}", self.who)
    }

    /// Sends credentials with each request.
    pub(crate) fn login(mut self, principal: &str, secret: &str) -> Self {
        let encoded = STANDARD.encode(format!("{principal}:{secret}"));
        let mut login = HeaderValue::from_str(&format!("Basic {encoded}")).expect("base64 is ASCII");
        login.set_sensitive(true); // so that no Debug output shows it
        self.login = Some(login);
        self
    }

    /// Sends a call of the operator API. `body` is what stands beside `type`, under the name of the call in lower case.
    pub(crate) fn call(&self, kind: &str, body: Option<Json>) -> Result<Answer, MasterError> {
        let mut call = json!({ "type": kind });
        if let Some(body) = body {
            call[kind.to_ascii_lowercase()] = body;
        }
        let body = Bytes::from(call.to_string());
        self.ask(&Question { name: kind.to_owned(), method: Method::POST, path: "/api/v1".to_owned(), body })
    }

    /// Gets a path, which begins with `/` and is percent-encoded.
    pub(crate) fn get(&self, path: &str) -> Result<Answer, MasterError> {
        let body = Bytes::new();
        self.ask(&Question { name: path.to_owned(), method: Method::GET, path: path.to_owned(), body })
    }

    fn ask(&self, question: &Question) -> Result<Answer, MasterError> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(MasterError::System)?;
        let answered = runtime.block_on(async { tokio::time::timeout(self.limit, self.follow(question)).await });
        runtime.shutdown_background(); // a name that is still being looked up is not waited for
        answered.unwrap_or_else(|_| {
            let (server, asked) = (self.name(&self.authority), question.name.clone());
            Err(MasterError::TimedOut { server, asked, limit: self.limit })
        })
    }

    /// Sends a request to this master, and to the leader to which it redirects.
    async fn follow(&self, question: &Question) -> Result<Answer, MasterError> {
        let mut authority = self.authority.clone();
        for _ in 0..=MAX_REDIRECTS {
            let (asked, response) = (question.name.clone(), self.send(&authority, question).await?);
            let status = response.status();
            if status == StatusCode::TEMPORARY_REDIRECT {
                let location = response.headers().get(LOCATION).map(HeaderValue::as_bytes);
                let location = String::from_utf8_lossy(location.unwrap_or_default()).into_owned();
                match location_authority(&location) {
                    Some(leader) => leader.clone_into(&mut authority),
                    None => return Err(MasterError::Location { server: self.name(&authority), asked, location }),
                }
                continue;
            }
            let server = self.name(&authority);
            let body = match Limited::new(response.into_body(), MAX_ANSWER).collect().await {
                Ok(body) => body.to_bytes(),
                Err(error) => return Err(MasterError::Broken { server, asked, why: error.to_string() }),
            };
            if !status.is_success() {
                return Err(MasterError::Refused { server, asked, status, reason: reason(status, &body) });
            }
            return Ok(Answer { server, asked, body });
        }
        Err(MasterError::TooManyRedirects { server: self.name(&authority), asked: question.name.clone() })
    }

    async fn send(&self, authority: &str, question: &Question) -> Result<Response<Incoming>, MasterError> {
        let unreachable = |error| MasterError::Unreachable { server: self.name(authority), error };
        let broken = |error: String| MasterError::Broken {
            server: self.name(authority),
            asked: question.name.clone(),
            why: error,
        };
        let socket = TcpStream::connect(authority).await.map_err(unreachable)?;
        let shaken = http1::handshake(TokioIo::new(socket)).await;
        let (mut sender, connection) = shaken.map_err(|error| broken(error.to_string()))?;
        tokio::spawn(connection); // how it ends shows in the answer
        let mut request = Request::builder().method(&question.method).uri(&question.path).header(HOST, authority);
        if question.method == Method::POST {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        request = request.header(ACCEPT, "application/json");
        if let Some(login) = &self.login {
            request = request.header(AUTHORIZATION, login);
        }
        let request = request.body(Full::new(question.body.clone())).map_err(|error| broken(error.to_string()))?;
        sender.send_request(request).await.map_err(|error| broken(error.to_string()))
    }
}

impl Answer {
    /// Returns the answer as it came.
    pub(crate) fn text(&self) -> &[u8] {
        &self.body
    }

    /// Reads the answer as JSON.
    pub(crate) fn json(&self) -> Result<Json, MasterError> {
        serde_json::from_slice(&self.body).map_err(|error| self.unreadable(error.to_string()))
    }

    /// Reads an answer that is one object.
    pub(crate) fn read<T: serde::de::DeserializeOwned>(&self) -> Result<T, MasterError> {
        serde_json::from_value(self.json()?).map_err(|error| self.unreadable(error.to_string()))
    }

    /// Reads the body of an answer of the operator API, which is left out when it is empty.
    pub(crate) fn body<T: serde::de::DeserializeOwned + Default>(&self) -> Result<T, MasterError> {
        let body = self.json()?.get_mut(self.asked.to_ascii_lowercase()).map(Json::take);
        match body {
            None | Some(Json::Null) => Ok(T::default()),
            Some(body) => serde_json::from_value(body).map_err(|error| self.unreadable(error.to_string())),
        }
    }

    pub(crate) fn unreadable(&self, why: String) -> MasterError {
        MasterError::Unreadable { server: self.server.clone(), asked: self.asked.clone(), why }
    }
}

/// Returns the `HOST:PORT` of `//HOST:PORT/path`, with or without a scheme.
fn location_authority(location: &str) -> Option<&str> {
    let location = location.strip_prefix("http:").unwrap_or(location);
    let authority = location.strip_prefix("//")?.split(['/', '?', '#']).next()?;
    (!authority.is_empty()).then_some(authority)
}

/// Returns the text of a refusal as one line, or what its status means.
fn reason(status: StatusCode, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    match words.join(" ") {
        reason if reason.is_empty() => status.canonical_reason().unwrap_or("no reason was given").to_owned(),
        reason => reason.chars().take(MAX_REASON).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    /// Answers one connection after the other with these bytes, each after one read. Returns the address, and what was read.
    fn answering(answers: Vec<String>) -> (String, std::sync::mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, requests) = std::sync::mpsc::channel();
        #[expect(clippy::disallowed_methods, reason = "the other end of a connection of a blocking client")]
        std::thread::spawn(move || {
            for answer in answers {
                let (mut socket, _) = listener.accept().unwrap();
                let _ = sender.send(request(&mut socket)); // not every test looks at it
                socket.write_all(answer.as_bytes()).unwrap();
            }
        });
        (address, requests)
    }

    /// Reads a request of a small size.
    fn request(socket: &mut std::net::TcpStream) -> String {
        let mut read = String::new();
        let is_whole = |read: &str| {
            let Some((head, body)) = read.split_once("\r\n\r\n") else { return false };
            let length = head
                .to_ascii_lowercase()
                .split_once("content-length: ")
                .map(|(_, rest)| rest.split("\r\n").next().and_then(|length| length.parse().ok()).unwrap());
            body.len() >= length.unwrap_or(0)
        };
        while !is_whole(&read) {
            let mut bytes = [0; 1024];
            let length = socket.read(&mut bytes).unwrap();
            assert!(length > 0, "the request breaks off: {read}");
            read += std::str::from_utf8(&bytes[..length]).unwrap();
        }
        read
    }

    fn refusal(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    const LIMIT: Duration = Duration::from_secs(10);

    #[test]
    fn a_call_is_sent_with_its_credentials_and_its_body_is_read() {
        let body = r#"{"type":"GET_HEALTH","get_health":{"healthy":true}}"#;
        let (address, requests) =
            answering(vec![refusal("200 OK", body), refusal("200 OK", r#"{"type":"GET_HEALTH"}"#)]);
        let master = Master::new(address, LIMIT).login("ops", "s:3");
        let answer = master.call("GET_HEALTH", None).unwrap();
        assert_eq!((answer.text(), answer.body::<Json>().unwrap()), (body.as_bytes(), json!({"healthy": true})));
        let request = requests.recv().unwrap().to_ascii_lowercase();
        assert!(request.starts_with("post /api/v1 http/1.1\r\n") && request.ends_with(r#"{"type":"get_health"}"#));
        let login = format!("authorization: basic {}\r\n", STANDARD.encode("ops:s:3").to_ascii_lowercase());
        assert!(request.contains(&login) && request.contains("accept: application/json\r\n"), "{request}");
        assert!(!format!("{master:?}").contains(&STANDARD.encode("ops:s:3")));
        assert_eq!(master.call("GET_HEALTH", None).unwrap().body::<Json>().unwrap(), Json::Null, "nothing is left out");
    }

    #[test]
    fn a_redirect_is_followed_and_not_for_ever() {
        let (leader, requests) = answering(vec![refusal("200 OK", "{}")]);
        let moved =
            |to: &str| format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
        let (standby, _) = answering(vec![moved(&format!("//{leader}/api/v1"))]);
        Master::new(standby, LIMIT).call("GET_ROLES", None).unwrap();
        assert!(requests.recv().unwrap().contains(&leader), "the host is that of the leader");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap(); // free again
        let (looping, _) = answering(vec![moved("//")]);
        let error = Master::new(looping, LIMIT).call("GET_ROLES", None).unwrap_err();
        assert!(error.to_string().contains("redirects GET_ROLES to no address"), "{error}");
        let error = Master::new(listener.to_string(), LIMIT).get("/roles").unwrap_err().to_string();
        assert!(error.starts_with(&format!("the master at {listener} cannot be reached: ")), "{error}");
    }

    #[test]
    fn a_refusal_is_told_in_one_line() {
        let answers = vec![refusal("403 Forbidden", "no\r\n\x1b[31m  way"), refusal("503 Service Unavailable", "")];
        let (address, _) = answering(answers);
        let master = Master::new(address.clone(), LIMIT);
        let said = || master.call("TEARDOWN", Some(json!({}))).unwrap_err().to_string();
        assert_eq!(said(), format!("the master at {address} has answered TEARDOWN with 403: no [31m way"));
        assert_eq!(said(), format!("the master at {address} has answered TEARDOWN with 503: Service Unavailable"));
    }

    #[test]
    fn a_request_has_a_time_limit() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap(); // it never answers
        let address = listener.local_addr().unwrap();
        let error = Master::new(address.to_string(), Duration::from_millis(50)).get("/health").unwrap_err();
        assert_eq!(error.to_string(), format!("the master at {address} has not answered /health within 50ms"));
    }
}
