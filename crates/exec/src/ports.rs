//! [`listening`]: the TCP ports of this machine on which processes wait for connections.

use crate::proc::ProcessId;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// A socket that waits for connections, in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// Returns the TCP ports on which one of these processes waits for connections, in the network of this program. A process in a network
/// of its own takes no port of the machine.
///
/// ```
/// use apportion_exec::{ProcessId, ports};
///
/// let socket = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let own = ProcessId::of(std::process::id()).expect("it runs");
/// assert!(ports::listening(&[own]).contains(&socket.local_addr()?.port()));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn listening(processes: &[ProcessId]) -> BTreeSet<u16> {
    let mut ports = BTreeMap::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        ports.extend(fs::read_to_string(table).unwrap_or_default().lines().filter_map(socket));
    }
    let of = |process: &ProcessId| {
        let files = fs::read_dir(format!("/proc/{}/fd", process.pid)).into_iter().flatten().flatten();
        let inodes = files.filter_map(|file| {
            let link = fs::read_link(file.path()).ok()?;
            link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse::<u64>().ok()
        });
        inodes.collect::<Vec<_>>()
    };
    processes.iter().flat_map(of).filter_map(|inode| ports.get(&inode).copied()).collect()
}

/// Reads a line of the table: the inode of a socket that waits for connections, and its port.
fn socket(line: &str) -> Option<(u64, u16)> {
    let mut fields = line.split_ascii_whitespace();
    let local = fields.nth(1)?;
    let state = fields.nth(1)?;
    let inode = fields.nth(5)?.parse().ok()?;
    let port = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
    (state == LISTEN).then_some((inode, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sockets_that_wait_for_connections_count() {
        let waits =
            "   0: 0100007F:7918 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 4711 1 0 100 0 0 10 0";
        assert_eq!(socket(waits), Some((4711, 31_000)));
        assert_eq!(socket(&waits.replace(" 0A ", " 01 ")), None, "it is connected");
        assert_eq!(socket("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid"), None);
        assert_eq!(socket(""), None);
    }
}
