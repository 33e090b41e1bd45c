//! [`Operation`]: operations on offered resources, as conversions from consumed to produced resources.

use crate::id::{self, IdError};
use crate::invalid::InvalidForm;
use crate::resources::{Disk, DiskType, ReservationType, Resource, Resources, Scalar, Shortfall, SumError, Value};
use crate::role::Role;
use crate::task::Task;
use crate::text::Text;
use std::collections::BTreeSet;

/// An operation on resources: of an offer by a framework, or of an agent by an operator.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Operation {
    /// Launches tasks, each by itself.
    Launch(Vec<Task>),
    /// Launches a group of tasks, all or none.
    LaunchGroup(Vec<Task>),
    /// Pushes a dynamic reservation on the stack of each resource. The resources are those after the operation.
    Reserve(Resources),
    /// Pops the dynamic reservation on top of the stack of each resource.
    Unreserve(Resources),
    /// Creates persistent volumes from disk.
    Create(Resources),
    /// Destroys persistent volumes and their data, which gives disk.
    Destroy(Resources),
    /// Grows a volume by some disk.
    GrowVolume {
        /// The volume before the operation.
        volume: Box<Resource>,
        /// The disk to add.
        addition: Box<Resource>,
    },
    /// Shrinks a volume, which gives disk.
    ShrinkVolume {
        /// The volume before the operation.
        volume: Box<Resource>,
        /// The amount to remove.
        subtract: Scalar,
    },
    /// An operation that is none of the above because its body is invalid. It fails.
    Invalid {
        /// The operation's name.
        name: &'static str,
        /// The body as it was given.
        form: Box<InvalidForm>,
    },
}

impl Operation {
    /// The names of all operations in the journal; in capitals they are those of v1.
    pub(crate) const NAMES: [&'static str; 8] =
        ["launch", "launch_group", "reserve", "unreserve", "create", "destroy", "grow_volume", "shrink_volume"];

    /// Returns the name of the operation in the journal.
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
            Self::Invalid { name, .. } => name,
        }
    }

    /// Returns the tasks to launch; empty for all operations but launches.
    #[must_use]
    pub fn tasks(&self) -> &[Task] {
        match self {
            Self::Launch(tasks) | Self::LaunchGroup(tasks) => tasks,
            Self::Reserve(_)
            | Self::Unreserve(_)
            | Self::Create(_)
            | Self::Destroy(_)
            | Self::GrowVolume { .. }
            | Self::ShrinkVolume { .. }
            | Self::Invalid { .. } => &[],
        }
    }
}

/// The effect of an operation on resources: it consumes some and produces others.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Conversion {
    /// The resources that are consumed.
    pub consumed: Resources,
    /// The resources that are produced.
    pub converted: Resources,
    /// True if later operations of the same accept can use the produced resources (a speculative operation, in the
    /// terms of Mesos). A volume that was resized is not usable before it is offered again (`GROW_VOLUME`,
    /// `SHRINK_VOLUME`).
    pub speculative: bool,
}

impl Conversion {
    /// A conversion whose result later operations of the same accept can use.
    #[must_use]
    pub fn new(consumed: Resources, converted: Resources) -> Self {
        Self { consumed, converted, speculative: true }
    }
}

/// The reason why an operation is rejected. Nothing has changed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OperationError {
    /// The body of the operation is invalid.
    #[error("{0}")]
    Invalid(Text),
    /// The offers that the operation would have used are not valid.
    #[error("{0}")]
    InvalidOffers(Text),
    /// The operation names no resource.
    #[error("expected at least one resource")]
    Empty,
    /// The resources that it consumes are not available.
    #[error(transparent)]
    Shortfall(#[from] Box<Shortfall>),
    /// The resources that it produces cannot be added to those of the agent.
    #[error(transparent)]
    Sum(#[from] Box<SumError>),
    /// The resource does not have a dynamic reservation on top of its stack.
    #[error("{0}: expected a dynamic reservation on top")]
    NotDynamic(Box<Resource>),
    /// A framework reserves for another role than the role of the offer.
    #[error("{resource}: expected a reservation to {expected}, under which it was offered")]
    WrongRole {
        /// The resource after the operation.
        resource: Box<Resource>,
        /// The role of the offer.
        expected: Role,
    },
    /// The resource is a persistent volume, which must be destroyed first.
    #[error("{0} is a persistent volume: expected it to be destroyed first")]
    IsVolume(Box<Resource>),
    /// The resource is not a persistent volume with an id, a path and a reservation.
    #[error("{0}: expected a persistent volume, with an id, a path and a reservation")]
    NotVolume(Box<Resource>),
    /// The resource is revocable or shared, which the operation does not support.
    #[error("{0}: expected neither revocable nor shared resources")]
    RevocableOrShared(Box<Resource>),
    /// A framework without the capability `SHARED_RESOURCES` creates a shared volume.
    #[error("{0} is shared: expected a framework with SHARED_RESOURCES")]
    SharingUnsupported(Box<Resource>),
    /// The role has a volume of that id on the agent already.
    #[error("there is a volume {0:?} already")]
    VolumeExists(Text),
    /// The operation names a fraction of a GPU.
    #[error("gpus:{0}: expected whole GPUs")]
    FractionalGpus(Scalar),
    /// The volume to create has an invalid persistence id.
    #[error(transparent)]
    VolumeId(#[from] IdError),
    /// The volume to create is read-only.
    #[error("{0}: expected a volume of mode RW")]
    ReadOnly(Box<Resource>),
    /// Tasks use the volume.
    #[error("{0} is in use")]
    InUse(Box<Resource>),
    /// The volume is on an indivisible disk, so it cannot be resized.
    #[error("{0} comes from a disk that is only had whole")]
    Indivisible(Box<Resource>),
    /// The addition is not of the disk that the volume is on.
    #[error("{addition} is not the disk that {volume} was made of")]
    WrongDisk {
        /// The volume.
        volume: Box<Resource>,
        /// The addition.
        addition: Box<Resource>,
    },
    /// The amount to remove is 0, or not less than the size of the volume.
    #[error("{volume} cannot lose {subtract}: expected more than 0 and less than it has")]
    InvalidShrink {
        /// The volume.
        volume: Box<Resource>,
        /// The amount to remove.
        subtract: Scalar,
    },
}

impl Operation {
    /// Returns the conversion of the operation; a launch converts nothing.
    ///
    /// `role` is that of the offer, or `None` for an operator. The availability of the consumed resources is not
    /// checked here.
    ///
    /// # Errors
    ///
    /// [`OperationError`] if the operation is invalid by itself.
    pub fn conversion(&self, role: Option<&Role>) -> Result<Conversion, OperationError> {
        let map = |resources: &Resources, convert: &dyn Fn(&Resource) -> Result<Resource, OperationError>| {
            let converted = resources.iter().map(convert).collect::<Result<Vec<_>, _>>()?;
            if converted.is_empty() { Err(OperationError::Empty) } else { collect(converted) }
        };
        let speculative = true;
        if let Some(gpus) = self.resources().into_iter().find_map(fractional_gpus) {
            return Err(OperationError::FractionalGpus(gpus));
        }
        match self {
            Self::Launch(_) | Self::LaunchGroup(_) => {
                Ok(Conversion { consumed: Resources::new(), converted: Resources::new(), speculative })
            }
            Self::Reserve(resources) => {
                let consumed = map(resources, &|resource| unreserved(resource, role))?;
                Ok(Conversion { consumed, converted: resources.clone(), speculative })
            }
            Self::Unreserve(resources) => {
                let converted = map(resources, &|resource| unreserved(resource, None))?;
                Ok(Conversion { consumed: resources.clone(), converted, speculative })
            }
            Self::Create(volumes) => {
                volumes.iter().filter_map(volume_id).try_for_each(|volume| id::check(volume))?;
                if let Some(volume) = volumes.iter().find(|volume| is_read_only(volume)) {
                    return Err(OperationError::ReadOnly(Box::new(volume.clone())));
                }
                let consumed = map(volumes, &disk_of)?;
                Ok(Conversion { consumed, converted: volumes.clone(), speculative })
            }
            Self::Destroy(volumes) => {
                let converted = map(volumes, &disk_of)?;
                Ok(Conversion { consumed: volumes.clone(), converted, speculative })
            }
            Self::GrowVolume { volume, addition } => grow(volume, addition),
            Self::ShrinkVolume { volume, subtract } => shrink(volume, *subtract),
            Self::Invalid { form, .. } => Err(OperationError::Invalid(form.error.clone())),
        }
    }
}

impl Operation {
    /// Returns the collection that a reservation, or an operation on volumes, names.
    fn resources(&self) -> Option<&Resources> {
        match self {
            Self::Reserve(resources)
            | Self::Unreserve(resources)
            | Self::Create(resources)
            | Self::Destroy(resources) => Some(resources),
            Self::Launch(_)
            | Self::LaunchGroup(_)
            | Self::GrowVolume { .. }
            | Self::ShrinkVolume { .. }
            | Self::Invalid { .. } => None,
        }
    }
}

/// Returns the amount of GPUs unless it is whole. Agents may have fractions, tasks and operations may not (Mesos,
/// `validateGpus`).
pub(crate) fn fractional_gpus(resources: &Resources) -> Option<Scalar> {
    Some(resources.amount("gpus")).filter(|gpus| !gpus.as_milli().is_multiple_of(1000))
}

/// Adds up resources; several may merge now, to more than the maximum.
fn collect(resources: Vec<Resource>) -> Result<Resources, OperationError> {
    Ok(Resources::try_from_iter(resources).map_err(Box::new)?)
}

/// Returns the resource without the dynamic reservation on top of its stack.
fn unreserved(resource: &Resource, role: Option<&Role>) -> Result<Resource, OperationError> {
    let boxed = || Box::new(resource.clone());
    let Some(top) = resource.reservations().last().filter(|top| top.kind == ReservationType::Dynamic) else {
        return Err(OperationError::NotDynamic(boxed()));
    };
    if let Some(expected) = role.filter(|role| **role != top.role) {
        return Err(OperationError::WrongRole { resource: boxed(), expected: expected.clone() });
    }
    if volume_id(resource).is_some() {
        return Err(OperationError::IsVolume(boxed()));
    }
    if resource.is_revocable() {
        return Err(OperationError::RevocableOrShared(boxed()));
    }
    let mut kind = resource.kind().cloned().unwrap_or_default();
    kind.reservations.pop();
    Ok(resource.clone().with_kind(kind))
}

/// Returns the persistence id if the resource is a volume.
pub(crate) fn volume_id(resource: &Resource) -> Option<&Text> {
    resource.kind()?.disk.as_ref()?.persistence.as_ref()
}

/// Returns the persistence id that two volumes of one role have, if any has. Copies of a shared volume are one volume.
pub(crate) fn repeated_volume(resources: &Resources) -> Option<&Text> {
    let mut seen = BTreeSet::new();
    let mut volumes = resources.iter().filter_map(|resource| Some((volume_id(resource)?, resource.role())));
    volumes.find(|volume| !seen.insert(*volume)).map(|(id, _)| id)
}

/// Returns true for a volume that a task may only read, which so could never be written.
fn is_read_only(volume: &Resource) -> bool {
    let options = volume.kind().and_then(|kind| kind.disk.as_ref()).and_then(|disk| disk.volume.as_ref());
    options.and_then(|options| options.get("mode")).is_some_and(|mode| mode == "RO")
}

/// Returns the disk that a volume is created from.
fn disk_of(volume: &Resource) -> Result<Resource, OperationError> {
    let boxed = || Box::new(volume.clone());
    let mut kind = volume.kind().cloned().unwrap_or_default();
    let is_volume = kind.disk.as_ref().is_some_and(|disk| disk.persistence.is_some() && disk.volume.is_some());
    if !is_volume || volume.name() != "disk" || volume.role().is_none() {
        return Err(OperationError::NotVolume(boxed()));
    }
    if volume.is_revocable() {
        return Err(OperationError::RevocableOrShared(boxed()));
    }
    kind.shared = false;
    let source = kind.disk.take().and_then(|disk| disk.source);
    kind.disk = source.map(|source| Disk { source: Some(source), ..Disk::default() });
    Ok(volume.clone().with_kind(kind).single())
}

/// Returns the disk and the size of a volume if it can be resized.
fn resizable(volume: &Resource) -> Result<(Resource, Scalar), OperationError> {
    let disk = disk_of(volume)?;
    let source = disk.kind().and_then(|kind| kind.disk.as_ref()).and_then(|disk| disk.source.as_ref());
    if volume.is_shared() {
        return Err(OperationError::RevocableOrShared(Box::new(volume.clone())));
    }
    match volume.scalar() {
        Some(size) if source.is_none_or(|source| source.kind == DiskType::Path) => Ok((disk, size)),
        _ => Err(OperationError::Indivisible(Box::new(volume.clone()))),
    }
}

fn grow(volume: &Resource, addition: &Resource) -> Result<Conversion, OperationError> {
    let (disk, size) = resizable(volume)?;
    let more = addition.scalar().filter(|_| addition.clone().with_value(disk.value().clone()) == disk);
    let grown = more.and_then(|more| size.checked_add(more)).filter(|grown| *grown <= Scalar::MAX);
    let Some(grown) = grown else {
        let (volume, addition) = (Box::new(volume.clone()), Box::new(addition.clone()));
        return Err(OperationError::WrongDisk { volume, addition });
    };
    let consumed = collect(vec![volume.clone(), addition.clone()])?;
    let converted = collect(vec![volume.clone().with_value(Value::Scalar(grown))])?;
    Ok(Conversion { consumed, converted, speculative: false })
}

fn shrink(volume: &Resource, subtract: Scalar) -> Result<Conversion, OperationError> {
    let (disk, size) = resizable(volume)?;
    if subtract.is_zero() || subtract >= size {
        return Err(OperationError::InvalidShrink { volume: Box::new(volume.clone()), subtract });
    }
    let smaller = volume.clone().with_value(Value::Scalar(size.saturating_sub(subtract)));
    let freed = disk.with_value(Value::Scalar(subtract));
    Ok(Conversion {
        consumed: collect(vec![volume.clone()])?,
        converted: collect(vec![smaller, freed])?,
        speculative: false,
    })
}
