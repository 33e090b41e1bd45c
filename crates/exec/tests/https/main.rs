//! Checks by HTTPS, of a server whose certificate nobody has signed.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a test that goes wrong ends, and its server runs in real time"
)]

use apportion_exec::check::{Attempt, Outcome, Probe};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

/// Starts a server that gives one answer.
fn server(answer: &'static str) -> SocketAddr {
    let certificate = CertificateDer::from(include_bytes!("certificate.der").to_vec());
    let key = PrivateKeyDer::try_from(include_bytes!("key.der").to_vec()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (connection, _) = listener.accept().unwrap();
        let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), connection);
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        assert!(head.starts_with(b"GET /health?all=1 HTTP/1.1\r\n"), "{}", String::from_utf8_lossy(&head));
        stream.write_all(answer.as_bytes()).unwrap();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
    });
    address
}

fn made(probe: Probe) -> Outcome {
    let (sender, outcomes) = mpsc::channel();
    let _attempt =
        Attempt::begin(probe, Duration::from_secs(20), move |outcome| sender.send(outcome).unwrap()).unwrap();
    outcomes.recv_timeout(Duration::from_secs(30)).unwrap()
}

fn https(address: SocketAddr) -> Probe {
    Probe::Https { address, path: "/health?all=1".to_owned(), redirects: 5 }
}

#[test]
fn an_answer_is_judged_whoever_has_signed_the_certificate() {
    for (answer, status) in [
        ("HTTP/1.1 204 No Content\r\n\r\n", 204),
        ("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", 503),
    ] {
        assert_eq!(made(https(server(answer))), Outcome::Http(status));
    }
}

#[test]
fn one_that_does_not_speak_tls_is_a_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    let outcome = made(https(address));
    assert!(matches!(&outcome, Outcome::Failed(_)), "{outcome:?}");
}
