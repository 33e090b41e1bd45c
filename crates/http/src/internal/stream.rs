//! The body of the answer to a registration: events as records, each in a chunk of its own.

use super::message::MasterEvent;
use crate::transport::stream::{Signal, Source, WINDOW};
use apportion::delivery::Recipient;
use apportion::v1::write_record;
use apportion::{AgentId, Uuid};
use bytes::Bytes;
use http_body::{Body, Frame};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// The end of a stream at which an agent reads.
#[derive(Debug)]
pub(crate) struct AgentStream {
    pub(crate) id: Uuid,
    agent: AgentId,
    events: mpsc::Receiver<Box<MasterEvent>>,
    /// True if the master waits for room.
    is_full: Arc<AtomicBool>,
    signals: mpsc::UnboundedSender<Signal>,
}

/// Returns the two ends of a stream of an agent.
pub(crate) fn agent_stream(
    agent: AgentId,
    id: Uuid,
    signals: mpsc::UnboundedSender<Signal>,
) -> (Source<MasterEvent>, AgentStream) {
    let (sender, events) = mpsc::channel(WINDOW);
    let is_full = Arc::new(AtomicBool::new(false));
    (Source { events: sender, is_full: is_full.clone() }, AgentStream { id, agent, events, is_full, signals })
}

impl Body for AgentStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        let Some(event) = std::task::ready!(this.events.poll_recv(cx)) else { return Poll::Ready(None) };
        if this.is_full.swap(false, Ordering::AcqRel) {
            // It fails when the server has ended, which ends the stream, too.
            let _ = this.signals.send(Signal::Drained(Recipient::Agent(this.agent.clone()), this.id));
        }
        let message = serde_json::to_vec(&*event).expect("all keys of an event are text");
        let mut record = Vec::with_capacity(message.len() + 8);
        write_record(&message, &mut record);
        Poll::Ready(Some(Ok(Frame::data(record.into()))))
    }
}

impl Drop for AgentStream {
    fn drop(&mut self) {
        self.events.close();
        let mut unsent = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            unsent.extend(event.launches());
        }
        if !unsent.is_empty() {
            let _ = self.signals.send(Signal::Unsent(self.agent.clone(), self.id, unsent));
        }
        let _ = self.signals.send(Signal::Ended(Recipient::Agent(self.agent.clone()), self.id));
    }
}
