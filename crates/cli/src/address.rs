//! The address and the name by which others reach a master or an agent, and the flags that say so.

use clap::Args;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

/// The longest that a name is looked up.
const MAX_LOOKUP: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(crate) struct AdvertiseFlags {
    /// Tells others to connect to this address. By default it is that of --ip; for 0.0.0.0 it is the one that the name of this
    /// machine resolves to, or that of the default route.
    #[arg(long, value_name = "IP", help_heading = "Network")]
    pub(crate) advertise_ip: Option<IpAddr>,
    /// Tells others to connect to this port. By default it is that of --port.
    #[arg(long, value_name = "PORT", help_heading = "Network")]
    pub(crate) advertise_port: Option<u16>,
    /// Tells others this name of the machine. That of an agent has to resolve to an address.
    #[arg(long, value_name = "NAME", help_heading = "Network")]
    pub(crate) hostname: Option<String>,
    /// Without --hostname, tells others the name of this machine, if it resolves to the advertised address. Switched off, or if it
    /// does not, the address takes the place of the name.
    #[arg(long, value_name = "BOOL", default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "Network")]
    pub(crate) hostname_lookup: bool,
}

/// How others reach a program.
#[derive(Debug)]
pub(crate) struct Advertised {
    pub(crate) address: SocketAddr,
    pub(crate) hostname: String,
}

impl AdvertiseFlags {
    /// Returns how others reach a program that is bound to that address.
    pub(crate) async fn resolve(&self, bound: SocketAddr) -> Advertised {
        let ip = match self.advertise_ip {
            Some(ip) => ip,
            None => advertised(bound.ip(), self.hostname.as_deref()).await,
        };
        let hostname = match &self.hostname {
            Some(hostname) => hostname.clone(),
            None if self.hostname_lookup => hostname(ip).await,
            None => ip.to_string(),
        };
        Advertised { address: SocketAddr::new(ip, self.advertise_port.unwrap_or_else(|| bound.port())), hostname }
    }
}

/// Returns the address that clients are told, for a socket that is bound to `bound`. If that stands for all addresses, it is
/// the one that the name resolves to (`hostname`, or that of this machine), unless it is a loopback one; else that of the default
/// route.
async fn advertised(bound: IpAddr, hostname: Option<&str>) -> IpAddr {
    if !bound.is_unspecified() {
        return bound;
    }
    let name = hostname.map_or_else(machine_name, str::to_owned);
    let is_reachable = |ip: &IpAddr| ip.is_ipv4() == bound.is_ipv4() && !ip.is_loopback() && !ip.is_unspecified();
    let resolved = addresses(&name).await.into_iter().find(is_reachable);
    resolved.unwrap_or_else(|| of_default_route(bound))
}

/// Returns the name of this machine if clients that look it up get this address, else the address.
async fn hostname(ip: IpAddr) -> String {
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
