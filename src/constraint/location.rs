//! [`Location`]: a host with its fault domain and attributes.

use super::Field;
use crate::agent::Agent;
use crate::attributes::{AttributeValue, Attributes};
use crate::offer::Offer;
use crate::text::Text;
use std::borrow::Cow;

/// A location where a task runs or may run: a host with its fault domain and attributes.
///
/// # Examples
///
/// ```
/// use apportion::constraint::Location;
///
/// let mut location = Location::new("h1");
/// location.attributes = "rack:r1;level:1.0005".parse()?;
/// let value = |field: &str| location.value(&field.parse().unwrap()).map(|value| value.into_owned());
/// assert_eq!(value("hostname").as_deref(), Some("h1"));
/// assert_eq!(value("level").as_deref(), Some("1")); // three decimals, half to even, as Marathon prints it
/// assert_eq!(value("@zone"), None);
/// # Ok::<(), apportion::AttributeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Location {
    /// The host name.
    pub hostname: Text,
    /// The region of its fault domain.
    pub region: Option<Text>,
    /// The zone of its fault domain.
    pub zone: Option<Text>,
    /// The attributes of its agent.
    pub attributes: Attributes,
}

impl Location {
    /// Makes a location without a fault domain and attributes.
    pub fn new(hostname: impl Into<Text>) -> Self {
        Self { hostname: hostname.into(), ..Self::default() }
    }

    /// Returns the value of a field as Marathon prints it, or `None` if the location has none. A field of tasks such as
    /// `@app` is not a property of the location and has none.
    #[must_use]
    pub fn value(&self, field: &Field) -> Option<Cow<'_, str>> {
        match field {
            Field::Hostname => Some(Cow::Borrowed(&self.hostname)),
            Field::Region => self.region.as_deref().map(Cow::Borrowed),
            Field::Zone => self.zone.as_deref().map(Cow::Borrowed),
            Field::Attribute(name) => self.attributes.first(name).map(printed),
            Field::App | Field::Task | Field::Image | Field::Label(_) => None,
        }
    }
}

impl From<&Offer> for Location {
    /// Copies the location of an offer; an empty region or zone is the same as none.
    fn from(offer: &Offer) -> Self {
        let non_empty = |name: &Text| (!name.is_empty()).then(|| name.clone());
        Self {
            hostname: offer.hostname.clone(),
            region: offer.domain.as_ref().and_then(|domain| non_empty(&domain.region)),
            zone: offer.domain.as_ref().and_then(|domain| non_empty(&domain.zone)),
            attributes: offer.attributes.clone(),
        }
    }
}

impl From<&Agent> for Location {
    fn from(agent: &Agent) -> Self {
        Self {
            hostname: agent.hostname.clone(),
            region: agent.domain.as_ref().map(|domain| domain.region.clone()),
            zone: agent.domain.as_ref().map(|domain| domain.zone.clone()),
            attributes: agent.attributes.clone(),
        }
    }
}

/// Formats a value as Marathon does: scalars with at most three decimals.
pub(super) fn printed(value: &AttributeValue) -> Cow<'_, str> {
    match value {
        AttributeValue::Text(text) => Cow::Borrowed(text),
        AttributeValue::Scalar(number) => Cow::Owned(rounded(*number)),
        AttributeValue::Ranges(ranges) => Cow::Owned(ranges.to_string()),
        AttributeValue::Set(set) => Cow::Owned(set.to_string()),
    }
}

/// Formats a number with at most three decimals, rounding the double half to even (Marathon's `0.###`).
pub(super) fn rounded(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
