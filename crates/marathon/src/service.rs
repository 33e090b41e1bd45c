//! [`Service`]: an app that runs: its present version, and how its tasks are doing.

use crate::back_off::BackOff;
use crate::census::{Census, Class};
use crate::definition::Definition;
use crate::rollout::{Bounds, Next};
use crate::tasks::{Instance, version};
use apportion::Time;
use apportion::placement::App;
use std::sync::Arc;

/// An app that runs.
#[derive(Debug)]
pub struct Service {
    pub definition: Arc<Definition>,
    /// The version that its new tasks are of.
    pub generation: u32,
    pub(crate) census: Census,
    pub(crate) back_off: BackOff,
    /// How many launches offers were asked for.
    pub(crate) asked: u64,
    /// Whether tasks of an older version give way.
    is_rolling: bool,
    /// Whether it is to end.
    pub is_stopping: bool,
}

impl Service {
    /// A service without tasks.
    pub(crate) fn new(definition: Arc<Definition>, generation: u32) -> Self {
        Self {
            definition,
            generation,
            census: Census::default(),
            back_off: BackOff::default(),
            asked: 0,
            is_rolling: false,
            is_stopping: false,
        }
    }

    /// It is to be like that from now on, with the tasks that it has.
    pub(crate) fn scale(&mut self, definition: Arc<Definition>) {
        self.definition = definition;
    }

    /// It is to be like that from now on, with tasks of that version. What failed before is forgotten, as Marathon does.
    pub(crate) fn restart(&mut self, definition: Arc<Definition>, generation: u32) {
        self.definition = definition;
        self.generation = generation;
        self.census.grow_old();
        self.back_off = BackOff::default();
        (self.is_rolling, self.is_stopping) = (true, false);
    }

    /// It is to end.
    pub(crate) fn stop(&mut self) {
        self.is_stopping = true;
    }

    /// What one of its tasks is to it.
    pub(crate) fn class(&self, task: &Instance) -> Class {
        match (task.is_killed, task.generation < self.generation, task.is_up()) {
            (true, ..) => Class::Dying,
            (false, true, true) => Class::OldUp,
            (false, true, false) => Class::OldDown,
            (false, false, true) => Class::Up,
            (false, false, false) => Class::Starting,
        }
    }

    /// What is to be done now; nothing is launched as long as it backs off.
    pub(crate) fn next(&self, now: Time) -> Next {
        let mut next = self.due();
        if self.back_off.until(now).is_some() {
            next.launch = 0;
        }
        next
    }

    /// What is to be done, but for failures.
    pub(crate) fn due(&self) -> Next {
        let bounds = match (self.is_stopping, self.is_rolling) {
            (true, _) => Bounds { least: 0, ..Bounds::steady(0) },
            (false, true) => Bounds::rolling(&self.definition),
            (false, false) => Bounds::steady(self.definition.app.instances),
        };
        bounds.next(&self.census, self.definition.kill_first)
    }

    /// Whether all is as it should be: all its tasks are up, and no others are there.
    pub(crate) fn is_done(&self) -> bool {
        let wanted = if self.is_stopping { 0 } else { self.definition.app.instances };
        self.census.all() == wanted && self.census.count(Class::Up) == wanted
    }

    /// Its old tasks are gone.
    pub(crate) fn settle(&mut self) {
        self.is_rolling = false;
    }

    /// The app as the planner is to see it, so that it launches so many.
    pub(crate) fn app(&self, launch: u64, new: u64) -> App {
        let mut app = self.definition.app.clone();
        app.instances = new.saturating_add(launch);
        app.changed = Some(version(self.generation));
        app
    }
}
