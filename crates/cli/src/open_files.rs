//! The limit of open files: each connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a master needs besides a connection for each framework and each agent: the log, the listener, requests of others.
const SPARE: u64 = 256;

/// Raises the soft limit of open files to the hard one, and says so if that is still too low for that many agents and
/// frameworks.
pub(crate) fn raise(connections: u64) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
    let needed = connections + SPARE;
    if let Some(limit) = getrlimit(Resource::Nofile).current.filter(|limit| *limit < needed) {
        tracing::warn!(limit, needed, "too few files may be open: raise the hard limit, as with ulimit -Hn");
    }
}
