//! What `/proc` says of processes.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::PathBuf;

/// A process of this machine and boot: its number alone is used again once it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "what a program stores to find a process again")]
pub struct ProcessId {
    /// The number of the process.
    pub pid: u32,
    /// The time at which it started, in clock ticks since the boot (field 22 of `/proc/PID/stat`).
    pub start_time: u64,
}

impl ProcessId {
    /// Returns the id of the process that has this number now. A zombie has one too.
    pub fn of(pid: u32) -> Option<Self> {
        Some(Self { pid, start_time: Stat::of(pid)?.start_time })
    }

    /// Returns whether the process is there and no zombie.
    pub fn is_running(self) -> bool {
        Stat::of(self.pid).is_some_and(|stat| stat.start_time == self.start_time && !stat.is_zombie())
    }
}

/// Returns the id of this boot of the machine, which is another one after each.
///
/// # Errors
///
/// The system's error if it cannot be read.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// The fields of `/proc/PID/stat` that are of use here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) pid: u32,
    state: u8,
    pub(crate) parent: u32,
    pub(crate) group: u32,
    pub(crate) session: u32,
    /// Time in user and in kernel mode, in clock ticks.
    pub(crate) user_ticks: u64,
    pub(crate) system_ticks: u64,
    pub(crate) threads: u64,
    pub(crate) start_time: u64,
    /// Resident memory, in pages.
    pub(crate) resident: u64,
}

impl Stat {
    /// Returns what is known of the process with this number, if there is one.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Reads a line. The name, in parentheses, may contain anything: also spaces and parentheses.
    fn parse(line: &[u8]) -> Option<Self> {
        let open = line.iter().position(|byte| *byte == b'(')?;
        let close = line.iter().rposition(|byte| *byte == b')')?;
        let pid = std::str::from_utf8(line.get(..open)?).ok()?.trim().parse().ok()?;
        let rest = std::str::from_utf8(line.get(close + 1..)?).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect(); // from field 3 on
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        let small = |field: usize| fields.get(field - 3)?.parse::<u32>().ok();
        Some(Self {
            pid,
            state: *fields.first()?.as_bytes().first()?,
            parent: small(4)?,
            group: small(5)?,
            session: small(6)?,
            user_ticks: number(14)?,
            system_ticks: number(15)?,
            threads: number(20)?,
            start_time: number(22)?,
            resident: number(24)?,
        })
    }

    /// Returns whether the process has ended, and only its status is left.
    pub(crate) const fn is_zombie(self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }

    pub(crate) const fn id(self) -> ProcessId {
        ProcessId { pid: self.pid, start_time: self.start_time }
    }
}

/// Returns all processes at about this moment, by number.
pub(crate) fn all() -> Vec<Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut all: Vec<Stat> = pids.filter_map(Stat::of).collect();
    all.sort_unstable_by_key(|stat| stat.pid);
    all
}

/// Returns the numbers of the children of this program, in no order. Zombies are among them.
///
/// The kernel keeps a list, so this takes as long as there are children. It is complete as long as nobody reaps meanwhile; a kernel
/// without that list (`CONFIG_PROC_CHILDREN`) is asked for all processes.
pub(crate) fn own_children() -> Vec<u32> {
    let of_threads = || -> io::Result<Vec<u32>> {
        let mut found = Vec::new();
        for thread in fs::read_dir("/proc/self/task")? {
            match fs::read_to_string(thread?.path().join("children")) {
                Ok(numbers) => found.extend(numbers.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok())),
                // A thread that has ended has left its children to another one, which may have been looked at by then.
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    };
    of_threads().unwrap_or_else(|_| {
        let own = std::process::id();
        all().into_iter().filter(|stat| stat.parent == own).map(|stat| stat.pid).collect()
    })
}

/// Returns whether a process was started with this variable in its environment. Returns `false` for one of another user,
/// unless this program is root.
pub(crate) fn has_variable(pid: u32, name: &str, value: &[u8]) -> bool {
    environment(pid).is_ok_and(|environment| values(&environment, name).any(|found| found == value))
}

/// Returns the values that a variable has in the environments that processes of this machine were started with, each once. Those of
/// other users are left out, unless this program is root.
#[must_use]
pub fn values_of_variable(name: &str) -> BTreeSet<Vec<u8>> {
    let environments = all().into_iter().filter_map(|stat| environment(stat.pid).ok());
    environments.flat_map(|environment| values(&environment, name).map(<[u8]>::to_vec).collect::<Vec<_>>()).collect()
}

fn environment(pid: u32) -> io::Result<Vec<u8>> {
    fs::read(PathBuf::from(format!("/proc/{pid}/environ")))
}

fn values<'a>(environment: &'a [u8], name: &str) -> impl Iterator<Item = &'a [u8]> {
    let variables = environment.split(|byte| *byte == 0);
    variables.filter_map(move |variable| variable.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_variable_are_those_of_its_whole_name() {
        let environment = b"PATH=/bin\0ID=1\0IDS=2\0ID=\0XID=3\0";
        assert_eq!(values(environment, "ID").collect::<Vec<_>>(), [b"1".as_slice(), b""]);
    }

    #[test]
    fn a_name_may_contain_anything() {
        let line = b"42 (a) b (c) R 7 8 9 0 -1 4194560 1 2 3 4 11 12 0 0 20 0 5 0 123456 8192 77 18446744073709551615";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.pid, stat.parent, stat.group, stat.session, stat.is_zombie()), (42, 7, 8, 9, false));
        assert_eq!((stat.user_ticks, stat.system_ticks, stat.threads), (11, 12, 5));
        assert_eq!((stat.start_time, stat.resident), (123_456, 77));
        for cut in [b"42".as_slice(), b"42 (a", b"42 (a) R 7", b"(a) R", b""] {
            assert_eq!(Stat::parse(cut), None);
        }
    }

    #[test]
    fn this_process_is_there_and_is_what_it_is() {
        let own = ProcessId::of(std::process::id()).unwrap();
        assert!(own.is_running());
        assert!(!ProcessId { start_time: own.start_time + 1, ..own }.is_running());
        assert!(all().iter().any(|stat| stat.id() == own));
        assert_eq!(ProcessId::of(u32::MAX), None);
        assert_eq!(boot_id().unwrap().len(), 36);
    }
}
