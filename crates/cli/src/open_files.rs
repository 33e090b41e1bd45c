//! The limit of open files. Each connection takes one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The files that a master needs besides connections: logs, records, the listener.
const SPARE: u64 = 32;

/// The connections of a framework: its stream, and its calls.
const PER_FRAMEWORK: u64 = 2;

/// The number of frameworks below which a limit is called too low.
const FEW_FRAMEWORKS: u64 = 1_000;

/// Raises the soft limit of open files to the hard one. Logs a warning if that leaves room for few frameworks.
pub(crate) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
    if let Some(limit) = getrlimit(Resource::Nofile).current {
        let frameworks = frameworks(limit);
        if frameworks < FEW_FRAMEWORKS {
            tracing::warn!(
                limit,
                "few files may be open: there is room for {frameworks} frameworks of {PER_FRAMEWORK} connections each; \
                 raise the hard limit (ulimit -Hn) for more"
            );
        }
    }
}

/// Returns the number of frameworks that can be connected with that many open files.
fn frameworks(limit: u64) -> u64 {
    limit.saturating_sub(SPARE) / PER_FRAMEWORK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_framework_takes_two_connections() {
        assert_eq!((frameworks(1_024), frameworks(SPARE), frameworks(0)), (496, 0, 0));
    }
}
