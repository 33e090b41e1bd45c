//! Host ports: what an app asks for, what it gets, and what it is told of them.

use indexmap::IndexMap;
use smol_str::SmolStr;
use std::collections::BTreeSet;

/// A port of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PortRequest {
    /// What it asks for on the host.
    pub host: HostPort,
    /// The number written in the app: of its container, or of its definition; 0 = any.
    pub number: u16,
    /// Its name.
    pub name: Option<SmolStr>,
}

/// What a port asks for on its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "that number, any number, or none")]
pub enum HostPort {
    /// That one.
    Fixed(u16),
    /// Any.
    Dynamic,
    /// None: it is reached within its network.
    None,
}

impl PortRequest {
    /// Any port of the host.
    #[must_use]
    pub fn dynamic() -> Self {
        Self { host: HostPort::Dynamic, number: 0, name: None }
    }

    /// That port of the host.
    #[must_use]
    pub fn fixed(port: u16) -> Self {
        Self { host: HostPort::Fixed(port), number: port, name: None }
    }

    /// The same, under that name.
    #[must_use]
    pub fn named(mut self, name: impl Into<SmolStr>) -> Self {
        self.name = Some(name.into());
        self
    }
}

/// Why there are no ports for a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(clippy::exhaustive_enums, reason = "a number is not there, or there are not enough")]
pub enum PortShortage {
    /// A number that it needs is not offered.
    #[error("{0} needed, which is not left")]
    Fixed(u16),
    /// Too few ports are offered, beside those that it needs by number.
    #[error("{needed} dynamic needed, {left} left")]
    Dynamic {
        /// How many it needs.
        needed: usize,
        /// How many there are.
        left: usize,
    },
}

/// What a task is told of its host and ports, by Marathon's names.
///
/// A port without a host port has its container's number; where that is 0 too, it is given one above 1024 that no
/// other port of the task has (Marathon draws it at random).
pub(in crate::placement) fn environment(
    hostname: &str,
    wanted: &[PortRequest],
    given: &[Option<u64>],
) -> IndexMap<String, String> {
    let mut env = IndexMap::from([("HOST".to_owned(), hostname.to_owned())]);
    let (mut told, mut listed): (Vec<u64>, Vec<String>) = (Vec::new(), Vec::new());
    let numbers: BTreeSet<u64> =
        wanted.iter().map(|port| port.number.into()).chain(given.iter().flatten().copied()).collect();
    let mut made_up = (1025..).filter(|number| !numbers.contains(number));
    for (port, given) in wanted.iter().zip(given) {
        let (number, is_listed) = match (given, port.number) {
            (Some(number), _) => (*number, true),
            (None, 0) => (made_up.next().unwrap_or_default(), true),
            (None, number) => (number.into(), false),
        };
        told.push(number);
        if is_listed {
            listed.push(number.to_string());
        }
    }
    for (i, number) in told.iter().enumerate() {
        env.insert(format!("PORT{i}"), number.to_string());
    }
    for (port, number) in wanted.iter().zip(&told) {
        let written = if port.number == 0 { *number } else { port.number.into() };
        env.insert(format!("PORT_{written}"), number.to_string());
        if let Some(name) = &port.name {
            env.insert(format!("PORT_{}", name.to_uppercase()), number.to_string());
        }
    }
    if let Some(first) = told.first() {
        env.insert("PORT".to_owned(), first.to_string());
        env.insert("PORTS".to_owned(), listed.join(","));
    }
    env
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_told_its_ports_by_index_number_and_name() {
        let wanted = [
            PortRequest { number: 80, ..PortRequest::dynamic().named("http") },
            PortRequest::dynamic(),
            PortRequest { host: HostPort::None, number: 8080, name: None },
            PortRequest { host: HostPort::None, number: 0, name: None },
        ];
        let env = environment("h1", &wanted, &[Some(31_000), Some(31_001), None, None]);
        let told = [
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
        assert_eq!(env, told.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert_eq!(environment("h1", &[], &[]).len(), 1);
    }
}
