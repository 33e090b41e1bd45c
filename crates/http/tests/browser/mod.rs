//! A headless Chromium, driven by WebDriver: JSON over HTTP, one request a connection.

use serde_json::{Value as Json, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The longest that the browser may take for anything.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// A browser with one window. It ends with the value.
pub(crate) struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
}

impl Browser {
    /// Starts a browser; none, with a message, where there is no Chromium or no driver of it.
    #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
    pub(crate) async fn start() -> Option<Self> {
        for program in ["chromium", "chromedriver"] {
            if Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
                eprintln!("{program} is not installed: the page is not looked at");
                return None;
            }
        }
        let mut driver = Command::new("chromedriver");
        let mut driver = driver.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let output = BufReader::new(driver.stdout.take().unwrap());
        let port = tokio::task::spawn_blocking(|| {
            let port = |line: String| line.split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok();
            output.lines().map_while(Result::ok).find_map(port).expect("the driver tells its port")
        });
        let port: u16 = timeout(MAX_WAIT, port).await.unwrap().unwrap();
        let mut browser =
            Self { driver, address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), session: String::new() };
        let arguments =
            ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"];
        let options = json!({"args": arguments, "binary": "/usr/bin/chromium"});
        let wanted = json!({"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}});
        let session = browser.request("POST", "/session", wanted).await;
        browser.session = format!("/session/{}", session["sessionId"].as_str().unwrap());
        browser.post("timeouts", json!({"script": 30_000, "pageLoad": 30_000})).await;
        Some(browser)
    }

    /// Loads a page.
    pub(crate) async fn load(&self, url: &str) {
        self.post("url", json!({ "url": url })).await;
    }

    /// Loads the page again.
    pub(crate) async fn reload(&self) {
        self.post("refresh", json!({})).await;
    }

    /// Runs a script and returns its value.
    pub(crate) async fn run(&self, script: &str) -> Json {
        self.post("execute/sync", json!({"script": script, "args": []})).await
    }

    /// Waits until an expression is true in the page, whatever changes there, and returns its value.
    pub(crate) async fn until(&self, expression: &str) -> Json {
        let script = format!(
            "const done = arguments[0];
            const look = () => {{
                let found;
                try {{ found = ({expression}); }} catch {{ return; }}
                if (found) {{ observer.disconnect(); done(found); }}
            }};
            const observer = new MutationObserver(look);
            observer.observe(document, {{ subtree: true, childList: true, attributes: true, characterData: true }});
            look();"
        );
        self.post("execute/async", json!({"script": script, "args": []})).await
    }

    /// Presses a key, such as `\u{E004}`, the tabulator.
    pub(crate) async fn press(&self, key: char) {
        let strokes = json!([{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]);
        self.post("actions", json!({"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]})).await;
    }

    /// Has the browser take a screen of that size, or a theme of the system.
    pub(crate) async fn emulate(&self, method: &str, parameters: Json) {
        self.post("goog/cdp/execute", json!({"cmd": format!("Emulation.{method}"), "params": parameters})).await;
    }

    async fn post(&self, command: &str, body: Json) -> Json {
        self.request("POST", &format!("{}/{command}", self.session), body).await
    }

    async fn request(&self, method: &str, path: &str, body: Json) -> Json {
        let answer = timeout(MAX_WAIT, async {
            let mut socket = TcpStream::connect(self.address).await.unwrap();
            let body = body.to_string();
            let request = format!("{}Content-Length: {}\r\n\r\n{body}", head(method, path, self.address), body.len());
            socket.write_all(request.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            loop {
                if let Some((head, body)) = whole(&answer) {
                    return (head.to_owned(), body.to_owned());
                }
                let read = socket.read_buf(&mut answer).await.unwrap();
                assert!(read > 0, "the driver breaks off: {}", String::from_utf8_lossy(&answer));
            }
        });
        let (head, text) = answer.await.expect("the driver answers in time");
        let mut json: Json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert!(head.starts_with("HTTP/1.1 200"), "{path} {body}: {}", json["value"]["message"]);
        json["value"].take()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver closes the browser, even when a test has failed.
        if let Ok(mut driver) = std::net::TcpStream::connect(self.address) {
            let _ = driver.set_read_timeout(Some(Duration::from_secs(10)));
            let _ = driver.write_all((head("DELETE", &self.session, self.address) + "\r\n").as_bytes());
            let _ = driver.read(&mut [0; 1]);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn head(method: &str, path: &str, address: SocketAddr) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n")
}

/// Returns the head and the body of an answer that has come whole.
fn whole(answer: &[u8]) -> Option<(&str, &str)> {
    let (head, body) = std::str::from_utf8(answer).ok()?.split_once("\r\n\r\n")?;
    let headers = head.lines().filter_map(|line| line.split_once(':'));
    let mut lengths = headers.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = lengths.next()?.1.trim().parse().unwrap();
    (body.len() >= length).then_some((head, body))
}
