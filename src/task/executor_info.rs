//! [`ExecutorInfo`]: the description of an executor.

use crate::details::Details;
use crate::id::ExecutorId;
use crate::json::Json;
use crate::resources::Resources;
use crate::role::Role;
use crate::text::Text;

/// The description of an executor by a framework: an id, its own resources, and how to start it.
///
/// A task names its executor in the field `executor` of its details. If several tasks of a framework on one agent name
/// the same executor, it is started once, with the first of them, and runs them all.
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
    /// The id, unique among the executors of its framework on one agent.
    pub id: ExecutorId,
    /// The resources of the executor itself.
    pub resources: Resources,
    /// The role that its resources are allocated to, if it is known.
    pub role: Option<Role>,
    /// Further fields by their Mesos names (`command`, `type`, `data`, ...), unchanged.
    pub details: Details,
}

impl ExecutorInfo {
    /// Makes an executor without resources of its own.
    #[must_use]
    pub fn new(id: impl Into<ExecutorId>) -> Self {
        Self { id: id.into(), resources: Resources::new(), role: None, details: Details::new() }
    }

    /// Sets a further field.
    #[must_use]
    pub fn detail(mut self, name: impl Into<Text>, value: impl Into<Json>) -> Self {
        self.details.insert(name, value);
        self
    }
}
