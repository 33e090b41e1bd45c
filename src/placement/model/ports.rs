//! [`PortRequest`]: the ports of an app, and the environment variables for the host ports that a task gets.

use crate::id::TaskId;
use crate::role::Role;
use crate::text::Text;
use indexmap::IndexMap;
use std::collections::BTreeSet;
use std::fmt;

/// A port of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PortRequest {
    /// The host port that it asks for.
    pub host: HostPort,
    /// The number written in the app: of the container port or of the port definition; 0 = any.
    pub number: u16,
    /// Its name.
    pub name: Option<Text>,
}

/// The host port that a port asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a number, any number, or none")]
pub enum HostPort {
    /// A port of this number.
    Fixed(u16),
    /// Any port.
    Dynamic,
    /// No host port: the container port is reached within its network.
    None,
}

impl Default for PortRequest {
    /// The one port of an app that says nothing about its ports: any port of the host, named `default` as in Marathon.
    fn default() -> Self {
        Self::dynamic().named("default")
    }
}

impl PortRequest {
    /// Creates a request for any port of the host.
    #[must_use]
    pub fn dynamic() -> Self {
        Self { host: HostPort::Dynamic, number: 0, name: None }
    }

    /// Creates a request for one port of the host.
    #[must_use]
    pub fn fixed(port: u16) -> Self {
        Self { host: HostPort::Fixed(port), number: port, name: None }
    }

    /// Sets the name.
    #[must_use]
    pub fn named(mut self, name: impl Into<Text>) -> Self {
        self.name = Some(name.into());
        self
    }
}

/// Why an offer has no ports for a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(clippy::exhaustive_enums, reason = "a number is missing, or there are too few")]
pub enum PortShortage {
    /// A port that it needs by number is not offered.
    #[error("{0} needed, which is not left")]
    Fixed(u16),
    /// Too few ports are offered, besides those that it needs by number.
    #[error("{needed} dynamic needed, {left} left")]
    Dynamic {
        /// The number of dynamic ports that it needs.
        needed: usize,
        /// The number of ports that are left for them.
        left: usize,
    },
}

/// The holder of a host port that another task needs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PortHolder {
    /// A task on the host has it.
    Task(TaskId),
    /// It is left, and reserved for a role that the app does not accept.
    Reserved(Role),
}

impl fmt::Display for PortHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task(task) => write!(f, "{task} has"),
            Self::Reserved(role) => write!(f, "is reserved for {role}"),
        }
    }
}

/// Returns the environment variables for host and ports, by Marathon's names.
///
/// A port without a host port has its container port; where that is 0 too, it gets a number above 1024 that no other
/// port of the task has (Marathon draws it at random).
pub(in crate::placement) fn environment(
    hostname: &str,
    wanted: &[PortRequest],
    given: &[Option<u64>],
) -> IndexMap<String, String> {
    let mut env = IndexMap::from([("HOST".to_owned(), hostname.to_owned())]);
    let (mut effective, mut listed): (Vec<u64>, Vec<String>) = (Vec::new(), Vec::new());
    let used: BTreeSet<u64> =
        wanted.iter().map(|port| port.number.into()).chain(given.iter().flatten().copied()).collect();
    let mut unused = (1025..).filter(|number| !used.contains(number));
    for (port, given) in wanted.iter().zip(given) {
        let (number, is_listed) = match (given, port.number) {
            (Some(number), _) => (*number, true),
            (None, 0) => (unused.next().unwrap_or_default(), true),
            (None, number) => (number.into(), false),
        };
        effective.push(number);
        if is_listed {
            listed.push(number.to_string());
        }
    }
    for (i, number) in effective.iter().enumerate() {
        env.insert(format!("PORT{i}"), number.to_string());
    }
    for (port, number) in wanted.iter().zip(&effective) {
        let written = if port.number == 0 { *number } else { port.number.into() };
        env.insert(format!("PORT_{written}"), number.to_string());
        if let Some(name) = &port.name {
            env.insert(format!("PORT_{}", name.to_uppercase()), number.to_string());
        }
    }
    if let Some(first) = effective.first() {
        env.insert("PORT".to_owned(), first.to_string());
        env.insert("PORTS".to_owned(), listed.join(","));
    }
    env
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_named_by_index_number_and_name() {
        let wanted = [
            PortRequest { number: 80, ..PortRequest::dynamic().named("http") },
            PortRequest::dynamic(),
            PortRequest { host: HostPort::None, number: 8080, name: None },
            PortRequest { host: HostPort::None, number: 0, name: None },
        ];
        let env = environment("h1", &wanted, &[Some(31_000), Some(31_001), None, None]);
        let expected = [
            ("HOST", "h1"),
            ("PORT0", "31000"),
            ("PORT1", "31001"),
            ("PORT2", "8080"),
            ("PORT3", "1025"),
            ("PORT_80", "31000"),
            ("PORT_HTTP", "31000"),
            ("PORT_31001", "31001"),
            ("PORT_8080", "8080"),
            ("PORT_1025", "1025"),
            ("PORT", "31000"),
            ("PORTS", "31000,31001,1025"),
        ];
        assert_eq!(env, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert_eq!(environment("h1", &[], &[]).len(), 1);
    }
}
