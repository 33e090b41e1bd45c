//! What the driver carries between master, schedulers and obedient agents.

use super::*;
use crate::id::OfferId;
use crate::offer::Accept;
use crate::role::Role;
use crate::task::{Task, TaskState, TaskStatus};

/// Launches one task on each offer, and notes what it is told.
#[derive(Debug, Default)]
struct Noting {
    launched: u32,
    told: Vec<String>,
}

impl Scheduler for Noting {
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        self.told.push(format!("{} offers", offers.len()));
        for offer in offers {
            self.launched += 1;
            let task = Task::new(format!("t{}", self.launched), "cpus:1".parse().unwrap());
            calls.accept(Accept::of(&offer).launch(task));
        }
    }

    fn update(&mut self, status: TaskStatus, _: &mut Calls) {
        self.told.push(format!("{} {}", status.task, status.state));
    }

    fn rescinded(&mut self, offer: OfferId, _: &mut Calls) {
        self.told.push(format!("{offer} rescinded"));
    }

    fn rejected(&mut self, message: String, _: &mut Calls) {
        self.told.push(message);
    }
}

fn cluster() -> Cluster<Noting> {
    let mut cluster = Cluster::new(Config::default());
    for id in ["a1", "a2"] {
        cluster.add_agent(Agent::new(id, "cpus:1;mem:64".parse().unwrap())).unwrap();
    }
    cluster.add_framework(Framework::new("f").role(Role::default()), Noting::default()).unwrap();
    cluster
}

fn told(cluster: &Cluster<Noting>) -> Vec<String> {
    cluster.scheduler(&"f".into()).unwrap().told.clone()
}

#[test]
fn offers_of_one_moment_arrive_together_and_tasks_run() {
    let mut cluster = cluster();
    cluster.run_until(Time::ZERO);
    assert_eq!(told(&cluster), ["2 offers", "t1 TASK_RUNNING", "t2 TASK_RUNNING"]);
}

#[test]
fn losing_an_agent_loses_its_tasks() {
    let mut cluster = cluster();
    cluster.run_until(Time::ZERO);
    cluster.remove_agent(&"a1".into()).unwrap();
    cluster.run_until(Time::ZERO);
    assert_eq!(told(&cluster).last().unwrap(), "t1 TASK_LOST");
}

#[test]
fn a_refused_call_comes_back_to_its_scheduler() {
    let mut cluster = cluster();
    cluster.tell(&"f".into(), |_, calls| calls.kill("t9".into()));
    cluster.run_until(Time::ZERO);
    assert!(told(&cluster).contains(&"framework f has no task t9".to_owned()));
}

#[test]
fn what_is_scheduled_happens_in_order_of_time() {
    let mut cluster = cluster().recording();
    let status = |state| Command::TaskStatus("f".into(), TaskStatus::new("t1", state));
    cluster.schedule(Time::from_secs(9), status(TaskState::Finished));
    cluster.schedule(Time::from_secs(3), status(TaskState::Killing));
    cluster.run_until(Time::from_secs(9));
    let told = told(&cluster);
    let killing = told.iter().position(|line| line == "t1 TASK_KILLING").unwrap();
    assert!(told.iter().skip(killing).any(|line| line == "t1 TASK_FINISHED"));
    let times: Vec<_> = cluster.take_commands().map(|(at, _)| at).collect();
    assert!(times.is_sorted() && times.len() >= 6);
}
