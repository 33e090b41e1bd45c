//! Sessions of a real Mesos: whatever it and its clients said is read, and printed back the same.
//!
//! The sessions are in `tests/recordings/`, with a notice of what they are and where they come from.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::wildcard_enum_match_arm, reason = "what a match here does not name stays as it is")]

use apportion::v1::{Dialect, ExecutorCall, Message, SchedulerCall, V1Error};
use apportion::{Call, Event, executor};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// One line of a session.
struct Line {
    place: String,
    json: Json,
}

impl Line {
    fn text(&self, field: &str) -> &str {
        self.json[field].as_str().unwrap_or_default()
    }

    /// The message as it went over the wire, good or bad.
    fn body(&self) -> String {
        self.json.get("body").map_or_else(|| self.text("text").to_owned(), Json::to_string)
    }
}

fn sessions() -> Vec<(PathBuf, Vec<Line>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|file| file.extension().is_some_and(|ext| ext == "jsonl")).collect();
    files.sort();
    assert_eq!(files.len(), 8, "{files:?}");
    let read = |file: PathBuf| {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let line = |(number, text): (usize, &str)| Line {
            place: format!("{name}:{}", number + 1),
            json: serde_json::from_str(text).unwrap(),
        };
        let lines = text.split('\n').enumerate().filter(|(_, text)| !text.is_empty()).map(line).collect();
        (file, lines)
    };
    files.into_iter().map(read).collect()
}

/// Resources are a set: their order says nothing. Nothing else may differ.
fn exact(json: &Json) -> Json {
    each(json, &|name, json| match json {
        Json::Array(mut items) if ["resources", "volumes"].contains(&name) => {
            items.sort_by_key(Json::to_string);
            Json::Array(items)
        }
        other => other,
    })
}

/// What means the same in a call: `5` is `5.0`, an empty list is none, null is nothing.
fn meaning(json: &Json) -> Json {
    each(&exact(json), &|name, json| match json {
        Json::Number(number) if name == "failover_timeout" && number.as_f64() == Some(0.0) => Json::Null,
        Json::Number(number) => json!(number.as_f64()),
        Json::Array(items) if items.is_empty() => Json::Null,
        Json::Bool(false) if name == "checkpoint" => Json::Null,
        Json::Object(fields) if name == "filters" && fields.is_empty() => Json::Null,
        other => other,
    })
}

/// Rewrites every value from the inside out; what becomes null is gone.
fn each(json: &Json, change: &impl Fn(&str, Json) -> Json) -> Json {
    fn walk(name: &str, json: &Json, change: &impl Fn(&str, Json) -> Json) -> Json {
        let inside = match json {
            Json::Array(items) => Json::Array(items.iter().map(|item| walk("", item, change)).collect()),
            Json::Object(fields) => {
                let mut sorted: Vec<_> = fields.iter().collect();
                sorted.sort_by_key(|(name, _)| *name);
                let fields = sorted.into_iter().map(|(name, field)| (name.clone(), walk(name, field, change)));
                Json::Object(fields.filter(|(_, field)| !field.is_null()).collect::<Map<_, _>>())
            }
            other => other.clone(),
        };
        change(name, inside)
    }
    walk("", json, change)
}

fn printed<M: Message>(dialect: &Dialect, message: &M) -> Json {
    serde_json::from_str(&dialect.encode(message)).unwrap()
}

/// The dialect that each `who` of a session subscribed for; executors have that of their scheduler.
fn dialects(lines: &[Line]) -> BTreeMap<String, Dialect> {
    let mut dialects = BTreeMap::new();
    for line in lines.iter().filter(|line| line.text("path") == "/api/v1/scheduler") {
        let call = Dialect::default().decode::<SchedulerCall>(line.body());
        if let Ok(SchedulerCall { call: Call::Subscribe(framework), .. }) = call {
            dialects.insert(line.text("who").to_owned(), Dialect::of(&framework));
        }
    }
    if let Some(dialect) = dialects.get("scheduler").cloned() {
        for executor in ["exec-1", "exec-2"] {
            dialects.insert(executor.to_owned(), dialect.clone());
        }
    }
    dialects
}

#[test]
fn every_event_is_read_and_printed_back() {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (_, lines) in sessions() {
        let dialects = dialects(&lines);
        for line in lines.iter().filter(|line| line.text("dir") == "event" && line.text("who") != "watcher") {
            let (who, body) = (line.text("who"), &line.json["body"]);
            let dialect = dialects.get(who).cloned().unwrap_or_default();
            let (read, kind) = if who.starts_with("exec-") {
                let event: executor::Event =
                    dialect.decode(line.body()).unwrap_or_else(|e| panic!("{}: {e}", line.place));
                assert!(!matches!(event, executor::Event::Unknown(_)), "{}", line.place);
                (printed(&dialect, &event), "executor")
            } else {
                let event: Event = dialect.decode(line.body()).unwrap_or_else(|e| panic!("{}: {e}", line.place));
                assert!(!matches!(event, Event::Unknown(_)), "{}", line.place);
                (printed(&dialect, &event), "scheduler")
            };
            assert_eq!(exact(&read), exact(body), "{}", line.place);
            *seen.entry(format!("{kind} {}", body["type"].as_str().unwrap())).or_default() += 1;
        }
    }
    // All types that the APIs have, but for two that no session holds: HEARTBEAT and ERROR to executors.
    assert_eq!(seen.len(), 11 + 7, "{seen:?}");
    assert_eq!(seen.values().sum::<usize>(), 424, "{seen:?}");
}

/// Calls that are printed back another way, because that is what Mesos makes of them.
const UNDERSTOOD: [(&str, &str); 14] = [
    ("errors.jsonl:84", "a negative time to fail over is none"),
    ("errors.jsonl:94", "a capability that nobody knows"),
    ("errors.jsonl:120", "fields that nobody knows"),
    ("errors.jsonl:147", "\"5\" for 5, the usual refusal"),
    ("errors.jsonl:149", "one offer id for a list"),
    ("errors.jsonl:159", "a negative refusal is the usual one"),
    ("errors.jsonl:176", "cpus:0 is no request"),
    ("errors.jsonl:208", "\"0.25\" for 0.25"),
    ("errors.jsonl:220", "role * goes without saying"),
    ("errors.jsonl:232", "an allocation of one resource is that of all"),
    ("errors.jsonl:240", "cpus:0.12345 is 0.123"),
    ("errors.jsonl:263", "an operation that nobody knows"),
    ("errors.jsonl:266", "an operation without a body"),
    ("errors.jsonl:269", "an operation without a type"),
];

/// What Mesos says of calls that are well formed but of no use on that connection.
const NOT_OF_THE_MESSAGE: [&str; 4] =
    ["tream-Id'", "The stream ID", "Framework cannot be found", "Executor cannot be found"];

/// Reads a call of either API and prints it.
fn printed_call(line: &Line, dialect: &Dialect) -> Option<Result<Json, V1Error>> {
    match line.text("path") {
        "/api/v1/scheduler" => Some(dialect.decode::<SchedulerCall>(line.body()).map(|call| printed(dialect, &call))),
        path if path.ends_with("/executor") => {
            Some(dialect.decode::<ExecutorCall>(line.body()).map(|call| printed(dialect, &call)))
        }
        _ => None,
    }
}

#[test]
fn every_call_is_read_or_refused_as_mesos_did() {
    let (mut taken, mut refused_by_both) = (0, 0);
    let mut understood = Vec::new();
    for (_, lines) in sessions() {
        let dialects = dialects(&lines);
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.text("dir") == "call") {
            let who = line.text("who");
            let dialect = dialects.get(who).cloned().unwrap_or_default();
            let Some(read) = printed_call(line, &dialect) else { continue };
            let mine = |answer: &&Line| answer.text("who") == who && answer.json["status"].is_u64();
            let answer = lines[at..].iter().find(mine).unwrap_or_else(|| panic!("{}: no answer", line.place));
            let turned_away = answer.json["status"].as_u64().unwrap() >= 400
                && !NOT_OF_THE_MESSAGE.iter().any(|why| answer.body().contains(why));
            match read {
                Ok(_) if turned_away => panic!("{}: Mesos said {}", line.place, answer.body()),
                Ok(back) => {
                    taken += 1;
                    if meaning(&back) != meaning(&line.json["body"]) {
                        understood.push(line.place.clone());
                    }
                }
                Err(_) if turned_away => refused_by_both += 1,
                Err(error) => panic!("{}: Mesos took what is refused: {error}", line.place),
            }
        }
    }
    assert_eq!(understood, UNDERSTOOD.map(|(place, _)| place));
    assert_eq!((taken, refused_by_both), (337, 39));
}

/// Puts a field that nobody knows into every message, but not where names are keys.
fn strange(json: &Json) -> Json {
    match json {
        Json::Array(items) => Json::Array(items.iter().map(strange).collect()),
        Json::Object(fields) => {
            let field = |(name, field): (&String, &Json)| match name.as_str() {
                "offer_constraints" => (name.clone(), field.clone()),
                _ => (name.clone(), strange(field)),
            };
            let unknown = ("strange".to_owned(), json!({"in": ["deed", null, 1.5]}));
            Json::Object(fields.iter().map(field).chain([unknown]).collect())
        }
        other => other.clone(),
    }
}

/// Takes out again what was kept of the fields that nobody knows.
fn plain(json: &Json) -> Json {
    each(json, &|name, json| if name == "strange" { Json::Null } else { json })
}

#[test]
fn unknown_fields_do_no_harm() {
    let mut read = 0;
    for (file, lines) in sessions() {
        if file.ends_with("errors.jsonl") {
            continue;
        }
        let dialects = dialects(&lines);
        for line in lines.iter().filter(|line| dialects.contains_key(line.text("who"))) {
            let dialect = &dialects[line.text("who")];
            let executor = line.text("who").starts_with("exec-");
            let body = &line.json["body"];
            let with = |json: &Json| match (line.text("dir"), executor) {
                ("event", false) => dialect.decode::<Event>(json.to_string()).map(|event| printed(dialect, &event)),
                ("event", true) => {
                    dialect.decode::<executor::Event>(json.to_string()).map(|event| printed(dialect, &event))
                }
                _ => printed_call(&Line { place: String::new(), json: with_body(&line.json, json) }, dialect)
                    .unwrap_or(Ok(Json::Null)),
            };
            if ["event", "call"].contains(&line.text("dir"))
                && let Ok(back) = with(body)
            {
                let strange = with(&strange(body)).unwrap_or_else(|error| panic!("{}: {error}", line.place));
                assert_eq!(plain(&strange), plain(&back), "{}", line.place);
                read += 1;
            }
        }
    }
    assert_eq!(read, 610);
}

fn with_body(line: &Json, body: &Json) -> Json {
    let mut line = line.clone();
    line["body"] = body.clone();
    line
}
