//! `quota`: roles with a guarantee and a limit of half an agent, or of two agents.

use crate::Arguments;
use crate::cluster::{Cluster, agents, framework_id, timed};
use crate::report::{Failure, Report, Step, expect};
use apportion::allocator::{Allocator, Quota};
use apportion::{Framework, Limits, Quantities, Resources, Role, Scalar};
use indexmap::IndexMap;
use std::sync::Arc;

/// Returns that many cpus, and 1024 times as many MB of memory and disk.
fn amounts(units: u64) -> [(&'static str, Scalar); 3] {
    [("cpus", Scalar::units(units)), ("mem", Scalar::units(units * 1024)), ("disk", Scalar::units(units * 1024))]
}

/// One role in six is large. Agents are added first, then frameworks, then quotas. One allocation satisfies all quotas,
/// however it splits the agents, and a second one finds nothing to do.
pub(crate) fn quota(arguments: &Arguments, report: &Report) -> Result<(), Failure> {
    let (count, roles) = (arguments.agents(), arguments.roles());
    let large = roles / 6;
    let small = roles - large;
    let needed = (small + 4 * large).div_ceil(2);
    if needed > count {
        let why = format!("{roles} roles need {needed} agents, found {count}");
        return Err(Failure::Arguments(why));
    }
    let units = |number: usize| if number < small { 1 } else { 4 };
    let role = |number: usize| Role::new(format!("{}{number}", if number < small { "small" } else { "large" }));
    let roles = (0..roles).map(role).collect::<Result<Vec<_>, _>>()?;

    let mut cluster = Cluster::new(arguments);
    let total: Resources = "cpus:2;mem:2048;disk:2048".parse()?;
    let agents = agents(&total, count);
    let (done, seconds) = timed(|| agents.iter().try_for_each(|agent| cluster.allocator.add_agent(agent, &[])));
    done?;
    report.step(&Step { step: "add agents", seconds, ..Step::default() })?;
    let framework = |(number, role): (usize, &Role)| Framework::new(framework_id(number)).role(role.clone());
    let frameworks: Vec<_> = roles.iter().enumerate().map(framework).map(Arc::new).collect();
    let (done, seconds) = timed(|| frameworks.iter().try_for_each(|new| cluster.allocator.add_framework(new, &[])));
    done?;
    report.step(&Step { step: "add frameworks", seconds, ..Step::default() })?;
    let (done, seconds) = timed(|| {
        roles.iter().enumerate().try_for_each(|(number, role)| {
            let amounts = amounts(units(number));
            let quota = Quota::new(Quantities::from_iter(amounts), Limits::from_iter(amounts));
            cluster.allocator.set_quota(role, quota).map(drop)
        })
    });
    done?;
    report.step(&Step { step: "set quotas", seconds, ..Step::default() })?;

    for number in 0..arguments.rounds(2) {
        let allocation = cluster.batch();
        let (seconds, offers) = (allocation.seconds, allocation.offers);
        report.step(&Step { step: "cycle", round: Some(number), seconds, offers, ..Step::default() })?;
        if number > 0 {
            allocation.expect("empty cycle", 0, 0)?;
        }
    }
    check(&cluster, small, large, &roles, units)
}

/// Checks that every role was offered exactly its quota: a small one in one offer, a large one in two, or in three where its
/// agents had been split before.
fn check(
    cluster: &Cluster,
    small: usize,
    large: usize,
    roles: &[Role],
    units: impl Fn(usize) -> u64,
) -> Result<(), Failure> {
    let mut got: IndexMap<&Role, Quantities> = IndexMap::new();
    for offer in &cluster.live {
        let sum = got.entry(&offer.role).or_default();
        offer.resources.quantities().iter().for_each(|(name, amount)| sum.add(name, amount));
    }
    for (number, role) in roles.iter().enumerate() {
        for (name, amount) in amounts(units(number)) {
            let found = got.get(role).map_or(Scalar::ZERO, |got| got.amount(name));
            expect(&format!("{role} in {name}"), "thousandths", found.as_milli(), amount.as_milli())?;
        }
    }
    let offers = cluster.live.len();
    expect("cycle", "offers", offers as u64, offers.clamp(small + 2 * large, small + 3 * large) as u64)
}
