//! Random commands that mean something: each is made from a few dice and the state at its moment, so that
//! offers are answered, tasks end, and small amounts collide; some are wrong on purpose.

use crate::kinds::{AGENTS, agent_resources, part, reserved_to, resized, told_otherwise, volumes_of};
use crate::reference::{LiveInverseOffer, LiveOffer, Reference};
use apportion::allocator::{Quota, Weight};
use apportion::{
    Accept, Agent, AgentUpdate, Attributes, Call, Capability, Command, Domain, Filters, Framework, FrameworkId, Offer,
    OfferConstraints, OfferId, Operation, Quantities, Role, RunningTask, Scalar, Task, TaskId, TaskState, TaskStatus,
    Time, Unavailability,
};
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

pub(crate) const ROLES: [&str; 6] = ["a", "a/b", "a/b/c", "d", "*", "a/+"];
const FRAMEWORKS: [&str; 4] = ["f1", "f2", "f10", "f3"];
const WAITS: [u64; 8] = [0, 0, 0, 250, 500, 1000, 2000, 5250];
const REFUSALS: [u64; 7] = [5000, 0, 0, 1000, 250, 2500, 7000];
const STATES: [TaskState; 6] = [
    TaskState::Finished,
    TaskState::Finished,
    TaskState::Failed,
    TaskState::Killed,
    TaskState::Running,
    TaskState::Unreachable,
];

/// What kind of thing happens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    AddAgent,
    UpdateAgent,
    RemoveAgent,
    SwitchAgent,
    AddFramework,
    UpdateFramework,
    RemoveFramework,
    SwitchFramework,
    SetWeight,
    SetWhitelist,
    Accept,
    Decline,
    Suppress,
    Revive,
    TaskStatus,
    Ask,
    Wait,
    Wrong,
    Operations,
    Operate,
    SetQuota,
    SetMaintenance,
    AnswerInverse,
    /// One more framework of a crowd comes.
    Join,
    /// An offer is declined, most often for long.
    Refuse,
}

/// How often each kind comes up. What the crate does not do yet is left out here.
const KINDS: [(u32, Kind); 23] = [
    (3, Kind::AddAgent),
    (2, Kind::UpdateAgent),
    (1, Kind::RemoveAgent),
    (2, Kind::SwitchAgent),
    (3, Kind::AddFramework),
    (3, Kind::UpdateFramework),
    (2, Kind::RemoveFramework),
    (2, Kind::SwitchFramework),
    (2, Kind::SetWeight),
    (1, Kind::SetWhitelist),
    (12, Kind::Accept),
    (8, Kind::Decline),
    (2, Kind::Suppress),
    (3, Kind::Revive),
    (7, Kind::TaskStatus),
    (1, Kind::Ask),
    (5, Kind::Wait),
    (2, Kind::Wrong),
    (4, Kind::Operations),
    (3, Kind::Operate),
    (3, Kind::SetQuota),
    (2, Kind::SetMaintenance),
    (3, Kind::AnswerInverse),
];

/// How often each kind comes up where many frameworks turn down most of what they are offered.
const CROWD: [(u32, Kind); 12] = [
    (30, Kind::Refuse),
    (8, Kind::Wait),
    (3, Kind::Accept),
    (3, Kind::TaskStatus),
    (2, Kind::Join),
    (1, Kind::Revive),
    (1, Kind::Suppress),
    (1, Kind::SwitchFramework),
    (1, Kind::SetWeight),
    (1, Kind::SetQuota),
    (1, Kind::UpdateAgent),
    (1, Kind::AddAgent),
];

/// One thing that happens, and what it makes its choices from.
#[derive(Clone)]
pub(crate) struct Move {
    pub(crate) kind: Kind,
    pub(crate) wait: Duration,
    pub(crate) dice: [u8; 16],
}

impl fmt::Debug for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} after {:?} {:?}", self.kind, self.wait, self.dice)
    }
}

/// A cluster that has something in it from the start, and what happens to it then.
pub(crate) fn moves() -> impl Strategy<Value = Vec<Move>> {
    let first = prop_oneof![Just(Kind::AddAgent), Just(Kind::AddFramework)];
    let setup = prop::collection::vec(each(first.boxed()), 2..6);
    chained(setup, prop::collection::vec(each(one_of(&KINDS)), 10..36))
}

/// A cluster of a few agents and dozens of frameworks, and what happens to it then.
pub(crate) fn crowds() -> impl Strategy<Value = Vec<Move>> {
    let agents = prop::collection::vec(each(Just(Kind::AddAgent).boxed()), 1..4);
    let crowd = prop::collection::vec(each(Just(Kind::Join).boxed()), 20..40);
    let rest = prop::collection::vec(each(one_of(&CROWD)), 60..160);
    chained(chained(crowd, agents), rest)
}

fn one_of(kinds: &[(u32, Kind)]) -> BoxedStrategy<Kind> {
    prop::sample::select(kinds.iter().flat_map(|(n, kind)| vec![*kind; *n as usize]).collect::<Vec<_>>()).boxed()
}

fn each(kind: BoxedStrategy<Kind>) -> impl Strategy<Value = Move> {
    let wait = prop::sample::select(WAITS.as_slice());
    let made = |(kind, wait, dice)| Move { kind, wait: Duration::from_millis(wait), dice };
    (kind, wait, any::<[u8; 16]>()).prop_map(made)
}

fn chained(
    first: impl Strategy<Value = Vec<Move>>,
    then: impl Strategy<Value = Vec<Move>>,
) -> impl Strategy<Value = Vec<Move>> {
    (first, then).prop_map(|(mut moves, rest)| {
        moves.extend(rest);
        moves
    })
}

/// Makes choices; out of dice, it always takes the first.
pub(crate) struct Dice<'a>(pub(crate) std::slice::Iter<'a, u8>);

impl Dice<'_> {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0.next().map_or(0, |die| usize::from(*die) % n.max(1))
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    fn pick_some<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        if from.is_empty() { None } else { Some(self.pick(from)) }
    }

    fn role(&mut self) -> Role {
        role(self.pick(&ROLES))
    }

    /// Up to three roles, some of them related.
    fn roles(&mut self) -> Vec<Role> {
        let sets: [&[&str]; 10] = [
            &["a"],
            &["a/b"],
            &["d"],
            &["a", "d"],
            &["*"],
            &["a/b/c"],
            &["a", "a/b"],
            &["d", "a/b/c", "*"],
            &["a/+"],
            &["a/b", "a/b/c", "a/+"],
        ];
        self.pick(&sets).iter().copied().map(role).collect()
    }

    fn filters(&mut self) -> Filters {
        Filters::refuse_for(Duration::from_millis(self.pick(&REFUSALS)))
    }
}

pub(crate) fn role(path: &str) -> Role {
    path.parse().expect("a role of this test")
}

/// The command that a move comes to in a state; none if nothing can be done but wait.
pub(crate) fn command(made: &Move, state: &Reference) -> Option<Command> {
    let mut dice = Dice(made.dice.iter());
    let dice = &mut dice;
    let agents: Vec<_> = state.agents.iter().map(|known| known.agent.id.clone()).collect();
    let frameworks: Vec<_> = state.frameworks.iter().map(|known| known.framework.id.clone()).collect();
    Some(match made.kind {
        Kind::AddAgent => add_agent(dice, state),
        Kind::UpdateAgent => Command::UpdateAgent(update_agent(&dice.pick_some(&state.agents)?.agent, dice)),
        Kind::RemoveAgent => Command::RemoveAgent(dice.pick_some(&agents)?),
        Kind::SwitchAgent => match (dice.below(2), dice.pick_some(&agents)?) {
            (0, id) => Command::ActivateAgent(id),
            (_, id) => Command::DeactivateAgent(id),
        },
        Kind::AddFramework => Command::AddFramework(framework(dice.pick(&FRAMEWORKS).into(), dice)),
        Kind::Join => {
            let number = state.frameworks.len() + 10 * state.tasks.len();
            let lone = format!("r{number}");
            let role = role(dice.pick(&["*", "*", "a", "a/b", &lone, &lone, &lone]));
            Command::AddFramework(Framework::new(format!("c{number}")).role(role))
        }
        Kind::Refuse => {
            let offer = dice.pick_some(&state.offers)?;
            let filters = Filters::refuse_for(Duration::from_millis(dice.pick(&[900_000, 900_000, 900_000, 3000])));
            Command::Call(offer.held.framework.clone(), Call::Decline { offers: vec![id_of(&offer)], filters })
        }
        Kind::UpdateFramework => Command::UpdateFramework(framework(dice.pick_some(&frameworks)?, dice)),
        Kind::RemoveFramework if dice.one_in(2) => Command::Call(dice.pick_some(&frameworks)?, Call::Teardown),
        Kind::RemoveFramework => {
            // Sometimes one that is known only by its tasks.
            let owner = dice.pick_some(&state.tasks).map(|task| task.held.framework);
            let owner = owner.filter(|_| dice.one_in(2));
            Command::RemoveFramework(owner.or_else(|| dice.pick_some(&frameworks))?)
        }
        Kind::SwitchFramework => match (dice.below(2), dice.pick_some(&frameworks)?) {
            (0, id) => Command::ActivateFramework(id),
            (_, id) => Command::DeactivateFramework(id),
        },
        Kind::SetWeight => {
            let weight = dice.pick(&[1.0, 2.0, 0.5, 3.0, 0.1]);
            Command::SetWeight(dice.role(), Weight::try_from_f64(weight).expect("within bounds"))
        }
        Kind::SetWhitelist => {
            let lists: [Option<Vec<&str>>; 5] = [None, Some(vec!["h1", "h2"]), Some(vec!["h2"]), Some(vec![]), None];
            Command::SetWhitelist(dice.pick(&lists).map(|names| names.into_iter().map(Into::into).collect()))
        }
        Kind::Accept => {
            let offer = dice.pick_some(&state.offers)?;
            let accept = accept(dice, state, &offer);
            Command::Call(offer.held.framework, Call::Accept(accept))
        }
        Kind::Decline => {
            let offer = dice.pick_some(&state.offers)?;
            let framework = offer.held.framework.clone();
            let filters = dice.filters();
            let all = dice.one_in(3);
            let its = state.offers.iter().filter(|other| other.held.framework == framework);
            let offers: Vec<OfferId> = its.filter(|other| all || other.number == offer.number).map(id_of).collect();
            Command::Call(framework, Call::Decline { offers, filters })
        }
        Kind::Suppress => Command::Call(dice.pick_some(&frameworks)?, Call::Suppress(some_roles(dice, state))),
        Kind::Revive => Command::Call(dice.pick_some(&frameworks)?, Call::Revive(some_roles(dice, state))),
        Kind::TaskStatus => {
            let task = dice.pick_some(&state.tasks)?;
            Command::TaskStatus(task.held.framework, TaskStatus::new(task.id, dice.pick(&STATES)))
        }
        Kind::Ask => ask(dice.pick_some(&frameworks)?, dice, state),
        Kind::Wait => return None,
        Kind::Wrong => wrong(dice, state),
        Kind::Operations => {
            let offer = dice.pick_some(&state.offers)?;
            let mut accept = Accept::of(&told(&offer));
            accept.operations = operations(dice, &offer);
            accept.filters = dice.filters();
            Command::Call(offer.held.framework, Call::Accept(accept))
        }
        Kind::SetQuota => set_quota(dice),
        Kind::SetMaintenance => {
            let window = dice.pick(&[true, false, true]).then(|| window(dice));
            Command::SetMaintenance(dice.pick_some(&agents)?, window)
        }
        Kind::AnswerInverse => {
            let LiveInverseOffer { number, framework, .. } = dice.pick_some(&state.inverse_offers)?;
            let (offers, filters) = (vec![format!("I{number}").into()], dice.filters());
            let accepts = dice.one_in(2);
            let call = if accepts {
                Call::AcceptInverseOffers { offers, filters }
            } else {
                Call::DeclineInverseOffers { offers, filters }
            };
            Command::Call(framework, call)
        }
        Kind::Operate => {
            let agent = dice.pick_some(&state.agents)?.agent;
            let on_it = Some(agent.resources).filter(|_| !dice.one_in(3)).unwrap_or_else(|| state.available(&agent.id));
            let role = dice.role();
            Command::Operate(agent.id, vec![operation(dice, &on_it, &role)])
        }
    })
}

fn add_agent(dice: &mut Dice<'_>, state: &Reference) -> Command {
    let which = dice.below(AGENTS);
    let resources = agent_resources(dice.below(256));
    let mut agent = Agent::new(format!("a{}", which + 1), resources).hostname(format!("h{}", which + 1));
    if dice.one_in(4) {
        agent = agent.attribute("rack", "r1");
    }
    if dice.one_in(5) {
        agent = agent.domain("far", "z1");
    }
    if dice.one_in(4) {
        agent = agent.hostname("h1"); // several agents on one machine
    }
    if dice.one_in(8) {
        agent.unavailability = Some(window(dice));
    }
    let mut tasks = Vec::new();
    for n in 0..[0, 0, 0, 1, 1, 2][dice.below(6)] {
        let (framework, role) = (dice.pick(&FRAMEWORKS), dice.role());
        let id = unused_task(state, &framework.into(), n);
        let resources = match dice.below(3) {
            0 => told_otherwise(&agent.resources, || dice.below(256)),
            _ => agent.resources.clone(),
        };
        let resources = part(&resources, || dice.below(256));
        tasks.push(RunningTask::new(framework, role, Task::new(id, resources)));
    }
    Command::AddAgent(agent, tasks)
}

fn window(dice: &mut Dice<'_>) -> Unavailability {
    let duration = dice.pick(&[None, Some(Duration::from_secs(50))]);
    Unavailability { start: Time::from_secs(100), duration }
}

fn update_agent(agent: &Agent, dice: &mut Dice<'_>) -> AgentUpdate {
    let mut update = AgentUpdate::new(agent.id.clone());
    match dice.below(3) {
        0 => {}
        1 => update.resources = Some(agent_resources(dice.below(256))),
        _ => update.resources = Some(told_otherwise(&agent.resources, || dice.below(256))),
    }
    if dice.one_in(3) {
        let attributes: Attributes = dice.pick(&["rack:r1", "", "rack:r2"]).parse().expect("attributes");
        update.attributes = Some(attributes);
    }
    if dice.one_in(5) {
        update.domain = Some(Domain { region: dice.pick(&["home", "far"]).into(), zone: "z1".into() });
    }
    update
}

fn framework(id: FrameworkId, dice: &mut Dice<'_>) -> Framework {
    let mut framework = Framework::new(id);
    framework.roles = dice.roles();
    for capability in Capability::ALL {
        if dice.one_in(3) {
            framework.capabilities.push(capability);
        }
    }
    let die = dice.below(12);
    if die < 3 {
        framework.suppressed.extend(framework.roles.get(die).cloned());
    } else if die < 6 {
        let minimums = [vec![], vec![minimum("cpus", 1000)], vec![minimum("mem", 64_000), minimum("ports", 2000)]];
        framework.offer_filters.insert(framework.roles[0].clone(), minimums[die - 3].clone());
    } else if die == 6 {
        framework.offer_constraints = constraints(dice, &framework.roles[0]);
    }
    framework
}

pub(crate) fn minimum(name: &str, milli: u64) -> Quantities {
    Quantities::from_iter([(name, Scalar::milli(milli))])
}

fn constraints(dice: &mut Dice<'_>, role: &Role) -> OfferConstraints {
    let selectors = [
        json!({"attribute_name": "rack"}),
        json!({"pseudoattribute_type": "HOSTNAME"}),
        json!({"pseudoattribute_type": "REGION"}),
    ];
    let predicates = [
        json!({"exists": {}}),
        json!({"not_exists": {}}),
        json!({"text_equals": {"value": "r1"}}),
        json!({"text_not_equals": {"value": "h1"}}),
        json!({"text_matches": {"regex": "h[12]|f.r|r1"}}),
        json!({"text_not_matches": {"regex": "h|f"}}),
    ];
    let mut one = || json!({"selector": dice.pick(&selectors), "predicate": dice.pick(&predicates)});
    let groups = json!([{"attribute_constraints": [one()]}, {"attribute_constraints": [one(), one()]}]);
    OfferConstraints::from_v1(json!({"role_constraints": {role.as_str(): {"groups": groups}}})).expect("constraints")
}

fn set_quota(dice: &mut Dice<'_>) -> Command {
    let guarantees = [
        vec![],
        vec![("cpus", 1000)],
        vec![("cpus", 2000), ("mem", 64_000)],
        vec![("mem", 100_000)],
        vec![],
        vec![("disk", 10_000), ("cpus", 500)],
    ];
    let limits = [
        vec![],
        vec![("cpus", 2000)],
        vec![("cpus", 0)],
        vec![("mem", 64_000), ("cpus", 3000)],
        vec![("disk", 12_000)],
    ];
    let role = role(dice.pick(&["a", "a", "a/b", "d", "*", "a/b/c"]));
    let guarantees = dice.pick(&guarantees).into_iter().map(|(name, milli)| (name, Scalar::milli(milli)));
    let limits: BTreeMap<&str, f64> =
        dice.pick(&limits).into_iter().map(|(name, milli)| (name, Scalar::milli(milli).as_f64())).collect();
    let limits = serde_json::from_value(json!(limits)).expect("limits");
    Command::SetQuota(role, Quota::new(guarantees.collect(), limits))
}

fn some_roles(dice: &mut Dice<'_>, state: &Reference) -> Vec<Role> {
    let all: Vec<Role> = state.frameworks.iter().flat_map(|known| known.framework.roles.clone()).collect();
    if dice.one_in(2) { dice.pick_some(&all).into_iter().collect() } else { Vec::new() }
}

fn accept(dice: &mut Dice<'_>, state: &Reference, offer: &LiveOffer) -> Accept {
    let mut accept = Accept::of(&told(offer));
    accept.filters = dice.filters();
    let mut resources = offer.held.resources.clone();
    let place = |offer: &LiveOffer| (offer.held.framework.clone(), offer.held.agent.clone(), offer.held.role.clone());
    let twin = state.offers.iter().find(|other| other.number != offer.number && place(other) == place(offer));
    if let Some(twin) = twin.filter(|_| !dice.one_in(3)) {
        accept = accept.and(&told(twin));
        resources = resources.checked_add(&twin.held.resources).expect("of one agent");
    }
    let tasks: Vec<Task> = (0..=dice.below(2))
        .map(|n| {
            let taken = part(&resources, || dice.below(256));
            resources = resources.saturating_sub(&taken.filter(|resource| !resource.is_shared()));
            Task::new(unused_task(state, &offer.held.framework, n), taken)
        })
        .filter(|task| !task.resources.is_empty())
        .collect();
    match dice.below(4) {
        0 => accept.then(Operation::LaunchGroup(tasks)),
        _ => tasks.into_iter().fold(accept, Accept::launch),
    }
}

fn operations(dice: &mut Dice<'_>, offer: &LiveOffer) -> Vec<Operation> {
    let mut operations = vec![operation(dice, &offer.held.resources, &offer.held.role)];
    if dice.one_in(2) {
        let made = match &operations[0] {
            Operation::Reserve(made) | Operation::Create(made) => made.clone(),
            _ => offer.held.resources.clone(),
        };
        operations.push(operation(dice, &made, &offer.held.role));
        let task = Task::new("made", part(&made, || dice.below(256)));
        if dice.one_in(2) && !task.resources.is_empty() {
            operations.push(Operation::Launch(vec![task]));
        }
    }
    operations
}

fn operation(dice: &mut Dice<'_>, of: &apportion::Resources, role: &Role) -> Operation {
    let kind = dice.below(6);
    let taken = part(of, || dice.below(256));
    let volumes = taken.filter(|resource| resource.is_indivisible());
    match kind {
        0 => Operation::Reserve(reserved_to(&taken, role)),
        1 => Operation::Unreserve(taken.filter(|resource| resource.role().is_some() && !resource.is_indivisible())),
        2 => Operation::Create(volumes_of(&taken, dice.below(4))),
        3 => Operation::Destroy(volumes),
        _ => resized(kind == 4, &taken, of),
    }
}

fn ask(framework: FrameworkId, dice: &mut Dice<'_>, state: &Reference) -> Command {
    let task = dice.pick_some(&state.tasks).map_or_else(|| TaskId::from("t0"), |task| task.id);
    let call = match dice.below(3) {
        0 => Call::Kill(task.into()),
        1 => Call::Reconcile(None),
        _ => Call::Reconcile(Some(vec![TaskId::from("never").into(), task.into()])),
    };
    Command::Call(framework, call)
}

/// A command that is most likely refused.
fn wrong(dice: &mut Dice<'_>, state: &Reference) -> Command {
    let first = dice.pick_some(&state.offers);
    let last = state.offers.last().cloned();
    let framework = dice.pick_some(&state.frameworks).map_or_else(|| "f1".into(), |known| known.framework.id);
    let decline = |offers: Vec<OfferId>| Call::Decline { offers, filters: Filters::default() };
    let call = match (dice.below(12), first, last) {
        (0, Some(first), Some(last)) => decline(vec![id_of(&first), id_of(&last), id_of(&first)]),
        (1, Some(first), _) => decline(vec![id_of(&first), "O999".into()]),
        (2, Some(first), Some(last)) => Call::Accept(Accept::of(&told(&first)).and(&told(&last))),
        (3, Some(first), _) => {
            let accept = Accept::of(&told(&first)).launch(Task::new("ok", part(&first.held.resources, || 1)));
            Call::Accept(accept.launch(Task::new("huge", "cpus:1000".parse().expect("resources"))))
        }
        (4, Some(first), _) => {
            let task = Task::new("twice", first.held.resources.clone());
            Call::Accept(Accept::of(&told(&first)).launch(task.clone()).launch(task))
        }
        (5, ..) => Call::Suppress(vec![role("never")]),
        (6, ..) => Call::Revive(vec![dice.role(), role("never")]),
        (8, Some(first), _) => {
            let id = dice.pick(&["", "..", "a/b", "a\\b", "a\tb"]);
            Call::Accept(Accept::of(&told(&first)).launch(Task::new(id, first.held.resources.clone())))
        }
        (9, ..) => return Command::AddFramework(Framework::new(dice.pick(&["", "a/b", "."])).role(role("a"))),
        (10, ..) => {
            return Command::AddAgent(Agent::new(dice.pick(&["", "..", "a/b"]), agent_resources(0)), Vec::new());
        }
        (7, ..) => return Command::AddFramework(Framework::new("bad").role(role("a")).role(role("a"))),
        (_, Some(first), _) => {
            Call::Accept(Accept::of(&told(&first)).launch(Task::new("none", "".parse().expect("none"))))
        }
        _ => return Command::RemoveAgent("never".into()),
    };
    Command::Call(framework, call)
}

fn unused_task(state: &Reference, framework: &FrameworkId, skip: usize) -> TaskId {
    let names = (1..).map(|n| TaskId::from(format!("t{n}")));
    let mut unused = names.filter(|id| state.task(framework, id).is_none());
    unused.nth(skip).expect("there is always another number")
}

fn id_of(offer: &LiveOffer) -> OfferId {
    format!("O{}", offer.number).into()
}

/// The offer as the framework saw it, as far as an answer needs it.
fn told(offer: &LiveOffer) -> Offer {
    let held = offer.held.clone();
    Offer::new(id_of(offer), held.framework, held.role, held.agent, held.resources)
}
