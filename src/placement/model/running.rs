//! [`Running`]: a task that runs already.

use super::app::{App, full_id};
use super::version::Version;
use crate::constraint::{Location, PlacedTask};
use crate::id::TaskId;
use crate::resources::{Ranges, Resources};
use crate::text::Text;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A task that runs, or was launched before.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Running {
    /// Its app.
    pub app: Text,
    /// Its id.
    pub task: TaskId,
    /// The location where it runs.
    pub location: Arc<Location>,
    /// The resources that it uses; none = those of its app, if the app is planned.
    pub resources: Option<Resources>,
    /// The image of its container; none = that of its app, likewise.
    pub image: Option<Text>,
    /// Its labels; none = those of its app, likewise.
    pub labels: Option<Arc<BTreeMap<Text, Text>>>,
    /// The version of its app that it was launched from; none = the current one.
    pub version: Option<Version>,
    /// Its host ports; the offers lack them already. They are named to a task that needs one of them.
    pub ports: Ranges,
}

impl Running {
    /// Creates a task of the current version of an app.
    pub fn new(app: impl AsRef<str>, task: impl Into<TaskId>, location: impl Into<Arc<Location>>) -> Self {
        Self {
            app: full_id(app.as_ref()),
            task: task.into(),
            location: location.into(),
            resources: None,
            image: None,
            labels: None,
            version: None,
            ports: Ranges::default(),
        }
    }

    /// Returns its host ports: those named, and those among its resources.
    pub(in crate::placement) fn host_ports(&self) -> Ranges {
        let mut ports = self.ports.clone();
        if let Some(resources) = &self.resources {
            ports.insert(&resources.ranges("ports"));
        }
        ports
    }

    /// Returns true if the task will be replaced: its version is before the app's last change.
    pub(in crate::placement) fn is_outdated(&self, app: Option<&App>) -> bool {
        match (self.version, app.and_then(|app| app.changed)) {
            (Some(version), Some(changed)) => version < changed,
            _ => false,
        }
    }

    /// Returns the task as constraints see it.
    pub(in crate::placement) fn placed(&self, app: Option<&App>) -> PlacedTask {
        let mut task = PlacedTask::new(self.app.clone(), self.task.clone(), Arc::clone(&self.location));
        task.image = self.image.clone().or_else(|| app?.image.clone());
        task.labels = self.labels.clone().or_else(|| app.map(|app| Arc::clone(&app.labels))).unwrap_or_default();
        task.exclusive = app.map(App::exclusive).unwrap_or_default();
        task.is_outdated = self.is_outdated(app);
        task
    }
}
