//! The framework on a simulated cluster: single faults, and the bounds of deployments under random faults.

mod faults;
mod property;
mod watched;

use apportion::placement::JsonNode;
use apportion::simulation::Cluster;
use apportion::{Agent, Config, ExecutorRef, Framework, FrameworkId, Role, Scheduler, TaskId};
use apportion_marathon::{Apps, Document, RootGroup, SimulatedExecutor};
use serde_json::Value as Json;
use std::sync::Arc;

/// Returns all apps of a group.
fn target(group: &Json) -> Arc<RootGroup> {
    let written = Document::read(JsonNode::root(group), "test.json").unwrap();
    let apps: Apps = written.apps.into_iter().map(|app| (app.app.id.clone(), Arc::new(app))).collect();
    Arc::new(RootGroup::new(apps).unwrap())
}

/// Returns a cluster with a framework on that many agents.
fn cluster<S: Scheduler>(agents: usize, scheduler: S) -> (Cluster<S>, FrameworkId) {
    let mut cluster =
        Cluster::new(Config::default()).with_executors(|_, _| Some(Box::new(SimulatedExecutor::default())));
    for agent in 1..=agents {
        cluster.add_agent(agent_of(&format!("agent-{agent}"))).unwrap();
    }
    let framework = Framework::new("marathon").role(Role::default());
    let id = framework.id.clone();
    cluster.add_framework(framework, scheduler).unwrap();
    (cluster, id)
}

fn agent_of(id: &str) -> Agent {
    Agent::new(id, "cpus:16;mem:16384;ports:[31000-32000]".parse().unwrap())
}

fn run_for<S: Scheduler>(cluster: &mut Cluster<S>, seconds: f64) {
    let until = cluster.now() + std::time::Duration::from_secs_f64(seconds);
    cluster.run_until(until);
}

fn executor_of<S: Scheduler>(cluster: &Cluster<S>, task: &TaskId) -> ExecutorRef {
    cluster.executors().find(|executor| cluster.tasks_of(executor).any(|own| own == task)).unwrap().clone()
}
