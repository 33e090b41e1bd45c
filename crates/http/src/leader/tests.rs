use super::*;
use crate::agents::NoAgents;
use crate::settings::Settings;
use crate::transport::encoding::Encoding;
use crate::transport::stream::Stream;
use crate::transport::stream::WINDOW;
use apportion::v1::RecordReader;
use apportion::{Agent, Role, TaskId};
use apportion::{Framework, Uuid};
use http_body::Body;
use serde_json::Value as Json;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

/// A leader, and what its streams tell it.
struct Rig {
    leader: Leader,
    signals: mpsc::UnboundedReceiver<Signal>,
}

fn at(seconds: u64) -> Time {
    Time::from_secs(seconds)
}

fn rig(settings: Settings) -> Rig {
    let (sender, signals) = mpsc::unbounded_channel();
    let mut leader = Leader::new(Arc::new(Gate::new(settings, Duration::ZERO)), Box::new(NoAgents), sender);
    leader.command(at(0), Command::AddAgent(Agent::new("a1", "cpus:4;mem:1024".parse().unwrap()).into())).unwrap();
    Rig { leader, signals }
}

fn framework(id: &str) -> Framework {
    Framework::new(id).role(Role::new("web").unwrap()).failover_timeout(Duration::from_secs(10))
}

impl Rig {
    fn subscribe(&mut self, seconds: u64, framework: Framework) -> Stream {
        let (reply, mut replied) = oneshot::channel();
        let (framework, cut) = (Box::new(framework), Arc::new(Notify::new()));
        self.leader.handle(at(seconds), Input::Subscribe { framework, encoding: Encoding::Json, cut, reply });
        self.leader.flush(at(seconds));
        replied.try_recv().unwrap()
    }

    fn call(&mut self, seconds: u64, id: &str, stream: Uuid, call: Call) {
        self.leader.handle(at(seconds), Input::Call { id: id.into(), stream, call });
        self.leader.flush(at(seconds));
    }

    /// Has the leader hear what streams tell.
    fn hear(&mut self, seconds: u64) {
        while let Ok(signal) = self.signals.try_recv() {
            self.leader.handle_signal(at(seconds), signal);
        }
        self.leader.flush(at(seconds));
    }
}

/// Asks for so many statuses, one by one.
fn ask(rig: &mut Rig, seconds: u64, number: u32, stream: &Stream) {
    for _ in 0..number {
        rig.call(seconds, "f1", stream.id, Call::Reconcile(Some(vec![TaskId::from("t").into()])));
    }
}

/// Takes one record: the type of the event, or `END` of the stream.
fn next(stream: &mut Stream) -> Option<String> {
    let frame = match Pin::new(stream).poll_frame(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(Ok(frame))) => frame.into_data().unwrap(),
        Poll::Ready(None) => return Some("END".to_owned()),
        Poll::Ready(Some(Err(never))) => match never {},
        Poll::Pending => return None,
    };
    let mut piece = &frame[..];
    let record = RecordReader::default().read(&mut piece).unwrap().expect("a frame is a record");
    assert!(piece.is_empty() && !record.contains(&b'\n'));
    let event: Json = serde_json::from_slice(&record).unwrap();
    Some(match event["type"].as_str().unwrap() {
        "ERROR" => format!("ERROR {}", event["error"]["message"].as_str().unwrap()),
        kind => kind.to_owned(),
    })
}

fn all(stream: &mut Stream) -> Vec<String> {
    let mut events = Vec::new();
    while let Some(event) = next(stream) {
        let is_last = event == "END";
        events.push(event);
        if is_last {
            break;
        }
    }
    events
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_follows_the_subscription_at_once_and_then_each_interval() {
    let mut rig = rig(Settings::default());
    let mut stream = rig.subscribe(0, framework("f1"));
    assert_eq!(all(&mut stream), ["SUBSCRIBED", "HEARTBEAT", "OFFERS"]);
    tokio::time::sleep(Duration::from_secs(16)).await;
    assert_eq!(all(&mut stream), ["HEARTBEAT"]);
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!(all(&mut stream), ["HEARTBEAT"], "one that was late, and no more");
}

#[tokio::test(start_paused = true)]
async fn a_second_subscription_ends_the_first_one() {
    let mut rig = rig(Settings::default());
    let mut first = rig.subscribe(0, framework("f1"));
    assert_eq!(all(&mut first), ["SUBSCRIBED", "HEARTBEAT", "OFFERS"]);
    let mut second = rig.subscribe(1, framework("f1"));
    assert_eq!(all(&mut first), ["ERROR Framework failed over", "END"]);
    assert_eq!(all(&mut second), ["SUBSCRIBED", "HEARTBEAT", "OFFERS"]);
    drop(first);
    rig.hear(2);
    let session = rig.leader.gate.session(&"f1".into()).unwrap();
    assert_eq!(session.stream, Some(second.id), "the end of the first is not that of the second");
    rig.call(2, "f1", Uuid::from_seed(1, 1), Call::Teardown); // over a stream that is void
    assert!(rig.leader.gate.session(&"f1".into()).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_framework_whose_connection_ends_may_come_back_in_time() {
    let mut rig = rig(Settings::default());
    drop(rig.subscribe(0, framework("f1")));
    rig.hear(1);
    assert_eq!(rig.leader.gate.session(&"f1".into()).unwrap().stream, None);
    let mut back = rig.subscribe(10, framework("f1"));
    assert_eq!(all(&mut back), ["SUBSCRIBED", "HEARTBEAT", "OFFERS"]);
    drop(back);
    rig.hear(11);
    assert_eq!(rig.leader.poll_timeout().unwrap().max(at(21)), at(21));
    rig.leader.advance(at(21));
    assert!(rig.leader.gate.session(&"f1".into()).is_none());
    assert_eq!(all(&mut rig.subscribe(22, framework("f1"))), ["ERROR Framework has been removed", "END"]);
}

#[tokio::test(start_paused = true)]
async fn a_teardown_ends_the_stream_and_the_id() {
    let mut rig = rig(Settings::default());
    let mut stream = rig.subscribe(0, framework("f1"));
    rig.call(1, "f1", stream.id, Call::Teardown);
    assert_eq!(all(&mut stream), ["SUBSCRIBED", "HEARTBEAT", "OFFERS", "END"]);
    assert_eq!(all(&mut rig.subscribe(2, framework("f1"))), ["ERROR Framework has been removed", "END"]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_subscription_is_an_error_and_the_end() {
    let mut rig = rig(Settings::default());
    let twice = framework("f1").role(Role::new("web").unwrap());
    assert_eq!(all(&mut rig.subscribe(0, twice)), ["ERROR framework f1 names the role web twice", "END"]);
    let (reply, mut replied) = oneshot::channel();
    rig.leader.handle(at(0), Input::Refuse { reason: "no".into(), encoding: Encoding::Json, reply });
    assert_eq!(all(&mut replied.try_recv().unwrap()), ["ERROR no", "END"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_framework_does_not_read_waits_with_the_master_and_then_costs_the_connection() {
    let bytes = 200 * 1024;
    let mut rig = rig(Settings::default().slow_readers(bytes, Duration::from_secs(60)));
    let mut stream = rig.subscribe(0, framework("f1"));
    ask(&mut rig, 1, 100, &stream);
    assert_eq!(rig.leader.streams.longest_full(), Some(&(at(1), "f1".into())));
    assert!(rig.leader.poll_timeout().unwrap() <= at(61));
    let events = all(&mut stream);
    assert_eq!(events.len(), WINDOW + 1, "what was on its way, and a heartbeat");
    rig.hear(2);
    assert_eq!(rig.leader.streams.longest_full(), None);
    assert_eq!(all(&mut stream).len(), 102 - WINDOW);

    ask(&mut rig, 3, 1000, &stream); // more bytes than may wait
    assert!(rig.leader.streams.recipients().next().is_none());
    assert_eq!(rig.leader.gate.session(&"f1".into()).unwrap().stream, None);

    let stream = rig.subscribe(4, framework("f1"));
    ask(&mut rig, 5, 100, &stream);
    rig.leader.advance(at(64));
    assert_eq!(rig.leader.streams.recipients().count(), 1);
    rig.leader.advance(at(65)); // 60 seconds without a read
    assert!(rig.leader.streams.recipients().next().is_none());
}
