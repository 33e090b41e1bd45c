//! Delivery between master, schedulers and default agents.

use super::*;
use crate::id::OfferId;
use crate::offer::{Accept, Offer};
use crate::role::Role;
use crate::scheduler::Call;
use crate::task::{Task, TaskState, TaskStatus};

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

    fn rejected(&mut self, rejected: Rejected, _: &mut Calls) {
        self.recorded.push(rejected.to_string());
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
        calls.wake_at(calls.at() + std::time::Duration::from_secs(1));
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
