//! The master, driven by its journal, against the cases in `cases`: commands in, effects checked.
//!
//! `cases/allocator`, `cases/resources` and `cases/core` came with the rules of the journal and are public;
//! `cases/own` are ours, written from the same rules. What a case may say is told in `case.rs`, what
//! it may expect in `check.rs`. An `error` or `operation_failed` that no check mentions fails the case.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod case;
mod check;
mod run;

use case::failure;
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};

fn cases(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    files
}

#[test]
fn the_cases_hold() {
    let folders = [("allocator", 128), ("resources", 14), ("core", 24), ("own", 170)];
    let mut files = Vec::new();
    for (folder, least) in folders {
        let found = cases(folder);
        assert!(found.len() >= least, "cases are missing in {folder}");
        files.extend(found);
    }
    let failures: Vec<String> = files.iter().filter_map(|file| named_failure(file)).collect();
    assert!(failures.is_empty(), "{} of {} cases fail:\n{}", failures.len(), files.len(), failures.join("\n"));
}

fn named_failure(file: &Path) -> Option<String> {
    let case: Json = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let name = file.file_stem().unwrap().to_string_lossy();
    failure(&case).map(|why| format!("{name}: {why}"))
}

/// One agent, one framework, and whatever else.
fn script(steps: Json) -> Json {
    let mut script = vec![
        json!({"do": {"add_agent": {"id": "a", "resources": "cpus:4;mem:512"}}}),
        json!({"do": {"add_framework": {"id": "f", "roles": ["r"]}}}),
    ];
    let Json::Array(steps) = steps else { panic!("expected steps") };
    script.extend(steps);
    json!({"script": script})
}

/// A case that must fail, and part of the reason.
fn fails(case: Json, reason: &str) {
    let why = failure(&case).unwrap_or_else(|| panic!("this case must not hold: {case}"));
    assert!(why.contains(reason), "{why:?} does not say {reason:?}: {case}");
}

#[test]
fn a_wrong_offer_fails() {
    let offer = json!({"framework": "f", "role": "r", "agent": "a", "resources": "mem:512;cpus:4.000"});
    let with = |field: &str, value: &str| {
        let mut wrong = offer.clone();
        wrong[field] = value.into();
        json!([{"expect": {"offers": [wrong]}}])
    };
    assert_eq!(failure(&script(json!([{"expect": {"offers": [offer]}}]))), None);
    fails(script(with("framework", "g")), "offers: expected");
    fails(script(with("role", "s")), "offers: expected");
    fails(script(with("agent", "b")), "offers: expected");
    fails(script(with("resources", "cpus:4;mem:511.999")), "offers: expected");
    fails(script(with("resources", "cpus(r):4;mem:512")), "offers: expected");
    fails(script(json!([{"expect": {"offers": []}}])), "offers: expected");
    fails(script(json!([{"expect": {"offers": [offer, offer]}}])), "offers: expected");
}

#[test]
fn every_check_of_effects_can_fail() {
    let launch = json!({"do": {"accept": {"framework": "f", "offers": ["$offer(f,r,a)"], "operations": [
        {"launch": {"tasks": [{"id": "t", "resources": "cpus:1", "name": "web"}]}}], "refuse_seconds": 0}}});
    let kill = json!({"do": {"kill": {"framework": "f", "task": "t"}}});
    let reserve = json!({"do": {"operate": {"agent": "a", "operations": [
        {"reserve": {"resources": "cpus(r):1"}}]}}});
    let remove = json!({"do": {"remove_agent": {"id": "a"}}});
    let maintain = json!({"do": {"set_maintenance": {"agent": "a", "unavailability": {"start": 9, "duration": 1}}}});
    let wrong = [
        (vec![], json!({"no_offers": true}), "expected no offers"),
        (vec![], json!({"offers_totals": {"f": {"cpus": 3, "mem": 512}}}), "offers_totals"),
        (vec![], json!({"offers_totals": {"f": {"cpus": 4}}}), "offers_totals"),
        (vec![], json!({"offered_frameworks": ["g"]}), "offers to"),
        (vec![], json!({"offer_fields": [{"hostname": "b"}]}), "an offer with"),
        (vec![], json!({"raw_resources": {"a": "mem:512;cpus:4"}}), "with text"),
        (vec![], json!({"rescinded": [{"framework": "f", "agent": "a"}]}), "rescinded"),
        (vec![], json!({"emitted": {"drain": [{"agent": "a"}]}}), "drain"),
        (vec![], json!({"emitted": {"offer": []}}), "offer"),
        (vec![], json!({"error": true}), "an error"),
        (vec![], json!({"rejected": true}), "an error"),
        (vec![], json!({"exit": 2}), "expected exit"),
        (vec![], json!({"explained": {"framework": "f"}}), "an explanation"),
        (vec![], json!({"shares": {"r": 0.5}}), "share of r"),
        (vec![], json!({"shares": {"unknown": 1}}), "share of unknown"),
        (vec![], json!({"agents": {"a": {"offered": "cpus:3"}}}), "agent a offered"),
        (vec![], json!({"agents": {"a": {"active": false}}}), "agent a active"),
        (vec![], json!({"agents": {"a": null}}), "no agent a"),
        (vec![], json!({"agents": {"b": {}}}), "agent b"),
        (vec![], json!({"frameworks": {"f": {"tasks": ["t"]}}}), "framework f tasks"),
        (vec![], json!({"frameworks": {"f": {"suppressed": ["r"]}}}), "framework f suppressed"),
        (vec![], json!({"frameworks": {"f": null}}), "no framework f"),
        (vec![], json!({"live_offers": []}), "live offers"),
        (vec![], json!({"any_of": [{"no_offers": true}, {"error": true}]}), "none of the allowed"),
        (vec![], json!({"all_of": [{"no_offers": false}, {"exit": 2}]}), "expected exit"),
        (vec![], json!({"no_offer": true}), "unknown check"),
        (vec![&launch], json!({"launches": []}), "launches"),
        (vec![&launch], json!({"launches": [{"task": "u"}]}), "launches"),
        (vec![&launch], json!({"launches": [{"task": "t"}, {"task": "t"}]}), "launches"),
        (vec![&launch], json!({"launched_task": [{"id": "t", "name": "db"}]}), "a launched task"),
        (vec![&launch, &kill], json!({"kills": []}), "kills"),
        (vec![&launch, &remove], json!({"status": [{"task": "t", "state": "TASK_FAILED"}]}), "status"),
        (vec![&launch, &remove], json!({"status_includes": [{"task": "u"}]}), "status"),
        (vec![&launch, &maintain], json!({"inverse_offers": []}), "inverse_offers"),
        (vec![&launch, &maintain, &remove], json!({"rescinded_inverse": []}), "rescinded_inverse"),
        (vec![&remove], json!({"rescinded": [{"framework": "f", "role": "s", "agent": "a"}]}), "rescinded"),
        (vec![&reserve], json!({"operation_failed": false}), "operation_failed"),
        (vec![&reserve], json!({"operation_failed": [{"operation": "unreserve"}]}), "operation_failed"),
    ];
    for (before, check, reason) in wrong {
        let mut steps: Vec<Json> = before.into_iter().cloned().collect();
        steps.push(json!({"expect": check}));
        fails(script(Json::Array(steps)), reason);
    }
}

#[test]
fn what_no_check_mentions_fails() {
    let unknown = json!({"do": {"remove_agent": {"id": "b"}}});
    let impossible =
        json!({"do": {"operate": {"agent": "a", "operations": [{"reserve": {"resources": "cpus(r):9"}}]}}});
    fails(script(json!([unknown, {"expect": {"launches": []}}])), "unexpected error");
    fails(script(json!([impossible, {"expect": {"launches": []}}])), "unexpected operation_failed");
    fails(script(json!([{"raw": "{}"}, {"expect": {"launches": []}}])), "ended with status 2");
    assert_eq!(failure(&script(json!([unknown, {"expect": {"error": true}}]))), None);
    assert_eq!(failure(&script(json!([{"raw": "{}"}, {"expect": {"exit": 2}}]))), None);
}

#[test]
fn a_placeholder_needs_a_live_offer() {
    let decline = |offers: Json| json!({"do": {"decline": {"framework": "f", "offers": offers}}});
    fails(script(json!([decline(json!(["$offer(f,r,b)"]))])), "expected a live offer");
    fails(script(json!([decline(json!(["$offer(f,?,a,#2)"]))])), "expected a live offer");
    fails(
        script(json!([decline(json!(["$offer(f,r,a)"])), decline(json!(["$offer(f,r,a)"]))])),
        "expected a live offer",
    );
    fails(
        script(json!([{"do": {"accept_inverse_offer": {"framework": "f", "offers": ["$inverse(f,a)"]}}}])),
        "expected a live inverse offer",
    );
    let all = json!([decline(json!("$all(f)")), {"expect": {"live_offers": []}}]);
    assert_eq!(failure(&script(all)), None);
    let none = json!([decline(json!("$all(f,s)")), {"expect": {"live_offers": []}}]);
    fails(script(none), "live offers");
}

#[test]
fn one_bad_value_fails_all_of_for_each_and_none_of_any_form() {
    let check = json!([{"expect": {"offers_totals": {"f": {"cpus": "$x", "mem": 512}}}}]);
    let case = |key: &str, values: Json| {
        let mut case = script(check.clone());
        case[key] = json!({"x": values});
        case
    };
    assert_eq!(failure(&case("for_each", json!([4, 4.0]))), None);
    fails(case("for_each", json!([4, 5])), "[x=5]");
    assert_eq!(failure(&case("any_form", json!([5, 4]))), None);
    fails(case("any_form", json!([5, 6])), "in no accepted form");
}
