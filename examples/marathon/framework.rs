//! The framework: keeps so many tasks of each app running, wherever the planner finds a place.

use apportion::placement::{App, Launch, Load, Obstacle, Plan, Planner, Running, Strategy};
use apportion::{AgentId, Call, Calls, Filters, Offer, OfferId, Role, Scheduler, TaskId, TaskState, TaskStatus};
use indexmap::IndexMap;
use smol_str::SmolStr;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long an offer that is of no use is not wanted again (Marathon's `decline_offer_duration`); whatever makes
/// offers useful again revives them.
const REFUSAL: Duration = Duration::from_secs(120);

/// A small Marathon.
#[derive(Debug)]
pub(crate) struct Marathon {
    apps: IndexMap<SmolStr, App>,
    tasks: IndexMap<TaskId, Instance>,
    ended: BTreeSet<TaskId>,
    /// By app and agent, why the last offer of that agent would not do.
    reasons: IndexMap<SmolStr, IndexMap<AgentId, Vec<Obstacle>>>,
    refusals: Vec<String>,
}

/// A task that was launched and has not ended.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) launch: Launch,
    pub(crate) state: TaskState,
    running: Running,
}

/// Instances of an app that have to wait.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    pub(crate) app: &'a App,
    pub(crate) instances: u64,
    pub(crate) reasons: Vec<(&'a AgentId, &'a Obstacle)>,
}

impl Marathon {
    /// A framework for these apps.
    pub(crate) fn new(apps: impl IntoIterator<Item = App>) -> Self {
        Self {
            apps: apps.into_iter().map(|app| (app.id.clone(), app)).collect(),
            tasks: IndexMap::new(),
            ended: BTreeSet::new(),
            reasons: IndexMap::new(),
            refusals: Vec::new(),
        }
    }

    /// The roles that it needs for its apps, each once.
    pub(crate) fn roles(&self) -> BTreeSet<Role> {
        let of_app = |app: &App| {
            let accepted = app.accepted_roles.iter().flatten().cloned();
            let own = app.role.clone().unwrap_or_default();
            accepted.chain([own]).collect::<Vec<_>>()
        };
        self.apps.values().flat_map(of_app).collect()
    }

    /// Wants so many instances of an app from now on; ends the newest if there are more.
    pub(crate) fn scale(&mut self, app: &str, instances: u64, calls: &mut Calls) {
        let Some(app) = self.apps.get_mut(app) else { return };
        app.instances = instances;
        let alive = self.tasks.values().filter(|task| task.launch.app == app.id && task.state != TaskState::Killing);
        let alive: Vec<TaskId> = alive.map(|task| task.launch.id.clone()).collect();
        for id in alive.into_iter().skip(usize::try_from(instances).unwrap_or(usize::MAX)) {
            if let Some(task) = self.tasks.get_mut(&id) {
                task.state = TaskState::Killing;
            }
            calls.kill(id);
        }
        calls.revive();
    }

    /// Asks for all offers once more, to learn why the last of them will not do.
    pub(crate) fn ask_again(&mut self, calls: &mut Calls) {
        self.reasons.clear();
        calls.revive();
    }

    /// Its tasks, in the order of their launch.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = &Instance> {
        self.tasks.values()
    }

    /// A task that has not ended.
    pub(crate) fn task(&self, id: &TaskId) -> Option<&Instance> {
        self.tasks.get(id)
    }

    /// The apps of which not all instances run, and why.
    pub(crate) fn waiting(&self) -> Vec<Waiting<'_>> {
        let waiting = |app| {
            let instances = self.missing(app);
            let agents = self.reasons.get(&app.id).into_iter().flatten();
            let reasons = agents.flat_map(|(agent, reasons)| reasons.iter().map(move |reason| (agent, reason)));
            Waiting { app, instances, reasons: reasons.collect() }
        };
        self.apps.values().map(waiting).filter(|waiting| waiting.instances > 0).collect()
    }

    /// What it asked for and did not get, since this was last asked.
    pub(crate) fn take_refusals(&mut self) -> Vec<String> {
        std::mem::take(&mut self.refusals)
    }

    fn missing(&self, app: &App) -> u64 {
        let alive = self.tasks.values().filter(|task| task.launch.app == app.id && task.state != TaskState::Killing);
        app.instances.saturating_sub(alive.count() as u64)
    }

    fn note(&mut self, plan: &Plan, offers: &[Offer]) {
        let agents: IndexMap<&OfferId, &AgentId> = offers.iter().map(|offer| (&offer.id, &offer.agent)).collect();
        for waiting in &plan.unplaced {
            let by_agent = self.reasons.entry(waiting.app.clone()).or_default();
            for agent in agents.values() {
                by_agent.insert((*agent).clone(), Vec::new());
            }
            for reason in &waiting.reasons {
                if let Some(reasons) = agents.get(&reason.offer).and_then(|agent| by_agent.get_mut(*agent)) {
                    reasons.push(reason.clone());
                }
            }
        }
    }
}

impl Scheduler for Marathon {
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        let running: Vec<Running> = self.tasks.values().map(|task| task.running.clone()).collect();
        let mut planner = Planner::new().at(calls.at()).strategy(Strategy::Spread(Load::Both));
        planner.taken.clone_from(&self.ended);
        let plan = planner.plan(self.apps.values(), &running, &offers);
        for launch in &plan.launches {
            let instance = Instance { launch: launch.clone(), state: TaskState::Staging, running: launch.running() };
            self.tasks.insert(launch.id.clone(), instance);
        }
        self.note(&plan, &offers);
        for accept in plan.accepts() {
            calls.accept(accept.refuse_rest_for(REFUSAL));
        }
        if !plan.declines.is_empty() {
            calls.push(Call::Decline { offers: plan.declines, filters: Filters::refuse_for(REFUSAL) });
        }
        if plan.unplaced.is_empty() {
            calls.suppress();
        }
    }

    fn update(&mut self, status: TaskStatus, calls: &mut Calls) {
        if !status.state.is_terminal() {
            if let Some(task) = self.tasks.get_mut(&status.task).filter(|task| task.state != TaskState::Killing) {
                task.state = status.state;
            }
        } else if let Some(task) = self.tasks.shift_remove(&status.task) {
            self.ended.insert(status.task);
            if self.apps.get(&task.launch.app).is_some_and(|app| self.missing(app) > 0) {
                calls.revive();
            }
        }
    }

    fn rejected(&mut self, message: String, _: &mut Calls) {
        self.refusals.push(message);
    }
}
