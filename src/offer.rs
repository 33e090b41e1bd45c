//! What the two levels hand each other: [`Offer`], the answers to it, and [`Operation`].

mod operation;
mod operation_status;

pub(crate) use operation::volume_id;
pub use operation::{Conversion, Operation, OperationError};
pub use operation_status::{OperationState, OperationStatus};

use crate::agent::{Domain, Unavailability};
use crate::attributes::Attributes;
use crate::id::{AgentId, ExecutorId, FrameworkId, OfferId, OperationId};
use crate::resources::Resources;
use crate::role::Role;
use crate::task::Task;
use serde_json::{Map, Value as Json};
use smol_str::SmolStr;
use std::collections::BTreeMap;
use std::time::Duration;

/// Resources of one agent, offered to one framework under one of its roles.
///
/// It is the framework's until it accepts, declines, or the master rescinds it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Offer {
    /// Its id.
    pub id: OfferId,
    /// To whom.
    pub framework: FrameworkId,
    /// In whose name.
    pub role: Role,
    /// On which agent.
    pub agent: AgentId,
    /// The agent's host.
    pub hostname: SmolStr,
    /// What is offered.
    pub resources: Resources,
    /// What the agent says of itself.
    pub attributes: Attributes,
    /// Where the agent stands, if it says so.
    pub domain: Option<Domain>,
    /// When the agent will be down, if that is planned.
    pub unavailability: Option<Unavailability>,
    /// The framework's executors that run on the agent, where the master knows of them.
    pub executors: Vec<ExecutorId>,
    /// Further fields, by Mesos' names (`url`), untouched.
    pub details: Map<String, Json>,
}

impl Offer {
    /// An offer of these resources, with nothing else said of the agent.
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
            details: Map::new(),
        }
    }
}

/// A request to give back what a framework's tasks hold on an agent that will be down.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InverseOffer {
    /// Its id.
    pub id: OfferId,
    /// To whom.
    pub framework: FrameworkId,
    /// Of which agent.
    pub agent: AgentId,
    /// When the agent will be down.
    pub unavailability: Unavailability,
    /// Further fields, by Mesos' names (`url`), untouched.
    pub details: Map<String, Json>,
}

impl InverseOffer {
    /// A request to that framework, because that agent will be down then.
    #[must_use]
    pub fn new(
        id: impl Into<OfferId>,
        framework: impl Into<FrameworkId>,
        agent: impl Into<AgentId>,
        unavailability: Unavailability,
    ) -> Self {
        Self { id: id.into(), framework: framework.into(), agent: agent.into(), unavailability, details: Map::new() }
    }
}

/// For how long a framework does not want to be offered again what it turned down.
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
    /// How long; zero makes no filter.
    pub refuse: Duration,
}

impl Filters {
    /// The longest refusal: 365 days (Mesos, `master.cpp`).
    pub const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

    /// No filter: it may be offered again at once.
    pub const NONE: Self = Self { refuse: Duration::ZERO };

    /// A refusal of that length, or of 365 days if that is less.
    #[must_use]
    pub fn refuse_for(span: Duration) -> Self {
        Self { refuse: span.min(Self::LONGEST) }
    }

    /// A refusal as Mesos reads it: absent or negative is 5 s, more than a year is a year (`hierarchical.cpp`).
    pub(crate) fn from_seconds(refuse_seconds: Option<f64>) -> Self {
        match refuse_seconds {
            Some(0.0) => Self::NONE,
            Some(seconds) if seconds > 0.0 => {
                // Only exactly 0 makes no filter: what rounds to nothing still lasts a batch interval.
                let span = Duration::try_from_secs_f64(seconds).unwrap_or(Self::LONGEST);
                Self::refuse_for(span.max(Duration::from_nanos(1)))
            }
            _ => Self::default(),
        }
    }

    /// As it is written; none if it is what is taken when nothing is said.
    pub(crate) fn seconds(self) -> Option<f64> {
        (self != Self::default()).then_some(self.refuse.as_secs_f64())
    }
}

impl Default for Filters {
    /// Five seconds, as in Mesos.
    fn default() -> Self {
        Self { refuse: Duration::from_secs(5) }
    }
}

/// A framework's answer to offers that it takes something of.
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
    /// The offers: of one agent, under one role.
    pub offers: Vec<OfferId>,
    /// What to do with them, in this order, each seeing what the one before left.
    pub operations: Vec<Operation>,
    /// For how long not to be offered what is left over.
    pub filters: Filters,
    /// Which of the operations, by their place in the list, to be told the outcome of, and under what name.
    pub feedback: BTreeMap<usize, OperationId>,
    /// The role of the offers, where the answer says so.
    pub role: Option<Role>,
    /// The agent of the offers, where the answer says so.
    pub agent: Option<AgentId>,
}

impl Accept {
    /// An answer to that offer, taking nothing yet.
    #[must_use]
    pub fn of(offer: &Offer) -> Self {
        let (role, agent) = (Some(offer.role.clone()), Some(offer.agent.clone()));
        Self { role, agent, ..Self::to([offer.id.clone()]) }
    }

    /// An answer to these offers, of one agent and one role, taking nothing yet.
    #[must_use]
    pub fn to(offers: impl IntoIterator<Item = OfferId>) -> Self {
        Self {
            offers: offers.into_iter().collect(),
            operations: Vec::new(),
            filters: Filters::default(),
            feedback: BTreeMap::new(),
            role: None,
            agent: None,
        }
    }

    /// The same, to one more offer of the same agent and role.
    #[must_use]
    pub fn and(mut self, offer: &Offer) -> Self {
        self.offers.push(offer.id.clone());
        self
    }

    /// The same, launching one more task.
    #[must_use]
    pub fn launch(mut self, task: Task) -> Self {
        let task = self.place(task);
        match self.operations.last_mut() {
            Some(Operation::Launch(tasks)) => tasks.push(task),
            _ => self.operations.push(Operation::Launch(vec![task])),
        }
        self
    }

    /// The same, launching these tasks, all or none.
    #[must_use]
    pub fn launch_group(mut self, tasks: impl IntoIterator<Item = Task>) -> Self {
        let tasks = tasks.into_iter().map(|task| self.place(task)).collect();
        self.operations.push(Operation::LaunchGroup(tasks));
        self
    }

    /// The same, with one more operation.
    #[must_use]
    pub fn then(mut self, operation: Operation) -> Self {
        self.operations.push(operation);
        self
    }

    /// The same, with one more operation, of which the framework wants to hear how it went.
    #[must_use]
    pub fn then_tell(mut self, id: impl Into<OperationId>, operation: Operation) -> Self {
        self.feedback.insert(self.operations.len(), id.into());
        self.then(operation)
    }

    /// The tasks that it launches, in order.
    pub fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.operations.iter().flat_map(Operation::tasks)
    }

    /// Tells a task where it goes, if it does not say so itself.
    fn place(&self, task: Task) -> Task {
        let (agent, role) = (task.agent.or_else(|| self.agent.clone()), task.role.or_else(|| self.role.clone()));
        Task { agent, role, ..task }
    }

    /// The same, not wanting to be offered what is left over for that long.
    #[must_use]
    pub fn refuse_rest_for(mut self, span: Duration) -> Self {
        self.filters = Filters::refuse_for(span);
        self
    }
}
