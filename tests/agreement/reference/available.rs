//! What there is to offer of an agent.

use super::Reference;
use super::operations::same;
use apportion::{AgentId, Disk, DiskType, Resource, Resources, Scalar, Value};

impl Reference {
    /// What can be offered: the total less all that is held; what is shared is always there.
    pub(crate) fn available(&self, id: &AgentId) -> Resources {
        self.available_without(id, &[])
    }

    /// The same as it will be when offers of these numbers are gone.
    pub(super) fn available_without(&self, id: &AgentId, gone: &[u64]) -> Resources {
        let Some(known) = self.agent(id) else { return Resources::new() };
        let offers = self.offers.iter().filter(|offer| !gone.contains(&offer.number)).map(|offer| &offer.held);
        let holdings = offers.chain(self.in_use()).filter(|held| held.agent == *id);
        let held: Vec<&Resource> = holdings.flat_map(|held| held.resources.iter()).collect();
        available(&known.agent.resources, &held)
    }
}

/// What uses up an agent: what only one can hold, and once each what several hold together that the agent
/// says it does not have.
pub(crate) fn used<'a>(total: &Resources, held: &[&'a Resource]) -> Vec<&'a Resource> {
    let mut used: Vec<&Resource> = held.iter().copied().filter(|resource| !resource.is_shared()).collect();
    for shared in held.iter().copied().filter(|resource| resource.is_shared()) {
        if !total.iter().any(|has| same(has, shared)) && !used.iter().any(|known| same(known, shared)) {
            used.push(shared);
        }
    }
    used
}

/// The sum of a name over all kinds, in thousandths.
pub(crate) fn sum_of<'a>(resources: impl Iterator<Item = &'a Resource>, name: &str) -> u128 {
    let amounts = resources.filter(|resource| resource.name() == name).filter_map(Resource::scalar);
    amounts.map(|amount| u128::from(amount.as_milli())).sum()
}

fn available(total: &Resources, held: &[&Resource]) -> Resources {
    let used = used(total, held);
    // Kind by kind first. A disk or a volume that is not there as it is held is there in another form, if at all.
    let mut rest = total.clone();
    let mut elsewhere = Vec::new();
    for resource in &used {
        let one = Resources::try_from_iter([(*resource).clone()]).expect("one resource");
        if resource.is_indivisible() && !rest.contains(&one) {
            elsewhere.push(*resource);
        }
        rest = rest.saturating_sub(&one);
    }
    let mut kept: Vec<Resource> = Vec::new();
    let (shared, firm): (Vec<&Resource>, Vec<&Resource>) = rest.iter().partition(|resource| resource.is_shared());
    for resource in shared.into_iter().chain(firm) {
        if let Some(form) = elsewhere.iter().position(|form| is_the_same_disk(form, resource)) {
            elsewhere.remove(form);
            continue;
        }
        let name = resource.name();
        let value = match resource.value() {
            Value::Scalar(amount) => {
                // What all kinds have, less what is held of any and what is kept already of this name.
                let gone = sum_of(used.iter().copied(), name) + sum_of(kept.iter(), name);
                let left = sum_of(total.iter(), name).saturating_sub(gone);
                let whole = resource.is_indivisible() && u128::from(amount.as_milli()) > left;
                let most = if whole { 0 } else { u64::try_from(left).unwrap_or(u64::MAX) };
                Value::Scalar((*amount).min(Scalar::milli(most)))
            }
            Value::Ranges(_) | Value::Set(_) => {
                let others = used.iter().copied().chain(kept.iter()).filter(|other| other.name() == name);
                let plain = |resource: &Resource| {
                    Resources::try_from_iter([Resource::new(name, resource.value().clone())]).expect("one resource")
                };
                let left = others.fold(plain(resource), |left, other| left.saturating_sub(&plain(other)));
                let Some(left) = left.iter().next() else { continue };
                left.value().clone()
            }
        };
        kept.push(resource.clone().with_value(value));
    }
    Resources::try_from_iter(kept).expect("no more than there was")
}

/// Whether both are the same volume, or on the same whole disk.
fn is_the_same_disk(one: &Resource, other: &Resource) -> bool {
    let disk = |resource: &Resource| {
        let source = resource.kind()?.disk.as_ref().and_then(|disk: &Disk| disk.source.clone())?;
        let whole = source.kind != DiskType::Path && (source.root.is_some() || source.id.is_some());
        whole.then_some((source.kind, source.root, source.id))
    };
    let alike = one.kind() == other.kind() || disk(one).is_some() && disk(one) == disk(other);
    one.name() == other.name() && other.is_indivisible() && alike
}
