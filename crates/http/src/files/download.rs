//! [`Download`]: a file as the body of an answer.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read as _};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::task::{JoinHandle, spawn_blocking};

/// The bytes that are read at once: a slow reader keeps no more in memory.
const PIECE: u64 = 64 << 10;

/// A file that is sent piece by piece, as it was when it was opened: what is appended later is not sent.
#[derive(Debug)]
pub(super) struct Download {
    left: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Open(File),
    /// A thread reads, so that nobody waits for the disk.
    Reading(JoinHandle<io::Result<(File, Vec<u8>)>>),
    Ended,
}

impl Download {
    /// Sends so many bytes of a file.
    pub(super) fn new(file: File, size: u64) -> Self {
        Self { left: size, state: State::Open(file) }
    }
}

fn read(file: File, length: u64) -> io::Result<(File, Vec<u8>)> {
    let mut data = Vec::new();
    (&file).take(length).read_to_end(&mut data)?;
    Ok((file, data))
}

impl Body for Download {
    type Data = Bytes;
    type Error = Infallible;

    /// A file that has become shorter meanwhile, or cannot be read, ends early: the client misses what the length promised.
    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        loop {
            match std::mem::replace(&mut this.state, State::Ended) {
                State::Open(file) if this.left > 0 => {
                    let length = this.left.min(PIECE);
                    this.state = State::Reading(spawn_blocking(move || read(file, length)));
                }
                State::Open(_) | State::Ended => return Poll::Ready(None),
                State::Reading(mut reading) => {
                    let Poll::Ready(read) = Pin::new(&mut reading).poll(cx) else {
                        this.state = State::Reading(reading);
                        return Poll::Pending;
                    };
                    match read {
                        Ok(Ok((file, data))) if !data.is_empty() => {
                            this.left -= data.len() as u64;
                            this.state = State::Open(file);
                            return Poll::Ready(Some(Ok(Frame::data(data.into()))));
                        }
                        Ok(Ok(_)) => tracing::info!("a file became shorter while it was sent"),
                        Ok(Err(error)) => tracing::warn!(%error, "a file cannot be read to its end"),
                        Err(error) => tracing::warn!(%error, "a file is read no further"),
                    }
                }
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }
}
