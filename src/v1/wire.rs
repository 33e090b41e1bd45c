//! Wire types: the `wire!` macro that declares a message as serde reads and writes it, and the types that messages share.

use super::V1Error;
use crate::agent::{Domain, Unavailability};
use crate::details::Details;
use crate::json::Json;
use crate::resources::v1::V1Resource;
use crate::resources::{Resource, Resources};
use crate::role::Role;
use crate::text::Text;
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Declares the struct of a JSON message. In order: required fields; optional fields; lists, which are omitted when empty;
/// and, after `..`, the details with all other fields, if the message keeps them.
macro_rules! wire {
    ($name:ident {
        $($field:ident: $type:ty),* ; $($option:ident: $option_type:ty),* ; $($list:ident: $item:ty),*
    }) => {
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(expecting = "an object")]
        pub(super) struct $name {
            $(pub(super) $field: $type,)*
            $(#[serde(default, skip_serializing_if = "Option::is_none")] pub(super) $option: Option<$option_type>,)*
            $(#[serde(default, skip_serializing_if = "Vec::is_empty")] pub(super) $list: Vec<$item>,)*
        }
    };
    ($name:ident {
        $($field:ident: $type:ty),* ; $($option:ident: $option_type:ty),* ; $($list:ident: $item:ty),* ; .. $rest:ident
    }) => {
        #[derive(Debug, Clone, PartialEq, serde::Serialize)]
        pub(super) struct $name {
            $(pub(super) $field: $type,)*
            $(#[serde(skip_serializing_if = "Option::is_none")] pub(super) $option: Option<$option_type>,)*
            $(#[serde(skip_serializing_if = "Vec::is_empty")] pub(super) $list: Vec<$item>,)*
            #[serde(flatten)]
            pub(super) $rest: crate::details::Details,
        }

        crate::details::read_with_details!($name {
            $($field: $type),* ; $($option: $option_type),* ; $($list: $item),* ; $rest
        });
    };
}
pub(super) use wire;

/// An object `{"value": ...}`, as v1 JSON writes ids and amounts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Wrapped<T> {
    pub(super) value: T,
}

impl<T> Wrapped<T> {
    pub(super) fn wrap_all<'a>(values: impl IntoIterator<Item = &'a T>) -> Vec<Self>
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

/// Unwraps an optional id.
pub(super) fn unwrapped<T>(wrapped: Option<Wrapped<T>>) -> Option<T> {
    wrapped.map(|wrapped| wrapped.value)
}

/// Wraps an optional id.
pub(super) fn wrapped<T: Clone>(value: Option<&T>) -> Option<Wrapped<T>> {
    value.cloned().map(Wrapped::from)
}

/// Returns a field that messages of this type must have.
pub(super) fn required<T>(body: Option<T>, name: &'static str) -> Result<T, V1Error> {
    body.ok_or(V1Error::Missing(name))
}

/// Mesos' `DurationInfo` and `TimeInfo`, which are the same in JSON. Reading also accepts `seconds`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct DurationInfo {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nanoseconds: Option<i64>,
    #[serde(default, skip_serializing)]
    seconds: Option<f64>,
}

impl DurationInfo {
    fn nanos(self) -> i128 {
        #[expect(clippy::cast_possible_truncation, reason = "a float that is too large saturates")]
        let from_seconds = || self.seconds.map_or(0, |seconds| (seconds * 1e9).round() as i128);
        self.nanoseconds.map_or_else(from_seconds, i128::from)
    }
}

impl From<Duration> for DurationInfo {
    fn from(duration: Duration) -> Self {
        Self { nanoseconds: Some(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)), seconds: None }
    }
}

impl From<DurationInfo> for Duration {
    /// Clamps a negative duration to zero.
    fn from(info: DurationInfo) -> Self {
        Self::from_nanos(u64::try_from(info.nanos().max(0)).unwrap_or(u64::MAX))
    }
}

impl From<Time> for DurationInfo {
    fn from(time: Time) -> Self {
        time.since(Time::ZERO).into()
    }
}

impl From<DurationInfo> for Time {
    fn from(info: DurationInfo) -> Self {
        Self::ZERO + Duration::from(info)
    }
}

wire!(WireUnavailability { start: DurationInfo ; duration: DurationInfo ; });

impl From<Unavailability> for WireUnavailability {
    fn from(window: Unavailability) -> Self {
        Self { start: window.start.into(), duration: window.duration.map(DurationInfo::from) }
    }
}

impl From<&WireUnavailability> for Unavailability {
    fn from(window: &WireUnavailability) -> Self {
        Self { start: window.start.into(), duration: window.duration.map(Duration::from) }
    }
}

/// The detail that keeps an unavailability as it was written, if it is more precise than [`Unavailability`].
pub(super) const UNAVAILABILITY_DETAIL: &str = "unavailability";

impl WireUnavailability {
    /// Converts to microseconds, and stores the original in the details if that loses precision.
    pub(super) fn read(self, details: &mut Details) -> Unavailability {
        let window = Unavailability::from(&self);
        if Self::from(window) != self {
            details.insert(UNAVAILABILITY_DETAIL, Json::of(&self));
        }
        window
    }

    /// Returns the original from the details, unless the unavailability was changed since it was read.
    pub(super) fn write(window: Unavailability, details: &mut Details) -> Self {
        let exact = details.remove(UNAVAILABILITY_DETAIL).and_then(|exact| exact.read::<Self>().ok());
        exact.filter(|exact| Unavailability::from(exact) == window).unwrap_or_else(|| window.into())
    }
}

wire!(Name { name: Text ; ; });
wire!(FaultDomain { region: Name, zone: Name ; ; });
wire!(DomainInfo { ; fault_domain: FaultDomain ; });

impl From<&Domain> for DomainInfo {
    fn from(domain: &Domain) -> Self {
        let (region, zone) = (Name { name: domain.region.clone() }, Name { name: domain.zone.clone() });
        Self { fault_domain: Some(FaultDomain { region, zone }) }
    }
}

impl From<DomainInfo> for Option<Domain> {
    fn from(info: DomainInfo) -> Self {
        info.fault_domain.map(|domain| Domain { region: domain.region.name, zone: domain.zone.name })
    }
}

wire!(AllocationInfo { ; role: Text ; });

impl From<&Role> for AllocationInfo {
    fn from(role: &Role) -> Self {
        Self { role: Some(role.as_str().into()) }
    }
}

/// Adds up resources, and returns the role that they are allocated to: that of the first one with an `allocation_info`.
pub(super) fn read_resources(objects: Vec<V1Resource>) -> Result<(Resources, Option<Role>), V1Error> {
    let mut role = None;
    let mut resources = Vec::with_capacity(objects.len());
    for object in objects {
        let (resource, allocated) = read_resource(object)?;
        role = role.or(allocated);
        resources.push(resource);
    }
    Ok((Resources::try_from_iter(resources)?, role))
}

pub(super) fn read_resource(object: V1Resource) -> Result<(Resource, Option<Role>), V1Error> {
    let role = object.allocated_to().map(Role::new).transpose()?;
    Ok((Resource::try_from(object)?, role))
}

pub(super) fn read_roles(names: Vec<Text>) -> Result<Vec<Role>, V1Error> {
    names.into_iter().map(|name| Ok(Role::new(name)?)).collect()
}

pub(super) fn write_roles(roles: &[Role]) -> Vec<Text> {
    roles.iter().map(|role| role.as_str().into()).collect()
}
