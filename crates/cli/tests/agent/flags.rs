//! Flags in a folder, as Mesos' packages keep them.

use crate::rig::{PROGRAM, Rig};
use serde_json::json;
use std::path::Path;
use std::process::{Command, Stdio};

/// Writes files, with the folders that they are in.
fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

#[tokio::test]
async fn a_folder_gives_the_flags_and_the_command_line_wins() {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("containerizers", "docker,mesos\n"),
        ("hostname", "localhost \n"),
        ("executor_registration_timeout", "5mins"),
        ("gc_delay", "2days\n"),
        ("?no-switch_user", ""),
        ("?enforce_container_ports", ""),
        ("attributes/zone", "z1\n"),
        ("attributes/empty", ""),
        ("resources/cpus", "99"),
        ("recovery_timeout", "3mins"),
    ];
    write(folder.path(), &files);
    let config_dir = format!("--config_dir={}", folder.path().display());
    // The rig gives resources and attributes: those of the folder do not count.
    let mut rig = Rig::start(false, &[&config_dir, "--gc_delay=3days"]).await;
    let state = rig.ask("/state").await;
    for (flag, value) in [
        ("containerizers", "docker,mesos"),
        ("hostname", "localhost"),
        ("executor_registration_timeout", "5mins"),
        ("gc_delay", "3days"),
        ("switch_user", "false"),
        ("enforce_container_ports", "true"),
        ("recovery_timeout", "3mins"),
        ("attributes", "rack:r1"),
    ] {
        assert_eq!(state["flags"][flag], value, "{flag} of {}", state["flags"]);
    }
    assert_eq!((&state["hostname"], &state["resources"]["cpus"]), (&json!("localhost"), &json!(4.0)));
    let offer = rig.offer().await;
    assert_eq!((&offer["hostname"], &offer["attributes"][0]["name"]), (&json!("localhost"), &json!("rack")));
}

#[test]
fn attributes_and_resources_of_a_folder_are_joined_and_the_master_stands_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("mesos/zk", "127.0.0.1:1\n"),
        ("mesos-slave/attributes/rack", "r7\n"),
        ("mesos-slave/attributes/zone", "z1\n"),
        ("mesos-slave/resources/cpus(ops)", "2\n"),
        ("mesos-slave/resources/ports", "[31005-31006]"),
    ];
    write(folder.path(), &files);
    let mut agent = Command::new(PROGRAM)
        .args(["agent", "--port=0", "--log_json"])
        .arg(format!("--config_dir={}", folder.path().join("mesos-slave").display()))
        .arg(format!("--work_dir={}", folder.path().join("work").display()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut told = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(agent.stdout.take().unwrap()), &mut told).unwrap();
    let address = told.split_once("http://").unwrap().1.split(',').next().unwrap().to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = runtime.block_on(crate::wire::get(address.parse().unwrap(), "/state"));
    agent.kill().unwrap();
    agent.wait().unwrap();
    let state: serde_json::Value = serde_json::from_str(answer.text()).unwrap();
    assert!(told.contains("for the master at 127.0.0.1:1"), "{told}");
    assert_eq!(state["attributes"], json!({"rack": "r7", "zone": "z1"}));
    assert_eq!(state["reserved_resources"]["ops"]["cpus"], 2.0, "{state}");
    assert_eq!(state["resources"]["ports"], "[31005-31006]", "{state}");
}

#[test]
fn what_is_no_flag_ends_the_agent_with_1_and_is_named() {
    for (file, given, named) in [
        ("hostnam", "", "hostnam"),
        ("?no-such_switch", "", "such_switch"),
        ("isolators/cpu", "", "isolators"),
        ("attributes/rack", "--nosuchflag=1", "--nosuchflag"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &[(file, "x")]);
        let mut agent = Command::new(PROGRAM);
        agent.args(["agent", "--master=127.0.0.1:1", "--port=0"]);
        agent.arg(format!("--work_dir={}", folder.path().join("work").display()));
        agent.arg(format!("--config_dir={}", folder.path().display()));
        agent.args(Some(given).filter(|given| !given.is_empty()));
        let output = agent.stdin(Stdio::null()).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{file}: {told}");
        assert!(told.contains(named), "{file}: {told}");
    }
}
