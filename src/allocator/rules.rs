//! [`Options`]: what holds for all frameworks and agents.

use super::books::{Account, Ledger};
use super::index::AgentIx;
use super::offer_cap::offer_cap;
use crate::agent::Domain;
use crate::draw::draw;
use crate::resources::{Limits, Quantities, Scalar};
use crate::text::Text;
use crate::time::Time;
use indexmap::IndexSet;
use serde::{Deserialize, Serialize};

/// The rules that hold for all frameworks and agents of a [`Hierarchical`](super::Hierarchical) allocator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Options {
    /// The general minimum: an offer contains at least one of these, all names of it. If there are none, any offer will do.
    pub min_allocatable: Vec<Quantities>,
    /// Names of resources that count for no share.
    pub fair_sharing_excluded: Vec<Text>,
    /// Whether agents with gpus are only offered to frameworks with the capability for them.
    pub filter_gpu_resources: bool,
    /// The domain of the master: agents of other regions are only offered to frameworks with the capability for them.
    pub domain: Option<Domain>,
    /// The order in which agents are allocated.
    pub agent_order: AgentOrder,
    /// The most that an offer carries of unreserved, not revocable scalars; a name that is absent is not limited. If there are
    /// any, an agent is offered in *chunks* of so much, each to the first in order by then.
    #[serde(skip_serializing_if = "Limits::is_empty")]
    pub max_offer: Limits,
}

/// The order in which agents are allocated; the same for guarantees and for fair shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AgentOrder {
    /// The order in which they were added; an agent that is removed and added again comes last.
    #[default]
    Insertion,
    /// A shuffle by this seed, drawn anew at each moment. Mesos shuffles before each stage.
    Shuffle(u64),
}

impl Options {
    /// Returns the defaults of Mesos.
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion::allocator::{AgentOrder, Options};
    ///
    /// let options = Options::new().min_allocatable(["gpus:1".parse()?]).agent_order(AgentOrder::Shuffle(7));
    /// assert_eq!(options.min_allocatable[0].to_string(), "gpus:1");
    /// # Ok::<(), apportion::ResourceError>(())
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the alternative minimums of offers; none = any offer will do.
    #[must_use]
    pub fn min_allocatable(mut self, minimums: impl IntoIterator<Item = Quantities>) -> Self {
        self.min_allocatable = minimums.into_iter().collect();
        self
    }

    /// Sets the names of resources that count for no share.
    #[must_use]
    pub fn fair_sharing_excluded<N: Into<Text>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.fair_sharing_excluded = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets whether agents with gpus are only offered to frameworks with the capability for them.
    #[must_use]
    pub fn filter_gpu_resources(mut self, filter: bool) -> Self {
        self.filter_gpu_resources = filter;
        self
    }

    /// Sets the domain of the master.
    #[must_use]
    pub fn domain(mut self, domain: Domain) -> Self {
        self.domain = Some(domain);
        self
    }

    /// Sets the order in which agents are allocated.
    #[must_use]
    pub fn agent_order(mut self, order: AgentOrder) -> Self {
        self.agent_order = order;
        self
    }

    /// Sets the most that an offer carries. Mesos offers all of an agent at once, so the first in order takes it whole; with
    /// chunks the shares grow alike on one agent as on a thousand.
    ///
    /// What an offer carries of the scalars named, by guarantee and fair share together, is cut to it, and roles and frameworks
    /// are sorted anew for the rest. Reservations, revocable resources, ranges and sets go with the first chunk; what does not
    /// divide is taken whole or left out. If a minimum is larger than a chunk, the minimum counts instead. Of an agent at most
    /// 1,024 chunks are offered in one allocation, the rest in the next.
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion::allocator::{Allocator, Hierarchical, Options};
    /// use apportion::{Agent, Framework, Time};
    /// use std::sync::Arc;
    ///
    /// let mut allocator = Hierarchical::with_options(Options::new().max_offer("cpus:1;mem:1024".parse()?));
    /// for (id, role) in [("hadoop", "batch"), ("mpi", "hpc")] {
    ///     allocator.add_framework(&Arc::new(Framework::new(id).role(role.parse()?)), &[])?;
    /// }
    /// allocator.add_agent(&Arc::new(Agent::new("a1", "cpus:4;mem:4096".parse()?)), &[])?;
    /// let offers = allocator.allocate(Time::ZERO, None);
    /// let frameworks: Vec<_> = offers.iter().map(|offer| offer.framework.as_str()).collect();
    /// assert_eq!(frameworks, ["hadoop", "mpi", "hadoop", "mpi"]); // two halves of one agent
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn max_offer(mut self, most: Limits) -> Self {
        self.max_offer = most;
        self
    }
}

impl Default for Options {
    /// Mesos' defaults: at least 0.01 cpus or 32 MB, gpus only for frameworks that can use them.
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
            max_offer: Limits::new(),
        }
    }
}

/// The options, and the whitelist.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) options: Options,
    /// The most that an offer carries to a member that has the general minimum and no request; none if nothing is limited.
    pub(super) cap: Option<Limits>,
    /// The hosts that may be offered; none = all.
    pub(super) whitelist: Option<IndexSet<Text>>,
}

impl Rules {
    pub(super) fn new(options: Options) -> Self {
        let cap = offer_cap(&options.max_offer, None, &options.min_allocatable);
        Self { options, cap, whitelist: None }
    }

    /// Lifts the most that an offer carries.
    pub(super) fn lift_max_offer(&mut self) {
        (self.options.max_offer, self.cap) = (Limits::new(), None);
    }

    /// Returns whether an agent may be offered at all.
    #[inline]
    pub(super) fn allow(&self, account: &Account) -> bool {
        let hosts = self.whitelist.as_ref();
        account.is_active() && hosts.is_none_or(|hosts| hosts.contains(&account.agent().hostname))
    }

    /// Brings agents, in the order of adding, into the order in which they are allocated at a moment.
    pub(super) fn arrange(&self, agents: &mut [AgentIx], at: Time, ledger: &Ledger) {
        if let AgentOrder::Shuffle(seed) = self.options.agent_order {
            agents.sort_by_cached_key(|agent| draw(draw(seed, at.as_micros()), ledger[*agent].order()));
        }
    }
}
