//! A trace of Hadoop jobs on one cluster, whose users take what there is, or request what they need.
#![expect(clippy::disallowed_types, reason = "it tells how long a run takes")]

use crate::trace::{Durations, Job};
use apportion::scheduler::{Fit, Pace};
use apportion::simulation::Cluster;
use apportion::{
    Accept, Agent, Calls, Config, Effect, Event, Framework, FrameworkId, Offer, Resources, Role, Scheduler, Task,
    TaskState, TaskStatus, Time,
};
use indexmap::IndexMap;
use serde::Serialize;
use std::collections::VecDeque;
use std::error::Error;
use std::iter::repeat_n;
use std::time::{Duration, Instant};

/// What each agent has.
const AGENT: &str = "cpus:3;mem:6144";
/// The sizes of the users' tasks, in turn.
const SIZES: [&str; 3] = ["cpus:1;mem:1024", "cpus:0.5;mem:3072", "cpus:1;mem:2048"];
/// The number of groups that the users' roles belong to.
const GROUPS: usize = 4;
/// A run that takes longer, in virtual time, has come to a standstill.
const LIMIT: Time = Time::from_secs(48 * 60 * 60);

/// How a run went.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Outcome {
    /// Whether the users request offers.
    pub(crate) requests: bool,
    /// The number of jobs that are done, of tasks, and of offers.
    pub(crate) jobs: usize,
    pub(crate) launched: u32,
    pub(crate) offers: u32,
    pub(crate) offers_a_task: f64,
    /// The effects of the master and the calls of the users.
    pub(crate) events: u64,
    /// The time that the program took.
    pub(crate) seconds: f64,
    /// The mean time from the submission of a job to the end of its last task, and the time that 95 % do not exceed.
    pub(crate) completion_mean: f64,
    pub(crate) completion_p95: f64,
    /// The time at which the last job was done.
    pub(crate) makespan: f64,
}

/// A user runs the jobs in order, packs each offer full, and suppresses offers while there is nothing to run.
#[derive(Debug)]
struct User {
    size: Resources,
    queue: VecDeque<Waiting>,
    /// The number of tasks in the queue.
    waiting: usize,
    pace: Pace,
    running: IndexMap<usize, Running>,
    completions: Vec<f64>,
    /// The number of calls so far.
    calls: u64,
}

/// A job with tasks that are not launched, of which this one is next.
#[derive(Debug)]
struct Waiting {
    job: usize,
    next: u32,
    durations: Durations,
}

/// A job with tasks that have not ended.
#[derive(Debug)]
struct Running {
    submitted: Time,
    left: u32,
}

impl User {
    fn new(size: Resources, requests: bool) -> Self {
        let pace = Pace::new(Duration::from_secs(5), Duration::ZERO);
        Self {
            size,
            queue: VecDeque::new(),
            waiting: 0,
            pace: if requests { pace.requesting(Fit::Task) } else { pace },
            running: IndexMap::new(),
            completions: Vec::new(),
            calls: 0,
        }
    }

    fn submit(&mut self, number: usize, job: &Job, calls: &mut Calls) {
        self.queue.push_back(Waiting { job: number, next: 0, durations: job.durations() });
        self.waiting += job.tasks as usize;
        self.running.insert(number, Running { submitted: job.submitted, left: job.tasks });
        self.go_on(calls);
    }

    /// Tells the master what is needed.
    fn go_on(&mut self, calls: &mut Calls) {
        let Self { pace, size, waiting, .. } = self;
        pace.wants(repeat_n(&*size, *waiting), calls);
    }

    /// Removes and returns the next task.
    fn next(&mut self) -> Option<Task> {
        loop {
            let first = self.queue.front_mut()?;
            if let Some(duration) = first.durations.next() {
                let id = format!("{}.{}", first.job, first.next);
                first.next += 1;
                self.waiting -= 1;
                return Some(Task::new(id, self.size.clone()).lasts(duration));
            }
            self.queue.pop_front();
        }
    }
}

impl Scheduler for User {
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        for offer in offers {
            let (mut accept, mut left) = (Accept::of(&offer), offer.resources.clone());
            while let Ok(rest) = left.checked_sub(&self.size)
                && let Some(task) = self.next()
            {
                accept = accept.launch(task);
                left = rest;
            }
            if accept.operations.is_empty() {
                calls.decline(&offer);
            } else {
                self.pace.used(1);
                calls.accept(accept);
            }
        }
        self.go_on(calls);
    }

    fn subscribed(&mut self, _: FrameworkId, calls: &mut Calls) {
        self.pace.reset();
        self.go_on(calls);
    }

    fn update(&mut self, status: TaskStatus, calls: &mut Calls) {
        let job: Option<usize> = status.task.as_str().split_once('.').and_then(|(job, _)| job.parse().ok());
        if let (TaskState::Finished, Some(job)) = (status.state, job)
            && let Some(running) = self.running.get_mut(&job)
        {
            running.left -= 1;
            if running.left == 0 {
                self.completions.push(calls.at().since(running.submitted).as_secs_f64());
                self.running.swap_remove(&job);
            }
        }
    }

    fn woken(&mut self, calls: &mut Calls) {
        self.pace.woken(calls);
        self.go_on(calls);
    }
}

/// Counts the calls of a user.
#[derive(Debug)]
struct Counted(User);

impl Counted {
    fn counting<T>(&mut self, calls: &mut Calls, act: impl FnOnce(&mut User, &mut Calls) -> T) -> T {
        let before = calls.as_slice().len();
        let result = act(&mut self.0, calls);
        self.0.calls += (calls.as_slice().len() - before) as u64;
        result
    }
}

impl Scheduler for Counted {
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        self.counting(calls, |user, calls| user.offers(offers, calls));
    }

    fn receive(&mut self, event: Event, calls: &mut Calls) {
        self.counting(calls, |user, calls| user.receive(event, calls));
    }

    fn woken(&mut self, calls: &mut Calls) {
        self.counting(calls, User::woken);
    }
}

/// Runs the jobs of that many users to their ends.
pub(crate) fn run(jobs: &[Job], agents: u32, users: usize, requests: bool) -> Result<Outcome, Box<dyn Error>> {
    let begun = Instant::now();
    let mut cluster = Cluster::new(Config::default());
    let ids: Vec<FrameworkId> = (1..=users).map(|number| FrameworkId::from(format!("u{number:02}"))).collect();
    for (number, id) in ids.iter().enumerate() {
        let role = Role::new(format!("g{}/{id}", number % GROUPS + 1))?;
        let user = User::new(SIZES[number % SIZES.len()].parse()?, requests);
        cluster.add_framework(Framework::new(id.clone()).role(role), Counted(user))?;
    }
    // They have suppressed offers by now.
    let mut seen = Seen::default();
    seen.run_until(&mut cluster, Time::ZERO);
    for number in 1..=agents {
        cluster.add_agent(Agent::new(format!("a{number:04}"), AGENT.parse()?))?;
    }
    for (number, job) in jobs.iter().enumerate() {
        seen.run_until(&mut cluster, job.submitted);
        let submit = |user: &mut Counted, calls: &mut Calls| {
            user.counting(calls, |user, calls| user.submit(number, job, calls));
        };
        cluster.tell(&ids[job.user], submit)?;
    }
    let left = |cluster: &Cluster<Counted>| {
        ids.iter().filter_map(|id| cluster.scheduler(id)).map(|user| user.0.running.len()).sum::<usize>()
    };
    while left(&cluster) > 0 && cluster.now() < LIMIT {
        let next = cluster.now() + Duration::from_secs(1);
        seen.run_until(&mut cluster, next);
    }
    let users = || ids.iter().filter_map(|id| cluster.scheduler(id)).map(|user| &user.0);
    let mut completions: Vec<f64> = users().flat_map(|user| &user.completions).copied().collect();
    completions.sort_by(f64::total_cmp);
    let count = f64::from(u32::try_from(completions.len())?.max(1));
    Ok(Outcome {
        requests,
        jobs: completions.len(),
        launched: seen.launched,
        offers: seen.offers,
        offers_a_task: f64::from(seen.offers) / f64::from(seen.launched.max(1)),
        events: seen.effects + users().map(|user| user.calls).sum::<u64>(),
        seconds: begun.elapsed().as_secs_f64(),
        completion_mean: completions.iter().sum::<f64>() / count,
        completion_p95: completions
            .get((completions.len() * 95).div_ceil(100).saturating_sub(1))
            .copied()
            .unwrap_or(0.0),
        makespan: cluster.now().as_secs_f64(),
    })
}

/// The effects of the master so far.
#[derive(Debug, Default)]
struct Seen {
    effects: u64,
    offers: u32,
    launched: u32,
}

impl Seen {
    fn run_until(&mut self, cluster: &mut Cluster<Counted>, until: Time) {
        while let Some(emitted) = cluster.step(until) {
            self.effects += 1;
            self.offers += u32::from(matches!(emitted.effect, Effect::Offer(_)));
            self.launched += u32::from(matches!(emitted.effect, Effect::Launch { .. }));
        }
    }
}
