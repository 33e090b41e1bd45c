//! [`AppDefinition`]: an app as its author writes it. Its [`App`] is what the planner reads; the rest is for the framework.
//!
//! Keys and defaults are those of Marathon's class `AppDefinition` and of its page *Application Deployments*.

use crate::backoff::BackoffStrategy;
use crate::health::{HealthCheck, Probe};
use crate::known_keys::{self, PassedOver};
use crate::program::Program;
use crate::readiness::ReadinessCheck;
use crate::service_port::ServicePort;
use crate::unreachable::UnreachableStrategy;
use crate::upgrade_strategy::{KillSelection, UpgradeStrategy};
use crate::volumes::slot_name;
use apportion::placement::{App, JsonNode, Launch, ReadError};
use apportion::{Scalar, Task, Text};
use indexmap::IndexMap;
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// The label of an app that never has two tasks at once.
const SINGLE_INSTANCE: &str = "MARATHON_SINGLE_INSTANCE_APP";

/// The definitions of apps, by app id.
pub type Apps = IndexMap<Text, Arc<AppDefinition>>;

/// The definition of an app.
#[derive(Debug, Clone)]
pub struct AppDefinition {
    /// The name of the file that it was read from, for messages.
    pub file: Text,
    /// The part that the planner reads: id, instances, resources, constraints, ports, volumes.
    pub app: App,
    /// The app's `healthChecks`.
    pub health_checks: Vec<HealthCheck>,
    /// The app's `readinessChecks`.
    pub readiness_checks: Vec<ReadinessCheck>,
    /// The command of its tasks.
    pub(crate) program: Program,
    /// Its service ports, one for each port of [`app`](Self::app).
    pub service_ports: Vec<ServicePort>,
    /// Its own `dependencies` and those of its groups.
    pub dependencies: Vec<Dependency>,
    pub(crate) upgrade_strategy: UpgradeStrategy,
    pub(crate) backoff: BackoffStrategy,
    pub(crate) kill_selection: KillSelection,
    /// What becomes of tasks on an agent that cannot be reached.
    pub unreachable_strategy: UnreachableStrategy,
    /// Whether it never has two tasks at once (its label `MARATHON_SINGLE_INSTANCE_APP`).
    pub is_single_instance: bool,
    /// The system user that its tasks run as, if it names one.
    pub user: Option<Text>,
    /// The `executorResources`: cpus, mem and disk, which its tasks take besides.
    executor: [Scalar; 3],
    /// The keys of the app that have no effect.
    pub passed_over: Vec<PassedOver>,
    /// The JSON that it was read from, without the keys that change no task: `id`, `instances`, `version`, `versionInfo`.
    pub json: Json,
}

/// An app or a group that must be up before another app starts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dependency {
    /// Its id, from the root.
    pub id: Text,
    /// Whether it must exist. A dependency of an app that is given alone may be of another document.
    pub is_required: bool,
    /// Its place and text in the file, for messages: `groups[0].dependencies[1]: found "../db"`.
    pub source: String,
}

impl AppDefinition {
    /// Reads an app. Its `dependencies` are relative to its group, and are added to the inherited ones.
    pub(crate) fn read(
        node: JsonNode<'_>,
        (file, id, scope): (&str, Text, Scope<'_>),
        inherited: &[Dependency],
    ) -> Result<Self, ReadError> {
        let mut app = App::read(node)?;
        let program = Program::read(node)?;
        if program.is_empty() && node.get("container").is_none() {
            return Err(node.wrong("an app with cmd, args or container"));
        }
        app.id = id;
        let executor = executor_resources(node, &mut app)?;
        let health_checks = HealthCheck::read_all(node, app.ports.len())?;
        let mut dependencies = inherited.to_vec();
        dependencies.extend(Dependency::read_all(node, scope)?);
        let is_single_instance = is_single_instance(node, &app)?;
        let has_volumes = !app.volumes.is_empty();
        let upgrade_strategy = match (is_single_instance, has_volumes || has_external_volumes(node.json())) {
            (true, _) => UpgradeStrategy::SINGLE,
            (false, true) => UpgradeStrategy::RESIDENT,
            (false, false) => UpgradeStrategy::FULL,
        };
        let upgrade_strategy = UpgradeStrategy::read(node, upgrade_strategy)?;
        if is_single_instance && upgrade_strategy != UpgradeStrategy::SINGLE {
            let given = node.required("upgradeStrategy", "both capacities 0")?;
            return Err(given.wrong(format!("both capacities 0, as {SINGLE_INSTANCE} is true")));
        }
        let kill_selection = match node.get("killSelection") {
            None => KillSelection::default(),
            Some(selection) => match selection.text()? {
                "YOUNGEST_FIRST" => KillSelection::YoungestFirst,
                "OLDEST_FIRST" => KillSelection::OldestFirst,
                _ => return Err(selection.wrong("YOUNGEST_FIRST or OLDEST_FIRST")),
            },
        };
        let mut json = node.json().clone();
        if let Some(object) = json.as_object_mut() {
            for key in ["id", "instances", "version", "versionInfo"] {
                object.shift_remove(key);
            }
        }
        Ok(Self {
            file: file.into(),
            program,
            service_ports: ServicePort::read_all(node, app.ports.len())?,
            health_checks,
            readiness_checks: ReadinessCheck::read_all(node, &app)?,
            dependencies,
            upgrade_strategy,
            unreachable_strategy: UnreachableStrategy::read(node, has_volumes)?,
            is_single_instance,
            user: node.get("user").map(|user| user.text().map(Text::new)).transpose()?.filter(|user| !user.is_empty()),
            executor,
            passed_over: known_keys::of_app(node.json(), file, &app.id),
            backoff: BackoffStrategy::read(node)?,
            kill_selection,
            json,
            app,
        })
    }

    /// Returns the same definition with that number of instances.
    pub fn scaled(&self, instances: u64) -> Self {
        let mut scaled = self.clone();
        scaled.app.instances = instances;
        scaled
    }

    /// Returns whether tasks of `before` must be replaced by tasks of this definition (`AppDefinition.isUpgrade`). If not,
    /// the two differ at most in the number of instances.
    pub fn is_upgrade_of(&self, before: &Self) -> bool {
        let ids = |all: &[Dependency]| all.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
        self.json != before.json || ids(&self.dependencies) != ids(&before.dependencies)
    }

    /// Returns why its tasks cannot run as processes of this machine, unless they can: it has no command, a secret, files to
    /// fetch, or a health check over HTTPS.
    pub fn exec_obstacle(&self) -> Option<String> {
        let (file, id) = (&self.file, &self.app.id);
        if self.program.is_empty() {
            let image = self.app.image.as_ref().map(|image| format!("; its image {image} is not run here"));
            return Some(format!("{file}: {id} has no cmd{}", image.unwrap_or_default()));
        }
        if let Some(image) = self.app.image.as_ref().filter(|_| self.program.is_args()) {
            return Some(format!(
                "{file}: {id} has args for the entrypoint of its image {image}, which is not run here"
            ));
        }
        if let Some(volume) = self.app.volumes.iter().find(|volume| volume.path.starts_with('/')) {
            return Some(format!(
                "{file}: {id} has a volume at {}, expected a path in the sandbox of a task",
                volume.path
            ));
        }
        if let Some(name) = self.program.secret() {
            return Some(format!("{file}: {id} has a secret as its {name}; there are no secrets here"));
        }
        let wants_files = |key: &&str| self.json[*key].as_array().is_some_and(|files| !files.is_empty());
        if let Some(key) = ["fetch", "uris"].into_iter().find(wants_files) {
            return Some(format!("{file}: {id} has {key}; nothing is fetched here"));
        }
        let is_encrypted = |check: &HealthCheck| matches!(check.probe, Probe::Http { tls: true, .. });
        if let Some(index) = self.health_checks.iter().position(is_encrypted) {
            return Some(format!(
                "{file}: {id} has a health check [{index}] of HTTPS, which is not made here, expected HTTP"
            ));
        }
        let is_encrypted = |check: &ReadinessCheck| matches!(check.probe, Probe::Http { tls: true, .. });
        let index = self.readiness_checks.iter().position(is_encrypted)?;
        Some(format!("{file}: {id} has a readiness check [{index}] of HTTPS, which is not made here, expected HTTP"))
    }

    /// Returns the task of a launch, with the details that its executor needs; `slot` is the number of its volumes, if it has
    /// some.
    pub(crate) fn task(&self, launch: &Launch, version: &str, slot: Option<u64>) -> Task {
        let App { cpus, mem, disk, gpus, .. } = self.app;
        let [of_cpus, of_mem, of_disk] = self.executor;
        let own = [cpus.saturating_sub(of_cpus), mem.saturating_sub(of_mem), disk.saturating_sub(of_disk), gpus];
        let mut task = self.with_task_info(self.program.task(launch, &self.app, own, version), launch);
        if let Some(checks) = self.json.get("healthChecks") {
            task = task.detail("healthChecks", checks.clone());
        }
        if !self.readiness_checks.is_empty() {
            let checks: Vec<Json> = self.readiness_checks.iter().map(ReadinessCheck::json).collect();
            task = task.detail("readinessChecks", checks);
        }
        if let Some(slot) = slot {
            let name = slot_name(&self.app.id, slot);
            let volume = |path: &Text| json!({"containerPath": path, "name": name});
            let volumes: Vec<Json> = self.app.volumes.iter().map(|one| volume(&one.path)).collect();
            task = task.detail("volumes", volumes);
        }
        task
    }
}

/// Where the dependencies of an app or a group count from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scope<'a> {
    /// From a group.
    Group(&'a str),
    /// From the root, which no `..` leads out of: the app is given alone, without the groups around it.
    Root,
}

/// Adds the `executorResources` of an app to what its tasks take, and returns them.
fn executor_resources(node: JsonNode<'_>, app: &mut App) -> Result<[Scalar; 3], ReadError> {
    let Some(resources) = node.get("executorResources") else { return Ok([Scalar::ZERO; 3]) };
    resources.object()?;
    let mut all = [Scalar::ZERO; 3];
    let amounts = [("cpus", &mut app.cpus), ("mem", &mut app.mem), ("disk", &mut app.disk)];
    for (found, (key, amount)) in all.iter_mut().zip(amounts) {
        if let Some(given) = resources.get(key) {
            *found = given.scalar()?;
            *amount =
                amount.checked_add(*found).ok_or_else(|| given.wrong("an amount that adds up with the app's own"))?;
        }
    }
    Ok(all)
}

/// Returns whether an app never has two tasks at once.
fn is_single_instance(node: JsonNode<'_>, app: &App) -> Result<bool, ReadError> {
    if app.labels.get(SINGLE_INSTANCE).is_none_or(|label| label != "true") {
        return Ok(false);
    }
    if app.instances > 1 {
        let instances = node.required("instances", "0 or 1")?;
        return Err(instances.wrong(format!("0 or 1, as {SINGLE_INSTANCE} is true")));
    }
    Ok(true)
}

fn has_external_volumes(app: &Json) -> bool {
    let volumes = app["container"]["volumes"].as_array();
    volumes.into_iter().flatten().any(|volume| volume["external"].is_object())
}

impl Dependency {
    /// Reads the `dependencies` of an app or a group.
    pub(crate) fn read_all(node: JsonNode<'_>, scope: Scope<'_>) -> Result<Vec<Self>, ReadError> {
        let Some(dependencies) = node.get("dependencies") else { return Ok(Vec::new()) };
        let one = |node: JsonNode<'_>| {
            let found = node.name()?;
            let id = match scope {
                Scope::Group(group) => canonical_path(group, found),
                Scope::Root => canonical_path("/", found.trim_start_matches("../")),
            };
            let id = id.filter(|id| id != "/");
            let id = id.ok_or_else(|| node.wrong("the id of an app or a group"))?;
            let source = node.wrong("").to_string();
            let source = source.trim_end_matches(", expected ").to_owned();
            Ok(Self { id, is_required: matches!(scope, Scope::Group(_)), source })
        };
        dependencies.items("a list of ids")?.map(one).collect()
    }
}

/// Returns the absolute form of an id that may be relative to a group; `None` if it leads out of the root
/// (`PathId.canonicalPath`).
///
/// ```
/// use apportion_marathon::canonical_path;
///
/// assert_eq!(canonical_path("/shop/front", "../db").as_deref(), Some("/shop/db"));
/// assert_eq!(canonical_path("/", ".."), None);
/// ```
pub fn canonical_path(group: &str, id: &str) -> Option<Text> {
    let base = if id.starts_with('/') { "" } else { group };
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(id.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            _ => parts.push(part),
        }
    }
    Some(format!("/{}", parts.join("/")).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(json: &Json) -> Result<AppDefinition, String> {
        let node = JsonNode::root(json);
        AppDefinition::read(node, ("app.json", "/shop/web".into(), Scope::Group("/shop")), &[])
            .map_err(|error| error.to_string())
    }

    #[test]
    fn ids_are_relative_to_their_group() {
        let cases = [
            ("/shop", "web", Some("/shop/web")),
            ("/shop", "../db", Some("/db")),
            ("/shop", "inner/../../db/", Some("/db")),
            ("/shop", "/db//main", Some("/db/main")),
            ("/", "./db", Some("/db")),
            ("/shop", "../..", None),
            ("/", "..", None),
        ];
        for (group, id, expected) in cases {
            assert_eq!(canonical_path(group, id).as_deref(), expected, "{group} {id}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_path() {
        let cases = [
            (json!({"dependencies": "db"}), "dependencies: found \"db\", expected a list of ids"),
            (
                json!({"dependencies": ["a", "../.."]}),
                "dependencies[1]: found \"../..\", expected the id of an app or a",
            ),
            (json!({"killSelection": "ANY"}), "killSelection: found \"ANY\", expected YOUNGEST_FIRST or OLDEST_FIRST"),
            (json!({"healthChecks": [{"protocol": "UDP"}]}), "healthChecks[0].protocol: found \"UDP\""),
            (
                json!({"upgradeStrategy": {"minimumHealthCapacity": 2}}),
                "upgradeStrategy.minimumHealthCapacity: found 2, expected a number from 0 to 1",
            ),
            (json!({"backoffFactor": 0.5}), "backoffFactor: found 0.5, expected a number of at least 1"),
        ];
        for (mut json, message) in cases {
            json["id"] = "web".into();
            json["cmd"] = "true".into();
            let error = read(&json).unwrap_err();
            assert!(error.starts_with(message), "{error}");
        }
    }

    #[test]
    fn only_the_number_of_instances_changes_without_a_restart() {
        let app = json!({"id": "web", "cmd": "true", "cpus": 1, "dependencies": ["db"], "instances": 1});
        let definition = read(&app).unwrap();
        assert_eq!(
            definition.dependencies,
            [Dependency { id: "/shop/db".into(), is_required: true, source: "dependencies[0]: found \"db\"".into() }]
        );
        let with = |key: &str, value: Json| {
            let mut app = app.clone();
            app[key] = value;
            read(&app).unwrap().is_upgrade_of(&definition)
        };
        assert!(!with("instances", 5.into()) && !with("id", "/shop/web".into()));
        assert!(with("cpus", 2.into()) && with("env", json!({"A": "b"})) && with("dependencies", json!([])));
    }

    #[test]
    fn an_app_runs_something() {
        for nothing in [json!({}), json!({"cmd": null}), json!({"args": []}), json!({"cmd": "", "container": null})] {
            let mut app = nothing;
            app["id"] = "web".into();
            let error = read(&app).unwrap_err();
            assert!(error.ends_with("expected an app with cmd, args or container"), "{error}");
        }
        for mut something in [json!({"cmd": "true", "args": []}), json!({"args": ["x"]}), json!({"container": {}})] {
            something["id"] = "web".into();
            assert!(read(&something).is_ok(), "{something}");
        }
        let pod = read(&json!({"id": "web", "containers": [{"name": "one"}]})).unwrap_err();
        assert!(pod.contains("containers") && pod.ends_with("pods are not supported"), "{pod}");
    }

    #[test]
    fn apps_with_volumes_and_single_apps_have_defaults_of_their_own() {
        let with = |more: Json| {
            let mut app = json!({"id": "web", "cmd": "true"});
            app.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            read(&app)
        };
        let persistent = json!({"volumes": [{"containerPath": "data", "persistent": {"size": 1}}]});
        let external = json!({"volumes": [{"containerPath": "data", "external": {"name": "v", "provider": "dvdi"}}]});
        let host = json!({"volumes": [{"containerPath": "data", "hostPath": "/data"}]});
        for (more, strategy, is_waited_for) in [
            (json!({}), UpgradeStrategy::FULL, false),
            (json!({"container": host}), UpgradeStrategy::FULL, false),
            (json!({"container": persistent}), UpgradeStrategy::RESIDENT, true),
            (json!({"container": external}), UpgradeStrategy::RESIDENT, false),
            (json!({"container": persistent, "upgradeStrategy": {}}), UpgradeStrategy::FULL, true),
            (json!({"labels": {"MARATHON_SINGLE_INSTANCE_APP": "true"}}), UpgradeStrategy::SINGLE, false),
            (json!({"labels": {"MARATHON_SINGLE_INSTANCE_APP": "false"}}), UpgradeStrategy::FULL, false),
        ] {
            let app = with(more.clone()).unwrap();
            assert_eq!(app.upgrade_strategy, strategy, "{more}");
            assert_eq!(app.unreachable_strategy == UnreachableStrategy::Disabled, is_waited_for, "{more}");
        }
        let single =
            |key: &str, value: Json| with(json!({"labels": {"MARATHON_SINGLE_INSTANCE_APP": "true"}, key: value}));
        let error = single("instances", 2.into()).unwrap_err();
        assert_eq!(error, "instances: found 2, expected 0 or 1, as MARATHON_SINGLE_INSTANCE_APP is true");
        let error = single("upgradeStrategy", json!({"minimumHealthCapacity": 1})).unwrap_err();
        assert!(error.starts_with("upgradeStrategy: found {"), "{error}");
    }

    #[test]
    fn executor_resources_are_taken_besides() {
        let app =
            json!({"id": "web", "cmd": "true", "cpus": 1, "mem": 64, "executorResources": {"cpus": 0.1, "mem": 32}});
        let app = read(&app).unwrap();
        assert_eq!((app.app.cpus, app.app.mem), (Scalar::milli(1100), Scalar::units(96)));
    }
}
