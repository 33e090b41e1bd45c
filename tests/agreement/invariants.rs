//! What must hold after every command, looked at from outside: effects, and the master's state.

use crate::limits::check_limits;
use crate::reference::{Held, Reference, Wanted, same, sum_of, used};
use apportion::{
    AgentState, Call, Capability, Command, Config, Effect, Emitted, FrameworkId, Offer, OfferId, Operation, Resource,
    Resources, Role, State, Time,
};
use std::collections::BTreeMap;
use std::time::Duration;

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
    /// The offers that may time out, each with the time at which it does.
    waiting: Vec<(OfferId, Held, Time)>,
}

impl Watch {
    pub(crate) fn new(config: Config) -> Self {
        Self { config, unwanted: Vec::new(), waiting: Vec::new() }
    }

    /// Learns of a command that was taken, and of what was known before it.
    pub(crate) fn learn(&mut self, before: &Reference, command: &Command, at: Time) {
        let mut forget = |which: &dyn Fn(&Held) -> bool| self.unwanted.retain(|unwanted| !which(&unwanted.held));
        match command {
            Command::AddAgent(registration) => {
                let agent = &registration.agent;
                let known = before.agent(&agent.id).map(|known| &known.agent.attributes);
                if known != Some(&agent.attributes) {
                    forget(&|held| held.agent == agent.id);
                }
            }
            Command::UpdateAgent(update) => {
                let known = before.agent(&update.id).map(|known| &known.agent.attributes);
                if update.attributes.is_some() && update.attributes.as_ref() != known {
                    forget(&|held| held.agent == update.id);
                }
            }
            Command::RemoveAgent(id)
            | Command::UnregisterAgent(id)
            | Command::AgentUnreachable(id)
            | Command::AgentGone(id) => forget(&|held| held.agent == *id),
            Command::DeactivateFramework(id) | Command::Call(id, Call::Teardown | Call::Subscribe(_)) => {
                forget(&|held| held.framework == *id);
            }
            // It may have left by itself since it refused something.
            Command::AddFramework(new) | Command::RecoverFramework(new, _) => forget(&|held| held.framework == new.id),
            Command::Call(_, Call::UpdateFramework(new)) => {
                let suppressed = before.framework(&new.id).map(|known| known.suppressed.clone()).unwrap_or_default();
                forget(&|held| {
                    let revived = suppressed.contains(&held.role) && !new.suppressed.contains(&held.role);
                    held.framework == new.id && (revived || !new.roles.contains(&held.role))
                });
            }
            Command::Call(id, Call::Revive(roles)) => {
                forget(&|held| held.framework == *id && (roles.is_empty() || roles.contains(&held.role)));
            }
            Command::Call(id, Call::Decline { offers, filters, .. }) if !filters.refuse.is_zero() => {
                let until = at + filters.refuse.max(self.config.allocation_interval);
                let declined = before
                    .offers
                    .iter()
                    .filter(|offer| offer.held.framework == *id && offers.contains(&before.offer_id(offer.number)));
                self.unwanted.extend(declined.map(|offer| Unwanted { held: offer.held.clone(), until, sure: true }));
            }
            Command::Call(id, Call::Accept(accept)) if !accept.filters.refuse.is_zero() => {
                let until = at + accept.filters.refuse.max(self.config.allocation_interval);
                let its = before.offers.iter().filter(|offer| offer.held.framework == *id);
                let answered = its.filter(|offer| accept.offers.contains(&before.offer_id(offer.number)));
                let is_launch =
                    |operation: &Operation| matches!(operation, Operation::Launch(_) | Operation::LaunchGroup(_));
                let has_executor = accept.tasks().any(|task| task.details.contains("executor"));
                let plain = !accept.each && !has_executor && accept.operations.iter().all(is_launch);
                let sure = plain && accept.offers.len() == 1;
                for offer in answered {
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

    /// Checks what came out and what the state is; `reference` has come to the same effects. `parts` are the states before
    /// frameworks were given up meanwhile: an offer is judged by what was held when it was made.
    pub(crate) fn check(
        &mut self,
        found: &[Emitted],
        state: &State,
        reference: &Reference,
        parts: &[(usize, Reference)],
        at: Time,
    ) -> Result<(), String> {
        check_accounts(state, reference)?;
        for emitted in found {
            match &emitted.effect {
                Effect::Offer(offer) => {
                    self.check_refusals(offer, emitted.at)?;
                    check_reservations(offer)?;
                    self.await_timeout(offer, emitted.at, reference);
                }
                Effect::Rescind { offer, .. } => self.learn_timeout(offer, emitted.at),
                _ => {}
            }
        }
        let mut begin = 0;
        for (end, then) in parts.iter().map(|(end, then)| (*end, then)).chain([(found.len(), reference)]) {
            self.check_fair_order(&found[begin..end], then)?;
            check_limits(&found[begin..end], then)?;
            begin = end;
        }
        self.unwanted.retain(|unwanted| unwanted.until > at);
        let is_live = |id: &OfferId| reference.offers.iter().any(|offer| reference.offer_id(offer.number) == *id);
        self.waiting.retain(|(id, ..)| is_live(id));
        Ok(())
    }

    /// Notes an offer and the time at which it times out, if it does.
    fn await_timeout(&mut self, offer: &Offer, at: Time, reference: &Reference) {
        let Some(to) = reference.framework(&offer.framework) else { return };
        let timeout = match to.framework.offer_timeout {
            Some(Duration::ZERO) => None,
            own => own.or(self.config.offer_timeout),
        };
        let held = Held {
            framework: offer.framework.clone(),
            role: offer.role.clone(),
            agent: offer.agent.clone(),
            resources: offer.resources.clone(),
        };
        self.waiting.extend(timeout.map(|timeout| (offer.id.clone(), held, at + timeout)));
    }

    /// Learns that an offer is rescinded: if it has timed out, it may count as refused from then on.
    fn learn_timeout(&mut self, id: &OfferId, at: Time) {
        let timed_out = self.waiting.iter().position(|(offer, _, end)| offer == id && *end == at);
        let Some(timed_out) = timed_out else { return };
        let (_, held, _) = self.waiting.remove(timed_out);
        if !self.config.timeout_refusal.is_zero() {
            let until = at + self.config.timeout_refusal.max(self.config.allocation_interval);
            self.unwanted.push(Unwanted { held, until, sure: true });
        }
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
        let divides = |(_, wanted): (_, &Wanted)| !wanted.most.is_empty();
        let divided = reference.frameworks.iter().any(|known| known.wanted.iter().any(divides));
        if shared || rescinded || divided || !reference.quotas.is_empty() {
            return Ok(());
        }
        let offers: Vec<&Offer> = found.iter().filter_map(|emitted| offer_of(&emitted.effect)).collect();
        for (i, offer) in offers.iter().enumerate() {
            // Roles are in order of the shares that they had before anything of the agent was given.
            let of_agent = offers[..i].iter().rposition(|other| other.agent != offer.agent).map_or(0, |last| last + 1);
            // Of chunks each is given in the order of the shares by then.
            let first = if self.config.options.max_offer.is_empty() { of_agent } else { i };
            let later = &offers[first..];
            let new = |number: u64| later.iter().any(|new| new.id == reference.offer_id(number));
            let old = reference.offers.iter().filter(|offer| !new(offer.number)).map(|offer| &offer.held);
            let held = old.chain(reference.in_use());
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
            && known.framework.max_offers.is_none()
            && !known.suppressed.contains(role)
            && agent.agent.domain.is_none()
            && (!gpus || known.framework.has_capability(Capability::GpuResources))
            && !self.unwanted.iter().any(|unwanted| to(&unwanted.held))
    }
}

/// Nothing is lost, nothing is held twice: what offers and tasks hold and what is available make the total.
fn check_accounts(state: &State, reference: &Reference) -> Result<(), String> {
    for agent in &state.agents {
        let offers = state.offers.iter().filter(|offer| offer.agent == agent.id).map(|offer| &offer.resources);
        let in_use = reference.in_use().filter(|held| held.agent == agent.id);
        let offered = sum(offers)?;
        let allocated = sum(in_use.map(|held| &held.resources))?;
        if agent.offered != offered || agent.allocated != allocated {
            return Err(format!(
                "{} says offered {} and allocated {}, of which {offered} and {allocated} are known",
                agent.id, agent.offered, agent.allocated
            ));
        }
        let held = sum([&offered, &allocated])?;
        check_names(agent, &held)?;
        let has = |shared: &Resource| agent.total.iter().any(|mine| same(mine, shared));
        let lacks_shared = held.iter().any(|resource| resource.is_shared() && !has(resource));
        let (total, held) = (firm(&agent.total), firm(&held));
        let whole = sum([&held, &firm(&agent.available)])?;
        // An agent that tells a part of it otherwise may have less available, but never more.
        if total.contains(&held) && !lacks_shared && whole != total {
            return Err(format!("{}: {whole} is held or available, of {total}", agent.id));
        }
    }
    Ok(())
}

/// Of no name is more available than its whole total less all that is held of it, whatever their kinds.
fn check_names(agent: &AgentState, held: &Resources) -> Result<(), String> {
    let held: Vec<&Resource> = held.iter().collect();
    let used = used(&agent.total, &held);
    let mut excesses = BTreeMap::new();
    for name in agent.total.iter().chain(used.iter().copied()).map(Resource::name) {
        let sums = [agent.total.iter(), agent.available.iter()].map(|part| sum_of(part, name));
        let ([total, available], used) = (sums, sum_of(used.iter().copied(), name));
        if available > total.saturating_sub(used) {
            return Err(format!("{}: of {total} {name} {used} are held and {available} available", agent.id));
        }
        if used > total {
            excesses.insert(name.to_owned(), used - total);
        }
    }
    let told = agent.overcommitted.iter().map(|(name, excess)| (name.to_owned(), u128::from(excess.as_milli())));
    if told.collect::<BTreeMap<_, _>>() != excesses {
        return Err(format!("{} is over-committed by {excesses:?}, says {}", agent.id, agent.overcommitted));
    }
    let members =
        |resource: &Resource| Resources::try_from_iter([Resource::new(resource.name(), resource.value().clone())]);
    for resource in agent.available.iter().filter(|resource| resource.scalar().is_none()) {
        let mine = members(resource).map_err(|error| error.to_string())?;
        for other in used.iter().filter(|other| other.name() == resource.name()) {
            let theirs = members(other).map_err(|error| error.to_string())?;
            if mine.saturating_sub(&theirs) != mine {
                return Err(format!("{}: {resource} is available and {other} is held", agent.id));
            }
        }
    }
    Ok(())
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
