//! The files and options that were given, read and checked before anything happens.

use crate::arguments::{Amount, Arguments, Step};
use crate::cluster;
use crate::definition::{Apps, Definition, from_root};
use crate::dependency::Target;
use crate::group::{Written, is_within};
use apportion::placement::{App, JsonNode, TextError, read_json};
use apportion::{Agent, AgentId, Role, TaskId};
use indexmap::IndexMap;
use smol_str::SmolStr;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The apps that run when none is given: the talk's, but for two more of the id `redis`.
const APPS: [(&str, &str); 3] = [
    ("examples/apps/simple-app.json", include_str!("../apps/simple-app.json")),
    ("examples/apps/redis-unique-app.json", include_str!("../apps/redis-unique-app.json")),
    ("examples/apps/nginx-bridge-port-app.json", include_str!("../apps/nginx-bridge-port-app.json")),
];

pub(crate) type Agents = IndexMap<AgentId, Agent>;

/// All that is to happen, and where.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) agents: Agents,
    pub(crate) scenes: Vec<Scene>,
    /// The apps and tasks whose output is shown.
    pub(crate) follow: Vec<SmolStr>,
}

/// Something that happens, and what is told of it.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) heading: String,
    pub(crate) act: Act,
}

#[derive(Debug)]
pub(crate) enum Act {
    /// These apps are wanted, and of one of them new tasks in any case.
    Deploy { target: Arc<Target>, restart: Option<SmolStr> },
    /// An agent is lost.
    Lose(AgentId),
    /// The health checks of a task fail.
    Sicken(TaskId),
}

impl Input {
    /// Reads everything before anything happens; what is wrong is told all at once.
    pub(crate) fn read(arguments: &Arguments) -> Result<Self, Vec<String>> {
        let mut wrong = Vec::new();
        let mut apps = Apps::new();
        let files = arguments.files.iter().map(|file| (file.display().to_string(), text(file)));
        let own = APPS.iter().map(|(name, text)| ((*name).to_owned(), Ok((*text).to_owned())));
        let own = own.take(if arguments.exec.is_wanted { 1 } else { APPS.len() }); // the others are images
        let files: Vec<_> = if arguments.files.is_empty() { own.collect() } else { files.collect() };
        for (file, text) in files {
            match text.and_then(|text| read(&file, &text)) {
                Ok(written) => wrong.extend(add(&mut apps, written)),
                Err(message) => wrong.push(message),
            }
        }
        let agents = match &arguments.cluster {
            None => cluster::made_up(arguments.agents, arguments.exec.is_wanted),
            Some(file) => cluster::read(file).unwrap_or_else(|message| {
                wrong.push(message);
                Agents::new()
            }),
        };
        let mut updates = Vec::new();
        for step in &arguments.steps {
            if let Step::Update(file) = step {
                let name = file.display().to_string();
                match text(file).and_then(|text| read(&name, &text)) {
                    Ok(written) => updates.push(written),
                    Err(message) => wrong.push(message),
                }
            }
        }
        if !wrong.is_empty() {
            return Err(wrong); // what follows would only be in the way
        }
        let target = Arc::new(Target::new(apps)?);
        let mut script = Script { agents: &agents, lost: Vec::new(), target: Arc::clone(&target), wrong };
        let mut scenes = vec![Scene { heading: "start".to_owned(), act: Act::Deploy { target, restart: None } }];
        let mut updates = updates.into_iter();
        scenes.extend(arguments.steps.iter().filter_map(|step| script.scene(step, &mut updates)));
        let mut wrong = script.wrong;
        let mut input = Self { agents, scenes, follow: Vec::new() };
        if arguments.exec.is_wanted {
            wrong.extend(input.definitions().filter_map(Definition::why_not_run));
            wrong.extend(arguments.cluster.iter().flat_map(|file| cluster::clashes(file, &input.agents)));
            for name in &arguments.exec.follow {
                match input.followed(name) {
                    Ok(id) => input.follow.push(id),
                    Err(message) => wrong.push(message),
                }
            }
        }
        let mut once = BTreeSet::new();
        wrong.retain(|message| once.insert(message.clone())); // of several versions the same is said
        if wrong.is_empty() { Ok(input) } else { Err(wrong) }
    }

    /// The app or task of that name, if there may be one.
    fn followed(&self, name: &str) -> Result<SmolStr, String> {
        let ids = || self.definitions().map(|definition| &definition.app.id);
        let app = from_root("/", name).filter(|app| ids().any(|id| id == app));
        let task = || ids().any(|id| is_task_of(name, id)).then(|| SmolStr::new(name));
        let known = || one_of(&mut ids().map(SmolStr::as_str).collect::<BTreeSet<_>>().into_iter());
        let unknown = || format!("--follow: there is no app or task {name}, expected {}, or of their tasks", known());
        app.or_else(task).ok_or_else(unknown)
    }

    /// The roles that the apps need, each once.
    pub(crate) fn roles(&self) -> BTreeSet<Role> {
        let of_app = |app: &App| {
            let accepted = app.accepted_roles.iter().flatten().cloned();
            accepted.chain([app.role.clone().unwrap_or_default()]).collect::<Vec<_>>()
        };
        self.definitions().flat_map(|definition| of_app(&definition.app)).collect()
    }

    /// The longest time from one health check of a task to the next, if there are any.
    pub(crate) fn longest_interval(&self) -> Option<Duration> {
        self.definitions().flat_map(|definition| &definition.health).map(|check| check.interval).max()
    }

    /// All versions of all apps.
    pub(crate) fn definitions(&self) -> impl Iterator<Item = &Definition> {
        self.targets().flatten()
    }

    /// The apps that are wanted, at one time after another.
    pub(crate) fn targets(&self) -> impl Iterator<Item = impl Iterator<Item = &Definition>> {
        let targets = self.scenes.iter().filter_map(|scene| match &scene.act {
            Act::Deploy { target, .. } => Some(target),
            Act::Lose(_) | Act::Sicken(_) => None,
        });
        targets.map(|target| target.apps().values().map(Arc::as_ref))
    }
}

/// What the steps come to, one by one.
#[derive(Debug)]
struct Script<'a> {
    agents: &'a Agents,
    lost: Vec<AgentId>,
    /// What is wanted after the steps so far.
    target: Arc<Target>,
    wrong: Vec<String>,
}

impl Script<'_> {
    /// What a step comes to; none if it is wrong.
    fn scene(&mut self, step: &Step, updates: &mut impl Iterator<Item = Written>) -> Option<Scene> {
        match self.act(step, updates) {
            Ok((heading, act)) => {
                if let Act::Deploy { target, .. } = &act {
                    self.target = Arc::clone(target);
                }
                Some(Scene { heading, act })
            }
            Err(messages) => {
                self.wrong.extend(messages);
                None
            }
        }
    }

    fn act(&mut self, step: &Step, updates: &mut impl Iterator<Item = Written>) -> Result<(String, Act), Vec<String>> {
        let mut apps = self.target.apps().clone();
        let mut restart = None;
        let heading = match step {
            Step::Scale(id, amount) => {
                for app in self.scalable(id, *amount)? {
                    let before = self.known("--scale", &app)?;
                    let instances = amount.of(before.app.instances);
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
            Step::Update(file) => {
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
            Step::Restart(app) => {
                self.known("--restart", app)?;
                restart = Some(app.clone());
                format!("{app} is to be restarted")
            }
            Step::Stop(id) => {
                apps.retain(|app, _| !is_within(app, id));
                self.can_stop(id, &apps)?;
                format!("{id} is to end")
            }
            Step::Lose(agent) => {
                self.lose(agent)?;
                return Ok((format!("{agent} is lost"), Act::Lose(agent.clone())));
            }
            Step::Sick(task) => {
                self.can_be_sick(task)?;
                return Ok((format!("{task} is sick"), Act::Sicken(task.clone())));
            }
        };
        Ok((heading, Act::Deploy { target: Arc::new(Target::new(apps)?), restart }))
    }

    fn known(&self, option: &str, app: &str) -> Result<&Definition, Vec<String>> {
        let known = || one_of(&mut self.target.apps().keys().map(SmolStr::as_str));
        let unknown = || vec![format!("{option}: there is no app {app}, expected {}", known())];
        self.target.app(app).map(Arc::as_ref).ok_or_else(unknown)
    }

    /// The apps that are scaled: one, or all of a group, if it is said how many times as many there are to be.
    fn scalable(&self, id: &str, amount: Amount) -> Result<Vec<SmolStr>, Vec<String>> {
        let within: Vec<SmolStr> = self.target.apps().keys().filter(|app| is_within(app, id)).cloned().collect();
        match (within.as_slice(), amount) {
            ([], _) => self.known("--scale", id).map(|_| Vec::new()),
            ([app], _) if app == id => Ok(within),
            (_, Amount::To(instances)) if self.target.app(id).is_none() => Err(vec![format!(
                "--scale: found {id}={instances}, expected one of its apps, or {id}=x2, as it is a group"
            )]),
            (_, Amount::To(_)) => Ok(vec![id.into()]),
            (_, Amount::By(_)) => Ok(within),
        }
    }

    /// Whether nothing of what is left needs what is to end.
    fn can_stop(&self, id: &str, left: &Apps) -> Result<(), Vec<String>> {
        if left.len() == self.target.apps().len() {
            let known = one_of(&mut self.target.apps().keys().map(SmolStr::as_str));
            return Err(vec![format!("--stop: there is no app or group {id}, expected {known}, or their groups")]);
        }
        let mut needed = Vec::new();
        for (app, definition) in left {
            let lacks = |id: &str| !left.keys().any(|other| is_within(other, id));
            if let Some(lacking) = definition.dependencies.iter().find(|dependency| lacks(&dependency.id)) {
                needed.push(format!("--stop: {} is needed by {app}, expected {app} to end before", lacking.id));
            }
        }
        if needed.is_empty() { Ok(()) } else { Err(needed) }
    }

    fn lose(&mut self, agent: &AgentId) -> Result<(), Vec<String>> {
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

    /// Whether it is the name of a task that can be sick; if such a task runs is seen when it is time.
    fn can_be_sick(&self, task: &TaskId) -> Result<(), Vec<String>> {
        let app = self.target.apps().iter().find(|(id, _)| is_task_of(task.as_str(), id));
        let Some((id, definition)) = app else {
            return Err(vec![format!(
                "--sick: there is no app of a task {task}, expected one such as redis.1 or shop_db.2"
            )]);
        };
        if definition.health.is_empty() {
            return Err(vec![format!("--sick: {id} has no healthChecks, expected a task of an app that has some")]);
        }
        Ok(())
    }
}

/// Whether a task of an app could have that name.
fn is_task_of(task: &str, app: &str) -> bool {
    let (name, number) = task.rsplit_once('.').unwrap_or_default();
    app.trim_start_matches('/').replace('/', "_") == name && number.parse::<u64>().is_ok()
}

/// Adds the apps of a file; tells of ids that were there before.
fn add(apps: &mut Apps, written: Written) -> Vec<String> {
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

fn text(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

fn read(file: &str, text: &str) -> Result<Written, String> {
    let json = read_json(text.as_bytes()).map_err(|error| TextError::from(error).in_file(file).to_string())?;
    Written::read(JsonNode::root(&json), file).map_err(|error| TextError::from(error).in_file(file).to_string())
}

/// The first of some names, as what is expected.
fn one_of(mut names: &mut dyn Iterator<Item = &str>) -> String {
    const SHOWN: usize = 12;
    let mut first: Vec<&str> = (&mut names).take(SHOWN).collect();
    first.extend(names.next().map(|_| "..."));
    if first.is_empty() { "nothing, as there are none".to_owned() } else { format!("one of {}", first.join(", ")) }
}
