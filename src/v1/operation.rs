//! What an accept does, and how it went, in v1 JSON.

use super::task::{EXECUTOR, TaskInfo};
use super::wire::{Wrapped, bare, read_resource, read_resources, shape, wrapped};
use super::{Form, V1Error};
use crate::id::{AgentId, OfferId, OperationId};
use crate::offer::{Accept, Filters, Operation, OperationState, OperationStatus};
use crate::resources::v1::V1Resource;
use crate::resources::{Resource, Resources, Scalar};
use crate::role::Role;
use crate::task::Task;
use crate::uuid::Uuid;
use serde_json::Value as Json;
use smol_str::SmolStr;
use std::collections::BTreeMap;

shape!(AcceptShape { ; filters: FiltersShape ; offer_ids: Wrapped<OfferId>, operations: OperationShape });
shape!(FiltersShape { ; refuse_seconds: f64 ; });
shape!(OperationShape {
    ; r#type: SmolStr, id: Wrapped<OperationId>, launch: Launch, launch_group: LaunchGroup, reserve: Taken,
    unreserve: Taken, create: Volumes, destroy: Volumes, grow_volume: Grow, shrink_volume: Shrink ;
});
shape!(Launch { ; ; task_infos: TaskInfo });
shape!(LaunchGroup { task_group: TaskGroup ; executor: Json ; });
shape!(TaskGroup { ; ; tasks: TaskInfo });
shape!(Taken { ; ; resources: V1Resource });
shape!(Volumes { ; ; volumes: V1Resource });
shape!(Grow { volume: V1Resource, addition: V1Resource ; ; });
shape!(Shrink { volume: V1Resource, subtract: Wrapped<f64> ; ; });

pub(super) fn write_filters(filters: Filters) -> Option<FiltersShape> {
    filters.seconds().map(|seconds| FiltersShape { refuse_seconds: Some(seconds) })
}

pub(super) fn read_filters(shape: Option<FiltersShape>) -> Filters {
    Filters::from_seconds(shape.and_then(|shape| shape.refuse_seconds))
}

impl AcceptShape {
    pub(super) fn write(accept: &Accept, form: &Form) -> Self {
        let operation = |(place, operation): (usize, &Operation)| OperationShape {
            id: wrapped(accept.feedback.get(&place)),
            ..write_operation(operation, accept, form)
        };
        Self {
            offer_ids: Wrapped::all(&accept.offers),
            operations: accept.operations.iter().enumerate().map(operation).collect(),
            filters: write_filters(accept.filters),
        }
    }

    /// Operations of a kind that is not known, or without a body, are dropped, as Mesos drops them.
    pub(super) fn read(self) -> Result<Accept, V1Error> {
        let mut feedback = BTreeMap::new();
        let mut operations = Vec::new();
        let mut role = None;
        for mut shape in self.operations {
            let id = bare(shape.id.take());
            let Some((operation, allocated)) = read_operation(shape)? else { continue };
            role = role.or(allocated);
            feedback.extend(id.map(|id| (operations.len(), id)));
            operations.push(operation);
        }
        let filters = read_filters(self.filters);
        Ok(Accept { operations, filters, feedback, role, ..Accept::to(Wrapped::unwrap_all(self.offer_ids)) })
    }
}

fn write_operation(operation: &Operation, accept: &Accept, form: &Form) -> OperationShape {
    let role = accept.role.as_ref();
    let all = |resources: &Resources| form.asked(resources, role);
    let one = |resource: &Resource| form.asked_one(resource, role);
    let task = |task: &Task| {
        let agent = task.agent.as_ref().or(accept.agent.as_ref());
        let resources = form.asked(&task.resources, task.role.as_ref().or(role));
        TaskInfo { agent_id: wrapped(agent), ..TaskInfo::write(task, resources) }
    };
    let mut shape = OperationShape {
        r#type: Some(operation.name().to_ascii_uppercase().into()),
        id: None,
        launch: None,
        launch_group: None,
        reserve: None,
        unreserve: None,
        create: None,
        destroy: None,
        grow_volume: None,
        shrink_volume: None,
    };
    match operation {
        Operation::Launch(tasks) => shape.launch = Some(Launch { task_infos: tasks.iter().map(task).collect() }),
        Operation::LaunchGroup(tasks) => {
            let mut tasks: Vec<TaskInfo> = tasks.iter().map(task).collect();
            // The executor stands once, beside the tasks, not in each of them.
            let executors: Vec<_> = tasks.iter_mut().map(|task| task.details.shift_remove(EXECUTOR)).collect();
            let executor = executors.into_iter().flatten().next();
            shape.launch_group = Some(LaunchGroup { executor, task_group: TaskGroup { tasks } });
        }
        Operation::Reserve(resources) => shape.reserve = Some(Taken { resources: all(resources) }),
        Operation::Unreserve(resources) => shape.unreserve = Some(Taken { resources: all(resources) }),
        Operation::Create(volumes) => shape.create = Some(Volumes { volumes: all(volumes) }),
        Operation::Destroy(volumes) => shape.destroy = Some(Volumes { volumes: all(volumes) }),
        Operation::GrowVolume { volume, addition } => {
            shape.grow_volume = Some(Grow { volume: one(volume), addition: one(addition) });
        }
        Operation::ShrinkVolume { volume, subtract } => {
            shape.shrink_volume = Some(Shrink { volume: one(volume), subtract: subtract.as_f64().into() });
        }
    }
    shape
}

/// An operation, and the role that its resources say they are for.
fn read_operation(shape: OperationShape) -> Result<Option<(Operation, Option<Role>)>, V1Error> {
    let taken = |operation: fn(Resources) -> Operation, objects| {
        let (resources, role) = read_resources(objects)?;
        Ok::<_, V1Error>((operation(resources), role))
    };
    let tasks = |shapes: Vec<TaskInfo>| {
        let tasks = shapes.into_iter().map(TaskInfo::read).collect::<Result<Vec<Task>, _>>()?;
        let role = tasks.iter().find_map(|task| task.role.clone());
        Ok::<_, V1Error>((tasks, role))
    };
    let kind = shape.r#type.clone();
    let read = match (kind.as_deref(), shape) {
        (Some("LAUNCH"), OperationShape { launch: Some(launch), .. }) => {
            let (tasks, role) = tasks(launch.task_infos)?;
            (Operation::Launch(tasks), role)
        }
        (Some("LAUNCH_GROUP"), OperationShape { launch_group: Some(group), .. }) => {
            let (mut tasks, role) = tasks(group.task_group.tasks)?;
            for task in &mut tasks {
                task.details.extend(group.executor.clone().map(|executor| (EXECUTOR.to_owned(), executor)));
            }
            (Operation::LaunchGroup(tasks), role)
        }
        (Some("RESERVE"), OperationShape { reserve: Some(body), .. }) => taken(Operation::Reserve, body.resources)?,
        (Some("UNRESERVE"), OperationShape { unreserve: Some(body), .. }) => {
            taken(Operation::Unreserve, body.resources)?
        }
        (Some("CREATE"), OperationShape { create: Some(body), .. }) => taken(Operation::Create, body.volumes)?,
        (Some("DESTROY"), OperationShape { destroy: Some(body), .. }) => taken(Operation::Destroy, body.volumes)?,
        (Some("GROW_VOLUME"), OperationShape { grow_volume: Some(grow), .. }) => {
            let ((volume, role), (addition, _)) = (read_resource(grow.volume)?, read_resource(grow.addition)?);
            (Operation::GrowVolume { volume: Box::new(volume), addition: Box::new(addition) }, role)
        }
        (Some("SHRINK_VOLUME"), OperationShape { shrink_volume: Some(shrink), .. }) => {
            let (volume, role) = read_resource(shrink.volume)?;
            let subtract = Scalar::try_from_f64(shrink.subtract.value)?;
            (Operation::ShrinkVolume { volume: Box::new(volume), subtract }, role)
        }
        _ => return Ok(None),
    };
    Ok(Some(read))
}

shape!(OperationStatusShape {
    state: OperationState ;
    operation_id: Wrapped<OperationId>, message: SmolStr, agent_id: Wrapped<AgentId>, uuid: Wrapped<Uuid> ;
    ; .. details
});

impl From<&OperationStatus> for OperationStatusShape {
    fn from(status: &OperationStatus) -> Self {
        Self {
            state: status.state,
            operation_id: wrapped(status.operation.as_ref()),
            message: status.message.clone(),
            agent_id: wrapped(status.agent.as_ref()),
            uuid: wrapped(status.uuid.as_ref()),
            details: status.details.clone(),
        }
    }
}

impl From<OperationStatusShape> for OperationStatus {
    fn from(shape: OperationStatusShape) -> Self {
        Self {
            operation: bare(shape.operation_id),
            state: shape.state,
            message: shape.message,
            agent: bare(shape.agent_id),
            uuid: bare(shape.uuid),
            details: shape.details,
        }
    }
}
