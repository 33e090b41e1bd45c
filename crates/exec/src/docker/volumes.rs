//! The sandbox and the volumes of a container, as the engine's binds and mounts.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::ContainerError;
use super::container::{below, list, text};

/// The sandbox as it is called in the container.
pub(super) const SANDBOX: &str = "/mnt/mesos/sandbox";

pub(super) fn add(
    container: &Value,
    docker: &Value,
    sandbox: &Path,
    host: &mut Map<String, Value>,
    body: &mut Map<String, Value>,
) -> Result<(), ContainerError> {
    bind(host, &sandbox.to_string_lossy(), SANDBOX, false);
    for volume in list(&container["volumes"]) {
        let read_only = volume["mode"] == "RO";
        let target = text(volume, "container_path").ok_or_else(|| ContainerError::BadVolume(volume.to_string()))?;
        let inside = in_container(target)?;
        let source = &volume["source"];
        if let Some(named) = source.get("docker_volume").filter(|volume| volume.is_object()) {
            docker_volume(host, volume, named, &inside, read_only)?;
        } else if let Some(path) = text(volume, "host_path").or_else(|| text(&source["host_path"], "path")) {
            if !path.starts_with('/') && !target.starts_with('/') {
                return Err(ContainerError::BothRelative { host: path.into(), container: target.into() });
            }
            let outside = in_sandbox(sandbox, path)?;
            bind(host, &outside.to_string_lossy(), &inside, read_only);
        } else if let Some(path) = text(&source["sandbox_path"], "path") {
            let outside = below(sandbox, path).ok_or_else(|| ContainerError::BadVolume(path.into()))?;
            bind(host, &outside.to_string_lossy(), &inside, read_only);
        } else {
            // A volume of the engine's own, which goes with the container.
            body.entry("Volumes").or_insert_with(|| json!({}))[inside] = json!({});
        }
    }
    if let Some(driver) = text(docker, "volume_driver") {
        host.insert("VolumeDriver".into(), driver.into());
    }
    Ok(())
}

/// A relative path of the container lies in the sandbox.
fn in_container(path: &str) -> Result<String, ContainerError> {
    if path.starts_with('/') {
        return Ok(path.into());
    }
    let joined = below(Path::new(SANDBOX), path).ok_or_else(|| ContainerError::BadVolume(path.into()))?;
    Ok(joined.to_string_lossy().into_owned())
}

/// A relative path of the host lies in the sandbox.
fn in_sandbox(sandbox: &Path, path: &str) -> Result<PathBuf, ContainerError> {
    if path.starts_with('/') {
        return Ok(path.into());
    }
    below(sandbox, path).ok_or_else(|| ContainerError::BadVolume(path.into()))
}

/// Adds a bind as `docker run --volume` has it: the engine makes a directory of the host that is not there.
///
/// A path with a colon cannot be said so; a mount can, of a directory that is there.
fn bind(host: &mut Map<String, Value>, outside: &str, inside: &str, read_only: bool) {
    if outside.contains(':') || inside.contains(':') {
        push(host, "Mounts", json!({"Type": "bind", "Source": outside, "Target": inside, "ReadOnly": read_only}));
    } else {
        let mode = if read_only { "ro" } else { "rw" };
        push(host, "Binds", format!("{outside}:{inside}:{mode}").into());
    }
}

fn docker_volume(
    host: &mut Map<String, Value>,
    volume: &Value,
    named: &Value,
    inside: &str,
    read_only: bool,
) -> Result<(), ContainerError> {
    let name = text(named, "name").ok_or_else(|| ContainerError::BadVolume(volume.to_string()))?;
    let mut mount = json!({"Type": "volume", "Source": name, "Target": inside, "ReadOnly": read_only});
    let options: Map<String, Value> = list(&named["driver_options"]["parameter"])
        .filter_map(|option| Some((option["key"].as_str()?.to_owned(), option["value"].clone())))
        .collect();
    if let Some(driver) = text(named, "driver") {
        mount["VolumeOptions"] = json!({"DriverConfig": {"Name": driver, "Options": options}});
    }
    push(host, "Mounts", mount);
    Ok(())
}

/// Adds to a list, which it begins if need be.
pub(super) fn push(map: &mut Map<String, Value>, key: &str, value: Value) {
    let list = map.entry(key).or_insert_with(|| json!([]));
    if let Some(list) = list.as_array_mut() {
        list.push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(volumes: Value) -> Result<[Map<String, Value>; 2], ContainerError> {
        let (mut host, mut body) = (Map::new(), Map::new());
        add(&json!({"volumes": volumes}), &json!({}), Path::new("/work/sb"), &mut host, &mut body)?;
        Ok([host, body])
    }

    #[test]
    fn paths_are_in_the_sandbox_or_absolute() {
        let cases = [
            (json!({"host_path": "/data", "container_path": "/d", "mode": "RO"}), "/data:/d:ro"),
            (json!({"host_path": "/data", "container_path": "/d", "mode": "RW"}), "/data:/d:rw"),
            (json!({"host_path": "out/a", "container_path": "/d"}), "/work/sb/out/a:/d:rw"),
            (json!({"host_path": "/data", "container_path": "./d"}), "/data:/mnt/mesos/sandbox/d:rw"),
            (json!({"container_path": "/d", "source": {"type": "HOST_PATH", "host_path": {"path": "/x"}}}), "/x:/d:rw"),
            (
                json!({"container_path": "/d", "source": {"type": "SANDBOX_PATH", "sandbox_path": {"type": "SELF", "path": "x"}}}),
                "/work/sb/x:/d:rw",
            ),
        ];
        for (volume, expected) in cases {
            let [host, _] = of(json!([volume])).unwrap();
            assert_eq!(host["Binds"], json!(["/work/sb:/mnt/mesos/sandbox:rw", expected]), "{volume}");
        }
    }

    #[test]
    fn what_cannot_be_mounted_is_refused() {
        let both = ContainerError::BothRelative { host: "a".into(), container: "b".into() };
        assert_eq!(of(json!([{"host_path": "a", "container_path": "b"}])), Err(both));
        for volume in [
            json!({"host_path": "../a", "container_path": "/b"}),
            json!({"host_path": "/a", "container_path": "b/../../c"}),
            json!({"host_path": "/a"}),
            json!({"container_path": "/b", "source": {"docker_volume": {}}}),
        ] {
            assert!(matches!(of(json!([volume])), Err(ContainerError::BadVolume(_))), "{volume}");
        }
    }

    #[test]
    fn colons_and_drivers_make_mounts() {
        let volume = json!({"container_path": "/d", "mode": "RO", "source": {"type": "DOCKER_VOLUME",
            "docker_volume": {"driver": "rexray", "name": "v1", "driver_options": {"parameter": [{"key": "size", "value": "5"}]}}}});
        let [host, _] = of(json!([volume, {"host_path": "/a:b", "container_path": "/c"}])).unwrap();
        assert_eq!(
            host["Mounts"],
            json!([
                {"Type": "volume", "Source": "v1", "Target": "/d", "ReadOnly": true,
                    "VolumeOptions": {"DriverConfig": {"Name": "rexray", "Options": {"size": "5"}}}},
                {"Type": "bind", "Source": "/a:b", "Target": "/c", "ReadOnly": false},
            ])
        );
        let [_, body] = of(json!([{"container_path": "/scratch"}])).unwrap();
        assert_eq!(body["Volumes"], json!({"/scratch": {}}));
    }
}
