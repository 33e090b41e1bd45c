//! The framework: keeps what is wanted running, wherever the planner finds a place, and changes it in deployments.

use crate::back_off::is_failure;
use crate::census::Class;
use crate::definition::Definition;
use crate::dependency::Target;
use crate::deployment::{Action, Deployment, Kind, State};
use crate::service::Service;
use crate::tasks::{Heard, Instance, Tasks, version_text};
use apportion::placement::{App, Load, Obstacle, Plan, Planner, Strategy};
use apportion::{
    Accept, AgentId, Call, Calls, Filters, Offer, OfferId, Operation, Scheduler, Task, TaskId, TaskStatus, Time,
};
use indexmap::{IndexMap, IndexSet};
use smol_str::SmolStr;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// How long an offer that is of no use is not wanted again (Marathon's `decline_offer_duration`); whatever makes
/// offers useful again revives them.
const REFUSAL: Duration = Duration::from_secs(120);

/// A small Marathon.
#[derive(Debug, Default)]
pub struct Marathon {
    /// All that is wanted, once every deployment is done.
    target: Arc<Target>,
    services: IndexMap<SmolStr, Service>,
    tasks: Tasks,
    deployments: Vec<Deployment>,
    /// How many versions of apps there have been.
    versions: u32,
    /// Apps that may have something to do.
    restless: VecDeque<SmolStr>,
    /// By app and agent, why the last offer of that agent would not do.
    reasons: IndexMap<SmolStr, IndexMap<AgentId, Vec<Obstacle>>>,
    news: Vec<News>,
}

/// Something to be told that is no effect of the master.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct News {
    pub at: Time,
    pub what: &'static str,
    pub text: String,
}

/// Instances of an app that have to wait.
#[derive(Debug)]
#[non_exhaustive]
pub struct Waiting<'a> {
    pub app: &'a App,
    pub instances: u64,
    /// Until when it backs off, if it does.
    pub until: Option<Time>,
    pub reasons: Vec<(&'a AgentId, &'a Obstacle)>,
}

impl Marathon {
    /// All these apps are wanted from now on, and no others; and the tasks of those to restart are replaced in any case.
    ///
    /// A deployment that has still to do with one of the apps that change, with what they need, or with what needs them, is
    /// replaced by the new one, which does the rest of it too. (Marathon does so only when it is forced to, and forgets the rest.)
    pub fn deploy(&mut self, target: Arc<Target>, restart: &[SmolStr], calls: &mut Calls) {
        let changes = |id: &&SmolStr| match (self.target.app(id), target.app(id)) {
            (Some(before), Some(after)) => {
                before.app.instances != after.app.instances || !before.runs_like(after) || restart.contains(*id)
            }
            _ => true,
        };
        let both = self.target.apps().keys().chain(target.apps().keys());
        let mut affected: IndexSet<SmolStr> = both.filter(changes).cloned().collect();
        let number = self.deployments.len() + 1;
        let mut restart = restart.to_vec();
        while self.deployments.iter().any(|other| other.state == State::Running) {
            let related = target.related(&affected);
            let touches = |id: &SmolStr| related.contains(id);
            let Some(other) = self.deployments.iter_mut().find(|other| other.unfinished().any(touches)) else { break };
            affected.extend(other.unfinished().cloned());
            // A restart for its own sake shows in no definition.
            let is_wish = |action: &&Action| {
                let is_alike =
                    |service: &Service| action.to.as_ref().is_some_and(|to| service.definition.runs_like(to));
                action.kind == Kind::Restart && self.services.get(&action.app).is_some_and(is_alike)
            };
            restart.extend(other.later().filter(is_wish).map(|action| action.app.clone()));
            other.end(State::Replaced(number), calls.at());
            let text = format!("{}: replaced by {number}", other.number);
            self.news.push(News { at: calls.at(), what: "deploy", text });
        }
        let action = |id: SmolStr| {
            let to = target.app(&id).cloned();
            let kind = self.kind(&id, to.as_deref(), restart.contains(&id))?;
            let depth = if to.is_some() { target.depth(&id) } else { self.target.depth(&id) };
            Some(Action { app: id, kind, to, depth })
        };
        let is_change = !affected.is_empty();
        let actions: Vec<Action> = affected.into_iter().filter_map(action).collect();
        self.target = target;
        if is_change {
            self.deployments.push(Deployment::new(number, actions, calls.at()));
            self.advance(calls.at());
        }
        self.work(false, calls);
    }

    /// What has to be done so that an app is like that.
    fn kind(&self, id: &str, to: Option<&Definition>, restart: bool) -> Option<Kind> {
        match (self.services.get(id), to) {
            (None, None) => None,
            (None, Some(_)) => Some(Kind::Start),
            (Some(_), None) => Some(Kind::Stop),
            (Some(service), Some(to)) => {
                let differs = restart || service.is_stopping || !service.definition.runs_like(to);
                Some(if differs { Kind::Restart } else { Kind::Scale })
            }
        }
    }

    /// Begins whatever steps can begin.
    fn advance(&mut self, at: Time) {
        let mut tell = |text: String| self.news.push(News { at, what: "deploy", text });
        for deployment in &mut self.deployments {
            if deployment.state != State::Running {
                continue;
            }
            if let Some(actions) = deployment.advance(at) {
                for action in actions {
                    carry_out(action, &mut self.services, &mut self.versions);
                    self.restless.push_back(action.app.clone());
                }
                tell(format!("{}: {}", deployment.number, deployment.step().unwrap_or_default()));
            } else if deployment.state == State::Finished {
                tell(format!("{}: finished", deployment.number));
            }
        }
    }

    /// Does what is to be done about all apps that may need something, and asks for offers where more is wanted than before,
    /// or where it may find a place that it did not find before.
    fn work(&mut self, may_fit: bool, calls: &mut Calls) {
        let now = calls.at();
        let mut wants_more = false;
        while let Some(id) = self.restless.pop_front() {
            if let Some(service) = self.services.get_mut(&id) {
                let next = service.next(now);
                for number in next.kill {
                    service.census.put(number, Class::Dying);
                    self.tasks.kill(number).into_iter().for_each(|task| calls.kill(task));
                }
                wants_more |= next.launch > service.asked;
                service.asked = next.launch;
                if !service.is_done() {
                    continue;
                }
                service.settle();
                if service.is_stopping {
                    self.services.shift_remove(&id);
                    self.reasons.shift_remove(&id);
                }
            }
            self.deployments.iter_mut().for_each(|deployment| deployment.done(&id));
            self.advance(now);
        }
        if wants_more || may_fit && self.services.values().any(|service| service.asked > 0) {
            calls.revive();
        }
    }

    /// Asks for all offers once more, to learn why the last of them will not do.
    pub fn ask_again(&mut self, calls: &mut Calls) {
        self.reasons.clear();
        calls.revive();
    }

    /// Its tasks, in the order of their launch.
    pub fn tasks(&self) -> impl Iterator<Item = &Instance> {
        self.tasks.iter()
    }

    /// A task that has not ended.
    pub fn task(&self, id: &TaskId) -> Option<&Instance> {
        self.tasks.by_id(id)
    }

    /// All deployments, the first one first.
    pub fn deployments(&self) -> &[Deployment] {
        &self.deployments
    }

    /// The apps that run, as they are now; what a deployment has not come to yet is not among them.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.values()
    }

    /// Whether all is as it should be.
    pub fn is_settled(&self) -> bool {
        let is_open = self.deployments.iter().any(|deployment| deployment.state == State::Running);
        !is_open && self.services.values().all(Service::is_done)
    }

    /// Whether there is an app whose tasks have failed and are not launched again yet.
    pub fn backs_off(&self, now: Time) -> bool {
        self.services.values().any(|service| service.back_off.until(now).is_some())
    }

    /// The apps of which more instances could be launched if there were a place, or had they not failed; and why.
    pub fn waiting(&self, now: Time) -> Vec<Waiting<'_>> {
        let waiting = |service: &'_ Service| {
            let app = &service.definition.app;
            let agents = self.reasons.get(&app.id).into_iter().flatten();
            let reasons = agents.flat_map(|(agent, reasons)| reasons.iter().map(move |reason| (agent, reason)));
            (service.due().launch, service.back_off.until(now), reasons.collect())
        };
        let all = self.services.values().map(|service| (&service.definition.app, waiting(service)));
        let all = all.map(|(app, (instances, until, reasons))| Waiting { app, instances, until, reasons });
        all.filter(|waiting| waiting.instances > 0).collect()
    }

    /// What has happened, since this was last asked.
    pub fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
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

    /// The apps as the planner is to see them now.
    fn apps(&self, now: Time) -> Vec<App> {
        let mut new: IndexMap<&str, u64> = IndexMap::new();
        for task in self.tasks.iter() {
            let service = self.services.get(&task.launch.app);
            if service.is_some_and(|service| service.generation == task.generation) {
                *new.entry(&task.launch.app).or_default() += 1;
            }
        }
        let app = |(id, service): (&SmolStr, &Service)| {
            service.app(service.next(now).launch, new.get(id.as_str()).copied().unwrap_or(0))
        };
        self.services.iter().map(app).collect()
    }
}

/// Begins an action.
fn carry_out(action: &Action, services: &mut IndexMap<SmolStr, Service>, versions: &mut u32) {
    let service = services.get_mut(&action.app);
    match (action.kind, &action.to) {
        (Kind::Stop, _) | (_, None) => service.into_iter().for_each(Service::stop),
        (Kind::Scale, Some(to)) => service.into_iter().for_each(|service| service.scale(Arc::clone(to))),
        (Kind::Start | Kind::Restart, Some(to)) => {
            *versions += 1;
            match service {
                Some(service) => service.restart(Arc::clone(to), *versions),
                None => drop(services.insert(action.app.clone(), Service::new(Arc::clone(to), *versions))),
            }
        }
    }
}

impl Scheduler for Marathon {
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        let apps = self.apps(calls.at());
        let mut planner = Planner::new().at(calls.at()).strategy(Strategy::Spread(Load::Both));
        planner.taken.clone_from(self.tasks.ended());
        let plan = planner.plan(&apps, &self.tasks.running(), &offers);
        let mut launches: IndexMap<OfferId, Vec<Task>> = IndexMap::new();
        for launch in &plan.launches {
            let Some(service) = self.services.get_mut(&launch.app) else { continue };
            let task = service.definition.task(launch, &version_text(service.generation));
            launches.entry(launch.offer.clone()).or_default().push(task);
            let number = self.tasks.launch(launch.clone(), Arc::clone(&service.definition), service.generation);
            service.census.put(number, Class::Starting);
            service.asked = service.asked.saturating_sub(1);
        }
        self.note(&plan, &offers);
        for (offer, tasks) in launches {
            let accept = Accept::to([offer]).then(Operation::Launch(tasks));
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
        let now = calls.at();
        match self.tasks.hear(&status, now) {
            Heard::Nothing => {}
            // A task of nobody's would run for ever.
            Heard::Stranger => calls.kill(status.task),
            Heard::Changed(number) => {
                let Some(task) = self.tasks.get(number) else { return };
                let Some(service) = self.services.get_mut(&task.launch.app) else { return };
                self.restless.push_back(task.launch.app.clone());
                if task.is_hopeless() && !task.is_killed {
                    let text = format!("{} has failed its health checks too often", status.task);
                    self.news.push(News { at: now, what: "health", text });
                    service.census.put(number, Class::Dying);
                    self.tasks.kill(number).into_iter().for_each(|task| calls.kill(task));
                } else {
                    service.census.put(number, service.class(task));
                }
                self.work(false, calls);
            }
            Heard::Ended(number, task) => {
                let Some(service) = self.services.get_mut(&task.launch.app) else { return };
                service.census.remove(number);
                if !task.is_killed && task.generation == service.generation && is_failure(status.state) {
                    let until = service.back_off.failed(&service.definition.delays, now);
                    let text = format!("{} is not launched before {until}s", task.launch.app);
                    self.news.push(News { at: now, what: "backoff", text });
                    calls.wake_at(until);
                }
                self.restless.push_back(task.launch.app.clone());
                self.work(true, calls);
            }
        }
    }

    fn woken(&mut self, calls: &mut Calls) {
        self.restless.extend(self.services.keys().cloned());
        self.work(false, calls);
    }

    fn rejected(&mut self, message: String, calls: &mut Calls) {
        self.news.push(News { at: calls.at(), what: "refused", text: message });
    }
}
