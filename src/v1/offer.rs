//! Offers, inverse offers and `AgentInfo` in v1 JSON.

use super::wire::{AllocationInfo, DomainInfo, WireUnavailability, Wrapped, read_resources, unwrapped, wire};
use super::{Dialect, V1Error};
use crate::agent::Agent;
use crate::attributes::{Attribute, Attributes, V1Attribute};
use crate::id::{AgentId, ExecutorId, FrameworkId, OfferId};
use crate::offer::{InverseOffer, Offer};
use crate::resources::v1::V1Resource;
use crate::role::Role;
use crate::text::Text;

wire!(WireOffer {
    id: Wrapped<OfferId>, framework_id: Wrapped<FrameworkId>, agent_id: Wrapped<AgentId>, hostname: Text ;
    domain: DomainInfo, unavailability: WireUnavailability, allocation_info: AllocationInfo ;
    resources: V1Resource, attributes: V1Attribute, executor_ids: Wrapped<ExecutorId> ; .. details
});

impl WireOffer {
    pub(super) fn write(offer: &Offer, dialect: &Dialect) -> Self {
        let mut details = offer.details.clone();
        Self {
            id: offer.id.clone().into(),
            framework_id: offer.framework.clone().into(),
            agent_id: offer.agent.clone().into(),
            hostname: offer.hostname.clone(),
            domain: offer.domain.as_ref().map(DomainInfo::from),
            unavailability: offer.unavailability.map(|window| WireUnavailability::write(window, &mut details)),
            allocation_info: dialect.has_allocation_info().then(|| AllocationInfo::from(&offer.role)),
            resources: dialect.master_resources(&offer.resources, Some(&offer.role)),
            attributes: offer.attributes.iter().map(V1Attribute::from).collect(),
            executor_ids: Wrapped::wrap_all(&offer.executors),
            details,
        }
    }

    /// Converts to an offer. Its role is that of its own `allocation_info`, else of one of its resources, else the dialect's.
    pub(super) fn read(self, dialect: &Dialect) -> Result<Offer, V1Error> {
        let (resources, allocated) = read_resources(self.resources)?;
        let stated = self.allocation_info.and_then(|info| info.role).map(Role::new).transpose()?;
        let role = stated.or(allocated).unwrap_or_else(|| dialect.default_role().clone());
        let mut details = self.details;
        let mut attributes = Attributes::new();
        for Attribute { name, value, .. } in self.attributes.into_iter().map(Attribute::from) {
            attributes.push(name, value);
        }
        Ok(Offer {
            hostname: self.hostname,
            attributes,
            domain: self.domain.and_then(Option::from),
            unavailability: self.unavailability.map(|window| window.read(&mut details)),
            executors: Wrapped::unwrap_all(self.executor_ids),
            details,
            ..Offer::new(self.id.value, self.framework_id.value, role, self.agent_id.value, resources)
        })
    }
}

wire!(WireInverse {
    id: Wrapped<OfferId>, framework_id: Wrapped<FrameworkId>, unavailability: WireUnavailability ; agent_id: Wrapped<AgentId> ;
    ; .. details
});

impl From<&InverseOffer> for WireInverse {
    fn from(offer: &InverseOffer) -> Self {
        let mut details = offer.details.clone();
        Self {
            id: offer.id.clone().into(),
            framework_id: offer.framework.clone().into(),
            agent_id: Some(offer.agent.clone().into()),
            unavailability: WireUnavailability::write(offer.unavailability, &mut details),
            details,
        }
    }
}

impl WireInverse {
    pub(super) fn read(self) -> Result<InverseOffer, V1Error> {
        let agent = self.agent_id.ok_or(V1Error::Missing("agent_id"))?.value;
        let mut details = self.details;
        let unavailability = self.unavailability.read(&mut details);
        Ok(InverseOffer { details, ..InverseOffer::new(self.id.value, self.framework_id.value, agent, unavailability) })
    }
}

wire!(AgentInfo { hostname: Text ; id: Wrapped<AgentId>, domain: DomainInfo ; resources: V1Resource, attributes: V1Attribute });

impl From<&Agent> for AgentInfo {
    fn from(agent: &Agent) -> Self {
        Self {
            hostname: agent.hostname.clone(),
            id: (!agent.id.as_str().is_empty()).then(|| agent.id.clone().into()),
            domain: agent.domain.as_ref().map(DomainInfo::from),
            resources: V1Resource::all(&agent.resources).collect(),
            attributes: agent.attributes.iter().map(V1Attribute::from).collect(),
        }
    }
}

impl AgentInfo {
    /// Converts to an agent. One without an id has an empty one.
    pub(super) fn read(self) -> Result<Agent, V1Error> {
        let (resources, _) = read_resources(self.resources)?;
        let mut attributes = Attributes::new();
        for Attribute { name, value, .. } in self.attributes.into_iter().map(Attribute::from) {
            attributes.push(name, value);
        }
        let id = unwrapped(self.id).unwrap_or_else(|| AgentId::from(""));
        let agent = Agent::new(id, resources).hostname(self.hostname).attributes(attributes);
        Ok(Agent { domain: self.domain.and_then(Option::from), ..agent })
    }
}
