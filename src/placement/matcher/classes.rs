//! [`Classes`]: a partition of the offers into equivalence classes, with the score of each class.

use super::class::Class;
use super::index::{ClassIx, OfferIx, ValueIx};
use super::pairing::Pairing;
use super::plan_state::PlanState;
use super::query::Query;
use super::score::{ValueScore, quantize};
use super::table::Column;
use super::terms::{CountTerm, TermGroup};
use crate::constraint::Field;
use smallvec::SmallVec;
use std::ops::{Index, IndexMut};
use std::sync::Arc;

/// The classes of offers that agree in all values that an app's terms look at.
#[derive(Debug)]
pub(super) struct Classes<'a> {
    /// By offer, its class, or `NONE` if its location is not allowed; none = all offers are of one class.
    class_of: Option<Vec<ClassIx>>,
    classes: Vec<Class>,
    terms: Vec<CountTerm<'a>>,
    /// By class and term, the value of the class.
    values: Vec<ValueIx>,
    /// By term and value, the classes that have it.
    with_value: Vec<Vec<Vec<ClassIx>>>,
}

impl<'a> Classes<'a> {
    /// Partitions the offers; the classes list their offers if `is_listed`.
    pub(super) fn new(
        of_location: &TermGroup<'a>,
        terms: Vec<CountTerm<'a>>,
        is_listed: bool,
        query: &'a Query<'a>,
        state: &mut PlanState<'_>,
    ) -> Self {
        let locations = location_column(of_location, query, state).map(Arc::new);
        let mut columns: Vec<&Arc<Column>> = Vec::new();
        for column in locations.iter().chain(terms.iter().map(CountTerm::column)) {
            if !columns.iter().any(|known| Arc::ptr_eq(known, column)) {
                columns.push(column);
            }
        }
        let Some((first, more)) = columns.split_first() else {
            let all = Self {
                class_of: None,
                classes: vec![Class::default()],
                terms,
                values: Vec::new(),
                with_value: Vec::new(),
            };
            return all;
        };
        let joined = more.iter().fold(Arc::clone(first), |joined, next| Arc::new(joined.join(next)));

        let weight = |first: &OfferIx| location_weight(of_location, query, state, *first);
        let weights: Vec<Option<f64>> = joined.firsts().iter().map(weight).collect();
        let (mut classes, mut values) = (Vec::new(), Vec::new());
        for (first, weight) in joined.firsts().iter().zip(&weights) {
            values.extend(terms.iter().map(|term| term.column().value(*first)));
            classes.push(Class::new(weight.unwrap_or_default()));
        }

        let mut with_value = Vec::new();
        for (number, term) in terms.iter().enumerate() {
            let mut with = vec![Vec::new(); term.column().firsts().len()];
            for (class, values) in values.chunks(terms.len()).enumerate() {
                with[values[number].index()].push(ClassIx::new(class));
            }
            with_value.push(with);
        }

        let class_of =
            |joined: &ValueIx| weights[joined.index()].map_or(ClassIx::NONE, |_| ClassIx::new(joined.index()));
        let class_of: Vec<ClassIx> = joined.values().iter().map(class_of).collect();
        if is_listed {
            for (index, class) in class_of.iter().enumerate().filter(|(_, class)| **class != ClassIx::NONE) {
                classes[class.index()].offers.push(OfferIx::new(index));
            }
        }
        Self { class_of: Some(class_of), classes, terms, values, with_value }
    }

    /// Returns the class of an offer; none if its location is not allowed.
    #[inline]
    pub(super) fn of(&self, offer: OfferIx) -> Option<ClassIx> {
        let Some(class_of) = &self.class_of else { return Some(ClassIx::new(0)) };
        let class = class_of[offer.index()];
        (class != ClassIx::NONE).then_some(class)
    }

    pub(super) fn len(&self) -> usize {
        self.classes.len()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = ClassIx> + use<> {
        (0..self.classes.len()).map(ClassIx::new)
    }

    /// Adds up the scores of the values of a class.
    #[inline]
    pub(super) fn total(&mut self, class: ClassIx) {
        let (index, count) = (class.index(), self.terms.len());
        let values = &self.values[index * count..(index + 1) * count];
        let mut sum = Some(ValueScore { weight: self.classes[index].location_weight, ..ValueScore::default() });
        for (term, value) in self.terms.iter().zip(values) {
            sum = match (sum, term.result(*value)) {
                (Some(sum), Some(more)) => Some(sum + more),
                _ => None,
            };
        }
        self.classes[index].score = sum.map(|sum| ValueScore { spread: quantize(sum.spread), ..sum });
    }

    /// Updates the scores of values and classes after a launch in an offer, and passes on each class that changed.
    pub(super) fn task_launched(
        &mut self,
        offer: OfferIx,
        state: &PlanState<'_>,
        mut changed: impl FnMut(&mut Self, ClassIx),
    ) {
        let mut values: SmallVec<[ValueIx; 8]> = SmallVec::new();
        for number in 0..self.terms.len() {
            self.terms[number].task_launched(offer, state, &mut |value| values.push(value));
            for value in values.drain(..) {
                for at in 0..self.with_value[number][value.index()].len() {
                    let class = self.with_value[number][value.index()][at];
                    self.total(class);
                    changed(self, class);
                }
            }
        }
    }

    /// Moves the cursor of a class back to an offer that may fit again.
    pub(super) fn rewind(&mut self, class: ClassIx, offer: OfferIx) {
        let is_whole = self.class_of.is_none();
        let class = &mut self[class];
        let at = if is_whole { offer.index() } else { class.offers.partition_point(|one| *one < offer) };
        class.cursor = class.cursor.min(at);
    }

    /// Returns the offer at the cursor of a class; none past its last one, there being `count` offers in all.
    pub(super) fn at_cursor(&self, class: ClassIx, count: usize) -> Option<OfferIx> {
        let class = &self[class];
        if self.class_of.is_none() {
            (class.cursor < count).then(|| OfferIx::new(class.cursor))
        } else {
            class.offers.get(class.cursor).copied()
        }
    }
}

impl Index<ClassIx> for Classes<'_> {
    type Output = Class;

    fn index(&self, class: ClassIx) -> &Class {
        &self.classes[class.index()]
    }
}

impl IndexMut<ClassIx> for Classes<'_> {
    fn index_mut(&mut self, class: ClassIx) -> &mut Class {
        &mut self.classes[class.index()]
    }
}

/// Returns the column in which offers agree whose locations give the same weight; none if no term looks at locations.
fn location_column(of_location: &TermGroup<'_>, query: &Query<'_>, state: &mut PlanState<'_>) -> Option<Column> {
    let home = query.home_region.map(|_| vec![&Field::Region]);
    let mut keys: Vec<Vec<&Field>> = of_location.fields().chain(home).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut columns = keys.iter().map(|fields| state.exact_column(fields));
    let first = columns.next()?;
    let joined = columns.fold(None, |joined: Option<Column>, next| Some(joined.as_ref().unwrap_or(&first).join(&next)));
    let joined = joined.as_ref().unwrap_or(&first);
    Some(joined.grouped(|first| location_weight(of_location, query, state, first).map(f64::to_bits)))
}

/// Returns the weights of the preferences that a location meets; none if the location is not allowed.
fn location_weight(
    of_location: &TermGroup<'_>,
    query: &Query<'_>,
    state: &PlanState<'_>,
    offer: OfferIx,
) -> Option<f64> {
    let pairing = Pairing::new(query, state, offer);
    if pairing.is_in_wrong_region() { None } else { of_location.weight(pairing) }
}
