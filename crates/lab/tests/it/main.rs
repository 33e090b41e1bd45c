//! The programs of the lab: a trace recorded and replayed, the published results of packing, and the offers of each workload.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod endings;
mod openb;
mod packing;
mod workload;
