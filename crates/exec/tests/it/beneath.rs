//! Files below a folder: what is shown, and what leads out of it.

use apportion_exec::beneath::{MAX_READ, Part, Root};
use apportion_exec::sandbox::{Sandbox, disk_use};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::Path;

/// A folder `root` with things in it, beside a file `secret`.
fn folder() -> (tempfile::TempDir, Root) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("a/b")).unwrap();
    fs::write(folder.path().join("secret"), "secret").unwrap();
    fs::write(root.join("a/file"), "0123456789").unwrap();
    symlink("a/b/../file", root.join("good")).unwrap();
    symlink("../secret", root.join("up")).unwrap();
    symlink(folder.path().join("secret"), root.join("absolute")).unwrap();
    symlink("../..", root.join("a/b/over")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    symlink("/", root.join("a/slash")).unwrap();
    let opened = Root::open(&root).unwrap();
    (folder, opened)
}

#[test]
fn nothing_leads_out() {
    let (_folder, root) = folder();
    for path in [
        "up",
        "absolute",
        "../secret",
        "a/../../secret",
        "a/b/over/../secret",
        "/../secret",
        "loop",
        "a/slash/etc/passwd",
        "..",
        "a/b/over/..",
        "secret",
        "a/file/..",
        "a/file/../file",
        "no/../a/file",
    ] {
        assert!(root.file(path).is_err(), "{path}");
        assert!(root.browse(path).is_err(), "{path}");
    }
    for path in ["a/file", "/a/file", "//a//./file", "a/b/../file", "good", "a/b/over/a/file"] {
        let mut text = String::new();
        root.file(path).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "0123456789", "{path}");
    }
}

#[test]
fn folders_are_listed_by_name_as_ls_shows_them() {
    let (folder, root) = folder();
    let stream = std::os::unix::net::UnixListener::bind(folder.path().join("root/socket")).unwrap();
    for path in ["", "/", ".", "a/..", "a/b/over"] {
        let names: Vec<String> = root.browse(path).unwrap().into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["a", "absolute", "good", "loop", "socket", "up"], "{path}");
    }
    drop(stream);
    let entries = root.browse("a").unwrap();
    let modes: Vec<(&str, &str, bool)> =
        entries.iter().map(|entry| (entry.name.as_str(), entry.mode.as_str(), entry.is_folder)).collect();
    let umask_free = |mode: &str| mode.chars().take(4).collect::<String>();
    assert_eq!(modes[0].0, "b");
    assert_eq!(
        (umask_free(modes[0].1), umask_free(modes[1].1), modes[2].1),
        ("drwx".into(), "-rw-".into(), "lrwxrwxrwx")
    );
    assert_eq!((entries[1].size, entries[1].nlink, modes[0].2, modes[1].2), (10, 1, true, false));
    assert!(entries[1].mtime > 1_000_000_000);
    assert!(root.browse("a/file").is_err() && root.browse("none").is_err());
}

#[test]
fn parts_are_read_as_the_endpoint_has_it() {
    let (folder, root) = folder();
    let part = |offset, length| root.read("a/file", offset, length).unwrap();
    let expected = |data: &str, offset| Part { data: data.into(), offset };
    assert_eq!(part(None, None), expected("", 10));
    assert_eq!(part(Some(0), None), expected("0123456789", 0));
    assert_eq!(part(Some(3), Some(4)), expected("3456", 3));
    assert_eq!(part(Some(8), Some(4)), expected("89", 8));
    assert_eq!(part(Some(10), Some(1)), expected("", 10));
    assert_eq!(part(Some(u64::MAX), Some(u64::MAX)), expected("", 10));
    assert_eq!(part(Some(4), Some(0)), expected("", 4));
    fs::write(folder.path().join("root/big"), vec![b'x'; 100_000]).unwrap();
    let big = root.read("big", Some(1), Some(u64::MAX)).unwrap();
    assert_eq!((big.data.len() as u64, big.offset), (MAX_READ, 1));
    assert!(root.read("a", Some(0), None).is_err());
    assert!(std::process::Command::new("mkfifo").arg(folder.path().join("root/pipe")).status().unwrap().success());
    assert!(root.read("pipe", Some(0), None).is_err()); // it does not wait for a writer
}

#[test]
fn a_folder_that_is_swapped_for_a_link_shows_nothing_of_others() {
    let (folder, root) = folder();
    let inside = folder.path().join("root/swap");
    let outside = folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "secret").unwrap();
    let swap = std::thread::Builder::new().spawn(move || {
        for _ in 0..2000 {
            fs::create_dir(&inside).unwrap();
            fs::write(inside.join("file"), "mine").unwrap();
            fs::remove_file(inside.join("file")).unwrap();
            fs::remove_dir(&inside).unwrap();
            symlink(&outside, &inside).unwrap();
            fs::remove_file(&inside).unwrap();
        }
    });
    let swap = swap.unwrap();
    while !swap.is_finished() {
        if let Ok(part) = root.read("swap/file", Some(0), None) {
            assert_ne!(part.data, b"secret");
        }
    }
    swap.join().unwrap();
}

#[test]
fn a_sandbox_is_made_and_removed() {
    let work_dir = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::new(work_dir.path(), ["a", "f", "e", "c1"]).unwrap();
    sandbox.create(None).unwrap();
    let newer = Sandbox::new(work_dir.path(), ["a", "f", "e", "c2"]).unwrap();
    newer.create(None).unwrap();
    newer.create(None).unwrap(); // it is no error if it is there
    assert_eq!(fs::read_link(sandbox.latest()).unwrap(), Path::new("c2"));
    let runs: Vec<_> =
        fs::read_dir(sandbox.latest().parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(runs.len(), 3, "{runs:?}");
    let task = sandbox.of_task("t1").unwrap();
    task.create(None).unwrap();
    assert!(task.path().ends_with("runs/c1/tasks/t1"));
    for _ in 0..2 {
        let [mut stdout, mut stderr] = task.logs(None).unwrap();
        stdout.write_all(b"out\n").unwrap();
        stderr.write_all(b"err\n").unwrap();
    }
    assert_eq!(fs::read_to_string(task.path().join("stdout")).unwrap(), "out\nout\n");
    symlink(work_dir.path(), task.path().join("outside")).unwrap();
    sandbox.remove().unwrap();
    sandbox.remove().unwrap();
    assert!(!sandbox.path().exists() && newer.path().exists());
}

#[test]
fn output_goes_to_no_file_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::at(folder.path().join("sandbox"));
    sandbox.create(None).unwrap();
    let victim = folder.path().join("victim");
    fs::write(&victim, "").unwrap();
    symlink(&victim, sandbox.path().join("stdout")).unwrap();
    let error = sandbox.logs(None).unwrap_err();
    assert!(error.to_string().starts_with(sandbox.path().join("stdout").to_str().unwrap()), "{error}");
}

#[test]
fn ids_that_are_no_names_of_folders_are_refused() {
    let long = "x".repeat(256);
    for id in ["", ".", "..", "a/b", "/", "a\0b", "a\nb", &long] {
        for place in 0..4 {
            let mut ids = ["a", "f", "e", "c"];
            ids[place] = id;
            let refused = Sandbox::new(Path::new("/w"), ids).unwrap_err();
            assert_eq!(refused.id, id);
        }
        assert!(Sandbox::at("/w").of_task(id).is_err());
    }
    assert!(Sandbox::new(Path::new("/w"), [&long[1..], "..x", "web.1_x-y", "ü"]).is_ok());
}

#[test]
fn disk_use_counts_each_file_once_and_follows_no_link() {
    let folder = tempfile::tempdir().unwrap();
    let big = folder.path().join("big");
    fs::write(&big, vec![1; 1 << 20]).unwrap();
    let inside = folder.path().join("inside");
    fs::create_dir_all(inside.join("x/y")).unwrap();
    symlink(&big, inside.join("link")).unwrap();
    symlink("..", inside.join("x/up")).unwrap();
    let empty = disk_use(&inside).unwrap();
    assert!(empty < 1 << 20, "{empty}");
    fs::write(inside.join("x/y/file"), vec![1; 1 << 20]).unwrap();
    fs::hard_link(inside.join("x/y/file"), inside.join("second-name")).unwrap();
    let used = disk_use(&inside).unwrap() - empty;
    assert!(((1 << 20)..(2 << 20)).contains(&used), "{used}");
    assert!(disk_use(&folder.path().join("none")).is_err());
}
