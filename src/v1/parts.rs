//! Parts of messages, as serde writes them: for programs that write messages of Mesos which this library does not have, such as
//! those of the operator API.

use super::Dialect;
use super::offer::WireOffer;
use super::task::WireStatus;
use crate::offer::Offer;
use crate::resources::Resources;
use crate::resources::v1::V1Resource;
use crate::role::Role;
use crate::task::TaskStatus;
use serde::{Serialize, Serializer};

/// Resources whose serde form is a list of v1 `Resource` with `reservations`.
///
/// # Examples
///
/// ```
/// use apportion::v1::WrittenResources;
/// use apportion::{Resources, Role};
///
/// let (resources, role): (Resources, Role) = ("cpus(ops):1".parse()?, "ops".parse()?);
/// let written = WrittenResources::new(&resources).allocated_to(&role);
/// let reservations = r#""reservations":[{"type":"STATIC","role":"ops"}],"allocation_info":{"role":"ops"}"#;
/// let cpus = r#"{"name":"cpus","type":"SCALAR","scalar":{"value":1.0}"#;
/// assert_eq!(serde_json::to_string(&written)?, format!("[{cpus},{reservations}}}]"));
/// assert_eq!(serde_json::to_string(&written.in_both_formats())?, format!(r#"[{cpus},"role":"ops",{reservations}}}]"#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct WrittenResources<'a> {
    resources: &'a Resources,
    allocated_to: Option<&'a Role>,
    in_both_formats: bool,
}

impl<'a> WrittenResources<'a> {
    /// Writes resources that are allocated to nobody.
    #[must_use]
    pub fn new(resources: &'a Resources) -> Self {
        Self { resources, allocated_to: None, in_both_formats: false }
    }

    /// Adds an `allocation_info` with that role to each.
    #[must_use]
    pub fn allocated_to(self, role: &'a Role) -> Self {
        Self { allocated_to: Some(role), ..self }
    }

    /// Returns what writes the resources one by one, to be a part of a longer list.
    pub fn each(self) -> impl Iterator<Item = impl Serialize> {
        V1Resource::all(self.resources).map(move |object| {
            let object = if self.in_both_formats { object.in_both_formats() } else { object };
            match self.allocated_to {
                Some(role) => object.allocate_to(role),
                None => object,
            }
        })
    }

    /// Adds the `role` and the `reservation` of the format before `reservations`, as Mesos does in the answers to operators.
    #[must_use]
    pub fn in_both_formats(self) -> Self {
        Self { in_both_formats: true, ..self }
    }
}

impl Serialize for WrittenResources<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.each())
    }
}

/// A status whose serde form is a v1 `TaskStatus`.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "all there is to say is the status")]
pub struct WrittenStatus<'a>(pub &'a TaskStatus);

impl Serialize for WrittenStatus<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        WireStatus::from(self.0).serialize(serializer)
    }
}

/// An offer whose serde form is a v1 `Offer` in the default [`Dialect`].
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "all there is to say is the offer")]
pub struct WrittenOffer<'a>(pub &'a Offer);

impl Serialize for WrittenOffer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        WireOffer::write(self.0, &Dialect::default()).serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::TaskState;

    #[test]
    fn parts_are_written_as_within_messages() {
        let dialect = Dialect::default();
        let offer = Offer::new("O1", "f1", "web".parse().unwrap(), "a1", "cpus:4;ports:[1-2]".parse().unwrap());
        let event = dialect.encode(&crate::Event::Offers(vec![offer.clone()]));
        assert!(event.contains(&serde_json::to_string(&WrittenOffer(&offer)).unwrap()), "{event}");
        let status = TaskStatus::new("t1", TaskState::Running).reason("REASON_RECONCILIATION");
        let event = dialect.encode(&crate::Event::Update(status.clone()));
        assert!(event.contains(&serde_json::to_string(&WrittenStatus(&status)).unwrap()), "{event}");
    }

    #[test]
    fn both_formats_say_the_same() {
        let resources: Resources = serde_json::from_value(serde_json::json!([
            {"name": "cpus", "type": "SCALAR", "scalar": {"value": 1}, "reservations": [{"type": "DYNAMIC", "role": "a", "principal": "p"}]},
            {"name": "cpus", "type": "SCALAR", "scalar": {"value": 2}},
            {"name": "mem", "type": "SCALAR", "scalar": {"value": 3},
                "reservations": [{"type": "STATIC", "role": "a"}, {"type": "DYNAMIC", "role": "a/b"}]},
        ]))
        .unwrap();
        let written = serde_json::to_value(WrittenResources::new(&resources).in_both_formats()).unwrap();
        let part = |index: usize, name: &str| written[index].get(name).cloned().unwrap_or_default();
        let texts: Vec<String> = (0..3).map(|index| part(index, "role").to_string()).collect();
        assert_eq!(texts, [r#""*""#, r#""a""#, "null"], "a refined reservation has no old form");
        assert_eq!(part(1, "reservation"), serde_json::json!({"principal": "p"}));
        assert_eq!(part(1, "reservations"), serde_json::json!([{"type": "DYNAMIC", "role": "a", "principal": "p"}]));
        let read: Resources = serde_json::from_value(written).unwrap();
        assert_eq!(read, resources);
    }
}
