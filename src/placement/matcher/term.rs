//! [`Terms`]: what an app asks and wishes for, sorted by what has to change for an answer to change.

use super::desk::Desk;
use super::search::Search;
use super::table::Column;
use crate::constraint::{Clause, Condition, Field, Operator, Preference};
use crate::placement::model::spread::Spread;
use smallvec::SmallVec;
use std::sync::Arc;

/// The conditions and wishes of an app by what their answers depend on.
#[derive(Debug, Default)]
pub(super) struct Terms<'a> {
    /// Values of fields of the place: known once for all offers that have them.
    pub(super) of_place: Group<'a>,
    /// What an offer has come to.
    pub(super) of_state: Group<'a>,
    /// The offer itself, until something changes on its host.
    pub(super) of_slot: Group<'a>,
    /// Anything.
    pub(super) of_anything: Group<'a>,
    /// How many tasks have which values: known once for all offers that have them, until one more task has.
    pub(super) of_values: Vec<Term<'a>>,
}

/// Some of an app's conditions and wishes.
#[derive(Debug, Default)]
pub(super) struct Group<'a> {
    pub(super) clauses: Vec<&'a Clause>,
    pub(super) wishes: Vec<&'a Preference>,
}

/// Something that depends on how many tasks have which values.
#[derive(Debug)]
pub(super) struct Term<'a> {
    asks: Asks<'a>,
    /// The values of the field, or of all its fields, over the offers.
    pub(super) column: Arc<Column>,
    /// By the number of a value, what it comes to.
    answers: Vec<Answer>,
    /// What else an answer depends on, as it was when the answers were worked out.
    pulse: Pulse,
    /// Whether one more task with a value changes the answer for that value alone, if the pulse stays the same.
    is_local: bool,
}

#[derive(Debug)]
enum Asks<'a> {
    Condition(&'a Clause),
    Wish(&'a Preference),
    Spread(&'a Spread, f64, usize),
    Group(&'a Field),
}

/// What a value comes to: nothing if it will not do, else what it adds to wishes, spread and grouping.
pub(super) type Answer = Option<[f64; 3]>;

type Pulse = SmallVec<[u64; 2]>;

impl<'a> Terms<'a> {
    pub(super) fn new(search: &Search<'a>, desk: &mut Desk<'_>) -> Self {
        let mut terms = Self::default();
        for clause in &search.app.require {
            match terms.group(clause) {
                Some(group) => group.clauses.push(clause),
                None => terms.of_values.push(Term::of_clause(Asks::Condition(clause), clause, search, desk)),
            }
        }
        for wish in &search.app.prefer {
            match terms.group(&wish.clause) {
                Some(group) => group.wishes.push(wish),
                None => terms.of_values.push(Term::of_clause(Asks::Wish(wish), &wish.clause, search, desk)),
            }
        }
        for (spread, share, known) in &search.spreads {
            terms.of_values.push(Term::of_field(Asks::Spread(spread, *share, *known), &spread.field, search, desk));
        }
        for field in &search.groups {
            terms.of_values.push(Term::of_field(Asks::Group(field), field, search, desk));
        }
        terms
    }

    /// Where it belongs; none = it depends on how many tasks have which values, and on nothing but the place beside.
    fn group(&mut self, clause: &Clause) -> Option<&mut Group<'a>> {
        let needs = clause.needs();
        let of_host = needs.neighbours || needs.own_host || needs.own_place;
        if needs.anything || (needs.counts && of_host) {
            Some(&mut self.of_anything)
        } else if needs.counts {
            None
        } else if !of_host {
            Some(&mut self.of_place)
        } else if needs.neighbours && !needs.own_host && !needs.own_place && !needs.place {
            Some(&mut self.of_state)
        } else {
            Some(&mut self.of_slot)
        }
    }
}

impl<'a> Group<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.clauses.is_empty() && self.wishes.is_empty()
    }

    /// The weights of its wishes that hold; none if a condition does not.
    pub(super) fn answer(&self, desk: &Desk<'_>, search: &Search<'_>, index: usize) -> Option<f64> {
        if !self.clauses.iter().all(|clause| desk.holds(search, index, clause)) {
            return None;
        }
        let met = self.wishes.iter().filter(|wish| desk.holds(search, index, &wish.clause));
        Some(met.fold(0.0, |sum, wish| sum + wish.weight.value()))
    }
}

/// The fields of a clause, each once.
pub(super) fn fields(clause: &Clause) -> Vec<&Field> {
    let mut fields = Vec::new();
    clause.conditions(&mut |condition| fields.push(&condition.field));
    fields.sort_unstable();
    fields.dedup();
    fields
}

impl<'a> Term<'a> {
    fn of_clause(asks: Asks<'a>, clause: &'a Clause, search: &Search<'_>, desk: &mut Desk<'_>) -> Self {
        let fields = fields(clause);
        let mut counts_only = true;
        clause.conditions(&mut |condition| counts_only &= !condition.is_static());
        match fields.as_slice() {
            [field] if counts_only => Self::of_field(asks, field, search, desk),
            fields => {
                let column = desk.table.exact(&desk.slots, fields);
                Self::new(asks, column, false, search, desk)
            }
        }
    }

    fn of_field(asks: Asks<'a>, field: &Field, search: &Search<'_>, desk: &mut Desk<'_>) -> Self {
        let column = desk.table.printed(&desk.slots, field);
        Self::new(asks, column, true, search, desk)
    }

    fn new(asks: Asks<'a>, column: Arc<Column>, is_local: bool, search: &Search<'_>, desk: &Desk<'_>) -> Self {
        let mut term = Self { asks, answers: Vec::new(), column, pulse: Pulse::new(), is_local };
        term.answers = (0..term.column.firsts.len()).map(|value| term.answer(value, search, desk)).collect();
        term.pulse = term.beat(search, desk);
        term
    }

    /// What a value comes to.
    pub(super) fn answer_of(&self, value: u32) -> Answer {
        self.answers[value as usize]
    }

    /// Works out what has changed since a task was launched in that offer, and tells each value with another answer.
    pub(super) fn refresh(&mut self, index: usize, search: &Search<'_>, desk: &Desk<'_>, changed: &mut dyn FnMut(u32)) {
        let pulse = self.beat(search, desk);
        let all = !self.is_local || pulse != self.pulse || self.is_of_the_others(index, desk);
        self.pulse = pulse;
        let launched = self.column.of[index];
        let values = if all { 0..self.column.firsts.len() } else { launched as usize..launched as usize + 1 };
        for value in values {
            let answer = self.answer(value, search, desk);
            if std::mem::replace(&mut self.answers[value], answer) != answer {
                changed(u32::try_from(value).unwrap_or(u32::MAX));
            }
        }
    }

    /// Whether an offer's value is none of a spread's targets, which all count together.
    fn is_of_the_others(&self, index: usize, desk: &Desk<'_>) -> bool {
        let Asks::Spread(Spread { field, targets: Some(targets), .. }, ..) = &self.asks else { return false };
        desk.slots[index].location.value(field).is_some_and(|value| !targets.contains_key(value.as_ref()))
    }

    fn answer(&self, value: usize, search: &Search<'_>, desk: &Desk<'_>) -> Answer {
        let index = self.column.firsts[value];
        let (location, app) = (&desk.slots[index].location, search.app);
        match &self.asks {
            Asks::Condition(clause) => desk.holds(search, index, clause).then_some([0.0; 3]),
            Asks::Wish(wish) => {
                Some([if desk.holds(search, index, &wish.clause) { wish.weight.value() } else { 0.0 }, 0.0, 0.0])
            }
            Asks::Spread(spread, share, known) => {
                let (tally, value) = (desk.placed.tally(&app.id, &spread.field), location.value(&spread.field));
                Some([0.0, share * spread.score(value.as_deref(), app.instances, &tally, *known), 0.0])
            }
            Asks::Group(field) => {
                let count = location.value(field).map_or(0, |value| desk.placed.tally(&app.id, field).count(&value));
                Some([0.0, 0.0, -f64::from(u32::try_from(count).unwrap_or(u32::MAX))])
            }
        }
    }

    /// What its answers depend on beside the count of the value itself.
    fn beat(&self, search: &Search<'_>, desk: &Desk<'_>) -> Pulse {
        let mut pulse = Pulse::new();
        let clause = match &self.asks {
            Asks::Condition(clause) => clause,
            Asks::Wish(wish) => &wish.clause,
            Asks::Spread(..) | Asks::Group(_) => return pulse,
        };
        clause.conditions(&mut |condition| pulse.push(beat(condition, search, desk)));
        pulse
    }
}

/// What a condition makes of all tasks of the app, whatever values they have.
fn beat(condition: &Condition, search: &Search<'_>, desk: &Desk<'_>) -> u64 {
    let (app, field) = (search.app, &condition.field);
    if let Operator::GroupBy(Some(groups)) = &condition.operator {
        let tally = desk.placed.tally(&app.id, field);
        let on_top = tally.above(app.instances / *groups) < app.instances % *groups;
        u64::from(tally.groups() < groups.get()) + 2 * u64::from(on_top)
    } else if matches!(condition.operator, Operator::GroupBy(None)) {
        desk.placed.tally(&app.id, field).fewest().unwrap_or(0)
    } else if matches!(condition.operator, Operator::MaxSkew(_)) {
        desk.placed.fewest(&app.id, field).map_or(0, |fewest| fewest + 1)
    } else {
        u64::from(matches!(condition.operator, Operator::Cluster(None)) && desk.placed.count(&app.id) > 0)
    }
}
