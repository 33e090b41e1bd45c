//! The fields of a task that the agents of a cluster read (Mesos' `TaskInfo`): container, files to fetch, user, labels, health check.
//!
//! The executors within this program read Marathon's own fields, and pass over these.

use crate::definition::AppDefinition;
use crate::health::{HealthCheck, PortRef, Probe};
use apportion::Task;
use apportion::placement::Launch;
use serde_json::{Map, Value as Json, json};

/// The network of a container, by its Mesos name; with a name of its own if it is of the user.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Network {
    mode: String,
    name: Option<String>,
}

impl AppDefinition {
    /// Returns a task of a launch with all that an agent needs.
    pub(crate) fn with_task_info(&self, mut task: Task, launch: &Launch) -> Task {
        let network = Network::of(&self.json);
        if let Some(container) = self.container(&network, launch) {
            task = task.detail("container", container);
        }
        if let Some(check) = self.health_checks.first() {
            task = task.detail("health_check", check.mesos(self, &network, launch));
        }
        if !self.app.labels.is_empty() {
            let label = |(key, value)| json!({"key": key, "value": value});
            let labels: Vec<Json> = self.app.labels.iter().map(label).collect();
            task = task.detail("labels", json!({"labels": labels}));
        }
        let uris = self.uris();
        if uris.is_empty() && self.user.is_none() {
            return task;
        }
        let Some(command) = task.details.get("command") else { return task };
        let mut command = Json::from(command.to_owned());
        if !uris.is_empty() {
            command["uris"] = uris.into();
        }
        if let Some(user) = &self.user {
            command["user"] = json!(user);
        }
        task.detail("command", command)
    }

    /// Returns why its tasks cannot run on the agents of a cluster, unless they can.
    pub fn agent_obstacle(&self) -> Option<String> {
        let (file, id) = (&self.file, &self.app.id);
        if let Some(name) = self.program.secret() {
            return Some(format!("{file}: {id} has a secret as its {name}; there are no secrets here"));
        }
        if let Some(volume) = self.app.volumes.first() {
            return Some(format!(
                "{file}: {id} has a persistent volume at {}, which is not made on agents",
                volume.path
            ));
        }
        if self.health_checks.len() > 1 {
            return Some(format!(
                "{file}: {id} has several health checks, expected one: an agent makes one of each task"
            ));
        }
        let has_readiness = !self.readiness_checks.is_empty();
        has_readiness.then(|| format!("{file}: {id} has readiness checks, which agents do not make"))
    }

    fn container(&self, network: &Network, launch: &Launch) -> Option<Json> {
        let image = self.app.image.as_ref()?;
        let written = &self.json["container"]["docker"];
        let mut docker = json!({"image": image, "network": network.mode});
        if network.maps_ports() {
            let mappings = self.port_mappings(launch);
            if !mappings.is_empty() {
                docker["port_mappings"] = mappings.into();
            }
        }
        for (from, to) in
            [("privileged", "privileged"), ("forcePullImage", "force_pull_image"), ("parameters", "parameters")]
        {
            if !written[from].is_null() {
                docker[to] = written[from].clone();
            }
        }
        let mut container = json!({"type": "DOCKER", "docker": docker});
        if let Some(name) = &network.name {
            container["network_infos"] = json!([{ "name": name }]);
        }
        let volumes = self.json["container"]["volumes"].as_array();
        let volume = |volume: &Json| {
            let host = volume["hostPath"].as_str()?;
            let mode = volume["mode"].as_str().unwrap_or("RW");
            Some(json!({"container_path": volume["containerPath"], "host_path": host, "mode": mode}))
        };
        let volumes: Vec<Json> = volumes.into_iter().flatten().filter_map(volume).collect();
        if !volumes.is_empty() {
            container["volumes"] = volumes.into();
        }
        Some(container)
    }

    /// Returns the ports of the host that lead to ports of the container. A container port 0 is the same as on the host.
    fn port_mappings(&self, launch: &Launch) -> Vec<Json> {
        let container = &self.json["container"];
        let written = [&container["portMappings"], &container["docker"]["portMappings"]];
        let Some(written) = written.into_iter().find_map(Json::as_array) else { return Vec::new() };
        let mapping = |(index, mapping): (usize, &Json)| {
            let host = launch.ports.get(index).copied().flatten()?;
            let protocol = mapping["protocol"].as_str().unwrap_or("tcp");
            Some(json!({"host_port": host, "container_port": container_port(launch, index)?, "protocol": protocol}))
        };
        written.iter().enumerate().filter_map(mapping).collect()
    }

    /// Returns the files that are fetched before a task starts: `fetch`, or the older `uris`, of which archives are unpacked.
    fn uris(&self) -> Vec<Json> {
        let file = |file: &Json| {
            let mut uri = json!({"value": file["uri"].as_str()?});
            for (from, to) in
                [("extract", "extract"), ("executable", "executable"), ("cache", "cache"), ("destPath", "output_file")]
            {
                if !file[from].is_null() {
                    uri[to] = file[from].clone();
                }
            }
            Some(uri)
        };
        let older = |uri: &Json| Some(json!({"value": uri.as_str()?}));
        let fetch = self.json["fetch"].as_array().into_iter().flatten().filter_map(file);
        fetch.chain(self.json["uris"].as_array().into_iter().flatten().filter_map(older)).collect()
    }
}

impl Network {
    /// Reads the network of an app: `networks`, or the older `container.docker.network`; that of the host if none is written.
    fn of(app: &Json) -> Self {
        let name = |value: &Json| value.as_str().map(str::to_owned);
        if let Some(network) = app["networks"].as_array().and_then(|networks| networks.first()) {
            let (mode, name) = match network["mode"].as_str().unwrap_or("container") {
                "host" => ("HOST", None),
                "container/bridge" => ("BRIDGE", None),
                _ => ("USER", name(&network["name"])),
            };
            return Self { mode: mode.to_owned(), name };
        }
        let mode = app["container"]["docker"]["network"].as_str().unwrap_or("HOST").to_ascii_uppercase();
        let name = if mode == "USER" { name(&app["ipAddress"]["networkName"]) } else { None };
        Self { mode, name }
    }

    fn maps_ports(&self) -> bool {
        matches!(self.mode.as_str(), "BRIDGE" | "USER")
    }
}

/// Returns the port of the container behind a port of a task.
fn container_port(launch: &Launch, index: usize) -> Option<u64> {
    let written = launch.requests.get(index).map(|request| u64::from(request.number)).filter(|number| *number > 0);
    written.or_else(|| launch.ports.get(index).copied().flatten())
}

impl HealthCheck {
    /// Returns the check in Mesos' form. Its port is that of the task's network.
    fn mesos(&self, app: &AppDefinition, network: &Network, launch: &Launch) -> Json {
        let is_inside = app.app.image.is_some() && network.maps_ports();
        let port = |port: &PortRef| match port {
            PortRef::Index(index) if is_inside => container_port(launch, *index),
            PortRef::Index(_) | PortRef::Number(_) => port.of(&launch.ports).map(u64::from),
        };
        let most = if self.max_failures == 0 { u32::MAX.into() } else { self.max_failures }; // 0 would kill at the first one
        let mut check = Map::new();
        match &self.probe {
            Probe::Http { tls, path, port: of, .. } => {
                let scheme = if *tls { "https" } else { "http" };
                check.insert("type".to_owned(), json!("HTTP"));
                check.insert("http".to_owned(), json!({"scheme": scheme, "port": port(of), "path": path}));
            }
            Probe::Tcp { port: of } => {
                check.insert("type".to_owned(), json!("TCP"));
                check.insert("tcp".to_owned(), json!({ "port": port(of) }));
            }
            Probe::Command(command) => {
                check.insert("type".to_owned(), json!("COMMAND"));
                check.insert("command".to_owned(), json!({ "value": command }));
            }
        }
        for (name, value) in [
            ("delay_seconds", self.first().as_secs_f64()),
            ("interval_seconds", self.interval.as_secs_f64()),
            ("timeout_seconds", self.timeout.as_secs_f64()),
            ("grace_period_seconds", self.grace.as_secs_f64()),
        ] {
            check.insert(name.to_owned(), json!(value));
        }
        check.insert("consecutive_failures".to_owned(), json!(most));
        check.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::Document;
    use apportion::placement::{JsonNode, Planner};
    use apportion::{Offer, Role};

    fn read(app: &Json) -> AppDefinition {
        Document::read(JsonNode::root(app), "app.json").unwrap().apps.remove(0)
    }

    /// Returns the details of the first task of an app.
    fn task(app: &Json) -> Json {
        let definition = read(app);
        let all = "cpus:4;mem:1024;ports:[31000-31999]".parse().unwrap();
        let offer = Offer::new("o1", "f1", Role::default(), "a1", all);
        let plan = Planner::new().plan([&definition.app], &[], &[offer]);
        let launch = &plan.launches[0];
        let task = definition.task(launch, "2015-04-02T09:37:00.596Z", None);
        Json::Object(task.details.into())
    }

    #[test]
    fn a_bridged_image_gets_its_ports_and_is_checked_within_its_network() {
        let task = task(&json!({"id": "nginx", "healthChecks": [{"protocol": "HTTP", "path": "/up", "portIndex": 0,
                "maxConsecutiveFailures": 0, "delaySeconds": 2, "intervalSeconds": 5}],
            "labels": {"tier": "front"}, "user": "www",
            "fetch": [{"uri": "http://x/y.tgz", "extract": false, "destPath": "z"}], "uris": ["http://x/old.tgz"],
            "container": {"type": "DOCKER", "volumes": [{"containerPath": "/data", "hostPath": "/srv", "mode": "RO"}],
                "docker": {"image": "nginx", "network": "BRIDGE", "forcePullImage": true, "parameters": [{"key": "init", "value": "true"}],
                    "portMappings": [{"containerPort": 80, "hostPort": 0, "protocol": "tcp"}, {"containerPort": 0, "hostPort": 0}]}}}));
        let expected = json!({"type": "DOCKER", "docker": {"image": "nginx", "network": "BRIDGE", "port_mappings": [
                {"host_port": 31000, "container_port": 80, "protocol": "tcp"},
                {"host_port": 31001, "container_port": 31001, "protocol": "tcp"}],
            "force_pull_image": true, "parameters": [{"key": "init", "value": "true"}]},
            "volumes": [{"container_path": "/data", "host_path": "/srv", "mode": "RO"}]});
        assert_eq!(task["container"], expected);
        let check = json!({"type": "HTTP", "http": {"scheme": "http", "port": 80, "path": "/up"}, "delay_seconds": 2.0,
            "interval_seconds": 5.0, "timeout_seconds": 20.0, "grace_period_seconds": 300.0, "consecutive_failures": u32::MAX});
        assert_eq!(task["health_check"], check);
        assert_eq!(task["labels"], json!({"labels": [{"key": "tier", "value": "front"}]}));
        let uris =
            json!([{"value": "http://x/y.tgz", "extract": false, "output_file": "z"}, {"value": "http://x/old.tgz"}]);
        assert_eq!((&task["command"]["uris"], &task["command"]["user"]), (&uris, &json!("www")));
        assert_eq!(task["command"]["shell"], false, "the image has the command");
    }

    #[test]
    fn a_command_is_checked_at_its_port_of_the_host() {
        let of = |extra: Json| {
            let mut app = json!({"id": "web", "cmd": "serve $PORT0", "healthChecks": [{"protocol": "TCP"}]});
            app.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            task(&app)
        };
        let plain = of(json!({}));
        assert_eq!((&plain["container"], &plain["labels"]), (&Json::Null, &Json::Null));
        assert_eq!(
            (&plain["health_check"]["type"], &plain["health_check"]["tcp"]),
            (&json!("TCP"), &json!({"port": 31000}))
        );
        let on_host = of(json!({"container": {"docker": {"image": "web"}}}));
        assert_eq!(on_host["container"], json!({"type": "DOCKER", "docker": {"image": "web", "network": "HOST"}}));
        assert_eq!(on_host["health_check"]["tcp"], json!({"port": 31000}));
        let named =
            of(json!({"networks": [{"mode": "container", "name": "blue"}], "container": {"docker": {"image": "web"}}}));
        assert_eq!(named["container"]["network_infos"], json!([{"name": "blue"}]));
        let bridged = json!({"networks": [{"mode": "container/bridge"}],
            "container": {"docker": {"image": "web"}, "portMappings": [{"containerPort": 8080}]}});
        assert_eq!(of(bridged)["container"]["docker"]["port_mappings"][0]["container_port"], 8080);
    }

    #[test]
    fn what_agents_cannot_do_is_told() {
        let check = json!({"protocol": "TCP"});
        for (key, value, expected) in [
            ("healthChecks", json!([check, check]), Some("several health checks")),
            ("healthChecks", json!([check]), None),
            ("env", json!({"A": {"secret": "s"}}), Some("a secret as its A")),
            ("readinessChecks", json!([{"portName": "default"}]), Some("readiness checks")),
            ("fetch", json!([{"uri": "http://x"}]), None),
        ] {
            let mut app = json!({"id": "web", "cmd": "serve"});
            app[key] = value;
            let told = read(&app).agent_obstacle();
            assert_eq!(told.is_some(), expected.is_some(), "{told:?}");
            assert!(told.is_none_or(|told| told.contains(expected.unwrap())));
        }
    }
}
