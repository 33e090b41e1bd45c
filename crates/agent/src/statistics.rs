//! [`Statistics`]: what containers use, measured when somebody asks.

use crate::containers::Containers;
use crate::machine::{ContainerId, HostedExecutor};
use crate::view::View;
use apportion::Resources;
use apportion_exec::Tree;
use apportion_exec::statistics::Statistics as Measured;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// The age up to which figures are told again: many may ask at a time.
const MAX_AGE: Duration = Duration::from_secs(1);

/// What containers use.
#[derive(Debug)]
pub(crate) struct Statistics {
    containers: Containers,
    latest: tokio::sync::Mutex<Option<(Instant, Figures)>>,
}

type Figures = BTreeMap<ContainerId, Measured>;

impl Statistics {
    pub(crate) fn new(containers: Containers) -> Self {
        Self { containers, latest: tokio::sync::Mutex::new(None) }
    }

    /// Returns what keeps containers apart, for people.
    pub(crate) fn isolation(&self) -> String {
        self.containers.isolation()
    }

    /// Measures all containers, in a thread where that delays nobody.
    async fn figures(&self) -> Figures {
        let mut latest = self.latest.lock().await;
        if let Some((at, figures)) = &*latest
            && at.elapsed() < MAX_AGE
        {
            return figures.clone();
        }
        let trees = self.containers.trees();
        let figures = tokio::task::spawn_blocking(move || {
            let measured = |(id, (tree, resources)): (ContainerId, (Tree, Resources))| (id, measure(&tree, &resources));
            trees.into_iter().map(measured).collect::<Figures>()
        });
        let figures = figures.await.unwrap_or_default();
        *latest = Some((Instant::now(), figures.clone()));
        figures
    }

    /// Returns the answer of `/monitor/statistics`, or with statuses that of `/containers`.
    pub(crate) async fn v0(&self, view: &View, with_status: bool) -> Json {
        let mut figures = self.figures().await;
        let entry = |executor: &HostedExecutor| {
            let measured = figures.remove(&executor.run.container)?;
            let mut entry = json!({
                "executor_id": executor.run.executor.as_str(),
                "executor_name": executor.name(),
                "framework_id": executor.run.framework.as_str(),
                "source": executor.source(),
                "container_id": executor.run.container.as_str(),
                "statistics": measured,
            });
            if with_status {
                entry["status"] = status(executor);
            }
            Some(entry)
        };
        view.live().filter_map(entry).collect()
    }

    /// Returns the list of GET_CONTAINERS.
    pub(crate) async fn v1(&self, view: &View) -> Json {
        let mut figures = self.figures().await;
        let entry = |executor: &HostedExecutor| {
            let measured = figures.remove(&executor.run.container)?;
            Some(json!({
                "framework_id": {"value": executor.run.framework.as_str()},
                "executor_id": {"value": executor.run.executor.as_str()},
                "executor_name": executor.name(),
                "container_id": {"value": executor.run.container.as_str()},
                "container_status": status(executor),
                "resource_statistics": measured,
            }))
        };
        view.live().filter_map(entry).collect()
    }
}

/// Returns Mesos' `ContainerStatus`.
fn status(executor: &HostedExecutor) -> Json {
    let mut status = json!({"container_id": {"value": executor.run.container.as_str()}});
    if let Some(process) = &executor.process {
        status["executor_pid"] = process.pid.into();
    }
    status
}

/// Measures a container. Where the kernel sets no limits, they are those that the container was given.
fn measure(tree: &Tree, resources: &Resources) -> Measured {
    let mut measured = Measured::of(tree);
    let bytes = |name: &str| resources.amount(name).as_milli().saturating_mul(1 << 20) / 1000;
    measured.cpus_limit = Some(resources.amount("cpus").as_f64());
    measured.mem_limit_bytes.get_or_insert_with(|| bytes("mem"));
    if !resources.amount("disk").is_zero() {
        measured.disk_limit_bytes = Some(bytes("disk"));
    }
    measured
}
