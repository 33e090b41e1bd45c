//! A fetch under way: a thread that fetches, and the wait for it, which ends at once when the fetch is cancelled.
//!
//! The wait does not rely on the thread: one that hangs in a call of the system (a name that is looked up, a dead network file system) is left behind, and writes nothing any more.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::User;

use super::folder::{Folder, plain_io};
use super::{Cause, Fetch, FetchError, Item, source, unpack};

/// A fetch under way. Dropping it cancels the fetch.
#[derive(Debug)]
pub struct Fetching {
    canceller: Canceller,
    stall: Duration,
}

/// Cancels a fetch from another thread, and tells how far it is. Clones stand for the same fetch.
#[derive(Debug, Clone)]
pub struct Canceller(Arc<Shared>);

/// How far a fetch is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// The URI that is being fetched, without the password that it may carry; the last one when the fetch has ended.
    pub uri: String,
    /// The bytes of all URIs that have come so far; those of archives count again when they are unpacked.
    pub bytes: u64,
}

#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    agent: ureq::Agent,
}

#[derive(Debug)]
struct State {
    uri: String,
    bytes: u64,
    /// Counts the bytes and the entries, so that a stall is seen.
    steps: u64,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Running,
    Cancelled,
    Ended(Result<(), FetchError>),
}

pub(super) fn start(fetch: Fetch, items: &[Item]) -> Result<Fetching, FetchError> {
    let mut parts = Vec::with_capacity(items.len());
    for item in items {
        let (place, name) = item.resolve().map_err(|error| failure(item.shown(), error))?;
        parts.push((item.clone(), place, name));
    }
    let uri = items.first().map(Item::shown).unwrap_or_default();
    let shared = Arc::new(Shared {
        state: Mutex::new(State { uri: uri.clone(), bytes: 0, steps: 0, phase: Phase::Running }),
        changed: Condvar::new(),
        agent: source::agent(fetch.stall),
    });
    let worker = Arc::clone(&shared);
    let Fetch { sandbox, user, stall } = fetch;
    let run = move || {
        let result = work(&worker, &sandbox, user.as_ref(), &parts);
        worker.end(result);
    };
    let io = |error| Cause::Io { path: PathBuf::from("thread"), error };
    let named = thread::Builder::new().name("fetch".into());
    named.spawn(run).map_err(|error| failure(uri, io(error)))?;
    Ok(Fetching { canceller: Canceller(shared), stall })
}

fn failure(uri: String, cause: impl Into<Cause>) -> FetchError {
    FetchError { uri, cause: cause.into() }
}

type Part = (Item, super::item::Place, PathBuf);

fn work(shared: &Shared, sandbox: &Path, user: Option<&User>, parts: &[Part]) -> Result<(), FetchError> {
    let first = parts.first().map(|(item, _, _)| item.shown()).unwrap_or_default();
    let ours = |user: &User| user.take_on().map_err(|error| plain_io(Path::new(user.name()), error));
    let other = user.filter(|user| !user.is_current());
    let prepared = other.map_or(Ok(()), ours).and_then(|()| Folder::open(sandbox));
    let folder = prepared.map_err(|cause| failure(first, cause))?;
    for (item, place, name) in parts {
        let one = || -> Result<(), Cause> {
            shared.begin(item.shown())?;
            source::fetch(place, &folder, name, item.executable, shared)?;
            if item.extract && !item.executable {
                unpack::unpack(&folder, name, shared)?;
            }
            Ok(())
        };
        one().map_err(|cause| failure(item.shown(), cause))?;
    }
    Ok(())
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn agent(&self) -> &ureq::Agent {
        &self.agent
    }

    fn begin(&self, uri: String) -> Result<(), Cause> {
        self.lock().uri = uri;
        self.step(0)
    }

    /// Notes that the fetch goes on: some bytes, or an entry of an archive.
    ///
    /// # Errors
    ///
    /// [`Cause::Cancelled`] if nobody waits any more: the caller must write nothing then.
    pub(super) fn step(&self, bytes: usize) -> Result<(), Cause> {
        let mut state = self.lock();
        state.bytes = state.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        state.steps = state.steps.wrapping_add(1);
        match state.phase {
            Phase::Running => Ok(()),
            Phase::Cancelled | Phase::Ended(_) => Err(Cause::Cancelled),
        }
    }

    fn end(&self, result: Result<(), FetchError>) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Running) {
            state.phase = Phase::Ended(result);
        }
        drop(state);
        self.changed.notify_all();
    }

    fn cancel(&self) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Running) {
            state.phase = Phase::Cancelled;
        }
        drop(state);
        self.changed.notify_all();
        self.agent.clone().shutdown();
    }
}

impl Canceller {
    /// Cancels the fetch: [`Fetching::wait`] returns at once, and nothing more is written to the sandbox. Without effect on a fetch that has ended.
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// Returns how far the fetch is, for messages of a launch that takes too long.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let state = self.0.lock();
        Progress { uri: state.uri.clone(), bytes: state.bytes }
    }
}

impl Fetching {
    /// Returns what cancels this fetch from another thread.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// Waits until all is fetched, blocking this thread.
    ///
    /// # Errors
    ///
    /// Why an item failed; [`Cause::Stalled`] if nothing came for too long; [`Cause::Cancelled`].
    pub fn wait(self) -> Result<(), FetchError> {
        let shared = &self.canceller.0;
        let mut state = shared.lock();
        loop {
            let before = state.steps;
            let going = |state: &mut State| matches!(state.phase, Phase::Running);
            let waited = shared.changed.wait_timeout_while(state, self.stall, going);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            match std::mem::replace(&mut state.phase, Phase::Cancelled) {
                Phase::Ended(result) => return result,
                Phase::Cancelled => return Err(failure(state.uri.clone(), Cause::Cancelled)),
                Phase::Running if state.steps == before => {
                    return Err(failure(state.uri.clone(), Cause::Stalled(self.stall)));
                }
                Phase::Running => state.phase = Phase::Running,
            }
        }
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        self.canceller.cancel();
    }
}
