//! Refusals: what frameworks do not want to be offered for a while.

use super::{Held, Reference};
use apportion::{Filters, Time};

/// One declined offer, or what an accept left of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) held: Held,
    /// It still holds in a batch at this very moment.
    pub(crate) until: Time,
}

impl Reference {
    pub(super) fn refuse(&mut self, held: Held, filters: Filters) {
        if !filters.refuse.is_zero() && !held.resources.is_empty() {
            let until = self.now + filters.refuse.max(self.config.allocation_interval);
            self.refusals.push(Refusal { held, until });
        }
    }

    /// Whether one refusal by itself contains the offer; two halves do not refuse the whole.
    pub(super) fn is_refused(&self, offer: &Held) -> bool {
        self.refusals.iter().any(|refusal| {
            let to = &refusal.held;
            (&to.framework, &to.role, &to.agent) == (&offer.framework, &offer.role, &offer.agent)
                && to.resources.contains(&offer.resources)
        })
    }
}
