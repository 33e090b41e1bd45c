//! [`Verbosity`]: how much a program logs, which an operator may raise for a time.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::sleep;

/// How much a program logs: level 0 as it started, and more above it (Mesos, SET_LOGGING_LEVEL).
///
/// A level that an operator has set holds for the time that goes with it; then the program is back at 0. A clone is another handle
/// of the same level.
///
/// # Examples
///
/// ```
/// use apportion_http::{Settings, Verbosity};
///
/// let verbosity = Verbosity::new(|level| println!("the log has level {level}"));
/// let settings = Settings::default().verbosity(verbosity.clone());
/// assert_eq!(verbosity.level(), 0);
/// # drop(settings);
/// ```
#[derive(Clone)]
pub struct Verbosity(Arc<Shared>);

struct Shared {
    apply: Box<dyn Fn(u32) + Send + Sync>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    level: u32,
    /// The number of changes: an end of a time that a later change has overtaken does nothing.
    changes: u64,
}

impl Verbosity {
    /// Returns level 0 of a program that sets the level of its log by that function.
    pub fn new(apply: impl Fn(u32) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared { apply: Box::new(apply), state: Mutex::default() }))
    }

    /// Returns the present level.
    #[must_use]
    pub fn level(&self) -> u32 {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).level
    }

    /// Sets the level for a time.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, unless the level is 0.
    pub fn set(&self, level: u32, time: Duration) {
        let changes = self.change(level, None);
        if level > 0 {
            let verbosity = self.clone();
            tokio::spawn(async move {
                sleep(time).await;
                verbosity.change(0, Some(changes));
            });
        }
    }

    /// Changes the level, only if so many changes came before, where that is given. Returns the number of changes.
    fn change(&self, level: u32, after: Option<u64>) -> u64 {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if after.is_none_or(|after| after == state.changes) {
            state.level = level;
            state.changes += 1;
            (self.0.apply)(level); // within the lock, so that the last change is the one that holds
            tracing::info!(level, "the level of the log is set");
        }
        state.changes
    }
}

impl fmt::Debug for Verbosity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Verbosity").field(&self.level()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_level_holds_for_its_time_unless_another_is_set() {
        let applied = Arc::new(Mutex::new(Vec::new()));
        let told = applied.clone();
        let verbosity = Verbosity::new(move |level| told.lock().unwrap().push(level));
        verbosity.set(1, Duration::from_secs(10));
        assert_eq!(verbosity.level(), 1);
        sleep(Duration::from_secs(5)).await;
        verbosity.set(2, Duration::from_secs(10));
        sleep(Duration::from_secs(6)).await;
        assert_eq!(verbosity.level(), 2, "the first time has ended, and changes nothing");
        sleep(Duration::from_secs(5)).await;
        assert_eq!(verbosity.level(), 0);
        verbosity.set(3, Duration::from_secs(10));
        verbosity.set(0, Duration::from_secs(10));
        assert_eq!(*applied.lock().unwrap(), [1, 2, 0, 3, 0]);
    }
}
