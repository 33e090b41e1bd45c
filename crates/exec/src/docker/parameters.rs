//! `DockerInfo.parameters`: options of `docker run`, told to the engine as the docker command tells them.

use serde_json::{Map, Value, json};

use super::ContainerError;
use super::container::list;
use super::volumes::push;

/// What parameters say that is not put into the body at once.
#[derive(Debug, Default)]
pub(super) struct Extra {
    /// `NAME=value`, or `NAME` for a variable of the image that is to be unset.
    pub(super) environment: Vec<String>,
    pub(super) labels: Map<String, Value>,
    /// The container goes as soon as it has ended.
    pub(super) remove: bool,
}

type Body = Map<String, Value>;

/// Puts parameters into the body of `create`. Those that can be given once replace what stood there before.
///
/// `{"key": "label", "value": "a=b"}` is the usual form; `{"key": "label=a=b"}` is taken too.
pub(super) fn add(
    parameters: &Value,
    body: &mut Body,
    host: &mut Body,
    extra: &mut Extra,
) -> Result<(), ContainerError> {
    let mut unknown = Vec::new();
    for parameter in list(parameters) {
        let stated = parameter["key"].as_str().unwrap_or_default();
        let value = parameter["value"].as_str().filter(|value| !value.is_empty());
        let (key, value) = match (stated.split_once('='), value) {
            (Some((key, value)), None) => (key, value),
            (_, value) => (stated, value.unwrap_or_default()),
        };
        let one = One { key: key.trim(), value };
        if !one.put(body, host, extra)? {
            unknown.push(stated.to_owned());
        }
    }
    match unknown.is_empty() {
        true => Ok(()),
        false => Err(ContainerError::UnknownParameters(unknown)),
    }
}

struct One<'a> {
    key: &'a str,
    value: &'a str,
}

impl One<'_> {
    /// Returns whether the parameter is known.
    fn put(&self, body: &mut Body, host: &mut Body, extra: &mut Extra) -> Result<bool, ContainerError> {
        let value = self.value;
        match self.key {
            "add-host" => push(host, "ExtraHosts", self.host_entry()?.into()),
            "cap-add" => push(host, "CapAdd", self.some()?.into()),
            "cap-drop" => push(host, "CapDrop", self.some()?.into()),
            "cpu-period" => drop(host.insert("CpuPeriod".into(), self.number()?.into())),
            "cpu-quota" => drop(host.insert("CpuQuota".into(), self.number()?.into())),
            "cpuset-cpus" => drop(host.insert("CpusetCpus".into(), self.some()?.into())),
            "device" => push(host, "Devices", self.device()?),
            "dns" => push(host, "Dns", self.some()?.into()),
            "dns-opt" => push(host, "DnsOptions", self.some()?.into()),
            "dns-search" => push(host, "DnsSearch", self.some()?.into()),
            "entrypoint" => self.entrypoint(body),
            "env" => extra.environment.push(self.some()?.to_owned()),
            "group-add" => push(host, "GroupAdd", self.some()?.into()),
            "hostname" => drop(body.insert("Hostname".into(), self.some()?.into())),
            "init" => drop(host.insert("Init".into(), self.flag()?.into())),
            "ipc" => drop(host.insert("IpcMode".into(), self.some()?.into())),
            "label" => {
                let (name, value) = value.split_once('=').unwrap_or((self.some()?, ""));
                extra.labels.insert(name.into(), value.into());
            }
            "log-driver" => log(host)["Type"] = self.some()?.into(),
            "log-opt" => {
                let (name, value) = self.pair("NAME=VALUE")?;
                log(host)["Config"][name] = value.into();
            }
            // Engines before API 1.44 read the first, later ones the second; the second is moved to the network by the call.
            "mac-address" => drop(body.insert("MacAddress".into(), self.some()?.into())),
            "memory-swap" => drop(host.insert("MemorySwap".into(), self.size_or_minus_one()?.into())),
            "net" | "network" => drop(host.insert("NetworkMode".into(), self.some()?.into())),
            "pid" => drop(host.insert("PidMode".into(), self.some()?.into())),
            "privileged" => drop(host.insert("Privileged".into(), self.flag()?.into())),
            "read-only" => drop(host.insert("ReadonlyRootfs".into(), self.flag()?.into())),
            "restart" if value == "no" => {}
            "restart" => return Err(self.bad("no: the framework restarts tasks")),
            "rm" => extra.remove = self.flag()?,
            "security-opt" => self.security(host)?,
            "shm-size" => drop(host.insert("ShmSize".into(), self.size()?.into())),
            "sysctl" => {
                let (name, value) = self.pair("NAME=VALUE")?;
                entry(host, "Sysctls")[name] = value.into();
            }
            "tmpfs" => {
                let (path, options) = value.split_once(':').unwrap_or((self.some()?, ""));
                entry(host, "Tmpfs")[path] = options.into();
            }
            "ulimit" => push(host, "Ulimits", self.ulimit()?),
            "user" => drop(body.insert("User".into(), self.some()?.into())),
            "volume" if value.contains(':') => push(host, "Binds", value.into()),
            "volume" => entry(body, "Volumes")[self.some()?] = json!({}),
            "volume-driver" => drop(host.insert("VolumeDriver".into(), self.some()?.into())),
            "volumes-from" => push(host, "VolumesFrom", self.some()?.into()),
            "workdir" => drop(body.insert("WorkingDir".into(), self.some()?.into())),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn bad(&self, expected: &'static str) -> ContainerError {
        ContainerError::BadParameter { key: self.key.into(), value: self.value.into(), expected }
    }

    fn some(&self) -> Result<&str, ContainerError> {
        if self.value.is_empty() { Err(self.bad("a value is needed")) } else { Ok(self.value) }
    }

    /// An option without a value is set, as on a command line.
    fn flag(&self) -> Result<bool, ContainerError> {
        match self.value.to_ascii_lowercase().as_str() {
            "" | "true" | "1" | "t" => Ok(true),
            "false" | "0" | "f" => Ok(false),
            _ => Err(self.bad("true or false")),
        }
    }

    fn number(&self) -> Result<i64, ContainerError> {
        self.value.trim().parse().map_err(|_| self.bad("a whole number"))
    }

    fn pair(&self, expected: &'static str) -> Result<(&str, &str), ContainerError> {
        let pair = self.value.split_once('=').filter(|(name, _)| !name.is_empty());
        pair.ok_or_else(|| self.bad(expected))
    }

    /// `HOST:IP`, or `HOST=IP` as newer docker commands write it.
    fn host_entry(&self) -> Result<String, ContainerError> {
        let pair = self.value.split_once('=').or_else(|| self.value.split_once(':'));
        let (name, address) = pair
            .filter(|(name, address)| !name.is_empty() && !address.is_empty())
            .ok_or_else(|| self.bad("HOST:ADDRESS"))?;
        Ok(format!("{name}:{address}"))
    }

    /// A size of docker: `64m`, `1.5GiB`, `1024`; the units are binary.
    fn size(&self) -> Result<i64, ContainerError> {
        let bad = || self.bad("a size such as 64m");
        let lower = self.value.trim().to_ascii_lowercase();
        let digits = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
        let (number, unit) = lower.split_at(digits);
        let unit = unit.trim_start();
        let shift = match unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(unit) {
            "" => 0,
            "k" => 10,
            "m" => 20,
            "g" => 30,
            "t" => 40,
            "p" => 50,
            _ => return Err(bad()),
        };
        let number: f64 = number.parse().map_err(|_| bad())?;
        #[expect(clippy::cast_precision_loss, reason = "a power of two")]
        let bytes = number * (1_u64 << shift) as f64;
        #[expect(clippy::cast_possible_truncation, reason = "saturates")]
        let bytes = bytes as i64;
        Ok(bytes)
    }

    fn size_or_minus_one(&self) -> Result<i64, ContainerError> {
        if self.value.trim() == "-1" { Ok(-1) } else { self.size() }
    }

    /// `HOST[:CONTAINER][:rwm]`.
    fn device(&self) -> Result<Value, ContainerError> {
        let parts: Vec<&str> = self.some()?.split(':').collect();
        let rights = |text: &str| !text.is_empty() && text.chars().all(|c| "rwm".contains(c));
        let (outside, inside, rights) = match parts[..] {
            [path] => (path, path, "rwm"),
            [path, right] if rights(right) => (path, path, right),
            [outside, inside] => (outside, inside, "rwm"),
            [outside, inside, right] if rights(right) => (outside, inside, right),
            _ => return Err(self.bad("HOST[:CONTAINER][:rwm]")),
        };
        Ok(json!({"PathOnHost": outside, "PathInContainer": inside, "CgroupPermissions": rights}))
    }

    /// Without a value the image's entrypoint is cleared. A command of the shell is given to the entrypoint whole.
    fn entrypoint(&self, body: &mut Body) {
        if body.get("Entrypoint").is_some_and(|shell| *shell == json!(["/bin/sh"])) {
            let words = body.get_mut("Cmd").and_then(Value::as_array_mut);
            words.into_iter().for_each(|words| words.insert(0, "/bin/sh".into()));
        }
        body.insert("Entrypoint".into(), json!([self.value]));
    }

    /// A profile for seccomp must be its text: the docker command reads a file of its own machine, which an agent must not do for a task.
    fn security(&self, host: &mut Body) -> Result<(), ContainerError> {
        let option = self.some()?;
        let (name, value) = option.split_once(['=', ':']).unwrap_or((option, ""));
        match (name, value) {
            ("systempaths", "unconfined") => {
                host.insert("MaskedPaths".into(), json!([]));
                host.insert("ReadonlyPaths".into(), json!([]));
            }
            ("seccomp", value)
                if !["unconfined", "builtin"].contains(&value) && !value.trim_start().starts_with('{') =>
            {
                return Err(self.bad("seccomp=unconfined, or a profile as JSON"));
            }
            _ => push(host, "SecurityOpt", option.into()),
        }
        Ok(())
    }

    /// `NAME=SOFT[:HARD]`.
    fn ulimit(&self) -> Result<Value, ContainerError> {
        let expected = "NAME=SOFT[:HARD]";
        let (name, limits) = self.pair(expected)?;
        let number = |text: &str| text.trim().parse::<i64>().map_err(|_| self.bad(expected));
        let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
        Ok(json!({"Name": name, "Soft": number(soft)?, "Hard": number(hard)?}))
    }
}

fn entry<'a>(map: &'a mut Body, key: &str) -> &'a mut Value {
    map.entry(key).or_insert_with(|| json!({}))
}

fn log(host: &mut Body) -> &mut Value {
    entry(host, "LogConfig")
}
