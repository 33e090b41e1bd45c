//! Plans of level two.

use super::{Operation, each, whole};
use crate::report::{Failure, expect};
use apportion::constraint::Condition;
use apportion::placement::{App, Change, LivePlanner, Planner, Strategy};
use apportion::{Offer, Resources, Role};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new("plan-binpack", "a task of one app packed over n offers", 5_000, binpack),
    Operation::new("plan-nowhere", "an app that fits none of n offers, without its reasons", 5_000, nowhere),
    Operation::new("plan-apps", "a task of n apps of one, over 5,000 offers", 10_000, apps),
    Operation::new("plan-more", "10 more of an app of which n run, over 5,000 offers", 100_000, more),
    Operation::new("plan-group-by", "a task spread by hostname over n offers", 20_000, group_by),
    Operation::new("plan-live-binpack", "a plan of one more task, packed over n known offers", 5_000, live_binpack),
    Operation::new("plan-live-nowhere", "a plan of an app that fits none of n known offers", 5_000, live_nowhere),
    Operation::new("plan-live-more", "10 more of an app of which n run, over 5,000 known offers", 100_000, live_more),
];

fn offers(n: usize) -> Result<Vec<Offer>, Failure> {
    let offer = |i: usize| {
        let resources: Resources =
            format!("cpus:{}.{:03};mem:81920;ports:[31000-32000]", 4 + i % 3, i % 997).parse()?;
        let mut offer = Offer::new(format!("o{i}"), "f1", Role::default(), format!("host-{i}"), resources);
        offer.agent = format!("agent-{i}").into();
        Ok(offer)
    };
    (0..n).map(offer).collect()
}

/// Returns the seconds for each task that is placed.
fn plan(apps: &[App], offers: &[Offer], placed: usize) -> Result<f64, Failure> {
    let planner = Planner::new().without_reasons();
    whole(|| {
        let plan = planner.plan(apps, &[], offers);
        expect("plan", "launches", plan.launches.len() as u64, placed as u64)?;
        Ok(placed)
    })
}

fn binpack(n: usize) -> Result<f64, Failure> {
    let mut app = App::new("app").instances(n as u64);
    app.strategy = Strategy::by_name("binpack");
    plan(&[app], &offers(n)?, n)
}

fn nowhere(n: usize) -> Result<f64, Failure> {
    plan(&[App::new("app").cpus(apportion::Scalar::units(100))], &offers(n)?, 0)
}

fn apps(n: usize) -> Result<f64, Failure> {
    let apps: Vec<App> = (0..n).map(|i| App::new(format!("app-{i}"))).collect();
    plan(&apps, &offers(5_000)?, n)
}

fn more(n: usize) -> Result<f64, Failure> {
    let offers = offers(5_000)?;
    let small = || App::new("app").cpus(apportion::Scalar::milli(1)).mem(apportion::Scalar::units(1)).ports(Vec::new());
    let planner = Planner::new();
    let running: Vec<_> = planner
        .plan([&small().instances(n as u64)], &[], &offers)
        .launches
        .iter()
        .map(apportion::placement::Launch::running)
        .collect();
    expect("plan-more", "running", running.len() as u64, n as u64)?;
    let app = small().instances(n as u64 + 10);
    whole(|| {
        let plan = planner.plan([&app], &running, &offers);
        expect("plan-more", "launches", plan.launches.len() as u64, 10)?;
        Ok(1)
    })
}

fn group_by(n: usize) -> Result<f64, Failure> {
    let condition: Condition = format!("hostname GROUP_BY {n}")
        .parse()
        .map_err(|error: apportion::constraint::ConditionError| Failure::Arguments(error.to_string()))?;
    plan(&[App::new("app").instances(n as u64).require(condition)], &offers(n)?, n)
}

/// A living planner that knows n offers and one app.
fn live(n: usize, app: App) -> Result<LivePlanner, Failure> {
    let mut planner = LivePlanner::new(Planner::new().without_reasons());
    for offer in offers(n)? {
        apply(&mut planner, offer)?;
    }
    apply(&mut planner, app)?;
    Ok(planner)
}

fn apply(planner: &mut LivePlanner, change: impl Into<Change>) -> Result<(), Failure> {
    planner.apply(change).map_err(|error| Failure::Arguments(error.to_string()))
}

/// Returns the seconds of each plan of so many more tasks, of so many plans.
fn more_at_a_time(planner: &mut LivePlanner, before: usize, more: usize, times: u32) -> Result<f64, Failure> {
    each(times, |time| {
        apply(planner, Change::Scale { app: "/app".into(), instances: (before + (time + 1) * more) as u64 })?;
        expect("plan-live", "launches", planner.plan().launches.len() as u64, more as u64)
    })
}

fn live_binpack(n: usize) -> Result<f64, Failure> {
    let mut app = App::new("app").instances(0);
    app.strategy = Strategy::by_name("binpack");
    more_at_a_time(&mut live(n, app)?, 0, 1, 100)
}

fn live_nowhere(n: usize) -> Result<f64, Failure> {
    let mut planner = live(n, App::new("app").cpus(apportion::Scalar::units(100)))?;
    each(100, |_| expect("plan-live-nowhere", "launches", planner.plan().launches.len() as u64, 0))
}

fn live_more(n: usize) -> Result<f64, Failure> {
    let small = App::new("app").cpus(apportion::Scalar::milli(1)).mem(apportion::Scalar::units(1)).ports(Vec::new());
    let mut planner = live(5_000, small.instances(n as u64))?;
    expect("plan-live-more", "running", planner.plan().launches.len() as u64, n as u64)?;
    more_at_a_time(&mut planner, n, 10, 20)
}
