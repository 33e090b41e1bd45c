//! Accepts, their operations and the status of operations in v1 JSON.

use super::task::TaskInfo;
use super::wire::{Wrapped, read_resource, read_resources, unwrapped, wire, wrapped};
use super::{Dialect, V1Error};
use crate::details::Details;
use crate::id::{AgentId, OfferId, OperationId};
use crate::invalid::InvalidForm;
use crate::json::{Json, Number};
use crate::offer::{Accept, Filters, Operation, OperationState, OperationStatus};
use crate::resources::v1::V1Resource;
use crate::resources::{Resource, Resources, Scalar};
use crate::role::Role;
use crate::task::{EXECUTOR, Task};
use crate::text::Text;
use crate::uuid::Uuid;
use std::collections::BTreeMap;

wire!(WireAccept { ; filters: WireFilters ; offer_ids: Wrapped<OfferId>, operations: WireOperation });
wire!(WireFilters { ; refuse_seconds: f64 ; });
wire!(WireOperation {
    ; r#type: Text, id: Wrapped<OperationId>, launch: Launch, launch_group: LaunchGroup, reserve: ResourceList,
    unreserve: ResourceList, create: VolumeList, destroy: VolumeList, grow_volume: Grow, shrink_volume: Shrink ;
});
wire!(Launch { ; ; task_infos: TaskInfo });
wire!(LaunchGroup { task_group: TaskGroup ; executor: Json ; });
wire!(TaskGroup { ; ; tasks: TaskInfo });
wire!(ResourceList { ; ; resources: V1Resource });
wire!(VolumeList { ; ; volumes: V1Resource });
wire!(Grow { volume: V1Resource, addition: V1Resource ; ; });
wire!(Shrink { volume: V1Resource, subtract: Wrapped<Number> ; ; });

pub(super) fn write_filters(filters: Filters) -> Option<WireFilters> {
    filters.seconds().map(|seconds| WireFilters { refuse_seconds: Some(seconds) })
}

pub(super) fn read_filters(wire: Option<WireFilters>) -> Filters {
    Filters::from_seconds(wire.and_then(|wire| wire.refuse_seconds))
}

impl WireAccept {
    pub(super) fn write(accept: &Accept, dialect: &Dialect) -> Self {
        let operation = |(index, operation): (usize, &Operation)| WireOperation {
            id: wrapped(accept.feedback.get(&index)),
            ..write_operation(operation, accept, dialect)
        };
        Self {
            offer_ids: Wrapped::wrap_all(&accept.offers),
            operations: accept.operations.iter().enumerate().map(operation).collect(),
            filters: write_filters(accept.filters),
        }
    }

    /// Converts to an accept. Operations of an unknown type or without a body are dropped, as in Mesos.
    pub(super) fn read(self) -> Result<Accept, V1Error> {
        let mut feedback = BTreeMap::new();
        let mut operations = Vec::new();
        let mut role = None;
        for mut wire in self.operations {
            let id = unwrapped(wire.id.take());
            let Some((operation, allocated)) = read_or_keep(wire)? else { continue };
            role = role.or(allocated);
            feedback.extend(id.map(|id| (operations.len(), id)));
            operations.push(operation);
        }
        let filters = read_filters(self.filters);
        // Over a connection an accept may cross a rescind.
        let accept = Accept::to(Wrapped::unwrap_all(self.offer_ids)).each();
        Ok(Accept { operations, filters, feedback, role, ..accept })
    }
}

/// Converts an operation as it stands alone to its wire type.
pub(super) fn write_lone(operation: &Operation) -> WireOperation {
    write_operation(operation, &Accept::to([]), &Dialect::default())
}

/// Converts to an operation that stands alone.
pub(super) fn read_lone(wire: WireOperation) -> Result<Operation, V1Error> {
    read_operation(wire)?.map(|(operation, _)| operation).ok_or(V1Error::Missing("type"))
}

fn write_operation(operation: &Operation, accept: &Accept, dialect: &Dialect) -> WireOperation {
    let role = accept.role.as_ref();
    let all = |resources: &Resources| dialect.framework_resources(resources, role);
    let one = |resource: &Resource| dialect.framework_resource(resource, role);
    let task = |task: &Task| {
        let agent = task.agent.as_ref().or(accept.agent.as_ref());
        let resources = dialect.framework_resources(&task.resources, task.role.as_ref().or(role));
        TaskInfo { agent_id: wrapped(agent), ..TaskInfo::write(task, resources) }
    };
    let mut wire = WireOperation {
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
        Operation::Launch(tasks) => wire.launch = Some(Launch { task_infos: tasks.iter().map(task).collect() }),
        Operation::LaunchGroup(tasks) => {
            let mut tasks: Vec<TaskInfo> = tasks.iter().map(task).collect();
            // A task group has one executor, beside the tasks.
            let executors: Vec<_> = tasks.iter_mut().map(|task| task.details.remove(EXECUTOR)).collect();
            let executor = executors.into_iter().flatten().next();
            wire.launch_group = Some(LaunchGroup { executor, task_group: TaskGroup { tasks } });
        }
        Operation::Reserve(resources) => wire.reserve = Some(ResourceList { resources: all(resources) }),
        Operation::Unreserve(resources) => wire.unreserve = Some(ResourceList { resources: all(resources) }),
        Operation::Create(volumes) => wire.create = Some(VolumeList { volumes: all(volumes) }),
        Operation::Destroy(volumes) => wire.destroy = Some(VolumeList { volumes: all(volumes) }),
        Operation::GrowVolume { volume, addition } => {
            wire.grow_volume = Some(Grow { volume: one(volume), addition: one(addition) });
        }
        Operation::ShrinkVolume { volume, subtract } => {
            wire.shrink_volume = Some(Shrink { volume: one(volume), subtract: Number::from(*subtract).into() });
        }
        Operation::Invalid { name, form } => {
            let mut body = form.given.clone();
            if let Some(amount) = body.get(SUBTRACT).filter(|amount| amount.is_number()) {
                let amount = Json::object([("value", amount)]);
                body = with_field(&body, SUBTRACT, amount);
            }
            let tagged = Json::object([("type", wire.r#type.take().into()), (*name, body)]);
            wire = tagged.read().unwrap_or(wire);
        }
    }
    wire
}

/// The field of a shrink with the amount, which the journal has as a bare number.
const SUBTRACT: &str = "subtract";

/// Returns an object with a field changed.
fn with_field(object: &Json, name: &'static str, value: impl Into<Json>) -> Json {
    let mut fields = Details::from(object.view());
    fields.insert(name, value);
    fields.into()
}

/// Converts to an operation, and keeps the body of one that is invalid as it is given.
fn read_or_keep(wire: WireOperation) -> Result<Option<(Operation, Option<Role>)>, V1Error> {
    let kept = wire.clone();
    read_operation(wire).or_else(|error| {
        let name = Operation::NAMES.into_iter().find(|name| kept.is(name));
        let written = Json::of(&kept);
        let Some((name, mut given)) = name.and_then(|name| Some((name, Json::from(written.get(name)?)))) else {
            return Err(error);
        };
        if let Some(amount) = given.get(SUBTRACT) {
            given = with_field(&given, SUBTRACT, amount.get("value").map(Json::from));
        }
        let form = Box::new(InvalidForm::new(given, error.to_string()));
        Ok(Some((Operation::Invalid { name, form }, None)))
    })
}

impl WireOperation {
    /// Returns whether the operation is of the type with that name in the journal.
    fn is(&self, name: &str) -> bool {
        self.r#type.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case(name))
    }
}

/// Converts to an operation and the role that its resources are allocated to; `None` for an unknown type.
fn read_operation(wire: WireOperation) -> Result<Option<(Operation, Option<Role>)>, V1Error> {
    let with_resources = |operation: fn(Resources) -> Operation, objects| {
        let (resources, role) = read_resources(objects)?;
        Ok::<_, V1Error>((operation(resources), role))
    };
    let tasks = |infos: Vec<TaskInfo>| {
        let tasks: Vec<Task> = infos.into_iter().map(TaskInfo::read_or_keep).collect();
        let role = tasks.iter().find_map(|task| task.role.clone());
        (tasks, role)
    };
    let kind = wire.r#type.clone();
    let read = match (kind.as_deref(), wire) {
        (Some("LAUNCH"), WireOperation { launch: Some(launch), .. }) => {
            let (tasks, role) = tasks(launch.task_infos);
            (Operation::Launch(tasks), role)
        }
        (Some("LAUNCH_GROUP"), WireOperation { launch_group: Some(group), .. }) => {
            let (mut tasks, role) = tasks(group.task_group.tasks);
            for task in &mut tasks {
                task.details.extend(group.executor.clone().map(|executor| (EXECUTOR, executor)));
            }
            (Operation::LaunchGroup(tasks), role)
        }
        (Some("RESERVE"), WireOperation { reserve: Some(body), .. }) => {
            with_resources(Operation::Reserve, body.resources)?
        }
        (Some("UNRESERVE"), WireOperation { unreserve: Some(body), .. }) => {
            with_resources(Operation::Unreserve, body.resources)?
        }
        (Some("CREATE"), WireOperation { create: Some(body), .. }) => with_resources(Operation::Create, body.volumes)?,
        (Some("DESTROY"), WireOperation { destroy: Some(body), .. }) => {
            with_resources(Operation::Destroy, body.volumes)?
        }
        (Some("GROW_VOLUME"), WireOperation { grow_volume: Some(grow), .. }) => {
            let ((volume, role), (addition, _)) = (read_resource(grow.volume)?, read_resource(grow.addition)?);
            (Operation::GrowVolume { volume: Box::new(volume), addition: Box::new(addition) }, role)
        }
        (Some("SHRINK_VOLUME"), WireOperation { shrink_volume: Some(shrink), .. }) => {
            let (volume, role) = read_resource(shrink.volume)?;
            let subtract = Scalar::try_from(shrink.subtract.value)?;
            (Operation::ShrinkVolume { volume: Box::new(volume), subtract }, role)
        }
        _ => return Ok(None),
    };
    Ok(Some(read))
}

wire!(WireOperationStatus {
    state: OperationState ;
    operation_id: Wrapped<OperationId>, message: Text, agent_id: Wrapped<AgentId>, uuid: Wrapped<Uuid> ;
    ; .. details
});

impl From<&OperationStatus> for WireOperationStatus {
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

impl From<WireOperationStatus> for OperationStatus {
    fn from(wire: WireOperationStatus) -> Self {
        Self {
            operation: unwrapped(wire.operation_id),
            state: wire.state,
            message: wire.message,
            agent: unwrapped(wire.agent_id),
            uuid: unwrapped(wire.uuid),
            details: wire.details,
        }
    }
}
