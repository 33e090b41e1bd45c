//! [`Recorder`]: the journal of the master, written to files while it runs.
//!
//! The master's task only passes on what has happened. A thread of its own makes lines of that and writes them, so a slow disk
//! delays nobody. What cannot be written ends the recording and not the master.

use apportion::delivery::Recorded;
use apportion::{Master, Time, journal};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::spawn_blocking;

/// The entries that wait for the disk. With more the recording ends: memory is bounded.
const MAX_WAITING: usize = 1 << 16;

/// What the journal is to have.
#[derive(Debug)]
enum Entry {
    Command(Box<Recorded>),
    /// Timers have run, so that the time between two commands never has more of them than a replay takes at once.
    Advance(Time),
    /// A new file, which begins with this master.
    Rotate(Box<Master>),
}

/// The end of a recording at which the master is.
#[derive(Debug)]
pub(crate) struct Recorder {
    /// None once the recording has ended.
    entries: Option<mpsc::Sender<Entry>>,
    /// True when the file is long enough.
    is_due: Arc<AtomicBool>,
}

impl Recorder {
    /// Begins to record in a file of about that many bytes at most, and a snapshot at its begin. What was in the file is kept
    /// beside it, under a name with a number.
    pub(crate) fn start(file: PathBuf, bytes: u64, master: Master) -> Self {
        let (sender, entries) = mpsc::channel(MAX_WAITING);
        let is_due = Arc::new(AtomicBool::new(false));
        let writer = Writer { file, bytes, is_due: is_due.clone() };
        spawn_blocking(move || writer.run(entries, master));
        Self { entries: Some(sender), is_due }
    }

    /// Returns whether the recording goes on.
    pub(crate) fn is_open(&self) -> bool {
        self.entries.as_ref().is_some_and(|entries| !entries.is_closed())
    }

    /// Notes a command.
    pub(crate) fn command(&mut self, recorded: Recorded) {
        self.push(|| Entry::Command(Box::new(recorded)));
    }

    /// Notes that timers have run up to that time, after all commands that were noted.
    pub(crate) fn advance(&mut self, at: Time) {
        self.push(|| Entry::Advance(at));
    }

    /// Begins a new file if it is time to. All commands of the master have to be noted.
    pub(crate) fn rotate_if_due(&mut self, master: &Master) {
        if self.is_due.swap(false, Ordering::AcqRel) {
            self.push(|| Entry::Rotate(Box::new(master.clone())));
        }
    }

    fn push(&mut self, entry: impl FnOnce() -> Entry) {
        let Some(entries) = &self.entries else { return };
        match entries.try_send(entry()) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                tracing::error!("the recording ends: the disk is too slow for it; the master goes on");
                self.entries = None;
            }
            Err(TrySendError::Closed(_)) => self.entries = None, // the writer has said why
        }
    }
}

/// The end of a recording that writes.
#[derive(Debug)]
struct Writer {
    file: PathBuf,
    bytes: u64,
    is_due: Arc<AtomicBool>,
}

impl Writer {
    fn run(self, entries: mpsc::Receiver<Entry>, master: Master) {
        let file = self.file.display().to_string();
        match self.record(entries, master) {
            Ok(()) => tracing::info!(file, "the recording is complete"),
            Err(error) => tracing::error!(file, %error, "the recording ends: it cannot be written; the master goes on"),
        }
    }

    fn record(&self, mut entries: mpsc::Receiver<Entry>, master: Master) -> io::Result<()> {
        let mut open = self.begin(master)?;
        let mut written = 0;
        let mut is_asked = false;
        while let Some(entry) = entries.blocking_recv() {
            let line = match entry {
                Entry::Command(recorded) => journal::record(recorded.at, &recorded.command),
                Entry::Advance(at) => journal::advance(at),
                Entry::Rotate(master) => {
                    // A file ends with the state that the next one begins with.
                    writeln!(open, "{}", journal::advance(master.now()))?;
                    open.into_inner()?.sync_data()?;
                    open = self.begin(*master)?;
                    (written, is_asked) = (0, false);
                    continue;
                }
            };
            writeln!(open, "{line}")?;
            written += line.len() as u64 + 1;
            if written >= self.bytes && !is_asked {
                is_asked = true;
                self.is_due.store(true, Ordering::Release);
            }
            if entries.is_empty() {
                open.flush()?;
            }
        }
        open.into_inner()?.sync_data()
    }

    /// Opens a new file that begins with a snapshot of the master. It gets its name once the snapshot is stored.
    fn begin(&self, master: Master) -> io::Result<BufWriter<File>> {
        let is_there = match fs::metadata(&self.file) {
            Ok(found) if !found.is_file() => {
                // A device or a folder is nothing to be renamed.
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "expected a regular file"));
            }
            found => found.is_ok(),
        };
        let new = named(&self.file, "new");
        let mut open = BufWriter::new(File::create(&new)?);
        writeln!(open, "{}", journal::restore(&master.snapshot()))?;
        open.flush()?;
        open.get_ref().sync_data()?;
        if is_there {
            fs::rename(&self.file, self.next_kept()?)?;
        }
        fs::rename(&new, &self.file)?;
        Ok(open)
    }

    /// Returns the name for the file that ends: with the number after the largest there is.
    fn next_kept(&self) -> io::Result<PathBuf> {
        let folder = self.file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let name = self.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut last = 0_u64;
        for entry in fs::read_dir(folder.unwrap_or_else(|| Path::new(".")))? {
            let found = entry?.file_name();
            let number = found.to_str().and_then(|found| found.strip_prefix(&name)?.strip_prefix('.')?.parse().ok());
            last = last.max(number.unwrap_or(0));
        }
        Ok(named(&self.file, &last.saturating_add(1).to_string()))
    }
}

/// Returns a path with something behind its name.
fn named(file: &Path, behind: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(behind);
    name.into()
}
