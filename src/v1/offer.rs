//! Offers, inverse offers and the agents that they are of in v1 JSON.

use super::wire::{Allocation, Where, Window, Wrapped, read_resources, shape};
use super::{Form, V1Error};
use crate::agent::Agent;
use crate::attributes::{Attribute, Attributes, V1Attribute};
use crate::id::{AgentId, ExecutorId, FrameworkId, OfferId};
use crate::offer::{InverseOffer, Offer};
use crate::resources::v1::V1Resource;
use crate::role::Role;
use smol_str::SmolStr;

shape!(OfferShape {
    id: Wrapped<OfferId>, framework_id: Wrapped<FrameworkId>, agent_id: Wrapped<AgentId>, hostname: SmolStr ;
    domain: Where, unavailability: Window, allocation_info: Allocation ;
    resources: V1Resource, attributes: V1Attribute, executor_ids: Wrapped<ExecutorId> ; .. details
});

impl OfferShape {
    pub(super) fn write(offer: &Offer, form: &Form) -> Self {
        let mut details = offer.details.clone();
        Self {
            id: offer.id.clone().into(),
            framework_id: offer.framework.clone().into(),
            agent_id: offer.agent.clone().into(),
            hostname: offer.hostname.clone(),
            domain: offer.domain.as_ref().map(Where::from),
            unavailability: offer.unavailability.map(|window| Window::kept(window, &mut details)),
            allocation_info: form.tells_roles().then(|| Allocation::from(&offer.role)),
            resources: form.given(&offer.resources, Some(&offer.role)),
            attributes: offer.attributes.iter().map(V1Attribute::from).collect(),
            executor_ids: Wrapped::all(&offer.executors),
            details,
        }
    }

    /// The role is what the offer says, or else the only one that the framework has.
    pub(super) fn read(self, form: &Form) -> Result<Offer, V1Error> {
        let (resources, allocated) = read_resources(self.resources)?;
        let said = self.allocation_info.and_then(|info| info.role).map(Role::new).transpose()?;
        let role = said.or(allocated).unwrap_or_else(|| form.only_role().clone());
        let mut details = self.details;
        let mut attributes = Attributes::new();
        for Attribute { name, value, .. } in self.attributes.into_iter().map(Attribute::from) {
            attributes.push(name, value);
        }
        Ok(Offer {
            hostname: self.hostname,
            attributes,
            domain: self.domain.and_then(Option::from),
            unavailability: self.unavailability.map(|window| window.keep(&mut details)),
            executors: Wrapped::unwrap_all(self.executor_ids),
            details,
            ..Offer::new(self.id.value, self.framework_id.value, role, self.agent_id.value, resources)
        })
    }
}

shape!(InverseShape {
    id: Wrapped<OfferId>, framework_id: Wrapped<FrameworkId>, unavailability: Window ; agent_id: Wrapped<AgentId> ;
    ; .. details
});

impl From<&InverseOffer> for InverseShape {
    fn from(offer: &InverseOffer) -> Self {
        let mut details = offer.details.clone();
        Self {
            id: offer.id.clone().into(),
            framework_id: offer.framework.clone().into(),
            agent_id: Some(offer.agent.clone().into()),
            unavailability: Window::kept(offer.unavailability, &mut details),
            details,
        }
    }
}

impl InverseShape {
    pub(super) fn read(self) -> Result<InverseOffer, V1Error> {
        let agent = self.agent_id.ok_or(V1Error::Missing("agent_id"))?.value;
        let mut details = self.details;
        let unavailability = self.unavailability.keep(&mut details);
        Ok(InverseOffer { details, ..InverseOffer::new(self.id.value, self.framework_id.value, agent, unavailability) })
    }
}

shape!(AgentInfo { hostname: SmolStr ; id: Wrapped<AgentId>, domain: Where ; resources: V1Resource, attributes: V1Attribute });

impl From<&Agent> for AgentInfo {
    fn from(agent: &Agent) -> Self {
        Self {
            hostname: agent.hostname.clone(),
            id: Some(agent.id.clone().into()),
            domain: agent.domain.as_ref().map(Where::from),
            resources: V1Resource::all(&agent.resources).collect(),
            attributes: agent.attributes.iter().map(V1Attribute::from).collect(),
        }
    }
}
