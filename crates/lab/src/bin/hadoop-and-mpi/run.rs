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

impl Outcome {
    /// Returns what schedulers have done that take part.
    pub(crate) fn of(hadoop: Option<&Hadoop>, mpi: Option<&Mpi>) -> Self {
        let count = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        Self {
            hadoop: hadoop.and_then(|hadoop| hadoop.done).map(Time::as_secs_f64),
            local: hadoop.map_or(0.0, |hadoop| count(hadoop.local) / count(hadoop.maps())),
            mpi: mpi.into_iter().flat_map(|mpi| &mpi.finished).map(|at| at.as_secs_f64()).collect(),
            ..Self::default()
        }
    }
}

/// The frameworks that take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Participants {
    Both,
    OnlyHadoop,
    OnlyMpi,
}

/// The gangs of MPI, and how long it keeps offers for one.
pub(crate) const GANG: Shape = Shape { ranks: 4, length: Duration::from_secs(20) };
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

/// How long Hadoop waits for an offer where its data lies.
pub(crate) const DELAY: Duration = Duration::from_secs(5);

/// Runs the work on that many agents. `watch` is called with the cluster every second; its error ends the run.
pub(crate) fn run(
    agents: u16,
    participants: Participants,
    mut watch: impl FnMut(&Cluster<EitherScheduler>, Time) -> io::Result<()>,
) -> Result<Outcome, Box<dyn Error>> {
    let mut cluster = Cluster::new(Config::default()).with_executors(|_, _| Some(Box::<Worker>::default()));
    let (hadoop, mpi) = (FrameworkId::from("hadoop"), FrameworkId::from("mpi"));
    let ids: Vec<AgentId> = (1..=agents).map(|number| AgentId::from(format!("agent-{number}"))).collect();
    let share = if participants == Participants::Both { 1 } else { 2 };
    if participants != Participants::OnlyMpi {
        let scheduler = EitherScheduler::Hadoop(Hadoop::new(job(&ids, agents * share), DELAY));
        cluster.add_framework(Framework::new("hadoop").role(Role::new("hadoop")?), scheduler)?;
    }
    if participants != Participants::OnlyHadoop {
        let scheduler = EitherScheduler::Mpi(Mpi::new(GANG, PATIENCE));
        cluster.add_framework(Framework::new("mpi").role(Role::new("mpi")?), scheduler)?;
        submit(&mut cluster, &mpi, usize::from(agents * share) * 3 / 2);
    }
    for id in ids {
        cluster.add_agent(Agent::new(id, "cpus:4;mem:4096".parse()?))?;
    }
    let (mut utilisation, mut samples) = (0.0, Vec::new());
    let mut used = 0.0;
    for second in 0..3600 {
        let at = Time::from_secs(second);
        if second == 100 && participants != Participants::OnlyHadoop {
            submit(&mut cluster, &mpi, usize::from(agents * share) * 2);
        }
        cluster.run_until(at);
        let sample = sample(&cluster, at);
        used += sample.used;
        samples.push(sample);
        watch(&cluster, at)?;
        let done = |id: &FrameworkId| match cluster.scheduler(id) {
            Some(EitherScheduler::Hadoop(hadoop)) => hadoop.done.is_some(),
            Some(EitherScheduler::Mpi(mpi)) => mpi.is_done() && second >= 100,
            None => true,
        };
        if done(&hadoop) && done(&mpi) {
            utilisation = used / at.as_secs_f64();
            break;
        }
    }
    let hadoop = cluster.scheduler(&hadoop).and_then(|scheduler| match scheduler {
        EitherScheduler::Hadoop(hadoop) => Some(hadoop),
        EitherScheduler::Mpi(_) => None,
    });
    let mpi = cluster.scheduler(&mpi).and_then(|scheduler| match scheduler {
        EitherScheduler::Mpi(mpi) => Some(mpi),
        EitherScheduler::Hadoop(_) => None,
    });
    Ok(Outcome { utilisation, samples, ..Outcome::of(hadoop, mpi) })
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

/// Returns a job for a cluster of `whole` agents. Those with these ids hold the data, each block on three.
pub(crate) fn job(agents: &[AgentId], whole: u16) -> Job {
    let host = |block: usize, copy: usize| agents[(block + block / agents.len() + copy) % agents.len()].clone();
    let hosts = |block: usize| (0..3).map(|copy| host(block, copy)).collect();
    Job {
        maps: (0..usize::from(whole) * 25).map(hosts).collect(),
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
