//! [`HaproxyConfig`]: the configuration of a HAProxy that balances each service port over the tasks that are up.
//!
//! One `listen` section for each service port, as Marathon's `haproxy-marathon-bridge` writes it. Ports that apps do not
//! number are assigned from 10,000 on (Marathon's `local_port_min`), in the order of the apps, and never change.

use crate::service_port::{ProxyMode, ServicePort};
use apportion::{TaskId, Text};
use indexmap::IndexSet;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

/// The first service port that is assigned.
const FIRST_PORT: u16 = 10_000;

/// The constant part. A host name that cannot be resolved yet is no error: its servers are down.
const HEAD: &str = "\
# The services of Marathon's apps, written anew whenever they change.
global
  log 127.0.0.1 local0
  maxconn 4096

defaults
  log global
  retries 3
  maxconn 2000
  timeout connect 5s
  timeout client 50s
  timeout server 50s
  default-server init-addr last,libc,none
";

/// HAProxy's statistics page, as the bridge has it. HAProxy does not start without any `listen` section.
const STATS_PORT: u16 = 9090;
const STATS: &str = "
listen stats
  bind 127.0.0.1:9090
  mode http
  stats enable
";

/// The port at which services are told apart by the name of the host that is asked for, as in marathon-lb.
const HTTP_PORT: u16 = 80;
const HOSTS: &str = "
frontend marathon_http_in
  bind 0.0.0.0:80
  mode http
";

/// The configuration: the assigned ports, and the text for the tasks that are up at some moment.
#[derive(Debug)]
pub struct HaproxyConfig {
    /// Whether the statistics page has its port: no app names the same one.
    has_stats: bool,
    /// Whether services have names at the port of HTTP: no app names the same port.
    has_hosts: bool,
    /// The group of this proxy: it serves the service ports of the group alone. None: all.
    group: Option<Text>,
    /// The assigned ports, by app and index.
    assigned: BTreeMap<(String, usize), u16>,
}

/// An app with the tasks that are up.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "callers build it")]
pub struct AppBackend<'a> {
    /// The id of the app.
    pub app: &'a str,
    /// Its service ports.
    pub services: &'a [ServicePort],
    /// Its tasks that are up.
    pub servers: Vec<Server<'a>>,
}

/// A task that is up.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "callers build it")]
pub struct Server<'a> {
    /// The id of the task.
    pub task: &'a TaskId,
    /// The name or address of its host.
    pub host: &'a str,
    /// Its host ports, in the order of the app's ports; `None` where a port is not on the host.
    pub ports: &'a [Option<u64>],
}

/// Why a configuration cannot have all service ports.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ServicePortError {
    /// Two service ports have the same number at the same time.
    #[error("{port} is the service port of {} [{}] and of {} [{}]", first.0, first.1, second.0, second.1)]
    Duplicate {
        /// The number.
        port: u16,
        /// The app and the index of the one.
        first: (String, usize),
        /// The app and the index of the other.
        second: (String, usize),
    },
    /// More service ports without a number than there are free numbers.
    #[error("found {found} service ports without a number, expected at most {most}")]
    TooMany {
        /// The number of service ports without a number.
        found: usize,
        /// The number of free numbers.
        most: usize,
    },
}

impl HaproxyConfig {
    /// Returns the configuration for a sequence of wanted sets of apps, each of which replaces the one before.
    ///
    /// # Errors
    ///
    /// [`ServicePortError::Duplicate`] for each number that two service ports of the same set have, and
    /// [`ServicePortError::TooMany`].
    pub fn new<'a, Apps>(wanted: impl IntoIterator<Item = Apps>) -> Result<Self, Vec<ServicePortError>>
    where
        Apps: IntoIterator<Item = (&'a str, &'a [ServicePort])>,
    {
        let (mut wrong, mut numbers) = (IndexSet::new(), BTreeSet::new());
        let mut unnamed: IndexSet<(String, usize)> = IndexSet::new();
        for apps in wanted {
            let mut named = BTreeMap::new();
            for (app, index, service) in apps.into_iter().flat_map(tcp) {
                let Some(port) = service.port else {
                    unnamed.insert((app.to_owned(), index));
                    continue;
                };
                numbers.insert(port);
                if let Some((other, i)) = named.insert(port, (app, index)) {
                    let (first, second) = ((other.to_owned(), i), (app.to_owned(), index));
                    wrong.insert(ServicePortError::Duplicate { port, first, second });
                }
            }
        }
        let free = (FIRST_PORT..=u16::MAX).filter(|port| !numbers.contains(port));
        let assigned: BTreeMap<_, _> = unnamed.iter().cloned().zip(free).collect();
        if assigned.len() < unnamed.len() {
            wrong.insert(ServicePortError::TooMany { found: unnamed.len(), most: assigned.len() });
        }
        let has_stats = !numbers.contains(&STATS_PORT);
        let has_hosts = !numbers.contains(&HTTP_PORT);
        let this = Self { has_stats, has_hosts, group: None, assigned };
        if wrong.is_empty() { Ok(this) } else { Err(wrong.into_iter().collect()) }
    }

    /// Serves the service ports of a group alone, as marathon-lb does with its `--group`.
    #[must_use]
    pub fn for_group(mut self, group: Option<Text>) -> Self {
        self.group = group;
        self
    }

    /// Returns the text of the configuration file for these apps.
    pub fn text<'a>(&self, entries: impl IntoIterator<Item = AppBackend<'a>>) -> String {
        let mut text = format!("{HEAD}{}", if self.has_stats { STATS } else { "" });
        let (mut taken, mut hosts) = (BTreeSet::new(), String::new());
        for entry in entries {
            let is_served = |service: &ServicePort| self.group.as_ref().is_none_or(|group| service.is_of_group(group));
            for (index, service) in entry.services.iter().enumerate().filter(|(_, service)| is_served(service)) {
                // Writing to a String cannot fail.
                let _ = match self.port(entry.app, index, service) {
                    None => writeln!(text, "\n# {}: port {index} is left out, as it is of UDP", name(entry.app)),
                    Some(port) if taken.insert(port) => {
                        let backend = format!("{}-{port}", name(entry.app));
                        for host in &service.hosts {
                            let _ = writeln!(hosts, "  use_backend {backend} if {{ hdr(host) -i {host} }}");
                        }
                        listen(&entry, (index, port, service), &mut text)
                    }
                    // The app that has it is about to stop.
                    Some(port) => writeln!(text, "\n# {}: port {index} waits for {port}", name(entry.app)),
                };
            }
        }
        if !hosts.is_empty() && self.has_hosts {
            text.push_str(HOSTS);
            text.push_str(&hosts);
        }
        text
    }

    /// Returns the number of a service port; `None` if it is not TCP.
    fn port(&self, app: &str, index: usize, service: &ServicePort) -> Option<u16> {
        let assigned = || self.assigned.get(&(app.to_owned(), index)).copied();
        service.port.or_else(assigned).filter(|_| service.tcp)
    }
}

/// Returns the TCP service ports of an app, with their indices.
fn tcp<'a>((app, services): (&'a str, &'a [ServicePort])) -> impl Iterator<Item = (&'a str, usize, &'a ServicePort)> {
    let all = services.iter().enumerate().map(move |(index, service)| (app, index, service));
    all.filter(|(_, _, service)| service.tcp)
}

fn listen(
    entry: &AppBackend<'_>,
    (index, port, service): (usize, u16, &ServicePort),
    text: &mut String,
) -> fmt::Result {
    let (mode, balance) = (service.mode, service.balance.as_deref().unwrap_or("leastconn"));
    writeln!(text, "\nlisten {}-{port}\n  bind 0.0.0.0:{port}\n  mode {}", name(entry.app), mode.as_str())?;
    writeln!(text, "  option {}\n  balance {balance}", if mode == ProxyMode::Http { "httplog" } else { "tcplog" })?;
    for server in &entry.servers {
        if let Some(port) = server.ports.get(index).copied().flatten() {
            writeln!(text, "  server {} {}:{port} check", word(server.task.as_str()), word(server.host))?;
        }
    }
    Ok(())
}

/// Returns the name of an app in the configuration.
fn name(app: &str) -> String {
    word(app.trim_start_matches('/'))
}

/// Returns a name with `_` for every character that has a meaning in HAProxy's grammar.
fn word(name: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || ".:-".contains(letter) { letter } else { '_' };
    name.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(errors: &[ServicePortError]) -> Vec<String> {
        errors.iter().map(ToString::to_string).collect()
    }

    fn service(port: Option<u16>) -> ServicePort {
        let (balance, hosts, groups) = (None, Vec::new(), Vec::new());
        ServicePort { port, tcp: true, mode: ProxyMode::Tcp, balance, hosts, groups }
    }

    #[test]
    fn ports_without_a_number_are_the_first_that_nobody_names() {
        let (open, fixed) = ([service(None), service(None)], [service(Some(10_001))]);
        let wanted = [vec![("/b", &open[..]), ("/a", &open[..1])], vec![("/c", &fixed[..]), ("/b", &open[..])]];
        let haproxy = HaproxyConfig::new(wanted).unwrap();
        let assigned: Vec<_> =
            haproxy.assigned.iter().map(|((app, index), port)| (app.as_str(), *index, *port)).collect();
        assert_eq!(assigned, [("/a", 0, 10_003), ("/b", 0, 10_000), ("/b", 1, 10_002)]);
    }

    #[test]
    fn one_number_is_of_one_service_at_a_time() {
        let (one, two) = ([service(Some(80))], [service(Some(80)), service(Some(80))]);
        let both = || vec![("/a", &one[..]), ("/b", &two[..])];
        let wrong = texts(&HaproxyConfig::new([both(), both()]).unwrap_err());
        let message = |one, other| format!("80 is the service port of {one} and of {other}");
        assert_eq!(wrong, [message("/a [0]", "/b [0]"), message("/b [0]", "/b [1]")]);
        let haproxy = HaproxyConfig::new([[("/a", &one[..])], [("/b", &one[..])]]).unwrap();
        let entry = |app| AppBackend { app, services: &one, servers: Vec::new() };
        let text = haproxy.text([entry("/a"), entry("/b")]);
        assert!(text.contains("\nlisten a-80\n") && text.ends_with("\n# b: port 0 waits for 80\n"), "{text}");
        let many = vec![service(None); 60_000];
        let wrong = texts(&HaproxyConfig::new([[("/a", &many[..])]]).unwrap_err());
        assert_eq!(wrong, ["found 60000 service ports without a number, expected at most 55536"]);
    }

    #[test]
    fn labels_choose_the_port_the_balance_the_hosts_and_the_group() {
        let mut service = service(Some(18081));
        (service.mode, service.hosts) = (ProxyMode::Http, vec!["shop.example".into()]);
        (service.balance, service.groups) = (Some("source".into()), vec!["external".into()]);
        let services = [service];
        let text = |group: Option<&str>| {
            let haproxy = HaproxyConfig::new([[("/web", &services[..])]]).unwrap().for_group(group.map(Text::new));
            haproxy.text([AppBackend { app: "/web", services: &services, servers: Vec::new() }])
        };
        for group in [None, Some("external"), Some("*")] {
            let text = text(group);
            assert!(text.contains("listen web-18081\n  bind 0.0.0.0:18081\n  mode http\n"), "{text}");
            assert!(text.contains("  balance source\n"), "{text}");
            assert!(
                text.ends_with("  mode http\n  use_backend web-18081 if { hdr(host) -i shop.example }\n"),
                "{text}"
            );
        }
        assert!(!text(Some("internal")).contains("18081"));
    }

    #[test]
    fn names_are_such_that_the_grammar_holds() {
        let (services, task) = ([service(Some(80))], TaskId::from("a b\nc.1"));
        let haproxy = HaproxyConfig::new([[]]).unwrap();
        let servers = vec![Server { task: &task, host: "h\n", ports: &[Some(1)] }];
        let text = haproxy.text([AppBackend { app: "/x/a b\nlisten y", services: &services, servers }]);
        assert!(
            text.contains("\nlisten x_a_b_listen_y-80\n") && text.ends_with("  server a_b_c.1 h_:1 check\n"),
            "{text}"
        );
    }
}
