//! [`HostScores`]: a cache of the scores that depend on hosts.

use super::index::{OfferIx, StateIx};
use super::pairing::Pairing;
use super::plan_state::PlanState;
use super::query::Query;
use super::score::{HostScore, quantize};
use super::terms::TermGroup;
use crate::placement::model::fitness::Fitness;
use indexmap::IndexMap;

/// By offer state, its score; none if a task does not fit.
pub(super) type ScoresByState = IndexMap<StateIx, Option<HostScore>, foldhash::fast::FixedState>;

/// Scores by offer state: all offers in one state are scored once.
#[derive(Debug)]
pub(super) struct HostScores<'a> {
    query: &'a Query<'a>,
    of_state: TermGroup<'a>,
    of_host: TermGroup<'a>,
    /// Fitness is part of the scores; otherwise only fit and weights are.
    has_fitness: bool,
    by_state: ScoresByState,
    last: Option<(StateIx, Option<HostScore>)>,
}

impl<'a> HostScores<'a> {
    pub(super) fn new(
        query: &'a Query<'a>,
        of_state: TermGroup<'a>,
        of_host: TermGroup<'a>,
        has_fitness: bool,
    ) -> Self {
        Self { query, of_state, of_host, has_fitness, by_state: IndexMap::default(), last: None }
    }

    /// Starts from scores that were computed before.
    pub(super) fn adopt(&mut self, by_state: ScoresByState) {
        (self.by_state, self.last) = (by_state, None);
    }

    /// Returns the scores that were computed.
    pub(super) fn into_scores(self) -> ScoresByState {
        self.by_state
    }

    /// Returns the host's part of an offer's score; none if a task does not fit.
    pub(super) fn get(&mut self, state: &PlanState<'_>, offer: OfferIx) -> Option<HostScore> {
        let pairing = Pairing::new(self.query, state, offer);
        if pairing.slot().is_gone {
            return None;
        }
        let of_state = self.of_state(pairing)?;
        let more = if self.of_host.is_empty() { 0.0 } else { self.of_host.weight(pairing)? };
        Some(HostScore { weight: quantize(of_state.weight + more), ..of_state })
    }

    fn of_state(&mut self, pairing: Pairing<'_>) -> Option<HostScore> {
        let state = pairing.slot().state;
        let score = match self.last {
            Some((last, score)) if last == state => score,
            _ => match self.by_state.get(&state) {
                Some(score) => *score,
                None => {
                    let score = self.compute(pairing);
                    self.by_state.insert(state, score);
                    score
                }
            },
        };
        self.last = Some((state, score));
        score
    }

    fn compute(&self, pairing: Pairing<'_>) -> Option<HostScore> {
        if !pairing.fits() {
            return None;
        }
        let weight = self.of_state.weight(pairing)?;
        if !self.has_fitness {
            return Some(HostScore { weight, ..HostScore::default() });
        }
        Some(with_fitness(weight, pairing))
    }
}

/// Returns the host's part of an offer's score: a weight, the fitness of the offer, and its tie break.
#[inline]
pub(super) fn with_fitness(weight: f64, pairing: Pairing<'_>) -> HostScore {
    let (strategy, prospect) = (pairing.query.strategy, pairing.prospect());
    let (fitness, tie_break) = (quantize(strategy.score(&prospect)), quantize(strategy.tie_break(&prospect)));
    HostScore { weight, fitness, tie_break }
}
