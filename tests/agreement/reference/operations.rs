//! Operations: what reserve, unreserve, create, destroy, grow and shrink make of an agent's resources.

use super::{Reference, Refused};
use apportion::{
    AgentId, Disk, DiskType, Effect, Operation, OperationError, ReservationType, Resource, Resources, Role, Scalar,
    Value,
};

/// What an operation takes, and what it makes of it.
#[derive(Debug, Clone)]
pub(crate) struct Conversion {
    pub(crate) consumed: Resources,
    pub(crate) converted: Resources,
    /// Whether what it makes is there for the operations after it.
    pub(crate) at_once: bool,
}

/// What an operation comes to; `role` is that of the offer, none for an operator.
pub(crate) fn conversion(operation: &Operation, role: Option<&Role>) -> Result<Conversion, Refused> {
    match operation {
        Operation::Reserve(named)
        | Operation::Unreserve(named)
        | Operation::Create(named)
        | Operation::Destroy(named)
            if fraction_of_a_gpu(named) =>
        {
            Err("a part of a GPU")
        }
        Operation::Reserve(reserved) => {
            let for_role = |resource: &Resource| role.is_none_or(|role| resource.role() == Some(role));
            if !reserved.iter().all(for_role) {
                return Err("reserved to another role than that of the offer");
            }
            Ok(Conversion { consumed: each(reserved, popped)?, converted: reserved.clone(), at_once: true })
        }
        Operation::Unreserve(reserved) => {
            Ok(Conversion { consumed: reserved.clone(), converted: each(reserved, popped)?, at_once: true })
        }
        Operation::Create(volumes) if volumes.iter().any(is_read_only) => Err("nobody could write it"),
        Operation::Create(volumes) => {
            Ok(Conversion { consumed: each(volumes, disk_of)?, converted: volumes.clone(), at_once: true })
        }
        Operation::Destroy(volumes) => {
            Ok(Conversion { consumed: volumes.clone(), converted: each(volumes, disk_of)?, at_once: true })
        }
        Operation::GrowVolume { volume, addition } => {
            let (disk, size) = resizable(volume)?;
            let more = addition.scalar().ok_or("not an amount")?;
            if addition.as_ref() != &disk.with_value(Value::Scalar(more)) {
                return Err("not the disk that the volume is made of");
            }
            let sum = Value::Scalar(size.checked_add(more).ok_or("too much")?);
            let consumed = of([volume.as_ref().clone(), addition.as_ref().clone()]);
            Ok(Conversion { consumed, converted: of([volume.as_ref().clone().with_value(sum)]), at_once: false })
        }
        Operation::ShrinkVolume { volume, subtract } => {
            let (disk, size) = resizable(volume)?;
            let rest = size.checked_sub(*subtract).filter(|rest| !rest.is_zero() && !subtract.is_zero());
            let rest = Value::Scalar(rest.ok_or("loses nothing, or all that it has")?);
            let freed = disk.with_value(Value::Scalar(*subtract));
            let converted = of([volume.as_ref().clone().with_value(rest), freed]);
            Ok(Conversion { consumed: of([volume.as_ref().clone()]), converted, at_once: false })
        }
        _ => Err("not a conversion"),
    }
}

fn of<const N: usize>(resources: [Resource; N]) -> Resources {
    Resources::try_from_iter(resources).expect("small amounts")
}

fn each(resources: &Resources, change: impl Fn(&Resource) -> Result<Resource, Refused>) -> Result<Resources, Refused> {
    let changed = resources.iter().map(change).collect::<Result<Vec<_>, _>>()?;
    if changed.is_empty() { Err("names nothing") } else { Ok(Resources::try_from_iter(changed).expect("as much")) }
}

/// Without the top of the stack, which must be a dynamic reservation.
fn popped(resource: &Resource) -> Result<Resource, Refused> {
    let dynamic = resource.reservations().last().is_some_and(|top| top.kind == ReservationType::Dynamic);
    if !dynamic || persistence(resource).is_some() || resource.is_revocable() {
        return Err("no dynamic reservation, a volume, or revocable");
    }
    let mut kind = resource.kind().cloned().unwrap_or_default();
    kind.reservations.pop();
    Ok(resource.clone().with_kind(kind))
}

/// GPUs of a task or an operation are whole, though an agent may have a part of one.
pub(crate) fn fraction_of_a_gpu(resources: &Resources) -> bool {
    !resources.quantities().amount("gpus").as_milli().is_multiple_of(1000)
}

pub(crate) fn persistence(resource: &Resource) -> Option<&str> {
    resource.kind()?.disk.as_ref()?.persistence.as_deref()
}

fn is_read_only(volume: &Resource) -> bool {
    let disk = volume.kind().and_then(|kind| kind.disk.as_ref());
    disk.and_then(|disk| disk.volume.as_ref()).and_then(|options| options.get("mode")).is_some_and(|mode| mode == "RO")
}

/// The disk of the same reservation and source that a volume is made of.
fn disk_of(volume: &Resource) -> Result<Resource, Refused> {
    let kind = volume.kind().cloned().unwrap_or_default();
    let complete = kind.disk.as_ref().is_some_and(|disk| disk.persistence.is_some() && disk.volume.is_some());
    if !complete || volume.name() != "disk" || volume.role().is_none() || volume.is_revocable() {
        return Err("not a volume");
    }
    let mut plain = Disk::default();
    plain.source = kind.disk.as_ref().and_then(|disk| disk.source.clone());
    let mut kind = kind;
    kind.disk = plain.source.is_some().then_some(plain);
    kind.shared = false;
    Ok(Resource::new(volume.name(), volume.value().clone()).with_kind(kind))
}

/// Only volumes of one holder, on disks that can be divided, change their size.
fn resizable(volume: &Resource) -> Result<(Resource, Scalar), Refused> {
    let disk = disk_of(volume)?;
    let source = volume.kind().and_then(|kind| kind.disk.as_ref()).and_then(|disk| disk.source.as_ref());
    match volume.scalar() {
        Some(size) if !volume.is_shared() && source.is_none_or(|source| source.kind == DiskType::Path) => {
            Ok((disk, size))
        }
        _ => Err("cannot change its size"),
    }
}

/// Whether it is the same shared resource, in however many copies.
pub(crate) fn same(one: &Resource, other: &Resource) -> bool {
    (one.name(), one.kind(), one.value()) == (other.name(), other.kind(), other.value())
}

impl Reference {
    /// What the agent's total becomes, if the operation can be done there while `used` is in use besides
    /// what tasks hold: ids of volumes are unique by role, and a shared volume goes only when nobody uses it.
    pub(super) fn converted_total(
        &self,
        agent: &AgentId,
        total: &Resources,
        operation: &Operation,
        conversion: &Conversion,
        used: &[Resources],
    ) -> Result<Resources, Refused> {
        if let Operation::Create(volumes) = operation {
            let mut ids: Vec<_> = total.iter().map(|known| (known.role(), persistence(known))).collect();
            for volume in volumes {
                let id = (volume.role(), persistence(volume));
                if ids.contains(&id) {
                    return Err("there is a volume of that id");
                }
                ids.push(id);
            }
        }
        if let Operation::Destroy(volumes) = operation {
            let tasks = self.in_use().filter(|held| held.agent == *agent).map(|held| &held.resources);
            let used: Vec<&Resource> = tasks.chain(used).flat_map(Resources::iter).collect();
            let in_use = |volume: &Resource| used.iter().any(|used| same(used, volume));
            if volumes.iter().any(|volume| volume.is_shared() && in_use(volume)) {
                return Err("the volume is in use");
            }
        }
        let rest = total.checked_sub(&conversion.consumed).map_err(|_| "the agent does not have it any more")?;
        rest.checked_add(&conversion.converted).map_err(|_| "too much")
    }

    pub(super) fn operate(&mut self, agent: &AgentId, operations: &[Operation]) -> Result<(), Refused> {
        self.agent(agent).ok_or("no such agent")?;
        if operations.iter().any(|operation| matches!(operation, Operation::Launch(_) | Operation::LaunchGroup(_))) {
            return Err("operators launch nothing");
        }
        if operations.iter().any(|operation| matches!(operation, Operation::Invalid { .. })) {
            return Err("not an operation");
        }
        for operation in operations {
            if self.operate_one(agent, operation).is_err() {
                self.fail(None, operation);
            } else {
                let (agent, operation) = (agent.clone(), operation.clone());
                self.emit(Effect::Operation { agent, framework: None, operation });
            }
        }
        self.untrack_idle();
        Ok(())
    }

    fn operate_one(&mut self, agent: &AgentId, operation: &Operation) -> Result<(), Refused> {
        let conversion = conversion(operation, None)?;
        let total = self.agent(agent).ok_or("no such agent")?.agent.resources.clone();
        let total = self.converted_total(agent, &total, operation, &conversion, &[])?;
        // The oldest offers go first, and only those that hold some of what is still missing.
        let mut free = self.available(agent);
        let mut needed = Vec::new();
        for offer in self.offers.iter().filter(|offer| offer.held.agent == *agent) {
            let missing = conversion.consumed.saturating_sub(&free);
            if missing.saturating_sub(&offer.held.resources) != missing {
                needed.push(offer.number);
                free = self.available_without(agent, &needed);
            }
        }
        if !free.contains(&conversion.consumed) {
            return Err("it is in use");
        }
        self.rescind(|offer| needed.contains(&offer.number));
        self.set_total(agent, total, &[conversion]);
        Ok(())
    }

    /// Makes that the agent's total. Offers of shared volumes that are no more are taken back.
    pub(super) fn set_total(&mut self, agent: &AgentId, total: Resources, done: &[Conversion]) {
        for known in &mut self.agents {
            if known.agent.id == *agent {
                known.agent.resources = total.clone();
            }
        }
        let gone: Vec<Resource> = done.iter().flat_map(|done| done.consumed.iter()).cloned().collect();
        self.rescind(|offer| {
            let lost = |resource: &Resource| resource.is_shared() && gone.iter().any(|gone| same(gone, resource));
            offer.held.agent == *agent && offer.held.resources.iter().any(lost)
        });
    }

    /// Tells that an operation cannot be done.
    pub(super) fn fail(&mut self, framework: Option<apportion::FrameworkId>, operation: &Operation) {
        let (operation, error) = (operation.name(), OperationError::Empty);
        self.emit(Effect::OperationFailed { framework, operation, error });
    }
}
