//! Calls of the scheduler API in v1 JSON.

use super::framework::WireSubscribe;
use super::operation::{WireAccept, WireFilters, read_filters, write_filters};
use super::wire::{DurationInfo, Wrapped, read_resources, read_roles, required, unwrapped, wire, wrapped, write_roles};
use super::{Dialect, V1Error};
use crate::bytes::Bytes;
use crate::id::{AgentId, ExecutorId, FrameworkId, OfferId, OperationId, TaskId};
use crate::invalid::InvalidForm;
use crate::json::Json;
use crate::resources::v1::V1Resource;
use crate::resources::{Quantities, Resource, Resources, Value};
use crate::scheduler::{Call, Kill, OperationRef, Request, TaskRef};
use crate::text::Text;
use crate::uuid::Uuid;
use std::time::Duration;

wire!(WireCall {
    ; r#type: Text, framework_id: Wrapped<FrameworkId>, subscribe: WireSubscribe, accept: WireAccept,
    decline: Decline, accept_inverse_offers: InverseOfferAnswer, decline_inverse_offers: InverseOfferAnswer, revive: Roles,
    suppress: Roles, kill: WireKill, acknowledge: Acknowledge, acknowledge_operation_status: AcknowledgeOperation,
    reconcile: Reconcile, reconcile_operations: ReconcileOperations, message: Message, shutdown: Shutdown,
    request: Requests, update_framework: WireSubscribe ;
});
wire!(Decline { ; filters: WireFilters ; offer_ids: Wrapped<OfferId> });
wire!(InverseOfferAnswer { ; filters: WireFilters ; inverse_offer_ids: Wrapped<OfferId> });
wire!(Roles { ; ; roles: Text });
wire!(WireKill { task_id: Wrapped<TaskId> ; agent_id: Wrapped<AgentId>, kill_policy: KillPolicy ; });
wire!(KillPolicy { ; grace_period: DurationInfo ; });
wire!(Acknowledge { agent_id: Wrapped<AgentId>, task_id: Wrapped<TaskId>, uuid: Uuid ; ; });
wire!(AcknowledgeOperation { operation_id: Wrapped<OperationId>, uuid: Uuid ; agent_id: Wrapped<AgentId> ; });
wire!(Reconcile { ; ; tasks: WireTask });
wire!(WireTask { task_id: Wrapped<TaskId> ; agent_id: Wrapped<AgentId> ; });
wire!(ReconcileOperations { ; ; operations: WireOperation });
wire!(WireOperation { operation_id: Wrapped<OperationId> ; agent_id: Wrapped<AgentId> ; });
wire!(Message { agent_id: Wrapped<AgentId>, executor_id: Wrapped<ExecutorId>, data: Bytes ; ; });
wire!(Shutdown { executor_id: Wrapped<ExecutorId>, agent_id: Wrapped<AgentId> ; ; });
wire!(Requests { ; ; requests: WireRequest });
wire!(WireRequest { ; agent_id: Wrapped<AgentId> ; resources: V1Resource });

impl KillPolicy {
    pub(super) fn of(grace: Duration) -> Self {
        Self { grace_period: Some(grace.into()) }
    }

    pub(super) fn grace(self) -> Option<Duration> {
        self.grace_period.map(Duration::from)
    }
}

impl WireCall {
    fn of(kind: &str) -> Self {
        Self {
            r#type: Some(kind.into()),
            framework_id: None,
            subscribe: None,
            accept: None,
            decline: None,
            accept_inverse_offers: None,
            decline_inverse_offers: None,
            revive: None,
            suppress: None,
            kill: None,
            acknowledge: None,
            acknowledge_operation_status: None,
            reconcile: None,
            reconcile_operations: None,
            message: None,
            shutdown: None,
            request: None,
            update_framework: None,
        }
    }

    pub(super) fn write(call: &Call, dialect: &Dialect) -> Self {
        let roles = |roles: &[crate::role::Role]| (!roles.is_empty()).then(|| Roles { roles: write_roles(roles) });
        let inverse = |offers: &[OfferId], filters| {
            Some(InverseOfferAnswer { inverse_offer_ids: Wrapped::wrap_all(offers), filters: write_filters(filters) })
        };
        match call {
            Call::Subscribe(framework) => Self { subscribe: Some((&**framework).into()), ..Self::of(call.kind()) },
            Call::Accept(accept) => Self { accept: Some(WireAccept::write(accept, dialect)), ..Self::of(call.kind()) },
            Call::Decline { offers, filters, each: _ } => {
                let body = Decline { offer_ids: Wrapped::wrap_all(offers), filters: write_filters(*filters) };
                Self { decline: Some(body), ..Self::of(call.kind()) }
            }
            Call::AcceptInverseOffers { offers, filters, each: _ } => {
                Self { accept_inverse_offers: inverse(offers, *filters), ..Self::of(call.kind()) }
            }
            Call::DeclineInverseOffers { offers, filters, each: _ } => {
                Self { decline_inverse_offers: inverse(offers, *filters), ..Self::of(call.kind()) }
            }
            Call::Suppress(list) => Self { suppress: roles(list), ..Self::of(call.kind()) },
            Call::Revive(list) => Self { revive: roles(list), ..Self::of(call.kind()) },
            Call::Kill(kill) => Self { kill: Some(kill.into()), ..Self::of(call.kind()) },
            Call::Reconcile(tasks) => {
                let tasks = tasks.iter().flatten().map(WireTask::from).collect();
                Self { reconcile: Some(Reconcile { tasks }), ..Self::of(call.kind()) }
            }
            Call::Acknowledge { agent, task, uuid } => {
                let (agent_id, task_id) = (agent.clone().into(), task.clone().into());
                let body = Acknowledge { agent_id, task_id, uuid: *uuid };
                Self { acknowledge: Some(body), ..Self::of(call.kind()) }
            }
            Call::AcknowledgeOperation { agent, operation, uuid } => {
                let (agent_id, operation_id) = (wrapped(agent.as_ref()), operation.clone().into());
                let body = AcknowledgeOperation { operation_id, uuid: *uuid, agent_id };
                Self { acknowledge_operation_status: Some(body), ..Self::of(call.kind()) }
            }
            Call::ReconcileOperations(operations) => {
                let operations = operations.iter().map(WireOperation::from).collect();
                let body = ReconcileOperations { operations };
                Self { reconcile_operations: Some(body), ..Self::of(call.kind()) }
            }
            Call::Message { agent, executor, data } => {
                let (agent_id, executor_id) = (agent.clone().into(), executor.clone().into());
                let body = Message { agent_id, executor_id, data: Bytes(data.clone()) };
                Self { message: Some(body), ..Self::of(call.kind()) }
            }
            Call::Shutdown { agent, executor } => {
                let (agent_id, executor_id) = (agent.clone().into(), executor.clone().into());
                Self { shutdown: Some(Shutdown { executor_id, agent_id }), ..Self::of(call.kind()) }
            }
            Call::Request(request) => {
                let requests = write_request(request, dialect);
                Self { request: Some(Requests { requests }), ..Self::of(call.kind()) }
            }
            Call::UpdateFramework(framework) => {
                Self { update_framework: Some((&**framework).into()), ..Self::of(call.kind()) }
            }
            Call::Teardown => Self::of(call.kind()),
            Call::Invalid { kind, form } => {
                let body = Text::new(kind.to_ascii_lowercase());
                let tagged = Json::object([("type".into(), kind.into()), (body, form.given.clone())]);
                tagged.read().unwrap_or_else(|_| Self { r#type: Some(kind.clone()), ..Self::of("") })
            }
        }
    }

    /// Reads a call. If a value in it is invalid, its body is kept as it is given.
    pub(super) fn read(self) -> Result<Call, V1Error> {
        let has_values = self.subscribe.is_some()
            || self.update_framework.is_some()
            || self.revive.is_some()
            || self.suppress.is_some()
            || self.request.is_some();
        let kept = has_values.then(|| self.clone());
        self.read_valid().or_else(|error| match kept {
            Some(kept) if error.is_of_value() => kept.keep(error),
            _ => Err(error),
        })
    }

    fn keep(self, error: V1Error) -> Result<Call, V1Error> {
        let kind = required(self.r#type.clone(), "type")?;
        match Json::of(&self).get(&kind.to_ascii_lowercase()) {
            Some(body) => {
                let form = Box::new(InvalidForm::new(body, error.to_string()));
                Ok(Call::Invalid { kind, form })
            }
            None => Err(error),
        }
    }

    fn read_valid(self) -> Result<Call, V1Error> {
        let inverse =
            |body: InverseOfferAnswer| (Wrapped::unwrap_all(body.inverse_offer_ids), read_filters(body.filters));
        let roles = |body: Option<Roles>| read_roles(body.map(|body| body.roles).unwrap_or_default());
        Ok(match required(self.r#type.as_deref(), "type")? {
            "SUBSCRIBE" => Call::Subscribe(Box::new(required(self.subscribe, "subscribe")?.read()?)),
            "ACCEPT" => Call::Accept(required(self.accept, "accept")?.read()?),
            "DECLINE" => {
                let Decline { offer_ids, filters } = required(self.decline, "decline")?;
                let (offers, filters) = (Wrapped::unwrap_all(offer_ids), read_filters(filters));
                Call::Decline { offers, filters, each: true } // over a connection an answer may cross a rescind
            }
            "ACCEPT_INVERSE_OFFERS" => {
                let (offers, filters) = inverse(required(self.accept_inverse_offers, "accept_inverse_offers")?);
                Call::AcceptInverseOffers { offers, filters, each: true }
            }
            "DECLINE_INVERSE_OFFERS" => {
                let (offers, filters) = inverse(required(self.decline_inverse_offers, "decline_inverse_offers")?);
                Call::DeclineInverseOffers { offers, filters, each: true }
            }
            "SUPPRESS" => Call::Suppress(roles(self.suppress)?),
            "REVIVE" => Call::Revive(roles(self.revive)?),
            "KILL" => Call::Kill(required(self.kill, "kill")?.into()),
            "ACKNOWLEDGE" => {
                let Acknowledge { agent_id, task_id, uuid } = required(self.acknowledge, "acknowledge")?;
                Call::Acknowledge { agent: agent_id.value, task: task_id.value, uuid }
            }
            "ACKNOWLEDGE_OPERATION_STATUS" => {
                let body = required(self.acknowledge_operation_status, "acknowledge_operation_status")?;
                let (agent, operation) = (unwrapped(body.agent_id), body.operation_id.value);
                Call::AcknowledgeOperation { agent, operation, uuid: body.uuid }
            }
            "RECONCILE" => {
                let tasks = required(self.reconcile, "reconcile")?.tasks;
                Call::Reconcile((!tasks.is_empty()).then(|| tasks.into_iter().map(TaskRef::from).collect()))
            }
            "RECONCILE_OPERATIONS" => {
                let operations = required(self.reconcile_operations, "reconcile_operations")?.operations;
                Call::ReconcileOperations(operations.into_iter().map(OperationRef::from).collect())
            }
            "MESSAGE" => {
                let Message { agent_id, executor_id, data } = required(self.message, "message")?;
                Call::Message { agent: agent_id.value, executor: executor_id.value, data: data.0 }
            }
            "SHUTDOWN" => {
                let Shutdown { executor_id, agent_id } = required(self.shutdown, "shutdown")?;
                Call::Shutdown { agent: agent_id.value, executor: executor_id.value }
            }
            "REQUEST" => read_request(required(self.request, "request")?.requests)?.into(),
            "UPDATE_FRAMEWORK" => {
                let framework = required(self.update_framework, "update_framework")?.read()?;
                Call::UpdateFramework(Box::new(framework))
            }
            "TEARDOWN" => Call::Teardown,
            // Mesos treats an unknown enum name like an absent field.
            _ => return Err(V1Error::Missing("type")),
        })
    }
}

impl From<&Kill> for WireKill {
    fn from(kill: &Kill) -> Self {
        Self {
            task_id: kill.task.clone().into(),
            agent_id: wrapped(kill.agent.as_ref()),
            kill_policy: kill.grace.map(KillPolicy::of),
        }
    }
}

impl From<WireKill> for Kill {
    fn from(wire: WireKill) -> Self {
        let grace = wire.kill_policy.and_then(KillPolicy::grace);
        Self { agent: unwrapped(wire.agent_id), grace, ..Self::from(wire.task_id.value) }
    }
}

impl From<&TaskRef> for WireTask {
    fn from(task: &TaskRef) -> Self {
        Self { task_id: task.task.clone().into(), agent_id: wrapped(task.agent.as_ref()) }
    }
}

impl From<WireTask> for TaskRef {
    fn from(wire: WireTask) -> Self {
        Self { agent: unwrapped(wire.agent_id), ..Self::from(wire.task_id.value) }
    }
}

impl From<&OperationRef> for WireOperation {
    fn from(operation: &OperationRef) -> Self {
        Self { operation_id: operation.operation.clone().into(), agent_id: wrapped(operation.agent.as_ref()) }
    }
}

impl From<WireOperation> for OperationRef {
    fn from(wire: WireOperation) -> Self {
        Self { agent: unwrapped(wire.agent_id), ..Self::from(wire.operation_id.value) }
    }
}

/// The most offers that one call asks for in v1 JSON, where each has an entry of its own.
const MOST_ENTRIES: usize = 1_000;

/// Writes a request: an entry for each offer. The agents stand in the first entries; if there are more agents than offers, the others
/// are left out.
fn write_request(request: &Request, dialect: &Dialect) -> Vec<WireRequest> {
    let offers = usize::try_from(request.offers).map_or(MOST_ENTRIES, |offers| offers.min(MOST_ENTRIES));
    let amounts = request.each.iter().flat_map(Quantities::iter);
    let least = amounts.map(|(name, amount)| Resource::new(name, Value::Scalar(amount)));
    let least = Resources::try_from_iter(least).expect("each name stands once");
    let entry = |index: usize| WireRequest {
        agent_id: wrapped(request.agents.get(index % request.agents.len().max(1))),
        resources: dialect.framework_resources(&least, None),
    };
    (0..offers).map(entry).collect()
}

/// Reads entries of equal resources as a request of so many offers. If one of them names no agent, any will do.
fn read_request(entries: Vec<WireRequest>) -> Result<Request, V1Error> {
    let mut request = Request { if_suppressed: true, ..Request::offers(entries.len() as u64) };
    let is_any = entries.iter().any(|entry| entry.agent_id.is_none());
    for (index, entry) in entries.into_iter().enumerate() {
        let least = read_resources(entry.resources)?.0.quantities();
        let each = (!least.is_empty()).then_some(least);
        if index == 0 {
            request.each = each;
        } else if request.each != each {
            return Err(V1Error::SeveralRequests);
        }
        if let Some(agent) = unwrapped(entry.agent_id).filter(|agent| !is_any && !request.agents.contains(agent)) {
            request.agents.push(agent);
        }
    }
    Ok(request)
}
