//! The maintenance schedule: it is shown, and changed machine by machine.

use super::Printer;
use super::agents::Value;
use super::arguments::{Machine, ScheduleArguments};
use super::http::Master;
use super::offers::age;
use super::table::{Kind, Table, counted};
use apportion_console::Failure;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::time::Duration;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Scheduled {
    schedule: Schedule,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Schedule {
    windows: Vec<Window>,
}

/// Machines that are maintained at the same time.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Window {
    machine_ids: Vec<MachineId>,
    unavailability: Json,
}

/// A machine, as a master knows it: by its hostname, its address, or both.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
struct MachineId {
    #[serde(skip_serializing_if = "Option::is_none")]
    hostname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StatusAnswer {
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    draining_machines: Vec<Draining>,
    down_machines: Vec<MachineId>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Draining {
    id: MachineId,
    statuses: Vec<InverseOffer>,
}

/// The answer of a framework to the request to leave a machine.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct InverseOffer {
    status: String,
    framework_id: Value,
}

/// Shows the schedule, which machines are down, and what frameworks have answered.
pub(super) fn show(master: &Master, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let [schedule, status] = ["GET_MAINTENANCE_SCHEDULE", "GET_MAINTENANCE_STATUS"].map(|call| master.call(call, None));
    let (schedule, status) = (schedule?, status?);
    if printer.is_json {
        printer.answer(&schedule)?;
        return printer.answer(&status);
    }
    let (Scheduled { schedule }, StatusAnswer { status }) = (schedule.body()?, status.body()?);
    let mut table = Table::new([
        ("MACHINE", Kind::Text),
        ("ADDRESS", Kind::Word),
        ("STATE", Kind::Word),
        ("START", Kind::Word),
        ("LENGTH", Kind::Word),
        ("FRAMEWORKS", Kind::Text),
    ]);
    for Window { machine_ids, unavailability } in &schedule.windows {
        for machine in machine_ids {
            let state = if status.down_machines.contains(machine) { "down" } else { "scheduled" };
            let [hostname, ip] = machine.cells();
            let (start, length) = span(unavailability, now());
            table.row([hostname, ip, state.to_owned(), start, length, status.answers(machine)]);
        }
    }
    printer.table(&table, &counted(table.len(), "scheduled machine"))
}

/// Schedules machines, in place of what they were scheduled for before.
pub(super) fn schedule(
    master: &Master,
    arguments: &ScheduleArguments,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let mut schedule = current(master)?;
    let machines: Vec<MachineId> = arguments.machines.iter().map(MachineId::from).collect();
    schedule.remove(|machine| arguments.machines.iter().any(|named| machine.is(named)));
    let start = now().saturating_add(nanoseconds(arguments.start_in));
    let mut unavailability = json!({ "start": { "nanoseconds": start } });
    if let Some(duration) = arguments.duration {
        unavailability["duration"] = json!({ "nanoseconds": nanoseconds(duration) });
    }
    schedule.windows.push(Window { machine_ids: machines, unavailability });
    update(master, &schedule)?;
    printer.line(&format!("{} scheduled", counted(arguments.machines.len(), "machine")))
}

/// Takes machines out of the schedule.
pub(super) fn cancel(master: &Master, machines: &[Machine], printer: &mut Printer<'_>) -> Result<(), Failure> {
    let mut schedule = current(master)?;
    for named in machines {
        if !schedule.remove(|machine| machine.is(named)) {
            return Err(Failure::Run(format!("{named} is not scheduled for maintenance")));
        }
    }
    update(master, &schedule)?;
    printer.line(&format!("{} not scheduled any more", counted(machines.len(), "machine")))
}

/// Takes machines down: their agents are removed.
pub(super) fn start(master: &Master, machines: &[Machine], printer: &mut Printer<'_>) -> Result<(), Failure> {
    let ids = scheduled(master, machines)?;
    master.call("START_MAINTENANCE", Some(json!({ "machines": ids })))?;
    printer.line(&format!("{} down for maintenance", counted(machines.len(), "machine")))
}

/// Takes machines up again, and out of the schedule.
pub(super) fn stop(master: &Master, machines: &[Machine], printer: &mut Printer<'_>) -> Result<(), Failure> {
    let ids = scheduled(master, machines)?;
    master.call("STOP_MAINTENANCE", Some(json!({ "machines": ids })))?;
    printer.line(&format!("{} up again", counted(machines.len(), "machine")))
}

fn current(master: &Master) -> Result<Schedule, Failure> {
    let Scheduled { schedule } = master.call("GET_MAINTENANCE_SCHEDULE", None)?.body()?;
    Ok(schedule)
}

fn update(master: &Master, schedule: &Schedule) -> Result<(), Failure> {
    master.call("UPDATE_MAINTENANCE_SCHEDULE", Some(json!({ "schedule": schedule })))?;
    Ok(())
}

/// Returns the ids of machines as the schedule has them. One that it does not have is asked for as it is named, so that the master
/// says what is wrong.
fn scheduled(master: &Master, machines: &[Machine]) -> Result<Vec<MachineId>, Failure> {
    let schedule = current(master)?;
    let known: Vec<&MachineId> = schedule.windows.iter().flat_map(|window| &window.machine_ids).collect();
    let id = |named: &Machine| {
        let known = known.iter().find(|known| known.is(named));
        known.map_or_else(|| MachineId::from(named), |known| (*known).clone())
    };
    Ok(machines.iter().map(id).collect())
}

impl Schedule {
    /// Removes machines, and windows that have none left. Returns whether there was one.
    fn remove(&mut self, is_meant: impl Fn(&MachineId) -> bool) -> bool {
        let count = |schedule: &Self| schedule.windows.iter().map(|window| window.machine_ids.len()).sum::<usize>();
        let before = count(self);
        self.windows.iter_mut().for_each(|window| window.machine_ids.retain(|machine| !is_meant(machine)));
        self.windows.retain(|window| !window.machine_ids.is_empty());
        count(self) < before
    }
}

impl Status {
    /// Returns which frameworks have said what about leaving a machine.
    fn answers(&self, machine: &MachineId) -> String {
        let answers = self.draining_machines.iter().filter(|draining| draining.id == *machine);
        let answer = |offer: &InverseOffer| {
            let word = match offer.status.as_str() {
                "ACCEPT" => "leaves",
                "DECLINE" => "stays",
                _ => "has not answered",
            };
            format!("{} {word}", offer.framework_id.value)
        };
        answers.flat_map(|draining| &draining.statuses).map(answer).collect::<Vec<_>>().join(", ")
    }
}

impl MachineId {
    fn cells(&self) -> [String; 2] {
        [&self.hostname, &self.ip].map(|text| text.clone().unwrap_or_default())
    }

    /// Returns whether it is the machine that an operator has named, with its address or without.
    fn is(&self, named: &Machine) -> bool {
        self.hostname.as_ref().is_some_and(|hostname| hostname.eq_ignore_ascii_case(&named.hostname))
            && named.ip.is_none_or(|ip| self.ip.as_ref() == Some(&ip.to_string()))
    }
}

impl From<&Machine> for MachineId {
    fn from(machine: &Machine) -> Self {
        Self { hostname: Some(machine.hostname.clone()), ip: machine.ip.map(|ip| ip.to_string()) }
    }
}

/// Returns the start and the length of a window, as people say them.
fn span(unavailability: &Json, now: i64) -> (String, String) {
    let nanoseconds = |field: &str| unavailability[field]["nanoseconds"].as_i64();
    let text = |nanoseconds: i64| age(Duration::from_nanos(nanoseconds.unsigned_abs()).as_secs_f64());
    let start = nanoseconds("start").map_or_else(String::new, |start| match start.saturating_sub(now) {
        ahead @ 1.. => format!("in {}", text(ahead)),
        since => format!("{} ago", text(since)),
    });
    (start, nanoseconds("duration").map_or_else(|| "open".to_owned(), text))
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// Returns the nanoseconds since 1970.
#[expect(clippy::disallowed_types, reason = "an operator says when from now; a master wants to be told the time")]
fn now() -> i64 {
    nanoseconds(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_told_from_now() {
        const SECOND: i64 = 1_000_000_000;
        let window = |start: i64, duration: i64| json!({"start": {"nanoseconds": start * SECOND}, "duration": {"nanoseconds": duration * SECOND}});
        assert_eq!(span(&window(4_600, 7_200), 1_000 * SECOND), ("in 60min".into(), "2h".into()));
        assert_eq!(span(&window(970, 60), 1_000 * SECOND), ("30s ago".into(), "60s".into()));
        assert_eq!(span(&json!({"start": {"nanoseconds": 0}}), 0), ("0s ago".into(), "open".into()));
    }

    #[test]
    fn a_machine_is_named_with_its_address_or_without() {
        let id = |ip: Option<&str>| MachineId { hostname: Some("node1".into()), ip: ip.map(Into::into) };
        let named = |text: &str| text.parse::<Machine>().unwrap();
        assert!(id(Some("10.0.0.1")).is(&named("Node1")) && id(Some("10.0.0.1")).is(&named("node1=10.0.0.1")));
        assert!(!id(Some("10.0.0.1")).is(&named("node1=10.0.0.2")) && !id(None).is(&named("node2")));
        let mut schedule =
            Schedule { windows: vec![Window { machine_ids: vec![id(None)], unavailability: Json::Null }] };
        assert!(schedule.remove(|machine| machine.is(&named("node1"))) && schedule.windows.is_empty());
        assert!(!schedule.remove(|_| true));
    }
}
