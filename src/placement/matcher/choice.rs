//! [`Choice`]: the best offer for one more instance, without looking at everything each time.
//!
//! Offers that agree in all values on which something depends are of one class, and what depends on values is worked out
//! once for the class, until a task more makes a difference to it. Within a class the offers are ranked by what depends on
//! their hosts; or, where nothing does, they are tried from the first. So one more instance costs a look at the head of
//! each class. Only a constraint or fitness that may depend on anything has all offers looked at.

use super::class::{Class, Head, Rank, rank};
use super::desk::Desk;
use super::score::{CLOSE, Score, Standing, exact_order, is_close, settled};
use super::search::Search;
use super::state::StateId;
use super::table::{Column, join};
use super::term::{Group, Terms, fields};
use crate::constraint::Field;
use crate::placement::model::fitness::Fitness;
use crate::placement::model::strategy::Strategy;
use indexmap::IndexMap;
use smallvec::SmallVec;
use std::cmp::Ordering;
use std::sync::Arc;

/// The class of offers that will never do.
const NONE: u32 = u32::MAX;

/// What is remembered from one instance of an app to the next.
#[derive(Debug)]
pub(super) struct Choice<'a> {
    terms: Terms<'a>,
    /// The sum of the weights of all wishes, without their sign.
    weights: f64,
    /// Whether hosts make a difference between offers that will do.
    is_ranked: bool,
    /// Whether each offer has to be looked at each time.
    is_open: bool,
    /// By offer, its class; none = all are of one class.
    class_of: Option<Vec<u32>>,
    classes: Vec<Class>,
    /// By class and term, the number of the value.
    values: Vec<u32>,
    /// By term and value, the classes that have it.
    having: Vec<Vec<Vec<u32>>>,
    /// By class, its best offer; and the classes for which that has to be found anew.
    bests: Vec<Option<Best>>,
    stale: Vec<u32>,
    /// By offer, what is known of it, and its rank in its class if it is ranked.
    marks: Vec<Mark>,
    ranks: Vec<Rank>,
    /// By state, what it makes of an offer, and the one asked for last.
    standings: IndexMap<StateId, Standing, foldhash::fast::FixedState>,
    last: Option<(StateId, Standing)>,
}

/// What is known of an offer.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mark {
    Unknown,
    Barred,
    Fits,
}

/// The best offer of a class, as far as it matters which class is best.
#[derive(Debug, Clone, Copy)]
struct Best {
    score: Score,
    index: usize,
    is_close: bool,
}

impl<'a> Choice<'a> {
    pub(super) fn new(search: &Search<'a>, desk: &mut Desk<'_>) -> Self {
        let terms = Terms::new(search, desk);
        let of_host = [&terms.of_state, &terms.of_slot].iter().any(|group| !group.wishes.is_empty());
        let is_open = !terms.of_anything.is_empty() || !search.strategy.is_of_load();
        let mut choice = Self {
            weights: search.app.prefer.iter().map(|wish| wish.weight.value().abs()).sum(),
            is_ranked: !is_open && (of_host || !matches!(search.strategy, Strategy::First)),
            is_open,
            class_of: None,
            classes: Vec::new(),
            values: Vec::new(),
            having: Vec::new(),
            bests: Vec::new(),
            stale: Vec::new(),
            marks: vec![Mark::Unknown; desk.slots.len()],
            ranks: Vec::new(),
            standings: IndexMap::default(),
            last: None,
            terms,
        };
        choice.classify(search, desk);
        choice.bests = vec![None; choice.classes.len()];
        for class in 0..choice.classes.len() {
            choice.sum_up(class);
            choice.set_stale(class);
        }
        if choice.is_ranked {
            choice.rank_all(search, desk);
        }
        choice
    }

    /// Sorts the offers into classes.
    fn classify(&mut self, search: &Search<'_>, desk: &mut Desk<'_>) {
        let places = place_column(&self.terms.of_place, search, desk).map(Arc::new);
        let terms = self.terms.of_values.iter().map(|term| &term.column);
        let mut columns: Vec<&Arc<Column>> = Vec::new();
        for column in places.iter().chain(terms) {
            if !columns.iter().any(|known| Arc::ptr_eq(known, column)) {
                columns.push(column);
            }
        }
        let Some((first, more)) = columns.split_first() else {
            self.classes.push(Class::default());
            return;
        };
        let joined = more.iter().fold(Arc::clone(first), |joined, next| Arc::new(join(&joined, next)));
        let place = |index: usize| place_sum(&self.terms.of_place, search, desk, index);
        let sums: Vec<Option<f64>> = joined.firsts.iter().map(|first| place(*first)).collect();
        for (first, sum) in joined.firsts.iter().zip(&sums) {
            self.values.extend(self.terms.of_values.iter().map(|term| term.column.of[*first]));
            self.classes.push(Class { place: sum.unwrap_or_default(), ..Class::default() });
        }
        let count = self.terms.of_values.len();
        for (number, term) in self.terms.of_values.iter().enumerate() {
            let mut classes = vec![Vec::new(); term.column.firsts.len()];
            for (class, values) in self.values.chunks(count).enumerate() {
                classes[values[number] as usize].push(short(class));
            }
            self.having.push(classes);
        }
        let class_of = joined.of.iter().map(|class| if sums[*class as usize].is_some() { *class } else { NONE });
        let class_of: Vec<u32> = class_of.collect();
        if !self.is_ranked {
            for (index, class) in class_of.iter().enumerate().filter(|(_, class)| **class != NONE) {
                self.classes[*class as usize].offers.push(short(index));
            }
        }
        self.class_of = Some(class_of);
    }

    fn class_of(&self, index: usize) -> Option<usize> {
        let class = self.class_of.as_ref().map_or(0, |classes| classes[index]);
        (class != NONE).then_some(class as usize)
    }

    /// Adds up what the values of a class come to.
    fn sum_up(&mut self, class: usize) {
        let terms = &self.terms.of_values;
        let values = &self.values[class * terms.len()..(class + 1) * terms.len()];
        let mut sum = Some([self.classes[class].place, 0.0, 0.0]);
        for (term, value) in terms.iter().zip(values) {
            sum = match (sum, term.answer_of(*value)) {
                (Some(sum), Some(more)) => Some([sum[0] + more[0], sum[1] + more[1], sum[2] + more[2]]),
                _ => None,
            };
        }
        self.classes[class].score = sum.map(|[wishes, spread, grouped]| [wishes, settled(spread), grouped]);
        self.grade(class);
    }

    /// The best offer for one more instance.
    pub(super) fn pick(&mut self, search: &Search<'_>, desk: &Desk<'_>) -> Option<usize> {
        let keeps = desk.placed.keeps_any();
        loop {
            let index = if self.is_open { self.look_at_all(search, desk) } else { self.best_head(search, desk) }?;
            if !keeps || desk.kept(index).is_none() {
                return Some(index);
            }
            self.strike(index);
        }
    }

    /// The best of the heads of all classes.
    fn best_head(&mut self, search: &Search<'_>, desk: &Desk<'_>) -> Option<usize> {
        // A class that will not do at present is looked at once it does.
        let mut stale = std::mem::take(&mut self.stale);
        stale.retain(|class| {
            let does = self.classes[*class as usize].score.is_some();
            if does {
                self.find_head(*class as usize, search, desk);
            }
            !does
        });
        self.stale = stale;
        let mut bests = self.bests.iter().flatten();
        let mut best = bests.next()?;
        for other in bests {
            match exact_order(&other.score, &best.score) {
                Ordering::Greater => best = other,
                Ordering::Equal if other.index < best.index => best = other,
                Ordering::Equal | Ordering::Less => {}
            }
        }
        let close = |other: &Best| {
            is_close(&best.score, &other.score) || (other.is_close && exact_order(&other.score, &best.score).is_eq())
        };
        if (self.is_ranked || self.classes.len() > 1) && self.bests.iter().flatten().any(close) {
            return self.look_at_all(search, desk);
        }
        Some(best.index)
    }

    /// The best of a class has to be found anew.
    fn set_stale(&mut self, class: usize) {
        if !std::mem::replace(&mut self.classes[class].is_stale, true) {
            self.stale.push(short(class));
        }
    }

    fn score(&self, [wishes, spread, grouped]: [f64; 3], [more, fitness, tie_break]: [f64; 3]) -> Score {
        let wishes = if self.weights > 0.0 { settled((wishes + more) / self.weights) } else { 0.0 };
        [wishes, spread, grouped, fitness, tie_break]
    }

    /// Finds the best offer of a class.
    fn find_head(&mut self, class: usize, search: &Search<'_>, desk: &Desk<'_>) {
        self.classes[class].is_stale = false;
        self.classes[class].head = if self.is_ranked {
            self.classes[class].best_of_ranks()
        } else {
            self.first_that_fits(class, search, desk).map(|index| Head { standing: [0.0; 3], index, is_close: false })
        };
        self.grade(class);
    }

    /// Works out how good the best offer of a class is.
    fn grade(&mut self, class: usize) {
        let Class { head, score, .. } = &self.classes[class];
        self.bests[class] = head.zip(*score).map(|(head, score)| Best {
            score: self.score(score, head.standing),
            index: head.index,
            is_close: head.is_close,
        });
    }

    fn first_that_fits(&mut self, class: usize, search: &Search<'_>, desk: &Desk<'_>) -> Option<usize> {
        let is_all = self.class_of.is_none();
        loop {
            let at = self.classes[class].from;
            let index = if is_all {
                Some(at).filter(|at| *at < desk.slots.len())
            } else {
                self.classes[class].offers.get(at).map(|index| *index as usize)
            }?;
            if self.marks[index] == Mark::Unknown {
                let fits = self.standing(index, search, desk).is_some();
                self.marks[index] = if fits { Mark::Fits } else { Mark::Barred };
            }
            if self.marks[index] == Mark::Fits {
                return Some(index);
            }
            self.classes[class].from += 1;
        }
    }

    /// What its host makes of an offer.
    fn standing(&mut self, index: usize, search: &Search<'_>, desk: &Desk<'_>) -> Standing {
        let state = desk.slots[index].state;
        let of_state = match self.last {
            Some((last, standing)) if last == state => standing,
            _ => match self.standings.get(&state) {
                Some(standing) => *standing,
                None => {
                    let standing = self.of_state(index, search, desk);
                    self.standings.insert(state, standing);
                    standing
                }
            },
        };
        self.last = Some((state, of_state));
        let [wishes, fitness, tie_break] = of_state?;
        let more = if self.terms.of_slot.is_empty() { 0.0 } else { self.terms.of_slot.answer(desk, search, index)? };
        Some([settled(wishes + more), fitness, tie_break])
    }

    fn of_state(&self, index: usize, search: &Search<'_>, desk: &Desk<'_>) -> Standing {
        if !desk.fits(search, index) {
            return None;
        }
        let wishes = self.terms.of_state.answer(desk, search, index)?;
        if !self.is_ranked {
            return Some([wishes, 0.0, 0.0]);
        }
        let prospect = desk.prospect(search, index);
        let (fitness, tie_break) = (search.strategy.score(&prospect), search.strategy.tie_break(&prospect));
        Some([wishes, settled(fitness), settled(tie_break)])
    }

    fn rank_all(&mut self, search: &Search<'_>, desk: &Desk<'_>) {
        self.ranks = vec![Rank::default(); desk.slots.len()];
        for index in 0..desk.slots.len() {
            if let Some(class) = self.class_of(index) {
                self.enrank(index, class, search, desk);
            }
        }
    }

    /// Ranks an offer in its class, if it will do.
    fn enrank(&mut self, index: usize, class: usize, search: &Search<'_>, desk: &Desk<'_>) {
        self.marks[index] = Mark::Barred;
        if let Some(standing) = self.standing(index, search, desk) {
            self.marks[index] = Mark::Fits;
            self.ranks[index] = standing.map(rank);
            self.classes[class].add(short(index), self.ranks[index]);
        }
    }

    /// Takes an offer out of its class, if it is one that will do.
    fn strike(&mut self, index: usize) {
        let Some(class) = self.class_of(index) else { return };
        if std::mem::replace(&mut self.marks[index], Mark::Barred) == Mark::Fits && self.is_ranked {
            self.classes[class].remove(short(index), self.ranks[index]);
        }
        self.set_stale(class);
    }

    /// Takes in that a task was launched in that offer.
    pub(super) fn refresh(&mut self, index: usize, search: &Search<'_>, desk: &Desk<'_>) {
        for other in desk.beside(index) {
            self.forget(*other, search, desk);
        }
        let mut changed: SmallVec<[u32; 8]> = SmallVec::new();
        for number in 0..self.terms.of_values.len() {
            self.terms.of_values[number].refresh(index, search, desk, &mut |value| changed.push(value));
            for value in changed.drain(..) {
                for at in 0..self.having[number][value as usize].len() {
                    self.sum_up(self.having[number][value as usize][at] as usize);
                }
            }
        }
    }

    /// Something has changed on the host of an offer.
    fn forget(&mut self, index: usize, search: &Search<'_>, desk: &Desk<'_>) {
        let Some(number) = self.class_of(index) else { return };
        self.strike(index);
        if self.is_ranked {
            self.enrank(index, number, search, desk);
            return;
        }
        self.marks[index] = Mark::Unknown;
        let class = &mut self.classes[number];
        let at = if self.class_of.is_none() { index } else { class.offers.partition_point(|one| *one < short(index)) };
        class.from = class.from.min(at);
    }

    /// Looks at every offer: the best by one score after another, where those that are close are equal.
    fn look_at_all(&mut self, search: &Search<'_>, desk: &Desk<'_>) -> Option<usize> {
        let mut left: Vec<(Score, usize)> = Vec::new();
        for index in 0..desk.slots.len() {
            let Some(score) = self.look_at(index, search, desk) else { continue };
            if !search.prefers_some() && search.strategy.is_good_enough(score[3]) {
                return Some(index);
            }
            left.push((score, index));
        }
        for level in 0..5 {
            let best = left.iter().map(|(score, _)| score[level]).fold(f64::NEG_INFINITY, f64::max);
            // Two infinities of one sign are equal, though their difference is no number.
            left.retain(|(score, _)| score[level] > best - CLOSE || score[level].to_bits() == best.to_bits());
        }
        left.first().map(|(_, index)| *index)
    }

    fn look_at(&mut self, index: usize, search: &Search<'_>, desk: &Desk<'_>) -> Option<Score> {
        let class = &self.classes[self.class_of(index)?];
        let of_values = class.score?;
        if self.is_ranked && self.marks[index] == Mark::Barred {
            return None;
        }
        let [mut wishes, mut fitness, mut tie_break] = self.standing(index, search, desk)?;
        if !self.terms.of_anything.is_empty() {
            wishes += self.terms.of_anything.answer(desk, search, index)?;
        }
        if desk.placed.keeps_any() && desk.kept(index).is_some() {
            return None;
        }
        if self.is_open {
            let prospect = desk.prospect(search, index);
            (fitness, tie_break) = (search.strategy.score(&prospect), search.strategy.tie_break(&prospect));
        }
        Some(self.score(of_values, [wishes, settled(fitness), settled(tie_break)]))
    }
}

/// Puts offers together on which all that is asked of the place comes to the same.
fn place_column(group: &Group<'_>, search: &Search<'_>, desk: &mut Desk<'_>) -> Option<Column> {
    let clauses = group.clauses.iter().copied().chain(group.wishes.iter().map(|wish| &wish.clause));
    let mut asked: Vec<Vec<&Field>> = clauses.map(fields).chain(search.home.map(|_| vec![&Field::Region])).collect();
    asked.sort_unstable();
    asked.dedup();
    let mut columns = asked.iter().map(|fields| desk.table.exact(&desk.slots, fields));
    let first = columns.next()?;
    let joined =
        columns.fold(None, |joined: Option<Column>, next| Some(join(joined.as_ref().unwrap_or(&first), &next)));
    let joined = joined.as_ref().unwrap_or(&first);
    Some(joined.grouped(|first| place_sum(group, search, desk, first).map(f64::to_bits)))
}

/// The weights of wishes for a place that hold; none if the place will not do.
fn place_sum(group: &Group<'_>, search: &Search<'_>, desk: &Desk<'_>, index: usize) -> Option<f64> {
    if let (Some(home), Some(region)) = (search.home, &desk.slots[index].location.region)
        && home != region
    {
        return None;
    }
    group.answer(desk, search, index)
}

fn short(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
