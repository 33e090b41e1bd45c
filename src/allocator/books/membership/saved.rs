//! Frameworks, roles and members in a snapshot.

use super::{FrameworkEntry, Member, Membership, Requested};
use crate::allocator::index::{FrameworkIx, MemberIx};
use crate::allocator::quota::Quotas;
use crate::allocator::resource_names::Weighed;
use crate::allocator::share::Weight;
use crate::allocator::snapshot::{SnapshotError, check_count};
use crate::allocator::sorter::Sorter;
use crate::allocator::tree::Times;
use crate::framework::Framework;
use crate::id::FrameworkId;
use crate::role::Role;
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The frameworks in order of id, with their members.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::allocator) struct SavedMembership {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    weights: BTreeMap<Role, Weight>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    frameworks: Vec<SavedFramework>,
    /// By node of the tree of roles: its number of allocations. It counts those to members that are gone, too.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    allocations: BTreeMap<String, u64>,
    /// By node of the tree of roles: the number of the member that it came with.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    came: BTreeMap<String, u64>,
    /// By node of the tree of roles: the times of its last offers, if the sorter keeps them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    times: BTreeMap<String, Times>,
    /// The number of members that have ever come.
    #[serde(default)]
    members_came: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedFramework {
    id: FrameworkId,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    inactive: bool,
    members: Vec<SavedMember>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedMember {
    role: Role,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    left: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    suppressed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    offered_at: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    useful_offer_at: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    requested: Option<Requested>,
    allocations: u64,
    /// The number of members that had come by then, this one included.
    #[serde(default)]
    came: u64,
}

impl<R: Sorter, F: Sorter + Clone> Membership<R, F> {
    /// Returns all frameworks, in order of id.
    pub(in crate::allocator) fn all_frameworks(&self) -> Vec<&Framework> {
        let mut frameworks: Vec<&Framework> = self.frameworks.iter().map(|(_, entry)| entry.framework()).collect();
        frameworks.sort_by(|a, b| a.id.cmp(&b.id));
        frameworks
    }

    /// Returns the framework and the role of a member that exists.
    pub(in crate::allocator) fn name_of(&self, member: MemberIx) -> Option<(&FrameworkId, &Role)> {
        let member = self.members.get(member)?;
        Some((self.framework_id(member.framework), self.role(member.role)))
    }

    pub(in crate::allocator) fn save(&self) -> SavedMembership {
        let mut frameworks: Vec<SavedFramework> = self
            .frameworks
            .iter()
            .map(|(ix, entry)| {
                let mut members: Vec<SavedMember> =
                    entry.members.iter().map(|member| self.save_member(*member)).collect();
                members.sort_by(|a, b| a.role.cmp(&b.role));
                SavedFramework { id: self.framework_id(ix).clone(), inactive: !entry.is_active, members }
            })
            .collect();
        frameworks.sort_by(|a, b| a.id.cmp(&b.id));
        SavedMembership {
            weights: self.weights.iter().map(|(role, weight)| (role.clone(), *weight)).collect(),
            frameworks,
            allocations: self.ranking.tree().counts(),
            came: self.ranking.tree().arrivals(),
            times: self.ranking.tree().times(),
            members_came: self.arrivals,
        }
    }

    fn save_member(&self, member: MemberIx) -> SavedMember {
        let member = &self.members[member];
        let tree = self.member_tree(member.role);
        let leaf = tree.leaf(member.client);
        let last_offer = leaf.and_then(|leaf| tree.last_offer(leaf));
        SavedMember {
            role: self.role(member.role).clone(),
            left: !member.is_subscribed,
            suppressed: member.is_suppressed,
            offered_at: last_offer.or_else(|| Some(member.offered_at).filter(|at| *at > Time::ZERO)),
            useful_offer_at: member.useful_offer_at,
            requested: member.requested.as_deref().cloned(),
            allocations: leaf.map_or(0, |leaf| tree.count(leaf)),
            came: member.arrival,
        }
    }

    /// Restores what was saved of an empty membership: `frameworks` are all there are.
    pub(in crate::allocator) fn load(
        &mut self,
        saved: SavedMembership,
        frameworks: &[Arc<Framework>],
        quotas: &mut Quotas,
    ) -> Result<(), SnapshotError> {
        for (role, weight) in saved.weights {
            self.set_weight(&role, weight);
        }
        let mut infos: BTreeMap<&FrameworkId, &Arc<Framework>> = BTreeMap::new();
        for framework in frameworks {
            if infos.insert(&framework.id, framework).is_some() {
                return Err(SnapshotError::repeated("framework", framework.id.as_str()));
            }
        }
        for mut framework in saved.frameworks {
            framework.members.sort_by_key(|member| member.came);
            let unknown = || SnapshotError::unknown("framework", framework.id.as_str());
            let info = infos.remove(&framework.id).ok_or_else(unknown)?;
            let entry = FrameworkEntry { is_active: !framework.inactive, ..FrameworkEntry::new(Arc::clone(info)) };
            let ix = self.insert_framework(framework.id, entry);
            for member in framework.members {
                self.load_member(ix, member, quotas)?;
            }
        }
        if let Some((forgotten, _)) = infos.pop_first() {
            return Err(SnapshotError::unknown("what is saved of framework", forgotten.as_str()));
        }
        for (path, count) in saved.allocations {
            self.ranking.set_count(&path, check_count("allocations", count)?)?;
        }
        for (path, arrival) in saved.came {
            self.ranking.set_arrival(&path, check_count("members", arrival)?)?;
        }
        for (path, times) in saved.times {
            self.ranking.set_times(&path, times)?;
        }
        self.arrivals = check_count("members", saved.members_came)?;
        Ok(())
    }

    /// Checks that each member has the role or holds something under it: others are removed when they hold nothing more.
    pub(in crate::allocator) fn check_loaded(&self) -> Result<(), SnapshotError> {
        let is_idle = |(_, member): &(MemberIx, &Member)| !member.is_subscribed && member.holdings() == 0;
        match self.members.iter().find(is_idle) {
            Some((_, member)) => Err(SnapshotError::unknown("anything under role", self.role(member.role).as_str())),
            None => Ok(()),
        }
    }

    fn load_member(
        &mut self,
        framework: FrameworkIx,
        saved: SavedMember,
        quotas: &mut Quotas,
    ) -> Result<(), SnapshotError> {
        if self.find_member(framework, &saved.role).is_some() {
            return Err(SnapshotError::repeated("role", saved.role.as_str()));
        }
        self.arrivals = check_count("members", saved.came)?.saturating_sub(1); // one more is added
        let ix = self.get_or_insert_member(framework, &saved.role, quotas);
        let member = &mut self.members[ix];
        member.is_subscribed = !saved.left;
        member.is_suppressed = saved.suppressed;
        member.offered_at = saved.offered_at.unwrap_or_default();
        member.useful_offer_at = saved.useful_offer_at;
        let (role, client) = (member.role, member.client);
        if let Some(requested) = saved.requested.filter(|_| !saved.left) {
            if requested.open > requested.offers {
                let (found, most) = (requested.open, requested.offers);
                return Err(SnapshotError::Count { kind: "open places of a request", found, most });
            }
            self.replace_request(ix, Some(requested));
        }
        for (at, is_useful) in [(saved.offered_at, false), (saved.useful_offer_at, true)] {
            if let Some(at) = at {
                self.rank_offer(ix, at, is_useful);
            }
        }
        self.update_activity(ix);
        let allocations = check_count("allocations", saved.allocations)?;
        self.roles[role].ranking.charge(client, 0, &Weighed::default(), allocations);
        Ok(())
    }
}
