//! A process: how it starts, what it gets, how it ends.

use crate::witness::{LONG, Witness};
use apportion_exec::{Exit, Process, ProcessBuilder, ProcessId, SpawnError, Tree, User, WaitStatus};
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

fn run(builder: ProcessBuilder) -> (Exit, String) {
    let (witness, writer) = Witness::new();
    let process = builder.stdout(writer).spawn().unwrap();
    (process.wait().unwrap(), witness.rest())
}

#[test]
fn the_status_is_as_wait_tells_it() {
    for (script, raw, text) in [
        ("exit 0", 0, "exited with status 0"),
        ("exit 5", 5 << 8, "exited with status 5"),
        ("kill -TERM $$", 15, "terminated with signal Terminated"),
        ("kill -KILL $$", 9, "terminated with signal Killed"),
        ("no-such-command", 127 << 8, "exited with status 127"),
    ] {
        let process = ProcessBuilder::shell(script).spawn().unwrap();
        let exit = process.wait().unwrap();
        assert_eq!((exit.status().unwrap().raw(), exit.to_string().as_str()), (raw, text), "{script}");
        assert_eq!(process.wait().unwrap(), exit); // also the second time
        assert!(!process.is_running());
    }
}

#[test]
fn what_cannot_start_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    File::create(&file).unwrap();
    let error = ProcessBuilder::new(["no-such-command"]).spawn().unwrap_err();
    assert!(matches!(&error, SpawnError::Program { error, .. } if error.kind() == ErrorKind::NotFound), "{error}");
    assert_eq!(error.to_string(), "no-such-command: No such file or directory (os error 2)");
    let error = ProcessBuilder::new([&file]).spawn().unwrap_err();
    assert!(
        matches!(&error, SpawnError::Program { error, .. } if error.kind() == ErrorKind::PermissionDenied),
        "{error}"
    );
    for missing in [folder.path().join("missing"), file] {
        let error = ProcessBuilder::shell("true").directory(&missing).spawn().unwrap_err();
        assert!(matches!(&error, SpawnError::Directory { directory, .. } if *directory == missing), "{error}");
    }
    let none: [&str; 0] = [];
    assert!(matches!(ProcessBuilder::new(none).spawn(), Err(SpawnError::NoProgram)));
}

#[test]
fn nothing_is_inherited() {
    let folder = tempfile::tempdir().unwrap();
    let _open = File::create(folder.path().join("open")).unwrap();
    let builder = ProcessBuilder::new(["/usr/bin/env"]).variables([("A", "1"), ("b.c", "x=y\nz")]).variable("A", "2");
    assert_eq!(run(builder).1, "A=2\nb.c=x=y\nz\n");
    let script = "pwd; cat; cat /proc/$$/stat; ls -l /proc/$$/fd";
    let (_, said) = run(ProcessBuilder::shell(script).variable("PATH", "/usr/bin:/bin"));
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "/"); // the standard input is empty, so the next line is that of the next command
    let stat: Vec<&str> = lines[1].split(' ').collect();
    assert_eq!((stat[4], stat[5]), (stat[0], stat[0])); // it leads its group and its session
    assert!(said.contains("0 -> /dev/null") && !said.contains(folder.path().to_str().unwrap()), "{said}");
}

#[test]
fn programs_are_found_in_the_path_of_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("hello-from-here");
    std::fs::write(&program, "#!/bin/sh\necho hello\n").unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(run(ProcessBuilder::new(["hello-from-here"]).variable("PATH", folder.path())).1, "hello\n");
}

#[test]
fn it_runs_as_a_user_with_all_groups() {
    if !User::current().unwrap().name().eq("root") {
        eprintln!("skipped: only root may start processes of others");
        return;
    }
    let user = User::named("nobody").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (exit, said) =
        run(ProcessBuilder::shell("id -u; id -g; id -G; cat /proc/self/status | grep -c CapEff:.*[1-9a-f]")
            .variable("PATH", "/usr/bin:/bin")
            .user(user.clone()));
    let groups: Vec<String> = user.groups().iter().map(u32::to_string).collect();
    assert_eq!(said, format!("{}\n{}\n{}\n0\n", user.uid(), user.gid(), groups.join(" ")));
    assert_eq!(exit, Exit::Status(WaitStatus::from_code(1))); // of grep
    assert_eq!(run(ProcessBuilder::shell("id -u").variable("PATH", "/usr/bin:/bin")).1, "0\n"); // we are root still
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o700)).unwrap();
    let refused = ProcessBuilder::shell("true").directory(folder.path()).user(user).spawn().unwrap_err();
    assert!(refused.to_string().contains("ermission denied"), "{refused}");
}

#[test]
fn it_is_found_again_by_number_and_start_time() {
    let (witness, writer) = Witness::new();
    let process = ProcessBuilder::shell("echo up; sleep 1000 & wait").stdout(writer).spawn().unwrap();
    assert_eq!(witness.line(), "up\n");
    let id = process.id();
    let other = ProcessId { start_time: id.start_time + 1, ..id };
    assert!(Process::find(Tree::new(other)).is_none());
    let found = Process::find(Tree::new(id)).unwrap();
    assert_eq!((found.id(), found.is_running()), (id, true));
    assert_eq!(found.wait_timeout(Duration::from_millis(1)).unwrap(), None);
    assert_eq!(found.stop(LONG).unwrap(), Exit::Unknown); // the status is for the one who started it
    assert_eq!(witness.rest(), "");
    assert_eq!(process.wait().unwrap(), Exit::Status(WaitStatus::from_raw(15)));
    assert!(Process::find(Tree::new(id)).is_none());
}
