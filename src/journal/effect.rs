//! The serde types of journal output: effects, errors, explanations and states.

use super::explanation::ExplanationLine;
use crate::agent::{Domain, Unavailability};
use crate::allocator::Snapshot;
use crate::attributes::Attributes;
use crate::bytes::Bytes;
use crate::details::Details;
use crate::forms::raw::RawOperation;
use crate::id::{AgentId, ExecutorId, FrameworkId, OfferId, OperationId, TaskId};
use crate::master::{Effect, State};
use crate::offer::{InverseOffer, Offer, OperationState};
use crate::resources::{Limits, Quantities, Resources};
use crate::role::Role;
use crate::task::{StatusSource, Task, TaskState, TaskStatus};
use crate::text::Text;
use crate::time::Time;
use crate::uuid::Uuid;
use serde::Serialize;
use std::time::Duration;

/// One line of output.
#[derive(Debug, Serialize)]
pub(super) struct Line<'a> {
    pub(super) at: Time,
    pub(super) emit: Emit<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Emit<'a> {
    Offer(OfferLine<'a>),
    Rescind {
        offer: &'a OfferId,
        framework: &'a FrameworkId,
    },
    InverseOffer {
        id: &'a OfferId,
        framework: &'a FrameworkId,
        agent: &'a AgentId,
        unavailability: UnavailabilityLine,
    },
    RescindInverseOffer {
        offer: &'a OfferId,
        framework: &'a FrameworkId,
    },
    Launch {
        agent: &'a AgentId,
        framework: &'a FrameworkId,
        role: &'a Role,
        task: TaskLine<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        group: Option<u64>,
    },
    Operation {
        agent: &'a AgentId,
        #[serde(skip_serializing_if = "Option::is_none")]
        framework: Option<&'a FrameworkId>,
        operation: RawOperation,
    },
    Drain {
        agent: &'a AgentId,
        #[serde(skip_serializing_if = "Option::is_none")]
        max_grace_period: Option<Time>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        mark_gone: bool,
    },
    ShutdownAgent {
        agent: &'a AgentId,
        message: &'static str,
    },
    ShutdownFramework {
        agent: &'a AgentId,
        framework: &'a FrameworkId,
    },
    TaskConflict {
        agent: &'a AgentId,
        framework: &'a FrameworkId,
        task: &'a TaskId,
    },
    FrameworkRemoved {
        framework: &'a FrameworkId,
    },
    Kill {
        agent: &'a AgentId,
        framework: &'a FrameworkId,
        task: &'a TaskId,
        #[serde(skip_serializing_if = "Option::is_none")]
        grace: Option<Time>,
    },
    Acknowledge {
        agent: &'a AgentId,
        framework: &'a FrameworkId,
        task: &'a TaskId,
        uuid: Uuid,
    },
    Message {
        agent: &'a AgentId,
        framework: &'a FrameworkId,
        executor: &'a ExecutorId,
        data: Bytes,
    },
    Shutdown {
        agent: &'a AgentId,
        framework: &'a FrameworkId,
        executor: &'a ExecutorId,
    },
    ExecutorMessage {
        framework: &'a FrameworkId,
        agent: &'a AgentId,
        executor: &'a ExecutorId,
        data: Bytes,
    },
    ExecutorEnded {
        framework: &'a FrameworkId,
        agent: &'a AgentId,
        executor: &'a ExecutorId,
        status: i32,
    },
    OperationStatus {
        framework: &'a FrameworkId,
        #[serde(skip_serializing_if = "Option::is_none")]
        operation: Option<&'a OperationId>,
        state: OperationState,
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<&'a Text>,
    },
    Status(StatusLine<'a>),
    Subscribed {
        framework: &'a FrameworkId,
    },
    AgentLost {
        agent: &'a AgentId,
    },
    OperationFailed {
        #[serde(skip_serializing_if = "Option::is_none")]
        framework: Option<&'a FrameworkId>,
        operation: &'static str,
        message: String,
    },
    Warning {
        command: &'static str,
        message: &'a str,
    },
    Error {
        line: u64,
        command: &'static str,
        message: &'a str,
    },
    Explanation(ExplanationLine<'a>),
    Snapshot {
        snapshot: &'a Snapshot,
    },
    State(StateLine<'a>),
}

#[derive(Debug, Serialize)]
pub(super) struct OfferLine<'a> {
    id: &'a OfferId,
    framework: &'a FrameworkId,
    role: &'a Role,
    agent: &'a AgentId,
    hostname: &'a str,
    resources: &'a Resources,
    #[serde(skip_serializing_if = "Attributes::is_empty")]
    attributes: &'a Attributes,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<&'a Domain>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unavailability: Option<UnavailabilityLine>,
}

#[derive(Debug, Serialize)]
pub(super) struct UnavailabilityLine {
    start: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<Time>,
}

#[derive(Debug, Serialize)]
pub(super) struct TaskLine<'a> {
    id: &'a TaskId,
    resources: &'a Resources,
    #[serde(flatten)]
    details: &'a Details,
}

#[derive(Debug, Serialize)]
pub(super) struct StatusLine<'a> {
    framework: &'a FrameworkId,
    task: &'a TaskId,
    state: TaskState,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<&'a AgentId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uuid: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    healthy: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    executor: Option<&'a ExecutorId>,
    #[serde(flatten)]
    details: &'a Details,
}

#[derive(Debug, Serialize)]
pub(super) struct StateLine<'a> {
    agents: Vec<AgentLine<'a>>,
    frameworks: Vec<FrameworkLine<'a>>,
    roles: Vec<RoleLine<'a>>,
    offers: Vec<LiveOfferLine<'a>>,
}

#[derive(Debug, Serialize)]
struct AgentLine<'a> {
    id: &'a AgentId,
    total: &'a Resources,
    offered: &'a Resources,
    allocated: &'a Resources,
    active: bool,
    #[serde(skip_serializing_if = "Quantities::is_empty")]
    overcommitted: &'a Quantities,
}

#[derive(Debug, Serialize)]
struct FrameworkLine<'a> {
    id: &'a FrameworkId,
    roles: &'a [Role],
    suppressed: &'a [Role],
    active: bool,
    tasks: &'a [TaskId],
}

#[derive(Debug, Serialize)]
struct RoleLine<'a> {
    role: &'a Role,
    weight: f64,
    share: f64,
    offered: &'a Quantities,
    allocated: &'a Quantities,
    reserved: &'a Quantities,
    quota: QuotaLine<'a>,
}

#[derive(Debug, Serialize)]
struct QuotaLine<'a> {
    guarantees: &'a Quantities,
    limits: &'a Limits,
}

#[derive(Debug, Serialize)]
struct LiveOfferLine<'a> {
    id: &'a OfferId,
    framework: &'a FrameworkId,
    agent: &'a AgentId,
    resources: &'a Resources,
}

impl<'a> From<&'a Effect> for Emit<'a> {
    fn from(effect: &'a Effect) -> Self {
        match effect {
            Effect::Offer(offer) => Self::Offer(offer.into()),
            Effect::Rescind { offer, framework } => Self::Rescind { offer, framework },
            Effect::InverseOffer(InverseOffer { id, framework, agent, unavailability, .. }) => {
                Self::InverseOffer { id, framework, agent, unavailability: (*unavailability).into() }
            }
            Effect::RescindInverseOffer { offer, framework } => Self::RescindInverseOffer { offer, framework },
            Effect::Subscribed { framework } => Self::Subscribed { framework },
            Effect::AgentLost { agent } => Self::AgentLost { agent },
            Effect::Launch { agent, framework, role, task, group } => {
                Self::Launch { agent, framework, role, task: task.into(), group: *group }
            }
            Effect::Operation { agent, framework, operation } => {
                Self::Operation { agent, framework: framework.as_ref(), operation: operation.into() }
            }
            Effect::Drain { agent, drain } => {
                let max_grace_period = drain.max_grace_period.map(|grace| Time::ZERO + grace);
                Self::Drain { agent, max_grace_period, mark_gone: drain.mark_gone }
            }
            Effect::ShutdownAgent { agent, message } => Self::ShutdownAgent { agent, message },
            Effect::ShutdownFramework { agent, framework } => Self::ShutdownFramework { agent, framework },
            Effect::TaskConflict { agent, framework, task } => Self::TaskConflict { agent, framework, task },
            Effect::FrameworkRemoved { framework } => Self::FrameworkRemoved { framework },
            Effect::Kill { agent, framework, task, grace } => {
                Self::Kill { agent, framework, task, grace: grace.map(|grace| Time::ZERO + grace) }
            }
            Effect::Acknowledge { agent, framework, task, uuid } => {
                Self::Acknowledge { agent, framework, task, uuid: *uuid }
            }
            Effect::Message { agent, framework, executor, data } => {
                Self::Message { agent, framework, executor, data: Bytes(data.clone()) }
            }
            Effect::Shutdown { agent, framework, executor } => Self::Shutdown { agent, framework, executor },
            Effect::ExecutorMessage { framework, agent, executor, data } => {
                Self::ExecutorMessage { framework, agent, executor, data: Bytes(data.clone()) }
            }
            Effect::ExecutorEnded { framework, agent, executor, status } => {
                Self::ExecutorEnded { framework, agent, executor, status: *status }
            }
            Effect::OperationStatus { framework, status } => Self::OperationStatus {
                framework,
                operation: status.operation.as_ref(),
                state: status.state,
                message: status.message.as_ref(),
            },
            Effect::OperationFailed { framework, operation, error } => {
                Self::OperationFailed { framework: framework.as_ref(), operation, message: error.to_string() }
            }
            Effect::Warning { command, message } => Self::Warning { command, message },
            Effect::Status { framework, status } => Self::Status(StatusLine::new(framework, status)),
        }
    }
}

impl<'a> From<&'a Offer> for OfferLine<'a> {
    fn from(offer: &'a Offer) -> Self {
        Self {
            id: &offer.id,
            framework: &offer.framework,
            role: &offer.role,
            agent: &offer.agent,
            hostname: &offer.hostname,
            resources: &offer.resources,
            attributes: &offer.attributes,
            domain: offer.domain.as_ref(),
            unavailability: offer.unavailability.map(UnavailabilityLine::from),
        }
    }
}

impl From<Unavailability> for UnavailabilityLine {
    fn from(window: Unavailability) -> Self {
        let span = |span: Duration| Time::ZERO + span;
        Self { start: window.start, duration: window.duration.map(span) }
    }
}

impl<'a> From<&'a Task> for TaskLine<'a> {
    fn from(task: &'a Task) -> Self {
        Self { id: &task.id, resources: &task.resources, details: &task.details }
    }
}

impl<'a> StatusLine<'a> {
    fn new(framework: &'a FrameworkId, status: &'a TaskStatus) -> Self {
        Self {
            framework,
            task: &status.task,
            state: status.state,
            reason: status.reason.as_ref(),
            message: status.message.as_ref(),
            agent: status.agent.as_ref(),
            source: status.source.map(StatusSource::as_str),
            uuid: status.uuid,
            data: status.data.clone().map(Bytes),
            healthy: status.healthy,
            timestamp: status.timestamp,
            executor: status.executor.as_ref(),
            details: &status.details,
        }
    }
}

impl<'a> From<&'a State> for StateLine<'a> {
    fn from(state: &'a State) -> Self {
        let agents = state.agents.iter().map(|agent| AgentLine {
            id: &agent.id,
            total: &agent.total,
            offered: &agent.offered,
            allocated: &agent.allocated,
            active: agent.active,
            overcommitted: &agent.overcommitted,
        });
        let frameworks = state.frameworks.iter().map(|framework| FrameworkLine {
            id: &framework.id,
            roles: &framework.roles,
            suppressed: &framework.suppressed,
            active: framework.active,
            tasks: &framework.tasks,
        });
        let roles = state.roles.iter().map(|role| RoleLine {
            role: &role.role,
            weight: role.weight.as_f64(),
            share: role.share,
            offered: &role.offered,
            allocated: &role.allocated,
            reserved: &role.reserved,
            quota: QuotaLine { guarantees: &role.quota.guarantees, limits: &role.quota.limits },
        });
        let offers = state.offers.iter().map(|offer| LiveOfferLine {
            id: &offer.id,
            framework: &offer.framework,
            agent: &offer.agent,
            resources: &offer.resources,
        });
        Self {
            agents: agents.collect(),
            frameworks: frameworks.collect(),
            roles: roles.collect(),
            offers: offers.collect(),
        }
    }
}
