//! [`Change`]: what a living planner is told between plans.

use super::app::App;
use super::barrier::Barrier;
use super::running::Running;
use crate::id::{OfferId, TaskId};
use crate::offer::Offer;
use crate::resources::Shortfall;
use crate::text::Text;
use crate::time::Time;
use std::fmt;

/// A change of what a [`LivePlanner`](crate::placement::LivePlanner) knows.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Change {
    /// An app is added after all others, or another definition takes the place of the one with its id.
    App(Box<App>),
    /// An app is to have so many instances. This is cheaper than another definition.
    Scale {
        /// The id of the app, with a leading `/`.
        app: Text,
        /// The number of its instances.
        instances: u64,
    },
    /// An app is forgotten. Its tasks go on running.
    AppRemoved(Text),
    /// An offer came.
    Offer(Box<Offer>),
    /// An offer was rescinded, declined or accepted.
    OfferGone(OfferId),
    /// A task runs that the planner did not launch: one of an earlier life of the framework. It comes after all others.
    Started(Box<Running>),
    /// A task has ended. The offers stay as they are: what it used comes back in another offer.
    Ended(TaskId),
    /// The time is another, on the clock of maintenance windows.
    Now(Time),
}

impl From<App> for Change {
    fn from(app: App) -> Self {
        Self::App(Box::new(app))
    }
}

impl From<Offer> for Change {
    fn from(offer: Offer) -> Self {
        Self::Offer(Box::new(offer))
    }
}

impl From<Running> for Change {
    fn from(task: Running) -> Self {
        Self::Started(Box::new(task))
    }
}

/// Why a change was turned away; the planner is as it was before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// No app has the id.
    #[error("no app {0}")]
    UnknownApp(Text),
    /// No offer has the id.
    #[error("no offer {0}")]
    UnknownOffer(OfferId),
    /// An offer has the id already.
    #[error("offer {0} is there already")]
    KnownOffer(OfferId),
    /// No task has the id.
    #[error("no task {0}")]
    UnknownTask(TaskId),
    /// A task has the id already.
    #[error("task {0} runs already")]
    KnownTask(TaskId),
}

/// Why a task was neither released nor restored; the planner is as it was before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// No task has the id, or it was released in a transaction that was committed.
    #[error("no task {0}")]
    UnknownTask(TaskId),
    /// The task is released already.
    #[error("task {0} is released already")]
    Released(TaskId),
    /// The task was not released.
    #[error("task {0} is not released")]
    NotReleased(TaskId),
    /// What the task used was given to another task.
    #[error("what task {task} used is taken: {shortfall}")]
    Taken {
        /// The task.
        task: TaskId,
        /// What is missing.
        shortfall: Box<Shortfall>,
    },
    /// What the task used and what is offered have no sum: amounts are too large, or of one name and unlike types.
    #[error("what task {task} used cannot be added to offer {offer}")]
    NoSum {
        /// The task.
        task: TaskId,
        /// The offer.
        offer: OfferId,
    },
}

/// Why a task of an app cannot be launched in an offer.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the offer is not there, or the task may not be")]
pub enum Misfit {
    /// No offer has the id.
    UnknownOffer(OfferId),
    /// Every check that fails.
    Barriers(Vec<Barrier>),
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownOffer(offer) => write!(f, "no offer {offer}"),
            Self::Barriers(barriers) => {
                for (i, barrier) in barriers.iter().enumerate() {
                    write!(f, "{}{}: {barrier}", if i == 0 { "" } else { "; " }, barrier.kind())?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for Misfit {}
