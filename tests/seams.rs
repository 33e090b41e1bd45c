//! The suites for implementations of the seams: those of the crate and of its examples pass, and broken ones are caught.

use apportion::allocator::{
    AgentAccount, Allocator, AllocatorError, Change, Claim, ClientId, Contents, Drf, Hdrf, Hierarchical, Holding, Node,
    Options, Ordered, Persist, Policy, Pool, Random, Share, ShareTree, SnapshotError, Sorter, SorterChoice, Totals,
    depth_first,
};
use apportion::constraint::{Candidate, Clause, Condition, Constraint, Placed, RejectReason, Scope, Verdict};
use apportion::export::serde_json::Value;
use apportion::placement::{Fitness, Prospect, Strategy};
use apportion::testing::{Broken, Step, Suite, check_allocator};
use apportion::{Agent, AgentId, Framework, Json, Time};
use fcfs::FirstCome;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::vec::IntoIter;

#[expect(dead_code, reason = "the program is an example, and its allocator is tried here")]
#[path = "../examples/fcfs.rs"]
mod fcfs;

/// Returns what a suite that must fail panics with.
fn report(suite: impl Fn() + std::panic::UnwindSafe) -> String {
    let panic = catch_unwind(suite).expect_err("it is broken");
    *panic.downcast::<String>().expect("a report")
}

// Allocators.

fn hierarchical<S: Sorter + Clone>(sorter: S) -> Hierarchical<S, S> {
    Hierarchical::new(Options::default(), sorter.clone(), sorter)
}

#[test]
fn allocators_of_the_crate_pass() {
    let suite = Suite::new();
    suite.saved_allocator(|| hierarchical(Drf::default()));
    suite.saved_allocator(|| hierarchical(Random::new(7)));
    suite.saved_allocator(|| hierarchical(SorterChoice::default()));
    suite.saved_allocator(|| Hierarchical::new(Options::default(), Hdrf::default(), Drf::default()));
    suite.saved_allocator(|| Hierarchical::with_options(Options::default().min_allocatable([])));
}

#[test]
fn the_example_of_an_allocator_passes() {
    Suite::new().seeds(0..200).saved_allocator(FirstCome::default);
}

#[test]
fn a_pool_grants_claims_of_the_example_first_come_first_served() {
    let mut pool = Pool::new(FirstCome::default());
    pool.add_agent(Agent::new("n1", "cpus:4;mem:64".parse().expect("resources"))).expect("a new agent");
    for tenant in ["zoo", "ant"] {
        pool.add_framework(Framework::new(tenant).role(tenant.parse().expect("a role"))).expect("a new framework");
    }
    let claim =
        |tenant: &str| Claim::new(tenant, tenant.parse().expect("a role"), "cpus:3".parse().expect("resources"));
    let held = pool.grant(&claim("zoo")).expect("there is room");
    let denied = pool.grant(&claim("ant")).expect_err("a cpu is left");
    assert_eq!(denied.to_string(), "no agent has room: cpus:3 was asked for, cpus:1 is available (1 agent)");
    let waiting = [pool.wait(claim("zoo")), pool.wait(claim("ant"))].map(|claim| claim.expect("it can wait"));
    for (at, next) in (1..).zip(waiting) {
        let lease = pool.leases().next().expect("a lease").id;
        pool.release(lease).expect("it is held");
        let granted = pool.allocate(Time::from_secs(at)).granted;
        assert_eq!(granted.iter().map(|(claim, _)| *claim).collect::<Vec<_>>(), [next]);
    }
    assert!(pool.release(held.id).is_err(), "it was released");
    // All or none, and what is taken back leaves nothing behind.
    assert_eq!(
        pool.claim_all(&[Claim::new("zoo", held.role, "cpus:1".parse().expect("resources")), claim("ant")])
            .map_err(|denied| denied.index),
        Err(1)
    );
    assert_eq!(pool.totals().available.to_string(), "cpus:1;mem:64");
}

/// An allocator that takes note of no refusal.
#[derive(Debug, Default)]
struct Deaf(Hierarchical);

impl Allocator for Deaf {
    fn apply(&mut self, change: Change<'_>) -> Result<(), AllocatorError> {
        if let Change::Refuse { .. } = change { Ok(()) } else { self.0.apply(change) }
    }

    fn allocate_into(&mut self, at: Time, agent: Option<&AgentId>, offers: &mut Vec<Holding>) {
        self.0.allocate_into(at, agent, offers);
    }

    fn has_pending(&self) -> bool {
        self.0.has_pending()
    }

    fn agent(&self, agent: &AgentId) -> Option<AgentAccount<'_>> {
        self.0.agent(agent)
    }
}

#[test]
fn an_allocator_that_does_not_heed_refusals_is_caught() {
    let report = report(|| Suite::new().allocator(Deaf::default));
    assert!(report.contains("which has refused"), "{report}");
    for line in
        ["seed 0: ", " of 80 steps are enough", "    AddAgent(", "    AddFramework(", "    Allocate", "    Decline("]
    {
        assert!(report.contains(line), "{line}: {report}");
    }
    assert!(report.lines().filter(|line| line.starts_with("    ")).count() < 9, "{report}");
    // The sequence can be pasted.
    let steps = [
        Step::AddAgent("n1", "cpus:4;mem:512"),
        Step::AddFramework("f1", "eng"),
        Step::Allocate,
        Step::Decline(0, 5),
        Step::Allocate,
    ];
    let Err(Broken { step: 4, broken, .. }) = check_allocator(&Deaf::default, &steps) else { panic!("it is broken") };
    assert!(broken.contains("which has refused cpus:4;mem:512 until 5"), "{broken}");
    assert_eq!(check_allocator(&|| hierarchical(Drf::default()), &steps), Ok(()));
}

/// An allocator that does not save what is refused.
#[derive(Debug, Default)]
struct Forgetful(Hierarchical);

impl Allocator for Forgetful {
    fn apply(&mut self, change: Change<'_>) -> Result<(), AllocatorError> {
        self.0.apply(change)
    }

    fn allocate_into(&mut self, at: Time, agent: Option<&AgentId>, offers: &mut Vec<Holding>) {
        self.0.allocate_into(at, agent, offers);
    }

    fn has_pending(&self) -> bool {
        self.0.has_pending()
    }

    fn agent(&self, agent: &AgentId) -> Option<AgentAccount<'_>> {
        self.0.agent(agent)
    }
}

impl Persist for Forgetful {
    fn save(&self) -> Json {
        let mut saved = Value::from(self.0.save());
        if let Some(saved) = saved.as_object_mut() {
            saved.remove("refusals");
        }
        saved.into()
    }

    fn load(&mut self, saved: Json, contents: &Contents<'_>) -> Result<(), SnapshotError> {
        self.0.load(saved, contents)
    }
}

#[test]
fn an_allocator_that_is_not_saved_whole_is_caught() {
    let report = report(|| Suite::new().saved_allocator(Forgetful::default));
    for line in ["seed ", "    SaveAndLoad,\n", "    Decline(", "check_saved_allocator("] {
        assert!(report.contains(line), "{line}: {report}");
    }
    Suite::new().seeds(0..8).allocator(Forgetful::default);
}

// Sorters.

#[derive(Debug, Clone)]
struct DominantShare;

impl Policy for DominantShare {
    type Key = (Share, u64);

    fn key(&self, node: &Node<'_>) -> (Share, u64) {
        (node.share(), node.count())
    }
}

#[derive(Debug, Clone)]
struct LongestWaiting;

impl Policy for LongestWaiting {
    type Key = (Option<Time>, u64);

    fn key(&self, node: &Node<'_>) -> (Option<Time>, u64) {
        (node.waiting_since(), node.arrival())
    }
}

#[derive(Debug, Clone)]
struct LastOffered;

impl Policy for LastOffered {
    type Key = Option<Time>;

    fn key(&self, node: &Node<'_>) -> Option<Time> {
        node.last_offer()
    }
}

#[test]
fn sorters_of_the_crate_pass() {
    let suite = Suite::new();
    suite.sorter(Drf::default);
    suite.sorter(Hdrf::default);
    suite.sorter(|| Random::new(3));
    suite.sorter(SorterChoice::default);
    suite.sorter(|| SorterChoice::other(Ordered::new(LongestWaiting)));
    suite.sorter(|| Ordered::new(DominantShare));
    suite.sorter(|| Ordered::new(LongestWaiting));
    suite.sorter(|| Ordered::new(LastOffered));
    suite.sorter(|| -> Box<dyn Sorter> { Box::new(Drf::default()) });
}

/// A sorter that takes no notice of what is charged: it sorts anew only when clients come or go.
#[derive(Debug, Clone, Default)]
struct Stale {
    order: Vec<ClientId>,
    shape: u64,
    rest: IntoIter<ClientId>,
}

impl Sorter for Stale {
    fn begin(&mut self, tree: &ShareTree, totals: &Totals) {
        if self.shape != tree.shape() {
            let share = |node| tree.dominant_share(node, totals);
            self.order = depth_first(tree, |a, b| share(a).cmp(&share(b)).then_with(|| tree.name(a).cmp(tree.name(b))));
            self.shape = tree.shape();
        }
        self.rest = self.order.clone().into_iter();
    }

    fn next(&mut self, _: &ShareTree, _: &Totals) -> Option<ClientId> {
        self.rest.next()
    }
}

#[test]
fn a_sorter_that_keeps_an_old_order_is_caught() {
    let report = report(|| Suite::new().sorter(Stale::default));
    for line in ["that of a new sorter is", "seed ", " of 80 steps are enough", "    Allocate", "check_sorter("] {
        assert!(report.contains(line), "{line}: {report}");
    }
}

// Constraints.

#[test]
fn constraints_of_the_crate_pass() {
    let conditions = [
        "rack IS r1",
        "rack IS_NOT r1",
        "rack IN r1,r2",
        "rack NOT_IN r1,r2",
        "rack EXISTS",
        "rack ABSENT",
        "rack LIKE r[12]",
        "rack UNLIKE r[12]",
        "level GT 1",
        "level LE 2",
        "rack UNIQUE",
        "hostname UNIQUE",
        "rack CLUSTER",
        "rack CLUSTER r2",
        "rack GROUP_BY",
        "rack GROUP_BY 3",
        "@zone GROUP_BY 2",
        "rack MAX_PER 2",
        "rack MAX_SKEW 1",
        "hostname EXCLUSIVE",
        "@app IS /db",
        "@app IS_NOT /db",
        "@image LIKE nginx.*",
        "@task ABSENT",
    ];
    let suite = Suite::new().seeds(0..24).steps(24);
    let mut all = Vec::new();
    for text in conditions {
        let condition: Condition = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        suite.constraint(|| condition.clone());
        all.push(Clause::from(condition));
    }
    for pair in all.windows(2) {
        suite.constraint(|| Clause::Any(pair.to_vec()));
        suite.constraint(|| Clause::All(pair.to_vec()));
        suite.constraint(|| Clause::Not(Box::new(Clause::All(pair.to_vec()))));
    }
}

/// A constraint with a memory: it accepts three tasks, whatever it is shown.
#[derive(Debug, Default)]
struct ThreeInAll(AtomicUsize);

impl Constraint for ThreeInAll {
    fn check(&self, _: &Candidate<'_>, _: &Placed) -> Verdict {
        match self.0.fetch_add(1, Ordering::Relaxed) {
            0..3 => Verdict::Accept,
            _ => Verdict::Reject(RejectReason::custom("three are enough")),
        }
    }
}

/// A constraint that looks at other hosts, and says that it does not.
#[derive(Debug)]
struct OncePerCluster;

impl Constraint for OncePerCluster {
    fn check(&self, candidate: &Candidate<'_>, placed: &Placed) -> Verdict {
        match placed.siblings(candidate.app).next() {
            None => Verdict::Accept,
            Some(_) => Verdict::Reject(RejectReason::custom("there is one")),
        }
    }

    fn scope(&self) -> Scope {
        Scope::Host
    }
}

#[test]
fn constraints_that_are_not_pure_or_look_too_far_are_caught() {
    let suite = Suite::new();
    let with_memory = report(|| Suite::new().constraint(ThreeInAll::default));
    assert!(with_memory.contains("seed 0: 1 of 80 steps"), "{with_memory}");
    let too_far = report(move || suite.constraint(|| OncePerCluster));
    for line in ["its scope is Host", "seed 0: 2 of 80 steps", "    Visit { app: \"/", "check_constraint("] {
        assert!(too_far.contains(line), "{line}: {too_far}");
    }
}

// Fitnesses.

#[test]
fn fitnesses_of_the_crate_pass() {
    for name in Strategy::NAMES {
        Suite::new().fitness(|| Strategy::by_name(name).expect("a name of a strategy"));
    }
}

/// A fitness that prefers what it has not seen for long.
#[derive(Debug, Default)]
struct Moody(AtomicUsize);

impl Fitness for Moody {
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    fn score(&self, _: &Prospect<'_>) -> f64 {
        self.0.fetch_add(1, Ordering::Relaxed) as f64
    }
}

/// A fitness that divides by what a task asks for.
#[derive(Debug)]
struct PerCpu;

impl Fitness for PerCpu {
    fn score(&self, prospect: &Prospect<'_>) -> f64 {
        prospect.left.amount("cpus").as_f64() / prospect.app.cpus.as_f64()
    }
}

#[test]
fn fitnesses_that_are_not_pure_or_not_finite_are_caught() {
    let moody = report(|| Suite::new().fitness(Moody::default));
    assert!(moody.contains("asked again") && moody.contains("seed 0: 1 of 80 steps"), "{moody}");
    let per_cpu = report(|| Suite::new().fitness(|| PerCpu));
    for line in ["not finite", "seed ", ": 1 of 80 steps", "    Sample { cpus: 0, ", "check_fitness("] {
        assert!(per_cpu.contains(line), "{line}: {per_cpu}");
    }
}
