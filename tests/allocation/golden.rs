//! Worked results from the papers and from Mesos' own tests, task by task.
//!
//! DRF is Ghodsi et al., *Dominant Resource Fairness*, NSDI'11. It divides tasks; a master launches
//! whole ones, one for each offer here, so that every pick is the sorter's. Where the paper's result
//! is a fraction, the instance is as many times as large as makes it whole. Hierarchical DRF has its
//! own page, `hdrf.rs`.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod allocator;
mod paper;
mod sorter;
mod user;
