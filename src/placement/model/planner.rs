//! [`Planner`]: what holds for all apps of a plan.

use super::app::GpuBehavior;
use super::strategy::Strategy;
use crate::id::TaskId;
use crate::role::Role;
use crate::time::Time;
use smol_str::SmolStr;
use std::collections::BTreeSet;
use std::time::Duration;

/// Matches apps with offers: the heart of a framework.
///
/// Apps are served in the order in which they are listed, instance by instance. Of the offers in which a task may run, the
/// best one is chosen by, in turn: preferences, spreads, fewest tasks on the value of a `GROUP_BY`, strategy, order of the
/// offers. The same input gives the same plan.
///
/// Apps of one [group](App::group) are placed all together or not at all, when the first of them is due.
///
/// # Complexity
///
/// What is equal is looked at once: offers that agree in all values that an app's conditions look at are of one class, and
/// offers that were alike and had the same tasks launched are alike still. An app costs O(offers) to begin with, or less
/// where it asks for nothing in particular, and each instance O(classes) from then on, plus the few offers of the host on
/// which the one before was launched. A constraint or a fitness of one's own costs O(offers) for each instance, unless it
/// says what it depends on ([`Constraint::reach`](crate::constraint::Constraint::reach), [`Fitness::is_of_load`]).
///
/// # Examples
///
/// A framework that runs one app, in a few lines:
///
/// ```
/// use apportion::constraint::Condition;
/// use apportion::placement::{App, Launch, Planner, Running};
/// use apportion::{Calls, Offer, Role, Scheduler};
///
/// #[derive(Debug)]
/// struct OneApp {
///     app: App,
///     running: Vec<Running>,
/// }
///
/// impl Scheduler for OneApp {
///     fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
///         let plan = Planner::new().at(calls.at()).plan([&self.app], &self.running, &offers);
///         self.running.extend(plan.launches.iter().map(Launch::running));
///         plan.answer(calls);
///     }
/// }
///
/// let unique: Condition = "hostname UNIQUE".parse()?;
/// let mut framework = OneApp { app: App::new("redis").instances(2).require(unique), running: vec![] };
/// let all: apportion::Resources = "cpus:4;mem:1024;ports:[31000-31999]".parse()?;
/// let offers = ["a1", "a2", "a3"].map(|agent| Offer::new(agent, "f1", Role::default(), agent, all.clone()));
/// let mut calls = Calls::default();
/// framework.offers(offers.into(), &mut calls);
/// assert_eq!(framework.running.len(), 2); // one per host
/// assert_eq!(calls.into_vec().len(), 3); // two accepts and a decline
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Planner {
    /// Where dynamic ports begin, and what [`Strategy::Random`] draws from. None: the lowest ports, and 0.
    pub seed: Option<u64>,
    /// Which of the offers left is the best, where an app does not say.
    pub strategy: Strategy,
    /// The roles of the resources that are taken, where an app does not say. None: `*` and the app's role.
    pub accepted_roles: Option<Vec<Role>>,
    /// Where apps stay that ask for no region or zone. None: anywhere.
    pub region: Option<SmolStr>,
    /// Now, on the clock of maintenance windows.
    pub now: Time,
    /// How long before a maintenance window nothing is launched any more.
    pub draining: Duration,
    /// Whether an app without gpus is placed where there are some, where its label does not say.
    pub gpu_behavior: GpuBehavior,
    /// Ids that new tasks do not get, besides those that run: of tasks that have ended.
    pub taken: BTreeSet<TaskId>,
}

impl Planner {
    /// A planner with Marathon's defaults, at time 0.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, at that moment.
    #[must_use]
    pub fn at(mut self, now: Time) -> Self {
        self.now = now;
        self
    }

    /// The same, with that seed.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The same, with that strategy.
    #[must_use]
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }
}
