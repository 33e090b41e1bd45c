//! Two frameworks, of which one thinks long: the experiment on two-level scheduling of the Omega paper (Schwarzkopf et al., EuroSys'13),
//! made smaller.
//!
//! Batch jobs of 100 short tasks come every 10 s, service jobs of 10 long ones every 20 s. A scheduler thinks about one job at a
//! time, holds what it is offered meanwhile, and then launches what fits; it thinks again about what does not.

use apportion::simulation::Cluster;
use apportion::{
    Accept, Agent, Calls, Config, Framework, FrameworkId, Offer, OfferId, Request, Resources, Role, Scheduler, Task,
    Time,
};
use clap::ValueEnum;
use indexmap::IndexMap;
use serde::Serialize;
use std::collections::VecDeque;
use std::error::Error;
use std::time::Duration;

/// What each agent has, and each task of both needs.
const AGENT: &str = "cpus:4;mem:16";
const TASK: &str = "cpus:1;mem:2";
/// The number of agents for which the jobs are as large as described; for fewer agents they are smaller.
pub(crate) const AGENTS: u32 = 500;
/// The time that a scheduler thinks about a task, and the batch scheduler about a job besides.
const THINK_A_TASK: Duration = Duration::from_millis(5);
const BATCH_THINKS: Duration = Duration::from_millis(100);
/// A job is given up after so many attempts.
const MAX_ATTEMPTS: u32 = 1_000;
/// The timeout of offers, where there is one; the service framework's own is so many times its thinking time, if that is longer.
const TIMEOUT: Duration = Duration::from_secs(5);
const PATIENCE: u32 = 2;

/// What keeps the slow scheduler from holding the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Remedy {
    /// Nothing.
    None,
    /// A timeout of 5 s for every offer.
    Timeout,
    /// Requests of both for what a job needs; for the slow one as many live offers as a job has tasks, and a timeout of its own.
    Bounds,
}

impl Remedy {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "nothing",
            Self::Timeout => "timeout of 5 s",
            Self::Bounds => "bounds",
        }
    }
}

/// How a run went.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Outcome {
    pub(crate) remedy: Remedy,
    /// The time that the service scheduler thinks about a job, in seconds.
    pub(crate) thinking: f64,
    pub(crate) batch: Totals,
    pub(crate) service: Totals,
}

/// What a scheduler has done.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Totals {
    /// The part of the time in which it thought.
    pub(crate) busy: f64,
    /// The number of tasks that it launched, and of jobs of which all are.
    pub(crate) launched: u32,
    pub(crate) jobs: u32,
    /// The number of jobs that it gave up, and of those that wait.
    pub(crate) given_up: u32,
    pub(crate) waiting: usize,
    /// The most attempts for one job.
    pub(crate) attempts: u32,
    pub(crate) offers: usize,
}

/// The jobs that come to a scheduler.
#[derive(Debug, Clone, Copy)]
struct Kind {
    name: &'static str,
    every: u64,
    tasks: u32,
    last: Duration,
    thinks: Duration,
}

#[derive(Debug)]
struct Job {
    left: u32,
    attempts: u32,
}

#[derive(Debug)]
struct Thinker {
    kind: Kind,
    size: Resources,
    /// Whether it requests offers, instead of reviving them.
    requests: bool,
    jobs: VecDeque<Job>,
    held: IndexMap<OfferId, Offer>,
    /// The time at which it will have thought about the first job.
    decides: Option<Time>,
    thought: Duration,
    totals: Totals,
}

impl Thinker {
    fn new(kind: Kind, size: Resources, requests: bool) -> Self {
        let totals = Totals { busy: 0.0, launched: 0, jobs: 0, given_up: 0, waiting: 0, attempts: 0, offers: 0 };
        Self {
            kind,
            size,
            requests,
            jobs: VecDeque::new(),
            held: IndexMap::new(),
            decides: None,
            thought: Duration::ZERO,
            totals,
        }
    }

    fn submit(&mut self, calls: &mut Calls) {
        self.jobs.push_back(Job { left: self.kind.tasks, attempts: 0 });
        if self.decides.is_none() {
            if !self.requests {
                calls.revive();
            }
            self.think(calls);
        }
    }

    /// Begins to think about the first job, if there is one.
    fn think(&mut self, calls: &mut Calls) {
        let Some(job) = self.jobs.front() else { return };
        let length = self.kind.thinks + THINK_A_TASK * job.left;
        let decides = calls.at() + length;
        self.decides = Some(decides);
        self.thought += length;
        calls.wake_at(decides);
        if self.requests {
            let size = self.size.quantities();
            calls.request(Request::offers(job.left.into()).most(size.iter().collect()).each(size));
        }
    }

    /// Launches what fits into the offers that it holds.
    fn decide(&mut self, calls: &mut Calls) {
        let Some(job) = self.jobs.front_mut() else { return };
        job.attempts += 1;
        self.totals.attempts = self.totals.attempts.max(job.attempts);
        self.held.retain(|_, offer| {
            let (mut accept, mut left) = (Accept::of(offer), offer.resources.clone());
            while job.left > 0
                && let Ok(rest) = left.checked_sub(&self.size)
            {
                let id = format!("{}.{}", self.kind.name, self.totals.launched);
                accept = accept.launch(Task::new(id, self.size.clone()).lasts(self.kind.last));
                left = rest;
                job.left -= 1;
                self.totals.launched += 1;
            }
            let is_held = accept.operations.is_empty();
            if !is_held {
                calls.accept(accept);
            }
            is_held
        });
        let (is_done, is_given_up) = (job.left == 0, job.attempts >= MAX_ATTEMPTS);
        if is_done || is_given_up {
            self.totals.jobs += u32::from(is_done);
            self.totals.given_up += u32::from(!is_done);
            self.jobs.pop_front();
        }
        if self.jobs.is_empty() {
            self.held.drain(..).for_each(|(_, offer)| calls.decline(&offer));
            if self.requests {
                calls.request(Request::withdraw());
            } else {
                calls.suppress();
            }
        }
        self.think(calls);
    }

    /// Returns what it has done up to `end`.
    fn totals(&self, end: Time) -> Totals {
        let ahead = self.decides.map_or(Duration::ZERO, |decides| decides.since(end));
        let busy = self.thought.saturating_sub(ahead).as_secs_f64() / end.as_secs_f64();
        Totals { busy, waiting: self.jobs.len(), ..self.totals.clone() }
    }
}

impl Scheduler for Thinker {
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        self.totals.offers += offers.len();
        if self.decides.is_some() {
            self.held.extend(offers.into_iter().map(|offer| (offer.id.clone(), offer)));
        } else {
            offers.iter().for_each(|offer| calls.decline(offer));
        }
    }

    fn rescinded(&mut self, offer: OfferId, _: &mut Calls) {
        self.held.shift_remove(&offer);
    }

    fn woken(&mut self, calls: &mut Calls) {
        if self.decides.take_if(|decides| *decides <= calls.at()).is_some() {
            self.decide(calls);
        }
    }
}

/// Runs both for that long; the service scheduler thinks `thinking` about a job.
pub(crate) fn run(agents: u32, length: Time, thinking: Duration, remedy: Remedy) -> Result<Outcome, Box<dyn Error>> {
    let tasks = |full: u32| (full * agents / AGENTS).max(1);
    let second = Duration::from_secs;
    let batch = Kind { name: "batch", every: 10, tasks: tasks(100), last: second(100), thinks: BATCH_THINKS };
    let service = Kind { name: "service", every: 20, tasks: tasks(10), last: second(500), thinks: thinking };

    let bounds = remedy == Remedy::Bounds;
    let config = if remedy == Remedy::None { Config::new() } else { Config::new().offer_timeout(TIMEOUT) };
    let mut cluster = Cluster::new(config);
    for number in 1..=agents {
        cluster.add_agent(Agent::new(format!("a{number:03}"), AGENT.parse()?))?;
    }
    for kind in [batch, service] {
        let role = Role::new(kind.name)?;
        let mut framework = Framework::new(kind.name).role(role.clone()).suppressed(role);
        if bounds && kind.name == service.name {
            let patience = (kind.thinks * PATIENCE).max(TIMEOUT);
            framework = framework.max_offers(kind.tasks.into()).offer_timeout(patience);
        }
        cluster.add_framework(framework, Thinker::new(kind, TASK.parse()?, bounds))?;
    }
    let step = Duration::from_secs(10);
    let mut at = Time::ZERO;
    while at < length {
        cluster.run_until(at);
        for kind in [batch, service] {
            if at.as_micros().is_multiple_of(kind.every * 1_000_000) {
                cluster.tell(&kind.name.into(), Thinker::submit)?;
            }
        }
        at += step;
    }
    cluster.run_until(length);
    let totals = |name: &str| {
        let id = FrameworkId::from(name);
        cluster.scheduler(&id).map(|thinker| thinker.totals(length)).ok_or_else(|| format!("{name} is not there"))
    };
    Ok(Outcome { remedy, thinking: thinking.as_secs_f64(), batch: totals("batch")?, service: totals("service")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tenth of the cluster for an hour.
    fn small(thinking: u64, remedy: Remedy) -> Outcome {
        run(50, Time::from_secs(3600), Duration::from_secs(thinking), remedy).unwrap()
    }

    #[test]
    fn bounds_keep_the_batch_scheduler_from_trying_again_and_take_nothing_from_the_slow_one() {
        let [timeout, bounds] = [Remedy::Timeout, Remedy::Bounds].map(|remedy| small(100, remedy));
        assert!(timeout.batch.busy > 3.0 * bounds.batch.busy, "{timeout:?} {bounds:?}");
        assert_eq!((bounds.batch.jobs, bounds.batch.waiting), (360, 0), "{bounds:?}");
        assert_eq!(bounds.service.launched, timeout.service.launched, "{timeout:?} {bounds:?}");
    }

    #[test]
    fn one_that_thinks_shortly_needs_no_bounds() {
        for outcome in [Remedy::Timeout, Remedy::Bounds].map(|remedy| small(1, remedy)) {
            assert_eq!((outcome.batch.jobs, outcome.service.jobs), (360, 180), "{outcome:?}");
        }
    }
}
