//! [`Link`]: what the connections of schedulers and executors share: one subscription at a time, and the calls beside it.

use super::endpoint::Endpoint;
use super::metrics::ConnectionMetrics;
use super::{DisconnectReason, HttpRequest, Output, RequestId, StopReason};
use crate::draw::draw;
use crate::time::Time;
use crate::v1::RecordReader;
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// The state machine below both connections. It knows requests, answers, records and times, and no message.
#[derive(Debug)]
pub(super) struct Link<C, E> {
    endpoints: Vec<Endpoint>,
    /// The endpoint of the list that is tried next, or is connected to.
    current: usize,
    /// The leader that a redirect named.
    leader: Option<Endpoint>,
    /// Redirects since the last answer of another kind.
    redirects: u32,
    pub(super) path: String,
    content_type: String,
    pub(super) headers: Headers,
    pub(super) max_record: usize,
    backoff: Backoff,
    last_id: u64,
    phase: Phase,
    stream_id: Option<String>,
    calls: VecDeque<Waiting<C>>,
    /// The bytes of the bodies of waiting calls.
    waiting_bytes: usize,
    in_flight: Option<InFlight<C>>,
    /// Since when there is no subscription, from the first attempt on.
    unsubscribed_since: Option<Time>,
    has_subscribed: bool,
    /// The reason to stop when the subscription is lost, if that is expected.
    stop_after: Option<StopReason>,
    /// True if it stops as soon as no call waits or is on its way.
    is_leaving: bool,
    pub(super) metrics: ConnectionMetrics,
    outputs: VecDeque<Output<C, E>>,
}

/// Headers of all requests. Their values may be secrets, so they are not shown.
#[derive(Default)]
pub(super) struct Headers(Vec<(String, String)>);

impl Headers {
    pub(super) fn push(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

#[derive(Debug)]
enum Phase {
    /// The next SUBSCRIBE goes out at `due`.
    Idle {
        due: Time,
    },
    /// A SUBSCRIBE is out; its answer, up to the first event, is due.
    Asked {
        id: RequestId,
        due: Time,
        answer: Answer,
    },
    /// Events come; the next is due, if heartbeats are.
    Subscribed {
        id: RequestId,
        since: Time,
        reader: RecordReader,
        quiet: Option<Duration>,
        due: Time,
    },
    Stopped,
}

/// What has come of the answer to a request.
#[derive(Debug)]
enum Answer {
    Nothing,
    /// A stream of events.
    Stream(RecordReader),
    /// A status, and the text after it.
    Status {
        status: u16,
        text: Vec<u8>,
    },
}

#[derive(Debug)]
struct Waiting<C> {
    call: C,
    body: Vec<u8>,
}

#[derive(Debug)]
struct InFlight<C> {
    id: RequestId,
    call: C,
    due: Time,
    answer: Answer,
}

/// Random times in [0, b], where b doubles up to a limit.
#[derive(Debug)]
struct Backoff {
    seed: u64,
    drawn: u64,
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    fn next(&mut self) -> Duration {
        self.drawn += 1;
        let most = u64::try_from(self.next.as_micros()).unwrap_or(u64::MAX - 1).min(u64::MAX - 1);
        self.next = self.next.saturating_mul(2).min(self.most);
        Duration::from_micros(draw(self.seed, self.drawn) % (most + 1))
    }

    fn reset(&mut self) {
        self.next = self.first;
    }
}

/// Appends to the text of an answer what may be told of it.
fn keep(text: &mut Vec<u8>, piece: &[u8]) {
    const MAX_TEXT: usize = 4096;
    text.extend_from_slice(&piece[..piece.len().min(MAX_TEXT - text.len().min(MAX_TEXT))]);
}

fn words(text: &[u8]) -> String {
    String::from_utf8_lossy(text).trim().to_owned()
}

impl<C, E> Link<C, E> {
    /// The time after which an answer is no longer awaited.
    const ANSWER_TIMEOUT: Duration = Duration::from_secs(75);
    /// The number of heartbeat intervals without a record after which the stream counts as broken.
    const MAX_QUIET_INTERVALS: u32 = 5;
    /// The life of a subscription that resets the back-off.
    const STABLE: Duration = Duration::from_secs(60);
    const MAX_REDIRECTS: u32 = 5;
    /// The most bytes of calls that wait to be sent.
    const MAX_WAITING: usize = 64 << 20;
    /// What a waiting call counts beside its body.
    const CALL_OVERHEAD: usize = 256;

    /// Returns a link that subscribes at once, and after a failure at a random time up to `backoff.0`, doubled up to
    /// `backoff.1`.
    pub(super) fn new(
        endpoints: Vec<Endpoint>,
        path: String,
        content_type: &str,
        backoff: (Duration, Duration),
        seed: u64,
    ) -> Self {
        let (first, most) = backoff;
        Self {
            endpoints,
            current: 0,
            leader: None,
            redirects: 0,
            path,
            content_type: content_type.to_owned(),
            headers: Headers::default(),
            max_record: RecordReader::MAX_RECORD,
            backoff: Backoff { seed, drawn: 0, first, most, next: first },
            last_id: 0,
            phase: Phase::Idle { due: Time::ZERO },
            stream_id: None,
            calls: VecDeque::new(),
            waiting_bytes: 0,
            in_flight: None,
            unsubscribed_since: None,
            has_subscribed: false,
            stop_after: None,
            is_leaving: false,
            metrics: ConnectionMetrics::default(),
            outputs: VecDeque::new(),
        }
    }

    // ---- in: calls

    /// Queues a call, or tells that it is dropped.
    pub(super) fn send(&mut self, call: C, body: Vec<u8>) {
        let size = body.len() + Self::CALL_OVERHEAD;
        if self.is_subscribed() && self.waiting_bytes + size <= Self::MAX_WAITING {
            self.waiting_bytes += size;
            self.calls.push_back(Waiting { call, body });
        } else {
            self.outputs.push_back(Output::Dropped(call));
        }
    }

    pub(super) fn push(&mut self, output: Output<C, E>) {
        self.outputs.push_back(output);
    }

    /// Queues an output before all others.
    pub(super) fn push_first(&mut self, output: Output<C, E>) {
        self.outputs.push_front(output);
    }

    // ---- out: requests

    /// Returns a SUBSCRIBE if it is time for one.
    pub(super) fn poll_subscribe(&mut self, at: Time, body: impl FnOnce() -> Vec<u8>) -> Option<HttpRequest> {
        if !matches!(self.phase, Phase::Idle { due } if due <= at) {
            return None;
        }
        self.unsubscribed_since.get_or_insert(at);
        self.metrics.attempts += 1;
        let request = self.request(body(), true);
        self.phase = Phase::Asked { id: request.id, due: at + Self::ANSWER_TIMEOUT, answer: Answer::Nothing };
        Some(request)
    }

    /// Returns the next call, if none is on its way.
    pub(super) fn poll_call(&mut self, at: Time) -> Option<HttpRequest> {
        if !self.is_subscribed() || self.in_flight.is_some() {
            return None;
        }
        let Waiting { call, body } = self.calls.pop_front()?;
        self.waiting_bytes -= body.len() + Self::CALL_OVERHEAD;
        let request = self.request(body, false);
        let due = at + Self::ANSWER_TIMEOUT;
        self.in_flight = Some(InFlight { id: request.id, call, due, answer: Answer::Nothing });
        Some(request)
    }

    fn request(&mut self, body: Vec<u8>, is_stream: bool) -> HttpRequest {
        self.last_id += 1;
        let endpoint = self.endpoint();
        let mut headers = vec![
            ("Content-Type".to_owned(), self.content_type.clone()),
            ("Accept".to_owned(), self.content_type.clone()),
        ];
        headers.extend(self.headers.0.iter().cloned());
        if let Some(id) = self.stream_id.as_ref().filter(|_| !is_stream) {
            headers.push(("Mesos-Stream-Id".to_owned(), id.clone()));
        }
        HttpRequest {
            id: RequestId(self.last_id),
            url: format!("{endpoint}{}", self.path),
            scheme_length: endpoint.scheme().len(),
            authority_length: endpoint.authority().len(),
            headers,
            body,
            is_stream,
        }
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        self.leader.as_ref().unwrap_or(&self.endpoints[self.current])
    }

    /// Replaces the endpoints; what goes on with one that is not among them is ended.
    pub(super) fn set_endpoints(&mut self, at: Time, endpoints: Vec<Endpoint>) {
        let found = endpoints.iter().position(|endpoint| endpoint == self.endpoint());
        self.endpoints = endpoints;
        self.leader = None;
        if found.is_none() && matches!(self.phase, Phase::Asked { .. } | Phase::Subscribed { .. }) {
            self.lose_until(at, DisconnectReason::LeaderChanged, at);
        }
        self.current = found.unwrap_or(0);
    }

    // ---- in: answers

    pub(super) fn handle_response<'h>(
        &mut self,
        at: Time,
        id: RequestId,
        status: u16,
        headers: impl IntoIterator<Item = (&'h str, &'h str)>,
    ) {
        let (mut location, mut stream_id) = (None, None);
        for (name, value) in headers {
            if name.eq_ignore_ascii_case("location") {
                location = Some(value);
            } else if name.eq_ignore_ascii_case("mesos-stream-id") && value.bytes().all(|byte| byte.is_ascii_graphic())
            {
                stream_id = Some(value.to_owned());
            }
        }
        let is_redirect = matches!(status, 307 | 308);
        if let Phase::Asked { id: asked, answer, .. } = &mut self.phase
            && *asked == id
        {
            if status == 200 {
                *answer = Answer::Stream(RecordReader::new(self.max_record));
                self.stream_id = stream_id;
            } else {
                *answer = Answer::Status { status, text: Vec::new() };
            }
        } else if let Some(in_flight) = self.in_flight.as_mut().filter(|in_flight| in_flight.id == id) {
            in_flight.answer = Answer::Status { status, text: Vec::new() };
        } else {
            return;
        }
        if is_redirect {
            self.redirect(at, location.unwrap_or_default());
        }
    }

    /// Subscribes with the leader that a redirect names.
    fn redirect(&mut self, at: Time, location: &str) {
        let Some(leader) = self.endpoint().redirect(location) else {
            let location = location.chars().take(200).collect();
            return self.lose(at, DisconnectReason::BadRedirect { location });
        };
        if self.redirects == Self::MAX_REDIRECTS {
            return self.lose(at, DisconnectReason::TooManyRedirects { most: Self::MAX_REDIRECTS });
        }
        if self.is_subscribed() {
            self.lose_until(at, DisconnectReason::LeaderChanged, at);
        }
        if !self.is_stopped() {
            self.redirects += 1;
            self.metrics.redirects += 1;
            self.leader = Some(leader);
            self.phase = Phase::Idle { due: at };
        }
    }

    /// Takes bytes off `piece` up to the end of a record of the stream, and returns that record.
    pub(super) fn read(&mut self, at: Time, id: RequestId, piece: &mut &[u8]) -> Option<Vec<u8>> {
        let record = match &mut self.phase {
            Phase::Asked { id: asked, answer, .. } if *asked == id => match answer {
                Answer::Stream(reader) => reader.read(piece),
                Answer::Status { text, .. } => {
                    keep(text, piece);
                    Ok(None)
                }
                Answer::Nothing => Ok(None),
            },
            Phase::Subscribed { id: subscribed, reader, quiet, due, .. } if *subscribed == id => {
                let record = reader.read(piece);
                if let (Ok(Some(_)), Some(quiet)) = (&record, quiet) {
                    *due = at + *quiet;
                }
                record
            }
            Phase::Idle { .. } | Phase::Asked { .. } | Phase::Subscribed { .. } | Phase::Stopped => {
                if let Some(InFlight { answer: Answer::Status { text, .. }, .. }) =
                    self.in_flight.as_mut().filter(|in_flight| in_flight.id == id)
                {
                    keep(text, piece);
                }
                Ok(None)
            }
        };
        if matches!(record, Ok(Some(_))) {
            self.metrics.last_record = Some(at);
        }
        record.unwrap_or_else(|error| {
            self.lose(at, DisconnectReason::Records(error));
            None
        })
    }

    /// Ends the answer to a request. Returns the call if it was accepted.
    pub(super) fn handle_end(&mut self, at: Time, id: RequestId) -> Option<C> {
        match &mut self.phase {
            Phase::Asked { id: asked, answer, .. } if *asked == id => {
                match std::mem::replace(answer, Answer::Nothing) {
                    Answer::Status { status, text } => self.refused(at, status, words(&text)),
                    Answer::Stream(_) | Answer::Nothing => self.lose(at, DisconnectReason::StreamEnded),
                }
            }
            Phase::Subscribed { id: subscribed, .. } if *subscribed == id => {
                self.lose(at, DisconnectReason::StreamEnded);
            }
            Phase::Idle { .. } | Phase::Asked { .. } | Phase::Subscribed { .. } | Phase::Stopped => {
                let InFlight { call, answer, .. } = self.in_flight.take_if(|in_flight| in_flight.id == id)?;
                match answer {
                    Answer::Status { status: 200..300, .. } => return Some(call),
                    Answer::Status { status, text } => self.call_refused(at, call, status, words(&text)),
                    Answer::Nothing | Answer::Stream(_) => {
                        self.outputs.push_back(Output::Dropped(call));
                        self.lose(at, DisconnectReason::Failed("an answer ended before its status".to_owned()));
                    }
                }
            }
        }
        None
    }

    /// Decides on a SUBSCRIBE that was answered with another status than 200.
    fn refused(&mut self, at: Time, status: u16, why: String) {
        match status {
            408 | 425 | 429 => self.lose(at, DisconnectReason::Status { status, why }),
            400..500 => self.stop(StopReason::Refused { status, why }),
            _ => self.lose(at, DisconnectReason::Status { status, why }),
        }
    }

    /// Decides on a call that was answered with another status than 2xx.
    fn call_refused(&mut self, at: Time, call: C, status: u16, why: String) {
        let lower = why.to_ascii_lowercase();
        let is_of_stream = lower.contains("stream id") || lower.contains("stream-id");
        if (400..500).contains(&status) && status != 403 && !(status == 400 && is_of_stream) {
            self.outputs.push_back(Output::Rejected { call, status, why });
        } else {
            self.outputs.push_back(Output::Dropped(call));
            self.lose(at, DisconnectReason::Status { status, why });
        }
    }

    pub(super) fn handle_failure(&mut self, at: Time, id: RequestId, why: String) {
        if self.is_open(id) {
            self.lose(at, DisconnectReason::Failed(why));
        }
    }

    // ---- time

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        let in_flight = self.in_flight.as_ref().map(|in_flight| in_flight.due);
        let phase = match &self.phase {
            Phase::Idle { due } | Phase::Asked { due, .. } => Some(*due),
            Phase::Subscribed { quiet, due, .. } => quiet.map(|_| *due),
            Phase::Stopped => None,
        };
        phase.into_iter().chain(in_flight).min()
    }

    pub(super) fn handle_timeout(&mut self, at: Time) {
        match &self.phase {
            Phase::Asked { due, .. } if *due <= at => {
                self.lose(at, DisconnectReason::NoAnswer { within: Self::ANSWER_TIMEOUT });
            }
            Phase::Subscribed { quiet: Some(quiet), due, .. } if *due <= at => {
                self.lose(at, DisconnectReason::NoHeartbeat { within: *quiet });
            }
            Phase::Idle { .. } | Phase::Asked { .. } | Phase::Subscribed { .. } | Phase::Stopped => {}
        }
        if self.in_flight.as_ref().is_some_and(|in_flight| in_flight.due <= at) {
            self.lose(at, DisconnectReason::NoAnswer { within: Self::ANSWER_TIMEOUT });
        }
    }

    // ---- what the owner reads in the records

    /// Takes the subscription as made, on a stream with heartbeats at that interval.
    pub(super) fn subscribed(&mut self, at: Time, heartbeat: Option<Duration>) {
        let Phase::Asked { id, answer: Answer::Stream(reader), .. } = &mut self.phase else { return };
        let heartbeat = heartbeat.filter(|interval| !interval.is_zero());
        let quiet = heartbeat.map(|interval| interval.saturating_mul(Self::MAX_QUIET_INTERVALS));
        let due = at + quiet.unwrap_or_default();
        let reader = std::mem::take(reader);
        self.phase = Phase::Subscribed { id: *id, since: at, reader, quiet, due };
        (self.redirects, self.unsubscribed_since, self.has_subscribed) = (0, None, true);
        self.metrics.connects += 1;
    }

    /// Sets what a lost subscription means: an end, or `None` for another attempt.
    pub(super) fn stop_after(&mut self, reason: Option<StopReason>) {
        self.stop_after = reason;
    }

    /// Ends as soon as the calls that wait are answered; at once if there is no subscription.
    pub(super) fn leave(&mut self) {
        self.is_leaving = true;
        self.stop_after.get_or_insert(StopReason::Left);
        self.leave_if_idle();
    }

    pub(super) fn leave_if_idle(&mut self) {
        let is_idle = self.calls.is_empty() && self.in_flight.is_none();
        if self.is_leaving && !self.is_stopped() && (is_idle || !self.is_subscribed()) {
            let reason = self.stop_after.take();
            self.stop(reason.unwrap_or(StopReason::Left));
        }
    }

    /// Ends a subscription, or the attempt at one, and backs off before the next attempt.
    pub(super) fn lose(&mut self, at: Time, why: DisconnectReason) {
        if matches!(self.phase, Phase::Subscribed { since, .. } if at - since >= Self::STABLE) {
            self.backoff.reset();
        }
        let retry_at = at + self.backoff.next();
        self.lose_until(at, why, retry_at);
    }

    /// Ends a subscription, or the attempt at one, and waits for the next attempt.
    fn lose_until(&mut self, at: Time, why: DisconnectReason, retry_at: Time) {
        let was_subscribed = self.is_subscribed();
        match (self.is_stopped(), self.stop_after.take()) {
            (true, _) => return,
            (false, Some(reason)) => return self.stop(reason),
            (false, None) => {}
        }
        self.redirects = 0;
        self.drop_calls();
        self.phase = Phase::Idle { due: retry_at };
        self.outputs.push_back(if was_subscribed {
            self.unsubscribed_since = Some(at); // the leader is asked first: most often it is the connection that broke
            Output::Disconnected { why, retry_at }
        } else {
            self.leader = None;
            self.current = (self.current + 1) % self.endpoints.len();
            Output::AttemptFailed { why, retry_at }
        });
    }

    /// Ends everything, unless it has ended before.
    pub(super) fn stop(&mut self, reason: StopReason) {
        if self.is_stopped() {
            return;
        }
        self.drop_calls();
        self.phase = Phase::Stopped;
        self.outputs.push_back(Output::Stopped(reason));
    }

    fn drop_calls(&mut self) {
        self.stream_id = None;
        self.waiting_bytes = 0;
        let in_flight = self.in_flight.take().map(|in_flight| in_flight.call);
        let calls = in_flight.into_iter().chain(self.calls.drain(..).map(|waiting| waiting.call));
        self.outputs.extend(calls.map(Output::Dropped));
    }

    // ---- what is

    pub(super) fn poll_output(&mut self) -> Option<Output<C, E>> {
        self.outputs.pop_front()
    }

    fn is_in_flight(&self, id: RequestId) -> bool {
        self.in_flight.as_ref().is_some_and(|in_flight| in_flight.id == id)
    }

    pub(super) fn is_open(&self, id: RequestId) -> bool {
        let is_stream = match &self.phase {
            Phase::Asked { id: open, .. } | Phase::Subscribed { id: open, .. } => *open == id,
            Phase::Idle { .. } | Phase::Stopped => false,
        };
        is_stream || self.is_in_flight(id)
    }

    pub(super) fn is_subscribed(&self) -> bool {
        matches!(self.phase, Phase::Subscribed { .. })
    }

    pub(super) fn is_stopped(&self) -> bool {
        matches!(self.phase, Phase::Stopped)
    }

    /// Returns since when there is no subscription; `None` if there is one, or none was asked for.
    pub(super) fn unsubscribed_since(&self) -> Option<Time> {
        self.unsubscribed_since
    }

    pub(super) fn has_subscribed(&self) -> bool {
        self.has_subscribed
    }
}
