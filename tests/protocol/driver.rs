//! Schedulers and executors under one master, in one process: what is carried, and what goes wrong.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::wildcard_enum_match_arm, reason = "what a match here does not name makes no difference to it")]

use apportion::executor::{Executor, Reports};
use apportion::journal;
use apportion::scheduler::{Calls, Failure, Pace, Reconciler, Rejected, Retries, Retry, Scheduler, TaskIds, TaskRef};
use apportion::simulation::Cluster;
use apportion::{
    Accept, Agent, AgentId, Capability, Command, Config, Event, ExecutorId, ExecutorInfo, ExecutorRef, Framework,
    FrameworkId, Offer, OfferId, Resources, Role, Task, TaskId, TaskState, TaskStatus, Time,
};
use indexmap::IndexMap;
use std::collections::BTreeMap;
use std::time::Duration;

/// Runs so many tasks at a time that each sleep for a while, until so many have finished.
#[derive(Debug)]
struct Batch {
    size: Resources,
    wanted: u32,
    most: usize,
    executor: Option<ExecutorInfo>,
    ids: TaskIds,
    retries: Retries<&'static str>,
    pace: Pace,
    reconciler: Reconciler,
    running: IndexMap<TaskId, Option<AgentId>>,
    finished: u32,
    told: Vec<String>,
    kept: Vec<Offer>,
    keep: bool,
}

impl Batch {
    fn new(name: &str, size: &str, wanted: u32, most: usize) -> Self {
        Self {
            size: size.parse().unwrap(),
            wanted,
            most,
            executor: Some(ExecutorInfo::new("sleepers").detail("command", serde_json::json!({"value": "sleep"}))),
            ids: TaskIds::new(name, 1),
            retries: Retries::new(5, Duration::from_secs(2), Duration::from_secs(10)),
            pace: Pace::new(Duration::from_secs(30), Duration::from_secs(1)),
            reconciler: Reconciler::default(),
            running: IndexMap::new(),
            finished: 0,
            told: Vec::new(),
            kept: Vec::new(),
            keep: false,
        }
    }

    /// A scheduler that takes over knows what one had stored: which tasks there were, and how many had finished.
    fn successor(&self, name: &str) -> Self {
        let mut next = Self::new(name, "cpus:1", self.wanted, self.most);
        next.size.clone_from(&self.size);
        next.executor.clone_from(&self.executor);
        next.ids = TaskIds::new(name, 2);
        next.running.clone_from(&self.running);
        next.finished = self.finished;
        next
    }

    fn missing(&self) -> usize {
        let left = (self.wanted - self.finished) as usize;
        left.min(self.most).saturating_sub(self.running.len())
    }

    fn task(&mut self) -> Task {
        let task = Task::new(self.ids.next_id(), self.size.clone()).detail("data", "c2xlZXA=");
        match &self.executor {
            Some(executor) => task.detail("executor", executor.clone()),
            None => task,
        }
    }

    fn launch(&mut self, offer: &Offer, calls: &mut Calls) {
        let (mut accept, mut left) = (Accept::of(offer), offer.resources.clone());
        while self.missing() > 0 && self.retries.can_retry(&"task", calls.at()) {
            let Ok(rest) = left.checked_sub(&self.size) else { break };
            left = rest;
            let task = self.task();
            self.running.insert(task.id.clone(), Some(offer.agent.clone()));
            accept = accept.launch(task);
        }
        if accept.operations.is_empty() {
            self.pace.decline([offer.id.clone()], calls);
        } else {
            calls.accept(accept.refuse_rest_for(Duration::from_secs(1)));
        }
    }

    fn go_on(&mut self, calls: &mut Calls) {
        if self.missing() > 0 { self.pace.busy(calls) } else { self.pace.idle(calls) }
    }
}

impl Scheduler for Batch {
    fn subscribed(&mut self, _: FrameworkId, calls: &mut Calls) {
        self.told.push("subscribed".to_owned());
        let known = self.running.iter().map(|(task, agent)| TaskRef::on(task.clone(), agent.clone().unwrap()));
        self.reconciler = Reconciler::start(known, calls);
        self.pace.reset();
    }

    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        if self.keep {
            return self.kept.extend(offers);
        }
        for offer in offers {
            self.launch(&offer, calls);
        }
        if self.missing() == 0 {
            self.pace.idle(calls);
        }
    }

    fn update(&mut self, status: TaskStatus, calls: &mut Calls) {
        self.reconciler.observe(&status);
        self.told.push(format!("{} {}", status.task, status.state));
        // A task of which nobody knows is as good as ended: its agent was removed.
        let has_ended = status.state.is_terminal() || status.state == TaskState::Unknown;
        // News of a task that is not running here is old, or comes a second time.
        if !has_ended || self.running.shift_remove(&status.task).is_none() {
            return;
        }
        if status.state == TaskState::Finished {
            self.finished += 1;
            self.retries.forget(&"task");
        } else if let Retry::At(at) = self.retries.failed("task", calls.at()) {
            calls.wake_at(at);
        }
        self.go_on(calls);
    }

    fn woken(&mut self, calls: &mut Calls) {
        self.reconciler.woken(calls);
        self.pace.woken(calls);
        self.go_on(calls);
    }

    fn rescinded(&mut self, offer: OfferId, _: &mut Calls) {
        self.told.push(format!("{offer} rescinded"));
        self.kept.retain(|kept| kept.id != offer);
    }

    fn agent_lost(&mut self, agent: AgentId, _: &mut Calls) {
        self.told.push(format!("{agent} lost"));
    }

    fn executor_ended(&mut self, ended: Failure, _: &mut Calls) {
        self.told.push(format!("{} ended with {}", ended.executor.unwrap(), ended.status.unwrap()));
    }

    fn message(&mut self, _: AgentId, executor: ExecutorId, data: Vec<u8>, _: &mut Calls) {
        self.told.push(format!("{executor} says {}", String::from_utf8(data).unwrap()));
    }

    fn rejected(&mut self, rejected: Rejected, _: &mut Calls) {
        self.told.push(rejected.to_string());
    }
}

/// Sleeps three seconds for each task.
#[derive(Debug, Default)]
struct Sleepers {
    ends: BTreeMap<Time, Vec<TaskId>>,
}

impl Executor for Sleepers {
    fn launch(&mut self, task: Task, reports: &mut Reports) {
        reports.starting(&task.id);
        reports.running(&task.id);
        let end = reports.at() + Duration::from_secs(3);
        self.ends.entry(end).or_default().push(task.id);
        reports.wake_at(end);
    }

    fn kill(&mut self, task: TaskId, _: Option<Duration>, reports: &mut Reports) {
        self.ends.values_mut().for_each(|tasks| tasks.retain(|mine| *mine != task));
        reports.killed(&task);
    }

    fn message(&mut self, data: Vec<u8>, reports: &mut Reports) {
        reports.message([b"you said ".as_slice(), &data].concat());
    }

    fn woken(&mut self, reports: &mut Reports) {
        while let Some(entry) = self.ends.first_entry().filter(|entry| *entry.key() <= reports.at()) {
            entry.remove().iter().for_each(|task| reports.finished(task));
        }
    }
}

type Batches = Cluster<Batch>;

fn cluster() -> Batches {
    let mut cluster = Cluster::new(Config::default());
    for agent in ["a1", "a2"] {
        cluster.add_agent(Agent::new(agent, "cpus:4;mem:1024".parse().unwrap()).attribute("rack", "r1")).unwrap();
    }
    cluster.with_executors(|_, _| Some(Box::<Sleepers>::default())).recording()
}

fn framework(id: &str) -> Framework {
    Framework::new(id).role(Role::new(id).unwrap()).capability(Capability::PartitionAware)
}

fn add(cluster: &mut Batches, id: &str, size: &str, wanted: u32, most: usize) {
    cluster.add_framework(framework(id), Batch::new(id, size, wanted, most)).unwrap();
}

fn batch<'c>(cluster: &'c Batches, id: &str) -> &'c Batch {
    cluster.scheduler(&id.into()).unwrap()
}

/// All that there is to see of a run, line by line.
fn outcome(cluster: &mut Batches, until: Time) -> Vec<String> {
    let mut lines = Vec::new();
    while let Some(emitted) = cluster.step(until) {
        lines.push(format!("{:?}", emitted));
    }
    lines.extend(cluster.take_commands().map(|(at, command)| journal::record(at, &without_role(command))));
    lines.extend(["f1", "f2"].map(|id| format!("{:?}", batch(cluster, id).told)));
    lines
}

/// Takes the role off an accept: a framework with one role does not say it in JSON.
fn without_role(mut command: Command) -> Command {
    if let Command::Call(_, apportion::Call::Accept(accept)) = &mut command {
        accept.role = None;
        accept.agent = None;
        for operation in &mut accept.operations {
            if let apportion::Operation::Launch(tasks) = operation {
                tasks.iter_mut().for_each(|task| task.role = None);
            }
        }
    }
    command
}

#[test]
fn values_and_json_make_the_same_run() {
    let run = |json: bool| {
        let mut cluster = if json { cluster().through_json() } else { cluster() };
        add(&mut cluster, "f1", "cpus:1;mem:10", 20, 6);
        add(&mut cluster, "f2", "cpus:0.5;mem:100", 10, 20);
        cluster.run_until(Time::from_secs(4));
        cluster.end_executor(&ExecutorRef::new("f1", "a1", "sleepers"), 1792).unwrap();
        cluster.tell(&"f2".into(), |_, calls| calls.message("a2".into(), "sleepers".into(), "hello")).unwrap();
        let mut lines = outcome(&mut cluster, Time::from_secs(6));
        cluster.remove_agent(&"a2".into()).unwrap();
        lines.extend(outcome(&mut cluster, Time::from_secs(200)));
        assert_eq!((batch(&cluster, "f1").finished, batch(&cluster, "f2").finished), (20, 10));
        assert_eq!(cluster.unacknowledged(), 0);
        lines
    };
    let (values, json) = (run(false), run(true));
    assert!(values.len() > 200, "{}", values.len());
    for (value, json) in values.iter().zip(&json) {
        assert_eq!(value, json);
    }
    assert_eq!(values.len(), json.len());
}

#[test]
fn the_record_of_a_run_replays_it() {
    let mut cluster = cluster().recording();
    add(&mut cluster, "f1", "cpus:1;mem:10", 12, 6);
    let mut effects = Vec::new();
    while let Some(emitted) = cluster.step(Time::from_secs(60)) {
        if emitted.effect.is_in_journal() {
            effects.push(journal::effect_line(&emitted));
        }
    }
    let mut replay = journal::Replay::new();
    let mut again = Vec::new();
    let agents = r#"{"do":{"add_agent":{"id":"NAME","resources":"cpus:4;mem:1024","attributes":"rack:r1"}}}"#;
    let agents = ["a1", "a2"].map(|name| agents.replace("NAME", name));
    let commands = cluster.take_commands().map(|(at, command)| journal::record(at, &command));
    for line in agents.into_iter().chain(commands) {
        replay.feed(&line, |effect| again.push(effect.to_owned())).unwrap();
    }
    assert!(effects.iter().any(|line| line.contains("acknowledge")), "{effects:?}");
    let differs = again.iter().zip(&effects).find(|(again, effect)| again != effect);
    assert!(again.len() == effects.len() && differs.is_none(), "{differs:?}");
}

#[test]
fn real_time_and_virtual_time_make_the_same_run() {
    let run = |paced: bool| {
        let mut cluster = cluster();
        add(&mut cluster, "f1", "cpus:1;mem:10", 12, 6);
        let mut moments = Vec::new();
        if paced {
            cluster.run_paced(Time::from_secs(60), |moment| moments.push(moment));
        } else {
            cluster.run_until(Time::from_secs(60));
        }
        (cluster.take_commands().map(|(at, command)| format!("{at} {command:?}")).collect::<Vec<_>>(), moments)
    };
    let ((virtual_time, _), (real_time, moments)) = (run(false), run(true));
    assert_eq!(virtual_time, real_time);
    assert!(moments.is_sorted() && moments.last() == Some(&Time::from_secs(60)), "{moments:?}");
}

#[test]
fn one_executor_runs_all_tasks_of_a_framework_on_an_agent() {
    let mut cluster = cluster();
    add(&mut cluster, "f1", "cpus:1;mem:10", 100, 8);
    cluster.run_until(Time::from_secs(1));
    let running: Vec<_> = cluster.executors().cloned().collect();
    assert_eq!(running, ["a1", "a2"].map(|agent| ExecutorRef::new("f1", agent, "sleepers")));
    assert!(running.iter().all(|executor| cluster.tasks_of(executor).count() == 4));
}

#[test]
fn a_task_without_an_executor_has_one_of_its_own_that_ends_with_it() {
    let mut cluster = cluster();
    let alone = Batch { executor: None, ..Batch::new("f1", "cpus:1;mem:10", 2, 2) };
    cluster.add_framework(framework("f1"), alone).unwrap();
    cluster.run_until(Time::from_secs(1));
    assert_eq!(cluster.executors().map(|id| id.executor.to_string()).collect::<Vec<_>>(), ["f1.1.1", "f1.1.2"]);
    cluster.run_until(Time::from_secs(10));
    assert_eq!((batch(&cluster, "f1").finished, cluster.executors().count()), (2, 0));
    assert!(!batch(&cluster, "f1").told.iter().any(|told| told.contains("ended")));
}

#[test]
fn messages_go_both_ways_and_a_shutdown_ends_an_executor() {
    let mut cluster = cluster();
    add(&mut cluster, "f1", "cpus:1;mem:10", 100, 8);
    cluster.run_until(Time::from_secs(1));
    cluster
        .tell(&"f1".into(), |_, calls| {
            calls.message("a1".into(), "sleepers".into(), "hello");
            calls.message("a1".into(), "nobody".into(), "hello");
            calls.push(apportion::Call::Shutdown { agent: "a2".into(), executor: "sleepers".into() });
        })
        .unwrap();
    cluster.run_until(Time::from_secs(1));
    let told = &batch(&cluster, "f1").told;
    assert!(told.contains(&"sleepers says you said hello".to_owned()), "{told:?}");
    assert!(told.contains(&"sleepers ended with 0".to_owned()), "{told:?}");
    assert_eq!(told.iter().filter(|told| told.ends_with("TASK_FAILED")).count(), 4);
    assert_eq!(cluster.executors().count(), 1);
}

#[test]
fn statuses_are_acknowledged_exactly_once_and_by_their_own_uuid() {
    let mut cluster = cluster();
    add(&mut cluster, "f1", "cpus:1;mem:10", 8, 8);
    cluster.run_until(Time::from_secs(20));
    let (mut told, mut acknowledged) = (Vec::new(), Vec::new());
    for (_, command) in cluster.take_commands() {
        match command {
            Command::TaskStatus(_, status) => told.extend(status.uuid),
            Command::Call(_, apportion::Call::Acknowledge { uuid, .. }) => acknowledged.push(uuid),
            _ => {}
        }
    }
    assert_eq!(told.len(), 24);
    assert_eq!(acknowledged, told);
    assert_eq!(cluster.unacknowledged(), 0);
}

#[test]
fn an_executor_dies_and_its_tasks_are_tried_again_later() {
    let mut cluster = cluster();
    add(&mut cluster, "f1", "cpus:1;mem:10", 8, 8);
    cluster.run_until(Time::from_secs(1));
    cluster.end_executor(&ExecutorRef::new("f1", "a1", "sleepers"), 1792).unwrap();
    cluster.run_until(Time::from_secs(1));
    let told = &batch(&cluster, "f1").told;
    assert_eq!(told.iter().filter(|told| told.ends_with("TASK_FAILED")).count(), 4);
    assert_eq!(told.last().unwrap(), "sleepers ended with 1792");
    assert_eq!(cluster.tasks_of(&ExecutorRef::new("f1", "a1", "sleepers")).count(), 0);
    let allocated = |cluster: &Batches| cluster.master().state().agents[0].allocated.clone();
    assert!(allocated(&cluster).is_empty());
    cluster.run_until(Time::from_secs(60));
    assert_eq!(batch(&cluster, "f1").finished, 8);
}

#[test]
fn an_agent_is_lost_in_mid_task() {
    let mut cluster = cluster();
    add(&mut cluster, "f1", "cpus:1;mem:10", 8, 8);
    cluster.run_until(Time::from_secs(2));
    cluster.remove_agent(&"a1".into()).unwrap();
    cluster.run_until(Time::from_secs(2));
    let told = &batch(&cluster, "f1").told;
    assert_eq!(told.iter().filter(|told| told.ends_with("TASK_LOST")).count(), 4);
    assert!(told.contains(&"a1 lost".to_owned()));
    assert_eq!(cluster.executors().count(), 1);
    cluster.run_until(Time::from_secs(60));
    assert_eq!((batch(&cluster, "f1").finished, cluster.unacknowledged()), (8, 0));
}

#[test]
fn statuses_come_twice_late_and_for_unknown_tasks() {
    let mut cluster = cluster();
    add(&mut cluster, "f1", "cpus:1;mem:10", 8, 8);
    cluster.run_until(Time::from_secs(4));
    let finished = batch(&cluster, "f1").finished;
    assert_eq!(finished, 8);
    let mut again = TaskStatus::new("f1.1.1", TaskState::Finished);
    (again.agent, again.uuid) = (Some("a1".into()), Some(apportion::Uuid::from_seed(9, 9)));
    let late = TaskStatus::new("f1.1.2", TaskState::Running);
    let unknown = TaskStatus::new("somebody-elses", TaskState::Failed);
    for status in [again.clone(), again, late, unknown] {
        cluster.deliver(&"f1".into(), Event::Update(status)).unwrap();
    }
    cluster.take_commands().for_each(drop);
    cluster.run_until(Time::from_secs(60));
    assert_eq!(batch(&cluster, "f1").finished, 8);
    // What comes twice is acknowledged twice; whoever sent it stops only then.
    let acknowledged = |command| matches!(command, Command::Call(_, apportion::Call::Acknowledge { .. }));
    assert_eq!(cluster.take_commands().filter(|(_, command)| acknowledged(command.clone())).count(), 2);
}

#[test]
fn an_offer_is_rescinded_as_it_is_accepted() {
    let mut cluster = cluster();
    let keeping = Batch { keep: true, ..Batch::new("f1", "cpus:4;mem:10", 2, 2) };
    cluster.add_framework(framework("f1"), keeping).unwrap();
    cluster.run_until(Time::from_secs(1));
    let kept = batch(&cluster, "f1").kept.clone();
    assert_eq!(kept.len(), 2);
    // The agent goes out of use, and before that reaches the scheduler it takes the offer.
    cluster.command(Command::DeactivateAgent("a1".into())).unwrap();
    cluster
        .tell(&"f1".into(), |batch, calls| {
            batch.keep = false;
            kept.iter().for_each(|offer| batch.launch(offer, calls));
        })
        .unwrap();
    cluster.run_until(Time::from_secs(1));
    let told = &batch(&cluster, "f1").told;
    for news in ["O1 rescinded", "f1.1.1 TASK_DROPPED", "f1.1.2 TASK_RUNNING"] {
        assert!(told.contains(&news.to_owned()), "{news}: {told:?}");
    }
    cluster.run_until(Time::from_secs(60));
    assert_eq!(batch(&cluster, "f1").finished, 2);
}

#[test]
fn the_scheduler_fails_over_and_reconciles() {
    let mut cluster = cluster();
    add(&mut cluster, "f1", "cpus:1;mem:10", 30, 8);
    cluster.run_until(Time::from_secs(4));
    // While nobody listens an agent goes, and with it four tasks; the news of it is lost with the old scheduler.
    let before = batch(&cluster, "f1");
    let next = before.successor("f1");
    let running = before.running.len();
    assert!(running >= 8, "{running}");
    cluster.remove_agent(&"a2".into()).unwrap();
    let old = cluster.fail_over(&"f1".into(), next).unwrap();
    assert!(!old.told.contains(&"a2 lost".to_owned()));
    cluster.run_until(Time::from_secs(4));
    let now = batch(&cluster, "f1");
    assert_eq!(now.told[0], "subscribed");
    assert!(now.reconciler.is_done(), "{:?}", now.told);
    let states = |state: &str| now.told.iter().filter(|told| told.ends_with(state)).count();
    assert_eq!((states("TASK_UNKNOWN"), states("TASK_RUNNING")), (4, 4), "{:?}", now.told);
    cluster.run_until(Time::from_secs(100));
    assert_eq!(batch(&cluster, "f1").finished, 30);
    assert!(cluster.fail_over(&"nobody".into(), Batch::new("f1", "cpus:1", 1, 1)).is_err());
}

#[test]
fn an_executor_that_cannot_be_started_or_read_fails_its_task() {
    let mut cluster: Batches = Cluster::new(Config::default()).with_executors(|_, _| None);
    cluster.add_agent(Agent::new("a1", "cpus:4;mem:1024".parse().unwrap())).unwrap();
    add(&mut cluster, "f1", "cpus:1;mem:10", 1, 1);
    cluster.run_until(Time::from_secs(0));
    assert!(batch(&cluster, "f1").told.contains(&"f1.1.1 TASK_FAILED".to_owned()));

    cluster
        .tell(&"f1".into(), |batch, _| {
            batch.executor = Some(ExecutorInfo::new("bad").detail("resources", "cpus:1"));
            batch.retries.forget(&"task");
        })
        .unwrap();
    cluster.run_until(Time::from_secs(5));
    assert!(batch(&cluster, "f1").told.contains(&"f1.1.2 TASK_ERROR".to_owned()));
}

#[test]
fn a_framework_that_leaves_takes_its_executors_along() {
    let mut cluster = cluster();
    add(&mut cluster, "f1", "cpus:1;mem:10", 100, 8);
    cluster.run_until(Time::from_secs(1));
    cluster.tell(&"f1".into(), |_, calls| calls.push(apportion::Call::Teardown)).unwrap();
    cluster.run_until(Time::from_secs(1));
    assert_eq!((cluster.executors().count(), cluster.unacknowledged()), (0, 0));
    assert!(cluster.master().state().agents.iter().all(|agent| agent.allocated.is_empty()));
    let told = batch(&cluster, "f1").told.clone();
    let agent = cluster.master().state().agents[0].id.clone();
    cluster.remove_agent(&agent).unwrap();
    cluster.run_until(Time::from_secs(2));
    assert_eq!(batch(&cluster, "f1").told, told); // whoever has left is told of nothing any more
}
