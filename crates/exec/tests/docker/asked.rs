//! The body of `create`, for each thing that a task can say. No engine is needed.

use apportion_exec::docker::{Container, ContainerError, Place};
use serde_json::{Value, json};

fn place() -> Place {
    Place::new("c1", "agent-1", "/work/sb")
}

/// Returns the container of a task with an image, and what else is said.
fn container(docker: Value, rest: Value) -> Result<Container, ContainerError> {
    let mut info = json!({"container": {"type": "DOCKER", "docker": {"image": "busybox"}}});
    merge(&mut info["container"]["docker"], docker);
    merge(&mut info, rest);
    Container::of(&info, &place())
}

fn merge(into: &mut Value, from: Value) {
    match from {
        Value::Object(from) => from.into_iter().for_each(|(key, value)| merge(&mut into[key], value)),
        from => *into = from,
    }
}

fn body(docker: Value, rest: Value) -> Value {
    container(docker, rest).unwrap().body
}

fn resources(cpus: f64, mem: f64, ports: &[(u64, u64)]) -> Value {
    let ranges: Vec<Value> = ports.iter().map(|(begin, end)| json!({"begin": begin, "end": end})).collect();
    json!([
        {"name": "cpus", "type": "SCALAR", "scalar": {"value": cpus}},
        {"name": "mem", "type": "SCALAR", "scalar": {"value": mem}},
        {"name": "ports", "type": "RANGES", "ranges": {"range": ranges}},
    ])
}

#[test]
fn plain_task_is_all_defaults() {
    let container = container(json!({}), json!({"resources": resources(0.5, 64.0, &[])})).unwrap();
    assert_eq!((container.name.as_str(), container.image.as_str()), ("mesos-c1", "busybox"));
    assert!(!container.force_pull && !container.remove_at_once);
    let expected = json!({
        "Image": "busybox",
        "Env": ["MESOS_SANDBOX=/mnt/mesos/sandbox", "MESOS_CONTAINER_NAME=mesos-c1"],
        "Labels": {"apportion.agent": "agent-1", "apportion.container": "c1"},
        "HostConfig": {
            "CpuShares": 512,
            "Memory": 64 << 20,
            "NetworkMode": "host",
            "Binds": ["/work/sb:/mnt/mesos/sandbox:rw"],
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "2"}},
        },
    });
    assert_eq!(container.body, expected);
}

#[test]
fn command_of_the_shell_replaces_the_entrypoint() {
    let cases = [
        (json!({}), json!(null), json!(null)),
        (json!({"value": "echo $A | wc"}), json!(["/bin/sh"]), json!(["-c", "echo $A | wc"])),
        (
            json!({"shell": false, "value": "redis", "arguments": ["--port", "1"]}),
            json!(null),
            json!(["redis", "--port", "1"]),
        ),
        (json!({"shell": false, "arguments": ["--port", "1"]}), json!(null), json!(["--port", "1"])),
        (json!({"shell": false}), json!(null), json!(null)),
    ];
    for (command, entrypoint, words) in cases {
        let body = body(json!({}), json!({"command": command}));
        assert_eq!((&body["Entrypoint"], &body["Cmd"]), (&entrypoint, &words), "{command}");
    }
    let own = json!([{"key": "entrypoint", "value": "/sbin/tini"}]);
    let body = body(json!({"parameters": own}), json!({"command": {"value": "run"}}));
    assert_eq!(body["Entrypoint"], json!(["/sbin/tini"]));
    assert_eq!(body["Cmd"], json!(["/bin/sh", "-c", "run"]));
}

#[test]
fn limits_follow_the_resources() {
    let cases = [
        (json!({"resources": resources(0.0001, 1.0, &[])}), json!({"CpuShares": 2, "Memory": 32 << 20})),
        (json!({"resources": resources(2.0, 100.5, &[])}), json!({"CpuShares": 2048, "Memory": 105_381_888})),
        (
            json!({"resources": resources(1.0, 64.0, &[]), "limits": {"cpus": {"value": 2.0}, "mem": {"value": 128.0}}}),
            json!({"CpuShares": 1024, "CpuPeriod": 100_000, "CpuQuota": 200_000, "Memory": 128 << 20, "MemoryReservation": 64 << 20}),
        ),
        (json!({}), json!({})),
    ];
    for (rest, expected) in cases {
        let host = &body(json!({}), rest)["HostConfig"];
        for key in ["CpuShares", "CpuPeriod", "CpuQuota", "Memory", "MemoryReservation"] {
            assert_eq!(host[key], expected[key], "{key} of {expected}");
        }
    }
    let info = json!({"container": {"docker": {"image": "a"}}, "resources": resources(0.5, 64.0, &[])});
    let host = &Container::of(&info, &place().cpu_quota(true)).unwrap().body["HostConfig"];
    assert_eq!((&host["CpuPeriod"], &host["CpuQuota"]), (&json!(100_000), &json!(50_000)));
}

#[test]
fn variables_of_the_task_win() {
    let info = json!({
        "container": {"docker": {"image": "a", "parameters": [{"key": "env", "value": "C=3"}, {"key": "env", "value": "UNSET"}]}},
        "command": {"environment": {"variables": [{"name": "B", "value": "task"}, {"name": "C", "value": "2"}, {"name": "EMPTY", "value": ""}]}},
    });
    let place =
        place().variable("MESOS_SLAVE_ID", "agent-1").variable("B", "agent").variable("MESOS_SANDBOX", "/work/sb");
    let expected = json!([
        "MESOS_SLAVE_ID=agent-1",
        "B=task",
        "MESOS_SANDBOX=/mnt/mesos/sandbox",
        "MESOS_CONTAINER_NAME=mesos-c1",
        "C=3",
        "EMPTY=",
        "UNSET"
    ]);
    assert_eq!(Container::of(&info, &place).unwrap().body["Env"], expected);
}

#[test]
fn networks_have_the_names_of_the_engine() {
    let user = json!({"network_infos": [{"name": "blue"}]});
    let cases = [
        (json!({}), json!({}), "host"),
        (json!({"network": "HOST"}), json!({}), "host"),
        (json!({"network": "BRIDGE"}), json!({}), "bridge"),
        (json!({"network": "NONE"}), json!({}), "none"),
        (json!({"network": "USER"}), user, "blue"),
        (json!({"network": "BRIDGE", "parameters": [{"key": "net", "value": "red"}]}), json!({}), "red"),
    ];
    for (docker, container, expected) in cases {
        let body = body(docker.clone(), json!({"container": container}));
        assert_eq!(body["HostConfig"]["NetworkMode"], expected, "{docker}");
    }
    let unnamed = container(json!({"network": "USER"}), json!({}));
    assert_eq!(unnamed, Err(ContainerError::NoNetworkName));
    let unknown = container(json!({"network": "TOKEN"}), json!({}));
    assert_eq!(unknown, Err(ContainerError::UnknownNetwork("TOKEN".into())));
    let named = body(json!({}), json!({"container": {"hostname": "web"}}));
    assert_eq!(named["Hostname"], "web");
}

#[test]
fn ports_come_out_of_the_resources() {
    let rest = json!({"resources": resources(1.0, 64.0, &[(31_000, 31_001), (31_005, 31_005)])});
    let mapped = |mappings: Value| container(json!({"network": "BRIDGE", "port_mappings": mappings}), rest.clone());
    let body = mapped(json!([
        {"host_port": 31_000, "container_port": 80},
        {"host_port": 31_001, "container_port": 80, "protocol": "TCP"},
        {"host_port": 31_005, "container_port": 53, "protocol": "tcp,UDP"},
    ]))
    .unwrap()
    .body;
    assert_eq!(body["ExposedPorts"], json!({"80/tcp": {}, "53/tcp": {}, "53/udp": {}}));
    let expected = json!({
        "80/tcp": [{"HostPort": "31000"}, {"HostPort": "31001"}],
        "53/tcp": [{"HostPort": "31005"}],
        "53/udp": [{"HostPort": "31005"}],
    });
    assert_eq!(body["HostConfig"]["PortBindings"], expected);

    let outside = mapped(json!([{"host_port": 31_002, "container_port": 80}])).unwrap_err();
    assert_eq!(outside.to_string(), "Port [31002] not included in resources");
    for bad in [
        json!({"host_port": 31_000, "container_port": 70_000}),
        json!({"host_port": 31_000}),
        json!({"host_port": 31_000, "container_port": 80, "protocol": "icmp"}),
    ] {
        assert!(matches!(mapped(json!([bad])), Err(ContainerError::BadMapping(_))), "{bad}");
    }
}

#[test]
fn ports_are_mapped_in_networks_that_map_them() {
    let mapping = json!([{"host_port": 31_000, "container_port": 80}]);
    let rest = json!({"resources": resources(1.0, 64.0, &[(31_000, 31_000)]), "container": {"network_infos": [{"name": "blue"}]}});
    for (network, mode) in [("HOST", Some("HOST")), ("NONE", Some("NONE")), ("BRIDGE", None), ("USER", None)] {
        let asked = container(json!({"network": network, "port_mappings": mapping}), rest.clone());
        let refused = mode.map(|mode| ContainerError::MappingsWithoutNetwork(mode.into()));
        assert_eq!(asked.err(), refused, "{network}");
    }
}

#[test]
fn flags_of_the_image_and_the_container() {
    let container =
        container(json!({"force_pull_image": true, "privileged": true, "volume_driver": "rexray"}), json!({})).unwrap();
    assert!(container.force_pull);
    assert_eq!(container.body["HostConfig"]["Privileged"], true);
    assert_eq!(container.body["HostConfig"]["VolumeDriver"], "rexray");
    for image in [json!(null), json!(""), json!(" ")] {
        let info = json!({"container": {"docker": {"image": image}}});
        assert_eq!(Container::of(&info, &place()), Err(ContainerError::NoImage));
    }
    assert_eq!(Container::of(&json!({}), &place()), Err(ContainerError::NoImage));
}

/// Each parameter in its usual form, and what it makes of the body.
fn parameters() -> Vec<(&'static str, &'static str, Value)> {
    let host = |key: &str, value: Value| json!({"HostConfig": {key: value}});
    vec![
        ("add-host", "db:10.0.0.1", host("ExtraHosts", json!(["db:10.0.0.1"]))),
        ("add-host", "db=::1", host("ExtraHosts", json!(["db:::1"]))),
        ("cap-add", "NET_ADMIN", host("CapAdd", json!(["NET_ADMIN"]))),
        ("cap-drop", "ALL", host("CapDrop", json!(["ALL"]))),
        ("cpu-period", "50000", host("CpuPeriod", json!(50_000))),
        ("cpu-quota", "25000", host("CpuQuota", json!(25_000))),
        ("cpuset-cpus", "0-1", host("CpusetCpus", json!("0-1"))),
        (
            "device",
            "/dev/fuse",
            host(
                "Devices",
                json!([{"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fuse", "CgroupPermissions": "rwm"}]),
            ),
        ),
        (
            "device",
            "/dev/a:/dev/b:r",
            host("Devices", json!([{"PathOnHost": "/dev/a", "PathInContainer": "/dev/b", "CgroupPermissions": "r"}])),
        ),
        (
            "device",
            "/dev/a:rw",
            host("Devices", json!([{"PathOnHost": "/dev/a", "PathInContainer": "/dev/a", "CgroupPermissions": "rw"}])),
        ),
        ("dns", "1.1.1.1", host("Dns", json!(["1.1.1.1"]))),
        ("dns-opt", "ndots:2", host("DnsOptions", json!(["ndots:2"]))),
        ("dns-search", "example.org", host("DnsSearch", json!(["example.org"]))),
        ("entrypoint", "/run", json!({"Entrypoint": ["/run"]})),
        ("group-add", "audio", host("GroupAdd", json!(["audio"]))),
        ("hostname", "web", json!({"Hostname": "web"})),
        ("init", "", host("Init", json!(true))),
        ("init", "false", host("Init", json!(false))),
        ("ipc", "host", host("IpcMode", json!("host"))),
        ("label", "a=b=c", json!({"Labels": {"a": "b=c"}})),
        ("label", "alone", json!({"Labels": {"alone": ""}})),
        ("label", "apportion.agent=other", json!({"Labels": {"apportion.agent": "agent-1"}})),
        ("log-driver", "gelf", host("LogConfig", json!({"Type": "gelf"}))),
        (
            "log-opt",
            "max-size=1m",
            host("LogConfig", json!({"Type": "json-file", "Config": {"max-size": "1m", "max-file": "2"}})),
        ),
        ("mac-address", "02:42:ac:11:00:02", json!({"MacAddress": "02:42:ac:11:00:02"})),
        ("memory-swap", "1g", host("MemorySwap", json!(1 << 30))),
        ("memory-swap", "-1", host("MemorySwap", json!(-1))),
        ("net", "blue", host("NetworkMode", json!("blue"))),
        ("network", "container:db", host("NetworkMode", json!("container:db"))),
        ("pid", "host", host("PidMode", json!("host"))),
        ("privileged", "true", host("Privileged", json!(true))),
        ("read-only", "", host("ReadonlyRootfs", json!(true))),
        ("restart", "no", json!({})),
        ("rm", "", json!({})),
        ("security-opt", "no-new-privileges", host("SecurityOpt", json!(["no-new-privileges"]))),
        ("security-opt", "seccomp=unconfined", host("SecurityOpt", json!(["seccomp=unconfined"]))),
        ("security-opt", "systempaths=unconfined", host("MaskedPaths", json!([]))),
        ("shm-size", "64m", host("ShmSize", json!(64 << 20))),
        ("shm-size", "1.5GiB", host("ShmSize", json!(3_u64 << 29))),
        ("shm-size", "1024", host("ShmSize", json!(1024))),
        ("sysctl", "net.core.somaxconn=1024", host("Sysctls", json!({"net.core.somaxconn": "1024"}))),
        ("tmpfs", "/run:rw,size=64k", host("Tmpfs", json!({"/run": "rw,size=64k"}))),
        ("tmpfs", "/run", host("Tmpfs", json!({"/run": ""}))),
        ("ulimit", "nofile=1024:2048", host("Ulimits", json!([{"Name": "nofile", "Soft": 1024, "Hard": 2048}]))),
        ("ulimit", "core=0", host("Ulimits", json!([{"Name": "core", "Soft": 0, "Hard": 0}]))),
        ("user", "1000:1000", json!({"User": "1000:1000"})),
        ("volume", "/a:/b:ro", host("Binds", json!(["/work/sb:/mnt/mesos/sandbox:rw", "/a:/b:ro"]))),
        ("volume", "/scratch", json!({"Volumes": {"/scratch": {}}})),
        ("volume-driver", "rexray", host("VolumeDriver", json!("rexray"))),
        ("volumes-from", "data:ro", host("VolumesFrom", json!(["data:ro"]))),
        ("workdir", "/srv", json!({"WorkingDir": "/srv"})),
    ]
}

/// Asserts that all of `part` stands in `whole`, lists and texts as they are.
fn assert_holds(whole: &Value, part: &Value, of: &str) {
    match part {
        Value::Object(part) if !part.is_empty() => {
            part.iter().for_each(|(key, part)| assert_holds(&whole[key], part, of))
        }
        Value::Object(_) => assert!(whole.is_object(), "{of}: {whole}"),
        part => assert_eq!(whole, part, "{of}"),
    }
}

#[test]
fn parameters_are_told_as_the_docker_command_tells_them() {
    for (key, value, expected) in parameters() {
        let parameter = json!([{"key": key, "value": value}]);
        assert_holds(&body(json!({"parameters": parameter}), json!({})), &expected, &format!("{key} {value}"));
        if !value.is_empty() {
            let joined = json!([{"key": format!("{key}={value}")}]);
            assert_holds(&body(json!({"parameters": joined}), json!({})), &expected, &format!("{key}={value}"));
        }
    }
    let twice = json!([{"key": "dns", "value": "1.1.1.1"}, {"key": "dns", "value": "8.8.8.8"}]);
    assert_eq!(body(json!({"parameters": twice}), json!({}))["HostConfig"]["Dns"], json!(["1.1.1.1", "8.8.8.8"]));
    let remove = container(json!({"parameters": [{"key": "rm", "value": "true"}]}), json!({}));
    assert!(remove.unwrap().remove_at_once);
}

#[test]
fn unknown_parameters_are_all_named() {
    let parameters =
        json!([{"key": "gpus", "value": "all"}, {"key": "dns", "value": "1.1.1.1"}, {"key": "name", "value": "x"}]);
    let refused = container(json!({"parameters": parameters}), json!({})).unwrap_err();
    assert_eq!(refused.to_string(), "unknown Docker parameters: gpus, name");
}

#[test]
fn values_of_parameters_are_judged() {
    for (key, value) in [
        ("restart", "always"),
        ("restart", ""),
        ("init", "perhaps"),
        ("cpu-quota", "much"),
        ("shm-size", "64q"),
        ("shm-size", ""),
        ("memory-swap", "-2"),
        ("ulimit", "nofile"),
        ("ulimit", "nofile=a:b"),
        ("sysctl", "=1"),
        ("add-host", "db"),
        ("device", "/a:/b:x"),
        ("device", "/a:/b:r:w"),
        ("security-opt", "seccomp=/etc/profile.json"),
        ("label", ""),
        ("volume", ""),
        ("env", ""),
    ] {
        let refused = container(json!({"parameters": [{"key": key, "value": value}]}), json!({}));
        assert!(
            matches!(&refused, Err(ContainerError::BadParameter { key: named, .. }) if named == key),
            "{key} {value}: {refused:?}"
        );
    }
}
