//! Reads the body of a request within bounds: of its size, of the time it takes, and of the memory of all bodies together.

use crate::transport::answer::{Answer, bad_request, text};
use crate::transport::listener::Bounds;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::{CONTENT_LENGTH, EXPECT, HeaderMap};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

/// The number of bodies of the largest size that may be in memory at the same time.
const LARGE_BODIES: usize = 4;

/// The whole body has to come within so many idle timeouts, however steadily it comes.
const MAX_TIMEOUTS: u32 = 10;

/// The time in which the rest of a refused body has to come, so that its sender reads the answer.
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// The memory that the bodies of all connections share, in units of 1 KiB. A body that came in one piece takes none of it: the
/// buffer of its connection bounds it.
#[derive(Debug)]
pub(crate) struct Bodies {
    room: Arc<Semaphore>,
}

/// A whole body. Its memory counts until this is dropped.
#[derive(Debug)]
pub(crate) struct WholeBody {
    pub(crate) bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    pub(crate) fn new(max_request_body: usize) -> Self {
        let room = (max_request_body / 1024 + 1).saturating_mul(LARGE_BODIES);
        Self { room: Arc::new(Semaphore::new(room.min(Semaphore::MAX_PERMITS))) }
    }

    /// Reads a body. What is too large, comes too slowly, or finds no room is refused, with a line in the log.
    pub(crate) async fn read(
        &self,
        mut body: Incoming,
        headers: &HeaderMap,
        bounds: &Bounds,
        peer: SocketAddr,
    ) -> Result<WholeBody, Answer> {
        let most = bounds.max_request_body;
        let too_large = || {
            tracing::warn!(%peer, most, "a body is too large, and refused");
            text(StatusCode::PAYLOAD_TOO_LARGE, format!("a body of more than {most} bytes"))
        };
        let declared = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if declared.is_some_and(|length| length > most as u64) {
            if !headers.contains_key(EXPECT) {
                drain(body, most).await; // otherwise it waits for leave to send it
            }
            return Err(too_large());
        }
        let (mut read, mut first, mut room) = (BytesMut::new(), Bytes::new(), None);
        let mut end = None;
        while !body.is_end_stream() {
            let end = *end.get_or_insert_with(|| Instant::now() + bounds.idle_timeout * MAX_TIMEOUTS);
            let frame = timeout_at(end, timeout(bounds.idle_timeout, body.frame())).await;
            let Ok(Ok(frame)) = frame else {
                tracing::warn!(%peer, received = first.len() + read.len(), "a body comes too slowly, and is refused");
                return Err(text(StatusCode::REQUEST_TIMEOUT, "the body comes too slowly"));
            };
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|error| bad_request(format!("the body breaks off: {error}")))?;
            let Ok(data) = frame.into_data() else { continue };
            let length = first.len() + read.len() + data.len();
            if length > most {
                drop((first, read, room));
                drain(body, most).await;
                return Err(too_large());
            }
            if first.is_empty() && read.is_empty() {
                first = data; // most bodies come in one piece
                continue;
            }
            if !self.reserve(&mut room, length) {
                drop((first, read, room));
                tracing::warn!(%peer, "too many large bodies come at once: one is refused");
                drain(body, most).await;
                return Err(text(StatusCode::SERVICE_UNAVAILABLE, "too many large bodies at once: come again"));
            }
            read.extend_from_slice(&std::mem::take(&mut first));
            read.extend_from_slice(&data);
        }
        Ok(WholeBody { bytes: if read.is_empty() { first } else { read.freeze() }, _room: room })
    }

    /// Reserves memory for a body of so many bytes, beyond what is reserved for it already; false when there is none.
    fn reserve(&self, room: &mut Option<OwnedSemaphorePermit>, bytes: usize) -> bool {
        let wanted = bytes.div_ceil(1024);
        let has = room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let Some(more) = wanted.checked_sub(has).filter(|more| *more > 0) else { return true };
        let Ok(more) = u32::try_from(more) else { return false };
        let Ok(more) = self.room.clone().try_acquire_many_owned(more) else { return false };
        match room {
            Some(room) => room.merge(more),
            None => *room = Some(more),
        }
        true
    }
}

/// Reads on without keeping anything, as long as it does not become much.
async fn drain(mut body: Incoming, most: usize) {
    let drained = async {
        let mut left = most;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => return,
            }
            if body.is_end_stream() {
                return;
            }
        }
    };
    let _ = timeout(DRAIN_TIME, drained).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_share_room_for_four_of_the_largest_size() {
        let bodies = Bodies::new(1 << 20);
        let all = bodies.room.available_permits();
        let mut held = Vec::new();
        for _ in 0..4 {
            let mut room = None;
            assert!(bodies.reserve(&mut room, 1) && bodies.reserve(&mut room, 700_000));
            assert!(bodies.reserve(&mut room, 1 << 20), "what it has counts");
            held.push(room);
        }
        let mut fifth = None;
        assert!(!bodies.reserve(&mut fifth, 1 << 20) && fifth.is_none());
        held.clear();
        assert_eq!(bodies.room.available_permits(), all);
    }
}
