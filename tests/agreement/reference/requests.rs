//! Requests of suppressed roles, and how many offers a framework may have: who may be made another one.

use super::quota::{Amounts, chop, is_under_quota, of_quantities};
use super::{KnownFramework, Reference, Refused};
use apportion::{AgentId, FrameworkId, Quantities, Request, Resources, Role, Scalar};
use std::collections::BTreeMap;

/// What a framework asked for under a role.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) offers: u64,
    each: Option<Quantities>,
    pub(crate) most: BTreeMap<String, Scalar>,
    pub(crate) agents: Vec<AgentId>,
    /// The numbers of the offers that were made for it.
    pub(crate) made: Vec<u64>,
    /// Those of them that were used.
    pub(crate) used: Vec<u64>,
}

impl Reference {
    pub(super) fn request(&mut self, id: &FrameworkId, request: &Request) -> Result<(), Refused> {
        let most: BTreeMap<String, Scalar> = request.most.iter().map(|(name, most)| (name.to_owned(), most)).collect();
        let each = request.each.clone().unwrap_or_default();
        let contradicts = most.iter().any(|(name, most)| most.is_zero() || *most < each.amount(name));
        let mut roles = self.its_roles(id, &request.roles)?;
        if contradicts {
            return Err("an offer can have nothing, or not what it must have");
        }
        let known = self.frameworks.iter_mut().find(|known| known.framework.id == *id).ok_or("no such framework")?;
        if request.if_suppressed {
            roles.retain(|role| known.suppressed.contains(role));
            if roles.is_empty() {
                return Ok(());
            }
        }
        for role in roles {
            known.wanted.remove(&role);
            if request.offers > 0 {
                let (offers, each, agents) = (request.offers, request.each.clone(), request.agents.clone());
                let (most, made, used) = (most.clone(), Vec::new(), Vec::new());
                known.wanted.insert(role, Wanted { offers, each, most, agents, made, used });
            }
        }
        self.allocate(None);
        Ok(())
    }

    /// The request of a framework for a role, as far as it works: while the role is suppressed.
    pub(crate) fn working_request(&self, id: &FrameworkId, role: &Role) -> Option<&Wanted> {
        let known = self.framework(id)?;
        known.wanted.get(role).filter(|_| known.suppressed.contains(role))
    }

    /// How many offers are still to be made for a request.
    pub(crate) fn still_open(&self, wanted: &Wanted) -> u64 {
        let is_live = |number: &&u64| self.offers.iter().any(|offer| offer.number == **number);
        let live = wanted.made.iter().filter(is_live).count() as u64;
        wanted.offers.saturating_sub(live + wanted.used.len() as u64)
    }

    /// Whether a framework has as many live offers as it wants at once.
    pub(crate) fn is_full(&self, known: &KnownFramework) -> bool {
        let live = self.offers.iter().filter(|offer| offer.held.framework == known.framework.id).count() as u64;
        known.framework.max_offers.is_some_and(|most| live >= most)
    }

    /// Notes that an offer is made: for a request, if the role is suppressed.
    pub(super) fn note_made(&mut self, id: &FrameworkId, role: &Role, number: u64) {
        let known = self.frameworks.iter_mut().find(|known| known.framework.id == *id);
        let Some(known) = known.filter(|known| known.suppressed.contains(role)) else { return };
        if let Some(wanted) = known.wanted.get_mut(role) {
            wanted.made.push(number);
        }
    }

    /// Notes that offers were accepted with something that was done.
    pub(super) fn note_used(&mut self, id: &FrameworkId, role: &Role, numbers: &[u64]) {
        let known = self.frameworks.iter_mut().find(|known| known.framework.id == *id);
        if let Some(wanted) = known.and_then(|known| known.wanted.get_mut(role)) {
            let its = numbers.iter().filter(|number| wanted.made.contains(number));
            let its: Vec<u64> = its.copied().collect();
            wanted.used.extend(its);
        }
    }

    /// The sets of amounts of which an offer has to have one: those of a request, or of the framework, or the general ones.
    pub(super) fn minimums(&self, id: &FrameworkId, role: &Role) -> Vec<Quantities> {
        if let Some(each) = self.working_request(id, role).and_then(|wanted| wanted.each.clone()) {
            return vec![each];
        }
        let own = self.framework(id).and_then(|known| known.framework.offer_filters.get(role));
        own.unwrap_or(&self.config.options.min_allocatable).clone()
    }

    /// Whether offers to a framework under a role are chunks of an agent.
    pub(super) fn gets_chunks(&self, id: &FrameworkId, role: &Role) -> bool {
        let divides = self.working_request(id, role).is_some_and(|wanted| !wanted.most.is_empty());
        divides || !self.config.options.max_offer.is_empty()
    }

    /// Cuts what an offer would carry to what it may carry at most.
    pub(super) fn cut_to_chunk(&self, id: &FrameworkId, role: &Role, resources: &Resources) -> Resources {
        let most = self.most_of_an_offer(id, role);
        let firm = chop(&resources.filter(is_under_quota), &most, |name| !most.contains_key(name));
        firm.checked_add(&resources.filter(|resource| !is_under_quota(resource))).expect("parts of one agent's total")
    }

    /// The most of each name that an offer may carry. If nothing that would do fits in it, the first set that would do does.
    pub(super) fn most_of_an_offer(&self, id: &FrameworkId, role: &Role) -> Amounts {
        let amount = |(name, most): (&str, Scalar)| (name.to_owned(), u128::from(most.as_milli()));
        let mut most: Amounts = self.config.options.max_offer.iter().map(amount).collect();
        if let Some(wanted) = self.working_request(id, role) {
            for (name, own) in &wanted.most {
                let own = u128::from(own.as_milli());
                let least = most.get(name).copied().unwrap_or(own).min(own);
                most.insert(name.clone(), least);
            }
        }
        let minimums: Vec<Amounts> = self.minimums(id, role).iter().map(of_quantities).collect();
        let fits = |set: &Amounts| most.iter().all(|(name, most)| set.get(name).is_none_or(|least| least <= most));
        match minimums.first() {
            Some(first) if !minimums.iter().any(fits) => {
                most.iter_mut().for_each(|(name, most)| *most = first.get(name).copied().unwrap_or(0).max(*most));
            }
            _ => {}
        }
        most
    }
}
