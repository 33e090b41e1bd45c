//! [`Terms`]: the clauses, preferences and spreads of an app, sorted by what their results depend on.

use super::index::{OfferIx, ValueIx};
use super::pairing::Pairing;
use super::plan_state::PlanState;
use super::query::{Query, WeightedSpread};
use super::score::ValueScore;
use super::table::Column;
use crate::constraint::{Clause, Condition, Field, Operator, Preference};
use crate::placement::model::spread::Spread;
use crate::text::Text;
use indexmap::IndexSet;
use smallvec::SmallVec;
use std::sync::Arc;

/// The terms of an app by what they depend on.
#[derive(Debug, Default)]
pub(super) struct Terms<'a> {
    /// Terms of the values of the location: a result holds for all offers with these values, throughout.
    pub(super) of_location: TermGroup<'a>,
    /// Terms of the state of the offer.
    pub(super) of_state: TermGroup<'a>,
    /// Terms of the offer itself: a result holds until something changes on its host.
    pub(super) of_host: TermGroup<'a>,
    /// Terms that may depend on anything: no result can be kept.
    pub(super) of_anything: TermGroup<'a>,
    /// Terms of the counts of tasks by value: a result holds for all offers with these values, until a count changes.
    pub(super) of_counts: Vec<CountTerm<'a>>,
}

/// The clauses and preferences that depend on the same.
#[derive(Debug, Default)]
pub(super) struct TermGroup<'a> {
    pub(super) clauses: Vec<&'a Clause>,
    pub(super) preferences: Vec<&'a Preference>,
}

/// A term that depends on how many tasks have which values, with its result for each value.
#[derive(Debug)]
pub(super) struct CountTerm<'a> {
    query: &'a Query<'a>,
    kind: TermKind<'a>,
    /// The values of the term's field, or of all its fields, over the offers.
    column: Arc<Column>,
    /// By value, the result: a score, or none if the value is not allowed.
    results: Vec<Option<ValueScore>>,
    /// A digest of the other inputs of the results, as of their computation.
    fingerprint: Fingerprint,
    /// One more task with a value changes the result of that value alone, as long as the fingerprint stays the same.
    is_local: bool,
}

#[derive(Debug)]
enum TermKind<'a> {
    Clause(&'a Clause),
    Preference(&'a Preference),
    Spread {
        spread: &'a Spread,
        share: f64,
        /// How many values of the field tasks and offers have.
        known_values: usize,
    },
    GroupBy(&'a Field),
}

type Fingerprint = SmallVec<[u64; 2]>;

impl<'a> Terms<'a> {
    pub(super) fn new(query: &'a Query<'a>, state: &mut PlanState<'_>) -> Self {
        let mut terms = Self::default();
        for clause in &query.app.require {
            match terms.group_of(clause) {
                Some(group) => group.clauses.push(clause),
                None => terms.of_counts.push(CountTerm::of_clause(TermKind::Clause(clause), clause, query, state)),
            }
        }
        for preference in &query.app.prefer {
            let (kind, clause) = (TermKind::Preference(preference), &preference.clause);
            match terms.group_of(clause) {
                Some(group) => group.preferences.push(preference),
                None => terms.of_counts.push(CountTerm::of_clause(kind, clause, query, state)),
            }
        }
        for WeightedSpread { spread, share } in query.spreads.iter().copied() {
            let known_values = known_values(query, &spread.field, state);
            let kind = TermKind::Spread { spread, share, known_values };
            terms.of_counts.push(CountTerm::of_field(kind, &spread.field, query, state));
        }
        for field in &query.group_by {
            terms.of_counts.push(CountTerm::of_field(TermKind::GroupBy(field), field, query, state));
        }
        terms
    }

    /// Returns the group of a clause; none = it is a term of counts, and of nothing but the location besides.
    fn group_of(&mut self, clause: &Clause) -> Option<&mut TermGroup<'a>> {
        let dependencies = clause.dependencies();
        let of_host = dependencies.host_task_fields || dependencies.host_other || dependencies.location_other;
        if dependencies.cluster || (dependencies.tallies && of_host) {
            Some(&mut self.of_anything)
        } else if dependencies.tallies {
            None
        } else if !of_host {
            Some(&mut self.of_location)
        } else if dependencies.host_task_fields
            && !dependencies.host_other
            && !dependencies.location_other
            && !dependencies.location_fields
        {
            Some(&mut self.of_state)
        } else {
            Some(&mut self.of_host)
        }
    }
}

/// Returns how many values of a field the app's tasks and the offers have.
fn known_values(query: &Query<'_>, field: &Field, state: &mut PlanState<'_>) -> usize {
    let column = state.printed_column(field);
    let tally = state.placed.tally(&query.app.id, field);
    let of_tasks = tally.iter().filter_map(|(value, _)| value.cloned());
    let of_offers = column.firsts().iter().filter_map(|first| state.slot(*first).location.value(field));
    of_tasks.chain(of_offers.map(Text::from)).collect::<IndexSet<_>>().len()
}

impl TermGroup<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.clauses.is_empty() && self.preferences.is_empty()
    }

    /// Returns the sum of the weights of the preferences that hold; none if a clause does not.
    pub(super) fn weight(&self, pairing: Pairing<'_>) -> Option<f64> {
        if !self.clauses.iter().all(|clause| pairing.holds(clause)) {
            return None;
        }
        let met = self.preferences.iter().filter(|preference| pairing.holds(&preference.clause));
        Some(met.fold(0.0, |sum, preference| sum + preference.weight.value()))
    }

    /// Returns the fields of each term.
    pub(super) fn fields(&self) -> impl Iterator<Item = Vec<&Field>> {
        let preferred = self.preferences.iter().map(|preference| &preference.clause);
        self.clauses.iter().copied().chain(preferred).map(fields)
    }
}

/// Returns the fields of a clause, each once.
fn fields(clause: &Clause) -> Vec<&Field> {
    let mut fields = Vec::new();
    clause.conditions(&mut |condition| fields.push(&condition.field));
    fields.sort_unstable();
    fields.dedup();
    fields
}

impl<'a> CountTerm<'a> {
    fn of_clause(kind: TermKind<'a>, clause: &Clause, query: &'a Query<'a>, state: &mut PlanState<'_>) -> Self {
        let fields = fields(clause);
        let mut counts_only = true;
        clause.conditions(&mut |condition| counts_only &= !condition.is_static());
        match fields.as_slice() {
            [field] if counts_only => Self::of_field(kind, field, query, state),
            fields => {
                let column = state.exact_column(fields);
                Self::new(kind, column, false, query, state)
            }
        }
    }

    fn of_field(kind: TermKind<'a>, field: &Field, query: &'a Query<'a>, state: &mut PlanState<'_>) -> Self {
        let column = state.printed_column(field);
        Self::new(kind, column, true, query, state)
    }

    fn new(
        kind: TermKind<'a>,
        column: Arc<Column>,
        is_local: bool,
        query: &'a Query<'a>,
        state: &PlanState<'_>,
    ) -> Self {
        let mut term = Self { query, kind, results: Vec::new(), column, fingerprint: Fingerprint::new(), is_local };
        term.results = term.column.distinct().map(|value| term.compute(value, state)).collect();
        term.fingerprint = term.fingerprint(state);
        term
    }

    pub(super) fn column(&self) -> &Arc<Column> {
        &self.column
    }

    /// Returns the score of a value; none if it is not allowed.
    pub(super) fn result(&self, value: ValueIx) -> Option<ValueScore> {
        self.results[value.index()]
    }

    /// Computes anew what a launch in an offer may have changed, and passes on each value with another result.
    pub(super) fn task_launched(&mut self, offer: OfferIx, state: &PlanState<'_>, changed: &mut dyn FnMut(ValueIx)) {
        let fingerprint = self.fingerprint(state);
        let all = !self.is_local || fingerprint != self.fingerprint || self.is_unnamed_target(offer, state);
        self.fingerprint = fingerprint;
        if all {
            self.column.distinct().for_each(|value| self.recompute(value, state, changed));
        } else {
            self.recompute(self.column.value(offer), state, changed);
        }
    }

    fn recompute(&mut self, value: ValueIx, state: &PlanState<'_>, changed: &mut dyn FnMut(ValueIx)) {
        let result = self.compute(value, state);
        if std::mem::replace(&mut self.results[value.index()], result) != result {
            changed(value);
        }
    }

    /// Returns true if an offer's value is not among the targets of a spread; such values are counted together.
    fn is_unnamed_target(&self, offer: OfferIx, state: &PlanState<'_>) -> bool {
        let TermKind::Spread { spread: Spread { field, targets: Some(targets), .. }, .. } = &self.kind else {
            return false;
        };
        state.slot(offer).location.value(field).is_some_and(|value| !targets.contains_key(value.as_ref()))
    }

    fn compute(&self, value: ValueIx, state: &PlanState<'_>) -> Option<ValueScore> {
        let pairing = Pairing::new(self.query, state, self.column.first(value));
        let (location, app) = (&pairing.slot().location, self.query.app);
        let zero = ValueScore::default();
        match &self.kind {
            TermKind::Clause(clause) => pairing.holds(clause).then_some(zero),
            TermKind::Preference(preference) => {
                let weight = if pairing.holds(&preference.clause) { preference.weight.value() } else { 0.0 };
                Some(ValueScore { weight, ..zero })
            }
            TermKind::Spread { spread, share, known_values } => {
                let (tally, value) = (state.placed.tally(&app.id, &spread.field), location.value(&spread.field));
                let score = spread.score(value.as_deref(), app.instances, &tally, *known_values);
                Some(ValueScore { spread: share * score, ..zero })
            }
            TermKind::GroupBy(field) => {
                let count = location.value(field).map_or(0, |value| state.placed.tally(&app.id, field).count(&value));
                let grouping = -f64::from(u32::try_from(count).unwrap_or(u32::MAX));
                Some(ValueScore { grouping, ..zero })
            }
        }
    }

    /// Returns a digest of the inputs of the results other than the count of the value itself.
    fn fingerprint(&self, state: &PlanState<'_>) -> Fingerprint {
        let mut fingerprint = Fingerprint::new();
        let clause = match &self.kind {
            TermKind::Clause(clause) => clause,
            TermKind::Preference(preference) => &preference.clause,
            TermKind::Spread { .. } | TermKind::GroupBy(_) => return fingerprint,
        };
        clause.conditions(&mut |condition| fingerprint.push(fingerprint_of(condition, self.query, state)));
        fingerprint
    }
}

/// Returns the part of a condition's verdict that all tasks of the app decide, whatever value a task has.
fn fingerprint_of(condition: &Condition, query: &Query<'_>, state: &PlanState<'_>) -> u64 {
    let (app, field) = (query.app, &condition.field);
    if let Operator::GroupBy(Some(groups)) = &condition.operator {
        let tally = state.placed.tally(&app.id, field);
        let may_exceed = tally.excess_over(app.instances / *groups) < app.instances % *groups;
        u64::from(tally.groups() < groups.get()) + 2 * u64::from(may_exceed)
    } else if matches!(condition.operator, Operator::GroupBy(None)) {
        state.placed.tally(&app.id, field).fewest().unwrap_or(0)
    } else if matches!(condition.operator, Operator::MaxSkew(_)) {
        state.placed.fewest(&app.id, field).map_or(0, |fewest| fewest + 1)
    } else {
        u64::from(matches!(condition.operator, Operator::Cluster(None)) && state.placed.count(&app.id) > 0)
    }
}
