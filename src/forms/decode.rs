//! Decoding: from the serde types of `raw` to commands, with all values checked.

use super::raw::*;
use crate::agent::{Agent, Unavailability};
use crate::allocator::{AgentOrder, Drf, Hdrf, Quota, Random, SorterChoice, Weight, WeightError};
use crate::attributes::{AttributeError, Attributes};
use crate::framework::{Capability, Framework, OfferConstraintError, OfferConstraints};
use crate::id::{AgentId, FrameworkId, OfferId};
use crate::invalid::InvalidForm;
use crate::json::{Json, Number};
use crate::master::{
    AgentUpdate, Command, Config, Drain, ExecutorRef, Recovery, Registration, Remembered, RunningExecutor, RunningTask,
};
use crate::offer::{Accept, Filters, Operation};
use crate::resources::{Limits, Quantities, Resource, ResourceError, Resources, Scalar, ScalarError, Written};
use crate::role::{Role, RoleError};
use crate::scheduler::{self, Call, OperationRef, TaskRef};
use crate::task::{StatusSource, Task, TaskState, TaskStatus};
use crate::text::Text;
use crate::time::{Time, TimeError};
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
    TaskState(Text),
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
        found: Text,
        /// The names that there are.
        expected: &'static str,
    },
    /// A status has an unknown source.
    #[error("{0:?} is not the source of a status: expected SOURCE_MASTER, SOURCE_AGENT or SOURCE_EXECUTOR")]
    StatusSource(Text),
    /// The journal is of a later format.
    #[error("format {0}: expected {format} at most", format = super::FORMAT)]
    Format(u64),
    /// `configure` is not the first command.
    #[error("`configure` must be the first command")]
    LateConfigure,
    /// `restore` is not the first command.
    #[error("`restore` must be the first command")]
    LateRestore,
    /// A number of things is not a whole number, or is negative.
    #[error("{field}: {found} is not a number of offers: expected 0, 1, 2 or more")]
    Count {
        /// The name of the field.
        field: &'static str,
        /// The number found.
        found: String,
    },
    /// The least or the most of a resource in an offer is 0.
    #[error("{field}: 0 {name}: expected more, or the name left out")]
    Zero {
        /// The name of the field.
        field: &'static str,
        /// The resource.
        name: Text,
    },
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
        if let Some(format) = raw.format.filter(|format| *format > super::FORMAT) {
            return Err(ValueError::Format(format));
        }
        let mut config = Self { id_prefix: raw.id_prefix.unwrap_or_default(), ..Self::default() };
        if let Some(remembered) = raw.remembered {
            let default = Remembered::default();
            config.remembered = Remembered {
                frameworks: remembered.frameworks.unwrap_or(default.frameworks),
                unreachable_tasks: remembered.unreachable_tasks.unwrap_or(default.unreachable_tasks),
                agents: remembered.agents.unwrap_or(default.agents),
            };
        }
        if let Some(interval) = raw.allocation_interval {
            config.allocation_interval = span(interval)?;
        }
        if config.allocation_interval.is_zero() {
            return Err(ValueError::ZeroInterval);
        }
        config.offer_timeout = raw.offer_timeout.map(span).transpose()?;
        config.timeout_refusal = raw.timeout_refusal.map(span).transpose()?.unwrap_or_default();
        config.options.max_offer = raw.max_offer.map(|most| limits("max_offer", most)).transpose()?.unwrap_or_default();
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
                "other" => SorterChoice::Missing(Drf::default()),
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
            R::AddAgent(raw) => Self::AddAgent(add_agent(*raw)?),
            R::UpdateAgent(raw) => Self::UpdateAgent(AgentUpdate::try_from(*raw)?),
            R::RemoveAgent(Id { id }) => Self::RemoveAgent(AgentId::new(id)),
            R::DeactivateAgent(Id { id }) => Self::DeactivateAgent(AgentId::new(id)),
            R::ActivateAgent(Id { id }) => Self::ActivateAgent(AgentId::new(id)),
            R::DisconnectAgent(Id { id }) => Self::DisconnectAgent(AgentId::new(id)),
            R::AgentUnreachable(Id { id }) => Self::AgentUnreachable(AgentId::new(id)),
            R::AgentGone(Id { id }) => Self::AgentGone(AgentId::new(id)),
            R::UnregisterAgent(Id { id }) => Self::UnregisterAgent(AgentId::new(id)),
            R::DrainAgent(DrainAgent { id, max_grace_period, mark_gone }) => {
                let max_grace_period = max_grace_period.map(span).transpose()?;
                Self::DrainAgent(id, Drain { max_grace_period, mark_gone: mark_gone.unwrap_or(false) })
            }
            R::Recover(raw) => Self::Recover(raw.try_into()?),
            R::RecoverFramework(mut raw) => {
                let give_up_after = raw.give_up_after.take().map_or(Ok(Duration::ZERO), span)?; // it is never absent
                Self::RecoverFramework(Framework::try_from(*raw)?, give_up_after)
            }
            R::AddFramework(raw) => Self::AddFramework(Framework::try_from(*raw)?),
            R::UpdateFramework(raw) => read_info(*raw, Call::UpdateFramework)?,
            R::RemoveFramework(Id { id }) => Self::Call(FrameworkId::new(id), Call::Teardown),
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
            R::Accept(raw) => Self::Call(raw.framework.clone(), Call::Accept(Accept::try_from(*raw)?)),
            R::Decline(answer) => read_answer(answer, |offers, filters, each| Call::Decline { offers, filters, each }),
            R::TaskStatus(raw) => Self::TaskStatus(raw.framework.clone(), TaskStatus::try_from(*raw)?),
            R::Kill(Kill { framework, task, grace, agent }) => {
                let grace = grace.map(span).transpose()?;
                Self::Call(framework, Call::Kill(scheduler::Kill { grace, agent, ..task.into() }))
            }
            R::Reconcile(Reconcile { framework, tasks }) => {
                let tasks = tasks.map(|tasks| tasks.into_iter().map(TaskRef::from).collect());
                Self::Call(framework, Call::Reconcile(tasks))
            }
            R::Subscribe(raw) => read_info(*raw, Call::Subscribe)?,
            R::AcknowledgeOperation(AcknowledgeOperation { framework, operation, uuid, agent }) => {
                Self::Call(framework, Call::AcknowledgeOperation { agent, operation, uuid })
            }
            R::Request(raw) => Self::Call(raw.framework.clone(), scheduler::Request::try_from(raw)?.into()),
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
            R::InvalidCall(InvalidCall { framework, kind, given, error }) => {
                Self::Call(framework, Call::Invalid { kind, form: Box::new(InvalidForm::new(given, error)) })
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
            R::SetQuota(raw) => {
                let SetQuota { role, guarantees, limits } = *raw;
                let guarantees = quantities(guarantees.unwrap_or_default())?;
                Self::SetQuota(Role::new(role)?, Quota::new(guarantees, limits.unwrap_or_default().try_into()?))
            }
            R::SetMaintenance(SetMaintenance { agent, unavailability }) => {
                Self::SetMaintenance(agent, unavailability.map(Unavailability::try_from).transpose()?)
            }
            R::AcceptInverseOffer(answer) => {
                read_answer(answer, |offers, filters, each| Call::AcceptInverseOffers { offers, filters, each })
            }
            R::DeclineInverseOffer(answer) => {
                read_answer(answer, |offers, filters, each| Call::DeclineInverseOffers { offers, filters, each })
            }
            R::Configure(_) => return Err(ValueError::LateConfigure),
            R::Restore(_) => return Err(ValueError::LateRestore),
            R::Explain(_) | R::Advance(_) | R::State(_) | R::Snapshot(_) => {
                return Err(ValueError::NotForMaster(raw.name()));
            }
        })
    }
}

fn read_answer(raw: OfferAnswer, call: fn(Vec<OfferId>, Filters, bool) -> Call) -> Command {
    let (filters, each) = (Filters::from_seconds(raw.refuse_seconds), raw.each.unwrap_or(false));
    Command::Call(raw.framework, call(raw.offers, filters, each))
}

fn read_info(mut raw: RawFramework, call: fn(Box<Framework>) -> Call) -> Result<Command, ValueError> {
    let caller = raw.framework.take().unwrap_or_else(|| raw.id.clone());
    Ok(Command::Call(caller, call(Box::new(Framework::try_from(raw)?))))
}

impl From<RawTaskRef> for TaskRef {
    fn from(raw: RawTaskRef) -> Self {
        match raw {
            RawTaskRef::Id(task) => task.into(),
            RawTaskRef::OnAgent(TaskOnAgent { task, agent }) => Self { task, agent },
        }
    }
}

impl TryFrom<RawRequest> for scheduler::Request {
    type Error = ValueError;

    fn try_from(raw: RawRequest) -> Result<Self, ValueError> {
        Ok(Self {
            roles: read_roles(raw.roles)?,
            offers: count("offers", raw.offers)?,
            each: raw.each.map(|least| positive("each", least)).transpose()?.map(Quantities::from_iter),
            most: raw.most.map(|most| limits("most", most)).transpose()?.unwrap_or_default(),
            agents: raw.agents.unwrap_or_default(),
            if_suppressed: raw.if_suppressed.unwrap_or(false),
        })
    }
}

pub(super) fn add_agent(raw: AddAgent) -> Result<Registration, ValueError> {
    let mut agent = Agent::new(raw.id, Resources::try_from(raw.resources)?);
    if let Some(hostname) = raw.hostname {
        agent.hostname = hostname;
    }
    agent.attributes = raw.attributes.map(Attributes::try_from).transpose()?.unwrap_or_default();
    agent.domain = raw.domain;
    agent.unavailability = raw.unavailability.map(Unavailability::try_from).transpose()?;
    let tasks = raw.tasks.unwrap_or_default().into_iter().map(RunningTask::try_from).collect::<Result<_, _>>()?;
    let executors = raw.executors.unwrap_or_default().into_iter();
    let executors = executors.map(RunningExecutor::try_from).collect::<Result<_, _>>()?;
    Ok(Registration { tasks, executors, ..agent.into() })
}

impl TryFrom<RawRunningExecutor> for RunningExecutor {
    type Error = ValueError;

    fn try_from(raw: RawRunningExecutor) -> Result<Self, ValueError> {
        Ok(Self::new(raw.id, raw.framework, Role::new(raw.role)?, Resources::try_from(raw.resources)?))
    }
}

impl TryFrom<Recover> for Recovery {
    type Error = ValueError;

    fn try_from(raw: Recover) -> Result<Self, ValueError> {
        let mut recovery = Self::of(raw.agents);
        recovery.factor = raw.factor.map_or(Ok(recovery.factor), Scalar::try_from)?;
        recovery.timeout = raw.timeout.map_or(Ok(recovery.timeout), span)?;
        Ok(recovery)
    }
}

impl TryFrom<RawStatus> for TaskStatus {
    type Error = ValueError;

    fn try_from(raw: RawStatus) -> Result<Self, ValueError> {
        let mut details = raw.details.unwrap_or_default();
        let fields = [
            ("container_status", raw.container_status),
            ("check_status", raw.check_status),
            ("labels", raw.labels),
            ("limitation", raw.limitation),
            ("unreachable_time", raw.unreachable_time),
        ];
        details.extend(fields.into_iter().filter_map(|(name, value)| Some((name, value?))));
        let mut status = Self::new(raw.task, read_state(raw.state)?);
        status.agent = raw.agent;
        status.executor = raw.executor;
        status.source = raw.source.map(read_source).transpose()?;
        status.reason = raw.reason;
        status.message = raw.message;
        status.timestamp = raw.timestamp;
        status.uuid = raw.uuid;
        status.healthy = raw.healthy;
        status.data = raw.data.map(|data| data.0);
        status.details = details;
        Ok(status)
    }
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
        let mut details = raw.details;
        details.extend(raw.executor_info.map(|info| ("executor", info)));
        let task = Task { details, ..Task::new(raw.id, Resources::try_from(raw.resources)?) };
        let mut running = Self::new(raw.framework, Role::new(raw.role)?, task);
        running.state = raw.state.map_or(Ok(running.state), read_state)?;
        running.executor = raw.executor;
        Ok(running)
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
        let known = |name: &Text| Capability::ALL.into_iter().find(|known| name == known.as_str());
        framework.capabilities = names.iter().filter_map(known).collect();
        for (role, filter) in raw.offer_filters.unwrap_or_default() {
            let minimums = filter.min_allocatable_resources.unwrap_or_default().into_iter().map(quantities);
            framework.offer_filters.insert(Role::new(role)?, minimums.collect::<Result<_, _>>()?);
        }
        framework.failover_timeout = raw.failover_timeout.map(span).transpose()?;
        framework.max_offers = raw.max_offers.map(|number| count("max_offers", number)).transpose()?;
        framework.checkpoint = raw.checkpoint.unwrap_or(false);
        framework.offer_timeout = raw.offer_timeout.map(span).transpose()?;
        framework.principal = raw.principal;
        framework.user = raw.user;
        framework.details = raw.details.unwrap_or_default();
        let fields = [("hostname", raw.hostname), ("webui_url", raw.webui_url), ("labels", raw.labels)];
        framework.details.extend(fields.into_iter().filter_map(|(name, value)| Some((name, value?))));
        Ok(framework)
    }
}

impl TryFrom<RawAccept> for Accept {
    type Error = ValueError;

    /// Decodes an accept. If its parts are judged one by one, an invalid task or operation is kept as it was given.
    fn try_from(raw: RawAccept) -> Result<Self, ValueError> {
        let mut accept = Self::to(raw.offers);
        accept.each = raw.each.unwrap_or(false);
        let operations = raw.operations.into_iter().map(|operation| read_operation(operation, accept.each));
        accept.operations = operations.collect::<Result<_, _>>()?;
        accept.filters = Filters::from_seconds(raw.refuse_seconds);
        accept.feedback = raw.feedback.unwrap_or_default();
        accept.role = raw.role.map(Role::new).transpose()?;
        accept.agent = raw.agent;
        Ok(accept)
    }
}

pub(super) fn read_operation(raw: RawOperation, keep_invalid: bool) -> Result<Operation, ValueError> {
    use RawOperation as R;
    if let R::Launch(TaskList { tasks }) = raw {
        return Ok(Operation::Launch(read_tasks(tasks, keep_invalid)?));
    }
    if let R::LaunchGroup(TaskGroup { tasks, executor }) = raw {
        let mut tasks = read_tasks(tasks, keep_invalid)?;
        for task in &mut tasks {
            task.details.extend(executor.clone().map(|executor| ("executor", executor)));
        }
        return Ok(Operation::LaunchGroup(tasks));
    }
    if !keep_invalid {
        return Operation::try_from(raw);
    }
    Operation::try_from(raw.clone()).or_else(|error| {
        let json = Json::of(&raw);
        let Some((name, given)) = json.fields().next() else { return Err(error) };
        let name = Operation::NAMES.into_iter().find(|known| *known == name).unwrap_or_default();
        Ok(Operation::Invalid { name, form: Box::new(InvalidForm::new(given, error.to_string())) })
    })
}

impl TryFrom<RawOperation> for Operation {
    type Error = ValueError;

    fn try_from(raw: RawOperation) -> Result<Self, ValueError> {
        use RawOperation as R;
        Ok(match raw {
            R::Launch(_) | R::LaunchGroup(_) => return read_operation(raw, false),
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

pub(super) fn one_resource(raw: Written) -> Result<Box<Resource>, ValueError> {
    let resources = Resources::try_from(raw)?;
    let count = resources.iter().count();
    let mut resources = resources.into_iter();
    match (resources.next(), count) {
        (Some(resource), 1) => Ok(Box::new(resource)),
        _ => Err(ValueError::NotOneResource(count)),
    }
}

fn read_tasks(tasks: Vec<RawTask>, keep_invalid: bool) -> Result<Vec<Task>, ValueError> {
    tasks.into_iter().map(|task| read_task(task, keep_invalid)).collect()
}

/// Decodes a task. Its resources may be kept as they were given if they are invalid.
pub(super) fn read_task(raw: RawTask, keep_invalid: bool) -> Result<Task, ValueError> {
    let given = keep_invalid.then(|| raw.resources.clone());
    let mut task = match (Resources::try_from(raw.resources), given) {
        (Ok(resources), _) => Task::new(raw.id, resources),
        (Err(error), Some(given)) => {
            Task::with_invalid_resources(raw.id, InvalidForm::new(Json::of(&given), error.to_string()))
        }
        (Err(error), None) => return Err(error.into()),
    };
    task.agent = raw.agent;
    task.role = raw.role.map(Role::new).transpose()?;
    task.details = raw.details;
    Ok(task)
}

fn quantities(amounts: Amounts) -> Result<Quantities, ValueError> {
    Ok(Quantities::try_from(amounts)?)
}

/// Decodes amounts of which none is 0.
fn positive(field: &'static str, amounts: Amounts) -> Result<Vec<(Text, Scalar)>, ValueError> {
    let read = |(name, amount): (Text, Number)| match Scalar::try_from(amount)? {
        Scalar::ZERO => Err(ValueError::Zero { field, name }),
        amount => Ok((name, amount)),
    };
    amounts.into_iter().map(read).collect()
}

/// Decodes the most that an offer carries, by name.
fn limits(field: &'static str, amounts: Amounts) -> Result<Limits, ValueError> {
    Ok(positive(field, amounts)?.into_iter().collect())
}

/// Decodes a number of offers.
fn count(field: &'static str, number: RawCount) -> Result<u64, ValueError> {
    match number {
        RawCount::Whole(count) => Ok(count),
        RawCount::Other(number) => {
            let text = number.digits().map_or_else(|| number.nearest().to_string(), str::to_owned);
            text.parse().map_err(|_| ValueError::Count { field, found: text })
        }
    }
}

fn read_roles(roles: Option<Vec<Text>>) -> Result<Vec<Role>, ValueError> {
    roles.unwrap_or_default().into_iter().map(|role| Ok(Role::new(role)?)).collect()
}

fn read_state(name: Text) -> Result<TaskState, ValueError> {
    name.parse().map_err(|_| ValueError::TaskState(name))
}

fn read_source(name: Text) -> Result<StatusSource, ValueError> {
    name.parse().map_err(|_| ValueError::StatusSource(name))
}

pub(super) fn span(seconds: Number) -> Result<Duration, ValueError> {
    Ok(Time::try_from(seconds)?.since(Time::ZERO))
}
