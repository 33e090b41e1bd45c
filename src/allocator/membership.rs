//! Who stands where: frameworks take places in roles, roles in the tree, and are charged for what they hold.

use super::amounts::Amounts;
use super::hierarchical::Hierarchical;
use super::ledger::AgentIx;
use super::roster::{FrameworkIx, Member, MemberIx, Place, RoleEntry, RoleIx};
use super::share::Weight;
use super::sorter::Sorter;
use super::tree::ShareTree;
use super::{AllocatorError, Holding};
use crate::framework::Framework;
use crate::id::{AgentId, FrameworkId};
use crate::resources::Resources;
use crate::role::Role;
use crate::time::Time;
use indexmap::IndexMap;
use std::sync::Arc;

impl<R: Sorter, F: Sorter + Clone> Hierarchical<R, F> {
    pub(super) fn find_agent(&self, id: &AgentId) -> Result<AgentIx, AllocatorError> {
        self.ledger.find(id).ok_or_else(|| AllocatorError::UnknownAgent(id.clone()))
    }

    pub(super) fn find_framework(&self, id: &FrameworkId) -> Result<FrameworkIx, AllocatorError> {
        self.frameworks.find(id).ok_or_else(|| AllocatorError::UnknownFramework(id.clone()))
    }

    /// Where a framework stands within these of its roles; none = within all.
    pub(super) fn places(&self, id: &FrameworkId, roles: &[Role]) -> Result<Vec<Place>, AllocatorError> {
        let entry = &self.frameworks[self.find_framework(id)?];
        let subscribed = entry.places.iter().filter(|place| self.member(**place).subscribed).copied();
        if roles.is_empty() {
            return Ok(subscribed.collect());
        }
        let of_role = |role: &Role| {
            let place = subscribed.clone().find(|(ix, _)| self.roles[*ix].role == *role);
            place.ok_or_else(|| AllocatorError::NotItsRole { framework: id.clone(), role: role.clone() })
        };
        roles.iter().map(of_role).collect()
    }

    pub(super) fn place(&self, framework: FrameworkIx, role: &Role) -> Option<Place> {
        let places = &self.frameworks[framework].places;
        if let [only] = places.as_slice() {
            return (self.roles[only.0].role == *role).then_some(*only);
        }
        let role = self.roles.find(role)?;
        places.iter().find(|(ix, _)| *ix == role).copied()
    }

    pub(super) fn member(&self, (role, client): Place) -> &Member {
        self.roles[role].members[client.index()].as_ref().expect("a place is given up with its member")
    }

    pub(super) fn framework_of(&self, place: Place) -> &Framework {
        &self.frameworks[self.member(place).framework].framework
    }

    /// What a framework says of itself is something else now.
    pub(super) fn replace_framework(&mut self, ix: FrameworkIx, framework: Arc<Framework>) {
        let entry = &mut self.frameworks[ix];
        self.choosy -= usize::from(entry.has_minimums());
        entry.replace(framework);
        self.choosy += usize::from(entry.has_minimums());
    }

    pub(super) fn is_framework_active(&self, place: Place) -> bool {
        self.frameworks[self.member(place).framework].active
    }

    pub(super) fn is_suppressed(&self, place: Place) -> bool {
        self.member(place).suppressed
    }

    pub(super) fn forget_refusals(&mut self, place: Place) {
        self.refusals.forget_member(self.member(place).number);
    }

    pub(super) fn unsuppress(&mut self, place: Place) {
        self.member_mut(place).suppressed = false;
        self.wake(place);
    }

    /// The dominant share of a role and its descendants, over its weight.
    pub(super) fn share_of(&self, role: &Role) -> f64 {
        let node = self.tree.find(role.components());
        node.map_or(0.0, |node| self.tree.dominant_share(node, &self.totals).as_f64())
    }

    pub(super) fn member_mut(&mut self, (role, client): Place) -> &mut Member {
        self.roles[role].members[client.index()].as_mut().expect("a place is given up with its member")
    }

    /// The place of a framework within a role; it is given one, without the role, if it has none.
    pub(super) fn seat(&mut self, framework: FrameworkIx, role: &Role) -> Place {
        if let Some(place) = self.place(framework, role) {
            return place;
        }
        let ix = self.roles.find(role).unwrap_or_else(|| self.open_role(role));
        let entry = &mut self.roles[ix];
        let id = self.frameworks.id(framework);
        let client = entry.tree.add(std::iter::once(id.as_str()), |_| Weight::ONE);
        if entry.members.len() <= client.index() {
            entry.members.resize_with(client.index() + 1, || None);
            entry.numbers.resize(client.index() + 1, MemberIx::MAX);
        }
        let number = self.seats.take();
        entry.numbers[client.index()] = number;
        entry.members[client.index()] = Some(Member {
            number,
            framework,
            subscribed: false,
            suppressed: false,
            holdings: 0,
            offered_at: Time::ZERO,
            useful_at: None,
        });
        entry.present += 1;
        self.frameworks[framework].places.push((ix, client));
        (ix, client)
    }

    pub(super) fn open_role(&mut self, role: &Role) -> RoleIx {
        let path = role.as_str();
        let ends: Vec<usize> = path.match_indices('/').map(|(end, _)| end).chain([path.len()]).collect();
        let weight = |depth: usize| self.weights.get(&path[..ends[depth]]).copied().unwrap_or_default();
        let client = self.tree.add(role.components(), weight);
        self.tree.set_active(client, true);
        self.sorter.charged(&self.tree, client);
        let quota = self.quotas.seat(role, client);
        let ix = self.roles.insert(
            role.clone(),
            RoleEntry {
                role: role.clone(),
                client,
                tree: ShareTree::default(),
                sorter: self.fresh.clone(),
                members: Vec::new(),
                numbers: Vec::new(),
                present: 0,
                firm: Amounts::default(),
                quota,
            },
        );
        if self.role_of.len() <= client.index() {
            self.role_of.resize(client.index() + 1, RoleIx::MAX);
        }
        self.role_of[client.index()] = ix;
        ix
    }

    /// Gives up a place that stands for nothing any more, and the role with the last one.
    pub(super) fn leave_if_done(&mut self, place: Place) {
        let member = self.member(place);
        if member.subscribed || member.holdings > 0 {
            return;
        }
        let (framework, number) = (member.framework, member.number);
        self.frameworks[framework].places.retain(|mine| *mine != place);
        self.refusals.forget_member(number);
        self.seats.leave(number);
        let entry = &mut self.roles[place.0];
        entry.tree.remove(place.1);
        entry.members[place.1.index()] = None;
        entry.numbers[place.1.index()] = MemberIx::MAX;
        entry.present -= 1;
        if entry.present == 0 {
            let (role, client) = (entry.role.clone(), entry.client);
            self.tree.remove(client);
            self.quotas.leave(&role);
            self.roles.remove(&role);
        }
    }

    pub(super) fn wake(&mut self, place: Place) {
        let member = self.member(place);
        let active = member.subscribed && !member.suppressed && self.frameworks[member.framework].active;
        self.seats.set_awake(member.number, active);
        let entry = &mut self.roles[place.0];
        entry.tree.set_active(place.1, active);
        entry.sorter.charged(&entry.tree, place.1);
    }

    /// Counts resources as held by a framework, offered or in use alike, and as so many gifts.
    pub(super) fn charge(&mut self, (role, client): Place, agent: AgentIx, resources: &Resources, gifts: u64) {
        let (order, weighed) = (self.ledger[agent].order, self.names.weigh(resources));
        let entry = &mut self.roles[role];
        entry.firm.add(&weighed.firm);
        self.quotas.charge(entry.quota, weighed);
        entry.tree.charge(client, order, weighed, gifts);
        entry.sorter.charged(&entry.tree, client);
        self.tree.charge(entry.client, order, weighed, gifts);
        self.sorter.charged(&self.tree, entry.client);
    }

    pub(super) fn release(&mut self, (role, client): Place, agent: AgentIx, resources: &Resources) {
        let (order, weighed) = (self.ledger[agent].order, self.names.weigh(resources));
        let entry = &mut self.roles[role];
        entry.firm.sub(&weighed.firm);
        self.quotas.release(entry.quota, weighed);
        entry.tree.release(client, order, weighed);
        entry.sorter.charged(&entry.tree, client);
        self.tree.release(entry.client, order, weighed);
        self.sorter.charged(&self.tree, entry.client);
    }

    /// Brings the accounts of quota in line with the quotas.
    pub(super) fn settle_quotas(&mut self) {
        let held = self.roles.iter().map(|(_, entry)| (&entry.role, &entry.firm));
        if self.quotas.reopen(&mut self.names, held, &self.options.min_allocatable) {
            for (_, entry) in self.roles.iter_mut() {
                entry.quota = self.quotas.seat(&entry.role, entry.client);
            }
        }
    }

    /// One more offer or task of a framework under a role.
    pub(super) fn add_holdings(&mut self, place: Place, more: u64) {
        self.member_mut(place).holdings += more;
    }

    pub(super) fn end_holding(&mut self, place: Place) {
        let member = self.member_mut(place);
        member.holdings = member.holdings.saturating_sub(1);
        self.leave_if_done(place);
    }

    /// Charges what tasks hold that came with an agent or before their framework. Each pair of role
    /// and agent counts as one gift.
    pub(super) fn adopt(&mut self, held: &[Holding]) {
        let mut sums: IndexMap<(FrameworkIx, &Role, AgentIx), (Resources, u64)> = IndexMap::new();
        for holding in held {
            let found = self.frameworks.find(&holding.framework).zip(self.ledger.find(&holding.agent));
            let Some((framework, agent)) = found else { continue };
            let (sum, tasks) = sums.entry((framework, &holding.role, agent)).or_default();
            sum.insert(&holding.resources);
            *tasks += 1;
        }
        for ((framework, role, agent), (sum, tasks)) in sums {
            let place = self.seat(framework, role);
            self.add_holdings(place, tasks);
            self.charge(place, agent, &sum, 1);
        }
    }

    pub(super) fn subscribe(&mut self, ix: FrameworkIx) {
        let framework = Arc::clone(&self.frameworks[ix].framework);
        for role in &framework.roles {
            let place = self.seat(ix, role);
            let suppressed = framework.suppressed.contains(role);
            let member = self.member_mut(place);
            let revived = member.suppressed && !suppressed;
            (member.subscribed, member.suppressed) = (true, suppressed);
            let number = member.number;
            if revived {
                self.refusals.forget_member(number);
            }
            self.wake(place);
        }
    }
}
