//! Delivery: who gets which message, in which order, and when.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
#![expect(clippy::wildcard_enum_match_arm, reason = "each test is about a few kinds of messages")]

use apportion::delivery::{AgentMessage, Closed, Delivery, Envelope, FrameworkMessage, Notice, Recipient};
use apportion::journal::Replay;
use apportion::scheduler::Failure;
use apportion::{
    Accept, Agent, AgentId, Call, Command, Config, Event, Framework, FrameworkId, Master, Offer, OfferId, Role, Task,
    TaskId, TaskState, TaskStatus, Time,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

#[expect(dead_code, reason = "the test runs it otherwise than its `main`")]
#[path = "../../examples/threads.rs"]
mod threads;

#[test]
fn a_master_behind_threads_writes_a_journal_that_replays() {
    let mut journal = Vec::new();
    threads::run(&mut journal).unwrap();
    let (mut replay, mut finished) = (Replay::new(), 0);
    for line in String::from_utf8(journal).unwrap().lines() {
        let count = |effect: &str| finished += usize::from(effect.contains(r#""state":"TASK_FINISHED""#));
        replay.feed(line, count).unwrap();
    }
    assert_eq!((finished, replay.refused()), (20, 0));
}

fn delivery() -> Delivery {
    let mut delivery = Delivery::new(Master::new(Config::default()));
    for id in ["a1", "a2"] {
        delivery.handle(Time::ZERO, add_agent(id)).unwrap();
    }
    while delivery.poll_agent_message().is_some() {}
    delivery
}

fn add_agent(id: &str) -> Command {
    Command::AddAgent(Agent::new(id, "cpus:4;mem:1024".parse().unwrap()).into())
}

fn framework(id: &str) -> Framework {
    Framework::new(id).role(Role::default())
}

fn messages(delivery: &mut Delivery) -> Vec<(String, FrameworkMessage)> {
    let all = std::iter::from_fn(|| delivery.poll_framework_message());
    all.map(|envelope| (envelope.to.to_string(), envelope.message)).collect()
}

fn offers(delivery: &mut Delivery) -> Vec<Offer> {
    messages(delivery)
        .into_iter()
        .flat_map(|(_, message)| match message {
            FrameworkMessage::Event(Event::Offers(offers)) => offers,
            _ => Vec::new(),
        })
        .collect()
}

#[test]
fn offers_of_a_moment_come_together_and_last() {
    let mut delivery = delivery();
    delivery.subscribe(Time::ZERO, framework("f")).unwrap();
    delivery.call(Time::ZERO, &"f".into(), Call::Kill(TaskId::from("nothing").into())).unwrap();
    let kinds: Vec<String> = messages(&mut delivery).iter().map(|(_, message)| kind(message)).collect();
    assert_eq!(kinds, ["subscribed", "nothing TASK_LOST", "offers O1 O2"]);
}

fn kind(message: &FrameworkMessage) -> String {
    match message {
        FrameworkMessage::Event(Event::Subscribed(_)) => "subscribed".to_owned(),
        FrameworkMessage::Event(Event::Offers(offers)) => {
            offers.iter().fold("offers".to_owned(), |text, offer| format!("{text} {}", offer.id))
        }
        FrameworkMessage::Event(Event::Rescind(offer)) => format!("rescind {offer}"),
        FrameworkMessage::Event(Event::Update(status)) => format!("{} {}", status.task, status.state),
        FrameworkMessage::Event(Event::Failure(Failure { agent: Some(agent), executor: None, .. })) => {
            format!("{agent} lost")
        }
        FrameworkMessage::Rejected(rejected) => rejected.to_string(),
        FrameworkMessage::Close(closed) => format!("{closed:?}"),
        other => format!("{other:?}"),
    }
}

#[test]
fn an_offer_that_was_not_sent_is_not_rescinded() {
    let mut delivery = delivery();
    delivery.subscribe(Time::ZERO, framework("f")).unwrap();
    delivery.handle(Time::ZERO, Command::DeactivateAgent("a1".into())).unwrap();
    let kinds: Vec<String> = messages(&mut delivery).iter().map(|(_, message)| kind(message)).collect();
    assert_eq!(kinds, ["subscribed", "offers O2"]);
    delivery.handle(Time::ZERO, Command::DeactivateAgent("a2".into())).unwrap();
    let kinds: Vec<String> = messages(&mut delivery).iter().map(|(_, message)| kind(message)).collect();
    assert_eq!(kinds, ["rescind O2"]);
}

#[test]
fn a_lost_agent_is_told_after_its_tasks() {
    let mut delivery = delivery();
    delivery.subscribe(Time::ZERO, framework("f")).unwrap();
    delivery.subscribe(Time::ZERO, framework("g")).unwrap();
    let on_a1 = offers(&mut delivery).into_iter().find(|offer| offer.agent.as_str() == "a1").unwrap();
    let task = Task::new("t", "cpus:1".parse().unwrap());
    delivery.call(Time::ZERO, &"f".into(), Call::Accept(Accept::of(&on_a1).launch(task))).unwrap();
    delivery.handle(Time::ZERO, Command::RemoveAgent("a1".into())).unwrap();
    let kinds: Vec<_> =
        messages(&mut delivery).iter().map(|(to, message)| format!("{to}: {}", kind(message))).collect();
    assert_eq!(kinds, ["f: t TASK_LOST", "f: a1 lost", "g: a1 lost"]);
}

#[test]
fn a_framework_without_an_id_is_given_one_that_is_not_in_use() {
    let mut delivery = delivery();
    delivery.subscribe(Time::ZERO, framework("F2")).unwrap();
    let ids: Vec<String> = (0..2).map(|_| delivery.subscribe(Time::ZERO, framework("")).unwrap().to_string()).collect();
    assert_eq!(ids, ["F1", "F3"]);
}

#[test]
fn another_instance_ends_the_connection_of_the_one_before() {
    let mut delivery = delivery();
    delivery.subscribe(Time::ZERO, framework("f")).unwrap();
    while delivery.poll_framework_message().is_some() {}
    let lost = TaskStatus::new("t", TaskState::Lost);
    let _ = delivery.handle(Time::ZERO, Command::TaskStatus("f".into(), lost));
    delivery.subscribe(Time::ZERO, framework("f")).unwrap();
    let told: Vec<_> = std::iter::from_fn(|| delivery.poll_framework_message()).collect();
    let kinds: Vec<String> = told.iter().map(|envelope| kind(&envelope.message)).collect();
    assert_eq!(kinds, ["FailedOver", "subscribed", "offers O3 O4"]);
    assert!(told[0].connection < told[1].connection && told[1].connection == told[2].connection, "{told:?}");
    assert!(matches!(Closed::FailedOver.event(), Some(Event::Error(message)) if message == "Framework failed over"));
}

#[test]
fn what_a_disconnected_framework_was_not_sent_is_dropped() {
    let mut delivery = delivery();
    delivery.subscribe(Time::ZERO, framework("f")).unwrap();
    delivery.handle(Time::ZERO, Command::DeactivateFramework("f".into())).unwrap();
    delivery.handle(Time::ZERO, Command::RemoveAgent("a1".into())).unwrap();
    let kinds: Vec<String> = messages(&mut delivery).iter().map(|(_, message)| kind(message)).collect();
    assert_eq!(kinds, ["Disconnected"]);
    delivery.subscribe(Time::from_secs(1), framework("f")).unwrap();
    let kinds: Vec<String> = messages(&mut delivery).iter().map(|(_, message)| kind(message)).collect();
    assert_eq!(kinds, ["subscribed", "offers O3"]);
}

#[test]
fn a_framework_that_is_disconnected_twice_hears_once_that_it_is() {
    let mut delivery = delivery();
    delivery.subscribe(Time::ZERO, framework("f")).unwrap();
    for _ in 0..2 {
        delivery.handle(Time::ZERO, Command::DeactivateFramework("f".into())).unwrap();
    }
    let kinds: Vec<String> = messages(&mut delivery).iter().map(|(_, message)| kind(message)).collect();
    assert_eq!(kinds, ["Disconnected"]);
}

#[test]
fn an_agent_that_is_gone_hears_that_it_is_to_shut_down() {
    let mut delivery = delivery();
    delivery.handle(Time::ZERO, Command::AgentGone("a1".into())).unwrap();
    delivery.handle(Time::ZERO, add_agent("a1")).unwrap();
    let told: Vec<_> = std::iter::from_fn(|| delivery.poll_agent_message()).map(|envelope| envelope.message).collect();
    assert!(
        matches!(
            &told[..],
            [
                AgentMessage::Shutdown { .. },
                AgentMessage::Close(_),
                AgentMessage::Shutdown { .. },
                AgentMessage::Close(_)
            ]
        ),
        "{told:?}"
    );
}

#[test]
fn the_tasks_of_a_group_are_launched_by_one_message() {
    let mut delivery = delivery();
    delivery.subscribe(Time::ZERO, framework("f")).unwrap();
    let offer = offers(&mut delivery).remove(0);
    let task = |id| Task::new(id, "cpus:1".parse().unwrap());
    let accept = Accept::of(&offer).launch(task("alone")).launch_group(vec![task("one"), task("two")]);
    delivery.call(Time::ZERO, &"f".into(), Call::Accept(accept)).unwrap();
    let told: Vec<_> = std::iter::from_fn(|| delivery.poll_agent_message()).map(|envelope| envelope.message).collect();
    assert!(
        matches!(&told[..], [AgentMessage::Launch { .. }, AgentMessage::LaunchGroup { tasks, .. }] if tasks.len() == 2),
        "{told:?}"
    );
}

#[test]
fn no_message_leaves_before_its_command_is_stored() {
    let mut delivery = Delivery::new(Master::new(Config::default())).recording().holding();
    delivery.handle(Time::ZERO, add_agent("a1")).unwrap();
    delivery.subscribe(Time::ZERO, framework("f")).unwrap();
    assert!(delivery.poll_framework_message().is_none() && delivery.poll_ready().is_none());
    assert!(!delivery.has_messages());
    delivery.stored(1);
    assert_eq!(delivery.poll_ready(), Some(Recipient::Agent("a1".into())));
    assert!(delivery.poll_message_to_agent(&"a1".into()).is_some());
    assert!(delivery.poll_framework_message().is_none());
    delivery.stored(2);
    assert_eq!(delivery.poll_ready(), Some(Recipient::Framework("f".into())));
    let told = messages(&mut delivery);
    assert_eq!(told.iter().map(|(_, message)| kind(message)).collect::<Vec<_>>(), ["subscribed", "offers O1"]);
    let numbers: Vec<u64> = std::iter::from_fn(|| delivery.poll_command()).map(|recorded| recorded.number).collect();
    assert_eq!(numbers, [1, 2]);
}

/// One step of a random run.
#[derive(Debug, Clone)]
enum Step {
    Agent(u8),
    RemoveAgent(u8),
    DeactivateAgent(u8),
    Subscribe(u8),
    Disconnect(u8),
    Teardown(u8),
    Accept(u8),
    Decline(u8),
    Revive(u8),
    Wait,
    /// Takes some messages of all frameworks.
    Poll(u8),
    /// Takes some messages of one framework.
    PollOne(u8, u8),
    Store(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let (agent, framework) = (0..4_u8, 0..4_u8);
    prop_oneof![
        agent.clone().prop_map(Step::Agent),
        agent.clone().prop_map(Step::RemoveAgent),
        agent.prop_map(Step::DeactivateAgent),
        framework.clone().prop_map(Step::Subscribe),
        framework.clone().prop_map(Step::Disconnect),
        framework.clone().prop_map(Step::Teardown),
        framework.clone().prop_map(Step::Accept),
        framework.clone().prop_map(Step::Decline),
        framework.clone().prop_map(Step::Revive),
        Just(Step::Wait),
        (0..8_u8).prop_map(Step::Poll),
        (framework, 0..8_u8).prop_map(|(framework, count)| Step::PollOne(framework, count)),
        (0..6_u8).prop_map(Step::Store),
    ]
}

/// What the frameworks have seen.
#[derive(Debug, Default)]
struct Seen {
    /// The offers that each framework has and has not answered.
    offers: BTreeMap<FrameworkId, BTreeMap<OfferId, Offer>>,
    connections: BTreeMap<FrameworkId, u64>,
    stored: u64,
    causes: BTreeMap<FrameworkId, u64>,
}

impl Seen {
    fn hear(&mut self, envelope: Envelope<FrameworkId, FrameworkMessage>, limit: u64) {
        let Envelope { to, connection, cause, message, .. } = envelope;
        assert!(cause <= self.stored, "told before it was stored");
        let before = self.causes.insert(to.clone(), cause);
        assert!(before.is_none_or(|before| before <= cause), "out of order");
        let last = self.connections.insert(to.clone(), connection).unwrap_or(0);
        assert!(last <= connection, "a message of a connection that has ended");
        let offers = self.offers.entry(to).or_default();
        match message {
            FrameworkMessage::Event(Event::Subscribed(_)) => {
                assert!(last < connection, "no new connection");
                offers.clear();
            }
            FrameworkMessage::Event(Event::Offers(new)) => {
                assert!(!new.is_empty() && new.len() as u64 <= limit);
                for offer in new {
                    assert!(offers.insert(offer.id.clone(), offer).is_none(), "offered twice");
                }
            }
            // It may have been answered meanwhile, but it was seen.
            FrameworkMessage::Event(Event::Rescind(offer)) => drop(offers.remove(&offer)),
            FrameworkMessage::Close(_) => offers.clear(),
            _ => {}
        }
    }
}

fn id<T: From<String>>(kind: &str, number: u8) -> T {
    format!("{kind}{number}").into()
}

proptest! {
    /// Whatever happens and however slowly messages are taken: a framework sees each offer once and no rescind of an offer
    /// that it has not seen, it sees nothing of a connection that has ended, and nothing before it is stored; what it still
    /// has when all is taken are the offers that the master holds for it; and no queue is longer than it may be.
    #[test]
    fn frameworks_see_what_the_master_holds(steps in prop::collection::vec(step(), 1..120), limit in 3..20_u64) {
        let mut config = Config::default();
        config.offer_timeout = Some(Duration::from_secs(3));
        let mut delivery = Delivery::new(Master::new(config)).bounded(limit, |_| 1).recording().holding();
        let (mut seen, mut now, mut answered) = (Seen::default(), Time::ZERO, BTreeSet::new());
        let mut commands = Vec::new();
        for step in steps {
            match step {
                Step::Agent(number) => {
                    let _ = delivery.handle(now, add_agent(id::<AgentId>("a", number).as_str()));
                }
                Step::RemoveAgent(number) => drop(delivery.handle(now, Command::RemoveAgent(id("a", number)))),
                Step::DeactivateAgent(number) => drop(delivery.handle(now, Command::DeactivateAgent(id("a", number)))),
                Step::Subscribe(number) => {
                    delivery.subscribe(now, framework(id::<FrameworkId>("f", number).as_str())).unwrap();
                }
                Step::Disconnect(number) => {
                    let _ = delivery.handle(now, Command::DeactivateFramework(id("f", number)));
                }
                Step::Teardown(number) => drop(delivery.call(now, &id("f", number), Call::Teardown)),
                Step::Revive(number) => drop(delivery.call(now, &id("f", number), Call::Revive(Vec::new()))),
                Step::Accept(number) | Step::Decline(number) => {
                    let framework = id("f", number);
                    let taken = seen.offers.get_mut(&framework).and_then(BTreeMap::pop_first);
                    let Some((offer, told)) = taken else { continue };
                    answered.insert(offer.clone());
                    let task = Task::new(format!("t{offer}"), "cpus:1".parse().unwrap());
                    let call = match step {
                        Step::Accept(_) => Call::Accept(Accept::of(&told).launch(task)),
                        _ => Call::Decline { offers: vec![offer], filters: Default::default(), each: false },
                    };
                    let _ = delivery.call(now, &framework, call);
                }
                Step::Wait => {
                    now += Duration::from_secs(1);
                    delivery.advance(now);
                }
                Step::Poll(count) => {
                    for _ in 0..count {
                        let Some(envelope) = delivery.poll_framework_message() else { break };
                        seen.hear(envelope, limit);
                    }
                }
                Step::PollOne(number, count) => {
                    for _ in 0..count {
                        let Some(envelope) = delivery.poll_message_to_framework(&id("f", number)) else { break };
                        seen.hear(envelope, limit);
                    }
                }
                Step::Store(count) => {
                    seen.stored = (seen.stored + u64::from(count)).min(delivery.last_command());
                    delivery.stored(seen.stored);
                }
            }
            commands.extend(std::iter::from_fn(|| delivery.poll_command()));
        }
        seen.stored = delivery.last_command();
        delivery.stored(seen.stored);
        while let Some(envelope) = delivery.poll_framework_message() {
            seen.hear(envelope, limit);
        }
        prop_assert!(!std::iter::from_fn(|| delivery.poll_agent_message()).any(|told| told.cause > seen.stored));
        prop_assert!(!delivery.has_messages());

        let held: BTreeSet<OfferId> = delivery.master().state().offers.into_iter().map(|offer| offer.id).collect();
        let known: BTreeSet<OfferId> = seen.offers.values().flat_map(|offers| offers.keys()).cloned().collect();
        prop_assert_eq!(&held, &known, "answered: {:?}", answered);

        // Another master that handles the recorded commands comes to the same state: nothing else moves it.
        let mut config = Config::default();
        config.offer_timeout = Some(Duration::from_secs(3));
        let mut again = Master::new(config);
        for recorded in commands {
            let _ = again.handle(recorded.at, recorded.command);
        }
        again.advance(delivery.now()).unwrap();
        prop_assert_eq!(again.state(), delivery.master().state());
    }
}

#[test]
fn who_takes_nothing_is_disconnected_and_the_operators_hear_of_it() {
    let mut delivery = Delivery::new(Master::new(Config::default())).bounded(10, |_| 1);
    delivery.subscribe(Time::ZERO, framework("slow")).unwrap();
    for number in 0..20 {
        delivery.handle(Time::from_secs(number), add_agent(&format!("a{number}"))).unwrap();
        while delivery.poll_agent_message().is_some() {}
    }
    let kinds: Vec<String> = messages(&mut delivery).iter().map(|(_, message)| kind(message)).collect();
    assert_eq!(kinds, ["TooSlow"]);
    let notices: Vec<Notice> = std::iter::from_fn(|| delivery.poll_notice()).map(|told| told.message).collect();
    assert_eq!(notices, [Notice::TooSlow(Recipient::Framework("slow".into()))]);
}
