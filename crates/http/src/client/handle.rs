//! [`ClientHandle`]: a running client, from outside.

use super::metrics::{ClientMetrics, Published};
use apportion::scheduler::{Calls, Scheduler};
use std::fmt;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// A handle of a [`Client`](super::Client), to be used while that runs, from any task or thread. A clone is another handle of the same
/// client.
///
/// # Examples
///
/// ```no_run
/// # use apportion::Scheduler;
/// # use apportion_http::Client;
/// # async fn run<S: Scheduler + 'static>(mut client: Client<S>) {
/// let handle = client.handle();
/// let running = tokio::spawn(async move { client.run().await });
/// println!("{:?}", handle.metrics().state);
/// handle.stop(); // the tasks go on, and the next run of this program goes on with them
/// println!("{:?}", running.await);
/// # }
/// ```
pub struct ClientHandle<S> {
    pub(super) orders: mpsc::Sender<Action<S>>,
    pub(super) ending: Arc<watch::Sender<Option<Ending>>>,
    pub(super) published: Arc<Published>,
}

/// An action on the scheduler that no event causes.
pub(super) type Action<S> = Box<dyn FnOnce(&mut S, &mut Calls) + Send>;

/// The actions that wait for a client; who orders more waits for room.
pub(super) const MAX_ORDERS: usize = 64;

/// The way in which a client was asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ending {
    Stop,
    Teardown,
}

/// The client has ended: nobody takes orders any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client has ended")]
#[non_exhaustive]
pub struct ClientEnded;

impl<S: Scheduler> ClientHandle<S> {
    /// Runs an action on the scheduler that no event causes, such as an order of its operator. The calls that it makes are sent.
    ///
    /// # Errors
    ///
    /// [`ClientEnded`] when the client was dropped. A client that is not dropped and does not run lets the action wait.
    pub async fn act(&self, action: impl FnOnce(&mut S, &mut Calls) + Send + 'static) -> Result<(), ClientEnded> {
        self.orders.send(Box::new(action)).await.map_err(|_| ClientEnded)
    }

    /// Wakes the scheduler, as a timer with that token does ([`Scheduler::woken_for`]).
    ///
    /// # Errors
    ///
    /// [`ClientEnded`] when the client was dropped.
    pub async fn wake(&self, token: u64) -> Result<(), ClientEnded> {
        self.act(move |scheduler, calls| scheduler.woken_for(token, calls)).await
    }
}

impl<S> ClientHandle<S> {
    /// Stops the client without a teardown: the framework stays registered for its failover timeout, with its tasks, and a client
    /// with its id goes on with it. Calls that wait are still sent.
    pub fn stop(&self) {
        self.end(Ending::Stop);
    }

    /// Removes the framework with all its tasks, as soon as there is a subscription, and stops.
    pub fn teardown(&self) {
        self.end(Ending::Teardown);
    }

    fn end(&self, ending: Ending) {
        let _ = self.ending.send(Some(ending));
    }

    /// Returns what the client has done so far, as of its last step.
    #[must_use]
    pub fn metrics(&self) -> ClientMetrics {
        self.published.read()
    }
}

impl<S> Clone for ClientHandle<S> {
    fn clone(&self) -> Self {
        Self { orders: self.orders.clone(), ending: self.ending.clone(), published: self.published.clone() }
    }
}

impl<S> fmt::Debug for ClientHandle<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientHandle").field("published", &self.published).finish_non_exhaustive()
    }
}
