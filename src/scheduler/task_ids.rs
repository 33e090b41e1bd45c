//! [`TaskIds`]: a generator of unique task ids.

use crate::id::TaskId;
use crate::text::Text;
use serde::{Deserialize, Serialize};

/// A generator of unique task ids of the form `NAME.TERM.NUMBER`.
///
/// A master rejects the id of a task that is running, and with an id used twice a late status of the old task looks like
/// one of the new task. So ids are numbered. A scheduler instance that takes over does not know the last number of the one
/// before, so each instance has a term of its own: a counter that is stored with the framework's state, or the time of its
/// start in seconds.
///
/// In JSON it is an object, `{"name":"crawl","term":3,"issued":2}`. A stored generator goes on only if it is stored before its
/// ids are used; otherwise start a new term.
///
/// # Examples
///
/// ```
/// use apportion::scheduler::TaskIds;
///
/// let mut ids = TaskIds::new("crawl", 3);
/// let first = ids.next_id();
/// assert_eq!((first.as_str(), ids.next_id().as_str()), ("crawl.3.1", "crawl.3.2"));
/// assert!(ids.matches(&first));
/// assert!(!ids.matches(&"render.3.1".into()));
/// assert_eq!((ids.term(), ids.term_of(&"crawl.2.17".into())), (3, Some(2)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskIds {
    name: Text,
    term: u64,
    issued: u64,
}

impl TaskIds {
    /// Returns a generator for that name and term.
    #[must_use]
    pub fn new(name: impl Into<Text>, term: u64) -> Self {
        Self { name: name.into(), term, issued: 0 }
    }

    /// Returns an id that no task had before.
    pub fn next_id(&mut self) -> TaskId {
        // A number that high was read, not counted. A new term comes before a number that is used twice.
        (self.term, self.issued) = match self.issued.checked_add(1) {
            Some(next) => (self.term, next),
            None => (self.term.wrapping_add(1), 1),
        };
        TaskId::new(Text::from_display(format_args!("{}.{}.{}", self.name, self.term, self.issued)))
    }

    /// Returns the term of this generator.
    #[must_use]
    pub fn term(&self) -> u64 {
        self.term
    }

    /// Returns whether an id has this generator's name, in any term.
    #[must_use]
    pub fn matches(&self, id: &TaskId) -> bool {
        self.term_of(id).is_some()
    }

    /// Returns the term of an id of this generator's name, or `None` for any other id.
    #[must_use]
    pub fn term_of(&self, id: &TaskId) -> Option<u64> {
        let mut parts = id.as_str().rsplitn(3, '.');
        let (number, term) = (parts.next()?.parse::<u64>(), parts.next()?.parse());
        if parts.next()? == self.name && number.is_ok() { term.ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_goes_on_the_same() {
        let mut ids = TaskIds::new("a.b", 7);
        ids.next_id();
        let stored = serde_json::to_string(&ids).unwrap();
        assert_eq!(stored, r#"{"name":"a.b","term":7,"issued":1}"#);
        let mut restored: TaskIds = serde_json::from_str(&stored).unwrap();
        assert_eq!(restored.next_id(), "a.b.7.2");
        assert_eq!(restored.term_of(&"a.b.6.1".into()), Some(6));
        for other in ["b.6.1", "a.b.6", "a.b.x.1", "a.b.6.x", "a.b", ""] {
            assert_eq!(restored.term_of(&other.into()), None, "{other}");
        }
    }

    #[test]
    fn the_last_number_is_followed_by_a_new_term() {
        let text = format!(r#"{{"name":"a","term":7,"issued":{}}}"#, u64::MAX - 1);
        let mut ids: TaskIds = serde_json::from_str(&text).unwrap();
        assert_eq!([ids.next_id(), ids.next_id()], [format!("a.7.{}", u64::MAX), "a.8.1".into()].map(TaskId::from));
    }
}
