//! One run: both frameworks on the whole cluster, or one of them on half of it.

use crate::hadoop::{Hadoop, Job};
use crate::mpi::{Mpi, Shape};
use crate::worker::Worker;
use apportion::simulation::Cluster;
use apportion::{
    Agent, AgentId, AgentState, Calls, Config, Event, Framework, FrameworkId, Offer, Resources, Role, Scheduler, Time,
};
use std::error::Error;
use std::io;
use std::time::Duration;

/// The dominant shares at some time, and the part of the cpus that runs tasks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) at: Time,
    pub(crate) hadoop: f64,
    pub(crate) mpi: f64,
    pub(crate) used: f64,
}

/// The scheduler of either framework.
#[derive(Debug)]
pub(crate) enum EitherScheduler {
    Hadoop(Hadoop),
    Mpi(Mpi),
}

impl Scheduler for EitherScheduler {
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

/// The outcome of a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    /// The time at which Hadoop's job was done, in seconds; none if it took no part.
    pub(crate) hadoop: Option<f64>,
    /// The times at which MPI's gangs were done, in seconds.
    pub(crate) mpi: Vec<f64>,
    /// The part of the maps that ran near their data.
    pub(crate) local: f64,
    /// The part of the cpus that ran tasks, until all was done.
    pub(crate) utilisation: f64,
    pub(crate) samples: Vec<Sample>,
}

/// The frameworks that take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Participants {
    Both,
    OnlyHadoop,
    OnlyMpi,
}

const RANKS: usize = 4;

/// Runs the work on that many agents. `watch` is called with the cluster every second; its error ends the run.
pub(crate) fn run(
    agents: u16,
    participants: Participants,
    mut watch: impl FnMut(&Cluster<EitherScheduler>, Time) -> io::Result<()>,
) -> Result<Outcome, Box<dyn Error>> {
    let mut cluster = Cluster::new(Config::default()).with_executors(|_, _| Some(Box::<Worker>::default()));
    let (hadoop, mpi) = (FrameworkId::from("hadoop"), FrameworkId::from("mpi"));
    let share = if participants == Participants::Both { 1 } else { 2 };
    if participants != Participants::OnlyMpi {
        let scheduler = EitherScheduler::Hadoop(Hadoop::new(job(agents, agents * share), Duration::from_secs(5)));
        cluster.add_framework(Framework::new("hadoop").role(Role::new("hadoop")?), scheduler)?;
    }
    if participants != Participants::OnlyHadoop {
        let shape = Shape { ranks: RANKS, length: Duration::from_secs(20) };
        let scheduler = EitherScheduler::Mpi(Mpi::new(shape, Duration::from_secs(3)));
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
        if second == 100 && participants != Participants::OnlyHadoop {
            submit(&mut cluster, &mpi, usize::from(agents * share) * 2);
        }
        cluster.run_until(at);
        let sample = sample(&cluster, at);
        used += sample.used;
        outcome.samples.push(sample);
        watch(&cluster, at)?;
        let done = |id: &FrameworkId| match cluster.scheduler(id) {
            Some(EitherScheduler::Hadoop(hadoop)) => hadoop.done.is_some(),
            Some(EitherScheduler::Mpi(mpi)) => mpi.is_done() && second >= 100,
            None => true,
        };
        if done(&hadoop) && done(&mpi) {
            outcome.utilisation = used / at.as_secs_f64();
            break;
        }
    }
    if let Some(EitherScheduler::Hadoop(hadoop)) = cluster.scheduler(&hadoop) {
        outcome.hadoop = hadoop.done.map(Time::as_secs_f64);
        let count = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        outcome.local = count(hadoop.local) / count(hadoop.maps());
    }
    if let Some(EitherScheduler::Mpi(mpi)) = cluster.scheduler(&mpi) {
        outcome.mpi = mpi.finished.iter().map(|at| at.as_secs_f64()).collect();
    }
    Ok(outcome)
}

fn submit(cluster: &mut Cluster<EitherScheduler>, mpi: &FrameworkId, jobs: usize) {
    cluster
        .tell(mpi, |party, calls| {
            if let EitherScheduler::Mpi(mpi) = party {
                mpi.submit(jobs, calls);
            }
        })
        .expect("it was added");
}

fn agent_id(number: u16) -> AgentId {
    AgentId::from(format!("agent-{}", number + 1))
}

/// Returns a job for a cluster of `whole` agents. `agents` of them hold the data, each block on three.
fn job(agents: u16, whole: u16) -> Job {
    let hosts = |block: u16| (0..3).map(|copy| agent_id((block + block / agents + copy) % agents)).collect();
    Job {
        maps: (0..whole * 25).map(hosts).collect(),
        map_length: Duration::from_secs(10),
        reduces: u32::from(whole) * 2,
        reduce_length: Duration::from_secs(20),
    }
}

/// Returns the dominant shares as the master counts them, kept offers included, and the part of the cpus that runs tasks.
fn sample(cluster: &Cluster<EitherScheduler>, at: Time) -> Sample {
    let state = cluster.master().state();
    let cpus = |of: fn(&AgentState) -> &Resources| -> f64 {
        state.agents.iter().map(|agent| of(agent).quantities().amount("cpus").as_f64()).sum()
    };
    let share = |name: &str| state.roles.iter().find(|role| role.role.as_str() == name).map_or(0.0, |role| role.share);
    let used = cpus(|agent| &agent.allocated) / cpus(|agent| &agent.total);
    Sample { at, hadoop: share("hadoop"), mpi: share("mpi"), used }
}
