//! [`Model`]: what an allocator was told and has offered, as plain lists, and what it must not offer.

use crate::agent::Agent;
use crate::allocator::{AgentAccount, EndedOffers, Holding};
use crate::framework::Framework;
use crate::id::{AgentId, FrameworkId};
use crate::offer::Conversion;
use crate::resources::{Resources, Scalar};
use crate::role::Role;
use crate::time::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The state of a cluster in plain lists.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) now: Time,
    /// In the order in which they came.
    pub(super) agents: Vec<ModelAgent>,
    /// In the order in which they came.
    pub(super) frameworks: Vec<ModelFramework>,
    pub(super) offers: Vec<Holding>,
    pub(super) tasks: Vec<Holding>,
    /// What is refused, and until when.
    pub(super) refusals: Vec<(Holding, Time)>,
    /// The most cpus that a role may hold.
    pub(super) limits: BTreeMap<Role, Scalar>,
    pub(super) last_offer: Option<Holding>,
    pub(super) last_task: Option<Holding>,
}

#[derive(Debug)]
pub(super) struct ModelAgent {
    pub(super) agent: Arc<Agent>,
    pub(super) total: Resources,
    pub(super) is_active: bool,
}

#[derive(Debug)]
pub(super) struct ModelFramework {
    pub(super) framework: Arc<Framework>,
    pub(super) is_active: bool,
    pub(super) suppressed: BTreeSet<Role>,
}

impl Model {
    pub(super) fn agent(&mut self, id: &AgentId) -> Option<&mut ModelAgent> {
        self.agents.iter_mut().find(|agent| agent.agent.id == *id)
    }

    pub(super) fn framework(&mut self, id: &FrameworkId) -> Option<&mut ModelFramework> {
        self.frameworks.iter_mut().find(|framework| framework.framework.id == *id)
    }

    /// Returns whether a framework is there and has a role.
    pub(super) fn has_role(&mut self, id: &FrameworkId, role: &Role) -> bool {
        self.framework(id).is_some_and(|known| known.framework.roles.contains(role))
    }

    /// Returns whether anything that is offered or in use is of this kind.
    pub(super) fn any_held(&self, is_of: impl Fn(&Holding) -> bool) -> bool {
        self.offers.iter().chain(&self.tasks).any(is_of)
    }

    /// Forgets refusals.
    pub(super) fn forget_refusals(&mut self, is_of: impl Fn(&Holding) -> bool) {
        self.refusals.retain(|(refused, _)| !is_of(refused));
    }

    /// Returns the account of an agent.
    pub(super) fn account(&self, agent: &ModelAgent) -> AgentAccount<'static> {
        let sum = |holdings: &[Holding]| {
            let mut sum = Resources::new();
            for holding in holdings.iter().filter(|holding| holding.agent == agent.agent.id) {
                sum.try_add(&holding.resources).expect("what is held of an agent can be added up");
            }
            sum
        };
        AgentAccount::new(agent.total.clone(), sum(&self.offers), sum(&self.tasks)).active(agent.is_active)
    }

    /// Notes that an offer has ended.
    pub(super) fn end_offer(&mut self, ended: &EndedOffers<'_>, position: usize) {
        let offer = self.offers.remove(position);
        for Conversion { consumed, converted, .. } in ended.conversions {
            if let Some(agent) = self.agent(&offer.agent) {
                agent.total.remove(consumed);
                agent.total.try_add(converted).expect("as much as was consumed");
            }
        }
        let task = |resources: &&Resources| Holding { resources: Resources::clone(resources), ..offer.clone() };
        self.tasks.extend(ended.tasks.iter().map(task));
        self.last_offer = Some(offer);
    }

    /// Adds an offer, or returns why it must not be made.
    pub(super) fn offer(&mut self, offer: &Holding, only: Option<&AgentId>) -> Result<(), String> {
        let told = || format!("{} of {} to {} under {}", offer.resources, offer.agent, offer.framework, offer.role);
        let wrong = |why: &str| Err(format!("it offers {}, {why}", told()));
        if only.is_some_and(|only| *only != offer.agent) {
            return wrong("and was asked to allocate another agent");
        }
        let Some(agent) = self.agents.iter().find(|agent| agent.agent.id == offer.agent) else {
            return wrong("which is not there");
        };
        if !agent.is_active {
            return wrong("which is not active");
        }
        let of = self.frameworks.iter().find(|framework| framework.framework.id == offer.framework);
        let Some(framework) = of else { return wrong("which is not there") };
        if !framework.is_active {
            return wrong("which is not active");
        }
        if !framework.framework.roles.contains(&offer.role) {
            return wrong("a role that it does not have");
        }
        if framework.suppressed.contains(&offer.role) {
            return wrong("which it has suppressed");
        }
        if offer.resources.is_empty() {
            return wrong("which is nothing");
        }
        let available = self.account(agent).available;
        if let Some(shortfall) = available.shortfall(&offer.resources) {
            return wrong(&format!("of which {available} is available: {shortfall}"));
        }
        if offer.resources.for_role(&offer.role) != offer.resources {
            return wrong("some of which is reserved to another role");
        }
        let refuses = |(refused, until): &&(Holding, Time)| {
            (&refused.framework, &refused.role, &refused.agent) == (&offer.framework, &offer.role, &offer.agent)
                && *until > self.now
                && refused.resources.contains(&offer.resources)
        };
        if let Some((refused, until)) = self.refusals.iter().find(refuses) {
            return wrong(&format!("which has refused {} until {until}, and it is {}", refused.resources, self.now));
        }
        self.offers.push(offer.clone());
        if cpus(&offer.resources).is_zero() {
            return Ok(());
        }
        let limited = self.limits.iter().filter(|(role, _)| is_within(&offer.role, role));
        for (role, limit) in limited {
            let held = self.offers.iter().chain(&self.tasks).filter(|held| is_within(&held.role, role));
            let held = held.map(|held| cpus(&held.resources)).fold(Scalar::ZERO, |sum, cpus| sum + cpus);
            if held > *limit {
                return wrong(&format!("with which {role} has {held} cpus, and its limit is {limit}"));
            }
        }
        Ok(())
    }
}

/// Returns the cpus that are reserved to nobody.
fn cpus(resources: &Resources) -> Scalar {
    resources.unreserved().amount("cpus")
}

/// Returns whether a role is another one or below it.
fn is_within(role: &Role, ancestor: &Role) -> bool {
    role == ancestor || role.ancestors().any(|above| above == *ancestor)
}
