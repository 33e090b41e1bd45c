//! The address and the name by which others reach this machine.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

/// The longest that a name is looked up.
const MAX_LOOKUP: Duration = Duration::from_secs(5);

/// Returns the address that clients are told, for a socket that is bound to `bound`. If that stands for all addresses, it is
/// the one that the name resolves to (`hostname`, or that of this machine), unless it is a loopback one; else that of the default
/// route.
pub(crate) async fn advertised(bound: IpAddr, hostname: Option<&str>) -> IpAddr {
    if !bound.is_unspecified() {
        return bound;
    }
    let name = hostname.map_or_else(machine_name, str::to_owned);
    let is_reachable = |ip: &IpAddr| ip.is_ipv4() == bound.is_ipv4() && !ip.is_loopback() && !ip.is_unspecified();
    let resolved = addresses(&name).await.into_iter().find(is_reachable);
    resolved.unwrap_or_else(|| of_default_route(bound))
}

/// Returns the name of this machine if clients that look it up get this address, else the address.
pub(crate) async fn hostname(ip: IpAddr) -> String {
    let name = if ip.is_loopback() { "localhost".to_owned() } else { machine_name() };
    // Most clients try the first address only.
    if addresses(&name).await.first() == Some(&ip) { name } else { ip.to_string() }
}

fn machine_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Returns the addresses of a name, none if it has none or the lookup takes too long.
pub(crate) async fn addresses(name: &str) -> Vec<IpAddr> {
    match tokio::time::timeout(MAX_LOOKUP, tokio::net::lookup_host((name, 0))).await {
        Ok(Ok(addresses)) => addresses.map(|address| address.ip()).collect(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    }
}

/// Returns the address from which this machine reaches others. A socket of datagrams that sends nothing tells it.
fn of_default_route(bound: IpAddr) -> IpAddr {
    let (elsewhere, loopback): (_, IpAddr) = if bound.is_ipv4() {
        ("192.0.2.1:9", [127, 0, 0, 1].into())
    } else {
        ("[2001:db8::1]:9", std::net::Ipv6Addr::LOCALHOST.into())
    };
    let outgoing = UdpSocket::bind((bound, 0)).and_then(|socket| {
        socket.connect(elsewhere)?;
        socket.local_addr()
    });
    outgoing.map(|address: SocketAddr| address.ip()).ok().filter(|ip| !ip.is_unspecified()).unwrap_or(loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    #[test]
    fn clients_are_told_an_address_that_they_can_connect_to() {
        let any: IpAddr = [0, 0, 0, 0].into();
        let bound: IpAddr = [127, 0, 0, 3].into();
        assert_eq!(run(advertised(bound, None)), bound);
        assert_eq!(run(advertised(any, Some("192.0.2.7"))), IpAddr::from([192, 0, 2, 7]));
        for unhelpful in ["127.0.0.1", "0.0.0.0", "no-such-host.invalid"] {
            let ip = run(advertised(any, Some(unhelpful)));
            assert!(ip.is_ipv4() && !ip.is_unspecified(), "{unhelpful}: {ip}");
        }
    }

    #[test]
    fn a_name_is_told_only_if_it_leads_to_the_address() {
        assert_eq!(run(hostname([192, 0, 2, 7].into())), "192.0.2.7");
        assert_eq!(run(hostname([127, 0, 0, 9].into())), "127.0.0.9");
        assert!(["localhost", "127.0.0.1"].contains(&run(hostname([127, 0, 0, 1].into())).as_str()));
    }
}
