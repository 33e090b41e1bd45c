use super::*;
use crate::authentication::Authentication;
use crate::leadership::Leadership;
use crate::settings::Settings;
use apportion::Role;
use http::header::{ALLOW, LOCATION, WWW_AUTHENTICATE};
use serde_json::{Value as Json, json};
use std::fs;
use std::sync::Arc;
use std::time::Duration;

const STREAM: &str = "97664105-0505-41c3-b23d-b77b452435d9";

fn uuid(text: &str) -> Option<Uuid> {
    let digits: String = text.chars().filter(|digit| *digit != '-').collect();
    let bytes: Option<Vec<u8>> =
        (0..digits.len() / 2).map(|index| u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).ok()).collect();
    Uuid::try_from(bytes?.as_slice()).ok()
}

/// A gate that knows the framework `f1`, and `gone`, which has no open stream.
fn gate(settings: Settings) -> Gate {
    let gate = Gate::new(settings, Duration::ZERO);
    for (id, stream) in [("f1", uuid(STREAM)), ("gone", None)] {
        let mut framework = Framework::new(id).role(Role::default());
        framework.principal = Some("me".into());
        gate.set_session(Session { framework: Arc::new(framework), stream });
    }
    gate
}

fn request(headers: &[(&str, &str)], body: impl Into<Bytes>) -> Request<Bytes> {
    let request = Request::post("/master/api/v1/scheduler?_=1");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(body.into()).unwrap()
}

fn json_request(headers: &[(&str, &str)], body: &Json) -> Request<Bytes> {
    let headers = [&[("content-type", "application/json")], headers].concat();
    request(&headers, body.to_string())
}

fn status(gate: &Gate, request: &Request<Bytes>) -> u16 {
    match check(gate, request) {
        Ok(Passed::Subscribe(..) | Passed::Refused(..) | Passed::Update(..)) => 200,
        Ok(Passed::Call(..)) => 202,
        Err(answer) => answer.status().as_u16(),
    }
}

fn revive(id: &str) -> Json {
    json!({"type": "REVIVE", "framework_id": {"value": id}})
}

fn subscribe(principal: Option<&str>) -> Json {
    let info = json!({"user": "root", "name": "n", "role": "web", "principal": principal});
    json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": info}})
}

#[test]
fn the_first_check_that_fails_answers() {
    let stream = [("MESOS-stream-id", STREAM)];
    let open = gate(Settings::default());
    assert_eq!(status(&open, &json_request(&stream, &revive("f1"))), 202);
    assert_eq!(status(&open, &json_request(&stream, &revive(""))), 400);
    assert_eq!(status(&open, &json_request(&stream, &revive("nobody"))), 400);
    assert_eq!(status(&open, &json_request(&stream, &revive("gone"))), 403);
    assert_eq!(status(&open, &json_request(&[], &revive("f1"))), 400);
    assert_eq!(status(&open, &json_request(&[("mesos-stream-id", "wrong")], &revive("f1"))), 400);
    assert_eq!(status(&open, &request(&[], revive("f1").to_string())), 400, "no content type");
    assert_eq!(status(&open, &request(&[("content-type", "text/xml")], "")), 415);
    assert_eq!(status(&open, &json_request(&[], &subscribe(None))), 200);
    assert_eq!(status(&open, &json_request(&[("accept", "text/xml")], &subscribe(None))), 406);
    assert_eq!(status(&open, &json_request(&stream, &subscribe(None))), 400);

    let mut get = json_request(&[], &json!({}));
    *get.method_mut() = Method::GET;
    let answer = check(&open, &get).unwrap_err();
    assert_eq!((answer.status().as_u16(), &answer.headers()[ALLOW]), (405, &"POST".parse().unwrap()));

    open.set_leadership(Leadership::Recovering);
    assert_eq!(status(&open, &get), 503);
    open.set_leadership(Leadership::Standby(None));
    assert_eq!(status(&open, &get), 503);
    open.set_leadership(Leadership::Standby(Some("m2:5050".into())));
    let answer = check(&open, &get).unwrap_err();
    assert_eq!(answer.status().as_u16(), 307);
    assert_eq!(answer.headers()[LOCATION], "//m2:5050/master/api/v1/scheduler?_=1");
}

#[test]
fn protobuf_is_checked_like_json() {
    let gate = gate(Settings::default());
    let call = |json: Json| {
        let body = MessageType::SCHEDULER_CALL.from_json(&json.to_string()).unwrap();
        status(&gate, &request(&[("content-type", "application/x-protobuf"), (STREAM_ID, STREAM)], body))
    };
    assert_eq!(call(revive("f1")), 202);
    assert_eq!(call(json!({"type": "KILL", "framework_id": {"value": "f1"}})), 400);
    assert_eq!(status(&gate, &request(&[("content-type", "application/x-protobuf")], &b"\x0a\x05"[..])), 400);
}

#[test]
fn a_principal_speaks_for_its_own_frameworks() {
    let credentials = r#"{"credentials":[{"principal":"me","secret":"1"},{"principal":"you","secret":"2"}]}"#;
    let authentication = Authentication::from_json(credentials).unwrap().asking(Realm::Scheduler);
    let gate = gate(Settings::default().authentication(authentication));
    let (me, you) = (("authorization", "Basic bWU6MQ=="), ("authorization", "Basic eW91OjI="));
    let stream = (STREAM_ID, STREAM);
    assert_eq!(status(&gate, &json_request(&[me, stream], &revive("f1"))), 202);
    assert_eq!(status(&gate, &json_request(&[you, stream], &revive("f1"))), 400);
    assert_eq!(status(&gate, &json_request(&[stream], &revive("f1"))), 401);
    assert!(check(&gate, &json_request(&[], &json!(5))).unwrap_err().headers().contains_key(WWW_AUTHENTICATE));
    assert_eq!(status(&gate, &json_request(&[me], &subscribe(Some("you")))), 400);
    match check(&gate, &json_request(&[me], &subscribe(None))) {
        Ok(Passed::Subscribe(framework, _)) => assert_eq!(framework.principal.as_deref(), Some("me")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_update_changes_neither_principal_nor_user_nor_checkpoint() {
    let gate = gate(Settings::default());
    let update = |name: &str, value: Json| {
        let mut info = json!({"user": "", "name": "other", "role": "web", "principal": "me"});
        info[name] = value;
        let body = json!({"type": "UPDATE_FRAMEWORK", "framework_id": {"value": "f1"},
            "update_framework": {"framework_info": info}});
        status(&gate, &json_request(&[(STREAM_ID, STREAM)], &body))
    };
    assert_eq!(update("name", json!("another")), 200);
    assert_eq!(update("principal", json!("you")), 400);
    assert_eq!(update("user", json!("you")), 400);
    assert_eq!(update("checkpoint", json!(true)), 400);
    assert_eq!(update("role", json!("a b")), 400);
}

#[test]
fn details_of_a_wrong_type_are_refused_with_their_place() {
    let gate = gate(Settings::default());
    let task = json!({"name": "t", "task_id": {"value": "t"}, "agent_id": {"value": "a"},
        "container": {"type": "DOCKER", "docker": {"image": 5}}});
    let operation = json!({"type": "LAUNCH", "launch": {"task_infos": [task]}});
    let accept = json!({"type": "ACCEPT", "framework_id": {"value": "f1"},
        "accept": {"offer_ids": [], "operations": [operation]}});
    let answer = check(&gate, &json_request(&[(STREAM_ID, STREAM)], &accept)).unwrap_err();
    let text = String::from_utf8(answer.body().to_vec()).unwrap();
    assert!(text.starts_with("accept.operations[0].launch.task_infos[0].container.docker.image: "), "{text}");
}

/// What a real Mesos answered to calls that are wrong, or only look so.
#[test]
fn recorded_calls_are_answered_as_mesos_answered_them() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/recordings/errors.jsonl");
    let lines = fs::read_to_string(path).unwrap();
    let gate = Gate::new(Settings::default(), Duration::ZERO);
    let (mut asked, mut seen) = (None::<Json>, 0);
    for line in lines.split('\n').filter(|line| !line.is_empty()) {
        let line: Json = serde_json::from_str(line).unwrap();
        if line["dir"] == "call" {
            asked = Some(line);
            continue;
        }
        let expected = line["status"].as_u64().filter(|_| line["dir"] == "response" || line["dir"] == "http");
        let Some((expected, asked)) = expected.zip(asked.take()) else { continue };
        let body = asked.get("body").map(Json::to_string);
        let body = body.unwrap_or_else(|| asked["text"].as_str().unwrap_or_default().to_owned());
        if asked["path"] != "/api/v1/scheduler" || asked["method"] != "POST" {
            continue;
        }
        let mut request = Request::post("/api/v1/scheduler");
        for (name, value) in asked["headers"].as_object().unwrap() {
            request = request.header(name, value.as_str().unwrap());
        }
        // The calls of this recording come from one framework; its stream is the one that they name, but for two.
        let id = "d160950c-50c9-43a6-b5fa-e1eaf0c2ca0b-0005";
        let named = asked["headers"]["Mesos-Stream-Id"].as_str().and_then(uuid);
        let is_old = line["text"].as_str().is_some_and(|text| text.starts_with("The stream ID"));
        let stream = named.filter(|_| !is_old).or_else(|| uuid(STREAM));
        gate.set_session(Session { framework: Arc::new(Framework::new(id)), stream });
        let request = request.body(body.clone().into()).unwrap();
        assert_eq!(u64::from(status(&gate, &request)), expected, "{body}");
        seen += 1;
    }
    assert!(seen > 80, "{seen}");
}
