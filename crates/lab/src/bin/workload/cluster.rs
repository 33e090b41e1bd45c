//! [`Cluster`]: an allocator, its live offers, and the time.

use crate::Arguments;
use crate::report::{Failure, expect};
use apportion::allocator::{AgentOrder, Allocator, Drf, Hierarchical, Holding, Options};
use apportion::{Agent, AgentId, Capability, Framework, FrameworkId, Resources, Role, Time};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The resources of an agent, in most workloads.
pub(crate) const MACHINE: &str = "cpus:24;mem:4096;disk:4096;ports:[31000-32000]";

/// The outcome of an allocation, and how long it took to make and to read it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Allocation {
    pub(crate) seconds: f64,
    pub(crate) offers: usize,
    /// The sum of all scalars of all offers, in thousandths.
    pub(crate) milli: u64,
}

impl Allocation {
    /// Fails unless the number of offers and the sum of their scalars are as expected.
    pub(crate) fn expect(&self, step: &str, offers: usize, milli: u64) -> Result<(), Failure> {
        expect(step, "offers", self.offers as u64, offers as u64)?;
        expect(step, "thousandths of scalars", self.milli, milli)
    }
}

/// An allocator with its caller's state.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) allocator: Hierarchical<Drf, Drf>,
    pub(crate) now: Time,
    /// The live offers.
    pub(crate) live: Vec<Holding>,
}

/// Runs `work`. Returns its result and its duration in seconds.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed().as_secs_f64())
}

/// Returns the role of the framework of that number.
pub(crate) fn role(framework: usize, roles: usize) -> Result<Role, Failure> {
    Ok(if roles == 1 { Role::default() } else { Role::new(format!("role{}", framework % roles))? })
}

pub(crate) fn framework_id(number: usize) -> FrameworkId {
    format!("framework{number}").into()
}

pub(crate) fn agent_id(number: usize) -> AgentId {
    format!("agent{number}").into()
}

/// Returns the sum of all scalars, in thousandths. It takes reading the whole offer.
pub(crate) fn milli(resources: &Resources) -> u64 {
    resources.iter().filter_map(|resource| Some(resource.scalar()?.as_milli())).sum()
}

impl Cluster {
    pub(crate) fn new(arguments: &Arguments) -> Self {
        let mut options = Options::default();
        if arguments.shuffle {
            options.agent_order = AgentOrder::Shuffle(arguments.seed);
        }
        let allocator = Hierarchical::new(options, Drf::default(), Drf::default());
        Self { allocator, now: Time::ZERO, live: Vec::new() }
    }

    /// Adds frameworks, distributed over the roles. Returns the duration in seconds.
    pub(crate) fn add_frameworks(
        &mut self,
        count: usize,
        roles: usize,
        capability: Option<Capability>,
    ) -> Result<f64, Failure> {
        let framework = |number| {
            let framework = Framework::new(framework_id(number)).role(role(number, roles)?);
            Ok(Arc::new(match capability {
                Some(capability) => framework.capability(capability),
                None => framework,
            }))
        };
        let frameworks = (0..count).map(framework).collect::<Result<Vec<_>, Failure>>()?;
        let (done, seconds) = timed(|| frameworks.iter().try_for_each(|new| self.allocator.add_framework(new, &[])));
        done?;
        Ok(seconds)
    }

    /// Returns the holdings of each agent: one of the framework to which the agent is assigned, in turn.
    pub(crate) fn held(
        agents: usize,
        frameworks: usize,
        roles: usize,
        used: Option<&Resources>,
    ) -> Result<Vec<Vec<Holding>>, Failure> {
        let holding = |number: usize| {
            let framework = number % frameworks;
            let held = used.map(|used| {
                let (framework, role) = (framework_id(framework), role(framework, roles)?);
                Ok::<_, Failure>(Holding { framework, role, agent: agent_id(number), resources: used.clone() })
            });
            Ok(held.transpose()?.into_iter().collect())
        };
        (0..agents).map(holding).collect()
    }

    /// Adds an agent for each of `held`, with these holdings. Returns the duration in seconds.
    pub(crate) fn add_agents(&mut self, total: &Resources, held: &[Vec<Holding>]) -> Result<f64, Failure> {
        let agents = agents(total, held.len());
        let add = || agents.iter().zip(held).try_for_each(|(agent, held)| self.allocator.add_agent(agent, held));
        let (done, seconds) = timed(add);
        done?;
        Ok(seconds)
    }

    /// Does the same like a master: each agent is offered when it is added.
    pub(crate) fn add_and_offer(&mut self, total: &Resources, held: &[Vec<Holding>]) -> Result<Allocation, Failure> {
        let agents = agents(total, held.len());
        let (done, seconds) = timed(|| {
            let mut milli = 0;
            for (agent, held) in agents.iter().zip(held) {
                self.allocator.add_agent(agent, held)?;
                milli += self.offer(Some(&agent.id));
            }
            Ok::<_, Failure>(milli)
        });
        Ok(Allocation { seconds, offers: self.live.len(), milli: done? })
    }

    /// Allocates one agent, or all, and reads the offers. Returns the sum of their scalars, in thousandths.
    pub(crate) fn offer(&mut self, agent: Option<&AgentId>) -> u64 {
        let before = self.live.len();
        self.allocator.allocate_into(self.now, agent, &mut self.live);
        read(&self.live[before..])
    }

    /// Advances the time by a second, and allocates all agents.
    pub(crate) fn batch(&mut self) -> Allocation {
        self.now = Time::from_micros(self.now.as_micros() + 1_000_000);
        if self.allocator.next_expiry().is_some_and(|end| end <= self.now) {
            self.allocator.expire(self.now);
        }
        let before = self.live.len();
        let (milli, seconds) = timed(|| self.offer(None));
        Allocation { seconds, offers: self.live.len() - before, milli }
    }

    /// Ends all live offers, each with a refusal for that long if there is one. Returns the duration in seconds.
    pub(crate) fn end_offers(&mut self, refusal: Option<Duration>) -> Result<f64, Failure> {
        let until = refusal.map(|span| self.now.as_micros().saturating_add(micros(span))).map(Time::from_micros);
        let (done, seconds) = timed(|| {
            self.live.iter().try_for_each(|offer| {
                self.allocator.end_offer(offer, &[])?;
                until.map_or(Ok(()), |until| self.allocator.refuse(offer, until))
            })
        });
        done?;
        self.live.clear();
        Ok(seconds)
    }
}

/// Reads every part of every offer, as a transport would.
pub(crate) fn read(offers: &[Holding]) -> u64 {
    let one = |offer: &Holding| {
        black_box((offer.framework.as_str(), offer.role.as_str(), offer.agent.as_str()));
        milli(&offer.resources)
    };
    offers.iter().map(one).sum()
}

pub(crate) fn agents(total: &Resources, count: usize) -> Vec<Arc<Agent>> {
    (0..count).map(|number| Arc::new(Agent::new(agent_id(number), total.clone()))).collect()
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
