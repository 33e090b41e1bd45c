//! [`FrameworkFigures`]: the metrics of a framework, under `master/frameworks/NAME/ID/`.

use crate::leader::{Leader, Tally};
use crate::view::StateCounts;
use apportion::{Framework, Role, TaskState};
use std::fmt::Write as _;
use std::sync::Arc;

/// The states of tasks that Mesos counts as active; the others, but for TASK_UNKNOWN, are terminal.
const ACTIVE: [TaskState; 6] = [
    TaskState::Killing,
    TaskState::Running,
    TaskState::Staging,
    TaskState::Starting,
    TaskState::Unknown,
    TaskState::Unreachable,
];

/// All that is measured of a framework, at one moment.
#[derive(Debug, Clone)]
pub(super) struct FrameworkFigures {
    framework: Arc<Framework>,
    suppressed: Vec<Role>,
    is_subscribed: bool,
    tally: Tally,
    /// The tasks that have not ended, those that are unreachable included.
    active: StateCounts,
    /// The tasks that have ended since the framework registered.
    ended: StateCounts,
}

impl FrameworkFigures {
    /// Reads the figures of all registered frameworks. O(frameworks).
    pub(super) fn all(leader: &Leader) -> Vec<Self> {
        let registered = leader.delivery().master().known_frameworks().filter(|known| !known.recovered);
        let figures = registered.filter_map(|known| {
            let id = &known.framework.id;
            let (active, ended) = leader.task_counts(id);
            Some(Self {
                framework: known.framework.clone(),
                suppressed: known.suppressed.to_vec(),
                is_subscribed: known.active,
                tally: leader.tally(id)?.clone(),
                active,
                ended,
            })
        });
        figures.collect()
    }

    /// Returns all metrics by name.
    pub(super) fn named(&self) -> impl Iterator<Item = (String, u64)> {
        let Framework { id, name, roles, .. } = &*self.framework;
        let prefix = format!("master/frameworks/{}/{id}/", encoded(name.as_deref().unwrap_or_default()));
        let mut all = self.tally.named();
        all.push(("subscribed".to_owned(), self.is_subscribed.into()));
        for role in roles {
            all.push((format!("roles/{role}/suppressed"), self.suppressed.contains(role).into()));
        }
        for state in TaskState::ALL {
            let name = state.as_str().to_ascii_lowercase();
            all.push(match ACTIVE.contains(&state) {
                true => (format!("tasks/active/{name}"), self.active.of(state)),
                false => (format!("tasks/terminal/{name}"), self.ended.of(state)),
            });
        }
        all.into_iter().map(move |(name, value)| (format!("{prefix}{name}"), value))
    }
}

/// Returns a name as it stands in the name of a metric: percent-encoded, so that it has no slash.
fn encoded(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(byte.into());
        } else {
            let _ = write!(encoded, "%{byte:02X}"); // a String takes it
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_encoded() {
        for (name, expected) in [("rec-operator", "rec-operator"), ("a b/c", "a%20b%2Fc"), ("ü", "%C3%BC"), ("", "")] {
            assert_eq!(encoded(name), expected);
        }
    }
}
