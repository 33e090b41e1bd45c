//! The messages between the two levels of scheduling: [`Offer`], the replies to it, and [`Operation`].

mod operation;
mod operation_status;

pub use operation::{Conversion, Operation, OperationError};
pub(crate) use operation::{fractional_gpus, repeated_volume, volume_id};
pub use operation_status::{OperationState, OperationStatus};

use crate::agent::{Domain, Unavailability};
use crate::attributes::Attributes;
use crate::details::Details;
use crate::id::{AgentId, ExecutorId, FrameworkId, OfferId, OperationId};
use crate::resources::Resources;
use crate::role::Role;
use crate::task::Task;
use crate::text::Text;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// An offer: resources of one agent, offered to one framework for one of its roles.
///
/// The resources stay with the framework until it accepts or declines the offer, or the master rescinds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Offer {
    /// The id.
    pub id: OfferId,
    /// The framework that gets the offer.
    pub framework: FrameworkId,
    /// The role that the resources are offered to.
    pub role: Role,
    /// The agent.
    pub agent: AgentId,
    /// The host name of the agent.
    pub hostname: Text,
    /// The offered resources.
    pub resources: Resources,
    /// The attributes of the agent.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
    /// The fault domain of the agent, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<Domain>,
    /// The next planned maintenance window of the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailability: Option<Unavailability>,
    /// The executors of the framework that run on the agent, if the master knows them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub executors: Vec<ExecutorId>,
    /// Further fields by their Mesos names (`url`), unchanged.
    #[serde(default, skip_serializing_if = "Details::is_empty")]
    pub details: Details,
}

impl Offer {
    /// Makes an offer without metadata of the agent; the host name is the agent's id.
    #[must_use]
    pub fn new(
        id: impl Into<OfferId>,
        framework: impl Into<FrameworkId>,
        role: Role,
        agent: impl Into<AgentId>,
        resources: Resources,
    ) -> Self {
        let agent = agent.into();
        Self {
            id: id.into(),
            framework: framework.into(),
            role,
            hostname: agent.as_str().into(),
            agent,
            resources,
            attributes: Attributes::new(),
            domain: None,
            unavailability: None,
            executors: Vec::new(),
            details: Details::new(),
        }
    }
}

/// An inverse offer: a request to a framework to release its resources on an agent before maintenance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct InverseOffer {
    /// The id.
    pub id: OfferId,
    /// The framework that gets the offer.
    pub framework: FrameworkId,
    /// The agent.
    pub agent: AgentId,
    /// The maintenance window of the agent.
    pub unavailability: Unavailability,
    /// Further fields by their Mesos names (`url`), unchanged.
    #[serde(default, skip_serializing_if = "Details::is_empty")]
    pub details: Details,
}

impl InverseOffer {
    /// Makes a request to a framework for the maintenance window of an agent.
    #[must_use]
    pub fn new(
        id: impl Into<OfferId>,
        framework: impl Into<FrameworkId>,
        agent: impl Into<AgentId>,
        unavailability: Unavailability,
    ) -> Self {
        Self {
            id: id.into(),
            framework: framework.into(),
            agent: agent.into(),
            unavailability,
            details: Details::new(),
        }
    }
}

/// The refusal filter of a reply: how long the framework is not offered again what it declined.
///
/// # Examples
///
/// ```
/// use apportion::Filters;
/// use std::time::Duration;
///
/// assert_eq!(Filters::default().refuse, Duration::from_secs(5));
/// let year = Duration::from_secs(365 * 24 * 60 * 60);
/// assert_eq!(Filters::refuse_for(Duration::MAX).refuse, year);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Filters {
    /// The length of the refusal; zero for no filter.
    pub refuse: Duration,
}

impl Filters {
    /// The longest refusal: 365 days (Mesos, `master.cpp`).
    pub const MAX_REFUSE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

    /// No filter: the resources may be offered again at once.
    pub const NONE: Self = Self { refuse: Duration::ZERO };

    /// Makes a refusal of that length, at most [`MAX_REFUSE`](Self::MAX_REFUSE).
    #[must_use]
    pub fn refuse_for(span: Duration) -> Self {
        Self { refuse: span.min(Self::MAX_REFUSE) }
    }

    /// Makes a refusal by the rules of Mesos (`hierarchical.cpp`): absent or negative is 5 s, more than a year is a
    /// year.
    pub(crate) fn from_seconds(refuse_seconds: Option<f64>) -> Self {
        match refuse_seconds {
            Some(0.0) => Self::NONE,
            Some(seconds) if seconds > 0.0 => {
                // Only exactly 0 means no filter: a length that rounds to 0 still lasts one allocation interval. It is a whole
                // number of microseconds, so that what a double cannot tell apart is read as it was written.
                let micros = Duration::try_from_secs_f64(seconds).unwrap_or(Self::MAX_REFUSE).as_nanos() + 500;
                let span = Duration::from_micros(u64::try_from(micros / 1000).unwrap_or(u64::MAX));
                Self::refuse_for(span.max(Duration::from_nanos(1)))
            }
            _ => Self::default(),
        }
    }

    /// Returns the length in seconds for JSON, or `None` for the default, which is omitted.
    pub(crate) fn seconds(self) -> Option<f64> {
        (self != Self::default()).then_some(self.refuse.as_secs_f64())
    }
}

impl From<Duration> for Filters {
    /// Makes a refusal of that length; see [`Filters::refuse_for`].
    fn from(span: Duration) -> Self {
        Self::refuse_for(span)
    }
}

impl Default for Filters {
    /// Five seconds, as in Mesos.
    fn default() -> Self {
        Self { refuse: Duration::from_secs(5) }
    }
}

/// A reply to offers that uses some of their resources.
///
/// # Examples
///
/// ```
/// use apportion::{Accept, Offer, Role, Task};
/// use std::time::Duration;
///
/// let offer = Offer::new("O1", "marathon", Role::default(), "a1", "cpus:4;mem:1024".parse()?);
/// let task = Task::new("web-1", "cpus:1;mem:64".parse()?);
/// let accept = Accept::of(&offer).launch(task).refuse_rest_for(Duration::from_secs(30));
/// assert_eq!(accept.offers, [offer.id]);
/// # Ok::<(), apportion::ResourceError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Accept {
    /// The offers, all of one agent and one role.
    pub offers: Vec<OfferId>,
    /// The operations, applied in order: each sees the resources that the previous ones left.
    pub operations: Vec<Operation>,
    /// The refusal of the resources that are left over.
    pub filters: Filters,
    /// By index of an operation, the id under which the framework gets status updates of that operation.
    pub feedback: BTreeMap<usize, OperationId>,
    /// The role of the offers, if it is known.
    pub role: Option<Role>,
    /// The agent of the offers, if it is known.
    pub agent: Option<AgentId>,
    /// True if the offers, the tasks and the operations are judged one by one, as Mesos does: what is wrong fails by itself,
    /// with a status for a task, and the rest goes on. Over a connection an accept may cross a rescind, so every transport
    /// sets it. If it is false, anything wrong with the offers or a task rejects the whole accept.
    pub each: bool,
}

impl Accept {
    /// Accepts an offer, without operations yet.
    #[must_use]
    pub fn of(offer: &Offer) -> Self {
        let (role, agent) = (Some(offer.role.clone()), Some(offer.agent.clone()));
        Self { role, agent, ..Self::to([offer.id.clone()]) }
    }

    /// Accepts several offers of one agent and one role, without operations yet.
    #[must_use]
    pub fn to(offers: impl IntoIterator<Item = OfferId>) -> Self {
        Self {
            offers: offers.into_iter().collect(),
            operations: Vec::new(),
            filters: Filters::default(),
            feedback: BTreeMap::new(),
            role: None,
            agent: None,
            each: false,
        }
    }

    /// Accepts one more offer of the same agent and role.
    #[must_use]
    pub fn and(mut self, offer: &Offer) -> Self {
        self.offers.push(offer.id.clone());
        self
    }

    /// Launches a task.
    #[must_use]
    pub fn launch(mut self, task: Task) -> Self {
        let task = self.assign(task);
        match self.operations.last_mut() {
            Some(Operation::Launch(tasks)) => tasks.push(task),
            _ => self.operations.push(Operation::Launch(vec![task])),
        }
        self
    }

    /// Launches a group of tasks, all or none.
    #[must_use]
    pub fn launch_group(mut self, tasks: impl IntoIterator<Item = Task>) -> Self {
        let tasks = tasks.into_iter().map(|task| self.assign(task)).collect();
        self.operations.push(Operation::LaunchGroup(tasks));
        self
    }

    /// Appends an operation.
    #[must_use]
    pub fn then(mut self, operation: Operation) -> Self {
        self.operations.push(operation);
        self
    }

    /// Appends an operation with feedback: the framework gets its status updates under this id.
    #[must_use]
    pub fn then_with_feedback(mut self, id: impl Into<OperationId>, operation: Operation) -> Self {
        self.feedback.insert(self.operations.len(), id.into());
        self.then(operation)
    }

    /// Has the offers, the tasks and the operations judged [one by one](Self::each).
    #[must_use]
    pub fn each(mut self) -> Self {
        self.each = true;
        self
    }

    /// Iterates over the tasks to launch, in order.
    pub fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.operations.iter().flat_map(Operation::tasks)
    }

    /// Sets the agent and role of a task that has none.
    fn assign(&self, task: Task) -> Task {
        let (agent, role) = (task.agent.or_else(|| self.agent.clone()), task.role.or_else(|| self.role.clone()));
        Task { agent, role, ..task }
    }

    /// Refuses the resources that are left over for that long.
    #[must_use]
    pub fn refuse_rest_for(mut self, span: Duration) -> Self {
        self.filters = Filters::refuse_for(span);
        self
    }
}
