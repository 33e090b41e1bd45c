//! Reasons are true: leave the first ones out of a cluster's description, and the rest is what is told;
//! leave all of them out, and the offer follows.
//!
//! The cluster is built anew from its description each time, so nothing here depends on how `explain`
//! itself takes a reason away.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::wildcard_enum_match_arm, reason = "what cannot be left out ends the walk")]

use crate::tier::tier;
use apportion::allocator::{Allocator, Explain, Hierarchical, Holding, Options, Quota, Reason, SorterChoice};
use apportion::{
    Agent, AgentId, Capability, Domain, Framework, FrameworkId, Limits, OfferConstraints, Quantities, Request,
    Resources, Role, Scalar, Time,
};
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

const NOW: Time = Time::from_secs(10);
const ROLES: [&str; 3] = ["a", "a/b", "c"];

/// A cluster, as one would describe it.
#[derive(Debug, Clone)]
struct Spec {
    agents: Vec<AgentSpec>,
    frameworks: Vec<FrameworkSpec>,
    whitelist: Option<Vec<usize>>,
    quotas: Vec<QuotaSpec>,
    refusals: Vec<Refusal>,
}

#[derive(Debug, Clone)]
struct AgentSpec {
    resources: &'static str,
    active: bool,
    remote: bool,
    labelled: bool,
    /// What a task of some framework holds, under its first role.
    held: Option<(usize, &'static str)>,
}

#[derive(Debug, Clone)]
struct FrameworkSpec {
    roles: Vec<usize>,
    active: bool,
    suppressed: Vec<usize>,
    /// What it has requested under its first role.
    request: Option<RequestSpec>,
    /// The minimum under its first role in place of the request's.
    least: Option<u64>,
    /// Whether it wants no offers at a time.
    full: bool,
    constrained: bool,
    minimum: Option<u64>,
    /// Roles under which anything goes.
    relaxed: Vec<usize>,
    capabilities: Vec<Capability>,
}

#[derive(Debug, Clone)]
struct RequestSpec {
    each: Option<u64>,
    agent: Option<usize>,
}

#[derive(Debug, Clone)]
struct QuotaSpec {
    role: usize,
    guarantee: u64,
    limit: Option<u64>,
}

#[derive(Debug, Clone)]
struct Refusal {
    framework: usize,
    agent: usize,
    resources: &'static str,
    /// Roles under which it was taken back.
    lifted: Vec<usize>,
}

/// The place that is asked about.
#[derive(Debug, Clone, Copy)]
struct Asked {
    framework: usize,
    role: usize,
    agent: usize,
}

fn role(ix: usize) -> Role {
    Role::new(ROLES[ix]).unwrap()
}

fn framework_id(ix: usize) -> FrameworkId {
    FrameworkId::from(format!("f{ix}"))
}

fn agent_id(ix: usize) -> AgentId {
    AgentId::from(format!("s{ix}"))
}

fn amounts(cpus: u64) -> Quantities {
    Quantities::from_iter([("cpus", Scalar::units(cpus))])
}

impl Spec {
    fn build(&self) -> Hierarchical {
        let mut options = Options::default();
        options.domain = Some(Domain { region: "eu".into(), zone: "a".into() });
        let mut allocator = Hierarchical::new(options, SorterChoice::default(), SorterChoice::default());
        for (ix, framework) in self.frameworks.iter().enumerate() {
            allocator.add_framework(&Arc::new(framework.build(ix)), &[]).unwrap();
        }
        for (ix, agent) in self.agents.iter().enumerate() {
            let held = agent.held.map(|(framework, resources)| Holding {
                framework: framework_id(framework),
                role: role(self.frameworks[framework].roles[0]),
                agent: agent_id(ix),
                resources: resources.parse().unwrap(),
            });
            let held: Vec<Holding> = held.into_iter().collect();
            allocator.add_agent(&Arc::new(agent.build(ix)), &held).unwrap();
            allocator.set_agent_active(&agent_id(ix), agent.active).unwrap();
        }
        for (ix, framework) in self.frameworks.iter().enumerate() {
            if let Some(wanted) = &framework.request {
                let mut request = Request::offers(2);
                request.each = wanted.each.map(amounts);
                request.agents.extend(wanted.agent.map(agent_id));
                allocator.request(&framework_id(ix), &[role(framework.roles[0])], &request).unwrap();
            }
            allocator.set_framework_active(&framework_id(ix), framework.active).unwrap();
        }
        let hosts = |hosts: &Vec<usize>| hosts.iter().map(|ix| format!("s{ix}").into()).collect();
        allocator.set_whitelist(self.whitelist.as_ref().map(hosts));
        for quota in &self.quotas {
            let limits = quota.limit.map(|limit| ("cpus", Scalar::units(limit)));
            let quota_of = Quota::new(amounts(quota.guarantee), Limits::from_iter(limits));
            // A description may contradict itself: such a quota is not there at all, in all its variants.
            let _ = allocator.set_quota(&role(quota.role), quota_of);
        }
        for refusal in &self.refusals {
            let roles = self.frameworks[refusal.framework].roles.iter();
            for role_ix in roles.filter(|role| !refusal.lifted.contains(role)) {
                let refused = Holding {
                    framework: framework_id(refusal.framework),
                    role: role(*role_ix),
                    agent: agent_id(refusal.agent),
                    resources: refusal.resources.parse().unwrap(),
                };
                allocator.refuse(&refused, Time::from_secs(99)).unwrap();
            }
        }
        allocator
    }

    /// Leaves out what a reason names; false if there is nothing to leave out.
    fn without(&mut self, asked: Asked, reason: &Reason) -> bool {
        let framework = &mut self.frameworks[asked.framework];
        match reason {
            Reason::AgentInactive => self.agents[asked.agent].active = true,
            Reason::NotWhitelisted { .. } => self.whitelist = None,
            Reason::FrameworkInactive => framework.active = true,
            Reason::Suppressed => framework.suppressed.retain(|role| *role != asked.role),
            // As if it were not suppressed, and wanted so much of each offer.
            Reason::Requested { .. } => {
                framework.suppressed.retain(|role| *role != asked.role);
                framework.least = framework.request.take().and_then(|request| request.each);
            }
            Reason::MaxOffers { .. } => framework.full = false,
            Reason::OfferConstraints => framework.constrained = false,
            Reason::MinAllocatable { .. } => framework.relaxed.push(asked.role),
            Reason::Capability { capability } => framework.capabilities.push(*capability),
            Reason::Region { .. } => framework.capabilities.push(Capability::RegionAware),
            Reason::QuotaLimit { role, .. } => {
                let limited = self.quotas.iter_mut().filter(|quota| ROLES[quota.role] == role.as_str());
                limited.for_each(|quota| quota.limit = None);
            }
            Reason::Headroom { .. } => self.quotas.iter_mut().for_each(|quota| quota.guarantee = 0),
            Reason::Filtered { .. } => {
                let its = self.refusals.iter_mut().filter(|refusal| refusal.framework == asked.framework);
                its.for_each(|refusal| refusal.lifted.push(asked.role));
            }
            Reason::Outranked { framework, role, .. } => {
                let ix: usize = framework.as_str()[1..].parse().unwrap();
                let role = ROLES.iter().position(|known| *known == role.as_str()).unwrap();
                self.frameworks[ix].suppressed.push(role);
                if self.frameworks[ix].roles[0] == role {
                    self.frameworks[ix].request = None;
                }
            }
            _ => return false,
        }
        true
    }
}

impl FrameworkSpec {
    fn build(&self, ix: usize) -> Framework {
        let mut framework = Framework::new(framework_id(ix));
        framework.roles = self.roles.iter().map(|ix| role(*ix)).collect();
        framework.suppressed = framework.roles.clone();
        framework.suppressed.retain(|role| self.suppressed.iter().any(|ix| ROLES[*ix] == role.as_str()));
        framework.capabilities.clone_from(&self.capabilities);
        framework.max_offers = self.full.then_some(0);
        for role_ix in &self.roles {
            let given = self.minimum.map(|cpus| vec![amounts(cpus)]);
            let given = self.least.filter(|_| *role_ix == self.roles[0]).map(|cpus| vec![amounts(cpus)]).or(given);
            let minimum = if self.relaxed.contains(role_ix) { Some(Vec::new()) } else { given };
            framework.offer_filters.extend(minimum.map(|minimum| (role(*role_ix), minimum)));
        }
        if self.constrained {
            let label = json!({"selector": {"attribute_name": "label"}, "predicate": {"exists": {}}});
            let groups = json!({"groups": [{"attribute_constraints": [label]}]});
            let of_roles: serde_json::Map<_, _> =
                framework.roles.iter().map(|role| (role.to_string(), groups.clone())).collect();
            framework.offer_constraints = OfferConstraints::from_v1(json!({"role_constraints": of_roles})).unwrap();
        }
        framework
    }
}

impl AgentSpec {
    fn build(&self, ix: usize) -> Agent {
        let total: Resources = self.resources.parse().unwrap();
        let mut agent = Agent::new(agent_id(ix), total).domain(if self.remote { "us" } else { "eu" }, "a");
        if self.labelled {
            agent = agent.attribute("label", "x");
        }
        agent
    }
}

fn often() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.8)
}

fn seldom() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.2)
}

fn spec() -> impl Strategy<Value = Spec> {
    let totals =
        ["cpus:4;mem:64", "cpus:4;cpus(a):2", "cpus(c):4", "cpus:4;gpus:1", "cpus:1;mem:16", "mem:256;ports:[1-9]"];
    let agent = (
        prop::sample::select(totals.to_vec()),
        often(),
        seldom(),
        any::<bool>(),
        prop::option::weighted(0.4, (0_usize..3, prop::sample::select(vec!["cpus:1", "cpus:4;mem:64"]))),
    );
    let agent = agent.prop_map(|(resources, active, remote, labelled, held)| AgentSpec {
        resources,
        active,
        remote,
        labelled,
        held,
    });
    let framework = (
        prop::sample::subsequence(vec![0, 1, 2], 1..=2),
        often(),
        prop::sample::subsequence(vec![0, 1, 2], 0..=1),
        seldom(),
        prop::option::weighted(0.3, 1_u64..6),
        prop::sample::subsequence(vec![Capability::GpuResources, Capability::RegionAware], 0..=2),
        prop::option::weighted(0.4, (prop::option::of(1_u64..6), prop::option::weighted(0.3, 0_usize..2))),
        prop::bool::weighted(0.1),
    );
    let framework =
        framework.prop_map(|(roles, active, mut suppressed, constrained, minimum, capabilities, request, full)| {
            let request = request.map(|(each, agent)| RequestSpec { each, agent });
            if request.is_some() {
                suppressed.push(roles[0]);
            }
            let (relaxed, least) = (Vec::new(), None);
            FrameworkSpec {
                roles,
                active,
                suppressed,
                request,
                least,
                full,
                constrained,
                minimum,
                relaxed,
                capabilities,
            }
        });
    let quota = (prop::sample::select(vec![0, 2]), 0_u64..6, prop::option::of(0_u64..8));
    let quota = quota.prop_map(|(role, guarantee, limit)| QuotaSpec { role, guarantee, limit });
    let refusal =
        (0_usize..3, 0_usize..2, prop::sample::select(vec!["cpus:4;mem:64", "cpus:9;mem:512;gpus:1;cpus(a):9"]));
    let refusal =
        refusal.prop_map(|(framework, agent, resources)| Refusal { framework, agent, resources, lifted: Vec::new() });
    (
        prop::collection::vec(agent, 2),
        prop::collection::vec(framework, 3),
        prop::option::weighted(0.2, prop::sample::subsequence(vec![0, 1], 0..=2)),
        prop::collection::vec(quota, 0..2),
        prop::collection::vec(refusal, 0..3),
    )
        .prop_map(|(agents, frameworks, whitelist, quotas, refusals)| Spec {
            agents,
            frameworks,
            whitelist,
            quotas,
            refusals,
        })
}

fn kinds(reasons: &[Reason]) -> Vec<&'static str> {
    reasons.iter().map(Reason::kind).collect()
}

proptest! {
    #![proptest_config(tier(2_000))]

    #[test]
    fn all_agents_together_have_the_reasons_of_each(spec in spec(), framework in 0_usize..3) {
        let asked = role(spec.frameworks[framework].roles[0]);
        let allocator = spec.build();
        let mut expected: BTreeMap<&str, usize> = BTreeMap::new();
        for agent in 0..spec.agents.len() {
            let reasons = allocator.explain(NOW, &framework_id(framework), &asked, &agent_id(agent)).unwrap();
            let mut told = kinds(&reasons);
            told.dedup_by(|a, b| a == b && *a == "outranked"); // only the first one of each agent is told
            told.iter().for_each(|kind| *expected.entry(kind).or_default() += 1);
        }
        let mut found: BTreeMap<&str, usize> = BTreeMap::new();
        for (reason, agents) in allocator.explain_all(NOW, &framework_id(framework), &asked).unwrap() {
            *found.entry(reason.kind()).or_default() += agents;
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn each_reason_taken_away_leaves_the_next_one_or_the_offer(mut spec in spec(), framework in 0_usize..3, agent in 0_usize..2) {
        let asked = Asked { framework, role: spec.frameworks[framework].roles[0], agent };
        let explain = |spec: &Spec| {
            spec.build().explain(NOW, &framework_id(framework), &role(asked.role), &agent_id(agent)).unwrap()
        };
        let reasons = explain(&spec);
        prop_assert!(!reasons.is_empty());
        for (ix, reason) in reasons.iter().enumerate() {
            let told = explain(&spec);
            let mut expected = kinds(&reasons[ix..]);
            if ix > 0 && expected == ["requested"] {
                expected.push("starved"); // a request alone prevents nothing
            }
            prop_assert_eq!(kinds(&told), expected, "after {:?} of {:?}", &reasons[..ix], reasons);
            if !spec.without(asked, reason) {
                break;
            }
        }
        let last = reasons.last().unwrap();
        if !matches!(last, Reason::NothingAvailable { .. } | Reason::Reserved { .. }) {
            let offers = spec.build().allocate(NOW, Some(&agent_id(agent)));
            let its = |offer: &Holding| offer.framework == framework_id(framework) && offer.role == role(asked.role);
            prop_assert!(offers.iter().any(its), "{:?} but {:?}", reasons, offers);
        }
    }
}
