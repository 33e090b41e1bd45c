//! What a task asks of an engine: a pure function from its v1 infos to the body of the engine's `create`.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::ContainerError;
use super::parameters::{self, Extra};
use super::volumes::{self, SANDBOX};

/// The least memory of a container, as Mesos has it.
const MIN_MEMORY: u64 = 32 << 20;
/// The CPU shares of one CPU, and the least that the kernel takes.
const SHARES_PER_CPU: f64 = 1024.0;
const MIN_SHARES: u64 = 2;
/// The period over which a CPU quota counts, in microseconds, as Mesos has it.
const CFS_PERIOD: f64 = 100_000.0;
const MIN_QUOTA: u64 = 1_000;
/// Bounds of the engine's own copy of the output, unless the task says else.
const LOG_DRIVER: &str = "json-file";
const LOG_LIMITS: [(&str, &str); 2] = [("max-size", "10m"), ("max-file", "2")];

/// Where a container belongs on its agent, beside what its task says.
#[derive(Debug, Clone)]
pub struct Place {
    pub(super) container_id: String,
    pub(super) agent_id: String,
    pub(super) sandbox: PathBuf,
    environment: Vec<(String, String)>,
    labels: Vec<(String, String)>,
    cfs: bool,
}

impl Place {
    /// Returns the place of a container on an agent, with its sandbox as it is called on the host.
    pub fn new(container_id: impl Into<String>, agent_id: impl Into<String>, sandbox: impl Into<PathBuf>) -> Self {
        Self {
            container_id: container_id.into(),
            agent_id: agent_id.into(),
            sandbox: sandbox.into(),
            environment: Vec::new(),
            labels: Vec::new(),
            cfs: false,
        }
    }

    /// Adds a variable of the agent's, such as `MESOS_SLAVE_ID`. The command's own variables win over it.
    ///
    /// `MESOS_SANDBOX` and `MESOS_CONTAINER_NAME` need not be given.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Adds a label `apportion.NAME` to the container, by which it is told who it belongs to when it is found again.
    #[must_use]
    pub fn label(mut self, name: &str, value: impl Into<String>) -> Self {
        self.labels.push((format!("{LABEL}{name}"), value.into()));
        self
    }

    /// Limits the CPU to what the task has (`--cgroups_enable_cfs`), instead of sharing what is free.
    #[must_use]
    pub fn cpu_quota(mut self, limited: bool) -> Self {
        self.cfs = limited;
        self
    }
}

/// The beginning of our labels.
pub(super) const LABEL: &str = "apportion.";
pub(super) const AGENT_LABEL: &str = "apportion.agent";
pub(super) const CONTAINER_LABEL: &str = "apportion.container";

/// A container as the engine is asked for it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Container {
    /// The container's name for the engine: `mesos-` and the container's id.
    pub name: String,
    /// The image, as the task names it.
    pub image: String,
    /// Pulls the image even if the engine has it (`force_pull_image`).
    pub force_pull: bool,
    /// Asks to remove the container as soon as it has ended (the parameter `rm`), without the agent's delay.
    pub remove_at_once: bool,
    /// The sandbox, as it is called on the host: the files `stdout` and `stderr` in it get the output.
    pub sandbox: PathBuf,
    /// The body of the engine's `create`.
    pub body: Value,
}

impl Container {
    /// Works out the container of a v1 `TaskInfo` or `ExecutorInfo` in JSON: its `container`, `command`, `resources` and `limits`.
    ///
    /// # Errors
    ///
    /// What cannot be had is named; see [`ContainerError`].
    pub fn of(info: &Value, place: &Place) -> Result<Self, ContainerError> {
        let container = &info["container"];
        let docker = &container["docker"];
        let image = docker["image"].as_str().map(str::trim).filter(|image| !image.is_empty());
        let image = image.ok_or(ContainerError::NoImage)?;
        let name = format!("mesos-{}", place.container_id);

        let mut body = Map::new();
        body.insert("Image".into(), image.into());
        let mut host = Map::new();
        command(&info["command"], &mut body);
        limits(info, place.cfs, &mut host);
        if let Some(hostname) = text(container, "hostname") {
            body.insert("Hostname".into(), hostname.into());
        }
        if docker["privileged"].as_bool() == Some(true) {
            host.insert("Privileged".into(), true.into());
        }
        host.insert("NetworkMode".into(), network(container, docker)?.into());
        volumes::add(container, docker, &place.sandbox, &mut host, &mut body)?;

        let mut extra = Extra::default();
        parameters::add(&docker["parameters"], &mut body, &mut host, &mut extra)?;
        map_ports(docker, &info["resources"], &mut body, &mut host)?;
        log_limits(&mut host);
        body.insert("Env".into(), environment(&info["command"], place, &name, &extra).into());
        body.insert("Labels".into(), Value::Object(labels(place, extra.labels)));
        body.insert("HostConfig".into(), Value::Object(host));
        Ok(Self {
            name,
            image: image.to_owned(),
            force_pull: docker["force_pull_image"].as_bool() == Some(true),
            remove_at_once: extra.remove,
            sandbox: place.sandbox.clone(),
            body: Value::Object(body),
        })
    }
}

pub(super) fn text<'a>(of: &'a Value, key: &str) -> Option<&'a str> {
    of[key].as_str().filter(|text| !text.is_empty())
}

pub(super) fn list(of: &Value) -> impl Iterator<Item = &Value> {
    of.as_array().into_iter().flatten()
}

/// A command of the shell replaces the image's entrypoint; another one is given to it. Without a value the image's own command runs, with the arguments if there are some.
fn command(command: &Value, body: &mut Map<String, Value>) {
    let value = text(command, "value");
    let shell = command["shell"].as_bool().unwrap_or(true);
    if let (Some(value), true) = (value, shell) {
        body.insert("Entrypoint".into(), json!(["/bin/sh"]));
        body.insert("Cmd".into(), json!(["-c", value]));
        return;
    }
    let arguments = list(&command["arguments"]).filter_map(Value::as_str);
    let words: Vec<&str> = value.into_iter().chain(arguments).collect();
    if !words.is_empty() {
        body.insert("Cmd".into(), json!(words));
    }
}

/// Sums the scalar resources of one name.
fn scalar(resources: &Value, name: &str) -> Option<f64> {
    let named = list(resources).filter(|resource| resource["name"] == name);
    named.filter_map(|resource| resource["scalar"]["value"].as_f64()).reduce(|sum, value| sum + value)
}

/// Rounds an amount down to a whole number, at least `least`.
fn whole(amount: f64, least: u64) -> u64 {
    // `as` saturates, and takes what is no number for zero.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let whole = amount as u64;
    whole.clamp(least, i64::MAX.unsigned_abs())
}

fn limits(info: &Value, cfs: bool, host: &mut Map<String, Value>) {
    let bound = |name: &str| info["limits"][name]["value"].as_f64();
    let asked = |name: &str| scalar(&info["resources"], name);
    if let Some(cpus) = asked("cpus") {
        host.insert("CpuShares".into(), whole(cpus * SHARES_PER_CPU, MIN_SHARES).into());
    }
    if let Some(cpus) = bound("cpus").or_else(|| asked("cpus").filter(|_| cfs)).filter(|cpus| cpus.is_finite()) {
        host.insert("CpuPeriod".into(), whole(CFS_PERIOD, 0).into());
        host.insert("CpuQuota".into(), whole(cpus * CFS_PERIOD, MIN_QUOTA).into());
    }
    let bytes = |mb: f64| whole(mb * 1024.0 * 1024.0, MIN_MEMORY);
    match (bound("mem"), asked("mem")) {
        (Some(most), asked) => {
            if most.is_finite() {
                host.insert("Memory".into(), bytes(most).into());
            }
            if let Some(mb) = asked {
                host.insert("MemoryReservation".into(), bytes(mb).into());
            }
        }
        (None, Some(mb)) => {
            host.insert("Memory".into(), bytes(mb).into());
        }
        (None, None) => {}
    }
}

fn network(container: &Value, docker: &Value) -> Result<String, ContainerError> {
    Ok(match docker["network"].as_str().unwrap_or("HOST") {
        "HOST" => "host".into(),
        "BRIDGE" => "bridge".into(),
        "NONE" => "none".into(),
        "USER" => {
            let name = list(&container["network_infos"]).find_map(|info| text(info, "name"));
            name.ok_or(ContainerError::NoNetworkName)?.into()
        }
        other => return Err(ContainerError::UnknownNetwork(other.into())),
    })
}

/// Maps ports of the host, out of the task's `ports`, to ports of the container. A number that is mapped for two protocols needs to be there once.
fn map_ports(
    docker: &Value,
    resources: &Value,
    body: &mut Map<String, Value>,
    host: &mut Map<String, Value>,
) -> Result<(), ContainerError> {
    let mappings: Vec<&Value> = list(&docker["port_mappings"]).collect();
    if mappings.is_empty() {
        return Ok(());
    }
    let mode = host.get("NetworkMode").and_then(Value::as_str).unwrap_or_default();
    if ["host", "none"].contains(&mode) || mode.starts_with("container:") {
        return Err(ContainerError::MappingsWithoutNetwork(mode.to_uppercase()));
    }
    let (mut exposed, mut bindings) = (Map::new(), Map::new());
    for mapping in mappings {
        let bad = || ContainerError::BadMapping(mapping.to_string());
        let port = |key: &str| mapping[key].as_u64().filter(|&port| port <= u64::from(u16::MAX)).ok_or_else(bad);
        let (outer, inner) = (port("host_port")?, port("container_port")?);
        if !holds_port(resources, outer) {
            return Err(ContainerError::PortNotIncluded(outer));
        }
        for protocol in text(mapping, "protocol").unwrap_or("tcp").split(',') {
            let protocol = protocol.trim().to_ascii_lowercase();
            if !["tcp", "udp", "sctp"].contains(&protocol.as_str()) {
                return Err(bad());
            }
            let key = format!("{inner}/{protocol}");
            exposed.insert(key.clone(), json!({}));
            let bound = bindings.entry(key).or_insert_with(|| json!([]));
            if let Some(bound) = bound.as_array_mut() {
                bound.push(json!({"HostPort": outer.to_string()}));
            }
        }
    }
    body.insert("ExposedPorts".into(), exposed.into());
    host.insert("PortBindings".into(), bindings.into());
    Ok(())
}

fn holds_port(resources: &Value, port: u64) -> bool {
    let ports = list(resources).filter(|resource| resource["name"] == "ports");
    let mut ranges = ports.flat_map(|resource| list(&resource["ranges"]["range"]));
    ranges.any(|range| {
        range["begin"].as_u64().is_some_and(|begin| begin <= port)
            && range["end"].as_u64().is_some_and(|end| port <= end)
    })
}

/// Bounds the engine's own copy of the output, unless the task chose another driver.
fn log_limits(host: &mut Map<String, Value>) {
    let config = host.entry("LogConfig").or_insert_with(|| json!({}));
    if config.get("Type").is_some_and(|driver| driver != LOG_DRIVER) {
        return;
    }
    config["Type"] = LOG_DRIVER.into();
    for (option, value) in LOG_LIMITS {
        if config["Config"].get(option).is_none() {
            config["Config"][option] = value.into();
        }
    }
}

/// Returns the variables: the agent's, the command's, those of parameters. Of one name the last stands, in the place of the first.
fn environment(command: &Value, place: &Place, name: &str, extra: &Extra) -> Vec<Value> {
    let ours = [("MESOS_SANDBOX".to_owned(), SANDBOX.to_owned()), ("MESOS_CONTAINER_NAME".to_owned(), name.to_owned())];
    let sent = list(&command["environment"]["variables"]).filter_map(|variable| {
        let value = variable["value"].as_str()?;
        Some((variable["name"].as_str()?.to_owned(), value.to_owned()))
    });
    let pairs = place.environment.iter().cloned().chain(ours).chain(sent);
    let mut variables: Vec<(String, String)> = Vec::new();
    let lines = pairs.map(|(name, value)| (format!("{name}={value}"), name));
    let extra =
        extra.environment.iter().map(|line| (line.clone(), line.split('=').next().unwrap_or_default().to_owned()));
    for (line, name) in lines.chain(extra) {
        match variables.iter_mut().find(|(_, known)| *known == name) {
            Some(variable) => variable.0 = line,
            None => variables.push((line, name)),
        }
    }
    variables.into_iter().map(|(line, _)| line.into()).collect()
}

/// Ours come last: no parameter can make a container another agent's.
fn labels(place: &Place, mut labels: Map<String, Value>) -> Map<String, Value> {
    labels.extend(place.labels.iter().map(|(name, value)| (name.clone(), value.as_str().into())));
    labels.insert(AGENT_LABEL.into(), place.agent_id.as_str().into());
    labels.insert(CONTAINER_LABEL.into(), place.container_id.as_str().into());
    labels
}

/// Joins a path below the sandbox, or returns nothing if it leaves it.
pub(super) fn below(root: &Path, path: &str) -> Option<PathBuf> {
    use std::path::Component;
    let mut joined = root.to_owned();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => joined.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(joined)
}
