//! Assigns host ports: which of an offer's ports a task gets.

use crate::placement::model::ports::{HostPort, PortRequest, PortShortage};
use crate::resources::{Range, Ranges, Resource, Resources, Value};
use smallvec::SmallVec;
use std::collections::BTreeSet;

/// The host ports of a task, in the order of the app's ports, and the resources that they take.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct AssignedPorts {
    pub(super) ports: Vec<Option<u64>>,
    pub(super) resources: Vec<Resource>,
}

/// Assigns ports of what is left in an offer: the pools are its port resources that the app accepts, reserved ones
/// first.
///
/// Dynamic ports are the lowest, never one that the task asks for by number. With a start they go up from there and
/// wrap around, so that a port that was just released is not assigned again at once (Marathon).
pub(super) fn assign(
    wanted: &[PortRequest],
    pools: &[&Resource],
    start: Option<u64>,
) -> Result<AssignedPorts, PortShortage> {
    let pools = numbered(pools);
    let mut fixed = fixed_numbers(wanted);
    let start = start.unwrap_or(0);
    let mut free = pools.iter().enumerate().flat_map(|(i, (_, ranges))| {
        let from_start = clipped(ranges, start, u64::MAX).map(move |number| (number, i));
        let before = (start > 0).then(|| clipped(ranges, 0, start.saturating_sub(1)));
        from_start.chain(before.into_iter().flatten().map(move |number| (number, i)))
    });
    // By pool, the numbers taken from it.
    let mut taken: SmallVec<[(usize, u64); 4]> = SmallVec::new();
    let (mut ports, mut dynamic) = (Vec::with_capacity(wanted.len()), 0);
    for port in wanted {
        let (number, pool) = match port.host {
            HostPort::None => {
                ports.push(None);
                continue;
            }
            HostPort::Dynamic => {
                // A number of an earlier pool is not new: that pool is exhausted, so the number is taken or asked for.
                let new = |(number, pool): &(u64, usize)| {
                    let is_fixed = fixed.binary_search_by_key(number, |(fixed, _)| *fixed).is_ok();
                    !is_fixed && !pools[..*pool].iter().any(|(_, ranges)| has(ranges, *number))
                };
                let shortage = || {
                    let needed = wanted.iter().filter(|port| port.host == HostPort::Dynamic).count();
                    PortShortage::Dynamic { needed, left: dynamic }
                };
                let found = free.find(new).ok_or_else(shortage)?;
                dynamic += 1;
                found
            }
            HostPort::Fixed(number) => {
                let holds = |(_, ranges): &(_, &Ranges)| has(ranges, number.into());
                let pool = pools.iter().position(holds).ok_or(PortShortage::Fixed(number))?;
                let at = fixed.partition_point(|(fixed, _)| *fixed < number.into());
                if std::mem::replace(&mut fixed[at].1, true) {
                    return Err(PortShortage::Fixed(number)); // asked for twice, offered once
                }
                (number.into(), pool)
            }
        };
        taken.push((pool, number));
        ports.push(Some(number));
    }
    taken.sort_unstable();
    let resources = taken.chunk_by(|(one, _), (other, _)| one == other).map(|numbers| {
        let ranges = numbers.iter().map(|(_, number)| *number..=*number).collect();
        pools[numbers[0].0].0.like(Value::Ranges(ranges))
    });
    Ok(AssignedPorts { resources: resources.collect(), ports })
}

/// Returns all shortages: each number that is not offered, and the number of dynamic ports that are missing.
pub(super) fn shortages(wanted: &[PortRequest], pools: &[&Resource]) -> Vec<PortShortage> {
    let pools = numbered(pools);
    let is_offered = |number: u64| pools.iter().any(|(_, ranges)| has(ranges, number));
    let (mut short, mut once) = (Vec::new(), BTreeSet::new());
    for port in wanted {
        if let HostPort::Fixed(number) = port.host
            && (!once.insert(number) || !is_offered(number.into()))
        {
            short.push(PortShortage::Fixed(number));
        }
    }
    let mut all = Ranges::default();
    pools.iter().for_each(|(_, ranges)| all.insert(ranges));
    let by_number = once.iter().filter(|number| is_offered((**number).into())).count();
    let left = usize::try_from(all.count()).unwrap_or(usize::MAX).saturating_sub(by_number);
    let needed = wanted.iter().filter(|port| port.host == HostPort::Dynamic).count();
    if left < needed {
        short.push(PortShortage::Dynamic { needed, left });
    }
    short
}

/// Returns the pools with their ranges.
fn numbered<'a>(pools: &[&'a Resource]) -> SmallVec<[(&'a Resource, &'a Ranges); 4]> {
    let numbered = pools.iter().filter_map(|pool| match pool.value() {
        Value::Ranges(ranges) => Some((*pool, ranges)),
        Value::Scalar(_) | Value::Set(_) => None,
    });
    numbered.collect()
}

/// Returns the ports that are asked for by number, sorted, each with true once it is assigned.
fn fixed_numbers(wanted: &[PortRequest]) -> SmallVec<[(u64, bool); 4]> {
    let mut fixed: SmallVec<[(u64, bool); 4]> =
        wanted.iter().filter_map(fixed_number).map(|port| (port, false)).collect();
    fixed.sort_unstable();
    fixed.dedup();
    fixed
}

/// Returns true if a resource has a number.
pub(super) fn has_number(resource: &Resource, number: u64) -> bool {
    match resource.value() {
        Value::Ranges(ranges) => has(ranges, number),
        Value::Scalar(_) | Value::Set(_) => false,
    }
}

/// Returns true if a number is in the ranges; O(log ranges).
pub(super) fn has(ranges: &Ranges, number: u64) -> bool {
    let ranges = ranges.as_slice();
    ranges.get(ranges.partition_point(|range| range.end < number)).is_some_and(|range| range.begin <= number)
}

fn fixed_number(port: &PortRequest) -> Option<u64> {
    match port.host {
        HostPort::Fixed(number) => Some(number.into()),
        HostPort::Dynamic | HostPort::None => None,
    }
}

/// Returns the numbers of the ranges between two bounds, without walking over the others.
fn clipped(ranges: &Ranges, low: u64, high: u64) -> impl Iterator<Item = u64> {
    let inside = move |range: &Range| (range.begin.max(low), range.end.min(high));
    ranges.as_slice().iter().map(inside).flat_map(|(begin, end)| begin..=end)
}

/// Returns the port at which dynamic ports begin: the `pick`-th of the offered ones, modulo their number.
pub(super) fn start(offered: &Resources, pick: u64) -> Option<u64> {
    let ports = offered.ranges("ports");
    let mut skip = u128::from(pick).checked_rem(ports.count())?;
    for range in ports.as_slice() {
        let length = u128::from(range.end - range.begin) + 1;
        match u64::try_from(skip) {
            Ok(within) if skip < length => return Some(range.begin + within),
            _ => skip -= length.min(skip),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pick(
        wanted: &[PortRequest],
        offered: &str,
        start: Option<u64>,
    ) -> Result<(Vec<Option<u64>>, String), PortShortage> {
        let offered: Resources = offered.parse().unwrap();
        let (free, reserved): (Vec<_>, Vec<_>) = offered.iter().partition(|resource| resource.role().is_none());
        let pools: Vec<&Resource> = reserved.into_iter().chain(free).collect();
        let assigned = assign(wanted, &pools, start)?;
        Ok((assigned.ports, Resources::try_from_iter(assigned.resources).unwrap().to_string()))
    }

    fn dynamic(count: usize) -> Vec<PortRequest> {
        vec![PortRequest::dynamic(); count]
    }

    #[test]
    fn dynamic_ports_are_the_lowest_and_reserved_ones_first() {
        assert_eq!(pick(&dynamic(2), "ports:[5-9]", None), Ok((vec![Some(5), Some(6)], "ports:[5-6]".into())));
        let both = pick(&dynamic(3), "ports:[1-9];ports(a):[20-21]", None).unwrap();
        assert_eq!(both, (vec![Some(20), Some(21), Some(1)], "ports:[1-1];ports(a):[20-21]".into()));
        let short = PortShortage::Dynamic { needed: 3, left: 2 };
        assert_eq!(pick(&dynamic(3), "ports:[1-2]", None), Err(short));
    }

    #[test]
    fn a_dynamic_port_is_never_one_that_is_asked_for_by_number() {
        let wanted = [PortRequest::dynamic(), PortRequest::fixed(1), PortRequest::dynamic()];
        assert_eq!(pick(&wanted, "ports:[1-3]", None).unwrap().0, [Some(2), Some(1), Some(3)]);
        assert_eq!(pick(&wanted, "ports:[2-9]", None), Err(PortShortage::Fixed(1)));
        let twice = [PortRequest::fixed(1), PortRequest::fixed(1)];
        assert_eq!(pick(&twice, "ports:[1-9]", None), Err(PortShortage::Fixed(1)));
    }

    #[test]
    fn with_a_start_ports_are_consecutive_and_wrap_around() {
        assert_eq!(pick(&dynamic(4), "ports:[10-12,20-20]", Some(12)).unwrap().0, [12, 20, 10, 11].map(Some));
        assert_eq!(pick(&dynamic(2), "ports:[10-12]", Some(99)).unwrap().0, [10, 11].map(Some));
        let offered: Resources = "ports:[10-12,20-20]".parse().unwrap();
        let starts: Vec<_> = (0..5).map(|pick| start(&offered, pick)).collect();
        assert_eq!(starts, [10, 11, 12, 20, 10].map(Some));
        assert_eq!(start(&Resources::new(), 7), None);
    }

    #[test]
    fn huge_ranges_are_not_enumerated() {
        assert_eq!(pick(&dynamic(1), "ports:[0-18446744073709551615]", Some(u64::MAX)).unwrap().0, [Some(u64::MAX)]);
        let all: Resources = "ports:[0-18446744073709551615]".parse().unwrap();
        assert_eq!(start(&all, u64::MAX), Some(u64::MAX));
    }

    proptest! {
        #[test]
        fn assigned_ports_are_offered_and_distinct(
            fixed in prop::collection::vec(0_u16..40, 0..3), count in 0_usize..6,
            pieces in prop::collection::vec((0_u64..40, 0_u64..6, any::<bool>()), 0..6), start in prop::option::of(0_u64..50),
        ) {
            let item = |(begin, more, reserved): &(u64, u64, bool)| {
                format!("ports{}:[{begin}-{}]", if *reserved { "(a)" } else { "" }, begin + more)
            };
            let offered: Resources = pieces.iter().map(item).collect::<Vec<_>>().join(";").parse().unwrap();
            let wanted: Vec<_> = fixed.iter().map(|port| PortRequest::fixed(*port)).chain(dynamic(count)).collect();
            let pools: Vec<&Resource> = offered.iter().rev().collect();
            if let Ok(assigned) = assign(&wanted, &pools, start) {
                let resources = Resources::try_from_iter(assigned.resources).unwrap();
                prop_assert!(offered.contains(&resources));
                let numbers: Ranges = assigned.ports.iter().flatten().map(|port| *port..=*port).collect();
                prop_assert_eq!(numbers.count(), wanted.len() as u128);
                prop_assert_eq!(resources.ranges("ports"), numbers);
            } else {
                let left = offered.ranges("ports").count();
                prop_assert!(left < wanted.len() as u128 || !fixed.is_empty());
            }
        }
    }
}
