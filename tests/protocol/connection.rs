//! Connections without I/O: a recorded stream cut anywhere, and what masters and agents do to a connection.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::wildcard_enum_match_arm, reason = "what a match here does not name is a surprise")]

use apportion::scheduler::TaskRef;
use apportion::v1::connection::{
    Connection, DisconnectReason, EndpointError, ExecutorConnection, ExecutorEnvironment, HttpRequest, Output,
    RequestId, StopReason,
};
use apportion::v1::{Dialect, RecordReader, SchedulerCall, write_record};
use apportion::{
    Accept, AgentId, Call, Capability, Event, Filters, Framework, Kill, Offer, Role, Task, TaskState, TaskStatus, Time,
    executor,
};
use proptest::prelude::*;
use std::time::Duration;

const WIRE: &[u8] = include_bytes!("../recordings/scheduler-basic.wire.bin");
const LINES: &str = include_str!("../recordings/scheduler-basic.jsonl");
const SUBSCRIBED: &str =
    r#"{"type":"SUBSCRIBED","subscribed":{"framework_id":{"value":"f1"},"heartbeat_interval_seconds":15}}"#;

fn secs(secs: u64) -> Time {
    Time::from_secs(secs)
}

fn framework() -> Framework {
    Framework::new("f1").role(Role::new("web").unwrap())
}

fn modern() -> Framework {
    Framework::new("")
        .role(Role::new("web").unwrap())
        .capability(Capability::MultiRole)
        .capability(Capability::ReservationRefinement)
        .capability(Capability::PartitionAware)
}

fn connection() -> Connection {
    Connection::new(["m1:5050"], framework(), 7).unwrap()
}

fn records(records: &[&str]) -> Vec<u8> {
    let mut stream = Vec::new();
    records.iter().for_each(|record| write_record(record.as_bytes(), &mut stream));
    stream
}

fn outputs(connection: &mut Connection) -> Vec<Output<Call, Event>> {
    std::iter::from_fn(|| connection.poll_output()).collect()
}

/// Subscribes at that time, and returns the id of the stream. What comes out is left there.
fn subscribe(connection: &mut Connection, at: Time) -> RequestId {
    let request = connection.poll_request(at).expect("a SUBSCRIBE");
    assert!(request.is_stream);
    connection.handle_response(at, request.id, 200, [("mesos-stream-id", "s1")]);
    connection.handle_bytes(at, request.id, &records(&[SUBSCRIBED]));
    assert!(connection.is_subscribed());
    request.id
}

fn subscribed() -> (Connection, RequestId) {
    let mut connection = connection();
    let id = subscribe(&mut connection, Time::ZERO);
    outputs(&mut connection);
    (connection, id)
}

fn answer(connection: &mut Connection, at: Time, request: &HttpRequest, status: u16, body: &str) {
    connection.handle_response(at, request.id, status, []);
    connection.handle_bytes(at, request.id, body.as_bytes());
    connection.handle_end(at, request.id);
}

/// Returns the call of a request.
fn decoded(request: &HttpRequest) -> Call {
    let body = std::str::from_utf8(&request.body).unwrap();
    Dialect::default().decode::<SchedulerCall>(body).unwrap().call
}

fn decline(offer: &str) -> Call {
    Call::Decline { offers: vec![offer.into()], filters: Filters::default(), each: true }
}

// ---- a recorded session

/// What an HTTP client does with an answer in chunks: it gives the head, and the body without the frames of the chunks.
#[derive(Default)]
struct Answer {
    line: Vec<u8>,
    headers: Vec<(String, String)>,
    is_in_body: bool,
    chunk: usize,
    is_over: bool,
}

impl Answer {
    fn read(&mut self, connection: &mut Connection, id: RequestId, mut bytes: &[u8]) {
        while let Some((&byte, rest)) = bytes.split_first() {
            if self.chunk > 0 {
                let (data, rest) = bytes.split_at(bytes.len().min(self.chunk));
                self.chunk -= data.len();
                connection.handle_bytes(Time::ZERO, id, data);
                bytes = rest;
                continue;
            }
            bytes = rest;
            self.line.push(byte);
            if byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                self.end_of_line(connection, id, std::str::from_utf8(&line).unwrap().trim_end());
            }
        }
    }

    fn end_of_line(&mut self, connection: &mut Connection, id: RequestId, line: &str) {
        match (self.is_in_body, line) {
            (false, "") => {
                self.is_in_body = true;
                let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                connection.handle_response(Time::ZERO, id, 200, headers);
            }
            (false, line) => {
                let header = line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
                self.headers.extend(header);
            }
            (true, "") if self.is_over => connection.handle_end(Time::ZERO, id),
            (true, "") => {} // behind a chunk
            (true, size) => {
                self.chunk = usize::from_str_radix(size, 16).unwrap();
                self.is_over = self.chunk == 0;
            }
        }
    }
}

/// Plays the session to a connection, in pieces that end where `cut` says.
fn play(pieces: impl Fn(&'static [u8]) -> Vec<&'static [u8]>) -> Vec<Output<Call, Event>> {
    let second = WIRE.windows(8).rposition(|window| window == b"HTTP/1.1").unwrap();
    let mut connection = Connection::new(["m1:5050"], modern(), 7).unwrap().reconcile_every(None);
    let mut found = Vec::new();
    for (number, answer) in [&WIRE[..second], &WIRE[second..]].into_iter().enumerate() {
        let due = connection.poll_timeout().unwrap();
        let request = connection.poll_request(due).unwrap();
        let mut http = Answer::default();
        pieces(answer).into_iter().for_each(|piece| http.read(&mut connection, request.id, piece));
        if number == 0 {
            assert!(connection.is_open(request.id));
            connection.handle_failure(Time::ZERO, request.id, "the connection broke");
        }
        assert!(!connection.is_open(request.id));
        found.extend(outputs(&mut connection));
    }
    found
}

#[test]
fn a_recorded_session_gives_its_events_wherever_it_is_cut() {
    let found = play(|answer| vec![answer]);
    let dialect = Dialect::of(&modern());
    let lines = LINES.split('\n').filter(|line| line.contains(r#""dir":"event""#));
    let expected: Vec<Event> = lines
        .map(|line| dialect.decode(line.split_once(r#""body":"#).unwrap().1.strip_suffix('}').unwrap()).unwrap())
        .collect();
    assert_eq!(expected.len(), 39);
    let events = found.iter().filter_map(|output| match output {
        Output::Event(event) => Some(event.clone()),
        _ => None,
    });
    assert_eq!(events.collect::<Vec<_>>(), expected);
    let others: Vec<_> = found.iter().filter(|output| !matches!(output, Output::Event(_))).collect();
    let [Output::Disconnected { why: first, .. }, Output::Disconnected { why: second, .. }] = others[..] else {
        panic!("{others:?}")
    };
    assert_eq!(*first, DisconnectReason::Failed("the connection broke".into()));
    assert_eq!(*second, DisconnectReason::StreamEnded);

    let byte_by_byte = play(|answer| answer.chunks(1).collect());
    assert!(byte_by_byte == found, "cut at every byte");
    for at in (0..WIRE.len()).step_by(23) {
        let cut_once = play(|answer| {
            let (head, tail) = answer.split_at(at.min(answer.len()));
            vec![head, tail]
        });
        assert!(cut_once == found, "cut at byte {at}");
    }
}

#[test]
fn the_records_are_the_same_wherever_the_stream_is_cut() {
    let lines = LINES.split('\n').filter(|line| line.contains(r#""dir":"event""#));
    let bodies: Vec<&str> =
        lines.map(|line| line.split_once(r#""body":"#).unwrap().1.strip_suffix('}').unwrap()).collect();
    let stream = records(&bodies);
    for cut in 0..=stream.len() {
        let (mut reader, mut found) = (RecordReader::default(), 0);
        for mut piece in [&stream[..cut], &stream[cut..]] {
            while let Some(record) = reader.read(&mut piece).unwrap() {
                assert_eq!(record, bodies[found].as_bytes(), "cut at byte {cut}");
                found += 1;
            }
        }
        assert_eq!(found, bodies.len());
    }
}

// ---- finding the leader

#[test]
fn redirects_are_followed_five_times_and_then_the_next_master_is_asked() {
    let mut connection = Connection::new(["m1:5050", "m2:5050"], framework(), 7).unwrap();
    for hop in 0..6 {
        let request = connection.poll_request(Time::ZERO).unwrap();
        assert_eq!(request.authority(), if hop == 0 { "m1:5050".to_owned() } else { format!("n{hop}:5050") });
        let location = format!("//n{}:5050/api/v1/scheduler", hop + 1);
        connection.handle_response(Time::ZERO, request.id, 307, [("Location", location.as_str())]);
        assert!(!connection.is_open(request.id));
    }
    let [Output::AttemptFailed { why, retry_at }] = &outputs(&mut connection)[..] else { panic!("one failure") };
    assert_eq!(*why, DisconnectReason::TooManyRedirects { most: 5 });
    assert_eq!(connection.poll_timeout(), Some(*retry_at));
    assert_eq!(connection.poll_request(*retry_at).unwrap().authority(), "m2:5050");
}

#[test]
fn a_redirect_without_a_host_is_a_failure() {
    for headers in [vec![], vec![("Location", "/api/v1/scheduler")], vec![("Location", "//m2:5050\r\nX: y")]] {
        let mut connection = connection();
        let request = connection.poll_request(Time::ZERO).unwrap();
        connection.handle_response(Time::ZERO, request.id, 307, headers);
        assert!(matches!(
            connection.poll_output(),
            Some(Output::AttemptFailed { why: DisconnectReason::BadRedirect { .. }, .. })
        ));
    }
}

#[test]
fn masters_that_are_not_ready_are_asked_in_turn_with_back_off() {
    let mut connection = Connection::new(["m1:5050", "https://m2:5050"], framework(), 7).unwrap();
    let (mut at, mut waited) = (Time::ZERO, Vec::new());
    for attempt in 0..40 {
        let request = connection.poll_request(at).unwrap();
        let expected = ["http://m1:5050/api/v1/scheduler", "https://m2:5050/api/v1/scheduler"][attempt % 2];
        assert_eq!(request.url, expected);
        assert_eq!(connection.poll_request(at), None);
        if attempt % 3 == 0 {
            connection.handle_failure(at, request.id, "refused");
        } else {
            answer(&mut connection, at, &request, 503, "no leader");
        }
        let [Output::AttemptFailed { retry_at, .. }] = outputs(&mut connection)[..] else { panic!("one failure") };
        assert_eq!(connection.poll_timeout(), Some(retry_at));
        assert_eq!(connection.poll_request(retry_at - Duration::from_micros(1)).is_some(), retry_at == at);
        waited.push(retry_at - at);
        at = retry_at;
    }
    for (attempt, waited) in waited.iter().enumerate() {
        let most = Duration::from_secs([1, 2, 4, 8].get(attempt).copied().unwrap_or(15));
        assert!(*waited <= most, "attempt {attempt} waited {waited:?}");
    }
    let longest = waited.iter().max().unwrap();
    assert!(*longest > Duration::from_secs(12), "{longest:?}");
    assert!(waited[20..].iter().any(|waited| *waited < Duration::from_secs(5)));
}

#[test]
fn the_same_seed_waits_the_same_and_another_does_not() {
    let waits = |seed| {
        let mut connection = Connection::new(["m1:5050"], framework(), seed).unwrap();
        let request = connection.poll_request(Time::ZERO).unwrap();
        connection.handle_failure(Time::ZERO, request.id, "");
        connection.poll_timeout().unwrap()
    };
    assert_eq!(waits(1), waits(1));
    assert_ne!(waits(1), waits(2));
}

#[test]
fn a_subscription_that_is_refused_is_not_tried_again() {
    for status in [400, 401, 403, 415] {
        let mut connection = connection();
        let request = connection.poll_request(Time::ZERO).unwrap();
        answer(&mut connection, Time::ZERO, &request, status, "no such user\n");
        let why = StopReason::Refused { status, why: "no such user".into() };
        assert_eq!(outputs(&mut connection), [Output::Stopped(why)]);
        assert_eq!(
            (connection.poll_timeout(), connection.poll_request(secs(99)), connection.is_stopped()),
            (None, None, true)
        );
    }
}

#[test]
fn masters_must_be_addresses() {
    let none: [&str; 0] = [];
    assert_eq!(Connection::new(none, framework(), 1).unwrap_err(), EndpointError::None);
    let error = Connection::new(["m1:5050", "zk://z1:2181/mesos"], framework(), 1).unwrap_err();
    assert_eq!(error, EndpointError::Malformed { found: "zk://z1:2181/mesos".into() });
}

#[test]
fn a_new_list_of_masters_moves_the_subscription_only_if_its_master_is_not_in_it() {
    let (mut connection, id) = subscribed();
    connection.set_masters(secs(1), ["m0:5050", "m1:5050"]).unwrap();
    assert!(connection.is_subscribed() && connection.is_open(id));
    assert!(connection.set_masters(secs(1), ["not an address"]).is_err());
    assert_eq!(connection.master(), "http://m1:5050");
    connection.set_masters(secs(2), ["m9:5050"]).unwrap();
    let lost = Output::Disconnected { why: DisconnectReason::LeaderChanged, retry_at: secs(2) };
    assert_eq!(outputs(&mut connection), [lost]);
    assert_eq!(connection.poll_request(secs(2)).unwrap().authority(), "m9:5050");
}

// ---- calls

#[test]
fn the_first_subscription_has_no_ids_and_the_next_has_the_id_that_the_first_gave() {
    let mut connection = Connection::new(["m1:5050"], modern(), 7).unwrap().header("Authorization", "Basic eDp5");
    let request = connection.poll_request(Time::ZERO).unwrap();
    let call: SchedulerCall = Dialect::default().decode(&request.body).unwrap();
    assert_eq!(call.framework.as_str(), "");
    assert!(request.headers.contains(&("Authorization".into(), "Basic eDp5".into())));
    assert!(!request.headers.iter().any(|(name, _)| name == "Mesos-Stream-Id"));
    connection.handle_response(Time::ZERO, request.id, 200, [("Mesos-Stream-Id", "s1")]);
    connection.handle_bytes(Time::ZERO, request.id, &records(&[SUBSCRIBED]));
    connection.handle_end(secs(1), request.id);

    let request = connection.poll_request(connection.poll_timeout().unwrap()).unwrap();
    let text = String::from_utf8(request.body.clone()).unwrap();
    let call: SchedulerCall = Dialect::default().decode(&request.body).unwrap();
    assert_eq!(call.framework.as_str(), "f1", "{text}");
    assert!(text.contains(r#""id":{"value":"f1"}"#), "{text}");
    assert!(!request.headers.iter().any(|(name, _)| name == "Mesos-Stream-Id"));
}

#[test]
fn calls_go_one_by_one_with_the_id_of_their_stream() {
    let (mut connection, _) = subscribed();
    for offer in ["O1", "O2"] {
        connection.send(decline(offer));
    }
    for offer in ["O1", "O2"] {
        let request = connection.poll_request(secs(1)).unwrap();
        assert!(!request.is_stream && String::from_utf8_lossy(&request.body).contains(offer));
        let headers: Vec<_> = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let json = "application/json";
        assert_eq!(headers, [("Content-Type", json), ("Accept", json), ("Mesos-Stream-Id", "s1")]);
        assert_eq!(connection.poll_request(secs(1)), None, "one at a time");
        answer(&mut connection, secs(1), &request, 202, "");
    }
    assert_eq!((connection.poll_request(secs(1)), outputs(&mut connection)), (None, vec![]));
}

#[test]
fn a_rejected_call_comes_back_with_the_reason() {
    let (mut connection, _) = subscribed();
    let calls = [decline("O1"), Call::Suppress(vec![])];
    calls.iter().for_each(|call| connection.send(call.clone()));
    let request = connection.poll_request(secs(1)).unwrap();
    answer(&mut connection, secs(1), &request, 400, "Failed to validate: no such thing");
    let why = "Failed to validate: no such thing".to_owned();
    assert_eq!(outputs(&mut connection), [Output::Rejected { call: calls[0].clone(), status: 400, why }]);
    assert!(connection.is_subscribed() && connection.poll_request(secs(1)).is_some());
}

#[test]
fn a_call_that_finds_no_subscription_makes_a_new_one() {
    let cases = [
        (403, "Framework is not subscribed"),
        (400, "The stream ID 'a' included in this request didn't match"),
        (400, "All non-subscribe calls should include the 'Mesos-Stream-Id' header"),
        (503, ""),
        (500, ""),
    ];
    for (status, text) in cases {
        let (mut connection, stream) = subscribed();
        connection.send(decline("O1"));
        connection.send(decline("O2"));
        let request = connection.poll_request(secs(1)).unwrap();
        answer(&mut connection, secs(1), &request, status, text);
        let [one, two, Output::Disconnected { why, retry_at }] = &outputs(&mut connection)[..] else {
            panic!("{status}")
        };
        assert_eq!((one, two), (&Output::Dropped(decline("O1")), &Output::Dropped(decline("O2"))));
        assert_eq!(*why, DisconnectReason::Status { status, why: text.into() });
        assert!(!connection.is_open(stream));
        connection.handle_bytes(secs(1), stream, &records(&[r#"{"type":"HEARTBEAT"}"#]));
        assert_eq!(outputs(&mut connection), [], "of a stream that is given up nothing is told");
        assert!(connection.poll_request(*retry_at).unwrap().is_stream);
    }
}

#[test]
fn a_redirected_call_subscribes_with_the_new_leader_at_once() {
    let (mut connection, _) = subscribed();
    connection.send(decline("O1"));
    let request = connection.poll_request(secs(1)).unwrap();
    connection.handle_response(secs(1), request.id, 307, [("location", "//m2:5050/api/v1/scheduler")]);
    let lost = Output::Disconnected { why: DisconnectReason::LeaderChanged, retry_at: secs(1) };
    assert_eq!(outputs(&mut connection), [Output::Dropped(decline("O1")), lost]);
    let request = connection.poll_request(secs(1)).unwrap();
    assert_eq!((request.authority(), request.is_stream), ("m2:5050", true));
}

#[test]
fn calls_without_a_subscription_come_back() {
    let mut connection = connection();
    connection.send(decline("O1"));
    assert_eq!(outputs(&mut connection), [Output::Dropped(decline("O1"))]);
    assert!(connection.poll_request(Time::ZERO).unwrap().is_stream);
    assert_eq!(connection.poll_request(Time::ZERO), None);
}

/// A task that is to be killed still is after the subscription was lost; offers are void by then.
#[test]
fn calls_that_mean_the_same_later_go_out_with_the_next_subscription() {
    let kill = |task: &str| Call::Kill(Kill::new(task));
    let (mut connection, _) = subscribed();
    for call in [kill("sent"), decline("O1"), kill("waits")] {
        connection.send(call);
    }
    let sent = connection.poll_request(secs(1)).unwrap();
    connection.handle_failure(secs(1), sent.id, "broken");
    let found = outputs(&mut connection);
    let [Output::Dropped(dropped), Output::Disconnected { retry_at, .. }] = &found[..] else { panic!("{found:?}") };
    assert_eq!(*dropped, decline("O1"));
    connection.send(kill("meanwhile"));
    assert_eq!(outputs(&mut connection), []);
    subscribe(&mut connection, *retry_at);
    for task in ["sent", "waits", "meanwhile"] {
        let request = connection.poll_request(*retry_at).unwrap();
        assert_eq!(decoded(&request), kill(task));
        answer(&mut connection, *retry_at, &request, 202, "");
    }
    assert!(outputs(&mut connection).iter().all(|output| matches!(output, Output::Event(_))));

    // Without a further subscription they are told, before the end.
    connection.send(kill("never"));
    let request = connection.poll_request(*retry_at).unwrap();
    connection.handle_failure(*retry_at, request.id, "broken again");
    assert!(outputs(&mut connection).iter().all(|output| !matches!(output, Output::Dropped(Call::Kill(_)))));
    connection.stop();
    assert_eq!(outputs(&mut connection), [Output::Dropped(kill("never")), Output::Stopped(StopReason::Left)]);
}

#[test]
fn waiting_calls_are_bounded() {
    let (mut connection, _) = subscribed();
    let message = |size| Call::Message { agent: "a1".into(), executor: "e1".into(), data: vec![0; size] };
    for _ in 0..9 {
        connection.send(message(6 << 20)); // 8 MiB in base64
    }
    assert_eq!(outputs(&mut connection).len(), 2);
    connection.send(message(10));
    assert_eq!(outputs(&mut connection), []);
}

#[test]
fn an_accepted_update_is_in_the_next_subscription() {
    let (mut connection, stream) = subscribed();
    let update = |name: &str| {
        let mut framework = framework();
        framework.name = Some(name.into());
        Call::UpdateFramework(Box::new(framework))
    };
    for (name, status) in [("good", 200), ("bad", 400)] {
        connection.send(update(name));
        let request = connection.poll_request(secs(1)).unwrap();
        answer(&mut connection, secs(1), &request, status, "");
    }
    assert_eq!(connection.framework().name.as_deref(), Some("good"));
    connection.handle_end(secs(2), stream);
    let request = connection.poll_request(connection.poll_timeout().unwrap()).unwrap();
    assert!(String::from_utf8(request.body).unwrap().contains(r#""name":"good""#));
}

// ---- the stream

#[test]
fn an_event_that_cannot_be_read_is_handed_out_and_the_stream_goes_on() {
    let (mut connection, stream) = subscribed();
    let nil = r#"{"type":"UPDATE","update":{"status":{"task_id":{"value":"t1"},"state":"TASK_RUNNING","uuid":"AAAAAAAAAAAAAAAAAAAAAA=="}}}"#;
    connection.handle_bytes(
        secs(1),
        stream,
        &records(&[nil, "\u{7}", r#"{"type":"NEWS"}"#, r#"{"type":"HEARTBEAT"}"#]),
    );
    let found = outputs(&mut connection);
    let [
        Output::Unreadable { record, why },
        Output::Unreadable { record: other, .. },
        Output::Event(Event::Unknown(_)),
        Output::Event(Event::Heartbeat),
    ] = &found[..]
    else {
        panic!("{found:?}")
    };
    assert_eq!((record.as_slice(), other.as_slice()), (nil.as_bytes(), &b"\x07"[..]));
    assert!(why.contains("uuid"), "{why}");
    assert!(connection.is_subscribed());
}

#[test]
fn a_stream_without_records_for_five_heartbeats_is_given_up() {
    let (mut connection, stream) = subscribed();
    assert_eq!(connection.poll_timeout(), Some(secs(75)));
    connection.handle_bytes(secs(70), stream, &records(&[r#"{"type":"HEARTBEAT"}"#]));
    connection.handle_timeout(secs(75));
    assert!(connection.is_subscribed());
    connection.handle_bytes(secs(144), stream, b"20\n{\"type\""); // no whole record
    connection.handle_timeout(secs(145));
    let found = outputs(&mut connection);
    let Some(Output::Disconnected { why, .. }) = found.last() else { panic!("{found:?}") };
    assert_eq!(*why, DisconnectReason::NoHeartbeat { within: Duration::from_secs(75) });
    assert!(!connection.is_open(stream));
}

#[test]
fn an_answer_that_takes_75_seconds_is_given_up() {
    let no_answer = DisconnectReason::NoAnswer { within: Duration::from_secs(75) };
    let mut connection = connection();
    let request = connection.poll_request(secs(1)).unwrap();
    connection.handle_response(secs(2), request.id, 200, []); // the head is no answer without SUBSCRIBED
    assert_eq!(connection.poll_timeout(), Some(secs(76)));
    connection.handle_timeout(secs(76));
    let Some(Output::AttemptFailed { why, .. }) = connection.poll_output() else { panic!("a failure") };
    assert_eq!(why, no_answer);

    let (mut connection, stream) = subscribed();
    connection.send(decline("O1"));
    let request = connection.poll_request(secs(10)).unwrap();
    connection.handle_bytes(secs(60), stream, &records(&[r#"{"type":"HEARTBEAT"}"#]));
    assert_eq!(connection.poll_timeout(), Some(secs(85)));
    connection.handle_timeout(secs(85));
    assert!(!connection.is_open(request.id) && !connection.is_open(stream));
    let found = outputs(&mut connection);
    assert_eq!(found[1], Output::Dropped(decline("O1")));
    assert!(matches!(&found[2], Output::Disconnected { why, .. } if *why == no_answer), "{found:?}");
}

#[test]
fn what_is_no_stream_of_records_ends_the_subscription() {
    for (bytes, most) in [(&b"<html>"[..], 100), (b"101\n", 100)] {
        let mut connection = connection().max_record(most);
        let stream = subscribe(&mut connection, Time::ZERO);
        outputs(&mut connection);
        connection.handle_bytes(secs(1), stream, bytes);
        let found = outputs(&mut connection);
        assert!(matches!(&found[..], [Output::Disconnected { why: DisconnectReason::Records(_), .. }]), "{found:?}");
    }
}

#[test]
fn the_back_off_starts_anew_after_a_subscription_of_a_minute() {
    // The most that is waited after each loss: doubled while subscriptions are short.
    let waits = |life: u64| {
        let mut connection = connection();
        let (mut at, mut longest) = (Time::ZERO, Duration::ZERO);
        for _ in 0..30 {
            let stream = subscribe(&mut connection, at);
            at += Duration::from_secs(life);
            connection.handle_end(at, stream);
            let due = connection.poll_timeout().unwrap();
            longest = longest.max(due - at);
            at = due;
        }
        longest
    };
    assert!(waits(59) > Duration::from_secs(2));
    assert!(waits(60) <= Duration::from_secs(1));
}

#[test]
fn an_error_ends_the_stream_and_says_whether_for_good() {
    let cases = [
        ("Framework failed over", Some(StopReason::FailedOver)),
        ("Framework has been removed", Some(StopReason::Removed)),
        ("Something else", None),
    ];
    for (message, expected) in cases {
        let (mut connection, stream) = subscribed();
        let error = format!(r#"{{"type":"ERROR","error":{{"message":"{message}"}}}}"#);
        connection.handle_bytes(secs(1), stream, &records(&[&error, r#"{"type":"HEARTBEAT"}"#]));
        let found = outputs(&mut connection);
        assert_eq!(found.len(), 2, "nothing after it: {found:?}");
        assert_eq!(found[0], Output::Event(Event::Error(message.into())));
        match (&found[1], expected) {
            (Output::Stopped(found), Some(expected)) => assert_eq!(*found, expected),
            (Output::Disconnected { why, .. }, None) => assert_eq!(*why, DisconnectReason::Error(message.into())),
            other => panic!("{other:?}"),
        }
    }
    // In the place of SUBSCRIBED it is a refusal.
    let mut connection = connection();
    let request = connection.poll_request(Time::ZERO).unwrap();
    connection.handle_response(Time::ZERO, request.id, 200, []);
    connection.handle_bytes(Time::ZERO, request.id, &records(&[r#"{"type":"ERROR","error":{"message":"bad role"}}"#]));
    let why = StopReason::Refused { status: 200, why: "bad role".into() };
    assert_eq!(outputs(&mut connection)[1], Output::Stopped(why));
}

#[test]
fn a_teardown_is_an_end() {
    let (mut connection, stream) = subscribed();
    connection.send(Call::Teardown);
    let request = connection.poll_request(secs(1)).unwrap();
    answer(&mut connection, secs(1), &request, 202, "");
    assert!(connection.is_subscribed());
    connection.handle_end(secs(1), stream);
    assert_eq!(outputs(&mut connection), [Output::Stopped(StopReason::TornDown)]);
}

// ---- reconciliation

/// The tasks that a reconciliation asks for, and their agents; `None` for all.
type Asked = Option<Vec<(String, Option<AgentId>)>>;

// ---- an end of one's own

#[test]
fn a_stop_sends_what_waits_and_leaves_the_framework_registered() {
    let (mut connection, _) = subscribed();
    ["O1", "O2"].into_iter().for_each(|offer| connection.send(decline(offer)));
    connection.stop();
    for _ in 0..2 {
        assert!(!connection.is_stopped());
        let request = connection.poll_request(Time::ZERO).unwrap();
        answer(&mut connection, Time::ZERO, &request, 202, "");
    }
    assert_eq!(outputs(&mut connection), [Output::Stopped(StopReason::Left)]);
    assert_eq!(connection.poll_request(secs(900)), None);
    assert_eq!(connection.metrics().calls["DECLINE"].accepted, 2);
}

#[test]
fn a_stop_does_not_wait_for_a_subscription() {
    let mut connection = connection();
    let request = connection.poll_request(Time::ZERO).unwrap();
    connection.stop();
    assert!(connection.is_stopped() && !connection.is_open(request.id));
    let (mut connection, stream) = subscribed();
    connection.send(decline("O1"));
    connection.stop();
    connection.handle_failure(Time::ZERO, stream, "broken");
    assert_eq!(outputs(&mut connection).last(), Some(&Output::Stopped(StopReason::Left)));
}

#[test]
fn a_teardown_waits_for_a_subscription_and_is_repeated_when_that_is_lost() {
    let mut connection = connection();
    connection.teardown();
    let stream = subscribe(&mut connection, Time::ZERO);
    let teardown = connection.poll_request(Time::ZERO).unwrap();
    assert!(String::from_utf8_lossy(&teardown.body).contains("TEARDOWN"));
    connection.handle_failure(Time::ZERO, stream, "broken"); // before the answer
    let due = connection.poll_timeout().unwrap();
    subscribe(&mut connection, due);
    let teardown = connection.poll_request(due).unwrap();
    answer(&mut connection, due, &teardown, 202, "");
    outputs(&mut connection);
    connection.handle_timeout(due + Duration::from_secs(75)); // the stream is silent
    assert_eq!(outputs(&mut connection), [Output::Stopped(StopReason::TornDown)]);
    assert_eq!(connection.metrics().calls["TEARDOWN"].accepted, 1);
    assert_eq!((connection.metrics().connects, connection.metrics().disconnects), (2, 1));
}

#[test]
fn a_teardown_of_which_the_answer_was_lost_is_done() {
    let (mut connection, stream) = subscribed();
    connection.teardown();
    let _ = connection.poll_request(Time::ZERO).unwrap();
    connection.handle_end(Time::ZERO, stream);
    let due = connection.poll_timeout().unwrap();
    let request = connection.poll_request(due).unwrap();
    connection.handle_response(due, request.id, 200, []);
    let removed = records(&[r#"{"type":"ERROR","error":{"message":"Framework has been removed"}}"#]);
    connection.handle_bytes(due, request.id, &removed);
    assert_eq!(outputs(&mut connection).last(), Some(&Output::Stopped(StopReason::TornDown)));
}

#[test]
fn headers_are_not_shown() {
    let connection = connection().header("Authorization", "Basic czNjcmV0");
    let shown = format!("{connection:?}");
    assert!(shown.contains("Authorization") && !shown.contains("czNjcmV0"), "{shown}");
}

fn reconciled(connection: &mut Connection, at: Time) -> Vec<Asked> {
    let mut found = Vec::new();
    while let Some(request) = connection.poll_request(at) {
        let call: SchedulerCall = Dialect::default().decode(&request.body).unwrap();
        match call.call {
            Call::Reconcile(tasks) => {
                found.push(
                    tasks.map(|tasks| tasks.into_iter().map(|known| (known.task.to_string(), known.agent)).collect()),
                );
            }
            other => panic!("{other:?}"),
        }
        answer(connection, at, &request, 202, "");
    }
    found
}

#[test]
fn tasks_are_reconciled_after_each_subscription_but_the_first() {
    let (mut connection, stream) = subscribed();
    assert_eq!(reconciled(&mut connection, Time::ZERO), []);
    let offer = Offer::new("O1", "f1", Role::new("web").unwrap(), "a1", "cpus:4".parse().unwrap());
    let size = || "cpus:1".parse().unwrap();
    connection.send(Call::Accept(Accept::of(&offer).launch(Task::new("t1", size())).launch(Task::new("t2", size()))));
    let request = connection.poll_request(secs(1)).unwrap();
    answer(&mut connection, secs(1), &request, 202, "");
    let finished = Event::Update(TaskStatus::new("t2", TaskState::Finished));
    connection.handle_bytes(secs(2), stream, &records(&[&Dialect::default().encode(&finished)]));
    connection.handle_end(secs(3), stream);
    outputs(&mut connection);

    let at = connection.poll_timeout().unwrap();
    let stream = subscribe(&mut connection, at);
    let asked = Some(vec![("t1".to_owned(), Some("a1".into()))]);
    assert_eq!(reconciled(&mut connection, at), std::slice::from_ref(&asked));
    let again = connection.poll_timeout().unwrap();
    assert_eq!(again, at + Duration::from_secs(5));
    connection.handle_timeout(again);
    assert_eq!(reconciled(&mut connection, again), [asked]);
    let running = Event::Update(TaskStatus::new("t1", TaskState::Running));
    connection.handle_bytes(again, stream, &records(&[&Dialect::default().encode(&running)]));
    assert_eq!(reconciled(&mut connection, again), [None], "then for all that the master knows");
}

#[test]
fn tasks_of_before_are_reconciled_after_the_first_subscription() {
    let mut connection = connection().task(TaskRef::on("old", "a1"));
    subscribe(&mut connection, Time::ZERO);
    assert_eq!(reconciled(&mut connection, Time::ZERO), [Some(vec![("old".to_owned(), Some("a1".into()))])]);
}

// ---- executors

fn executor(checkpoint: bool) -> ExecutorConnection {
    let mut environment = ExecutorEnvironment::new("f1", "e1", "a1:5051");
    environment.checkpoint = checkpoint;
    ExecutorConnection::new(environment, 7).unwrap()
}

fn subscribe_executor(connection: &mut ExecutorConnection, at: Time) -> RequestId {
    let call = || executor::Call::Subscribe { tasks: vec![], updates: vec![] };
    let request = connection.poll_request(at, call).unwrap();
    assert_eq!(request.url, "http://a1:5051/api/v1/executor");
    connection.handle_response(at, request.id, 200, []);
    let subscribed = r#"{"type":"SUBSCRIBED","subscribed":{"executor_info":{"executor_id":{"value":"e1"}}}}"#;
    connection.handle_bytes(at, request.id, &records(&[subscribed]));
    assert!(connection.is_subscribed());
    assert!(matches!(connection.poll_output(), Some(Output::Event(executor::Event::Subscribed(_)))));
    request.id
}

#[test]
fn an_executor_that_does_not_checkpoint_ends_with_its_agent() {
    let mut connection = executor(false);
    let stream = subscribe_executor(&mut connection, Time::ZERO);
    assert_eq!(connection.poll_timeout(), None);
    connection.handle_end(secs(1), stream);
    let found: Vec<_> = std::iter::from_fn(|| connection.poll_output()).collect();
    let [Output::Disconnected { .. }, shutdown, stopped] = &found[..] else { panic!("{found:?}") };
    assert_eq!(*shutdown, Output::Event(executor::Event::Shutdown));
    assert_eq!(*stopped, Output::Stopped(StopReason::AgentLost));
    assert_eq!(connection.poll_timeout(), None);
}

#[test]
fn an_executor_that_checkpoints_waits_for_its_agent_as_long_as_it_says() {
    let mut connection = executor(true);
    let stream = subscribe_executor(&mut connection, Time::ZERO);
    connection.handle_failure(secs(1), stream, "reset");
    let at = connection.poll_timeout().unwrap();
    assert!(at <= secs(3));
    let stream = subscribe_executor_again(&mut connection, at);
    connection.handle_end(secs(10), stream);
    let mut attempts = 0;
    while !connection.is_stopped() {
        let at = connection.poll_timeout().unwrap();
        connection.handle_timeout(at);
        if let Some(request) = connection.poll_request(at, || executor::Call::Heartbeat) {
            connection.handle_failure(at, request.id, "refused");
            attempts += 1;
        }
        assert!(at <= secs(910));
    }
    assert!((600..1500).contains(&attempts), "{attempts}");
    let found: Vec<_> = std::iter::from_fn(|| connection.poll_output()).collect();
    assert_eq!(found[found.len() - 2], Output::Event(executor::Event::Shutdown));
    assert_eq!(found[found.len() - 1], Output::Stopped(StopReason::AgentLost));
}

fn subscribe_executor_again(connection: &mut ExecutorConnection, at: Time) -> RequestId {
    let lost = connection.poll_output();
    assert!(matches!(lost, Some(Output::Disconnected { .. })), "{lost:?}");
    subscribe_executor(connection, at)
}

#[test]
fn an_executor_reports_after_shutdown_and_ends_with_the_stream() {
    let mut connection = executor(true);
    let stream = subscribe_executor(&mut connection, Time::ZERO);
    connection.handle_bytes(secs(1), stream, &records(&[r#"{"type":"SHUTDOWN"}"#]));
    assert_eq!(connection.poll_output(), Some(Output::Event(executor::Event::Shutdown)));
    connection.send(executor::Call::Heartbeat);
    let request = connection.poll_request(secs(1), || panic!("it is subscribed")).unwrap();
    connection.handle_response(secs(1), request.id, 202, []);
    connection.handle_end(secs(1), request.id);
    connection.handle_end(secs(2), stream);
    assert_eq!(connection.poll_output(), Some(Output::Stopped(StopReason::ShutDown)));
}

// ---- anything

/// Something that happens to a connection.
#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    Request,
    Send(u8),
    Response(u64, u16),
    Bytes(u64, Vec<u8>),
    Records(u64, Vec<u8>),
    End(u64),
    Failure(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let id = || 0..6_u64; // counted back from the last request
    let statuses = vec![100, 200, 200, 200, 202, 307, 400, 403, 503, 999];
    prop_oneof![
        1 => (0..100_000_000_u64).prop_map(Step::Wait),
        3 => Just(Step::Request),
        1 => any::<u8>().prop_map(Step::Send),
        3 => (id(), prop::sample::select(statuses)).prop_map(|(id, status)| Step::Response(id, status)),
        1 => (id(), prop::collection::vec(any::<u8>(), 0..12)).prop_map(|(id, bytes)| Step::Bytes(id, bytes)),
        4 => (id(), prop::collection::vec(0..7_u8, 0..5)).prop_map(|(id, records)| Step::Records(id, records)),
        1 => id().prop_map(Step::End),
        1 => id().prop_map(Step::Failure),
    ]
}

const RECORDS: [&str; 7] = [
    SUBSCRIBED,
    r#"{"type":"HEARTBEAT"}"#,
    r#"{"type":"UPDATE","update":{"status":{"task_id":{"value":"t1"},"state":"TASK_RUNNING"}}}"#,
    r#"{"type":"UPDATE","update":{"status":{"task_id":{"value":"t1"},"state":"TASK_FINISHED"}}}"#,
    r#"{"type":"ERROR","error":{"message":"try again"}}"#,
    r#"{"type":"RESCIND","rescind":{"offer_id":{"value":"O1"}}}"#,
    "nothing",
];

/// Runs the steps, with all bytes in pieces of that size, and returns all that came out.
fn run(steps: &[Step], piece: usize) -> (Vec<Output<Call, Event>>, Vec<HttpRequest>) {
    let mut connection = Connection::new(["m1:5050", "m2:5050"], framework(), 7).unwrap();
    let (mut at, mut found, mut sent, mut ids) = (Time::ZERO, Vec::new(), Vec::new(), Vec::new());
    for step in steps {
        let id = |back: &u64| ids.iter().rev().nth(usize::try_from(*back).unwrap()).copied();
        match step {
            Step::Wait(micros) => at += Duration::from_micros(*micros),
            Step::Request => {
                if let Some(request) = connection.poll_request(at) {
                    ids.push(request.id);
                    sent.push(request);
                }
            }
            Step::Send(0) => connection.send(Call::Teardown),
            Step::Send(number) => connection.send(decline(&format!("O{number}"))),
            Step::Response(back, status) => {
                if let Some(id) = id(back) {
                    let headers = [("Mesos-Stream-Id", "s"), ("Location", "//m3:5050/")];
                    connection.handle_response(at, id, *status, headers);
                }
            }
            Step::Bytes(back, bytes) => {
                if let Some(id) = id(back) {
                    bytes.chunks(piece).for_each(|piece| connection.handle_bytes(at, id, piece));
                }
            }
            Step::Records(back, numbers) => {
                if let Some(id) = id(back) {
                    let stream =
                        records(&numbers.iter().map(|number| RECORDS[usize::from(*number)]).collect::<Vec<_>>());
                    stream.chunks(piece).for_each(|piece| connection.handle_bytes(at, id, piece));
                }
            }
            Step::End(back) => id(back).into_iter().for_each(|id| connection.handle_end(at, id)),
            Step::Failure(back) => id(back).into_iter().for_each(|id| connection.handle_failure(at, id, "gone")),
        }
        connection.handle_timeout(at);
        if let Some(due) = connection.poll_timeout() {
            assert!(due > at || connection.poll_request(at).inspect(|request| ids.push(request.id)).is_some());
        }
        found.extend(outputs(&mut connection));
        let open = ids.iter().filter(|id| connection.is_open(**id)).count();
        assert!(open <= 2, "one stream and one call");
    }
    (found, sent)
}

proptest! {
    #![proptest_config(crate::tier::tier(300))]

    #[test]
    fn any_steps_end_well_and_give_the_same_in_any_pieces(
        steps in prop::collection::vec(step(), 0..80),
        piece in 1..40_usize,
    ) {
        let whole = run(&steps, usize::MAX);
        prop_assert_eq!(run(&steps, piece), whole);
    }
}
