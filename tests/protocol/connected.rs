//! Drivers: a scheduler and an executor over their connections, asked for one step after the other.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use apportion::executor::{self, Executor, Reports, Session};
use apportion::scheduler::Rejected;
use apportion::v1::connection::{
    Answer, Connection, ExecutorConnection, ExecutorDriver, ExecutorEnvironment, HttpRequest, Output, SchedulerDriver,
    Step, StopReason,
};
use apportion::v1::{Dialect, write_record};
use apportion::{Call, Calls, Event, Framework, Offer, Role, Scheduler, Task, Time};
use std::time::Duration;

const SUBSCRIBED: &str =
    r#"{"type":"SUBSCRIBED","subscribed":{"framework_id":{"value":"f1"},"heartbeat_interval_seconds":15}}"#;
const OFFERS: &str = r#"{"type":"OFFERS","offers":{"offers":[{"id":{"value":"O1"},"framework_id":{"value":"f1"},
    "agent_id":{"value":"a1"},"hostname":"h1","resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":1}}]}]}}"#;

fn secs(secs: u64) -> Time {
    Time::from_secs(secs)
}

fn records(records: &[&str]) -> Vec<u8> {
    let mut stream = Vec::new();
    records.iter().for_each(|record| write_record(record.as_bytes(), &mut stream));
    stream
}

fn head(status: u16) -> Answer {
    Answer::head(status, [("MESOS-STREAM-ID", "s1")])
}

/// Declines offers, sleeps for 10 s, and tears itself down; notes what it is told.
#[derive(Default)]
struct Sleeper {
    told: Vec<String>,
}

impl Scheduler for Sleeper {
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        self.told.push(format!("{} offered at {}", offers[0].id, calls.at()));
        calls.decline_all(&offers, Duration::from_secs(60));
        calls.wake_for(calls.at() + Duration::from_secs(10), 3);
    }

    fn woken_for(&mut self, token: u64, calls: &mut Calls) {
        self.told.push(format!("woken for {token} at {}", calls.at()));
        calls.push(Call::Teardown);
    }

    fn disconnected(&mut self, calls: &mut Calls) {
        self.told.push(format!("disconnected at {}", calls.at()));
        calls.revive();
    }

    fn rejected(&mut self, rejected: Rejected, _: &mut Calls) {
        self.told.push(format!("{} rejected: {}", rejected.call.kind(), rejected.why));
    }
}

fn driver() -> SchedulerDriver<Sleeper> {
    let framework = Framework::new("").role(Role::new("web").unwrap());
    SchedulerDriver::new(Connection::new(["m1:5050"], framework, 7).unwrap(), Sleeper::default())
}

fn request(step: Step<Call, Event>) -> HttpRequest {
    let Step::Request(request) = step else { panic!("expected a request: {step:?}") };
    request
}

/// Whatever the client makes of the answers, one by one or all at once, the scheduler is told the same, and calls the same.
#[test]
fn a_scheduler_is_driven_from_subscription_to_teardown() {
    let stream = records(&[SUBSCRIBED, OFFERS]);
    for size in [1, 7, stream.len()] {
        let mut driver = driver();
        let subscribe = request(driver.next(Time::ZERO));
        assert!(subscribe.is_stream);
        assert_eq!(driver.next(Time::ZERO), Step::Wait(Duration::from_secs(75)));
        driver.handle(Time::ZERO, subscribe.id, head(200));
        stream.chunks(size).for_each(|piece| driver.handle(Time::ZERO, subscribe.id, Answer::Bytes(piece.to_vec())));

        let decline = request(driver.next(Time::ZERO));
        let stream_id = ("Mesos-Stream-Id".to_owned(), "s1".to_owned());
        assert!(String::from_utf8_lossy(&decline.body).contains("DECLINE") && decline.headers.contains(&stream_id));
        assert_eq!(driver.next(secs(1)), Step::Wait(Duration::from_secs(9)), "until its timer");
        driver.handle(secs(1), decline.id, head(202));
        driver.handle(secs(1), decline.id, Answer::End);
        assert_eq!(driver.connection().framework().id, "f1");

        let teardown = request(driver.next(secs(12)));
        assert!(String::from_utf8_lossy(&teardown.body).contains("TEARDOWN"));
        for answer in [head(202), Answer::End] {
            driver.handle(secs(12), teardown.id, answer);
        }
        driver.handle(secs(12), subscribe.id, Answer::End);
        for _ in 0..2 {
            assert_eq!(driver.next(secs(12)), Step::Stop(StopReason::TornDown));
        }
        assert_eq!(driver.scheduler().told, ["O1 offered at 0", "woken for 3 at 12"]);
    }
}

#[test]
fn a_call_that_is_rejected_is_told_and_logged() {
    let mut driver = driver();
    let subscribe = request(driver.next(Time::ZERO));
    driver.handle(Time::ZERO, subscribe.id, head(200));
    driver.handle(Time::ZERO, subscribe.id, Answer::Bytes(records(&[SUBSCRIBED])));
    let Step::Wait(_) = driver.next(Time::ZERO) else { panic!("nothing is to be done") };
    driver.act(Time::ZERO, |_, calls| calls.revive());
    let revive = request(driver.next(Time::ZERO));
    for answer in [head(400), Answer::Bytes(b"no such role".to_vec()), Answer::End] {
        driver.handle(Time::ZERO, revive.id, answer);
    }
    let Step::Log(Output::Rejected { status: 400, .. }) = driver.next(Time::ZERO) else { panic!("it is logged") };
    assert_eq!(driver.scheduler().told, ["REVIVE rejected: no such role"]);
    driver.handle(Time::ZERO, subscribe.id, Answer::failed("broken"));
    let Step::Log(Output::Disconnected { retry_at, .. }) = driver.next(Time::ZERO) else { panic!("it is logged") };
    let Step::Log(Output::Dropped(Call::Revive(_))) = driver.next(Time::ZERO) else {
        panic!("there is no subscription")
    };
    assert_eq!(driver.scheduler().told[1..], ["disconnected at 0"]);
    assert_eq!(driver.next(Time::ZERO), Step::Wait(retry_at - Time::ZERO));
    let again = request(driver.next(retry_at));
    assert!(again.is_stream, "it subscribes again");
    driver.handle(retry_at, again.id, Answer::failed("no such host"));
    let Step::Log(Output::AttemptFailed { .. }) = driver.next(retry_at) else { panic!("it is logged") };
    assert_eq!(driver.scheduler().told.len(), 2, "that it is disconnected is told once");
}

#[derive(Debug)]
struct Slow;

impl Executor for Slow {
    fn launch(&mut self, _: Task, reports: &mut Reports) {
        reports.wake_at(reports.at() + Duration::from_secs(5));
    }

    fn woken(&mut self, reports: &mut Reports) {
        reports.finished(&"t1".into());
    }
}

#[test]
fn an_executor_is_driven_from_subscription_to_shutdown() {
    let environment = ExecutorEnvironment::new("f1", "e1", "10.0.0.1:5051");
    let session = Session::new("e1", Slow, 7);
    let mut driver = ExecutorDriver::new(ExecutorConnection::new(environment, 7).unwrap(), session);
    let Step::Request(subscribe) = driver.next(Time::ZERO) else { panic!("it subscribes") };
    driver.handle(Time::ZERO, subscribe.id, head(200));
    let mut task = Task::new("t1", "cpus:1".parse().unwrap());
    task.agent = Some("a1".into());
    let launch = Dialect::default().encode(&executor::Event::Launch(task));
    let subscribed = r#"{"type":"SUBSCRIBED","subscribed":{"executor_info":{"executor_id":{"value":"e1"}}}}"#;
    driver.handle(Time::ZERO, subscribe.id, Answer::Bytes(records(&[subscribed, &launch])));
    assert_eq!(driver.next(Time::ZERO), Step::Wait(Duration::from_secs(5)), "until its timer");
    let Step::Request(update) = driver.next(secs(5)) else { panic!("it reports") };
    assert!(String::from_utf8_lossy(&update.body).contains("TASK_FINISHED"));
    for answer in [head(202), Answer::End] {
        driver.handle(secs(5), update.id, answer);
    }
    driver.handle(secs(6), subscribe.id, Answer::Bytes(records(&[r#"{"type":"SHUTDOWN"}"#])));
    assert!(matches!(driver.next(secs(6)), Step::Wait(_)));
    driver.act(secs(6), |_, reports| reports.failed(&"t1".into(), "shut down"));
    assert!(matches!(driver.next(secs(6)), Step::Request(_)), "calls still go out");
    driver.handle(secs(7), subscribe.id, Answer::End);
    let last = std::iter::repeat_with(|| driver.next(secs(7))).find(|step| !matches!(step, Step::Log(_)));
    assert_eq!(last, Some(Step::Stop(StopReason::ShutDown)));
}
