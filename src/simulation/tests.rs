//! Delivery between master, schedulers and default agents.

use super::*;
use crate::details::Details;
use crate::framework::Capability;
use crate::id::OfferId;
use crate::offer::{Accept, Offer};
use crate::role::Role;
use crate::scheduler::{Call, Rejected};
use crate::task::{Task, TaskState, TaskStatus};
use std::time::Duration;

/// Launches one task on each offer, and records its events.
#[derive(Debug, Default)]
struct Recorder {
    launched: u32,
    recorded: Vec<String>,
}

impl Scheduler for Recorder {
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        self.recorded.push(format!("{} offers", offers.len()));
        for offer in offers {
            self.launched += 1;
            let task = Task::new(format!("t{}", self.launched), "cpus:1".parse().unwrap());
            calls.accept(Accept::of(&offer).launch(task));
        }
    }

    fn update(&mut self, status: TaskStatus, _: &mut Calls) {
        self.recorded.push(format!("{} {}", status.task, status.state));
    }

    fn rescinded(&mut self, offer: OfferId, _: &mut Calls) {
        self.recorded.push(format!("{offer} rescinded"));
    }

    fn disconnected(&mut self, calls: &mut Calls) {
        self.recorded.push("disconnected".to_owned());
        calls.push(Call::Teardown); // nobody is there to hear it
    }

    fn rejected(&mut self, rejected: Rejected, _: &mut Calls) {
        self.recorded.push(rejected.to_string());
    }

    fn error(&mut self, message: String, _: &mut Calls) {
        self.recorded.push(format!("the end: {message}"));
    }
}

fn cluster() -> Cluster<Recorder> {
    let mut cluster = Cluster::new(Config::default());
    for id in ["a1", "a2"] {
        cluster.add_agent(Agent::new(id, "cpus:1;mem:64".parse().unwrap())).unwrap();
    }
    cluster.add_framework(Framework::new("f").role(Role::default()), Recorder::default()).unwrap();
    cluster
}

fn recorded(cluster: &Cluster<Recorder>) -> Vec<String> {
    cluster.scheduler(&"f".into()).unwrap().recorded.clone()
}

#[test]
fn offers_of_one_instant_arrive_together_and_tasks_run() {
    let mut cluster = cluster();
    cluster.run_until(Time::ZERO);
    assert_eq!(recorded(&cluster), ["2 offers", "t1 TASK_RUNNING", "t2 TASK_RUNNING"]);
}

#[test]
fn losing_an_agent_loses_its_tasks() {
    let mut cluster = cluster();
    cluster.run_until(Time::ZERO);
    cluster.remove_agent(&"a1".into()).unwrap();
    cluster.run_until(Time::ZERO);
    assert_eq!(recorded(&cluster).last().unwrap(), "t1 TASK_LOST");
}

#[test]
fn a_kill_of_an_unknown_task_is_answered_as_a_reconciliation() {
    let mut cluster = cluster();
    cluster.run_until(Time::ZERO);
    cluster.tell(&"f".into(), |_, calls| calls.kill("t9".into())).unwrap();
    cluster.run_until(Time::ZERO);
    assert_eq!(recorded(&cluster).last().unwrap(), "t9 TASK_LOST");
}

#[test]
fn a_scheduler_is_told_of_a_rejected_call() {
    let mut cluster = cluster();
    let roles = vec!["web".parse().unwrap()];
    cluster.tell(&"f".into(), |_, calls| calls.push(Call::Revive(roles))).unwrap();
    cluster.run_until(Time::ZERO);
    assert!(recorded(&cluster).contains(&"REVIVE: framework f does not have the role web".to_owned()));
}

#[test]
fn a_misspelt_id_is_an_error() {
    let mut cluster = cluster();
    let unknown = FrameworkId::from("g");
    assert_eq!(cluster.deliver(&unknown, Event::Heartbeat), Err(NotInCluster::Framework(unknown.clone())));
    assert_eq!(cluster.tell(&unknown, |_, _| ()), Err(NotInCluster::Framework(unknown)));
    let executor = ExecutorRef::new("f", "a1", "e");
    assert_eq!(cluster.end_executor(&executor, 0), Err(NotInCluster::Executor(executor)));
}

#[test]
fn scheduled_commands_run_in_order_of_time() {
    let mut cluster = cluster().recording();
    let status = |state| Command::TaskStatus("f".into(), TaskStatus::new("t1", state));
    cluster.schedule(Time::from_secs(9), status(TaskState::Finished));
    cluster.schedule(Time::from_secs(3), status(TaskState::Killing));
    cluster.run_until(Time::from_secs(9));
    let recorded = recorded(&cluster);
    let killing = recorded.iter().position(|line| line == "t1 TASK_KILLING").unwrap();
    assert!(recorded.iter().skip(killing).any(|line| line == "t1 TASK_FINISHED"));
    let times: Vec<_> = cluster.take_commands().map(|(at, _)| at).collect();
    assert!(times.is_sorted() && times.len() >= 6);
}

/// Asks to be woken a second later, each time that it is woken.
#[derive(Debug, Default)]
struct Restless {
    woken: u32,
}

impl Scheduler for Restless {
    fn offers(&mut self, _: Vec<Offer>, _: &mut Calls) {}

    fn subscribed(&mut self, _: FrameworkId, calls: &mut Calls) {
        calls.wake_at(Time::from_micros(u64::MAX - 5));
    }

    fn woken(&mut self, calls: &mut Calls) {
        self.woken += 1;
        calls.wake_at(calls.at() + Duration::from_secs(1));
    }
}

#[test]
fn a_scheduler_is_not_woken_for_ever_at_the_end_of_time() {
    let mut cluster = Cluster::new(Config::default());
    let role = Role::default();
    cluster.add_framework(Framework::new("f").role(role), Restless::default()).unwrap();
    cluster.run_until(Time::MAX);
    assert_eq!(cluster.now(), Time::MAX);
    assert_eq!(cluster.scheduler(&"f".into()).unwrap().woken, 2);
}

#[test]
fn a_task_lasts_as_long_as_it_says_and_then_all_is_idle() {
    let mut cluster = Cluster::new(Config::default());
    cluster.add_agent(Agent::new("a1", "cpus:1;mem:64".parse().unwrap())).unwrap();
    let one = One::new(Task::new("t", "cpus:1;mem:64".parse().unwrap()).lasts(Duration::from_secs(30)));
    cluster.add_framework(Framework::new("f").role(Role::default()), one).unwrap();
    assert!(!cluster.run_until_idle(Time::from_secs(29)));
    assert_eq!(told(&cluster), ["t TASK_RUNNING"]);
    assert!(cluster.run_until_idle(Time::from_secs(3600)));
    assert_eq!(told(&cluster), ["t TASK_RUNNING", "t TASK_FINISHED"]);
    assert!(cluster.now() < Time::from_secs(32), "{}", cluster.now());
}

/// Launches one task, then keeps what it is offered; hears of everything.
#[derive(Debug)]
struct One {
    task: Option<Task>,
    offers: Vec<OfferId>,
    told: Vec<String>,
}

impl One {
    fn new(task: Task) -> Self {
        Self { task: Some(task), offers: Vec::new(), told: Vec::new() }
    }
}

impl Scheduler for One {
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        for offer in offers {
            self.offers.push(offer.id.clone());
            if let Some(task) = self.task.take() {
                calls.accept(Accept::of(&offer).launch(task));
            }
        }
    }

    fn update(&mut self, status: TaskStatus, _: &mut Calls) {
        self.told.push(format!("{} {}", status.task, status.state));
    }

    fn agent_lost(&mut self, agent: AgentId, _: &mut Calls) {
        self.told.push(format!("{agent} lost"));
    }
}

fn told(cluster: &Cluster<One>) -> &[String] {
    &cluster.scheduler(&"f".into()).unwrap().told
}

fn one_task(network: impl FnMut(Crossing<'_>) -> Fate + Send + 'static) -> Cluster<One> {
    let mut cluster = Cluster::new(Config::default()).with_network(network);
    cluster.add_agent(Agent::new("a1", "cpus:1;mem:64".parse().unwrap())).unwrap();
    let task = Task::new("t", "cpus:1;mem:64".parse().unwrap()).lasts(Duration::from_secs(30));
    let framework = Framework::new("f").role(Role::default()).capability(Capability::PartitionAware);
    cluster.add_framework(framework, One::new(task)).unwrap();
    cluster
}

#[test]
fn a_scheduler_hears_that_its_master_has_gone() {
    let mut cluster = cluster();
    cluster.run_until(Time::from_secs(5));
    let before = recorded(&cluster).len();
    cluster.fail_master(Master::new(Config::default())).unwrap();
    assert_eq!(recorded(&cluster)[before..], ["disconnected"]);
    cluster.run_until(Time::from_secs(10));
    assert_eq!(cluster.master().connected_frameworks().count(), 1);
}

#[test]
fn a_new_master_learns_of_all_tasks_and_gives_other_ids() {
    let mut cluster = one_task(|_| Fate::Arrives);
    cluster.run_until(Time::from_secs(9));
    let config = Config::default().id_prefix("second-");
    let old = cluster.fail_master(Master::new(config)).unwrap();
    assert_eq!(old.now(), cluster.now());
    cluster.add_agent(Agent::new("a2", "cpus:1;mem:64".parse().unwrap())).unwrap();
    cluster.run_until(Time::from_secs(10));
    let state = cluster.master().state();
    assert_eq!((state.agents.len(), &state.frameworks[0].tasks[..]), (2, &["t".into()][..]));
    let offers = &cluster.scheduler(&"f".into()).unwrap().offers;
    assert_eq!(offers.iter().map(OfferId::as_str).collect::<Vec<_>>(), ["O1", "second-O1"]);
    cluster.run_until(Time::from_secs(60));
    assert_eq!(told(&cluster), ["t TASK_RUNNING", "t TASK_FINISHED"]);
    assert!(matches!(cluster.fail_master(Master::new(Config::default())), Ok(old) if old.now() == Time::from_secs(60)));
}

#[test]
fn an_agent_that_is_cut_off_comes_back_with_its_tasks_and_statuses() {
    let mut cluster = one_task(|_| Fate::Arrives);
    cluster.run_until(Time::from_secs(9));
    cluster.partition(&"a1".into()).unwrap();
    cluster.run_until(Time::from_secs(20));
    cluster.command(Command::AgentUnreachable("a1".into())).unwrap();
    cluster.run_until(Time::from_secs(25));
    cluster.heal(&"a1".into()).unwrap();
    cluster.run_until(Time::from_secs(26));
    assert_eq!(told(&cluster), ["t TASK_RUNNING", "t TASK_UNREACHABLE", "a1 lost", "t TASK_RUNNING"]);
    cluster.partition(&"a1".into()).unwrap();
    cluster.run_until(Time::from_secs(40));
    assert_eq!(told(&cluster).len(), 4, "it has finished, but nobody hears of it");
    cluster.heal(&"a1".into()).unwrap();
    cluster.run_until(Time::from_secs(40));
    assert_eq!(told(&cluster).last().unwrap(), "t TASK_FINISHED");
    assert_eq!(cluster.heal(&"a1".into()), Err(NotInCluster::Agent("a1".into())), "it is not cut off");
    assert_eq!(cluster.partition(&"a9".into()), Err(NotInCluster::Agent("a9".into())));
}

#[test]
fn the_network_loses_delays_and_doubles() {
    let is_update = |message: &Crossing<'_>| matches!(message, Crossing::Event(_, Event::Update(_)));
    for (fate, expected) in [
        (Fate::Lost, &[][..]),
        (Fate::Twice(Duration::from_secs(1)), &["t TASK_RUNNING", "t TASK_RUNNING"][..]),
        (Fate::Late(Duration::from_secs(60)), &[][..]),
    ] {
        let mut cluster = one_task(move |message| if is_update(&message) { fate } else { Fate::Arrives });
        cluster.run_until(Time::from_secs(20));
        assert_eq!(told(&cluster), expected, "{fate:?}");
    }
    let is_launch = |message: &Crossing<'_>| matches!(message, Crossing::AgentMessage(_, AgentMessage::Launch { .. }));
    let mut slow =
        one_task(move |message| if is_launch(&message) { Fate::Late(Duration::from_secs(5)) } else { Fate::Arrives });
    slow.run_until(Time::from_secs(34));
    assert_eq!(told(&slow), ["t TASK_RUNNING"]);
    slow.run_until(Time::from_secs(35));
    assert_eq!(told(&slow), ["t TASK_RUNNING", "t TASK_FINISHED"]);
}

#[test]
fn a_seed_decides_of_faults() {
    let faults = |seed| Faults::new(seed).lost(0.2).twice(0.2).late(0.2, Duration::from_secs(9));
    let fates = |seed| {
        let mut faults = faults(seed);
        (0..1000).map(|_| faults.fate()).collect::<Vec<_>>()
    };
    assert_eq!(fates(1), fates(1));
    assert_ne!(fates(1), fates(2));
    let lost = fates(1).iter().filter(|fate| **fate == Fate::Lost).count();
    let arrive = fates(1).iter().filter(|fate| **fate == Fate::Arrives).count();
    assert!((150..250).contains(&lost) && (350..450).contains(&arrive), "{lost} {arrive}");
    for seed in 0..200 {
        let mut faults = faults(seed);
        let mut cluster = one_task(move |_| faults.fate());
        cluster.run_until(Time::from_secs(100));
    }
}

#[test]
fn a_scheduled_command_that_is_rejected_is_told() {
    let mut cluster = cluster();
    cluster.schedule(Time::from_secs(1), Command::RemoveAgent("a9".into()));
    cluster.run_until(Time::from_secs(2));
    let refused = cluster.poll_refused().unwrap();
    assert_eq!((refused.at, refused.error.to_string()), (Time::from_secs(1), "no agent a9".to_owned()));
    assert_eq!(cluster.poll_refused(), None);
}

/// Sets three timers, one without a token.
#[derive(Debug, Default)]
struct Timers {
    due: Vec<(u64, Time)>,
}

impl Scheduler for Timers {
    fn offers(&mut self, _: Vec<Offer>, _: &mut Calls) {}

    fn subscribed(&mut self, _: FrameworkId, calls: &mut Calls) {
        calls.wake_for(Time::from_secs(2), 7);
        calls.wake_at(Time::from_secs(1));
        calls.wake_for(Time::from_secs(2), 5);
    }

    fn woken_for(&mut self, token: u64, calls: &mut Calls) {
        self.due.push((token, calls.at()));
    }
}

#[test]
fn timers_bring_their_tokens() {
    let mut cluster = Cluster::new(Config::default());
    cluster.add_framework(Framework::new("f").role(Role::default()), Timers::default()).unwrap();
    assert!(cluster.run_until_idle(Time::from_secs(9)));
    let (one, two) = (Time::from_secs(1), Time::from_secs(2));
    assert_eq!(cluster.scheduler_mut(&"f".into()).unwrap().due, [(0, one), (7, two), (5, two)]);
}

#[test]
fn an_event_that_cannot_be_read_ends_no_subscription() {
    let mut cluster = cluster().through_json();
    cluster.run_until(Time::ZERO);
    let before = recorded(&cluster);
    cluster.deliver(&"f".into(), Event::Unknown(Details::new())).unwrap();
    cluster.run_until(Time::ZERO);
    assert_eq!(recorded(&cluster), before);
}
