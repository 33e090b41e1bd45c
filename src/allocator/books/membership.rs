//! [`Membership`]: frameworks, roles, and the members of roles; subscribes frameworks and charges what they hold.

mod requested;
mod saved;

pub(in crate::allocator) use requested::Requested;
pub(super) use saved::SavedMembership;

use crate::allocator::amounts::Amounts;
use crate::allocator::index::{BitSet, FrameworkIx, IdMap, IndexVec, MemberIx, QuotaIx, RoleIx, Slab};
use crate::allocator::quota::Quotas;
use crate::allocator::ranking::Ranking;
use crate::allocator::resource_names::Weighed;
use crate::allocator::share::{Totals, Weight};
use crate::allocator::sorter::Sorter;
use crate::allocator::tree::{ClientId, ShareTree};
use crate::framework::Framework;
use crate::id::FrameworkId;
use crate::role::Role;
use crate::time::Time;
use indexmap::IndexMap;
use smallvec::SmallVec;
use std::sync::Arc;

/// The frameworks, the roles that have members, and the members. Roles are ranked by `R`, the members of each by an `F`.
#[derive(Debug, Clone)]
pub(in crate::allocator) struct Membership<R, F> {
    frameworks: IdMap<FrameworkId, FrameworkIx, FrameworkEntry>,
    roles: IdMap<Role, RoleIx, RoleEntry<F>>,
    members: Slab<MemberIx, Member>,
    /// The members that may be offered something.
    active: BitSet<MemberIx>,
    ranking: Ranking<R>,
    /// The role of each client of the ranking.
    role_of: IndexVec<ClientId, Option<RoleIx>>,
    /// The weights that were set, whether or not the role has members.
    weights: IndexMap<Role, Weight>,
    /// The sorter that each new role gets a copy of.
    member_sorter: F,
    /// The number of frameworks that have offer filters.
    with_offer_filters: usize,
    /// The number of frameworks that have offer filters, offer constraints or requests.
    selective: usize,
    /// The number of frameworks that have a bound on their live offers.
    bounded: usize,
    /// The number of members with a request, and with one that divides agents.
    requests: usize,
    dividing: usize,
    /// The members whose minimum may be another than the general one.
    with_own_minimum: BitSet<MemberIx>,
    /// The number of members that have ever come.
    arrivals: u64,
}

#[derive(Debug, Clone)]
pub(in crate::allocator) struct FrameworkEntry {
    framework: Arc<Framework>,
    /// Whether it has offer filters, offer constraints or requests.
    is_selective: bool,
    is_active: bool,
    /// The number of its members with a request.
    requests: usize,
    /// Its members in the roles that it has, or has left but still holds something under.
    members: SmallVec<[MemberIx; 4]>,
}

/// A role that has members.
#[derive(Debug, Clone)]
struct RoleEntry<F> {
    /// The role in the ranking of roles.
    client: ClientId,
    /// Ranks the members: a flat tree.
    ranking: Ranking<F>,
    /// The member of each client of that ranking.
    members: IndexVec<ClientId, Option<MemberIx>>,
    /// The number of members.
    len: usize,
    /// The quota-managed amounts that the members hold.
    quota_managed: Amounts,
    /// The nearest account of quota, from the role up.
    quota: Option<QuotaIx>,
}

/// A framework within a role.
#[derive(Debug, Clone)]
pub(in crate::allocator) struct Member {
    pub(in crate::allocator) framework: FrameworkIx,
    pub(in crate::allocator) role: RoleIx,
    /// The member in the ranking of the role.
    pub(in crate::allocator) client: ClientId,
    /// The number of members that had come by then, this one included.
    arrival: u64,
    /// Whether the framework has the role, or only still holds something under it.
    pub(in crate::allocator) is_subscribed: bool,
    pub(in crate::allocator) is_suppressed: bool,
    /// The number of its live offers.
    offers: u64,
    /// The number of its tasks.
    tasks: u64,
    /// The offers that it asks for while it is suppressed.
    requested: Option<Box<Requested>>,
    /// When it was last offered something.
    offered_at: Time,
    /// When it was last offered something that it launched on.
    pub(in crate::allocator) useful_offer_at: Option<Time>,
}

impl Member {
    /// Returns the number of its offers and tasks.
    pub(in crate::allocator) fn holdings(&self) -> u64 {
        self.offers + self.tasks
    }

    /// Returns its request, if that works: while it is suppressed, whether or not a place is open.
    #[inline]
    pub(in crate::allocator) fn request_at_work(&self) -> Option<&Requested> {
        self.requested.as_deref().filter(|_| self.is_suppressed)
    }

    /// Returns whether it wants offers: unless it is suppressed and no place of a request is open.
    fn is_willing(&self) -> bool {
        !self.is_suppressed || self.requested.as_ref().is_some_and(|requested| requested.open > 0)
    }
}

/// The roles that a request for the next one in order is restricted to.
#[derive(Debug, Clone, Copy)]
pub(in crate::allocator) enum RoleFilter<'a> {
    /// These roles.
    Within(&'a BitSet<ClientId>),
    /// Roles that have an active member which has not refused all of the agent, and that are not at their limit.
    MayAccept { refused_all: Option<&'a BitSet<MemberIx>>, at_limit: Option<&'a BitSet<ClientId>> },
}

impl FrameworkEntry {
    fn new(framework: Arc<Framework>) -> Self {
        let is_selective = is_selective(&framework);
        Self { framework, is_selective, is_active: true, requests: 0, members: SmallVec::new() }
    }

    #[inline]
    pub(in crate::allocator) fn framework(&self) -> &Framework {
        &self.framework
    }

    /// Returns whether it has offer filters, offer constraints or requests.
    #[inline]
    pub(in crate::allocator) fn is_selective(&self) -> bool {
        self.is_selective
    }

    pub(in crate::allocator) fn is_active(&self) -> bool {
        self.is_active
    }

    /// Returns whether it has offer filters: then the limits of a role alone do not tell what is too little for it.
    fn has_offer_filters(&self) -> bool {
        !self.framework.offer_filters.is_empty()
    }
}

fn is_selective(framework: &Framework) -> bool {
    !framework.offer_filters.is_empty() || !framework.offer_constraints.is_empty()
}

impl<R: Sorter, F: Sorter + Clone> Membership<R, F> {
    pub(super) fn new(role_sorter: R, member_sorter: F) -> Self {
        Self {
            frameworks: IdMap::default(),
            roles: IdMap::default(),
            members: Slab::default(),
            active: BitSet::default(),
            ranking: Ranking::new(role_sorter),
            role_of: IndexVec::default(),
            weights: IndexMap::new(),
            member_sorter,
            with_offer_filters: 0,
            selective: 0,
            bounded: 0,
            requests: 0,
            dividing: 0,
            with_own_minimum: BitSet::default(),
            arrivals: 0,
        }
    }

    pub(in crate::allocator) fn find_framework(&self, id: &FrameworkId) -> Option<FrameworkIx> {
        self.frameworks.find(id)
    }

    pub(in crate::allocator) fn framework_id(&self, framework: FrameworkIx) -> &FrameworkId {
        self.frameworks.id(framework)
    }

    #[inline]
    pub(in crate::allocator) fn framework(&self, framework: FrameworkIx) -> &FrameworkEntry {
        &self.frameworks[framework]
    }

    /// Returns the number of frameworks.
    pub(in crate::allocator) fn frameworks_len(&self) -> usize {
        self.frameworks.len()
    }

    /// Returns the members of a framework, those that are not subscribed any more too.
    pub(in crate::allocator) fn members_of(&self, framework: FrameworkIx) -> &[MemberIx] {
        &self.frameworks[framework].members
    }

    /// Returns whether any framework has offer filters, offer constraints or requests.
    #[inline]
    pub(in crate::allocator) fn any_selective(&self) -> bool {
        self.selective > 0
    }

    /// Returns whether any member may have another minimum than the general one.
    pub(in crate::allocator) fn any_own_minimum(&self) -> bool {
        self.with_offer_filters + self.requests > 0
    }

    /// Returns whether any member with another minimum than the general one may be offered something.
    pub(in crate::allocator) fn any_active_with_own_minimum(&self) -> bool {
        self.with_own_minimum.iter().any(|member| self.active.contains(member))
    }

    /// Returns the members that may have another minimum than the general one.
    pub(in crate::allocator) fn with_own_minimum(&self) -> &BitSet<MemberIx> {
        &self.with_own_minimum
    }

    /// Returns whether any member is offered only so many offers: by a request or by a bound.
    #[inline]
    pub(in crate::allocator) fn any_gated(&self) -> bool {
        self.bounded + self.requests > 0
    }

    /// Returns whether a member is offered only so many offers.
    pub(in crate::allocator) fn is_gated(&self, member: MemberIx) -> bool {
        let member = &self.members[member];
        member.requested.is_some() || self.frameworks[member.framework].framework.max_offers.is_some()
    }

    /// Returns whether any request divides agents.
    pub(in crate::allocator) fn any_dividing(&self) -> bool {
        self.dividing > 0
    }

    /// Returns the number of live offers of a framework.
    pub(in crate::allocator) fn live_offers(&self, framework: FrameworkIx) -> u64 {
        self.frameworks[framework].members.iter().map(|member| self.members[*member].offers).sum()
    }

    /// Returns the bound on the live offers of a framework, if it has reached that.
    pub(in crate::allocator) fn full_at(&self, framework: FrameworkIx) -> Option<u64> {
        let bound = self.frameworks[framework].framework.max_offers;
        bound.filter(|bound| self.live_offers(framework) >= *bound)
    }

    /// Returns whether a member may be made an offer now.
    pub(in crate::allocator) fn may_be_offered(&self, member: MemberIx) -> bool {
        let member = &self.members[member];
        let is_active = member.is_subscribed && self.frameworks[member.framework].is_active;
        is_active && member.is_willing() && self.full_at(member.framework).is_none()
    }

    /// Returns the member of a framework in a role.
    pub(in crate::allocator) fn find_member(&self, framework: FrameworkIx, role: &Role) -> Option<MemberIx> {
        let members = &self.frameworks[framework].members;
        if let [only] = members.as_slice() {
            return (self.role(self.members[*only].role) == role).then_some(*only);
        }
        let role = self.roles.find(role)?;
        members.iter().copied().find(|member| self.members[*member].role == role)
    }

    #[inline]
    pub(in crate::allocator) fn member(&self, member: MemberIx) -> &Member {
        &self.members[member]
    }

    /// Returns the member at a client of the ranking of its role.
    #[inline]
    pub(in crate::allocator) fn member_at(&self, role: RoleIx, client: ClientId) -> MemberIx {
        self.roles[role].members[client].expect("a client of a role is a member")
    }

    /// The members of a role that may be offered something.
    pub(in crate::allocator) fn active_members(&self, role: RoleIx) -> impl Iterator<Item = MemberIx> {
        self.roles[role].ranking.tree().active_clients().map(move |client| self.member_at(role, client))
    }

    /// Returns all members that may be offered something.
    pub(in crate::allocator) fn active(&self) -> &BitSet<MemberIx> {
        &self.active
    }

    /// Returns all members, in the order in which they came.
    pub(in crate::allocator) fn in_order_of_coming(&self) -> Vec<MemberIx> {
        let mut members: Vec<MemberIx> = self.members.iter().map(|(member, _)| member).collect();
        members.sort_by_key(|member| self.members[*member].arrival);
        members
    }

    /// The roles that have members.
    pub(in crate::allocator) fn roles(&self) -> impl Iterator<Item = RoleIx> {
        self.roles.iter().map(|(role, _)| role)
    }

    /// The paths of the roles that have members.
    pub(in crate::allocator) fn role_paths(&self) -> impl Iterator<Item = &Role> {
        self.roles.ids()
    }

    /// Returns each member with its role.
    pub(in crate::allocator) fn roles_and_members(&self) -> impl Iterator<Item = (&Role, MemberIx)> {
        self.members.iter().map(|(ix, member)| (self.role(member.role), ix))
    }

    /// Returns the number of roles that have members.
    pub(in crate::allocator) fn roles_len(&self) -> usize {
        self.roles.len()
    }

    #[inline]
    pub(in crate::allocator) fn role(&self, role: RoleIx) -> &Role {
        self.roles.id(role)
    }

    /// Returns the role at a client of the ranking of roles.
    #[inline]
    pub(in crate::allocator) fn role_at(&self, client: ClientId) -> RoleIx {
        self.role_of[client].expect("a client of the ranking is a role")
    }

    /// Returns a role's client in the ranking of roles.
    #[inline]
    pub(in crate::allocator) fn client_of(&self, role: RoleIx) -> ClientId {
        self.roles[role].client
    }

    /// Returns the nearest account of quota, from a role up.
    pub(in crate::allocator) fn quota_of(&self, role: RoleIx) -> Option<QuotaIx> {
        self.roles[role].quota
    }

    /// Returns the tree of the roles that have members.
    pub(in crate::allocator) fn tree(&self) -> &ShareTree {
        self.ranking.tree()
    }

    /// Returns the tree of a role's members.
    #[inline]
    pub(in crate::allocator) fn member_tree(&self, role: RoleIx) -> &ShareTree {
        self.roles[role].ranking.tree()
    }

    pub(in crate::allocator) fn weights(&self) -> &IndexMap<Role, Weight> {
        &self.weights
    }

    pub(super) fn set_weight(&mut self, role: &Role, weight: Weight) {
        if weight == Weight::ONE {
            self.weights.swap_remove(role);
        } else {
            self.weights.insert(role.clone(), weight);
        }
        self.ranking.set_weight(role.components(), weight);
    }

    #[inline]
    pub(super) fn ranking(&self) -> &Ranking<R> {
        &self.ranking
    }

    #[inline]
    pub(super) fn member_ranking(&self, role: RoleIx) -> &Ranking<F> {
        &self.roles[role].ranking
    }

    #[inline]
    pub(super) fn ranking_mut(&mut self) -> &mut Ranking<R> {
        &mut self.ranking
    }

    #[inline]
    pub(super) fn member_ranking_mut(&mut self, role: RoleIx) -> &mut Ranking<F> {
        &mut self.roles[role].ranking
    }

    /// Returns the next role in order that the filter lets pass; see [`Sorter::next_wanted`].
    pub(super) fn next_role_of(&mut self, filter: RoleFilter<'_>, totals: &Totals) -> Option<ClientId> {
        let (roles, role_of, active) = (&self.roles, &self.role_of, &self.active);
        let may_accept = |client: ClientId, refused_all: &BitSet<MemberIx>| {
            let role = role_of[client].expect("a client of the ranking is a role");
            let mut members = roles[role].members.values().flatten();
            members.any(|member| active.contains(*member) && !refused_all.contains(*member))
        };
        let wanted = |client: ClientId| match filter {
            RoleFilter::Within(roles) => roles.contains(client),
            RoleFilter::MayAccept { refused_all, at_limit } => {
                at_limit.is_none_or(|at_limit| !at_limit.contains(client))
                    && refused_all.is_none_or(|refused_all| may_accept(client, refused_all))
            }
        };
        self.ranking.next_wanted(&wanted, totals)
    }

    /// Returns the next member in order that is wanted; see [`Sorter::next_wanted`].
    pub(super) fn next_member_of(
        &mut self,
        role: RoleIx,
        is_wanted: &dyn Fn(MemberIx) -> bool,
        totals: &Totals,
    ) -> Option<ClientId> {
        let RoleEntry { ranking, members, .. } = &mut self.roles[role];
        let wanted = |client: ClientId| members[client].is_some_and(is_wanted);
        ranking.next_wanted(&wanted, totals)
    }

    pub(super) fn add_framework(&mut self, framework: &Arc<Framework>) -> FrameworkIx {
        self.insert_framework(framework.id.clone(), FrameworkEntry::new(Arc::clone(framework)))
    }

    fn insert_framework(&mut self, id: FrameworkId, entry: FrameworkEntry) -> FrameworkIx {
        self.with_offer_filters += usize::from(entry.has_offer_filters());
        self.selective += usize::from(entry.is_selective);
        self.bounded += usize::from(entry.framework.max_offers.is_some());
        self.frameworks.insert(id, entry)
    }

    /// Replaces what a framework says of itself, except its roles: see [`Self::subscribe`].
    pub(super) fn replace_framework(&mut self, framework: FrameworkIx, info: Arc<Framework>) {
        let entry = &mut self.frameworks[framework];
        self.with_offer_filters -= usize::from(entry.has_offer_filters());
        self.bounded -= usize::from(entry.framework.max_offers.is_some());
        entry.framework = info;
        self.with_offer_filters += usize::from(entry.has_offer_filters());
        self.bounded += usize::from(entry.framework.max_offers.is_some());
        self.update_selective(framework);
        for member in self.frameworks[framework].members.clone() {
            self.update_own_minimum(member);
        }
    }

    /// Recomputes whether a framework is selective.
    fn update_selective(&mut self, framework: FrameworkIx) {
        let entry = &mut self.frameworks[framework];
        self.selective -= usize::from(entry.is_selective);
        entry.is_selective = is_selective(&entry.framework) || entry.requests > 0;
        self.selective += usize::from(entry.is_selective);
    }

    /// Recomputes whether a member may have another minimum than the general one.
    fn update_own_minimum(&mut self, ix: MemberIx) {
        let member = &self.members[ix];
        let has_own = member.requested.is_some() || self.frameworks[member.framework].has_offer_filters();
        self.with_own_minimum.set(ix, has_own);
    }

    /// Replaces the request of a member, and returns the one before. Whether the member may be offered something has to be
    /// [recomputed](Self::update_activity).
    fn replace_request(&mut self, ix: MemberIx, requested: Option<Requested>) -> Option<Box<Requested>> {
        let divides = |requested: &Option<Box<Requested>>| requested.as_ref().is_some_and(|it| !it.most.is_empty());
        let member = &mut self.members[ix];
        let before = std::mem::replace(&mut member.requested, requested.map(Box::new));
        self.dividing = self.dividing - usize::from(divides(&before)) + usize::from(divides(&member.requested));
        let (had, has) = (before.is_some(), member.requested.is_some());
        if had != has {
            let framework = member.framework;
            let requests = &mut self.frameworks[framework].requests;
            (*requests, self.requests) =
                (*requests - usize::from(had) + usize::from(has), self.requests - usize::from(had) + usize::from(has));
            self.update_selective(framework);
            self.update_own_minimum(ix);
        }
        before
    }

    /// Replaces the request of a member; returns whether it had or has one.
    pub(super) fn set_request(&mut self, ix: MemberIx, requested: Option<Requested>) -> bool {
        let has = requested.is_some();
        let had = self.replace_request(ix, requested).is_some();
        if had || has {
            self.update_activity(ix);
        }
        had || has
    }

    /// Changes the request of a member, if it has one.
    pub(super) fn change_request(&mut self, ix: MemberIx, change: impl FnOnce(&mut Requested)) {
        if let Some(mut requested) = self.members[ix].requested.as_deref().cloned() {
            change(&mut requested);
            self.set_request(ix, Some(requested));
        }
    }

    /// Opens places of a member's request again, of which offers have ended unused.
    pub(super) fn reopen(&mut self, ix: MemberIx, places: u64) {
        if let Some(requested) = &mut self.members[ix].requested {
            requested.open = requested.open.saturating_add(places).min(requested.offers);
        }
    }

    /// Recomputes whether the members of a framework may be offered something. Returns those that may, and could not before.
    pub(super) fn settle(&mut self, framework: FrameworkIx) -> Vec<MemberIx> {
        let mut woken = Vec::new();
        for member in self.frameworks[framework].members.clone() {
            let was_active = self.active.contains(member);
            if self.may_be_offered(member) != was_active {
                self.update_activity(member);
                woken.extend((!was_active).then_some(member));
            }
        }
        woken
    }

    pub(super) fn remove_framework(&mut self, id: &FrameworkId) {
        if let Some((_, entry)) = self.frameworks.remove(id) {
            self.with_offer_filters -= usize::from(entry.has_offer_filters());
            self.selective -= usize::from(entry.is_selective);
            self.bounded -= usize::from(entry.framework.max_offers.is_some());
        }
    }

    pub(super) fn set_framework_active(&mut self, framework: FrameworkIx, active: bool) {
        self.frameworks[framework].is_active = active;
        for member in self.frameworks[framework].members.clone() {
            self.update_activity(member);
        }
    }

    /// Subscribes a framework to all its roles. Returns the members that are suppressed no longer.
    pub(super) fn subscribe(&mut self, framework: FrameworkIx, quotas: &mut Quotas) -> Vec<MemberIx> {
        let info = Arc::clone(&self.frameworks[framework].framework);
        let mut revived = Vec::new();
        for role in &info.roles {
            let ix = self.get_or_insert_member(framework, role, quotas);
            let is_suppressed = info.suppressed.contains(role);
            let member = &mut self.members[ix];
            let is_revived = member.is_suppressed && !is_suppressed;
            (member.is_subscribed, member.is_suppressed) = (true, is_suppressed);
            if is_revived {
                revived.push(ix);
                self.replace_request(ix, None);
            }
            self.update_activity(ix);
        }
        revived
    }

    pub(super) fn unsubscribe(&mut self, member: MemberIx) {
        self.members[member].is_subscribed = false;
        self.replace_request(member, None);
    }

    pub(super) fn set_suppressed(&mut self, member: MemberIx, suppressed: bool) {
        self.members[member].is_suppressed = suppressed;
        self.update_activity(member);
    }

    /// Recomputes whether a member may be offered something.
    pub(super) fn update_activity(&mut self, ix: MemberIx) {
        let active = self.may_be_offered(ix);
        let member = &self.members[ix];
        self.active.set(ix, active);
        self.roles[member.role].ranking.set_active(member.client, active);
    }

    /// Returns the member of a framework in a role; inserts one that is not subscribed if there is none.
    pub(super) fn get_or_insert_member(
        &mut self,
        framework: FrameworkIx,
        role: &Role,
        quotas: &mut Quotas,
    ) -> MemberIx {
        if let Some(member) = self.find_member(framework, role) {
            return member;
        }
        self.arrivals += 1;
        let role = self.roles.find(role).unwrap_or_else(|| self.add_role(role, quotas));
        let entry = &mut self.roles[role];
        let id = self.frameworks.id(framework);
        let client = entry.ranking.add(std::iter::once(id.as_str()), self.arrivals, |_| Weight::ONE);
        let member = self.members.insert(Member {
            framework,
            role,
            client,
            arrival: self.arrivals,
            is_subscribed: false,
            is_suppressed: false,
            offers: 0,
            tasks: 0,
            requested: None,
            offered_at: Time::ZERO,
            useful_offer_at: None,
        });
        entry.members.grow_to(client, || None);
        entry.members[client] = Some(member);
        entry.len += 1;
        self.frameworks[framework].members.push(member);
        self.update_own_minimum(member);
        member
    }

    fn add_role(&mut self, role: &Role, quotas: &mut Quotas) -> RoleIx {
        let path = role.as_str();
        let ends: Vec<usize> = path.match_indices('/').map(|(end, _)| end).chain([path.len()]).collect();
        let weights = &self.weights;
        let weight = |depth: usize| weights.get(&path[..ends[depth]]).copied().unwrap_or_default();
        let client = self.ranking.add(role.components(), self.arrivals, weight);
        self.ranking.set_active(client, true);
        let entry = RoleEntry {
            client,
            ranking: Ranking::new(self.member_sorter.clone()),
            members: IndexVec::default(),
            len: 0,
            quota_managed: Amounts::default(),
            quota: quotas.add_role(role, client),
        };
        let ix = self.roles.insert(role.clone(), entry);
        self.role_of.grow_to(client, || None);
        self.role_of[client] = Some(ix);
        ix
    }

    /// Removes a member that is not subscribed and holds nothing any more, and with the last member the role. Returns
    /// whether it did.
    pub(super) fn remove_if_unused(&mut self, ix: MemberIx, quotas: &mut Quotas) -> bool {
        let member = &self.members[ix];
        if member.is_subscribed || member.holdings() > 0 {
            return false;
        }
        let &Member { framework, role, client, .. } = member;
        self.with_own_minimum.remove(ix);
        self.frameworks[framework].members.retain(|mine| *mine != ix);
        self.active.remove(ix);
        self.members.remove(ix);
        let entry = &mut self.roles[role];
        entry.ranking.remove(client);
        entry.members[client] = None;
        entry.len -= 1;
        if entry.len == 0 {
            let client = entry.client;
            let role = self.roles.id(role).clone();
            self.ranking.remove(client);
            self.role_of[client] = None;
            quotas.remove_role(&role);
            self.roles.remove(&role);
        }
        true
    }

    /// Charges a member for resources that it holds, offered or in use alike, and counts them as so many allocations.
    #[inline]
    pub(super) fn charge(
        &mut self,
        member: MemberIx,
        agent: u64,
        weighed: &Weighed,
        allocations: u64,
        quotas: &mut Quotas,
    ) {
        let &Member { role, client, .. } = &self.members[member];
        let entry = &mut self.roles[role];
        entry.quota_managed.add(&weighed.quota_managed);
        quotas.charge(entry.quota, weighed);
        entry.ranking.charge(client, agent, weighed, allocations);
        self.ranking.charge(entry.client, agent, weighed, allocations);
    }

    /// Releases resources that a member holds no longer.
    #[inline]
    pub(super) fn release(&mut self, member: MemberIx, agent: u64, weighed: &Weighed, quotas: &mut Quotas) {
        let &Member { role, client, .. } = &self.members[member];
        let entry = &mut self.roles[role];
        entry.quota_managed.sub(&weighed.quota_managed);
        quotas.release(entry.quota, weighed);
        entry.ranking.release(client, agent, weighed);
        self.ranking.release(entry.client, agent, weighed);
    }

    /// Takes back that so many allocations of a member were counted.
    pub(super) fn uncount(&mut self, member: MemberIx, allocations: u64) {
        let &Member { role, client, .. } = &self.members[member];
        let entry = &mut self.roles[role];
        entry.ranking.uncount(client, allocations);
        self.ranking.uncount(entry.client, allocations);
    }

    /// Recomputes whether any member may be offered something, once all live offers are known.
    pub(super) fn settle_all(&mut self) {
        if self.bounded > 0 {
            let frameworks: Vec<FrameworkIx> = self.frameworks.iter().map(|(framework, _)| framework).collect();
            frameworks.into_iter().for_each(|framework| drop(self.settle(framework)));
        }
    }

    /// Counts a live offer of a member. If the member is suppressed, it takes a place of its request.
    #[inline]
    pub(super) fn add_offer(&mut self, member: MemberIx) {
        let member = &mut self.members[member];
        member.offers += 1;
        if let Some(requested) = &mut member.requested
            && member.is_suppressed
        {
            requested.open = requested.open.saturating_sub(1);
        }
    }

    /// Counts live offers of a member that are known to a snapshot.
    pub(super) fn load_offers(&mut self, member: MemberIx, offers: u64) {
        self.members[member].offers += offers;
    }

    /// Counts live offers that a member has no longer.
    pub(super) fn end_offers(&mut self, member: MemberIx, ended: u64) {
        let offers = &mut self.members[member].offers;
        *offers = offers.saturating_sub(ended);
    }

    /// Counts tasks that a member holds.
    #[inline]
    pub(super) fn add_tasks(&mut self, member: MemberIx, more: u64) {
        self.members[member].tasks += more;
    }

    /// Counts tasks that a member holds no longer.
    pub(super) fn end_tasks(&mut self, member: MemberIx, ended: u64) {
        let tasks = &mut self.members[member].tasks;
        *tasks = tasks.saturating_sub(ended);
    }

    /// Notes when a member was offered something.
    #[inline]
    pub(super) fn note_offer(&mut self, member: MemberIx, at: Time) {
        self.members[member].offered_at = at;
        self.rank_offer(member, at, false);
    }

    /// Notes that a member launched on its last offer.
    pub(super) fn note_launch(&mut self, member: MemberIx) {
        let at = self.members[member].offered_at;
        self.members[member].useful_offer_at = Some(at);
        self.rank_offer(member, at, true);
    }

    /// Has sorters that keep times learn of an offer.
    #[inline]
    fn rank_offer(&mut self, member: MemberIx, at: Time, is_useful: bool) {
        let &Member { role, client, .. } = &self.members[member];
        let entry = &mut self.roles[role];
        entry.ranking.note_offer(client, at, is_useful);
        self.ranking.note_offer(entry.client, at, is_useful);
    }

    /// The quota-managed amounts that frameworks hold under each role itself.
    pub(super) fn quota_managed(&self) -> impl Iterator<Item = (&Role, &Amounts)> {
        self.roles.iter().map(|(role, entry)| (self.roles.id(role), &entry.quota_managed))
    }

    /// Looks up the nearest account of quota of each role anew.
    pub(super) fn update_quotas(&mut self, quotas: &mut Quotas) {
        let roles: Vec<RoleIx> = self.roles().collect();
        for ix in roles {
            let quota = quotas.add_role(self.roles.id(ix), self.roles[ix].client);
            self.roles[ix].quota = quota;
        }
    }
}
