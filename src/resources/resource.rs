//! [`Resource`]: a named amount of one kind.

use super::{Ranges, Scalar, Set};
use crate::role::Role;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use smallvec::SmallVec;
use smol_str::SmolStr;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// How much there is of a resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "Mesos has these three and every place must decide on each")]
pub enum Value {
    /// An amount: cpus, memory.
    Scalar(Scalar),
    /// Numbers: ports.
    Ranges(Ranges),
    /// Names: zones.
    Set(Set),
}

impl Value {
    /// Whether nothing is left.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Scalar(amount) => amount.is_zero(),
            Self::Ranges(ranges) => ranges.is_empty(),
            Self::Set(set) => set.is_empty(),
        }
    }

    /// Whether `other` is of the same type and lies within this value.
    #[must_use]
    #[inline]
    pub fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Scalar(mine), Self::Scalar(theirs)) => mine >= theirs,
            (Self::Ranges(mine), Self::Ranges(theirs)) => mine.contains(theirs),
            (Self::Set(mine), Self::Set(theirs)) => mine.contains(theirs),
            (Self::Scalar(_) | Self::Ranges(_) | Self::Set(_), _) => false,
        }
    }

    /// Whether `other` can be added: it is of the same type, and the sum is not too large.
    #[inline]
    pub(super) fn takes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Scalar(mine), Self::Scalar(theirs)) => {
                mine.checked_add(*theirs).is_some_and(|sum| sum <= Scalar::MAX)
            }
            _ => self.same_type(other),
        }
    }

    /// Adds `other` if both are scalars and the sum is not too large; whether that was so.
    #[inline]
    pub(super) fn grow(&mut self, other: &Self) -> bool {
        let (Self::Scalar(mine), Self::Scalar(theirs)) = (self, other) else { return false };
        let sum = mine.checked_add(*theirs).filter(|sum| *sum <= Scalar::MAX);
        sum.inspect(|sum| *mine = *sum).is_some()
    }

    pub(super) fn same_type(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// Adds `other`, which this value [takes](Self::takes).
    #[inline]
    pub(super) fn add(&mut self, other: &Self) {
        match (self, other) {
            (Self::Scalar(mine), Self::Scalar(theirs)) => *mine = mine.checked_add(*theirs).unwrap_or(Scalar::MAX),
            (Self::Ranges(mine), Self::Ranges(theirs)) => mine.insert(theirs),
            (Self::Set(mine), Self::Set(theirs)) => mine.insert(theirs),
            (Self::Scalar(_) | Self::Ranges(_) | Self::Set(_), _) => {}
        }
    }

    /// Takes `other` away as far as it is there.
    #[inline]
    pub(super) fn remove(&mut self, other: &Self) {
        match (self, other) {
            (Self::Scalar(mine), Self::Scalar(theirs)) => *mine = mine.saturating_sub(*theirs),
            (Self::Ranges(mine), Self::Ranges(theirs)) => mine.remove(theirs),
            (Self::Set(mine), Self::Set(theirs)) => mine.remove(theirs),
            (Self::Scalar(_) | Self::Ranges(_) | Self::Set(_), _) => {}
        }
    }

    /// The name of the type, as Mesos has it.
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

/// How a reservation came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(clippy::exhaustive_enums, reason = "Mesos has these two and every place must decide on each")]
pub enum ReservationType {
    /// By the agent's configuration, for good.
    Static,
    /// By an operation, until it is undone.
    Dynamic,
}

/// One entry of a resource's stack of reservations.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Reservation {
    /// For whom.
    pub role: Role,
    /// How it came about.
    pub kind: ReservationType,
    /// Who made it, if that was said.
    pub principal: Option<SmolStr>,
    /// Free-form labels, part of the identity.
    pub labels: Vec<(SmolStr, Option<SmolStr>)>,
}

impl Reservation {
    /// A reservation by the agent's configuration.
    #[must_use]
    pub fn fixed(role: Role) -> Self {
        Self { role, kind: ReservationType::Static, principal: None, labels: Vec::new() }
    }

    /// A reservation by an operation.
    #[must_use]
    pub fn dynamic(role: Role) -> Self {
        Self { role, kind: ReservationType::Dynamic, principal: None, labels: Vec::new() }
    }

    /// The same, made by `principal`.
    #[must_use]
    pub fn by(mut self, principal: impl Into<SmolStr>) -> Self {
        self.principal = Some(principal.into());
        self
    }
}

/// What kind of storage a disk resource comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum DiskType {
    /// A directory of a shared file system: divisible.
    Path,
    /// A whole file system: taken whole.
    Mount,
    /// A whole block device: taken whole.
    Block,
    /// Storage not yet made into any of these; with an id it is taken whole.
    Raw,
}

/// Where a disk resource comes from; without a source it is the agent's root disk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct DiskSource {
    /// The kind of storage.
    pub kind: DiskType,
    /// The directory of a PATH or MOUNT source.
    pub root: Option<SmolStr>,
    /// The id that a storage provider gave it.
    pub id: Option<SmolStr>,
    /// The provider's vendor.
    pub vendor: Option<SmolStr>,
    /// The profile that it was made with.
    pub profile: Option<SmolStr>,
}

/// What makes a disk resource more than an amount: its source, and the volume that it is.
///
/// Two disks are equal if their source and persistence id are: how a volume is mounted, and who
/// created it, is handed through but is not part of its identity (Mesos, `resources.cpp`).
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Disk {
    /// Where it comes from; none is the root disk.
    pub source: Option<DiskSource>,
    /// The persistence id, if it is a persistent volume.
    pub persistence: Option<SmolStr>,
    /// Who created the volume.
    pub principal: Option<SmolStr>,
    /// How a task sees the volume (`container_path`, `mode`, ...), as it was given.
    pub volume: Option<Map<String, Json>>,
}

impl Disk {
    fn identity(&self) -> (Option<&DiskSource>, Option<&SmolStr>) {
        (self.source.as_ref(), self.persistence.as_ref())
    }

    fn is_indivisible(&self) -> bool {
        let whole = |source: &DiskSource| match source.kind {
            DiskType::Mount | DiskType::Block => true,
            DiskType::Raw => source.id.is_some(),
            DiskType::Path => false,
        };
        self.persistence.is_some() || self.source.as_ref().is_some_and(whole)
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

/// All that tells two resources of one name apart, besides how much there is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub struct Kind {
    /// The stack of reservations, the outermost (and oldest) first; empty = unreserved.
    pub reservations: SmallVec<[Reservation; 1]>,
    /// What disk it is, if it is more than an amount of root disk.
    pub disk: Option<Disk>,
    /// Whether it may be taken back at any time.
    pub revocable: bool,
    /// Whether several tasks may hold it at once.
    pub shared: bool,
    /// The resource provider that it belongs to, if not the agent itself.
    pub provider: Option<SmolStr>,
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
    /// Tells most names apart at once, and in their order.
    key: u64,
    pub(super) name: SmolStr,
    pub(super) kind: Option<Arc<Kind>>,
    pub(super) value: Value,
    /// How many equal copies of a shared resource this stands for; 1 for all others.
    pub(super) copies: u32,
}

impl Resource {
    /// An unreserved resource of the agent itself.
    #[must_use]
    pub fn new(name: impl Into<SmolStr>, value: Value) -> Self {
        let name = name.into();
        Self { key: key(&name), name, kind: None, value, copies: 1 }
    }

    /// The same resource, of that kind.
    #[must_use]
    pub fn with_kind(mut self, kind: Kind) -> Self {
        self.kind = (kind != Kind::default()).then(|| Arc::new(kind));
        self
    }

    /// The same resource, with `reservation` put on top of its stack.
    #[must_use]
    pub fn reserved(self, reservation: Reservation) -> Self {
        let mut kind = self.kind.as_deref().cloned().unwrap_or_default();
        kind.reservations.push(reservation);
        self.with_kind(kind)
    }

    /// The same resource, with another value.
    #[must_use]
    pub fn with_value(mut self, value: Value) -> Self {
        self.value = value;
        self
    }

    /// Another amount of the same, in one copy.
    pub(crate) fn like(&self, value: Value) -> Self {
        Self { name: self.name.clone(), key: self.key, kind: self.kind.clone(), value, copies: 1 }
    }

    /// The same resource, in one copy.
    pub(crate) fn single(mut self) -> Self {
        self.copies = 1;
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How much there is; of a shared resource, how much each copy is.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The amount, if it is a scalar.
    #[must_use]
    pub fn scalar(&self) -> Option<Scalar> {
        match self.value {
            Value::Scalar(amount) => Some(amount),
            Value::Ranges(_) | Value::Set(_) => None,
        }
    }

    /// What tells it apart from an unreserved resource of the agent; none if it is one.
    #[must_use]
    pub fn kind(&self) -> Option<&Kind> {
        self.kind.as_deref()
    }

    /// Its stack of reservations, the oldest first.
    #[must_use]
    pub fn reservations(&self) -> &[Reservation] {
        self.kind.as_ref().map_or(&[], |kind| &kind.reservations)
    }

    /// The role that it is reserved to (the top of the stack); none if it is unreserved.
    #[must_use]
    pub fn role(&self) -> Option<&Role> {
        self.reservations().last().map(|reservation| &reservation.role)
    }

    /// Whether a framework of `role` may be offered it: unreserved, or reserved to it or an ancestor.
    #[must_use]
    pub fn is_for(&self, role: &Role) -> bool {
        self.role().is_none_or(|reserved| role.is_within(reserved))
    }

    /// Whether it may be taken back at any time.
    #[must_use]
    pub fn is_revocable(&self) -> bool {
        self.kind.as_ref().is_some_and(|kind| kind.revocable)
    }

    /// Whether several tasks may hold it at once.
    #[must_use]
    #[inline]
    pub fn is_shared(&self) -> bool {
        self.kind.as_ref().is_some_and(|kind| kind.shared)
    }

    /// Whether it can only be had whole: volumes, mounts, block devices, raw disks with an id.
    #[must_use]
    pub fn is_indivisible(&self) -> bool {
        self.kind.as_ref().and_then(|kind| kind.disk.as_ref()).is_some_and(Disk::is_indivisible)
    }

    /// How many equal copies of a shared resource this stands for; 1 for all others.
    pub(crate) fn copies(&self) -> u64 {
        self.copies.into()
    }

    /// Whether this is the same shared resource, in however many copies.
    pub(crate) fn same_shared(&self, other: &Self) -> bool {
        self.cmp_identity(other) == Ordering::Equal && self.value == other.value
    }

    /// Whether there is nothing of it.
    #[inline]
    pub(super) fn is_nothing(&self) -> bool {
        self.copies == 0 || self.value.is_empty()
    }

    /// Whether two amounts of this identity become one when added.
    #[inline]
    pub(super) fn merges(&self) -> bool {
        !self.is_shared() && !self.is_indivisible()
    }

    /// Whether both are one merging resource, as far as can be seen without looking closely.
    #[inline(always)]
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let same_kind = match (&self.kind, &other.kind) {
            (None, None) => true,
            (Some(mine), Some(theirs)) => Arc::ptr_eq(mine, theirs) && self.merges(),
            (None, Some(_)) | (Some(_), None) => false,
        };
        same_kind && self.same_name(other)
    }

    #[inline(always)]
    pub(super) fn same_name(&self, other: &Self) -> bool {
        self.key == other.key && (self.key & 0xff <= KEYED || self.name == other.name)
    }

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

    /// The role of its single static reservation, if that is all that is special about it.
    pub(super) fn plain_role(&self) -> Option<&Role> {
        let kind = self.kind.as_deref()?;
        let [reservation] = kind.reservations.as_slice() else { return None };
        let plain = reservation.kind == ReservationType::Static
            && reservation.principal.is_none()
            && reservation.labels.is_empty()
            && kind.disk.is_none()
            && !kind.revocable
            && !kind.shared
            && kind.provider.is_none();
        plain.then_some(&reservation.role)
    }
}

/// Names of up to so many bytes are wholly in their key.
const KEYED: u64 = 7;

/// A number that orders like the names: the first seven bytes, filled up with zeros, and then the length,
/// or eight for all that are longer.
fn key(name: &str) -> u64 {
    let mut key = [0; 8];
    key.iter_mut().take(7).zip(name.bytes()).for_each(|(place, byte)| *place = byte);
    key[7] = u8::try_from(name.len()).map_or(8, |length| length.min(8));
    u64::from_be_bytes(key)
}

impl fmt::Display for Resource {
    /// The text form where there is one; beyond it, marks for people: `disk(a)[vol1]{revocable}:5`.
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
