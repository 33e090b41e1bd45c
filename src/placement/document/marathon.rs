//! Reads the JSON of a Marathon app.

use super::reader::{Node, ReadError, TextError};
use super::{grammar, ports, syntax};
use crate::constraint::Condition;
use crate::placement::model::app::{App, GpuBehavior};
use crate::placement::model::spread::Spread;
use crate::placement::model::strategy::Strategy;
use crate::placement::model::version::Version;
use crate::placement::model::volume::VolumeRequest;
use crate::role::Role;
use crate::text::Text;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

impl App {
    /// Reads an app's JSON, as it is posted to Marathon.
    ///
    /// Numbers may be text, and `memory` is read as `mem`. Keys that do not concern placement are ignored; an unknown
    /// key within `placement` is an error.
    ///
    /// # Errors
    ///
    /// [`ReadError`], with the path of the value that is wrong.
    pub fn from_json(json: &Json) -> Result<Self, ReadError> {
        Self::read(Node::root(json))
    }

    /// Reads an app within a document: the paths of errors start at the root of the document.
    ///
    /// # Errors
    ///
    /// As [`App::from_json`].
    pub fn read(node: Node<'_>) -> Result<Self, ReadError> {
        node.object()?;
        if let Some(containers) = node.get("containers") {
            return Err(containers.wrong("an app with one container: pods are not supported"));
        }
        let id = node.required("id", "the id of the app")?;
        if id.name()?.trim_matches('/').is_empty() {
            return Err(id.wrong("the id of the app"));
        }
        let mut app = Self::new(id.name()?);
        if let Some(instances) = node.get("instances") {
            app.instances = instances.whole(Self::MAX_INSTANCES)?;
        }
        for (keys, amount) in [
            (["cpus", "cpus"], &mut app.cpus),
            (["mem", "memory"], &mut app.mem),
            (["disk", "disk"], &mut app.disk),
            (["gpus", "gpus"], &mut app.gpus),
        ] {
            if let Some(given) = keys.iter().find_map(|key| node.get(key)) {
                *amount = given.scalar()?;
            }
        }
        app.role = node.get("role").map(role).transpose()?;
        if let Some(accepted) = node.get("acceptedResourceRoles") {
            app.accepted_roles = Some(roles(accepted)?);
        }
        let container = node.get("container");
        if let Some(container) = &container {
            container.object()?;
            if let Some(image) = container.get("docker").as_ref().and_then(|docker| docker.get("image")) {
                app.image = Some(image.text()?.into());
            }
            if let Some(volumes) = container.get("volumes") {
                for volume in volumes.items("a list of volumes")? {
                    app.volumes.extend(VolumeRequest::read(volume)?);
                }
            }
        }
        if let Some(labels) = node.get("labels") {
            app.labels = Arc::new(read_labels(labels)?);
            app.gpu_behavior = gpu_behavior(labels)?;
        }
        if let Some(changed) = node.get("versionInfo").as_ref().and_then(|info| info.get("lastConfigChangeAt")) {
            app.changed = Some(version(changed)?);
        }
        app.ports = ports::read(node, container.as_ref())?;
        placement(node, &mut app)?;
        Ok(app)
    }
}

impl FromStr for App {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        Self::from_json(&syntax::read_json(text.as_bytes())?).map_err(|error| error.locate(text.as_bytes()))
    }
}

/// Reads `constraints` and `placement` into an app.
fn placement(node: Node<'_>, app: &mut App) -> Result<(), ReadError> {
    if let Some(constraints) = node.get("constraints") {
        for constraint in constraints.items("a list of constraints")? {
            let (field, operator, value) = grammar::words(constraint)?;
            let condition = Condition::marathon(&field, &operator, value);
            app.require.push(condition.map_err(|error| constraint.error(error))?.into());
        }
    }
    let Some(placement) = node.get("placement") else { return Ok(()) };
    placement.only(&["require", "prefer", "spread", "strategy"])?;
    if let Some(require) = placement.get("require") {
        for item in require.items("a list of conditions")? {
            app.require.push(grammar::clause(item)?);
        }
    }
    if let Some(prefer) = placement.get("prefer") {
        for item in prefer.items("a list of preferences")? {
            app.prefer.push(grammar::preference(item)?);
        }
    }
    if let Some(spread) = placement.get("spread") {
        for item in spread.items("a list of spreads")? {
            app.spread.push(Spread::read(item)?);
        }
    }
    app.strategy = placement.get("strategy").map(strategy).transpose()?;
    Ok(())
}

/// Reads the name of a strategy.
pub(super) fn strategy(node: Node<'_>) -> Result<Strategy, ReadError> {
    let by_name = node.json().as_str().and_then(Strategy::by_name);
    by_name.ok_or_else(|| node.wrong(format!("one of {}", Strategy::NAMES.join(", "))))
}

/// Reads a role.
pub(super) fn role(node: Node<'_>) -> Result<Role, ReadError> {
    node.text()?.parse().map_err(|error: crate::role::RoleError| node.error(error))
}

/// Reads a list of roles, with at least one.
pub(super) fn roles(node: Node<'_>) -> Result<Vec<Role>, ReadError> {
    const ROLES: &str = "a list of roles, with at least one";
    let roles = node.items(ROLES)?.map(role).collect::<Result<Vec<_>, _>>()?;
    if roles.is_empty() { Err(node.wrong(ROLES)) } else { Ok(roles) }
}

/// Reads labels; numbers and booleans count as their text.
pub(super) fn read_labels(node: Node<'_>) -> Result<BTreeMap<Text, Text>, ReadError> {
    let mut labels = BTreeMap::new();
    for (key, value) in node.members()? {
        let text = match value.json() {
            Json::String(text) => text.clone(),
            Json::Number(_) | Json::Bool(_) => value.json().to_string(),
            Json::Null => continue,
            Json::Array(_) | Json::Object(_) => return Err(value.wrong("a text")),
        };
        labels.insert(key.into(), text.into());
    }
    Ok(labels)
}

fn gpu_behavior(labels: Node<'_>) -> Result<Option<GpuBehavior>, ReadError> {
    let Some(label) = labels.get("GPU_SCHEDULING_BEHAVIOR") else { return Ok(None) };
    gpu_behavior_by_name(label).map(Some)
}

pub(super) fn gpu_behavior_by_name(node: Node<'_>) -> Result<GpuBehavior, ReadError> {
    let by_name = node.json().as_str().and_then(GpuBehavior::by_name);
    by_name.ok_or_else(|| node.wrong("restricted or unrestricted"))
}

/// Reads a version.
pub(super) fn version(node: Node<'_>) -> Result<Version, ReadError> {
    node.text()?.parse().map_err(|_| node.wrong("a time such as 2026-08-01T12:30:00.000Z"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::model::ports::PortRequest;
    use crate::resources::Scalar;
    use serde_json::json;

    #[test]
    fn numbers_may_be_text_and_missing_keys_have_defaults() {
        let app: App = r#"{"id": "redis", "instances": "2", "cpus": "0.25", "memory": "256"}"#.parse().unwrap();
        assert_eq!((app.id.as_str(), app.instances), ("/redis", 2));
        assert_eq!((app.cpus, app.mem), (Scalar::milli(250), Scalar::units(256)));
        let bare = App::from_json(&json!({"id": "/a/b", "instances": null, "healthChecks": [{}]})).unwrap();
        assert_eq!(
            (bare.id.as_str(), bare.instances, bare.cpus, bare.mem),
            ("/a/b", 1, Scalar::units(1), Scalar::units(128))
        );
        assert_eq!((bare.disk, bare.gpus, bare.ports), (Scalar::ZERO, Scalar::ZERO, vec![PortRequest::default()]));
    }

    #[test]
    fn errors_name_the_path() {
        let cases = [
            (json!([]), "found [], expected an object"),
            (json!({"id": null}), "id: is not there"),
            (json!({"id": "/"}), "id: found \"/\""),
            (
                json!({"containers": [{}]}),
                "containers: found [{}], expected an app with one container: pods are not supp",
            ),
            (json!({"cpus": "a lot"}), "cpus: found \"a lot\", expected a number"),
            (json!({"cpus": -1}), "cpus: found -1, expected a number from 0"),
            (json!({"memory": []}), "memory: found []"),
            (json!({"instances": 1.5}), "instances: found 1.5, expected a whole number"),
            (json!({"instances": 1e9}), "expected a whole number from 0 to 1000000"),
            (json!({"role": "a//b"}), "role: \"a//b\" is not a role"),
            (json!({"acceptedResourceRoles": []}), "acceptedResourceRoles: found [], expected a list of roles"),
            (json!({"constraints": [["rack", "LIKE", "r.*"], ["rack", "EQUALS", "r1"]]}), "constraints[1]: \"EQUALS\""),
            (json!({"constraints": [["rack"]]}), "constraints[0]: found [\"rack\"], expected a condition"),
            (json!({"constraints": [["rack", "IN", ["a"]]]}), "constraints[0]: \"IN\" is not an operator"),
            (json!({"placement": {"requires": []}}), "placement: unknown key \"requires\", expected one of require"),
            (
                json!({"placement": {"require": [{"any": [["a", "EXISTS"], ["b", "IS"]]}]}}),
                "placement.require[0].any[1]: IS without a value",
            ),
            (json!({"placement": {"require": [{"any": []}]}}), "placement.require[0].any: found []"),
            (json!({"placement": {"require": [{"any": [["a", "EXISTS"]], "not": []}]}}), "exactly one of"),
            (
                json!({"placement": {"prefer": [{"if": ["a", "EXISTS"], "weight": 0}]}}),
                "prefer[0].weight: 0 is not a weight",
            ),
            (json!({"placement": {"strategy": "pack"}}), "placement.strategy: found \"pack\", expected one of first"),
            (json!({"container": {"docker": {"network": "NONE"}}}), "container.docker.network: found \"NONE\""),
            (json!({"ports": [70000]}), "ports[0]: found 70000, expected a whole number from 0 to 65535"),
            (json!({"labels": {"GPU_SCHEDULING_BEHAVIOR": "no"}}), "labels.GPU_SCHEDULING_BEHAVIOR: found \"no\""),
            (json!({"versionInfo": {"lastConfigChangeAt": "now"}}), "versionInfo.lastConfigChangeAt: found \"now\""),
        ];
        for (mut json, message) in cases {
            if let Some(object) = json.as_object_mut() {
                object.entry("id").or_insert("a".into());
            }
            let error = App::from_json(&json).unwrap_err().to_string();
            assert!(error.contains(message), "{json}: {error}");
        }
    }

    #[test]
    fn syntax_errors_name_line_and_column() {
        let error = "{\n  \"id\": \"redis\"\n  \"instances\": 2}".parse::<App>().unwrap_err();
        assert_eq!(error.in_file("redis.json").to_string(), "redis.json:3:3: found '\"', expected `,` or `}`");
        let error = r#"{"id": "redis", "cpus": "many"}"#.parse::<App>().unwrap_err();
        assert!(error.in_file("redis.json").to_string().starts_with("redis.json:1:25: cpus: found \"many\""));
    }
}
