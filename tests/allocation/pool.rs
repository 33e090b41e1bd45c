//! The pool against a plain, slow model: the same grants, denials and leases, and accounts that agree with the leases.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use crate::tier::tier;
use apportion::allocator::{
    AgentChoice, Claim, ClaimId, Denied, Hierarchical, Lease, LeaseId, Options, Pool, PoolError, Quota, SorterChoice,
    Weight,
};
use apportion::{Agent, AgentId, Capability, Framework, Quantities, Resources, Role, Scalar, Time};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Number of sequences in the short tier.
const CASES: u32 = 400;

const NAMES: [&str; 2] = ["cpus", "gpus"];

/// Frameworks, and the role of each; two share one.
const FRAMEWORKS: [(&str, &str); 4] = [("f1", "a"), ("f2", "a"), ("g", "b"), ("h", "c")];

#[derive(Debug, Clone)]
enum Move {
    AddAgent(usize, &'static str),
    RemoveAgent(usize),
    SetActive(usize, bool),
    RemoveFramework(usize),
    SetFrameworkActive(usize, bool),
    Weight(usize, u64),
    Quota(usize, u64, Option<u64>),
    Claim(usize, &'static str, Option<u64>),
    ClaimAll(Vec<(usize, &'static str)>),
    Wait(usize, &'static str, Option<u64>),
    Cancel(usize),
    Release(usize),
    Allocate(u64),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let agent = || 0..4_usize;
    let framework = || 0..FRAMEWORKS.len();
    let total = prop::sample::select(vec![
        "cpus:4;gpus:2",
        "cpus:8;ports:[1-3]",
        "cpus:2;cpus(a):3;gpus:4",
        "cpus:3;cpus(b):2;ports:[1-2]",
    ]);
    let ask = || {
        prop::sample::select(vec![
            "cpus:1",
            "cpus:1",
            "cpus:2",
            "cpus:3.5",
            "gpus:1;cpus:1",
            "gpus:2",
            "ports:1",
            "cpus(a):1",
            "x:1",
        ])
    };
    let until = || prop::option::weighted(0.3, 1..30_u64);
    let one = prop_oneof![
        4 => (agent(), total).prop_map(|(agent, total)| Move::AddAgent(agent, total)),
        1 => agent().prop_map(Move::RemoveAgent),
        1 => (agent(), any::<bool>()).prop_map(|(agent, active)| Move::SetActive(agent, active)),
        1 => framework().prop_map(Move::RemoveFramework),
        1 => (framework(), any::<bool>()).prop_map(|(framework, active)| Move::SetFrameworkActive(framework, active)),
        1 => (0..3_usize, 1..4_u64).prop_map(|(role, weight)| Move::Weight(role, weight)),
        2 => (0..3_usize, 0..5_u64, prop::option::of(5..9_u64)).prop_map(|(role, least, most)| Move::Quota(role, least, most)),
        12 => (framework(), ask(), until()).prop_map(|(framework, ask, until)| Move::Claim(framework, ask, until)),
        2 => prop::collection::vec((framework(), ask()), 1..4).prop_map(Move::ClaimAll),
        6 => (framework(), ask(), until()).prop_map(|(framework, ask, until)| Move::Wait(framework, ask, until)),
        1 => (0..4_usize).prop_map(Move::Cancel),
        5 => (0..8_usize).prop_map(Move::Release),
        4 => (0..5_u64).prop_map(Move::Allocate),
    ];
    prop::collection::vec(one, 1..60)
}

/// What the model knows: plain lists, from which everything is worked out anew each time.
#[derive(Debug, Clone, Default)]
struct Model {
    /// As they were added: id, total, whether it is active.
    agents: Vec<(String, Resources, bool)>,
    /// Whether each framework is there, and active.
    frameworks: BTreeMap<usize, bool>,
    /// How often each framework was granted something since it came.
    grants: BTreeMap<usize, u64>,
    /// The same of each role, since it has frameworks.
    role_grants: BTreeMap<&'static str, u64>,
    weights: BTreeMap<String, u64>,
    quotas: BTreeMap<String, (u64, Option<u64>)>,
    /// Number, framework, agent, resources, end.
    leases: Vec<(u64, usize, String, Resources, Option<u64>)>,
    /// Number, framework, what it asks for, end.
    waiting: Vec<(u64, usize, Resources, Option<u64>)>,
    packs: bool,
    now: u64,
    last: u64,
}

/// The answer to a claim: agent and resources; or false if there is no room, true if others come first.
type Answer = Result<(String, Resources), bool>;

impl Model {
    fn available(&self, agent: &str) -> Resources {
        let total = self.agents.iter().find(|(id, ..)| id == agent).unwrap().1.clone();
        let here = self.leases.iter().filter(|(_, _, on, ..)| on == agent);
        here.fold(total, |left, (_, _, _, held, _)| left.checked_sub(held).unwrap())
    }

    /// The thousandths of a name that leases of these frameworks hold.
    fn held(&self, name: &str, of: impl Fn(usize) -> bool, counts: impl Fn(&apportion::Resource) -> bool) -> u64 {
        let leases = self.leases.iter().filter(|(_, framework, ..)| of(*framework));
        let resources = leases.flat_map(|(_, _, _, held, _)| held.iter());
        let amounts = resources.filter(|one| one.name() == name && counts(one)).filter_map(apportion::Resource::scalar);
        amounts.map(Scalar::as_milli).sum()
    }

    fn total(&self, name: &str, counts: impl Fn(&apportion::Resource) -> bool) -> u64 {
        let all = self.agents.iter().flat_map(|(_, total, _)| total.iter());
        let amounts = all.filter(|one| one.name() == name && counts(one)).filter_map(apportion::Resource::scalar);
        amounts.map(Scalar::as_milli).sum()
    }

    /// What counts against the quota of a role: what it holds, and what is reserved to it, held or not.
    fn consumed(&self, role: &str, name: &str) -> u64 {
        let free = self.held(name, |framework| FRAMEWORKS[framework].1 == role, |one| one.role().is_none());
        free + self.total(name, |one| one.role().is_some_and(|reserved| reserved.as_str() == role))
    }

    fn lacks(&self, role: &str, name: &str) -> u64 {
        let guarantee = self.quotas.get(role).filter(|_| name == "cpus").map_or(0, |(least, _)| least * 1000);
        guarantee.saturating_sub(self.consumed(role, name))
    }

    fn quota_allows(&self, role: &str, taken: &Resources) -> bool {
        let required = |name: &str| ["a", "b", "c"].iter().map(|role| self.lacks(role, name)).sum::<u64>();
        let any_required = NAMES.iter().any(|name| required(name) > 0);
        NAMES.iter().all(|name| {
            let free = taken.iter().filter(|one| one.name() == *name && one.role().is_none());
            let asked: u64 = free.filter_map(apportion::Resource::scalar).map(Scalar::as_milli).sum();
            let most = self.quotas.get(role).and_then(|(_, most)| *most).filter(|_| *name == "cpus");
            let within = most.is_none_or(|most| self.consumed(role, name) + asked <= most * 1000);
            let own = self.lacks(role, name).min(asked);
            let unheld =
                self.total(name, |one| one.role().is_none()) - self.held(name, |_| true, |one| one.role().is_none());
            asked == 0 || (within && (!any_required || asked - own <= unheld.saturating_sub(required(name))))
        })
    }

    fn fits(&self, agent: &(String, Resources, bool), framework: usize, ask: &Resources) -> Option<Resources> {
        let role = FRAMEWORKS[framework].1;
        let (taken, _) = self.available(&agent.0).take(ask, &role.parse().unwrap()).ok()?;
        (agent.2 && self.frameworks.get(&framework) == Some(&true) && self.quota_allows(role, &taken)).then_some(taken)
    }

    /// The frameworks, the one that is served first first. Shares are compared as fractions.
    fn order(&self) -> Vec<usize> {
        let share = |of: &dyn Fn(usize) -> bool, weight: u64| {
            let parts = NAMES.map(|name| {
                (u128::from(self.held(name, of, |_| true)), u128::from(self.total(name, |_| true) * weight))
            });
            let parts = parts.into_iter().filter(|(_, total)| *total > 0);
            parts.max_by(|one, other| (one.0 * other.1).cmp(&(other.0 * one.1))).unwrap_or((0, 1))
        };
        let by_share = |one: (u128, u128), other: (u128, u128)| (one.0 * other.1).cmp(&(other.0 * one.1));
        let mut order: Vec<usize> =
            self.frameworks.iter().filter(|(_, active)| **active).map(|(one, _)| *one).collect();
        order.sort_by(|one, other| {
            let key = |framework: &usize| {
                let role = FRAMEWORKS[*framework].1;
                let in_role = |other: usize| FRAMEWORKS[other].1 == role;
                let alone = |other: usize| other == *framework;
                let weight = self.weights.get(role).copied().unwrap_or(1);
                (
                    share(&in_role, weight),
                    self.role_grants.get(role).copied(),
                    role,
                    share(&alone, 1),
                    self.grants.get(framework).copied(),
                    FRAMEWORKS[*framework].0,
                )
            };
            let (one, other) = (key(one), key(other));
            let roles = by_share(one.0, other.0).then((one.1, one.2).cmp(&(other.1, other.2)));
            roles.then(by_share(one.3, other.3)).then((one.4, one.5).cmp(&(other.4, other.5)))
        });
        order
    }

    fn best(&self, framework: usize, ask: &Resources, is_free: impl Fn(&(String, Resources, bool)) -> bool) -> Answer {
        let mut with_room: Vec<(i128, &(String, Resources, bool), Resources)> = Vec::new();
        for agent in &self.agents {
            if let Some(taken) = self.fits(agent, framework, ask) {
                let left = self.available(&agent.0).amount("cpus") - taken.amount("cpus");
                with_room.push((if self.packs { i128::from(left.as_milli()) } else { 0 }, agent, taken));
            }
        }
        let is_none = with_room.is_empty();
        with_room.sort_by_key(|(score, ..)| *score);
        let best = with_room.into_iter().find(|(_, agent, _)| is_free(agent));
        best.map(|(_, agent, taken)| (agent.0.clone(), taken)).ok_or(!is_none)
    }

    fn claim(&mut self, framework: usize, ask: &Resources, until: Option<u64>) -> Answer {
        let before: Vec<usize> = self.order().into_iter().take_while(|one| *one != framework).collect();
        let ahead: Vec<_> = self.waiting.iter().filter(|(_, other, ..)| before.contains(other)).collect();
        let is_free = |agent: &(String, Resources, bool)| {
            ahead.iter().all(|(_, other, ask, _)| self.fits(agent, *other, ask).is_none())
        };
        let (agent, taken) = self.best(framework, ask, is_free)?;
        self.grant(framework, &agent, &taken, until);
        Ok((agent, taken))
    }

    fn grant(&mut self, framework: usize, agent: &str, taken: &Resources, until: Option<u64>) {
        *self.grants.entry(framework).or_default() += 1;
        *self.role_grants.entry(FRAMEWORKS[framework].1).or_default() += 1;
        self.last += 1;
        self.leases.push((self.last, framework, agent.into(), taken.clone(), until));
    }

    /// Serves waiting claims, and returns them with their agents.
    fn allocate(&mut self, at: u64) -> Vec<(u64, String)> {
        self.now = self.now.max(at);
        let now = self.now;
        self.leases.retain(|(.., until)| until.is_none_or(|until| until > now));
        self.waiting.retain(|(.., until)| until.is_none_or(|until| until > now));
        let mut granted = Vec::new();
        'next: loop {
            for framework in self.order() {
                for at in 0..self.waiting.len() {
                    let (id, of, ask, until) = self.waiting[at].clone();
                    if let Some((agent, taken)) =
                        (of == framework).then(|| self.best(of, &ask, |_| true).ok()).flatten()
                    {
                        self.waiting.remove(at);
                        self.grant(of, &agent, &taken, until);
                        granted.push((id, agent));
                        continue 'next;
                    }
                }
            }
            return granted;
        }
    }
}

/// Pool and model side by side.
struct Run {
    pool: Pool,
    model: Model,
    leases: BTreeMap<u64, LeaseId>,
    claims: BTreeMap<u64, ClaimId>,
}

fn framework(index: usize) -> Framework {
    let (id, role) = FRAMEWORKS[index];
    Framework::new(id).role(role.parse().unwrap()).capability(Capability::GpuResources)
}

fn claim(framework: usize, ask: &str, until: Option<u64>) -> Claim {
    let (id, role) = FRAMEWORKS[framework];
    let claim = Claim::new(id, role.parse().unwrap(), ask.parse().unwrap());
    match until {
        Some(until) => claim.until(Time::from_secs(until)),
        None => claim,
    }
}

fn answer(result: Result<Lease, Denied>) -> Result<(String, Resources), Option<bool>> {
    match result {
        Ok(lease) => Ok((lease.agent.to_string(), lease.resources)),
        Err(Denied::NoRoom(_)) => Err(Some(false)),
        Err(Denied::Outranked { .. }) => Err(Some(true)),
        Err(_) => Err(None),
    }
}

fn choice(packs: bool) -> AgentChoice {
    if packs { AgentChoice::by("least cpus", |spot| -spot.left.amount("cpus").as_f64()) } else { AgentChoice::first() }
}

impl Run {
    fn new(packs: bool) -> Self {
        let pool = Pool::new(Hierarchical::with_options(Options::new().min_allocatable([]))).choosing(choice(packs));
        Self { pool, model: Model { packs, ..Model::default() }, leases: BTreeMap::new(), claims: BTreeMap::new() }
    }

    #[expect(clippy::too_many_lines, reason = "a move after the other")]
    fn make(&mut self, made: &Move) {
        let (pool, model) = (&mut self.pool, &mut self.model);
        match made.clone() {
            Move::AddAgent(agent, total) => {
                let (id, total): (String, Resources) = (format!("n{agent}"), total.parse().unwrap());
                let is_new = model.agents.iter().all(|(known, ..)| *known != id);
                assert_eq!(pool.add_agent(Agent::new(id.clone(), total.clone())).is_ok(), is_new);
                model.agents.extend(is_new.then_some((id, total, true)));
            }
            Move::RemoveAgent(agent) => {
                let id = format!("n{agent}");
                let known = model.agents.iter().any(|(known, ..)| *known == id);
                let lost = pool.remove_agent(&AgentId::new(id.as_str()));
                assert_eq!(lost.is_ok(), known);
                model.agents.retain(|(known, ..)| *known != id);
                let before = model.leases.len();
                model.leases.retain(|(_, _, on, ..)| *on != id);
                assert_eq!(lost.map_or(0, |lost| lost.len()), before - model.leases.len());
            }
            Move::SetActive(agent, active) => {
                let id = format!("n{agent}");
                let known = model.agents.iter_mut().find(|(known, ..)| *known == id);
                assert_eq!(pool.set_agent_active(&AgentId::new(id.as_str()), active).is_ok(), known.is_some());
                known.into_iter().for_each(|agent| agent.2 = active);
            }
            Move::RemoveFramework(index) => {
                // One that has gone comes again.
                if model.frameworks.remove(&index).is_some() {
                    pool.remove_framework(&FRAMEWORKS[index].0.into()).unwrap();
                    model.leases.retain(|(_, of, ..)| *of != index);
                    model.waiting.retain(|(_, of, ..)| *of != index);
                    model.grants.remove(&index);
                    if model.frameworks.keys().all(|other| FRAMEWORKS[*other].1 != FRAMEWORKS[index].1) {
                        model.role_grants.remove(FRAMEWORKS[index].1);
                    }
                } else {
                    pool.add_framework(framework(index)).unwrap();
                    model.frameworks.insert(index, true);
                }
            }
            Move::SetFrameworkActive(index, active) => {
                let known = model.frameworks.get_mut(&index);
                assert_eq!(pool.set_framework_active(&FRAMEWORKS[index].0.into(), active).is_ok(), known.is_some());
                known.into_iter().for_each(|framework| *framework = active);
            }
            Move::Weight(role, weight) => {
                let role = ["a", "b", "c"][role];
                pool.set_weight(&role.parse().unwrap(), weight.to_string().parse::<Weight>().unwrap());
                model.weights.insert(role.into(), weight);
            }
            Move::Quota(role, least, most) => {
                let role = ["a", "b", "c"][role];
                let quota = Quota::default().guarantee("cpus", Scalar::units(least));
                let quota = match most {
                    Some(most) => quota.limit("cpus", Scalar::units(most)),
                    None => quota,
                };
                pool.set_quota(&role.parse().unwrap(), quota).unwrap();
                model.quotas.insert(role.into(), (least, most));
            }
            Move::Claim(framework, ask, until) => {
                let claim = claim(framework, ask, until);
                let expected =
                    if !model.frameworks.contains_key(&framework) || until.is_some_and(|until| until <= model.now) {
                        Err(None)
                    } else {
                        model.claim(framework, &claim.ask, until).map_err(Some)
                    };
                let result = pool.grant(&claim);
                if let Ok(lease) = &result {
                    self.leases.insert(model.last, lease.id);
                }
                assert_eq!(answer(result), expected);
            }
            Move::ClaimAll(all) => {
                if all.iter().any(|(framework, _)| !model.frameworks.contains_key(framework)) {
                    return;
                }
                let claims: Vec<Claim> = all.iter().map(|(framework, ask)| claim(*framework, ask, None)).collect();
                let before = model.clone();
                let mut expected = Ok(Vec::new());
                for (index, ((framework, _), claim)) in all.iter().zip(&claims).enumerate() {
                    match model.claim(*framework, &claim.ask, None) {
                        Ok(granted) => expected.as_mut().unwrap().push((model.last, granted)),
                        Err(outranked) => {
                            expected = Err((index, outranked));
                            break;
                        }
                    }
                }
                match (pool.claim_all(&claims), expected) {
                    (Ok(leases), Ok(granted)) => {
                        assert_eq!(leases.len(), granted.len());
                        for (lease, (id, (agent, resources))) in leases.into_iter().zip(granted) {
                            assert_eq!((lease.agent.as_str(), &lease.resources), (agent.as_str(), &resources));
                            self.leases.insert(id, lease.id);
                        }
                    }
                    (Err(denied), Err((index, outranked))) => {
                        *model = before;
                        assert_eq!((denied.index, answer(Err(denied.denied))), (index, Err(Some(outranked))));
                    }
                    (found, expected) => panic!("{found:?}, expected {expected:?}"),
                }
            }
            Move::Wait(framework, ask, until) => {
                let claim = claim(framework, ask, until);
                let may_wait = model.frameworks.contains_key(&framework) && until.is_none_or(|until| until > model.now);
                let result = pool.wait(claim.clone());
                assert_eq!(result.is_ok(), may_wait);
                if let Ok(id) = result {
                    model.last += 1;
                    self.claims.insert(model.last, id);
                    model.waiting.push((model.last, framework, claim.ask, until));
                }
            }
            Move::Cancel(nth) => {
                if nth < model.waiting.len() {
                    let (id, ..) = model.waiting.remove(nth);
                    pool.cancel(self.claims[&id]).unwrap();
                    assert_eq!(pool.cancel(self.claims[&id]), Err(PoolError::UnknownClaim(self.claims[&id])));
                }
            }
            Move::Release(nth) => {
                if nth < model.leases.len() {
                    let (id, ..) = model.leases.remove(nth);
                    pool.release(self.leases[&id]).unwrap();
                    assert_eq!(pool.release(self.leases[&id]), Err(PoolError::UnknownLease(self.leases[&id])));
                }
            }
            Move::Allocate(more) => {
                let last = model.last;
                let expected = model.allocate(model.now + more);
                let allocation = pool.allocate(Time::from_secs(model.now));
                let granted = allocation.granted.iter().map(|(claim, lease)| {
                    let id = self.claims.iter().find(|(_, known)| *known == claim).unwrap().0;
                    (*id, lease.agent.to_string())
                });
                assert_eq!(granted.collect::<Vec<_>>(), expected);
                for (nth, (_, lease)) in allocation.granted.iter().enumerate() {
                    self.leases.insert(last + 1 + nth as u64, lease.id);
                }
            }
        }
    }

    /// Goes on with what a snapshot of the pool restores.
    fn store_and_restore(&mut self) {
        let stored = serde_json::to_string(&self.pool.snapshot()).unwrap();
        let sorter = SorterChoice::default;
        let restored: Pool = Pool::restore(serde_json::from_str(&stored).unwrap(), sorter(), sorter()).unwrap();
        assert_eq!(serde_json::to_string(&restored.snapshot()).unwrap(), stored);
        self.pool = restored.choosing(choice(self.model.packs));
    }

    /// Leases and accounts agree, and nothing is given twice.
    fn check(&self) {
        let (pool, model) = (&self.pool, &self.model);
        let known: BTreeSet<LeaseId> = model.leases.iter().map(|(id, ..)| self.leases[id]).collect();
        assert_eq!(pool.leases().map(|lease| lease.id).collect::<BTreeSet<_>>(), known);
        let mut all = Quantities::new();
        for ((agent, account), (id, total, active)) in pool.agents().zip(&model.agents) {
            assert_eq!((agent.id.as_str(), &*account.total, account.active), (id.as_str(), total, *active));
            let here = pool.leases().filter(|lease| lease.agent == agent.id);
            let held = here.fold(Resources::new(), |sum, lease| sum.checked_add(&lease.resources).unwrap());
            assert_eq!((&*account.allocated, &*account.offered), (&held, &Resources::new()));
            assert_eq!(*account.available, total.checked_sub(&held).unwrap());
            all += &held.quantities();
        }
        assert_eq!(pool.agents().count(), model.agents.len());
        assert_eq!(pool.totals().leased, all);
        for account in pool.roles() {
            let leases = pool.leases().filter(|lease| lease.role == account.role);
            let mut held = Quantities::new();
            leases.for_each(|lease| held += &lease.resources.quantities());
            assert_eq!(account.held, held, "{}", account.role);
        }
        assert_eq!(
            pool.waiting().map(|(id, _)| id).collect::<Vec<_>>(),
            model.waiting.iter().map(|(id, ..)| self.claims[id]).collect::<Vec<_>>()
        );
        let metrics = pool.metrics();
        assert_eq!((metrics.leases, metrics.waiting), (model.leases.len(), model.waiting.len()));
        let over = metrics.released + metrics.expired + metrics.lost;
        assert_eq!(metrics.granted - over, metrics.leases as u64);
    }
}

proptest! {
    #![proptest_config(tier(CASES))]

    #[test]
    fn a_pool_decides_as_a_plain_model_does(moves in moves(), packs in any::<bool>()) {
        let mut run = Run::new(packs);
        for index in 0..FRAMEWORKS.len() {
            run.make(&Move::RemoveFramework(index));
        }
        for (number, made) in moves.iter().enumerate() {
            run.make(made);
            run.check();
            if number % 7 == 3 {
                run.store_and_restore();
            }
        }
    }
}

fn small_pool() -> Pool {
    let mut pool = Pool::new(Hierarchical::with_options(Options::new().min_allocatable([])));
    pool.add_agent(Agent::new("n", "cpus:4;cpus(b):2".parse().unwrap())).unwrap();
    for index in [0, 2] {
        pool.add_framework(framework(index)).unwrap();
    }
    pool
}

#[test]
fn each_check_of_an_offer_is_told_as_a_reason() {
    type Set = fn(&mut Pool);
    let role = |role: &str| role.parse::<Role>().unwrap();
    let cases: [(Set, &str, &str); 9] = [
        (|_| (), "cpus:5", "cpus:5 was asked for, cpus:4 is available"),
        (|_| (), "gpus:1", "gpus:1 was asked for, nothing of it is available"),
        (|pool| pool.set_agent_active(&"n".into(), false).unwrap(), "cpus:1", "the agent is inactive"),
        (|pool| pool.set_whitelist(Some(vec!["m".into()])), "cpus:1", "n is not on the whitelist"),
        (|pool| pool.set_framework_active(&"f1".into(), false).unwrap(), "cpus:1", "the framework is inactive"),
        (
            |pool| {
                drop(pool.set_quota(&"a".parse().unwrap(), Quota::default().limit("cpus", Scalar::units(2))).unwrap())
            },
            "cpus:3",
            "the limit of a is 2 cpus, of which it has consumed 0",
        ),
        (
            |pool| {
                drop(
                    pool.set_quota(&"b".parse().unwrap(), Quota::default().guarantee("cpus", Scalar::units(5)))
                        .unwrap(),
                )
            },
            "cpus:2",
            "of 4 cpus that are free 3 are kept for the guarantees of b",
        ),
        (
            |pool| {
                pool.update_framework(Framework::new("f1").role("a".parse().unwrap())).unwrap();
                pool.update_agent(Agent::new("n", "cpus:4;gpus:1".parse().unwrap())).unwrap();
            },
            "cpus:1",
            "the framework lacks the capability GPU_RESOURCES",
        ),
        (
            |pool| {
                let mut other =
                    Pool::new(Hierarchical::with_options(Options::new().min_allocatable(["mem:32".parse().unwrap()])));
                other.add_agent(Agent::new("n", "cpus:4".parse().unwrap())).unwrap();
                other.add_framework(framework(0)).unwrap();
                *pool = other;
            },
            "cpus:1",
            "cpus:4 is available, the minimum is mem:32",
        ),
    ];
    for (set, ask, why) in cases {
        let mut pool = small_pool();
        set(&mut pool);
        let denied = pool.claim(&"f1".into(), &role("a"), &ask.parse().unwrap()).unwrap_err();
        assert_eq!(denied.to_string(), format!("no agent has room: {why} (1 agent)"));
        assert_eq!((pool.leases().count(), pool.metrics().denied), (0, 1));
    }
    let mut pool = small_pool();
    let mut denied = |framework: &str, of: &str, ask: &str| {
        pool.claim(&framework.into(), &role(of), &ask.parse().unwrap()).unwrap_err().to_string()
    };
    assert_eq!(denied("nobody", "a", "cpus:1"), "no framework nobody");
    assert_eq!(denied("f1", "b", "cpus:1"), "framework f1 does not have the role b");
    assert_eq!(denied("f1", "a", ""), "nothing was asked for");
}

#[test]
fn a_limit_further_up_holds_too_and_reserved_resources_come_first() {
    let mut pool = small_pool();
    let team: Role = "b/x".parse().unwrap();
    pool.add_framework(Framework::new("t").role(team.clone())).unwrap();
    pool.set_quota(&"b".parse().unwrap(), Quota::default().limit("cpus", Scalar::units(3))).unwrap();
    let lease = pool.claim(&"t".into(), &team, &"cpus:3".parse().unwrap()).unwrap();
    assert_eq!(lease.resources.to_string(), "cpus:1;cpus(b):2"); // the reservation is consumed either way
    let denied = pool.claim(&"g".into(), &"b".parse().unwrap(), &"cpus:1".parse().unwrap()).unwrap_err();
    assert_eq!(denied.to_string(), "no agent has room: the limit of b is 3 cpus, of which it has consumed 3 (1 agent)");
}

#[test]
fn a_guarantee_is_there_when_its_role_claims() {
    let mut pool = small_pool();
    pool.set_quota(&"b".parse().unwrap(), Quota::default().guarantee("cpus", Scalar::units(6))).unwrap();
    assert!(pool.claim(&"f1".into(), &"a".parse().unwrap(), &"cpus:1".parse().unwrap()).is_err());
    let lease = pool.claim(&"g".into(), &"b".parse().unwrap(), &"cpus:6".parse().unwrap()).unwrap();
    assert_eq!(lease.resources.to_string(), "cpus:4;cpus(b):2");
}

#[test]
fn leases_outlive_a_smaller_total_and_end_with_their_agent() {
    let mut pool = small_pool();
    let lease = pool.claim(&"f1".into(), &"a".parse().unwrap(), &"cpus:4".parse().unwrap()).unwrap();
    pool.update_agent(Agent::new("n", "cpus:1;mem:9".parse().unwrap())).unwrap();
    assert_eq!(pool.totals().available.to_string(), "mem:9");
    assert_eq!(pool.totals().leased.to_string(), "cpus:4");
    assert_eq!(pool.remove_agent(&"n".into()), Ok(vec![lease.clone()]));
    assert_eq!(pool.release(lease.id), Err(PoolError::UnknownLease(lease.id)));
    assert!(pool.roles().iter().all(|role| role.held.is_empty()));
}

#[test]
fn a_lease_is_resumed_once_and_only_where_it_is_available() {
    let mut pool = small_pool();
    let lease = pool.claim(&"f1".into(), &"a".parse().unwrap(), &"cpus:3".parse().unwrap()).unwrap();
    let mut next = small_pool();
    next.resume(lease.clone()).unwrap();
    assert_eq!(next.resume(lease.clone()), Err(PoolError::LeaseExists(lease.id)));
    assert_eq!(next.totals(), pool.totals());
    let new = next.claim(&"f1".into(), &"a".parse().unwrap(), &"cpus:1".parse().unwrap()).unwrap();
    assert!(new.id > lease.id);

    let mut other = small_pool();
    other.claim(&"g".into(), &"b".parse().unwrap(), &"cpus:4".parse().unwrap()).unwrap(); // 2 of them reserved
    let mut elsewhere = lease;
    elsewhere.id = new.id;
    let error = other.resume(elsewhere.clone()).unwrap_err();
    assert_eq!(error.to_string(), format!("lease {} on agent n: cpus:3 was asked for, cpus:2 is available", new.id));
    elsewhere.agent = "m".into();
    assert_eq!(other.resume(elsewhere).unwrap_err().to_string(), "no agent m");
}

#[test]
fn suppressed_roles_may_claim_and_wait() {
    let mut pool = small_pool();
    let role: Role = "c".parse().unwrap();
    pool.add_framework(Framework::new("s").role(role.clone()).suppressed(role.clone())).unwrap();
    let waiting = pool.wait(Claim::new("s", role, "cpus:1".parse().unwrap())).unwrap();
    assert_eq!(pool.allocate(Time::ZERO).granted[0].0, waiting);
}

#[test]
fn a_snapshot_that_contradicts_itself_is_an_error() {
    type Change<'a> = dyn Fn(&mut serde_json::Value) + 'a;
    let mut pool = small_pool();
    pool.claim(&"f1".into(), &"a".parse().unwrap(), &"cpus:3".parse().unwrap()).unwrap();
    pool.wait(claim(2, "cpus:1", None)).unwrap();
    let stored = serde_json::to_value(pool.snapshot()).unwrap();
    let restore = |change: &Change<'_>| {
        let mut changed = stored.clone();
        change(&mut changed);
        let sorter = SorterChoice::default;
        let snapshot = serde_json::from_value(changed).expect("a snapshot is any JSON");
        Pool::restore(snapshot, sorter(), sorter()).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(restore(&|_| ()), Ok(()));
    let cases: [(&Change<'_>, &str); 5] = [
        (&|it| it["version"] = 2.into(), "a snapshot of version 2: expected 1"),
        (&|it| it["pool"]["leases"][0]["resources"] = "cpus:2".into(), "what is held by lease L1 is not there"),
        (&|it| it["pool"]["leases"] = serde_json::json!([]), "the lease of a task on agent n is not there"),
        (&|it| it["pool"]["last_id"] = 1.into(), "2 claim: expected at most 1"),
        (&|it| it["pool"]["waiting"][0][0] = 1.into(), "claim C1 is there twice"),
    ];
    for (change, error) in cases {
        assert_eq!(restore(change).unwrap_err(), error);
    }
    let mut lacking = stored.clone();
    lacking["pool"].as_object_mut().unwrap().remove("now");
    let end = lacking["pool"].to_string().len() - 1; // where the fields of the pool end
    let found = restore(&|it| *it = lacking.clone()).unwrap_err();
    assert_eq!(found, format!("not a snapshot: missing field `now` at byte {end}"));
}
