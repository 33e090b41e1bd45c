//! Gangs: apps of one group are placed all together or not at all.

use super::desk::Desk;
use super::search::Search;
use super::serve::{explain, pending, place};
use crate::constraint::{Condition, Field, Operator, Wanted};
use crate::placement::model::app::App;
use crate::placement::model::plan::{GroupShortage, Unplaced};
use smol_str::SmolStr;
use std::borrow::Cow;

/// Places all pending instances of some apps, each with its number in the plan, or none; then it says why.
///
/// Members are served in the order listed. If one finds no place, another value is tried for whoever has to be together
/// (`CLUSTER`), and then the members that take most go first. That finds a place for any gang of equal tasks that has one,
/// unless several limits on different fields cross; beyond that it may miss an arrangement that only trying all would
/// find. It never launches a part.
pub(super) fn place_group(desk: &mut Desk<'_>, group: &SmolStr, members: &[(usize, &App)]) -> Vec<(usize, Unplaced)> {
    let needed = members.iter().map(|(_, app)| pending(desk, app)).sum();
    let listed: Vec<usize> = (0..members.len()).collect();
    let mut by_size = listed.clone();
    by_size.sort_by_key(|member| std::cmp::Reverse(size(members[*member].1)));
    let orders = if by_size == listed { vec![listed] } else { vec![listed, by_size] };
    let (mut told, mut tries) = (None, 0);
    for order in orders {
        let mut attempt = Attempt { order, without: Vec::new() };
        while tries < MOST_TRIES {
            tries += 1;
            desk.begin();
            let before = desk.launches.len();
            let Some(failed) = attempt.run(desk, members) else {
                desk.keep();
                return Vec::new();
            };
            if told.is_none() {
                let (number, app) = members[failed];
                let search = Search::new(desk.planner, app, number);
                told = Some(((desk.launches.len() - before) as u64, failed, explain(desk, &search)));
            }
            let is_next = attempt.turn(desk, members, failed, before);
            desk.undo();
            if !is_next {
                break;
            }
        }
    }
    let Some((found, failed, mut why)) = told else { return Vec::new() };
    let shortage = GroupShortage { group: group.clone(), needed, found };
    let waits = |(member, (number, app)): (usize, &(usize, &App))| {
        let (reasons, near_miss) = if member == failed { std::mem::take(&mut why) } else { Default::default() };
        let (app_id, instances) = (app.id.clone(), pending(desk, app));
        let group = Some(shortage.clone());
        (instances > 0).then_some((*number, Unplaced { app: app_id, instances, reasons, near_miss, group }))
    };
    members.iter().enumerate().filter_map(waits).collect()
}

/// A way to place a group.
#[derive(Debug)]
struct Attempt {
    /// The members in the order in which they are served.
    order: Vec<usize>,
    /// Members with a field and a value of it that was tried in vain.
    without: Vec<(usize, Field, SmolStr)>,
}

/// So many ways are tried at most.
const MOST_TRIES: u32 = 1_000;

impl Attempt {
    /// Places one member after another; gives the first that does not find all its places.
    fn run(&self, desk: &mut Desk<'_>, members: &[(usize, &App)]) -> Option<usize> {
        self.order.iter().copied().find(|member| {
            let (number, app) = members[*member];
            let mut app = Cow::Borrowed(app);
            for (_, field, value) in self.without.iter().filter(|(other, ..)| other == member) {
                let condition =
                    Condition { field: field.clone(), operator: Operator::IsNot(Wanted::new(value.clone())) };
                app.to_mut().require.push(condition.into());
            }
            place(desk, &app, number).waiting > 0
        })
    }

    /// Has the last member that can be elsewhere try another value; false if there is none.
    fn turn(&mut self, desk: &Desk<'_>, members: &[(usize, &App)], failed: usize, before: usize) -> bool {
        let served = self.order.iter().position(|member| *member == failed).map_or(0, |at| at + 1);
        for at in (0..served).rev() {
            let (member, app) = (self.order[at], members[self.order[at]].1);
            let mut launched = desk.launches[before..].iter().filter(|launch| launch.app == app.id);
            let Some(first) = launched.next() else { continue };
            let is_free = desk.placed.count(&app.id) == 1 + launched.count();
            let Some(field) = together(app).filter(|_| is_free) else { continue };
            if let Some(value) = first.location.value(field) {
                let later = &self.order[at + 1..];
                self.without.retain(|(other, ..)| !later.contains(other));
                self.without.push((member, field.clone(), value.into()));
                return true;
            }
        }
        false
    }
}

/// The field in whose value all tasks of an app have to agree, if there is one.
fn together(app: &App) -> Option<&Field> {
    let mut found = None;
    app.require.iter().for_each(|clause| {
        clause.required(&mut |condition| {
            if matches!(condition.operator, Operator::Cluster(None)) {
                found = Some(&condition.field);
            }
        });
    });
    found
}

/// How much an app takes, roughly: thousandths of cpus and gpus, then of memory.
fn size(app: &App) -> (u64, u64) {
    (app.cpus.as_milli().saturating_add(app.gpus.as_milli()), app.mem.as_milli())
}
