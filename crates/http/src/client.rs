//! The client half: a [`Scheduler`] or an [executor](apportion::executor::Executor) over HTTP, to this package's master or to a
//! Mesos.
//!
//! ```
//! use apportion::{Call, Calls, Framework, Offer, Role, Scheduler};
//! use apportion_http::client::{ClientBuilder, Masters};
//!
//! /// Leaves again at its first offer.
//! struct Passerby;
//! impl Scheduler for Passerby {
//!     fn offers(&mut self, _: Vec<Offer>, calls: &mut Calls) {
//!         calls.push(Call::Teardown);
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! # use apportion_http::{NoAgents, Server, Settings};
//! # let server = Server::start(Settings::default(), NoAgents);
//! # let agent = apportion::Agent::new("a1", "cpus:4;mem:1024".parse()?);
//! # server.command(apportion::Command::AddAgent(agent.into())).await?;
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let address = listener.local_addr()?;
//! # tokio::spawn(server.serve(listener));
//! let masters: Masters = "m1:5050,m2:5050".parse()?;
//! # let masters: Masters = address.to_string().parse()?;
//! let framework = Framework::new("").role(Role::new("web")?);
//! let mut client = ClientBuilder::new(masters, framework).build(Passerby)?;
//! println!("the end: {}", client.run().await);
//! # assert_eq!(client.handle().metrics().counts.calls["TEARDOWN"].accepted, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # States
//!
//! ```text
//!                    back-off is over                  200 and SUBSCRIBED
//!   ┌──────────────┐ ─────────────────► ┌────────────┐ ─────────────────► ┌────────────┐
//!   │ Disconnected │                    │ Connecting │ ◄─┐                │ Subscribed │ ◄─┐ events and calls,
//!   └──────────────┘ ◄───────────────── └────────────┘ ──┘ 307, at most   └────────────┘ ──┘ heartbeats
//!          ▲          503, no answer           │           5 in a row           │ │
//!          │          in 75 s, refused         │                                │ │
//!          │          connection               │ 4xx, ERROR: invalid            │ │ failed over, removed,
//!          │                                   ▼                                │ │ TEARDOWN, stop
//!          │                             ┌─────────┐                            │ │
//!          │                             │ Stopped │ ◄──────────────────────────┼─┘
//!          │                             └─────────┘                            │
//!          └────────────────────────────────────────────────────────────────────┘
//!             the stream ends, no record for 5 heartbeat intervals, a call answered 403
//! ```
//!
//! The back-off is a random time in [0, b], where b is 1 s, 2 s, 4 s ... 15 s, and 1 s again once a subscription has lived for a
//! minute. All of this is decided by [`Connection`] in the library, which does no I/O; this
//! module gives it sockets and a clock.
//!
//! A scheduler hears of it by [`Scheduler::subscribed`], and by [`Scheduler::disconnected`] once for each subscription that is lost.
//! Calls that it makes without a subscription are dropped with a note in the log: reconciliation repairs what they would have
//! changed. KILL, SHUTDOWN, UPDATE_FRAMEWORK and TEARDOWN, which it would not repair, go out with the next subscription. A lost subscription, a dropped or rejected call and an unreadable event are `tracing` events.
//!
//! # A whole program
//!
//! ```no_run
#![doc = include_str!("../examples/guide.rs")]
//! ```

mod builder;
mod executor;
mod handle;
mod masters;
mod metrics;
pub(crate) mod requests;

pub use builder::ClientBuilder;
pub use executor::{ExecutorClient, ExecutorHandle, ExecutorStartError};
pub use handle::{ClientEnded, ClientHandle};
pub use masters::{Masters, MastersError};
pub use metrics::{ClientMetrics, ClientState};

use apportion::scheduler::{Calls, Scheduler};
use apportion::v1::connection::{Codec, Connection, Output, SchedulerDriver, Step, StopReason};
use apportion::v1::{Dialect, SchedulerCall};
use apportion::{Call, Event, FrameworkId, Time};
use builder::OnRegistered;
use handle::{Action, Ending, MAX_ORDERS};
use metrics::Published;
use requests::Requests;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

/// A [`Scheduler`] over HTTP; the [module](self) has an example. The same scheduler runs in a
/// [simulation](apportion::simulation::Cluster), unchanged.
pub struct Client<S, K = Dialect> {
    driver: SchedulerDriver<S, K>,
    requests: Requests,
    handle: ClientHandle<S>,
    orders: mpsc::Receiver<Action<S>>,
    ending: watch::Receiver<Option<Ending>>,
    masters: Option<Masters>,
    /// The id that was told last.
    registered: FrameworkId,
    on_registered: Option<OnRegistered>,
}

impl<S: Scheduler, K: Codec<SchedulerCall, Event>> Client<S, K> {
    /// Returns the client of a scheduler over a new connection, whose clock begins now. Most programs take a [`ClientBuilder`].
    pub fn new(connection: Connection<K>, scheduler: S) -> Self {
        let (orders, taken) = mpsc::channel(MAX_ORDERS);
        let (ending, ended) = watch::channel(None);
        let published = Arc::new(Published::new(Time::ZERO));
        Self {
            registered: connection.framework().id.clone(),
            driver: SchedulerDriver::new(connection, scheduler),
            requests: Requests::new(),
            handle: ClientHandle { orders, ending: Arc::new(ending), published },
            orders: taken,
            ending: ended,
            masters: None,
            on_registered: None,
        }
    }

    /// Runs the scheduler until there is nothing more to do, and returns why. Dropping the future between two steps loses nothing:
    /// it may be run again, after [`act`](Self::act) for example.
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
            Step::Log(output) => {
                self.log(&output);
                if matches!(output, Output::AttemptFailed { .. } | Output::Disconnected { .. }) {
                    self.find_masters().await;
                }
            }
            Step::Stop(reason) => {
                self.requests.close_unless(|_| false);
                self.publish();
                tracing::info!(%reason, framework = %self.connection().framework().id, "the client ends");
                return Some(reason);
            }
            Step::Wait(longest) => {
                let connection = self.driver.connection();
                self.requests.close_unless(|id| connection.is_open(id));
                self.publish();
                tokio::select! {
                    (id, answer) = self.requests.next() => {
                        self.driver.handle(self.now(), id, answer);
                        self.tell_registered();
                    }
                    Some(action) = self.orders.recv() => self.act(action),
                    Ok(()) = self.ending.changed() => self.end(),
                    () = sleep(longest) => {}
                }
            }
        }
        None
    }

    /// Runs an action on the scheduler that no event causes, such as an order of its operator. While the client runs,
    /// [`ClientHandle::act`] does the same.
    pub fn act(&mut self, action: impl FnOnce(&mut S, &mut Calls)) {
        self.driver.act(self.now(), action);
    }

    /// Returns a handle, to act on the client while it runs.
    #[must_use]
    pub fn handle(&self) -> ClientHandle<S> {
        self.handle.clone()
    }

    /// Returns the scheduler.
    pub fn scheduler(&self) -> &S {
        self.driver.scheduler()
    }

    /// Returns the connection: whether it is subscribed, to which master, as which framework.
    pub fn connection(&self) -> &Connection<K> {
        self.driver.connection()
    }

    fn now(&self) -> Time {
        self.handle.published.now()
    }

    /// Begins to end, as a handle has asked for.
    fn end(&mut self) {
        let ending = *self.ending.borrow_and_update();
        tracing::info!(?ending, "the client is asked to end");
        match ending {
            Some(Ending::Stop) => self.driver.connection_mut().stop(),
            Some(Ending::Teardown) => self.driver.connection_mut().teardown(),
            None => {}
        }
    }

    /// Tells the id of the framework, if a subscription has brought another one.
    fn tell_registered(&mut self) {
        let id = &self.driver.connection().framework().id;
        if *id != self.registered {
            self.registered.clone_from(id);
            if let Some(tell) = &mut self.on_registered {
                tell(id);
            }
        }
    }

    /// Reads the file of masters again, if there is one, before the next attempt to subscribe.
    async fn find_masters(&mut self) {
        let Some(masters) = self.masters.clone().filter(Masters::may_change) else { return };
        let read = tokio::task::spawn_blocking(move || masters.addresses());
        let found = match read.await {
            Ok(Ok(addresses)) => {
                let at = self.now();
                self.driver.connection_mut().set_masters(at, addresses).map_err(MastersError::from)
            }
            Ok(Err(error)) => Err(error),
            Err(_) => return, // the runtime shuts down
        };
        if let Err(error) = found {
            tracing::warn!(%error, "the masters of before are tried again");
        }
    }

    fn publish(&self) {
        let connection = self.driver.connection();
        let state = ClientState::of(connection.is_stopped(), connection.is_subscribed(), &self.requests);
        let before = self.handle.published.write(|metrics| {
            metrics.state = state;
            metrics.master = connection.master();
            metrics.framework = Some(&connection.framework().id).filter(|id| !id.as_str().is_empty()).cloned();
            metrics.counts.clone_from(connection.metrics());
        });
        if state == ClientState::Subscribed && before != state {
            let framework = &connection.framework().id;
            tracing::info!(%framework, master = connection.master(), "subscribed");
        }
    }

    fn log(&self, output: &Output<Call, Event>) {
        let master = self.driver.connection().master();
        match output {
            Output::Rejected { call, status, why } => {
                tracing::warn!(kind = call.kind(), status, why, "the master has rejected a call");
            }
            Output::Unreadable { record, why } => tracing::warn!(bytes = record.len(), why, "an event cannot be read"),
            Output::Dropped(call) => {
                tracing::warn!(kind = call.kind(), "a call is dropped: there is no subscription");
            }
            Output::AttemptFailed { why, retry_at } => {
                let retry_in = *retry_at - self.now();
                tracing::warn!(%why, ?retry_in, next = master, "a subscription has failed");
            }
            Output::Disconnected { why, retry_at } => {
                let retry_in = *retry_at - self.now();
                tracing::warn!(%why, ?retry_in, master, "disconnected");
            }
            Output::Event(_) | Output::Stopped(_) => {} // the driver has taken these
        }
    }
}

impl<S: fmt::Debug, K: fmt::Debug> fmt::Debug for Client<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("driver", &self.driver).field("requests", &self.requests).finish_non_exhaustive()
    }
}

/// Returns a seed that is another for each client: it is drawn from the system.
fn random_seed() -> u64 {
    RandomState::new().hash_one(0)
}
