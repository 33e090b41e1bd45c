//! [`check_endings`]: checks for the tests of the programs that a program ends like the others.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs a program against a closed pipe and a full device, asks for its help and its version, and gives it an unknown option.
///
/// # Panics
///
/// If one of them does not end as it must: a closed pipe ends the program quietly, a full device with one line that names
/// the stream and status 1, whether or not anybody can read that line, and an unknown option with status 2.
pub fn check_endings(program: &Path, arguments: &[&str]) {
    check_endings_with(program, arguments, 2);
}

/// Does the same as [`check_endings`] for a program whose status for an unknown option is another.
///
/// # Panics
///
/// As [`check_endings`] does.
pub fn check_endings_with(program: &Path, arguments: &[&str], wrong_arguments: i32) {
    let run = |arguments: &[&str], out: Stdio| -> Output {
        let mut command = Command::new(program);
        let child = command.args(arguments).stdin(Stdio::null()).stdout(out).stderr(Stdio::piped()).spawn();
        child.and_then(std::process::Child::wait_with_output).expect("the program starts")
    };
    let told = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let name = program.display();

    let closed = || {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        Stdio::from(writer)
    };
    for arguments in [arguments, &["--help"], &["--version"]] {
        let output = run(arguments, closed());
        assert_eq!(
            (output.status.code(), told(&output).as_str()),
            (Some(0), ""),
            "{name} {arguments:?}, a closed pipe"
        );
        let Ok(full) = full() else { continue };
        let output = run(arguments, full.into());
        let line = "standard output: No space left on device (os error 28)\n";
        assert_eq!(
            (output.status.code(), told(&output).as_str()),
            (Some(1), line),
            "{name} {arguments:?}, a full device"
        );
    }
    if let (Ok(out), Ok(error)) = (full(), full()) {
        let status = Command::new(program).args(arguments).stdin(Stdio::null()).stdout(out).stderr(error).status();
        assert_eq!(status.expect("the program starts").code(), Some(1), "{name}, where standard error is full too");
    }
    let help = run(&["--help"], Stdio::piped());
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
    assert!(help.status.success() && text.contains("Usage: ") && text.contains("xit status"), "{name}: {text}");
    let version = run(&["--version"], Stdio::piped());
    let text = String::from_utf8_lossy(&version.stdout).into_owned();
    assert!(version.status.success() && text.trim_end().ends_with(env!("CARGO_PKG_VERSION")), "{name}: {text}");
    let unknown = run(&["--no-such-option"], Stdio::piped());
    assert_eq!(
        (unknown.status.code(), unknown.stdout.is_empty()),
        (Some(wrong_arguments), true),
        "{name}: {}",
        told(&unknown)
    );
}

fn full() -> std::io::Result<File> {
    File::options().write(true).open("/dev/full")
}
