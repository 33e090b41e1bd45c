//! Output that is bounded while its writer goes on.

use apportion_exec::rotation::rotate;
use apportion_exec::sandbox::Sandbox;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;

#[test]
fn output_of_tasks_is_bounded_and_one_copy_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::at(folder.path()).of_task("t1").unwrap();
    sandbox.create(None).unwrap();
    let [mut stdout, mut stderr] = sandbox.logs(None).unwrap();
    stderr.write_all(b"short").unwrap();
    for round in ["first", "second"] {
        stdout.write_all(round.as_bytes()).unwrap();
        assert_eq!(rotate(folder.path(), 4).unwrap(), if round == "first" { 2 } else { 1 });
        assert_eq!(rotate(folder.path(), 4).unwrap(), 0);
    }
    stdout.write_all(b"x").unwrap();
    let text = |name: &str| fs::read_to_string(sandbox.path().join(name)).unwrap();
    assert_eq!([text("stdout"), text("stdout.1"), text("stderr"), text("stderr.1")], ["x", "second", "", "short"]);
}

#[test]
fn a_link_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (secret, inside) = (folder.path().join("secret"), folder.path().join("sandbox"));
    fs::create_dir_all(inside.join("mine")).unwrap();
    fs::write(&secret, "long enough").unwrap();
    fs::write(inside.join("mine/stdout"), "long enough").unwrap();
    symlink("../secret", inside.join("stdout")).unwrap();
    symlink("mine/stdout", inside.join("stderr")).unwrap();
    symlink("..", inside.join("tasks")).unwrap();
    assert_eq!(rotate(&inside, 4).unwrap(), 0);
    // A link in the place of the copy is replaced.
    fs::remove_file(inside.join("stdout")).unwrap();
    fs::write(inside.join("stdout"), "output").unwrap();
    symlink("../secret", inside.join("stdout.1")).unwrap();
    assert_eq!(rotate(&inside, 4).unwrap(), 1);
    assert_eq!(fs::read_to_string(&secret).unwrap(), "long enough");
    assert_eq!(fs::read_to_string(inside.join("mine/stdout")).unwrap(), "long enough");
    assert_eq!(fs::read_to_string(inside.join("stdout.1")).unwrap(), "output");
}
