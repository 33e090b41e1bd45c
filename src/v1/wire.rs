//! The small shapes of which all messages are made, and how a shape is declared.

use super::V1Error;
use crate::agent::{Domain, Unavailability};
use crate::resources::v1::V1Resource;
use crate::resources::{Resource, Resources};
use crate::role::Role;
use crate::time::Time;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use smol_str::SmolStr;
use std::time::Duration;

/// Declares a message as it stands in JSON: the fields that it must have; those that it may; lists, where none is
/// empty; and, after `..`, where further fields go, if they are kept.
macro_rules! shape {
    ($name:ident {
        $($field:ident: $type:ty),* ; $($option:ident: $option_type:ty),* ; $($list:ident: $item:ty),* $(; .. $rest:ident)?
    }) => {
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        pub(super) struct $name {
            $(pub(super) $field: $type,)*
            $(#[serde(default, skip_serializing_if = "Option::is_none")] pub(super) $option: Option<$option_type>,)*
            $(#[serde(default, skip_serializing_if = "Vec::is_empty")] pub(super) $list: Vec<$item>,)*
            $(#[serde(flatten)] pub(super) $rest: serde_json::Map<String, serde_json::Value>,)?
        }
    };
}
pub(super) use shape;

/// `{"value": ...}`, as ids and amounts are written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Wrapped<T> {
    pub(super) value: T,
}

impl<T> Wrapped<T> {
    pub(super) fn all<'a>(values: impl IntoIterator<Item = &'a T>) -> Vec<Self>
    where
        T: Clone + 'a,
    {
        values.into_iter().cloned().map(Self::from).collect()
    }

    pub(super) fn unwrap_all(values: Vec<Self>) -> Vec<T> {
        values.into_iter().map(|wrapped| wrapped.value).collect()
    }
}

impl<T> From<T> for Wrapped<T> {
    fn from(value: T) -> Self {
        Self { value }
    }
}

/// Takes an id out of its object, if it is there.
pub(super) fn bare<T>(wrapped: Option<Wrapped<T>>) -> Option<T> {
    wrapped.map(|wrapped| wrapped.value)
}

/// Puts an id into its object, if it is there.
pub(super) fn wrapped<T: Clone>(value: Option<&T>) -> Option<Wrapped<T>> {
    value.cloned().map(Wrapped::from)
}

/// What must be there.
pub(super) fn present<T>(body: Option<T>, name: &'static str) -> Result<T, V1Error> {
    body.ok_or(V1Error::Missing(name))
}

/// A span of time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Span {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nanoseconds: Option<i64>,
    #[serde(default, skip_serializing)]
    seconds: Option<f64>,
}

impl Span {
    fn nanos(self) -> i128 {
        #[expect(clippy::cast_possible_truncation, reason = "a float that is too large stays at the bound")]
        let from_seconds = || self.seconds.map_or(0, |seconds| (seconds * 1e9).round() as i128);
        self.nanoseconds.map_or_else(from_seconds, i128::from)
    }
}

impl From<Duration> for Span {
    fn from(span: Duration) -> Self {
        Self { nanoseconds: Some(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)), seconds: None }
    }
}

impl From<Span> for Duration {
    /// A negative span is none.
    fn from(span: Span) -> Self {
        Self::from_nanos(u64::try_from(span.nanos().max(0)).unwrap_or(u64::MAX))
    }
}

impl From<Time> for Span {
    fn from(time: Time) -> Self {
        time.since(Time::ZERO).into()
    }
}

impl From<Span> for Time {
    fn from(span: Span) -> Self {
        Self::ZERO + Duration::from(span)
    }
}

shape!(Window { start: Span ; duration: Span ; });

impl From<Unavailability> for Window {
    fn from(window: Unavailability) -> Self {
        Self { start: window.start.into(), duration: window.duration.map(Span::from) }
    }
}

impl From<&Window> for Unavailability {
    fn from(window: &Window) -> Self {
        Self { start: window.start.into(), duration: window.duration.map(Duration::from) }
    }
}

/// The field in which a window is kept as it was written, where it is more exact than ours.
pub(super) const EXACT_WINDOW: &str = "unavailability";

impl Window {
    /// Keeps the window as it was written, if something of it would be lost.
    pub(super) fn keep(self, details: &mut Map<String, Json>) -> Unavailability {
        let meant = Unavailability::from(&self);
        if Self::from(meant) != self {
            let exact = serde_json::to_value(self).expect("a window is two numbers");
            details.insert(EXACT_WINDOW.to_owned(), exact);
        }
        meant
    }

    /// The window as it was written, as long as it still means the same.
    pub(super) fn kept(window: Unavailability, details: &mut Map<String, Json>) -> Self {
        let exact = details.shift_remove(EXACT_WINDOW).and_then(|exact| Self::deserialize(exact).ok());
        exact.filter(|exact| Unavailability::from(exact) == window).unwrap_or_else(|| window.into())
    }
}

shape!(Name { name: SmolStr ; ; });
shape!(FaultDomain { region: Name, zone: Name ; ; });
shape!(Where { ; fault_domain: FaultDomain ; });

impl From<&Domain> for Where {
    fn from(domain: &Domain) -> Self {
        let (region, zone) = (Name { name: domain.region.clone() }, Name { name: domain.zone.clone() });
        Self { fault_domain: Some(FaultDomain { region, zone }) }
    }
}

impl From<Where> for Option<Domain> {
    fn from(place: Where) -> Self {
        place.fault_domain.map(|domain| Domain { region: domain.region.name, zone: domain.zone.name })
    }
}

shape!(Allocation { ; role: SmolStr ; });

impl From<&Role> for Allocation {
    fn from(role: &Role) -> Self {
        Self { role: Some(role.as_str().into()) }
    }
}

/// Adds up resources, and finds out for whom they are, if one of them says so.
pub(super) fn read_resources(objects: Vec<V1Resource>) -> Result<(Resources, Option<Role>), V1Error> {
    let mut resources = Resources::new();
    let mut role = None;
    for object in objects {
        let (resource, allocated) = read_resource(object)?;
        role = role.or(allocated);
        resources.try_insert(resource)?;
    }
    Ok((resources, role))
}

pub(super) fn read_resource(object: V1Resource) -> Result<(Resource, Option<Role>), V1Error> {
    let role = object.allocated_to().map(Role::new).transpose()?;
    Ok((Resource::try_from(object)?, role))
}

pub(super) fn read_roles(names: Vec<SmolStr>) -> Result<Vec<Role>, V1Error> {
    names.into_iter().map(|name| Ok(Role::new(name)?)).collect()
}

pub(super) fn write_roles(roles: &[Role]) -> Vec<SmolStr> {
    roles.iter().map(|role| role.as_str().into()).collect()
}
