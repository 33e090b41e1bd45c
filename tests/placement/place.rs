//! The planner against the cases in `cases/placement` and `cases/own-placement`, and the program `place` around it.
//!
//! What a case may expect is described in `cases/placement/README.md`. Whatever it expects, each plan
//! must make sense: it takes no more than is offered, leaves no instance out of account, and uses or
//! declines every offer.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use crate::tier::tier;
use apportion::constraint::Location;
use apportion::placement::{App, Launch, Plan, Problem};
use apportion::{Ranges, Resources};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn cases() -> Vec<PathBuf> {
    let folder =
        |name| std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name)).unwrap();
    let entries = folder("placement").chain(folder("own-placement"));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    files
}

#[test]
fn the_cases_hold() {
    let files = cases();
    assert!(files.len() > 170, "cases are missing");
    let failures: Vec<String> = files.iter().filter_map(|file| failure(file)).collect();
    assert!(failures.is_empty(), "{} of {} cases fail:\n{}", failures.len(), files.len(), failures.join("\n"));
}

fn failure(file: &Path) -> Option<String> {
    let case: Json = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let name = file.file_stem().unwrap().to_string_lossy();
    check(&case).err().map(|why| format!("{name}: {why}"))
}

/// Nothing, or what is not as it should be.
type Check = Result<(), String>;

fn need(holds: bool, why: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(why()) }
}

fn check(case: &Json) -> Check {
    let text = case["text"].as_str().map_or_else(|| case["problem"].to_string(), str::to_owned);
    let expect = &case["expect"];
    let problem = match Problem::from_slice(text.as_bytes()) {
        Ok(problem) => problem,
        Err(error) => {
            let message = error.in_file(case["file"].as_str().unwrap_or("problem.json")).to_string();
            need(expect["exit"] == 2, || format!("refused: {message}"))?;
            return list(&expect["stderr_contains"]).into_iter().try_for_each(|wanted| {
                let any = list(wanted).into_iter().any(|part| message.contains(part.as_str().unwrap()));
                need(any, || format!("{wanted} is not in: {message}"))
            });
        }
    };
    need(expect["exit"].is_null(), || "it is not refused".to_owned())?;
    let plan = problem.solve();
    makes_sense(&problem, &plan)?;
    let again = serde_json::to_string(&problem.solve()).unwrap();
    need(again == serde_json::to_string(&plan).unwrap(), || "a second plan is another one".to_owned())?;
    holds(expect, &problem, &plan)
}

fn makes_sense(problem: &Problem, plan: &Plan) -> Check {
    let mut taken: BTreeMap<&str, Vec<&Resources>> = BTreeMap::new();
    let mut ids: BTreeSet<_> = problem.running.iter().map(|task| &task.task).collect();
    for launch in &plan.launches {
        need(ids.insert(&launch.id), || format!("{} is used twice", launch.id))?;
        let app = app(problem, &launch.app)?;
        let ports: Ranges = launch.ports.iter().flatten().map(|port| *port..=*port).collect();
        need(launch.resources.ranges("ports") == ports, || format!("{} has other ports than it takes", launch.id))?;
        need(launch.ports.len() == app.ports.len(), || format!("{} has too few ports", launch.id))?;
        for (name, amount) in [("cpus", app.cpus), ("mem", app.mem), ("gpus", app.gpus)] {
            need(launch.resources.amount(name) == amount, || format!("{} takes other {name}", launch.id))?;
        }
        taken.entry(launch.offer.as_str()).or_default().push(&launch.resources);
    }
    for offer in &problem.offers {
        let used = taken.remove(offer.id.as_str());
        need(used.is_none() == plan.declines.contains(&offer.id), || {
            format!("{} is neither used nor declined", offer.id)
        })?;
        let mut left = offer.resources.clone();
        for resources in used.into_iter().flatten() {
            left = left.checked_sub(resources).map_err(|shortfall| format!("{}: {shortfall}", offer.id))?;
        }
    }
    need(taken.is_empty(), || format!("unknown offers {taken:?}"))?;
    for app in &problem.apps {
        let current = |version| app.changed.is_none_or(|changed| version >= changed);
        let runs = problem.running.iter().filter(|task| task.app == app.id && task.version.is_none_or(current)).count();
        let pending = app.instances.saturating_sub(runs as u64);
        let (launched, waiting) = (launches(plan, &app.id).count() as u64, unplaced(plan, &app.id));
        need(launched + waiting == pending, || format!("{}: {pending} pending, {launched} and {waiting}", app.id))?;
    }
    Ok(())
}

fn app<'a>(problem: &'a Problem, id: &str) -> Result<&'a App, String> {
    problem.apps.iter().find(|app| app.id == id).ok_or_else(|| format!("unknown app {id}"))
}

fn launches<'a>(plan: &'a Plan, app: &'a str) -> impl Iterator<Item = &'a Launch> {
    plan.launches.iter().filter(move |launch| launch.app == app)
}

fn unplaced(plan: &Plan, app: &str) -> u64 {
    plan.unplaced.iter().filter(|waiting| waiting.app == app).map(|waiting| waiting.instances).sum()
}

fn list(json: &Json) -> Vec<&Json> {
    match json {
        Json::Array(items) => items.iter().collect(),
        Json::Null => Vec::new(),
        Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Object(_) => vec![json],
    }
}

/// The members of an expectation by app.
fn by_app(json: &Json) -> impl Iterator<Item = (&str, &Json)> {
    json.as_object().into_iter().flatten().map(|(key, value)| (key.as_str(), value))
}

fn sorted(mut items: Vec<String>) -> Vec<String> {
    items.sort();
    items
}

fn texts(json: &Json) -> Vec<String> {
    list(json).into_iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect()
}

fn same(what: &str, found: Vec<String>, expected: Vec<String>) -> Check {
    need(found == expected, || format!("{what}: {found:?}, expected {expected:?}"))
}

fn holds(expect: &Json, problem: &Problem, plan: &Plan) -> Check {
    expect.as_object().unwrap().iter().try_for_each(|(key, wanted)| expectation(key, wanted, problem, plan))
}

fn expectation(key: &str, wanted: &Json, problem: &Problem, plan: &Plan) -> Check {
    let offer = |launch: &Launch| problem.offers.iter().find(|offer| offer.id == launch.offer).unwrap();
    let hosts = |app: &str| launches(plan, app).map(|launch| offer(launch).hostname.to_string()).collect::<Vec<_>>();
    let counted = |all: u64, of: &dyn Fn(&str) -> u64| match wanted.as_u64() {
        Some(number) => need(all == number, || format!("{key}: {all}, expected {number}")),
        None => by_app(wanted).try_for_each(|(app, number)| {
            need(of(app) == number.as_u64().unwrap(), || format!("{key} of {app}: {}", of(app)))
        }),
    };
    let kinds = |offer: &str| -> BTreeSet<&str> {
        let all = plan.unplaced.iter().flat_map(|waiting| &waiting.reasons);
        all.filter(|reason| reason.offer.as_str() == offer).map(|reason| reason.barrier.kind()).collect()
    };
    match key {
        "count" => counted(plan.launches.len() as u64, &|app| launches(plan, app).count() as u64),
        "unplaced" => counted(plan.unplaced.iter().map(|waiting| waiting.instances).sum(), &|app| unplaced(plan, app)),
        "launch_on" => {
            by_app(wanted).try_for_each(|(app, expected)| same(app, sorted(hosts(app)), sorted(texts(expected))))
        }
        "order" => by_app(wanted).try_for_each(|(app, expected)| {
            let expected = texts(expected);
            same(app, hosts(app).into_iter().take(expected.len()).collect(), expected)
        }),
        "per_host" => by_app(wanted).try_for_each(|(app, expected)| {
            same(app, sorted(tally(hosts(app)).into_values().map(|n| n.to_string()).collect()), sorted(texts(expected)))
        }),
        "per_value" => by_app(wanted).try_for_each(|(app, fields)| {
            by_app(fields).try_for_each(|(field, expected)| {
                let field = field.parse().unwrap();
                let value = |launch| Location::from(offer(launch)).value(&field).map(String::from);
                let found = tally(launches(plan, app).filter_map(value).collect());
                let expected =
                    by_app(expected).filter(|(_, n)| **n != 0).map(|(v, n)| (v.to_owned(), n.as_u64().unwrap()));
                let expected: BTreeMap<_, _> = expected.collect();
                need(found == expected, || format!("{app}: {found:?}, expected {expected:?}"))
            })
        }),
        "ports" => by_app(wanted).try_for_each(|(app, expected)| {
            let nested = expected.as_array().is_some_and(|ports| ports.iter().any(Json::is_array));
            let expected = if nested { texts(expected) } else { vec![expected.to_string()] };
            same(
                app,
                sorted(launches(plan, app).map(|launch| json!(launch.ports).to_string()).collect()),
                sorted(expected),
            )
        }),
        "ports_in" => by_app(wanted).try_for_each(|(app, ranges)| {
            let within: Resources = format!("ports:{}", ranges.as_str().unwrap()).parse().unwrap();
            let inside = |launch: &Launch| within.ranges("ports").is_superset(&launch.resources.ranges("ports"));
            need(launches(plan, app).all(inside), || format!("{app} has ports beyond {ranges}"))
        }),
        "resources" => by_app(wanted).try_for_each(|(app, expected)| {
            let whole = expected.as_array().is_some_and(|items| items.iter().any(Json::is_object));
            let expected = if whole { vec![expected] } else { list(expected) };
            let read = |json: &Json| serde_json::from_value::<Resources>(json.clone()).unwrap().to_string();
            let found = launches(plan, app).map(|launch| launch.resources.to_string()).collect();
            same(app, sorted(found), sorted(expected.into_iter().map(read).collect()))
        }),
        "env" => by_app(wanted).try_for_each(|(app, variables)| {
            by_app(variables).try_for_each(|(name, value)| {
                let mut found = launches(plan, app).map(|launch| launch.env().get(name).cloned());
                need(found.all(|found| found.as_deref() == value.as_str()), || {
                    format!("{name} of {app} is not {value}")
                })
            })
        }),
        "launch" => {
            let found = serde_json::to_value(&plan.launches).unwrap();
            list(wanted).into_iter().try_for_each(|one| {
                let like = |launch: &&Json| by_app(one).all(|(key, value)| launch[key] == *value);
                need(found.as_array().unwrap().iter().any(|launch| like(&launch)), || format!("no launch like {one}"))
            })
        }
        "decline" => {
            same("declined", sorted(plan.declines.iter().map(ToString::to_string).collect()), sorted(texts(wanted)))
        }
        "reason_kinds" => by_app(wanted).try_for_each(|(offer, expected)| {
            texts(expected).into_iter().try_for_each(|one| {
                let any = one.split('|').any(|kind| kinds(offer).contains(kind));
                need(any, || format!("reasons for {offer}: {:?}, expected {one}", kinds(offer)))
            })
        }),
        "no_reason_kinds" => by_app(wanted).try_for_each(|(offer, expected)| {
            let mut told = texts(expected).into_iter().filter(|kind| kinds(offer).contains(kind.as_str()));
            told.next().map_or(Ok(()), |kind| Err(format!("{offer}: {kind} is among the reasons")))
        }),
        "any_of" => {
            let options = list(wanted).into_iter().map(|option| holds(option, problem, plan));
            let failures: Vec<_> = options.map(Result::err).collect();
            need(failures.iter().any(Option::is_none), || format!("none of {failures:?}"))
        }
        "same_twice" | "exit" | "stderr_contains" => Ok(()),
        _ => Err(format!("unknown expectation {key}")),
    }
}

fn tally(items: Vec<String>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for item in items {
        *counts.entry(item).or_insert(0) += 1;
    }
    counts
}

/// Runs the program, which cargo builds beside the tests.
fn place(argument: &str, input: &str) -> Output {
    let tests = std::env::current_exe().unwrap();
    let program =
        tests.ancestors().nth(2).unwrap().join("examples").join(format!("place{}", std::env::consts::EXE_SUFFIX));
    let mut child = Command::new(program)
        .arg(argument)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn the_program_reads_a_file_or_its_input() {
    let problem = r#"{"app": {"id": "a"}, "offers": [{"id": "o1", "hostname": "h1", "resources": "cpus:1;mem:128;ports:[5-5]"}]}"#;
    let piped = place("-", problem);
    assert!(piped.status.success() && piped.stderr.is_empty());
    let answer: Json = serde_json::from_slice(&piped.stdout).unwrap();
    assert_eq!(answer["launch"][0]["env"]["PORT0"], "5");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), problem).unwrap();
    assert_eq!(place(file.path().to_str().unwrap(), "").stdout, piped.stdout);
}

#[test]
fn the_program_refuses_what_is_wrong_and_prints_nothing() {
    let cases = [
        ("-", "{\"apps\": []\n\"offers\": []}", "-:2:1: found '\"', expected `,` or `}`\n"),
        ("-", "{\"app\": {\"id\": \"a\", \"cpus\": \"many\"}}", "-:1:29: app.cpus: found \"many\", expected a number"),
        (
            "-",
            "{\"apps\": [{\"id\": \"a\", \"constraints\": [[\"a\", \"LIKE\"]]}]}",
            "-:1:39: apps[0].constraints[0]: LIKE without a value",
        ),
        ("-", "{\"offer\": []}", "-:1:2: unknown key \"offer\", expected one of about, apps"),
        ("/no/such/file", "", "/no/such/file: "),
    ];
    for (argument, input, message) in cases {
        let output = place(argument, input);
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.starts_with(message), "{told}");
    }
}

/// The paths to all values of a document.
fn pointers(json: &Json, path: &str, found: &mut Vec<String>) {
    found.push(path.to_owned());
    let members: Vec<(String, &Json)> = match json {
        Json::Object(members) => {
            members.iter().map(|(key, value)| (key.replace('~', "~0").replace('/', "~1"), value)).collect()
        }
        Json::Array(items) => items.iter().enumerate().map(|(i, value)| (i.to_string(), value)).collect(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => Vec::new(),
    };
    members.into_iter().for_each(|(key, value)| pointers(value, &format!("{path}/{key}"), found));
}

fn odd_value() -> impl Strategy<Value = Json> {
    prop::sample::select(vec![
        Json::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(0.5),
        json!(1e300),
        json!(u64::MAX),
        json!(""),
        json!("0"),
        json!("ports:[0-18446744073709551615]"),
        json!("cpus:9000000000000;mem:9000000000000"),
        json!("a:[1-2];b:{c};d:1e308"),
        json!([]),
        json!([[]]),
        json!(["rack", "GROUP_BY", u64::MAX]),
        json!(["rack", "MAX_SKEW", 1]),
        json!({}),
        json!({"not": ["rack", "EXCLUSIVE"]}),
    ])
}

proptest! {
    #![proptest_config(tier(2_000))]

    /// Whatever is written, it ends in a plan that makes sense or in an error.
    #[test]
    fn odd_values_end_in_a_plan_or_an_error(
        file in prop::sample::select(cases()), changes in prop::collection::vec((any::<prop::sample::Index>(), odd_value()), 1..4),
    ) {
        let case: Json = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let mut problem = case["problem"].clone();
        prop_assume!(problem.is_object());
        for (place, value) in changes {
            let mut places = Vec::new();
            pointers(&problem, "", &mut places);
            *problem.pointer_mut(&places[place.index(places.len())]).unwrap() = value;
        }
        if let Ok(problem) = Problem::from_json(&problem) {
            prop_assert_eq!(makes_sense(&problem, &problem.solve()), Ok(()));
        }
    }

    #[test]
    fn odd_bytes_end_in_a_plan_or_an_error(
        file in prop::sample::select(cases()), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let case: Json = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let mut text = case["problem"].to_string().into_bytes();
        for (place, byte) in changes {
            let place = place.index(text.len());
            text[place] = byte;
        }
        if let Ok(problem) = Problem::from_slice(&text) {
            prop_assert_eq!(makes_sense(&problem, &problem.solve()), Ok(()));
        }
    }
}
