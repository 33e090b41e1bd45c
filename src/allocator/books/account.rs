//! [`Account`]: what one agent has, and who holds it.

use super::balance::{Balance, has_shared, shared_of, unshared};
use super::holdings::Holdings;
use crate::agent::Agent;
use crate::allocator::index::{DenseIndex, MemberIx};
use crate::resources::{Quantities, Resources, Shortfall, SumError};
use std::sync::Arc;

/// The account of one agent. With the agent's id it fits into a cache line; what offers seldom need is boxed.
///
/// Invariant: available = total − offered − allocated, where shared resources are not subtracted; see [`Balance`] for what
/// holds where the total does not contain what is held.
#[derive(Debug, Clone)]
pub(in crate::allocator) struct Account {
    pub(super) base: Box<Base>,
    /// The number of agents that were added before this one.
    pub(super) order: u64,
    pub(super) is_active: bool,
    /// The resources in live offers. Not empty if there is any.
    pub(super) offered: Resources,
    pub(super) available: Resources,
    /// If there is one live offer: the member that it was made to.
    pub(super) offered_to: MemberIx,
    pub(super) has_gpus: bool,
    /// True if the total contains all that is held: then released resources become available without a look at the rest.
    pub(super) is_covered: bool,
}

/// The part of an account that is seldom used.
#[derive(Debug, Clone)]
pub(super) struct Base {
    pub(super) agent: Arc<Agent>,
    pub(super) total: Resources,
    pub(super) allocated: Resources,
    pub(super) holdings: Holdings,
    /// By name, the amount by which what is held exceeds the total; none if nothing does.
    pub(super) overcommitted: Option<Box<Quantities>>,
}

/// The reason why offers cannot end as they are to.
#[derive(Debug)]
pub(super) enum TaskFault {
    /// A task holds more than is left of the offers.
    TooLarge(Shortfall),
    /// The resources of the tasks cannot be added up.
    Uncountable(SumError),
}

/// The end of offers, checked up to what tasks hold of them.
#[derive(Debug)]
pub(super) struct EndedOffers<'a> {
    pub(super) member: MemberIx,
    pub(super) offers: &'a [&'a Resources],
    /// The sum of the offers.
    pub(super) offered: &'a Resources,
    /// The same after the conversions: what tasks may hold.
    pub(super) left: &'a Resources,
    /// The total after the conversions, if there are any.
    pub(super) total: Option<Resources>,
    pub(super) tasks: &'a [&'a Resources],
}

impl Account {
    /// Opens the account of an agent of which tasks hold what is `allocated`; so many were added before it.
    pub(super) fn new(agent: &Arc<Agent>, total: Resources, allocated: Resources, order: u64) -> Self {
        let holdings = Holdings::default();
        let mut account = Self {
            base: Box::new(Base { agent: Arc::clone(agent), total, allocated, holdings, overcommitted: None }),
            order,
            is_active: true,
            offered: Resources::new(),
            available: Resources::new(),
            offered_to: MemberIx::new(0),
            has_gpus: false,
            is_covered: false,
        };
        account.settle();
        account
    }

    /// Returns the agent's metadata. Its present total is [`total`](Self::total).
    pub(in crate::allocator) fn agent(&self) -> &Arc<Agent> {
        &self.base.agent
    }

    /// The number of agents that were added before this one.
    #[inline]
    pub(in crate::allocator) fn order(&self) -> u64 {
        self.order
    }

    /// Returns whether the agent may be offered at all.
    #[inline]
    pub(in crate::allocator) fn is_active(&self) -> bool {
        self.is_active
    }

    /// All resources of the agent.
    pub(in crate::allocator) fn total(&self) -> &Resources {
        &self.base.total
    }

    /// The resources in live offers.
    pub(in crate::allocator) fn offered(&self) -> &Resources {
        &self.offered
    }

    /// The resources that tasks hold.
    pub(in crate::allocator) fn allocated(&self) -> &Resources {
        &self.base.allocated
    }

    /// The resources that can be offered now.
    #[inline]
    pub(in crate::allocator) fn available(&self) -> &Resources {
        &self.available
    }

    /// The amounts by which what is held exceeds the total; none if nothing does.
    pub(in crate::allocator) fn overcommitted(&self) -> Option<&Quantities> {
        self.base.overcommitted.as_deref()
    }

    /// The same as a copy, without a look at what is boxed if the total contains all that is held.
    #[inline]
    pub(super) fn if_uncovered(&self) -> Option<Box<Quantities>> {
        if self.is_covered { None } else { self.base.overcommitted.clone() }
    }

    /// Returns whether the agent has gpus, in use or not.
    pub(in crate::allocator) fn has_gpus(&self) -> bool {
        self.has_gpus
    }

    /// Recomputes what is available.
    pub(super) fn settle(&mut self) {
        self.has_gpus = self.base.total.iter().any(|resource| resource.name() == "gpus" && resource.scalar().is_some());
        let Balance { available, is_covered, overcommitted } = self.balance();
        (self.available, self.is_covered) = (available, is_covered);
        self.base.overcommitted = (!overcommitted.is_empty()).then(|| Box::new(overcommitted));
    }

    pub(super) fn balance(&self) -> Balance {
        Balance::new(&self.base.total, &self.offered, &self.base.allocated)
    }

    /// Returns whether the invariants hold: what is available, and that the offers and the tasks add up, if they are few.
    pub(super) fn is_balanced(&self) -> bool {
        let holdings = self.holdings();
        self.available == self.balance().available
            && (!holdings.are_few()
                || self.base.allocated == holdings.sum_of_all_tasks()
                    && (holdings.offers.is_empty() || self.offered == holdings.sum_of_offers(None)))
    }

    /// The live offers and the tasks.
    pub(super) fn holdings(&self) -> &Holdings {
        &self.base.holdings
    }

    /// Returns whether nothing of the agent is offered or in use.
    pub(super) fn is_idle(&self) -> bool {
        self.offered.is_empty() && self.base.holdings.has_no_tasks()
    }

    /// Returns the position of the first of these that is no live offer to a member. Each must be an offer of its own.
    #[inline]
    pub(super) fn first_not_offered(&self, member: MemberIx, offers: &[&Resources]) -> Option<usize> {
        if let [only] = offers
            && self.offered_to == member
            && self.offered.is_same(only)
            && !only.is_empty()
        {
            return None; // of two offers, each is less than what is offered
        }
        self.first_not_listed(member, offers)
    }

    #[cold]
    fn first_not_listed(&self, member: MemberIx, offers: &[&Resources]) -> Option<usize> {
        let mut list = self.base.holdings.clone();
        if list.offers.is_empty() && !self.offered.is_empty() {
            list.add_offer(self.offered_to, &self.offered);
        }
        offers.iter().position(|offer| !list.remove_offer(member, offer))
    }

    /// Returns what is offered to a member.
    pub(super) fn offered_to(&self, member: MemberIx) -> Resources {
        let list = &self.base.holdings;
        if list.offers.is_empty() && self.offered_to == member {
            self.offered.clone()
        } else {
            list.sum_of_offers(Some(member))
        }
    }

    /// Notes an offer to a member that is being made. If it extends an `earlier` one, both are one.
    #[inline]
    pub(super) fn note_offer(&mut self, member: MemberIx, resources: &Resources, earlier: Option<&Resources>) {
        if self.offered.is_empty() {
            self.offered_to = member;
        } else {
            self.note_further_offer(member, resources, earlier);
        }
    }

    #[cold]
    fn note_further_offer(&mut self, member: MemberIx, resources: &Resources, earlier: Option<&Resources>) {
        let list = &mut self.base.holdings;
        match earlier {
            Some(_) if list.offers.is_empty() => {} // a single offer is all that is offered
            Some(earlier) => {
                let mut sum = earlier.clone();
                sum.insert(resources);
                list.remove_offer(member, earlier);
                list.add_offer(member, &sum);
            }
            None => {
                if list.offers.is_empty() {
                    list.add_offer(self.offered_to, &self.offered);
                }
                list.add_offer(member, resources);
            }
        }
    }

    /// Moves offered resources to the tasks that were launched on them, and the rest to what is available. On an error
    /// nothing has changed.
    pub(super) fn end_offers(&mut self, ended: &EndedOffers<'_>) -> Result<(), TaskFault> {
        let mut rest = unshared(ended.left).into_owned();
        for task in ended.tasks {
            let own = unshared(task);
            if let Some(shortfall) = rest.shortfall(&own) {
                return Err(TaskFault::TooLarge(shortfall));
            }
            if let Some(missing) = shared_of(task).find(|shared| !has_shared(ended.left, shared)) {
                return Err(TaskFault::TooLarge(Shortfall { asked: missing.clone(), available: Vec::new() }));
            }
            rest.remove(&own);
        }
        for (position, task) in ended.tasks.iter().enumerate() {
            if let Err(error) = self.base.allocated.try_add(task) {
                ended.tasks[..position].iter().for_each(|added| self.base.allocated.remove(added));
                return Err(TaskFault::Uncountable(error));
            }
        }
        if !ended.tasks.is_empty() {
            self.base.holdings.tasks.extend(ended.tasks.iter().map(|task| (ended.member, Resources::clone(task))));
        }
        self.offered.remove(ended.offered);
        if !self.offered.is_empty() || ended.offers.len() > 1 {
            self.forget_offers(ended.member, ended.offers);
        }
        match &ended.total {
            Some(total) => {
                self.base.total = total.clone();
                self.settle();
            }
            None => self.give_back(&rest),
        }
        Ok(())
    }

    /// Moves an offer back to what is available.
    #[inline]
    pub(super) fn end_unused(&mut self, member: MemberIx, offer: &Resources) {
        self.offered.remove(offer);
        if !self.offered.is_empty() {
            self.forget_offers(member, &[offer]);
        }
        self.give_back(&unshared(offer));
    }

    #[cold]
    fn forget_offers(&mut self, member: MemberIx, offers: &[&Resources]) {
        let list = &mut self.base.holdings;
        for offer in offers {
            list.remove_offer(member, offer);
        }
        if let Some(only) = list.only_offer() {
            self.offered_to = only;
            list.offers.clear();
        }
    }

    pub(super) fn end_task(&mut self, resources: &Resources) {
        self.base.allocated.remove(resources);
        self.give_back(&unshared(resources));
    }

    /// Adds resources that are not held any more to what is available. Where that is not all that changes, recomputes it.
    #[inline]
    fn give_back(&mut self, released: &Resources) {
        if !(self.is_covered && self.available.try_add(released).is_ok()) {
            self.settle();
        }
    }
}
