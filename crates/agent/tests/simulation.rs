//! Agents' machines beside a master, with faults: nothing is lost, doubled or left behind.

#![allow(clippy::unwrap_used, reason = "a test that goes wrong ends")]

#[path = "../../../tests/tier/mod.rs"]
mod tier;

use apportion::executor::{Executor, Reports};
use apportion::simulation::Cluster;
use apportion::{
    Accept, Agent, Calls, Capability, Command, Config, ExecutorInfo, Framework, Json, Offer, Role, Scheduler,
    StatusSource, Task, TaskId, TaskState, TaskStatus, Time, Uuid,
};
use apportion_agent::machine::Settings;
use apportion_agent::machine::simulation::Hosts;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const HOSTS: [&str; 3] = ["h1", "h2", "h3"];

/// The tasks that really run, whatever anybody thinks.
#[derive(Debug, Default)]
struct Ledger {
    started: BTreeSet<TaskId>,
    running: BTreeSet<TaskId>,
}

/// An executor that really runs tasks: each for as many milliseconds as its name says.
#[derive(Debug)]
struct Worker {
    ledger: Arc<Mutex<Ledger>>,
    ends: BTreeMap<Time, Vec<TaskId>>,
}

impl Worker {
    fn stop(&mut self, task: &TaskId) -> bool {
        self.ends.values_mut().for_each(|tasks| tasks.retain(|mine| mine != task));
        self.ledger.lock().unwrap().running.remove(task)
    }
}

impl Executor for Worker {
    fn launch(&mut self, task: Task, reports: &mut Reports) {
        let mut ledger = self.ledger.lock().unwrap();
        assert!(ledger.started.insert(task.id.clone()), "task {} is started twice", task.id);
        ledger.running.insert(task.id.clone());
        drop(ledger);
        reports.running(&task.id);
        let lasts: u64 = task.id.as_str().rsplit('.').next().unwrap().parse().unwrap();
        let end = reports.at() + Duration::from_millis(lasts);
        reports.wake_at(end);
        self.ends.entry(end).or_default().push(task.id);
    }

    fn woken(&mut self, reports: &mut Reports) {
        let later = self.ends.split_off(&(reports.at() + Duration::from_micros(1)));
        for task in std::mem::replace(&mut self.ends, later).into_values().flatten() {
            self.ledger.lock().unwrap().running.remove(&task);
            reports.finished(&task);
        }
    }

    fn kill(&mut self, task: TaskId, _: Option<Duration>, reports: &mut Reports) {
        if self.stop(&task) {
            reports.killed(&task);
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let tasks: Vec<TaskId> = self.ends.values().flatten().cloned().collect();
        for task in tasks {
            self.stop(&task);
        }
    }
}

/// A scheduler that wants so many tasks finished, launches another for each that is not, and checks what it is told.
#[derive(Debug)]
struct Work {
    ledger: Arc<Mutex<Ledger>>,
    wanted: usize,
    launched: BTreeMap<TaskId, Option<TaskState>>,
    finished: usize,
    ends: BTreeMap<TaskId, Uuid>,
}

impl Work {
    fn open(&self) -> Vec<&TaskId> {
        self.launched.iter().filter(|(_, end)| end.is_none()).map(|(task, _)| task).collect()
    }
}

impl Scheduler for Work {
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        for offer in offers {
            if self.finished + self.open().len() >= self.wanted {
                calls.decline(&offer);
                continue;
            }
            let number = self.launched.len();
            let lasts = [200, 1_500, 4_000, 9_000][number % 4];
            let mut task = Task::new(format!("task-{number}.{lasts}"), "cpus:1;mem:64".parse().unwrap());
            task = if number.is_multiple_of(2) {
                task.detail("command", Json::object([("value", "work")]))
            } else {
                task.detail(
                    "executor",
                    ExecutorInfo::new("shared").detail("command", Json::object([("value", "work")])),
                )
            };
            self.launched.insert(task.id.clone(), None);
            calls.accept(Accept::of(&offer).launch(task).refuse_rest_for(Duration::ZERO));
        }
    }

    fn update(&mut self, status: TaskStatus, _: &mut Calls) {
        let Some(end) = self.launched.get_mut(&status.task) else { panic!("nobody launched {}", status.task) };
        if status.state == TaskState::Unknown && status.source == Some(StatusSource::Master) {
            // A new master does not know what the old one sent to an agent that was cut off, nor what runs on one that has not come
            // back yet. The latter is told when it has.
            if !self.ledger.lock().unwrap().running.contains(&status.task) {
                *end = end.or(Some(TaskState::Unknown));
            }
            return;
        }
        if !status.state.is_terminal() {
            return;
        }
        if status.source != Some(StatusSource::Master) {
            let is_running = self.ledger.lock().unwrap().running.contains(&status.task);
            assert!(!is_running, "{} is told as {} and runs: {:?}", status.task, status.state, status.reason);
            if let Some(uuid) = status.uuid {
                let first = *self.ends.entry(status.task.clone()).or_insert(uuid);
                assert_eq!(first, uuid, "{} ends twice: {status:?}", status.task);
            }
        }
        if end.is_none() {
            self.finished += usize::from(status.state == TaskState::Finished);
            *end = Some(status.state);
        }
    }
}

/// What goes wrong.
#[derive(Debug, Clone)]
enum Fault {
    Crash { after: u32, down: u64 },
    Boot,
    KillExecutor(usize),
    BreakStream(usize),
    Cut { lasts: u64, is_noticed: bool },
    FullDisk { lasts: u64 },
    MasterFails,
    Kill(usize),
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        3 => (0..12_u32, 0..4_000_u64).prop_map(|(after, down)| Fault::Crash { after, down }),
        1 => Just(Fault::Boot),
        3 => (0..4_usize).prop_map(Fault::KillExecutor),
        3 => (0..4_usize).prop_map(Fault::BreakStream),
        2 => (0..6_000_u64, any::<bool>()).prop_map(|(lasts, is_noticed)| Fault::Cut { lasts, is_noticed }),
        1 => (0..3_000_u64).prop_map(|lasts| Fault::FullDisk { lasts }),
        1 => Just(Fault::MasterFails),
        2 => (0..20_usize).prop_map(Fault::Kill),
    ]
}

type World = Cluster<Work>;

fn world(wanted: usize) -> (World, Arc<Mutex<Ledger>>) {
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let for_workers = Arc::clone(&ledger);
    let mut hosts =
        Hosts::new(move |_, _| Some(Box::new(Worker { ledger: Arc::clone(&for_workers), ends: BTreeMap::new() })));
    for (seed, host) in (1..).zip(HOSTS) {
        let mut settings = Settings::new(Agent::new("", "cpus:4;mem:1024".parse().unwrap()).hostname(host), "/work");
        settings.boot_id = "boot".into();
        settings.seed = seed;
        hosts.add(Time::ZERO, host, settings);
    }
    let mut cluster = Cluster::new(Config::default()).with_machines(hosts);
    let work =
        Work { ledger: Arc::clone(&ledger), wanted, launched: BTreeMap::new(), finished: 0, ends: BTreeMap::new() };
    let framework = Framework::new("f1").role(Role::default()).checkpoint().capability(Capability::PartitionAware);
    cluster.add_framework(framework, work).unwrap();
    (cluster, ledger)
}

/// What ends a fault.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Repair {
    Restart(&'static str),
    Heal(&'static str),
    EmptyDisk(&'static str),
}

fn break_something(cluster: &mut World, host: &'static str, fault: &Fault, repairs: &mut BTreeSet<(Time, Repair)>) {
    let (id, now) = (host.into(), cluster.now());
    let later = |millis: &u64| now + Duration::from_millis(*millis);
    let hosts = |cluster: &mut World, act: &mut dyn FnMut(&mut Hosts)| cluster.act_on_machines(act).unwrap();
    match fault {
        Fault::Crash { after, down } => {
            hosts(cluster, &mut |hosts: &mut Hosts| hosts.crash(&id, *after));
            repairs.insert((later(down), Repair::Restart(host)));
        }
        Fault::Boot => hosts(cluster, &mut |hosts| hosts.boot(&id)),
        Fault::KillExecutor(number) => hosts(cluster, &mut |hosts| {
            hosts.kill_executor(&id, *number);
        }),
        Fault::BreakStream(number) => hosts(cluster, &mut |hosts| {
            hosts.break_stream(&id, *number);
        }),
        Fault::Cut { lasts, is_noticed } => {
            cluster.partition(&id).unwrap();
            if *is_noticed {
                let _ = cluster.command(Command::DisconnectAgent(id));
            }
            repairs.insert((later(lasts), Repair::Heal(host)));
        }
        Fault::FullDisk { lasts } => {
            hosts(cluster, &mut |hosts| hosts.fill_disk(&id, true));
            repairs.insert((later(lasts), Repair::EmptyDisk(host)));
        }
        Fault::MasterFails => {
            let successor = apportion::Master::new(Config::default().id_prefix(format!("m{}", now.as_micros())));
            cluster.fail_master(successor).unwrap();
        }
        Fault::Kill(number) => {
            let framework = "f1".into();
            let open = cluster.scheduler(&framework).unwrap().open().into_iter().nth(*number).cloned();
            if let Some(task) = open {
                cluster.tell(&framework, |_, calls| calls.kill(task)).unwrap();
            }
        }
    }
}

fn repair(cluster: &mut World, repair: &Repair) {
    match repair {
        Repair::Restart(host) => {
            cluster.act_on_machines(|hosts: &mut Hosts| {
                hosts.crash(&(*host).into(), 0);
                hosts.restart(&(*host).into());
            });
        }
        Repair::Heal(host) => {
            let _ = cluster.heal(&(*host).into()); // it may be healed already
        }
        Repair::EmptyDisk(host) => {
            cluster.act_on_machines(|hosts: &mut Hosts| hosts.fill_disk(&(*host).into(), false));
        }
    }
}

/// Lets faults happen, each so many milliseconds after the one before, and checks what has become of the tasks when all is repaired.
fn check(faults: &[(u64, usize, Fault)]) -> Result<(), TestCaseError> {
    let (mut cluster, ledger) = world(12);
    let framework = "f1".into();
    let mut repairs = BTreeSet::new();
    let mut at = Time::from_secs(1);
    let repair_until = |cluster: &mut World, at: Time, repairs: &mut BTreeSet<(Time, Repair)>| {
        while let Some((due, what)) = repairs.first().filter(|(due, _)| *due <= at).cloned() {
            repairs.remove(&(due, what.clone()));
            cluster.run_until(due.max(cluster.now()));
            repair(cluster, &what);
        }
        cluster.run_until(at);
    };
    for (after, host, fault) in faults {
        at += Duration::from_millis(*after);
        repair_until(&mut cluster, at, &mut repairs);
        break_something(&mut cluster, HOSTS[*host], fault, &mut repairs);
    }

    // Everything is repaired, and there is time enough for all retries.
    repair_until(&mut cluster, at + Duration::from_secs(900), &mut repairs);
    for host in HOSTS {
        repair(&mut cluster, &Repair::Heal(host));
        repair(&mut cluster, &Repair::EmptyDisk(host));
        cluster.act_on_machines(|hosts: &mut Hosts| hosts.restart(&host.into()));
    }
    let now = cluster.now();
    cluster.run_until(now + Duration::from_secs(900));
    cluster
        .tell(&framework, |work: &mut Work, calls| calls.reconcile(work.open().into_iter().cloned().map(Into::into)))
        .unwrap();
    cluster.run_until(now + Duration::from_secs(1_800));
    let work = cluster.scheduler(&framework).unwrap();
    prop_assert_eq!(work.open(), Vec::<&TaskId>::new(), "lost");
    prop_assert_eq!(work.finished, 12);
    prop_assert_eq!(&ledger.lock().unwrap().running, &BTreeSet::new(), "left behind");
    let state = cluster.master().state();
    prop_assert_eq!(state.agents.len(), HOSTS.len());

    // The framework goes, and its executors with it.
    cluster.command(Command::Call(framework, apportion::Call::Teardown)).unwrap();
    let now = cluster.now();
    cluster.run_until(now + Duration::from_secs(60));
    let left = cluster.act_on_machines(|hosts: &mut Hosts| {
        let stored: Vec<bool> = HOSTS.iter().map(|host| hosts.disk(&(*host).into()).unwrap().is_idle()).collect();
        (hosts.executors(), stored)
    });
    prop_assert_eq!(left, Some((0, vec![true; HOSTS.len()])));
    for agent in cluster.master().state().agents {
        prop_assert!(agent.allocated.is_empty(), "{} holds {}", agent.id, agent.allocated);
    }
    Ok(())
}

proptest! {
    #![proptest_config(tier::tier(48))]

    #[test]
    fn nothing_is_lost_doubled_or_left_behind(
        faults in prop::collection::vec((0..2_500_u64, 0..HOSTS.len(), fault()), 0..14),
    ) {
        check(&faults)?;
    }
}

#[test]
fn a_disk_that_is_full_at_a_boot_leaves_nothing_behind() {
    use Fault::{Boot, Crash, FullDisk, KillExecutor, MasterFails};
    let faults = [
        (728, 0, FullDisk { lasts: 2_272 }),
        (932, 0, Boot), // it cannot be stored
        (635, 2, Crash { after: 4, down: 366 }),
        (674, 0, KillExecutor(0)),
        (1_241, 0, MasterFails),
        (5, 0, Crash { after: 0, down: 0 }),
    ];
    check(&faults).unwrap();
}

#[test]
fn an_agent_that_crashes_at_any_effect_loses_nothing() {
    for after in 1..60 {
        let (mut cluster, ledger) = world(6);
        cluster.act_on_machines(|hosts: &mut Hosts| HOSTS.iter().for_each(|host| hosts.crash(&(*host).into(), after)));
        for _ in 0..20 {
            let now = cluster.now();
            cluster.run_until(now + Duration::from_secs(3));
            cluster.act_on_machines(|hosts: &mut Hosts| {
                for host in HOSTS {
                    hosts.restart(&host.into());
                }
            });
        }
        let now = cluster.now();
        cluster.run_until(now + Duration::from_secs(900));
        let work = cluster.scheduler(&"f1".into()).unwrap();
        assert_eq!((work.open().len(), work.finished), (0, 6), "after {after}");
        assert!(ledger.lock().unwrap().running.is_empty(), "after {after}");
    }
}
