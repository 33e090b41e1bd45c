//! The model: the values that a planner is asked with, and those that it answers.
//!
//! In: [`planner`] and [`change`], [`app`] with its [`ports`], [`volume`], [`spread`], [`strategy`] and [`fitness`], and [`running`]
//! tasks.
//! Out: a [`plan`], with a [`barrier`] for each check that fails, what is [`withheld`], and a [`near_miss`]; an [`expansion`] if it is asked for.

pub(super) mod app;
pub(super) mod barrier;
pub(super) mod change;
pub(super) mod expansion;
pub(super) mod fitness;
pub(super) mod near_miss;
pub(super) mod plan;
pub(super) mod planner;
pub(super) mod ports;
pub(super) mod running;
pub(super) mod spread;
pub(super) mod strategy;
pub(super) mod version;
pub(super) mod volume;
pub(super) mod withheld;
