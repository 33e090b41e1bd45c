//! [`Machine`] on systems other than Linux: tasks cannot run as processes.
#![expect(clippy::needless_pass_by_ref_mut, reason = "the methods are those of Linux")]

use crate::arguments::Exec;
use apportion::executor::Executor;
use apportion::{Emitted, ExecutorInfo, ExecutorRef, TaskId, Text, Time};

/// There is no such machine.
#[derive(Debug)]
pub(crate) enum Machine {}

/// A line of a task's output; none is ever made.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) task: TaskId,
    pub(crate) is_error: bool,
    pub(crate) text: String,
}

impl Machine {
    pub(crate) const HOST: &str = "127.0.0.1";

    pub(crate) fn runs_as(_: &str) -> bool {
        false
    }

    /// Fails.
    pub(crate) fn new(_: &Exec, _: Option<u64>, _: &[Text]) -> Result<Self, String> {
        Err("--exec: tasks run on Linux only".to_owned())
    }

    pub(crate) fn starter(
        &self,
    ) -> impl FnMut(&ExecutorRef, &ExecutorInfo) -> Option<Box<dyn Executor>> + Send + 'static {
        |_, _| None
    }

    pub(crate) fn now(&self) -> Time {
        match *self {}
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        match *self {}
    }

    pub(crate) fn is_over(&self) -> bool {
        match *self {}
    }

    pub(crate) fn wait(&mut self, _: Option<Time>) -> Option<ExecutorRef> {
        match *self {}
    }

    pub(crate) fn note(&mut self, _: &Emitted) -> Vec<Line> {
        match *self {}
    }

    pub(crate) fn last_words(&self, _: &TaskId) -> Option<String> {
        match *self {}
    }

    pub(crate) fn lines(&mut self) -> Vec<Line> {
        match *self {}
    }
}
