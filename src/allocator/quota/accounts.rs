//! [`Accounts`]: what roles with quota have consumed, up the path, and what is kept free for them.
//!
//! Kept as things change, so that an allocation finds them as they are: a change costs its path.

use super::Quota;
use crate::allocator::amounts::{Amounts, Delta, NameIx};
use crate::allocator::index::bit_set::Bits;
use crate::allocator::resource_names::Names;
use crate::allocator::tree::ClientId;
use crate::resources::{Quantities, Resource, Resources, Scalar, Value};
use crate::role::Role;
use indexmap::IndexMap;
use smallvec::SmallVec;

/// The dense number of a role with quota.
pub(in crate::allocator) type NodeIx = usize;

/// The accounts of all roles with quota, and of the cluster.
#[derive(Debug, Clone, Default)]
pub(in crate::allocator) struct Accounts {
    nodes: Vec<Node>,
    by_role: IndexMap<Role, NodeIx, foldhash::fast::RandomState>,
    /// All firm resources.
    pub(super) total: Amounts,
    /// Those that somebody holds.
    pub(super) held: Amounts,
    /// What of the others is kept free for guarantees.
    required: Amounts,
    /// What an offer must contain one of.
    minimums: Vec<Vec<(NameIx, u64)>>,
    /// The roles that have a framework and lack some of their own guarantee, by their client in the tree of roles.
    lacking: Bits,
    /// Those that may consume too little for any offer.
    closed: Bits,
}

/// Why a role is given nothing firm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::allocator) enum Barrier {
    /// It, or a role above it, has consumed what it may.
    Limit { role: Role, name: NameIx, limit: u64, consumed: u64 },
    /// What is free is kept for these.
    Headroom { name: NameIx, free: u64, required: u64, roles: Vec<Role> },
}

/// A role with quota.
#[derive(Debug, Clone)]
struct Node {
    parent: Option<NodeIx>,
    guarantee: Amounts,
    limits: Vec<(NameIx, u64)>,
    consumed: Amounts,
    /// What is kept free for it and those below: what it lacks itself, or they together, whichever is more.
    need: Amounts,
    /// What is kept free for those right below.
    below: Amounts,
    /// The role in the tree of roles, if it has a framework.
    client: Option<ClientId>,
    /// Whether it lacks some of its own guarantee.
    lacks: bool,
    /// Whether its limits leave too little for any offer of what quota divides.
    is_closed: bool,
}

impl Accounts {
    /// Opens an account for each role with quota; `consumed` are amounts that count for a role and all above it.
    pub(super) fn open<'a>(
        &mut self,
        names: &mut Names,
        quotas: &IndexMap<Role, Quota>,
        consumed: impl Iterator<Item = (&'a Role, &'a Amounts)>,
        minimums: &[Quantities],
    ) {
        let (total, held) = (std::mem::take(&mut self.total), std::mem::take(&mut self.held));
        let mut amounts = |minimum: &Quantities| -> Vec<(NameIx, u64)> {
            minimum.iter().map(|(name, amount)| (names.intern(name), amount.as_milli())).collect()
        };
        let minimums = minimums.iter().map(&mut amounts).collect();
        *self = Self { total, held, minimums, ..Self::default() };
        let mut roles: Vec<_> = quotas.iter().collect();
        roles.sort_by_cached_key(|(role, _)| role.components().count());
        for (role, quota) in roles {
            let mut guarantee = Amounts::default();
            quota
                .guarantees
                .iter()
                .for_each(|(name, amount)| guarantee.add(&[(names.intern(name), amount.as_milli())]));
            let limits = quota.limits.iter().map(|(name, limit)| (names.intern(name), limit.as_milli())).collect();
            let parent = self.nearest(role);
            let (consumed, need, below) = (Amounts::default(), Amounts::default(), Amounts::default());
            self.by_role.insert(role.clone(), self.nodes.len());
            self.nodes.push(Node {
                parent,
                guarantee,
                limits,
                consumed,
                need,
                below,
                client: None,
                lacks: false,
                is_closed: false,
            });
        }
        for (role, amounts) in consumed {
            let delta: Delta = amounts.iter().collect();
            let path: Vec<NodeIx> = self.up(self.nearest(role)).collect();
            path.into_iter().for_each(|node| self.nodes[node].consumed.add(&delta));
        }
        for node in (0..self.nodes.len()).rev() {
            self.look_at(node);
            self.update_need(node);
        }
    }

    /// The nearest role with quota, from `role` up.
    pub(in crate::allocator) fn nearest(&self, role: &Role) -> Option<NodeIx> {
        if self.by_role.is_empty() {
            return None;
        }
        role.path_up().find_map(|path| self.by_role.get(path).copied())
    }

    /// Tells where a role stands in the tree of roles, or that it does not; the nearest account of it.
    pub(super) fn seat(&mut self, role: &Role, client: Option<ClientId>) -> Option<NodeIx> {
        let nearest = self.nearest(role)?;
        if self.by_role.get(role) == Some(&nearest) {
            self.list(nearest, false);
            self.nodes[nearest].client = client;
            self.list(nearest, true);
        }
        Some(nearest)
    }

    fn up(&self, node: Option<NodeIx>) -> impl Iterator<Item = NodeIx> {
        std::iter::successors(node, |node| self.nodes[*node].parent)
    }

    /// More is consumed by a role and all above it.
    #[inline]
    pub(super) fn consume(&mut self, node: Option<NodeIx>, delta: &[(NameIx, u64)]) {
        self.change(node, |consumed| consumed.add(delta));
    }

    /// Less is consumed by a role and all above it.
    #[inline]
    pub(super) fn give_up(&mut self, node: Option<NodeIx>, delta: &[(NameIx, u64)]) {
        self.change(node, |consumed| consumed.sub(delta));
    }

    fn change(&mut self, from: Option<NodeIx>, change: impl Fn(&mut Amounts)) {
        let mut next = from;
        while let Some(node) = next {
            change(&mut self.nodes[node].consumed);
            self.look_at(node);
            self.update_need(node);
            next = self.nodes[node].parent;
        }
    }

    /// Notes whether a role lacks some of its guarantee, and whether its limits leave anything.
    fn look_at(&mut self, ix: NodeIx) {
        let node = &self.nodes[ix];
        let lacks = !node.guarantee.is_within(&node.consumed);
        let too_little = |(name, amount): &(NameIx, u64)| {
            let mut limits = node.limits.iter().filter(|(limited, _)| limited == name);
            limits.any(|(_, limit)| limit.saturating_sub(node.consumed.of(*name)) < *amount)
        };
        let is_closed = !self.minimums.is_empty() && self.minimums.iter().all(|minimum| minimum.iter().any(too_little));
        if (lacks, is_closed) != (node.lacks, node.is_closed) {
            self.list(ix, false);
            let node = &mut self.nodes[ix];
            (node.lacks, node.is_closed) = (lacks, is_closed);
            self.list(ix, true);
        }
    }

    /// Lists a role, if it has a framework, among those that lack something and those that are closed; or takes it off.
    fn list(&mut self, ix: NodeIx, is_there: bool) {
        let Node { client: Some(client), lacks, is_closed, .. } = self.nodes[ix] else { return };
        for (holds, list) in [(lacks, &mut self.lacking), (is_closed, &mut self.closed)] {
            if holds && is_there {
                list.insert(client.index());
            } else {
                list.remove(client.index());
            }
        }
    }

    /// Brings what is kept free for a role in line with what it lacks, and what is kept free above it.
    fn update_need(&mut self, ix: NodeIx) {
        let node = &self.nodes[ix];
        let need = node.guarantee.less(&node.consumed).or_more(&node.below);
        if need == node.need {
            return;
        }
        let (parent, old) = (node.parent, std::mem::replace(&mut self.nodes[ix].need, need.clone()));
        let above = parent.map_or(&mut self.required, |parent| &mut self.nodes[parent].below);
        *above = above.less(&old).and(&need);
    }

    /// What a role lacks of its own guarantee.
    pub(in crate::allocator) fn unsatisfied(&self, node: NodeIx) -> Amounts {
        self.nodes[node].guarantee.less(&self.nodes[node].consumed)
    }

    /// The roles with a framework that lack some of their own guarantee, by their client in the tree of roles.
    pub(in crate::allocator) fn lacking(&self) -> &Bits {
        &self.lacking
    }

    /// Those whose own limits leave too little for any offer of nothing but what quota divides.
    pub(in crate::allocator) fn closed(&self) -> &Bits {
        &self.closed
    }

    /// Whether anything is kept free for guarantees.
    pub(in crate::allocator) fn keeps_free(&self) -> bool {
        !self.required.is_empty()
    }

    /// Firm resources that nobody holds.
    fn headroom(&self, name: NameIx) -> u64 {
        self.total.of(name).saturating_sub(self.held.of(name))
    }

    /// What a role may still consume of a name; none if nothing up the path limits it.
    fn limit_left(&self, node: Option<NodeIx>, name: NameIx) -> Option<u64> {
        let limits = self.up(node).flat_map(|ix| {
            let node = &self.nodes[ix];
            let mine = node.limits.iter().filter(move |(limited, _)| *limited == name);
            mine.map(move |(_, limit)| limit.saturating_sub(node.consumed.of(name)))
        });
        limits.min()
    }

    /// What a role may be given of firm resources, and whether any of it is for its guarantee: as much as it lacks of that,
    /// and beyond it as far as limits and the guarantees of others allow.
    pub(in crate::allocator) fn cut(
        &self,
        names: &Names,
        node: Option<NodeIx>,
        firm: &Resources,
        unsatisfied: &Amounts,
    ) -> (Resources, bool) {
        let (mut given, mut is_whole, mut is_guaranteed) = (Vec::with_capacity(firm.iter().len()), true, false);
        for alike in firm.iter().as_slice().chunk_by(|a, b| a.name() == b.name()) {
            let Some(name) = names.find(alike[0].name()) else {
                given.extend_from_slice(alike);
                continue;
            };
            let limit = self.limit_left(node, name);
            // A limit further up holds for guarantees too: the role's own is never below what it lacks.
            let mut lacking = unsatisfied.of(name).min(limit.unwrap_or(u64::MAX));
            let guaranteed: SmallVec<[u64; 4]> =
                alike.iter().map(|resource| take(resource, amount(resource), &mut lacking)).collect();
            let sum = guaranteed.iter().fold(0_u64, |sum, amount| sum.saturating_add(*amount));
            is_guaranteed |= sum > 0;
            let mut extra = self.extra(name, limit, sum);
            for (resource, guaranteed) in alike.iter().zip(guaranteed) {
                let all = amount(resource);
                let taken = guaranteed + take(resource, all - guaranteed, &mut extra);
                is_whole &= taken == all;
                given.push(resource.clone().with_value(Value::Scalar(Scalar::milli(taken))));
            }
        }
        (if is_whole { firm.clone() } else { Resources::in_order(given) }, is_guaranteed)
    }

    /// The most of a name that a role may be given beyond what it is given for its guarantee.
    fn extra(&self, name: NameIx, limit: Option<u64>, guaranteed: u64) -> u64 {
        let limit = limit.map_or(u64::MAX, |left| left.saturating_sub(guaranteed));
        // What is given for the guarantee comes off both headroom and requirement.
        if self.required.is_empty() {
            limit
        } else {
            limit.min(self.headroom(name).saturating_sub(self.required.of(name)))
        }
    }

    /// What keeps a role from being given all of these: the first name that a limit, or else the
    /// guarantees of others, allow less of.
    pub(in crate::allocator) fn barrier(
        &self,
        names: &Names,
        node: Option<NodeIx>,
        firm: &Resources,
    ) -> Option<Barrier> {
        let asked: Vec<(NameIx, u64)> = {
            let amounts = firm.quantities();
            amounts.iter().filter_map(|(name, amount)| Some((names.find(name)?, amount.as_milli()))).collect()
        };
        let limited = |(name, amount): (NameIx, u64)| {
            let too_low = |ix: NodeIx| {
                let consumed = self.nodes[ix].consumed.of(name);
                let limit = self.nodes[ix].limits.iter().find(|(limited, _)| *limited == name)?.1;
                let left = limit.saturating_sub(consumed);
                (left < amount).then(|| Barrier::Limit { role: self.role(ix), name, limit, consumed })
            };
            self.up(node).find_map(too_low)
        };
        let kept = |(name, amount): (NameIx, u64)| {
            let (free, required) = (self.headroom(name), self.required.of(name));
            let needy = (0..self.nodes.len()).filter(|ix| self.nodes[*ix].need.of(name) > 0);
            let roles = || needy.map(|ix| self.role(ix)).collect();
            // As in `extra`: what is free is looked at only while anything at all is kept free.
            let held_back = !self.required.is_empty() && free.saturating_sub(required) < amount;
            held_back.then(|| Barrier::Headroom { name, free, required, roles: roles() })
        };
        asked.iter().copied().find_map(limited).or_else(|| asked.iter().copied().find_map(kept))
    }

    fn role(&self, node: NodeIx) -> Role {
        self.by_role.get_index(node).map_or_else(Role::default, |(role, _)| role.clone())
    }
}

fn amount(resource: &Resource) -> u64 {
    resource.scalar().unwrap_or_default().as_milli()
}

/// Takes so much of a resource, as far as there is left to be taken; what can only be had whole, if it fits. Resources of a
/// name use it up in canonical order.
fn take(resource: &Resource, amount: u64, left: &mut u64) -> u64 {
    let taken = if resource.is_indivisible() && *left < amount { 0 } else { amount.min(*left) };
    *left -= taken;
    taken
}
