//! Agents in a simulated cluster: in place of the obedient ones that [`apportion::simulation`] has.

mod disk;

pub use disk::Disk;
