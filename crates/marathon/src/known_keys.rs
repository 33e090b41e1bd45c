//! [`PassedOver`]: keys of a document that are not known, or that have no effect here.
//!
//! Marathon passes over unknown keys in silence, so a misspelt one goes unnoticed. Keys that Marathon itself adds when it
//! prints an app are known, and say nothing about what is wanted.

use apportion::Text;
use serde_json::{Map, Value as Json};
use std::fmt;

/// A key of an app or a group that is passed over, with a word why.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PassedOver {
    /// The name of the file.
    pub file: Text,
    /// The app or group.
    pub id: Text,
    /// The path of the key within it: `upgradeStrategy.minimumHealthCapcity`.
    pub key: String,
    /// Why it has no effect; none if it is not known.
    pub why: Option<&'static str>,
}

impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, id, key, why } = self;
        write!(f, "{file}: {id}: {key} is passed over: {}", why.unwrap_or("there is no such key"))
    }
}

/// A key that is known.
struct Known {
    name: &'static str,
    value: Value,
}

/// The value of a known key.
enum Value {
    /// It is read, or says nothing about what is wanted.
    Plain,
    /// It has no effect here.
    Ignored(&'static str),
    /// An object with these keys, or a list of such objects.
    Objects(&'static [Known]),
}

const fn plain(name: &'static str) -> Known {
    Known { name, value: Value::Plain }
}

const fn ignored(name: &'static str, why: &'static str) -> Known {
    Known { name, value: Value::Ignored(why) }
}

const fn objects(name: &'static str, keys: &'static [Known]) -> Known {
    Known { name, value: Value::Objects(keys) }
}

const APP: &[Known] = &[
    plain("id"),
    plain("cmd"),
    plain("args"),
    plain("env"),
    plain("user"),
    plain("instances"),
    plain("cpus"),
    plain("mem"),
    plain("memory"),
    plain("disk"),
    plain("gpus"),
    plain("role"),
    plain("acceptedResourceRoles"),
    plain("labels"),
    plain("constraints"),
    plain("placement"),
    plain("dependencies"),
    plain("ports"),
    plain("requirePorts"),
    plain("fetch"),
    plain("uris"),
    plain("killSelection"),
    plain("backoffSeconds"),
    plain("backoffFactor"),
    plain("maxLaunchDelaySeconds"),
    plain("taskKillGracePeriodSeconds"),
    objects("container", CONTAINER),
    objects("networks", &[plain("mode"), plain("name"), plain("labels")]),
    objects("ipAddress", IP_ADDRESS),
    objects("portDefinitions", &[plain("port"), plain("protocol"), plain("name"), plain("labels")]),
    objects("healthChecks", HEALTH_CHECK),
    objects("readinessChecks", READINESS_CHECK),
    objects("upgradeStrategy", &[plain("minimumHealthCapacity"), plain("maximumOverCapacity")]),
    objects("unreachableStrategy", &[plain("inactiveAfterSeconds"), plain("expungeAfterSeconds")]),
    objects("executorResources", &[plain("cpus"), plain("mem"), plain("disk")]),
    // What Marathon adds when it prints an app.
    plain("version"),
    plain("versionInfo"),
    plain("tasksStaged"),
    plain("tasksRunning"),
    plain("tasksHealthy"),
    plain("tasksUnhealthy"),
    plain("tasks"),
    plain("taskStats"),
    plain("tasksStats"),
    plain("deployments"),
    plain("lastTaskFailure"),
    plain("readinessCheckResults"),
    // What has no effect here.
    ignored("check", "checks without consequences are not made"),
    ignored("executor", "there are no executors of one's own, only cmd and args are run"),
    ignored("residency", "a task with a volume waits for the agent of the volume"),
    ignored("resourceLimits", "tasks are not limited"),
    ignored("secrets", "there are no secrets"),
    ignored("storeUrls", "nothing is stored"),
    ignored("taskRateLimit", "launches are limited by the back-off alone"),
    ignored("tty", "tasks have no terminal"),
];

const CONTAINER: &[Known] = &[
    plain("type"),
    objects("docker", DOCKER),
    objects("volumes", VOLUME),
    objects("portMappings", PORT_MAPPING),
    ignored("linuxInfo", "tasks run without a container"),
];

const DOCKER: &[Known] = &[
    plain("image"),
    plain("network"),
    plain("privileged"),
    plain("parameters"),
    plain("forcePullImage"),
    plain("credential"),
    plain("pullConfig"),
    objects("portMappings", PORT_MAPPING),
];

const PORT_MAPPING: &[Known] = &[
    plain("containerPort"),
    plain("hostPort"),
    plain("servicePort"),
    plain("protocol"),
    plain("name"),
    plain("labels"),
    plain("networkName"),
    plain("networkNames"),
];

const VOLUME: &[Known] = &[
    plain("containerPath"),
    plain("hostPath"),
    plain("mode"),
    plain("external"),
    objects("persistent", &[plain("size"), plain("maxSize"), plain("type"), plain("constraints"), PROFILE]),
    ignored("secret", "there are no secrets"),
];

const PROFILE: Known = ignored("profileName", "disks have no profiles");

const IP_ADDRESS: &[Known] = &[
    plain("networkName"),
    plain("labels"),
    plain("groups"),
    objects("discovery", &[objects("ports", &[plain("number"), plain("name"), plain("protocol"), plain("labels")])]),
];

const HEALTH_CHECK: &[Known] = &[
    plain("protocol"),
    plain("path"),
    plain("port"),
    plain("portIndex"),
    objects("command", &[plain("value")]),
    plain("gracePeriodSeconds"),
    plain("intervalSeconds"),
    plain("timeoutSeconds"),
    plain("delaySeconds"),
    plain("maxConsecutiveFailures"),
    plain("ignoreHttp1xx"),
    plain("ipProtocol"),
];

const READINESS_CHECK: &[Known] = &[
    plain("name"),
    plain("protocol"),
    plain("path"),
    plain("portName"),
    plain("intervalSeconds"),
    plain("timeoutSeconds"),
    plain("httpStatusCodesForReady"),
    ignored("preserveLastResponse", "answers are not kept"),
];

const GROUP: &[Known] = &[
    plain("id"),
    plain("apps"),
    plain("groups"),
    plain("pods"),
    plain("dependencies"),
    plain("version"),
    plain("versionInfo"),
    plain("enforceRole"),
];

/// Returns the keys of an app that are passed over.
pub(crate) fn of_app(app: &Json, file: &str, id: &str) -> Vec<PassedOver> {
    of(app, APP, file, id)
}

/// Returns the keys of a group that are passed over, its apps and groups aside.
pub(crate) fn of_group(group: &Json, file: &str, id: &str) -> Vec<PassedOver> {
    of(group, GROUP, file, id)
}

fn of(json: &Json, known: &[Known], file: &str, id: &str) -> Vec<PassedOver> {
    let mut found = Vec::new();
    let mut add = |key: String, why| {
        let passed = PassedOver { file: file.into(), id: id.into(), key, why };
        if !found.contains(&passed) {
            found.push(passed);
        }
    };
    if let Some(object) = json.as_object() {
        visit(object, known, "", &mut add);
    }
    found
}

/// Passes on each key that has no effect, by its path without indices: items of a list share their keys.
fn visit(object: &Map<String, Json>, known: &[Known], path: &str, add: &mut dyn FnMut(String, Option<&'static str>)) {
    for (key, value) in object.iter().filter(|(_, value)| !is_nothing(value)) {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match known.iter().find(|known| known.name == key).map(|known| &known.value) {
            None => add(path, None),
            Some(Value::Plain) => {}
            Some(Value::Ignored(why)) => add(path, Some(why)),
            Some(Value::Objects(known)) => {
                let items = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
                items.iter().filter_map(Json::as_object).for_each(|item| visit(item, known, &path, add));
            }
        }
    }
}

/// Returns whether a value asks for nothing.
fn is_nothing(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Bool(value) => !value,
        Json::Number(number) => number.as_f64() == Some(0.0),
        Json::String(text) => text.is_empty() || text == "//cmd", // the executor that runs the cmd
        Json::Array(items) => items.is_empty(),
        Json::Object(members) => members.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unknown_and_ignored_keys_are_named_once_and_others_are_not() {
        let app = json!({"id": "web", "cmd": "true", "cpuz": 1, "tasksRunning": 3, "executor": "//cmd", "secrets": {},
            "taskRateLimit": 2, "container": {"docker": {"image": "x", "imagee": "y"}, "type": "MESOS"},
            "upgradeStrategy": {"minimumHealthCapacity": 1, "max": 1}, "unreachableStrategy": "disabled",
            "healthChecks": [{"protocl": "TCP"}, {"protocl": "HTTP", "command": {"value": "true"}}], "storeUrls": []});
        let told: Vec<String> = of_app(&app, "web.json", "/web").iter().map(ToString::to_string).collect();
        let unknown = |key: &str| format!("web.json: /web: {key} is passed over: there is no such key");
        assert_eq!(
            told,
            [
                unknown("cpuz"),
                "web.json: /web: taskRateLimit is passed over: launches are limited by the back-off alone".to_owned(),
                unknown("container.docker.imagee"),
                unknown("upgradeStrategy.max"),
                unknown("healthChecks.protocl"),
            ]
        );
        let group = json!({"id": "/", "apps": [{"x": 1}], "pods": [], "enforceRole": true, "scaleBy": 2});
        let told: Vec<String> = of_group(&group, "g", "/").into_iter().map(|passed| passed.key).collect();
        assert_eq!(told, ["scaleBy"]);
    }
}
