//! Random commands that mean something: each is made from a few dice and the state at its moment, so that
//! offers are answered, tasks end, and small amounts collide; some are wrong on purpose.

use crate::kinds::{AGENTS, agent_resources, executor, part, reserved_to, resized, told_otherwise, volumes_of};
use crate::reference::{Fate, LiveInverseOffer, LiveOffer, Reference};
use apportion::allocator::{Quota, Weight};
use apportion::{
    Accept, Agent, AgentId, AgentUpdate, Attributes, Call, Capability, Command, Domain, Drain, ExecutorRef, Filters,
    Framework, FrameworkId, InvalidForm, Kill, Offer, OfferConstraints, OfferId, Operation, Quantities, Recovery,
    Registration, Request, Resources, Role, RunningExecutor, RunningTask, Scalar, Task, TaskId, TaskRef, TaskState,
    TaskStatus, Time, Unavailability, Uuid,
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
    /// A connection to an agent breaks, or the agent goes.
    Depart,
    /// An agent that was there comes back.
    Return,
    Drain,
    Recover,
    RecoverFramework,
    Subscribe,
    EndExecutor,
    /// A status of a task that is not known, or of a copy.
    StrayStatus,
    /// An answer of which something may be wrong, judged one by one.
    Each,
    /// One more framework of a crowd comes.
    Join,
    /// An offer is declined, most often for long.
    Refuse,
    /// So many offers are requested.
    Request,
}

/// How often each kind comes up. What the crate does not do yet is left out here.
const KINDS: [(u32, Kind); 32] = [
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
    (4, Kind::Depart),
    (4, Kind::Return),
    (2, Kind::Drain),
    (2, Kind::RecoverFramework),
    (2, Kind::Subscribe),
    (2, Kind::EndExecutor),
    (2, Kind::StrayStatus),
    (4, Kind::Each),
    (5, Kind::Request),
];

/// How often each kind comes up where many frameworks turn down most of what they are offered.
const CROWD: [(u32, Kind); 13] = [
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
    (2, Kind::Request),
];

/// One thing that happens, and what it makes its choices from.
#[derive(Clone)]
pub(crate) struct Move {
    pub(crate) kind: Kind,
    pub(crate) wait: Duration,
    pub(crate) dice: [u8; 28],
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
    let recovery = prop::collection::vec(each(prop_oneof![Just(Kind::Recover), Just(Kind::SetQuota)].boxed()), 0..3);
    let setup = chained(recovery, setup);
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
    (kind, wait, any::<[u8; 28]>()).prop_map(made)
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
#[expect(clippy::too_many_lines, reason = "an arm for each kind")]
pub(crate) fn command(made: &Move, state: &Reference) -> Option<Command> {
    let mut dice = Dice(made.dice.iter());
    let dice = &mut dice;
    let agents: Vec<_> = state.agents.iter().map(|known| known.agent.id.clone()).collect();
    let frameworks: Vec<_> = state.frameworks.iter().map(|known| known.framework.id.clone()).collect();
    Some(match made.kind {
        Kind::AddAgent => add_agent(dice, state),
        Kind::UpdateAgent => Command::UpdateAgent(update_agent(&dice.pick_some(&state.agents)?.agent, dice, state)),
        Kind::RemoveAgent => Command::RemoveAgent(dice.pick_some(&agents)?),
        Kind::Depart => depart(dice),
        Kind::Return => comes_back(dice, state)?,
        Kind::Drain => drain(dice),
        Kind::Recover => recover(dice),
        Kind::RecoverFramework => {
            let give_up_after = Duration::from_millis(dice.pick(&[1000, 3000, 250, 100_000]));
            Command::RecoverFramework(framework(dice.pick(&FRAMEWORKS).into(), dice), give_up_after)
        }
        Kind::Subscribe => {
            let id = if dice.one_in(2) { dice.pick_some(&frameworks)? } else { dice.pick(&FRAMEWORKS).into() };
            Command::Call(id.clone(), Call::Subscribe(Box::new(framework(id, dice))))
        }
        Kind::EndExecutor => {
            let known = dice.pick_some(&state.executors);
            let ended = known.map(|known| ExecutorRef::new(known.held.framework, known.held.agent, known.id));
            let stray = ExecutorRef::new(dice.pick(&FRAMEWORKS), dice.pick(&IDS), dice.pick(&["e1", "e3"]));
            Command::ExecutorEnded(ended.filter(|_| !dice.one_in(4)).unwrap_or(stray), 256)
        }
        Kind::StrayStatus => stray_status(dice, state),
        Kind::Each => judged_each(dice, state)?,
        Kind::SwitchAgent => {
            let id = if dice.one_in(4) { dice.pick(&IDS).into() } else { dice.pick_some(&agents)? };
            if dice.one_in(2) { Command::DeactivateAgent(id) } else { Command::ActivateAgent(id) }
        }
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
            Command::Call(
                offer.held.framework.clone(),
                Call::Decline { offers: vec![state.offer_id(offer.number)], filters, each: false },
            )
        }
        Kind::UpdateFramework => {
            let id = dice.pick_some(&frameworks)?;
            Command::Call(id.clone(), Call::UpdateFramework(Box::new(framework(id, dice))))
        }
        Kind::RemoveFramework => {
            // Sometimes one that is known only by its tasks.
            let owner = dice.pick_some(&state.tasks).map(|task| task.held.framework);
            let owner = owner.filter(|_| dice.one_in(2));
            Command::Call(owner.or_else(|| dice.pick_some(&frameworks))?, Call::Teardown)
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
            let its = its.filter(|other| all || other.number == offer.number);
            let offers: Vec<OfferId> = its.map(|offer| state.offer_id(offer.number)).collect();
            Command::Call(framework, Call::Decline { offers, filters, each: false })
        }
        Kind::Suppress => Command::Call(dice.pick_some(&frameworks)?, Call::Suppress(some_roles(dice, state))),
        Kind::Request => Command::Call(dice.pick_some(&frameworks)?, Call::from(request(dice, state))),
        Kind::Revive => Command::Call(dice.pick_some(&frameworks)?, Call::Revive(some_roles(dice, state))),
        Kind::TaskStatus => {
            let task = dice.pick_some(&state.tasks)?;
            let mut status = TaskStatus::new(task.id, dice.pick(&STATES));
            status.agent = Some(task.held.agent).filter(|_| dice.one_in(2));
            status.uuid = uuid(dice);
            if dice.one_in(4) {
                status.healthy = Some(dice.one_in(2));
                status.executor = Some("told".into());
                status.details.insert("container_status", json!({"executor_pid": dice.below(256)}));
            }
            Command::TaskStatus(task.held.framework, status)
        }
        Kind::Ask => ask(dice.pick_some(&frameworks)?, dice, state),
        Kind::Wait => return None,
        Kind::Wrong => wrong(dice, state),
        Kind::Operations => {
            let offer = dice.pick_some(&state.offers)?;
            let mut accept = Accept::of(&told(state, &offer));
            accept.operations = operations(dice, &offer);
            accept.filters = dice.filters();
            accept.each = dice.one_in(2);
            if dice.one_in(3) {
                accept.feedback.insert(0, "op-0".into());
            }
            Command::Call(offer.held.framework, Call::Accept(accept))
        }
        Kind::SetQuota => set_quota(dice),
        Kind::SetMaintenance => {
            let window = dice.pick(&[true, false, true]).then(|| window(dice));
            Command::SetMaintenance(dice.pick_some(&agents)?, window)
        }
        Kind::AnswerInverse => {
            let LiveInverseOffer { number, framework, .. } = dice.pick_some(&state.inverse_offers)?;
            let (mut offers, filters) = (vec![state.inverse_offer_id(number)], dice.filters());
            let (accepts, each) = (dice.one_in(2), dice.one_in(2));
            if dice.one_in(3) {
                let other = dice.pick_some(&state.inverse_offers).map(|other| state.inverse_offer_id(other.number));
                offers.extend(other.into_iter().chain(["I999".into()]));
            }
            let call = if accepts {
                Call::AcceptInverseOffers { offers, filters, each }
            } else {
                Call::DeclineInverseOffers { offers, filters, each }
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
    let resources = drawn_resources(dice, state);
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
    let mut registration = Registration::from(agent.clone());
    for n in 0..[0, 0, 0, 1, 1, 2][dice.below(6)] {
        let (framework, role) = (dice.pick(&FRAMEWORKS), dice.role());
        let id = unused_task(state, &framework.into(), n);
        let resources = match dice.below(3) {
            0 => told_otherwise(&agent.resources, || dice.below(256)),
            _ => agent.resources.clone(),
        };
        let resources = part(&resources, || dice.below(256));
        let mut running = RunningTask::new(framework, role, Task::new(id, resources));
        if dice.one_in(6) {
            running = running.state(dice.pick(&[TaskState::Staging, TaskState::Finished]));
        }
        registration = registration.task(running);
    }
    if dice.one_in(4) {
        // One whose id runs elsewhere.
        let elsewhere = dice.pick_some(&state.tasks);
        registration.tasks.extend(elsewhere.map(|task| {
            let resources = part(&agent.resources, || dice.below(256));
            RunningTask::new(task.held.framework, task.held.role, Task::new(task.id, resources))
        }));
    }
    if dice.one_in(4) {
        let resources = dice.pick(&["cpus:0.5", "", "mem:16"]).parse().expect("resources");
        registration =
            registration.executor(RunningExecutor::new("e1", dice.pick(&FRAMEWORKS), dice.role(), resources));
    }
    Command::AddAgent(registration)
}

/// The ids of agents, some of which never come.
const IDS: [&str; 5] = ["a1", "a2", "a3", "a4", "a1"];

fn depart(dice: &mut Dice<'_>) -> Command {
    let id: AgentId = dice.pick(&IDS).into();
    match dice.below(7) {
        0..3 => Command::DisconnectAgent(id),
        3 | 4 => Command::AgentUnreachable(id),
        5 => Command::AgentGone(id),
        _ => Command::UnregisterAgent(id),
    }
}

fn drain(dice: &mut Dice<'_>) -> Command {
    let mut drain = Drain::default();
    drain.max_grace_period = dice.pick(&[None, Some(Duration::from_secs(3)), Some(Duration::ZERO)]);
    drain.mark_gone = dice.one_in(3);
    Command::DrainAgent(dice.pick(&IDS).into(), drain)
}

fn recover(dice: &mut Dice<'_>) -> Command {
    let lists: [&[&str]; 5] = [&["a1", "a2", "a3"], &["a1", "a2"], &["a3"], &["a1", "a4"], &[]];
    let mut recovery = Recovery::of(dice.pick(&lists).iter().copied().map(AgentId::from));
    recovery.factor = Scalar::milli(dice.pick(&[800, 500, 333, 0, 1000]));
    recovery.timeout = Duration::from_millis(dice.pick(&[600_000, 3000, 2500, 0]));
    Command::Recover(recovery)
}

/// An agent comes back, with some of what was on it, and perhaps with more.
fn comes_back(dice: &mut Dice<'_>, state: &Reference) -> Option<Command> {
    let away = state.agents.iter().filter(|known| !known.connected).map(|known| known.agent.clone());
    let away: Vec<Agent> = away.collect();
    let unreachable = state.departed.iter().filter(|departed| departed.fate != Fate::Gone || dice.one_in(4));
    let unreachable: Vec<AgentId> = unreachable.map(|departed| departed.id.clone()).collect();
    let mut agent = match dice.pick_some(&away) {
        Some(agent) if unreachable.is_empty() || !dice.one_in(3) => agent,
        _ => Agent::new(dice.pick_some(&unreachable)?, drawn_resources(dice, state)).hostname("h2"),
    };
    if dice.one_in(5) {
        agent.resources = drawn_resources(dice, state);
    }
    if dice.one_in(5) {
        agent = agent.attribute("rack", "r2");
    }
    if dice.one_in(2) {
        agent.unavailability = None; // what is known of the machine stands
    }
    let id = agent.id.clone();
    let total = agent.resources.clone();
    let mut tasks: Vec<RunningTask> = Vec::new();
    for task in state.tasks.iter().filter(|task| task.held.agent == id) {
        let resources = if dice.one_in(6) { Default::default() } else { task.held.resources.clone() };
        let mut brought = Task::new(task.id.clone(), resources);
        brought.details = task.details.clone();
        brought.details.remove("executor"); // its agent tells the id alone
        let mut running = RunningTask::new(task.held.framework.clone(), task.held.role.clone(), brought);
        running.executor = task.executor.clone();
        tasks.push(running);
    }
    for copy in state.copies.iter().filter(|copy| copy.held.agent == id) {
        let brought = Task::new(copy.id.clone(), copy.held.resources.clone());
        tasks.push(RunningTask::new(copy.held.framework.clone(), copy.held.role.clone(), brought));
    }
    let told_lost = state.agents.iter().filter(|known| known.agent.id == id).flat_map(|known| &known.told_lost);
    let told_lost: Vec<(FrameworkId, TaskId)> = told_lost.cloned().collect();
    let unreachable = state.unreachable_tasks.iter().filter(|task| task.agent == id);
    let unreachable = unreachable.map(|task| (task.framework.clone(), task.id.clone()));
    let lives = |framework: &&FrameworkId| state.task(framework, &"t1".into()).is_some();
    let removed = state
        .removed
        .iter()
        .filter(|framework| !lives(framework))
        .map(|framework| (framework.clone(), TaskId::from("t1")));
    for (framework, task) in told_lost.into_iter().chain(unreachable).chain(removed) {
        let brought = Task::new(task, part(&total, || dice.below(256)));
        tasks.push(RunningTask::new(framework, dice.role(), brought));
    }
    let mut registration = Registration::from(agent);
    for running in tasks {
        let key = (&running.framework, &running.task.id);
        if registration.tasks.iter().any(|other| (&other.framework, &other.task.id) == key) {
            continue;
        }
        match dice.below(8) {
            6 => {}
            7 => registration = registration.task(running.state(TaskState::Finished)),
            5 => registration = registration.task(running.state(TaskState::Killing)),
            _ => registration = registration.task(running),
        }
    }
    for known in state.executors.iter().filter(|known| known.held.agent == id) {
        if !dice.one_in(4) {
            let held = known.held.clone();
            let back = RunningExecutor::new(known.id.clone(), held.framework, held.role, held.resources);
            registration = registration.executor(back);
        }
    }
    Some(Command::AddAgent(registration))
}

fn uuid(dice: &mut Dice<'_>) -> Option<Uuid> {
    dice.one_in(2).then(|| Uuid::from_seed(1, dice.below(256) as u64))
}

fn stray_status(dice: &mut Dice<'_>, state: &Reference) -> Command {
    let copy = dice.pick_some(&state.copies).filter(|_| !dice.one_in(3));
    let task = dice.pick_some(&state.tasks).filter(|_| !dice.one_in(3));
    let (framework, id, agent) = match (copy, task) {
        (Some(copy), _) => (copy.held.framework, copy.id, Some(copy.held.agent)),
        (None, Some(task)) => (task.held.framework, task.id, Some(dice.pick(&IDS).into())),
        (None, None) => {
            let agent = dice.pick(&[None, Some("a1"), Some("a4")]).map(AgentId::from);
            (dice.pick(&FRAMEWORKS).into(), TaskId::from(dice.pick(&["never", "t1", "t2"])), agent)
        }
    };
    let mut status = TaskStatus::new(id, dice.pick(&STATES)).reason("REASON_COMMAND_EXECUTOR_FAILED");
    (status.agent, status.uuid) = (agent, uuid(dice));
    Command::TaskStatus(framework, status)
}

/// An accept or a decline with whatever can be wrong with it.
fn judged_each(dice: &mut Dice<'_>, state: &Reference) -> Option<Command> {
    let framework = match dice.pick_some(&state.offers) {
        Some(offer) => offer.held.framework,
        None => dice.pick_some(&state.frameworks)?.framework.id,
    };
    let its = state.offers.iter().filter(|offer| offer.held.framework == framework);
    let its: Vec<LiveOffer> = its.cloned().collect();
    let mut offers: Vec<OfferId> = Vec::new();
    offers.extend(dice.pick_some(&its).map(|offer| state.offer_id(offer.number)));
    match dice.below(8) {
        0 => offers.push("O999".into()),
        1 => offers.extend(dice.pick_some(&state.offers).map(|offer| state.offer_id(offer.number))),
        2 => offers.clear(),
        3 => offers.extend(dice.pick_some(&its).map(|offer| state.offer_id(offer.number))),
        _ => {}
    }
    let filters = dice.filters();
    if dice.one_in(3) {
        return Some(Command::Call(framework, Call::Decline { offers, filters, each: true }));
    }
    let offered = its.iter().find(|offer| offers.contains(&state.offer_id(offer.number)));
    let resources = offered.map(|offer| offer.held.resources.clone()).unwrap_or_default();
    let mut accept = Accept::to(offers).each();
    accept.filters = filters;
    accept.agent = dice.one_in(3).then(|| "a1".into());
    for _ in 0..=dice.below(3) {
        let operation = match dice.below(6) {
            0 => {
                let role = offered.map_or_else(|| role("a"), |offer| offer.held.role.clone());
                operation(dice, &resources, &role)
            }
            1 => {
                let form = negative(json!({"resources": "cpus:-1"}));
                Operation::Invalid { name: dice.pick(&["reserve", "unreserve"]), form: Box::new(form) }
            }
            2 | 3 => Operation::LaunchGroup(
                (0..=dice.below(2)).map(|_| a_task(dice, state, &framework, &resources)).collect(),
            ),
            _ => Operation::Launch((0..=dice.below(2)).map(|_| a_task(dice, state, &framework, &resources)).collect()),
        };
        accept.operations.push(operation);
    }
    if dice.one_in(2) {
        accept.feedback.insert(dice.below(2), "op-1".into());
    }
    Some(Command::Call(framework, Call::Accept(accept)))
}

/// Resources that cannot be read.
fn negative(given: serde_json::Value) -> InvalidForm {
    let error = "cpus:-1".parse::<Resources>().expect_err("an amount is not negative");
    InvalidForm::new(given, error.to_string())
}

/// A task that may be wrong in many ways.
fn a_task(dice: &mut Dice<'_>, state: &Reference, framework: &FrameworkId, of: &Resources) -> Task {
    let skip = dice.below(3);
    let id = unused_task(state, framework, skip);
    let fits = part(of, || dice.below(256));
    match dice.below(14) {
        0 => Task::new(dice.pick_some(&state.tasks).map_or(id, |task| task.id), fits),
        1 => Task::new(dice.pick(&["", "..", "a/b"]), fits),
        2 => Task::new(id, Default::default()),
        3 => Task::new(id, "cpus:1000".parse().expect("resources")),
        4 => Task::with_invalid_resources(id, negative(json!("cpus:-1"))),
        5 => Task::new(id, "gpus:0.5".parse().expect("resources")),
        6 => Task::new(id, fits).detail("executor", json!({"executor_id": {"value": "a/b"}})),
        7..10 => Task::new(id, fits).detail("executor", executor(dice.below(8))),
        _ => Task::new(id, fits),
    }
}

fn window(dice: &mut Dice<'_>) -> Unavailability {
    let duration = dice.pick(&[None, Some(Duration::from_secs(50))]);
    Unavailability { start: Time::from_secs(100), duration }
}

fn update_agent(agent: &Agent, dice: &mut Dice<'_>, state: &Reference) -> AgentUpdate {
    let mut update = AgentUpdate::new(agent.id.clone());
    match dice.below(3) {
        0 => {}
        1 => update.resources = Some(drawn_resources(dice, state)),
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
    framework.checkpoint = dice.one_in(2);
    if dice.one_in(3) {
        framework.failover_timeout = Some(Duration::from_millis(dice.pick(&[1000, 0, 3000, 250, 100_000])));
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
    if dice.one_in(4) {
        framework.offer_timeout = Some(Duration::from_millis(dice.pick(&[2000, 0, 500, 4000])));
    }
    if dice.one_in(4) {
        framework.max_offers = Some(dice.pick(&[1, 2, 0, 3]));
    }
    if dice.one_in(4) {
        framework.suppressed.clone_from(&framework.roles);
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

fn request(dice: &mut Dice<'_>, state: &Reference) -> Request {
    let mut request = Request::offers(dice.pick(&[1, 2, 3, 1, 0]));
    request.roles = some_roles(dice, state);
    request.each = dice.pick(&[None, None, Some("cpus:1"), Some("cpus:2;mem:32"), Some("ports:2")]).map(parsed);
    let most = dice.pick(&[None, None, Some("cpus:2"), Some("cpus:1;mem:64"), Some("disk:3;gpus:1")]);
    request.most = most.map(parsed).unwrap_or_default();
    if dice.one_in(4) {
        request.agents = vec![dice.pick(&IDS).into(), dice.pick(&IDS).into()];
    }
    request.if_suppressed = dice.one_in(4);
    request
}

/// What an agent has: not so much that it would be divided into thousands of chunks.
fn drawn_resources(dice: &mut Dice<'_>, state: &Reference) -> Resources {
    let drawn = agent_resources(dice.below(256));
    let is_huge = drawn.amount("cpus") > Scalar::units(1000);
    if is_huge && !state.config.options.max_offer.is_empty() { agent_resources(0) } else { drawn }
}

/// Amounts of this test.
pub(crate) fn parsed<T: std::str::FromStr<Err: fmt::Debug>>(text: &str) -> T {
    text.parse().expect("amounts of this test")
}

fn some_roles(dice: &mut Dice<'_>, state: &Reference) -> Vec<Role> {
    let all: Vec<Role> = state.frameworks.iter().flat_map(|known| known.framework.roles.clone()).collect();
    if dice.one_in(2) { dice.pick_some(&all).into_iter().collect() } else { Vec::new() }
}

fn accept(dice: &mut Dice<'_>, state: &Reference, offer: &LiveOffer) -> Accept {
    let mut accept = Accept::of(&told(state, offer));
    accept.filters = dice.filters();
    let die = dice.below(4);
    let (group, each) = (dice.one_in(4), dice.one_in(3));
    accept.each = each;
    let mut resources = offer.held.resources.clone();
    let place = |offer: &LiveOffer| (offer.held.framework.clone(), offer.held.agent.clone(), offer.held.role.clone());
    let twin = state.offers.iter().find(|other| other.number != offer.number && place(other) == place(offer));
    if let Some(twin) = twin.filter(|_| !dice.one_in(3)) {
        accept = accept.and(&told(state, twin));
        resources = resources.checked_add(&twin.held.resources).expect("of one agent");
    }
    let tasks: Vec<Task> = (0..=dice.below(2))
        .map(|n| {
            let taken = part(&resources, || dice.below(256));
            resources = resources.saturating_sub(&taken.filter(|resource| !resource.is_shared()));
            let mut task = Task::new(unused_task(state, &offer.held.framework, n), taken);
            if die == 2 {
                task = task.detail("executor", executor(dice.below(8)));
            } else if die == 3 {
                let nanoseconds = dice.pick(&[1_000_000_000_u64, 5_000_000_000]);
                task = task.detail("kill_policy", json!({"grace_period": {"nanoseconds": nanoseconds}}));
            }
            task
        })
        .filter(|task| !task.resources.is_empty())
        .collect();
    if group { accept.then(Operation::LaunchGroup(tasks)) } else { tasks.into_iter().fold(accept, Accept::launch) }
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

fn operation(dice: &mut Dice<'_>, of: &Resources, role: &Role) -> Operation {
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
    let known = dice.pick_some(&state.tasks).filter(|_| !dice.one_in(4));
    let framework = known.as_ref().map_or(framework, |task| task.held.framework.clone());
    let (task, runs_on) = match known {
        Some(task) => (task.id, Some(task.held.agent)),
        None => (TaskId::from("t0"), None),
    };
    let mut some_agent = || Some(AgentId::from(dice.pick(&IDS)));
    let (named, other) = (some_agent(), some_agent());
    let call = match dice.below(5) {
        0 => {
            let mut kill = Kill::from(task);
            kill.agent = if dice.one_in(4) { named } else { runs_on.filter(|_| dice.one_in(2)) };
            kill.grace = dice.one_in(3).then(|| Duration::from_secs(2));
            Call::Kill(kill)
        }
        1 => Call::Reconcile(None),
        2 => Call::Reconcile(Some(vec![TaskId::from("never").into(), task.into()])),
        _ => {
            let on = |agent: Option<AgentId>| TaskRef::on("never", agent.expect("an agent"));
            Call::Reconcile(Some(vec![on(named), TaskRef::on(task, "a2"), on(other), TaskRef::on("never", "a3")]))
        }
    };
    Command::Call(framework, call)
}

/// A command that is most likely refused.
fn wrong(dice: &mut Dice<'_>, state: &Reference) -> Command {
    let first = dice.pick_some(&state.offers);
    let last = state.offers.last().cloned();
    let framework = dice.pick_some(&state.frameworks).map_or_else(|| "f1".into(), |known| known.framework.id);
    let decline = |offers: Vec<OfferId>| Call::Decline { offers, filters: Filters::default(), each: false };
    let call = match (dice.below(12), first, last) {
        (0, Some(first), Some(last)) => {
            decline(vec![state.offer_id(first.number), state.offer_id(last.number), state.offer_id(first.number)])
        }
        (1, Some(first), _) => decline(vec![state.offer_id(first.number), "O999".into()]),
        (2, Some(first), Some(last)) => Call::Accept(Accept::of(&told(state, &first)).and(&told(state, &last))),
        (3, Some(first), _) => {
            let accept = Accept::of(&told(state, &first)).launch(Task::new("ok", part(&first.held.resources, || 1)));
            Call::Accept(accept.launch(Task::new("huge", "cpus:1000".parse().expect("resources"))))
        }
        (4, Some(first), _) => {
            let task = Task::new("twice", first.held.resources.clone());
            Call::Accept(Accept::of(&told(state, &first)).launch(task.clone()).launch(task))
        }
        (5, ..) => Call::Suppress(vec![role("never")]),
        (6, ..) => Call::Revive(vec![dice.role(), role("never")]),
        (8, Some(first), _) => {
            let id = dice.pick(&["", "..", "a/b", "a\\b", "a\tb"]);
            Call::Accept(Accept::of(&told(state, &first)).launch(Task::new(id, first.held.resources.clone())))
        }
        (9, ..) => return Command::AddFramework(Framework::new(dice.pick(&["", "a/b", "."])).role(role("a"))),
        (10, ..) => {
            return Command::AddAgent(Agent::new(dice.pick(&["", "..", "a/b"]), agent_resources(0)).into());
        }
        (7, ..) => return Command::AddFramework(Framework::new("bad").role(role("a")).role(role("a"))),
        (_, Some(first), _) => {
            Call::Accept(Accept::of(&told(state, &first)).launch(Task::new("none", "".parse().expect("none"))))
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

/// The offer as the framework saw it, as far as an answer needs it.
fn told(state: &Reference, offer: &LiveOffer) -> Offer {
    let held = offer.held.clone();
    Offer::new(state.offer_id(offer.number), held.framework, held.role, held.agent, held.resources)
}
