//! Sums and differences of lists of resources in canonical order.
//!
//! Both lists of an operation are walked once, from the front: what comes next in one is looked for
//! from where the last one was found in the other, one by one at first and then in steps that double.
//! So lists of the same resources cost one comparison each, and a few resources in a long list the
//! logarithm of its length.

use super::{Resource, SumError};
use std::cmp::Ordering;

/// From so many new entries on it is cheaper to sort them in than to move all others up for each.
const MANY: usize = 16;

/// So many entries are looked at one by one: as many as most lists have.
const NEAR: usize = 4;

/// Canonical order; resources that merge are equal whatever their value.
#[inline]
fn order(mine: &Resource, theirs: &Resource) -> Ordering {
    let identity = mine.cmp_identity(theirs);
    if identity == Ordering::Equal && !mine.merges() { mine.value.cmp(&theirs.value) } else { identity }
}

/// The first place, not before `from`, of an entry that is equal; or that where it would have to go.
#[inline]
fn seek(list: &[Resource], from: usize, wanted: &Resource) -> Result<usize, usize> {
    match list.get(from) {
        Some(next) if next.is_like(wanted) => Ok(from),
        _ => search(list, from, wanted),
    }
}

/// The same, where it is not just the next one.
fn search(list: &[Resource], from: usize, wanted: &Resource) -> Result<usize, usize> {
    let (mut low, mut step) = (from, 1);
    let high = loop {
        let Some(probe) = list.get(low + step - 1) else { break list.len() };
        match order(probe, wanted) {
            Ordering::Less => (low, step) = (low + step, if low < from + NEAR { 1 } else { step * 2 }),
            Ordering::Equal if step == 1 => return Ok(low),
            Ordering::Greater if step == 1 => return Err(low),
            Ordering::Equal | Ordering::Greater => break low + step,
        }
    };
    let place = low + list[low..high].partition_point(|mine| order(mine, wanted) == Ordering::Less);
    let found = list.get(place).is_some_and(|mine| order(mine, wanted) == Ordering::Equal);
    if found { Ok(place) } else { Err(place) }
}

/// Checks that `added` fits to what is at its place; of one name there is one type.
fn check_one(list: &[Resource], place: Result<usize, usize>, added: &Resource) -> Result<(), SumError> {
    let (Ok(at) | Err(at)) = place;
    let fits = match place {
        Ok(at) => list[at].is_shared() || !list[at].merges() || list[at].value.takes(&added.value),
        Err(at) => {
            let mut beside = list[at.saturating_sub(1)..].iter().take(2);
            !beside.any(|mine| mine.same_name(added) && !mine.value.same_type(&added.value))
        }
    };
    if fits {
        return Ok(());
    }
    let first = list.partition_point(|mine| mine.name < added.name);
    let other_type = list.get(first).filter(|mine| !mine.value.same_type(&added.value));
    let to = other_type.unwrap_or_else(|| &list[at]);
    Err(SumError { to: Box::new(to.clone()), added: Box::new(added.clone()) })
}

/// Checks that `added` from `from` on can be added; tells how many would be entries of their own.
fn check(list: &[Resource], added: &[Resource], mut from: usize) -> Result<usize, SumError> {
    let mut new = 0;
    for resource in &added[from..] {
        let place = seek(list, from, resource);
        check_one(list, place, resource)?;
        from = match place {
            Ok(at) if joins(&list[at]) => at + 1,
            Ok(at) | Err(at) => {
                new += 1;
                at
            }
        };
    }
    Ok(new)
}

/// Whether an equal resource becomes one with it: by merging, or as one more copy.
fn joins(resource: &Resource) -> bool {
    resource.merges() || resource.is_shared()
}

/// Adds resources; on an error nothing has changed.
pub(super) fn add(list: &mut Vec<Resource>, added: &[Resource]) -> Result<(), SumError> {
    // Mostly both are of the same scalars. These are added at once, for they can be taken off again.
    let mut beside = 0;
    for (mine, theirs) in list.iter_mut().zip(added) {
        if !mine.is_like(theirs) || !mine.value.grow(&theirs.value) {
            break;
        }
        beside += 1;
    }
    if beside == added.len() {
        return Ok(());
    }
    let new = check(list, added, beside).inspect_err(|_| {
        list.iter_mut().zip(&added[..beside]).for_each(|(mine, theirs)| mine.value.remove(&theirs.value));
    })?;
    let mut late = Vec::with_capacity(if new > MANY { new } else { 0 });
    let mut from = beside;
    for resource in &added[beside..] {
        from = match seek(list, from, resource) {
            Ok(at) if joins(&list[at]) => {
                join(&mut list[at], resource);
                at + 1
            }
            Ok(at) | Err(at) => {
                if new > MANY {
                    late.push(resource.clone());
                } else {
                    list.insert(at, resource.clone());
                }
                at
            }
        };
    }
    if !late.is_empty() {
        // What comes later stands before what is equal to it, as if inserted one after the other.
        list.splice(0..0, late.into_iter().rev());
        list.sort_by(order);
    }
    Ok(())
}

fn join(mine: &mut Resource, added: &Resource) {
    if mine.is_shared() {
        mine.copies = mine.copies.saturating_add(added.copies);
    } else {
        mine.value.add(&added.value);
    }
}

/// Adds one resource; on an error nothing has changed.
pub(super) fn add_one(list: &mut Vec<Resource>, added: Resource) -> Result<(), SumError> {
    let place = seek(list, 0, &added);
    check_one(list, place, &added)?;
    match place {
        Ok(at) if joins(&list[at]) => join(&mut list[at], &added),
        Ok(at) | Err(at) => list.insert(at, added),
    }
    Ok(())
}

/// Whether anything of `taken` is there.
pub(super) fn meets(list: &[Resource], taken: &[Resource]) -> bool {
    let mut from = 0;
    taken.iter().any(|resource| {
        let place = seek(list, from, resource);
        let (Ok(at) | Err(at)) = place;
        from = at;
        place.is_ok()
    })
}

/// Takes resources away as far as they are there; indivisible ones only whole.
pub(super) fn remove(list: &mut Vec<Resource>, taken: &[Resource]) {
    let (mut from, mut emptied) = (0, false);
    for resource in taken {
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
                emptied |= mine.is_nothing();
                at + 1
            }
        };
    }
    if emptied {
        list.retain(|mine| !mine.is_nothing());
    }
}

/// The first of `asked` that is not there; what is indivisible is used up as it is found.
pub(super) fn first_missing<'a>(list: &[Resource], asked: &'a [Resource]) -> Option<&'a Resource> {
    let mut from = 0;
    let missing = |(i, resource): &(usize, &Resource)| match seek(list, from, resource) {
        Err(_) => true,
        Ok(at) if resource.merges() => {
            from = at + 1;
            !list[at].value.contains(&resource.value)
        }
        Ok(at) => {
            from = at;
            copies(list[at..].iter(), resource) < copies(asked[..=*i].iter().rev(), resource)
        }
    };
    asked.iter().enumerate().find(missing).map(|(_, resource)| resource)
}

/// How many copies of a resource a run of equal ones has in all.
fn copies<'a>(run: impl Iterator<Item = &'a Resource>, of: &Resource) -> u64 {
    run.take_while(|resource| order(resource, of) == Ordering::Equal).map(Resource::copies).sum()
}
