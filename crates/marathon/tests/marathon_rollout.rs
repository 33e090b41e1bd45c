//! The framework of the program `marathon`: what it does when things go wrong, and, whatever goes wrong, that it keeps within
//! the bounds of its deployments. The rooms' own tests run here too.
#![expect(dead_code, reason = "what shows it all is in the program")]
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "../src/bin/marathon/back_off.rs"]
mod back_off;
#[path = "../src/bin/marathon/census.rs"]
mod census;
#[path = "../src/bin/marathon/definition.rs"]
mod definition;
#[path = "../src/bin/marathon/dependency.rs"]
mod dependency;
#[path = "../src/bin/marathon/deployment.rs"]
mod deployment;
#[path = "../src/bin/marathon/framework.rs"]
mod framework;
#[path = "../src/bin/marathon/group.rs"]
mod group;
#[path = "../src/bin/marathon/health.rs"]
mod health;
#[path = "../src/bin/marathon/program.rs"]
mod program;
#[path = "../src/bin/marathon/rollout.rs"]
mod rollout;
#[path = "../src/bin/marathon/service.rs"]
mod service;
#[path = "../src/bin/marathon/service_port.rs"]
mod service_port;
#[path = "../src/bin/marathon/simulated.rs"]
mod simulated;
#[path = "../src/bin/marathon/tasks.rs"]
mod tasks;

#[path = "marathon_rollout/faults.rs"]
mod faults;
#[path = "marathon_rollout/property.rs"]
mod property;
#[path = "marathon_rollout/watched.rs"]
mod watched;

use apportion::placement::JsonNode;
use apportion::simulation::Cluster;
use apportion::{Agent, Config, ExecutorRef, Framework, FrameworkId, Role, Scheduler, TaskId};
use definition::Apps;
use dependency::Target;
use group::Written;
use serde_json::Value as Json;
use simulated::Simulated;
use std::sync::Arc;

/// All apps of a group, as they are wanted.
fn target(group: &Json) -> Arc<Target> {
    let written = Written::read(JsonNode::root(group), "test.json").unwrap();
    let apps: Apps = written.apps.into_iter().map(|app| (app.app.id.clone(), Arc::new(app))).collect();
    Arc::new(Target::new(apps).unwrap())
}

/// A framework on so many agents.
fn cluster<S: Scheduler>(agents: usize, scheduler: S) -> (Cluster<S>, FrameworkId) {
    let mut cluster = Cluster::new(Config::default()).with_executors(|_, _| Some(Box::new(Simulated::default())));
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
