//! A process with all that it has started: it ends, and nothing is left.

use crate::witness::{LONG, Witness};
use apportion_exec::{Exit, Process, ProcessBuilder, Tree, WaitStatus};
use std::time::Duration;

/// A shell and its children of all kinds, which ignore SIGTERM: three of them say `up`.
const STUBBORN: &str = "trap '' TERM
    sh -c 'sleep 1000 & sleep 1000 & echo up; wait' &
    setsid sh -c 'sleep 1000 & echo up; wait' &
    sh -c 'echo up; while :; do sleep 1000; done'";

fn start(script: &str) -> (Process, Witness) {
    let (witness, writer) = Witness::new();
    (ProcessBuilder::shell(script).variable("PATH", "/usr/bin:/bin").stdout(writer).spawn().unwrap(), witness)
}

#[test]
fn what_ignores_sigterm_is_killed_after_the_grace_period() {
    let (process, witness) = start(STUBBORN);
    (0..3).for_each(|_| assert_eq!(witness.line(), "up\n"));
    let members = process.tree().members();
    assert!(members.len() >= 7, "{members:?}"); // four shells and three of what they started
    let exit = process.stop(Duration::from_secs(1)).unwrap();
    assert_eq!(exit, Exit::Status(WaitStatus::from_raw(9)));
    assert_eq!(witness.rest(), "");
    assert!(process.tree().members().is_empty());
}

#[test]
fn what_acts_on_sigterm_may_end_in_its_own_way() {
    let (process, witness) = start("trap 'echo bye; exit 4' TERM; echo up; while :; do sleep 1000 & wait; done");
    assert_eq!(witness.line(), "up\n");
    assert_eq!(process.stop(LONG).unwrap(), Exit::Status(WaitStatus::from_code(4)));
    assert_eq!(witness.rest(), "bye\n");
}

#[test]
fn one_that_is_stopped_hears_sigterm_too() {
    let (process, witness) = start("echo up; kill -STOP $$");
    assert_eq!(witness.line(), "up\n");
    assert_eq!(process.stop(LONG).unwrap(), Exit::Status(WaitStatus::from_raw(15)));
    assert_eq!(witness.rest(), "");
}

#[test]
fn what_a_process_leaves_behind_ends_with_it() {
    let (process, witness) = start("sleep 1000 & (sleep 1000 & sleep 1000 &) & exit 3");
    assert_eq!(process.wait().unwrap(), Exit::Status(WaitStatus::from_code(3)));
    assert_eq!(witness.rest(), "");
}

#[test]
fn what_has_left_the_session_is_found_by_its_variable() {
    let (witness, writer) = Witness::new();
    let mark = format!("{}-{:p}", std::process::id(), &witness);
    let builder = ProcessBuilder::shell("setsid sh -c 'echo up; exec sleep 1000' & read line < fifo; exit 0");
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let builder = builder.directory(folder.path()).variables([("PATH", "/usr/bin:/bin"), ("MARK", mark.as_str())]);
    let process = builder.marked_by("MARK", mark.as_str()).stdout(writer).spawn().unwrap();
    assert_eq!(witness.line(), "up\n");
    std::fs::write(&fifo, "go\n").unwrap();
    assert_eq!(process.wait().unwrap(), Exit::Status(WaitStatus::from_code(0)));
    assert_eq!(witness.rest(), "");
}

#[test]
fn a_tree_is_killed_also_when_its_first_process_is_gone() {
    let (witness, writer) = Witness::new();
    let mark = format!("{}-{:p}", std::process::id(), &witness);
    // The first process ends without anybody waiting for it, as when the agent was not there.
    let builder = ProcessBuilder::shell("sleep 1000 & setsid sleep 1000 & echo up; exit 0");
    let builder = builder.variables([("PATH", "/usr/bin:/bin"), ("MARK", mark.as_str())]);
    let process = builder.stdout(writer).spawn().unwrap();
    assert_eq!(witness.line(), "up\n");
    let tree = Tree::new(process.id()).variable("MARK", mark.as_str());
    drop(process);
    while tree.leader().is_running() {
        std::thread::yield_now();
    }
    assert!(Process::find(tree.clone()).is_none());
    tree.kill_all(LONG).unwrap();
    assert_eq!(witness.rest(), "");
}

#[test]
fn two_trees_do_not_touch_each_other() {
    let (one, of_one) = start("echo up; sleep 1000 & wait");
    let (other, of_other) = start("echo up; sleep 1000 & wait");
    assert_eq!((of_one.line(), of_other.line()), ("up\n".to_owned(), "up\n".to_owned()));
    one.stop(LONG).unwrap();
    assert_eq!(of_one.rest(), "");
    assert!(other.is_running() && !other.tree().members().is_empty());
    other.kill();
    assert_eq!(other.wait().unwrap(), Exit::Status(WaitStatus::from_raw(9)));
    assert_eq!(of_other.rest(), "");
}
