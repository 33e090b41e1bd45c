//! The planner against a slow, obvious matcher, on random problems: the same launches, ports, ids, declines and reasons.
//!
//! `PROPTEST_CASES=100000 cargo test --release --test placement planner` tries as many as one likes.

#![expect(clippy::unwrap_used, clippy::unreachable, reason = "a test may fail")]
#![expect(clippy::wildcard_enum_match_arm, reason = "what a match here does not name makes no difference to it")]
#![expect(clippy::cast_precision_loss, reason = "few tasks are few enough for a double")]

mod gangs;
mod living;
mod matcher;
mod near_misses;
mod problems;

use crate::tier::tier;
use apportion::placement::{App, Plan, Problem};
use matcher::Answer;
use problems::problem;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Number of problems in the short tier.
const CASES: u32 = 1_000;

/// The label that says what else the tasks of an app take: problems have no words for that.
const ASK: &str = "ask";

/// Reads a problem, with what its apps ask for by a label.
fn read(problem: &serde_json::Value) -> Problem {
    let mut problem = Problem::from_json(problem).unwrap();
    let with_ask = |app: App| match app.labels.get(ASK) {
        Some(ask) => {
            let ask = ask.parse().unwrap();
            app.ask(ask)
        }
        None => app,
    };
    problem.apps = problem.apps.into_iter().map(with_ask).collect();
    problem
}

/// A plan in the matcher's words.
fn told(plan: &Plan) -> Answer {
    let launches = plan.launches.iter().map(|launch| {
        let (offer, app, id) = (launch.offer.to_string(), launch.app.to_string(), launch.id.to_string());
        (offer, app, id, launch.resources.clone(), launch.ports.clone())
    });
    let unplaced = plan.unplaced.iter().map(|waiting| {
        let mut kinds: Vec<(String, BTreeSet<&'static str>)> = Vec::new();
        for reason in &waiting.reasons {
            let offer = reason.offer.to_string();
            match kinds.last_mut() {
                Some((last, kinds)) if *last == offer => drop(kinds.insert(reason.barrier.kind())),
                _ => kinds.push((offer, [reason.barrier.kind()].into())),
            }
        }
        (waiting.app.to_string(), waiting.instances, kinds)
    });
    Answer {
        launches: launches.collect(),
        declines: plan.declines.iter().map(ToString::to_string).collect(),
        unplaced: unplaced.collect(),
    }
}

proptest! {
    #![proptest_config(tier(CASES))]

    #[test]
    fn planner_and_matcher_agree(problem in problem()) {
        let read = read(&problem);
        prop_assert_eq!(told(&read.solve()), matcher::answer(&read), "{}", problem);
    }
}
