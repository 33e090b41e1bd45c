//! [`RunningApp`]: an app that the framework runs, at its present version, with its instances.

use crate::backoff::LaunchDelay;
use crate::definition::AppDefinition;
use crate::phases::{InstancesByPhase, Phase};
use crate::rollout::{Bounds, RolloutStep};
use crate::tracker::{Instance, version};
use crate::volumes::VolumeSlots;
use apportion::Time;
use apportion::placement::App;
use std::sync::Arc;

/// An app that the framework runs: what a deployment has made of it so far.
#[derive(Debug)]
pub struct RunningApp {
    /// The definition that its instances are brought to.
    pub definition: Arc<AppDefinition>,
    /// The number of its present version. Versions of all apps are numbered together, from 1, in the order in which they
    /// came.
    pub generation: u32,
    pub(crate) instances: InstancesByPhase,
    pub(crate) launch_delay: LaunchDelay,
    /// The number of launches for which offers were requested.
    pub(crate) requested: u64,
    /// The volumes of its instances, if it has persistent volumes.
    pub(crate) volumes: VolumeSlots,
    /// Whether instances of an older version are being replaced.
    is_rolling: bool,
    /// Whether all its instances are to end.
    pub is_stopping: bool,
}

impl RunningApp {
    /// Returns an app without instances.
    pub(crate) fn new(definition: Arc<AppDefinition>, generation: u32) -> Self {
        Self {
            definition,
            generation,
            instances: InstancesByPhase::default(),
            launch_delay: LaunchDelay::default(),
            requested: 0,
            volumes: VolumeSlots::default(),
            is_rolling: false,
            is_stopping: false,
        }
    }

    /// Changes the number of instances, and keeps those that run.
    pub(crate) fn scale(&mut self, definition: Arc<AppDefinition>) {
        self.definition = definition;
    }

    /// Begins to replace all instances by those of a new version. The launch delay is reset, as in Marathon.
    pub(crate) fn restart(&mut self, definition: Arc<AppDefinition>, generation: u32) {
        self.definition = definition;
        self.generation = generation;
        self.instances.mark_all_old();
        self.launch_delay = LaunchDelay::default();
        (self.is_rolling, self.is_stopping) = (true, false);
    }

    /// Begins to end all instances.
    pub(crate) fn stop(&mut self) {
        self.is_stopping = true;
    }

    /// Returns the phase of one of its instances.
    pub(crate) fn phase(&self, instance: &Instance, now: Time) -> Phase {
        match (instance.is_killed, instance.generation < self.generation, instance.is_up()) {
            _ if instance.is_inactive(now) => Phase::Inactive,
            (true, ..) => Phase::Killed,
            (false, true, true) => Phase::OldUp,
            (false, true, false) => Phase::OldDown,
            (false, false, true) => Phase::Up,
            (false, false, false) => Phase::Starting,
        }
    }

    /// Returns the kills and launches that are due. Nothing is launched during the launch delay.
    pub(crate) fn next_step(&self, now: Time) -> RolloutStep {
        let mut step = self.required();
        if self.launch_delay.until(now).is_some() {
            step.launch = 0;
        }
        step
    }

    /// Returns the kills and launches that are due, the launch delay aside.
    pub(crate) fn required(&self) -> RolloutStep {
        let bounds = match (self.is_stopping, self.is_rolling) {
            (true, _) => Bounds::steady(0),
            (false, true) => Bounds::rolling(&self.definition),
            (false, false) => Bounds::steady(self.definition.app.instances),
        };
        let mut step = bounds.step(&self.instances, self.definition.kill_selection);
        if self.is_stopping {
            step.kill.extend(self.instances.select(Phase::Inactive, u64::MAX, self.definition.kill_selection));
        }
        step
    }

    /// Returns whether exactly the wanted instances exist, and all of them are up.
    pub(crate) fn is_done(&self) -> bool {
        let target = if self.is_stopping { 0 } else { self.definition.app.instances };
        self.instances.total() == target && self.instances.count(Phase::Up) == target
    }

    /// Ends a rollout whose old instances are all gone.
    pub(crate) fn finish_rollout(&mut self) {
        self.is_rolling = false;
    }

    /// Returns the app as the planner needs it to launch `launch` instances beside `present` of this version.
    pub(crate) fn planned(&self, launch: u64, present: u64) -> App {
        let mut app = self.definition.app.clone();
        app.instances = present.saturating_add(launch);
        app.changed = Some(version(self.generation));
        app
    }
}
