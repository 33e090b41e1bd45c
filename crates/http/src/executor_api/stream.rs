//! The stream of events to an executor: [`ExecutorEvents`], at which the agent writes, and [`ExecutorStream`], the body of an answer.

use super::HEARTBEAT_INTERVAL;
use crate::protobuf::Protobuf;
use crate::transport::encoding::Encoding;
use apportion::executor::Event;
use apportion::v1::{Dialect, write_record};
use bytes::Bytes;
use http_body::{Body, Frame};
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// The most bytes that wait for an executor which reads slowly.
const MAX_WAITING: usize = 64 << 20;

/// The reason why an event was not sent. The stream is of no use then: it has to end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The executor has gone.
    #[error("the stream has ended")]
    Ended,
    /// The executor reads too slowly.
    #[error("{waiting} bytes wait for the executor: expected at most {MAX_WAITING}")]
    Full {
        /// The number of bytes that wait.
        waiting: usize,
    },
    /// A detail of the event has a type that protobuf cannot say.
    #[error("the event cannot be encoded: {0}")]
    Encoding(String),
}

/// The end of a stream at which the agent writes. The stream ends, after all that was written, when it is dropped.
#[derive(Debug)]
pub struct ExecutorEvents {
    records: mpsc::UnboundedSender<Bytes>,
    waiting: Arc<AtomicUsize>,
    encoding: Encoding,
}

/// The end of a stream at which the executor reads: the body of an answer.
pub struct ExecutorStream {
    records: mpsc::UnboundedReceiver<Bytes>,
    waiting: Arc<AtomicUsize>,
    heartbeat: Interval,
    encoding: Encoding,
    ended: Option<Box<dyn FnOnce() + Send>>,
}

impl fmt::Debug for ExecutorStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecutorStream").field("encoding", &self.encoding).finish_non_exhaustive()
    }
}

/// Returns the two ends of a stream. `ended` is called when the executor has gone, or its stream has ended.
///
/// # Panics
///
/// Outside of a tokio runtime.
///
/// # Examples
///
/// ```
/// use apportion::executor::Event;
/// use apportion::v1::Dialect;
/// use apportion_http::{Encoding, executor_api};
/// use http_body_util::BodyExt as _;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let (events, stream) = executor_api::stream(Encoding::Json, || {});
/// events.send(&Event::Shutdown, &Dialect::default())?;
/// drop(events);
/// assert_eq!(stream.collect().await?.to_bytes(), "19\n{\"type\":\"SHUTDOWN\"}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn stream(encoding: Encoding, ended: impl FnOnce() + Send + 'static) -> (ExecutorEvents, ExecutorStream) {
    let (sender, records) = mpsc::unbounded_channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    let mut heartbeat = interval_at(Instant::now() + HEARTBEAT_INTERVAL, HEARTBEAT_INTERVAL);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let events = ExecutorEvents { records: sender, waiting: waiting.clone(), encoding };
    (events, ExecutorStream { records, waiting, heartbeat, encoding, ended: Some(Box::new(ended)) })
}

impl ExecutorEvents {
    /// Sends an event, in the variant of v1 JSON that its framework reads.
    ///
    /// # Errors
    ///
    /// [`SendError`] when the executor has gone, does not read, or cannot be told.
    pub fn send(&self, event: &Event, dialect: &Dialect) -> Result<(), SendError> {
        let record = record(self.encoding, event, dialect)?;
        let waiting = self.waiting.fetch_add(record.len(), Ordering::Relaxed);
        if waiting > 0 && waiting + record.len() > MAX_WAITING {
            return Err(SendError::Full { waiting });
        }
        self.records.send(record).map_err(|_| SendError::Ended)
    }
}

fn record(encoding: Encoding, event: &Event, dialect: &Dialect) -> Result<Bytes, SendError> {
    let message = match encoding {
        Encoding::Json => dialect.encode(event).into_bytes(),
        Encoding::Protobuf => {
            Protobuf(dialect.clone()).encode(event).map_err(|error| SendError::Encoding(error.to_string()))?
        }
    };
    let mut record = Vec::with_capacity(message.len() + 8);
    write_record(&message, &mut record);
    Ok(record.into())
}

impl Body for ExecutorStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        match this.records.poll_recv(cx) {
            Poll::Ready(Some(record)) => {
                this.waiting.fetch_sub(record.len(), Ordering::Relaxed);
                Poll::Ready(Some(Ok(Frame::data(record))))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                std::task::ready!(this.heartbeat.poll_tick(cx));
                let heartbeat = record(this.encoding, &Event::Heartbeat, &Dialect::default());
                Poll::Ready(heartbeat.ok().map(|record| Ok(Frame::data(record))))
            }
        }
    }
}

impl Drop for ExecutorStream {
    fn drop(&mut self) {
        if let Some(ended) = self.ended.take() {
            ended();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;
    use std::time::Duration;
    use tokio::sync::oneshot;

    #[tokio::test(start_paused = true)]
    async fn the_first_heartbeat_comes_after_half_an_hour() {
        let (events, mut stream) = stream(Encoding::Protobuf, || {});
        let before = Instant::now();
        let heartbeat = stream.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(heartbeat, record(Encoding::Protobuf, &Event::Heartbeat, &Dialect::default()).unwrap());
        assert!(before.elapsed() >= Duration::from_secs(1800));
        drop(events);
        assert!(stream.frame().await.is_none());
    }

    #[tokio::test]
    async fn the_end_is_told_and_nothing_is_sent_after_it() {
        let (sender, ended) = oneshot::channel();
        let (events, stream) = stream(Encoding::Json, move || sender.send(()).expect("the test waits"));
        drop(stream);
        ended.await.unwrap();
        assert_eq!(events.send(&Event::Shutdown, &Dialect::default()), Err(SendError::Ended));
    }

    #[tokio::test]
    async fn an_executor_that_does_not_read_is_found_out() {
        let (events, _stream) = stream(Encoding::Json, || {});
        let message = Event::Message(vec![0; 30 << 20]); // 40 MB as base64
        events.send(&message, &Dialect::default()).unwrap();
        let error = events.send(&message, &Dialect::default()).unwrap_err();
        assert!(matches!(error, SendError::Full { waiting } if waiting > 40 << 20), "{error}");
    }
}
