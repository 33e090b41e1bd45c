//! Operators that spread tasks evenly over the values of a field: `GROUP_BY`, `MAX_SKEW`.

use super::{Field, Placed, RejectReason, Remedy, Tally, Verdict};
use crate::text::Text;
use std::num::NonZeroU64;

/// `GROUP_BY` with a count: divides `instances` over so many values. Each value gets the quotient; the remainder goes
/// to the values that reach the quotient first, one task each.
///
/// As in the current Marathon, tasks without a value form a group of their own. (Marathon's documentation still
/// describes an earlier rule, which waited until every group had a task.)
pub(super) fn group_by(field: &Field, value: &str, groups: NonZeroU64, instances: u64, tally: &Tally) -> Verdict {
    let (quotient, remainder) = (instances / groups, instances % groups);
    let (count, excess) = (tally.count(value), tally.excess_over(quotient));
    let has_room = |count: u64| has_room(count, (quotient, remainder), excess);
    let remedy = || {
        let with_room = || tally.iter().find(|(value, count)| value.is_some() && has_room(*count));
        let is_new = tally.groups() < groups.get();
        if is_new { Some(Remedy::NewValue) } else { with_room()?.0.cloned().map(Remedy::Value) }
    };
    if count == 0 {
        return Verdict::require(tally.groups() < groups.get(), || RejectReason::GroupsFull {
            field: field.clone(),
            value: value.into(),
            most: groups.get(),
            remedy: remedy(),
        });
    }
    Verdict::require(has_room(count), || RejectReason::GroupFull {
        field: field.clone(),
        value: value.into(),
        count,
        most: if excess < remainder { quotient + 1 } else { quotient },
        remedy: remedy(),
    })
}

/// Returns true if [`group_by`] accepts. Its reasons look at all values, this does not.
pub(super) fn fits_group(value: &str, groups: NonZeroU64, instances: u64, tally: &Tally) -> bool {
    let (quotient, remainder) = (instances / groups, instances % groups);
    match tally.count(value) {
        0 => tally.groups() < groups.get(),
        count => has_room(count, (quotient, remainder), tally.excess_over(quotient)),
    }
}

/// Returns true if a value of so many tasks has room for another one, there being so many tasks beyond the quotient.
fn has_room(count: u64, (quotient, remainder): (u64, u64), excess: u64) -> bool {
    count < quotient || (count == quotient && excess < remainder)
}

/// `GROUP_BY` without a count: the value has no task, or no other value has fewer. (The current Marathon fails on this
/// form; the rule is that of its documentation and of earlier versions.)
pub(super) fn group_evenly(field: &Field, value: &str, tally: &Tally) -> Verdict {
    let count = tally.count(value);
    let fewest = tally.fewest().unwrap_or(0);
    // Tasks without a value are a group too, which has no name.
    let behind = || tally.first_with_fewest().filter(|behind| tally.count(behind) == fewest);
    Verdict::require(is_even(count, tally), || uneven(field, value, (count, fewest), behind()))
}

/// Returns true if a value of so many tasks has room by [`group_evenly`].
pub(super) fn is_even(count: u64, tally: &Tally) -> bool {
    count == 0 || count <= tally.fewest().unwrap_or(0)
}

/// `MAX_SKEW`: with one more task, the value has at most `most` tasks more than any topology domain.
pub(super) fn max_skew(field: &Field, value: &str, most: NonZeroU64, app: &str, placed: &Placed) -> Verdict {
    let (count, fewest) = counts(field, value, app, placed);
    let is_within = is_within(most, (count, fewest));
    Verdict::require(is_within, || uneven(field, value, (count, fewest), placed.value_behind(app, field)))
}

/// Returns true if [`max_skew`] accepts.
pub(super) fn fits_skew(field: &Field, value: &str, most: NonZeroU64, app: &str, placed: &Placed) -> bool {
    is_within(most, counts(field, value, app, placed))
}

/// Returns the number of tasks of the app at the value, and the smallest at any domain.
fn counts(field: &Field, value: &str, app: &str, placed: &Placed) -> (u64, u64) {
    let count = placed.tally(app, field).count(value);
    (count, placed.fewest(app, field).unwrap_or(count))
}

fn is_within(most: NonZeroU64, (count, fewest): (u64, u64)) -> bool {
    count.saturating_add(1).saturating_sub(fewest) <= most.get()
}

fn uneven(field: &Field, value: &str, (count, fewest): (u64, u64), behind: Option<Text>) -> RejectReason {
    RejectReason::Uneven { field: field.clone(), value: value.into(), count, fewest, behind }
}
