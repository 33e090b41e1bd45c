//! [`TopologyDomains`]: the values of a field that a `MAX_SKEW` compares, maintained incrementally.

use super::index::OfferIx;
use super::pairing::Pairing;
use super::plan_state::PlanState;
use super::query::Query;
use super::table::Column;
use crate::constraint::{Constraint, Field, Scope};
use crate::text::Text;
use std::sync::Arc;

/// A reference count for each value of a field: of the offers that have it and meet the non-counting clauses of an app.
/// A value is a domain as long as its count is above 0.
#[derive(Debug)]
pub(super) struct TopologyDomains<'a> {
    query: &'a Query<'a>,
    field: &'a Field,
    column: Arc<Column>,
    /// By offer, true if it meets the clauses.
    eligible: Vec<bool>,
    /// By value, how many eligible offers have it.
    counts: Vec<u32>,
    /// Which launches may make another offer eligible, or one no more.
    reach: Scope,
}

impl<'a> TopologyDomains<'a> {
    /// Finds the domains of a field, and sets them in the placed tasks.
    pub(super) fn set(query: &'a Query<'a>, field: &'a Field, state: &mut PlanState<'_>) -> Self {
        let column = state.printed_column(field);
        let mut domains = Self {
            query,
            field,
            eligible: vec![false; state.offer_count()],
            counts: vec![0; column.firsts().len()],
            column,
            reach: query.non_counting.iter().map(|clause| clause.scope()).max().unwrap_or(Scope::Location),
        };
        state.placed.set_domains(&query.app.id, field, []);
        (0..state.offer_count()).map(OfferIx::new).for_each(|offer| domains.refresh(offer, state));
        domains
    }

    /// Updates the domains after a launch in an offer.
    pub(super) fn task_launched(&mut self, offer: OfferIx, state: &mut PlanState<'_>) {
        match self.reach {
            Scope::Location => {}
            Scope::Host => {
                for other in state.same_host(offer).to_vec() {
                    self.refresh(other, state);
                }
            }
            Scope::Cluster => {
                (0..state.offer_count()).map(OfferIx::new).for_each(|offer| self.refresh(offer, state));
            }
        }
    }

    fn refresh(&mut self, offer: OfferIx, state: &mut PlanState<'_>) {
        let pairing = Pairing::new(self.query, state, offer);
        let is_eligible = self.query.non_counting.iter().all(|clause| pairing.holds(clause));
        if std::mem::replace(&mut self.eligible[offer.index()], is_eligible) == is_eligible {
            return;
        }
        let count = &mut self.counts[self.column.value(offer).index()];
        *count = if is_eligible { *count + 1 } else { *count - 1 };
        let comes_or_goes = *count == u32::from(is_eligible);
        let value = state.slot(offer).location.value(self.field).map(Text::from);
        if let Some(value) = value.filter(|_| comes_or_goes) {
            state.placed.update_domain(&self.query.app.id, self.field, &value, is_eligible);
        }
    }
}
