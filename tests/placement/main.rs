//! Level two: plans against a slow matcher, the planner's cases, and rules of one's own.

mod own_rules;
mod place;
mod planner;
#[path = "../tier/mod.rs"]
mod tier;
