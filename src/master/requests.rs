//! Requests of offers for roles that are suppressed otherwise: which offers were made for them, and which of these were not used.

use super::offers::{LiveOffer, OfferNumber};
use super::{CommandError, Master};
use crate::allocator::{Allocator, AllocatorError, Change};
use crate::id::FrameworkId;
use crate::role::Role;
use crate::scheduler::Request;
use std::collections::BTreeMap;

/// By role, the number of offers that the master had made when the framework requested some: only later ones are made for it.
pub(super) type Requests = BTreeMap<Role, OfferNumber>;

impl<A: Allocator> Master<A> {
    pub(super) fn request(&mut self, id: &FrameworkId, mut request: Request) -> Result<(), CommandError> {
        request.check().map_err(CommandError::Request)?;
        let entry = self.framework(id)?;
        let named = std::mem::take(&mut request.roles);
        let mut roles = if named.is_empty() { entry.framework.roles.clone() } else { named };
        if let Some(unknown) = roles.iter().find(|role| !entry.framework.roles.contains(role)) {
            return Err(AllocatorError::RoleNotSubscribed { framework: id.clone(), role: unknown.clone() }.into());
        }
        if request.if_suppressed {
            roles.retain(|role| entry.suppressed.contains(role));
        }
        if roles.is_empty() {
            return Ok(());
        }
        self.allocator.apply(Change::Request { framework: id, roles: &roles, request: &request })?;
        let made = self.offers.made();
        if let Some(entry) = self.frameworks.get_mut(id) {
            if request.offers == 0 {
                entry.requests.retain(|role, _| !roles.contains(role));
            } else {
                entry.requests.extend(roles.into_iter().map(|role| (role, made)));
            }
        }
        self.make_offers(None);
        Ok(())
    }

    /// Ends all requests of a framework.
    pub(super) fn end_requests(&mut self, id: &FrameworkId) -> Result<(), CommandError> {
        let Some(entry) = self.frameworks.get_mut(id) else { return Ok(()) };
        if std::mem::take(&mut entry.requests).is_empty() {
            return Ok(());
        }
        Ok(self.allocator.apply(Change::Request { framework: id, roles: &[], request: &Request::withdraw() })?)
    }

    /// Opens the place of an offer again that was not used, if it was made for a request that still stands.
    pub(super) fn reopen(&mut self, number: OfferNumber, offer: &LiveOffer) {
        let (framework, role) = (&offer.holding.framework, &offer.holding.role);
        let stands = |since: &OfferNumber| *since < number;
        if offer.is_requested
            && let Some(entry) = self.frameworks.get(framework)
            && entry.requests.get(role).is_some_and(stands)
        {
            let reopen = Change::Reopen { framework, role, places: 1 };
            self.allocator.apply(reopen).expect("a role with a request is one that the framework has");
        }
    }
}
