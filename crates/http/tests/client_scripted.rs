//! A scheduler over HTTP against a scripted master: each rule of the client, seen from the other end of its sockets.

#![allow(clippy::unwrap_used, reason = "a test that goes wrong ends")]

mod scripted;

use apportion::scheduler::{Calls, Rejected, Scheduler};
use apportion::v1::connection::StopReason;
use apportion::{Call, Framework, FrameworkId, Offer, OfferId, Role, TaskStatus};
use apportion_http::client::{ClientBuilder, ClientHandle, ClientMetrics, ClientState, Masters};
use scripted::{Scripted, Socket, within};
use serde_json::{Value as Json, json};
use std::fs;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Tells a test what it is told.
struct Teller(mpsc::UnboundedSender<String>);

impl Teller {
    fn tell(&self, what: impl Into<String>) {
        let _ = self.0.send(what.into()); // the test may have ended
    }
}

impl Scheduler for Teller {
    fn offers(&mut self, offers: Vec<Offer>, _: &mut Calls) {
        self.tell(format!("{} offers", offers.len()));
    }

    fn rescinded(&mut self, offer: OfferId, _: &mut Calls) {
        self.tell(format!("{offer} rescinded"));
    }

    fn update(&mut self, status: TaskStatus, _: &mut Calls) {
        self.tell(format!("{} {}", status.task, status.state));
    }

    fn subscribed(&mut self, framework: FrameworkId, _: &mut Calls) {
        self.tell(format!("subscribed as {framework}"));
    }

    fn disconnected(&mut self, calls: &mut Calls) {
        self.tell("disconnected");
        calls.suppress(); // to no avail
    }

    fn woken_for(&mut self, token: u64, _: &mut Calls) {
        self.tell(format!("woken for {token}"));
    }

    fn rejected(&mut self, rejected: Rejected, _: &mut Calls) {
        self.tell(rejected.to_string());
    }

    fn error(&mut self, message: String, _: &mut Calls) {
        self.tell(format!("error: {message}"));
    }
}

/// A client that runs in a task.
struct Running {
    handle: ClientHandle<Teller>,
    told: mpsc::UnboundedReceiver<String>,
    ended: JoinHandle<StopReason>,
}

impl Running {
    fn start(builder: ClientBuilder) -> Self {
        let (sender, told) = mpsc::unbounded_channel();
        let mut client = builder.build(Teller(sender)).unwrap();
        let handle = client.handle();
        Self { handle, told, ended: tokio::spawn(async move { client.run().await }) }
    }

    /// Returns what the scheduler is told next.
    async fn told(&mut self) -> String {
        within(self.told.recv()).await.expect("the client runs")
    }

    async fn ended(mut self) -> StopReason {
        within(&mut self.ended).await.unwrap()
    }

    /// Waits until something holds of the metrics.
    async fn until(&self, holds: impl Fn(&ClientMetrics) -> bool) {
        within(async {
            while !holds(&self.handle.metrics()) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Has the scheduler make a call.
    async fn call(&self, call: Call) {
        self.handle.act(|_, calls| calls.push(call)).await.unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.ended.abort();
    }
}

fn framework() -> Framework {
    Framework::new("").role(Role::new("web").unwrap())
}

/// Returns the settings of a client without reconciliation, so that a test sees only its own calls.
fn builder(masters: &[&Scripted]) -> ClientBuilder {
    let masters = Masters::at(masters.iter().map(|master| master.address.as_str()));
    ClientBuilder::new(masters, framework()).seed(7).reconcile_every(None)
}

fn subscribed_event(heartbeat: f64) -> Json {
    json!({"type": "SUBSCRIBED", "subscribed": {"framework_id": {"value": "f1"}, "heartbeat_interval_seconds": heartbeat}})
}

fn rescind(offer: &str) -> Json {
    json!({"type": "RESCIND", "rescind": {"offer_id": {"value": offer}}})
}

fn update(task: &str, state: &str) -> Json {
    let status = json!({"task_id": {"value": task}, "agent_id": {"value": "a1"}, "state": state, "source": "SOURCE_EXECUTOR",
        "uuid": "ts5O7BBXSgqhrTT1mrp5Cg=="});
    json!({"type": "UPDATE", "update": {"status": status}})
}

/// Starts a client and subscribes it.
async fn subscribed(master: &Scripted, builder: ClientBuilder) -> (Running, Socket) {
    let mut client = Running::start(builder);
    let (mut stream, _) = master.subscribe().await;
    stream.event(&subscribed_event(15.0)).await;
    assert_eq!(client.told().await, "subscribed as f1");
    (client, stream)
}

#[tokio::test]
async fn a_lost_subscription_is_told_once_and_made_anew_under_its_id() {
    let master = Scripted::start().await;
    let (registered, mut ids) = mpsc::unbounded_channel();
    let tell = move |id: &FrameworkId| registered.send(id.to_string()).unwrap();
    let mut client = Running::start(builder(&[&master]).on_registered(tell));
    let (mut stream, first) = master.subscribe_as("s1").await;
    assert_eq!(first.path(), "/api/v1/scheduler");
    assert_eq!(first.header("host"), Some(master.address.as_str()));
    assert_eq!(first.header("content-type"), Some("application/json"));
    assert_eq!(first.header("accept"), Some("application/json"));
    assert_eq!(first.header("mesos-stream-id"), None);
    assert!(first.json()["framework_id"].is_null() && first.json()["subscribe"]["framework_info"]["id"].is_null());
    stream.event(&subscribed_event(15.0)).await;
    assert_eq!(client.told().await, "subscribed as f1");
    assert_eq!(ids.try_recv().unwrap(), "f1", "it is told before the scheduler is");

    client.call(Call::Revive(Vec::new())).await;
    let (mut calls, revive) = master.request().await;
    assert_eq!((revive.kind().as_str(), revive.header("mesos-stream-id")), ("REVIVE", Some("s1")));
    calls.answer(202, "", "").await;
    drop(stream); // it breaks off
    assert_eq!(client.told().await, "disconnected");

    let (mut stream, again) = master.subscribe_as("s2").await;
    assert_eq!(again.header("mesos-stream-id"), None);
    assert_eq!(again.json()["framework_id"]["value"], "f1");
    assert_eq!(again.json()["subscribe"]["framework_info"]["id"]["value"], "f1");
    drop(stream); // before SUBSCRIBED: that is not told a second time
    (stream, _) = master.subscribe_as("s3").await;
    stream.event(&subscribed_event(15.0)).await;
    assert_eq!(client.told().await, "subscribed as f1");
    assert!(ids.try_recv().is_err(), "the id is the same");

    client.call(Call::Revive(Vec::new())).await;
    let revive = calls.call().await; // over the connection of before
    assert_eq!(revive.header("mesos-stream-id"), Some("s3"));
    let metrics = client.handle.metrics();
    assert_eq!((metrics.counts.attempts, metrics.counts.connects, metrics.counts.disconnects), (3, 2, 1));
    assert_eq!(metrics.counts.calls["SUPPRESS"].dropped, 1, "what is called without a subscription is dropped");
    assert_eq!((metrics.state, metrics.framework), (ClientState::Subscribed, Some("f1".into())));
    assert_eq!(metrics.master, format!("http://{}", master.address));
    assert!(metrics.last_record_age.unwrap() < Duration::from_secs(60));
}

#[tokio::test]
async fn five_redirects_in_a_row_are_followed() {
    let (standby, leader) = (Scripted::start().await, Scripted::start().await);
    let mut client = Running::start(builder(&[&standby]));
    let location = |to: &Scripted| format!("Location: //{}/api/v1/scheduler\r\n", to.address);
    for _ in 0..6 {
        standby.refuse(307, &location(&standby), "").await; // the sixth is one too many
    }
    standby.refuse(307, &location(&leader), "").await;
    let (mut stream, _) = leader.subscribe().await;
    stream.event(&subscribed_event(15.0)).await;
    assert_eq!(client.told().await, "subscribed as f1");
    client.call(Call::Revive(Vec::new())).await;
    let (mut calls, _) = leader.request().await;
    calls.answer(307, &location(&standby), "").await; // another leads now
    assert_eq!(client.told().await, "disconnected");
    let (mut stream, again) = standby.subscribe().await;
    assert_eq!(again.json()["framework_id"]["value"], "f1");
    stream.event(&subscribed_event(15.0)).await;
    assert_eq!(client.told().await, "subscribed as f1");
    assert_eq!(client.handle.metrics().counts.redirects, 7);
}

#[tokio::test]
async fn masters_that_are_not_ready_are_tried_in_turn() {
    let (first, second) = (Scripted::start().await, Scripted::start().await);
    let mut client = Running::start(builder(&[&first, &second]));
    first.refuse(503, "", "this master is recovering").await;
    second.refuse(503, "", "no leader is known").await;
    let (socket, _) = first.request().await;
    drop(socket); // no answer at all
    let (mut stream, _) = second.subscribe().await;
    stream.event(&subscribed_event(15.0)).await;
    assert_eq!(client.told().await, "subscribed as f1");
    assert_eq!(client.handle.metrics().counts.attempts, 4);
}

#[tokio::test]
async fn a_file_of_masters_is_read_again_before_each_attempt() {
    let (before, after) = (Scripted::start().await, Scripted::start().await);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("masters");
    fs::write(&file, format!("# the masters\n{}\n", before.address)).unwrap();
    let masters = format!("file://{}", file.display()).parse().unwrap();
    let mut client = Running::start(ClientBuilder::new(masters, framework()).seed(7));
    let (socket, _) = before.request().await;
    fs::write(&file, format!("\n{}\n", after.address)).unwrap();
    drop(socket);
    let (mut stream, _) = after.subscribe().await;
    stream.event(&subscribed_event(15.0)).await;
    assert_eq!(client.told().await, "subscribed as f1");
    fs::remove_file(&file).unwrap(); // those of before are tried again
    drop(stream);
    assert_eq!(client.told().await, "disconnected");
    after.subscribe().await;
}

#[tokio::test]
async fn what_ends_a_subscription_says_whether_it_is_made_anew() {
    for (message, reason) in [
        ("Framework failed over", Some(StopReason::FailedOver)),
        ("Framework has been removed", Some(StopReason::Removed)),
        ("something else", None),
    ] {
        let master = Scripted::start().await;
        let (mut client, mut stream) = subscribed(&master, builder(&[&master])).await;
        stream.event(&json!({"type": "ERROR", "error": {"message": message}})).await;
        assert_eq!(client.told().await, format!("error: {message}"));
        match reason {
            Some(reason) => assert_eq!(client.ended().await, reason),
            None => drop(master.subscribe().await),
        }
        stream.closed().await;
    }
    // Before SUBSCRIBED any of them, and each status of 4xx, is a refusal.
    let master = Scripted::start().await;
    let client = Running::start(builder(&[&master]));
    let (mut stream, _) = master.subscribe().await;
    stream.event(&json!({"type": "ERROR", "error": {"message": "no such role"}})).await;
    assert_eq!(client.ended().await, StopReason::Refused { status: 200, why: "no such role".into() });
    let client = Running::start(builder(&[&master]));
    master.refuse(401, "WWW-Authenticate: Basic realm=\"m\"\r\n", "who are you?").await;
    assert_eq!(client.ended().await, StopReason::Refused { status: 401, why: "who are you?".into() });
}

#[tokio::test]
async fn a_stream_that_is_silent_for_five_heartbeats_is_closed() {
    let master = Scripted::start().await;
    let mut client = Running::start(builder(&[&master]));
    let (mut stream, _) = master.subscribe().await;
    stream.event(&subscribed_event(0.02)).await;
    assert_eq!(client.told().await, "subscribed as f1");
    stream.closed().await;
    assert_eq!(client.told().await, "disconnected");
    master.subscribe().await;
}

/// Lets so much time pass at once, of which the test itself sees nothing.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn an_answer_that_takes_75_seconds_is_a_broken_connection() {
    let master = Scripted::start().await;
    let client = Running::start(builder(&[&master]));
    let (mut silent, _) = master.request().await;
    pass(Duration::from_secs(76)).await;
    silent.closed().await;
    let (mut headless, _) = master.subscribe().await; // a head alone is no answer
    pass(Duration::from_secs(76)).await;
    headless.closed().await;
    drop(client);

    let (mut client, mut stream) = subscribed(&master, builder(&[&master])).await;
    client.call(Call::Revive(Vec::new())).await;
    let (mut calls, _) = master.request().await;
    pass(Duration::from_secs(50)).await;
    stream.event(&json!({"type": "HEARTBEAT"})).await; // the stream is well
    stream.event(&rescind("O1")).await;
    assert_eq!(client.told().await, "O1 rescinded");
    pass(Duration::from_secs(26)).await;
    calls.closed().await;
    assert_eq!(client.told().await, "disconnected");
    stream.closed().await;
}

#[tokio::test]
async fn calls_go_in_order_over_one_connection_and_their_answers_are_judged() {
    let master = Scripted::start().await;
    let (mut client, _stream) = subscribed(&master, builder(&[&master])).await;
    let kinds = ["SUPPRESS", "REVIVE", "RECONCILE"];
    let three = [Call::Suppress(Vec::new()), Call::Revive(Vec::new()), Call::Reconcile(None)];
    client.handle.act(move |_, calls| three.into_iter().for_each(|call| calls.push(call))).await.unwrap();
    let mut calls = master.accept().await;
    for kind in kinds {
        assert_eq!(calls.call().await.kind(), kind);
    }
    client.call(Call::Revive(Vec::new())).await;
    calls.request().await.unwrap();
    calls.answer(400, "", "no such role").await;
    let told = client.told().await;
    assert!(told.contains("no such role"), "{told}");
    // The master closes a connection that is idle: the subscription goes on over another one.
    drop(calls);
    pass(Duration::from_secs(2)).await;
    client.call(Call::Revive(Vec::new())).await;
    let (mut calls, _) = master.request().await;
    calls.answer(202, "Connection: close\r\n", "").await;
    drop(calls);
    client.call(Call::Revive(Vec::new())).await;
    let (mut calls, _) = master.request().await;
    calls.answer(202, "", "").await;
    // The stream is the matter of these two.
    for (status, why) in [(403, "not subscribed"), (400, "the stream id is not that of the open stream")] {
        client.call(Call::Revive(Vec::new())).await;
        calls.request().await.unwrap();
        calls.answer(status, "", why).await;
        assert_eq!(client.told().await, "disconnected");
        let (mut stream, _) = master.subscribe().await;
        stream.event(&subscribed_event(15.0)).await;
        assert_eq!(client.told().await, "subscribed as f1");
    }
    let revives = client.handle.metrics().counts.calls["REVIVE"];
    assert_eq!((revives.accepted, revives.rejected, revives.dropped), (3, 1, 2));
}

#[tokio::test]
async fn a_status_is_acknowledged_after_the_scheduler_has_seen_it_and_may_come_twice() {
    let master = Scripted::start().await;
    let (mut client, mut stream) = subscribed(&master, builder(&[&master])).await;
    let mut calls = None;
    for _ in 0..2 {
        stream.event(&update("t1", "TASK_RUNNING")).await;
        assert_eq!(client.told().await, "t1 TASK_RUNNING");
        let mut socket = match calls.take() {
            Some(socket) => socket,
            None => master.accept().await,
        };
        let acknowledgement = socket.call().await.json();
        assert_eq!(acknowledgement["type"], "ACKNOWLEDGE");
        assert_eq!(acknowledgement["acknowledge"]["uuid"], "ts5O7BBXSgqhrTT1mrp5Cg==");
        calls = Some(socket);
    }
}

#[tokio::test]
async fn records_come_in_pieces_and_what_is_unknown_or_unreadable_is_skipped() {
    let master = Scripted::start().await;
    let (mut client, mut stream) = subscribed(&master, builder(&[&master]).max_record(200)).await;
    let record = rescind("Ö1").to_string();
    for byte in format!("{}\n{record}", record.len()).as_bytes() {
        stream.chunk(&[*byte]).await;
    }
    assert_eq!(client.told().await, "Ö1 rescinded");
    stream.event(&json!({"type": "NEWS", "news": {}})).await;
    stream.record(b"{\"type\":").await;
    let two = format!("{}\n{record}{}\n{record}", record.len(), record.len());
    stream.chunk(two.as_bytes()).await;
    for _ in 0..2 {
        assert_eq!(client.told().await, "Ö1 rescinded");
    }
    let counts = client.handle.metrics().counts;
    assert_eq!((counts.events["UNKNOWN"], counts.unreadable), (1, 1));
    stream.chunk(b"201\n").await; // longer than is allowed
    assert_eq!(client.told().await, "disconnected");
    stream.closed().await;
    master.subscribe().await;
}

/// Reads a RECONCILE, and returns its tasks with their agents.
async fn reconcile(calls: &mut Socket) -> Vec<Json> {
    let call = calls.call().await.json();
    assert_eq!(call["type"], "RECONCILE");
    call["reconcile"]["tasks"].as_array().cloned().unwrap_or_default()
}

#[tokio::test]
async fn tasks_are_reconciled_after_a_lost_subscription_and_now_and_then() {
    let master = Scripted::start().await;
    let settings = builder(&[&master]).reconcile_every(Some(Duration::from_secs(900)));
    let (mut client, mut stream) = subscribed(&master, settings).await;
    for (task, state) in [("t1", "TASK_RUNNING"), ("t2", "TASK_FINISHED"), ("t3", "TASK_STAGING")] {
        let mut event = update(task, state);
        event["update"]["status"].as_object_mut().unwrap().remove("uuid");
        stream.event(&event).await;
        client.told().await;
    }
    drop(stream);
    assert_eq!(client.told().await, "disconnected");
    let (mut stream, _) = master.subscribe().await;
    stream.event(&subscribed_event(900.0)).await;
    assert_eq!(client.told().await, "subscribed as f1");
    let mut calls = master.accept().await;
    let known = |task: &str| json!({"task_id": {"value": task}, "agent_id": {"value": "a1"}});
    assert_eq!(reconcile(&mut calls).await, [known("t1"), known("t3")], "those that have not ended, with their agents");
    stream.event(&update("t1", "TASK_RUNNING")).await;
    assert_eq!(client.told().await, "t1 TASK_RUNNING");
    assert_eq!(calls.call().await.kind(), "ACKNOWLEDGE");
    pass(Duration::from_secs(5)).await;
    assert_eq!(reconcile(&mut calls).await, [known("t3")], "what is not answered is asked again");
    stream.event(&update("t3", "TASK_RUNNING")).await;
    assert_eq!(client.told().await, "t3 TASK_RUNNING");
    let mut last = [calls.call().await, calls.call().await];
    last.sort_by_key(scripted::Request::kind);
    assert_eq!((last[0].kind().as_str(), last[1].kind().as_str()), ("ACKNOWLEDGE", "RECONCILE"));
    let all = &last[1].json()["reconcile"];
    assert!(
        all.is_object() && all["tasks"].as_array().is_none_or(Vec::is_empty),
        "then all that the master knows: {all}"
    );
    let accepted = |metrics: &ClientMetrics, kind: &str| metrics.counts.calls[kind].accepted;
    client.until(|metrics| accepted(metrics, "RECONCILE") == 3 && accepted(metrics, "ACKNOWLEDGE") == 2).await;
    pass(Duration::from_secs(900)).await;
    calls.closed().await; // it was idle for long
    let mut calls = master.accept().await;
    assert_eq!(reconcile(&mut calls).await, [known("t1"), known("t3")]);
    assert_eq!(client.handle.metrics().counts.reconciliations, 2);
}

#[tokio::test]
async fn a_login_goes_into_each_request() {
    let master = Scripted::start().await;
    let mut client = Running::start(builder(&[&master]).credentials("web", "s3cret"));
    let (mut stream, subscribe) = master.subscribe().await;
    let login = Some("Basic d2ViOnMzY3JldA==");
    assert_eq!(subscribe.header("authorization"), login);
    assert_eq!(subscribe.json()["subscribe"]["framework_info"]["principal"], "web");
    stream.event(&subscribed_event(15.0)).await;
    assert_eq!(client.told().await, "subscribed as f1");
    client.call(Call::Revive(Vec::new())).await;
    let (_calls, revive) = master.request().await;
    assert_eq!(revive.header("authorization"), login);
}

#[tokio::test]
async fn a_stop_sends_what_waits_and_tears_nothing_down() {
    let master = Scripted::start().await;
    let (client, mut stream) = subscribed(&master, builder(&[&master])).await;
    client.call(Call::Suppress(Vec::new())).await;
    let (mut calls, _) = master.request().await;
    client.call(Call::Revive(Vec::new())).await;
    client.handle.stop();
    calls.answer(202, "", "").await;
    assert_eq!(calls.call().await.kind(), "REVIVE");
    let handle = client.handle.clone();
    assert_eq!(client.ended().await, StopReason::Left);
    stream.closed().await;
    assert_eq!(handle.metrics().state, ClientState::Stopped);
    assert!(handle.wake(1).await.is_err(), "the client is gone");

    let client = Running::start(builder(&[&master]));
    let (mut socket, _) = master.request().await;
    client.handle.stop(); // nobody has answered yet
    assert_eq!(client.ended().await, StopReason::Left);
    socket.closed().await;
}

#[tokio::test]
async fn a_teardown_waits_for_a_subscription() {
    let master = Scripted::start().await;
    let client = Running::start(builder(&[&master]));
    client.handle.teardown();
    master.refuse(503, "", "").await;
    let (mut stream, _) = master.subscribe().await;
    stream.event(&subscribed_event(15.0)).await;
    let mut calls = master.accept().await;
    assert_eq!(calls.call().await.kind(), "TEARDOWN");
    stream.end().await;
    assert_eq!(client.ended().await, StopReason::TornDown);
}

#[tokio::test]
async fn a_scheduler_is_woken_from_outside() {
    let master = Scripted::start().await;
    let mut client = Running::start(builder(&[&master]));
    let (_socket, _) = master.request().await; // connected or not
    client.handle.wake(42).await.unwrap();
    assert_eq!(client.told().await, "woken for 42");
    assert_eq!(client.handle.metrics().state, ClientState::Connecting);
}

#[tokio::test]
async fn protobuf_is_said_in_the_headers() {
    let master = Scripted::start().await;
    let masters = Masters::at([&master.address]);
    let (sender, _told) = mpsc::unbounded_channel();
    let mut client = ClientBuilder::new(masters, framework()).protobuf().build(Teller(sender)).unwrap();
    let running = tokio::spawn(async move { client.run().await });
    let (_socket, request) = master.request().await;
    assert_eq!(request.header("content-type"), Some("application/x-protobuf"));
    assert_eq!(request.header("accept"), Some("application/x-protobuf"));
    assert!(serde_json::from_slice::<Json>(&request.body).is_err());
    running.abort();
}
