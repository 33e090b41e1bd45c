//! Random apps with dependencies and random changes, while tasks fail, executors end, agents are lost and updates are repeated:
//! the framework never breaks a bound, dependencies come first, and in the end exactly the wanted instances are up.

use super::watched::Watched;
use super::{agent_of, cluster, run_for, target};
use apportion::executor::Reports;
use apportion::simulation::Cluster;
use apportion::{Event, ExecutorRef, FrameworkId, TaskId, Text};
use apportion_marathon::FAIL_CHECKS;
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::time::Duration;

/// A wanted app.
#[derive(Debug, Clone)]
struct Wanted {
    /// In percent.
    healthy: u32,
    over: u32,
    has_checks: bool,
    /// Numbers of apps before this one.
    needs: Vec<usize>,
    instances: u32,
    cpus: u32,
}

/// A change or a fault. Numbers choose among the apps, tasks or executors that exist.
#[derive(Debug, Clone)]
enum Turn {
    Scale(usize, u32),
    Update(usize, u32),
    Restart(usize),
    Remove(usize),
    /// Runs that many steps of the cluster.
    Steps(u8),
    /// Runs that many quarters of a second.
    Wait(u8),
    Fail(usize),
    Finish(usize),
    EndExecutor(usize),
    Sicken(usize),
    LoseAgent(usize),
    TellAgain(usize),
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let percents = || prop_oneof![Just(0), Just(25), Just(50), Just(70), Just(100)];
    let needs = proptest::collection::vec(0..5_usize, 0..3);
    (percents(), percents(), any::<bool>(), needs, 0..6_u32, 1..4_u32).prop_map(
        |(healthy, over, has_checks, needs, instances, cpus)| Wanted {
            healthy,
            over,
            has_checks,
            needs,
            instances,
            cpus,
        },
    )
}

fn turn() -> impl Strategy<Value = Turn> {
    let some = || 0..100_usize;
    prop_oneof![
        2 => (some(), 0..6_u32).prop_map(|(app, instances)| Turn::Scale(app, instances)),
        3 => (some(), 1..4_u32).prop_map(|(app, cpus)| Turn::Update(app, cpus)),
        1 => some().prop_map(Turn::Restart),
        1 => some().prop_map(Turn::Remove),
        4 => (1..60_u8).prop_map(Turn::Steps),
        3 => (0..40_u8).prop_map(Turn::Wait),
        2 => some().prop_map(Turn::Fail),
        1 => some().prop_map(Turn::Finish),
        1 => some().prop_map(Turn::EndExecutor),
        1 => some().prop_map(Turn::Sicken),
        1 => some().prop_map(Turn::LoseAgent),
        2 => some().prop_map(Turn::TellAgain),
    ]
}

/// Returns the apps as a group, without dependencies on removed apps.
fn group(apps: &[Option<Wanted>]) -> Json {
    let app = |(number, app): (usize, &Option<Wanted>)| {
        let app = app.as_ref()?;
        let is_there = |needed: &&usize| **needed < number && apps[**needed].is_some();
        let needs: Vec<String> = app.needs.iter().filter(is_there).map(|needed| format!("app-{needed}")).collect();
        let check = json!({"gracePeriodSeconds": 0, "intervalSeconds": 3, "maxConsecutiveFailures": 2});
        Some(json!({
            "id": format!("app-{number}"), "cmd": "serve", "instances": app.instances, "cpus": f64::from(app.cpus) / 10.0, "mem": 32,
            "dependencies": needs, "maxLaunchDelaySeconds": 20, "healthChecks": if app.has_checks { json!([check]) } else { json!([]) },
            "upgradeStrategy": {"minimumHealthCapacity": f64::from(app.healthy) / 100.0, "maximumOverCapacity": f64::from(app.over) / 100.0},
        }))
    };
    json!({"id": "/all", "apps": apps.iter().enumerate().filter_map(app).collect::<Vec<_>>()})
}

struct Run {
    cluster: Cluster<Watched>,
    id: FrameworkId,
    apps: Vec<Option<Wanted>>,
    agents: usize,
}

impl Run {
    fn deploy(&mut self, restart: &[Text]) {
        let target = target(&group(&self.apps));
        self.cluster.tell(&self.id, |watched, calls| watched.deploy(target, restart, calls)).unwrap();
    }

    fn executor(&self, number: usize) -> Option<ExecutorRef> {
        let all: Vec<&ExecutorRef> = self.cluster.executors().collect();
        all.get(number.checked_rem(all.len())?).map(|executor| (*executor).clone())
    }

    /// Has an executor report about its task.
    fn act(&mut self, number: usize, act: impl FnOnce(&TaskId, &mut Reports)) {
        let Some(executor) = self.executor(number) else { return };
        let Some(task) = self.cluster.tasks_of(&executor).next().cloned() else { return };
        self.cluster.act(&executor, |_, reports| act(&task, reports)).unwrap();
    }

    fn turn(&mut self, turn: &Turn) {
        let all = self.apps.len();
        let chosen = |number: usize| number % all;
        match *turn {
            Turn::Scale(app, instances) => {
                if let Some(app) = &mut self.apps[chosen(app)] {
                    app.instances = instances;
                }
                self.deploy(&[]);
            }
            Turn::Update(app, cpus) => {
                if let Some(app) = &mut self.apps[chosen(app)] {
                    app.cpus = cpus;
                }
                self.deploy(&[]);
            }
            Turn::Restart(app) => {
                let app = chosen(app);
                if self.apps[app].is_some() {
                    self.deploy(&[format!("/all/app-{app}").into()]);
                }
            }
            Turn::Remove(app) => {
                let app = chosen(app);
                self.apps[app] = None;
                self.deploy(&[]);
            }
            Turn::Steps(steps) => {
                let until = self.cluster.now() + Duration::from_secs(1);
                (0..steps).for_each(|_| drop(self.cluster.step(until)));
            }
            Turn::Wait(seconds) => run_for(&mut self.cluster, f64::from(seconds) / 4.0),
            Turn::Fail(number) => self.act(number, |task, reports| reports.failed(task, "it was to fail")),
            Turn::Finish(number) => self.act(number, |task, reports| reports.finished(task)),
            Turn::EndExecutor(number) => {
                if let Some(executor) = self.executor(number) {
                    self.cluster.end_executor(&executor, 9).unwrap();
                }
            }
            Turn::Sicken(number) => {
                if let Some(executor) = self.executor(number) {
                    self.cluster
                        .act(&executor, |executor, reports| executor.message(FAIL_CHECKS.to_vec(), reports))
                        .unwrap();
                }
            }
            Turn::LoseAgent(number) => {
                let agents: Vec<_> =
                    self.cluster.master().state().agents.iter().map(|agent| agent.id.clone()).collect();
                self.cluster.remove_agent(&agents[number % agents.len()]).unwrap();
                self.agents += 1;
                self.cluster.add_agent(agent_of(&format!("agent-{}", self.agents))).unwrap();
            }
            Turn::TellAgain(number) => {
                let told = &self.cluster.scheduler(&self.id).unwrap().told;
                if let Some(index) = number.checked_rem(told.len()) {
                    let status = told[told.len() - 1 - index].clone();
                    self.cluster.deliver(&self.id, Event::Update(status)).unwrap();
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn deployments_keep_within_their_bounds(
        apps in proptest::collection::vec(wanted(), 1..6),
        turns in proptest::collection::vec(turn(), 0..30),
    ) {
        let (cluster, id) = cluster(3, Watched::default());
        let mut run = Run { cluster, id, apps: apps.into_iter().map(Some).collect(), agents: 3 };
        run.deploy(&[]);
        turns.iter().for_each(|turn| run.turn(turn));
        run_for(&mut run.cluster, 1000.0);
        run.cluster.scheduler(&run.id).unwrap().check_all_is_as_wanted();
    }
}
