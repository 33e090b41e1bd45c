//! [`Connection`]: a framework's connection to its master.

use super::endpoint::Endpoint;
use super::link::Link;
use super::metrics::ConnectionMetrics;
use super::reconciliation::Reconciliation;
use super::{Answer, Codec, DisconnectReason, EndpointError, HttpRequest, Output, RequestId, StopReason};
use crate::framework::Framework;
use crate::scheduler::{Call, Event, TaskRef};
use crate::time::Time;
use crate::v1::{Dialect, SchedulerCall};
use std::collections::VecDeque;
use std::time::Duration;

/// A framework's connection to the leading master, without I/O.
///
/// It keeps a subscription: it asks the masters of a list in turn, follows redirects (307, at most 5 in a row), tries again where
/// there is no leader yet (503), and where a stream breaks or is silent for 5 heartbeat intervals. Before each new attempt it waits
/// for a random time of up to 1 s, 2 s, 4 s ... 15 s; a subscription that has lived for 60 s starts that anew. An answer that takes
/// 75 s is given up.
///
/// - **The id** that SUBSCRIBED gives is in [`Connection::framework`]. Store it: a program that starts with it again takes over the
///   tasks of the one before. Without an id, it starts a new framework.
/// - **Calls** go out one by one, in order, each with the `Mesos-Stream-Id` of its subscription. A call that is made without a
///   subscription, or is not answered before it is lost, is [dropped](Output::Dropped), unless it means the same later: KILL,
///   SHUTDOWN, UPDATE_FRAMEWORK and TEARDOWN go out with the next subscription. A status of 400 to 499 makes it
///   [rejected](Output::Rejected), but for 403 and a wrong stream id: then the subscription is the matter, and is made anew.
/// - **Acknowledgements** are made by [`deliver`](crate::scheduler::deliver), after the scheduler has seen the status.
/// - **Reconciliation**: after each SUBSCRIBED but the first, and every 15 minutes, the connection asks for the states of all tasks
///   that were launched over it or had a status, and have not ended, again and again (5 s, 10 s ... 300 s apart) until each is
///   answered; then for all that the master knows. The answers are events as any others. A program that starts anew names the tasks
///   it knows to [`Connection::task`], or reconciles in [`Scheduler::subscribed`](crate::Scheduler::subscribed) by itself.
/// - **It ends** ([`Output::Stopped`]) when the subscription is refused, when another instance of the framework has taken over
///   (`Framework failed over`), when the framework has been removed, after its own [`Call::Teardown`] or
///   [`Connection::teardown`], and after [`Connection::stop`], which leaves the framework registered. Any other ERROR event is
///   followed by a new attempt.
///
/// See the [module](super) for the order of polling.
///
/// # Examples
///
/// ```
/// use apportion::v1::connection::{Connection, Output};
/// use apportion::v1::write_record;
/// use apportion::{Call, Event, Framework, Role, Time};
///
/// let framework = Framework::new("").role(Role::new("web")?); // no id yet
/// let mut connection = Connection::new(["m1:5050", "m2:5050"], framework, 7)?;
///
/// // m1 is not the leader, and names it.
/// let request = connection.poll_request(Time::ZERO).expect("a SUBSCRIBE");
/// assert_eq!((request.authority(), request.path()), ("m1:5050", "/api/v1/scheduler"));
/// connection.handle_response(Time::ZERO, request.id, 307, [("Location", "//m3:5050/api/v1/scheduler")]);
///
/// let request = connection.poll_request(Time::ZERO).expect("a SUBSCRIBE to the leader");
/// assert_eq!((request.url.as_str(), request.is_stream), ("http://m3:5050/api/v1/scheduler", true));
/// connection.handle_response(Time::ZERO, request.id, 200, [("Mesos-Stream-Id", "s1")]);
/// let mut body = Vec::new();
/// write_record(br#"{"type":"SUBSCRIBED","subscribed":{"framework_id":{"value":"f1"},"heartbeat_interval_seconds":15}}"#, &mut body);
/// connection.handle_bytes(Time::ZERO, request.id, &body);
/// assert!(matches!(connection.poll_output(), Some(Output::Event(Event::Subscribed(_)))));
/// assert_eq!(connection.framework().id.as_str(), "f1");
///
/// // A call goes with the ids of the framework and of the stream.
/// connection.send(Call::Suppress(vec![]));
/// let request = connection.poll_request(Time::ZERO).expect("the call");
/// assert!(request.headers.contains(&("Mesos-Stream-Id".into(), "s1".into())));
/// assert_eq!(request.body, br#"{"type":"SUPPRESS","framework_id":{"value":"f1"}}"#);
/// connection.handle_response(Time::ZERO, request.id, 202, []);
/// connection.handle_end(Time::ZERO, request.id);
///
/// // No record for 75 s.
/// assert_eq!(connection.poll_timeout(), Some(Time::from_secs(75)));
/// connection.handle_timeout(Time::from_secs(75));
/// assert!(matches!(connection.poll_output(), Some(Output::Disconnected { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Connection<K = Dialect> {
    codec: K,
    framework: Framework,
    link: Link<Call, Event>,
    reconciliation: Reconciliation,
    /// Calls without a subscription that do not belong to one: they go out after the next SUBSCRIBED, in this order.
    kept: VecDeque<Call>,
    /// True from [`Connection::teardown`] on.
    is_ending: bool,
}

impl Connection {
    /// Returns a connection of that framework to the leader of these masters, in v1 JSON, in the [`Dialect`] of the framework.
    ///
    /// A master is `host:port`, also with `http://` or `https://` before it. The times of the back-off are drawn from `seed`: give
    /// each program another, so that they do not all come at once.
    ///
    /// # Errors
    ///
    /// [`EndpointError`] if there is no master, or one is no address.
    pub fn new<M: AsRef<str>>(
        masters: impl IntoIterator<Item = M>,
        framework: Framework,
        seed: u64,
    ) -> Result<Self, EndpointError> {
        Self::with_codec(Dialect::of(&framework), masters, framework, seed)
    }
}

impl<K: Codec<SchedulerCall, Event>> Connection<K> {
    const PATH: &'static str = "/api/v1/scheduler";
    /// The most calls that are kept for the next subscription.
    const MAX_KEPT: usize = 10_000;
    const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));

    /// Returns a connection whose messages are those of a codec; see [`Connection::new`].
    ///
    /// # Errors
    ///
    /// [`EndpointError`] if there is no master, or one is no address.
    pub fn with_codec<M: AsRef<str>>(
        codec: K,
        masters: impl IntoIterator<Item = M>,
        mut framework: Framework,
        seed: u64,
    ) -> Result<Self, EndpointError> {
        // Its name stays the same when it gets an id.
        framework.name.get_or_insert_with(|| framework.id.as_str().into());
        let masters = endpoints(masters)?;
        let link = Link::new(masters, Self::PATH.to_owned(), codec.content_type(), Self::BACKOFF, seed);
        let (reconciliation, kept) = (Reconciliation::new(), VecDeque::new());
        Ok(Self { codec, framework, link, reconciliation, kept, is_ending: false })
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

    /// Sets the time between two reconciliations, 15 minutes by default. With `None` the connection does not reconcile at all, also
    /// not after a lost subscription.
    #[must_use]
    pub fn reconcile_every(mut self, interval: Option<Duration>) -> Self {
        self.reconciliation.interval = interval;
        self
    }

    /// Names a task of the framework from before this connection: it is reconciled after the first SUBSCRIBED too.
    #[must_use]
    pub fn task(mut self, task: TaskRef) -> Self {
        self.reconciliation.know(task);
        self
    }

    /// Replaces the list of masters, as when a cluster's list has changed or another leader has been detected.
    ///
    /// If the present master is not among them, the subscription is made anew.
    ///
    /// # Errors
    ///
    /// [`EndpointError`] if there is no master, or one is no address; nothing has changed then.
    pub fn set_masters<M: AsRef<str>>(
        &mut self,
        at: Time,
        masters: impl IntoIterator<Item = M>,
    ) -> Result<(), EndpointError> {
        self.link.set_endpoints(at, endpoints(masters)?);
        self.settle();
        Ok(())
    }

    /// Queues a call. It goes out with [`Connection::poll_request`], after those that were queued before it.
    pub fn send(&mut self, call: Call) {
        self.reconciliation.observe_call(&call);
        let body = if self.link.is_subscribed() { self.encode(call.clone()) } else { Vec::new() };
        self.link.send(call, body);
    }

    /// Stops without a teardown: calls that wait are still sent, for as long as the subscription lasts, and then the connection
    /// [ends](StopReason::Left). The framework stays registered for its failover timeout, with its tasks, and another connection
    /// with its id goes on with it.
    pub fn stop(&mut self) {
        self.link.leave();
        self.settle();
    }

    /// Removes the framework with all its tasks, as soon as there is a subscription: unlike with a [`Call::Teardown`] that is sent,
    /// a lost subscription only delays it.
    pub fn teardown(&mut self) {
        if !std::mem::replace(&mut self.is_ending, true) && self.link.is_subscribed() {
            self.send(Call::Teardown);
        }
    }

    fn encode(&self, call: Call) -> Vec<u8> {
        self.codec.encode(&SchedulerCall::new(self.framework.id.clone(), call))
    }

    /// Returns the next request to send, if there is one.
    #[must_use]
    pub fn poll_request(&mut self, at: Time) -> Option<HttpRequest> {
        let (codec, framework) = (&self.codec, &self.framework);
        let subscribe = || {
            let call = Call::Subscribe(Box::new(framework.clone()));
            codec.encode(&SchedulerCall::new(framework.id.clone(), call))
        };
        self.link.poll_subscribe(at, subscribe).or_else(|| self.link.poll_call(at))
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
        self.settle();
    }

    /// Takes a piece of the body of an answer, of any size.
    pub fn handle_bytes(&mut self, at: Time, id: RequestId, mut piece: &[u8]) {
        while let Some(record) = self.link.read(at, id, &mut piece) {
            self.take(at, record);
        }
        self.settle();
    }

    /// Takes the end of an answer: all of its body has come.
    pub fn handle_end(&mut self, at: Time, id: RequestId) {
        match self.link.handle_end(at, id) {
            None => {}
            Some(call) => self.accepted(call),
        }
        self.settle();
    }

    fn accepted(&mut self, call: Call) {
        self.link.metrics.calls_of(call.kind()).accepted += 1;
        if let Call::UpdateFramework(update) = call {
            let id = self.framework.id.clone(); // the next SUBSCRIBE says what the master knows
            self.framework = Framework { id, ..*update };
        } else if matches!(call, Call::Teardown) {
            self.link.stop_after(Some(StopReason::TornDown));
        }
    }

    /// Takes the failure of a request: it could not be sent, or its answer broke off. The reason is for people.
    pub fn handle_failure(&mut self, at: Time, id: RequestId, why: impl Into<String>) {
        self.link.handle_failure(at, id, why.into());
        self.settle();
    }

    /// Returns the time of the next timer, if there is one.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.link.poll_timeout().into_iter().chain(self.reconciliation.poll_timeout()).min()
    }

    /// Fires the timers that are due.
    pub fn handle_timeout(&mut self, at: Time) {
        self.link.handle_timeout(at);
        self.settle();
        let calls = self.reconciliation.handle_timeout(at);
        self.reconcile(calls);
    }

    fn reconcile(&mut self, calls: Vec<Call>) {
        self.link.metrics.reconciliations = self.reconciliation.runs();
        calls.into_iter().for_each(|call| self.send(call));
    }

    /// Returns the next output, if there is one.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output<Call, Event>> {
        loop {
            let mut output = self.link.poll_output()?;
            if let Output::Dropped(call) = output {
                match self.keep(call) {
                    None => continue,
                    Some(call) => output = Output::Dropped(call),
                }
            } else if matches!(output, Output::Stopped(_))
                && let Some(call) = self.kept.pop_front()
            {
                self.link.push_first(output);
                output = Output::Dropped(call);
            }
            self.link.metrics.count(&output, Call::kind, Event::kind);
            return Some(output);
        }
    }

    /// Keeps a call that was not sent for the next subscription. Returns it if it belongs to the one that is lost.
    fn keep(&mut self, call: Call) -> Option<Call> {
        let is_repeated = self.is_ending && matches!(call, Call::Teardown);
        let is_full = self.kept.len() >= Self::MAX_KEPT;
        if !outlives_subscription(&call) || is_repeated || is_full || self.link.is_stopped() {
            return Some(call);
        }
        match self.link.is_subscribed() {
            true => self.send(call), // there is another one by now
            false => self.kept.push_back(call),
        }
        None
    }

    /// Returns what the connection has done so far. Events and calls that are dropped or rejected count when they are handed out.
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

    /// Returns the framework as it subscribes, with the id that SUBSCRIBED gave and what its calls have changed.
    #[must_use]
    pub fn framework(&self) -> &Framework {
        &self.framework
    }

    /// Returns the master that is connected to, or tried next, as `http://host:port`.
    #[must_use]
    pub fn master(&self) -> String {
        self.link.endpoint().to_string()
    }

    /// Takes a record: hands out its event, and draws the conclusions.
    fn take(&mut self, at: Time, record: Vec<u8>) {
        let event = match self.codec.decode(&record) {
            Ok(event) => event,
            Err(why) => return self.link.push(Output::Unreadable { record, why }),
        };
        match &event {
            Event::Subscribed(subscribed) if !self.link.is_subscribed() => {
                let is_first = !self.link.has_subscribed();
                self.framework.id = subscribed.framework.clone();
                self.link.subscribed(at, subscribed.heartbeat);
                self.link.push(Output::Event(event));
                if self.is_ending {
                    return self.send(Call::Teardown); // the tasks end: there is nothing to reconcile
                }
                std::mem::take(&mut self.kept).into_iter().for_each(|call| self.send(call));
                let calls = self.reconciliation.subscribed(at, is_first);
                self.reconcile(calls);
            }
            Event::Update(status) => {
                let last = self.reconciliation.observe_status(status, at);
                self.link.push(Output::Event(event));
                last.into_iter().for_each(|call| self.send(call));
            }
            Event::Error(message) => {
                let message = message.clone();
                self.link.push(Output::Event(event));
                self.end(at, message);
            }
            Event::Subscribed(_)
            | Event::Offers(_)
            | Event::InverseOffers(_)
            | Event::Rescind(_)
            | Event::RescindInverseOffer(_)
            | Event::UpdateOperation(_)
            | Event::Message { .. }
            | Event::Failure(_)
            | Event::Heartbeat
            | Event::Unknown(_) => self.link.push(Output::Event(event)),
        }
    }

    /// Decides on an ERROR event, which ends the subscription. Mesos tells the cases apart by their words alone.
    fn end(&mut self, at: Time, message: String) {
        let is_refusal = !self.link.is_subscribed();
        if message.contains("failed over") {
            self.link.stop(StopReason::FailedOver);
        } else if message.contains("has been removed") {
            // A teardown whose answer was lost has been done.
            self.link.stop(if self.is_ending { StopReason::TornDown } else { StopReason::Removed });
        } else if is_refusal {
            self.link.stop(StopReason::Refused { status: 200, why: message });
        } else {
            self.link.lose(at, DisconnectReason::Error(message));
        }
    }

    /// Ends with a lost subscription what belongs to it.
    fn settle(&mut self) {
        self.link.leave_if_idle();
        if !self.link.is_subscribed() {
            self.reconciliation.disconnected();
        }
    }
}

/// Returns whether a call means the same in a later subscription. Offers are void by then, statuses come again, and filters and
/// suppressed roles are those of the new SUBSCRIBE; but a task that was to be killed still is.
fn outlives_subscription(call: &Call) -> bool {
    match call {
        Call::Kill(_) | Call::Shutdown { .. } | Call::UpdateFramework(_) | Call::Teardown => true,
        Call::Subscribe(_)
        | Call::Accept(_)
        | Call::Decline { .. }
        | Call::AcceptInverseOffers { .. }
        | Call::DeclineInverseOffers { .. }
        | Call::Suppress(_)
        | Call::Revive(_)
        | Call::Reconcile(_)
        | Call::Acknowledge { .. }
        | Call::AcknowledgeOperation { .. }
        | Call::ReconcileOperations(_)
        | Call::Message { .. }
        | Call::Request(_)
        | Call::Invalid { .. } => false,
    }
}

fn endpoints<M: AsRef<str>>(masters: impl IntoIterator<Item = M>) -> Result<Vec<Endpoint>, EndpointError> {
    let masters = masters.into_iter().map(|master| master.as_ref().parse());
    let masters: Vec<Endpoint> = masters.collect::<Result<_, _>>()?;
    if masters.is_empty() { Err(EndpointError::None) } else { Ok(masters) }
}
