//! The settings of an agent, made of the flags.

use crate::address::{self, Advertised};
use crate::agent_flags::AgentFlags;
use apportion::Agent;
use apportion_agent::{DetectError, Settings, resources};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What an agent does not pass on to its executors: what is its own, and what its flags say, as variables of the environment.
const OWN: [&str; 3] = ["MESOS_", "LIBPROCESS_", "APPORTION_"];

/// The reason why there are no settings.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("--hostname={0}: it does not resolve to an address")]
    Hostname(String),
    #[error("--resources: {0}")]
    Resources(#[from] DetectError),
}

/// Returns the settings of an agent that is bound to that address. The folder of the agent is made, if it is not there.
pub(crate) async fn of(flags: &AgentFlags, bound: SocketAddr) -> Result<Settings, SettingsError> {
    let failed = |error| SettingsError::File { path: flags.work_dir.clone(), error };
    std::fs::create_dir_all(&flags.work_dir).map_err(failed)?;
    let work_dir = std::fs::canonicalize(&flags.work_dir).map_err(failed)?;
    if let Some(hostname) = &flags.advertise.hostname
        && address::addresses(hostname).await.is_empty()
    {
        return Err(SettingsError::Hostname(hostname.clone()));
    }
    let Advertised { address, hostname } = flags.advertise.resolve(bound).await;
    let (resources, found) = resources(&flags.resources, Some(&flags.default_role), &work_dir)?;
    let mut agent = Agent::new("", resources).hostname(hostname).attributes(flags.attributes.clone());
    agent.domain.clone_from(&flags.domain);
    let mut settings = Settings::new(flags.master.clone(), agent, &work_dir);
    let machine = &mut settings.machine;
    machine.found_resources = found.iter().map(|name| name.as_str().into()).collect();
    machine.address = address;
    machine.containerizers.clone_from(&flags.containerizers.0);
    machine.switch_user = flags.switch_user;
    machine.executor_environment =
        environment(flags).into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    machine.executor_registration_timeout = flags.executor_registration_timeout;
    machine.executor_reregistration_timeout = flags.executor_reregistration_timeout;
    machine.executor_shutdown_grace_period = flags.executor_shutdown_grace_period;
    machine.recovery_timeout = flags.recovery_timeout;
    machine.recover = flags.recover;
    machine.reconfiguration_policy = flags.reconfiguration_policy;
    settings.docker_socket.clone_from(&flags.docker_socket);
    settings.docker_config.clone_from(&flags.docker_config);
    settings.docker_remove_delay = flags.docker_remove_delay;
    settings.cgroups_root.clone_from(&flags.cgroups_root);
    settings.cgroups_enable_cfs = flags.cgroups_enable_cfs;
    settings.enforce_disk = flags.enforce_container_disk_quota.then_some(flags.container_disk_watch_interval);
    settings.enforce_ports = flags.enforce_container_ports.then_some(flags.container_ports_watch_interval);
    settings.max_log_size = flags.max_log_size;
    settings.gc_delay = flags.gc_delay;
    settings.gc_disk_headroom = flags.gc_disk_headroom;
    settings.log = Some(log_file(&work_dir));
    settings.flags = flags.all.iter().map(|(name, value)| (name.clone(), shown(name, value))).collect();
    Ok(settings)
}

/// Returns the file of the log in a work folder.
pub(crate) fn log_file(work_dir: &std::path::Path) -> PathBuf {
    work_dir.join("logs").join("agent.log")
}

/// Returns the value of a flag as people may see it: logins, and variables that may hold them, stay secret.
fn shown(name: &str, value: &str) -> String {
    match name {
        "docker_config" if value.trim_start().starts_with('{') => "(a login)".to_owned(),
        "executor_environment_variables" => "(variables)".to_owned(),
        _ => value.to_owned(),
    }
}

/// Returns the variables that executors get: those of the flag, or those of this program but its own. `PATH` is always there.
fn environment(flags: &AgentFlags) -> BTreeMap<String, String> {
    let mut variables = match &flags.executor_environment_variables {
        Some(variables) => variables.0.clone(),
        None => passed_on(
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        ),
    };
    variables
        .entry("PATH".to_owned())
        .or_insert_with(|| "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned());
    variables
}

/// Leaves out what is the agent's own. Its `HOME` is that of its user, not of a task's.
fn passed_on(variables: impl Iterator<Item = (String, String)>) -> BTreeMap<String, String> {
    let is_own = |name: &str| name == "HOME" || OWN.iter().any(|prefix| name.starts_with(prefix));
    variables.filter(|(name, _)| !is_own(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::Arguments;
    use apportion_agent::machine::Containerizer;
    use std::path::Path;
    use std::time::Duration;

    fn settings(work_dir: &Path, flags: &[&str]) -> Result<Settings, SettingsError> {
        let work_dir = format!("--work_dir={}", work_dir.display());
        let given: Vec<&str> = ["agent", "--master=127.0.0.1:5050", &work_dir].iter().chain(flags).copied().collect();
        let flags = Arguments::agent(&given).unwrap();
        let bound = SocketAddr::new(flags.ip, if flags.port == 0 { 4711 } else { flags.port });
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(of(&flags, bound))
    }

    #[test]
    fn an_agent_is_described_by_its_flags() {
        let folder = tempfile::tempdir().unwrap();
        let given = settings(
            &folder.path().join("new"),
            &[
                "--ip=0.0.0.0",
                "--advertise_ip=127.0.0.2",
                "--advertise_port=80",
                "--hostname=localhost",
                "--resources=cpus:0;mem:5;disk(a):6",
                "--default_role=web",
                "--attributes=rack:r1;level:3",
                "--domain=eu/a",
                "--containerizers=docker,mesos",
                "--executor_registration_timeout=5mins",
                "--no-switch_user",
                "--gc_delay=2days",
            ],
        )
        .unwrap();
        let machine = &given.machine;
        assert_eq!((given.pid().as_str(), machine.agent.hostname.as_str()), ("slave(1)@127.0.0.2:80", "localhost"));
        assert_eq!(machine.agent.resources, "mem(web):5;disk(a):6;ports(web):[31000-32000]".parse().unwrap());
        assert_eq!(machine.found_resources, ["ports"]);
        assert_eq!(machine.agent.attributes, "rack:r1;level:3".parse().unwrap());
        assert_eq!(machine.agent.domain.as_ref().unwrap().zone, "a");
        assert_eq!(machine.containerizers, [Containerizer::Docker, Containerizer::Mesos]);
        assert_eq!((machine.executor_registration_timeout, machine.switch_user), (Duration::from_secs(300), false));
        assert_eq!(given.gc_delay, Duration::from_secs(2 * 86_400));
        assert!(machine.work_dir.is_absolute() && machine.work_dir.is_dir());
        assert!(given.flags.contains(&("default_role".to_owned(), "web".to_owned())), "{:?}", given.flags);
    }

    #[test]
    fn limits_are_enforced_if_that_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let plain = settings(folder.path(), &["--no-enforce_container_ports"]).unwrap();
        assert_eq!((plain.enforce_ports, plain.enforce_disk, plain.max_log_size), (None, None, None));
        assert_eq!(settings(folder.path(), &["--max_log_size=1MB"]).unwrap().max_log_size, Some(1 << 20));
        let flags =
            ["--enforce_container_ports", "--enforce_container_disk_quota", "--container_disk_watch_interval=1mins"];
        let enforced = settings(folder.path(), &flags).unwrap();
        let seconds = Duration::from_secs;
        assert_eq!((enforced.enforce_ports, enforced.enforce_disk), (Some(seconds(30)), Some(seconds(60))));
    }

    #[test]
    fn a_hostname_has_to_resolve() {
        let folder = tempfile::tempdir().unwrap();
        let error = settings(folder.path(), &["--hostname=no-such-host.invalid"]).unwrap_err();
        assert!(error.to_string().starts_with("--hostname=no-such-host.invalid"), "{error}");
    }

    #[test]
    fn what_is_the_agents_own_is_not_passed_on() {
        let own = ["MESOS_MASTER", "LIBPROCESS_IP", "APPORTION_DOCKER_CONFIG", "HOME", "LANG"];
        let passed = passed_on(own.into_iter().map(|name| (name.to_owned(), "x".to_owned())));
        assert!(passed.keys().eq(["LANG"]), "{passed:?}");
        let folder = tempfile::tempdir().unwrap();
        let given = settings(folder.path(), &[r#"--executor_environment_variables={"A":"secret"}"#]).unwrap();
        let names: Vec<_> = given.machine.executor_environment.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["A", "PATH"]);
        assert!(!format!("{:?}", given.flags).contains("secret"));
    }
}
