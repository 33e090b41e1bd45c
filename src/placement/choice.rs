//! [`Choice`]: the best offer for one more instance, without looking at everything each time.
//!
//! Offers that agree in all values on which something depends are of one class, and what depends on values is worked out
//! once for the class, until a task more makes a difference to it. Within a class the offers are ranked by what depends on
//! their hosts; or, where nothing does, they are tried from the first. So one more instance costs a look at the head of
//! each class. Only a constraint or fitness that may depend on anything has all offers looked at.

use super::desk::Desk;
use super::fitness::{Fitness, Strategy};
use super::search::Search;
use super::state::StateId;
use super::table::{Column, join};
use super::term::{Group, Terms, fields};
use crate::constraint::Field;
use indexmap::IndexMap;
use smallvec::SmallVec;
use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How good an offer is, the most important score first: preferences, spreads, few tasks on the value of a
/// `GROUP_BY`, strategy and what decides between equals of it.
type Score = [f64; 5];

/// What its host makes of an offer: the weights of wishes that hold, strategy, and what decides between equals of it.
type Standing = Option<[f64; 3]>;

/// Scores less than this apart are equal.
const CLOSE: f64 = 1e-9;

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
    /// By offer, what is known of it.
    marks: Vec<Mark>,
    /// By state, what it makes of an offer, and the one asked for last.
    standings: IndexMap<StateId, Standing, foldhash::fast::FixedState>,
    last: Option<(StateId, Standing)>,
}

/// Offers that agree in all values on which something depends.
#[derive(Debug, Default)]
struct Class {
    /// The weights of wishes for a place that hold.
    place: f64,
    /// What the values come to; none = they will not do at present.
    score: Option<[f64; 3]>,
    /// Its offers from the first, and from where on they may do; where there is but one class, these are all.
    offers: Vec<u32>,
    from: usize,
    /// Its offers that will do, best first.
    ranks: BTreeMap<Rank, VecDeque<u32>>,
    /// Its best offer, if `is_stale` does not say that it has to be found anew, and how good that is.
    head: Option<Head>,
    best: Option<Score>,
    is_stale: bool,
}

/// The best of a class.
#[derive(Debug, Clone, Copy)]
struct Head {
    standing: [f64; 3],
    index: usize,
    /// Whether others of the class are so close that only a look at all of them can tell.
    is_close: bool,
}

/// What is known of an offer.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mark {
    Unknown,
    Barred,
    Fits,
    Ranked(Rank),
}

/// A standing as it is sorted: the best is the smallest.
type Rank = [u64; 3];

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
            marks: vec![Mark::Unknown; desk.slots.len()],
            standings: IndexMap::default(),
            last: None,
            terms,
        };
        choice.classify(search, desk);
        for class in 0..choice.classes.len() {
            choice.sum_up(class);
            choice.classes[class].is_stale = true;
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
        let mut best: Option<(Score, Head)> = None;
        for class in 0..self.classes.len() {
            if self.classes[class].is_stale && self.classes[class].score.is_some() {
                self.find_head(class, search, desk);
            }
            let Some((score, head)) = self.classes[class].head() else { continue };
            let order = best.as_ref().map_or(Ordering::Greater, |(best, _)| exact_order(&score, best));
            if order.is_gt() || (order.is_eq() && best.is_some_and(|(_, best)| head.index < best.index)) {
                best = Some((score, head));
            }
        }
        let (score, head) = best?;
        let is_close = |class: &Class| match class.head() {
            Some((other, head)) => is_close(&score, &other) || (head.is_close && exact_order(&score, &other).is_eq()),
            None => false,
        };
        if (self.is_ranked || self.classes.len() > 1) && self.classes.iter().any(is_close) {
            return self.look_at_all(search, desk);
        }
        Some(head.index)
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
        let best = head.as_ref().zip(*score).map(|(head, score)| self.score(score, head.standing));
        self.classes[class].best = best;
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
        for index in 0..desk.slots.len() {
            let Some(class) = self.class_of(index) else { continue };
            self.marks[index] = Mark::Barred;
            if let Some(standing) = self.standing(index, search, desk) {
                let rank = standing.map(rank);
                self.marks[index] = Mark::Ranked(rank);
                self.classes[class].ranks.entry(rank).or_default().push_back(short(index));
            }
        }
    }

    /// Takes an offer off its class's ranks, if it has one.
    fn strike(&mut self, index: usize) {
        let mark = std::mem::replace(&mut self.marks[index], Mark::Barred);
        let Some(class) = self.class_of(index) else { return };
        let class = &mut self.classes[class];
        class.is_stale = true;
        if let Mark::Ranked(rank) = mark
            && let Some(offers) = class.ranks.get_mut(&rank)
        {
            if let Ok(at) = offers.binary_search(&short(index)) {
                offers.remove(at);
            }
            if offers.is_empty() {
                class.ranks.remove(&rank);
            }
        }
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
            if let Some(standing) = self.standing(index, search, desk) {
                let rank = standing.map(rank);
                self.marks[index] = Mark::Ranked(rank);
                let offers = self.classes[number].ranks.entry(rank).or_default();
                let at = offers.partition_point(|one| *one < short(index));
                offers.insert(at, short(index));
            }
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
        let [mut wishes, mut fitness, mut tie_break] = match self.marks[index] {
            Mark::Barred if self.is_ranked => return None,
            _ => self.standing(index, search, desk)?,
        };
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

impl Class {
    fn head(&self) -> Option<(Score, Head)> {
        self.best.zip(self.head)
    }

    fn best_of_ranks(&self) -> Option<Head> {
        let mut ranks = self.ranks.iter();
        let (best, offers) = ranks.next()?;
        let standing = best.map(unranked);
        let is_close = |worse: Rank| {
            let worse = worse.map(unranked);
            let level = (0..3).find(|level| standing[*level].to_bits() != worse[*level].to_bits());
            level.is_some_and(|level| standing[level] - worse[level] < if level == 0 { CLOSE_WEIGHTS } else { CLOSE })
        };
        // The next with another tie break, the next with another fitness, the next with other wishes.
        let [wishes, fitness, _] = *best;
        let next = [ranks.next(), self.after([wishes, fitness, LAST]), self.after([wishes, LAST, LAST])];
        let is_close = next.into_iter().flatten().any(|(rank, _)| is_close(*rank));
        Some(Head { standing, index: *offers.front()? as usize, is_close })
    }

    fn after(&self, rank: Rank) -> Option<(&Rank, &VecDeque<u32>)> {
        self.ranks.range(rank..).next()
    }
}

/// The rank of what is worse than any number.
const LAST: u64 = u64::MAX;

/// Weights are no scores yet: they will be divided by the sum of all. So of weights more counts as close.
const CLOSE_WEIGHTS: f64 = 1e-3;

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

/// What is no number is worst. What differs by no more than doubles err is the same.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "below 1e15, and cut off on purpose")]
fn settled(number: f64) -> f64 {
    const GRAINS: f64 = 1e12;
    if number.is_nan() {
        return f64::NEG_INFINITY;
    }
    let grains = number * GRAINS;
    if grains.abs() >= 1e15 {
        return number;
    }
    // As `round` does, which is a call where this is two instructions; within 53 bits.
    (grains + 0.5_f64.copysign(grains)) as i64 as f64 / GRAINS
}

fn rank(number: f64) -> u64 {
    let bits = number.to_bits();
    if bits >> 63 == 1 { bits } else { !bits & !(1 << 63) }
}

fn unranked(rank: u64) -> f64 {
    f64::from_bits(if rank >> 63 == 1 { rank } else { !rank & !(1 << 63) })
}

fn exact_order(score: &Score, than: &Score) -> Ordering {
    let orders = score.iter().zip(than).map(|(mine, theirs)| mine.total_cmp(theirs));
    orders.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// Whether two scores differ, and at first by less than what counts.
fn is_close(score: &Score, than: &Score) -> bool {
    let mut differences = score.iter().zip(than).filter(|(mine, theirs)| mine.to_bits() != theirs.to_bits());
    differences.next().is_some_and(|(mine, theirs)| (mine - theirs).abs() < CLOSE)
}
