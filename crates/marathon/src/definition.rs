//! [`Definition`]: an app as its author writes it. What the planner makes of it is its `app`; the rest is Marathon's.
//!
//! Keys and defaults are those of Marathon's class `AppDefinition` and of its page *Application Deployments*.

use crate::back_off::Delays;
use crate::health::{HealthCheck, Probe};
use crate::program::Program;
use crate::rollout::Capacity;
use crate::service_port::ServicePort;
use apportion::Task;
use apportion::placement::{App, JsonNode, Launch, ReadError};
use indexmap::IndexMap;
use serde_json::Value as Json;
use smol_str::SmolStr;
use std::sync::Arc;

/// Apps by their ids, each as it is to run.
pub type Apps = IndexMap<SmolStr, Arc<Definition>>;

/// An app, as it is to run.
#[derive(Debug, Clone)]
pub struct Definition {
    /// Which file it is from.
    pub file: SmolStr,
    pub app: App,
    pub health: Vec<HealthCheck>,
    /// What its tasks run, where they really do.
    pub(crate) program: Program,
    /// Its ports, as others reach them.
    pub ports: Vec<ServicePort>,
    /// What must be up before it: its own dependencies and those of its groups.
    pub dependencies: Vec<Dependency>,
    /// Marathon's `upgradeStrategy`.
    pub(crate) capacity: Capacity,
    /// How long it is not launched again after it has failed.
    pub(crate) delays: Delays,
    pub(crate) kill_first: KillFirst,
    /// All that was written, but for what may change without a restart.
    pub json: Json,
}

/// An app or a group that must be up before.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dependency {
    /// Its id, from the root.
    pub id: SmolStr,
    /// Where it was written, and how: `groups[0].dependencies[1]: found "../db"`.
    pub place: String,
}

/// Which of its instances an app gives up first (Marathon's `killSelection`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum KillFirst {
    #[default]
    Youngest,
    Oldest,
}

impl Definition {
    /// Reads an app of that id, which depends on what is given and on what it says itself; its ids are relative to `group`.
    pub(crate) fn read(
        node: JsonNode<'_>,
        (file, id, group): (&str, SmolStr, &str),
        inherited: &[Dependency],
    ) -> Result<Self, ReadError> {
        let mut app = App::read(node)?;
        app.id = id;
        let health = HealthCheck::read_all(node, app.ports.len())?;
        let mut dependencies = inherited.to_vec();
        dependencies.extend(Dependency::read_all(node, group)?);
        let kill_first = match node.get("killSelection") {
            None => KillFirst::default(),
            Some(selection) => match selection.text()? {
                "YOUNGEST_FIRST" => KillFirst::Youngest,
                "OLDEST_FIRST" => KillFirst::Oldest,
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
            ports: ServicePort::read_all(node, app.ports.len())?,
            health,
            dependencies,
            capacity: Capacity::read(node)?,
            delays: Delays::read(node)?,
            kill_first,
            json,
            app,
        })
    }

    /// The same, with so many instances.
    pub fn scaled(&self, instances: u64) -> Self {
        let mut scaled = self.clone();
        scaled.app.instances = instances;
        scaled
    }

    /// Whether its tasks would run on unchanged: what differs, if anything, is how many there are
    /// (`AppDefinition.isUpgrade`).
    pub fn runs_like(&self, other: &Self) -> bool {
        let ids = |all: &[Dependency]| all.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
        self.json == other.json && ids(&self.dependencies) == ids(&other.dependencies)
    }

    /// Why its tasks cannot really run, if they cannot.
    pub fn why_not_run(&self) -> Option<String> {
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
        let index = self.health.iter().position(is_encrypted)?;
        Some(format!("{file}: {id} has a health check [{index}] of HTTPS, which is not made here, expected HTTP"))
    }

    /// The task of a launch, with what its executor needs to know.
    pub(crate) fn task(&self, launch: &Launch, version: &str) -> Task {
        self.program.task(launch, &self.app, version, self.json.get("healthChecks"))
    }
}

impl Dependency {
    /// Reads the `dependencies` of an app or a group; they are relative to that group.
    pub(crate) fn read_all(node: JsonNode<'_>, group: &str) -> Result<Vec<Self>, ReadError> {
        let Some(dependencies) = node.get("dependencies") else { return Ok(Vec::new()) };
        let one = |node: JsonNode<'_>| {
            let found = node.name()?;
            let id = from_root(group, found).filter(|id| id != "/");
            let id = id.ok_or_else(|| node.wrong("the id of an app or a group"))?;
            let place = node.wrong("").to_string();
            Ok(Self { id, place: place.trim_end_matches(", expected ").to_owned() })
        };
        dependencies.items("a list of ids")?.map(one).collect()
    }
}

/// An id from the root, of one that may be relative to a group; none if it leads out of the root (`PathId.canonicalPath`).
pub fn from_root(group: &str, id: &str) -> Option<SmolStr> {
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

    fn read(json: &Json) -> Result<Definition, String> {
        let node = JsonNode::root(json);
        Definition::read(node, ("app.json", "/shop/web".into(), "/shop"), &[]).map_err(|error| error.to_string())
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
            assert_eq!(from_root(group, id).as_deref(), expected, "{group} {id}");
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
            [Dependency { id: "/shop/db".into(), place: "dependencies[0]: found \"db\"".into() }]
        );
        let with = |key: &str, value: Json| {
            let mut app = app.clone();
            app[key] = value;
            read(&app).unwrap().runs_like(&definition)
        };
        assert!(with("instances", 5.into()) && with("id", "/shop/web".into()));
        assert!(!with("cpus", 2.into()) && !with("env", json!({"A": "b"})) && !with("dependencies", json!([])));
    }
}
