//! [`Choice`]: the best offer for one more instance, without looking at everything each time.
//!
//! A launch changes the offers of its own host, and how many tasks have which values. So what
//! depends on the host alone is kept until the host changes, and what depends on values is worked
//! out once for all offers that agree in them.

use super::desk::Desk;
use super::fitness::Fitness;
use super::search::Search;
use crate::constraint::{Clause, Field, Preference, Reach};
use indexmap::IndexMap;
use smol_str::SmolStr;

/// How good an offer is, the most important score first: preferences, spreads, few tasks on the value of a
/// `GROUP_BY`, strategy and what decides between equals of it.
pub(super) type Score = [f64; 5];

/// Scores less than this apart are equal.
const CLOSE: f64 = 1e-9;

/// What is remembered from one instance of an app to the next.
#[derive(Debug)]
pub(super) struct Choice<'a> {
    /// The conditions by what has to change for their verdict to change.
    pub(super) of_host: Vec<&'a Clause>,
    of_values: Vec<&'a Clause>,
    of_anything: Vec<&'a Clause>,
    wishes_of_host: Vec<&'a Preference>,
    wishes_of_values: Vec<&'a Preference>,
    wishes_of_anything: Vec<&'a Preference>,
    /// The sum of the weights of all wishes, without their sign.
    weights: f64,
    has_an_opinion: bool,
    /// Whether everything depends on the host alone.
    is_of_host: bool,
    /// Whether its own tasks keep others away.
    keeps: bool,
    /// The offers in which no further task of the app can run.
    dead: Vec<bool>,
    /// The first offer that is not dead.
    first: usize,
    /// By offer, what its host makes of it; none = not known.
    hosts: Vec<Option<Standing>>,
    /// By offer, the class of those that agree in all values that are looked at.
    classes: Vec<usize>,
    /// By class, one of its offers.
    members: Vec<usize>,
}

/// What part of the checks and scores comes to.
#[derive(Debug, Clone, Copy)]
enum Standing {
    /// It will not do; whether that lasts.
    Barred(bool),
    /// It will do so far, and scores so.
    Scores(Score),
}

impl<'a> Choice<'a> {
    pub(super) fn new(search: &Search<'a>, desk: &Desk<'_>) -> Self {
        let app = search.app;
        let clauses = |reach: Reach| app.require.iter().filter(move |clause| clause.reach() == reach).collect();
        let wishes = |reach: Reach| app.prefer.iter().filter(move |wish| wish.clause.reach() == reach).collect();
        let mut choice = Self {
            of_host: clauses(Reach::Host),
            of_values: clauses(Reach::Values),
            of_anything: clauses(Reach::Anything),
            wishes_of_host: wishes(Reach::Host),
            wishes_of_values: wishes(Reach::Values),
            wishes_of_anything: wishes(Reach::Anything),
            weights: app.prefer.iter().map(|wish| wish.weight.value().abs()).sum(),
            has_an_opinion: search.has_an_opinion(),
            is_of_host: false,
            keeps: !app.exclusive().is_empty(),
            dead: vec![false; desk.slots.len()],
            first: 0,
            hosts: vec![None; desk.slots.len()],
            classes: Vec::with_capacity(desk.slots.len()),
            members: Vec::new(),
        };
        let fields = choice.fields(search);
        choice.classify(&fields, desk);
        choice.is_of_host = fields.is_empty()
            && choice.of_anything.is_empty()
            && choice.wishes_of_anything.is_empty()
            && !choice.keeps
            && !search.draws();
        choice
    }

    /// The fields on whose values anything but a host depends.
    fn fields(&self, search: &Search<'a>) -> Vec<&'a Field> {
        let mut fields: Vec<&Field> = search.groups.clone();
        fields.extend(search.spreads.iter().map(|(spread, ..)| &spread.field));
        let wished = self.wishes_of_values.iter().map(|wish| &wish.clause);
        for clause in self.of_values.iter().copied().chain(wished) {
            clause.conditions(&mut |condition| fields.push(&condition.field));
        }
        fields.sort_unstable();
        fields.dedup();
        fields
    }

    /// Sorts the offers into classes by the values of these fields.
    fn classify(&mut self, fields: &[&Field], desk: &Desk<'_>) {
        let mut classes: IndexMap<Vec<Option<SmolStr>>, usize, foldhash::fast::RandomState> = IndexMap::default();
        for (index, slot) in desk.slots.iter().enumerate() {
            let values = fields.iter().map(|field| slot.location.value(field).map(SmolStr::from)).collect();
            let class = classes.len();
            let class = *classes.entry(values).or_insert(class);
            if class == self.members.len() {
                self.members.push(index);
            }
            self.classes.push(class);
        }
    }

    /// Forgets what was known of the offers of a host.
    pub(super) fn forget(&mut self, offers: &[usize]) {
        for index in offers {
            self.hosts[*index] = None;
        }
    }
}

impl Desk<'_> {
    /// The best offer for one more instance.
    pub(super) fn choose(&self, search: &Search<'_>, choice: &mut Choice<'_>) -> Option<usize> {
        while choice.dead.get(choice.first) == Some(&true) {
            choice.first += 1;
        }
        let mut of_classes: Vec<Option<Standing>> = vec![None; choice.members.len()];
        let mut best: Option<(usize, Score)> = None;
        for index in choice.first..self.slots.len() {
            if choice.dead[index] {
                continue;
            }
            match self.standing(search, choice, &mut of_classes, index) {
                Standing::Barred(lasts) => choice.dead[index] = lasts,
                Standing::Scores(_) if !choice.has_an_opinion => return Some(index),
                Standing::Scores(score) => {
                    if best.as_ref().is_none_or(|(_, best)| is_better(&score, best)) {
                        best = Some((index, score));
                    }
                }
            }
        }
        best.map(|(index, _)| index)
    }

    fn standing(
        &self,
        search: &Search<'_>,
        choice: &mut Choice<'_>,
        of_classes: &mut [Option<Standing>],
        index: usize,
    ) -> Standing {
        let of_host = choice.hosts[index].unwrap_or_else(|| self.of_host(search, choice, index));
        choice.hosts[index] = Some(of_host);
        let Standing::Scores(of_host) = of_host else { return of_host };
        if choice.is_of_host {
            return Standing::Scores(of_host);
        }
        let class = choice.classes[index];
        let of_values = of_classes[class].unwrap_or_else(|| self.of_values(search, choice, choice.members[class]));
        of_classes[class] = Some(of_values);
        let Standing::Scores(of_values) = of_values else { return of_values };
        if let Some(lasts) = self.barred(search, index, &choice.of_anything) {
            return Standing::Barred(lasts);
        }
        if choice.keeps && self.kept(index).is_some() {
            return Standing::Barred(true);
        }
        let mut score = [0.0; 5];
        for (sum, (mine, shared)) in score.iter_mut().zip(of_host.iter().zip(&of_values)) {
            *sum = mine + shared;
        }
        score[0] += self.wishes(search, choice, &choice.wishes_of_anything, index);
        if search.draws() {
            let prospect = self.prospect(search, index);
            (score[3], score[4]) = (search.strategy.score(&prospect), search.strategy.tie_break(&prospect));
        }
        Standing::Scores(numbers(score))
    }

    /// All checks and scores that depend on the host alone.
    fn of_host(&self, search: &Search<'_>, choice: &Choice<'_>, index: usize) -> Standing {
        if let Some(lasts) = self.first_barrier(search, &choice.of_host, index) {
            return Standing::Barred(lasts);
        }
        if !choice.has_an_opinion {
            return Standing::Scores([0.0; 5]);
        }
        let prospect = self.prospect(search, index);
        let wishes = self.wishes(search, choice, &choice.wishes_of_host, index);
        let (fitness, tie_break) = (search.strategy.score(&prospect), search.strategy.tie_break(&prospect));
        Standing::Scores(numbers([wishes, 0.0, 0.0, fitness, tie_break]))
    }

    /// All checks and scores that depend on values that a class of offers has in common.
    fn of_values(&self, search: &Search<'_>, choice: &Choice<'_>, member: usize) -> Standing {
        if let Some(lasts) = self.barred(search, member, &choice.of_values) {
            return Standing::Barred(lasts);
        }
        let (location, app) = (&self.slots[member].location, search.app);
        let mut spread = 0.0;
        for (one, share, known) in &search.spreads {
            let (tally, value) = (self.placed.tally(&app.id, &one.field), location.value(&one.field));
            spread += share * one.score(value.as_deref(), app.instances, &tally, *known);
        }
        let mut grouped = 0.0;
        for field in &search.groups {
            if let Some(value) = location.value(field) {
                let count = self.placed.tally(&app.id, field).count(&value);
                grouped -= f64::from(u32::try_from(count).unwrap_or(u32::MAX));
            }
        }
        let wishes = self.wishes(search, choice, &choice.wishes_of_values, member);
        Standing::Scores([wishes, spread, grouped, 0.0, 0.0])
    }

    /// What wishes add to the score of all.
    fn wishes(&self, search: &Search<'_>, choice: &Choice<'_>, wishes: &[&Preference], index: usize) -> f64 {
        let met = wishes.iter().filter(|wish| self.accepts(search, index, &wish.clause));
        let met: f64 = met.map(|wish| wish.weight.value()).sum();
        if wishes.is_empty() { 0.0 } else { met / choice.weights }
    }
}

/// What is no number is worst.
fn numbers(score: Score) -> Score {
    score.map(|number| if number.is_nan() { f64::NEG_INFINITY } else { number })
}

fn is_better(score: &Score, than: &Score) -> bool {
    for (mine, theirs) in score.iter().zip(than) {
        // Two infinities of one sign are equal, though their difference is no number.
        if (mine - theirs).abs() >= CLOSE {
            return mine > theirs;
        }
    }
    false
}
