//! What must hold after every command, looked at from outside: effects, and the master's state.

use crate::limits::check_limits;
use crate::reference::{Held, Reference};
use apportion::{
    AgentId, Call, Capability, Command, Config, Effect, Emitted, FrameworkId, Offer, Operation, Resource, Resources,
    Role, State, Time,
};
use std::collections::{BTreeMap, BTreeSet};

/// Something that a framework said it does not want, for as long as nothing has taken that back.
#[derive(Debug)]
struct Unwanted {
    held: Held,
    until: Time,
    /// Whether it is known exactly what was refused.
    sure: bool,
}

/// Looks on, and keeps a book of its own about refusals.
#[derive(Debug)]
pub(crate) struct Watch {
    config: Config,
    unwanted: Vec<Unwanted>,
    /// Agents of which more is held than there is, since they said so themselves.
    overcommitted: BTreeSet<AgentId>,
}

impl Watch {
    pub(crate) fn new(config: Config) -> Self {
        Self { config, unwanted: Vec::new(), overcommitted: BTreeSet::new() }
    }

    /// Learns of a command that was taken, and of what was known before it.
    pub(crate) fn learn(&mut self, before: &Reference, command: &Command, at: Time) {
        let mut forget = |which: &dyn Fn(&Held) -> bool| self.unwanted.retain(|unwanted| !which(&unwanted.held));
        match command {
            Command::AddAgent(agent, _) => {
                self.overcommitted.insert(agent.id.clone());
            }
            Command::UpdateAgent(update) => {
                self.overcommitted.insert(update.id.clone());
                let known = before.agent(&update.id).map(|known| &known.agent.attributes);
                if update.attributes.is_some() && update.attributes.as_ref() != known {
                    forget(&|held| held.agent == update.id);
                }
            }
            Command::RemoveAgent(id) => forget(&|held| held.agent == *id),
            Command::RemoveFramework(id) | Command::DeactivateFramework(id) | Command::Call(id, Call::Teardown) => {
                forget(&|held| held.framework == *id);
            }
            Command::UpdateFramework(new) => {
                let suppressed = before.framework(&new.id).map(|known| known.suppressed.clone()).unwrap_or_default();
                forget(&|held| {
                    let revived = suppressed.contains(&held.role) && !new.suppressed.contains(&held.role);
                    held.framework == new.id && (revived || !new.roles.contains(&held.role))
                });
            }
            Command::Call(id, Call::Revive(roles)) => {
                forget(&|held| held.framework == *id && (roles.is_empty() || roles.contains(&held.role)));
            }
            Command::Call(_, Call::Decline { offers, filters }) if !filters.refuse.is_zero() => {
                let until = at + filters.refuse.max(self.config.allocation_interval);
                let declined = before
                    .offers
                    .iter()
                    .filter(|offer| offers.iter().any(|id| id.as_str() == format!("O{}", offer.number)));
                self.unwanted.extend(declined.map(|offer| Unwanted { held: offer.held.clone(), until, sure: true }));
            }
            Command::Call(_, Call::Accept(accept)) if !accept.filters.refuse.is_zero() => {
                let until = at + accept.filters.refuse.max(self.config.allocation_interval);
                let answered = |number: u64| accept.offers.iter().any(|id| id.as_str() == format!("O{number}"));
                let is_launch =
                    |operation: &Operation| matches!(operation, Operation::Launch(_) | Operation::LaunchGroup(_));
                let sure = accept.offers.len() == 1 && accept.operations.iter().all(is_launch);
                for offer in before.offers.iter().filter(|offer| answered(offer.number)) {
                    let mut held = offer.held.clone();
                    for operation in &accept.operations {
                        let (Operation::Launch(tasks) | Operation::LaunchGroup(tasks)) = operation else { continue };
                        held.resources =
                            tasks.iter().fold(held.resources, |left, task| left.saturating_sub(&task.resources));
                    }
                    self.unwanted.push(Unwanted { held, until, sure });
                }
            }
            _ => {}
        }
    }

    /// Checks what came out and what the state is; `reference` has come to the same effects.
    pub(crate) fn check(
        &mut self,
        found: &[Emitted],
        state: &State,
        reference: &Reference,
        at: Time,
    ) -> Result<(), String> {
        self.check_accounts(state, reference)?;
        for emitted in found {
            if let Effect::Offer(offer) = &emitted.effect {
                self.check_refusals(offer, emitted.at)?;
                check_reservations(offer)?;
            }
        }
        self.check_fair_order(found, reference)?;
        check_limits(found, reference)?;
        self.unwanted.retain(|unwanted| unwanted.until > at);
        Ok(())
    }

    /// Nothing is lost, nothing is held twice: what offers and tasks hold and what is available make the total.
    fn check_accounts(&mut self, state: &State, reference: &Reference) -> Result<(), String> {
        for agent in &state.agents {
            let offers = state.offers.iter().filter(|offer| offer.agent == agent.id).map(|offer| &offer.resources);
            let tasks = reference.tasks.iter().filter(|task| task.held.agent == agent.id);
            let offered = sum(offers)?;
            let allocated = sum(tasks.map(|task| &task.held.resources))?;
            if agent.offered != offered || agent.allocated != allocated {
                return Err(format!(
                    "{} says offered {} and allocated {}, of which {offered} and {allocated} are known",
                    agent.id, agent.offered, agent.allocated
                ));
            }
            let (total, held) = (firm(&agent.total), firm(&sum([&offered, &allocated])?));
            let whole = sum([&held, &firm(&agent.available)])?;
            if total.contains(&held) {
                self.overcommitted.remove(&agent.id);
                if whole != total {
                    return Err(format!("{}: {whole} is held or available, of {total}", agent.id));
                }
            } else if !self.overcommitted.contains(&agent.id) {
                return Err(format!("{}: {held} is held, of {total}", agent.id));
            }
        }
        self.overcommitted.retain(|id| state.agents.iter().any(|agent| agent.id == *id));
        Ok(())
    }

    fn check_refusals(&self, offer: &Offer, at: Time) -> Result<(), String> {
        let unwanted = self.unwanted.iter().find(|unwanted| {
            let Held { framework, role, agent, resources } = &unwanted.held;
            unwanted.until > at
                && unwanted.sure
                && (framework, role, agent) == (&offer.framework, &offer.role, &offer.agent)
                && resources.contains(&offer.resources)
        });
        unwanted.map_or(Ok(()), |unwanted| Err(format!("offered although refused: {offer:?}, {unwanted:?}")))
    }

    /// Whoever is offered what nobody has reserved has no larger share than others at the top of the tree that
    /// could have been offered it. Only where that is plain to see: no quota, nothing shared, nothing rescinded.
    fn check_fair_order(&self, found: &[Emitted], reference: &Reference) -> Result<(), String> {
        let totals = reference.agents.iter().map(|known| &known.agent.resources);
        let held = reference.holdings().map(|held| &held.resources);
        let shared = totals.chain(held).any(|resources| resources.iter().any(Resource::is_shared));
        let rescinded = found.iter().any(|emitted| matches!(emitted.effect, Effect::Rescind { .. }));
        if shared || rescinded || !reference.quotas.is_empty() {
            return Ok(());
        }
        let offers: Vec<&Offer> = found.iter().filter_map(|emitted| offer_of(&emitted.effect)).collect();
        for (i, offer) in offers.iter().enumerate() {
            // Roles are in order of the shares that they had before anything of the agent was given.
            let first = offers[..i].iter().rposition(|other| other.agent != offer.agent).map_or(0, |last| last + 1);
            let later = &offers[first..];
            let new = |number: u64| later.iter().any(|new| new.id.as_str() == format!("O{number}"));
            let old = reference.offers.iter().filter(|offer| !new(offer.number)).map(|offer| &offer.held);
            let held = old.chain(reference.tasks.iter().map(|task| &task.held));
            let held: Vec<&Held> = held.filter(|held| reference.framework(&held.framework).is_some()).collect();
            let mine = share(reference, &held, &offer.role.top());
            for (framework, role) in others(reference, &offer.role.top()) {
                let theirs = share(reference, &held, &role.top());
                if theirs < mine - 1e-9 && self.could_have(reference, &framework, &role, offer) {
                    return Err(format!(
                        "{framework} in {role} has a share of {theirs}, and {offer:?} went to one of {mine}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Whether it is beyond doubt that a framework could have been offered what no one has reserved of an offer.
    fn could_have(&self, reference: &Reference, framework: &FrameworkId, role: &Role, offer: &Offer) -> bool {
        let plain = offer.resources.filter(|resource| resource.role().is_none() && !resource.is_revocable());
        let (Some(known), Some(agent)) = (reference.framework(framework), reference.agent(&offer.agent)) else {
            return false;
        };
        let minimums = known.framework.offer_filters.get(role).unwrap_or(&self.config.options.min_allocatable);
        let enough = minimums.is_empty() || minimums.iter().any(|minimum| plain.reaches(minimum));
        let to = |held: &Held| (&held.framework, &held.role, &held.agent) == (framework, role, &offer.agent);
        let gpus = agent.agent.resources.iter().any(|resource| resource.name() == "gpus");
        !plain.is_empty()
            && enough
            && known.framework.offer_constraints.is_empty()
            && known.active
            && !known.suppressed.contains(role)
            && agent.agent.domain.is_none()
            && (!gpus || known.framework.has_capability(Capability::GpuResources))
            && !self.unwanted.iter().any(|unwanted| to(&unwanted.held))
    }
}

fn offer_of(effect: &Effect) -> Option<&Offer> {
    if let Effect::Offer(offer) = effect { Some(offer) } else { None }
}

/// All pairs of a framework and a role of it that are not below `top`.
fn others(reference: &Reference, top: &Role) -> Vec<(FrameworkId, Role)> {
    let each = reference.frameworks.iter().map(|known| &known.framework);
    let pairs = each.flat_map(|framework| framework.roles.iter().map(|role| (framework.id.clone(), role.clone())));
    pairs.filter(|(_, role)| role.top() != *top).collect()
}

/// The dominant share of a top-level role, as a number.
#[expect(clippy::cast_precision_loss, reason = "small amounts")]
fn share(reference: &Reference, held: &[&Held], role: &Role) -> f64 {
    let mut totals: BTreeMap<String, u64> = BTreeMap::new();
    for resource in reference.agents.iter().flat_map(|known| known.agent.resources.iter()) {
        *totals.entry(resource.name().to_owned()).or_default() += resource.scalar().unwrap_or_default().as_milli();
    }
    let mut mine: BTreeMap<String, u64> = BTreeMap::new();
    for resource in held.iter().filter(|held| held.role.is_within(role)).flat_map(|held| held.resources.iter()) {
        *mine.entry(resource.name().to_owned()).or_default() += resource.scalar().unwrap_or_default().as_milli();
    }
    let weight = reference.weights.get(role).copied().unwrap_or_default().as_f64();
    let excluded = |name: &String| reference.config.options.fair_sharing_excluded.iter().any(|other| other == name);
    let counted = mine.iter().filter(|(name, _)| !excluded(name));
    let fractions = counted.filter_map(|(name, held)| {
        let total = totals.get(name).copied().filter(|total| *total > 0)?;
        Some(*held as f64 / total as f64 / weight)
    });
    fractions.fold(0.0, f64::max)
}

fn check_reservations(offer: &Offer) -> Result<(), String> {
    let alien =
        offer.resources.iter().find(|resource| !resource.role().is_none_or(|owner| offer.role.is_within(owner)));
    alien.map_or(Ok(()), |alien| Err(format!("{alien} was offered to {}", offer.role)))
}

fn firm(resources: &Resources) -> Resources {
    resources.filter(|resource| !resource.is_shared())
}

fn sum<'a>(parts: impl IntoIterator<Item = &'a Resources>) -> Result<Resources, String> {
    parts.into_iter().try_fold(Resources::new(), |sum, part| sum.checked_add(part).map_err(|error| error.to_string()))
}
