//! [`Eligibility`]: which part of an agent a member may be offered. It reads the books and decides; it changes nothing.

use super::amounts::Amounts;
use super::books::{Account, Books, Portion};
use super::index::{AgentIx, MemberIx, RoleIx};
use super::offer_cap::{bound_of_offers, cut_to, offer_cap};
use super::refusals::Refusals;
use super::resource_names::is_quota_managed;
use super::rules::Rules;
use super::sorter::Sorter;
use crate::agent::Domain;
use crate::framework::{Capability, Framework};
use crate::resources::{Limits, Quantities, Resource, Resources};
use crate::role::Role;
use indexmap::IndexMap;
use std::borrow::Cow;

/// A pass of the cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Roles below their guarantee are offered what they lack, and what may come along with it.
    Guarantees,
    /// All roles are offered what is available, except the headroom that is required for guarantees.
    FairShares,
}

/// A cache of what offers depend on of the available resources that were seen last: many agents have the same.
#[derive(Debug, Default)]
pub(super) struct Availability {
    resources: Resources,
    /// Whether they reach the general minimum.
    meets_minimum: bool,
    /// Whether every role may have them, and only once: none is reserved, revocable or shared.
    unrestricted: bool,
    /// Whether, as far as minimums are concerned, quota manages all of them.
    quota_managed: bool,
    /// If agents are divided: resources that contain every offer of them to a member with the general minimum.
    offerable: Option<Resources>,
}

/// The part of an agent that is available to a role.
pub(super) struct RoleShare {
    pub(super) portion: Portion,
    /// Whether it reaches the general minimum.
    meets_minimum: bool,
}

/// The shared resources that were offered in a cycle: each agent's are offered once a cycle.
pub(super) type OfferedShared = IndexMap<AgentIx, Vec<Resource>, foldhash::fast::RandomState>;

/// The eligibility chain.
#[derive(Debug)]
pub(super) struct Eligibility<'a, R, F> {
    pub(super) rules: &'a Rules,
    pub(super) books: &'a Books<R, F>,
    pub(super) refusals: &'a Refusals,
}

impl Availability {
    /// Returns whether, as far as minimums are concerned, quota manages all of the resources.
    #[inline]
    pub(super) fn is_quota_managed(&self) -> bool {
        self.quota_managed
    }

    /// Returns resources that contain all that a member with the general minimum may be offered of these. Who has refused them has
    /// refused every offer. They are those available, unless agents are divided; then this must be up to date.
    #[inline]
    pub(super) fn offerable<'a>(&'a self, available: &'a Resources) -> &'a Resources {
        debug_assert!(
            self.offerable.is_none() || self.resources.is_same(available),
            "a chunk ends the visit of an agent"
        );
        self.offerable.as_ref().unwrap_or(available)
    }
}

impl RoleShare {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        matches!(&self.portion, Portion::Part(resources) if resources.is_empty())
    }
}

impl<R: Sorter, F: Sorter + Clone> Eligibility<'_, R, F> {
    /// Returns whether all active members are known to have refused all that may be offered of an agent.
    #[inline]
    pub(super) fn all_refused(&self, agent: AgentIx, availability: &Availability) -> bool {
        let membership = self.books.membership();
        let offerable = availability.offerable(self.books.ledger()[agent].available());
        let refused_all = self.refusals.cached_refused_all(agent, offerable);
        refused_all.is_some_and(|refused_all| membership.active().is_subset(refused_all))
            && (self.rules.cap.is_none() || !membership.any_active_with_own_minimum())
    }

    /// Returns whether the limits of all roles leave too little for any offer of nothing but quota-managed resources.
    pub(super) fn all_at_limit(&self) -> bool {
        let (membership, at_limit) = (self.books.membership(), self.books.quotas().accounts().at_limit().len());
        !membership.any_own_minimum() && at_limit > 0 && at_limit == membership.roles_len()
    }

    /// Returns whether a role consumes less than its own guarantee.
    pub(super) fn is_below_guarantee(&self, role: RoleIx) -> bool {
        self.books.quotas().accounts().below_guarantee().contains(self.books.membership().client_of(role))
    }

    /// Recomputes the cache if other resources are available of the agent.
    #[inline]
    pub(super) fn refresh(&self, agent: AgentIx, availability: &mut Availability) {
        let available = self.books.ledger()[agent].available();
        if !availability.resources.is_same(available) {
            *availability = self.availability(available);
        }
    }

    fn availability(&self, available: &Resources) -> Availability {
        let minimums = &self.rules.options.min_allocatable;
        let is_minimum = |name: &str| minimums.iter().any(|minimum| !minimum.amount(name).is_zero());
        let counts = |it: &Resource| it.kind().is_none() && (it.scalar().is_some() || !is_minimum(it.name()));
        Availability {
            meets_minimum: reaches(available, minimums),
            unrestricted: available.iter().all(|it| it.role().is_none() && !it.is_revocable() && !it.is_shared()),
            quota_managed: !self.books.quotas().is_empty() && available.iter().all(counts),
            offerable: self.rules.cap.as_ref().map(|cap| bound_of_offers(available, cap)),
            resources: available.clone(),
        }
    }

    /// Returns the part of an agent that is available to a role.
    #[inline]
    pub(super) fn role_share(
        &self,
        role: RoleIx,
        agent: AgentIx,
        availability: &Availability,
        offered: &OfferedShared,
    ) -> RoleShare {
        let is_cached = availability.resources.is_same(self.books.ledger()[agent].available());
        if is_cached && availability.unrestricted {
            RoleShare { portion: Portion::Whole, meets_minimum: availability.meets_minimum }
        } else {
            self.restricted_share(role, agent, is_cached.then_some(availability), offered)
        }
    }

    /// Returns the same where some of it may be for other roles, or was offered already.
    fn restricted_share(
        &self,
        role: RoleIx,
        agent: AgentIx,
        availability: Option<&Availability>,
        offered: &OfferedShared,
    ) -> RoleShare {
        let mut resources = self.books.ledger()[agent].available().for_role(self.books.membership().role(role));
        if let Some(offered) = offered.get(&agent) {
            resources = resources.filter(|resource| !offered.iter().any(|offered| offered.same_shared(resource)));
        }
        let meets_minimum = match availability {
            Some(availability) if availability.resources.is_same(&resources) => availability.meets_minimum,
            _ => reaches(&resources, &self.rules.options.min_allocatable),
        };
        RoleShare { portion: Portion::Part(resources), meets_minimum }
    }

    /// Returns whether the offer constraints of a member admit an agent, and its request names it if it names any. What is not
    /// admitted is offered nothing of it.
    #[inline]
    pub(super) fn admits(&self, member: MemberIx, agent: AgentIx) -> bool {
        let membership = self.books.membership();
        if !membership.any_selective() {
            return true;
        }
        let member = membership.member(member);
        let entry = membership.framework(member.framework);
        if !entry.is_selective() {
            return true;
        }
        let agent = self.books.ledger()[agent].agent();
        member.request_at_work().is_none_or(|request| request.names(&agent.id))
            && entry.framework().offer_constraints.admits(membership.role(member.role), agent)
    }

    /// Returns what a member that is [admitted](Self::admits) would be offered of its role's share. This is the eligibility chain:
    /// the checks that Mesos makes.
    pub(super) fn portion(&self, stage: Stage, agent: AgentIx, member: MemberIx, share: &RoleShare) -> Option<Portion> {
        let membership = self.books.membership();
        let &super::books::Member { framework, .. } = membership.member(member);
        let (entry, account) = (membership.framework(framework), &self.books.ledger()[agent]);
        let framework = entry.framework();
        let resources = share.portion.of(account.available());
        let is_acceptable = if entry.is_selective() && self.has_own_minimum(member) {
            reaches(resources, self.minimum_of(member))
        } else {
            share.meets_minimum
        };
        if !is_acceptable || !self.can_use(framework, account) {
            return None;
        }
        let is_limited = self.rules.cap.is_some() || entry.is_selective();
        if is_limited || !matches!(share.portion, Portion::Whole) || !self.books.quotas().is_empty() {
            return self.restricted_portion(stage, agent, member, share);
        }
        (!self.refusals.refuses(member, agent, resources)).then_some(Portion::Whole)
    }

    /// Returns the same where more than the agent and refusals may restrict it.
    fn restricted_portion(&self, stage: Stage, agent: AgentIx, member: MemberIx, share: &RoleShare) -> Option<Portion> {
        let &super::books::Member { framework, role, .. } = self.books.membership().member(member);
        let framework = self.books.membership().framework(framework).framework();
        let resources = share.portion.of(self.books.ledger()[agent].available());
        let cap = self.cap_of(member);
        if matches!(share.portion, Portion::Whole) && self.books.quotas().is_empty() && cap.is_none() {
            return (!self.refusals.refuses(member, agent, resources)).then_some(Portion::Whole);
        }
        let usable = resources.filter(|resource| is_usable(framework, resource));
        let offer = self.cut(stage, role, usable, cap.as_deref())?;
        let is_acceptable = (offer.is_same(resources) || reaches(&offer, self.minimum_of(member)))
            && !self.refusals.refuses(member, agent, &offer);
        is_acceptable.then_some(Portion::Part(offer))
    }

    /// Returns whether a member has another minimum than the general one.
    fn has_own_minimum(&self, member: MemberIx) -> bool {
        let membership = self.books.membership();
        let member = membership.member(member);
        let framework = membership.framework(member.framework).framework();
        member.request_at_work().is_some_and(|request| request.each.is_some())
            || framework.offer_filters.contains_key(membership.role(member.role))
    }

    /// Returns the minimums of offers to a member: each contains one of them. That of a request at work counts instead of others.
    pub(super) fn minimum_of(&self, member: MemberIx) -> &[Quantities] {
        let membership = self.books.membership();
        let member = membership.member(member);
        let each = member.request_at_work().and_then(|request| request.each.as_ref());
        let framework = membership.framework(member.framework).framework();
        each.map_or_else(|| self.minimum(framework, membership.role(member.role)), std::slice::from_ref)
    }

    /// Returns the minimums of offers to a framework under a role: each contains one of them.
    pub(super) fn minimum<'f>(&'f self, framework: &'f Framework, role: &Role) -> &'f [Quantities] {
        framework.offer_filters.get(role).map_or(self.rules.options.min_allocatable.as_slice(), Vec::as_slice)
    }

    /// Returns the most that an offer to a member carries; none if nothing is limited.
    pub(super) fn cap_of(&self, member: MemberIx) -> Option<Cow<'_, Limits>> {
        let request = self.books.membership().member(member).request_at_work();
        if request.is_none() && !self.has_own_minimum(member) {
            return self.rules.cap.as_ref().map(Cow::Borrowed);
        }
        offer_cap(&self.rules.options.max_offer, request, self.minimum_of(member)).map(Cow::Owned)
    }

    /// Returns whether offers to a member are parts of an agent: then each is an offer of its own.
    #[inline]
    pub(super) fn is_divided_for(&self, member: MemberIx) -> bool {
        let membership = self.books.membership();
        let divides = |member: MemberIx| {
            membership.member(member).request_at_work().is_some_and(|request| !request.most.is_empty())
        };
        self.rules.cap.is_some() || (membership.any_dividing() && divides(member))
    }

    /// Returns whether a framework has the capabilities for what an agent has and the region that it is in.
    fn can_use(&self, framework: &Framework, account: &Account) -> bool {
        let options = &self.rules.options;
        let gpus = options.filter_gpu_resources && account.has_gpus();
        let is_remote = |home: &Domain| {
            let domain = account.agent().domain.as_ref();
            domain.is_some_and(|domain| domain.region != home.region)
        };
        let remote = options.domain.as_ref().is_some_and(is_remote);
        (!gpus || framework.has_capability(Capability::GpuResources))
            && (!remote || framework.has_capability(Capability::RegionAware))
    }

    /// Returns as much of the resources as quota allows at a stage, and an offer carries; none if nothing of it counts towards a
    /// guarantee there.
    pub(super) fn cut(
        &self,
        stage: Stage,
        role: RoleIx,
        resources: Resources,
        cap: Option<&Limits>,
    ) -> Option<Resources> {
        let (quotas, membership) = (self.books.quotas(), self.books.membership());
        if quotas.is_empty() {
            return Some(match cap {
                None => resources,
                Some(cap) => cut_to(&resources, cap),
            });
        }
        let quota = membership.quota_of(role);
        let unsatisfied = match (stage, quota) {
            (Stage::Guarantees, Some(quota)) if self.is_below_guarantee(role) => quotas.accounts().unsatisfied(quota),
            (Stage::Guarantees, _) => return None,
            (Stage::FairShares, _) => Amounts::default(),
        };
        let managed = resources.filter(is_quota_managed);
        let (allowed, is_guaranteed) = quotas.accounts().cut(self.books.names(), quota, &managed, &unsatisfied, cap);
        if stage == Stage::Guarantees && !is_guaranteed {
            return None;
        }
        if managed.is_same(&resources) {
            return Some(allowed);
        }
        let mut offer = resources.filter(|resource| {
            // With a guarantee come what is reserved to just this role, and what quota is not about.
            let comes_along = resource.role() == Some(membership.role(role))
                || resource.scalar().is_none()
                || resource.is_revocable();
            !is_quota_managed(resource) && (comes_along || stage == Stage::FairShares)
        });
        offer.insert(&allowed);
        Some(offer)
    }
}

/// Returns whether a framework has the capabilities for a resource.
pub(super) fn is_usable(framework: &Framework, resource: &Resource) -> bool {
    (!resource.is_shared() || framework.has_capability(Capability::SharedResources))
        && (!resource.is_revocable() || framework.has_capability(Capability::RevocableResources))
}

/// Returns whether an offer is not empty and reaches one of the minimums.
pub(super) fn reaches(resources: &Resources, minimum: &[Quantities]) -> bool {
    !resources.is_empty() && (minimum.is_empty() || minimum.iter().any(|minimum| resources.reaches(minimum)))
}
