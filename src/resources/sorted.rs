//! Sums and differences of sorted lists, by merging with exponential search.
//!
//! Each operation walks both lists once, in canonical order. An entry of one list is searched in the other from the
//! position of the previous entry on, linearly at first and then in steps that double (galloping). So lists of the same
//! resources cost one comparison per entry, and a few resources in a long list the logarithm of its length each.

use super::{Ranges, Resource, Scalar, Set, SumError, Value};
use std::cmp::Ordering;

/// The number of new entries up to which each is inserted by itself; more are added at once, and the list sorted.
const MAX_INSERTS: usize = 16;

/// The number of entries that the search probes linearly: the length of most lists.
const MAX_LINEAR_PROBES: usize = 4;

/// Compares by canonical order; resources that merge are equal whatever their values.
#[inline]
fn order(mine: &Resource, theirs: &Resource) -> Ordering {
    let identity = mine.cmp_identity(theirs);
    if identity == Ordering::Equal && !mine.merges() { mine.value.cmp(&theirs.value) } else { identity }
}

/// Returns the first position, not before `from`, of an equal entry, or else that at which to insert one.
#[inline]
fn seek(list: &[Resource], from: usize, wanted: &Resource) -> Result<usize, usize> {
    match list.get(from) {
        Some(next) if next.surely_merges_with(wanted) => Ok(from),
        _ => search(list, from, wanted),
    }
}

/// The general case of [`seek`]: exponential search, then binary search in the last step.
fn search(list: &[Resource], from: usize, wanted: &Resource) -> Result<usize, usize> {
    let (mut low, mut step) = (from, 1);
    let high = loop {
        let Some(probe) = list.get(low + step - 1) else { break list.len() };
        match order(probe, wanted) {
            Ordering::Less => (low, step) = (low + step, if low < from + MAX_LINEAR_PROBES { 1 } else { step * 2 }),
            Ordering::Equal if step == 1 => return Ok(low),
            Ordering::Greater if step == 1 => return Err(low),
            Ordering::Equal | Ordering::Greater => break low + step,
        }
    };
    let position = low + list[low..high].partition_point(|mine| order(mine, wanted) == Ordering::Less);
    let found = list.get(position).is_some_and(|mine| order(mine, wanted) == Ordering::Equal);
    if found { Ok(position) } else { Err(position) }
}

/// Checks that `added` can be added at its position: one name has one type, and neither it nor the sum is above the maximum.
fn check_one(list: &[Resource], position: Result<usize, usize>, added: &Resource) -> Result<(), SumError> {
    if added.value.is_too_large() {
        let nothing = added.like(Value::Scalar(Scalar::ZERO));
        return Err(SumError { to: Box::new(nothing), added: Box::new(added.clone()) });
    }
    let (Ok(at) | Err(at)) = position;
    let is_valid = match position {
        Ok(at) => list[at].is_shared() || !list[at].merges() || list[at].value.can_add(&added.value),
        Err(at) => {
            let mut neighbours = list[at.saturating_sub(1)..].iter().take(2);
            !neighbours.any(|mine| mine.same_name(added) && !mine.value.same_type(&added.value))
        }
    };
    if is_valid {
        return Ok(());
    }
    let first = list.partition_point(|mine| mine.name < added.name);
    let other_type = list.get(first).filter(|mine| !mine.value.same_type(&added.value));
    let to = other_type.unwrap_or_else(|| &list[at]);
    Err(SumError { to: Box::new(to.clone()), added: Box::new(added.clone()) })
}

/// Checks that the entries of `added` from `from` on can be added, and returns the number of new entries.
fn check(list: &[Resource], added: &[Resource], mut from: usize) -> Result<usize, SumError> {
    let mut new = 0;
    for resource in &added[from..] {
        let position = seek(list, from, resource);
        check_one(list, position, resource)?;
        from = match position {
            Ok(at) if coalesces(&list[at]) => at + 1,
            Ok(at) | Err(at) => {
                new += 1;
                at
            }
        };
    }
    Ok(new)
}

/// Returns true if an equal resource is added to the entry: its value merges, or it is one more copy.
fn coalesces(resource: &Resource) -> bool {
    resource.merges() || resource.is_shared()
}

/// Adds resources; on an error nothing has changed.
pub(super) fn add(list: &mut Vec<Resource>, added: &[Resource]) -> Result<(), SumError> {
    // Fast path: a common prefix of scalars is added before the rest is checked, since it can be rolled back.
    let mut prefix = 0;
    for (mine, theirs) in list.iter_mut().zip(added) {
        if !mine.surely_merges_with(theirs) || !mine.value.try_add_scalar(&theirs.value) {
            break;
        }
        prefix += 1;
    }
    if prefix == added.len() {
        return Ok(());
    }
    let new = check(list, added, prefix).inspect_err(|_| {
        list.iter_mut().zip(&added[..prefix]).for_each(|(mine, theirs)| mine.value.remove(&theirs.value));
    })?;
    let mut pending = Vec::with_capacity(if new > MAX_INSERTS { new } else { 0 });
    let mut from = prefix;
    for resource in &added[prefix..] {
        from = match seek(list, from, resource) {
            Ok(at) if coalesces(&list[at]) => {
                coalesce(&mut list[at], resource);
                at + 1
            }
            Ok(at) | Err(at) => {
                if new > MAX_INSERTS {
                    pending.push(resource.clone());
                } else {
                    list.insert(at, resource.clone());
                }
                at
            }
        };
    }
    if !pending.is_empty() {
        // The sort is stable: a later entry comes before its equals, as if inserted by itself.
        list.splice(0..0, pending.into_iter().rev());
        list.sort_by(order);
    }
    Ok(())
}

fn coalesce(mine: &mut Resource, added: &Resource) {
    if mine.is_shared() {
        mine.copies = mine.copies.saturating_add(added.copies);
    } else {
        mine.value.add(&added.value);
    }
}

/// Adds one resource; on an error nothing has changed.
pub(super) fn add_one(list: &mut Vec<Resource>, added: Resource) -> Result<(), SumError> {
    let position = seek(list, 0, &added);
    check_one(list, position, &added)?;
    match position {
        Ok(at) if coalesces(&list[at]) => coalesce(&mut list[at], &added),
        Ok(at) | Err(at) => list.insert(at, added),
    }
    Ok(())
}

/// Merges resources that come in any order, each added to those before it. O(n log n), and in the sizes of the values.
///
/// # Errors
///
/// The first resource that cannot be added to those before it, with its index.
pub(super) fn collect(items: Vec<Resource>) -> Result<Vec<Resource>, (usize, SumError)> {
    if items.len() <= MAX_INSERTS {
        let mut list = Vec::with_capacity(items.len());
        for (i, item) in items.into_iter().enumerate().filter(|(_, item)| !item.is_empty()) {
            add_one(&mut list, item).map_err(|error| (i, error))?;
        }
        return Ok(list);
    }
    let mut sorted: Vec<usize> = (0..items.len()).filter(|i| !items[*i].is_empty()).collect();
    // The sort is stable: equals stay as they came.
    sorted.sort_by(|a, b| order(&items[*a], &items[*b]));
    if let Some(misfit) = first_misfit(&items, &sorted) {
        let mut list = collect(items[..misfit].to_vec())?;
        let refused = add_one(&mut list, items[misfit].clone());
        return Err((misfit, refused.expect_err("a misfit cannot be added to those before it")));
    }
    let mut list = Vec::with_capacity(sorted.len());
    for run in sorted.chunk_by(|a, b| order(&items[*a], &items[*b]) == Ordering::Equal) {
        let first = &items[run[0]];
        let equals = || run.iter().map(|i| &items[*i]);
        if run.len() == 1 {
            list.push(first.clone());
        } else if first.is_shared() {
            let mut all = first.clone();
            all.copies = equals().fold(0, |sum: u32, equal| sum.saturating_add(equal.copies));
            list.push(all);
        } else if first.merges() {
            list.push(first.clone().with_value(union(equals().map(|equal| &equal.value))));
        } else {
            // As if inserted one by one: a later entry comes before its equals.
            list.extend(equals().rev().cloned());
        }
    }
    Ok(list)
}

/// Returns the lowest index of a resource that cannot be added to those before it. The indices are sorted.
fn first_misfit(items: &[Resource], sorted: &[usize]) -> Option<usize> {
    let mut misfits = Vec::new();
    for namesakes in sorted.chunk_by(|a, b| items[*a].same_name(&items[*b])) {
        let value = |i: &usize| &items[*i].value;
        let earliest = namesakes.iter().min().map(value);
        let is_misfit =
            |i: &&usize| value(i).is_too_large() || earliest.is_some_and(|first| !first.same_type(value(i)));
        misfits.extend(namesakes.iter().copied().filter(|i| is_misfit(&i)).min());
        for run in namesakes.chunk_by(|a, b| order(&items[*a], &items[*b]) == Ordering::Equal) {
            let mut sum = Value::Scalar(Scalar::ZERO);
            let is_scalar = |i: &&usize| matches!(value(i), Value::Scalar(_)) && items[**i].merges();
            misfits.extend(run.iter().filter(is_scalar).find(|i| !sum.try_add_scalar(value(i))));
        }
    }
    misfits.into_iter().min()
}

/// Returns the sum of values of one type, of which scalars are not above the maximum together.
fn union<'a>(values: impl Iterator<Item = &'a Value> + Clone) -> Value {
    let ranges =
        || values.clone().filter_map(|value| if let Value::Ranges(ranges) = value { Some(ranges) } else { None });
    let sets = || values.clone().filter_map(|value| if let Value::Set(set) = value { Some(set) } else { None });
    match values.clone().next() {
        Some(Value::Ranges(_)) => Value::Ranges(ranges().flat_map(Ranges::as_slice).copied().collect()),
        Some(Value::Set(_)) => Value::Set(sets().flat_map(Set::as_slice).cloned().collect()),
        Some(Value::Scalar(_)) | None => {
            let mut sum = Value::Scalar(Scalar::ZERO);
            values.for_each(|value| sum.add(value));
            sum
        }
    }
}

/// Returns true if the list has an entry equal to one of `other`.
pub(super) fn intersects(list: &[Resource], other: &[Resource]) -> bool {
    let mut from = 0;
    other.iter().any(|resource| {
        let position = seek(list, from, resource);
        let (Ok(at) | Err(at)) = position;
        from = at;
        position.is_ok()
    })
}

/// Subtracts resources and ignores what is not there; an indivisible resource is removed whole or not at all.
pub(super) fn remove(list: &mut Vec<Resource>, removed: &[Resource]) {
    let (mut from, mut has_empty) = (0, false);
    for resource in removed {
        from = match seek(list, from, resource) {
            Err(at) => at,
            Ok(at) => {
                let mine = &mut list[at];
                if mine.is_shared() {
                    mine.copies = mine.copies.saturating_sub(resource.copies);
                } else if mine.merges() {
                    mine.value.remove(&resource.value);
                } else {
                    mine.copies = 0;
                }
                has_empty |= mine.is_empty();
                at + 1
            }
        };
    }
    if has_empty {
        list.retain(|mine| !mine.is_empty());
    }
}

/// Returns the first entry of `asked` that the list does not contain; each copy and indivisible entry counts once.
pub(super) fn first_missing<'a>(list: &[Resource], asked: &'a [Resource]) -> Option<&'a Resource> {
    let mut from = 0;
    // Of the run of equal entries at `from`: the copies that are there, and how many are asked for.
    let (mut held, mut wanted) = (0, 0);
    let is_missing = |i: &usize| {
        let resource = &asked[*i];
        match seek(list, from, resource) {
            Err(_) => true,
            Ok(at) if resource.merges() => {
                from = at + 1;
                !list[at].value.contains(&resource.value)
            }
            Ok(at) => {
                let is_run = i.checked_sub(1).is_some_and(|before| order(&asked[before], resource) == Ordering::Equal);
                if !is_run {
                    (from, held, wanted) = (at, copies(list[at..].iter(), resource), 0);
                }
                wanted += resource.copies();
                held < wanted
            }
        }
    };
    (0..asked.len()).find(is_missing).map(|i| &asked[i])
}

/// Returns the number of copies of a resource in a run of equal entries.
fn copies<'a>(run: impl Iterator<Item = &'a Resource>, of: &Resource) -> u64 {
    run.take_while(|resource| order(resource, of) == Ordering::Equal).map(Resource::copies).sum()
}
