//! An excerpt of a real trace runs through the master, and its recording replays to the same bytes.

use apportion::journal::Replay;
use std::path::Path;
use std::process::Command;

#[test]
fn the_recording_of_a_trace_replays_to_the_same_bytes() {
    let trace = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces/openb");
    let folder = tempfile::tempdir().unwrap();
    let (journal, effects) = (folder.path().join("run.jsonl"), folder.path().join("out.jsonl"));
    let run = Command::new(env!("CARGO_BIN_EXE_openb"))
        .args([trace.join("nodes.csv"), trace.join("pods.csv")])
        .arg("--journal")
        .arg(&journal)
        .arg("--effects")
        .arg(&effects)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));

    let mut replay = Replay::new();
    let mut replayed = String::new();
    for line in std::fs::read_to_string(journal).unwrap().lines() {
        replay.feed(line, |effect| replayed.extend([effect, "\n"])).unwrap();
    }
    assert!(std::fs::read_to_string(effects).unwrap() == replayed, "the replay differs from the run");

    let told = String::from_utf8(run.stdout).unwrap();
    let count = |what: &str| {
        let line = told.lines().find(|line| line.starts_with(what)).unwrap();
        line.split_whitespace().last().unwrap().parse::<usize>().unwrap()
    };
    assert_eq!(count("pods"), 600);
    assert_eq!(count("launched") + count("never ran"), 600);
    assert_eq!(count("launched"), count("ended"));
    assert_eq!(replayed.matches(r#""emit":{"launch""#).count(), count("launched"));
    assert!(count("launched") > 500, "{told}");
}
