//! [`View`]: what people and tools see of an agent's frameworks, executors and tasks, as `/state` and the calls of the operator API
//! show them.

use crate::machine::{HostedExecutor, HostedTask, Stage};
use apportion::v1::{WrittenResources, framework_info};
use apportion::{Agent, AgentId, Details, ExecutorId, Framework, Json as Kept, Resources, TaskState};
use apportion_http::forms::{self, ShownTask};
use serde_json::{Map, Value as Json, json};
use std::sync::Arc;

/// A framework with its executors at one moment.
#[derive(Debug, Clone)]
pub(crate) struct FrameworkView {
    pub(crate) info: Arc<Framework>,
    pub(crate) executors: Vec<HostedExecutor>,
    pub(crate) completed: Vec<HostedExecutor>,
}

/// An agent at one moment.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) agent: Agent,
    /// The total of the agent, with what operations have made of it.
    pub(crate) total: Resources,
    pub(crate) is_registered: bool,
    pub(crate) frameworks: Vec<FrameworkView>,
    pub(crate) completed: Vec<FrameworkView>,
}

/// How far a task is, as Mesos sorts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It waits for its executor.
    Queued,
    /// Its executor has it.
    Launched,
    /// It has ended, and its last status is not acknowledged.
    Terminated,
}

impl Place {
    pub(crate) fn of(task: &HostedTask) -> Self {
        match task.stage {
            _ if task.state.is_terminal() => Self::Terminated,
            Stage::Storing | Stage::Queued => Self::Queued,
            Stage::Unclear | Stage::Launched => Self::Launched,
        }
    }
}

/// Returns the id of the framework's executor; none for one that the agent has made for one task.
fn named(executor: &HostedExecutor) -> Option<ExecutorId> {
    (!executor.kind.is_of_one_task()).then(|| executor.run.executor.clone())
}

fn shown(executor: &HostedExecutor, task: &HostedTask, agent: &AgentId) -> ShownTask {
    let (framework, role) = (executor.run.framework.clone(), executor.role.clone());
    let state = (task.state, task.statuses.clone());
    ShownTask::new(task.task.clone(), framework, agent.clone(), role, named(executor), state)
}

impl View {
    /// Returns all frameworks, those that are completed last.
    pub(crate) fn all(&self) -> impl Iterator<Item = &FrameworkView> {
        self.frameworks.iter().chain(&self.completed)
    }

    /// Returns the executors that have not ended, with their frameworks.
    pub(crate) fn live(&self) -> impl Iterator<Item = &HostedExecutor> {
        self.frameworks.iter().flat_map(|framework| &framework.executors).filter(|executor| executor.is_live())
    }

    /// Returns what the executors hold that have not ended.
    pub(crate) fn used(&self) -> Resources {
        self.live().fold(Resources::new(), |sum, executor| sum.checked_add(&executor.resources()).unwrap_or(sum))
    }

    /// Returns the frameworks of `/state`: those that have something here, and those that are completed.
    pub(crate) fn frameworks_v0(&self) -> [Json; 2] {
        [&self.frameworks, &self.completed]
            .map(|list| list.iter().map(|framework| self.framework_v0(framework)).collect())
    }

    fn framework_v0(&self, framework: &FrameworkView) -> Json {
        let info = &framework.info;
        let executors = |list: Vec<&HostedExecutor>| -> Json {
            list.into_iter().map(|executor| self.executor_v0(executor)).collect()
        };
        let (live, ended) = framework.executors.iter().partition(|executor| executor.is_live());
        let ended: Vec<&HostedExecutor> = ended;
        let mut json = json!({
            "id": info.id.as_str(),
            "name": info.name.as_deref().unwrap_or_default(),
            "user": info.user.as_deref().unwrap_or_default(),
            "failover_timeout": info.failover_timeout.map_or(0.0, |timeout| timeout.as_secs_f64()),
            "checkpoint": info.checkpoint,
            "hostname": text(&info.details, "hostname"),
            "executors": executors(live),
            "completed_executors": executors(ended.into_iter().chain(&framework.completed).collect()),
        });
        let roles: Vec<&str> = info.roles.iter().map(apportion::Role::as_str).collect();
        if info.is_multi_role() {
            json["roles"] = roles.into();
        } else {
            json["role"] = roles.first().copied().unwrap_or("*").into();
        }
        if let Some(principal) = &info.principal {
            json["principal"] = principal.as_str().into();
        }
        json
    }

    fn executor_v0(&self, executor: &HostedExecutor) -> Json {
        let tasks = |place: Place| -> Json {
            let tasks = executor.tasks.values().filter(|task| Place::of(task) == place);
            tasks.map(|task| shown(executor, task, &self.agent.id).v0()).collect()
        };
        // A task that has ended is shown as completed, whether its last status is acknowledged or not.
        let ended = executor.tasks.values().filter(|task| Place::of(task) == Place::Terminated);
        let completed = executor.completed_tasks.iter().chain(ended);
        let completed: Json = completed.map(|task| shown(executor, task, &self.agent.id).v0()).collect();
        let resources = executor.resources();
        let mut json = json!({
            "id": executor.run.executor.as_str(),
            "name": executor.name(),
            "source": executor.source(),
            "container": executor.run.container.as_str(),
            "directory": executor.directory.display().to_string(),
            "role": executor.role.as_str(),
            "resources": forms::amounts([&resources]),
            "tasks": tasks(Place::Launched),
            "queued_tasks": tasks(Place::Queued),
            "completed_tasks": completed,
        });
        if let Some(labels) = executor.info.details.get("labels").and_then(|labels| labels.get("labels")) {
            json["labels"] = labels.into();
        }
        json
    }

    /// Returns the body of GET_TASKS.
    pub(crate) fn get_tasks(&self) -> Json {
        let mut lists: [Vec<Json>; 4] = Default::default();
        let [queued, launched, terminated, completed] = &mut lists;
        for framework in self.all() {
            for executor in framework.executors.iter().chain(&framework.completed) {
                for task in executor.tasks.values() {
                    let list = match Place::of(task) {
                        Place::Queued => &mut *queued,
                        Place::Launched => &mut *launched,
                        Place::Terminated => &mut *terminated,
                    };
                    list.push(shown(executor, task, &self.agent.id).v1());
                }
                completed
                    .extend(executor.completed_tasks.iter().map(|task| shown(executor, task, &self.agent.id).v1()));
            }
        }
        let [queued, launched, terminated, completed] = lists;
        json!({
            "pending_tasks": [], "queued_tasks": queued, "launched_tasks": launched, "terminated_tasks": terminated,
            "completed_tasks": completed,
        })
    }

    /// Returns the body of GET_EXECUTORS.
    pub(crate) fn get_executors(&self) -> Json {
        let mut lists: [Vec<Json>; 2] = Default::default();
        for framework in self.all() {
            for executor in framework.executors.iter().chain(&framework.completed) {
                lists[usize::from(!executor.is_live())].push(json!({ "executor_info": executor_info(executor) }));
            }
        }
        let [executors, completed] = lists;
        json!({"executors": executors, "completed_executors": completed})
    }

    /// Returns the body of GET_FRAMEWORKS.
    pub(crate) fn get_frameworks(&self) -> Json {
        let list = |list: &[FrameworkView]| -> Json {
            list.iter().map(|framework| json!({ "framework_info": value(&framework_info(&framework.info)) })).collect()
        };
        json!({"frameworks": list(&self.frameworks), "completed_frameworks": list(&self.completed)})
    }

    /// Returns how many tasks are in each state, with those of which the agent still knows.
    pub(crate) fn count(&self, state: TaskState) -> usize {
        let executors = self.all().flat_map(|framework| framework.executors.iter().chain(&framework.completed));
        executors
            .flat_map(|executor| executor.tasks.values().chain(&executor.completed_tasks))
            .filter(|task| task.state == state)
            .count()
    }
}

/// Returns Mesos' v1 `ExecutorInfo`.
pub(crate) fn executor_info(executor: &HostedExecutor) -> Json {
    let info = &executor.info;
    let mut json = value(&info.details);
    json["executor_id"] = json!({"value": info.id.as_str()});
    json["framework_id"] = json!({"value": executor.run.framework.as_str()});
    json["resources"] = value(&WrittenResources::new(&info.resources).allocated_to(&executor.role));
    json
}

/// Returns a text among the details of a message; an empty one if there is none.
fn text(details: &Details, name: &str) -> String {
    details.get(name).and_then(Kept::as_str).unwrap_or_default().into_owned()
}

pub(crate) fn value(form: &impl serde::Serialize) -> Json {
    serde_json::to_value(form).unwrap_or_else(|_| Json::Object(Map::new())) // keys are texts
}
