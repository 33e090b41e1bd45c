//! [`AnyScheduler`]: schedulers of several types in one cluster.

use super::Cluster;
use crate::allocator::Allocator;
use crate::id::FrameworkId;
use crate::scheduler::Scheduler;
use std::any::Any;

/// A scheduler of any type: every [`Scheduler`] is one.
///
/// # Examples
///
/// ```
/// use apportion::simulation::{AnyScheduler, Cluster};
/// use apportion::{Calls, Config, Framework, Offer, Role, Scheduler};
///
/// #[derive(Default)]
/// struct Greedy {
///     offers: usize,
/// }
///
/// impl Scheduler for Greedy {
///     fn offers(&mut self, offers: Vec<Offer>, _: &mut Calls) {
///         self.offers += offers.len();
///     }
/// }
///
/// let mut cluster: Cluster<Box<dyn AnyScheduler>> = Cluster::new(Config::default());
/// cluster.add_framework(Framework::new("f1").role(Role::default()), Box::new(Greedy::default()))?;
/// assert_eq!(cluster.scheduler_as::<Greedy>(&"f1".into()).map(|greedy| greedy.offers), Some(0));
/// # Ok::<(), apportion::CommandError>(())
/// ```
pub trait AnyScheduler: Scheduler + Any {}

impl<S: Scheduler + Any> AnyScheduler for S {}

impl<A: Allocator> Cluster<Box<dyn AnyScheduler>, A> {
    /// Returns the scheduler of a framework, if it is of that type.
    #[must_use]
    pub fn scheduler_as<T: Scheduler + 'static>(&self, framework: &FrameworkId) -> Option<&T> {
        let scheduler: &dyn Any = &**self.scheduler(framework)?;
        scheduler.downcast_ref()
    }

    /// Returns the scheduler of a framework, if it is of that type. Calls are made with [`Cluster::tell`].
    #[must_use]
    pub fn scheduler_as_mut<T: Scheduler + 'static>(&mut self, framework: &FrameworkId) -> Option<&mut T> {
        let scheduler: &mut dyn Any = &mut **self.scheduler_mut(framework)?;
        scheduler.downcast_mut()
    }
}
