//! Constraints and fitnesses of one's own: the program that plugs in one of each, and that the planner, which remembers what
//! it may, treats them like those that are built in.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use crate::tier::tier;
use apportion::constraint::{Candidate, Clause, Condition, Constraint, Placed, Scope, Verdict};
use apportion::placement::{App, Fitness, Plan, Planner, Prospect, Strategy};
use apportion::{Offer, OfferId, Role};
use proptest::prelude::{Strategy as Generator, *};
use std::process::Command;

#[test]
fn the_program_takes_licences_and_prices_into_account() {
    let test = std::env::current_exe().unwrap();
    let name = format!("own_rules{}", std::env::consts::EXE_SUFFIX);
    let run = Command::new(test.ancestors().nth(2).unwrap().join("examples").join(name)).output().unwrap();
    let told = String::from_utf8(run.stdout).unwrap();
    // 0.05 on spot-1, 0.06 on spot-2: the first holds two, the second one, and there are licences for no third host.
    for line in ["solver.1   on spot-1", "solver.2   on spot-1", "solver.3   on spot-2", "web.1      on on-demand"] {
        assert!(told.contains(line), "{told}");
    }
    assert!(told.contains("on-demand: Licences(2): all 2 licences are in use on other hosts"), "{told}");
    let source = include_str!("../../examples/own_rules.rs");
    assert!(source.lines().count() < 80);
}

/// A condition behind a seam: the planner knows no more of it than it says.
#[derive(Debug)]
struct Hidden(Clause, Scope);

impl Constraint for Hidden {
    fn check(&self, candidate: &Candidate<'_>, placed: &Placed) -> Verdict {
        self.0.check(candidate, placed)
    }

    fn scope(&self) -> Scope {
        self.1
    }
}

/// The built-in packing behind a seam.
#[derive(Debug)]
struct Packed {
    depends_on_load_only: bool,
}

impl Fitness for Packed {
    fn score(&self, prospect: &Prospect<'_>) -> f64 {
        Strategy::by_name("binpack").unwrap().score(prospect)
    }

    fn tie_break(&self, prospect: &Prospect<'_>) -> f64 {
        Strategy::by_name("binpack").unwrap().tie_break(prospect)
    }

    fn depends_on_load_only(&self) -> bool {
        self.depends_on_load_only
    }
}

/// Takes the first place with four cpus left or more, and the one with the most if there is none.
#[derive(Debug)]
struct Roomy;

impl Fitness for Roomy {
    fn score(&self, prospect: &Prospect<'_>) -> f64 {
        prospect.left.amount("cpus").as_f64()
    }

    fn is_good_enough(&self, score: f64) -> bool {
        score >= 4.0
    }
}

fn offer(number: usize, cpus: u64, rack: u64) -> Offer {
    let resources = format!("cpus:{cpus};mem:10000").parse().unwrap();
    let mut offer = Offer::new(format!("o{number}"), "f", Role::default(), format!("h{}", number / 2 * 2), resources);
    offer.attributes = format!("rack:r{rack}").parse().unwrap();
    offer
}

/// Instances, what is asked for or wished for, and cpus.
type Asked = (u64, Vec<(Clause, bool)>, u64);

fn launched(plan: &Plan) -> Vec<OfferId> {
    plan.launches.iter().map(|launch| launch.offer.clone()).collect()
}

#[test]
fn what_is_good_enough_ends_the_search() {
    let offers = [offer(0, 2, 0), offer(2, 5, 0), offer(4, 9, 0)];
    let app = App::new("a").instances(4).ports(vec![]);
    let plan = Planner::new().strategy(Strategy::custom(Roomy)).plan([&app], &[], &offers);
    assert_eq!(launched(&plan), ["o2", "o2", "o4", "o4"].map(OfferId::from));
    assert!(plan.unplaced.is_empty());
}

fn clause() -> impl Generator<Value = Clause> {
    let texts = vec![
        "rack IS r1",
        "rack IN r0,r2",
        "rack UNIQUE",
        "rack MAX_PER 2",
        "rack CLUSTER",
        "hostname UNIQUE",
        "hostname MAX_PER 2",
        "@app IS /a0",
        "@app IS_NOT /a0",
        "@app ABSENT",
        "@task LIKE .*[12]",
    ];
    let leaf = prop::sample::select(texts).prop_map(|text| Clause::from(text.parse::<Condition>().unwrap()));
    leaf.prop_recursive(2, 4, 2, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3).prop_map(Clause::Any),
            prop::collection::vec(inner.clone(), 1..3).prop_map(Clause::All),
            inner.prop_map(|clause| Clause::Not(Box::new(clause))),
        ]
    })
}

proptest! {
    #![proptest_config(tier(1_000))]

    #[test]
    fn rules_of_ones_own_are_treated_like_those_that_are_built_in(
        apps in prop::collection::vec((1_u64..6, prop::collection::vec((clause(), any::<bool>()), 0..3), 1_u64..3), 1..4),
        offers in prop::collection::vec((1_u64..6, 0_u64..3), 0..9), packs in any::<bool>(),
    ) {
        let offers: Vec<Offer> = offers.iter().enumerate().map(|(i, (cpus, rack))| offer(i, *cpus, *rack)).collect();
        let planned = |hide: &dyn Fn(&Clause) -> Clause, strategy: Strategy| {
            let app = |(i, (instances, clauses, cpus)): (usize, &Asked)| {
                let mut app = App::new(format!("a{i}")).instances(*instances).cpus(apportion::Scalar::units(*cpus)).ports(vec![]);
                for (clause, is_wish) in clauses {
                    app = if *is_wish { app.prefer(hide(clause).soften(Default::default())) } else { app.require(hide(clause)) };
                }
                app
            };
            let apps: Vec<App> = apps.iter().enumerate().map(app).collect();
            let strategy = if packs { strategy } else { Strategy::First };
            launched(&Planner::new().strategy(strategy).plan(&apps, &[], &offers))
        };
        let plain = planned(&Clause::clone, Strategy::by_name("binpack").unwrap());
        let own = |depends_on_load_only| Strategy::custom(Packed { depends_on_load_only });
        let secret = planned(&|clause| Clause::custom(Hidden(clause.clone(), Scope::Cluster)), own(false));
        prop_assert_eq!(&secret, &plain);
        let open = planned(&|clause| Clause::custom(Hidden(clause.clone(), clause.scope())), own(true));
        prop_assert_eq!(&open, &plain);
    }
}
