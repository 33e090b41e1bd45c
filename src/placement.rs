//! [`Planner`]: pending tasks and offers in, launches, declines and reasons out.
//!
//! ```text
//!     apps -------+                                    +---> launches    task, offer, resources, ports
//!     running ----+---> check, score, allocate --------+---> declines    offers that nothing was launched in
//!     offers -----+     app by app, task by task       +---> unplaced    every check that fails, the nearest miss
//! ```
//!
//! ```
//! use apportion::constraint::Condition;
//! use apportion::placement::{App, Planner};
//! use apportion::{Offer, Role};
//!
//! let web = App::new("web").instances(3).require("hostname UNIQUE".parse::<Condition>()?);
//! let offers = ["a1", "a2"].map(|agent| {
//!     Offer::new(agent, "f1", Role::default(), agent, "cpus:4;mem:512;ports:[80-90]".parse().unwrap())
//! });
//! let plan = Planner::new().plan([&web], &[], &offers);
//! assert_eq!(plan.launches[0].resources.to_string(), "cpus:1;mem:128;ports:[80-80]");
//! let waits = &plan.unplaced[0];
//! assert_eq!((plan.launches.len(), waits.instances), (2, 1));
//! assert_eq!(waits.near_miss.as_ref().unwrap().to_string(), "one more host");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Apps and the rules of placement are Marathon's: constraints, ports, roles, volumes, maintenance, reserved gpus.
//! Preferences, spreads and strategies come from Fenzo, Swarm and Nomad.
//!
//! [`Planner`] is told everything at each plan; a [`LivePlanner`] is told what has changed, and can try out what a
//! preemption would bring.
//!
//! Five rooms: the values that a planner is asked with and answers (`model`), what reads them from JSON (`document`), what
//! makes the plan (`matcher`), what keeps it between plans (`live`, above the matcher), and what asks for more plans to find
//! what would have to be added (`expansion`). The others import from the first and not from each other.

#[cfg(feature = "json")]
mod document;
mod expansion;
mod live;
mod matcher;
mod model;

#[cfg(feature = "json")]
#[cfg_attr(docsrs, doc(cfg(feature = "json")))]
pub use document::{
    MAX_DOCUMENT_BYTES, Node as JsonNode, Problem, ReadError, ReadFault, SyntaxError, SyntaxFault, TextError,
    read_json, read_json_up_to,
};
pub use live::{LivePlanner, Transaction};
pub use model::app::{App, GpuBehavior};
pub use model::barrier::{Barrier, Obstacle};
pub use model::change::{Change, ChangeError, Misfit, ReleaseError};
pub use model::expansion::{Addition, Expansion};
pub use model::fitness::{Fitness, Prospect, TaskRequest, Usage};
pub use model::near_miss::{NearMiss, NeededChange};
pub use model::plan::{GroupShortage, Launch, Plan, Unplaced};
pub use model::planner::Planner;
pub use model::ports::{HostPort, PortHolder, PortRequest, PortShortage};
pub use model::running::Running;
pub use model::spread::Spread;
pub use model::strategy::{Load, Strategy};
pub use model::version::{Version, VersionError};
pub use model::volume::{VolumeRequest, VolumeShortage, VolumeSource};
pub use model::withheld::{Withheld, Withholding};

use crate::offer::Offer;
use indexmap::IndexMap;

impl Planner {
    /// Returns the tasks to launch, the offers to decline, and why the other tasks have to wait.
    ///
    /// App ids must be distinct: of several apps of one id the last one is planned, in the place of the first.
    pub fn plan<'a>(&self, apps: impl IntoIterator<Item = &'a App>, running: &[Running], offers: &[Offer]) -> Plan {
        let apps: IndexMap<&str, &App> = apps.into_iter().map(|app| (app.id.as_str(), app)).collect();
        matcher::plan(self, &apps, running, offers)
    }

    /// Finds for each app that waits in a plan of these what would have to be added for all its instances, see [`Expansion`].
    ///
    /// # Complexity
    ///
    /// A few plans, each of one app, for each app that waits: more, but not many more, than there are kinds of additions.
    pub fn expand(&self, plan: &mut Plan, apps: &[App], running: &[Running], offers: &[Offer]) {
        // The near misses say what to try.
        let explaining = self.omits_reasons.then(|| Self { omits_reasons: false, ..self.clone() });
        expansion::expand(explaining.as_ref().unwrap_or(self), apps, running, offers, plan);
    }
}

#[cfg(feature = "json")]
impl Problem {
    /// Makes the plan.
    #[must_use]
    pub fn solve(&self) -> Plan {
        self.planner.plan(&self.apps, &self.running, &self.offers)
    }

    /// Finds for each app that waits in its plan what would have to be added for all its instances, see
    /// [`Planner::expand`].
    pub fn expand(&self, plan: &mut Plan) {
        self.planner.expand(plan, &self.apps, &self.running, &self.offers);
    }
}

#[cfg(test)]
#[cfg(feature = "json")]
mod tests;
