//! The suite of allocators: what their contract says, checked after each step.

use super::model::{Model, ModelAgent, ModelFramework};
use super::shrink::{Broken, run};
use super::step::Step;
use crate::agent::Agent;
use crate::allocator::{Allocator, AllocatorError, Change, Contents, EndedOffers, Holding, Persist, Quota, QuotaError};
use crate::framework::{Capability, Framework};
use crate::id::{AgentId, FrameworkId};
use crate::offer::Conversion;
use crate::resources::{Resources, Scalar};
use crate::role::Role;
use crate::time::Time;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Runs a sequence on an allocator; see [`Suite::allocator`](super::Suite::allocator). [`Step::SaveAndLoad`] does nothing.
///
/// # Errors
///
/// [`Broken`] with what does not hold.
///
/// # Panics
///
/// If a text in a step is not of resources, a role or a weight.
pub fn check_allocator<A: Allocator>(make: &impl Fn() -> A, steps: &[Step]) -> Result<(), Broken> {
    let mut world = World::new(make, None);
    run(steps, |step| world.step(step))
}

/// Runs a sequence on an allocator that can be saved; see [`Suite::saved_allocator`](super::Suite::saved_allocator).
///
/// # Errors
///
/// [`Broken`] with what does not hold.
///
/// # Panics
///
/// If a text in a step is not of resources, a role or a weight.
pub fn check_saved_allocator<A: Allocator + Persist>(make: &impl Fn() -> A, steps: &[Step]) -> Result<(), Broken> {
    let save_and_load = |saved: &A, contents: &Contents<'_>| {
        let mut loaded = make();
        loaded.load(saved.save(), contents).map_err(|error| format!("it does not load what it saved: {error}"))?;
        let (saved, again) = (saved.save(), loaded.save());
        if saved == again { Ok(loaded) } else { Err(format!("what it saved, and saved once loaded: {saved}, {again}")) }
    };
    let mut world = World::new(make, Some(&save_and_load));
    run(steps, |step| world.step(step))
}

/// Saves an allocator, and makes another one that loads that.
type SaveAndLoad<'s, A> = &'s dyn Fn(&A, &Contents<'_>) -> Result<A, String>;

/// An allocator, others that must do as it does, and a model of what it was told.
struct World<'s, A> {
    allocator: A,
    /// One that is told the same, and one that was loaded.
    others: Vec<A>,
    save_and_load: Option<SaveAndLoad<'s, A>>,
    model: Model,
}

/// What can be seen of an allocator.
type Seen = (Vec<String>, bool, Option<Time>, String);

fn resources(text: &str) -> Resources {
    text.parse().expect("the steps have resources")
}

fn role(text: &str) -> Role {
    text.parse().expect("the steps have roles")
}

fn framework(id: &str, roles: &str) -> Arc<Framework> {
    let framework = Framework::new(id).capability(Capability::GpuResources);
    Arc::new(roles.split(',').fold(framework, |framework, name| framework.role(role(name))))
}

impl<'s, A: Allocator> World<'s, A> {
    fn new(make: &impl Fn() -> A, save_and_load: Option<SaveAndLoad<'s, A>>) -> Self {
        Self { allocator: make(), others: vec![make()], save_and_load, model: Model::default() }
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match *step {
            Step::AddAgent(..) | Step::UpdateAgent(..) | Step::RemoveAgent(_) | Step::SetAgentActive(..) => {
                self.agent_step(step)?
            }
            Step::AddFramework(..)
            | Step::UpdateFramework(..)
            | Step::RemoveFramework(_)
            | Step::SetFrameworkActive(..)
            | Step::Suppress(..)
            | Step::Revive(..) => self.framework_step(step)?,
            Step::SetWeight(name, weight) => {
                let weight = weight.parse().expect("the steps have weights");
                self.tell(Change::SetWeight { role: &role(name), weight }, true)?;
            }
            Step::SetLimit(name, cpus) => self.set_limit(&role(name), Scalar::units(cpus))?,
            Step::Allocate => self.allocate(None)?,
            Step::AllocateAgent(id) => self.allocate(Some(&id.into()))?,
            Step::Wait(seconds) => self.wait(Duration::from_secs(seconds))?,
            Step::SaveAndLoad => self.save_and_load()?,
            Step::Decline(..)
            | Step::Launch(..)
            | Step::Reserve(_)
            | Step::EndTask(_)
            | Step::EndOfferAgain
            | Step::EndTaskAgain => self.holding_step(step)?,
        }
        self.check_accounts()
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "`step` knows all steps")]
    fn agent_step(&mut self, step: &Step) -> Result<(), String> {
        match *step {
            Step::AddAgent(id, total) => {
                let agent = Arc::new(Agent::new(id, resources(total)));
                let is_new = self.model.agent(&agent.id).is_none();
                self.tell(Change::AddAgent { agent: &agent, held: &[] }, is_new)?;
                if is_new {
                    self.model.agents.push(ModelAgent { total: agent.resources.clone(), agent, is_active: true });
                }
            }
            Step::UpdateAgent(id, total) => {
                let agent = Arc::new(Agent::new(id, resources(total)));
                let is_there = self.model.agent(&agent.id).is_some();
                self.tell(Change::UpdateAgent(&agent), is_there)?;
                if let Some(known) = self.model.agent(&agent.id) {
                    (known.total, known.agent) = (agent.resources.clone(), agent);
                }
            }
            Step::RemoveAgent(id) => {
                let id = AgentId::from(id);
                let fits = self.model.agent(&id).is_some() && !self.model.any_held(|held| held.agent == id);
                self.tell(Change::RemoveAgent(&id), fits)?;
                if fits {
                    self.model.agents.retain(|agent| agent.agent.id != id);
                    self.model.forget_refusals(|refused| refused.agent == id);
                }
            }
            Step::SetAgentActive(id, active) => {
                let id = AgentId::from(id);
                let is_there = self.model.agent(&id).is_some();
                self.tell(Change::SetAgentActive { agent: &id, active }, is_there)?;
                if let Some(known) = self.model.agent(&id) {
                    known.is_active = active;
                }
            }
            _ => {}
        }
        Ok(())
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "`step` knows all steps")]
    fn framework_step(&mut self, step: &Step) -> Result<(), String> {
        match *step {
            Step::AddFramework(id, roles) => {
                let framework = framework(id, roles);
                let is_new = self.model.framework(&framework.id).is_none();
                self.tell(Change::AddFramework { framework: &framework, held: &[] }, is_new)?;
                if is_new {
                    let suppressed = BTreeSet::new();
                    self.model.frameworks.push(ModelFramework { framework, is_active: true, suppressed });
                }
            }
            Step::UpdateFramework(id, roles) => {
                let framework = framework(id, roles);
                let is_there = self.model.framework(&framework.id).is_some();
                self.tell(Change::UpdateFramework(&framework), is_there)?;
                if let Some(known) = self.model.framework(&framework.id) {
                    // It is registered anew: it has suppressed nothing, and what it had refused may be forgotten.
                    known.framework = Arc::clone(&framework);
                    known.suppressed.clear();
                    self.model.forget_refusals(|refused| refused.framework == framework.id);
                }
            }
            Step::RemoveFramework(id) => {
                let id = FrameworkId::from(id);
                let fits = self.model.framework(&id).is_some() && !self.model.any_held(|held| held.framework == id);
                self.tell(Change::RemoveFramework(&id), fits)?;
                if fits {
                    self.model.frameworks.retain(|framework| framework.framework.id != id);
                    self.model.forget_refusals(|refused| refused.framework == id);
                }
            }
            Step::SetFrameworkActive(id, active) => {
                let id = FrameworkId::from(id);
                let is_there = self.model.framework(&id).is_some();
                self.tell(Change::SetFrameworkActive { framework: &id, active }, is_there)?;
                if let Some(known) = self.model.framework(&id) {
                    known.is_active = active;
                    if !active {
                        self.model.forget_refusals(|refused| refused.framework == id);
                    }
                }
            }
            Step::Suppress(id, name) => {
                let (id, role) = (FrameworkId::from(id), role(name));
                let fits = self.model.has_role(&id, &role);
                self.tell(Change::Suppress { framework: &id, roles: std::slice::from_ref(&role) }, fits)?;
                if let Some(known) = self.model.framework(&id).filter(|_| fits) {
                    known.suppressed.insert(role);
                }
            }
            Step::Revive(id, name) => {
                let (id, role) = (FrameworkId::from(id), role(name));
                let fits = self.model.has_role(&id, &role);
                self.tell(Change::Revive { framework: &id, roles: std::slice::from_ref(&role) }, fits)?;
                if let Some(known) = self.model.framework(&id).filter(|_| fits) {
                    known.suppressed.remove(&role);
                    self.model.forget_refusals(|refused| (&refused.framework, &refused.role) == (&id, &role));
                }
            }
            _ => {}
        }
        Ok(())
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "`step` knows all steps")]
    fn holding_step(&mut self, step: &Step) -> Result<(), String> {
        let of_offer = |position: usize| position.checked_rem(self.model.offers.len());
        match *step {
            Step::Decline(position, seconds) => {
                let Some(position) = of_offer(position) else { return Ok(()) };
                let offer = self.model.offers[position].clone();
                self.end_offer(position, &[], &[], true)?;
                if seconds > 0 {
                    let until = self.model.now + Duration::from_secs(seconds);
                    let fits = self.model.has_role(&offer.framework, &offer.role);
                    self.tell(Change::Refuse { refused: &offer, until }, fits)?;
                    self.model.refusals.extend(fits.then_some((offer, until)));
                }
            }
            Step::Launch(position, task) => {
                let Some(position) = of_offer(position) else { return Ok(()) };
                let task = resources(task);
                let fits = self.model.offers[position].resources.contains(&task);
                self.end_offer(position, &[], &[&task], fits)?;
            }
            Step::Reserve(position) => {
                let Some(position) = of_offer(position) else { return Ok(()) };
                let offer = &self.model.offers[position];
                let reserve = Conversion::new(resources("cpus:1"), resources(&format!("cpus({}):1", offer.role)));
                // An agent that has become smaller may not have a cpu any more.
                let has_cpu =
                    |known: &ModelAgent| known.agent.id == offer.agent && known.total.contains(&reserve.consumed);
                let fits = offer.resources.contains(&reserve.consumed) && self.model.agents.iter().any(has_cpu);
                self.end_offer(position, &[reserve], &[], fits)?;
            }
            Step::EndTask(position) => {
                let Some(position) = position.checked_rem(self.model.tasks.len()) else { return Ok(()) };
                let task = self.model.tasks[position].clone();
                self.tell(Change::EndTask(&task), true)?;
                self.model.last_task = Some(self.model.tasks.remove(position));
            }
            Step::EndOfferAgain => {
                let ended = self.model.last_offer.clone();
                if let Some(offer) = ended.filter(|ended| !self.model.offers.contains(ended)) {
                    let Holding { framework, role, agent, resources } = &offer;
                    let offers: &[&Resources] = &[resources];
                    let ended = EndedOffers { framework, role, agent, offers, conversions: &[], tasks: &[] };
                    self.tell(Change::EndOffers(ended), false)?;
                }
            }
            Step::EndTaskAgain => {
                let ended = self.model.last_task.clone();
                if let Some(task) = ended.filter(|ended| !self.model.tasks.contains(ended)) {
                    self.tell(Change::EndTask(&task), false)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn end_offer(
        &mut self,
        position: usize,
        conversions: &[Conversion],
        tasks: &[&Resources],
        fits: bool,
    ) -> Result<(), String> {
        let Holding { framework, role, agent, resources } = self.model.offers[position].clone();
        let offers: &[&Resources] = &[&resources];
        let ended = EndedOffers { framework: &framework, role: &role, agent: &agent, offers, conversions, tasks };
        self.tell(Change::EndOffers(ended), fits)?;
        if fits {
            self.model.end_offer(&ended, position);
        }
        Ok(())
    }

    /// Tells all of a change that is to be accepted, or to be refused.
    fn tell(&mut self, change: Change<'_>, fits: bool) -> Result<(), String> {
        let before = (!fits).then(|| self.seen());
        let result = self.allocator.apply(change);
        for other in &mut self.others {
            let otherwise = other.apply(change);
            if otherwise != result {
                return Err(format!("it answers {} now and {} then to {change:?}", text(&result), text(&otherwise)));
            }
        }
        match result {
            Ok(()) if fits => Ok(()),
            Ok(()) => Err(format!("it accepts what is not so: {change:?}")),
            Err(error) if fits => Err(format!("it refuses what is so ({error}): {change:?}")),
            Err(_) if before.is_some_and(|before| before != self.seen()) => {
                Err(format!("it refuses a change, and something has changed: {change:?}"))
            }
            Err(_) => Ok(()),
        }
    }

    fn set_limit(&mut self, role: &Role, cpus: Scalar) -> Result<(), String> {
        let before = self.seen();
        let quota = || Quota::default().limit("cpus", cpus);
        let result = self.allocator.set_quota(role, quota());
        for other in &mut self.others {
            let otherwise = other.set_quota(role, quota());
            if format!("{otherwise:?}") != format!("{result:?}") {
                return Err(format!("it answers {result:?} now and {otherwise:?} then to the same limit"));
            }
        }
        match result {
            Ok(_) => drop(self.model.limits.insert(role.clone(), cpus)),
            Err(QuotaError::Unsupported) => {}
            Err(error) => return Err(format!("it refuses a limit of {cpus} cpus for {role}: {error}")),
        }
        if self.model.limits.is_empty() && before != self.seen() {
            return Err("it has no quota, and a quota has changed something".to_owned());
        }
        Ok(())
    }

    fn allocate(&mut self, only: Option<&AgentId>) -> Result<(), String> {
        let now = self.model.now;
        let is_pending = self.allocator.has_pending();
        let offers = self.allocator.allocate(now, only);
        for other in &mut self.others {
            let otherwise = other.allocate(now, only);
            if otherwise != offers {
                return Err(format!("it makes these offers now and those then: {offers:?}, {otherwise:?}"));
            }
        }
        if only.is_none() && !is_pending && !offers.is_empty() {
            return Err(format!("it says that no offer is pending, and then makes {}", offers.len()));
        }
        offers.iter().try_for_each(|offer| self.model.offer(offer, only))
    }

    fn wait(&mut self, time: Duration) -> Result<(), String> {
        let now = self.model.now + time;
        self.model.now = now;
        self.model.refusals.retain(|(_, until)| *until > now);
        self.tell(Change::Expire(now), true)?;
        match self.allocator.next_expiry() {
            Some(next) if next <= now => {
                Err(format!("all that ends by {now} has ended, and it says that {next} is next"))
            }
            _ => Ok(()),
        }
    }

    fn save_and_load(&mut self) -> Result<(), String> {
        let Some(save_and_load) = self.save_and_load else { return Ok(()) };
        let agents: Vec<Arc<Agent>> = self.model.agents.iter().map(|known| Arc::clone(&known.agent)).collect();
        let frameworks: Vec<Arc<Framework>> =
            self.model.frameworks.iter().map(|known| Arc::clone(&known.framework)).collect();
        let (offers, tasks) = (&self.model.offers, &self.model.tasks);
        let contents = Contents { agents: &agents, frameworks: &frameworks, offers, tasks };
        let loaded = save_and_load(&self.allocator, &contents)?;
        self.others.truncate(1);
        let (seen, seen_loaded) = (self.seen(), self.seen_of(&loaded));
        self.others.push(loaded);
        if seen == seen_loaded {
            Ok(())
        } else {
            Err(format!("it was saved as {seen:?}, and loaded as {seen_loaded:?}"))
        }
    }

    fn check_accounts(&self) -> Result<(), String> {
        for agent in &self.model.agents {
            let id = &agent.agent.id;
            let found = self.allocator.agent(id).ok_or_else(|| format!("it has no account of agent {id}"))?;
            let expected = self.model.account(agent);
            for (of, found, expected) in [
                ("in all", &found.total, &expected.total),
                ("offered", &found.offered, &expected.offered),
                ("in use", &found.allocated, &expected.allocated),
                ("available", &found.available, &expected.available),
            ] {
                if found != expected {
                    return Err(format!("agent {id} has {expected} {of}, and its account says {found}"));
                }
            }
            if found.active != expected.active {
                return Err(format!("its account of agent {id} says active: {}", found.active));
            }
        }
        Ok(())
    }

    fn seen(&self) -> Seen {
        self.seen_of(&self.allocator)
    }

    fn seen_of(&self, allocator: &A) -> Seen {
        let accounts =
            self.model.agents.iter().map(|known| format!("{:?}", allocator.agent(&known.agent.id))).collect();
        (accounts, allocator.has_pending(), allocator.next_expiry(), format!("{:?}", allocator.roles()))
    }
}

fn text(result: &Result<(), AllocatorError>) -> String {
    result.as_ref().map_or_else(ToString::to_string, |()| "Ok".to_owned())
}
