//! [`TaskIds`]: an id for every task, never used twice.

use crate::id::TaskId;
use smol_str::{SmolStr, format_smolstr};

/// Names tasks `NAME.TERM.NUMBER`, each id once.
///
/// A master refuses an id that a running task has, and news of an old task under a new one's id is a trap. So ids are
/// counted; and since a scheduler that takes over cannot know how far the one before had counted, each has a term of its
/// own: a number that grows from one to the next, kept with the framework's state, or the seconds of its start.
///
/// # Examples
///
/// ```
/// use apportion::scheduler::TaskIds;
///
/// let mut ids = TaskIds::new("crawl", 3);
/// let first = ids.next_id();
/// assert_eq!((first.as_str(), ids.next_id().as_str()), ("crawl.3.1", "crawl.3.2"));
/// assert!(ids.named(&first));
/// assert!(!ids.named(&"render.3.1".into()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskIds {
    name: SmolStr,
    term: u64,
    given: u64,
}

impl TaskIds {
    /// Ids of that name, in that term.
    #[must_use]
    pub fn new(name: impl Into<SmolStr>, term: u64) -> Self {
        Self { name: name.into(), term, given: 0 }
    }

    /// An id that no task had before.
    pub fn next_id(&mut self) -> TaskId {
        self.given += 1;
        TaskId::new(format_smolstr!("{}.{}.{}", self.name, self.term, self.given))
    }

    /// Whether an id is of this name, whatever its term.
    #[must_use]
    pub fn named(&self, id: &TaskId) -> bool {
        let mut parts = id.as_str().rsplitn(3, '.');
        let numbers = [parts.next(), parts.next()];
        parts.next() == Some(&self.name) && numbers.iter().flatten().all(|number| number.parse::<u64>().is_ok())
    }
}
