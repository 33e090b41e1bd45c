//! An allocator of one's own: first come, first served.
//!
//! The framework that came first is offered all that is available, whatever it holds; the next one gets what the first one
//! refuses. There are no shares, no quota and no reservations: a framework is offered unreserved resources under the first of
//! its roles. What it takes are a map of agents, a list of frameworks, and the refusals.
#![expect(clippy::wildcard_enum_match_arm, reason = "an allocator passes over the changes that it has no use for")]

use apportion::allocator::{AgentAccount, Allocator, AllocatorError, Change, EndedOffers, Holding};
use apportion::{
    Accept, Agent, AgentId, Call, Command, Config, Effect, Framework, FrameworkId, Master, Resources, Role, Task, Time,
};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

#[derive(Debug, Default)]
struct FirstCome {
    agents: BTreeMap<AgentId, Machine>,
    /// In the order in which they came; each with its role.
    frameworks: Vec<(FrameworkId, Role)>,
    /// The frameworks that are not to be offered anything.
    quiet: BTreeSet<FrameworkId>,
    /// The framework, the agent, and the end of each refusal: it is of all that there is.
    refusals: Vec<(FrameworkId, AgentId, Time)>,
}

#[derive(Debug, Clone, Default)]
struct Machine {
    total: Resources,
    offered: Resources,
    allocated: Resources,
}

impl Machine {
    fn account(&self) -> AgentAccount<'_> {
        AgentAccount::new(&self.total, &self.offered, &self.allocated)
    }
}

impl FirstCome {
    fn machine(&mut self, agent: &AgentId) -> Result<&mut Machine, AllocatorError> {
        self.agents.get_mut(agent).ok_or_else(|| AllocatorError::UnknownAgent(agent.clone()))
    }

    /// Returns the offer of an agent that comes next.
    fn offer_of(&self, agent: &AgentId, machine: &Machine) -> Option<Holding> {
        let resources = machine.account().available.unreserved();
        let refuses = |of: &FrameworkId| self.refusals.iter().any(|(by, at, _)| (by, at) == (of, agent));
        let mut takers = self.frameworks.iter().filter(|(framework, _)| !self.quiet.contains(framework));
        let (framework, role) = takers.find(|(framework, _)| !refuses(framework))?;
        let (framework, role, agent) = (framework.clone(), role.clone(), agent.clone());
        (!resources.is_empty()).then_some(Holding { framework, role, agent, resources })
    }

    fn end_offers(&mut self, ended: &EndedOffers<'_>) -> Result<(), AllocatorError> {
        let machine = self.machine(ended.agent)?;
        let mut after = machine.clone();
        ended.offers.iter().for_each(|offer| after.offered.remove(offer));
        for conversion in ended.conversions {
            after.total.remove(&conversion.consumed);
            add(&mut after.total, &conversion.converted, ended.agent)?;
        }
        for task in ended.tasks {
            add(&mut after.allocated, task, ended.agent)?;
        }
        *machine = after;
        Ok(())
    }
}

/// Adds resources to a sum; on an error nothing has changed.
fn add(sum: &mut Resources, more: &Resources, agent: &AgentId) -> Result<(), AllocatorError> {
    sum.try_add(more).map_err(|source| AllocatorError::Held { agent: agent.clone(), source })
}

impl Allocator for FirstCome {
    fn apply(&mut self, change: Change<'_>) -> Result<(), AllocatorError> {
        match change {
            Change::AddAgent { agent, held } => {
                let mut machine = Machine { total: agent.resources.clone(), ..Machine::default() };
                held.iter().try_for_each(|task| add(&mut machine.allocated, &task.resources, &agent.id))?;
                self.agents.insert(agent.id.clone(), machine);
            }
            Change::UpdateAgent(agent) => self.machine(&agent.id)?.total = agent.resources.clone(),
            Change::RemoveAgent(agent) => drop(self.agents.remove(agent)),
            Change::AddFramework { framework, .. } => {
                let role = framework.roles.first().cloned().unwrap_or_default();
                self.frameworks.push((framework.id.clone(), role));
            }
            Change::RemoveFramework(framework) => self.frameworks.retain(|(id, _)| id != framework),
            Change::EndOffers(ended) => self.end_offers(&ended)?,
            Change::EndTask(task) => self.machine(&task.agent)?.allocated.remove(&task.resources),
            Change::Convert { agent, conversion } => {
                let machine = self.machine(agent)?;
                machine.total.remove(&conversion.consumed);
                add(&mut machine.total, &conversion.converted, agent)?;
            }
            Change::Refuse { refused, until } => {
                self.refusals.push((refused.framework.clone(), refused.agent.clone(), until));
            }
            Change::Suppress { framework, .. } | Change::SetFrameworkActive { framework, active: false } => {
                self.quiet.insert(framework.clone());
            }
            Change::Revive { framework, .. } | Change::SetFrameworkActive { framework, active: true } => {
                self.quiet.remove(framework);
                self.refusals.retain(|(of, ..)| of != framework);
            }
            Change::Expire(at) => self.refusals.retain(|(_, _, until)| *until > at),
            _ => {} // weights, for example, mean nothing here
        }
        Ok(())
    }

    fn allocate_into(&mut self, _: Time, only: Option<&AgentId>, offers: &mut Vec<Holding>) {
        let agents = self.agents.iter().filter(|(agent, _)| only.is_none_or(|only| only == *agent));
        let made: Vec<Holding> = agents.filter_map(|(agent, machine)| self.offer_of(agent, machine)).collect();
        for offer in made {
            if let Some(machine) = self.agents.get_mut(&offer.agent)
                && machine.offered.try_add(&offer.resources).is_ok()
            {
                offers.push(offer);
            }
        }
    }

    fn has_pending(&self) -> bool {
        self.agents.iter().any(|(agent, machine)| self.offer_of(agent, machine).is_some())
    }

    fn next_expiry(&self) -> Option<Time> {
        self.refusals.iter().map(|(_, _, until)| *until).min()
    }

    fn agent(&self, agent: &AgentId) -> Option<AgentAccount<'_>> {
        self.agents.get(agent).map(Machine::account)
    }
}

/// Returns who is offered which agent.
fn run() -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let mut master = Master::with_allocator(Config::default(), |_| FirstCome::default());
    let role = Role::new("any")?;
    for id in ["early", "late"] {
        master.handle(Time::ZERO, Command::AddFramework(Framework::new(id).role(role.clone())))?;
    }
    master.handle(Time::ZERO, Command::AddAgent(Agent::new("a1", "cpus:4;mem:1024".parse()?).into()))?;
    let mut offered = Vec::new();
    for second in 1..4 {
        master.advance(Time::from_secs(second))?;
        while let Some(emitted) = master.poll_effect() {
            let Effect::Offer(offer) = emitted.effect else { continue };
            offered.push((offer.framework.to_string(), offer.resources.to_string()));
            if offered.len() == 1 {
                // What is left over is refused for a while.
                let accept = Accept::of(&offer).launch(Task::new("t", "cpus:1".parse()?));
                master.handle(master.now(), Command::Call(offer.framework, Call::Accept(accept)))?;
            }
        }
    }
    Ok(offered)
}

#[expect(clippy::print_stdout, reason = "the example shows who gets what")]
fn main() -> Result<(), Box<dyn Error>> {
    for (framework, resources) in run()? {
        println!("{framework} is offered {resources}");
    }
    Ok(())
}

#[test]
fn who_came_first_is_offered_all_until_it_refuses() {
    let told = run().expect("nothing is refused");
    let told: Vec<(&str, &str)> =
        told.iter().map(|(framework, resources)| (framework.as_str(), resources.as_str())).collect();
    assert_eq!(told, [("early", "cpus:4;mem:1024"), ("late", "cpus:3;mem:1024")]);
}
