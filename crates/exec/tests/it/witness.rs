//! [`Witness`]: whether anything of a process is left. Every process that has inherited a pipe keeps it open.

use std::io::{self, BufRead, BufReader, PipeReader, PipeWriter, Read};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

/// The longest wait of a test for an event that comes.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// The reading end of a pipe, which ends when nothing has its writing end any more.
pub(crate) struct Witness(Receiver<String>);

impl Witness {
    /// Returns a witness of what gets the other end as its output.
    pub(crate) fn new() -> (Self, PipeWriter) {
        let (reader, writer) = io::pipe().unwrap();
        (Self::of(reader), writer)
    }

    fn of(reader: PipeReader) -> Self {
        let (sender, lines) = mpsc::channel();
        thread::Builder::new()
            .spawn(move || {
                let mut reader = BufReader::new(reader);
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line).unwrap() == 0 || sender.send(line).is_err() {
                        break;
                    }
                }
                reader.read_to_end(&mut Vec::new()).unwrap();
            })
            .unwrap();
        Self(lines)
    }

    /// Waits for the next line.
    pub(crate) fn line(&self) -> String {
        self.0.recv_timeout(LONG).unwrap()
    }

    /// Waits until nothing is left. Returns all that was still said.
    pub(crate) fn rest(&self) -> String {
        let mut rest = String::new();
        loop {
            match self.0.recv_timeout(LONG) {
                Ok(line) => rest.push_str(&line),
                Err(mpsc::RecvTimeoutError::Disconnected) => return rest,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("something is left"),
            }
        }
    }
}
