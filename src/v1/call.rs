//! The calls of the scheduler API in v1 JSON.

use super::framework::SubscribeShape;
use super::operation::{AcceptShape, FiltersShape, read_filters, write_filters};
use super::wire::{Span, Wrapped, bare, present, read_resources, read_roles, shape, wrapped, write_roles};
use super::{Form, V1Error};
use crate::bytes::Bytes;
use crate::id::{AgentId, ExecutorId, FrameworkId, OfferId, OperationId, TaskId};
use crate::resources::v1::V1Resource;
use crate::scheduler::{Call, Kill, OperationRef, Request, TaskRef};
use crate::uuid::Uuid;
use smol_str::SmolStr;
use std::time::Duration;

shape!(CallShape {
    ; r#type: SmolStr, framework_id: Wrapped<FrameworkId>, subscribe: SubscribeShape, accept: AcceptShape,
    decline: Decline, accept_inverse_offers: AnswerInverse, decline_inverse_offers: AnswerInverse, revive: Roles,
    suppress: Roles, kill: KillShape, acknowledge: Acknowledge, acknowledge_operation_status: AcknowledgeOperation,
    reconcile: Reconcile, reconcile_operations: ReconcileOperations, message: Message, shutdown: Shutdown,
    request: Requests, update_framework: SubscribeShape ;
});
shape!(Decline { ; filters: FiltersShape ; offer_ids: Wrapped<OfferId> });
shape!(AnswerInverse { ; filters: FiltersShape ; inverse_offer_ids: Wrapped<OfferId> });
shape!(Roles { ; ; roles: SmolStr });
shape!(KillShape { task_id: Wrapped<TaskId> ; agent_id: Wrapped<AgentId>, kill_policy: KillPolicy ; });
shape!(KillPolicy { ; grace_period: Span ; });
shape!(Acknowledge { agent_id: Wrapped<AgentId>, task_id: Wrapped<TaskId>, uuid: Uuid ; ; });
shape!(AcknowledgeOperation { operation_id: Wrapped<OperationId>, uuid: Uuid ; agent_id: Wrapped<AgentId> ; });
shape!(Reconcile { ; ; tasks: TaskShape });
shape!(TaskShape { task_id: Wrapped<TaskId> ; agent_id: Wrapped<AgentId> ; });
shape!(ReconcileOperations { ; ; operations: OperationShape });
shape!(OperationShape { operation_id: Wrapped<OperationId> ; agent_id: Wrapped<AgentId> ; });
shape!(Message { agent_id: Wrapped<AgentId>, executor_id: Wrapped<ExecutorId>, data: Bytes ; ; });
shape!(Shutdown { executor_id: Wrapped<ExecutorId>, agent_id: Wrapped<AgentId> ; ; });
shape!(Requests { ; ; requests: RequestShape });
shape!(RequestShape { ; agent_id: Wrapped<AgentId> ; resources: V1Resource });

impl KillPolicy {
    pub(super) fn of(grace: Duration) -> Self {
        Self { grace_period: Some(grace.into()) }
    }

    pub(super) fn grace(self) -> Option<Duration> {
        self.grace_period.map(Duration::from)
    }
}

impl CallShape {
    fn of(name: &'static str) -> Self {
        Self {
            r#type: Some(name.into()),
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

    pub(super) fn write(call: &Call, form: &Form) -> Self {
        let roles = |roles: &[crate::role::Role]| (!roles.is_empty()).then(|| Roles { roles: write_roles(roles) });
        let inverse = |offers: &[OfferId], filters| {
            Some(AnswerInverse { inverse_offer_ids: Wrapped::all(offers), filters: write_filters(filters) })
        };
        match call {
            Call::Subscribe(framework) => Self { subscribe: Some((&**framework).into()), ..Self::of("SUBSCRIBE") },
            Call::Accept(accept) => Self { accept: Some(AcceptShape::write(accept, form)), ..Self::of("ACCEPT") },
            Call::Decline { offers, filters } => {
                let body = Decline { offer_ids: Wrapped::all(offers), filters: write_filters(*filters) };
                Self { decline: Some(body), ..Self::of("DECLINE") }
            }
            Call::AcceptInverseOffers { offers, filters } => {
                Self { accept_inverse_offers: inverse(offers, *filters), ..Self::of("ACCEPT_INVERSE_OFFERS") }
            }
            Call::DeclineInverseOffers { offers, filters } => {
                Self { decline_inverse_offers: inverse(offers, *filters), ..Self::of("DECLINE_INVERSE_OFFERS") }
            }
            Call::Suppress(list) => Self { suppress: roles(list), ..Self::of("SUPPRESS") },
            Call::Revive(list) => Self { revive: roles(list), ..Self::of("REVIVE") },
            Call::Kill(kill) => Self { kill: Some(kill.into()), ..Self::of("KILL") },
            Call::Reconcile(tasks) => {
                let tasks = tasks.iter().flatten().map(TaskShape::from).collect();
                Self { reconcile: Some(Reconcile { tasks }), ..Self::of("RECONCILE") }
            }
            Call::Acknowledge { agent, task, uuid } => {
                let (agent_id, task_id) = (agent.clone().into(), task.clone().into());
                let body = Acknowledge { agent_id, task_id, uuid: *uuid };
                Self { acknowledge: Some(body), ..Self::of("ACKNOWLEDGE") }
            }
            Call::AcknowledgeOperation { agent, operation, uuid } => {
                let (agent_id, operation_id) = (wrapped(agent.as_ref()), operation.clone().into());
                let body = AcknowledgeOperation { operation_id, uuid: *uuid, agent_id };
                Self { acknowledge_operation_status: Some(body), ..Self::of("ACKNOWLEDGE_OPERATION_STATUS") }
            }
            Call::ReconcileOperations(operations) => {
                let operations = operations.iter().map(OperationShape::from).collect();
                let body = ReconcileOperations { operations };
                Self { reconcile_operations: Some(body), ..Self::of("RECONCILE_OPERATIONS") }
            }
            Call::Message { agent, executor, data } => {
                let (agent_id, executor_id) = (agent.clone().into(), executor.clone().into());
                let body = Message { agent_id, executor_id, data: Bytes(data.clone()) };
                Self { message: Some(body), ..Self::of("MESSAGE") }
            }
            Call::Shutdown { agent, executor } => {
                let (agent_id, executor_id) = (agent.clone().into(), executor.clone().into());
                Self { shutdown: Some(Shutdown { executor_id, agent_id }), ..Self::of("SHUTDOWN") }
            }
            Call::Request(requests) => {
                let request = |request: &Request| RequestShape {
                    agent_id: wrapped(request.agent.as_ref()),
                    resources: form.asked(&request.resources, None),
                };
                let requests = requests.iter().map(request).collect();
                Self { request: Some(Requests { requests }), ..Self::of("REQUEST") }
            }
            Call::UpdateFramework(framework) => {
                Self { update_framework: Some((&**framework).into()), ..Self::of("UPDATE_FRAMEWORK") }
            }
            Call::Teardown => Self::of("TEARDOWN"),
        }
    }

    pub(super) fn read(self) -> Result<Call, V1Error> {
        let inverse = |body: AnswerInverse| (Wrapped::unwrap_all(body.inverse_offer_ids), read_filters(body.filters));
        let roles = |body: Option<Roles>| read_roles(body.map(|body| body.roles).unwrap_or_default());
        Ok(match present(self.r#type.as_deref(), "type")? {
            "SUBSCRIBE" => Call::Subscribe(Box::new(present(self.subscribe, "subscribe")?.read()?)),
            "ACCEPT" => Call::Accept(present(self.accept, "accept")?.read()?),
            "DECLINE" => {
                let Decline { offer_ids, filters } = present(self.decline, "decline")?;
                Call::Decline { offers: Wrapped::unwrap_all(offer_ids), filters: read_filters(filters) }
            }
            "ACCEPT_INVERSE_OFFERS" => {
                let (offers, filters) = inverse(present(self.accept_inverse_offers, "accept_inverse_offers")?);
                Call::AcceptInverseOffers { offers, filters }
            }
            "DECLINE_INVERSE_OFFERS" => {
                let (offers, filters) = inverse(present(self.decline_inverse_offers, "decline_inverse_offers")?);
                Call::DeclineInverseOffers { offers, filters }
            }
            "SUPPRESS" => Call::Suppress(roles(self.suppress)?),
            "REVIVE" => Call::Revive(roles(self.revive)?),
            "KILL" => Call::Kill(present(self.kill, "kill")?.into()),
            "ACKNOWLEDGE" => {
                let Acknowledge { agent_id, task_id, uuid } = present(self.acknowledge, "acknowledge")?;
                Call::Acknowledge { agent: agent_id.value, task: task_id.value, uuid }
            }
            "ACKNOWLEDGE_OPERATION_STATUS" => {
                let body = present(self.acknowledge_operation_status, "acknowledge_operation_status")?;
                let (agent, operation) = (bare(body.agent_id), body.operation_id.value);
                Call::AcknowledgeOperation { agent, operation, uuid: body.uuid }
            }
            "RECONCILE" => {
                let tasks = present(self.reconcile, "reconcile")?.tasks;
                Call::Reconcile((!tasks.is_empty()).then(|| tasks.into_iter().map(TaskRef::from).collect()))
            }
            "RECONCILE_OPERATIONS" => {
                let operations = present(self.reconcile_operations, "reconcile_operations")?.operations;
                Call::ReconcileOperations(operations.into_iter().map(OperationRef::from).collect())
            }
            "MESSAGE" => {
                let Message { agent_id, executor_id, data } = present(self.message, "message")?;
                Call::Message { agent: agent_id.value, executor: executor_id.value, data: data.0 }
            }
            "SHUTDOWN" => {
                let Shutdown { executor_id, agent_id } = present(self.shutdown, "shutdown")?;
                Call::Shutdown { agent: agent_id.value, executor: executor_id.value }
            }
            "REQUEST" => {
                let requests = present(self.request, "request")?.requests.into_iter();
                Call::Request(requests.map(RequestShape::read).collect::<Result<_, _>>()?)
            }
            "UPDATE_FRAMEWORK" => {
                let framework = present(self.update_framework, "update_framework")?.read()?;
                Call::UpdateFramework(Box::new(framework))
            }
            "TEARDOWN" => Call::Teardown,
            // A name that an enum does not have is as good as none.
            _ => return Err(V1Error::Missing("type")),
        })
    }
}

impl From<&Kill> for KillShape {
    fn from(kill: &Kill) -> Self {
        Self {
            task_id: kill.task.clone().into(),
            agent_id: wrapped(kill.agent.as_ref()),
            kill_policy: kill.grace.map(KillPolicy::of),
        }
    }
}

impl From<KillShape> for Kill {
    fn from(shape: KillShape) -> Self {
        let grace = shape.kill_policy.and_then(KillPolicy::grace);
        Self { agent: bare(shape.agent_id), grace, ..Self::from(shape.task_id.value) }
    }
}

impl From<&TaskRef> for TaskShape {
    fn from(task: &TaskRef) -> Self {
        Self { task_id: task.task.clone().into(), agent_id: wrapped(task.agent.as_ref()) }
    }
}

impl From<TaskShape> for TaskRef {
    fn from(shape: TaskShape) -> Self {
        Self { agent: bare(shape.agent_id), ..Self::from(shape.task_id.value) }
    }
}

impl From<&OperationRef> for OperationShape {
    fn from(operation: &OperationRef) -> Self {
        Self { operation_id: operation.operation.clone().into(), agent_id: wrapped(operation.agent.as_ref()) }
    }
}

impl From<OperationShape> for OperationRef {
    fn from(shape: OperationShape) -> Self {
        Self { agent: bare(shape.agent_id), ..Self::from(shape.operation_id.value) }
    }
}

impl RequestShape {
    fn read(self) -> Result<Request, V1Error> {
        Ok(Request { agent: bare(self.agent_id), ..Request::new(read_resources(self.resources)?.0) })
    }
}
