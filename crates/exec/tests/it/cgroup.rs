//! Cgroups of this machine, where it lets us make some.

use crate::witness::{LONG, Witness};
use apportion_exec::cgroup::{Cgroup, Cgroups, Limits, OwnMemory};
use apportion_exec::statistics::Statistics;
use apportion_exec::{Exit, ProcessBuilder, WaitStatus};
use std::fs;
use std::path::PathBuf;

/// A cgroup that is removed with the folder of all, or `None` with a message where there can be none.
struct Made {
    cgroups: Cgroups,
    cgroup: Cgroup,
}

impl Made {
    fn new(test: &str) -> Option<Self> {
        let cgroups = match Cgroups::detect(&format!("apportion-test-{}-{test}", std::process::id())) {
            Ok(cgroups) => cgroups,
            Err(error) => {
                eprintln!("skipped: {error}");
                return None;
            }
        };
        let cgroup = cgroups.create("c1").unwrap();
        Some(Self { cgroups, cgroup })
    }

    fn can_limit(&self) -> bool {
        let reason = self.cgroups.no_limits();
        if let Some(reason) = reason {
            eprintln!("skipped: no limits: {reason}");
        }
        reason.is_none()
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let _ = self.cgroup.remove();
        let root = self.cgroup.folder();
        let name = PathBuf::from(root.parent().unwrap().file_name().unwrap());
        for hierarchy in fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            let _ = fs::remove_dir(hierarchy.path().join(&name)); // where it is there
        }
        let _ = fs::remove_dir(root.parent().unwrap());
    }
}

#[test]
fn a_process_is_in_its_cgroup_from_the_beginning_and_never_leaves() {
    let Some(made) = Made::new("fence") else { return };
    let (witness, writer) = Witness::new();
    let script = "cat /proc/self/cgroup; setsid setsid sh -c 'echo; sleep 1000' & exec sleep 1000";
    let builder = ProcessBuilder::shell(script).variable("PATH", "/usr/bin:/bin").cgroup(made.cgroup.clone());
    let process = builder.stdout(writer).spawn().unwrap();
    let mut shown = String::new();
    loop {
        let line = witness.line();
        if line == "\n" {
            break;
        }
        shown.push_str(&line);
    }
    let name = made.cgroup.folder().parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
    assert!(shown.lines().any(|line| line.contains(&format!("{name}/c1"))), "{shown}");
    assert!(made.cgroup.pids().contains(&process.id().pid));
    assert!(made.cgroup.pids().len() >= 2, "{:?}", made.cgroup.pids());
    assert_eq!((made.cgroups.find("c1").as_ref(), made.cgroups.ids()), (Some(&made.cgroup), vec!["c1".to_owned()]));
    process.kill();
    assert_eq!(process.wait().unwrap(), Exit::Status(WaitStatus::from_raw(9)));
    assert_eq!(witness.rest(), "");
    assert_eq!(made.cgroup.pids(), [0; 0]);
    made.cgroup.remove().unwrap();
    made.cgroup.remove().unwrap();
    assert_eq!((made.cgroups.find("c1"), made.cgroups.ids()), (None, Vec::new()));
}

#[test]
fn a_memory_hog_is_told_from_one_that_was_killed() {
    let Some(made) = Made::new("hog") else { return };
    if !made.can_limit() {
        return;
    }
    made.cgroup.limit(&Limits { milli_cpus: 100, memory: Some(1), quota: false }).unwrap(); // at least 32 MB it is
    let start = |script: &str| {
        let builder = ProcessBuilder::shell(script).variable("PATH", "/usr/bin:/bin").cgroup(made.cgroup.clone());
        builder.spawn().unwrap()
    };
    assert_eq!(start("kill -KILL $$").wait().unwrap(), Exit::Status(WaitStatus::from_raw(9)));
    assert_eq!(made.cgroup.oom_kills(), 0);
    let process = start("exec tail /dev/zero");
    assert_eq!(process.wait_timeout(LONG).unwrap(), Some(Exit::Status(WaitStatus::from_raw(9))));
    assert!(made.cgroup.oom_kills() > 0);
}

#[test]
fn an_executor_in_the_cgroup_sees_that_its_task_was_a_hog() {
    let Some(made) = Made::new("inside") else { return };
    if !made.can_limit() {
        return;
    }
    made.cgroup.limit(&Limits { milli_cpus: 1000, memory: Some(96 << 20), quota: false }).unwrap();
    let (witness, writer) = Witness::new();
    let test = ["cgroup::executor_of_a_hog", "--exact", "--ignored", "--nocapture"].map(Into::into);
    let argv = [std::env::current_exe().unwrap().into_os_string()].into_iter().chain(test);
    let process = ProcessBuilder::new(argv).cgroup(made.cgroup.clone()).stdout(writer).spawn().unwrap();
    let exit = process.wait().unwrap();
    let said = witness.rest();
    assert!(exit == Exit::Status(WaitStatus::from_code(0)) && said.contains("1 passed"), "{exit}: {said}");
}

#[test]
#[ignore = "another test runs it within a cgroup"]
fn executor_of_a_hog() {
    let memory = OwnMemory::find();
    assert_eq!((memory.oom_kills(), memory.limit()), (0, Some(96 << 20)));
    let hog = ProcessBuilder::new(["tail", "/dev/zero"]).spawn().unwrap();
    assert_eq!(hog.wait().unwrap(), Exit::Status(WaitStatus::from_raw(9)));
    assert!(memory.oom_kills() > 0);
}

#[test]
fn limits_follow_and_use_is_measured() {
    let Some(made) = Made::new("limits") else { return };
    if !made.can_limit() {
        return;
    }
    let (witness, writer) = Witness::new();
    let builder = ProcessBuilder::shell("echo up; exec sleep 1000").cgroup(made.cgroup.clone()).stdout(writer);
    let process = builder.variable("PATH", "/usr/bin:/bin").spawn().unwrap();
    assert_eq!(witness.line(), "up\n");
    for (memory, milli_cpus, quota) in [(64 << 20, 500, false), (128 << 20, 2000, true), (32 << 20, 1, false)] {
        made.cgroup.limit(&Limits { milli_cpus, memory: Some(memory), quota }).unwrap();
        let statistics = Statistics::of(process.tree());
        assert_eq!(statistics.mem_limit_bytes, Some(memory));
        assert_eq!(statistics.mem_soft_limit_bytes, Some(memory));
    }
    let statistics = Statistics::of(process.tree());
    assert_eq!((statistics.processes, statistics.threads), (Some(1), Some(1)));
    assert!(statistics.mem_rss_bytes.is_some() && statistics.mem_total_bytes > Some(0), "{statistics:?}");
    assert!(statistics.cpus_user_time_secs.is_some() && statistics.cpus_nr_periods.is_some(), "{statistics:?}");
    made.cgroup.limit(&Limits { milli_cpus: 1, memory: None, quota: false }).unwrap();
    assert_eq!(Statistics::of(process.tree()).mem_limit_bytes, None);
    process.kill();
    process.wait().unwrap();
}

#[test]
fn two_hundred_containers_leave_no_cgroup() {
    let Some(made) = Made::new("many") else { return };
    for number in 0..200 {
        let cgroup = made.cgroups.create(&format!("n{number}")).unwrap();
        if number % 20 == 0 {
            let process = ProcessBuilder::shell("true").cgroup(cgroup.clone()).spawn().unwrap();
            assert_eq!(process.wait().unwrap(), Exit::Status(WaitStatus::from_code(0)));
        }
        cgroup.remove().unwrap();
    }
    assert_eq!(made.cgroups.ids(), ["c1"]);
    for root in ["", "..", "a//b", "/../x", "a/./b"] {
        assert!(Cgroups::detect(root).is_err(), "{root}");
    }
    for id in ["", ".", "..", "a/b", "../x"] {
        assert!(made.cgroups.create(id).is_err() && made.cgroups.find(id).is_none(), "{id}");
    }
}
