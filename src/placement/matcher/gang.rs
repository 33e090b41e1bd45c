//! Plans a gang: the apps of one group are placed all together or not at all.

use super::app::{Explanation, Waiting, explain, plan_app};
use super::index::AppIx;
use super::plan_state::PlanState;
use super::query::ListedApp;
use crate::constraint::{Condition, Field, Literal, Operator};
use crate::placement::model::app::App;
use crate::placement::model::plan::GroupShortage;
use crate::text::Text;
use std::borrow::Cow;
use std::cmp::Reverse;

/// Places all pending instances of the members, or none; then it returns the members, which have to wait.
///
/// Members are placed in the order listed. If one finds no place, another value is tried for members that have to be
/// together (`CLUSTER`), and then the members that take most go first. That finds a place for any gang of equal tasks
/// that has one, unless several limits on different fields cross; beyond that it may miss an arrangement that only
/// trying all would find. It never launches a part.
pub(super) fn plan_gang<'a>(state: &mut PlanState<'_>, group: &Text, members: &[ListedApp<'a>]) -> Vec<Waiting<'a>> {
    let needed = members.iter().map(|member| state.pending(member.app)).sum();
    let mut failure: Option<Failure> = None;
    let mut tries = 0;
    for order in orders(members) {
        let mut attempt = Attempt { members, order, excluded: Vec::new() };
        while tries < MAX_TRIES {
            tries += 1;
            let before = state.launches.len();
            state.begin();
            let Some(failed) = attempt.run(state) else {
                state.commit();
                return Vec::new();
            };
            // The first failure is the one to report.
            failure.get_or_insert_with(|| Failure {
                found: (state.launches.len() - before) as u64,
                member: members[failed].ix,
                explanation: explain(state, members[failed]),
            });
            let has_next = attempt.exclude_next(state, failed, before);
            state.rollback();
            if !has_next {
                break;
            }
        }
    }
    let Some(Failure { found, member: failed, mut explanation }) = failure else { return Vec::new() };
    let shortage = GroupShortage { group: group.clone(), needed, found };
    let waiting = |member: &ListedApp<'a>| Waiting {
        app: *member,
        instances: state.pending(member.app),
        group: Some(shortage.clone()),
        explanation: Some(if member.ix == failed { std::mem::take(&mut explanation) } else { Explanation::default() }),
    };
    members.iter().map(waiting).filter(|waiting| waiting.instances > 0).collect()
}

/// The failure to place a gang: the number of tasks that found a place, and the member that did not find all its
/// places.
struct Failure {
    found: u64,
    member: AppIx,
    explanation: Explanation,
}

/// A way to place a gang; its members are numbered as listed.
#[derive(Debug)]
struct Attempt<'a> {
    members: &'a [ListedApp<'a>],
    /// The order in which members are placed.
    order: Vec<usize>,
    excluded: Vec<Exclusion>,
}

/// A value that was tried in vain for a member.
#[derive(Debug)]
struct Exclusion {
    member: usize,
    field: Field,
    value: Text,
}

const MAX_TRIES: u32 = 1_000;

/// Returns the orders to try: as listed, and by size.
fn orders(members: &[ListedApp<'_>]) -> Vec<Vec<usize>> {
    let listed: Vec<usize> = (0..members.len()).collect();
    let mut by_size = listed.clone();
    by_size.sort_by_key(|member| Reverse(size(members[*member].app)));
    if by_size == listed { vec![listed] } else { vec![listed, by_size] }
}

impl Attempt<'_> {
    /// Places one member after another, and returns the first that does not find all its places.
    fn run(&self, state: &mut PlanState<'_>) -> Option<usize> {
        self.order.iter().copied().find(|member| {
            let listed = self.members[*member];
            let mut app = Cow::Borrowed(listed.app);
            for Exclusion { field, value, .. } in self.excluded.iter().filter(|other| other.member == *member) {
                let operator = Operator::IsNot(Literal::new(value.clone()));
                app.to_mut().require.push(Condition { field: field.clone(), operator }.into());
            }
            plan_app(state, ListedApp { app: &app, ..listed }) > 0
        })
    }

    /// Excludes the value of the last member that can be elsewhere, of those placed before the failed one and itself;
    /// `before` launches are not of this attempt. Returns false if there is no such member.
    fn exclude_next(&mut self, state: &PlanState<'_>, failed: usize, before: usize) -> bool {
        let placed = self.order.iter().position(|member| *member == failed).map_or(0, |at| at + 1);
        for at in (0..placed).rev() {
            let (member, app) = (self.order[at], self.members[self.order[at]].app);
            let mut launched = state.launches[before..].iter().filter(|launch| launch.app == app.id);
            let Some(first) = launched.next() else { continue };
            let is_free = state.placed.count(&app.id) == 1 + launched.count();
            let Some(field) = cluster_field(app).filter(|_| is_free) else { continue };
            if let Some(value) = first.location.value(field) {
                let later = &self.order[at + 1..];
                self.excluded.retain(|other| !later.contains(&other.member));
                self.excluded.push(Exclusion { member, field: field.clone(), value: value.into() });
                return true;
            }
        }
        false
    }
}

/// Returns the field in whose value all tasks of an app have to agree, if there is one.
fn cluster_field(app: &App) -> Option<&Field> {
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

/// Returns how much an app takes, roughly: thousandths of cpus and gpus, then of memory.
fn size(app: &App) -> (u64, u64) {
    (app.cpus.as_milli().saturating_add(app.gpus.as_milli()), app.mem.as_milli())
}
