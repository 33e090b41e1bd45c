//! Values as Mesos' endpoints show them to operators, for servers other than the master: its agents.

use crate::operator_api::TaskForm;
use crate::v0::{self, Amounts};
use crate::view::{Standing, TaskEntry};
use apportion::{AgentId, Attributes, Domain, ExecutorId, FrameworkId, Resources, Role, Task, TaskState, TaskStatus};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Returns resources as v0 shows them: a value for each name, however it is reserved; `cpus`, `mem`, `disk` and `gpus` always.
///
/// # Examples
///
/// ```
/// use apportion_http::forms::amounts;
///
/// let amounts = amounts([&"cpus(a):1;cpus:0.5;ports:[1-3]".parse()?]);
/// assert_eq!(amounts.to_string(), r#"{"disk":0.0,"mem":0.0,"gpus":0.0,"cpus":1.5,"ports":"[1-3]"}"#);
/// # Ok::<(), apportion::ResourceError>(())
/// ```
#[must_use]
pub fn amounts<'a>(resources: impl IntoIterator<Item = &'a Resources>) -> Json {
    value(&Amounts::of(resources))
}

/// Returns the reserved resources by role, each as [`amounts`].
#[must_use]
pub fn reserved_amounts(resources: &Resources) -> Json {
    let mut reserved: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for resource in resources {
        if let Some(role) = resource.role() {
            reserved.entry(role.as_str()).or_default().push(resource);
        }
    }
    let each = reserved.into_iter().map(|(role, list)| (role.to_owned(), value(&Amounts::of_each(list))));
    Json::Object(each.collect::<Map<_, _>>())
}

/// Returns attributes as an object. Of several with one name the last counts.
#[must_use]
pub fn attributes(attributes: &Attributes) -> Json {
    value(&v0::Attributes(attributes))
}

/// Returns Mesos' `DomainInfo`.
#[must_use]
pub fn domain(domain: &Domain) -> Json {
    v0::domain(domain)
}

/// A task as operators see it.
#[derive(Debug, Clone, PartialEq)]
pub struct ShownTask(TaskEntry);

impl ShownTask {
    /// Describes a task of a framework on an agent. `executor` is none for one that the agent has made for the task.
    #[must_use]
    pub fn new(
        task: Task,
        framework: FrameworkId,
        agent: AgentId,
        role: Role,
        executor: Option<ExecutorId>,
        (state, statuses): (TaskState, Vec<TaskStatus>),
    ) -> Self {
        let statuses = statuses.into_iter().map(Arc::new).collect();
        let standing = if state.is_terminal() { Standing::Completed } else { Standing::Live };
        Self(TaskEntry { number: 0, framework, agent, role, task, executor, state, statuses, standing })
    }

    /// Returns the task as `/state` has it.
    #[must_use]
    pub fn v0(&self) -> Json {
        value(&v0::Task::of(&self.0))
    }

    /// Returns Mesos' v1 `Task`.
    #[must_use]
    pub fn v1(&self) -> Json {
        value(&TaskForm(&self.0))
    }
}

fn value(form: &impl serde::Serialize) -> Json {
    serde_json::to_value(form).unwrap_or_else(|_| json!(null)) // keys are texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_shown_as_it_was_sent() {
        let mut task = Task::new("t1", "cpus:1".parse().unwrap());
        task.details.insert("discovery", json!({"visibility": "CLUSTER", "name": "web"}));
        task.details.insert("command", json!({"value": "true", "user": "www"}));
        let statuses = vec![TaskStatus::new("t1", TaskState::Running)];
        let role: Role = "ops".parse().unwrap();
        let executor = Some("e1".into());
        let shown = ShownTask::new(task, "f1".into(), "a1".into(), role, executor, (TaskState::Running, statuses));
        let (v0, v1) = (shown.v0(), shown.v1());
        assert_eq!((&v0["executor_id"], &v0["slave_id"], &v0["user"]), (&json!("e1"), &json!("a1"), &json!("www")));
        assert_eq!(
            (&v0["discovery"], &v1["discovery"]),
            (&json!({"visibility": "CLUSTER", "name": "web"}), &v0["discovery"])
        );
        assert_eq!(v1["executor_id"], json!({"value": "e1"}));
        assert_eq!(v0["statuses"][0]["state"], "TASK_RUNNING");
    }

    #[test]
    fn reservations_are_told_by_role() {
        let resources: Resources = "cpus(a):1;mem(b):2;disk:3".parse().unwrap();
        let told = reserved_amounts(&resources);
        assert_eq!(
            (&told["a"]["cpus"], &told["b"]["mem"], told.as_object().unwrap().len()),
            (&json!(1.0), &json!(2.0), 2)
        );
        assert_eq!(attributes(&"rack:r1;level:10".parse().unwrap()), json!({"rack": "r1", "level": 10.0}));
    }
}
