//! [`Planner`]: the options of a plan.

use super::app::GpuBehavior;
use super::strategy::Strategy;
use crate::id::TaskId;
use crate::role::Role;
use crate::text::Text;
use crate::time::Time;
use std::collections::BTreeSet;
use std::time::Duration;

/// Matches apps with offers: the core of a framework.
///
/// Apps are placed in the order in which they are listed, instance by instance. Of the offers in which a task may run,
/// the best one is chosen by, in turn: preferences, spreads, fewest tasks on the value of a `GROUP_BY`, strategy, order
/// of the offers. The same input gives the same plan.
///
/// Apps of one [group](super::app::App::group) are placed together or not at all, at the turn of the first of them.
///
/// # Complexity
///
/// Offers that agree in all values that an app's conditions look at are of one class; offers that were alike at first
/// and had the same tasks launched share one state. An app costs O(offers) once, or less if it has no conditions, and
/// nothing if an app without conditions before it asks for the same; each instance costs O(classes), plus the few offers on the host of the launch before. A custom constraint or fitness
/// costs O(offers) for each instance, unless it says what it depends on
/// ([`Constraint::scope`](crate::constraint::Constraint::scope),
/// [`Fitness::depends_on_load_only`](super::fitness::Fitness::depends_on_load_only)).
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
    /// The seed of [`Strategy::Random`] (none: 0), and of the port at which dynamic ports begin (none: the lowest).
    pub seed: Option<u64>,
    /// The strategy of apps that have none of their own.
    pub strategy: Strategy,
    /// The roles whose resources apps take that do not say. None: `*` and the app's role.
    pub accepted_roles: Option<Vec<Role>>,
    /// The region of apps that constrain no region or zone. None: any region.
    pub region: Option<Text>,
    /// The time of the plan, on the clock of maintenance windows.
    pub now: Time,
    /// The time before a maintenance window in which nothing is launched any more.
    pub draining: Duration,
    /// How agents with gpus are treated by apps that want none, where their label does not say.
    pub gpu_behavior: GpuBehavior,
    /// The ids of tasks that have ended, which new tasks do not get; nor do they get those of running tasks.
    pub taken: BTreeSet<TaskId>,
    /// Apps that have to wait are not told why, see [`Planner::without_reasons`].
    pub omits_reasons: bool,
}

impl Planner {
    /// Creates a planner with Marathon's defaults, at time 0.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the time of the plan.
    #[must_use]
    pub fn at(mut self, now: Time) -> Self {
        self.now = now;
        self
    }

    /// Sets the seed.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Leaves out of plans why an app has to wait: its reasons and its near miss. To find them takes every check of every
    /// offer; an app that waits costs a small part of that without.
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion::placement::{App, Planner};
    /// use apportion::{Offer, Role};
    ///
    /// let app = App::new("web").instances(3);
    /// let offer = Offer::new("O1", "f1", Role::default(), "a1", "cpus:2;mem:512;ports:[80-90]".parse()?);
    /// let plan = Planner::new().without_reasons().plan([&app], &[], &[offer]);
    /// let waits = &plan.unplaced[0];
    /// assert_eq!((plan.launches.len(), waits.instances), (2, 1));
    /// assert!(waits.reasons.is_empty() && waits.near_miss.is_none());
    /// # Ok::<(), apportion::ResourceError>(())
    /// ```
    #[must_use]
    pub fn without_reasons(mut self) -> Self {
        self.omits_reasons = true;
        self
    }

    /// Sets the strategy of apps that have none of their own.
    #[must_use]
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }
}
