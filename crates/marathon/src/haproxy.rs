//! [`Haproxy`]: the configuration of a HAProxy that leads to the running tasks of all apps.
//!
//! One `listen` for each service port, as Marathon's `haproxy-marathon-bridge` writes it; ports that apps do not name are
//! given out from 10,000 on (Marathon's `local_port_min`), in the order of the apps, and kept for good.

use crate::service_port::{Mode, ServicePort};
use apportion::TaskId;
use indexmap::IndexSet;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

/// The first service port that is given out.
const FIRST: u16 = 10_000;

/// The part that is always the same. A host whose name is not known yet is no error: its servers are down.
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

/// HAProxy's own page, as the bridge has it, so that there is something to listen to even without an app.
const STATS_PORT: u16 = 9090;
const STATS: &str = "
listen stats
  bind 127.0.0.1:9090
  mode http
  stats enable
";

/// A configuration, and the ports that were given out in it.
#[derive(Debug)]
pub struct Haproxy {
    /// Whether no app wants the port of its own page.
    has_stats: bool,
    /// The ports that were given out, by app and index.
    given: BTreeMap<(String, usize), u16>,
}

/// An app, and its tasks that can be reached.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "whoever knows the tasks builds it")]
pub struct Entry<'a> {
    pub app: &'a str,
    pub services: &'a [ServicePort],
    pub servers: Vec<Server<'a>>,
}

/// A task where it can be reached: its host, and its ports there as they stand in the app.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "whoever knows the tasks builds it")]
pub struct Server<'a> {
    pub task: &'a TaskId,
    pub host: &'a str,
    pub ports: &'a [Option<u64>],
}

impl Haproxy {
    /// For all that is ever wanted, at one time after another.
    ///
    /// # Errors
    ///
    /// One message for each number that is wanted by more than one port at a time.
    pub fn new<'a, Apps>(wanted: impl IntoIterator<Item = Apps>) -> Result<Self, Vec<String>>
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
                    let both = format!("of {other} [{i}] and of {app} [{index}]");
                    wrong.insert(format!("{port} is the service port {both}"));
                }
            }
        }
        let free = (FIRST..=u16::MAX).filter(|port| !numbers.contains(port));
        let given: BTreeMap<_, _> = unnamed.iter().cloned().zip(free).collect();
        if given.len() < unnamed.len() {
            let (found, most) = (unnamed.len(), given.len());
            wrong.insert(format!("found {found} service ports without a number, expected at most {most}"));
        }
        let has_stats = !numbers.contains(&STATS_PORT);
        let this = Self { has_stats, given };
        if wrong.is_empty() { Ok(this) } else { Err(wrong.into_iter().collect()) }
    }

    /// The text of the configuration, with these apps as they are now.
    pub fn text<'a>(&self, entries: impl IntoIterator<Item = Entry<'a>>) -> String {
        let mut text = format!("{HEAD}{}", if self.has_stats { STATS } else { "" });
        let mut taken = BTreeSet::new();
        for entry in entries {
            for (index, service) in entry.services.iter().enumerate() {
                // Writing into a text cannot fail.
                let _ = match self.port(entry.app, index, service) {
                    None => writeln!(text, "\n# {}: port {index} is left out, as it is of UDP", name(entry.app)),
                    Some(port) if taken.insert(port) => listen(&entry, (index, port, service.mode), &mut text),
                    // The one that has it is about to go.
                    Some(port) => writeln!(text, "\n# {}: port {index} waits for {port}", name(entry.app)),
                };
            }
        }
        text
    }

    /// The number of a service port, if it is of TCP.
    fn port(&self, app: &str, index: usize, service: &ServicePort) -> Option<u16> {
        let given = || self.given.get(&(app.to_owned(), index)).copied();
        service.port.or_else(given).filter(|_| service.tcp)
    }
}

/// The ports of an app that are of TCP, each with its index.
fn tcp<'a>((app, services): (&'a str, &'a [ServicePort])) -> impl Iterator<Item = (&'a str, usize, &'a ServicePort)> {
    let all = services.iter().enumerate().map(move |(index, service)| (app, index, service));
    all.filter(|(_, _, service)| service.tcp)
}

fn listen(entry: &Entry<'_>, (index, port, mode): (usize, u16, Mode), text: &mut String) -> fmt::Result {
    writeln!(text, "\nlisten {}-{port}\n  bind 0.0.0.0:{port}\n  mode {}", name(entry.app), mode.as_str())?;
    writeln!(text, "  option {}\n  balance leastconn", if mode == Mode::Http { "httplog" } else { "tcplog" })?;
    for server in &entry.servers {
        if let Some(port) = server.ports.get(index).copied().flatten() {
            writeln!(text, "  server {} {}:{port} check", word(server.task.as_str()), word(server.host))?;
        }
    }
    Ok(())
}

/// The name of an app.
fn name(app: &str) -> String {
    word(app.trim_start_matches('/'))
}

/// A name with nothing in it that HAProxy's grammar could trip over.
fn word(name: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || ".:-".contains(letter) { letter } else { '_' };
    name.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(port: Option<u16>) -> ServicePort {
        ServicePort { port, tcp: true, mode: Mode::Tcp }
    }

    #[test]
    fn ports_without_a_number_are_the_first_that_nobody_names() {
        let (open, fixed) = ([service(None), service(None)], [service(Some(10_001))]);
        let wanted = [vec![("/b", &open[..]), ("/a", &open[..1])], vec![("/c", &fixed[..]), ("/b", &open[..])]];
        let haproxy = Haproxy::new(wanted).unwrap();
        let given: Vec<_> = haproxy.given.iter().map(|((app, index), port)| (app.as_str(), *index, *port)).collect();
        assert_eq!(given, [("/a", 0, 10_003), ("/b", 0, 10_000), ("/b", 1, 10_002)]);
    }

    #[test]
    fn one_number_is_of_one_service_at_a_time() {
        let (one, two) = ([service(Some(80))], [service(Some(80)), service(Some(80))]);
        let both = || vec![("/a", &one[..]), ("/b", &two[..])];
        let wrong = Haproxy::new([both(), both()]).unwrap_err();
        let message = |one, other| format!("80 is the service port of {one} and of {other}");
        assert_eq!(wrong, [message("/a [0]", "/b [0]"), message("/b [0]", "/b [1]")]);
        let haproxy = Haproxy::new([[("/a", &one[..])], [("/b", &one[..])]]).unwrap();
        let entry = |app| Entry { app, services: &one, servers: Vec::new() };
        let text = haproxy.text([entry("/a"), entry("/b")]);
        assert!(text.contains("\nlisten a-80\n") && text.ends_with("\n# b: port 0 waits for 80\n"), "{text}");
        let many = vec![service(None); 60_000];
        let wrong = Haproxy::new([[("/a", &many[..])]]).unwrap_err();
        assert_eq!(wrong, ["found 60000 service ports without a number, expected at most 55536"]);
    }

    #[test]
    fn names_are_such_that_the_grammar_holds() {
        let (services, task) = ([service(Some(80))], TaskId::from("a b\nc.1"));
        let haproxy = Haproxy::new([[]]).unwrap();
        let servers = vec![Server { task: &task, host: "h\n", ports: &[Some(1)] }];
        let text = haproxy.text([Entry { app: "/x/a b\nlisten y", services: &services, servers }]);
        assert!(
            text.contains("\nlisten x_a_b_listen_y-80\n") && text.ends_with("  server a_b_c.1 h_:1 check\n"),
            "{text}"
        );
    }
}
