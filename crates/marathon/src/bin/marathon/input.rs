//! The input: files and options, read and checked before anything runs.

use crate::arguments::{Amount, Arguments, Change};
use crate::cluster;
use crate::exec::Machine;
use crate::warnings::Warnings;
use apportion::placement::{App, JsonNode, TextError, read_json_up_to};
use apportion::{Agent, AgentId, Role, TaskId, Text};
use apportion_marathon::{AppDefinition, Apps, DependencyError, Document, RootGroup, canonical_path, is_within};
use indexmap::IndexMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The apps that run when no file is given. The other two apps beside them share the id `redis`.
const APPS: [(&str, &str); 3] = [
    ("crates/marathon/apps/simple-app.json", include_str!("../../../apps/simple-app.json")),
    ("crates/marathon/apps/redis-unique-app.json", include_str!("../../../apps/redis-unique-app.json")),
    ("crates/marathon/apps/nginx-bridge-port-app.json", include_str!("../../../apps/nginx-bridge-port-app.json")),
];

pub(crate) type Agents = IndexMap<AgentId, Agent>;

/// The agents, and the steps to run on them.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) agents: Agents,
    pub(crate) steps: Vec<Step>,
    /// The ids of the apps and tasks whose output is shown.
    pub(crate) follow: Vec<Text>,
    /// What is passed over, a line each.
    pub(crate) warnings: Vec<String>,
}

/// An action, with its heading in the log.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) heading: String,
    pub(crate) action: Action,
}

/// An action on the cluster.
#[derive(Debug)]
pub(crate) enum Action {
    /// Deploys these apps, and restarts one of them even if it has not changed.
    Deploy { target: Arc<RootGroup>, restart: Option<Text> },
    /// Removes an agent and its tasks.
    Lose(AgentId),
    /// Has the health checks of a task fail.
    FailChecks(TaskId),
}

impl Input {
    /// Reads all files and checks all options. The error has a message for everything that is wrong.
    pub(crate) fn read(arguments: &Arguments) -> Result<Self, Vec<String>> {
        let mut wrong = Vec::new();
        let mut apps = Apps::new();
        let text =
            |file: &Path| apportion_console::read(file, arguments.max_bytes).map_err(|failure| failure.to_string());
        let files = arguments.files.iter().map(|file| (file.display().to_string(), text(file)));
        let own = APPS.iter().map(|(name, text)| ((*name).to_owned(), Ok(text.as_bytes().to_vec())));
        let own = own.take(if arguments.exec.is_enabled { 1 } else { APPS.len() }); // the others are images
        let files: Vec<_> = if arguments.files.is_empty() { own.collect() } else { files.collect() };
        let mut warnings = Warnings::default();
        for (file, text) in files {
            match text.and_then(|text| read(&file, &text, arguments.max_bytes)) {
                Ok(written) => {
                    warnings.add(&written);
                    wrong.extend(add(&mut apps, written));
                }
                Err(message) => wrong.push(message),
            }
        }
        let agents = match &arguments.cluster {
            None => cluster::generate(arguments.agents, arguments.exec.is_enabled),
            Some(file) => cluster::read(file, arguments.max_bytes).unwrap_or_else(|message| {
                wrong.push(message);
                Agents::new()
            }),
        };
        let mut updates = Vec::new();
        for change in &arguments.changes {
            if let Change::Update(file) = change {
                let name = file.display().to_string();
                match text(file).and_then(|text| read(&name, &text, arguments.max_bytes)) {
                    Ok(written) => {
                        warnings.add(&written);
                        updates.push(written);
                    }
                    Err(message) => wrong.push(message),
                }
            }
        }
        if !wrong.is_empty() {
            return Err(wrong); // later messages would only follow from these
        }
        let target = root_group(apps)?;
        let mut builder = StepBuilder { agents: &agents, lost: Vec::new(), target: Arc::clone(&target), wrong };
        let mut steps = vec![Step { heading: "start".to_owned(), action: Action::Deploy { target, restart: None } }];
        let mut updates = updates.into_iter();
        steps.extend(arguments.changes.iter().filter_map(|change| builder.step(change, &mut updates)));
        let mut wrong = builder.wrong;
        let mut input = Self { agents, steps, follow: Vec::new(), warnings: Vec::new() };
        input.targets_missing().for_each(|missing| warnings.add_line(missing.to_string()));
        input.warnings = warnings.into_lines();
        if arguments.exec.is_enabled {
            wrong.extend(input.definitions().filter_map(AppDefinition::exec_obstacle));
            wrong.extend(input.definitions().filter_map(user_obstacle));
            wrong.extend(arguments.cluster.iter().flat_map(|file| cluster::port_clashes(file, &input.agents)));
            for name in &arguments.exec.follow {
                match input.followed(name) {
                    Ok(id) => input.follow.push(id),
                    Err(message) => wrong.push(message),
                }
            }
        }
        if arguments.master.is_some() {
            wrong.extend(input.definitions().filter_map(AppDefinition::agent_obstacle));
        }
        for app in &arguments.why {
            if !input.definitions().any(|definition| definition.app.id == *app) {
                let known = one_of(&mut input.definitions().map(|definition| definition.app.id.as_str()));
                wrong.push(format!("--why: there is no app {app}, expected {known}"));
            }
        }
        let mut once = BTreeSet::new();
        wrong.retain(|message| once.insert(message.clone())); // several versions of an app have the same message
        if wrong.is_empty() { Ok(input) } else { Err(wrong) }
    }

    /// Returns the dependencies of apps given alone that no target has.
    fn targets_missing(&self) -> impl Iterator<Item = &DependencyError> {
        let targets = self.steps.iter().filter_map(|step| match &step.action {
            Action::Deploy { target, .. } => Some(target),
            Action::Lose(_) | Action::FailChecks(_) => None,
        });
        targets.flat_map(|target| target.missing())
    }

    /// Returns the id of the app or task of that name, if there may be one.
    fn followed(&self, name: &str) -> Result<Text, String> {
        let ids = || self.definitions().map(|definition| &definition.app.id);
        let app = canonical_path("/", name).filter(|app| ids().any(|id| id == app));
        let task = || ids().any(|id| is_task_of(name, id)).then(|| Text::new(name));
        let known = || one_of(&mut ids().map(Text::as_str).collect::<BTreeSet<_>>().into_iter());
        let unknown = || format!("--follow: there is no app or task {name}, expected {}, or of their tasks", known());
        app.or_else(task).ok_or_else(unknown)
    }

    /// Returns the roles of all apps.
    pub(crate) fn roles(&self) -> BTreeSet<Role> {
        let of_app = |app: &App| {
            let accepted = app.accepted_roles.iter().flatten().cloned();
            accepted.chain([app.role.clone().unwrap_or_default()]).collect::<Vec<_>>()
        };
        self.definitions().flat_map(|definition| of_app(&definition.app)).collect()
    }

    /// Returns the longest interval of all health checks, if there are any.
    pub(crate) fn longest_interval(&self) -> Option<Duration> {
        self.definitions().flat_map(|definition| &definition.health_checks).map(|check| check.interval).max()
    }

    /// Returns all versions of all apps.
    pub(crate) fn definitions(&self) -> impl Iterator<Item = &AppDefinition> {
        self.targets().flatten()
    }

    /// Returns the wanted apps of each deployment.
    pub(crate) fn targets(&self) -> impl Iterator<Item = impl Iterator<Item = &AppDefinition>> {
        let targets = self.steps.iter().filter_map(|step| match &step.action {
            Action::Deploy { target, .. } => Some(target),
            Action::Lose(_) | Action::FailChecks(_) => None,
        });
        targets.map(|target| target.apps().values().map(Arc::as_ref))
    }
}

/// Turns changes into steps, one by one.
#[derive(Debug)]
struct StepBuilder<'a> {
    agents: &'a Agents,
    lost: Vec<AgentId>,
    /// The wanted apps after the steps so far.
    target: Arc<RootGroup>,
    wrong: Vec<String>,
}

impl StepBuilder<'_> {
    /// Returns the step of a change; `None` if the change is wrong.
    fn step(&mut self, change: &Change, updates: &mut impl Iterator<Item = Document>) -> Option<Step> {
        match self.action(change, updates) {
            Ok((heading, action)) => {
                if let Action::Deploy { target, .. } = &action {
                    self.target = Arc::clone(target);
                }
                Some(Step { heading, action })
            }
            Err(messages) => {
                self.wrong.extend(messages);
                None
            }
        }
    }

    fn action(
        &mut self,
        change: &Change,
        updates: &mut impl Iterator<Item = Document>,
    ) -> Result<(String, Action), Vec<String>> {
        let mut apps = self.target.apps().clone();
        let mut restart = None;
        let heading = match change {
            Change::Scale(id, amount) => {
                for app in self.scalable(id, *amount)? {
                    let before = self.app("--scale", &app)?;
                    let instances = amount.of(before.app.instances);
                    if before.is_single_instance && instances > 1 {
                        return Err(vec![format!("--scale: {app} never has two tasks at once, expected 0 or 1")]);
                    }
                    if instances > App::MAX_INSTANCES {
                        let most = App::MAX_INSTANCES;
                        return Err(vec![format!(
                            "--scale: {app} would have {instances} instances, expected at most {most}"
                        )]);
                    }
                    apps.insert(app, Arc::new(before.scaled(instances)));
                }
                match amount {
                    Amount::To(instances) => format!("{id} is to have {instances}"),
                    Amount::By(_) => format!("{id} is to be scaled"),
                }
            }
            Change::Update(file) => {
                if let Some(written) = updates.next() {
                    let replaced = |id: &str| written.group.as_ref().is_some_and(|group| is_within(id, group));
                    apps.retain(|id, _| !replaced(id) && !written.apps.iter().any(|new| new.app.id == *id));
                    let twice = add(&mut apps, written);
                    if !twice.is_empty() {
                        return Err(twice);
                    }
                }
                format!("all is to be as in {}", file.display())
            }
            Change::Restart(app) => {
                self.app("--restart", app)?;
                restart = Some(app.clone());
                format!("{app} is to be restarted")
            }
            Change::Stop(id) => {
                apps.retain(|app, _| !is_within(app, id));
                self.check_stop(id, &apps)?;
                format!("{id} is to end")
            }
            Change::Lose(agent) => {
                self.check_lose(agent)?;
                return Ok((format!("{agent} is lost"), Action::Lose(agent.clone())));
            }
            Change::Sick(task) => {
                self.check_sick(task)?;
                return Ok((format!("{task} is sick"), Action::FailChecks(task.clone())));
            }
        };
        Ok((heading, Action::Deploy { target: root_group(apps)?, restart }))
    }

    /// Returns the wanted app of that id.
    fn app(&self, option: &str, app: &str) -> Result<&AppDefinition, Vec<String>> {
        let known = || one_of(&mut self.target.apps().keys().map(Text::as_str));
        let unknown = || vec![format!("{option}: there is no app {app}, expected {}", known())];
        self.target.app(app).map(Arc::as_ref).ok_or_else(unknown)
    }

    /// Returns the apps to scale: one app, or all of a group if the amount is relative.
    fn scalable(&self, id: &str, amount: Amount) -> Result<Vec<Text>, Vec<String>> {
        let within: Vec<Text> = self.target.apps().keys().filter(|app| is_within(app, id)).cloned().collect();
        match (within.as_slice(), amount) {
            ([], _) => self.app("--scale", id).map(|_| Vec::new()),
            ([app], _) if app == id => Ok(within),
            (_, Amount::To(instances)) if self.target.app(id).is_none() => Err(vec![format!(
                "--scale: found {id}={instances}, expected one of its apps, or {id}=x2, as it is a group"
            )]),
            (_, Amount::To(_)) => Ok(vec![id.into()]),
            (_, Amount::By(_)) => Ok(within),
        }
    }

    /// Checks that no app that is left depends on an app that stops.
    fn check_stop(&self, id: &str, left: &Apps) -> Result<(), Vec<String>> {
        if left.len() == self.target.apps().len() {
            let known = one_of(&mut self.target.apps().keys().map(Text::as_str));
            return Err(vec![format!("--stop: there is no app or group {id}, expected {known}, or their groups")]);
        }
        let mut needed = Vec::new();
        for (app, definition) in left {
            let has = |apps: &Apps, id: &str| apps.keys().any(|other| is_within(other, id));
            let lacks = |id: &str| has(self.target.apps(), id) && !has(left, id);
            if let Some(lacking) = definition.dependencies.iter().find(|dependency| lacks(&dependency.id)) {
                needed.push(format!("--stop: {} is needed by {app}, expected {app} to end before", lacking.id));
            }
        }
        if needed.is_empty() { Ok(()) } else { Err(needed) }
    }

    /// Checks that an agent exists and has not been lost by an earlier step.
    fn check_lose(&mut self, agent: &AgentId) -> Result<(), Vec<String>> {
        if !self.agents.contains_key(agent) {
            let known = one_of(&mut self.agents.keys().map(AgentId::as_str));
            return Err(vec![format!("--lose: there is no agent {agent}, expected {known}")]);
        }
        if self.lost.contains(agent) {
            return Err(vec![format!("--lose: {agent} is lost already")]);
        }
        self.lost.push(agent.clone());
        Ok(())
    }

    /// Checks that a task of that name belongs to an app with health checks. Whether it runs shows only when the step runs.
    fn check_sick(&self, task: &TaskId) -> Result<(), Vec<String>> {
        let app = self.target.apps().iter().find(|(id, _)| is_task_of(task.as_str(), id));
        let Some((id, definition)) = app else {
            return Err(vec![format!(
                "--sick: there is no app of a task {task}, expected one such as redis.1 or shop_db.2"
            )]);
        };
        if definition.health_checks.is_empty() {
            return Err(vec![format!("--sick: {id} has no healthChecks, expected a task of an app that has some")]);
        }
        Ok(())
    }
}

/// Returns why a task cannot run as the user that its app names, unless it can.
fn user_obstacle(definition: &AppDefinition) -> Option<String> {
    let user = definition.user.as_ref().filter(|user| !Machine::runs_as(user))?;
    let (file, id) = (&definition.file, &definition.app.id);
    Some(format!("{file}: user: found {user:?} of {id}, expected the user of this program, as whom tasks run"))
}

/// Returns whether that is a task id of the app.
fn is_task_of(task: &str, app: &str) -> bool {
    let (name, number) = task.rsplit_once('.').unwrap_or_default();
    app.trim_start_matches('/').replace('/', "_") == name && number.parse::<u64>().is_ok()
}

/// Adds the apps of a file. Returns a message for each id that exists already.
fn add(apps: &mut Apps, written: Document) -> Vec<String> {
    let mut wrong = Vec::new();
    for definition in written.apps {
        let (id, file) = (definition.app.id.clone(), definition.file.clone());
        match apps.get(&id) {
            Some(other) => wrong.push(format!("{file}: id: {id} is the id of the app in {} too", other.file)),
            None => drop(apps.insert(id, Arc::new(definition))),
        }
    }
    wrong
}

fn root_group(apps: Apps) -> Result<Arc<RootGroup>, Vec<String>> {
    RootGroup::new(apps).map(Arc::new).map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

fn read(file: &str, text: &[u8], max_bytes: usize) -> Result<Document, String> {
    let json = read_json_up_to(text, max_bytes).map_err(|error| TextError::from(error).in_file(file).to_string())?;
    Document::read(JsonNode::root(&json), file).map_err(|error| error.locate(text).in_file(file).to_string())
}

/// Returns the first names, as the expectation of a message.
fn one_of(mut names: &mut dyn Iterator<Item = &str>) -> String {
    const MAX_SHOWN: usize = 12;
    let mut first: Vec<&str> = (&mut names).take(MAX_SHOWN).collect();
    first.extend(names.next().map(|_| "..."));
    if first.is_empty() { "nothing, as there are none".to_owned() } else { format!("one of {}", first.join(", ")) }
}
