//! [`ExecutorClient`]: an executor over HTTP, to its agent.

use super::handle::MAX_ORDERS;
use super::metrics::{ClientMetrics, ClientState, Published};
use super::random_seed;
use super::requests::Requests;
use crate::transport::clock::unix_time;
use apportion::Time;
use apportion::executor::{Call, Event, Executor, Reports, Session};
use apportion::v1::connection::{
    Codec, EndpointError, EnvironmentError, ExecutorConnection, ExecutorDriver, ExecutorEnvironment, Output, Step,
    StopReason,
};
use apportion::v1::{Dialect, ExecutorCall};
use std::fmt;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::sleep;

/// An [`Executor`] over HTTP, to its agent: what [`Client`](super::Client) is for a scheduler.
///
/// It subscribes with all tasks and statuses that the agent has not acknowledged, and again when the stream breaks, for as long as its
/// framework checkpoints and the recovery timeout lets it. Then, and when the agent says so, the executor is
/// [shut down](Executor::shutdown). An executor that ends by itself has its program [step](Self::step) until the last status is
/// [acknowledged](Executor::acknowledged). Its clock is that of the system, in microseconds since 1970: statuses bear its time.
///
/// # Examples
///
/// The program of an executor, as an agent starts it:
///
/// ```no_run
/// use apportion::executor::{Executor, Reports};
/// use apportion::Task;
/// use apportion_http::client::ExecutorClient;
///
/// /// Each task is done as soon as it is launched.
/// #[derive(Debug)]
/// struct Instant;
///
/// impl Executor for Instant {
///     fn launch(&mut self, task: Task, reports: &mut Reports) {
///         reports.running(&task.id);
///         reports.finished(&task.id);
///     }
/// }
///
/// #[tokio::main(flavor = "current_thread")]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let mut client = ExecutorClient::from_environment(Instant)?;
///     println!("the end: {}", client.run().await);
///     Ok(())
/// }
/// ```
pub struct ExecutorClient<X, K = Dialect> {
    driver: ExecutorDriver<X, K>,
    requests: Requests,
    handle: ExecutorHandle<X>,
    orders: mpsc::Receiver<Action<X>>,
}

/// An action on the executor that no event causes.
type Action<X> = Box<dyn FnOnce(&mut X, &mut Reports) + Send>;

/// The reason why an executor cannot be started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExecutorStartError {
    /// The environment is not that of an executor.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// The agent's address is none.
    #[error(transparent)]
    Agent(#[from] EndpointError),
}

impl<X: Executor> ExecutorClient<X> {
    /// Returns the client of an executor whose agent has told it all in the environment of its process (`MESOS_AGENT_ENDPOINT` and
    /// others, see [`ExecutorEnvironment`]).
    ///
    /// # Errors
    ///
    /// [`ExecutorStartError`] when the environment lacks something, or says something wrong.
    #[expect(clippy::disallowed_methods, reason = "it is what this function is for")]
    pub fn from_environment(executor: X) -> Result<Self, ExecutorStartError> {
        let environment = ExecutorEnvironment::read(|name| std::env::var(name).ok())?;
        Ok(Self::new(ExecutorConnection::new(environment, random_seed())?, executor))
    }
}

impl<X: Executor, K: Codec<ExecutorCall, Event>> ExecutorClient<X, K> {
    /// Returns the client of an executor over a new connection.
    pub fn new(connection: ExecutorConnection<K>, executor: X) -> Self {
        let (orders, taken) = mpsc::channel(MAX_ORDERS);
        let session = Session::new(connection.environment().executor.clone(), executor, random_seed());
        Self {
            driver: ExecutorDriver::new(connection, session),
            requests: Requests::new(),
            handle: ExecutorHandle { orders, published: Arc::new(Published::new(Time::ZERO + unix_time())) },
            orders: taken,
        }
    }

    /// Runs the executor until there is nothing more to do, and returns why: the agent has shut it down or is gone, or has refused it.
    /// Dropping the future between two steps loses nothing.
    pub async fn run(&mut self) -> StopReason {
        loop {
            if let Some(reason) = self.step().await {
                return reason;
            }
        }
    }

    /// Does one step: sends a request, takes an answer or an order, or waits. Returns why there is nothing more to do, if there is
    /// not.
    pub async fn step(&mut self) -> Option<StopReason> {
        match self.driver.next(self.now()) {
            Step::Request(request) => self.requests.send(request),
            Step::Log(output) => self.log(&output),
            Step::Stop(reason) => {
                self.requests.close_unless(|_| false);
                self.publish();
                tracing::info!(%reason, "the executor ends");
                return Some(reason);
            }
            Step::Wait(longest) => {
                let connection = self.driver.connection();
                self.requests.close_unless(|id| connection.is_open(id));
                self.publish();
                tokio::select! {
                    (id, answer) = self.requests.next() => self.driver.handle(self.now(), id, answer),
                    Some(action) = self.orders.recv() => self.act(action),
                    () = sleep(longest) => {}
                }
            }
        }
        None
    }

    /// Runs an action on the executor that no event causes, such as reporting that a process has exited. While the client runs,
    /// [`ExecutorHandle::act`] does the same.
    pub fn act(&mut self, action: impl FnOnce(&mut X, &mut Reports)) {
        self.driver.act(self.now(), action);
    }

    /// Returns a handle, to act on the executor while the client runs.
    #[must_use]
    pub fn handle(&self) -> ExecutorHandle<X> {
        self.handle.clone()
    }

    /// Returns the executor.
    pub fn executor(&self) -> &X {
        self.driver.executor()
    }

    /// Returns the connection: whether it is subscribed, and what the agent told in the environment.
    pub fn connection(&self) -> &ExecutorConnection<K> {
        self.driver.connection()
    }

    fn now(&self) -> Time {
        self.handle.published.now()
    }

    fn publish(&self) {
        let connection = self.driver.connection();
        let state = ClientState::of(connection.is_stopped(), connection.is_subscribed(), &self.requests);
        let environment = connection.environment();
        self.handle.published.write(|metrics| {
            metrics.state = state;
            metrics.master.clone_from(&environment.agent);
            metrics.framework = Some(environment.framework.clone());
            metrics.counts.clone_from(connection.metrics());
        });
    }

    fn log(&self, output: &Output<Call, Event>) {
        match output {
            Output::Rejected { call, status, why } => {
                tracing::warn!(kind = call.kind(), status, why, "the agent has rejected a call");
            }
            Output::Unreadable { record, why } => tracing::warn!(bytes = record.len(), why, "an event cannot be read"),
            Output::Dropped(call) => {
                tracing::warn!(kind = call.kind(), "a call is not sent: statuses go with the next subscription");
            }
            Output::AttemptFailed { why, retry_at } | Output::Disconnected { why, retry_at } => {
                let (retry_in, agent) = (*retry_at - self.now(), &self.connection().environment().agent);
                tracing::warn!(%why, ?retry_in, agent, "there is no subscription");
            }
            Output::Event(_) | Output::Stopped(_) => {} // the driver has taken these
        }
    }
}

impl<X: fmt::Debug, K: fmt::Debug> fmt::Debug for ExecutorClient<X, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecutorClient")
            .field("driver", &self.driver)
            .field("requests", &self.requests)
            .finish_non_exhaustive()
    }
}

/// A handle of an [`ExecutorClient`], to be used while that runs, from any task or thread.
pub struct ExecutorHandle<X> {
    orders: mpsc::Sender<Action<X>>,
    published: Arc<Published>,
}

impl<X: Executor> ExecutorHandle<X> {
    /// Runs an action on the executor that no event causes, such as reporting that a process has exited.
    ///
    /// # Errors
    ///
    /// [`ClientEnded`](super::ClientEnded) when the client was dropped.
    pub async fn act(
        &self,
        action: impl FnOnce(&mut X, &mut Reports) + Send + 'static,
    ) -> Result<(), super::ClientEnded> {
        self.orders.send(Box::new(action)).await.map_err(|_| super::ClientEnded)
    }

    /// Returns what the client has done so far, as of its last step; the master in it is the agent.
    #[must_use]
    pub fn metrics(&self) -> ClientMetrics {
        self.published.read()
    }
}

impl<X> Clone for ExecutorHandle<X> {
    fn clone(&self) -> Self {
        Self { orders: self.orders.clone(), published: self.published.clone() }
    }
}

impl<X> fmt::Debug for ExecutorHandle<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecutorHandle").field("published", &self.published).finish_non_exhaustive()
    }
}
