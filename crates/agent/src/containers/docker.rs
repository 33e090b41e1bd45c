//! Containers of a Docker engine: executors of frameworks in one, and what executors of the agent have left behind.

use super::{Container, DESTROYED, Shared, Stage, limits, process};
use crate::machine::{ContainerEvent, ContainerId, Launch, Limitation, Process as Stored, Program};
use crate::settings::Settings;
use crate::volumes;
use apportion::v1::WrittenResources;
use apportion_exec::docker::{self, Engine, EngineError, Logins, Place, Running};
use apportion_exec::{ProcessId, WaitStatus};
use serde_json::{Value as Json, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

/// A container of an engine that runs, with what is needed to ask for it.
pub(super) struct InDocker {
    runtime: Runtime,
    running: Running,
    destroyed: Arc<Notify>,
}

/// Returns the name that a container has for the engine.
fn name(id: &ContainerId) -> String {
    format!("mesos-{id}")
}

fn runtime() -> Result<Runtime, String> {
    Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())
}

/// Launches an executor in a container of the engine. An error is in words for people; nothing is left then, but for the sandbox.
pub(super) fn launch(shared: &Shared, launch: &Launch, container: &Container) -> Result<InDocker, String> {
    let user = process::prepare(shared, launch, container)?;
    drop(user); // the image says who runs in it
    let wanted = wanted(shared, launch)?;
    let logins = logins(shared, launch)?;
    shared.tell(&container.id, ContainerEvent::Step(format!("pulling {}", wanted.image).into()));
    let (runtime, destroyed) = (runtime()?, Arc::new(Notify::new()));
    if !container.enter(Stage::Docker(destroyed.clone())) {
        return Err(DESTROYED.to_owned());
    }
    let socket = shared.settings.docker_socket.clone();
    let launched = runtime.block_on(async {
        let launch = async {
            let engine = Engine::connect(&socket).await?;
            engine.launch(&wanted, &logins).await
        };
        tokio::select! {
            launched = launch => launched.map_err(|error| error.to_string()),
            () = destroyed.notified() => Err(DESTROYED.to_owned()),
        }
    });
    match launched {
        Ok(running) => {
            shared.tell(&container.id, ContainerEvent::Step("waiting for SUBSCRIBE".into()));
            Ok(InDocker { runtime, running, destroyed })
        }
        Err(message) => {
            if message == DESTROYED {
                go_on_pulling(runtime, socket, wanted.image, logins);
            }
            Err(message)
        }
    }
}

/// Pulls the image of a task that a built-in executor will run in a container, unless the engine has it already: so the wait for an
/// image counts as the wait for the executor does, and ends with it.
pub(super) fn pull(shared: &Shared, launch: &Launch, container: &Container) -> Result<(), String> {
    let docker = launch.container.as_ref().and_then(|container| container.get("docker"));
    let Some(image) = docker.and_then(|docker| docker.get("image")?.as_str().map(std::borrow::Cow::into_owned)) else {
        return Ok(()); // the executor says what is wrong
    };
    let is_forced = docker.and_then(|docker| docker.get("force_pull_image")?.as_bool()).unwrap_or(false);
    let logins = logins(shared, launch)?;
    let (runtime, destroyed) = (runtime()?, Arc::new(Notify::new()));
    if !container.enter(Stage::Docker(destroyed.clone())) {
        return Err(DESTROYED.to_owned());
    }
    let socket = shared.settings.docker_socket.clone();
    let pulled = runtime.block_on(async {
        let pull = async {
            let engine = Engine::connect(&socket).await?;
            if is_forced || !engine.has_image(&image).await? {
                shared.tell(&container.id, ContainerEvent::Step(format!("pulling {image}").into()));
                engine.pull(&image, &logins).await?;
            }
            Ok::<_, EngineError>(())
        };
        tokio::select! {
            pulled = pull => pulled.map_err(|error| error.to_string()),
            () = destroyed.notified() => Err(DESTROYED.to_owned()),
        }
    });
    if pulled.as_ref().is_err_and(|message| message == DESTROYED) {
        go_on_pulling(runtime, socket, image, logins);
    }
    pulled?;
    shared.tell(&container.id, ContainerEvent::Step("waiting for SUBSCRIBE".into()));
    Ok(())
}

/// Has a pull go on of which nobody needs the image now, so that the next launch finds it: the engine gives up one that nobody waits
/// for.
fn go_on_pulling(runtime: Runtime, socket: PathBuf, image: String, logins: Logins) {
    let pull = move || {
        runtime.block_on(async {
            if let Ok(engine) = Engine::connect(&socket).await {
                let _ = tokio::time::timeout(PULL_LIMIT, engine.pull(&image, &logins)).await;
            }
        });
    };
    // Without a thread the pull begins anew with the next launch.
    let _ = std::thread::Builder::new().name("pull".to_owned()).spawn(pull);
}

/// The longest that a pull goes on of which nobody needs the image now.
const PULL_LIMIT: Duration = Duration::from_secs(3600);

/// Finds the container of an executor again, if that process is its first one.
pub(super) fn find(shared: &Shared, id: &ContainerId, process: Stored) -> Option<InDocker> {
    let runtime = runtime().ok()?;
    let found = runtime.block_on(async {
        let engine = Engine::connect(&shared.settings.docker_socket).await.ok()?;
        let found = engine.inspect(&name(id)).await.ok()?;
        (found.pid == Some(process.pid)).then(|| engine.running(&name(id)))
    });
    Some(InDocker { running: found?, runtime, destroyed: Arc::new(Notify::new()) })
}

impl InDocker {
    /// Waits for the end of the container. Returns its status as wait(2) has it, and the limit that it has reached.
    pub(super) fn follow(self, shared: &Shared, container: &Container) -> (Option<i32>, Option<Limitation>) {
        let goes_on = container.enter(Stage::Docker(self.destroyed.clone()));
        let ended = self.runtime.block_on(async {
            let first = self.running.inspect().await.ok().and_then(|found| ProcessId::of(found.pid?));
            if let Some(first) = first {
                let started = Stored { pid: first.pid, started: first.start_time };
                shared.tell(&container.id, ContainerEvent::Started(started));
            }
            if !goes_on {
                self.running.stop(Duration::ZERO).await;
            }
            tokio::select! {
                ended = self.running.wait() => ended,
                () = self.destroyed.notified() => {
                    self.running.stop(Duration::ZERO).await;
                    self.running.wait().await
                }
            }
        });
        let code = ended.exit_code.and_then(|code| u8::try_from(code).ok());
        let memory = limits::memory(&container.lock().resources) >> 20;
        let limitation = ended.out_of_memory.then(|| Limitation {
            reason: "REASON_CONTAINER_LIMITATION_MEMORY".into(),
            message: format!("Memory limit exceeded: the engine has killed for more than {memory} MB").into(),
        });
        (code.map(|code| WaitStatus::from_code(code).raw()), limitation)
    }
}

/// Ends what a docker executor has left behind: its container, if it was killed before that had ended.
pub(super) fn clean(shared: &Shared, id: &ContainerId) {
    let Ok(runtime) = runtime() else { return };
    runtime.block_on(async {
        match Engine::connect(&shared.settings.docker_socket).await {
            Ok(engine) => match engine.inspect(&name(id)).await {
                Ok(found) if found.running => engine.running(&name(id)).stop(Duration::ZERO).await,
                Ok(_) | Err(_) => {} // it has ended, or there is none
            },
            Err(error) => {
                tracing::warn!(%error, container = %id, "it is not known whether a container of the engine is left")
            }
        }
    });
}

/// Works out the container of an executor.
fn wanted(shared: &Shared, launch: &Launch) -> Result<docker::Container, String> {
    let mut command = match &launch.program {
        Program::Shell(script) => json!({"value": script.as_str(), "shell": true}),
        Program::Program { file, arguments } => {
            let arguments: Vec<&str> = arguments.iter().map(|argument| argument.as_str()).collect();
            let mut command = json!({"shell": false, "arguments": arguments});
            if let Some(file) = file {
                command["value"] = file.as_str().into();
            }
            command
        }
        Program::BuiltIn(_) => return Err("a built-in executor runs in no container".to_owned()),
    };
    let given = &shared.settings.machine.executor_environment;
    let mut place = Place::new(launch.run.container.as_str(), agent(launch), &launch.directory)
        .cpu_quota(shared.settings.cgroups_enable_cfs);
    let mut variables = Vec::new();
    for (name, value) in &launch.environment {
        let is_agents = given.iter().any(|(known, same)| known == name && same == value) || name.as_str() == "PATH";
        if name.starts_with("MESOS_") || name.starts_with("LIBPROCESS_") {
            place = place.variable(name.as_str(), value.as_str());
        } else if !is_agents {
            variables.push(json!({"name": name.as_str(), "value": value.as_str()}));
        }
    }
    command["environment"] = json!({ "variables": variables });
    let resources =
        serde_json::to_value(WrittenResources::new(&launch.resources)).map_err(|error| error.to_string())?;
    let mut container: Json = launch.container.as_ref().map_or(Json::Null, Into::into);
    volumes::mount(&launch.volumes, &mut container);
    let info = json!({"container": container, "command": command, "resources": resources});
    docker::Container::of(&info, &place.label("executor", launch.run.executor.as_str()))
        .map_err(|error| error.to_string())
}

/// Returns the id of the agent, which its executors are told.
fn agent(launch: &Launch) -> &str {
    let told = launch.environment.iter().find(|(name, _)| name.as_str() == "MESOS_SLAVE_ID");
    told.map_or("", |(_, id)| id.as_str())
}

/// Returns the logins for images: those that were fetched, else those of the flag.
fn logins(shared: &Shared, launch: &Launch) -> Result<Logins, String> {
    let fetched = Logins::in_sandbox(&launch.directory).map_err(|error| error.to_string())?;
    match (fetched, &shared.settings.docker_config) {
        (Some(logins), _) => Ok(logins),
        (None, Some(flag)) => Logins::of_flag(flag).map_err(|error| error.to_string()),
        (None, None) => Ok(Logins::default()),
    }
}

/// Removes containers of an agent that have ended long ago, and ends those that run and are not live.
pub(super) fn sweep(settings: &Settings, agent: &str, is_live: impl Fn(&str) -> bool) {
    let Ok(runtime) = runtime() else { return };
    let swept: Result<(), EngineError> = runtime.block_on(async {
        let engine = Engine::connect(&settings.docker_socket).await?;
        for found in engine.containers(agent).await? {
            if is_live(&found.container_id) {
                continue;
            }
            if found.running {
                tracing::info!(container = found.name, "a container that belongs to no executor is ended");
                engine.running(&found.name).stop(Duration::ZERO).await;
            }
            let ended = engine.inspect(&found.name).await?.finished_at.unwrap_or_default();
            let age = apportion_http::transport::unix_time().saturating_sub(ended);
            if age >= settings.docker_remove_delay {
                engine.remove(&found.name).await?;
            }
        }
        Ok(())
    });
    if let Err(error) = swept {
        tracing::debug!(%error, "containers of the engine are not looked through");
    }
}
