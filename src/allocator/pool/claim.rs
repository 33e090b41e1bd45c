//! [`Claim`] and [`Lease`]: what is asked of a pool, and what it grants; or why it does not.

use crate::allocator::{AllocatorError, Reason};
use crate::id::{AgentId, FrameworkId};
use crate::resources::{Resources, Shortfall};
use crate::role::Role;
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The number of a lease, unique in its pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeaseId(pub(super) u64);

/// The number of a waiting claim, unique in its pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClaimId(pub(super) u64);

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "L{}", self.0)
    }
}

impl fmt::Display for ClaimId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "C{}", self.0)
    }
}

/// A request for resources of one agent, for a framework under one of its roles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Claim {
    /// The framework.
    pub framework: FrameworkId,
    /// The role.
    pub role: Role,
    /// The resources, as [`Resources::take`] reads them: `gpus:2;ports:1`.
    pub ask: Resources,
    /// The end of its lease; `None` for one that is released.
    pub until: Option<Time>,
}

impl Claim {
    /// Makes a claim whose lease has no end.
    #[must_use]
    pub fn new(framework: impl Into<FrameworkId>, role: Role, ask: Resources) -> Self {
        Self { framework: framework.into(), role, ask, until: None }
    }

    /// Sets the end of its lease.
    #[must_use]
    pub fn until(mut self, end: Time) -> Self {
        self.until = Some(end);
        self
    }
}

/// Resources of an agent that a framework holds until it releases them, or until their end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Lease {
    /// Its number.
    pub id: LeaseId,
    /// The framework.
    pub framework: FrameworkId,
    /// The role under which the framework holds them.
    pub role: Role,
    /// The agent.
    pub agent: AgentId,
    /// The resources, with the reservations that they come from.
    pub resources: Resources,
    /// The end; `None` for a lease that is released.
    pub until: Option<Time>,
}

/// Why a claim is not granted; nothing has changed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// The framework is unknown, or is not subscribed to the role.
    #[error(transparent)]
    Unknown(#[from] AllocatorError),
    /// The claim asks for nothing.
    #[error("nothing was asked for")]
    Nothing,
    /// The end of the lease has passed.
    #[error("the lease would end at {until}, it is {now}")]
    Over {
        /// The end.
        until: Time,
        /// The time of the pool.
        now: Time,
    },
    /// No agent has room: all reasons, the one that holds for most agents first.
    #[error("no agent has room{}", Counted(.0))]
    NoRoom(Vec<(DenialReason, usize)>),
    /// Each agent that has room could be used by a waiting claim that the sorter serves first: of a smaller share, or at equal
    /// shares of fewer allocations or the first name.
    #[error("claim {claim} of {framework} under {role} waits for the same, and comes first")]
    Outranked {
        /// The waiting claim that could use the best of them.
        claim: ClaimId,
        /// Its framework.
        framework: FrameworkId,
        /// Its role.
        role: Role,
    },
}

/// A check that a claim fails on an agent.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DenialReason {
    /// Too little is available to the role; of several agents, on the first.
    #[error("{0}")]
    Short(Box<Shortfall>),
    /// A check that an offer of the agent would fail too.
    #[error("{0}")]
    Check(Box<Reason>),
}

struct Counted<'a>(&'a [(DenialReason, usize)]);

impl fmt::Display for Counted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (reason, agents)) in self.0.iter().enumerate() {
            let (mark, noun) = (if i == 0 { ":" } else { ";" }, if *agents == 1 { "agent" } else { "agents" });
            write!(f, "{mark} {reason} ({agents} {noun})")?;
        }
        Ok(())
    }
}

/// Why one of several claims is not granted, so that none is; nothing has changed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[error("claim {index} of {of}: {denied}")]
pub struct DeniedAll {
    /// The position of the claim.
    pub index: usize,
    /// The number of claims.
    pub of: usize,
    /// Why it is not granted, those before it being granted.
    pub denied: Denied,
}

/// Why a pool rejects a call; nothing has changed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The allocator rejects it.
    #[error(transparent)]
    Allocator(#[from] AllocatorError),
    /// There is no such lease.
    #[error("no lease {0}")]
    UnknownLease(LeaseId),
    /// There is no such waiting claim.
    #[error("no waiting claim {0}")]
    UnknownClaim(ClaimId),
    /// A lease of that number exists already.
    #[error("lease {0} is already there")]
    LeaseExists(LeaseId),
    /// The resources of a lease that is taken up again are not available.
    #[error("lease {lease} on agent {agent}: {shortfall}")]
    NotAvailable {
        /// The lease.
        lease: LeaseId,
        /// The agent.
        agent: AgentId,
        /// The resources that are not available.
        shortfall: Box<Shortfall>,
    },
}
