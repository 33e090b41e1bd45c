//! [`Socket`]: a connection whose other end has to take what is written to it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// A socket that fails with [`io::ErrorKind::TimedOut`] when it could write nothing for a time, although there was something. So
/// no answer and no stream waits for ever on a client that does not read.
#[derive(Debug)]
pub(crate) struct Socket<S> {
    inner: S,
    timeout: Duration,
    /// The end of the time, while a write waits.
    deadline: Option<Pin<Box<Sleep>>>,
}

/// Prepares a socket that was accepted.
///
/// The system gives up a connection whose other end confirms nothing for the time, as when its machine or the network has gone.
pub(crate) fn prepared(socket: TcpStream, timeout: Duration) -> io::Result<Socket<TcpStream>> {
    socket.set_nodelay(true)?; // answers are written whole: waiting for more only delays them
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(&socket).set_tcp_user_timeout(Some(timeout))?;
    Ok(Socket::new(socket, timeout))
}

impl<S> Socket<S> {
    fn new(inner: S, timeout: Duration) -> Self {
        Self { inner, timeout, deadline: None }
    }

    /// Bounds the time for which a write waits.
    fn bounded<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.deadline = None;
            return written;
        }
        let timeout = self.timeout;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(timeout)));
        std::task::ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.bounded(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.bounded(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        self.bounded(flushed, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.bounded(ended, cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::net::TcpListener;

    #[tokio::test(start_paused = true)]
    async fn a_write_fails_when_nothing_is_taken_for_the_time() {
        let (near, mut far) = duplex(10);
        let mut socket = Socket::new(near, Duration::from_secs(60));
        let writes = tokio::spawn(async move { socket.write_all(&[7; 40]).await });
        let mut taken = [0; 10];
        for _ in 0..2 {
            sleep(Duration::from_secs(59)).await;
            far.read_exact(&mut taken).await.unwrap(); // little, but something
            assert!(!writes.is_finished());
        }
        let error = writes.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_system_gives_up_a_machine_that_has_gone() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (_client, accepted) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let socket = prepared(accepted.unwrap().0, Duration::from_secs(7)).unwrap();
        let options = socket2::SockRef::from(&socket.inner);
        assert_eq!(options.tcp_user_timeout().unwrap(), Some(Duration::from_secs(7)));
        assert!(options.tcp_nodelay().unwrap());
    }
}
