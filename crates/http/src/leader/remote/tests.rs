use super::*;
use crate::agents::NoAgents;
use crate::gate::Gate;
use crate::internal::stream::AgentStream;
use crate::internal::{Register, Reregister};
use crate::settings::Settings;
use crate::transport::stream::{Signal, WINDOW};
use apportion::v1::RecordReader;
use apportion::{Accept, Agent, Capability, Drain, Role, Task};
use http_body::Body as _;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tokio::sync::{Notify, mpsc};

/// A leader that pings each 10 s, and gives up after 3 pings.
struct Rig {
    leader: Leader,
    signals: mpsc::UnboundedReceiver<Signal>,
}

fn at(seconds: u64) -> Time {
    Time::from_secs(seconds)
}

fn rig(settings: Settings) -> Rig {
    let (sender, signals) = mpsc::unbounded_channel();
    let settings = settings.agent_pings(Duration::from_secs(10), 3);
    let leader = Leader::new(Arc::new(Gate::new(settings, Duration::ZERO)), Box::new(NoAgents), sender);
    Rig { leader, signals }
}

impl Rig {
    fn register(&mut self, seconds: u64) -> AgentStream {
        let agent = Agent::new("a1", "cpus:4;mem:1024".parse().unwrap());
        let register = Register::new(agent, ([127, 0, 0, 7], 5051).into(), Uuid::from_seed(1, 1));
        let (back, cut) = (Reregister::new(register), Arc::new(Notify::new()));
        let stream = self.leader.open_agent(at(seconds), back, Enrolment::Returns, cut);
        self.leader.flush(at(seconds));
        stream
    }

    fn advance(&mut self, seconds: u64) {
        self.leader.advance(at(seconds));
        self.leader.flush(at(seconds));
    }

    fn call(&mut self, seconds: u64, stream: &AgentStream, call: AgentCall) {
        self.leader.agent_call(at(seconds), &"a1".into(), stream.id, call);
        self.leader.flush(at(seconds));
    }

    fn hear(&mut self, seconds: u64) {
        while let Ok(signal) = self.signals.try_recv() {
            self.leader.handle_signal(at(seconds), signal);
        }
        self.leader.flush(at(seconds));
    }

    fn is_known(&self) -> bool {
        self.leader.delivery.master().agent(&"a1".into()).is_some()
    }
}

/// Takes all events that there are: their names, `END` after the last one of a stream that has ended.
fn all(stream: &mut AgentStream) -> Vec<String> {
    let mut events = Vec::new();
    loop {
        match Pin::new(&mut *stream).poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(Ok(frame))) => {
                let record = RecordReader::default().read(&mut &frame.into_data().unwrap()[..]).unwrap().unwrap();
                let event: serde_json::Value = serde_json::from_slice(&record).unwrap();
                let seq = event["body"]["seq"].as_u64().map(|seq| format!(" {seq}")).unwrap_or_default();
                events.push(format!("{}{seq}", event["type"].as_str().unwrap()));
            }
            Poll::Ready(None) => {
                events.push("END".to_owned());
                return events;
            }
            Poll::Ready(Some(Err(never))) => match never {},
            Poll::Pending => return events,
        }
    }
}

#[test]
fn an_answer_to_the_last_ping_counts_and_one_to_an_earlier_ping_does_not() {
    let mut rig = rig(Settings::default());
    let mut stream = rig.register(0);
    assert_eq!(all(&mut stream), ["REREGISTERED"]);
    for seq in 1..20 {
        assert_eq!(rig.leader.remote.next_ping(), Some(at(10 * seq)));
        rig.advance(10 * seq);
        assert_eq!(all(&mut stream), [format!("PING {seq}")]);
        if seq % 2 == 0 {
            rig.call(10 * seq + 1, &stream, AgentCall::Pong { seq }); // every other one is missed
        }
    }
    for seconds in [200, 210] {
        rig.advance(seconds);
        rig.call(seconds, &stream, AgentCall::Pong { seq: 3 });
        assert!(rig.is_known());
    }
    rig.advance(220);
    assert!(!rig.is_known(), "19, 20 and 21 were missed");
    assert_eq!(all(&mut stream), ["PING 20", "PING 21", "END"]);
    assert_eq!((rig.leader.remote.agents.len(), rig.leader.remote.next_ping()), (0, None));
}

#[test]
fn a_pause_of_the_master_counts_as_one_ping() {
    let mut rig = rig(Settings::default());
    let mut stream = rig.register(0);
    rig.advance(10);
    rig.advance(1_000);
    assert_eq!(all(&mut stream), ["REREGISTERED", "PING 1", "PING 2"]);
    assert!(rig.is_known());
    assert_eq!(rig.leader.remote.next_ping(), Some(at(1_010)));
}

#[test]
fn pings_are_missed_while_there_is_no_stream() {
    let mut rig = rig(Settings::default());
    drop(rig.register(0));
    rig.hear(1);
    for seconds in [10, 20, 30] {
        rig.advance(seconds);
        assert!(rig.is_known());
    }
    rig.advance(40);
    assert!(!rig.is_known());
    assert_eq!(rig.leader.delivery.master().metrics().agents.unreachable, 1);

    let mut back = rig.register(41);
    rig.advance(51);
    assert_eq!(all(&mut back), ["REREGISTERED", "PING 1"]);
    assert_eq!(rig.leader.remote.next_ping(), Some(at(61)), "one of them, not two");
}

#[test]
fn a_call_that_was_sent_before_the_stream_broke_counts_and_one_over_a_former_stream_does_not() {
    let mut rig = rig(Settings::default());
    let first = rig.register(0);
    let mut second = rig.register(1);
    rig.call(2, &first, AgentCall::Unregister);
    assert!(rig.is_known());
    assert_eq!(all(&mut second), ["REREGISTERED"]);
    let id = second.id;
    drop(second);
    rig.hear(3);
    rig.leader.agent_call(at(3), &"a1".into(), id, AgentCall::Unregister);
    rig.leader.flush(at(3));
    assert!(!rig.is_known());
    assert_eq!(rig.leader.remote.agents.len(), 0);
    drop(first);
    rig.hear(4);
}

#[test]
fn an_agent_that_is_removed_while_it_is_disconnected_is_forgotten() {
    let mut rig = rig(Settings::default());
    drop(rig.register(0));
    rig.hear(1);
    rig.leader.command(at(2), Command::RemoveAgent("a1".into())).unwrap();
    rig.leader.flush(at(2));
    rig.advance(10);
    assert_eq!((rig.leader.remote.agents.len(), rig.leader.remote.next_ping()), (0, None));
    assert_eq!(rig.leader.delivery.master().metrics().agents.unreachable, 0);
}

#[test]
fn what_an_agent_does_not_read_waits_with_the_master_and_then_costs_the_connection() {
    let mut rig = rig(Settings::default().slow_readers(100 * 1024, Duration::from_secs(5)));
    let mut stream = rig.register(0);
    let toggle = |rig: &mut Rig, seconds, times: usize| {
        for _ in 0..times {
            rig.leader.command(at(seconds), Command::DrainAgent("a1".into(), Drain::default())).unwrap();
            rig.leader.command(at(seconds), Command::ActivateAgent("a1".into())).unwrap();
            rig.leader.flush(at(seconds));
        }
    };
    toggle(&mut rig, 1, 100);
    assert_eq!(rig.leader.remote.streams.longest_full(), Some(&(at(1), "a1".into())));
    assert_eq!(all(&mut stream).len(), WINDOW, "what was on its way");
    rig.hear(2);
    assert_eq!(all(&mut stream).len(), 101 - WINDOW);

    toggle(&mut rig, 3, 300); // more bytes than may wait
    assert_eq!(rig.leader.remote.streams.recipients().count(), 0);
    assert!(!rig.leader.delivery.master().known_agent(&"a1".into()).unwrap().connected);

    let _stream = rig.register(4);
    toggle(&mut rig, 5, 100);
    rig.advance(9);
    assert_eq!(rig.leader.remote.streams.recipients().count(), 1);
    rig.advance(10); // 5 seconds without a read
    assert_eq!(rig.leader.remote.streams.recipients().count(), 0);
    assert!(rig.is_known(), "it may come back");
}

#[test]
fn launches_that_did_not_leave_the_master_are_dropped_with_the_connection() {
    let mut rig = rig(Settings::default());
    let mut stream = rig.register(0);
    assert_eq!(all(&mut stream), ["REREGISTERED"]);
    let mut framework = Framework::new("f1").role(Role::default()).capability(Capability::PartitionAware);
    framework.checkpoint = true;
    rig.leader.command(at(1), Command::AddFramework(framework)).unwrap();
    let offers: Vec<_> = rig.leader.delivery.master().known_offers().map(|offer| offer.number).collect();
    let offer = rig.leader.delivery.master().config().offer_id(offers[0]);
    let mut accept = Accept::to([offer]);
    for number in 0..80 {
        accept = accept.launch(Task::new(format!("t{number}"), "cpus:0.01;mem:1".parse().unwrap()));
    }
    rig.leader.command(at(1), Command::Call("f1".into(), apportion::Call::Accept(accept))).unwrap();
    rig.leader.flush(at(1));
    let states = |rig: &Rig| rig.leader.delivery.master().known_tasks_on(&"a1".into()).count();
    assert_eq!(states(&rig), 80);
    let mut poll = || Pin::new(&mut stream).poll_frame(&mut Context::from_waker(Waker::noop())).is_ready();
    assert!(poll() && poll(), "two launches have left");
    drop(stream);
    rig.hear(2);
    let left: Vec<String> =
        rig.leader.delivery.master().known_tasks_on(&"a1".into()).map(|task| task.id.to_string()).collect();
    assert_eq!(left, ["t0", "t1"], "those may have come there");
    assert_eq!(rig.leader.delivery.master().metrics().tasks.dropped, 78);
}
