//! The words of placement: what a planner is asked, and what it answers.

pub(super) mod app;
pub(super) mod barrier;
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
