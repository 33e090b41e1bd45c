//! [`Agent`]: a machine that has resources.

use crate::attributes::{AttributeValue, Attributes};
use crate::id::AgentId;
use crate::resources::Resources;
use crate::time::Time;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::time::Duration;

/// Where a machine stands: what fails together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "a fault domain is a region and a zone")]
pub struct Domain {
    /// The region, such as a continent's data centre.
    pub region: SmolStr,
    /// The zone within it.
    pub zone: SmolStr,
}

/// When an agent will be down for maintenance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a window has a start and perhaps a length")]
pub struct Unavailability {
    /// From when on.
    pub start: Time,
    /// For how long; none = for good, as far as is known.
    pub duration: Option<Duration>,
}

/// An agent: a machine, the resources it has and what it says of itself.
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
    /// Its id.
    pub id: AgentId,
    /// Its host's name; the id, if none was given.
    pub hostname: SmolStr,
    /// All that it has.
    pub resources: Resources,
    /// What it says of itself.
    pub attributes: Attributes,
    /// Where it stands; none = where the master stands.
    pub domain: Option<Domain>,
    /// When it will be down, if that is planned.
    pub unavailability: Option<Unavailability>,
}

impl Agent {
    /// An agent whose host is called like it, without attributes, at home.
    #[must_use]
    pub fn new(id: impl Into<AgentId>, resources: Resources) -> Self {
        let id = id.into();
        let hostname = id.as_str().into();
        Self { id, hostname, resources, attributes: Attributes::new(), domain: None, unavailability: None }
    }

    /// The same, with another host name.
    #[must_use]
    pub fn hostname(mut self, hostname: impl Into<SmolStr>) -> Self {
        self.hostname = hostname.into();
        self
    }

    /// The same, with one more attribute.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<SmolStr>, value: impl Into<AttributeValue>) -> Self {
        self.attributes.push(name, value);
        self
    }

    /// The same, with these attributes and no others.
    #[must_use]
    pub fn attributes(mut self, attributes: Attributes) -> Self {
        self.attributes = attributes;
        self
    }

    /// The same, standing in that region and zone.
    #[must_use]
    pub fn domain(mut self, region: impl Into<SmolStr>, zone: impl Into<SmolStr>) -> Self {
        self.domain = Some(Domain { region: region.into(), zone: zone.into() });
        self
    }
}
