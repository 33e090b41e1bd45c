//! [`Resource`]: a named amount of one kind, an entry of [`Resources`](super::Resources).

use super::{Ranges, Scalar, Set};
use crate::details::Details;
use crate::role::Role;
use crate::text::Text;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// The value of a resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "Mesos has these three and every place must decide on each")]
pub enum Value {
    /// An amount, such as cpus or memory.
    Scalar(Scalar),
    /// A set of numbers, such as ports.
    Ranges(Ranges),
    /// A set of names, such as zones.
    Set(Set),
}

impl Value {
    /// Returns true for 0 and for an empty set.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Scalar(amount) => amount.is_zero(),
            Self::Ranges(ranges) => ranges.is_empty(),
            Self::Set(set) => set.is_empty(),
        }
    }

    /// Returns true if `other` is of the same type and not more than this value.
    #[must_use]
    #[inline]
    pub fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Scalar(mine), Self::Scalar(theirs)) => mine >= theirs,
            (Self::Ranges(mine), Self::Ranges(theirs)) => mine.is_superset(theirs),
            (Self::Set(mine), Self::Set(theirs)) => mine.is_superset(theirs),
            (Self::Scalar(_) | Self::Ranges(_) | Self::Set(_), _) => false,
        }
    }

    /// Returns the amount of a scalar, and the number of members of ranges and sets.
    #[must_use]
    #[inline]
    pub(crate) fn count(&self) -> Scalar {
        match self {
            Self::Scalar(amount) => *amount,
            Self::Ranges(ranges) => Scalar::units(u64::try_from(ranges.count()).unwrap_or(u64::MAX)),
            Self::Set(set) => Scalar::units(set.as_slice().len() as u64),
        }
    }

    /// Returns true if `other` is of the same type and the sum is not above the maximum.
    #[inline]
    pub(super) fn can_add(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Scalar(mine), Self::Scalar(theirs)) => {
                mine.checked_add(*theirs).is_some_and(|sum| sum <= Scalar::MAX)
            }
            _ => self.same_type(other),
        }
    }

    /// Adds `other` and returns true, if both are scalars and the sum is not above the maximum.
    #[inline]
    pub(super) fn try_add_scalar(&mut self, other: &Self) -> bool {
        let (Self::Scalar(mine), Self::Scalar(theirs)) = (self, other) else { return false };
        let sum = mine.checked_add(*theirs).filter(|sum| *sum <= Scalar::MAX);
        sum.inspect(|sum| *mine = *sum).is_some()
    }

    /// Returns true for a scalar above the maximum.
    #[inline]
    pub(super) fn is_too_large(&self) -> bool {
        matches!(self, Self::Scalar(amount) if *amount > Scalar::MAX)
    }

    pub(super) fn same_type(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// Adds `other`, for which [`can_add`](Self::can_add) is true.
    #[inline]
    pub(super) fn add(&mut self, other: &Self) {
        match (self, other) {
            (Self::Scalar(mine), Self::Scalar(theirs)) => *mine = mine.checked_add(*theirs).unwrap_or(Scalar::MAX),
            (Self::Ranges(mine), Self::Ranges(theirs)) => mine.insert(theirs),
            (Self::Set(mine), Self::Set(theirs)) => mine.insert(theirs),
            (Self::Scalar(_) | Self::Ranges(_) | Self::Set(_), _) => {}
        }
    }

    /// Subtracts `other`, saturating at 0.
    #[inline]
    pub(crate) fn remove(&mut self, other: &Self) {
        match (self, other) {
            (Self::Scalar(mine), Self::Scalar(theirs)) => *mine = mine.saturating_sub(*theirs),
            (Self::Ranges(mine), Self::Ranges(theirs)) => mine.remove(theirs),
            (Self::Set(mine), Self::Set(theirs)) => mine.remove(theirs),
            (Self::Scalar(_) | Self::Ranges(_) | Self::Set(_), _) => {}
        }
    }

    /// Returns the Mesos name of the type.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Scalar(_) => "SCALAR",
            Self::Ranges(_) => "RANGES",
            Self::Set(_) => "SET",
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(amount) => amount.fmt(f),
            Self::Ranges(ranges) => ranges.fmt(f),
            Self::Set(set) => set.fmt(f),
        }
    }
}

/// The type of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(clippy::exhaustive_enums, reason = "Mesos has these two and every place must decide on each")]
pub enum ReservationType {
    /// Made by the agent's configuration; permanent.
    Static,
    /// Made by an operation; another operation can undo it.
    Dynamic,
}

/// One entry of a resource's stack of reservations.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Reservation {
    /// The role that the resource is reserved to.
    pub role: Role,
    /// The type.
    pub kind: ReservationType,
    /// The principal that made it, if it is known.
    pub principal: Option<Text>,
    /// Labels; part of the identity.
    pub labels: Vec<(Text, Option<Text>)>,
}

impl Reservation {
    /// Makes a static reservation.
    #[must_use]
    pub fn fixed(role: Role) -> Self {
        Self { role, kind: ReservationType::Static, principal: None, labels: Vec::new() }
    }

    /// Makes a dynamic reservation.
    #[must_use]
    pub fn dynamic(role: Role) -> Self {
        Self { role, kind: ReservationType::Dynamic, principal: None, labels: Vec::new() }
    }

    /// Sets the principal.
    #[must_use]
    pub fn by(mut self, principal: impl Into<Text>) -> Self {
        self.principal = Some(principal.into());
        self
    }
}

/// The type of storage of a disk resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum DiskType {
    /// A directory of a shared file system: divisible.
    Path,
    /// A whole file system: indivisible.
    Mount,
    /// A whole block device: indivisible.
    Block,
    /// Storage that is not yet formatted as any of these; indivisible if it has an id.
    Raw,
}

/// The source of a disk resource; without a source it is on the root disk of the agent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct DiskSource {
    /// The type of storage.
    pub kind: DiskType,
    /// The directory of a PATH or MOUNT source.
    pub root: Option<Text>,
    /// The id that the storage provider assigned.
    pub id: Option<Text>,
    /// The vendor of the storage.
    pub vendor: Option<Text>,
    /// The storage profile.
    pub profile: Option<Text>,
}

impl DiskSource {
    /// Makes a source of that type without further properties; [`Resources::take`](super::Resources::take) reads it as any
    /// disk of the type.
    #[must_use]
    pub fn new(kind: DiskType) -> Self {
        Self { kind, root: None, id: None, vendor: None, profile: None }
    }

    /// Sets the directory.
    #[must_use]
    pub fn root(mut self, root: impl Into<Text>) -> Self {
        self.root = Some(root.into());
        self
    }

    /// Sets the id that the storage provider assigned.
    #[must_use]
    pub fn id(mut self, id: impl Into<Text>) -> Self {
        self.id = Some(id.into());
        self
    }
}

/// The properties of a disk resource: its source, and the persistent volume that it is.
///
/// Two disks are equal if their sources and persistence ids are. The mount options and the creator of a volume are kept
/// but are not part of its identity (Mesos, `resources.cpp`).
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Disk {
    /// The source; `None` for the root disk.
    pub source: Option<DiskSource>,
    /// The persistence id of a persistent volume.
    pub persistence: Option<Text>,
    /// The principal that created the volume.
    pub principal: Option<Text>,
    /// The mount options of the volume (`container_path`, `mode`, ...), unchanged.
    pub volume: Option<Details>,
}

impl Disk {
    /// Makes the properties of a disk of that source.
    #[must_use]
    pub fn of(source: DiskSource) -> Self {
        Self { source: Some(source), ..Self::default() }
    }

    /// Makes it a persistent volume of that id.
    #[must_use]
    pub fn volume(mut self, id: impl Into<Text>) -> Self {
        self.persistence = Some(id.into());
        self
    }

    fn identity(&self) -> (Option<&DiskSource>, Option<&Text>) {
        (self.source.as_ref(), self.persistence.as_ref())
    }

    fn is_indivisible(&self) -> bool {
        let is_whole = |source: &DiskSource| match source.kind {
            DiskType::Mount | DiskType::Block => true,
            DiskType::Raw => source.id.is_some(),
            DiskType::Path => false,
        };
        self.persistence.is_some() || self.source.as_ref().is_some_and(is_whole)
    }
}

impl PartialEq for Disk {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for Disk {}

impl PartialOrd for Disk {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Disk {
    fn cmp(&self, other: &Self) -> Ordering {
        self.identity().cmp(&other.identity())
    }
}

/// The identity of a resource besides its name: resources of equal name and kind merge.
///
/// It has no serde form of its own: it is written as part of its [`Resource`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub struct Kind {
    /// The stack of reservations, the oldest first; empty for an unreserved resource.
    pub reservations: Vec<Reservation>,
    /// The disk properties; `None` for a plain amount of the root disk and for other resources.
    pub disk: Option<Disk>,
    /// True if the resource may be revoked at any time.
    pub revocable: bool,
    /// True if several tasks may use the resource at once.
    pub shared: bool,
    /// The resource provider; `None` for the agent itself.
    pub provider: Option<Text>,
}

/// A named amount of one kind: `cpus:4`, `ports(web):[80-80]`, a volume on a disk.
///
/// # Examples
///
/// ```
/// use apportion::{Reservation, Resource, Role, Scalar, Value};
///
/// let web: Role = "web".parse()?;
/// let cpus = Resource::new("cpus", Value::Scalar(Scalar::units(4))).reserved(Reservation::fixed(web.clone()));
/// assert_eq!(cpus.to_string(), "cpus(web):4");
/// assert_eq!(cpus.role(), Some(&web));
/// # Ok::<(), apportion::RoleError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    // The order of the fields is the canonical order of resources: by name, then by kind.
    /// The sort key of the name: its first bytes and its length.
    key: u64,
    pub(super) name: Text,
    pub(super) kind: Option<Arc<Kind>>,
    pub(super) value: Value,
    /// The multiplicity of a shared resource; 1 for all others.
    pub(super) copies: u32,
}

impl Resource {
    /// Makes an unreserved resource of the agent itself.
    #[must_use]
    pub fn new(name: impl Into<Text>, value: Value) -> Self {
        let name = name.into();
        Self { key: key(&name), name, kind: None, value, copies: 1 }
    }

    /// Sets the kind.
    #[must_use]
    pub fn with_kind(mut self, kind: Kind) -> Self {
        self.kind = (kind != Kind::default()).then(|| Arc::new(kind));
        self
    }

    /// Pushes a reservation on the stack.
    #[must_use]
    pub fn reserved(self, reservation: Reservation) -> Self {
        let mut kind = self.kind.as_deref().cloned().unwrap_or_default();
        kind.reservations.push(reservation);
        self.with_kind(kind)
    }

    /// Sets the properties of a disk.
    #[must_use]
    pub fn on_disk(self, disk: Disk) -> Self {
        let mut kind = self.kind.as_deref().cloned().unwrap_or_default();
        kind.disk = Some(disk);
        self.with_kind(kind)
    }

    /// Sets the value.
    #[must_use]
    pub fn with_value(mut self, value: Value) -> Self {
        self.value = value;
        self
    }

    /// Returns a resource of the same name and kind with another value, in one copy.
    pub(crate) fn like(&self, value: Value) -> Self {
        Self { name: self.name.clone(), key: self.key, kind: self.kind.clone(), value, copies: 1 }
    }

    /// Sets the number of copies to 1.
    pub(crate) fn single(mut self) -> Self {
        self.copies = 1;
        self
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the value; for a shared resource, that of each copy.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Returns the amount of a scalar.
    #[must_use]
    pub fn scalar(&self) -> Option<Scalar> {
        match self.value {
            Value::Scalar(amount) => Some(amount),
            Value::Ranges(_) | Value::Set(_) => None,
        }
    }

    /// Returns the kind, or `None` for the default kind: an unreserved resource of the agent itself.
    #[must_use]
    pub fn kind(&self) -> Option<&Kind> {
        self.kind.as_deref()
    }

    /// Returns the stack of reservations, the oldest first.
    #[must_use]
    pub fn reservations(&self) -> &[Reservation] {
        self.kind.as_ref().map_or(&[], |kind| &kind.reservations)
    }

    /// Returns the role of the reservation on top of the stack, or `None` if the resource is unreserved.
    #[must_use]
    pub fn role(&self) -> Option<&Role> {
        self.reservations().last().map(|reservation| &reservation.role)
    }

    /// Returns true if the resource can be offered to `role`: it is unreserved, or reserved to the role or an ancestor.
    #[must_use]
    pub fn is_for(&self, role: &Role) -> bool {
        self.role().is_none_or(|reserved| role.is_within(reserved))
    }

    /// Returns true if the resource may be revoked at any time.
    #[must_use]
    pub fn is_revocable(&self) -> bool {
        self.kind.as_ref().is_some_and(|kind| kind.revocable)
    }

    /// Returns true if several tasks may use the resource at once.
    #[must_use]
    #[inline]
    pub fn is_shared(&self) -> bool {
        self.kind.as_ref().is_some_and(|kind| kind.shared)
    }

    /// Returns true for resources that cannot be split: volumes, mounts, block devices, and raw disks with an id.
    #[must_use]
    pub fn is_indivisible(&self) -> bool {
        self.kind.as_ref().and_then(|kind| kind.disk.as_ref()).is_some_and(Disk::is_indivisible)
    }

    /// Returns the multiplicity of a shared resource; 1 for all others.
    pub(crate) fn copies(&self) -> u64 {
        self.copies.into()
    }

    /// Returns true if both are the same shared resource, whatever their numbers of copies.
    pub(crate) fn same_shared(&self, other: &Self) -> bool {
        self.cmp_identity(other) == Ordering::Equal && self.value == other.value
    }

    /// Returns true if there are no copies, or the value is empty.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.copies == 0 || self.value.is_empty()
    }

    /// Returns true if two values of this identity merge when added.
    #[inline]
    pub(super) fn merges(&self) -> bool {
        !self.is_shared() && !self.is_indivisible()
    }

    /// A fast test that both are of the same merging identity; false negatives are possible.
    #[inline(always)]
    pub(super) fn surely_merges_with(&self, other: &Self) -> bool {
        let same_kind = match (&self.kind, &other.kind) {
            (None, None) => true,
            (Some(mine), Some(theirs)) => Arc::ptr_eq(mine, theirs) && self.merges(),
            (None, Some(_)) | (Some(_), None) => false,
        };
        same_kind && self.same_name(other)
    }

    #[inline(always)]
    pub(super) fn same_name(&self, other: &Self) -> bool {
        self.key == other.key && (self.key & 0xff <= MAX_KEYED_BYTES || self.name == other.name)
    }

    /// Compares names, then kinds.
    #[inline]
    pub(super) fn cmp_identity(&self, other: &Self) -> Ordering {
        if !self.same_name(other) {
            return self.key.cmp(&other.key).then_with(|| self.name.cmp(&other.name));
        }
        match (&self.kind, &other.kind) {
            (None, None) => Ordering::Equal,
            (Some(mine), Some(theirs)) if Arc::ptr_eq(mine, theirs) => Ordering::Equal,
            (mine, theirs) => mine.cmp(theirs),
        }
    }

    /// Returns the role if the kind is a single static reservation, which has a text form.
    pub(super) fn static_role(&self) -> Option<&Role> {
        let kind = self.kind.as_deref()?;
        let [reservation] = kind.reservations.as_slice() else { return None };
        let is_plain = reservation.kind == ReservationType::Static
            && reservation.principal.is_none()
            && reservation.labels.is_empty()
            && kind.disk.is_none()
            && !kind.revocable
            && !kind.shared
            && kind.provider.is_none();
        is_plain.then_some(&reservation.role)
    }
}

/// The longest name that its key determines, in bytes.
const MAX_KEYED_BYTES: u64 = 7;

/// Returns a key that orders like the names: the first seven bytes, padded with zeros, and then the length, or 8 for
/// longer names.
fn key(name: &str) -> u64 {
    let mut key = [0; 8];
    key.iter_mut().take(7).zip(name.bytes()).for_each(|(place, byte)| *place = byte);
    key[7] = u8::try_from(name.len()).map_or(8, |length| length.min(8));
    u64::from_be_bytes(key)
}

impl fmt::Display for Resource {
    /// Formats the text form, with marks for people where there is none: `disk(a)[vol1]{revocable}:5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(role) = self.role() {
            write!(f, "({role})")?;
        }
        if let Some(kind) = self.kind() {
            if let Some(id) = kind.disk.as_ref().and_then(|disk| disk.persistence.as_ref()) {
                write!(f, "[{id}]")?;
            }
            for (holds, mark) in [(kind.revocable, "{revocable}"), (kind.shared, "{shared}")] {
                f.write_str(if holds { mark } else { "" })?;
            }
        }
        write!(f, ":{}", self.value)
    }
}
