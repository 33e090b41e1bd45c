//! What runs tasks, from outside: real processes, folders and cgroups of this machine.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

mod beneath;
mod cgroup;
mod check;
mod process;
mod rotation;
mod tree;
mod witness;
