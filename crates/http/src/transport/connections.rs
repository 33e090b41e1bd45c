//! [`Connections`]: a limit of open connections, and the log line of each that ends early.

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A limit of the connections that are open at the same time.
#[derive(Debug)]
pub(crate) struct Connections {
    places: Arc<Semaphore>,
    most: usize,
    /// True while there are too many: the log says so once.
    is_full: AtomicBool,
}

impl Connections {
    pub(crate) fn new(most: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(most)), most, is_full: AtomicBool::new(false) }
    }

    /// Returns the place of a further connection, which is free again when the place is dropped. Without one the connection is to
    /// be closed.
    pub(crate) fn place(&self, peer: SocketAddr) -> Option<OwnedSemaphorePermit> {
        let place = self.places.clone().try_acquire_owned().ok();
        let was_full = self.is_full.swap(place.is_none(), Ordering::Relaxed);
        match place {
            None if !was_full => {
                tracing::warn!(%peer, most = self.most, "too many connections are open: further ones are closed at once");
            }
            Some(_) if was_full => tracing::info!("connections are accepted again"),
            _ => {}
        }
        place
    }
}

/// Logs why a connection has ended early.
pub(crate) fn log_end(peer: SocketAddr, error: &hyper::Error) {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    if error.is_parse() {
        tracing::warn!(%peer, %error, "a client sends what is not HTTP, and is cut");
    } else if cause.is_some_and(|cause| cause.kind() == io::ErrorKind::TimedOut) {
        tracing::warn!(%peer, "a client takes nothing of its answer, and is cut");
    } else if error.is_timeout() {
        tracing::info!(%peer, "a connection without a whole request is closed");
    } else {
        tracing::debug!(%peer, %error, "a connection broke off");
    }
}
