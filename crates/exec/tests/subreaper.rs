//! A program that is the parent of all orphans below it. It is a binary of its own, since that holds for a whole process.

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

use apportion_exec::{Exit, ProcessBuilder, ProcessId, WaitStatus, become_subreaper, kill_orphans, reap_orphans};
use std::io::{self, BufRead, BufReader, Read};
use std::process::Command;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

/// The rows run one after the other: each looks at all orphans of this process.
#[test]
fn orphans_are_killed_and_reaped_and_nothing_else_is() {
    become_subreaper().unwrap();
    // What has left its session is not of the tree once its parent is gone, but it is an orphan.
    let (reader, writer) = io::pipe().unwrap();
    let builder =
        ProcessBuilder::shell("setsid sh -c 'echo $$; exec sleep 999' & exit 0").variable("PATH", "/usr/bin:/bin");
    let process = builder.stdout(writer).spawn().unwrap();
    let mut reader = BufReader::new(reader);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let orphan = ProcessId::of(line.trim().parse().unwrap());
    assert_eq!(process.wait().unwrap(), Exit::Status(WaitStatus::from_code(0)));
    assert!(kill_orphans(LONG));
    assert!(orphan.is_none_or(|orphan| !orphan.is_running() && ProcessId::of(orphan.pid) != Some(orphan)), "no zombie");
    assert_eq!(reader.read_to_string(&mut line).unwrap(), 0); // nothing has the pipe

    // An orphan that ends by itself is reaped; a child of this program is left to the one who waits for it.
    let mut own = Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
    let awaited = ProcessBuilder::shell("exit 6").spawn().unwrap();
    let builder = ProcessBuilder::shell("setsid sh -c 'echo $$' & exit 0").variable("PATH", "/usr/bin:/bin");
    let (reader, writer) = io::pipe().unwrap();
    let process = builder.stdout(writer).spawn().unwrap();
    let mut pid = String::new();
    BufReader::new(reader).read_to_string(&mut pid).unwrap();
    let pid: u32 = pid.trim().parse().unwrap();
    process.wait().unwrap();
    let is_reaped = (0..10_000).any(|_| {
        reap_orphans();
        std::thread::sleep(Duration::from_millis(1));
        ProcessId::of(pid).is_none()
    });
    assert!(is_reaped, "{pid} is a zombie");
    assert_eq!(own.wait().unwrap().code(), Some(7));
    assert_eq!(awaited.wait().unwrap(), Exit::Status(WaitStatus::from_code(6)));
    assert!(kill_orphans(Duration::ZERO), "there are none");
}

/// The same holds for pid 1 of a namespace, where no other process takes orphans.
#[test]
fn pid_1_reaps_too() {
    let test = "orphans_are_killed_and_reaped_and_nothing_else_is";
    let namespace = ["--pid", "--fork", "--mount-proc", "--kill-child"];
    if !Command::new("unshare").args(namespace).arg("true").status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: this program may not make a namespace");
        return;
    }
    let mut command = Command::new("unshare");
    command.args(namespace).arg(std::env::current_exe().unwrap()).args([test, "--exact", "--nocapture"]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
