//! Who is known: frameworks, roles, and the places of frameworks within roles.

use super::amounts::Amounts;
use super::index::bit_set::Bits;
use super::quota::NodeIx;
use super::tree::{ClientId, ShareTree};
use crate::framework::Framework;
use crate::role::Role;
use crate::time::Time;
use smallvec::SmallVec;
use std::sync::Arc;

/// The dense number of a role.
pub(super) type RoleIx = usize;
/// The dense number of a framework.
pub(super) type FrameworkIx = usize;

#[derive(Debug, Clone)]
pub(super) struct FrameworkEntry {
    pub(super) framework: Arc<Framework>,
    /// Whether it has minimums or constraints of its own.
    pub(super) is_choosy: bool,
    pub(super) active: bool,
    /// Its places in the roles that it has, or has left but still holds something under.
    pub(super) places: SmallVec<[(RoleIx, ClientId); 1]>,
}

impl FrameworkEntry {
    pub(super) fn new(framework: Arc<Framework>) -> Self {
        let mut entry = Self { framework, is_choosy: false, active: true, places: SmallVec::new() };
        entry.look_at();
        entry
    }

    fn look_at(&mut self) {
        self.is_choosy = !self.framework.offer_filters.is_empty() || !self.framework.offer_constraints.is_empty();
    }

    /// Whether it has minimums of its own: then the limits of a role alone do not tell what is too little for it.
    pub(super) fn has_minimums(&self) -> bool {
        !self.framework.offer_filters.is_empty()
    }

    /// What it says of itself is something else now.
    pub(super) fn replace(&mut self, framework: Arc<Framework>) {
        self.framework = framework;
        self.look_at();
    }
}

#[derive(Debug, Clone)]
pub(super) struct RoleEntry<F> {
    pub(super) role: Role,
    pub(super) client: ClientId,
    /// The frameworks in it: a flat tree, whose clients' numbers are the places in `members`.
    pub(super) tree: ShareTree,
    pub(super) sorter: F,
    pub(super) members: Vec<Option<Member>>,
    /// The members' own numbers, in the same places.
    pub(super) numbers: Vec<MemberIx>,
    /// How many members there are.
    pub(super) present: usize,
    /// What these hold of what quota divides.
    pub(super) firm: Amounts,
    /// The nearest account of quota, from here up.
    pub(super) quota: Option<NodeIx>,
}

/// The dense number of a member of any role.
pub(super) type MemberIx = usize;

/// The numbers of all members of all roles.
#[derive(Debug, Clone, Default)]
pub(super) struct Seats {
    taken: MemberIx,
    free: Vec<MemberIx>,
    /// Those that may be offered something.
    pub(super) awake: Bits,
}

impl Seats {
    pub(super) fn take(&mut self) -> MemberIx {
        self.free.pop().unwrap_or_else(|| {
            self.taken += 1;
            self.taken - 1
        })
    }

    pub(super) fn leave(&mut self, number: MemberIx) {
        self.awake.remove(number);
        self.free.push(number);
    }

    pub(super) fn set_awake(&mut self, number: MemberIx, awake: bool) {
        if awake {
            self.awake.insert(number);
        } else {
            self.awake.remove(number);
        }
    }
}

/// A framework's place within a role: the role's number, and its client in the role's tree.
pub(super) type Place = (RoleIx, ClientId);

/// A framework within a role.
#[derive(Debug, Clone)]
pub(super) struct Member {
    /// Its own dense number.
    pub(super) number: MemberIx,
    pub(super) framework: FrameworkIx,
    /// Whether the framework has the role, or only still holds something under it.
    pub(super) subscribed: bool,
    pub(super) suppressed: bool,
    /// How many offers and tasks it has under the role.
    pub(super) holdings: u64,
    /// When it was last offered something under the role.
    pub(super) offered_at: Time,
    /// The same, of an offer that it launched on.
    pub(super) useful_at: Option<Time>,
}
