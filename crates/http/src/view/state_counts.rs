//! [`StateCounts`]: the number of tasks by state.

use apportion::TaskState;

/// The number of tasks in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct StateCounts([u64; TaskState::ALL.len()]);

impl StateCounts {
    /// Returns the number of tasks in a state.
    pub(crate) fn of(&self, state: TaskState) -> u64 {
        self.0[index(state)]
    }

    pub(super) fn add(&mut self, state: TaskState) {
        self.0[index(state)] += 1;
    }

    pub(super) fn remove(&mut self, state: TaskState) {
        debug_assert!(self.of(state) > 0, "{state} was added before");
        self.0[index(state)] = self.of(state).saturating_sub(1);
    }

    /// Moves one task from a state to another.
    pub(super) fn change(&mut self, from: TaskState, to: TaskState) {
        self.remove(from);
        self.add(to);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|number| *number == 0)
    }
}

fn index(state: TaskState) -> usize {
    TaskState::ALL.iter().position(|other| *other == state).expect("all states are there")
}
