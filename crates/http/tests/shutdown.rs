//! How a server ends.

#![allow(clippy::unwrap_used, reason = "a test that goes wrong ends")]

mod wire;

use apportion_http::Settings;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;
use wire::{Client, start, subscribed};

const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn streams_get_their_end_and_nobody_is_accepted_any_more() {
    let (server, address) = start(Settings::default()).await;
    let mut framework = subscribed(address, None, 100.0).await;
    let mut silent = Client::connect(address).await; // accepted before the next one, and asks nothing
    let mut idle = Client::connect(address).await;
    idle.send("GET /version HTTP/1.1\r\nHost: m\r\n\r\n").await;
    assert_eq!(idle.answer().await.unwrap().status, 200);
    framework.stream.event_of("OFFERS").await;

    timeout(LIMIT, server.shutdown(LIMIT)).await.expect("nothing is left that has to be waited for");
    let mut rest = Vec::new();
    framework.stream.socket.read_to_end(&mut rest).await.unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"), "the last chunk: {}", String::from_utf8_lossy(&rest));
    assert!(idle.answer().await.is_none() && silent.answer().await.is_none(), "idle connections are closed");
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_client_that_does_not_read_is_waited_for_no_longer_than_the_grace() {
    let (server, address) = start(Settings::default()).await;
    let mut client = Client::connect(address).await;
    client.send("POST /api/v1 HTTP/1.1\r\nHost: m\r\nContent-Length: 5\r\n\r\n1").await; // the rest never comes
    let mut answered = Client::connect(address).await;
    answered.send("GET /health HTTP/1.1\r\nHost: m\r\n\r\n").await;
    assert_eq!(answered.answer().await.unwrap().status, 200); // so both connections have been accepted
    timeout(LIMIT, server.shutdown(Duration::from_millis(50))).await.unwrap();
}
