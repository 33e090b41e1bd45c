//! The most that one offer carries, and how what is available is cut to it.

use super::books::Requested;
use super::resource_names::is_quota_managed;
use crate::resources::{Limits, Quantities, Resource, Resources, Scalar, Value};

/// Returns the most that an offer carries of unreserved, not revocable scalars: the smaller one of what holds for all and of what
/// a request says. If no set of the minimum fits in that, the first one counts instead, name by name where it is larger. None if
/// nothing is limited.
pub(super) fn offer_cap(for_all: &Limits, request: Option<&Requested>, minimum: &[Quantities]) -> Option<Limits> {
    let mut cap = for_all.clone();
    for (name, most) in request.iter().flat_map(|request| request.most.iter()) {
        cap.insert(name, cap.limit(name).map_or(most, |limit| limit.min(most)));
    }
    if cap.is_empty() {
        return None;
    }
    let too_small = |set: &Quantities, (name, limit): (&str, Scalar)| set.amount(name) > limit;
    if let Some(first) = minimum.first()
        && minimum.iter().all(|set| cap.iter().any(|limit| too_small(set, limit)))
    {
        let larger = |(name, limit): (&str, Scalar)| (name.to_owned(), limit.max(first.amount(name)));
        cap = cap.iter().map(larger).collect();
    }
    Some(cap)
}

/// Cuts resources to the most that an offer carries. Those of one name use it up in canonical order.
pub(super) fn cut_to(resources: &Resources, cap: &Limits) -> Resources {
    let mut cut = Vec::with_capacity(resources.iter().len());
    let mut is_whole = true;
    for alike in resources.iter().as_slice().chunk_by(|a, b| a.name() == b.name()) {
        let Some(limit) = cap.limit(alike[0].name()) else {
            cut.extend_from_slice(alike);
            continue;
        };
        let mut left = limit.as_milli();
        for resource in alike {
            if !is_quota_managed(resource) {
                cut.push(resource.clone());
                continue;
            }
            let all = amount(resource);
            let taken = take(resource, all, &mut left);
            is_whole &= taken == all;
            cut.push(resource.clone().with_value(Value::Scalar(Scalar::milli(taken))));
        }
    }
    if is_whole { resources.clone() } else { Resources::from_sorted(cut) }
}

/// Returns resources that contain every offer within the limits: each resource by itself is cut, for another one of its name may
/// be left out. What does not divide stays whole.
pub(super) fn bound_of_offers(resources: &Resources, cap: &Limits) -> Resources {
    let mut is_whole = true;
    let mut cut = |resource: &Resource| {
        let limit = cap.limit(resource.name()).filter(|_| is_quota_managed(resource) && !resource.is_indivisible());
        match limit.filter(|limit| limit.as_milli() < amount(resource)) {
            Some(limit) => {
                is_whole = false;
                resource.clone().with_value(Value::Scalar(limit))
            }
            None => resource.clone(),
        }
    };
    let cut: Vec<Resource> = resources.iter().map(&mut cut).collect();
    if is_whole { resources.clone() } else { Resources::from_sorted(cut) }
}

pub(super) fn amount(resource: &Resource) -> u64 {
    resource.scalar().unwrap_or_default().as_milli()
}

/// Subtracts up to `amount` of a resource from what is left, and returns how much; of an indivisible resource all or nothing.
pub(super) fn take(resource: &Resource, amount: u64, left: &mut u64) -> u64 {
    let taken = if resource.is_indivisible() && *left < amount { 0 } else { amount.min(*left) };
    *left -= taken;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(text: &str) -> Limits {
        text.parse().unwrap()
    }

    fn request(most: &str) -> Requested {
        let (agents, most) = (Default::default(), limits(most));
        Requested { offers: 1, open: 1, each: None, most, agents }
    }

    #[test]
    fn the_smaller_limit_holds_and_a_larger_minimum_counts_instead() {
        let sets = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Quantities>>();
        let cases: [(&str, &str, &[&str], &str); 7] = [
            ("cpus:2", "cpus:1;mem:64", &[], "cpus:1;mem:64"),
            ("cpus:1", "cpus:2", &[], "cpus:1"),
            ("cpus:1", "", &["cpus:2"], "cpus:2"),
            ("cpus:1;mem:64", "", &["cpus:2;mem:32;gpus:1"], "cpus:2;mem:64"),
            ("cpus:1", "", &["cpus:2", "mem:32"], "cpus:1"), // of mem there is no limit
            ("cpus:1;mem:16", "", &["mem:32", "cpus:2"], "cpus:1;mem:32"),
            ("", "cpus:1", &["cpus:3"], "cpus:3"),
        ];
        for (for_all, most, minimum, expected) in cases {
            let cap = offer_cap(&limits(for_all), Some(&request(most)), &sets(minimum));
            assert_eq!(cap, Some(limits(expected)), "{for_all} {most} {minimum:?}");
        }
        assert_eq!(offer_cap(&Limits::new(), Some(&request("")), &sets(&["cpus:1"])), None);
    }

    #[test]
    fn only_what_nobody_has_reserved_is_cut() {
        let resources: Resources = "cpus:4;cpus(a):4;mem:64;ports:[1-9]".parse().unwrap();
        let cut = cut_to(&resources, &limits("cpus:1;ports:1"));
        assert_eq!(cut.to_string(), "cpus:1;cpus(a):4;mem:64;ports:[1-9]");
        assert!(cut_to(&resources, &limits("cpus:4;gpus:1")).is_same(&resources));
        assert_eq!(bound_of_offers(&resources, &limits("cpus:1")), cut);
    }

    #[test]
    fn what_does_not_divide_is_taken_whole_or_left_out() {
        let disk = |kind: &str, amount: u64| {
            let source = serde_json::json!({"type": kind, "mount": {"root": "/m"}, "path": {"root": "/p"}});
            let mut source = source;
            let other = if kind == "MOUNT" { "path" } else { "mount" };
            source.as_object_mut().unwrap().remove(other);
            serde_json::json!({"name": "disk", "type": "SCALAR", "scalar": {"value": amount}, "disk": {"source": source}})
        };
        let resources: Resources =
            serde_json::from_value(serde_json::json!([disk("PATH", 3), disk("MOUNT", 10)])).unwrap();
        let amounts = |most: &str| {
            let cut = cut_to(&resources, &limits(most));
            let mut amounts: Vec<u64> = cut.iter().map(amount).collect();
            amounts.sort_unstable();
            amounts
        };
        assert_eq!(amounts("disk:2"), [2_000]);
        assert_eq!(amounts("disk:9"), [3_000]);
        assert_eq!(amounts("disk:13"), [3_000, 10_000]);
        let bound = bound_of_offers(&resources, &limits("disk:2"));
        assert!(bound.contains(&cut_to(&resources, &limits("disk:2"))));
    }
}
