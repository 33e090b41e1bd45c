//! Each workload makes the expected number of offers, and reports it.

use serde_json::Value;
use std::process::{Command, Output};

/// Runs the program.
fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_workload")).args(arguments).output().unwrap()
}

/// The offers of each round.
fn offers(arguments: &[&str]) -> Vec<u64> {
    let output = run(&[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (peak, steps) = lines.split_last().unwrap();
    assert!(peak.as_object().unwrap().contains_key("peak_rss_bytes"));
    for step in steps {
        assert_eq!(step["workload"], arguments[0]);
        assert!(step["seconds"].as_f64().unwrap() >= 0.0);
    }
    let rounds: Vec<_> = steps.iter().filter(|step| !step["round"].is_null()).collect();
    for (i, step) in rounds.iter().enumerate() {
        assert_eq!(step["round"], i);
    }
    rounds.iter().map(|step| step["offers"].as_u64().unwrap()).collect()
}

#[test]
fn each_workload_makes_the_offers_that_it_has_to() {
    let size = |name, agents, frameworks| vec![name, "--agents", agents, "--frameworks", frameworks];
    assert_eq!(offers(&size("cycle", "60", "7")), [60, 60, 60]);
    assert_eq!(offers(&[size("cycle", "60", "7"), vec!["--roles", "7", "--used"]].concat()), [60, 60, 60]);
    assert_eq!(offers(&[size("event", "20", "6"), vec!["--roles", "3", "--rounds", "2"]].concat()), [2_000, 2_000]);
    assert_eq!(offers(&size("decline", "30", "3")), [30, 30, 0, 0, 0, 0]);
    assert_eq!(offers(&size("suppress", "30", "10")), [30, 30, 30, 30, 0]);
    assert_eq!(offers(&size("suppress", "30", "11")), [30, 30, 30, 30, 30]);
    assert_eq!(offers(&size("extreme-suppress", "30", "100")), [30, 30, 30, 30, 30]);
    assert_eq!(offers(&size("add-and-update", "50", "8")), [50, 50]);
    assert_eq!(offers(&[size("sort", "50", "8"), vec!["--rounds", "2"]].concat()), [0, 0]);
}

#[test]
fn quotas_are_met_in_one_cycle() {
    let rounds = offers(&["quota", "--agents", "30"]);
    assert!((35..=40).contains(&rounds[0]), "{rounds:?}");
    assert_eq!(rounds[1..], [0]);
}

#[test]
fn the_launch_loop_ends_when_all_run() {
    let rounds = offers(&["launch-loop", "--agents", "8", "--frameworks", "55"]);
    assert_eq!(rounds[0], 8);
}

#[test]
fn growth_measures_the_operations_that_are_asked_for() {
    let output = run(&["growth", "--only", "maintenance-t", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let line: Value = serde_json::from_slice(&output.stdout).unwrap(); // one line alone
    assert_eq!((&line["operation"], &line["n"]), (&"maintenance-tasks".into(), &serde_json::json!([10, 100, 1_000])));
    assert!(line["seconds"].as_array().unwrap().iter().all(|seconds| seconds.as_f64().unwrap() > 0.0));
    assert!(line["exponent"].is_f64());
}

#[test]
fn what_is_no_workload_is_refused_before_it_runs() {
    for arguments in
        [&["cycles"] as &[_], &["cycle", "--agents", "0"], &["quota", "--agents", "6", "--frameworks", "90"]]
    {
        assert_eq!(run(arguments).status.code(), Some(2), "{arguments:?}");
    }
}
