//! [`Options`]: what holds for all frameworks and agents.

use crate::agent::Domain;
use crate::resources::{Quantities, Scalar};
use smol_str::SmolStr;

/// What holds for all frameworks and agents of a [`Hierarchical`] allocator.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// An offer contains at least one of these, all names of it; none of them = anything goes.
    pub min_allocatable: Vec<Quantities>,
    /// Names of resources that count for no share.
    pub fair_sharing_excluded: Vec<SmolStr>,
    /// Whether agents with gpus are only for frameworks that say they can use them.
    pub filter_gpu_resources: bool,
    /// Where the master stands: agents of other regions are only for frameworks that can use them.
    pub domain: Option<Domain>,
    /// In which order agents are given away.
    pub agent_order: AgentOrder,
}

/// In which order agents are given away; the same for guarantees and for fair shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum AgentOrder {
    /// That in which they were added; one that comes again comes last.
    #[default]
    Insertion,
    /// Drawn from this seed, anew at each moment. Mesos shuffles before each stage.
    Shuffle(u64),
}

impl Default for Options {
    /// Mesos' defaults: 0.01 cpus or 32 MB at least, gpus only for whoever can use them.
    fn default() -> Self {
        Self {
            min_allocatable: vec![
                Quantities::from_iter([("cpus", Scalar::milli(10))]),
                Quantities::from_iter([("mem", Scalar::units(32))]),
            ],
            fair_sharing_excluded: Vec::new(),
            filter_gpu_resources: true,
            domain: None,
            agent_order: AgentOrder::Insertion,
        }
    }
}
