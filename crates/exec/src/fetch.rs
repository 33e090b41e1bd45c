//! The fetcher: brings what a task needs beside its command, from URIs into its sandbox.
//!
//! The rules are those of Mesos' fetcher: URIs are fetched one by one, before the task starts; archives are unpacked beside themselves; what is fetched belongs to the task's user.
//! Unlike Mesos, a query or a fragment is no part of a file's name, an archive cannot write outside of the sandbox, and a file of this machine must be readable by the task's user.
//!
//! ```no_run
//! use apportion_exec::fetch::{Fetch, Item};
//!
//! let items = [Item::new("https://example.org/app-1.2.tar.gz"), Item::new("/etc/services")];
//! let fetch = Fetch::into_sandbox("/var/lib/agent/sandbox").start(&items)?;
//! let canceller = fetch.canceller(); // for another thread: `canceller.cancel()` ends the wait at once
//! fetch.wait()?;
//! # Ok::<(), apportion_exec::fetch::FetchError>(())
//! ```

mod folder;
mod item;
mod job;
mod source;
mod unpack;

pub use item::{Item, ItemError};
pub use job::{Canceller, Fetching, Progress};

use std::path::PathBuf;
use std::time::Duration;

use crate::User;

/// How long a fetch may go without a byte, if nothing else is said.
pub const STALL: Duration = Duration::from_secs(60);

/// A fetch that has not begun: where to, and for whom.
#[derive(Debug, Clone)]
pub struct Fetch {
    sandbox: PathBuf,
    user: Option<User>,
    stall: Duration,
}

impl Fetch {
    /// Returns a fetch into a directory, which must exist, for the user of this process.
    pub fn into_sandbox(sandbox: impl Into<PathBuf>) -> Self {
        Self { sandbox: sandbox.into(), user: None, stall: STALL }
    }

    /// Fetches as this user: the user must be able to write to the sandbox and to read files of this machine.
    ///
    /// What is fetched belongs to this user. The thread that fetches is one of the user's, so the kernel judges; only root can fetch for another user.
    #[must_use]
    pub fn user(mut self, user: User) -> Self {
        self.user = Some(user);
        self
    }

    /// Sets how long the fetch may go without a byte or an entry of an archive: [`STALL`] if nothing is said.
    #[must_use]
    pub fn stall(mut self, stall: Duration) -> Self {
        self.stall = stall;
        self
    }

    /// Starts to fetch the items, one by one, on a thread of its own.
    ///
    /// # Errors
    ///
    /// [`Cause::Item`] if an item has no name that stays in the sandbox, [`Cause::Io`] if the system gives no thread. Nothing has been fetched then.
    pub fn start(self, items: &[Item]) -> Result<Fetching, FetchError> {
        job::start(self, items)
    }
}

/// Why a fetch failed. What had been fetched before stays in the sandbox.
#[derive(Debug, thiserror::Error)]
#[error("cannot fetch {uri}: {cause}")]
#[non_exhaustive]
pub struct FetchError {
    /// The URI, without the password that it may carry.
    pub uri: String,
    /// What went wrong.
    #[source]
    pub cause: Cause,
}

/// What went wrong with one URI.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The item asks for what cannot be done.
    #[error(transparent)]
    Item(#[from] ItemError),
    /// The server answered with a status that is no success.
    #[error("the server answers {0}")]
    Status(u16),
    /// The server cannot be reached, or broke off.
    #[error("{0}")]
    Transfer(String),
    /// A file or directory cannot be read or written.
    #[error("{path}: {error}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's words.
        error: std::io::Error,
    },
    /// The path of this machine names something else than a file.
    #[error("{0} is no file")]
    NoFile(PathBuf),
    /// The archive is broken, or of a kind that is not read.
    #[error("the archive cannot be read: {0}")]
    Archive(String),
    /// An entry of the archive, or the target of its link, leads out of the sandbox or through a link.
    #[error("the entry {entry:?} of the archive leads out of the sandbox{}", target.as_ref().map(|target| format!(": it links to {target:?}")).unwrap_or_default())]
    Escape {
        /// The entry's path, as the archive has it.
        entry: PathBuf,
        /// What the entry links to, if it is a link.
        target: Option<PathBuf>,
    },
    /// An entry of the archive is neither a file, a directory nor a link.
    #[error("the entry {0:?} of the archive is neither a file, a directory nor a link")]
    Special(PathBuf),
    /// Nothing came for as long as a fetch may stall.
    #[error("nothing came for {} s", .0.as_secs_f64())]
    Stalled(Duration),
    /// Another thread cancelled the fetch.
    #[error("it was cancelled")]
    Cancelled,
}
