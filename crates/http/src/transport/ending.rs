//! [`Ending`]: a body that ends in order when the server shuts down.

use http_body::{Body, Frame, SizeHint};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::watch;

/// A body that, once the server shuts down, ends as soon as it has nothing more to say at once. So a stream gets its last chunk,
/// after all that was written to it before.
pub(crate) struct Ending<B> {
    inner: B,
    /// Resolves when the server shuts down; none for a body that ends anyway.
    shutdown: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<B> fmt::Debug for Ending<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ending").field("is_stream", &self.shutdown.is_some()).finish_non_exhaustive()
    }
}

/// Waits until `closing` becomes true. Where its sender has gone it never does: a server serves on without a handle.
pub(crate) async fn shutdown(mut closing: watch::Receiver<bool>) {
    if closing.wait_for(|is_closing| *is_closing).await.is_err() {
        std::future::pending().await
    }
}

impl<B: Body> Ending<B> {
    /// Returns a body that ends when `closing` becomes true.
    pub(crate) fn new(inner: B, closing: &watch::Receiver<bool>) -> Self {
        let is_stream = inner.size_hint().exact().is_none();
        let shutdown = is_stream.then(|| Box::pin(shutdown(closing.clone())) as _);
        Self { inner, shutdown }
    }
}

impl<B: Body + Unpin> Body for Ending<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.get_mut();
        match (Pin::new(&mut this.inner).poll_frame(cx), &mut this.shutdown) {
            (Poll::Pending, Some(shutdown)) => shutdown.as_mut().poll(cx).map(|()| None),
            (polled, _) => polled,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
