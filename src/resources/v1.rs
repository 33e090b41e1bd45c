//! The Mesos v1 JSON form of resources.

use super::error::{ItemFault, ResourceError};
use super::text::distinct;
use super::{
    Disk, DiskSource, DiskType, Kind, Range, Ranges, Reservation, ReservationType, Resource, Resources, Scalar, Value,
};
use crate::details::Details;
use crate::id;
use crate::json::Json;
use crate::json::Number;
use crate::role::Role;
use crate::text::Text;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// An unvalidated v1 `Resource` object. Unknown fields are ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct V1Resource {
    name: Text,
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    value_type: Option<V1Type>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scalar: Option<V1Scalar>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ranges: Option<V1Ranges>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    set: Option<V1Set>,
    /// The role of a static reservation in the pre-refinement format, which Mesos still reads and writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<Text>,
    /// A dynamic reservation to `role` in the same format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reservation: Option<V1Reservation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reservations: Option<Vec<V1Reservation>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disk: Option<V1Disk>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revocable: Option<Details>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shared: Option<Details>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provider_id: Option<V1Id>,
    /// `{"role": ...}`: the role that the resource is allocated to, in messages of multi-role frameworks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    allocation_info: Option<Json>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum V1Type {
    Scalar,
    Ranges,
    Set,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct V1Scalar {
    value: Number,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct V1Ranges {
    #[serde(default)]
    range: Vec<Range>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct V1Set {
    #[serde(default)]
    item: Vec<Text>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct V1Id {
    value: Text,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct V1Reservation {
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    kind: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    principal: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    labels: Option<V1Labels>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct V1Labels {
    #[serde(default)]
    labels: Vec<V1Label>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct V1Label {
    key: Text,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<Text>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct V1Disk {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    persistence: Option<V1Persistence>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    volume: Option<Details>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<V1Source>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct V1Persistence {
    id: Text,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    principal: Option<Text>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct V1Source {
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    kind: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<V1Root>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mount: Option<V1Root>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vendor: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    profile: Option<Text>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct V1Root {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    root: Option<Text>,
}

impl V1Resource {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the role that the resource is allocated to, if it is given.
    pub(crate) fn allocated_to(&self) -> Option<Cow<'_, str>> {
        self.allocation_info.as_ref()?.get("role")?.as_str()
    }

    /// Sets the role that the resource is allocated to.
    pub(crate) fn allocate_to(mut self, role: &Role) -> Self {
        self.allocation_info = Some(Json::object([("role", role.as_str())]));
        self
    }

    /// Converts to the pre-refinement format, if that can express the reservations. An unreserved resource then has the
    /// role `*`.
    pub(crate) fn unrefined(mut self) -> Self {
        match self.reservations.take().unwrap_or_default().as_slice() {
            [] => self.role = Some("*".into()),
            // That format has no place for the labels and the principal of a static reservation.
            [one] if one.is_static() && (one.labels.is_some() || one.principal.is_some()) => {
                self.reservations = Some(vec![one.clone()]);
            }
            [one] => {
                self.role.clone_from(&one.role);
                if !one.is_static() {
                    self.reservation = Some(V1Reservation { kind: None, role: None, ..one.clone() });
                }
            }
            stack => self.reservations = Some(stack.to_vec()),
        }
        self
    }

    /// Adds the fields of the pre-refinement format, if that can express the reservations, and keeps the others.
    pub(crate) fn in_both_formats(self) -> Self {
        let reservations = self.reservations.clone();
        Self { reservations, ..self.unrefined() }
    }

    /// Removes the role `*`, which is the default.
    pub(crate) fn without_star(mut self) -> Self {
        self.role.take_if(|role| role == "*");
        self
    }

    fn value(&self) -> Result<Value, ItemFault> {
        match (self.value_type, &self.scalar, &self.ranges, &self.set) {
            (None | Some(V1Type::Scalar), Some(scalar), None, None) => {
                Ok(Value::Scalar(Scalar::try_from(scalar.value.clone())?))
            }
            (None | Some(V1Type::Ranges), None, Some(ranges), None) => disjoint(&ranges.range).map(Value::Ranges),
            (None | Some(V1Type::Set), None, None, Some(set)) => distinct(set.item.clone()).map(Value::Set),
            (None | Some(V1Type::Scalar), ..) => Err(ItemFault::Type("SCALAR")),
            (Some(V1Type::Ranges), ..) => Err(ItemFault::Type("RANGES")),
            (Some(V1Type::Set), ..) => Err(ItemFault::Type("SET")),
        }
    }

    /// Returns the stack of reservations in the refined format, from either format.
    fn refined_reservations(&self) -> Vec<V1Reservation> {
        let refined = |kind, dynamic: Option<&V1Reservation>| V1Reservation {
            kind: Some(Text::new_static(reservation_type(kind))),
            role: self.role.clone(),
            principal: dynamic.and_then(|reservation| reservation.principal.clone()),
            labels: dynamic.and_then(|reservation| reservation.labels.clone()),
        };
        match (&self.reservations, &self.reservation, self.role.as_deref()) {
            (Some(stack), _, _) if !stack.is_empty() => stack.clone(),
            (_, Some(dynamic), Some(_)) => vec![refined(ReservationType::Dynamic, Some(dynamic))],
            (_, None, Some(role)) if role != "*" => vec![refined(ReservationType::Static, None)],
            _ => Vec::new(),
        }
    }
}

impl V1Reservation {
    fn is_static(&self) -> bool {
        self.kind.as_deref() == Some(reservation_type(ReservationType::Static))
    }
}

fn reservation_type(kind: ReservationType) -> &'static str {
    match kind {
        ReservationType::Static => "STATIC",
        ReservationType::Dynamic => "DYNAMIC",
    }
}

fn disk_type(kind: DiskType) -> &'static str {
    match kind {
        DiskType::Path => "PATH",
        DiskType::Mount => "MOUNT",
        DiskType::Block => "BLOCK",
        DiskType::Raw => "RAW",
    }
}

/// Validates ranges of JSON, where an overlap is an error (in the text form overlapping ranges are merged).
fn disjoint(ranges: &[Range]) -> Result<Ranges, ItemFault> {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable();
    if let Some(range) = sorted.iter().find(|range| range.end < range.begin) {
        return Err(ItemFault::Backwards(*range));
    }
    match sorted.windows(2).find(|pair| pair[1].begin <= pair[0].end) {
        Some(pair) => Err(ItemFault::Overlap(pair[1].begin)),
        None => Ok(sorted.into_iter().collect()),
    }
}

impl TryFrom<V1Resource> for Resource {
    type Error = ResourceError;

    fn try_from(object: V1Resource) -> Result<Self, ResourceError> {
        let kind = kind_of(&object).and_then(|kind| Ok((kind, object.value()?)));
        let (kind, value) = kind.map_err(|fault| fault.of(object.name.as_str()))?;
        if object.name.is_empty() {
            return Err(ItemFault::Syntax.of(""));
        }
        Ok(Self::new(object.name, value).with_kind(kind))
    }
}

fn kind_of(object: &V1Resource) -> Result<Kind, ItemFault> {
    if object.disk.is_some() && object.name != "disk" {
        return Err(ItemFault::field("disk", "none, which only the resource `disk` has"));
    }
    let disk = object.disk.clone().map(Disk::try_from).transpose()?;
    if object.shared.is_some() && disk.as_ref().is_none_or(|disk| disk.persistence.is_none()) {
        return Err(ItemFault::field("shared", "none, which only a persistent volume has"));
    }
    let mut kind = Kind {
        disk: disk.filter(|disk| *disk != Disk::default() || disk.volume.is_some()),
        revocable: object.revocable.is_some(),
        shared: object.shared.is_some(),
        provider: object.provider_id.as_ref().map(|id| id.value.clone()),
        ..Kind::default()
    };
    for written in object.refined_reservations() {
        let role = Role::new(written.role.unwrap_or_default())?;
        let reservation = Reservation {
            kind: match written.kind.as_deref() {
                Some("STATIC") => ReservationType::Static,
                Some("DYNAMIC") => ReservationType::Dynamic,
                _ => return Err(ItemFault::field("reservations.type", "STATIC or DYNAMIC")),
            },
            principal: written.principal,
            labels: written.labels.map_or_else(Vec::new, |labels| {
                labels.labels.into_iter().map(|label| (label.key, label.value)).collect()
            }),
            role,
        };
        if reservation.role.is_default() {
            return Err(ItemFault::DefaultRole);
        }
        if let Some(below) = kind.reservations.last()
            && (reservation.kind == ReservationType::Static || !reservation.role.is_below(&below.role))
        {
            return Err(ItemFault::Refinement(reservation.role));
        }
        kind.reservations.push(reservation);
    }
    Ok(kind)
}

impl TryFrom<V1Source> for DiskSource {
    type Error = ItemFault;

    /// Checks that the source has the place that its type asks for, and no other.
    fn try_from(source: V1Source) -> Result<Self, ItemFault> {
        let types = [DiskType::Path, DiskType::Mount, DiskType::Block, DiskType::Raw];
        let kind = types.into_iter().find(|kind| source.kind.as_deref() == Some(disk_type(*kind)));
        let kind = kind.ok_or_else(|| ItemFault::field("disk.source.type", "PATH, MOUNT, BLOCK or RAW"))?;
        let (has_path, has_mount) = (source.path.is_some(), source.mount.is_some());
        if has_path != (kind == DiskType::Path) {
            return Err(ItemFault::field("disk.source.path", "one if the type is PATH, else none"));
        }
        if has_mount != (kind == DiskType::Mount) {
            return Err(ItemFault::field("disk.source.mount", "one if the type is MOUNT, else none"));
        }
        let root = source.path.or(source.mount).and_then(|place| place.root);
        Ok(Self { kind, root, id: source.id, vendor: source.vendor, profile: source.profile })
    }
}

impl TryFrom<V1Disk> for Disk {
    type Error = ItemFault;

    fn try_from(disk: V1Disk) -> Result<Self, ItemFault> {
        let source = disk.source.map(DiskSource::try_from).transpose()?;
        let host_path = disk.volume.as_ref().and_then(|volume| volume.get("host_path"));
        if host_path.is_some_and(|path| !path.is_null()) {
            return Err(ItemFault::field("disk.volume.host_path", "none"));
        }
        disk.persistence.as_ref().map_or(Ok(()), |volume| id::check(&volume.id))?;
        let (persistence, principal) = disk.persistence.map_or((None, None), |given| (Some(given.id), given.principal));
        Ok(Self { source, persistence, principal, volume: disk.volume })
    }
}

impl From<&Resource> for V1Resource {
    fn from(resource: &Resource) -> Self {
        let kind = resource.kind();
        let marker = |is_set: bool| is_set.then(Details::new);
        let mut object = Self {
            name: resource.name().into(),
            value_type: None,
            scalar: None,
            ranges: None,
            set: None,
            role: None,
            reservation: None,
            reservations: kind
                .filter(|kind| !kind.reservations.is_empty())
                .map(|kind| kind.reservations.iter().map(V1Reservation::from).collect()),
            disk: kind.and_then(|kind| kind.disk.as_ref()).map(V1Disk::from),
            revocable: marker(resource.is_revocable()),
            shared: marker(resource.is_shared()),
            provider_id: kind.and_then(|kind| kind.provider.clone()).map(|value| V1Id { value }),
            allocation_info: None,
        };
        match resource.value() {
            Value::Scalar(amount) => {
                object.value_type = Some(V1Type::Scalar);
                object.scalar = Some(V1Scalar { value: (*amount).into() });
            }
            Value::Ranges(ranges) => {
                object.value_type = Some(V1Type::Ranges);
                object.ranges = Some(V1Ranges { range: ranges.as_slice().to_vec() });
            }
            Value::Set(set) => {
                object.value_type = Some(V1Type::Set);
                object.set = Some(V1Set { item: set.as_slice().to_vec() });
            }
        }
        object
    }
}

impl V1Resource {
    /// Converts a collection; each copy of a shared resource is an object.
    pub(crate) fn all(resources: &Resources) -> impl Iterator<Item = Self> {
        let copies = resources.iter().flat_map(|resource| (0..resource.copies).map(move |_| resource));
        copies.map(Self::from)
    }
}

impl From<&Reservation> for V1Reservation {
    fn from(reservation: &Reservation) -> Self {
        let labels = reservation.labels.iter().map(|(key, value)| V1Label { key: key.clone(), value: value.clone() });
        Self {
            kind: Some(Text::new_static(reservation_type(reservation.kind))),
            role: Some(reservation.role.as_str().into()),
            principal: reservation.principal.clone(),
            labels: (!reservation.labels.is_empty()).then(|| V1Labels { labels: labels.collect() }),
        }
    }
}

impl From<&Disk> for V1Disk {
    fn from(disk: &Disk) -> Self {
        let source = disk.source.as_ref().map(|source| {
            let place = |kind| (source.kind == kind).then(|| V1Root { root: source.root.clone() });
            V1Source {
                kind: Some(Text::new_static(disk_type(source.kind))),
                path: place(DiskType::Path),
                mount: place(DiskType::Mount),
                id: source.id.clone(),
                vendor: source.vendor.clone(),
                profile: source.profile.clone(),
            }
        });
        let persistence = disk.persistence.clone().map(|id| V1Persistence { id, principal: disk.principal.clone() });
        Self { persistence, volume: disk.volume.clone(), source }
    }
}
