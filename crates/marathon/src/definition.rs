//! [`AppDefinition`]: an app as its author writes it. Its [`App`] is what the planner reads; the rest is for the framework.
//!
//! Keys and defaults are those of Marathon's class `AppDefinition` and of its page *Application Deployments*.

use crate::backoff::BackoffStrategy;
use crate::health::{HealthCheck, Probe};
use crate::program::Program;
use crate::service_port::ServicePort;
use crate::upgrade_strategy::{KillSelection, UpgradeStrategy};
use apportion::placement::{App, JsonNode, Launch, ReadError};
use apportion::{Task, Text};
use indexmap::IndexMap;
use serde_json::Value as Json;
use std::sync::Arc;

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
    /// The command of its tasks.
    pub(crate) program: Program,
    /// Its service ports, one for each port of [`app`](Self::app).
    pub service_ports: Vec<ServicePort>,
    /// Its own `dependencies` and those of its groups.
    pub dependencies: Vec<Dependency>,
    pub(crate) upgrade_strategy: UpgradeStrategy,
    pub(crate) backoff: BackoffStrategy,
    pub(crate) kill_selection: KillSelection,
    /// The JSON that it was read from, without the keys that change no task: `id`, `instances`, `version`, `versionInfo`.
    pub json: Json,
}

/// An app or a group that must be up before another app starts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dependency {
    /// Its id, from the root.
    pub id: Text,
    /// Its place and text in the file, for messages: `groups[0].dependencies[1]: found "../db"`.
    pub source: String,
}

impl AppDefinition {
    /// Reads an app. Its `dependencies` are relative to `group`, and are added to the inherited ones.
    pub(crate) fn read(
        node: JsonNode<'_>,
        (file, id, group): (&str, Text, &str),
        inherited: &[Dependency],
    ) -> Result<Self, ReadError> {
        let mut app = App::read(node)?;
        app.id = id;
        let health_checks = HealthCheck::read_all(node, app.ports.len())?;
        let mut dependencies = inherited.to_vec();
        dependencies.extend(Dependency::read_all(node, group)?);
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
            program: Program::read(node)?,
            service_ports: ServicePort::read_all(node, app.ports.len())?,
            health_checks,
            dependencies,
            upgrade_strategy: UpgradeStrategy::read(node)?,
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
        if let Some(name) = self.program.secret() {
            return Some(format!("{file}: {id} has a secret as its {name}; there are no secrets here"));
        }
        let wants_files = |key: &&str| self.json[*key].as_array().is_some_and(|files| !files.is_empty());
        if let Some(key) = ["fetch", "uris"].into_iter().find(wants_files) {
            return Some(format!("{file}: {id} has {key}; nothing is fetched here"));
        }
        let is_encrypted = |check: &HealthCheck| matches!(check.probe, Probe::Http { tls: true, .. });
        let index = self.health_checks.iter().position(is_encrypted)?;
        Some(format!("{file}: {id} has a health check [{index}] of HTTPS, which is not made here, expected HTTP"))
    }

    /// Returns the task of a launch, with the details that its executor needs.
    pub(crate) fn task(&self, launch: &Launch, version: &str) -> Task {
        self.program.task(launch, &self.app, version, self.json.get("healthChecks"))
    }
}

impl Dependency {
    /// Reads the `dependencies` of an app or a group, relative to that group.
    pub(crate) fn read_all(node: JsonNode<'_>, group: &str) -> Result<Vec<Self>, ReadError> {
        let Some(dependencies) = node.get("dependencies") else { return Ok(Vec::new()) };
        let one = |node: JsonNode<'_>| {
            let found = node.name()?;
            let id = canonical_path(group, found).filter(|id| id != "/");
            let id = id.ok_or_else(|| node.wrong("the id of an app or a group"))?;
            let source = node.wrong("").to_string();
            Ok(Self { id, source: source.trim_end_matches(", expected ").to_owned() })
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
        AppDefinition::read(node, ("app.json", "/shop/web".into(), "/shop"), &[]).map_err(|error| error.to_string())
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
            let error = read(&json).unwrap_err();
            assert!(error.starts_with(message), "{error}");
        }
    }

    #[test]
    fn only_the_number_of_instances_changes_without_a_restart() {
        let app = json!({"id": "web", "cpus": 1, "dependencies": ["db"], "instances": 1});
        let definition = read(&app).unwrap();
        assert_eq!(
            definition.dependencies,
            [Dependency { id: "/shop/db".into(), source: "dependencies[0]: found \"db\"".into() }]
        );
        let with = |key: &str, value: Json| {
            let mut app = app.clone();
            app[key] = value;
            read(&app).unwrap().is_upgrade_of(&definition)
        };
        assert!(!with("instances", 5.into()) && !with("id", "/shop/web".into()));
        assert!(with("cpus", 2.into()) && with("env", json!({"A": "b"})) && with("dependencies", json!([])));
    }
}
