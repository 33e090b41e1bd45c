//! The engine: each call with its limit, and its errors in the engine's own words.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, InspectContainerOptions, KillContainerOptions,
    ListContainersOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions, StopContainerOptionsBuilder,
    WaitContainerOptions,
};
use bollard::{API_DEFAULT_VERSION, ClientVersion, Docker};
use futures_util::StreamExt;
use http_body_util::{Either, Full};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::container::{AGENT_LABEL, CONTAINER_LABEL};
use super::logs::Output;
use super::{Container, EngineError, Inspection, Logins, Running};

/// How long the engine has for a call, other than a pull and the wait for a container's end.
pub const LIMIT: Duration = Duration::from_secs(30);
/// The first API version that takes a MAC address with the network.
const MAC_WITH_NETWORK: ClientVersion = ClientVersion { major_version: 1, minor_version: 44 };

/// How long calls may take, and when they are repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a caller sets what it wants and takes the rest from the default")]
pub struct Timing {
    /// How long the engine has for a call: [`LIMIT`].
    pub limit: Duration,
    /// When an engine that does not answer is first asked again: 1 s; the time doubles with each failure.
    pub retry: Duration,
    /// The longest time between two such calls: 30 s.
    pub longest_retry: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { limit: LIMIT, retry: Duration::from_secs(1), longest_retry: Duration::from_secs(30) }
    }
}

/// A Docker engine. Clones share it; a call opens a connection of its own.
#[derive(Debug, Clone)]
pub struct Engine {
    pub(super) docker: Docker,
    socket: Arc<Path>,
    timing: Timing,
}

/// A container that an engine knows, found by its labels.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// Its name for the engine, by which it is inspected, stopped and removed.
    pub name: String,
    /// The container's id of the agent.
    pub container_id: String,
    /// All of its labels: ours begin with `apportion.`.
    pub labels: BTreeMap<String, String>,
    /// Whether it runs. One that does not has ended, or was never started.
    pub running: bool,
}

impl Engine {
    /// Connects to the engine at a socket, as a path or `unix://PATH`, and agrees on a version of the API.
    ///
    /// # Errors
    ///
    /// [`EngineError::Absent`] if nothing answers there, with the system's words; ask again when the next container is wanted.
    pub async fn connect(socket: impl AsRef<Path>) -> Result<Self, EngineError> {
        Self::connect_with(socket, Timing::default()).await
    }

    /// Connects with other limits than the usual ones.
    ///
    /// # Errors
    ///
    /// As [`Engine::connect`].
    pub async fn connect_with(socket: impl AsRef<Path>, timing: Timing) -> Result<Self, EngineError> {
        let socket = socket.as_ref();
        let socket: Arc<Path> =
            socket.strip_prefix("unix://").map_or_else(|_| socket.into(), |path| Path::new("/").join(path).into());
        let forever = u64::MAX; // each call has a limit of ours
        let docker = Docker::connect_with_unix(&socket.to_string_lossy(), forever, API_DEFAULT_VERSION);
        let connected = docker.map_err(|error| failure(&socket, "connect", error))?;
        let agreed = timeout(timing.limit, connected.negotiate_version()).await;
        let docker = match agreed {
            Ok(agreed) => agreed.map_err(|error| failure(&socket, "tell its version", error))?,
            Err(_) => return Err(late(&socket, "tell its version", timing.limit)),
        };
        Ok(Self { docker, socket, timing })
    }

    /// Returns the path of the engine's socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Tells whether the engine has an image.
    ///
    /// # Errors
    ///
    /// The engine's, unless it says that there is no such image.
    pub async fn has_image(&self, image: &str) -> Result<bool, EngineError> {
        let inspect = async {
            match self.docker.inspect_image(image).await {
                Ok(_) | Err(Error::JsonDataError { .. }) => Ok(()), // it is there, however it is described
                Err(error) => Err(error),
            }
        };
        match self.call(&format!("inspect the image {image}"), inspect).await {
            Ok(()) => Ok(true),
            Err(error) if error.is_unknown() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Pulls an image, with the login for its registry if there is one. There is no limit of time.
    ///
    /// Dropping the future does not end the pull: an engine gives up a pull whose connection is closed, and the next container of this image would begin anew.
    ///
    /// # Errors
    ///
    /// The engine's, or [`EngineError::Login`].
    pub async fn pull(&self, image: &str, logins: &Logins) -> Result<(), EngineError> {
        let mut docker = self.docker.clone();
        if let Some(header) = logins.header_for(image)?.and_then(|header| header.parse().ok()) {
            // bollard encodes logins with the standard alphabet of base64; engines read the one of URLs.
            let login: http::HeaderValue = header;
            docker = docker.with_request_modifier(move |mut request| {
                request.headers_mut().insert("x-registry-auth", login.clone());
                request
            });
        }
        let (name, tag) = split_tag(image);
        let options = CreateImageOptionsBuilder::default().from_image(name).tag(tag).build();
        let pull = tokio::spawn(async move {
            let mut steps = docker.create_image(Some(options), None, None);
            while let Some(step) = steps.next().await {
                if let Some(error) = step?.error_detail {
                    let error = error.message.unwrap_or_default();
                    return Err(Error::DockerStreamError { error });
                }
            }
            Ok(())
        });
        let call = format!("pull the image {image}");
        match pull.await {
            Ok(pulled) => pulled.map_err(|error| failure(&self.socket, &call, error)),
            Err(ended) => Err(absent(&self.socket, ended.to_string())), // the runtime is shutting down
        }
    }

    /// Pulls the image if need be, creates the container, starts it, and follows its output into the sandbox's `stdout` and `stderr`.
    ///
    /// If the future is dropped, what the engine has made is removed in the background; a pull goes on.
    ///
    /// # Errors
    ///
    /// The engine's words about what cannot be done; nothing of the container is left then. [`EngineError::Output`] if the sandbox's files cannot be written.
    pub async fn launch(&self, container: &Container, logins: &Logins) -> Result<Running, EngineError> {
        let output = Output::open(&container.sandbox)
            .map_err(|error| EngineError::Output { sandbox: container.sandbox.clone(), cause: error.to_string() })?;
        if container.force_pull || !self.has_image(&container.image).await? {
            self.pull(&container.image, logins).await?;
        }
        let (done, started) = oneshot::channel();
        let (engine, wanted) = (self.clone(), container.clone());
        tokio::spawn(async move {
            let result = engine.create_and_start(&wanted).await;
            let failed = result.is_err();
            let conflict = matches!(result, Err(EngineError::Refused { status: 409, .. }));
            // Nobody waits any more, or it came too late to be known: what there may be is removed. A name that is taken is not ours.
            if (done.send(result).is_err() || failed) && !conflict {
                engine.destroy(&wanted.name).await;
            }
        });
        match started.await {
            Ok(result) => result?,
            Err(ended) => return Err(absent(&self.socket, ended.to_string())),
        }
        Ok(Running::follow(self.clone(), &container.name, output))
    }

    async fn create_and_start(&self, container: &Container) -> Result<(), EngineError> {
        let body = self.body_of(container);
        let create = format!("create the container {}", container.name);
        // bollard's type of the body lacks what older engines take, so the body is put in as it is.
        let docker = self.docker.clone().with_request_modifier(move |request| {
            let (head, _) = request.into_parts();
            http::Request::from_parts(head, Either::Left(Full::new(body.clone().into())))
        });
        let options = CreateContainerOptionsBuilder::default().name(&container.name).build();
        self.call(&create, docker.create_container(Some(options), ContainerCreateBody::default())).await?;
        let start = format!("start the container {}", container.name);
        self.call(&start, self.docker.start_container(&container.name, None::<StartContainerOptions>)).await
    }

    fn body_of(&self, container: &Container) -> String {
        let mut body = container.body.clone();
        if self.docker.client_version() >= MAC_WITH_NETWORK
            && let Some(address) = body.as_object_mut().and_then(|body| body.remove("MacAddress"))
            && let Some(network) = body["HostConfig"]["NetworkMode"].as_str().map(str::to_owned)
        {
            body["NetworkingConfig"]["EndpointsConfig"][network] = serde_json::json!({"MacAddress": address});
        }
        body.to_string()
    }

    /// Returns a handle on a container that was found again, without its output.
    #[must_use]
    pub fn running(&self, name: &str) -> Running {
        Running::quiet(self.clone(), name)
    }

    /// Lists the containers, running or not, that bear the label of this agent. Others, whatever their names, are not ours.
    ///
    /// # Errors
    ///
    /// The engine's.
    pub async fn containers(&self, agent_id: &str) -> Result<Vec<Found>, EngineError> {
        let filters = [("label".to_owned(), vec![format!("{AGENT_LABEL}={agent_id}")])].into_iter().collect();
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let listed = self.call("list containers", self.docker.list_containers(Some(options))).await?;
        let mut found: Vec<Found> = listed
            .into_iter()
            .filter_map(|one| {
                let labels: BTreeMap<String, String> = one.labels?.into_iter().collect();
                // An engine that ignores filters must not make another's container ours.
                if labels.get(AGENT_LABEL).is_none_or(|agent| agent != agent_id) {
                    return None;
                }
                let name = one.names.and_then(|names| names.into_iter().next()).or(one.id)?;
                Some(Found {
                    name: name.trim_start_matches('/').to_owned(),
                    container_id: labels.get(CONTAINER_LABEL)?.clone(),
                    labels,
                    running: one
                        .state
                        .is_some_and(|state| ["running", "paused", "restarting"].contains(&state.to_string().as_str())),
                })
            })
            .collect();
        found.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(found)
    }

    /// Returns what the engine knows of a container.
    ///
    /// # Errors
    ///
    /// The engine's; [`EngineError::is_unknown`] tells that there is no such container.
    pub async fn inspect(&self, name: &str) -> Result<Inspection, EngineError> {
        let inspect = self.docker.inspect_container(name, None::<InspectContainerOptions>);
        Ok(Inspection::of(self.call(&format!("inspect the container {name}"), inspect).await?))
    }

    /// Removes a container that has ended, with the volumes that are its own. One that is unknown is removed already.
    ///
    /// # Errors
    ///
    /// The engine's, also if the container still runs.
    pub async fn remove(&self, name: &str) -> Result<(), EngineError> {
        let options = RemoveContainerOptionsBuilder::default().v(true).build();
        match self
            .call(&format!("remove the container {name}"), self.docker.remove_container(name, Some(options)))
            .await
        {
            Err(error) if error.is_unknown() => Ok(()),
            result => result,
        }
    }

    /// Kills a container if it runs, and removes it: asks until the engine says that it is gone.
    pub async fn destroy(&self, name: &str) {
        let mut pause = Pause::new(self.timing);
        loop {
            self.kill_until_ended(name).await;
            if self.remove(name).await.is_ok() {
                return;
            }
            pause.wait().await;
        }
    }

    /// Asks a container to end, within `grace`, and kills it then: asks until the engine says that it has ended.
    pub(super) async fn stop(&self, name: &str, grace: Duration) {
        if !grace.is_zero() {
            let seconds = i32::try_from(grace.as_millis().div_ceil(1000)).unwrap_or(i32::MAX);
            let options = StopContainerOptionsBuilder::default().t(seconds).build();
            // Late or refused: killed below, whichever it was.
            let _ = timeout(grace, self.docker.stop_container(name, Some(options))).await;
        }
        self.kill_until_ended(name).await;
    }

    async fn kill_until_ended(&self, name: &str) {
        let mut pause = Pause::new(self.timing);
        loop {
            match self.inspect(name).await {
                Ok(found) if !found.running => return,
                Err(error) if error.is_unknown() => return,
                Ok(_) | Err(_) => {}
            }
            let kill = self.docker.kill_container(name, None::<KillContainerOptions>);
            match self.call(&format!("kill the container {name}"), kill).await {
                // Ends the pause as soon as the container does.
                Ok(()) => drop(timeout(pause.next(), self.next_end(name)).await),
                Err(error) if error.is_unknown() => return,
                Err(_) => pause.wait().await,
            }
        }
    }

    /// Waits until a container has ended or the engine breaks off; there is no limit of time.
    pub(super) async fn next_end(&self, name: &str) -> Result<(), EngineError> {
        let mut ends = self.docker.wait_container(name, None::<WaitContainerOptions>);
        match ends.next().await {
            Some(Ok(_) | Err(Error::DockerContainerWaitError { .. })) => Ok(()),
            Some(Err(error)) => Err(failure(&self.socket, &format!("wait for the container {name}"), error)),
            None => Err(absent(&self.socket, "it broke off".to_owned())),
        }
    }

    pub(super) fn pause(&self) -> Pause {
        Pause::new(self.timing)
    }

    pub(super) fn limit(&self) -> Duration {
        self.timing.limit
    }

    /// Makes one call within its limit.
    pub(super) async fn call<T>(
        &self,
        what: &str,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, EngineError> {
        match timeout(self.timing.limit, call).await {
            Ok(result) => result.map_err(|error| failure(&self.socket, what, error)),
            Err(_) => Err(late(&self.socket, what, self.timing.limit)),
        }
    }

    pub(super) fn failure(&self, what: &str, error: Error) -> EngineError {
        failure(&self.socket, what, error)
    }
}

/// The pauses between calls to an engine that does not answer: each is twice the one before.
#[derive(Debug)]
pub(super) struct Pause {
    timing: Timing,
    next: Duration,
}

impl Pause {
    fn new(timing: Timing) -> Self {
        Self { timing, next: timing.retry }
    }

    fn next(&mut self) -> Duration {
        let pause = self.next;
        self.next = pause.saturating_mul(2).min(self.timing.longest_retry);
        pause
    }

    pub(super) async fn wait(&mut self) {
        sleep(self.next()).await;
    }

    /// The engine has answered: the next pause is the first again.
    pub(super) fn reset(&mut self) {
        self.next = self.timing.retry;
    }
}

fn absent(socket: &Path, cause: String) -> EngineError {
    EngineError::Absent { socket: socket.to_owned(), cause }
}

fn late(socket: &Path, call: &str, limit: Duration) -> EngineError {
    EngineError::Late { socket: socket.to_owned(), call: call.to_owned(), limit }
}

fn failure(socket: &Path, call: &str, error: Error) -> EngineError {
    let refused = |status, message: String| EngineError::Refused {
        socket: socket.to_owned(),
        call: call.to_owned(),
        status,
        message: message.trim().to_owned(),
    };
    if let Error::DockerResponseServerError { status_code, message } = error {
        refused(status_code, message)
    } else if let Error::DockerStreamError { error } = error {
        refused(0, error)
    } else if let Error::SocketNotFoundError(_) = error {
        absent(socket, "there is no such socket".to_owned())
    } else {
        absent(socket, innermost(&error))
    }
}

/// Returns the words of the error that caused the others: the system's.
fn innermost(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.last().map_or_else(String::new, ToString::to_string)
}

/// Splits an image's name at its tag or digest; without one it is `latest`, for an engine would pull all tags.
fn split_tag(image: &str) -> (&str, &str) {
    if let Some(parts) = image.split_once('@') {
        return parts;
    }
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, "latest"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_is_split_at_its_tag() {
        let cases = [
            ("nginx", ("nginx", "latest")),
            ("nginx:1.2", ("nginx", "1.2")),
            ("host:5000/a/nginx", ("host:5000/a/nginx", "latest")),
            ("host:5000/nginx:1", ("host:5000/nginx", "1")),
            ("nginx@sha256:abc", ("nginx", "sha256:abc")),
        ];
        for (image, expected) in cases {
            assert_eq!(split_tag(image), expected);
        }
    }
}
