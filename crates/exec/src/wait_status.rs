//! [`WaitStatus`]: how a process ended, as wait(2) tells it.

use std::fmt;

/// The status that wait(2) gives for a process that has ended.
///
/// Its text is that of Mesos (`WSTRINGIFY`): `exited with status 3`, `terminated with signal Killed`. Clients read the number.
///
/// ```
/// use apportion_exec::WaitStatus;
///
/// let status = WaitStatus::from_raw(1792);
/// assert_eq!((status.raw(), status.code(), status.signal()), (1792, Some(7), None));
/// assert_eq!(status.to_string(), "exited with status 7");
/// assert_eq!(WaitStatus::from_raw(9).to_string(), "terminated with signal Killed");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitStatus(i32);

impl WaitStatus {
    /// Returns the status with this number, as wait(2) gives it and FAILURE events of Mesos carry it.
    pub const fn from_raw(raw: i32) -> Self {
        Self(raw)
    }

    /// Returns the status of a process that exits with this code.
    pub const fn from_code(code: u8) -> Self {
        Self((code as i32) << 8)
    }

    /// Returns the number that wait(2) gives: 1792 for exit 7, 9 for SIGKILL.
    pub const fn raw(self) -> i32 {
        self.0
    }

    /// Returns the exit code, if the process exited.
    pub const fn code(self) -> Option<i32> {
        if self.0 & 0x7f == 0 { Some((self.0 >> 8) & 0xff) } else { None }
    }

    /// Returns the number of the signal that ended the process, if one did.
    pub const fn signal(self) -> Option<i32> {
        if self.0 & 0x7f == 0 { None } else { Some(self.0 & 0x7f) }
    }

    /// Returns whether the process exited with 0.
    pub const fn is_success(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for WaitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code(), self.signal()) {
            (Some(code), _) => write!(f, "exited with status {code}"),
            (None, Some(signal)) => {
                write!(f, "terminated with signal {}", signal_name(signal))?;
                if self.0 & 0x80 != 0 { f.write_str(" (core dumped)") } else { Ok(()) }
            }
            (None, None) => write!(f, "wait status {}", self.0),
        }
    }
}

/// Returns the description of a signal (strsignal(3)), which Mesos writes in the message of a status.
///
/// ```
/// assert_eq!(apportion_exec::signal_name(15), "Terminated");
/// ```
pub fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "Hangup",
        2 => "Interrupt",
        3 => "Quit",
        4 => "Illegal instruction",
        5 => "Trace/breakpoint trap",
        6 => "Aborted",
        7 => "Bus error",
        8 => "Floating point exception",
        9 => "Killed",
        10 => "User defined signal 1",
        11 => "Segmentation fault",
        12 => "User defined signal 2",
        13 => "Broken pipe",
        14 => "Alarm clock",
        15 => "Terminated",
        16 => "Stack fault",
        17 => "Child exited",
        18 => "Continued",
        19 => "Stopped (signal)",
        20 => "Stopped",
        21 => "Stopped (tty input)",
        22 => "Stopped (tty output)",
        23 => "Urgent I/O condition",
        24 => "CPU time limit exceeded",
        25 => "File size limit exceeded",
        26 => "Virtual timer expired",
        27 => "Profiling timer expired",
        28 => "Window changed",
        29 => "I/O possible",
        30 => "Power failure",
        31 => "Bad system call",
        34..=64 => return format!("Real-time signal {}", signal - 34),
        _ => return format!("Unknown signal {signal}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_wait_gives_them() {
        let cases = [
            (0, Some(0), None, "exited with status 0"),
            (255 << 8, Some(255), None, "exited with status 255"),
            (15, None, Some(15), "terminated with signal Terminated"),
            (11 | 0x80, None, Some(11), "terminated with signal Segmentation fault (core dumped)"),
            (35, None, Some(35), "terminated with signal Real-time signal 1"),
            (33, None, Some(33), "terminated with signal Unknown signal 33"),
        ];
        for (raw, code, signal, text) in cases {
            let status = WaitStatus::from_raw(raw);
            assert_eq!((status.code(), status.signal(), status.to_string().as_str()), (code, signal, text), "{raw}");
        }
        assert_eq!(WaitStatus::from_code(7).raw(), 1792);
        assert!(WaitStatus::from_code(0).is_success() && !WaitStatus::from_raw(9).is_success());
    }
}
