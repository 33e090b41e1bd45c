//! `GET /apportion/events`: events as they happen, in the form that browsers read (server-sent events).

use crate::gate::Gate;
use crate::leader::events::{EffectWatch, ToldEffect};
use crate::transport::answer::{Answer, text};
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::{Body, Frame};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

/// The media type of the stream.
pub(crate) const CONTENT_TYPE: &str = "text/event-stream";

/// The most readers at the same time.
const MAX_READERS: usize = 256;

/// The most events of one chunk.
const MAX_BATCH: usize = 64;

/// The chunks that are on their way to a connection.
const WINDOW: usize = 4;

/// The time after which a browser whose connection broke comes again, in milliseconds.
const RETRY: u32 = 2000;

/// Sent to a reader that has missed events: it should look at everything again.
const RESET: &[u8] = b"event: reset\ndata: {}\n\n";

/// A bounded number of readers.
#[derive(Debug)]
pub(crate) struct Readers(Arc<Semaphore>);

/// The stream of one reader. It ends with the master, and with the connection.
#[derive(Debug)]
pub(crate) struct EventStream(mpsc::Receiver<Bytes>);

impl Readers {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MAX_READERS)))
    }

    /// Admits a reader. The answer else is 503.
    pub(crate) fn admit(&self) -> Result<OwnedSemaphorePermit, Answer> {
        self.0.clone().try_acquire_owned().map_err(|_| {
            text(StatusCode::SERVICE_UNAVAILABLE, format!("{MAX_READERS} readers of events are connected already"))
        })
    }
}

/// Starts the stream of a reader, which has seen events up to `last`, if it was here before. `cut` cuts its connection.
pub(crate) fn stream(
    gate: &Gate,
    watch: EffectWatch,
    last: Option<&str>,
    permit: OwnedSemaphorePermit,
    cut: Arc<Notify>,
) -> EventStream {
    let id = gate.settings.id.clone();
    let mut first = BytesMut::from(format!("retry: {RETRY}\n: events of {id}\n\n").as_bytes());
    if last.is_some_and(|last| last != format!("{id}/{}", watch.after)) {
        first.extend_from_slice(RESET);
    }
    let (sender, receiver) = mpsc::channel(WINDOW);
    let reader = Reader {
        id,
        watch,
        sender,
        heartbeat_interval: gate.settings.heartbeat_interval.max(Duration::from_millis(1)),
        patience: gate.settings.stream_timeout,
    };
    tokio::spawn(async move {
        if reader.run(first.freeze()).await.is_err() {
            tracing::info!("a reader of events reads nothing, and is cut");
            cut.notify_one();
        }
        drop(permit);
    });
    EventStream(receiver)
}

/// Writes events for one reader.
struct Reader {
    id: String,
    watch: EffectWatch,
    sender: mpsc::Sender<Bytes>,
    heartbeat_interval: Duration,
    patience: Duration,
}

/// The reader has taken nothing for too long.
struct Stuck;

impl Reader {
    /// Writes until the reader has gone or the master has ended.
    async fn run(mut self, first: Bytes) -> Result<(), Stuck> {
        let mut heartbeat = interval_at(Instant::now() + self.heartbeat_interval, self.heartbeat_interval);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next = Some(first);
        loop {
            let Some(chunk) = next.take() else { return Ok(()) };
            match timeout(self.patience, self.sender.send(chunk)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Ok(()), // the connection has ended
                Err(_) => return Err(Stuck),
            }
            next = tokio::select! {
                told = self.watch.events.recv() => match told {
                    Ok(told) => Some(self.batch(&told)),
                    Err(RecvError::Lagged(_)) => Some(Bytes::from_static(RESET)),
                    Err(RecvError::Closed) => None,
                },
                _ = heartbeat.tick() => Some(Bytes::from_static(b": heartbeat\n\n")),
                () = self.sender.closed() => None,
            };
        }
    }

    /// Returns an event with those that have come meanwhile.
    fn batch(&mut self, first: &ToldEffect) -> Bytes {
        let mut chunk = BytesMut::new();
        self.write(first, &mut chunk);
        for _ in 1..MAX_BATCH {
            match self.watch.events.try_recv() {
                Ok(told) => self.write(&told, &mut chunk),
                Err(TryRecvError::Lagged(_)) => chunk.extend_from_slice(RESET),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        chunk.freeze()
    }

    /// Writes an event. JSON has no line breaks.
    fn write(&self, told: &ToldEffect, chunk: &mut BytesMut) {
        chunk.extend_from_slice(format!("id: {}/{}\ndata: ", self.id, told.number).as_bytes());
        chunk.extend_from_slice(told.json());
        chunk.extend_from_slice(b"\n\n");
    }
}

impl Body for EventStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.get_mut().0.poll_recv(cx).map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    }
}
