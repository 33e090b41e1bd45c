//! Operators that limit how many tasks share a value: `UNIQUE`, `MAX_PER`, `CLUSTER`, `EXCLUSIVE`.

use super::{Field, Placed, RejectReason, Remedy, Verdict};

/// `UNIQUE`: no task of the app has the value. Tasks without a value do not count.
pub(super) fn unique(field: &Field, value: &str, app: &str, placed: &Placed) -> Verdict {
    if placed.tally(app, field).count(value) == 0 {
        return Verdict::Accept;
    }
    let same = placed.siblings(app).find(|task| task.location.value(field).as_deref() == Some(value));
    Verdict::require(same.is_none(), || taken(field, value, same))
}

/// `MAX_PER`: fewer tasks of the app than `most` have the value.
pub(super) fn max_per(field: &Field, value: &str, most: u64, app: &str, placed: &Placed) -> Verdict {
    let count = placed.tally(app, field).count(value);
    Verdict::require(count < most, || RejectReason::GroupFull {
        field: field.clone(),
        value: value.into(),
        count,
        most,
        remedy: (most > 0).then_some(Remedy::NewValue),
    })
}

/// `CLUSTER` without a value: the first task of the app, if there is one, has the same value. As in Marathon only the
/// first task counts: if it runs where the field has no value, every other location is rejected.
pub(super) fn cluster(field: &Field, value: &str, app: &str, placed: &Placed) -> Verdict {
    let Some(task) = placed.siblings(app).next() else { return Verdict::Accept };
    let first = task.location.value(field);
    Verdict::require(first.as_deref() == Some(value), || RejectReason::Apart {
        field: field.clone(),
        value: value.into(),
        task: task.id.clone(),
        first: first.as_deref().map(Into::into),
    })
}

/// `EXCLUSIVE`: no task of any app has the value, but for those of the app itself that are outdated.
pub(super) fn exclusive(field: &Field, value: &str, app: &str, placed: &Placed) -> Verdict {
    let other = placed.first_with(field, value, app);
    Verdict::require(other.is_none(), || taken(field, value, other))
}

fn taken(field: &Field, value: &str, task: Option<&super::PlacedTask>) -> RejectReason {
    let id = task.map_or_else(|| "".into(), |task| task.id.clone());
    RejectReason::Taken { field: field.clone(), value: value.into(), task: id }
}
