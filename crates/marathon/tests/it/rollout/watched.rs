//! [`Watched`]: the framework beside a plain model, which sees the same events and checks each call.

use apportion::{Call, Calls, Event, Offer, Scheduler, TaskId, TaskState, TaskStatus, Text};
use apportion_marathon::{AppDefinition, Marathon, RootGroup};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The framework, with the model.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    pub(crate) marathon: Marathon,
    tasks: BTreeMap<TaskId, Known>,
    ended: BTreeSet<TaskId>,
    target: Arc<RootGroup>,
    /// The apps that have had exactly their wanted instances up, since they were last changed.
    complete: BTreeSet<Text>,
    /// The instances and the version of each running app, at the last check.
    adopted: BTreeMap<Text, (u64, u32)>,
    /// The status updates so far, to be repeated.
    pub(crate) told: Vec<TaskStatus>,
}

/// A task in the model.
#[derive(Debug)]
struct Known {
    app: Text,
    version: u32,
    runs: bool,
    has_checks: bool,
    healthy: bool,
    is_dying: bool,
    heard: f64,
    heard_health: f64,
}

impl Known {
    fn is_up(&self) -> bool {
        self.runs && !self.is_dying && (self.healthy || !self.has_checks)
    }
}

impl Watched {
    pub(crate) fn deploy(&mut self, target: Arc<RootGroup>, restart: &[Text], calls: &mut Calls) {
        for (id, app) in target.apps() {
            let is_same =
                |before: &AppDefinition| !app.is_upgrade_of(before) && before.app.instances == app.app.instances;
            if restart.contains(id) || !self.target.app(id).is_some_and(|before| is_same(before)) {
                self.complete.remove(id);
            }
        }
        self.complete.retain(|id| target.app(id).is_some());
        self.target = Arc::clone(&target);
        self.marathon.deploy(target, restart, calls);
        self.judge(calls);
    }

    /// Checks that exactly the wanted instances are up.
    pub(crate) fn check_all_is_as_wanted(&self) {
        for (id, wanted) in self.target.apps() {
            let up = self.tasks.values().filter(|task| task.app == *id && task.is_up()).count() as u64;
            assert_eq!(up, wanted.app.instances, "{id}: {self:#?}");
        }
        let wanted: u64 = self.target.apps().values().map(|app| app.app.instances).sum();
        assert_eq!(self.tasks.len() as u64, wanted);
        for task in self.marathon.tasks() {
            let wanted = self.target.app(&task.launch.app).unwrap();
            assert!(!wanted.is_upgrade_of(&task.definition) && task.launch.resources.amount("cpus") == wanted.app.cpus);
        }
        for deployment in self.marathon.deployments() {
            assert_ne!(deployment.json()["state"], "running", "{}", deployment.json());
        }
    }

    /// Returns the number of tasks of an app that match.
    fn count(&self, app: &str, of: impl Fn(&Known) -> bool) -> u64 {
        self.tasks.values().filter(|task| task.app == app && of(task)).count() as u64
    }

    fn hear(&mut self, status: &TaskStatus) {
        self.told.push(status.clone());
        if status.state.is_terminal() {
            self.tasks.remove(&status.task);
            self.ended.insert(status.task.clone());
        } else if let Some(task) = self.tasks.get_mut(&status.task) {
            let at = status.timestamp.unwrap_or(task.heard);
            if at >= task.heard {
                task.heard = at;
                task.runs |= status.state == TaskState::Running;
            }
            if let Some(healthy) = status.healthy.filter(|_| at > task.heard_health) {
                (task.healthy, task.heard_health) = (healthy, at);
            }
        }
    }

    /// Checks the last calls, and the steps that they started.
    fn judge(&mut self, calls: &Calls) {
        let services: BTreeMap<Text, (u64, u32)> = self
            .marathon
            .running_apps()
            .map(|service| (service.definition.app.id.clone(), (service.definition.app.instances, service.generation)))
            .collect();
        let complete = |id: &&Text| {
            let Some((instances, version)) = services.get(*id) else { return false };
            let is_target = self.marathon.running_apps().any(|service| {
                let wanted = self.target.app(id);
                service.definition.app.id == **id
                    && wanted.is_some_and(|wanted| !wanted.is_upgrade_of(&service.definition))
            });
            let up = self.count(id, |task| task.is_up() && task.version == *version);
            is_target && up == *instances && self.count(id, |_| true) == up && wants(&self.target, id) == up
        };
        let complete: Vec<Text> = self.target.apps().keys().filter(complete).cloned().collect();
        self.complete.extend(complete);
        for (id, now) in &services {
            if self.adopted.get(id) != Some(now) {
                for needed in needs(&self.target, id) {
                    assert!(self.complete.contains(&needed), "{id} has changed before {needed} is up");
                }
            }
        }
        self.adopted = services;
        for call in calls.as_slice() {
            if let Call::Kill(kill) = call {
                self.judge_kill(&kill.task);
            } else if let Call::Accept(accept) = call {
                accept.tasks().for_each(|task| self.judge_launch(&task.id));
            }
        }
    }

    fn judge_kill(&mut self, id: &TaskId) {
        let Some(task) = self.tasks.get(id) else { return };
        let (app, version, is_up) = (task.app.clone(), task.version, task.is_up());
        if let Some(service) = self.marathon.running_apps().find(|service| service.definition.app.id == app)
            && is_up
            && !service.is_stopping
        {
            let (least, _) = bounds(&service.definition);
            if version == service.generation {
                let live = self.count(&app, |task| task.version == version && !task.is_dying);
                assert!(live > service.definition.app.instances, "{id} of {live} is killed, and is no surplus");
            } else {
                let up = self.count(&app, Known::is_up);
                assert!(up > least, "{id} is killed, one of {up} that are up; {least} must be");
            }
        }
        if let Some(task) = self.tasks.get_mut(id) {
            task.is_dying = true;
        }
    }

    fn judge_launch(&mut self, id: &TaskId) {
        assert!(!self.ended.contains(id) && !self.tasks.contains_key(id), "{id} is used twice");
        let task = self.marathon.task(id).unwrap();
        let (app, version) = (task.launch.app.clone(), task.generation);
        let has_checks = !task.definition.health_checks.is_empty();
        let service = self.marathon.running_apps().find(|service| service.definition.app.id == app).unwrap();
        assert!(!service.is_stopping && version == service.generation);
        let (_, most) = bounds(&service.definition);
        let instances = service.definition.app.instances;
        let (runs, healthy, is_dying) = (false, false, false);
        let (heard, heard_health) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        let known = Known { app: app.clone(), version, runs, has_checks, healthy, is_dying, heard, heard_health };
        self.tasks.insert(id.clone(), known);
        assert!(self.count(&app, |_| true) <= most, "{id} is one more than {most}");
        assert!(self.count(&app, |task| task.version == version && !task.is_dying) <= instances, "{id} is not wanted");
    }
}

fn wants(target: &RootGroup, id: &str) -> u64 {
    target.app(id).map_or(0, |app| app.app.instances)
}

/// Returns the dependencies of an app, direct and transitive.
fn needs(target: &RootGroup, id: &str) -> BTreeSet<Text> {
    let direct = target.app(id).into_iter().flat_map(|app| &app.dependencies);
    direct.flat_map(|needed| needs(target, &needed.id).into_iter().chain([needed.id.clone()])).collect()
}

/// Returns the least instances up and the most instances in total, from whole percents as the tests write them.
fn bounds(definition: &AppDefinition) -> (u64, u64) {
    let strategy = &definition.json["upgradeStrategy"];
    let is_percent = |key: &str, percent: u32| strategy[key] == f64::from(percent) / 100.0;
    let percent = |key: &str| u64::from((0..=100).find(|percent| is_percent(key, *percent)).unwrap());
    let instances = definition.app.instances;
    let least = (instances * percent("minimumHealthCapacity")).div_ceil(100);
    let most = instances + instances * percent("maximumOverCapacity") / 100;
    (least, if least == most { most + 1 } else { most })
}

impl Scheduler for Watched {
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        self.marathon.offers(offers, calls);
    }

    fn receive(&mut self, event: Event, calls: &mut Calls) {
        if let Event::Update(status) = &event {
            self.hear(status);
        }
        self.marathon.receive(event, calls);
        self.judge(calls);
    }

    fn woken(&mut self, calls: &mut Calls) {
        self.marathon.woken(calls);
        self.judge(calls);
    }
}
