//! Operators that look at a master without pause: `/state`, and the events as they happen.

use super::Failed;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

/// Starts two operators in threads, until the process ends. Each has had its first answer.
pub(crate) fn start(master: SocketAddr) -> Result<(), Failed> {
    let mut events = TcpStream::connect(master)?;
    let body = r#"{"type":"SUBSCRIBE"}"#;
    write!(
        events,
        "POST /api/v1 HTTP/1.1\r\nHost: m\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    expect_ok(&mut events)?;
    std::thread::spawn(move || std::io::copy(&mut events, &mut std::io::sink()));
    state(master)?;
    std::thread::spawn(move || while state(master).is_ok() {});
    Ok(())
}

/// Reads the state once.
fn state(master: SocketAddr) -> Result<(), Failed> {
    let mut socket = TcpStream::connect(master)?;
    socket.write_all(b"GET /state HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n")?;
    expect_ok(&mut socket)?;
    std::io::copy(&mut socket, &mut std::io::sink())?;
    Ok(())
}

fn expect_ok(socket: &mut TcpStream) -> Result<(), Failed> {
    let mut start = [0; 12];
    socket.read_exact(&mut start)?;
    if &start == b"HTTP/1.1 200" { Ok(()) } else { Err(String::from_utf8_lossy(&start).into()) }
}
