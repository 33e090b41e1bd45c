//! The launch of a container of processes.

use super::{Container, DESTROYED, MARK, Shared, Stage, docker, limits, program};
use crate::executor::DOCKER_CONFIG;
use crate::fetching::item;
use crate::machine::{ContainerEvent, Containerizer, ExecutorKind, Launch, Program};
use apportion_exec::fetch::Fetch;
use apportion_exec::sandbox::Sandbox;
use apportion_exec::{Process, User};
use std::sync::Arc;

/// Launches a container. An error is in words for people; nothing is left then, but for the sandbox.
pub(super) fn launch(shared: &Shared, launch: &Launch, container: &Container) -> Result<Arc<Process>, String> {
    let user = prepare(shared, launch, container)?;
    if launch.program == Program::BuiltIn(ExecutorKind::Docker) {
        docker::pull(shared, launch, container)?;
    }
    let logs = Sandbox::at(&launch.directory).logs(user.as_ref());
    let [stdout, stderr] = logs.map_err(|error| error.to_string())?;
    let mut builder = program::builder(&shared.settings, &launch.program)?
        .variables(launch.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())))
        .directory(&launch.directory)
        .stdout(stdout)
        .stderr(stderr)
        .marked_by(MARK, launch.run.container.as_str());
    if !launch.environment.iter().any(|(name, _)| name.as_str() == "HOME") {
        let home = user.as_ref().map(User::home).filter(|home| home.is_dir()).unwrap_or(&launch.directory);
        builder = builder.variable("HOME", home);
    }
    if let (Program::BuiltIn(ExecutorKind::Docker), Some(config)) = (&launch.program, &shared.settings.docker_config) {
        builder = builder.variable(DOCKER_CONFIG, config);
    }
    if let Some(user) = user {
        builder = builder.user(user);
    }
    if let Ok(cgroups) = &shared.cgroups {
        let cgroup = cgroups.create(launch.run.container.as_str()).map_err(|error| error.to_string())?;
        container.lock().cgroup = Some(cgroup.clone());
        if cgroups.no_limits().is_none() {
            let limits = limits::of(&launch.resources, shared.settings.cgroups_enable_cfs);
            cgroup.limit(&limits).map_err(|error| error.to_string())?;
        }
        builder = builder.cgroup(cgroup);
    }
    if !container.enter(Stage::Preparing) {
        return Err(DESTROYED.to_owned());
    }
    Ok(Arc::new(builder.spawn().map_err(|error| error.to_string())?))
}

/// Makes the sandbox and fetches what the container needs. Returns the user that it belongs to.
pub(super) fn prepare(shared: &Shared, launch: &Launch, container: &Container) -> Result<Option<User>, String> {
    let user = user(launch)?;
    let sandbox = Sandbox::at(&launch.directory);
    sandbox.create(user.as_ref()).map_err(|error| error.to_string())?;
    sandbox.logs(user.as_ref()).map_err(|error| error.to_string())?; // they are there, whatever comes
    if launch.containerizer == Containerizer::Mesos {
        for volume in &launch.volumes {
            volume.link(&launch.directory, user.as_ref()).map_err(|error| error.to_string())?;
        }
    }
    fetch(shared, launch, container, user.as_ref())?;
    Ok(user)
}

/// Returns the user that a container runs as. Only root can choose.
fn user(launch: &Launch) -> Result<Option<User>, String> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let named = launch.user.as_ref().map(|name| User::named(name.as_str()).map_err(|error| error.to_string()));
    match named.transpose()? {
        Some(user) => Ok(Some(user)),
        None => User::current().map(Some).map_err(|error| error.to_string()),
    }
}

/// Fetches what the container needs.
fn fetch(shared: &Shared, launch: &Launch, container: &Container, user: Option<&User>) -> Result<(), String> {
    if launch.uris.is_empty() {
        return Ok(());
    }
    for uri in &launch.uris {
        let mut fetch = Fetch::into_sandbox(&launch.directory);
        if let Some(user) = user {
            fetch = fetch.user(user.clone());
        }
        let fetching = fetch.start(&[item(uri)]).map_err(|error| error.to_string())?;
        let canceller = fetching.canceller();
        let step = format!("fetching {}", canceller.progress().uri); // without the password that it may carry
        shared.tell(&container.id, ContainerEvent::Step(step.into()));
        if !container.enter(Stage::Fetching(canceller)) {
            return Err(DESTROYED.to_owned());
        }
        shared.fetched(fetching.wait().map_err(|error| error.to_string()))?;
    }
    shared.tell(&container.id, ContainerEvent::Step("waiting for SUBSCRIBE".into()));
    Ok(())
}
