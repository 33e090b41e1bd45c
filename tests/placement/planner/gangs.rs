//! Gangs: all tasks of a group are launched, or none.

use super::{CASES, matcher, problem, told};
use crate::tier::tier;
use apportion::placement::{Plan, Problem};
use apportion::{OfferId, TaskId};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn of(apps: &str, offers: &[(&str, u32, &str)], groups: &[(&str, &str)]) -> Problem {
    let offer = |(id, cpus, attributes): &(&str, u32, &str)| {
        let hostname = id.replace('o', "h");
        format!(
            r#"{{"id": "{id}", "hostname": "{hostname}", "resources": "cpus:{cpus};mem:4096", "attributes": "{attributes}"}}"#
        )
    };
    let offers: Vec<String> = offers.iter().map(offer).collect();
    let mut problem: Problem = format!(r#"{{"apps": [{apps}], "offers": [{}]}}"#, offers.join(",")).parse().unwrap();
    for (app, group) in groups {
        problem.apps.iter_mut().find(|one| one.id == *app).unwrap().group = Some((*group).into());
    }
    problem
}

fn launched(plan: &Plan) -> Vec<(&str, &str)> {
    plan.launches.iter().map(|launch| (launch.id.as_str(), launch.offer.as_str())).collect()
}

#[test]
fn equal_ranks_go_over_several_offers_or_nowhere() {
    let mpi = r#"{"id": "mpi", "instances": 5, "ports": []}, {"id": "web", "instances": 2, "ports": []}"#;
    let groups = [("/mpi", "mpi")];
    let plan = of(mpi, &[("o1", 3, ""), ("o2", 2, "")], &groups).solve();
    assert_eq!(
        launched(&plan),
        ["1", "2", "3", "4", "5"].map(|n| (n, n)).map(|(n, _)| match n {
            "1" => ("mpi.1", "o1"),
            "2" => ("mpi.2", "o1"),
            "3" => ("mpi.3", "o1"),
            "4" => ("mpi.4", "o2"),
            _ => ("mpi.5", "o2"),
        })
    );

    // One rank too many: none runs, and what it would have taken is for others.
    let plan = of(mpi, &[("o1", 3, ""), ("o2", 1, "")], &groups).solve();
    assert_eq!(launched(&plan), [("web.1", "o1"), ("web.2", "o1")]);
    let waiting = &plan.unplaced[0];
    assert_eq!((waiting.app.as_str(), waiting.instances), ("/mpi", 5));
    let shortage = waiting.group.as_ref().unwrap();
    assert_eq!((shortage.needed, shortage.found, shortage.group.as_str()), (5, 4, "mpi"));
    // The reasons are those of the rank that found no place, beside the four that did.
    let details: Vec<_> =
        waiting.reasons.iter().map(|reason| format!("{}: {}", reason.offer, reason.barrier)).collect();
    assert_eq!(details, ["o1: 1 needed, 0 left", "o2: 1 needed, 0 left"]);
    assert_eq!(waiting.near_miss.as_ref().unwrap().to_string(), "1 more cpus on h1");
}

#[test]
fn members_are_placed_together_wherever_they_are_listed() {
    let apps = r#"{"id": "ps", "ports": []}, {"id": "other", "cpus": 2, "ports": []},
        {"id": "worker", "instances": 2, "ports": []}"#;
    let groups = [("/ps", "job"), ("/worker", "job")];
    let plan = of(apps, &[("o1", 4, "")], &groups).solve();
    assert_eq!(launched(&plan), [("ps.1", "o1"), ("worker.1", "o1"), ("worker.2", "o1")]);
    assert_eq!(plan.unplaced[0].app, "/other");
    let plan = of(apps, &[("o1", 2, "")], &groups).solve();
    assert_eq!(launched(&plan), [("other.1", "o1")]);
    let waiting: Vec<_> =
        plan.unplaced.iter().map(|one| (one.app.as_str(), one.instances, one.reasons.len())).collect();
    assert_eq!(waiting, [("/ps", 1, 0), ("/worker", 2, 1)]);
}

#[test]
fn ranks_that_must_be_together_find_the_rack_that_holds_them_all() {
    let mpi = r#"{"id": "mpi", "instances": 3, "ports": [], "constraints": [["rack", "CLUSTER"]]}"#;
    let offers = [("o1", 2, "rack:r1"), ("o2", 2, "rack:r2"), ("o3", 1, "rack:r2"), ("o4", 9, "")];
    let plan = of(mpi, &offers, &[("/mpi", "mpi")]).solve();
    assert_eq!(launched(&plan), [("mpi.1", "o2"), ("mpi.2", "o2"), ("mpi.3", "o3")]);
    assert!(of(mpi, &offers[..2], &[("/mpi", "mpi")]).solve().launches.is_empty());
}

#[test]
fn large_members_may_go_first() {
    let apps = r#"{"id": "small", "instances": 2, "ports": []}, {"id": "large", "cpus": 3, "ports": []}"#;
    let plan = of(apps, &[("o1", 3, ""), ("o2", 2, "")], &[("/small", "g"), ("/large", "g")]).solve();
    assert_eq!(launched(&plan), [("large.1", "o1"), ("small.1", "o2"), ("small.2", "o2")]);
}

#[test]
fn what_runs_already_is_not_waited_for() {
    let mut problem = of(r#"{"id": "mpi", "instances": 3, "ports": []}"#, &[("o1", 1, "")], &[("/mpi", "mpi")]);
    let running = |id: &str| {
        apportion::placement::Running::new("mpi", TaskId::from(id), apportion::constraint::Location::new("h9"))
    };
    problem.running = vec![running("mpi.1"), running("mpi.2")];
    assert_eq!(launched(&problem.solve()), [("mpi.3", "o1")]);
}

proptest! {
    #![proptest_config(tier(CASES))]

    /// Of a group all are launched or none; an app alone in its group is launched as ever, or not at all; and what a group
    /// that was given up leaves is as if it had never been there.
    #[test]
    fn groups_are_whole(json in problem(), groups in prop::collection::vec(0_u8..3, 3)) {
        let mut problem = Problem::from_json(&json).unwrap();
        for (app, group) in problem.apps.iter_mut().zip(&groups) {
            app.group = (*group > 0).then(|| format!("g{group}").into());
        }
        let plan = problem.solve();
        prop_assert_eq!(&plan, &problem.solve());
        let mut waits: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for app in problem.apps.iter().filter(|app| app.group.is_some()) {
            let counts = waits.entry(app.group.as_deref().unwrap()).or_default();
            counts.0 += plan.launches.iter().filter(|launch| launch.app == app.id).count() as u64;
            counts.1 += plan.unplaced.iter().filter(|one| one.app == app.id).map(|one| one.instances).sum::<u64>();
        }
        for (group, (launched, waiting)) in waits {
            prop_assert!(launched == 0 || waiting == 0, "{group}: {launched} of {}: {json}", launched + waiting);
        }
        // Without the groups that were given up, the plan is the same.
        let given_up = |app: &str| plan.unplaced.iter().any(|one| one.app == app && one.group.is_some());
        let mut others = problem.clone();
        let mut idle = Vec::new();
        for app in others.apps.iter_mut().filter(|app| given_up(&app.id)) {
            app.instances = 0;
            idle.push(app.id.clone());
        }
        let offers = |plan: &Plan| plan.launches.iter().map(|l| (l.offer.clone(), l.id.clone())).collect::<Vec<(OfferId, TaskId)>>();
        prop_assert_eq!(offers(&plan), offers(&others.solve()), "{}", json);
        // A plan in which no group was given up, each of one app, is the plan without groups.
        let alone = groups.iter().filter(|group| **group > 0).count() < 2;
        if alone && idle.is_empty() {
            others.apps.iter_mut().for_each(|app| app.group = None);
            let slow = matcher::answer(&others);
            if slow.unplaced.iter().all(|(app, ..)| plan.unplaced.iter().any(|one| one.app == *app)) {
                prop_assert_eq!(told(&plan).launches, slow.launches, "{}", json);
            }
        }
    }
}
