//! How the programs end, and what they refuse before they begin.

use apportion_console::testing::check_endings;
use std::path::Path;
use std::process::{Command, Output};

const OPENB: &str = env!("CARGO_BIN_EXE_openb");
const TRACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/traces/openb");

fn run(program: &str, arguments: &[&str]) -> (Output, String) {
    let output = Command::new(program).args(arguments).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, told)
}

#[test]
fn programs_end_quietly_on_a_closed_pipe_and_with_a_line_on_a_full_device() {
    let (nodes, pods) = (format!("{TRACE}/nodes.csv"), format!("{TRACE}/pods.csv"));
    check_endings(Path::new(OPENB), &[&nodes, &pods]);
    check_endings(Path::new(env!("CARGO_BIN_EXE_packing")), &["--policy", "BestFit", "--json"]);
    check_endings(Path::new(env!("CARGO_BIN_EXE_hadoop-and-mpi")), &["--agents", "2"]);
    check_endings(Path::new(env!("CARGO_BIN_EXE_workload")), &["cycle", "--agents", "10"]);
    check_endings(Path::new(env!("CARGO_BIN_EXE_fit")), &["greedy"]);
}

#[test]
fn outputs_are_checked_before_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (nodes, pods) = (format!("{TRACE}/nodes.csv"), format!("{TRACE}/pods.csv"));
    let (here, run_file, copy) = (path("."), path("run.jsonl"), path("nodes.csv"));
    std::fs::copy(&nodes, &copy).unwrap();
    for (program, arguments, message) in [
        (env!("CARGO_BIN_EXE_hadoop-and-mpi"), vec!["--svg", &here], format!("{here}: Is a directory")),
        (
            env!("CARGO_BIN_EXE_hadoop-and-mpi"),
            vec!["--svg", "/no/such/shares.svg"],
            "/no/such/shares.svg: No such".into(),
        ),
        (OPENB, vec![&nodes, &pods, "--journal", &here], format!("{here}: Is a directory")),
        (
            OPENB,
            vec![&nodes, &pods, "--journal", &run_file, "--effects", &run_file],
            format!("--effects {run_file}: found the file of --journal too, expected another file"),
        ),
        (
            OPENB,
            vec![&copy, &pods, "--journal", &copy],
            format!("--journal {copy}: found the file of an input too, expected another file"),
        ),
    ] {
        let (output, told) = run(program, &arguments);
        assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(2), true), "{arguments:?}: {told}");
        assert!(told.starts_with(&message), "{arguments:?}: {told}");
    }
    assert_eq!(std::fs::read(&copy).unwrap(), std::fs::read(&nodes).unwrap());
    if Path::new("/dev/full").exists() {
        let (output, told) = run(OPENB, &[&nodes, &pods, "--journal", "/dev/full"]);
        assert_eq!(
            (output.status.code(), told.as_str()),
            (Some(1), "/dev/full: No space left on device (os error 28)\n")
        );
    }
}

#[test]
fn text_is_utf8_may_have_a_mark_and_comes_from_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let (nodes, pods) = (format!("{TRACE}/nodes.csv"), format!("{TRACE}/pods.csv"));
    let write = |name: &str, text: &[u8]| {
        std::fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name).to_str().unwrap().to_owned()
    };
    let marked = write("marked.csv", &["\u{feff}".as_bytes(), &std::fs::read(&nodes).unwrap()].concat());
    let (plain, told) = run(OPENB, &[&nodes, &pods]);
    assert!(plain.status.success(), "{told}");
    assert_eq!(run(OPENB, &[&marked, &pods]).0.stdout, plain.stdout);
    let mut command = Command::new(OPENB);
    let piped = command.args(["-", &pods]).stdin(std::fs::File::open(&nodes).unwrap()).output().unwrap();
    assert_eq!(piped.stdout, plain.stdout);

    let bytes = write("bytes.csv", b"sn,cpu_milli,memory_mib,gpu,model\na,1,1,1,A\n\xff,1,1,1,A\n");
    let message = format!("{bytes}:3: found bytes that are no UTF-8, expected text\n");
    let (output, told) = run(OPENB, &[&bytes, &pods]);
    assert_eq!((output.status.code(), &told), (Some(2), &message));
    let (output, told) = run(env!("CARGO_BIN_EXE_packing"), &["--nodes", &bytes]);
    assert_eq!((output.status.code(), &told), (Some(2), &message));
    let huge = write("huge.csv", b"sn,cpu_milli,memory_mib,gpu,model\nn1,1,1,18446744073709551615,A\n");
    let (output, told) = run(OPENB, &[&huge, &pods]);
    assert_eq!(output.status.code(), Some(2));
    assert!(told.starts_with(&format!("{huge}: n1: ")), "{told}");
}
