//! The resources that operations make: what is stored of them, and how they come back.

use apportion::{Disk, Kind, ReservationType, Resource, Resources};

/// Returns what is to be stored of an agent's resources: what has a dynamic reservation, and persistent volumes (Mesos,
/// `needCheckpointing`).
pub(super) fn checkpointed(resources: &Resources) -> Resources {
    resources.filter(|resource| is_dynamic(resource) || is_volume(resource))
}

/// Returns the resources of an agent after its operations: those that were given, with the stored ones in place of what they were
/// made of. `None` if what was given does not contain that.
pub(super) fn apply(given: &Resources, checkpointed: &Resources) -> Option<Resources> {
    let made_of = Resources::try_from_iter(checkpointed.iter().map(base)).ok()?;
    given.checked_sub(&made_of).ok()?.checked_add(checkpointed).ok()
}

fn is_dynamic(resource: &Resource) -> bool {
    resource.reservations().iter().any(|reservation| reservation.kind == ReservationType::Dynamic)
}

fn is_volume(resource: &Resource) -> bool {
    resource.kind().is_some_and(|kind| kind.disk.as_ref().is_some_and(|disk| disk.persistence.is_some()))
}

/// Returns what a resource was made of.
fn base(resource: &Resource) -> Resource {
    let Some(kind) = resource.kind() else { return resource.clone() };
    let mut kind: Kind = kind.clone();
    while kind.reservations.last().is_some_and(|reservation| reservation.kind == ReservationType::Dynamic) {
        kind.reservations.pop();
    }
    if is_volume(resource) {
        kind.disk = kind.disk.and_then(|disk| disk.source).map(Disk::of);
        kind.shared = false;
    }
    resource.clone().with_kind(kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use apportion::{Details, Operation, Reservation, Role};

    #[test]
    fn reservations_and_volumes_come_back_over_what_they_were_made_of() {
        let given: Resources = "cpus:4;mem:1024;disk:1000".parse().unwrap();
        let web: Role = "web".parse().unwrap();
        let reserved: Resources = "cpus:1;disk:300".parse().unwrap();
        let reserved = reserved.iter().map(|resource| resource.clone().reserved(Reservation::dynamic(web.clone())));
        let reserved: Resources = Resources::try_from_iter(reserved).unwrap();
        let after = |resources: &Resources, operation: Operation| {
            let conversion = operation.conversion(None).unwrap();
            resources.checked_sub(&conversion.consumed).unwrap().checked_add(&conversion.converted).unwrap()
        };
        let mut now = after(&given, Operation::Reserve(reserved.clone()));
        let disk = reserved.iter().find(|resource| resource.name() == "disk").unwrap().clone();
        let mut kind = disk.kind().unwrap().clone();
        let mut volume = Disk::default().volume("v1");
        volume.volume = Some(Details::from_iter([("container_path", "data"), ("mode", "RW")]));
        kind.disk = Some(volume);
        let volume = Resources::try_from_iter([disk.with_kind(kind)]).unwrap();
        now = after(&now, Operation::Create(volume));

        let stored = checkpointed(&now);
        assert_eq!(apply(&given, &stored), Some(now));
        assert_eq!(apply(&"cpus:4;mem:1024;disk:200".parse().unwrap(), &stored), None);
        assert_eq!(checkpointed(&given), Resources::new());
    }
}
