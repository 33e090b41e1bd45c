//! [`ExecutorConnection`]: an executor's connection to its agent.

use super::endpoint::Endpoint;
use super::link::Link;
use super::metrics::ConnectionMetrics;
use super::{Answer, Codec, DisconnectReason, EndpointError, HttpRequest, Output, RequestId, StopReason};
use crate::executor::{Call, Event};
use crate::id::{ExecutorId, FrameworkId};
use crate::time::Time;
use crate::v1::{Dialect, ExecutorCall};
use std::fmt;
use std::time::Duration;

/// What an agent tells an executor in the environment of its process.
///
/// # Examples
///
/// ```
/// use apportion::v1::connection::ExecutorEnvironment;
/// use std::time::Duration;
///
/// // In a program: `ExecutorEnvironment::read(|name| std::env::var(name).ok())`
/// let environment = ExecutorEnvironment::read(|name| {
///     let value = match name {
///         "MESOS_FRAMEWORK_ID" => "f1",
///         "MESOS_EXECUTOR_ID" => "e1",
///         "MESOS_AGENT_ENDPOINT" => "10.0.0.1:5051",
///         "MESOS_SLAVE_PID" => "slave(1)@10.0.0.1:5051",
///         "MESOS_CHECKPOINT" => "1",
///         "MESOS_RECOVERY_TIMEOUT" => "15mins",
///         _ => return None,
///     };
///     Some(value.to_owned())
/// })?;
/// assert_eq!((environment.executor.as_str(), environment.path.as_str()), ("e1", "/slave(1)/api/v1/executor"));
/// assert!(environment.checkpoint);
/// assert_eq!(environment.recovery_timeout, Duration::from_secs(900));
/// # Ok::<(), apportion::v1::connection::EnvironmentError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExecutorEnvironment {
    /// The framework that the executor belongs to: `MESOS_FRAMEWORK_ID`.
    pub framework: FrameworkId,
    /// The executor: `MESOS_EXECUTOR_ID`.
    pub executor: ExecutorId,
    /// The address of the agent, `host:port`: `MESOS_AGENT_ENDPOINT`.
    pub agent: String,
    /// The path of the executor API: below the part of `MESOS_SLAVE_PID` before the `@`, if that is set.
    pub path: String,
    /// True if the executor outlives its agent, and waits for it to come back: `MESOS_CHECKPOINT` is `1`.
    pub checkpoint: bool,
    /// The time within which the agent must come back: `MESOS_RECOVERY_TIMEOUT`, 15 minutes if it is not set.
    pub recovery_timeout: Duration,
    /// The longest time before another attempt to subscribe: `MESOS_SUBSCRIPTION_BACKOFF_MAX`, 2 s if it is not set.
    pub max_backoff: Duration,
    /// The time that the executor has after SHUTDOWN: `MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD`, 5 s if it is not set. Its program
    /// has to keep it.
    pub shutdown_grace: Duration,
    /// The token that the agent asks for, if it does: `MESOS_EXECUTOR_AUTHENTICATION_TOKEN`. It goes into each request.
    pub token: Option<AuthenticationToken>,
}

/// A secret by which an agent knows its executor. Its [`Debug`](fmt::Debug) form does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthenticationToken(String);

impl AuthenticationToken {
    /// Returns the token of that text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the value of the header `Authorization`.
    #[must_use]
    pub fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for AuthenticationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthenticationToken(..)")
    }
}

/// The reason why an environment is not that of an executor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvironmentError {
    /// A variable is not set.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// A variable is not a time.
    #[error(
        "{variable} is {found:?}, expected a number and a unit, as in 15mins: ns, us, ms, secs, mins, hrs, days or weeks"
    )]
    Duration {
        /// The variable.
        variable: &'static str,
        /// Its value.
        found: String,
    },
}

impl ExecutorEnvironment {
    /// Returns the environment of an executor at that agent, with the default times and without checkpointing.
    #[must_use]
    pub fn new(framework: impl Into<FrameworkId>, executor: impl Into<ExecutorId>, agent: impl Into<String>) -> Self {
        Self {
            framework: framework.into(),
            executor: executor.into(),
            agent: agent.into(),
            path: "/api/v1/executor".to_owned(),
            checkpoint: false,
            recovery_timeout: Duration::from_secs(15 * 60),
            max_backoff: Duration::from_secs(2),
            shutdown_grace: Duration::from_secs(5),
            token: None,
        }
    }

    /// Reads the environment, through a function that returns the value of a variable.
    ///
    /// # Errors
    ///
    /// [`EnvironmentError`] if an id or the agent is missing, or a time is none.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, EnvironmentError> {
        let required = |name| variable(name).filter(|value| !value.is_empty()).ok_or(EnvironmentError::Missing(name));
        let time = |name, default| match variable(name) {
            Some(found) => duration(&found).ok_or(EnvironmentError::Duration { variable: name, found }),
            None => Ok(default),
        };
        let default = Self::new(
            required("MESOS_FRAMEWORK_ID")?,
            required("MESOS_EXECUTOR_ID")?,
            required("MESOS_AGENT_ENDPOINT")?,
        );
        let pid = variable("MESOS_SLAVE_PID");
        let prefix = pid.as_deref().and_then(|pid| Some(pid.split_once('@')?.0));
        let prefix = prefix.filter(|prefix| prefix.chars().all(|c| c.is_ascii_alphanumeric() || "()-_.".contains(c)));
        Ok(Self {
            path: prefix.map_or_else(|| default.path.clone(), |prefix| format!("/{prefix}{}", default.path)),
            checkpoint: variable("MESOS_CHECKPOINT").is_some_and(|value| value == "1"),
            recovery_timeout: time("MESOS_RECOVERY_TIMEOUT", default.recovery_timeout)?,
            max_backoff: time("MESOS_SUBSCRIPTION_BACKOFF_MAX", default.max_backoff)?,
            shutdown_grace: time("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", default.shutdown_grace)?,
            token: variable("MESOS_EXECUTOR_AUTHENTICATION_TOKEN")
                .filter(|token| !token.is_empty())
                .map(AuthenticationToken::new),
            ..default
        })
    }
}

/// Parses a duration as Mesos writes it: `15mins`, `1.5secs`.
fn duration(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit);
    let seconds = match unit {
        "ns" => 1e-9,
        "us" => 1e-6,
        "ms" => 1e-3,
        "secs" => 1.0,
        "mins" => 60.0,
        "hrs" => 3600.0,
        "days" => 86_400.0,
        "weeks" => 604_800.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
}

/// An executor's connection to its agent, without I/O.
///
/// It subscribes with all that is not acknowledged, which [`Session::subscribe`](crate::executor::Session::subscribe) knows, and
/// again when the stream breaks, after a random time of up to [`max_backoff`](ExecutorEnvironment::max_backoff). Calls go out one by
/// one, in order; those that are [dropped](Output::Dropped) with a subscription need not be sent again: statuses are repeated with
/// the next one.
///
/// An executor must not outlive its agent for ever. When the agent is gone and the framework does not checkpoint, or the agent has
/// not come back within the recovery timeout, the connection makes an [`Event::Shutdown`] itself, and
/// [stops](StopReason::AgentLost). After a SHUTDOWN of the agent calls still go out, and the end of the stream is the end.
///
/// See the [module](super) for the order of polling.
///
/// # Examples
///
/// ```
/// use apportion::executor::{Event, Executor, Reports, Session};
/// use apportion::v1::connection::{ExecutorConnection, ExecutorEnvironment, Output};
/// use apportion::v1::{Dialect, write_record};
/// use apportion::{Task, Time};
///
/// #[derive(Debug)]
/// struct Instant;
///
/// impl Executor for Instant {
///     fn launch(&mut self, task: Task, reports: &mut Reports) {
///         reports.finished(&task.id);
///     }
/// }
///
/// let environment = ExecutorEnvironment::new("f1", "e1", "10.0.0.1:5051");
/// let mut connection = ExecutorConnection::new(environment, 7)?;
/// let mut session = Session::new("e1", Instant, 7);
///
/// let request = connection.poll_request(Time::ZERO, || session.subscribe()).expect("a SUBSCRIBE");
/// connection.handle_response(Time::ZERO, request.id, 200, []);
/// # let subscribed = r#"{"type":"SUBSCRIBED","subscribed":{"executor_info":{"executor_id":{"value":"e1"}}}}"#;
/// # let mut task = Task::new("t1", "cpus:1".parse()?);
/// # task.agent = Some("a1".into());
/// # let launch = Dialect::default().encode(&Event::Launch(task));
/// # let mut body = Vec::new();
/// # write_record(subscribed.as_bytes(), &mut body);
/// # write_record(launch.as_bytes(), &mut body);
/// connection.handle_bytes(Time::ZERO, request.id, &body); // SUBSCRIBED and LAUNCH
///
/// while let Some(output) = connection.poll_output() {
///     if let Output::Event(event) = output {
///         for call in session.receive(event, Time::ZERO).into_vec() {
///             connection.send(call);
///         }
///     }
/// }
/// let update = connection.poll_request(Time::ZERO, || session.subscribe()).expect("the status");
/// assert!(String::from_utf8_lossy(&update.body).contains("TASK_FINISHED"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ExecutorConnection<K = Dialect> {
    codec: K,
    environment: ExecutorEnvironment,
    link: Link<Call, Event>,
}

impl ExecutorConnection {
    /// Returns a connection of that executor to its agent, in v1 JSON. The times of the back-off are drawn from `seed`.
    ///
    /// # Errors
    ///
    /// [`EndpointError`] if the agent's address is none.
    pub fn new(environment: ExecutorEnvironment, seed: u64) -> Result<Self, EndpointError> {
        Self::with_codec(Dialect::default(), environment, seed)
    }
}

impl<K: Codec<ExecutorCall, Event>> ExecutorConnection<K> {
    /// Returns a connection whose messages are those of a codec; see [`ExecutorConnection::new`].
    ///
    /// # Errors
    ///
    /// [`EndpointError`] if the agent's address is none.
    pub fn with_codec(codec: K, environment: ExecutorEnvironment, seed: u64) -> Result<Self, EndpointError> {
        let agent: Endpoint = environment.agent.parse()?;
        let backoff = (environment.max_backoff, environment.max_backoff);
        let mut link = Link::new(vec![agent], environment.path.clone(), codec.content_type(), backoff, seed);
        if let Some(token) = &environment.token {
            link.headers.push("Authorization", token.header());
        }
        Ok(Self { codec, environment, link })
    }

    /// Adds a header to all requests, such as `Authorization`.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.link.headers.push(name, value);
        self
    }

    /// Sets the length in bytes of the longest record of the stream; a longer one ends the subscription. It is 64 MiB by default.
    #[must_use]
    pub fn max_record(mut self, bytes: usize) -> Self {
        self.link.max_record = bytes;
        self
    }

    /// Queues a call. It goes out with [`ExecutorConnection::poll_request`], after those that were queued before it.
    pub fn send(&mut self, call: Call) {
        let body = if self.link.is_subscribed() { self.encode(call.clone()) } else { Vec::new() };
        self.link.send(call, body);
    }

    fn encode(&self, call: Call) -> Vec<u8> {
        let ExecutorEnvironment { framework, executor, .. } = &self.environment;
        self.codec.encode(&ExecutorCall::new(framework.clone(), executor.clone(), call))
    }

    /// Returns the next request to send, if there is one. A subscription asks `subscribe` for its call, which is that of
    /// [`Session::subscribe`](crate::executor::Session::subscribe).
    #[must_use]
    pub fn poll_request(&mut self, at: Time, subscribe: impl FnOnce() -> Call) -> Option<HttpRequest> {
        let (codec, environment) = (&self.codec, &self.environment);
        let body = || {
            let ExecutorEnvironment { framework, executor, .. } = environment;
            codec.encode(&ExecutorCall::new(framework.clone(), executor.clone(), subscribe()))
        };
        self.link.poll_subscribe(at, body).or_else(|| self.link.poll_call(at))
    }

    /// Takes what has come back for a request: one of the next four, as a value.
    pub fn handle(&mut self, at: Time, id: RequestId, answer: Answer) {
        match answer {
            Answer::Head { status, headers } => {
                let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                self.handle_response(at, id, status, headers);
            }
            Answer::Bytes(bytes) => self.handle_bytes(at, id, &bytes),
            Answer::End => self.handle_end(at, id),
            Answer::Failed(why) => self.handle_failure(at, id, why),
        }
    }

    /// Takes the head of an answer: its status, and its headers, of which the names may be in any case.
    pub fn handle_response<'h>(
        &mut self,
        at: Time,
        id: RequestId,
        status: u16,
        headers: impl IntoIterator<Item = (&'h str, &'h str)>,
    ) {
        self.link.handle_response(at, id, status, headers);
        self.settle(at);
    }

    /// Takes a piece of the body of an answer, of any size.
    pub fn handle_bytes(&mut self, at: Time, id: RequestId, mut piece: &[u8]) {
        while let Some(record) = self.link.read(at, id, &mut piece) {
            self.take(at, record);
        }
        self.settle(at);
    }

    /// Takes the end of an answer: all of its body has come.
    pub fn handle_end(&mut self, at: Time, id: RequestId) {
        if let Some(call) = self.link.handle_end(at, id) {
            self.link.metrics.calls_of(call.kind()).accepted += 1;
        }
        self.settle(at);
    }

    /// Takes the failure of a request: it could not be sent, or its answer broke off. The reason is for people.
    pub fn handle_failure(&mut self, at: Time, id: RequestId, why: impl Into<String>) {
        self.link.handle_failure(at, id, why.into());
        self.settle(at);
    }

    /// Returns the time of the next timer, if there is one.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let recovery = self.recovery_due().filter(|_| !self.link.is_stopped());
        self.link.poll_timeout().into_iter().chain(recovery).min()
    }

    /// Fires the timers that are due.
    pub fn handle_timeout(&mut self, at: Time) {
        self.link.handle_timeout(at);
        self.settle(at);
    }

    /// Returns the next output, if there is one.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output<Call, Event>> {
        let output = self.link.poll_output()?;
        self.link.metrics.count(&output, |call| call.kind(), Event::kind);
        Some(output)
    }

    /// Returns what the connection has done so far. An executor does not reconcile.
    #[must_use]
    pub fn metrics(&self) -> &ConnectionMetrics {
        &self.link.metrics
    }

    /// Returns whether anything is still awaited of a request. An HTTP client closes what is not open.
    #[must_use]
    pub fn is_open(&self, id: RequestId) -> bool {
        self.link.is_open(id)
    }

    /// Returns whether there is a subscription, so that calls are sent.
    #[must_use]
    pub fn is_subscribed(&self) -> bool {
        self.link.is_subscribed()
    }

    /// Returns whether the connection has ended for good.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.link.is_stopped()
    }

    /// Returns what the agent told in the environment.
    #[must_use]
    pub fn environment(&self) -> &ExecutorEnvironment {
        &self.environment
    }

    /// Takes a record: hands out its event, and draws the conclusions.
    fn take(&mut self, at: Time, record: Vec<u8>) {
        let event = match self.codec.decode(&record) {
            Ok(event) => event,
            Err(why) => return self.link.push(Output::Unreadable { record, why }),
        };
        let error = match &event {
            Event::Subscribed(_) => {
                self.link.subscribed(at, None);
                None
            }
            Event::Shutdown => {
                self.link.stop_after(Some(StopReason::ShutDown));
                None
            }
            Event::Error(message) => Some(message.clone()),
            Event::Launch(_)
            | Event::LaunchGroup(_)
            | Event::Kill { .. }
            | Event::Acknowledged { .. }
            | Event::Message(_)
            | Event::Heartbeat
            | Event::Unknown(_) => None,
        };
        self.link.push(Output::Event(event));
        if let Some(message) = error {
            self.link.lose(at, DisconnectReason::Error(message));
        }
    }

    /// Returns when the executor has to shut down if there is no subscription until then.
    fn recovery_due(&self) -> Option<Time> {
        let since = self.link.unsubscribed_since()?;
        let waits = self.environment.checkpoint || !self.link.has_subscribed();
        Some(if waits { since + self.environment.recovery_timeout } else { since })
    }

    /// Shuts the executor down if its agent is gone for good.
    fn settle(&mut self, at: Time) {
        if !self.link.is_stopped() && self.recovery_due().is_some_and(|due| due <= at) {
            self.link.push(Output::Event(Event::Shutdown));
            self.link.stop(StopReason::AgentLost);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_mesos() {
        let cases = [("15mins", 900_000), ("2secs", 2_000), ("1.5secs", 1_500), ("10ms", 10), ("1weeks", 604_800_000)];
        for (text, millis) in cases {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for wrong in ["", "15", "mins", "-1secs", "1s", "1 parsecs", "1e400secs", "NaNsecs"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
        let read = |name: &str| Some(if name == "MESOS_RECOVERY_TIMEOUT" { "soon" } else { "x" }.to_owned());
        assert_eq!(
            ExecutorEnvironment::read(read),
            Err(EnvironmentError::Duration { variable: "MESOS_RECOVERY_TIMEOUT", found: "soon".into() })
        );
        let token = |name: &str| Some(if name.ends_with("TOKEN") { "s3cret" } else { "1secs" }.to_owned());
        let environment = ExecutorEnvironment::read(token).unwrap();
        assert!(!format!("{environment:?}").contains("s3cret"), "{environment:?}");
        assert_eq!(environment.token.unwrap().header(), "Bearer s3cret");
        let missing = Err(EnvironmentError::Missing("MESOS_FRAMEWORK_ID"));
        assert_eq!(ExecutorEnvironment::read(|_| None), missing);
    }
}
