//! [`Selector`]: the best offer for one more instance, maintained incrementally.
//!
//! Offers that agree in all values that the app's terms look at are of one class, and scores of values are computed
//! once for the class, until a launch changes them. Within a class the offers are ranked by the scores of their hosts;
//! or, if none depends on hosts, they are tried as listed. So one more instance costs a comparison of the heads of all
//! classes. Only a constraint or fitness that may depend on anything makes each instance scan all offers.

use super::candidates::{Candidates, Shape};
use super::class::{Head, Rank};
use super::classes::Classes;
use super::heads::{ClassBest, Heads};
use super::host_scores::{HostScores, with_fitness};
use super::index::{ClassIx, OfferIx};
use super::pairing::Pairing;
use super::plan_state::PlanState;
use super::query::Query;
use super::score::{HostScore, Score, TOLERANCE};
use super::terms::{TermGroup, Terms};
use crate::placement::model::fitness::Fitness;
use crate::placement::model::strategy::Strategy;

/// The candidates of an app and their scores, kept from one instance to the next.
#[derive(Debug)]
pub(super) struct Selector<'a> {
    query: &'a Query<'a>,
    /// The sum of the weights of all preferences, without sign.
    total_weight: f64,
    /// Suitable offers of one class differ in their hosts.
    is_ranked: bool,
    /// No result can be kept: each instance scans all offers.
    scans: bool,
    /// The terms that only a scan can ask.
    of_anything: TermGroup<'a>,
    host_scores: HostScores<'a>,
    classes: Classes<'a>,
    heads: Heads,
    /// The dirty set: classes whose best offer has to be looked for again, and whose values are allowed.
    stale: Vec<ClassIx>,
    /// By offer, the result of its fit checks.
    fits: Vec<Fit>,
    /// By offer that fits, its rank, if offers are ranked.
    ranks: Vec<Rank>,
    /// What the candidates are kept under, if they are of use to other apps.
    shape: Option<Shape>,
}

/// The result of the fit checks of an offer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fit {
    Unknown,
    No,
    Yes,
}

impl<'a> Selector<'a> {
    pub(super) fn new(query: &'a Query<'a>, state: &mut PlanState<'_>) -> Self {
        let Terms { of_location, of_state, of_host, of_anything, of_counts } = Terms::new(query, state);
        let prefers_hosts = !of_state.preferences.is_empty() || !of_host.preferences.is_empty();
        let scans = !of_anything.is_empty() || !query.strategy.depends_on_load_only();
        let is_ranked = !scans && (prefers_hosts || !matches!(query.strategy, Strategy::First));
        let classes = Classes::new(&of_location, of_counts, !is_ranked, query, state);
        let mut selector = Self {
            query,
            total_weight: query.app.prefer.iter().map(|preference| preference.weight.value().abs()).sum(),
            is_ranked,
            scans,
            of_anything,
            host_scores: HostScores::new(query, of_state, of_host, is_ranked),
            heads: Heads::new(classes.len()),
            stale: Vec::new(),
            fits: Vec::new(),
            ranks: Vec::new(),
            shape: None,
            classes,
        };
        // Candidates that are kept lack no offer because of what another app's tasks hold.
        if !state.placed.has_exclusive_holder() {
            if let Some((shape, candidates, changed)) = state.candidates.take(query) {
                selector.adopt(candidates, &changed, state);
                selector.shape = Some(shape);
                return selector;
            }
            selector.shape = Shape::of(query);
        }
        selector.fits = vec![Fit::Unknown; state.offer_count()];
        for class in selector.classes.all() {
            selector.classes.total(class);
            selector.set_stale(class);
        }
        if is_ranked {
            selector.ranks = vec![Rank::default(); state.offer_count()];
            for offer in state.offers() {
                if let Some(class) = selector.classes.of(offer) {
                    selector.rank(offer, class, state);
                }
            }
        }
        selector
    }

    /// Starts from the candidates of an app of the same shape; the changed offers have to be looked at again.
    fn adopt(&mut self, candidates: Candidates, changed: &[OfferIx], state: &PlanState<'_>) {
        let class = ClassIx::new(0);
        let known = candidates.fits.len();
        (self.fits, self.ranks) = (candidates.fits, candidates.ranks);
        self.host_scores.adopt(candidates.scores);
        self.classes[class] = candidates.class;
        self.classes[class].is_queued = false;
        self.classes.total(class);
        self.fits.resize(state.offer_count(), Fit::Unknown);
        if self.is_ranked {
            self.ranks.resize(state.offer_count(), Rank::default());
            let new = state.offers().skip_while(|offer| offer.index() < known);
            new.for_each(|offer| self.rank(offer, class, state));
        }
        let is_known = |offer: &&OfferIx| offer.index() < known;
        changed.iter().filter(is_known).for_each(|offer| self.refresh_candidate(*offer, state));
        self.set_stale(class);
    }

    /// Keeps the candidates for the next app of the same shape.
    pub(super) fn keep(mut self, state: &mut PlanState<'_>) {
        let Some(shape) = self.shape else { return };
        let class = std::mem::take(&mut self.classes[ClassIx::new(0)]);
        let scores = self.host_scores.into_scores();
        state.candidates.put(shape, Candidates::new(class, self.fits, self.ranks, scores));
    }

    /// Returns the best offer for one more instance.
    pub(super) fn select(&mut self, state: &PlanState<'_>) -> Option<OfferIx> {
        let has_holders = state.placed.has_exclusive_holder();
        loop {
            let offer = if self.scans { self.scan(state) } else { self.best_head(state) }?;
            if !has_holders || state.exclusive_holder(offer, self.query.app).is_none() {
                return Some(offer);
            }
            self.remove_candidate(offer);
        }
    }

    /// Updates candidates and scores after a launch in an offer.
    pub(super) fn task_launched(&mut self, offer: OfferIx, state: &PlanState<'_>) {
        for other in state.same_host(offer) {
            self.refresh_candidate(*other, state);
        }
        let (heads, stale, total_weight) = (&mut self.heads, &mut self.stale, self.total_weight);
        self.classes.task_launched(offer, state, |classes, class| {
            rescore(heads, classes, class, total_weight);
            queue(stale, classes, class);
        });
    }

    /// Returns the best of the heads of all classes.
    fn best_head(&mut self, state: &PlanState<'_>) -> Option<OfferIx> {
        for class in std::mem::take(&mut self.stale) {
            self.classes[class].is_queued = false;
            // A class whose values are not allowed stays stale until they are.
            if self.classes[class].is_stale && self.classes[class].score.is_some() {
                self.find_head(class, state);
            }
        }
        let best = self.heads.best()?;
        if (self.is_ranked || self.classes.len() > 1) && best.is_close {
            return self.scan(state);
        }
        Some(best.offer)
    }

    fn set_stale(&mut self, class: ClassIx) {
        self.classes[class].is_stale = true;
        queue(&mut self.stale, &mut self.classes, class);
    }

    /// Looks for the best offer of a class.
    fn find_head(&mut self, class: ClassIx, state: &PlanState<'_>) {
        self.classes[class].is_stale = false;
        self.classes[class].head = if self.is_ranked {
            self.classes[class].best()
        } else {
            let first = self.first_that_fits(class, state);
            first.map(|offer| Head { offer, score: HostScore::default(), is_close: false })
        };
        rescore(&mut self.heads, &self.classes, class, self.total_weight);
    }

    fn first_that_fits(&mut self, class: ClassIx, state: &PlanState<'_>) -> Option<OfferIx> {
        loop {
            let offer = self.classes.at_cursor(class, state.offer_count())?;
            let fit = &mut self.fits[offer.index()];
            if *fit == Fit::Unknown {
                *fit = if self.host_scores.get(state, offer).is_some() { Fit::Yes } else { Fit::No };
            }
            if *fit == Fit::Yes {
                return Some(offer);
            }
            self.classes[class].cursor += 1;
        }
    }

    /// Adds an offer to the queue of its class, if it fits.
    fn rank(&mut self, offer: OfferIx, class: ClassIx, state: &PlanState<'_>) {
        self.fits[offer.index()] = Fit::No;
        if let Some(score) = self.host_scores.get(state, offer) {
            let rank = Rank::from(score);
            self.fits[offer.index()] = Fit::Yes;
            self.ranks[offer.index()] = rank;
            self.classes[class].insert(offer, rank);
        }
    }

    /// Removes an offer from the candidates of its class.
    fn remove_candidate(&mut self, offer: OfferIx) {
        let Some(class) = self.classes.of(offer) else { return };
        let fit = std::mem::replace(&mut self.fits[offer.index()], Fit::No);
        if fit == Fit::Yes && self.is_ranked {
            self.classes[class].remove(offer, self.ranks[offer.index()]);
        }
        self.set_stale(class);
    }

    /// Removes an offer on whose host something has changed, and adds it again if it still fits.
    fn refresh_candidate(&mut self, offer: OfferIx, state: &PlanState<'_>) {
        let Some(class) = self.classes.of(offer) else { return };
        self.remove_candidate(offer);
        if self.is_ranked {
            self.rank(offer, class, state);
        } else {
            self.fits[offer.index()] = Fit::Unknown;
            self.classes.rewind(class, offer);
        }
    }

    /// Scans all offers: keeps those with the best score of one level after another, within the tolerance.
    fn scan(&mut self, state: &PlanState<'_>) -> Option<OfferIx> {
        let mut candidates: Vec<([f64; 5], OfferIx)> = Vec::new();
        for offer in state.offers() {
            let Some(score) = self.score(offer, state) else { continue };
            if !self.query.has_preferences() && self.query.strategy.is_good_enough(score.fitness) {
                return Some(offer);
            }
            candidates.push((score.levels(), offer));
        }
        for level in 0..5 {
            let best = candidates.iter().map(|(score, _)| score[level]).fold(f64::NEG_INFINITY, f64::max);
            // Two infinities of one sign are equal, though their difference is no number.
            candidates.retain(|(score, _)| score[level] > best - TOLERANCE || score[level].to_bits() == best.to_bits());
        }
        candidates.first().map(|(_, offer)| *offer)
    }

    /// Returns the score of an offer; none if no task may be launched in it.
    fn score(&mut self, offer: OfferIx, state: &PlanState<'_>) -> Option<Score> {
        let of_values = self.classes[self.classes.of(offer)?].score?;
        if self.is_ranked && self.fits[offer.index()] == Fit::No {
            return None;
        }
        let mut of_host = self.host_scores.get(state, offer)?;
        let pairing = Pairing::new(self.query, state, offer);
        if !self.of_anything.is_empty() {
            of_host.weight += self.of_anything.weight(pairing)?;
        }
        if state.placed.has_exclusive_holder() && state.exclusive_holder(offer, self.query.app).is_some() {
            return None;
        }
        if self.scans {
            of_host = with_fitness(of_host.weight, pairing);
        }
        Some(Score::new(of_values, of_host, self.total_weight))
    }
}

/// Queues a class whose head has to be looked for, if its values are allowed.
#[inline]
fn queue(stale: &mut Vec<ClassIx>, classes: &mut Classes<'_>, class: ClassIx) {
    let one = &mut classes[class];
    if one.is_stale && one.score.is_some() && !std::mem::replace(&mut one.is_queued, true) {
        stale.push(class);
    }
}

/// Computes the score of the best offer of a class anew.
#[inline]
fn rescore(heads: &mut Heads, classes: &Classes<'_>, class: ClassIx, total_weight: f64) {
    let head = classes[class].head.zip(classes[class].score);
    let best = head.map(|(head, of_values)| ClassBest {
        offer: head.offer,
        score: Score::new(of_values, head.score, total_weight),
        is_close: head.is_close,
    });
    heads.set(class, best);
}
