//! [`Marathon`]: the scheduler. It keeps the wanted apps running wherever the planner finds a place, and changes them in
//! deployments.

use crate::backoff::is_failure;
use crate::definition::AppDefinition;
use crate::deployment::{Action, ActionKind, Deployment, DeploymentState};
use crate::phases::Phase;
use crate::root_group::RootGroup;
use crate::round::{PlannedApp, Round};
use crate::running_app::RunningApp;
use crate::tracker::{Instance, InstanceTracker, StatusOutcome, version_text};
use apportion::placement::{App, Expansion, Load, NearMiss, Obstacle, Plan, Planner, Running, Strategy};
use apportion::scheduler::Rejected;
use apportion::{
    Accept, AgentId, Call, Calls, Filters, Offer, OfferId, Operation, Scheduler, Task, TaskId, TaskState, TaskStatus,
    Text, Time,
};
use indexmap::{IndexMap, IndexSet};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// The time for which a declined offer is refused (Marathon's `decline_offer_duration`). A change that makes offers useful
/// again revives them.
const REFUSAL: Duration = Duration::from_secs(120);

/// A small Marathon: a [`Scheduler`] that runs the apps of a [`RootGroup`].
///
/// [`deploy`](Self::deploy) is the only command; the rest follows from offers, status updates and time.
///
/// ```
/// use apportion::placement::JsonNode;
/// use apportion::simulation::Cluster;
/// use apportion::{Agent, Config, Framework, Role, Time};
/// use apportion_marathon::{Document, Marathon, RootGroup, SimulatedExecutor};
/// use std::sync::Arc;
///
/// let json = serde_json::json!({"id": "/web", "cmd": "serve", "instances": 2, "cpus": 1});
/// let document = Document::read(JsonNode::root(&json), "web.json")?;
/// let apps = document.apps.into_iter().map(|app| (app.app.id.clone(), Arc::new(app))).collect();
/// let target = Arc::new(RootGroup::new(apps).map_err(|mut errors| errors.remove(0))?);
///
/// let mut cluster = Cluster::new(Config::default()).with_executors(|_, _| Some(Box::new(SimulatedExecutor::default())));
/// cluster.add_agent(Agent::new("a1", "cpus:4;mem:1024;ports:[31000-31009]".parse()?))?;
/// let framework = Framework::new("marathon").role(Role::default());
/// let id = framework.id.clone();
/// cluster.add_framework(framework, Marathon::default())?;
/// cluster.tell(&id, |marathon, calls| marathon.deploy(target, &[], calls));
/// cluster.run_until(Time::from_secs(10));
///
/// let marathon = cluster.scheduler(&id).ok_or("no framework")?;
/// assert!(marathon.is_settled());
/// assert_eq!(marathon.tasks().filter(|task| task.is_up()).count(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Marathon {
    /// The apps that are wanted when every deployment is finished.
    target: Arc<RootGroup>,
    running: IndexMap<Text, RunningApp>,
    tasks: InstanceTracker,
    deployments: Vec<Deployment>,
    /// The number of versions of apps so far.
    versions: u32,
    /// The queue of dirty apps: those that may have something to kill, to launch or to complete.
    dirty: VecDeque<Text>,
    /// By app and agent, why the last offer of that agent did not fit.
    obstacles: IndexMap<Text, IndexMap<AgentId, Vec<Obstacle>>>,
    /// By app, the smallest change of the last offers with which one more instance would fit.
    near_misses: IndexMap<Text, NearMiss>,
    /// By app, what would have to be added for all instances that wait, from the last offers that were revived for that.
    expansions: IndexMap<Text, Expansion>,
    /// The next offers are to be explained.
    explains: bool,
    notices: Vec<Notice>,
}

/// Something that the framework reports to its users, beside the master's effects.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Notice {
    /// When it happened.
    pub at: Time,
    /// `deploy`, `health`, `backoff` or `refused`.
    pub topic: &'static str,
    /// A sentence for people.
    pub text: String,
}

/// Instances of an app that are due to be launched, as in Marathon's launch queue (`/v2/queue`).
#[derive(Debug)]
#[non_exhaustive]
pub struct QueueItem<'a> {
    /// The app.
    pub app: &'a App,
    /// The number of instances; at least 1.
    pub instances: u64,
    /// The end of the launch delay, if there is one.
    pub until: Option<Time>,
    /// Per agent, why its last offer did not fit.
    pub reasons: Vec<(&'a AgentId, &'a Obstacle)>,
    /// The number of agents that were offered since.
    pub agents: usize,
    /// The smallest change with which one more instance would fit.
    pub near_miss: Option<&'a NearMiss>,
    /// What would have to be added for all instances that wait, if offers were
    /// [revived](Marathon::revive_offers) for the queue.
    pub expansion: Option<&'a Expansion>,
}

impl Marathon {
    /// Replaces the wanted apps by those of `target`, in a new deployment. All instances of the apps in `restart` are
    /// replaced, even if their definitions have not changed.
    ///
    /// A running deployment is replaced by the new one if it has still to change one of the apps that the new one changes,
    /// one of their dependencies or one of their dependents. The new deployment then completes it too. (Marathon replaces a
    /// deployment only if forced to, and drops the rest of it.)
    pub fn deploy(&mut self, target: Arc<RootGroup>, restart: &[Text], calls: &mut Calls) {
        let changes = |id: &&Text| match (self.target.app(id), target.app(id)) {
            (Some(before), Some(after)) => {
                before.app.instances != after.app.instances || after.is_upgrade_of(before) || restart.contains(*id)
            }
            _ => true,
        };
        let both = self.target.apps().keys().chain(target.apps().keys());
        let mut affected: IndexSet<Text> = both.filter(changes).cloned().collect();
        let number = self.deployments.len() + 1;
        let mut restart = restart.to_vec();
        self.replace_conflicting(number, &target, (&mut affected, &mut restart), calls.at());
        let action = |id: Text| {
            let to = target.app(&id).cloned();
            let kind = self.action_kind(&id, to.as_deref(), restart.contains(&id))?;
            let level = if to.is_some() { target.level(&id) } else { self.target.level(&id) };
            Some(Action { app: id, kind, to, level })
        };
        let is_change = !affected.is_empty();
        let actions: Vec<Action> = affected.into_iter().filter_map(action).collect();
        self.target = target;
        if is_change {
            self.deployments.push(Deployment::new(number, actions, calls.at()));
            self.advance_deployments(calls.at());
        }
        self.process_dirty(false, calls);
    }

    /// Ends the running deployments that conflict with a new one, and adds their unfinished apps and restarts to it.
    fn replace_conflicting(
        &mut self,
        number: usize,
        target: &RootGroup,
        (affected, restart): (&mut IndexSet<Text>, &mut Vec<Text>),
        at: Time,
    ) {
        while self.deployments.iter().any(|other| other.state == DeploymentState::Running) {
            let connected = target.connected(affected);
            let conflicts = |id: &Text| connected.contains(id);
            let other = self.deployments.iter_mut().find(|other| other.unfinished_apps().any(conflicts));
            let Some(other) = other else { break };
            affected.extend(other.unfinished_apps().cloned());
            // A restart for its own sake shows in no definition.
            let is_own_sake = |action: &&Action| {
                let is_alike =
                    |app: &RunningApp| action.to.as_ref().is_some_and(|to| !to.is_upgrade_of(&app.definition));
                action.kind == ActionKind::Restart && self.running.get(&action.app).is_some_and(is_alike)
            };
            restart.extend(other.remaining().filter(is_own_sake).map(|action| action.app.clone()));
            other.end(DeploymentState::Replaced(number), at);
            let text = format!("{}: replaced by {number}", other.number);
            self.notices.push(Notice { at, topic: "deploy", text });
        }
    }

    /// Returns the kind of action that brings an app to a definition; `None` if the app neither runs nor is wanted.
    fn action_kind(&self, id: &str, to: Option<&AppDefinition>, restart: bool) -> Option<ActionKind> {
        match (self.running.get(id), to) {
            (None, None) => None,
            (None, Some(_)) => Some(ActionKind::Start),
            (Some(_), None) => Some(ActionKind::Stop),
            (Some(app), Some(to)) => {
                let differs = restart || app.is_stopping || to.is_upgrade_of(&app.definition);
                Some(if differs { ActionKind::Restart } else { ActionKind::Scale })
            }
        }
    }

    /// Starts the next step of each deployment whose last step is complete.
    fn advance_deployments(&mut self, at: Time) {
        let mut notify = |text: String| self.notices.push(Notice { at, topic: "deploy", text });
        for deployment in &mut self.deployments {
            if deployment.state != DeploymentState::Running {
                continue;
            }
            if let Some(actions) = deployment.advance(at) {
                for action in actions {
                    apply(action, &mut self.running, &mut self.versions);
                    self.dirty.push_back(action.app.clone());
                }
                notify(format!("{}: {}", deployment.number, deployment.step().unwrap_or_default()));
            } else if deployment.state == DeploymentState::Finished {
                notify(format!("{}: finished", deployment.number));
            }
        }
    }

    /// Kills what is due in all dirty apps, and completes their actions. Revives offers if more launches are due than before,
    /// or if `may_fit` says that a launch that is due may now find a place.
    fn process_dirty(&mut self, may_fit: bool, calls: &mut Calls) {
        let now = calls.at();
        let mut wants_more = false;
        while let Some(id) = self.dirty.pop_front() {
            if let Some(app) = self.running.get_mut(&id) {
                let step = app.next_step(now);
                let mut is_gone = false;
                for number in step.kill {
                    is_gone |= kill(app, &mut self.tasks, number, calls);
                }
                if is_gone {
                    self.dirty.push_front(id); // there may be room for others now
                    continue;
                }
                wants_more |= step.launch > app.requested;
                app.requested = step.launch;
                if !app.is_done() {
                    continue;
                }
                app.finish_rollout();
                if app.is_stopping {
                    self.running.shift_remove(&id);
                    self.obstacles.shift_remove(&id);
                    self.near_misses.shift_remove(&id);
                }
            }
            self.deployments.iter_mut().for_each(|deployment| deployment.complete(&id));
            self.advance_deployments(now);
        }
        if wants_more || may_fit && self.running.values().any(|app| app.requested > 0) {
            calls.revive();
        }
    }

    /// Revives all offers, so that [`queue`](Self::queue) has a current reason for each agent.
    pub fn revive_offers(&mut self, calls: &mut Calls) {
        self.obstacles.clear();
        self.near_misses.clear();
        self.expansions.clear();
        self.explains = true;
        calls.revive();
    }

    /// Returns the tasks that have not ended, in the order of their launch.
    pub fn tasks(&self) -> impl Iterator<Item = &Instance> {
        self.tasks.iter()
    }

    /// Returns a task that has not ended.
    pub fn task(&self, id: &TaskId) -> Option<&Instance> {
        self.tasks.by_id(id)
    }

    /// Returns all deployments, in order of their numbers.
    pub fn deployments(&self) -> &[Deployment] {
        &self.deployments
    }

    /// Returns the apps that run. Actions of a deployment that have not started are not part of them.
    pub fn running_apps(&self) -> impl Iterator<Item = &RunningApp> {
        self.running.values()
    }

    /// Returns whether all deployments have ended, and exactly the wanted instances are up.
    pub fn is_settled(&self) -> bool {
        let is_open = self.deployments.iter().any(|deployment| deployment.state == DeploymentState::Running);
        !is_open && self.running.values().all(RunningApp::is_done)
    }

    /// Returns whether the launch delay of some app has not ended.
    pub fn is_backing_off(&self, now: Time) -> bool {
        self.running.values().any(|app| app.launch_delay.until(now).is_some())
    }

    /// Returns the launch queue: the apps with launches that are due, and why they wait.
    pub fn queue(&self, now: Time) -> Vec<QueueItem<'_>> {
        let items = self.running.values().map(|running| self.queue_item(running, now));
        items.filter(|item| item.instances > 0).collect()
    }

    fn queue_item<'a>(&'a self, running: &'a RunningApp, now: Time) -> QueueItem<'a> {
        let app = &running.definition.app;
        let by_agent = self.obstacles.get(&app.id);
        let agents = by_agent.into_iter().flatten();
        let reasons = agents.flat_map(|(agent, reasons)| reasons.iter().map(move |reason| (agent, reason)));
        QueueItem {
            app,
            instances: running.required().launch,
            until: running.launch_delay.until(now),
            reasons: reasons.collect(),
            agents: by_agent.map_or(0, IndexMap::len),
            near_miss: self.near_misses.get(&app.id),
            expansion: self.expansions.get(&app.id),
        }
    }

    /// Returns the notices since the last call, and forgets them.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Returns the next time at which a task on an agent that cannot be reached is replaced or given up.
    pub fn next_deadline(&self, now: Time) -> Option<Time> {
        self.tasks.next_deadline(now)
    }

    fn record_obstacles(&mut self, plan: &Plan, offers: &[Offer]) {
        let agents: IndexMap<&OfferId, &AgentId> = offers.iter().map(|offer| (&offer.id, &offer.agent)).collect();
        for unplaced in &plan.unplaced {
            match &unplaced.near_miss {
                Some(near_miss) => drop(self.near_misses.insert(unplaced.app.clone(), near_miss.clone())),
                None => drop(self.near_misses.shift_remove(&unplaced.app)),
            }
            let by_agent = self.obstacles.entry(unplaced.app.clone()).or_default();
            for agent in agents.values() {
                by_agent.insert((*agent).clone(), Vec::new());
            }
            for reason in &unplaced.reasons {
                if let Some(reasons) = agents.get(&reason.offer).and_then(|agent| by_agent.get_mut(*agent)) {
                    reasons.push(reason.clone());
                }
            }
        }
    }

    /// Returns the apps as the planner needs them now.
    fn planned_apps(&self, now: Time) -> Vec<PlannedApp> {
        let mut present: IndexMap<&str, u64> = IndexMap::new();
        for task in self.tasks.iter() {
            let app = self.running.get(&task.launch.app);
            if app.is_some_and(|app| app.generation == task.generation) {
                *present.entry(&task.launch.app).or_default() += 1;
            }
        }
        let planned = |(id, app): (&Text, &RunningApp)| {
            let (present, launch) = (present.get(id.as_str()).copied().unwrap_or(0), app.next_step(now).launch);
            PlannedApp { app: app.planned(launch, present), present, launch }
        };
        self.running.iter().map(planned).collect()
    }

    /// Returns the instances as the planner needs them.
    fn running_tasks(&self) -> Vec<Running> {
        self.tasks.running(|app| self.running.get(app).map(|app| app.generation))
    }

    /// Lets others take the places of instances that could not be reached for too long, and gives up those that are no
    /// longer expected.
    fn check_unreachable(&mut self, now: Time) {
        for number in self.tasks.expired(now) {
            let Some(task) = self.tasks.give_up(number) else { continue };
            if let Some(app) = self.running.get_mut(&task.launch.app) {
                app.instances.remove(number);
                app.volumes.discard(number);
            }
            let text = format!("{} is no longer expected: its agent could not be reached for too long", task.launch.id);
            self.notices.push(Notice { at: now, topic: "lost", text });
        }
        for number in self.tasks.unreachable() {
            let Some(task) = self.tasks.get(number) else { continue };
            if let Some(app) = self.running.get_mut(&task.launch.app) {
                app.instances.set(number, app.phase(task, now));
            }
        }
    }
}

/// Tells an instance to end. One on an agent that cannot be reached is given up at once; then it returns `true`.
fn kill(app: &mut RunningApp, tasks: &mut InstanceTracker, number: u64, calls: &mut Calls) -> bool {
    if tasks.get(number).is_some_and(|task| task.state == TaskState::Unreachable) {
        app.instances.remove(number);
        app.volumes.discard(number);
        tasks.give_up(number).into_iter().for_each(|task| calls.kill(task.launch.id));
        return true;
    }
    app.instances.set(number, Phase::Killed);
    tasks.kill(number).into_iter().for_each(|task| calls.kill(task));
    false
}

/// Returns whether a task in that state will never run again, nor will its agent have its volumes.
fn is_gone(state: TaskState) -> bool {
    matches!(state, TaskState::Gone | TaskState::GoneByOperator)
}

/// Starts an action.
fn apply(action: &Action, running: &mut IndexMap<Text, RunningApp>, versions: &mut u32) {
    let app = running.get_mut(&action.app);
    match (action.kind, &action.to) {
        (ActionKind::Stop, _) | (_, None) => app.into_iter().for_each(RunningApp::stop),
        (ActionKind::Scale, Some(to)) => app.into_iter().for_each(|app| app.scale(Arc::clone(to))),
        (ActionKind::Start | ActionKind::Restart, Some(to)) => {
            *versions += 1;
            match app {
                Some(app) => app.restart(Arc::clone(to), *versions),
                None => drop(running.insert(action.app.clone(), RunningApp::new(Arc::clone(to), *versions))),
            }
        }
    }
}

impl Scheduler for Marathon {
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        let now = calls.at();
        let mut planner = Planner::new().at(now).strategy(Strategy::Spread(Load::Both));
        planner.taken.clone_from(self.tasks.ended());
        let mut apps = self.planned_apps(now);
        let mut round = Round::new(&planner, self.running_tasks(), &offers);
        // Tasks whose volumes wait on an agent go there; only the others may go anywhere.
        for (planned, running) in apps.iter_mut().zip(self.running.values()) {
            if !planned.app.volumes.is_empty() {
                let counts = (running.definition.app.instances, running.instances.count(Phase::Inactive));
                planned.place_by_volume(&running.volumes, counts, &mut round);
            }
        }
        let apps: Vec<App> = apps.into_iter().map(|planned| planned.app).collect();
        let (mut plan, is_waiting) = round.plan(&apps);
        if std::mem::take(&mut self.explains) {
            planner.expand(&mut plan, &apps, &self.running_tasks(), &offers);
            let found = plan.unplaced.iter().filter_map(|one| Some((one.app.clone(), one.expansion.clone()?)));
            self.expansions = found.collect();
        }

        let mut launches: IndexMap<OfferId, Vec<Task>> = IndexMap::new();
        for launch in &plan.launches {
            let Some(app) = self.running.get_mut(&launch.app) else { continue };
            let number = self.tasks.launch(launch.clone(), Arc::clone(&app.definition), app.generation);
            let has_volumes = !app.definition.app.volumes.is_empty();
            let slot = has_volumes.then(|| app.volumes.bind(number, &launch.agent));
            let task = app.definition.task(launch, &version_text(app.generation), slot);
            launches.entry(launch.offer.clone()).or_default().push(task);
            app.instances.set(number, Phase::Starting);
            app.launch_delay.record_launch(now);
            app.requested = app.requested.saturating_sub(1);
        }
        self.record_obstacles(&plan, &offers);
        for (offer, tasks) in launches {
            let accept = Accept::to([offer]).then(Operation::Launch(tasks));
            calls.accept(accept.refuse_rest_for(REFUSAL));
        }
        let are_all_placed = plan.unplaced.is_empty() && !is_waiting;
        if !plan.declines.is_empty() {
            calls.push(Call::Decline { offers: plan.declines, filters: Filters::refuse_for(REFUSAL), each: false });
        }
        if are_all_placed {
            calls.suppress();
        }
    }

    fn update(&mut self, status: TaskStatus, calls: &mut Calls) {
        let now = calls.at();
        match self.tasks.apply(&status, now) {
            StatusOutcome::Ignored => {}
            // No app owns the task, so it would run for ever.
            StatusOutcome::Unknown => calls.kill(status.task),
            StatusOutcome::Changed(number) => {
                self.tasks.next_deadline(now).into_iter().for_each(|at| calls.wake_at(at));
                let Some(task) = self.tasks.get(number) else { return };
                let Some(app) = self.running.get_mut(&task.launch.app) else { return };
                self.dirty.push_back(task.launch.app.clone());
                if task.must_be_replaced() && !task.is_killed {
                    let text = format!("{} has failed its health checks too often", status.task);
                    self.notices.push(Notice { at: now, topic: "health", text });
                    app.instances.set(number, Phase::Killed);
                    self.tasks.kill(number).into_iter().for_each(|task| calls.kill(task));
                } else {
                    app.instances.set(number, app.phase(task, now));
                }
                self.process_dirty(false, calls);
            }
            StatusOutcome::Ended(number, task) => {
                let Some(app) = self.running.get_mut(&task.launch.app) else { return };
                app.instances.remove(number);
                if task.state == TaskState::Unreachable || is_gone(status.state) {
                    app.volumes.discard(number);
                } else {
                    app.volumes.release(number);
                }
                if !task.is_killed && task.generation == app.generation && is_failure(status.state) {
                    let until = app.launch_delay.record_failure(&app.definition.backoff, now);
                    let text = format!("{} is not launched before {:.1}s", task.launch.app, until.as_secs_f64());
                    self.notices.push(Notice { at: now, topic: "backoff", text });
                    calls.wake_at(until);
                }
                self.dirty.push_back(task.launch.app.clone());
                self.process_dirty(true, calls);
            }
        }
    }

    fn woken(&mut self, calls: &mut Calls) {
        self.check_unreachable(calls.at());
        self.tasks.next_deadline(calls.at()).into_iter().for_each(|at| calls.wake_at(at));
        self.dirty.extend(self.running.keys().cloned());
        self.process_dirty(false, calls);
    }

    fn rejected(&mut self, rejected: Rejected, calls: &mut Calls) {
        self.notices.push(Notice { at: calls.at(), topic: "refused", text: rejected.to_string() });
    }

    fn error(&mut self, message: String, calls: &mut Calls) {
        self.notices.push(Notice { at: calls.at(), topic: "over", text: message });
    }
}
