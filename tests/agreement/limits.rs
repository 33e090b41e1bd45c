//! Quota, looked at from outside: no offer takes a role over a limit, and what is guaranteed to others stays free.

use crate::reference::Reference;
use apportion::{Effect, Emitted, Offer, Resource, Role};

/// Checks the offers that just came out against the quotas, as things stand after them.
pub(crate) fn check_limits(found: &[Emitted], reference: &Reference) -> Result<(), String> {
    let offers =
        found.iter().filter_map(|emitted| if let Effect::Offer(offer) = &emitted.effect { Some(offer) } else { None });
    let offers: Vec<&Offer> = offers.collect();
    // What was offered before something was taken back was measured by what was held then.
    let rescinded = found.iter().any(|emitted| matches!(emitted.effect, Effect::Rescind { .. }));
    for offer in &offers {
        for name in offer.resources.iter().filter(|resource| is_firm(resource)).map(Resource::name) {
            for (role, quota) in reference.quotas.iter().filter(|(role, _)| offer.role.is_within(role)) {
                let consumed = consumed(reference, role, name);
                if quota.limits.get(name).is_some_and(|limit| consumed > limit.as_milli()) {
                    return Err(format!("{offer:?} took {role} to {consumed} {name}, over its limit"));
                }
            }
            // Whoever is guaranteed something may take what is kept free, even when it is not enough for all.
            let guaranteed = |role: &Role| {
                reference.quotas.iter().any(|(above, quota)| role.is_within(above) && !quota.guarantees.is_empty())
            };
            let (free, required) = (free(reference, name), required(reference, name));
            if free < required && !rescinded && !offers.iter().any(|offer| guaranteed(&offer.role)) {
                return Err(format!("{offer:?} left {free} {name}, of which {required} are guaranteed to others"));
            }
        }
    }
    Ok(())
}

fn is_firm(resource: &Resource) -> bool {
    resource.scalar().is_some() && resource.role().is_none() && !resource.is_revocable()
}

fn amount<'a>(resources: impl Iterator<Item = &'a Resource>, name: &str) -> u64 {
    resources
        .filter(|resource| resource.name() == name)
        .filter_map(Resource::scalar)
        .map(|amount| amount.as_milli())
        .sum()
}

/// What is reserved to a role and those below, and what they hold of the rest.
fn consumed(reference: &Reference, role: &Role, name: &str) -> u64 {
    let total = reference.agents.iter().flat_map(|known| known.agent.resources.iter());
    let reserved = total.filter(|resource| resource.role().is_some_and(|owner| owner.is_within(role)));
    let held = reference.weighing().filter(|held| held.role.is_within(role)).flat_map(|held| held.resources.iter());
    amount(reserved, name) + amount(held.filter(|resource| is_firm(resource)), name)
}

fn free(reference: &Reference, name: &str) -> u64 {
    let total = reference.agents.iter().flat_map(|known| known.agent.resources.iter());
    let held = reference.holdings().flat_map(|held| held.resources.iter());
    let total = amount(total.filter(|resource| is_firm(resource)), name);
    total.saturating_sub(amount(held.filter(|resource| is_firm(resource)), name))
}

/// What the roles at the top of the guarantees still lack: at least that much has to stay free.
fn required(reference: &Reference, name: &str) -> u64 {
    let lacks = reference
        .quotas
        .iter()
        .filter(|(role, _)| role.ancestors().all(|above| !reference.quotas.contains_key(&above)));
    lacks
        .map(|(role, quota)| quota.guarantees.amount(name).as_milli().saturating_sub(consumed(reference, role, name)))
        .sum()
}
