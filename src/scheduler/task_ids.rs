//! [`TaskIds`]: a generator of unique task ids.

use crate::id::TaskId;
use smol_str::{SmolStr, format_smolstr};

/// A generator of unique task ids of the form `NAME.TERM.NUMBER`.
///
/// A master rejects the id of a task that is running, and with an id used twice a late status of the old task looks like
/// one of the new task. So ids are numbered. A scheduler instance that takes over does not know the last number of the one
/// before, so each instance has a term of its own: a counter that is stored with the framework's state, or the time of its
/// start in seconds.
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
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskIds {
    name: SmolStr,
    term: u64,
    issued: u64,
}

impl TaskIds {
    /// Returns a generator for that name and term.
    #[must_use]
    pub fn new(name: impl Into<SmolStr>, term: u64) -> Self {
        Self { name: name.into(), term, issued: 0 }
    }

    /// Returns an id that no task had before.
    pub fn next_id(&mut self) -> TaskId {
        self.issued += 1;
        TaskId::new(format_smolstr!("{}.{}.{}", self.name, self.term, self.issued))
    }

    /// Returns whether an id has this generator's name, in any term.
    #[must_use]
    pub fn matches(&self, id: &TaskId) -> bool {
        let mut parts = id.as_str().rsplitn(3, '.');
        let numbers = [parts.next(), parts.next()];
        parts.next() == Some(&self.name) && numbers.iter().flatten().all(|number| number.parse::<u64>().is_ok())
    }
}
