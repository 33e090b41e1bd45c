//! [`Machines`]: the maintenance schedule of machines, and which of them are down.

use apportion::FrameworkId;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Mesos' `MachineID`: a machine by its hostname, its address, or both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MachineId {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hostname: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ip: Option<String>,
}

/// Mesos' `maintenance::Schedule`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Schedule {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    windows: Vec<Window>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Window {
    #[serde(default)]
    machine_ids: Vec<MachineId>,
    unavailability: Span,
}

/// Mesos' `Unavailability`, as it was given: nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Span {
    pub(crate) start: Nanoseconds,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) duration: Option<Nanoseconds>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Nanoseconds {
    nanoseconds: i64,
}

impl Nanoseconds {
    /// Returns the number, or 0 if it is negative.
    pub(crate) fn not_negative(self) -> u64 {
        u64::try_from(self.nanoseconds).unwrap_or(0)
    }
}

/// The maintenance schedule, the machines that are down, and what frameworks answered to inverse offers.
///
/// A machine is *up*, then it is scheduled and *draining*, then *down*, and *up* again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Machines {
    schedule: Schedule,
    /// The machines of the schedule.
    windows: BTreeMap<Key, Span>,
    down: BTreeSet<Key>,
    /// The latest answers about each machine.
    answers: BTreeMap<Key, BTreeMap<FrameworkId, Answer>>,
}

/// A machine; hostnames are compared without case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    hostname: Option<String>,
    ip: Option<IpAddr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Answer {
    is_accepted: bool,
    /// Nanoseconds since 1970.
    at: u64,
}

/// The reason why a schedule, or a list of machines, is refused. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MachineError {
    #[error("the list of machines in a maintenance window is empty")]
    EmptyWindow,
    #[error("the list of machines is empty")]
    NoMachines,
    #[error("a machine has neither a hostname nor an ip")]
    Nameless,
    #[error("machine {machine}: {ip:?} is no IP address")]
    InvalidIp { machine: MachineId, ip: String },
    #[error("machine {0} is named twice")]
    Twice(MachineId),
    #[error("a maintenance window lasts {0} ns: expected 0 or more")]
    NegativeDuration(i64),
    #[error("machine {0} is down: expected it to stay in the schedule")]
    DownUnscheduled(MachineId),
    #[error("machine {0} is not part of a maintenance schedule")]
    NotScheduled(MachineId),
    #[error("machine {0} is down already")]
    AlreadyDown(MachineId),
    #[error("machine {0} is not down")]
    NotDown(MachineId),
}

impl std::fmt::Display for MachineId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&json!(self).to_string())
    }
}

impl MachineId {
    fn key(&self) -> Result<Key, MachineError> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let (hostname, ip) = (given(&self.hostname), given(&self.ip));
        if hostname.is_none() && ip.is_none() {
            return Err(MachineError::Nameless);
        }
        let invalid = |ip: String| MachineError::InvalidIp { machine: self.clone(), ip };
        let ip = ip.map(|ip| ip.parse().map_err(|_| invalid(ip))).transpose()?;
        Ok(Key { hostname: hostname.map(|hostname| hostname.to_ascii_lowercase()), ip })
    }
}

/// Returns the ways in which the machine of an agent may be named, the most exact first.
fn names(hostname: &str, address: IpAddr) -> [Key; 3] {
    let hostname = Some(hostname.to_ascii_lowercase());
    let by_name = Key { hostname: hostname.clone(), ip: None };
    [Key { hostname, ip: Some(address) }, by_name, Key { hostname: None, ip: Some(address) }]
}

impl Schedule {
    fn machines(&self) -> impl Iterator<Item = (&MachineId, Span)> {
        self.windows.iter().flat_map(|window| window.machine_ids.iter().map(|id| (id, window.unavailability)))
    }

    /// Returns the windows by machine.
    fn check(&self) -> Result<BTreeMap<Key, Span>, MachineError> {
        for window in &self.windows {
            if window.machine_ids.is_empty() {
                return Err(MachineError::EmptyWindow);
            }
            if let Some(Nanoseconds { nanoseconds: duration @ ..0 }) = window.unavailability.duration {
                return Err(MachineError::NegativeDuration(duration));
            }
        }
        let mut windows = BTreeMap::new();
        for (id, span) in self.machines() {
            if windows.insert(id.key()?, span).is_some() {
                return Err(MachineError::Twice(id.clone()));
            }
        }
        Ok(windows)
    }
}

/// Returns the keys of machines, each named once.
fn keys(machines: &[MachineId]) -> Result<BTreeSet<Key>, MachineError> {
    let mut keys = BTreeSet::new();
    for id in machines {
        if !keys.insert(id.key()?) {
            return Err(MachineError::Twice(id.clone()));
        }
    }
    Ok(keys)
}

impl Machines {
    /// Replaces the schedule.
    pub(crate) fn update(&mut self, schedule: Schedule) -> Result<(), MachineError> {
        let windows = schedule.check()?;
        let dropped = |(id, _): &(&MachineId, Span)| {
            id.key().is_ok_and(|key| self.down.contains(&key) && !windows.contains_key(&key))
        };
        if let Some((id, _)) = self.schedule.machines().find(dropped) {
            return Err(MachineError::DownUnscheduled(id.clone()));
        }
        (self.schedule, self.windows) = (schedule, windows);
        self.answers.clear(); // other windows are other questions
        Ok(())
    }

    /// Takes machines down.
    pub(crate) fn start(&mut self, machines: &[MachineId]) -> Result<(), MachineError> {
        let keys = self.check_named(machines)?;
        if let Some(id) = machines.iter().find(|id| id.key().is_ok_and(|key| self.down.contains(&key))) {
            return Err(MachineError::AlreadyDown(id.clone()));
        }
        self.down.extend(keys);
        Ok(())
    }

    /// Takes machines up again, which ends their maintenance.
    pub(crate) fn stop(&mut self, machines: &[MachineId]) -> Result<(), MachineError> {
        let keys = self.check_named(machines)?;
        if let Some(id) = machines.iter().find(|id| id.key().is_ok_and(|key| !self.down.contains(&key))) {
            return Err(MachineError::NotDown(id.clone()));
        }
        for window in &mut self.schedule.windows {
            window.machine_ids.retain(|id| id.key().is_ok_and(|key| !keys.contains(&key)));
        }
        self.schedule.windows.retain(|window| !window.machine_ids.is_empty());
        self.windows.retain(|key, _| !keys.contains(key));
        self.down.retain(|key| !keys.contains(key));
        self.answers.retain(|key, _| !keys.contains(key));
        Ok(())
    }

    fn check_named(&self, machines: &[MachineId]) -> Result<BTreeSet<Key>, MachineError> {
        if machines.is_empty() {
            return Err(MachineError::NoMachines);
        }
        let keys = keys(machines)?;
        match machines.iter().find(|id| id.key().is_ok_and(|key| !self.windows.contains_key(&key))) {
            Some(id) => Err(MachineError::NotScheduled(id.clone())),
            None => Ok(keys),
        }
    }

    /// Notes what a framework has answered to an inverse offer for an agent.
    pub(crate) fn answered(
        &mut self,
        framework: &FrameworkId,
        (hostname, address): (&str, IpAddr),
        is_accepted: bool,
        at: u64,
    ) {
        let scheduled = names(hostname, address).into_iter().find(|key| self.windows.contains_key(key));
        if let Some(key) = scheduled {
            self.answers.entry(key).or_default().insert(framework.clone(), Answer { is_accepted, at });
        }
    }

    /// Forgets the answers of a framework.
    pub(crate) fn forget(&mut self, framework: &FrameworkId) {
        self.answers.values_mut().for_each(|answers| _ = answers.remove(framework));
    }

    /// Returns when the machine of an agent is under maintenance, if that is scheduled. What the schedule does not say of a
    /// machine, its hostname or its address, does not matter.
    pub(crate) fn unavailability(&self, hostname: &str, address: IpAddr) -> Option<Span> {
        if self.windows.is_empty() {
            return None; // the usual case takes no time
        }
        names(hostname, address).iter().find_map(|key| self.windows.get(key)).copied()
    }

    /// Returns whether the machine of an agent is down.
    pub(crate) fn is_down(&self, hostname: &str, address: IpAddr) -> bool {
        !self.down.is_empty() && names(hostname, address).iter().any(|key| self.down.contains(key))
    }

    /// Returns Mesos' `maintenance::Schedule`.
    pub(crate) fn schedule(&self) -> Json {
        json!(self.schedule)
    }

    /// Returns Mesos' `maintenance::ClusterStatus`, in the order of the schedule.
    pub(crate) fn status(&self) -> Json {
        let (mut draining, mut down) = (Vec::new(), Vec::new());
        for (id, _) in self.schedule.machines() {
            let Ok(key) = id.key() else { continue };
            if self.down.contains(&key) {
                down.push(json!(id));
                continue;
            }
            let answer = |(framework, answer): (&FrameworkId, &Answer)| {
                json!({
                    "status": if answer.is_accepted { "ACCEPT" } else { "DECLINE" },
                    "framework_id": {"value": framework.as_str()}, "timestamp": {"nanoseconds": answer.at},
                })
            };
            let mut machine = json!({ "id": id });
            let statuses: Vec<Json> = self.answers.get(&key).into_iter().flatten().map(answer).collect();
            if !statuses.is_empty() {
                machine["statuses"] = statuses.into();
            }
            draining.push(machine);
        }
        let lists = [("draining_machines", draining), ("down_machines", down)];
        let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
        Json::Object(lists.map(|(name, list)| (name.to_owned(), list.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(json: Json) -> MachineId {
        serde_json::from_value(json).unwrap()
    }

    fn schedule(windows: Json) -> Schedule {
        serde_json::from_value(json!({ "windows": windows })).unwrap()
    }

    fn window(hostnames: &[&str]) -> Json {
        let ids: Vec<Json> = hostnames.iter().map(|hostname| json!({ "hostname": hostname })).collect();
        json!({"machine_ids": ids, "unavailability": {"start": {"nanoseconds": 5}, "duration": {"nanoseconds": 7}}})
    }

    #[test]
    fn a_schedule_is_told_as_it_was_given() {
        let mut machines = Machines::default();
        assert_eq!((machines.schedule(), machines.status()), (json!({}), json!({})), "as recorded");
        let mut given = json!({"windows": [window(&["a"]), window(&["B"])]});
        given["windows"][1]["unavailability"] = json!({"start": {"nanoseconds": 1_795_368_624_695_889_664_i64}});
        machines.update(serde_json::from_value(given.clone()).unwrap()).unwrap();
        assert_eq!(machines.schedule(), given);
        let draining = json!({"draining_machines": [{"id": {"hostname": "a"}}, {"id": {"hostname": "B"}}]});
        assert_eq!(machines.status(), draining);
    }

    #[test]
    fn a_wrong_schedule_changes_nothing() {
        let mut machines = Machines::default();
        machines.update(schedule(json!([window(&["a"])]))).unwrap();
        let mut negative = window(&["b"]);
        negative["unavailability"]["duration"]["nanoseconds"] = json!(-1);
        let mut strange = window(&["b"]);
        strange["machine_ids"][0]["ip"] = json!("127.0.0.256");
        for (wrong, expected) in [
            (json!([window(&[])]), MachineError::EmptyWindow),
            (json!([window(&["b", "c", "B"])]), MachineError::Twice(id(json!({"hostname": "B"})))),
            (json!([window(&["b"]), window(&["b"])]), MachineError::Twice(id(json!({"hostname": "b"})))),
            (json!([window(&[""])]), MachineError::Nameless),
            (json!([negative]), MachineError::NegativeDuration(-1)),
            (
                json!([strange]),
                MachineError::InvalidIp {
                    machine: id(json!({"hostname": "b", "ip": "127.0.0.256"})),
                    ip: "127.0.0.256".into(),
                },
            ),
        ] {
            assert_eq!(machines.update(schedule(wrong)), Err(expected));
        }
        assert_eq!(machines.schedule(), json!({"windows": [window(&["a"])]}));
    }

    #[test]
    fn a_machine_goes_down_and_comes_up() {
        let (a, b) = (id(json!({"hostname": "a"})), id(json!({"hostname": "b", "ip": "127.0.0.1"})));
        let local = IpAddr::from([127, 0, 0, 1]);
        let mut machines = Machines::default();
        assert_eq!(machines.start(std::slice::from_ref(&a)), Err(MachineError::NotScheduled(a.clone())));
        let mut both = window(&["a"]);
        both["machine_ids"] = json!([a, b]);
        machines.update(schedule(json!([both]))).unwrap();
        assert_eq!(machines.start(&[]), Err(MachineError::NoMachines));
        assert_eq!(machines.start(&[b.clone(), b.clone()]), Err(MachineError::Twice(b.clone())));
        assert_eq!(machines.stop(std::slice::from_ref(&b)), Err(MachineError::NotDown(b.clone())));
        machines.start(std::slice::from_ref(&b)).unwrap();
        assert_eq!(machines.start(&[a.clone(), b.clone()]), Err(MachineError::AlreadyDown(b.clone())));
        assert_eq!(machines.status(), json!({"draining_machines": [{"id": a}], "down_machines": [b]}));
        assert!(machines.is_down("B", local) && !machines.is_down("a", local));
        assert!(!machines.is_down("b", IpAddr::from([127, 0, 0, 2])), "another machine of that name");
        let without = machines.update(schedule(json!([window(&["a"])])));
        assert_eq!(without, Err(MachineError::DownUnscheduled(b.clone())));
        machines.stop(std::slice::from_ref(&b)).unwrap();
        assert_eq!(machines.status(), json!({"draining_machines": [{"id": a}]}));
        assert_eq!(machines.unavailability("b", local), None);
        assert!(machines.unavailability("A", local).is_some());
    }

    #[test]
    fn the_most_exact_name_of_a_machine_counts() {
        let at = |start: i64, machine: Json| json!({"machine_ids": [machine], "unavailability": {"start": {"nanoseconds": start}}});
        let windows = json!([
            at(1, json!({"ip": "127.0.0.1"})),
            at(2, json!({"hostname": "a"})),
            at(3, json!({"hostname": "a", "ip": "127.0.0.1"})),
        ]);
        let mut machines = Machines::default();
        machines.update(schedule(windows)).unwrap();
        let start = |hostname: &str, last: u8| {
            let span = machines.unavailability(hostname, IpAddr::from([127, 0, 0, last]));
            span.map(|span| span.start.not_negative())
        };
        assert_eq!((start("A", 1), start("a", 2), start("b", 1), start("b", 2)), (Some(3), Some(2), Some(1), None));
    }

    #[test]
    fn the_latest_answer_of_each_framework_is_told() {
        let local = IpAddr::from([127, 0, 0, 1]);
        let mut machines = Machines::default();
        machines.update(schedule(json!([window(&["a"])]))).unwrap();
        for (framework, is_accepted, at) in [("f2", false, 1), ("f1", true, 2), ("f2", true, 3)] {
            machines.answered(&framework.into(), ("a", local), is_accepted, at);
        }
        machines.answered(&"f3".into(), ("elsewhere", local), true, 4);
        assert_eq!(machines.unavailability("elsewhere", local), None);
        let status = |framework: &str, at| json!({"status": "ACCEPT", "framework_id": {"value": framework}, "timestamp": {"nanoseconds": at}});
        let told = |machines: &Machines| machines.status()["draining_machines"][0]["statuses"].clone();
        assert_eq!(told(&machines), json!([status("f1", 2), status("f2", 3)]));
        machines.forget(&"f1".into());
        assert_eq!(told(&machines), json!([status("f2", 3)]));
        machines.update(schedule(json!([window(&["a"])]))).unwrap();
        assert_eq!(told(&machines), Json::Null, "another schedule asks anew");
    }
}
