//! From what is written to what it means.

use super::raw::{
    Acknowledge, AddAgent, Amounts, Answer, Configure, Grow, Id, Kill, Operate, Reconcile, ReconcileOperations, Roles,
    SetMaintenance, SetQuota, SetWeight, SetWhitelist, Shrink, Taken, Tasks, UpdateAgent, Volumes, WrittenAccept,
    WrittenCommand, WrittenEnd, WrittenExecutor, WrittenFramework, WrittenMessage, WrittenOperation, WrittenOrder,
    WrittenReference, WrittenRunning, WrittenSorter, WrittenStatus, WrittenTask, WrittenUnavailability,
};
use crate::agent::{Agent, Unavailability};
use crate::allocator::{AgentOrder, Drf, Hdrf, Quota, Random, SorterChoice, Weight, WeightError};
use crate::attributes::{AttributeError, Attributes};
use crate::framework::{Capability, Framework, OfferConstraintError, OfferConstraints};
use crate::id::{AgentId, FrameworkId};
use crate::master::{AgentUpdate, Command, Config, ExecutorRef, RunningTask};
use crate::offer::{Accept, Filters, Operation};
use crate::resources::{Quantities, Resource, ResourceError, Resources, Scalar, ScalarError, Written};
use crate::role::{Role, RoleError};
use crate::scheduler::{self, Call, OperationRef, TaskRef};
use crate::task::{Task, TaskState, TaskStatus};
use crate::time::{Time, TimeError};
use smol_str::SmolStr;
use std::time::Duration;

/// A value of the right JSON type that means nothing: the command is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// Resources that are none.
    #[error(transparent)]
    Resources(#[from] ResourceError),
    /// An amount that is none.
    #[error(transparent)]
    Scalar(#[from] ScalarError),
    /// Attributes that are none.
    #[error(transparent)]
    Attributes(#[from] AttributeError),
    /// A role that is none.
    #[error(transparent)]
    Role(#[from] RoleError),
    /// Offer constraints that are none.
    #[error(transparent)]
    OfferConstraints(#[from] OfferConstraintError),
    /// A weight that is none.
    #[error(transparent)]
    Weight(#[from] WeightError),
    /// A task state that is none.
    #[error("{0:?} is not a task state: expected one such as TASK_RUNNING")]
    TaskState(SmolStr),
    /// A time that is none.
    #[error(transparent)]
    Time(#[from] TimeError),
    /// A batch interval without length.
    #[error("an allocation interval of 0 s: expected more than 0.000001")]
    NoInterval,
    /// A name that is not among those of its kind.
    #[error("{found:?} is not {name}: expected {expected}")]
    Name {
        /// What it should name.
        name: &'static str,
        /// What was given.
        found: SmolStr,
        /// What there is.
        expected: &'static str,
    },
    /// `configure` after the first line.
    #[error("`configure` must be the first command")]
    LateConfigure,
    /// A volume that is not one resource.
    #[error("{0} resources: expected one")]
    NotOne(usize),
    /// A line that asks a replay for something, and changes nothing.
    #[error("{0} is not for the master")]
    NoCommand(&'static str),
}

impl TryFrom<Configure> for Config {
    type Error = ValueError;

    fn try_from(written: Configure) -> Result<Self, ValueError> {
        let mut config = Self::default();
        if let Some(interval) = written.allocation_interval {
            config.allocation_interval = span(interval)?;
        }
        if config.allocation_interval.is_zero() {
            return Err(ValueError::NoInterval);
        }
        config.offer_timeout = written.offer_timeout.map(span).transpose()?;
        if let Some(minimums) = written.min_allocatable {
            config.options.min_allocatable = minimums.into_iter().map(quantities).collect::<Result<_, _>>()?;
        }
        config.options.fair_sharing_excluded = written.fair_sharing_excluded.unwrap_or_default();
        config.options.filter_gpu_resources = written.filter_gpu_resources.unwrap_or(true);
        config.options.domain = written.domain;
        config.sorter = match written.sorter {
            None => SorterChoice::default(),
            Some(WrittenSorter::Random { random }) => SorterChoice::Random(Random::new(random)),
            Some(WrittenSorter::Name(name)) => match name.as_str() {
                "drf" => SorterChoice::Drf(Drf::default()),
                "random" => SorterChoice::Random(Random::new(0)),
                "hdrf" => SorterChoice::Hdrf(Hdrf::default()),
                _ => return Err(ValueError::Name { name: "a sorter", found: name, expected: "drf, hdrf or random" }),
            },
        };
        config.options.agent_order = match written.agent_order {
            None => AgentOrder::Insertion,
            Some(WrittenOrder::Shuffle { shuffle }) => AgentOrder::Shuffle(shuffle),
            Some(WrittenOrder::Name(name)) if name == "insertion" => AgentOrder::Insertion,
            Some(WrittenOrder::Name(found)) => {
                return Err(ValueError::Name { name: "an order of agents", found, expected: "insertion" });
            }
        };
        Ok(config)
    }
}

impl TryFrom<WrittenCommand> for Command {
    type Error = ValueError;

    /// Reads the values of a command to the machine; `configure`, `advance`, `explain` and `state` are the replay's own.
    fn try_from(written: WrittenCommand) -> Result<Self, ValueError> {
        use WrittenCommand as W;
        Ok(match written {
            W::AddAgent(written) => add_agent(*written)?,
            W::UpdateAgent(written) => Self::UpdateAgent(AgentUpdate::try_from(*written)?),
            W::RemoveAgent(Id { id }) => Self::RemoveAgent(AgentId::new(id)),
            W::DeactivateAgent(Id { id }) => Self::DeactivateAgent(AgentId::new(id)),
            W::ActivateAgent(Id { id }) => Self::ActivateAgent(AgentId::new(id)),
            W::AddFramework(written) => Self::AddFramework(Framework::try_from(*written)?),
            W::UpdateFramework(written) => Self::UpdateFramework(Framework::try_from(*written)?),
            W::RemoveFramework(Id { id }) => Self::RemoveFramework(FrameworkId::new(id)),
            W::DeactivateFramework(Id { id }) => Self::DeactivateFramework(FrameworkId::new(id)),
            W::ActivateFramework(Id { id }) => Self::ActivateFramework(FrameworkId::new(id)),
            W::SetWeight(SetWeight { role, weight }) => {
                Self::SetWeight(Role::new(role)?, Weight::try_from_f64(weight)?)
            }
            W::SetWhitelist(SetWhitelist { hostnames }) => Self::SetWhitelist(hostnames),
            W::Suppress(Roles { framework, roles }) => Self::Call(framework, Call::Suppress(read_roles(roles)?)),
            W::Revive(Roles { framework, roles }) => Self::Call(framework, Call::Revive(read_roles(roles)?)),
            W::Accept(written) => Self::Call(written.framework.clone(), Call::Accept(Accept::try_from(written)?)),
            W::Decline(Answer { framework, offers, refuse_seconds }) => {
                Self::Call(framework, Call::Decline { offers, filters: Filters::from_seconds(refuse_seconds) })
            }
            W::TaskStatus(WrittenStatus { framework, task, state, reason, message }) => {
                Self::TaskStatus(framework, TaskStatus { reason, message, ..TaskStatus::new(task, read_state(state)?) })
            }
            W::Kill(Kill { framework, task, grace }) => {
                let grace = grace.map(span).transpose()?;
                Self::Call(framework, Call::Kill(scheduler::Kill { grace, ..task.into() }))
            }
            W::Reconcile(Reconcile { framework, tasks }) => {
                let tasks = tasks.map(|tasks| tasks.into_iter().map(TaskRef::from).collect());
                Self::Call(framework, Call::Reconcile(tasks))
            }
            W::Subscribe(written) => {
                Self::Call(written.id.clone(), Call::Subscribe(Box::new(Framework::try_from(*written)?)))
            }
            W::Acknowledge(Acknowledge { framework, agent, task, uuid }) => {
                Self::Call(framework, Call::Acknowledge { agent, task, uuid })
            }
            W::Message(WrittenMessage { framework, agent, executor, data }) => {
                Self::Call(framework, Call::Message { agent, executor, data: data.0 })
            }
            W::Shutdown(WrittenExecutor { framework, agent, executor }) => {
                Self::Call(framework, Call::Shutdown { agent, executor })
            }
            W::ReconcileOperations(ReconcileOperations { framework, operations }) => {
                let read = |WrittenReference { operation, agent }| OperationRef { agent, ..operation.into() };
                Self::Call(framework, Call::ReconcileOperations(operations.into_iter().map(read).collect()))
            }
            W::ExecutorMessage(WrittenMessage { framework, agent, executor, data }) => {
                Self::ExecutorMessage(ExecutorRef::new(framework, agent, executor), data.0)
            }
            W::ExecutorEnded(WrittenEnd { framework, agent, executor, status }) => {
                Self::ExecutorEnded(ExecutorRef::new(framework, agent, executor), status)
            }
            W::Operate(Operate { agent, operations }) => {
                Self::Operate(agent, operations.into_iter().map(Operation::try_from).collect::<Result<_, _>>()?)
            }
            W::SetQuota(SetQuota { role, guarantees, limits }) => {
                let guarantees = quantities(guarantees.unwrap_or_default())?;
                Self::SetQuota(Role::new(role)?, Quota::new(guarantees, limits.unwrap_or_default().try_into()?))
            }
            W::SetMaintenance(SetMaintenance { agent, unavailability }) => {
                Self::SetMaintenance(agent, unavailability.map(Unavailability::try_from).transpose()?)
            }
            W::AcceptInverseOffer(Answer { framework, offers, refuse_seconds }) => Self::Call(
                framework,
                Call::AcceptInverseOffers { offers, filters: Filters::from_seconds(refuse_seconds) },
            ),
            W::DeclineInverseOffer(Answer { framework, offers, refuse_seconds }) => Self::Call(
                framework,
                Call::DeclineInverseOffers { offers, filters: Filters::from_seconds(refuse_seconds) },
            ),
            W::Configure(_) => return Err(ValueError::LateConfigure),
            W::Explain(_) | W::Advance(_) | W::State(_) => {
                return Err(ValueError::NoCommand(written.name()));
            }
        })
    }
}

fn add_agent(written: AddAgent) -> Result<Command, ValueError> {
    let mut agent = Agent::new(written.id, Resources::try_from(written.resources)?);
    if let Some(hostname) = written.hostname {
        agent.hostname = hostname;
    }
    agent.attributes = written.attributes.map(Attributes::try_from).transpose()?.unwrap_or_default();
    agent.domain = written.domain;
    agent.unavailability = written.unavailability.map(Unavailability::try_from).transpose()?;
    let running = written.tasks.unwrap_or_default().into_iter().map(RunningTask::try_from);
    Ok(Command::AddAgent(agent, running.collect::<Result<_, _>>()?))
}

impl TryFrom<WrittenUnavailability> for Unavailability {
    type Error = ValueError;

    fn try_from(written: WrittenUnavailability) -> Result<Self, ValueError> {
        let duration = written.duration.map(span).transpose()?;
        Ok(Self { start: Time::try_from_secs_f64(written.start)?, duration })
    }
}

impl TryFrom<WrittenRunning> for RunningTask {
    type Error = ValueError;

    fn try_from(written: WrittenRunning) -> Result<Self, ValueError> {
        let task = Task::new(written.id, Resources::try_from(written.resources)?);
        Ok(Self::new(written.framework, Role::new(written.role)?, task))
    }
}

impl TryFrom<UpdateAgent> for AgentUpdate {
    type Error = ValueError;

    fn try_from(written: UpdateAgent) -> Result<Self, ValueError> {
        let mut update = Self::new(written.id);
        update.resources = written.resources.map(Resources::try_from).transpose()?;
        update.attributes = written.attributes.map(Attributes::try_from).transpose()?;
        update.domain = written.domain;
        Ok(update)
    }
}

impl TryFrom<WrittenFramework> for Framework {
    type Error = ValueError;

    fn try_from(written: WrittenFramework) -> Result<Self, ValueError> {
        let mut framework = Self::new(written.id);
        framework.name = written.name;
        if let Some(v1) = written.offer_constraints {
            framework.offer_constraints = OfferConstraints::from_v1(v1)?;
        }
        framework.roles = read_roles(Some(written.roles))?;
        framework.suppressed = read_roles(written.suppressed_roles)?;
        let named = written.capabilities.unwrap_or_default();
        let known = Capability::ALL.into_iter();
        framework.capabilities = known.filter(|known| named.iter().any(|name| name == known.as_str())).collect();
        for (role, filter) in written.offer_filters.unwrap_or_default() {
            let minimums = filter.min_allocatable_resources.unwrap_or_default().into_iter().map(quantities);
            framework.offer_filters.insert(Role::new(role)?, minimums.collect::<Result<_, _>>()?);
        }
        Ok(framework)
    }
}

impl TryFrom<WrittenAccept> for Accept {
    type Error = ValueError;

    fn try_from(written: WrittenAccept) -> Result<Self, ValueError> {
        let operations = written.operations.into_iter().map(Operation::try_from).collect::<Result<_, _>>()?;
        let (filters, feedback) = (Filters::from_seconds(written.refuse_seconds), written.feedback.unwrap_or_default());
        Ok(Self { operations, filters, feedback, ..Self::to(written.offers) })
    }
}

impl TryFrom<WrittenOperation> for Operation {
    type Error = ValueError;

    fn try_from(written: WrittenOperation) -> Result<Self, ValueError> {
        use WrittenOperation as W;
        Ok(match written {
            W::Launch(Tasks { tasks }) => Self::Launch(read_tasks(tasks)?),
            W::LaunchGroup(Tasks { tasks }) => Self::LaunchGroup(read_tasks(tasks)?),
            W::Reserve(Taken { resources }) => Self::Reserve(resources.try_into()?),
            W::Unreserve(Taken { resources }) => Self::Unreserve(resources.try_into()?),
            W::Create(Volumes { volumes }) => Self::Create(volumes.try_into()?),
            W::Destroy(Volumes { volumes }) => Self::Destroy(volumes.try_into()?),
            W::GrowVolume(Grow { volume, addition }) => {
                Self::GrowVolume { volume: one(volume)?, addition: one(addition)? }
            }
            W::ShrinkVolume(Shrink { volume, subtract }) => {
                Self::ShrinkVolume { volume: one(volume)?, subtract: Scalar::try_from_f64(subtract)? }
            }
        })
    }
}

fn one(written: Written) -> Result<Box<Resource>, ValueError> {
    let resources = Resources::try_from(written)?;
    let count = resources.iter().count();
    let mut resources = resources.into_iter();
    match (resources.next(), count) {
        (Some(resource), 1) => Ok(Box::new(resource)),
        _ => Err(ValueError::NotOne(count)),
    }
}

fn read_tasks(tasks: Vec<WrittenTask>) -> Result<Vec<Task>, ValueError> {
    let task = |written: WrittenTask| {
        let resources = Resources::try_from(written.resources)?;
        Ok(Task { details: written.details, ..Task::new(written.id, resources) })
    };
    tasks.into_iter().map(task).collect()
}

fn quantities(amounts: Amounts) -> Result<Quantities, ValueError> {
    Ok(Quantities::try_from(amounts)?)
}

fn read_roles(roles: Option<Vec<SmolStr>>) -> Result<Vec<Role>, ValueError> {
    roles.unwrap_or_default().into_iter().map(|role| Ok(Role::new(role)?)).collect()
}

fn read_state(name: SmolStr) -> Result<TaskState, ValueError> {
    let state = TaskState::ALL.into_iter().find(|state| state.as_str() == name);
    state.ok_or(ValueError::TaskState(name))
}

fn span(seconds: f64) -> Result<Duration, ValueError> {
    Ok(Time::try_from_secs_f64(seconds)?.since(Time::ZERO))
}
