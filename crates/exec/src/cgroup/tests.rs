#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

use super::mounts::Mount;
use super::*;
use crate::ProcessBuilder;
use crate::statistics::Statistics;
use crate::wait_status::WaitStatus;
use std::io::{BufRead, BufReader, Read};

/// A mount of plain folders, in which everything can be written and read back.
fn mount(folder: &Path, controllers: &[&str]) -> Mount {
    let controllers = controllers.iter().map(|&name| name.to_owned()).collect();
    Mount { controllers, folder: folder.to_owned(), own: folder.join("own") }
}

fn read(folder: &Path, file: &str) -> String {
    fs::read_to_string(folder.join(file)).unwrap()
}

#[test]
fn version_2_has_limits_as_its_files_take_them() {
    let folder = tempfile::tempdir().unwrap();
    let mounts = Mounts { v1: Vec::new(), v2: Some(mount(folder.path(), &[])) };
    let cgroups = Cgroups::among(&mounts, "all/mesos").unwrap();
    assert_eq!(cgroups.no_limits(), None);
    for above in ["", "all", "all/mesos"] {
        assert_eq!(read(&folder.path().join(above), "cgroup.subtree_control"), "+memory"); // the last that was written
    }
    let cgroup = cgroups.create("c1").unwrap();
    assert!(folder.path().join("all/mesos/c1/leaf").is_dir());
    let at = cgroup.folder();
    let cases = [
        (1500, Some(1), true, "150", "150000 100000", "33554432"),
        (1, Some(1 << 30), true, "1", "1000 100000", "1073741824"),
        (1_000_000, None, false, "10000", "max", "max"),
        (0, None, false, "1", "max", "max"),
    ];
    for (milli_cpus, memory, quota, weight, cpu, mem) in cases {
        cgroup.limit(&Limits { milli_cpus, memory, quota }).unwrap();
        let found = ["cpu.weight", "cpu.max", "memory.max"].map(|file| read(&at, file));
        assert_eq!(found, [weight, cpu, mem]);
    }
    fs::write(at.join("memory.current"), "100000000\n").unwrap();
    fs::write(at.join("memory.max"), "200000000").unwrap();
    cgroup.limit(&Limits { milli_cpus: 100, memory: Some(64 << 20), quota: false }).unwrap();
    assert_eq!((read(&at, "memory.max"), read(&at, "memory.low")), ("200000000".to_owned(), "67108864".to_owned()));
    assert_eq!(cgroup.oom_kills(), 0);
    fs::write(at.join("memory.events"), "low 0\noom 3\noom_kill 2\n").unwrap();
    assert_eq!(cgroup.oom_kills(), 2);
    fs::write(
        at.join("cpu.stat"),
        "usage_usec 9\nuser_usec 1500000\nsystem_usec 250000\nnr_periods 7\nnr_throttled 2\n",
    )
    .unwrap();
    fs::write(at.join("memory.stat"), "anon 11\nfile 12\nfile_mapped 13\n").unwrap();
    let usage = cgroup.usage();
    assert_eq!((usage.user_secs, usage.system_secs, usage.periods), (Some(1.5), Some(0.25), Some(7)));
    assert_eq!((usage.anonymous, usage.file, usage.mapped_file, usage.swap), (Some(11), Some(12), Some(13), None));
    assert_eq!((usage.total, usage.limit, usage.soft_limit), (Some(100_000_000), Some(200_000_000), Some(64 << 20)));
}

#[test]
fn version_2_goes_below_the_own_cgroup_where_only_that_is_delegated() {
    let folder = tempfile::tempdir().unwrap();
    let mount = mount(folder.path(), &[]);
    make(&mount.own).unwrap();
    fs::write(folder.path().join("mesos"), "").unwrap(); // no folder can be made there
    let mounts = Mounts { v1: Vec::new(), v2: Some(mount.clone()) };
    let cgroups = Cgroups::among(&mounts, "mesos").unwrap();
    assert_eq!(cgroups.create("c1").unwrap().folder(), mount.own.join("mesos/c1"));
    assert_eq!(read(&mount.own, "apportion/cgroup.procs"), "0"); // this program has made room
    assert_eq!(read(&mount.own, "cgroup.subtree_control"), "+memory");
}

#[test]
fn version_1_has_limits_as_its_files_take_them() {
    let folder = tempfile::tempdir().unwrap();
    let (memory, cpu) = (folder.path().join("memory"), folder.path().join("cpu,cpuacct"));
    let v1 = vec![mount(&cpu, &["cpu", "cpuacct"]), mount(&memory, &["memory"])];
    let cgroups = Cgroups::among(&Mounts { v1, v2: Some(mount(folder.path(), &[])) }, "mesos").unwrap();
    let cgroup = cgroups.create("c1").unwrap();
    let (memory, cpu) = (memory.join("mesos/c1"), cpu.join("mesos/c1"));
    assert_eq!(cgroup.folders(), [memory.clone(), cpu.clone()]);
    let cases = [
        (1500, Some(1), true, "1536", Some("150000"), "33554432"),
        (0, Some(1 << 30), true, "2", Some("1000"), "1073741824"),
        (500, None, false, "512", Some("-1"), "-1"),
    ];
    for (milli_cpus, limit, quota, shares, micros, mem) in cases {
        cgroup.limit(&Limits { milli_cpus, memory: limit, quota }).unwrap();
        assert_eq!((read(&cpu, "cpu.shares").as_str(), read(&memory, "memory.limit_in_bytes").as_str()), (shares, mem));
        assert_eq!(Some(read(&cpu, "cpu.cfs_quota_us").as_str()), micros);
    }
    fs::write(memory.join("memory.oom_control"), "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n").unwrap();
    assert_eq!(cgroup.oom_kills(), 1);
    fs::write(cpu.join("cpuacct.stat"), "user 150\nsystem 25\n").unwrap();
    fs::write(memory.join("memory.limit_in_bytes"), "9223372036854771712").unwrap();
    let usage = cgroup.usage();
    assert!(usage.user_secs > usage.system_secs && usage.limit.is_none());
}

#[test]
fn where_there_is_none_the_reason_is_told() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        Cgroups::among(&Mounts::default(), "mesos").unwrap_err().to_string(),
        "no cgroups can be used: none are mounted"
    );
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for mounts in [
        Mounts { v1: Vec::new(), v2: Some(mount(&file, &[])) },
        Mounts { v1: vec![mount(&file, &["memory"])], v2: None },
    ] {
        let error = Cgroups::among(&mounts, "mesos").unwrap_err().to_string();
        assert!(error.contains("/file/mesos: Not a directory"), "{error}");
    }
}

#[test]
fn an_executor_sees_the_memory_that_it_shares_with_its_tasks() {
    let folder = tempfile::tempdir().unwrap();
    let at = |own: &str, controllers: &[&str]| {
        let mount = mount(folder.path(), controllers);
        Mount { own: folder.path().join(own), ..mount }
    };
    fs::create_dir_all(folder.path().join("mesos/c1/leaf")).unwrap();
    let of_v2 = Mounts { v1: Vec::new(), v2: Some(at("mesos/c1/leaf", &[])) };
    assert_eq!(OwnMemory::among(&of_v2), OwnMemory::among(&Mounts::default()));
    assert_eq!((OwnMemory::among(&of_v2).oom_kills(), OwnMemory::among(&of_v2).limit()), (0, None));
    let container = folder.path().join("mesos/c1");
    fs::write(container.join("memory.events"), "oom 2\noom_kill 1\n").unwrap();
    fs::write(container.join("memory.max"), "max\n").unwrap();
    assert_eq!((OwnMemory::among(&of_v2).oom_kills(), OwnMemory::among(&of_v2).limit()), (1, None));
    fs::write(container.join("memory.max"), "33554432\n").unwrap();
    assert_eq!(OwnMemory::among(&of_v2).limit(), Some(32 << 20));
    let of_v1 = Mounts { v1: vec![at("mesos/c1", &["memory"])], v2: of_v2.v2 };
    fs::write(container.join("memory.oom_control"), "oom_kill 3\n").unwrap();
    fs::write(container.join("memory.limit_in_bytes"), "9223372036854771712\n").unwrap();
    assert_eq!((OwnMemory::among(&of_v1).oom_kills(), OwnMemory::among(&of_v1).limit()), (3, None));
}

/// In a hierarchy of version 2 without controllers, as systems with both versions have it, processes are moved and found.
#[test]
fn version_2_is_a_fence_also_without_controllers() {
    let text = |path| fs::read_to_string(path).unwrap();
    let mounts = Mounts::parse(&text("/proc/self/mounts"), &text("/proc/self/cgroup"));
    let mounts = Mounts { v1: Vec::new(), ..mounts };
    let name = format!("apportion-test-{}-fence2", std::process::id());
    let cgroups = match Cgroups::among(&mounts, &name) {
        Ok(cgroups) => cgroups,
        Err(error) => {
            eprintln!("skipped: {error}");
            return;
        }
    };
    let cgroup = cgroups.create("c1").unwrap();
    let (reader, writer) = io::pipe().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let script = "read line < fifo; setsid setsid sh -c 'echo; exec sleep 1000' & exec sleep 1000";
    let builder =
        ProcessBuilder::shell(script).directory(folder.path()).variable("PATH", "/usr/bin:/bin").cgroup(cgroup.clone());
    let process = builder.stdout(writer).spawn().unwrap();
    fs::write(&fifo, "\n").unwrap(); // the process is in the cgroup by now
    let mut reader = BufReader::new(reader);
    reader.read_line(&mut String::new()).unwrap();
    let shown = fs::read_to_string(format!("/proc/{}/cgroup", process.id().pid)).unwrap();
    assert!(shown.contains(&format!("{name}/c1/leaf")), "{shown}");
    assert!(cgroup.pids().len() >= 2, "{:?}", cgroup.pids());
    assert!(Statistics::of(process.tree()).processes >= Some(2));
    process.kill();
    assert_eq!(process.wait().unwrap().status(), Some(WaitStatus::from_raw(9)));
    assert_eq!(reader.read_to_end(&mut Vec::new()).unwrap(), 0);
    cgroup.remove().unwrap();
    fs::remove_dir(cgroup.folder().parent().unwrap()).unwrap();
}
