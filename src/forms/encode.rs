//! Encoding: from commands to the serde types of `raw`.

use super::raw::*;
use crate::agent::{Agent, Unavailability};
use crate::allocator::{AgentOrder, SorterChoice};
use crate::attributes::WrittenAttributes;
use crate::bytes::Bytes;
use crate::framework::Framework;
use crate::id::{FrameworkId, OfferId};
use crate::invalid::InvalidForm;
use crate::json::{Json, Number};
use crate::master::{Command, Config, ExecutorRef, Registration, Remembered, RunningExecutor, RunningTask};
use crate::offer::{Accept, Filters, Operation};
use crate::resources::{Limits, Quantities, Resources, Written};
use crate::role::Role;
use crate::scheduler::{Call, OperationRef, Request, TaskRef};
use crate::task::{Task, TaskState, TaskStatus};
use crate::text::Text;
use std::time::Duration;

impl From<&Config> for Configure {
    /// Writes the format, and the settings that differ from the defaults.
    fn from(config: &Config) -> Self {
        let (default, options) = (Config::default(), &config.options);
        let unlike = |differs: bool| differs.then_some(());
        let minimums = unlike(options.min_allocatable != default.options.min_allocatable);
        Self {
            format: Some(super::FORMAT),
            allocation_interval: unlike(config.allocation_interval != default.allocation_interval)
                // Less than a microsecond counts as one.
                .map(|()| config.allocation_interval.max(Duration::from_micros(1)).into()),
            min_allocatable: minimums.map(|()| options.min_allocatable.iter().map(write_amounts).collect()),
            fair_sharing_excluded: unlike(!options.fair_sharing_excluded.is_empty())
                .map(|()| options.fair_sharing_excluded.clone()),
            filter_gpu_resources: unlike(!options.filter_gpu_resources).map(|()| false),
            sorter: match &config.sorter {
                SorterChoice::Drf(_) => None,
                SorterChoice::Other(_) | SorterChoice::Missing(_) => Some(RawSorter::Name("other".into())),
                SorterChoice::Hdrf(_) => Some(RawSorter::Name("hdrf".into())),
                SorterChoice::Random(random) => Some(RawSorter::Random { random: random.seed() }),
            },
            agent_order: match options.agent_order {
                AgentOrder::Insertion => None,
                AgentOrder::Shuffle(shuffle) => Some(RawOrder::Shuffle { shuffle }),
            },
            domain: options.domain.clone(),
            offer_timeout: config.offer_timeout.map(Number::from),
            timeout_refusal: unlike(!config.timeout_refusal.is_zero()).map(|()| config.timeout_refusal.into()),
            max_offer: unlike(!options.max_offer.is_empty()).map(|()| write_limits(&options.max_offer)),
            id_prefix: unlike(!config.id_prefix.is_empty()).map(|()| config.id_prefix.clone()),
            remembered: unlike(config.remembered != default.remembered).map(|()| {
                let Remembered { frameworks, unreachable_tasks, agents } = config.remembered;
                RawRemembered {
                    frameworks: Some(frameworks),
                    unreachable_tasks: Some(unreachable_tasks),
                    agents: Some(agents),
                }
            }),
        }
    }
}

impl From<&Command> for RawCommand {
    fn from(command: &Command) -> Self {
        let id = |id: &str| Id { id: id.into() };
        match command {
            Command::AddAgent(registration) => Self::AddAgent(Box::new(registration.into())),
            Command::UpdateAgent(update) => Self::UpdateAgent(Box::new(UpdateAgent {
                id: update.id.clone(),
                resources: update.resources.as_ref().map(Written::from),
                attributes: update.attributes.as_ref().map(WrittenAttributes::from),
                domain: update.domain.clone(),
            })),
            Command::RemoveAgent(agent) => Self::RemoveAgent(id(agent.as_str())),
            Command::DeactivateAgent(agent) => Self::DeactivateAgent(id(agent.as_str())),
            Command::ActivateAgent(agent) => Self::ActivateAgent(id(agent.as_str())),
            Command::DisconnectAgent(agent) => Self::DisconnectAgent(id(agent.as_str())),
            Command::AgentUnreachable(agent) => Self::AgentUnreachable(id(agent.as_str())),
            Command::AgentGone(agent) => Self::AgentGone(id(agent.as_str())),
            Command::UnregisterAgent(agent) => Self::UnregisterAgent(id(agent.as_str())),
            Command::DrainAgent(agent, drain) => Self::DrainAgent(DrainAgent {
                id: agent.clone(),
                max_grace_period: drain.max_grace_period.map(Number::from),
                mark_gone: drain.mark_gone.then_some(true),
            }),
            Command::Recover(recovery) => Self::Recover(Recover {
                agents: recovery.agents.clone(),
                factor: Some(recovery.factor.into()),
                timeout: Some(recovery.timeout.into()),
            }),
            Command::RecoverFramework(framework, give_up_after) => {
                let give_up_after = Some((*give_up_after).into());
                Self::RecoverFramework(Box::new(RawFramework { give_up_after, ..framework.into() }))
            }
            Command::AddFramework(framework) => Self::AddFramework(Box::new(framework.into())),
            Command::DeactivateFramework(framework) => Self::DeactivateFramework(id(framework.as_str())),
            Command::ActivateFramework(framework) => Self::ActivateFramework(id(framework.as_str())),
            Command::SetWeight(role, weight) => {
                Self::SetWeight(SetWeight { role: role.as_str().into(), weight: weight.as_f64() })
            }
            Command::SetQuota(role, quota) => Self::SetQuota(Box::new(SetQuota {
                role: role.as_str().into(),
                guarantees: Some(write_amounts(&quota.guarantees)),
                limits: Some(write_limits(&quota.limits)),
            })),
            Command::SetWhitelist(hostnames) => Self::SetWhitelist(SetWhitelist { hostnames: hostnames.clone() }),
            Command::Operate(agent, operations) => Self::Operate(Operate {
                agent: agent.clone(),
                operations: operations.iter().map(RawOperation::from).collect(),
            }),
            Command::SetMaintenance(agent, unavailability) => Self::SetMaintenance(SetMaintenance {
                agent: agent.clone(),
                unavailability: unavailability.map(write_window),
            }),
            Command::Call(framework, call) => write_call(framework, call),
            Command::TaskStatus(framework, status) => Self::TaskStatus(Box::new(write_status(framework, status))),
            Command::ExecutorMessage(from, data) => Self::ExecutorMessage(write_message(from.clone(), data)),
            Command::ExecutorEnded(ended, status) => {
                let ExecutorRef { framework, agent, executor } = ended.clone();
                Self::ExecutorEnded(ExecutorEnded { framework, agent, executor, status: *status })
            }
        }
    }
}

fn write_message(executor: ExecutorRef, data: &[u8]) -> RawMessage {
    let ExecutorRef { framework, agent, executor } = executor;
    RawMessage { framework, agent, executor, data: Bytes(data.to_vec()) }
}

impl From<&Registration> for AddAgent {
    fn from(registration: &Registration) -> Self {
        Self::of(&registration.agent, &registration.tasks, &registration.executors)
    }
}

impl AddAgent {
    pub(super) fn of(agent: &Agent, tasks: &[RunningTask], executors: &[RunningExecutor]) -> Self {
        Self {
            id: agent.id.clone(),
            resources: (&agent.resources).into(),
            hostname: (agent.hostname != agent.id.as_str()).then(|| agent.hostname.clone()),
            attributes: (!agent.attributes.is_empty()).then(|| (&agent.attributes).into()),
            domain: agent.domain.clone(),
            unavailability: agent.unavailability.map(write_window),
            tasks: (!tasks.is_empty()).then(|| tasks.iter().map(RawRunningTask::from).collect()),
            executors: (!executors.is_empty()).then(|| executors.iter().map(RawRunningExecutor::from).collect()),
        }
    }
}

impl From<&RunningTask> for RawRunningTask {
    fn from(running: &RunningTask) -> Self {
        let mut details = running.task.details.clone();
        let executor_info = details.remove("executor");
        Self {
            id: running.task.id.clone(),
            framework: running.framework.clone(),
            role: running.role.as_str().into(),
            resources: (&running.task.resources).into(),
            state: (running.state != TaskState::Running).then(|| running.state.as_str().into()),
            executor: running.executor.clone(),
            executor_info,
            details,
        }
    }
}

impl From<&RunningExecutor> for RawRunningExecutor {
    fn from(running: &RunningExecutor) -> Self {
        Self {
            id: running.id.clone(),
            framework: running.framework.clone(),
            role: running.role.as_str().into(),
            resources: (&running.resources).into(),
        }
    }
}

pub(super) fn write_status(framework: &FrameworkId, status: &TaskStatus) -> RawStatus {
    let mut details = status.details.clone();
    let mut take = |name| details.remove(name);
    RawStatus {
        framework: framework.clone(),
        task: status.task.clone(),
        state: status.state.as_str().into(),
        reason: status.reason.clone(),
        message: status.message.clone(),
        agent: status.agent.clone(),
        source: status.source.map(|source| source.as_str().into()),
        uuid: status.uuid,
        data: status.data.clone().map(Bytes),
        healthy: status.healthy,
        timestamp: status.timestamp,
        executor: status.executor.clone(),
        container_status: take("container_status"),
        check_status: take("check_status"),
        labels: take("labels"),
        limitation: take("limitation"),
        unreachable_time: take("unreachable_time"),
        details: (!details.is_empty()).then_some(details),
    }
}

pub(super) fn write_window(window: Unavailability) -> RawUnavailability {
    RawUnavailability { start: window.start.into(), duration: window.duration.map(Number::from) }
}

fn write_roles(roles: &[Role]) -> Option<Vec<Text>> {
    (!roles.is_empty()).then(|| roles.iter().map(|role| role.as_str().into()).collect())
}

fn write_amounts(quantities: &Quantities) -> Amounts {
    quantities.iter().map(|(name, amount)| (name.into(), amount.into())).collect()
}

fn write_limits(limits: &Limits) -> Amounts {
    limits.iter().map(|(name, limit)| (name.into(), limit.into())).collect()
}

impl From<&Framework> for RawFramework {
    fn from(framework: &Framework) -> Self {
        let capabilities = || framework.capabilities.iter().map(|capability| capability.as_str().into()).collect();
        let filters = || {
            let of_role = |(role, minimums): (&Role, &Vec<Quantities>)| {
                let minimums = Some(minimums.iter().map(write_amounts).collect());
                (role.as_str().into(), RawFilter { min_allocatable_resources: minimums })
            };
            framework.offer_filters.iter().map(of_role).collect()
        };
        let mut details = framework.details.clone();
        let mut take = |name| details.remove(name);
        Self {
            id: framework.id.clone(),
            roles: write_roles(&framework.roles).unwrap_or_default(),
            name: framework.name.clone(),
            capabilities: (!framework.capabilities.is_empty()).then(capabilities),
            suppressed_roles: write_roles(&framework.suppressed),
            offer_filters: (!framework.offer_filters.is_empty()).then(filters),
            offer_constraints: framework.offer_constraints.written(),
            failover_timeout: framework.failover_timeout.map(Number::from),
            max_offers: framework.max_offers.map(RawCount::Whole),
            checkpoint: framework.checkpoint.then_some(true),
            offer_timeout: framework.offer_timeout.map(Number::from),
            principal: framework.principal.clone(),
            user: framework.user.clone(),
            hostname: take("hostname"),
            webui_url: take("webui_url"),
            labels: take("labels"),
            details: (!details.is_empty()).then_some(details),
            framework: None,
            give_up_after: None,
        }
    }
}

fn write_answer(framework: FrameworkId, offers: &[OfferId], filters: Filters, each: bool) -> OfferAnswer {
    OfferAnswer { framework, offers: offers.to_vec(), refuse_seconds: filters.seconds(), each: each.then_some(true) }
}

/// Writes a framework's description, and who sends it if that is another framework.
fn write_info(caller: FrameworkId, info: &Framework) -> Box<RawFramework> {
    let framework = (caller != info.id).then_some(caller);
    Box::new(RawFramework { framework, ..info.into() })
}

pub(super) fn write_accept(framework: FrameworkId, accept: &Accept) -> RawAccept {
    RawAccept {
        framework,
        offers: accept.offers.clone(),
        operations: accept.operations.iter().map(RawOperation::from).collect(),
        refuse_seconds: accept.filters.seconds(),
        feedback: (!accept.feedback.is_empty()).then(|| accept.feedback.clone()),
        each: accept.each.then_some(true),
        role: accept.role.as_ref().map(|role| role.as_str().into()),
        agent: accept.agent.clone(),
    }
}

fn write_call(framework: &FrameworkId, call: &Call) -> RawCommand {
    let framework = framework.clone();
    match call {
        Call::Accept(accept) => RawCommand::Accept(Box::new(write_accept(framework, accept))),
        Call::Decline { offers, filters, each } => {
            RawCommand::Decline(write_answer(framework, offers, *filters, *each))
        }
        Call::AcceptInverseOffers { offers, filters, each } => {
            RawCommand::AcceptInverseOffer(write_answer(framework, offers, *filters, *each))
        }
        Call::DeclineInverseOffers { offers, filters, each } => {
            RawCommand::DeclineInverseOffer(write_answer(framework, offers, *filters, *each))
        }
        Call::Suppress(roles) => RawCommand::Suppress(FrameworkRoles { framework, roles: write_roles(roles) }),
        Call::Revive(roles) => RawCommand::Revive(FrameworkRoles { framework, roles: write_roles(roles) }),
        Call::Kill(kill) => {
            let (grace, agent) = (kill.grace.map(Number::from), kill.agent.clone());
            RawCommand::Kill(Kill { framework, task: kill.task.clone(), grace, agent })
        }
        Call::Reconcile(tasks) => {
            let write = |asked: &TaskRef| match asked.agent.clone() {
                None => RawTaskRef::Id(asked.task.clone()),
                agent => RawTaskRef::OnAgent(TaskOnAgent { task: asked.task.clone(), agent }),
            };
            let tasks = tasks.as_ref().map(|tasks| tasks.iter().map(write).collect());
            RawCommand::Reconcile(Reconcile { framework, tasks })
        }
        Call::Subscribe(info) => RawCommand::Subscribe(write_info(framework, info)),
        Call::UpdateFramework(info) => RawCommand::UpdateFramework(write_info(framework, info)),
        Call::Acknowledge { agent, task, uuid } => {
            let (agent, task, uuid) = (agent.clone(), task.clone(), *uuid);
            RawCommand::Acknowledge(Acknowledge { framework, agent, task, uuid })
        }
        Call::Message { agent, executor, data } => {
            RawCommand::Message(write_message(ExecutorRef::new(framework, agent.clone(), executor.clone()), data))
        }
        Call::Shutdown { agent, executor } => {
            let (agent, executor) = (agent.clone(), executor.clone());
            RawCommand::Shutdown(RawExecutor { framework, agent, executor })
        }
        Call::ReconcileOperations(operations) => {
            let write = |reference: &OperationRef| RawOperationRef {
                operation: reference.operation.clone(),
                agent: reference.agent.clone(),
            };
            let operations = operations.iter().map(write).collect();
            RawCommand::ReconcileOperations(ReconcileOperations { framework, operations })
        }
        Call::AcknowledgeOperation { agent, operation, uuid } => {
            let (agent, operation, uuid) = (agent.clone(), operation.clone(), *uuid);
            RawCommand::AcknowledgeOperation(AcknowledgeOperation { framework, operation, uuid, agent })
        }
        Call::Request(request) => {
            let Request { roles, offers, each, most, agents, if_suppressed } = &**request;
            RawCommand::Request(RawRequest {
                framework,
                offers: RawCount::Whole(*offers),
                roles: (!roles.is_empty()).then(|| roles.iter().map(|role| role.as_str().into()).collect()),
                each: each.as_ref().map(write_amounts),
                most: (!most.is_empty()).then(|| write_limits(most)),
                agents: (!agents.is_empty()).then(|| agents.clone()),
                if_suppressed: if_suppressed.then_some(true),
            })
        }
        Call::Invalid { kind, form } => {
            let InvalidForm { given, error, .. } = InvalidForm::clone(form);
            RawCommand::InvalidCall(InvalidCall { framework, kind: kind.clone(), given, error })
        }
        Call::Teardown => RawCommand::RemoveFramework(Id { id: framework.as_str().into() }),
    }
}

impl From<&Operation> for RawOperation {
    fn from(operation: &Operation) -> Self {
        let list = |resources: &Resources| ResourceList { resources: resources.into() };
        let volumes = |resources: &Resources| VolumeList { volumes: resources.into() };
        match operation {
            Operation::Launch(tasks) => Self::Launch(write_tasks(tasks)),
            Operation::LaunchGroup(tasks) => {
                Self::LaunchGroup(TaskGroup { tasks: write_tasks(tasks).tasks, executor: None })
            }
            Operation::Reserve(resources) => Self::Reserve(list(resources)),
            Operation::Unreserve(resources) => Self::Unreserve(list(resources)),
            Operation::Create(resources) => Self::Create(volumes(resources)),
            Operation::Destroy(resources) => Self::Destroy(volumes(resources)),
            Operation::GrowVolume { volume, addition } => {
                Self::GrowVolume(Grow { volume: Written::one(volume), addition: Written::one(addition) })
            }
            Operation::ShrinkVolume { volume, subtract } => {
                Self::ShrinkVolume(Shrink { volume: Written::one(volume), subtract: (*subtract).into() })
            }
            Operation::Invalid { name, form } => {
                let tagged = Json::object([(*name, form.given.clone())]);
                tagged.read().unwrap_or_else(|_| Self::Reserve(list(&Resources::new())))
            }
        }
    }
}

fn write_tasks(tasks: &[Task]) -> TaskList {
    TaskList { tasks: tasks.iter().map(write_task).collect() }
}

pub(super) fn write_task(task: &Task) -> RawTask {
    let given = task.invalid.as_ref().and_then(|form| form.given.read::<Written>().ok());
    RawTask {
        id: task.id.clone(),
        resources: given.unwrap_or_else(|| (&task.resources).into()),
        agent: task.agent.clone(),
        role: task.role.as_ref().map(|role| role.as_str().into()),
        details: task.details.clone(),
    }
}
