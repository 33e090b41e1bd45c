//! The trace runs to its end both ways, and takes far fewer offers if its users request them.

use serde_json::Value;
use std::process::Command;

/// Runs the program, and returns its lines.
fn run(arguments: &[&str]) -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_fit")).args(arguments).arg("--json").output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn users_who_request_offers_see_one_for_each_task() {
    let runs = run(&["swim", "--agents", "60", "--users", "6", "--until", "300"]);
    let [without, with] = &runs[..] else { panic!("{runs:?}: expected two runs") };
    assert_eq!((&without["requests"], &with["requests"]), (&false.into(), &true.into()));
    for field in ["jobs", "launched"] {
        assert_eq!(without[field], with[field], "{field}");
        assert!(with[field].as_u64().unwrap() > 0);
    }
    let number = |run: &Value, field: &str| run[field].as_f64().unwrap();
    assert!(number(with, "offers_a_task") <= 2.0, "{with}");
    assert!(number(without, "offers_a_task") > 2.0 * number(with, "offers_a_task"), "{without} {with}");
    assert!(number(without, "events") > number(with, "events"), "{without} {with}");
}
