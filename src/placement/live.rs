//! [`LivePlanner`]: a planner that keeps offers and tasks from one plan to the next.

use super::matcher::live::LiveState;
use super::model::app::App;
use super::model::change::{Change, ChangeError, Misfit, ReleaseError};
use super::model::plan::Plan;
use super::model::planner::Planner;
use super::model::running::Running;
use crate::id::{OfferId, TaskId};
use crate::offer::Offer;

/// A planner that lives as long as its framework: it is told what changes, and a plan costs what has changed.
///
/// [`Planner::plan`] is told everything at each call. This one is told once of an app, an offer or a task, by
/// [`apply`](Self::apply), and plans for all of them. Its plans are those that [`Planner::plan`] makes of the same
/// [apps](Self::apps), [running tasks](Self::running) and [offers](Self::offers), with three differences:
///
/// - Launches of a plan run from then on: they are among the running tasks, and their offers are what is left of them. A
///   launch that fails is an [ended](Change::Ended) task.
/// - Offers are kept until they are told to be gone, so a plan declines none. [`clear_offers`](Self::clear_offers) forgets
///   them all and returns those to decline.
/// - The ids of ended tasks are remembered as far as new tasks could get them; [`Planner::taken`] need not grow.
///
/// # Complexity
///
/// A task that starts or ends costs O(tasks on its host), an offer that comes O(tasks on its host), another definition of
/// an app O(its tasks and those on their hosts). Tasks that run cost a plan nothing. It costs O(apps), and for each app with
/// pending instances what it costs [`Planner`]; but an app without conditions, preferences and spreads costs only the offers
/// that have come, gone or changed since the last plan of an app that asks for the same. For other apps offers that have come
/// or gone, and for all another time, cost a plan O(offers) once.
///
/// # Examples
///
/// A framework that keeps one across its calls:
///
/// ```
/// use apportion::placement::{App, Change, LivePlanner, Planner};
/// use apportion::{Calls, Offer, Role, Scheduler, TaskId};
///
/// #[derive(Debug)]
/// struct Framework {
///     planner: LivePlanner,
/// }
///
/// impl Scheduler for Framework {
///     fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
///         self.planner.apply(Change::Now(calls.at())).expect("the time always changes");
///         for offer in offers {
///             self.planner.apply(offer).expect("the master gives each offer another id");
///         }
///         let mut plan = self.planner.plan();
///         plan.declines = self.planner.clear_offers();
///         plan.answer(calls);
///     }
/// }
///
/// let mut framework = Framework { planner: LivePlanner::new(Planner::new()) };
/// framework.planner.apply(App::new("web").instances(2))?;
/// let all: apportion::Resources = "cpus:1;mem:1024;ports:[31000-31999]".parse()?;
/// let offers = |ids: [&str; 2]| ids.map(|id| Offer::new(id, "f1", Role::default(), id, all.clone())).into();
/// let mut calls = Calls::default();
/// framework.offers(offers(["o1", "o2"]), &mut calls);
/// assert_eq!(framework.planner.running().count(), 2);
///
/// // A task ends: the next offers are for one in its place.
/// framework.planner.apply(Change::Ended(TaskId::from("web.1")))?;
/// framework.offers(offers(["o3", "o4"]), &mut calls);
/// let running: Vec<_> = framework.planner.running().map(|task| task.task.as_str()).collect();
/// assert_eq!(running, ["web.2", "web.3"]);
/// assert_eq!(calls.into_vec().len(), 4); // an accept for each of o1, o2 and o3, and one decline
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct LivePlanner {
    state: LiveState,
}

impl LivePlanner {
    /// Creates a planner with these options that knows of no app, offer or task.
    #[must_use]
    pub fn new(planner: Planner) -> Self {
        Self { state: LiveState::new(planner) }
    }

    /// Tells the planner of a change. An [`App`], an [`Offer`] or a [`Running`] task is a change by itself: it is there now.
    ///
    /// # Errors
    ///
    /// [`ChangeError`] if the change names what is not there, or adds an offer or a task under an id that is taken. Nothing
    /// has changed then.
    pub fn apply(&mut self, change: impl Into<Change>) -> Result<(), ChangeError> {
        self.state.apply(change.into())
    }

    /// Returns the tasks to launch and why the others have to wait, and takes the launches in.
    pub fn plan(&mut self) -> Plan {
        self.state.plan()
    }

    /// Plans as [`plan`](Self::plan) does, but only these apps, given by id in any order; those that are not there are ignored.
    pub fn plan_only<'i>(&mut self, apps: impl IntoIterator<Item = &'i str>) -> Plan {
        self.state.plan_only(apps)
    }

    /// Returns why no task of an app could be launched in an offer now, if so. The app need not be one of the planner's, and
    /// how many of its tasks run already does not count.
    ///
    /// # Errors
    ///
    /// [`Misfit`] with every check that fails, or if there is no such offer.
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion::placement::{App, LivePlanner, Planner};
    /// use apportion::{Offer, OfferId, Role};
    ///
    /// let mut planner = LivePlanner::new(Planner::new());
    /// planner.apply(Offer::new("o1", "f1", Role::default(), "a1", "cpus:2;mem:512".parse()?))?;
    /// let (small, offer) = (App::new("small").ports(vec![]), OfferId::from("o1"));
    /// assert_eq!(planner.can_place(&small, &offer), Ok(()));
    /// let misfit = planner.can_place(&small.cpus(apportion::Scalar::units(3)), &offer).unwrap_err();
    /// assert_eq!(misfit.to_string(), "cpus: 3 needed, 2 left");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn can_place(&mut self, app: &App, offer: &OfferId) -> Result<(), Misfit> {
        self.state.check(app, offer)
    }

    /// Tries something out: what `body` plans, releases and restores is kept if it returns `Ok`, and taken back if it returns
    /// `Err` or panics.
    ///
    /// # Errors
    ///
    /// What `body` returns.
    ///
    /// # Examples
    ///
    /// A preemption: tasks of a lesser app are released until the other one has its place, and those that had to go for
    /// nothing are put back. As the tasks still run, it is only tried out: they are killed, and what they used is planned with
    /// when it is offered.
    ///
    /// ```
    /// use apportion::placement::{App, Change, LivePlanner, Planner};
    /// use apportion::{Offer, Role, Scalar, TaskId};
    ///
    /// let mut planner = LivePlanner::new(Planner::new());
    /// planner.apply(App::new("batch").instances(4).ports(vec![]))?;
    /// for (id, cpus) in [("o1", "cpus:1;mem:1024"), ("o2", "cpus:3;mem:1024")] {
    ///     planner.apply(Offer::new(id, "f1", Role::default(), id, cpus.parse()?))?;
    /// }
    /// assert_eq!(planner.plan().launches.len(), 4); // all is full
    ///
    /// planner.apply(App::new("urgent").cpus(Scalar::units(2)).ports(vec![]))?;
    /// let victims: Vec<TaskId> = planner.running().map(|task| task.task.clone()).collect();
    /// let killed = planner.transaction(|attempt| {
    ///     let mut released = Vec::new();
    ///     for victim in &victims {
    ///         attempt.release(victim).expect("it runs");
    ///         released.push(victim.clone());
    ///         if !attempt.plan_only(["urgent"]).launches.is_empty() {
    ///             // batch.1 was alone on its host: that it went was of no use.
    ///             released.retain(|victim| attempt.restore(victim).is_err());
    ///             break;
    ///         }
    ///     }
    ///     Err::<(), _>(released)
    /// });
    /// assert_eq!(killed, Err(vec![TaskId::from("batch.2"), TaskId::from("batch.3")]));
    /// assert_eq!(planner.running().count(), 4); // until the tasks have ended
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn transaction<T, E>(&mut self, body: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>) -> Result<T, E> {
        Transaction::run(&mut self.state, body)
    }

    /// Forgets all offers, and returns those that nothing was launched in, in order of arrival: once a framework has accepted
    /// the others and declined these, none is left.
    pub fn clear_offers(&mut self) -> Vec<OfferId> {
        self.state.clear_offers()
    }

    /// Returns the options.
    #[must_use]
    pub fn planner(&self) -> &Planner {
        self.state.planner()
    }

    /// Iterates over the apps in the order in which they are planned: that in which they came.
    pub fn apps(&self) -> impl Iterator<Item = &App> {
        self.state.apps()
    }

    /// Iterates over the offers in order of arrival. Their resources are what is left of them.
    pub fn offers(&self) -> impl Iterator<Item = &Offer> {
        self.state.offers()
    }

    /// Iterates over the tasks in the order in which they were launched or told.
    pub fn running(&self) -> impl Iterator<Item = &Running> {
        self.state.running()
    }
}

/// What can be tried out in a [transaction](LivePlanner::transaction).
#[derive(Debug)]
pub struct Transaction<'a> {
    state: &'a mut LiveState,
    /// The length of the log at its begin.
    begin: usize,
    is_committed: bool,
}

impl<'a> Transaction<'a> {
    fn run<T, E>(state: &'a mut LiveState, body: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>) -> Result<T, E> {
        let begin = state.begin();
        let mut transaction = Self { state, begin, is_committed: false };
        let result = body(&mut transaction);
        transaction.is_committed = result.is_ok();
        result
    }

    /// Plans as [`LivePlanner::plan`] does.
    pub fn plan(&mut self) -> Plan {
        self.state.plan()
    }

    /// Plans as [`LivePlanner::plan_only`] does.
    pub fn plan_only<'i>(&mut self, apps: impl IntoIterator<Item = &'i str>) -> Plan {
        self.state.plan_only(apps)
    }

    /// Checks as [`LivePlanner::can_place`] does.
    ///
    /// # Errors
    ///
    /// [`Misfit`], likewise.
    pub fn can_place(&mut self, app: &App, offer: &OfferId) -> Result<(), Misfit> {
        self.state.check(app, offer)
    }

    /// Takes a running task away, as if it had ended. Its [resources](Running::resources), if they are known, go to the offer
    /// that it was launched in, or else to the first offer of its host. If its host has no offer, they go nowhere: an offer
    /// of no resources is enough for a host to be considered.
    ///
    /// # Errors
    ///
    /// [`ReleaseError`] if no such task runs, or if its resources cannot be added to the offer. Nothing has changed then.
    pub fn release(&mut self, task: &TaskId) -> Result<(), ReleaseError> {
        self.state.release(task)
    }

    /// Puts back a task that this transaction, or one around it, has released.
    ///
    /// # Errors
    ///
    /// [`ReleaseError`] if the task is not released, or if what it used is taken. Nothing has changed then.
    pub fn restore(&mut self, task: &TaskId) -> Result<(), ReleaseError> {
        self.state.restore(task)
    }

    /// Tries something out within this transaction, as [`LivePlanner::transaction`] does.
    ///
    /// # Errors
    ///
    /// What `body` returns.
    pub fn transaction<T, E>(&mut self, body: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>) -> Result<T, E> {
        Transaction::run(self.state, body)
    }

    /// Iterates over the offers, as [`LivePlanner::offers`] does.
    pub fn offers(&self) -> impl Iterator<Item = &Offer> {
        self.state.offers()
    }

    /// Iterates over the tasks, as [`LivePlanner::running`] does, without those that are released.
    pub fn running(&self) -> impl Iterator<Item = &Running> {
        self.state.running()
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.is_committed { self.state.commit() } else { self.state.rollback(self.begin) }
    }
}
