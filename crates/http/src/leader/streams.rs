//! The streams of frameworks: how they begin, what they are sent, and how they end.

use super::Leader;
use crate::gate::Session;
use crate::operator_api::agent_url;
use crate::transport::clock::set_unreachable_time;
use crate::transport::encoding::Encoding;
use crate::transport::stream::{Encoder, Heartbeats, Source, Stream, stream};
use crate::view::Touched;
use apportion::delivery::{AgentMessage, Closed, FrameworkMessage, Part};
use apportion::v1::Dialect;
use apportion::{AgentId, Command, Event, Framework, FrameworkId, Offer, Task, Time, Unavailability, Uuid};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::mpsc::error::TrySendError;

/// An open stream to a framework or an agent.
#[derive(Debug)]
pub(super) struct Open<E> {
    pub(super) id: Uuid,
    pub(super) source: Source<E>,
    pub(super) cut: Arc<Notify>,
    /// True once the first event was sent; what comes before belongs to the stream before.
    pub(super) has_begun: bool,
    /// The time since which the client has taken nothing, while there is something.
    full_since: Option<Time>,
}

impl<E> Open<E> {
    pub(super) fn new(id: Uuid, source: Source<E>, cut: Arc<Notify>) -> Self {
        Self { id, source, cut, has_begun: false, full_since: None }
    }
}

/// The open streams by recipient, and those that are full in order of time, so that an idle stream costs nothing at all.
#[derive(Debug)]
pub(super) struct Streams<K, E> {
    open: BTreeMap<K, Open<E>>,
    full: BTreeSet<(Time, K)>,
}

impl<K, E> Default for Streams<K, E> {
    fn default() -> Self {
        Self { open: BTreeMap::new(), full: BTreeSet::new() }
    }
}

impl<K: Ord + Clone, E> Streams<K, E> {
    pub(super) fn get(&self, recipient: &K) -> Option<&Open<E>> {
        self.open.get(recipient)
    }

    pub(super) fn get_mut(&mut self, recipient: &K) -> Option<&mut Open<E>> {
        self.open.get_mut(recipient)
    }

    pub(super) fn recipients(&self) -> impl Iterator<Item = &K> {
        self.open.keys()
    }

    /// Adds a stream. Returns the one that it replaces.
    pub(super) fn insert(&mut self, recipient: K, open: Open<E>) -> Option<Open<E>> {
        let before = self.remove(&recipient);
        self.open.insert(recipient, open);
        before
    }

    pub(super) fn remove(&mut self, recipient: &K) -> Option<Open<E>> {
        self.set_drained(recipient);
        self.open.remove(recipient)
    }

    /// Returns whether a stream takes another event. If it does not, it is noted as full since then.
    pub(super) fn has_room(&mut self, recipient: &K, at: Time) -> bool {
        let Some(open) = self.open.get_mut(recipient) else { return true };
        if open.full_since.is_some() {
            return false; // until it has taken what there is
        }
        if open.source.events.capacity() > 0 {
            return true;
        }
        open.source.is_full.store(true, Ordering::Release);
        if open.source.events.capacity() > 0 {
            return true;
        }
        open.full_since = Some(at);
        self.full.insert((at, recipient.clone()));
        false
    }

    /// Notes that a stream has room again.
    pub(super) fn set_drained(&mut self, recipient: &K) {
        if let Some(since) = self.open.get_mut(recipient).and_then(|open| open.full_since.take()) {
            self.full.remove(&(since, recipient.clone()));
        }
    }

    /// Returns the stream that is full for the longest time, and since when.
    pub(super) fn longest_full(&self) -> Option<&(Time, K)> {
        self.full.first()
    }
}

impl Leader {
    pub(super) fn subscribe(
        &mut self,
        at: Time,
        mut framework: Framework,
        encoding: Encoding,
        cut: Arc<Notify>,
    ) -> Stream {
        let known = self.gate.session(&framework.id);
        if let Some(Session { framework: known, .. }) = &known {
            // As in Mesos, these two stay as they were.
            framework.user.clone_from(&known.user);
            framework.checkpoint = known.checkpoint;
            if framework.principal != known.principal {
                return self.refusal("Framework principal cannot be changed".to_owned(), encoding);
            }
        } else if self.delivery.master().has_removed(&framework.id) {
            return self.refusal("Framework has been removed".to_owned(), encoding);
        }
        let was_recovered = self.delivery.master().known_framework(&framework.id).is_some();
        let dialect = Dialect::of(&framework);
        let mut described = framework.clone();
        let subscribed = self.delivery.subscribe(at, framework);
        self.observe(Touched::Nothing); // an effect tells it
        let id = match subscribed {
            Ok(id) => id,
            Err(error) => return self.refusal(error.to_string(), encoding),
        };
        let stream_id = self.next_stream_id();
        let encoder = Encoder { encoding, dialect };
        let interval = self.gate.settings.heartbeat_interval;
        let tally = self.tallies.entry(id.clone()).or_default();
        tally.subscribed();
        let beats = Heartbeats { interval, sent: tally.heartbeats() };
        let (source, stream) = stream((id.clone(), stream_id), encoder, beats, self.signals.clone());
        described.id = id.clone();
        let described = Arc::new(described);
        if known.is_some() || was_recovered {
            self.update_agents(at, &described);
        }
        tracing::info!(framework = %id, stream = %stream_id, "a framework has subscribed");
        self.gate.set_session(Session { framework: described, stream: Some(stream_id) });
        if let Some(before) = self.streams.insert(id, Open::new(stream_id, source, cut)) {
            tracing::info!(stream = %before.id, "another connection takes a framework over: this stream ends");
            before.end(Closed::FailedOver.event());
        }
        stream
    }

    /// Returns a stream that says why there is no subscription, and ends.
    pub(super) fn refusal(&mut self, reason: String, encoding: Encoding) -> Stream {
        tracing::info!(reason, "a subscription is refused");
        let id = self.next_stream_id();
        let encoder = Encoder { encoding, dialect: Dialect::default() };
        let interval = self.gate.settings.heartbeat_interval;
        let beats = Heartbeats { interval, sent: Arc::default() };
        let (source, stream) = stream((FrameworkId::from(""), id), encoder, beats, self.signals.clone());
        let _ = source.events.try_send(Box::new(Event::Error(reason))); // the stream is empty
        stream
    }

    pub(super) fn next_stream_id(&mut self) -> Uuid {
        self.opened += 1;
        Uuid::from_seed(self.gate.settings.seed, self.opened)
    }

    /// Breaks the connection of a framework.
    pub(super) fn disconnect(&mut self, at: Time, framework: &FrameworkId) {
        if let Some(open) = self.streams.remove(framework) {
            open.cut.notify_one();
        }
        self.gate.end_stream(framework);
        let deactivated = self.run(at, Command::DeactivateFramework(framework.clone()));
        if let Err(error) = deactivated {
            tracing::debug!(%framework, %error, "a framework had gone already");
        }
    }

    /// Notes that a framework was removed: its stream ends.
    pub(super) fn removed(&mut self, framework: &FrameworkId) {
        self.gate.remove(framework);
        self.tallies.swap_remove(framework);
        self.machines.forget(framework);
        if let Some(open) = self.streams.remove(framework) {
            open.end(None);
        }
    }

    /// Passes messages to the stream of a framework as long as it takes some.
    pub(super) fn pump(&mut self, at: Time, framework: &FrameworkId) {
        loop {
            if !self.streams.has_room(framework, at) {
                return;
            }
            let Some(envelope) = self.delivery.poll_message_to_framework(framework) else { return };
            match envelope.message {
                FrameworkMessage::Event(event) => self.send(framework, event),
                FrameworkMessage::Close(closed) => self.close(framework, closed),
                FrameworkMessage::Rejected(_) | _ => {} // 202 was the answer, the reason is in the log
            }
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "few events lack something")]
    fn send(&mut self, framework: &FrameworkId, event: Event) {
        let event = match event {
            Event::Subscribed(mut subscribed) => {
                subscribed.heartbeat = Some(self.gate.settings.heartbeat_interval);
                subscribed.master = self.gate.settings.master_info().into();
                Event::Subscribed(subscribed)
            }
            Event::Update(mut status) => {
                let time = self.gate.unix_time(self.delivery.now());
                status.timestamp.get_or_insert(time.as_secs_f64());
                set_unreachable_time(self.gate.started, &mut status);
                Event::Update(status)
            }
            Event::Offers(offers) => Event::Offers(offers.into_iter().map(|offer| self.addressed(offer)).collect()),
            Event::InverseOffers(mut offers) => {
                for offer in &mut offers {
                    let url = self.url(&offer.agent, None);
                    offer.details.insert("url", url);
                    offer.unavailability = self.unix_window(&offer.agent, offer.unavailability);
                }
                Event::InverseOffers(offers)
            }
            event => event,
        };
        let Some(open) = self.streams.get_mut(framework) else { return };
        if let Some(tally) = self.tallies.get_mut(framework) {
            tally.told(&event);
        }
        open.has_begun |= matches!(event, Event::Subscribed(_));
        match open.source.events.try_send(Box::new(event)) {
            Ok(()) => {}
            // The connection has ended: that will be told. It cannot be full, there was room.
            Err(TrySendError::Closed(_) | TrySendError::Full(_)) => {}
        }
    }

    fn addressed(&self, mut offer: Offer) -> Offer {
        let url = self.url(&offer.agent, Some(&offer.hostname));
        offer.details.insert("url", url);
        offer.unavailability = offer.unavailability.map(|window| self.unix_window(&offer.agent, window));
        offer
    }

    /// Returns the maintenance window of an agent on the clock of people: as the schedule has it, also if it began before the
    /// clock of the master.
    fn unix_window(&self, agent: &AgentId, window: Unavailability) -> Unavailability {
        let hostname = self.delivery.master().agent(agent).map(|agent| &agent.hostname);
        let scheduled = hostname.and_then(|hostname| self.machines.unavailability(hostname, self.address(agent).0));
        let unix_time = self.gate.unix_time(window.start);
        let start = scheduled.map_or(unix_time, |span| Duration::from_nanos(span.start.not_negative()));
        Unavailability { start: Time::ZERO + start, ..window }
    }

    fn url(&self, agent: &AgentId, hostname: Option<&str>) -> Json {
        let known = self.delivery.master().agent(agent).map(|agent| agent.hostname.as_str());
        agent_url(self.address(agent), hostname.or(known).unwrap_or_default())
    }

    fn close(&mut self, framework: &FrameworkId, closed: Closed) {
        // The end of a stream that another one has followed comes before that one's SUBSCRIBED.
        if self.streams.get(framework).is_none_or(|open| !open.has_begun) {
            return;
        }
        if closed == Closed::Removed {
            self.removed(framework);
            return;
        }
        self.gate.end_stream(framework);
        if let Some(open) = self.streams.remove(framework) {
            open.end(closed.event());
        }
    }
}

impl Open<Event> {
    /// Ends the stream, with a last event if there is one. A client that does not read is cut.
    fn end(self, last: Option<Event>) {
        if let Some(event) = last
            && self.source.events.try_send(Box::new(event)).is_err()
        {
            self.cut.notify_one();
        }
    }
}

/// Estimates the bytes of a message: what is bounded is memory, not records.
#[expect(clippy::wildcard_enum_match_arm, reason = "most events are small")]
pub(super) fn estimated_bytes(part: Part<'_>) -> u64 {
    const FIXED: u64 = 512;
    match part {
        Part::Offer(offer) => FIXED + 128 * (offer.resources.iter().count() + offer.attributes.iter().len()) as u64,
        Part::Framework(FrameworkMessage::Event(event)) => match event {
            Event::Update(status) => {
                let texts = status.task.as_str().len() + status.data.as_ref().map_or(0, Vec::len);
                FIXED + (128 * status.details.len() + texts) as u64
            }
            Event::Message { data, .. } => FIXED + data.len() as u64,
            _ => FIXED,
        },
        Part::Agent(message) => FIXED + agents_bytes(message),
        Part::InverseOffer(_) | Part::Framework(_) | _ => FIXED,
    }
}

/// Estimates the bytes of what frameworks have put into a message to an agent.
#[expect(clippy::wildcard_enum_match_arm, reason = "most messages are small")]
fn agents_bytes(message: &AgentMessage) -> u64 {
    let task = |task: &Task| task.details.iter().map(|(_, json)| json.text().len()).sum::<usize>();
    let bytes = match message {
        AgentMessage::Launch { task: launched, .. } => task(launched),
        AgentMessage::LaunchGroup { tasks, .. } => tasks.iter().map(task).sum(),
        AgentMessage::Message { data, .. } => data.len(),
        _ => 0,
    };
    bytes as u64
}
