//! Encoding: from commands to the serde types of `raw`.

use super::raw::{
    Acknowledge, AddAgent, Amounts, Configure, Empty, ExecutorEnded, FrameworkRoles, Grow, Id, Kill, OfferAnswer,
    Operate, RawAccept, RawCommand, RawExecutor, RawFilter, RawFramework, RawMessage, RawOperation, RawOperationRef,
    RawOrder, RawRunningTask, RawSorter, RawStatus, RawTask, RawUnavailability, Reconcile, ReconcileOperations,
    ResourceList, SetMaintenance, SetQuota, SetWeight, SetWhitelist, Shrink, TaskList, UpdateAgent, VolumeList,
};
use crate::agent::{Agent, Unavailability};
use crate::allocator::{AgentOrder, SorterChoice};
use crate::attributes::WrittenAttributes;
use crate::bytes::Bytes;
use crate::framework::Framework;
use crate::id::FrameworkId;
use crate::json::Number;
use crate::master::{Command, Config, ExecutorRef, RunningTask};
use crate::offer::Operation;
use crate::resources::{Quantities, Resources, Written};
use crate::role::Role;
use crate::scheduler::{Call, OperationRef};
use crate::task::Task;
use smol_str::SmolStr;
use std::time::Duration;

impl From<&Config> for Configure {
    /// Writes the settings that differ from the defaults.
    fn from(config: &Config) -> Self {
        let (default, options) = (Config::default(), &config.options);
        let unlike = |differs: bool| differs.then_some(());
        let minimums = unlike(options.min_allocatable != default.options.min_allocatable);
        Self {
            allocation_interval: unlike(config.allocation_interval != default.allocation_interval)
                // Less than a microsecond counts as one.
                .map(|()| config.allocation_interval.max(Duration::from_micros(1)).into()),
            min_allocatable: minimums.map(|()| options.min_allocatable.iter().map(write_amounts).collect()),
            fair_sharing_excluded: unlike(!options.fair_sharing_excluded.is_empty())
                .map(|()| options.fair_sharing_excluded.clone()),
            filter_gpu_resources: unlike(!options.filter_gpu_resources).map(|()| false),
            sorter: match &config.sorter {
                SorterChoice::Drf(_) => None,
                SorterChoice::Hdrf(_) => Some(RawSorter::Name("hdrf".into())),
                SorterChoice::Random(random) => Some(RawSorter::Random { random: random.seed() }),
            },
            agent_order: match options.agent_order {
                AgentOrder::Insertion => None,
                AgentOrder::Shuffle(shuffle) => Some(RawOrder::Shuffle { shuffle }),
            },
            domain: options.domain.clone(),
            offer_timeout: config.offer_timeout.map(Number::from),
        }
    }
}

impl From<&Command> for RawCommand {
    fn from(command: &Command) -> Self {
        let id = |id: &str| Id { id: id.into() };
        match command {
            Command::AddAgent(agent, tasks) => Self::AddAgent(Box::new(write_agent(agent, tasks))),
            Command::UpdateAgent(update) => Self::UpdateAgent(Box::new(UpdateAgent {
                id: update.id.clone(),
                resources: update.resources.as_ref().map(Written::from),
                attributes: update.attributes.as_ref().map(WrittenAttributes::from),
                domain: update.domain.clone(),
            })),
            Command::RemoveAgent(agent) => Self::RemoveAgent(id(agent.as_str())),
            Command::DeactivateAgent(agent) => Self::DeactivateAgent(id(agent.as_str())),
            Command::ActivateAgent(agent) => Self::ActivateAgent(id(agent.as_str())),
            Command::AddFramework(framework) => Self::AddFramework(Box::new(framework.into())),
            Command::UpdateFramework(framework) => Self::UpdateFramework(Box::new(framework.into())),
            Command::RemoveFramework(framework) => Self::RemoveFramework(id(framework.as_str())),
            Command::DeactivateFramework(framework) => Self::DeactivateFramework(id(framework.as_str())),
            Command::ActivateFramework(framework) => Self::ActivateFramework(id(framework.as_str())),
            Command::SetWeight(role, weight) => {
                Self::SetWeight(SetWeight { role: role.as_str().into(), weight: weight.as_f64() })
            }
            Command::SetQuota(role, quota) => Self::SetQuota(SetQuota {
                role: role.as_str().into(),
                guarantees: Some(write_amounts(&quota.guarantees)),
                limits: Some(quota.limits.iter().map(|(name, limit)| (name.into(), limit.into())).collect()),
            }),
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
            Command::TaskStatus(framework, status) => Self::TaskStatus(RawStatus {
                framework: framework.clone(),
                task: status.task.clone(),
                state: status.state.as_str().into(),
                reason: status.reason.clone(),
                message: status.message.clone(),
            }),
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

fn write_agent(agent: &Agent, tasks: &[RunningTask]) -> AddAgent {
    let running = |running: &RunningTask| RawRunningTask {
        id: running.task.id.clone(),
        framework: running.framework.clone(),
        role: running.role.as_str().into(),
        resources: (&running.task.resources).into(),
    };
    AddAgent {
        id: agent.id.clone(),
        resources: (&agent.resources).into(),
        hostname: (agent.hostname != agent.id.as_str()).then(|| agent.hostname.clone()),
        attributes: (!agent.attributes.is_empty()).then(|| (&agent.attributes).into()),
        domain: agent.domain.clone(),
        unavailability: agent.unavailability.map(write_window),
        tasks: (!tasks.is_empty()).then(|| tasks.iter().map(running).collect()),
    }
}

fn write_window(window: Unavailability) -> RawUnavailability {
    RawUnavailability { start: window.start.into(), duration: window.duration.map(Number::from) }
}

fn write_roles(roles: &[Role]) -> Option<Vec<SmolStr>> {
    (!roles.is_empty()).then(|| roles.iter().map(|role| role.as_str().into()).collect())
}

fn write_amounts(quantities: &Quantities) -> Amounts {
    quantities.iter().map(|(name, amount)| (name.into(), amount.into())).collect()
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
        Self {
            id: framework.id.clone(),
            roles: write_roles(&framework.roles).unwrap_or_default(),
            name: framework.name.clone(),
            capabilities: (!framework.capabilities.is_empty()).then(capabilities),
            suppressed_roles: write_roles(&framework.suppressed),
            offer_filters: (!framework.offer_filters.is_empty()).then(filters),
            offer_constraints: framework.offer_constraints.written(),
        }
    }
}

fn write_call(framework: &FrameworkId, call: &Call) -> RawCommand {
    let framework = framework.clone();
    match call {
        Call::Accept(accept) => RawCommand::Accept(RawAccept {
            framework,
            offers: accept.offers.clone(),
            operations: accept.operations.iter().map(RawOperation::from).collect(),
            refuse_seconds: accept.filters.seconds(),
            feedback: (!accept.feedback.is_empty()).then(|| accept.feedback.clone()),
        }),
        Call::Decline { offers, filters } => {
            RawCommand::Decline(OfferAnswer { framework, offers: offers.clone(), refuse_seconds: filters.seconds() })
        }
        Call::AcceptInverseOffers { offers, filters } => RawCommand::AcceptInverseOffer(OfferAnswer {
            framework,
            offers: offers.clone(),
            refuse_seconds: filters.seconds(),
        }),
        Call::DeclineInverseOffers { offers, filters } => RawCommand::DeclineInverseOffer(OfferAnswer {
            framework,
            offers: offers.clone(),
            refuse_seconds: filters.seconds(),
        }),
        Call::Suppress(roles) => RawCommand::Suppress(FrameworkRoles { framework, roles: write_roles(roles) }),
        Call::Revive(roles) => RawCommand::Revive(FrameworkRoles { framework, roles: write_roles(roles) }),
        Call::Kill(kill) => {
            let grace = kill.grace.map(Number::from);
            RawCommand::Kill(Kill { framework, task: kill.task.clone(), grace })
        }
        Call::Reconcile(tasks) => {
            let tasks = tasks.as_ref().map(|tasks| tasks.iter().map(|task| task.task.clone()).collect());
            RawCommand::Reconcile(Reconcile { framework, tasks })
        }
        // The master rejects a call for another framework, and runs the timers due by then.
        Call::Subscribe(info) | Call::UpdateFramework(info) if info.id != framework => RawCommand::Advance(Empty {}),
        Call::Subscribe(info) => RawCommand::Subscribe(Box::new((&**info).into())),
        Call::UpdateFramework(info) => RawCommand::UpdateFramework(Box::new((&**info).into())),
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
        // The master ignores these calls, but runs the timers due by then.
        Call::AcknowledgeOperation { .. } | Call::Request(_) => RawCommand::Advance(Empty {}),
        Call::Teardown => RawCommand::RemoveFramework(Id { id: framework.as_str().into() }),
    }
}

impl From<&Operation> for RawOperation {
    fn from(operation: &Operation) -> Self {
        let list = |resources: &Resources| ResourceList { resources: resources.into() };
        let volumes = |resources: &Resources| VolumeList { volumes: resources.into() };
        match operation {
            Operation::Launch(tasks) => Self::Launch(write_tasks(tasks)),
            Operation::LaunchGroup(tasks) => Self::LaunchGroup(write_tasks(tasks)),
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
        }
    }
}

fn write_tasks(tasks: &[Task]) -> TaskList {
    let task = |task: &Task| RawTask {
        id: task.id.clone(),
        resources: (&task.resources).into(),
        details: task.details.clone(),
    };
    TaskList { tasks: tasks.iter().map(task).collect() }
}
