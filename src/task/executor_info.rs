//! [`ExecutorInfo`]: what a framework says of an executor.

use crate::id::ExecutorId;
use crate::resources::Resources;
use crate::role::Role;
use serde_json::{Map, Value as Json};

/// An executor as a framework describes it: an id, what it takes for itself, and how to start it.
///
/// One that is described by several tasks of a framework on one agent is started once, with the first of them, and
/// runs them all. A task names it as its detail `executor`.
///
/// # Examples
///
/// ```
/// use apportion::{ExecutorInfo, Task};
///
/// let executor = ExecutorInfo::new("crawler").detail("command", serde_json::json!({"value": "./crawl"}));
/// let task = Task::new("crawl-1", "cpus:1".parse()?).detail("executor", executor.clone());
/// assert_eq!(ExecutorInfo::of(&task)?, Some(executor));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ExecutorInfo {
    /// Its id, unique among the executors of its framework on one agent.
    pub id: ExecutorId,
    /// What it takes for itself.
    pub resources: Resources,
    /// The role that its resources are held under, where that is known.
    pub role: Option<Role>,
    /// Further fields, by Mesos' names (`command`, `type`, `data`, ...), untouched.
    pub details: Map<String, Json>,
}

impl ExecutorInfo {
    /// An executor that takes nothing for itself.
    #[must_use]
    pub fn new(id: impl Into<ExecutorId>) -> Self {
        Self { id: id.into(), resources: Resources::new(), role: None, details: Map::new() }
    }

    /// The same, with a further field.
    #[must_use]
    pub fn detail(mut self, name: impl Into<String>, value: impl Into<Json>) -> Self {
        self.details.insert(name.into(), value.into());
        self
    }
}
