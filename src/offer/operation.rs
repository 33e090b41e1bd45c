//! [`Operation`]: what can be done with offered resources, and how each changes them.

use crate::resources::{Disk, DiskType, ReservationType, Resource, Resources, Scalar, Shortfall, SumError, Value};
use crate::role::Role;
use crate::task::Task;
use smol_str::SmolStr;

/// What an accept does to the resources that were offered, and an operator to those of an agent.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Operation {
    /// Starts tasks, each on its own.
    Launch(Vec<Task>),
    /// Starts tasks, all or none.
    LaunchGroup(Vec<Task>),
    /// Puts a dynamic reservation on top of each resource's stack.
    Reserve(Resources),
    /// Takes the top reservation away.
    Unreserve(Resources),
    /// Makes persistent volumes of disk.
    Create(Resources),
    /// Makes disk of persistent volumes; what they hold is lost.
    Destroy(Resources),
    /// Adds disk to a volume.
    GrowVolume {
        /// The volume as it is.
        volume: Box<Resource>,
        /// The disk that it gets.
        addition: Box<Resource>,
    },
    /// Takes disk from a volume.
    ShrinkVolume {
        /// The volume as it is.
        volume: Box<Resource>,
        /// How much it loses.
        subtract: Scalar,
    },
}

impl Operation {
    /// The name of the operation in a journal.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Launch(_) => "launch",
            Self::LaunchGroup(_) => "launch_group",
            Self::Reserve(_) => "reserve",
            Self::Unreserve(_) => "unreserve",
            Self::Create(_) => "create",
            Self::Destroy(_) => "destroy",
            Self::GrowVolume { .. } => "grow_volume",
            Self::ShrinkVolume { .. } => "shrink_volume",
        }
    }
}

impl Operation {
    /// The tasks that it launches.
    #[must_use]
    pub fn tasks(&self) -> &[Task] {
        match self {
            Self::Launch(tasks) | Self::LaunchGroup(tasks) => tasks,
            Self::Reserve(_)
            | Self::Unreserve(_)
            | Self::Create(_)
            | Self::Destroy(_)
            | Self::GrowVolume { .. }
            | Self::ShrinkVolume { .. } => &[],
        }
    }
}

/// Resources that an operation takes, and what it makes of them.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Conversion {
    /// What is taken.
    pub consumed: Resources,
    /// What comes instead.
    pub converted: Resources,
    /// Whether later operations of the same accept may use it. A volume that grew or shrank may not
    /// be used before it is offered again (Mesos, `GROW_VOLUME`).
    pub at_once: bool,
}

/// Why an operation cannot be done; nothing has changed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OperationError {
    /// The operation names nothing.
    #[error("expected at least one resource")]
    Nothing,
    /// What it needs is not there.
    #[error(transparent)]
    Shortfall(#[from] Box<Shortfall>),
    /// What it would make cannot be told, beside what is there.
    #[error(transparent)]
    Sum(#[from] Box<SumError>),
    /// A reservation is to be made or undone that is none, or a static one.
    #[error("{0}: expected a dynamic reservation on top")]
    NotDynamic(Box<Resource>),
    /// A framework reserves for another role than it was offered the resources under.
    #[error("{resource}: expected a reservation to {expected}, under which it was offered")]
    OtherRole {
        /// The resource as it is to be.
        resource: Box<Resource>,
        /// The role of the offer.
        expected: Role,
    },
    /// A volume stands where only other resources can.
    #[error("{0} is a persistent volume: expected it to be destroyed first")]
    IsVolume(Box<Resource>),
    /// Something else stands where only a volume can.
    #[error("{0}: expected a persistent volume, with an id, a path and a reservation")]
    NotVolume(Box<Resource>),
    /// Revocable or shared resources stand where they cannot.
    #[error("{0}: expected neither revocable nor shared resources")]
    NotFirm(Box<Resource>),
    /// The role has a volume of that id on the agent.
    #[error("there is a volume {0:?} already")]
    VolumeExists(SmolStr),
    /// Tasks hold the volume.
    #[error("{0} is in use")]
    InUse(Box<Resource>),
    /// A disk that can only be had whole cannot grow or shrink.
    #[error("{0} comes from a disk that is only had whole")]
    Whole(Box<Resource>),
    /// A volume is to grow by what is not more of its disk.
    #[error("{addition} is not the disk that {volume} was made of")]
    OtherDisk {
        /// The volume.
        volume: Box<Resource>,
        /// What it is to grow by.
        addition: Box<Resource>,
    },
    /// A volume is to lose all that it has, or more, or nothing.
    #[error("{volume} cannot lose {subtract}: expected more than 0 and less than it has")]
    Subtract {
        /// The volume.
        volume: Box<Resource>,
        /// How much it is to lose.
        subtract: Scalar,
    },
}

impl Operation {
    /// What the operation takes and what it makes of it; nothing for a launch.
    ///
    /// `role` is that of the offer, none for an operator. Whether what it takes is there is not
    /// looked at here.
    ///
    /// # Errors
    ///
    /// [`OperationError`] when the operation makes no sense.
    pub fn conversion(&self, role: Option<&Role>) -> Result<Conversion, OperationError> {
        let each = |resources: &Resources, from: &dyn Fn(&Resource) -> Result<Resource, OperationError>| {
            let consumed = resources.iter().map(from).collect::<Result<Vec<_>, _>>()?;
            if consumed.is_empty() { Err(OperationError::Nothing) } else { collect(consumed) }
        };
        let at_once = true;
        match self {
            Self::Launch(_) | Self::LaunchGroup(_) => {
                Ok(Conversion { consumed: Resources::new(), converted: Resources::new(), at_once })
            }
            Self::Reserve(resources) => {
                let consumed = each(resources, &|resource| unreserved(resource, role))?;
                Ok(Conversion { consumed, converted: resources.clone(), at_once })
            }
            Self::Unreserve(resources) => {
                let converted = each(resources, &|resource| unreserved(resource, None))?;
                Ok(Conversion { consumed: resources.clone(), converted, at_once })
            }
            Self::Create(volumes) => {
                let consumed = each(volumes, &disk_of)?;
                Ok(Conversion { consumed, converted: volumes.clone(), at_once })
            }
            Self::Destroy(volumes) => {
                let converted = each(volumes, &disk_of)?;
                Ok(Conversion { consumed: volumes.clone(), converted, at_once })
            }
            Self::GrowVolume { volume, addition } => grow(volume, addition),
            Self::ShrinkVolume { volume, subtract } => shrink(volume, *subtract),
        }
    }
}

/// Adds up resources; several that differed before may merge now, to more than can be told.
fn collect(resources: Vec<Resource>) -> Result<Resources, OperationError> {
    Ok(Resources::try_from_iter(resources).map_err(Box::new)?)
}

/// The resource without the dynamic reservation on top of its stack.
fn unreserved(resource: &Resource, role: Option<&Role>) -> Result<Resource, OperationError> {
    let boxed = || Box::new(resource.clone());
    let Some(top) = resource.reservations().last().filter(|top| top.kind == ReservationType::Dynamic) else {
        return Err(OperationError::NotDynamic(boxed()));
    };
    if let Some(expected) = role.filter(|role| **role != top.role) {
        return Err(OperationError::OtherRole { resource: boxed(), expected: expected.clone() });
    }
    if volume_id(resource).is_some() {
        return Err(OperationError::IsVolume(boxed()));
    }
    if resource.is_revocable() {
        return Err(OperationError::NotFirm(boxed()));
    }
    let mut kind = resource.kind().cloned().unwrap_or_default();
    kind.reservations.pop();
    Ok(resource.clone().with_kind(kind))
}

/// The persistence id, if the resource is a volume.
pub(crate) fn volume_id(resource: &Resource) -> Option<&SmolStr> {
    resource.kind()?.disk.as_ref()?.persistence.as_ref()
}

/// The disk that a volume is made of.
fn disk_of(volume: &Resource) -> Result<Resource, OperationError> {
    let boxed = || Box::new(volume.clone());
    let mut kind = volume.kind().cloned().unwrap_or_default();
    let is_volume = kind.disk.as_ref().is_some_and(|disk| disk.persistence.is_some() && disk.volume.is_some());
    if !is_volume || volume.name() != "disk" || volume.role().is_none() {
        return Err(OperationError::NotVolume(boxed()));
    }
    if volume.is_revocable() {
        return Err(OperationError::NotFirm(boxed()));
    }
    kind.shared = false;
    let source = kind.disk.take().and_then(|disk| disk.source);
    kind.disk = source.map(|source| Disk { source: Some(source), ..Disk::default() });
    Ok(volume.clone().with_kind(kind).single())
}

/// Checks that a volume may change its size, and tells its disk and how much it has.
fn resizable(volume: &Resource) -> Result<(Resource, Scalar), OperationError> {
    let disk = disk_of(volume)?;
    let source = disk.kind().and_then(|kind| kind.disk.as_ref()).and_then(|disk| disk.source.as_ref());
    if volume.is_shared() {
        return Err(OperationError::NotFirm(Box::new(volume.clone())));
    }
    match volume.scalar() {
        Some(size) if source.is_none_or(|source| source.kind == DiskType::Path) => Ok((disk, size)),
        _ => Err(OperationError::Whole(Box::new(volume.clone()))),
    }
}

fn grow(volume: &Resource, addition: &Resource) -> Result<Conversion, OperationError> {
    let (disk, size) = resizable(volume)?;
    let more = addition.scalar().filter(|_| addition.clone().with_value(disk.value().clone()) == disk);
    let grown = more.and_then(|more| size.checked_add(more)).filter(|grown| *grown <= Scalar::MAX);
    let Some(grown) = grown else {
        let (volume, addition) = (Box::new(volume.clone()), Box::new(addition.clone()));
        return Err(OperationError::OtherDisk { volume, addition });
    };
    let consumed = collect(vec![volume.clone(), addition.clone()])?;
    let converted = collect(vec![volume.clone().with_value(Value::Scalar(grown))])?;
    Ok(Conversion { consumed, converted, at_once: false })
}

fn shrink(volume: &Resource, subtract: Scalar) -> Result<Conversion, OperationError> {
    let (disk, size) = resizable(volume)?;
    if subtract.is_zero() || subtract >= size {
        return Err(OperationError::Subtract { volume: Box::new(volume.clone()), subtract });
    }
    let smaller = volume.clone().with_value(Value::Scalar(size.saturating_sub(subtract)));
    let freed = disk.with_value(Value::Scalar(subtract));
    Ok(Conversion {
        consumed: collect(vec![volume.clone()])?,
        converted: collect(vec![smaller, freed])?,
        at_once: false,
    })
}
