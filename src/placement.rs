//! [`Planner`]: pending tasks and offers in, launches, declines and reasons out.
//!
//! What an app may ask for, and what the planner makes of it, is Marathon's: constraints, ports, roles, volumes,
//! maintenance, scarce gpus. On top come wishes and strategies, as Fenzo, Swarm and Nomad have them.

mod document;
mod matcher;
mod model;

pub use document::{Node as JsonNode, Problem, ReadError, ReadFault, SyntaxError, SyntaxFault, TextError, read_json};
pub use model::app::{App, GpuBehavior};
pub use model::barrier::{Barrier, Obstacle};
pub use model::fitness::{Fitness, Prospect, TaskRequest, Usage};
pub use model::near_miss::{Change, NearMiss};
pub use model::plan::{GroupShortage, Launch, Plan, Unplaced};
pub use model::planner::Planner;
pub use model::ports::{HostPort, PortRequest, PortShortage};
pub use model::running::Running;
pub use model::spread::Spread;
pub use model::strategy::{Load, Strategy};
pub use model::version::{Version, VersionError};
pub use model::volume::{VolumeRequest, VolumeShortage, VolumeSource};

use crate::offer::Offer;
use indexmap::IndexMap;

impl Planner {
    /// Says which tasks to launch in which offers, which offers to decline, and why the rest has to wait.
    ///
    /// Apps of one id count as one another's tasks: keep ids apart.
    pub fn plan<'a>(&self, apps: impl IntoIterator<Item = &'a App>, running: &[Running], offers: &[Offer]) -> Plan {
        let apps: IndexMap<&str, &App> = apps.into_iter().map(|app| (app.id.as_str(), app)).collect();
        matcher::plan(self, &apps, running, offers)
    }
}

impl Problem {
    /// Makes the plan.
    #[must_use]
    pub fn solve(&self) -> Plan {
        self.planner.plan(&self.apps, &self.running, &self.offers)
    }
}

#[cfg(test)]
mod tests;
