//! The programs of the lab: a trace recorded and replayed, the published results of packing, the offers of each workload, and
//! what offers that fit are worth.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod endings;
mod fit;
mod openb;
mod packing;
mod workload;
