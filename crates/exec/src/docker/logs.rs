//! The output of a container, written to files of its sandbox, and resumed after its last line when the stream breaks.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::StreamExt;

use super::{Engine, EngineError, timestamp};
use crate::beneath::Root;

/// Where the output of a container goes.
#[derive(Debug)]
pub(super) struct Output {
    stdout: Stream,
    stderr: Stream,
}

impl Output {
    /// Opens the files once, before the task can put a link in their places.
    pub(super) fn open(sandbox: &Path) -> io::Result<Self> {
        let sandbox = Root::open(sandbox)?;
        let open = |name| sandbox.append(name).map(Stream::to);
        Ok(Self { stdout: open("stdout")?, stderr: open("stderr")? })
    }

    fn write(&mut self, piece: &LogOutput) {
        match piece {
            LogOutput::StdErr { message } => self.stderr.write(message),
            LogOutput::StdOut { message } | LogOutput::Console { message } | LogOutput::StdIn { message } => {
                self.stdout.write(message)
            }
        }
    }

    /// Returns the time of the last piece that was written.
    fn last(&self) -> Option<Duration> {
        self.stdout.last.max(self.stderr.last)
    }

    /// Forgets what is skipped: the engine sends pieces again from a time before the last one.
    fn resume(&mut self) {
        for stream in [&mut self.stdout, &mut self.stderr] {
            stream.to_skip = stream.written_at_last;
            stream.resumed_at = stream.last;
        }
    }
}

/// One file, and how far it is. A piece is a line, or a part of a very long one.
#[derive(Debug)]
struct Stream {
    file: File,
    /// The time of the last piece, and how many pieces of exactly this time were written.
    last: Option<Duration>,
    written_at_last: usize,
    /// When resumed: pieces up to this time were written, of those of the time itself so many.
    resumed_at: Option<Duration>,
    to_skip: usize,
}

impl Stream {
    fn to(file: File) -> Self {
        Self { file, last: None, written_at_last: 0, resumed_at: None, to_skip: 0 }
    }

    fn write(&mut self, message: &[u8]) {
        let space = message.iter().position(|&byte| byte == b' ');
        let stamped = space.and_then(|space| {
            let time = timestamp::parse(std::str::from_utf8(&message[..space]).ok()?)?;
            Some((time, &message[space + 1..]))
        });
        let Some((time, text)) = stamped else { return self.append(message) };
        if let Some(resumed) = self.resumed_at {
            if time < resumed {
                return;
            }
            if time == resumed && self.to_skip > 0 {
                self.to_skip -= 1;
                return;
            }
        }
        if self.last == Some(time) {
            self.written_at_last += 1;
        } else {
            (self.last, self.written_at_last) = (Some(time), 1);
        }
        self.append(text);
    }

    /// What a full disk does not take is lost: the engine has its copy, and the container goes on.
    fn append(&mut self, text: &[u8]) {
        let _ = self.file.write_all(text);
    }
}

/// Follows the output until the container has ended.
pub(super) async fn follow(engine: &Engine, name: &str, mut output: Output) {
    let mut pause = engine.pause();
    loop {
        let ended = match engine.inspect(name).await {
            Ok(found) => !found.running,
            Err(error) if error.is_unknown() => return,
            Err(_) => {
                pause.wait().await;
                continue;
            }
        };
        output.resume();
        let before = output.last();
        match copy(engine, name, &mut output, !ended).await {
            // All that there was when the container had ended.
            Ok(()) if ended => return,
            Err(error) if error.is_unknown() => return,
            // A driver that keeps no copy.
            Err(EngineError::Refused { message, .. }) if message.contains("does not support reading") => {
                let note = format!("The output cannot be followed: {message}\n");
                return output.stderr.append(note.as_bytes());
            }
            Ok(()) | Err(_) if output.last() > before => pause.reset(),
            Ok(()) | Err(_) => pause.wait().await,
        }
    }
}

/// Copies what the engine has, and what comes if `follow`, until the stream ends.
async fn copy(engine: &Engine, name: &str, output: &mut Output, follow: bool) -> Result<(), EngineError> {
    // One second earlier: the two streams are not in the order of time to the nanosecond.
    let since = output.last().map_or(0, |last| last.as_secs().saturating_sub(1));
    let options = LogsOptionsBuilder::default()
        .stdout(true)
        .stderr(true)
        .timestamps(true)
        .follow(follow)
        .since(i32::try_from(since).unwrap_or(0))
        .build();
    let mut pieces = engine.docker.logs(name, Some(options));
    while let Some(piece) = pieces.next().await {
        output.write(&piece.map_err(|error| engine.failure(&format!("send the output of {name}"), error))?);
    }
    Ok(())
}
