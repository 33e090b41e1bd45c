//! Orders written as a policy: DRF so written is DRF, and the crate keeps the order of others.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use crate::tier::tier;
use apportion::allocator::{
    Allocator, Drf, Hierarchical, Holding, Node, Options, Ordered, Policy, Share, Sorter, SorterChoice,
};
use apportion::{Agent, Framework, Resources, Role, Time};
use proptest::prelude::*;
use std::cmp::Reverse;
use std::sync::Arc;

#[derive(Debug, Clone)]
struct Dominant;

impl Policy for Dominant {
    type Key = (Share, u64);

    fn key(&self, node: &Node<'_>) -> (Share, u64) {
        (node.share(), node.count())
    }
}

#[derive(Debug, Clone)]
struct LongestWaiting;

impl Policy for LongestWaiting {
    type Key = Option<Time>;

    fn key(&self, node: &Node<'_>) -> Option<Time> {
        node.last_offer()
    }
}

#[derive(Debug, Clone)]
struct LongestWithoutTask;

impl Policy for LongestWithoutTask {
    type Key = (Option<Time>, String);

    fn key(&self, node: &Node<'_>) -> (Option<Time>, String) {
        (node.waiting_since(), node.path())
    }
}

#[derive(Debug, Clone)]
struct LastByPath;

impl Policy for LastByPath {
    type Key = Reverse<String>;

    fn key(&self, node: &Node<'_>) -> Reverse<String> {
        Reverse(node.path())
    }
}

const ROLES: [&str; 5] = ["a", "a/x", "a/y", "b", "c/d"];

fn framework(id: &str, roles: &[&str]) -> Arc<Framework> {
    let named = |framework: Framework, role: &&str| framework.role(Role::new(*role).unwrap());
    Arc::new(roles.iter().fold(Framework::new(id), named))
}

fn agent(id: &str, resources: &str) -> Arc<Agent> {
    Arc::new(Agent::new(id, resources.parse().unwrap()))
}

/// Something that happens; a number chooses what it happens to.
fn happens() -> impl Strategy<Value = (u8, usize, usize)> {
    (0..8_u8, 0..6_usize, 0..5_usize)
}

/// An allocator with two agents, told what happens; returns all that it offers.
fn offers<R: Sorter + Clone, F: Sorter + Clone>(roles: R, members: F, steps: &[(u8, usize, usize)]) -> Vec<Holding> {
    let mut allocator = Hierarchical::new(Options::default(), roles, members);
    let (mut all, mut live, mut tasks): (Vec<Holding>, Vec<Holding>, Vec<Holding>) = Default::default();
    for (at, (verb, which, other)) in (1_u64..).zip(steps) {
        let (role, at) = (ROLES[*other], Time::from_secs(at));
        match verb {
            0 => drop(
                allocator.add_agent(&agent(&format!("n{which}"), ["cpus:3;mem:64", "cpus:1;mem:512"][which % 2]), &[]),
            ),
            1 => drop(allocator.add_framework(&framework(&format!("f{which}"), &[role, ROLES[which % 5]]), &[])),
            2 => allocator.set_weight(&Role::new(role).unwrap(), ["1", "2", "0.5"][which % 3].parse().unwrap()),
            3 => drop(allocator.remove_framework(&format!("f{which}").as_str().into())),
            4 if !live.is_empty() => {
                let offer = live.remove(which % live.len());
                let task: Resources = "cpus:1".parse().unwrap();
                let launched = [&task];
                let fits = offer.resources.contains(&task);
                allocator.end_offer(&offer, if fits { &launched } else { &[] }).unwrap();
                if fits {
                    tasks.push(Holding { resources: task, ..offer });
                }
            }
            5 if !tasks.is_empty() => allocator.end_task(&tasks.remove(which % tasks.len())).unwrap(),
            _ => {
                let made = allocator.allocate(at, None);
                all.extend_from_slice(&made);
                live.extend(made);
            }
        }
    }
    all
}

proptest! {
    #![proptest_config(tier(300))]

    #[test]
    fn drf_as_a_policy_is_drf(steps in prop::collection::vec(happens(), 1..80)) {
        let expected = offers(Drf::default(), Drf::default(), &steps);
        prop_assert_eq!(&offers(Ordered::new(Dominant), Ordered::new(Dominant), &steps), &expected);
        // In a box, and by name at run time, it is the same.
        let boxed: Box<dyn Sorter> = Box::new(Ordered::new(Dominant));
        prop_assert_eq!(&offers(boxed.clone(), boxed, &steps), &expected);
        let other = SorterChoice::other(Ordered::new(Dominant));
        prop_assert_eq!(&offers(other.clone(), other.within_roles(), &steps), &expected);
    }
}

/// Offers one agent at a time, and ends each offer at once; returns who was offered it.
fn turns<S: Sorter + Clone>(members: S, launches: impl Fn(&str) -> bool) -> Vec<String> {
    let mut allocator = Hierarchical::new(Options::default(), Drf::default(), members);
    for id in ["c", "a", "b"] {
        allocator.add_framework(&framework(id, &["r"]), &[]).unwrap();
    }
    allocator.add_agent(&agent("n", "cpus:9;mem:64"), &[]).unwrap();
    let mut turns = Vec::new();
    for at in 1..7 {
        let offer = allocator.allocate(Time::from_secs(at), None).pop().unwrap();
        let task = "cpus:1".parse().unwrap();
        let tasks = [&task];
        allocator.end_offer(&offer, if launches(offer.framework.as_str()) { &tasks } else { &[] }).unwrap();
        turns.push(offer.framework.to_string());
    }
    turns
}

#[test]
fn who_waits_longest_is_next() {
    assert_eq!(turns(Ordered::new(LongestWaiting), |_| true), ["a", "b", "c", "a", "b", "c"]);
    // One that launches nothing goes on waiting.
    assert_eq!(turns(Ordered::new(LongestWithoutTask), |id| id != "b"), ["a", "b", "b", "b", "b", "b"]);
}

#[test]
fn a_key_may_be_the_path() {
    assert_eq!(turns(Ordered::new(LastByPath), |_| true), ["c"; 6]);
    let frameworks = Ordered::new(LastByPath);
    let steps = [(1, 0, 1), (1, 1, 3), (1, 2, 4), (0, 0, 0), (6, 0, 0)];
    let first: Vec<Holding> = offers(Ordered::new(LastByPath), frameworks, &steps);
    let told: Vec<&str> = first.iter().map(|offer| offer.role.as_str()).collect();
    assert_eq!(told, ["c/d"], "the last path of all");
}
