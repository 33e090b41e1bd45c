//! Who may be offered what: the chain of conditions besides quota.

use super::{KnownAgent, KnownFramework, Reference};
use apportion::{Capability, FrameworkId, Resources, Role};

impl Reference {
    /// Whether an agent gives offers at all.
    pub(super) fn gives_offers(&self, known: &KnownAgent) -> bool {
        let listed = |names: &Vec<String>| names.iter().any(|name| *name == known.agent.hostname);
        let drains = self.drains.contains_key(&known.agent.id);
        known.active && known.connected && !drains && self.whitelist.as_ref().is_none_or(listed)
    }

    pub(super) fn is_active_in(&self, id: &FrameworkId, role: &Role) -> bool {
        self.framework(id).is_some_and(|known| {
            let is_open = |wanted| self.still_open(wanted) > 0;
            let wants = !known.suppressed.contains(role) || self.working_request(id, role).is_some_and(is_open);
            known.active && known.framework.roles.contains(role) && wants && !self.is_full(known)
        })
    }

    /// Whether one of the minimums for a framework and a role is reached.
    pub(super) fn reaches_minimum(&self, to: &KnownFramework, role: &Role, resources: &Resources) -> bool {
        let minimums = self.minimums(&to.framework.id, role);
        let reached = minimums.is_empty() || minimums.iter().any(|minimum| resources.reaches(minimum));
        reached && !resources.is_empty()
    }

    pub(super) fn is_capable(&self, to: &KnownFramework, known: &KnownAgent) -> bool {
        let options = &self.config.options;
        let can = |capability| to.framework.has_capability(capability);
        let has_gpus = !known.agent.resources.quantities().amount("gpus").is_zero();
        let home = options.domain.as_ref().map(|domain| &domain.region);
        let remote = known.agent.domain.as_ref().is_some_and(|domain| home.is_some_and(|home| *home != domain.region));
        (!has_gpus || !options.filter_gpu_resources || can(Capability::GpuResources))
            && (!remote || can(Capability::RegionAware))
    }

    /// Without what the framework says nothing of being able to deal with.
    pub(super) fn stripped(to: &KnownFramework, resources: &Resources) -> Resources {
        resources.filter(|resource| {
            (!resource.is_shared() || to.framework.has_capability(Capability::SharedResources))
                && (!resource.is_revocable() || to.framework.has_capability(Capability::RevocableResources))
        })
    }
}
