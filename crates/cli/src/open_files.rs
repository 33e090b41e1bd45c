//! The limit of open files. Each connection takes one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The files that a master needs besides connections: logs, records, the listener.
const SPARE: u64 = 32;

/// The connections of a framework: its stream, and its calls.
const PER_FRAMEWORK: u64 = 2;

/// Raises the soft limit of open files to the hard one, and returns how many connections that leaves room for, at most `wanted`.
/// Logs a warning if these are fewer.
pub(crate) fn raise(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
    let Some(limit) = getrlimit(Resource::Nofile).current else { return wanted };
    let room = usize::try_from(limit.saturating_sub(SPARE)).unwrap_or(usize::MAX);
    if room < wanted {
        let frameworks = limit.saturating_sub(SPARE) / PER_FRAMEWORK;
        tracing::warn!(
            limit,
            "too few files may be open for {wanted} connections: there is room for {frameworks} frameworks of {PER_FRAMEWORK} \
             connections each; raise the hard limit (ulimit -Hn), or say less with --max-connections"
        );
    }
    room.min(wanted)
}
