//! [`Agent`]: a machine that has resources.

use crate::attributes::{AttributeValue, Attributes};
use crate::id::AgentId;
use crate::resources::Resources;
use crate::text::Text;
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The fault domain of a machine: machines of one domain tend to fail together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "a fault domain is a region and a zone")]
pub struct Domain {
    /// The region, such as a data centre.
    pub region: Text,
    /// The zone within the region.
    pub zone: Text,
}

/// A maintenance window of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a window has a start and perhaps a length")]
pub struct Unavailability {
    /// The start of the window.
    pub start: Time,
    /// The length of the window; `None` for an unlimited one.
    pub duration: Option<Duration>,
}

/// An agent: a machine with its resources and metadata.
///
/// # Examples
///
/// ```
/// use apportion::Agent;
///
/// let agent = Agent::new("a1", "cpus:8;mem:32768".parse()?).hostname("host-1").attribute("rack", "r1");
/// assert_eq!(agent.hostname, "host-1");
/// # Ok::<(), apportion::ResourceError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Agent {
    /// The id.
    pub id: AgentId,
    /// The host name; by default the id.
    pub hostname: Text,
    /// The total resources.
    pub resources: Resources,
    /// The attributes.
    pub attributes: Attributes,
    /// The fault domain; `None` for that of the master.
    pub domain: Option<Domain>,
    /// The next planned maintenance window. It belongs to the machine: when an agent is added, one given here counts for
    /// all agents of the hostname, and without one that of the hostname stands.
    pub unavailability: Option<Unavailability>,
}

impl Agent {
    /// Makes an agent whose host name is its id, without attributes and fault domain.
    #[must_use]
    pub fn new(id: impl Into<AgentId>, resources: Resources) -> Self {
        let id = id.into();
        let hostname = id.as_str().into();
        Self { id, hostname, resources, attributes: Attributes::new(), domain: None, unavailability: None }
    }

    /// Sets the host name.
    #[must_use]
    pub fn hostname(mut self, hostname: impl Into<Text>) -> Self {
        self.hostname = hostname.into();
        self
    }

    /// Adds an attribute.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<Text>, value: impl Into<AttributeValue>) -> Self {
        self.attributes.push(name, value);
        self
    }

    /// Replaces the attributes.
    #[must_use]
    pub fn attributes(mut self, attributes: Attributes) -> Self {
        self.attributes = attributes;
        self
    }

    /// Sets the fault domain.
    #[must_use]
    pub fn domain(mut self, region: impl Into<Text>, zone: impl Into<Text>) -> Self {
        self.domain = Some(Domain { region: region.into(), zone: zone.into() });
        self
    }
}
