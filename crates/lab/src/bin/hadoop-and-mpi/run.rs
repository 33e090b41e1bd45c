//! The run, shared and apart.

use crate::hadoop::{Hadoop, Job};
use crate::mpi::{Mpi, Shape};
use crate::picture::Sample;
use crate::worker::Worker;
use apportion::simulation::Cluster;
use apportion::{
    Agent, AgentId, AgentState, Calls, Config, Event, Framework, FrameworkId, Offer, Resources, Role, Scheduler, Time,
};
use std::error::Error;
use std::time::Duration;

/// Either framework.
#[derive(Debug)]
pub(crate) enum Party {
    Hadoop(Hadoop),
    Mpi(Mpi),
}

impl Scheduler for Party {
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        match self {
            Self::Hadoop(hadoop) => hadoop.offers(offers, calls),
            Self::Mpi(mpi) => mpi.offers(offers, calls),
        }
    }

    fn receive(&mut self, event: Event, calls: &mut Calls) {
        match self {
            Self::Hadoop(hadoop) => hadoop.receive(event, calls),
            Self::Mpi(mpi) => mpi.receive(event, calls),
        }
    }

    fn woken(&mut self, calls: &mut Calls) {
        match self {
            Self::Hadoop(hadoop) => hadoop.woken(calls),
            Self::Mpi(mpi) => mpi.woken(calls),
        }
    }
}

/// How a run went.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    /// When Hadoop's job was done, in seconds; none if it took no part.
    pub(crate) hadoop: Option<f64>,
    /// When MPI's gangs were done.
    pub(crate) mpi: Vec<f64>,
    /// What part of the maps ran where their data lies.
    pub(crate) local: f64,
    /// What part of the cpus ran tasks until all was done.
    pub(crate) utilisation: f64,
    pub(crate) samples: Vec<Sample>,
}

/// Whose work is to be done, on which part of the agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Both,
    OnlyHadoop,
    OnlyMpi,
}

const RANKS: usize = 4;

/// Runs the work on so many agents; `watch` sees the cluster every second.
pub(crate) fn run(
    agents: u16,
    who: Who,
    mut watch: impl FnMut(&Cluster<Party>, Time),
) -> Result<Outcome, Box<dyn Error>> {
    let mut cluster = Cluster::new(Config::default()).with_executors(|_, _| Some(Box::<Worker>::default()));
    let (hadoop, mpi) = (FrameworkId::from("hadoop"), FrameworkId::from("mpi"));
    let share = if who == Who::Both { 1 } else { 2 };
    if who != Who::OnlyMpi {
        let scheduler = Party::Hadoop(Hadoop::new(job(agents, agents * share), Duration::from_secs(5)));
        cluster.add_framework(Framework::new("hadoop").role(Role::new("hadoop")?), scheduler)?;
    }
    if who != Who::OnlyHadoop {
        let shape = Shape { ranks: RANKS, length: Duration::from_secs(20) };
        let scheduler = Party::Mpi(Mpi::new(shape, Duration::from_secs(3)));
        cluster.add_framework(Framework::new("mpi").role(Role::new("mpi")?), scheduler)?;
        submit(&mut cluster, &mpi, usize::from(agents * share) * 3 / 2);
    }
    for number in 0..agents {
        cluster.add_agent(Agent::new(agent_id(number), "cpus:4;mem:4096".parse()?))?;
    }
    let mut outcome = Outcome::default();
    let mut used = 0.0;
    for second in 0..3600 {
        let at = Time::from_secs(second);
        if second == 100 && who != Who::OnlyHadoop {
            submit(&mut cluster, &mpi, usize::from(agents * share) * 2);
        }
        cluster.run_until(at);
        let sample = sample(&cluster, at);
        used += sample.used;
        outcome.samples.push(sample);
        watch(&cluster, at);
        let done = |id: &FrameworkId| match cluster.scheduler(id) {
            Some(Party::Hadoop(hadoop)) => hadoop.done.is_some(),
            Some(Party::Mpi(mpi)) => mpi.is_done() && second >= 100,
            None => true,
        };
        if done(&hadoop) && done(&mpi) {
            outcome.utilisation = used / at.as_secs_f64();
            break;
        }
    }
    if let Some(Party::Hadoop(hadoop)) = cluster.scheduler(&hadoop) {
        outcome.hadoop = hadoop.done.map(Time::as_secs_f64);
        let count = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        outcome.local = count(hadoop.local) / count(hadoop.maps());
    }
    if let Some(Party::Mpi(mpi)) = cluster.scheduler(&mpi) {
        outcome.mpi = mpi.finished.iter().map(|at| at.as_secs_f64()).collect();
    }
    Ok(outcome)
}

fn submit(cluster: &mut Cluster<Party>, mpi: &FrameworkId, jobs: usize) {
    cluster.tell(mpi, |party, calls| {
        if let Party::Mpi(mpi) = party {
            mpi.submit(jobs, calls);
        }
    });
}

fn agent_id(number: u16) -> AgentId {
    AgentId::from(format!("agent-{}", number + 1))
}

/// A job for a cluster of `whole` agents, of which `agents` hold the data, three of them each block.
fn job(agents: u16, whole: u16) -> Job {
    let hosts = |block: u16| (0..3).map(|copy| agent_id((block + block / agents + copy) % agents)).collect();
    Job {
        maps: (0..whole * 25).map(hosts).collect(),
        map_length: Duration::from_secs(10),
        reduces: u32::from(whole) * 2,
        reduce_length: Duration::from_secs(20),
    }
}

/// The dominant shares, as the master sees them: offers that are kept count. And what part of the cpus runs tasks.
fn sample(cluster: &Cluster<Party>, at: Time) -> Sample {
    let state = cluster.master().state();
    let cpus = |of: fn(&AgentState) -> &Resources| -> f64 {
        state.agents.iter().map(|agent| of(agent).quantities().amount("cpus").as_f64()).sum()
    };
    let share = |name: &str| state.roles.iter().find(|role| role.role.as_str() == name).map_or(0.0, |role| role.share);
    let used = cpus(|agent| &agent.allocated) / cpus(|agent| &agent.total);
    Sample { at, hadoop: share("hadoop"), mpi: share("mpi"), used }
}
