//! [`Cluster`]: an allocator, the offers that are out, and the time in between.

use crate::Arguments;
use crate::report::{Failure, expect};
use apportion::allocator::{AgentOrder, Allocator, Drf, Hierarchical, Holding, Options};
use apportion::{Agent, AgentId, Capability, Framework, FrameworkId, Resources, Role, Time};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// All that an agent of most workloads has.
pub(crate) const MACHINE: &str = "cpus:24;mem:4096;disk:4096;ports:[31000-32000]";

/// What an allocation came to, and how long it took to decide on it and to read it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Given {
    pub(crate) seconds: f64,
    pub(crate) offers: usize,
    /// All scalars of all offers together, in thousandths.
    pub(crate) milli: u64,
}

impl Given {
    /// Fails unless so many offers were made, with so much of scalars in all.
    pub(crate) fn expect(&self, step: &str, offers: usize, milli: u64) -> Result<(), Failure> {
        expect(step, "offers", self.offers as u64, offers as u64)?;
        expect(step, "thousandths of scalars", self.milli, milli)
    }
}

/// The allocator and those who call it.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) allocator: Hierarchical<Drf, Drf>,
    pub(crate) now: Time,
    /// The offers that are out.
    pub(crate) live: Vec<Holding>,
}

/// Runs something and tells how many seconds it took.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed().as_secs_f64())
}

/// The role of the framework of that number.
pub(crate) fn role(framework: usize, roles: usize) -> Result<Role, Failure> {
    Ok(if roles == 1 { Role::default() } else { Role::new(format!("role{}", framework % roles))? })
}

pub(crate) fn framework_id(number: usize) -> FrameworkId {
    format!("framework{number}").into()
}

pub(crate) fn agent_id(number: usize) -> AgentId {
    format!("agent{number}").into()
}

/// All scalars together, in thousandths: what an offer's reader has to go through the whole of it for.
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

    /// Adds so many frameworks, dealt out among the roles; tells how long that took.
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

    /// What each of so many agents holds for its framework: those of the agents are dealt out among them.
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

    /// Adds an agent for each of `held`, which its tasks hold; tells how long that took.
    pub(crate) fn add_agents(&mut self, total: &Resources, held: &[Vec<Holding>]) -> Result<f64, Failure> {
        let agents = agents(total, held.len());
        let add = || agents.iter().zip(held).try_for_each(|(agent, held)| self.allocator.add_agent(agent, held));
        let (done, seconds) = timed(add);
        done?;
        Ok(seconds)
    }

    /// The same, as a master does it: each agent that comes is offered at once.
    pub(crate) fn add_and_offer(&mut self, total: &Resources, held: &[Vec<Holding>]) -> Result<Given, Failure> {
        let agents = agents(total, held.len());
        let (done, seconds) = timed(|| {
            let mut milli = 0;
            for (agent, held) in agents.iter().zip(held) {
                self.allocator.add_agent(agent, held)?;
                milli += self.offer(Some(&agent.id));
            }
            Ok::<_, Failure>(milli)
        });
        Ok(Given { seconds, offers: self.live.len(), milli: done? })
    }

    /// Allocates one agent, or all, and reads what is offered; tells how much it is, in thousandths.
    pub(crate) fn offer(&mut self, agent: Option<&AgentId>) -> u64 {
        let before = self.live.len();
        self.allocator.allocate_into(self.now, agent, &mut self.live);
        read(&self.live[before..])
    }

    /// A second passes, and all agents are allocated.
    pub(crate) fn batch(&mut self) -> Given {
        self.now = Time::from_micros(self.now.as_micros() + 1_000_000);
        if self.allocator.next_expiry().is_some_and(|end| end <= self.now) {
            self.allocator.expire(self.now);
        }
        let before = self.live.len();
        let (milli, seconds) = timed(|| self.offer(None));
        Given { seconds, offers: self.live.len() - before, milli }
    }

    /// Gives back all that is offered; with a refusal for that long, if there is one. Tells how long that took.
    pub(crate) fn give_back(&mut self, refusal: Option<Duration>) -> Result<f64, Failure> {
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

/// Reads every part of every offer, as whoever sends them on would.
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
