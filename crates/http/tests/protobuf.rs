//! JSON → protobuf → JSON: of every recorded message, and of random messages of every type, whose bytes an independent
//! reader sees alike.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::cast_possible_truncation,
    reason = "a test that goes wrong ends"
)]

use apportion_http::protobuf::{MessageType, ProtobufError};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRng, TestRunner};
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, SerializeOptions};
use serde_json::{Map, Value as Json, json};
use std::fs;
use std::path::Path;

fn round_trip(message: MessageType, json: &Json) -> Json {
    let bytes = message.from_json(&json.to_string()).unwrap_or_else(|error| panic!("{message:?}: {error}: {json}"));
    serde_json::from_str(&message.to_json(&bytes).unwrap()).unwrap()
}

/// Numbers that JSON has as `4` or `4.0` are the same.
fn with_doubles(json: &mut Json) {
    match json {
        Json::Number(number) => *json = json!(number.as_f64()),
        Json::Array(items) => items.iter_mut().for_each(with_doubles),
        Json::Object(fields) => fields.values_mut().for_each(with_doubles),
        Json::Null | Json::Bool(_) | Json::String(_) => {}
    }
}

#[test]
fn every_recorded_message_comes_back_as_it_was() {
    let recordings = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings");
    let mut seen = 0;
    let names = ["executor", "maintenance", "operations", "operator", "scheduler-basic", "scheduler-legacy"];
    for name in names.into_iter().chain(["two-frameworks"]) {
        let text = fs::read_to_string(recordings.join(name).with_extension("jsonl")).unwrap();
        let mut path = String::new();
        for line in text.split('\n').filter(|line| !line.is_empty()) {
            let line: Json = serde_json::from_str(line).unwrap();
            let (who, kind) = (line["who"].as_str().unwrap_or_default(), line["dir"].as_str().unwrap());
            if kind == "call" {
                line["path"].as_str().unwrap().clone_into(&mut path);
            }
            let Some(body) = line.get("body") else { continue };
            if body["type"] == "FLY" || body["drain_agent"]["max_grace_period"].is_string() {
                continue; // calls that were refused
            }
            let message = match (kind, who, path.as_str()) {
                ("call", _, "/api/v1/scheduler") => MessageType::SCHEDULER_CALL,
                ("call", _, "/slave(1)/api/v1/executor" | "/api/v1/executor") => MessageType::EXECUTOR_CALL,
                ("call", "agent-operator", "/api/v1") => MessageType::AGENT_CALL,
                ("call", _, "/api/v1") => MessageType::MASTER_CALL,
                ("event", "watcher", _) => MessageType::MASTER_EVENT,
                ("event", who, _) if who.starts_with("exec") => MessageType::EXECUTOR_EVENT,
                ("event", _, _) => MessageType::SCHEDULER_EVENT,
                ("response", "agent-operator", "/api/v1") => MessageType::AGENT_RESPONSE,
                ("response", "operator", "/api/v1") => MessageType::MASTER_RESPONSE,
                _ => continue, // v0
            };
            let (mut read, mut expected) = (round_trip(message, body), body.clone());
            with_doubles(&mut read);
            with_doubles(&mut expected);
            without_empty_lists(&mut expected);
            assert_eq!(read, expected, "{message:?} of {name}");
            seen += 1;
        }
    }
    assert!(seen > 700, "{seen}");
}

/// Protobuf does not tell an empty list from none.
fn without_empty_lists(json: &mut Json) {
    match json {
        Json::Array(items) => items.iter_mut().for_each(without_empty_lists),
        Json::Object(fields) => {
            fields.retain(|_, value| *value != json!([]));
            fields.values_mut().for_each(without_empty_lists);
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

fn pool() -> DescriptorPool {
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let files = ["agent/agent", "executor/executor", "master/master", "scheduler/scheduler"];
    let files = protox::compile(files.map(|file| proto.join(format!("mesos/v1/{file}.proto"))), [&proto]).unwrap();
    DescriptorPool::from_file_descriptor_set(files).unwrap()
}

/// Draws a message with about half of its fields, less of them the deeper it stands.
fn draw(message: &MessageDescriptor, depth: u32, rng: &mut TestRng) -> Json {
    if message.full_name() == "google.protobuf.Duration" {
        return json!({"seconds": rng.random_range(0..1_000_000_i64), "nanos": rng.random_range(1..1_000_000_000)});
    }
    let mut fields = Map::new();
    for field in message.fields() {
        let is_message = matches!(field.kind(), Kind::Message(_));
        if depth > 7 && is_message || rng.random_range(0..=if is_message { 2 + depth } else { 1 }) > 1 {
            continue;
        }
        let value = if field.is_map() {
            let Kind::Message(entry) = field.kind() else { unreachable!() };
            let of = entry.map_entry_value_field();
            Json::Object((0..2).map(|n| (format!("key {n}"), draw_value(&of, depth, rng))).collect())
        } else if field.is_list() {
            let length = rng.random_range(1..=if depth < 2 { 3 } else { 1 });
            (0..length).map(|_| draw_value(&field, depth, rng)).collect()
        } else {
            draw_value(&field, depth, rng)
        };
        fields.insert(field.name().to_owned(), value);
    }
    Json::Object(fields)
}

fn draw_value(field: &FieldDescriptor, depth: u32, rng: &mut TestRng) -> Json {
    let bits = rng.random::<u64>() >> rng.random_range(0..64);
    match field.kind() {
        Kind::Bool => json!(bits % 2 == 0),
        Kind::Int32 => json!(rng.random::<i32>() >> rng.random_range(0..32)),
        Kind::Int64 => json!(rng.random::<i64>() >> rng.random_range(0..64)),
        Kind::Uint32 => json!(rng.random::<u32>() >> rng.random_range(0..32)),
        Kind::Uint64 => json!(bits),
        Kind::Double => json!((rng.random::<f64>() - 0.5) * 1e6),
        Kind::String => json!(["", "a", "ä\"\n\\", "a longer text \u{2028} with a line of its own"][bits as usize % 4]),
        Kind::Bytes => json!(["", "AA==", "/+8=", "YXBwb3J0aW9u"][bits as usize % 4]),
        Kind::Enum(names) => {
            let names: Vec<_> = names.values().map(|value| value.name().to_owned()).collect();
            json!(names[bits as usize % names.len()])
        }
        Kind::Message(message) => draw(&message, depth + 1, rng),
        other => panic!("{other:?}"),
    }
}

/// All names of fields below this one, to know that the draws have had each.
fn note(message: &MessageDescriptor, json: &Json, seen: &mut std::collections::BTreeSet<String>) {
    for (name, value) in json.as_object().unwrap() {
        let field = message.get_field_by_name(name).unwrap();
        seen.insert(field.full_name().to_owned());
        let Kind::Message(within) = field.kind() else { continue };
        if field.is_map() {
            let Kind::Message(within) = within.map_entry_value_field().kind() else { continue };
            value.as_object().unwrap().values().for_each(|value| note(&within, value, seen));
        } else if let Json::Array(items) = value {
            items.iter().for_each(|value| note(&within, value, seen));
        } else {
            note(&within, value, seen);
        }
    }
}

#[test]
fn random_messages_of_every_type_come_back_and_another_reader_sees_the_same() {
    let pool = pool();
    let options = SerializeOptions::new().stringify_64_bit_integers(false).use_proto_field_name(true);
    let mut rng = TestRunner::deterministic().new_rng();
    let mut seen = std::collections::BTreeSet::new();
    for message in MessageType::all().filter(|message| message.name().starts_with("mesos.")) {
        let descriptor = pool.get_message_by_name(message.name()).unwrap();
        for _ in 0..40 {
            let json = draw(&descriptor, 0, &mut rng);
            note(&descriptor, &json, &mut seen);
            let bytes = message.from_json(&json.to_string()).unwrap();
            let read: Json = serde_json::from_str(&message.to_json(&bytes).unwrap()).unwrap();
            assert_eq!(read, json, "{message:?}");

            let dynamic = DynamicMessage::decode(descriptor.clone(), bytes.as_slice()).unwrap();
            assert_eq!(dynamic.unknown_fields().count(), 0);
            let mut theirs = dynamic.serialize_with_options(serde_json::value::Serializer, &options).unwrap();
            with_durations(&mut theirs, &json);
            assert_eq!(theirs, json, "{message:?}");
        }
    }
    let fields =
        pool.all_messages().filter(|message| message.full_name().starts_with("mesos.") && !message.is_map_entry());
    let fields: Vec<String> = fields
        .flat_map(|message| message.fields().map(|field| field.full_name().to_owned()).collect::<Vec<_>>())
        .collect();
    let missed: Vec<&String> = fields.iter().filter(|field| !seen.contains(*field)).collect();
    assert!(missed.is_empty() && fields.len() > 900, "{} fields, {missed:?}", fields.len());
}

/// The other reader writes `google.protobuf.Duration` as protobuf's own JSON does; Mesos writes it as any message.
fn with_durations(theirs: &mut Json, ours: &Json) {
    match (theirs, ours) {
        (theirs, Json::Object(fields)) if theirs.is_string() => {
            assert!(fields.keys().all(|name| name == "seconds" || name == "nanos"), "{fields:?}");
            *theirs = ours.clone();
        }
        (Json::Object(theirs), Json::Object(ours)) => {
            theirs.iter_mut().for_each(|(name, value)| with_durations(value, ours.get(name).unwrap_or(&Json::Null)));
        }
        (Json::Array(theirs), Json::Array(ours)) => {
            theirs.iter_mut().zip(ours).for_each(|(theirs, ours)| with_durations(theirs, ours));
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(Config { cases: 2000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn bytes_of_any_kind_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        for message in [MessageType::SCHEDULER_CALL, MessageType::MASTER_RESPONSE] {
            if let Ok(json) = message.to_json(&bytes) {
                let again = message.from_json(&json).unwrap();
                prop_assert_eq!(message.to_json(&again).unwrap(), json);
            }
        }
    }
}

#[test]
fn json_is_read_as_leniently_as_mesos_reads_it() {
    let read = |json: &str| MessageType::SCHEDULER_CALL.to_json(&MessageType::SCHEDULER_CALL.from_json(json).unwrap());
    for (json, expected) in [
        (r#"{"type":null,"nobody":[{"knows":1}],"kill":{}}"#, r#"{"kill":{}}"#),
        (
            r#"{"type":"NOBODY_KNOWS","decline":{"offer_ids":{"value":"o"}}}"#,
            r#"{"decline":{"offer_ids":[{"value":"o"}]}}"#,
        ),
        (r#"{"decline":{"filters":{"refuse_seconds":"5"}}}"#, r#"{"decline":{"filters":{"refuse_seconds":5.0}}}"#),
        (
            r#"{"subscribe":{"framework_info":{"checkpoint":"true"}}}"#,
            r#"{"subscribe":{"framework_info":{"checkpoint":true}}}"#,
        ),
        (
            r#"{"kill":{"kill_policy":{"grace_period":{"nanoseconds":"31000"}}}}"#,
            r#"{"kill":{"kill_policy":{"grace_period":{"nanoseconds":31000}}}}"#,
        ),
        (r#"{"message":{"data":"YQ"}}"#, r#"{"message":{"data":"YQ=="}}"#),
    ] {
        assert_eq!(read(json).unwrap(), expected, "{json}");
    }
}

#[test]
fn a_value_of_a_wrong_type_is_an_error_with_its_path() {
    for (json, path) in [
        (r#"{"framework_id":"f"}"#, "framework_id"),
        (r#"{"type":3}"#, "type"),
        (r#"{"decline":{"offer_ids":[{"value":"a"},{"value":5}]}}"#, "decline.offer_ids[1].value"),
        (r#"{"decline":{"offer_ids":["a"]}}"#, "decline.offer_ids[0]"),
        (r#"{"decline":{"filters":{"refuse_seconds":true}}}"#, "decline.filters.refuse_seconds"),
        (r#"{"kill":{"kill_policy":{"grace_period":"1s"}}}"#, "kill.kill_policy.grace_period"),
        (
            r#"{"kill":{"kill_policy":{"grace_period":{"nanoseconds":1.5}}}}"#,
            "kill.kill_policy.grace_period.nanoseconds",
        ),
        (r#"{"message":{"data":"?"}}"#, "message.data"),
        (r#"{"subscribe":{"framework_info":{"offer_filters":{"a":5}}}}"#, "subscribe.framework_info.offer_filters.a"),
        ("[]", ""),
    ] {
        match MessageType::SCHEDULER_CALL.from_json(json) {
            Err(ProtobufError::Shape { path: found, .. }) => assert_eq!(found, path, "{json}"),
            other => panic!("{json}: {other:?}"),
        }
    }
    assert!(matches!(MessageType::SCHEDULER_CALL.from_json("{"), Err(ProtobufError::Json(_))));
    assert!(matches!(MessageType::SCHEDULER_CALL.from_json("{} {}"), Err(ProtobufError::Json(_))));
}

#[test]
fn what_a_newer_sender_knows_is_passed_over() {
    let call = MessageType::SCHEDULER_CALL;
    // An unknown field 90, `type` of an unknown number, and a `framework_id` that is a number.
    assert_eq!(call.to_json(b"\xd2\x05\x01x\x10\x63\x08\x01\x22\x00"), Ok(r#"{"accept":{}}"#.into()));
    // Texts and messages that come twice: the last text, and the messages merged.
    let twice = b"\x2a\x02\x0a\x00\x2a\x0d\x0a\x00\x12\x09\x09\0\0\0\0\0\0\x14\x40";
    assert_eq!(call.to_json(twice), Ok(r#"{"decline":{"offer_ids":[{},{}],"filters":{"refuse_seconds":5.0}}}"#.into()));
    // A list of numbers, packed.
    let packed = MessageType::named("mesos.v1.HealthCheck.HTTPCheckInfo").unwrap();
    assert_eq!(packed.to_json(b"\x22\x03\xc8\x01\x01"), Ok(r#"{"statuses":[200,1]}"#.into()));
    // A number that is none.
    let filters = MessageType::named("mesos.v1.Filters").unwrap();
    assert_eq!(filters.to_json(b"\x09\0\0\0\0\0\0\xf8\x7f"), Ok("{}".into()));
    assert!(matches!(call.to_json(b"\x0a\x03\x0a\x01\xff"), Err(ProtobufError::Text { field: "value", .. })));
    assert!(matches!(
        call.to_json(b"\x0a\x03\x0a\x05a"),
        Err(ProtobufError::Wire { message: "mesos.v1.FrameworkID", .. })
    ));
    let mut deep = Vec::new();
    for _ in 0..200 {
        let mut outer = vec![0x12]; // ContainerID.parent
        let length = deep.len();
        if length >= 128 {
            outer.push((length % 128) as u8 | 128);
            outer.push((length / 128) as u8);
        } else {
            outer.push(length as u8);
        }
        outer.extend(deep);
        deep = outer;
    }
    let container = MessageType::named("mesos.v1.ContainerID").unwrap();
    assert_eq!(container.to_json(&deep), Err(ProtobufError::TooDeep { most: 100 }));
}
