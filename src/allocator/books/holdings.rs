//! [`Holdings`]: which member holds which part of an agent, offer by offer and task by task.

use crate::allocator::Holding;
use crate::allocator::index::MemberIx;
use crate::resources::Resources;

/// The live offers and the tasks of one agent: lists in no particular order.
///
/// The sums of an account tell how much is held, not by whom. These lists do, so that only what is held can be given back,
/// and only once.
#[derive(Debug, Clone, Default)]
pub(in crate::allocator) struct Holdings {
    /// All live offers, if there are several: the account itself knows a single one.
    /// Equal ones are one entry: a shared volume may be offered over and over.
    pub(super) offers: Vec<Offers>,
    pub(super) tasks: Vec<(MemberIx, Resources)>,
    /// The tasks of frameworks that are not known.
    pub(super) orphans: Vec<Holding>,
}

/// A number of live offers of a member that are alike.
#[derive(Debug, Clone)]
pub(super) struct Offers {
    pub(super) member: MemberIx,
    pub(super) resources: Resources,
    pub(super) count: u64,
}

impl Holdings {
    /// Adds an offer.
    pub(super) fn add_offer(&mut self, member: MemberIx, resources: &Resources) {
        match self.find_offers(member, resources) {
            Some(position) => self.offers[position].count += 1,
            None => self.offers.push(Offers { member, resources: resources.clone(), count: 1 }),
        }
    }

    /// Removes an offer. Returns false if there is none.
    pub(super) fn remove_offer(&mut self, member: MemberIx, resources: &Resources) -> bool {
        let Some(position) = self.find_offers(member, resources) else { return false };
        self.offers[position].count -= 1;
        if self.offers[position].count == 0 {
            self.offers.swap_remove(position);
        }
        true
    }

    fn find_offers(&self, member: MemberIx, resources: &Resources) -> Option<usize> {
        self.offers.iter().position(|offers| offers.member == member && is_equal(&offers.resources, resources))
    }

    /// Returns the member that has the only offer.
    pub(super) fn only_offer(&self) -> Option<MemberIx> {
        let [Offers { member, count: 1, .. }] = self.offers.as_slice() else { return None };
        Some(*member)
    }

    /// Adds the resources of the offers of a member, or of all.
    pub(super) fn sum_of_offers(&self, member: Option<MemberIx>) -> Resources {
        let mut sum = Resources::new();
        for offers in self.offers.iter().filter(|offers| member.is_none_or(|member| offers.member == member)) {
            (0..offers.count).for_each(|_| sum.insert(&offers.resources));
        }
        sum
    }

    /// Returns whether there are few offers and tasks.
    pub(super) fn are_few(&self) -> bool {
        self.offers.iter().map(|offers| offers.count).sum::<u64>() + (self.tasks.len() + self.orphans.len()) as u64
            <= 64
    }

    /// Returns whether no task holds anything.
    pub(super) fn has_no_tasks(&self) -> bool {
        self.tasks.is_empty() && self.orphans.is_empty()
    }

    /// Removes a task of a member, or else of a framework that is not known. Returns whether it was the member's; none if
    /// there is no such task.
    pub(super) fn remove_task(&mut self, member: Option<MemberIx>, task: &Holding) -> Option<bool> {
        if let Some(position) = member.and_then(|member| self.find_task(member, &task.resources)) {
            self.tasks.swap_remove(position);
            return Some(true);
        }
        self.remove_orphan(task).then_some(false)
    }

    /// Returns the position of a task of a member. Mostly it shares its list with the one asked for.
    fn find_task(&self, member: MemberIx, resources: &Resources) -> Option<usize> {
        let shares = |(of, mine): &(MemberIx, Resources)| *of == member && mine.is_same(resources);
        let equals = |(of, mine): &(MemberIx, Resources)| *of == member && mine == resources;
        self.tasks.iter().position(shares).or_else(|| self.tasks.iter().position(equals))
    }

    /// Removes a task of a framework that is not known. Returns false if there is none.
    pub(super) fn remove_orphan(&mut self, task: &Holding) -> bool {
        let is_it = |orphan: &Holding| {
            orphan.framework == task.framework && orphan.role == task.role && orphan.resources == task.resources
        };
        let position = self.orphans.iter().position(is_it);
        position.map(|position| self.orphans.swap_remove(position)).is_some()
    }

    /// Adds the resources of the tasks of a holder.
    pub(super) fn sum_of_tasks(&self, member: Option<MemberIx>, holder: &Holding) -> Resources {
        let own = self.tasks.iter().filter(|(of, _)| Some(*of) == member).map(|(_, task)| task);
        let is_its = |orphan: &&Holding| orphan.framework == holder.framework && orphan.role == holder.role;
        sum(own.chain(self.orphans.iter().filter(is_its).map(|orphan| &orphan.resources)))
    }

    /// Adds the resources of all tasks.
    pub(super) fn sum_of_all_tasks(&self) -> Resources {
        let orphans = self.orphans.iter().map(|orphan| &orphan.resources);
        sum(self.tasks.iter().map(|(_, task)| task).chain(orphans))
    }
}

/// Returns whether two lists are equal. Mostly both share one.
fn is_equal(one: &Resources, other: &Resources) -> bool {
    one.is_same(other) || one == other
}

/// Adds resources that are all part of one sum.
pub(super) fn sum<'a>(parts: impl IntoIterator<Item = &'a Resources>) -> Resources {
    let mut sum = Resources::new();
    parts.into_iter().for_each(|part| sum.insert(part));
    sum
}
