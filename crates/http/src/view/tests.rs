use super::*;
use crate::agents::NoAgents;
use crate::gate::Gate;
use crate::leader::{Input, Leader};
use crate::settings::Settings;
use apportion::{
    Accept, Agent, AgentUpdate, Call, Capability, Command, Drain, ExecutorInfo, ExecutorRef, Filters, Framework, Kill,
    OfferId, Operation, Registration, Resources, Role, RunningExecutor, RunningTask, State, Task, TaskId, TaskState,
    TaskStatus, Unavailability, Uuid,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::{mpsc, oneshot};

/// A leader, one of those who watch it, and what that one has heard.
struct Rig {
    leader: Leader,
    now: Time,
    launched: usize,
    changes: broadcast::Receiver<Arc<Told>>,
    heard: Heard,
}

/// The state of a cluster as changes tell it.
#[derive(Debug, Default, PartialEq)]
struct Heard {
    agents: BTreeMap<AgentId, Arc<AgentEntry>>,
    frameworks: BTreeMap<FrameworkId, Arc<FrameworkEntry>>,
    /// The tasks that run.
    tasks: BTreeSet<(FrameworkId, TaskId)>,
}

impl Heard {
    fn hear(&mut self, change: &Change) {
        match change {
            Change::AgentAdded(entry) => {
                assert!(self.agents.insert(entry.agent.id.clone(), entry.clone()).is_none(), "{entry:?} came twice");
            }
            Change::AgentUpdated(entry) => {
                assert!(self.agents.insert(entry.agent.id.clone(), entry.clone()).is_some());
            }
            Change::AgentRemoved(agent) => assert!(self.agents.remove(agent).is_some()),
            Change::FrameworkAdded(entry) => {
                assert!(self.frameworks.insert(entry.framework.id.clone(), entry.clone()).is_none());
            }
            Change::FrameworkUpdated(entry) => {
                assert!(self.frameworks.insert(entry.framework.id.clone(), entry.clone()).is_some());
            }
            Change::FrameworkRemoved(entry) => assert!(self.frameworks.remove(&entry.framework.id).is_some()),
            Change::TaskAdded(entry) => {
                let name = (entry.framework.clone(), entry.task.id.clone());
                assert!(self.tasks.insert(name), "{entry:?} was added twice");
            }
            Change::TaskUpdated(entry, status) => {
                assert_eq!((entry.state, &entry.task.id), (status.state, &status.task));
                assert_eq!(status.data, None, "what is passed on only is not kept");
                assert!(status.timestamp.is_some());
                if status.state.is_terminal() || status.state == TaskState::Unreachable {
                    self.tasks.remove(&(entry.framework.clone(), entry.task.id.clone()));
                }
            }
        }
    }
}

impl Rig {
    fn new(settings: Settings) -> Self {
        let (signals, _) = mpsc::unbounded_channel();
        let mut leader =
            Leader::new(Arc::new(Gate::new(settings, Duration::from_secs(100))), Box::new(NoAgents), signals);
        let (reply, mut replied) = oneshot::channel();
        leader.handle(Time::ZERO, Input::WatchChanges(reply));
        let changes = replied.try_recv().unwrap().1;
        Self { leader, now: Time::ZERO, launched: 0, changes, heard: Heard::default() }
    }

    /// Has the master do a command. Returns whether it did.
    fn command(&mut self, command: Command) -> bool {
        let (reply, mut replied) = oneshot::channel();
        self.leader.handle(self.now, Input::Command { command: Box::new(command), reply });
        self.leader.flush(self.now);
        replied.try_recv().unwrap().is_ok()
    }

    fn call(&mut self, framework: &FrameworkId, call: Call) -> bool {
        self.command(Command::Call(framework.clone(), call))
    }

    fn snapshot(&mut self) -> Snapshot {
        let (reply, mut replied) = oneshot::channel();
        self.leader.handle(self.now, Input::Snapshot(reply));
        replied.try_recv().unwrap()
    }

    fn ask<T: Send + 'static>(&mut self, question: impl FnOnce(&Master) -> T + Send + 'static) -> T {
        let (reply, mut replied) = oneshot::channel();
        self.leader.handle(self.now, Input::Query(Box::new(move |master| drop(reply.send(question(master))))));
        replied.try_recv().unwrap()
    }

    /// Compares the view with the master, and with what its changes told.
    fn check(&mut self) {
        let state = self.ask(Master::state);
        let snapshot = self.snapshot();
        while let Ok(told) = self.changes.try_recv() {
            self.heard.hear(&told.change);
        }
        check_agents(&snapshot, &state);
        let live: Vec<_> =
            snapshot.tasks().into_iter().filter(|task| task.standing == Standing::Live).cloned().collect();
        for entry in &snapshot.frameworks {
            let id = &entry.framework.id;
            let of_it = |task: &&&Arc<TaskEntry>| task.framework == *id;
            let all = snapshot.tasks();
            let unreachable =
                all.iter().filter(of_it).filter(|task| task.standing == Standing::Unreachable).count() as u64;
            let (active, ended) = self.leader.task_counts(id);
            for state in TaskState::ALL {
                let expected = live.iter().filter(|task| task.framework == *id && task.state == state).count() as u64;
                let unreachable = if state == TaskState::Unreachable { unreachable } else { 0 };
                assert_eq!(active.of(state), expected + unreachable, "{state} of {id}");
                assert!(state.is_terminal() || ended.of(state) == 0, "{state} of {id}");
            }
        }
        let found = snapshot.frameworks.iter().map(|entry| {
            let id = &entry.framework.id;
            let tasks: BTreeSet<_> =
                live.iter().filter(|task| task.framework == *id).map(|task| task.task.id.clone()).collect();
            (id.clone(), entry.framework.roles.clone(), entry.suppressed.clone(), entry.active, entry.recovered, tasks)
        });
        let found: Vec<_> = found.collect();
        let expected = state.frameworks.iter().map(|framework| {
            let tasks = framework.tasks.iter().cloned().collect();
            let (roles, suppressed) = (framework.roles.clone(), framework.suppressed.clone());
            (framework.id.clone(), roles, suppressed, framework.active, framework.recovered, tasks)
        });
        assert_eq!(found, expected.collect::<Vec<_>>());
        let names: Vec<_> =
            live.iter().map(|task| (task.framework.clone(), task.task.id.clone(), task.agent.clone())).collect();
        let states = self.ask(move |master| {
            names
                .iter()
                .map(|(framework, task, on)| {
                    master
                        .known_task(framework, task)
                        .filter(|known| known.holding.agent == *on)
                        .map(|known| known.state)
                })
                .collect::<Vec<_>>()
        });
        assert_eq!(live.iter().map(|task| Some(task.state)).collect::<Vec<_>>(), states);
        for task in snapshot.tasks() {
            let is_right = match task.standing {
                Standing::Live | Standing::Copy => !task.state.is_terminal(),
                Standing::Unreachable => matches!(task.state, TaskState::Unreachable | TaskState::Lost),
                Standing::Completed => task.state.is_terminal(),
            };
            assert!(is_right, "{task:?}");
        }

        let offers = |state: &State| {
            state.offers.iter().map(|offer| (offer.id.clone(), offer.resources.clone())).collect::<Vec<_>>()
        };
        let found: Vec<_> =
            snapshot.offers.iter().map(|offer| (snapshot.offer_id(offer), offer.holding.resources.clone())).collect();
        assert_eq!(found, offers(&state));

        let told = Heard {
            agents: snapshot.agents().into_iter().map(|entry| (entry.agent.id.clone(), entry.clone())).collect(),
            frameworks: snapshot.frameworks.iter().map(|entry| (entry.framework.id.clone(), entry.clone())).collect(),
            tasks: live.iter().map(|task| (task.framework.clone(), task.task.id.clone())).collect(),
        };
        assert_eq!(self.heard, told);
    }
}

fn check_agents(snapshot: &Snapshot, state: &State) {
    let (allocated, offered) = (snapshot.allocated(), snapshot.offered());
    let sum = |sums: Option<&Sums>| {
        let mut sum = Resources::new();
        sums.into_iter().flat_map(BTreeMap::values).for_each(|resources| sum.try_add(resources).unwrap());
        sum
    };
    let found = snapshot.agents();
    let found = found.iter().map(|entry| {
        let id = &entry.agent.id;
        let held = (sum(allocated.by_agent.get(id)), sum(offered.by_agent.get(id)));
        (id.clone(), entry.total.clone(), held, entry.is_active(), entry.connected, entry.drain.is_some())
    });
    let expected = state.agents.iter().map(|agent| {
        let held = (agent.allocated.clone(), agent.offered.clone());
        (agent.id.clone(), agent.total.clone(), held, agent.active, agent.connected, agent.draining)
    });
    assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

fn resources(text: &str) -> Resources {
    text.parse().unwrap()
}

fn framework(number: u8) -> Framework {
    let role = |name: &str| name.parse::<Role>().unwrap();
    let framework = Framework::new(format!("f{}", number % 4)).role(role("a")).role(role("b"));
    let framework = framework.capability(Capability::MultiRole).failover_timeout(Duration::from_secs(20));
    match number % 4 {
        0 => framework.capability(Capability::PartitionAware),
        1 => framework.checkpoint(),
        2 => framework.checkpoint().capability(Capability::PartitionAware),
        _ => framework,
    }
}

fn agent_id(number: u8) -> AgentId {
    format!("a{}", number % 4).into()
}

/// A step of a session: what happens, and to whom.
type Step = (u8, u8, u8);

fn step(rig: &mut Rig, (what, whom, how): Step) {
    let (agent, known) = (agent_id(whom), framework(whom));
    let id = known.id.clone();
    let tasks: Vec<_> = rig.snapshot().tasks().into_iter().cloned().collect();
    let some_task = tasks.get(usize::from(how) % tasks.len().max(1));
    match what % 24 {
        0 | 1 => drop(rig.command(Command::AddAgent(registration(agent, how, &tasks)))),
        2 => drop(rig.command(Command::RemoveAgent(agent))),
        3 => drop(rig.command(if how.is_multiple_of(2) {
            Command::DeactivateAgent(agent)
        } else {
            Command::ActivateAgent(agent)
        })),
        4 => drop(rig.command(Command::DisconnectAgent(agent))),
        5 => drop(rig.command(Command::AgentUnreachable(agent))),
        6 if how.is_multiple_of(4) => drop(rig.command(Command::AgentGone(agent))),
        6 => drop(rig.command(Command::UnregisterAgent(agent))),
        7 => {
            let mut drain = Drain::default();
            drain.mark_gone = how.is_multiple_of(8);
            rig.command(Command::DrainAgent(agent, drain));
        }
        8 => {
            let update = AgentUpdate::new(agent).resources(resources(&format!("cpus:{};mem:4096", 4 + how % 8)));
            rig.command(Command::UpdateAgent(update));
        }
        9 => {
            let mut window = None;
            if how.is_multiple_of(2) {
                window = Some(Unavailability { start: rig.now + Duration::from_secs(50), duration: None });
            }
            rig.command(Command::SetMaintenance(agent, window));
        }
        10 | 11 => drop(rig.call(&id, Call::Subscribe(Box::new(known)))),
        12 => drop(rig.command(Command::DeactivateFramework(id))),
        13 if how.is_multiple_of(3) => drop(rig.call(&id, Call::Teardown)),
        13 => drop(rig.command(Command::RecoverFramework(known, Duration::from_secs(30)))),
        14 => {
            let roles = if how.is_multiple_of(2) { Vec::new() } else { vec!["b".parse().unwrap()] };
            rig.call(&id, if how % 4 < 2 { Call::Suppress(roles) } else { Call::Revive(roles) });
        }
        15 => drop(rig.call(&id, Call::UpdateFramework(Box::new(known.detail("name", format!("n{how}")))))),
        16..=18 => accept(rig, how),
        19 => {
            let offers: Vec<OfferId> = rig
                .ask(Master::state)
                .offers
                .iter()
                .filter(|offer| offer.framework == id)
                .map(|offer| offer.id.clone())
                .collect();
            rig.call(&id, Call::Decline { offers, filters: Filters::NONE, each: true });
        }
        20 | 21 => {
            let Some(task) = some_task else { return };
            let state = TaskState::ALL[usize::from(whom) % 8];
            let mut status = TaskStatus::new(task.task.id.clone(), state);
            (status.agent, status.data) = (Some(task.agent.clone()), Some(vec![1, 2]));
            status.uuid = (how.is_multiple_of(2)).then(|| Uuid::from_seed(1, u64::from(how)));
            rig.command(Command::TaskStatus(task.framework.clone(), status));
        }
        22 => {
            let Some(task) = some_task else { return };
            let call = match how % 3 {
                0 => Call::Kill(Kill::new(task.task.id.clone())),
                1 => Call::Reconcile(None),
                _ => Call::Reconcile(Some(vec![task.task.id.clone().into()])),
            };
            rig.call(&task.framework, call);
            let executor = ExecutorRef::new(task.framework.clone(), task.agent.clone(), "e");
            if how.is_multiple_of(5) {
                rig.command(Command::ExecutorEnded(executor, 0));
            }
        }
        _ => {
            rig.now += Duration::from_secs(u64::from(how % 12));
            rig.leader.advance(rig.now);
        }
    }
}

/// An agent that brings back some of the tasks that were on it, some of them in another state, and some that are new.
fn registration(agent: AgentId, how: u8, tasks: &[Arc<TaskEntry>]) -> Registration {
    let was_here = tasks.iter().filter(|task| task.agent == agent || how % 16 == 3);
    let mut registration = Registration::from(
        Agent::new(agent.clone(), resources("cpus:16;mem:4096")).attribute("how", how.to_string().as_str()),
    );
    let mut names = BTreeSet::new();
    for (number, task) in was_here.enumerate().take(6) {
        if !(number + usize::from(how)).is_multiple_of(3)
            && names.insert((task.framework.clone(), task.task.id.clone()))
        {
            let state = if how.is_multiple_of(5) { TaskState::Finished } else { TaskState::Running };
            let running = RunningTask::new(task.framework.clone(), task.role.clone(), task.task.clone()).state(state);
            registration = registration.task(running);
        }
    }
    if how % 4 == 1 {
        let role: Role = "a".parse().unwrap();
        let task = Task::new(format!("new-{how}"), resources("cpus:1;mem:32"));
        registration = registration
            .task(RunningTask::new(format!("f{}", how % 6), role.clone(), task).executor("e"))
            .executor(RunningExecutor::new("e", "f1", role, resources("cpus:0.1")));
    }
    registration
}

fn accept(rig: &mut Rig, how: u8) {
    let state = rig.ask(Master::state);
    let Some(offer) = state.offers.get(usize::from(how) % state.offers.len().max(1)) else { return };
    let mut accept = Accept::to([offer.id.clone()]);
    if how.is_multiple_of(7) && offer.resources.amount("cpus") > apportion::Scalar::units(1) {
        let cpus = resources("cpus:1").iter().next().unwrap().clone();
        let role: Role = "a".parse().unwrap();
        accept = accept.then(Operation::Reserve(
            Resources::try_from_iter([cpus.reserved(apportion::Reservation::dynamic(role))]).unwrap(),
        ));
    }
    for _ in 0..1 + how % 3 {
        rig.launched += 1;
        // Now and then an id is used again.
        let id = format!("t{}", if how.is_multiple_of(5) { rig.launched / 2 } else { rig.launched });
        let mut task = Task::new(id, resources("cpus:0.5;mem:32")).detail("name", "n");
        if how.is_multiple_of(4) {
            task = task.detail("executor", ExecutorInfo::new("e").detail("name", "x"));
        }
        accept = accept.launch(task);
    }
    let framework = offer.framework.clone();
    rig.call(&framework, Call::Accept(accept));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Agents come and go in all ways, bring tasks back or not, frameworks fail over and are removed, tasks are launched, killed
    /// and end: at any time the view is what the master says, and what its changes told.
    #[test]
    fn a_view_is_what_the_master_says(steps in vec(any::<Step>(), 1..250)) {
        let mut rig = Rig::new(Settings::default());
        for number in 0..4 {
            rig.command(Command::AddAgent(registration(agent_id(number), 0, &[])));
            rig.call(&framework(number).id, Call::Subscribe(Box::new(framework(number))));
        }
        for one in steps {
            step(&mut rig, one);
            rig.check();
        }
    }
}

#[test]
fn what_is_unreachable_comes_back_and_what_has_ended_is_bounded() {
    let config = Config::new().remembered(Config::new().remembered.unreachable_tasks(2).frameworks(1));
    let mut rig = Rig::new(Settings::default().config(config).max_completed_tasks(3));
    let known = framework(0);
    rig.command(Command::AddAgent(Agent::new("a0", resources("cpus:16;mem:4096")).into()));
    rig.call(&known.id, Call::Subscribe(Box::new(known.clone())));
    let launch = |rig: &mut Rig, tasks: std::ops::Range<usize>| {
        rig.now += Duration::from_secs(1);
        rig.leader.advance(rig.now);
        let offer = rig.ask(Master::state).offers[0].clone();
        let task = |number| Task::new(format!("t{number}"), resources("cpus:0.5;mem:32")).detail("name", "n");
        let accept = tasks.map(task).fold(Accept::to([offer.id]), Accept::launch);
        assert!(rig.call(&offer.framework, Call::Accept(accept.refuse_rest_for(Duration::ZERO))));
    };
    launch(&mut rig, 0..4);
    for number in 0..4 {
        let mut status = TaskStatus::new(format!("t{number}"), TaskState::Running);
        status.agent = Some("a0".into());
        assert!(rig.command(Command::TaskStatus(known.id.clone(), status)));
    }
    let names = |rig: &mut Rig, standing: Standing| -> Vec<String> {
        let snapshot = rig.snapshot();
        let tasks = snapshot.tasks();
        tasks.iter().filter(|task| task.standing == standing).map(|task| task.task.id.to_string()).collect()
    };
    assert!(rig.command(Command::AgentUnreachable("a0".into())));
    assert_eq!(names(&mut rig, Standing::Unreachable), ["t2", "t3"], "the latest");
    let snapshot = rig.snapshot();
    let status = snapshot.tasks()[0].statuses.last().unwrap().clone();
    let since = status.details.get("unreachable_time").and_then(|time| time.get("nanoseconds")?.as_u64());
    assert_eq!((status.state, since), (TaskState::Unreachable, Some(101_000_000_000)), "on the clock of people");

    let t3 = snapshot.tasks()[1].clone();
    let back = Registration::from(Agent::new("a0", resources("cpus:16;mem:4096")));
    let back =
        back.task(RunningTask::new(known.id.clone(), t3.role.clone(), Task::new("t3", t3.task.resources.clone())));
    assert!(rig.command(Command::AddAgent(back)));
    assert_eq!(
        (names(&mut rig, Standing::Unreachable), names(&mut rig, Standing::Live)),
        (vec![], vec!["t3".to_owned()])
    );
    let snapshot = rig.snapshot();
    let revived = snapshot.tasks()[0].clone();
    let states: Vec<_> = revived.statuses.iter().map(|status| status.state).collect();
    assert_eq!((revived.state, states), (TaskState::Running, vec![TaskState::Running]));
    assert_eq!(
        revived.task.details.get("name").and_then(|name| name.as_str()).as_deref(),
        Some("n"),
        "as it was launched"
    );

    launch(&mut rig, 10..14);
    rig.call(&known.id, Call::Teardown);
    assert_eq!(names(&mut rig, Standing::Completed), ["t11", "t12", "t13"], "the latest");
    let other = framework(1);
    rig.call(&other.id, Call::Subscribe(Box::new(other.clone())));
    rig.call(&other.id, Call::Teardown);
    let snapshot = rig.snapshot();
    assert_eq!(snapshot.completed_frameworks.len(), 1);
    assert_eq!(snapshot.tasks().len(), 0, "nothing is left of a framework that is forgotten");
}
