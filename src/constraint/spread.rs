//! How evenly tasks are divided over the values of a field: `GROUP_BY`, `MAX_SKEW`.

use super::{Field, Placed, Reason, Remedy, Tally, Verdict};
use std::num::NonZeroU64;

/// `GROUP_BY` with a count: `instances` are divided over so many values; what does not divide evenly
/// goes on top of whichever come first.
///
/// As Marathon does today: tasks without the field form a group of their own. (Marathon's documents
/// still describe the earlier rule, which waited until all groups had begun.)
pub(super) fn groups(field: &Field, value: &str, groups: NonZeroU64, instances: u64, tally: &Tally) -> Verdict {
    let (quota, on_top) = (instances / groups, instances % groups);
    let (count, used) = (tally.count(value), tally.above(quota));
    let has_room = |count: u64| count < quota || (count == quota && used < on_top);
    let remedy = || {
        let with_room = || tally.iter().find(|(value, count)| value.is_some() && has_room(*count));
        let is_new = tally.groups() < groups.get();
        if is_new { Some(Remedy::NewValue) } else { with_room()?.0.cloned().map(Remedy::Value) }
    };
    if count == 0 {
        return Verdict::require(tally.groups() < groups.get(), || Reason::GroupsFull {
            field: field.clone(),
            value: value.into(),
            most: groups.get(),
            remedy: remedy(),
        });
    }
    Verdict::require(has_room(count), || Reason::GroupFull {
        field: field.clone(),
        value: value.into(),
        count,
        most: if used < on_top { quota + 1 } else { quota },
        remedy: remedy(),
    })
}

/// `GROUP_BY` without a count: the value is new, or no other has fewer tasks. (Today's Marathon
/// fails on this form; this is what its documents promise, and what it did before.)
pub(super) fn evenly(field: &Field, value: &str, tally: &Tally) -> Verdict {
    let count = tally.count(value);
    let fewest = tally.fewest().unwrap_or(0);
    Verdict::require(count == 0 || count <= fewest, || uneven(field, value, count, fewest))
}

/// `MAX_SKEW`: with one more, the value has at most `most` tasks more than any value that is known.
pub(super) fn skew(field: &Field, value: &str, most: NonZeroU64, app: &str, placed: &Placed) -> Verdict {
    let count = placed.tally(app, field).count(value);
    let fewest = placed.fewest(app, field).unwrap_or(count);
    let fits = count.saturating_add(1).saturating_sub(fewest) <= most.get();
    Verdict::require(fits, || uneven(field, value, count, fewest))
}

fn uneven(field: &Field, value: &str, count: u64, fewest: u64) -> Reason {
    Reason::Uneven { field: field.clone(), value: value.into(), count, fewest }
}
