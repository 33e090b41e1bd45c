//! From an offer to `tail`: a master with agents of its own, as `apportion up` starts them, and the commands of the README.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_types,
    reason = "a test that goes wrong ends, and its waits are bounded in real time"
)]

#[expect(dead_code, reason = "other tests use more of it")]
mod running;

use running::{Program, apportion, said, started};
use rustix::process::Signal;
use std::process::Stdio;
use std::time::{Duration, Instant};

struct Cluster {
    program: Program,
    master: String,
    folder: tempfile::TempDir,
}

impl Cluster {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let work_dir = format!("--work_dir={}", folder.path().display());
        let flags = ["up", "--agents=2", "--port=0", "--allocation_interval=50ms", &work_dir];
        let (program, master) =
            started(apportion(&flags).env("PATH", "/usr/local/bin:/usr/bin:/bin").stderr(Stdio::null()));
        Self { program, master, folder }
    }

    fn said(&self, command: &[&str]) -> (Option<i32>, String, String) {
        let (name, arguments) = command.split_first().unwrap();
        said(&[&[*name, "--master", &self.master], arguments].concat())
    }
}

#[test]
fn a_command_runs_and_its_output_and_its_status_come_back() {
    let cluster = Cluster::start();
    let (status, out, err) =
        cluster.said(&["run", "--env", "WHO=you", "--", "echo hello, $WHO; echo oops >&2; exit 7"]);
    assert_eq!((status, &*out, &*err), (Some(7), "hello, you\n", "oops\n"));
    assert_eq!(cluster.said(&["run", "--", "kill -9 $$"]).0, Some(137));
    let (status, out, _) = cluster.said(&["run", "--name=job", "--", "printf", "%s-%s\\n", "a", "b c"]);
    assert_eq!((status, &*out), (Some(0), "a-b c\n"), "several arguments are a program and its own");

    let (_, listed, _) = cluster.said(&["ps", "--all"]);
    assert!(listed.contains("job.") && listed.contains("finished") && listed.ends_with("3 tasks\n"), "{listed}");
    assert_eq!(cluster.said(&["tail", "job"]).1, "a-b c\n");
    assert_eq!(cluster.said(&["logs", "echo"]), (Some(0), "hello, you\n".into(), "oops\n".into()));
    assert_eq!(cluster.said(&["sandbox", "cat", "echo", "stderr"]).1, "oops\n");
    let (_, files, _) = cluster.said(&["sandbox", "ls", "echo"]);
    assert!(files.contains("stdout") && files.ends_with("2 files\n"), "{files}");
    let (status, _, err) = cluster.said(&["tail", "nobody"]);
    assert!(status == Some(1) && err.contains("no task nobody"), "{err}");
}

/// The task of `run` does not outlive it, whether it is told to end, or nobody takes its output any more.
#[test]
fn a_task_ends_with_the_program_that_runs_it() {
    let cluster = Cluster::start();
    let script = "echo $$; while :; do echo more; sleep 0.05; done";
    for (signal, expected) in [(Some(Signal::TERM), Some(130)), (Some(Signal::INT), Some(130)), (None, Some(0))] {
        let mut job = Program(apportion(&["run", "--master", &cluster.master, "--", script]).spawn().unwrap());
        let pid = running::read_up_to(job.0.stdout.as_mut().unwrap(), "\n");
        match signal {
            Some(signal) => job.signal(signal), // what it writes until then fits in the pipe
            None => drop(job.0.stdout.take()),
        }
        assert_eq!(job.ended(), expected, "{signal:?}");
        let deadline = Instant::now() + Duration::from_secs(30);
        while std::path::Path::new(&format!("/proc/{}", pid.trim())).exists() {
            assert!(Instant::now() < deadline, "the task is left behind: {signal:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_task_that_runs_is_listed_and_followed_to_its_end_and_ctrl_c_ends_all() {
    let mut cluster = Cluster::start();
    let ready = cluster.folder.path().join("go");
    let line = format!("echo first; until [ -e {} ]; do sleep 0.05; done; echo last", ready.display());
    let command = ["run", "--master", &cluster.master, "--name=job", "--", &line];
    let mut job = Program(apportion(&command).spawn().unwrap());
    running::read_up_to(job.0.stdout.as_mut().unwrap(), "first\n"); // it runs, and is followed
    let (_, listed, _) = cluster.said(&["ps"]);
    assert!(listed.contains("running") && listed.ends_with("1 task\n"), "{listed}");
    let mut follower = Program(apportion(&["tail", "--master", &cluster.master, "-f", "job"]).spawn().unwrap());
    running::read_up_to(follower.0.stdout.as_mut().unwrap(), "first\n");
    std::fs::write(&ready, "").unwrap();
    running::read_up_to(follower.0.stdout.as_mut().unwrap(), "last\n");
    running::read_up_to(job.0.stdout.as_mut().unwrap(), "last\n");
    assert_eq!((job.ended(), follower.ended()), (Some(0), Some(0)));

    let mut left =
        Program(apportion(&["run", "--master", &cluster.master, "--", "echo $$; exec sleep 1000"]).spawn().unwrap());
    let pid = running::read_up_to(left.0.stdout.as_mut().unwrap(), "\n");
    cluster.program.signal(Signal::INT);
    assert_eq!(cluster.program.ended(), Some(0));
    let deadline = Instant::now() + Duration::from_secs(30);
    while std::path::Path::new(&format!("/proc/{}", pid.trim())).exists() {
        assert!(Instant::now() < deadline, "the task is left behind");
        std::thread::sleep(Duration::from_millis(20));
    }
}
