//! The body of a subscription: events as records, each in a chunk of its own, and heartbeats between them.

use crate::protobuf::Protobuf;
use crate::transport::encoding::Encoding;
use apportion::delivery::Recipient;
use apportion::v1::{Dialect, write_record};
use apportion::{AgentId, Event, FrameworkId, TaskId, Uuid};
use bytes::Bytes;
use http_body::{Body, Frame};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// The number of events that are on their way to a connection. Further ones wait with the master, where offers that are
/// rescinded meanwhile are never sent.
pub(crate) const WINDOW: usize = 64;

/// A message of a stream to the task of the master.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// The client has taken events, after there were too many.
    Drained(Recipient, Uuid),
    /// The connection has ended.
    Ended(Recipient, Uuid),
    /// The connection of an agent is about to end, and these launches did not leave it.
    Unsent(AgentId, Uuid, Vec<(FrameworkId, TaskId)>),
}

/// The end of a stream at which the client reads.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) id: Uuid,
    framework: FrameworkId,
    /// Boxed: a channel takes its memory in blocks of 32, of which an idle stream has one.
    events: mpsc::Receiver<Box<Event>>,
    /// True if the master waits for room.
    is_full: Arc<AtomicBool>,
    signals: mpsc::UnboundedSender<Signal>,
    encoder: Encoder,
    heartbeat: Interval,
    heartbeats_sent: Arc<AtomicU64>,
    next: Next,
}

/// The next record of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The first record: SUBSCRIBED, or ERROR.
    First,
    /// A heartbeat right after SUBSCRIBED: some clients hand out an event only when the next one comes.
    Heartbeat,
    Events,
    End,
}

/// The heartbeats of a stream.
#[derive(Debug)]
pub(crate) struct Heartbeats {
    pub(crate) interval: Duration,
    /// The number of those that were sent.
    pub(crate) sent: Arc<AtomicU64>,
}

/// The end of a stream at which the master writes.
#[derive(Debug)]
pub(crate) struct Source<E> {
    pub(crate) events: mpsc::Sender<Box<E>>,
    pub(crate) is_full: Arc<AtomicBool>,
}

/// The form of the records of a stream.
#[derive(Debug)]
pub(crate) struct Encoder {
    pub(crate) encoding: Encoding,
    pub(crate) dialect: Dialect,
}

impl Encoder {
    /// Encodes an event as a record. Details of a wrong type came over a connection that checks them, or not at all.
    fn record(&self, event: &Event) -> Option<Bytes> {
        let message = match self.encoding {
            Encoding::Json => Ok(self.dialect.encode(event).into_bytes()),
            Encoding::Protobuf => Protobuf(self.dialect.clone()).encode(event),
        };
        match message {
            Ok(message) => {
                let mut record = Vec::with_capacity(message.len() + 8);
                write_record(&message, &mut record);
                Some(record.into())
            }
            Err(error) => {
                tracing::error!(%error, "an event cannot be encoded, and is not sent");
                None
            }
        }
    }
}

/// Returns the two ends of a stream of a framework.
pub(crate) fn stream(
    (framework, id): (FrameworkId, Uuid),
    encoder: Encoder,
    heartbeats: Heartbeats,
    signals: mpsc::UnboundedSender<Signal>,
) -> (Source<Event>, Stream) {
    let (sender, events) = mpsc::channel(WINDOW);
    let is_full = Arc::new(AtomicBool::new(false));
    let interval = heartbeats.interval.max(Duration::from_millis(1));
    let mut heartbeat = interval_at(Instant::now() + interval, interval);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay); // one that is late is one
    let source = Source { events: sender, is_full: is_full.clone() };
    let heartbeats_sent = heartbeats.sent;
    (source, Stream { id, framework, events, is_full, signals, encoder, heartbeat, heartbeats_sent, next: Next::First })
}

impl Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        loop {
            let event = match this.next {
                Next::End => return Poll::Ready(None),
                Next::Heartbeat => {
                    this.heartbeat.reset();
                    this.next = Next::Events;
                    Event::Heartbeat
                }
                Next::First | Next::Events => match this.events.poll_recv(cx) {
                    Poll::Ready(Some(event)) => {
                        if this.is_full.swap(false, Ordering::AcqRel) {
                            // It fails when the server has ended, which ends the stream, too.
                            let _ = this
                                .signals
                                .send(Signal::Drained(Recipient::Framework(this.framework.clone()), this.id));
                        }
                        if matches!(*event, Event::Subscribed(_)) {
                            this.next = Next::Heartbeat;
                        }
                        *event
                    }
                    Poll::Ready(None) => {
                        this.next = Next::End;
                        return Poll::Ready(None);
                    }
                    Poll::Pending if this.next == Next::Events => {
                        std::task::ready!(this.heartbeat.poll_tick(cx));
                        Event::Heartbeat
                    }
                    Poll::Pending => return Poll::Pending,
                },
            };
            if event == Event::Heartbeat {
                this.heartbeats_sent.fetch_add(1, Ordering::Relaxed);
            }
            if let Some(record) = this.encoder.record(&event) {
                return Poll::Ready(Some(Ok(Frame::data(record))));
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let _ = self.signals.send(Signal::Ended(Recipient::Framework(self.framework.clone()), self.id));
    }
}
