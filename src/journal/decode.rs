//! Decoding: from the serde types of `raw` to commands, with all values checked.

use super::raw::{
    Acknowledge, AddAgent, Amounts, Configure, ExecutorEnded, FrameworkRoles, Grow, Id, Kill, OfferAnswer, Operate,
    RawAccept, RawCommand, RawExecutor, RawFramework, RawMessage, RawOperation, RawOperationRef, RawOrder,
    RawRunningTask, RawSorter, RawStatus, RawTask, RawUnavailability, Reconcile, ReconcileOperations, ResourceList,
    SetMaintenance, SetQuota, SetWeight, SetWhitelist, Shrink, TaskList, UpdateAgent, VolumeList,
};
use crate::agent::{Agent, Unavailability};
use crate::allocator::{AgentOrder, Drf, Hdrf, Quota, Random, SorterChoice, Weight, WeightError};
use crate::attributes::{AttributeError, Attributes};
use crate::framework::{Capability, Framework, OfferConstraintError, OfferConstraints};
use crate::id::{AgentId, FrameworkId};
use crate::json::Number;
use crate::master::{AgentUpdate, Command, Config, ExecutorRef, RunningTask};
use crate::offer::{Accept, Filters, Operation};
use crate::resources::{Quantities, Resource, ResourceError, Resources, Scalar, ScalarError, Written};
use crate::role::{Role, RoleError};
use crate::scheduler::{self, Call, OperationRef, TaskRef};
use crate::task::{Task, TaskState, TaskStatus};
use crate::time::{Time, TimeError};
use smol_str::SmolStr;
use std::time::Duration;

/// The reason why a value of the right JSON type is invalid. The command is rejected.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// Resources are invalid.
    #[error(transparent)]
    Resources(#[from] ResourceError),
    /// An amount is invalid.
    #[error(transparent)]
    Scalar(#[from] ScalarError),
    /// Attributes are invalid.
    #[error(transparent)]
    Attributes(#[from] AttributeError),
    /// A role is invalid.
    #[error(transparent)]
    Role(#[from] RoleError),
    /// Offer constraints are invalid.
    #[error(transparent)]
    OfferConstraints(#[from] OfferConstraintError),
    /// A weight is invalid.
    #[error(transparent)]
    Weight(#[from] WeightError),
    /// A task state is unknown.
    #[error("{0:?} is not a task state: expected one such as TASK_RUNNING")]
    TaskState(SmolStr),
    /// A time or duration is invalid.
    #[error(transparent)]
    Time(#[from] TimeError),
    /// The allocation interval is zero.
    #[error("an allocation interval of 0 s: expected more than 0.000001")]
    ZeroInterval,
    /// A sorter or an agent order is unknown.
    #[error("{found:?} is not {kind}: expected {expected}")]
    UnknownName {
        /// The kind of name that is expected, with its article.
        kind: &'static str,
        /// The name found.
        found: SmolStr,
        /// The names that there are.
        expected: &'static str,
    },
    /// `configure` is not the first command.
    #[error("`configure` must be the first command")]
    LateConfigure,
    /// A volume is not exactly one resource.
    #[error("{0} resources: expected one")]
    NotOneResource(usize),
    /// The line is for the replay itself, not a command for the master.
    #[error("{0} is not for the master")]
    NotForMaster(&'static str),
}

impl TryFrom<Configure> for Config {
    type Error = ValueError;

    fn try_from(raw: Configure) -> Result<Self, ValueError> {
        let mut config = Self::default();
        if let Some(interval) = raw.allocation_interval {
            config.allocation_interval = span(interval)?;
        }
        if config.allocation_interval.is_zero() {
            return Err(ValueError::ZeroInterval);
        }
        config.offer_timeout = raw.offer_timeout.map(span).transpose()?;
        if let Some(minimums) = raw.min_allocatable {
            config.options.min_allocatable = minimums.into_iter().map(quantities).collect::<Result<_, _>>()?;
        }
        config.options.fair_sharing_excluded = raw.fair_sharing_excluded.unwrap_or_default();
        config.options.filter_gpu_resources = raw.filter_gpu_resources.unwrap_or(true);
        config.options.domain = raw.domain;
        config.sorter = match raw.sorter {
            None => SorterChoice::default(),
            Some(RawSorter::Random { random }) => SorterChoice::Random(Random::new(random)),
            Some(RawSorter::Name(name)) => match name.as_str() {
                "drf" => SorterChoice::Drf(Drf::default()),
                "random" => SorterChoice::Random(Random::new(0)),
                "hdrf" => SorterChoice::Hdrf(Hdrf::default()),
                _ => {
                    let expected = "drf, hdrf or random";
                    return Err(ValueError::UnknownName { kind: "a sorter", found: name, expected });
                }
            },
        };
        config.options.agent_order = match raw.agent_order {
            None => AgentOrder::Insertion,
            Some(RawOrder::Shuffle { shuffle }) => AgentOrder::Shuffle(shuffle),
            Some(RawOrder::Name(name)) if name == "insertion" => AgentOrder::Insertion,
            Some(RawOrder::Name(found)) => {
                return Err(ValueError::UnknownName { kind: "an order of agents", found, expected: "insertion" });
            }
        };
        Ok(config)
    }
}

impl TryFrom<RawCommand> for Command {
    type Error = ValueError;

    /// Decodes a command for the master. `configure`, `advance`, `explain` and `state` are handled by the replay.
    fn try_from(raw: RawCommand) -> Result<Self, ValueError> {
        use RawCommand as R;
        Ok(match raw {
            R::AddAgent(raw) => add_agent(*raw)?,
            R::UpdateAgent(raw) => Self::UpdateAgent(AgentUpdate::try_from(*raw)?),
            R::RemoveAgent(Id { id }) => Self::RemoveAgent(AgentId::new(id)),
            R::DeactivateAgent(Id { id }) => Self::DeactivateAgent(AgentId::new(id)),
            R::ActivateAgent(Id { id }) => Self::ActivateAgent(AgentId::new(id)),
            R::AddFramework(raw) => Self::AddFramework(Framework::try_from(*raw)?),
            R::UpdateFramework(raw) => Self::UpdateFramework(Framework::try_from(*raw)?),
            R::RemoveFramework(Id { id }) => Self::RemoveFramework(FrameworkId::new(id)),
            R::DeactivateFramework(Id { id }) => Self::DeactivateFramework(FrameworkId::new(id)),
            R::ActivateFramework(Id { id }) => Self::ActivateFramework(FrameworkId::new(id)),
            R::SetWeight(SetWeight { role, weight }) => {
                Self::SetWeight(Role::new(role)?, Weight::try_from_f64(weight)?)
            }
            R::SetWhitelist(SetWhitelist { hostnames }) => Self::SetWhitelist(hostnames),
            R::Suppress(FrameworkRoles { framework, roles }) => {
                Self::Call(framework, Call::Suppress(read_roles(roles)?))
            }
            R::Revive(FrameworkRoles { framework, roles }) => Self::Call(framework, Call::Revive(read_roles(roles)?)),
            R::Accept(raw) => Self::Call(raw.framework.clone(), Call::Accept(Accept::try_from(raw)?)),
            R::Decline(OfferAnswer { framework, offers, refuse_seconds }) => {
                Self::Call(framework, Call::Decline { offers, filters: Filters::from_seconds(refuse_seconds) })
            }
            R::TaskStatus(RawStatus { framework, task, state, reason, message }) => {
                Self::TaskStatus(framework, TaskStatus { reason, message, ..TaskStatus::new(task, read_state(state)?) })
            }
            R::Kill(Kill { framework, task, grace }) => {
                let grace = grace.map(span).transpose()?;
                Self::Call(framework, Call::Kill(scheduler::Kill { grace, ..task.into() }))
            }
            R::Reconcile(Reconcile { framework, tasks }) => {
                let tasks = tasks.map(|tasks| tasks.into_iter().map(TaskRef::from).collect());
                Self::Call(framework, Call::Reconcile(tasks))
            }
            R::Subscribe(raw) => Self::Call(raw.id.clone(), Call::Subscribe(Box::new(Framework::try_from(*raw)?))),
            R::Acknowledge(Acknowledge { framework, agent, task, uuid }) => {
                Self::Call(framework, Call::Acknowledge { agent, task, uuid })
            }
            R::Message(RawMessage { framework, agent, executor, data }) => {
                Self::Call(framework, Call::Message { agent, executor, data: data.0 })
            }
            R::Shutdown(RawExecutor { framework, agent, executor }) => {
                Self::Call(framework, Call::Shutdown { agent, executor })
            }
            R::ReconcileOperations(ReconcileOperations { framework, operations }) => {
                let read = |RawOperationRef { operation, agent }| OperationRef { agent, ..operation.into() };
                Self::Call(framework, Call::ReconcileOperations(operations.into_iter().map(read).collect()))
            }
            R::ExecutorMessage(RawMessage { framework, agent, executor, data }) => {
                Self::ExecutorMessage(ExecutorRef::new(framework, agent, executor), data.0)
            }
            R::ExecutorEnded(ExecutorEnded { framework, agent, executor, status }) => {
                Self::ExecutorEnded(ExecutorRef::new(framework, agent, executor), status)
            }
            R::Operate(Operate { agent, operations }) => {
                Self::Operate(agent, operations.into_iter().map(Operation::try_from).collect::<Result<_, _>>()?)
            }
            R::SetQuota(SetQuota { role, guarantees, limits }) => {
                let guarantees = quantities(guarantees.unwrap_or_default())?;
                Self::SetQuota(Role::new(role)?, Quota::new(guarantees, limits.unwrap_or_default().try_into()?))
            }
            R::SetMaintenance(SetMaintenance { agent, unavailability }) => {
                Self::SetMaintenance(agent, unavailability.map(Unavailability::try_from).transpose()?)
            }
            R::AcceptInverseOffer(OfferAnswer { framework, offers, refuse_seconds }) => Self::Call(
                framework,
                Call::AcceptInverseOffers { offers, filters: Filters::from_seconds(refuse_seconds) },
            ),
            R::DeclineInverseOffer(OfferAnswer { framework, offers, refuse_seconds }) => Self::Call(
                framework,
                Call::DeclineInverseOffers { offers, filters: Filters::from_seconds(refuse_seconds) },
            ),
            R::Configure(_) => return Err(ValueError::LateConfigure),
            R::Explain(_) | R::Advance(_) | R::State(_) => {
                return Err(ValueError::NotForMaster(raw.name()));
            }
        })
    }
}

fn add_agent(raw: AddAgent) -> Result<Command, ValueError> {
    let mut agent = Agent::new(raw.id, Resources::try_from(raw.resources)?);
    if let Some(hostname) = raw.hostname {
        agent.hostname = hostname;
    }
    agent.attributes = raw.attributes.map(Attributes::try_from).transpose()?.unwrap_or_default();
    agent.domain = raw.domain;
    agent.unavailability = raw.unavailability.map(Unavailability::try_from).transpose()?;
    let running = raw.tasks.unwrap_or_default().into_iter().map(RunningTask::try_from);
    Ok(Command::AddAgent(agent, running.collect::<Result<_, _>>()?))
}

impl TryFrom<RawUnavailability> for Unavailability {
    type Error = ValueError;

    fn try_from(raw: RawUnavailability) -> Result<Self, ValueError> {
        let duration = raw.duration.map(span).transpose()?;
        Ok(Self { start: Time::try_from(raw.start)?, duration })
    }
}

impl TryFrom<RawRunningTask> for RunningTask {
    type Error = ValueError;

    fn try_from(raw: RawRunningTask) -> Result<Self, ValueError> {
        let task = Task::new(raw.id, Resources::try_from(raw.resources)?);
        Ok(Self::new(raw.framework, Role::new(raw.role)?, task))
    }
}

impl TryFrom<UpdateAgent> for AgentUpdate {
    type Error = ValueError;

    fn try_from(raw: UpdateAgent) -> Result<Self, ValueError> {
        let mut update = Self::new(raw.id);
        update.resources = raw.resources.map(Resources::try_from).transpose()?;
        update.attributes = raw.attributes.map(Attributes::try_from).transpose()?;
        update.domain = raw.domain;
        Ok(update)
    }
}

impl TryFrom<RawFramework> for Framework {
    type Error = ValueError;

    fn try_from(raw: RawFramework) -> Result<Self, ValueError> {
        let mut framework = Self::new(raw.id);
        framework.name = raw.name;
        if let Some(v1) = raw.offer_constraints {
            framework.offer_constraints = OfferConstraints::from_v1(v1)?;
        }
        framework.roles = read_roles(Some(raw.roles))?;
        framework.suppressed = read_roles(raw.suppressed_roles)?;
        let names = raw.capabilities.unwrap_or_default();
        let all = Capability::ALL.into_iter();
        framework.capabilities = all.filter(|known| names.iter().any(|name| name == known.as_str())).collect();
        for (role, filter) in raw.offer_filters.unwrap_or_default() {
            let minimums = filter.min_allocatable_resources.unwrap_or_default().into_iter().map(quantities);
            framework.offer_filters.insert(Role::new(role)?, minimums.collect::<Result<_, _>>()?);
        }
        Ok(framework)
    }
}

impl TryFrom<RawAccept> for Accept {
    type Error = ValueError;

    fn try_from(raw: RawAccept) -> Result<Self, ValueError> {
        let operations = raw.operations.into_iter().map(Operation::try_from).collect::<Result<_, _>>()?;
        let (filters, feedback) = (Filters::from_seconds(raw.refuse_seconds), raw.feedback.unwrap_or_default());
        Ok(Self { operations, filters, feedback, ..Self::to(raw.offers) })
    }
}

impl TryFrom<RawOperation> for Operation {
    type Error = ValueError;

    fn try_from(raw: RawOperation) -> Result<Self, ValueError> {
        use RawOperation as R;
        Ok(match raw {
            R::Launch(TaskList { tasks }) => Self::Launch(read_tasks(tasks)?),
            R::LaunchGroup(TaskList { tasks }) => Self::LaunchGroup(read_tasks(tasks)?),
            R::Reserve(ResourceList { resources }) => Self::Reserve(resources.try_into()?),
            R::Unreserve(ResourceList { resources }) => Self::Unreserve(resources.try_into()?),
            R::Create(VolumeList { volumes }) => Self::Create(volumes.try_into()?),
            R::Destroy(VolumeList { volumes }) => Self::Destroy(volumes.try_into()?),
            R::GrowVolume(Grow { volume, addition }) => {
                Self::GrowVolume { volume: one_resource(volume)?, addition: one_resource(addition)? }
            }
            R::ShrinkVolume(Shrink { volume, subtract }) => {
                Self::ShrinkVolume { volume: one_resource(volume)?, subtract: Scalar::try_from(subtract)? }
            }
        })
    }
}

fn one_resource(raw: Written) -> Result<Box<Resource>, ValueError> {
    let resources = Resources::try_from(raw)?;
    let count = resources.iter().count();
    let mut resources = resources.into_iter();
    match (resources.next(), count) {
        (Some(resource), 1) => Ok(Box::new(resource)),
        _ => Err(ValueError::NotOneResource(count)),
    }
}

fn read_tasks(tasks: Vec<RawTask>) -> Result<Vec<Task>, ValueError> {
    let task = |raw: RawTask| {
        let resources = Resources::try_from(raw.resources)?;
        Ok(Task { details: raw.details, ..Task::new(raw.id, resources) })
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

fn span(seconds: Number) -> Result<Duration, ValueError> {
    Ok(Time::try_from(seconds)?.since(Time::ZERO))
}
