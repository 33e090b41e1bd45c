//! [`Rendler`]: the scheduler. It knows pages, links and pictures; transport and fetching are elsewhere.

use crate::executor;
use crate::graph::Graph;
use crate::job::{Crawled, Job, Kind, Rendered};
use apportion::scheduler::{Failure, Fit, Pace, Rejected, Retries, Retry, TaskIds};
use apportion::{
    Accept, AgentId, Calls, Offer, OfferId, Resources, Scheduler, Task, TaskId, TaskState, TaskStatus, Time,
};
use indexmap::IndexMap;
use std::collections::VecDeque;
use std::time::Duration;

/// The limits of a crawl.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The most pages to crawl, in the order in which they are found.
    pub(crate) pages: usize,
    /// The most pages to render, in the order in which they are crawled.
    pub(crate) renders: usize,
    /// The most retries of a job.
    pub(crate) retries: u32,
}

/// The refusal of offers that do not fit; new jobs revive them.
const REFUSAL: Duration = Duration::from_secs(5);

/// The least time from one revive to the next.
const MIN_REVIVE_INTERVAL: Duration = Duration::from_millis(20);

/// The backoff of a job after its first failure, and the longest one.
const INITIAL_BACKOFF: Duration = Duration::from_millis(250);
const MAX_BACKOFF: Duration = Duration::from_secs(10);

/// A scheduler that crawls a site from its first page, and renders its pages.
#[derive(Debug)]
pub(crate) struct Rendler {
    graph: Graph,
    crawls: JobQueue,
    renders: JobQueue,
    running: IndexMap<TaskId, Job>,
    retries: Retries<Job>,
    pace: Pace,
    retried: usize,
    /// The number of offers that came, and of tasks that were launched.
    offered: usize,
    launched: usize,
    notes: Vec<String>,
    stopping: bool,
    /// The command by which agents start the executors; none where they have these.
    command: Option<Vec<String>>,
}

/// A FIFO queue of the jobs of one kind, with their total bounded by `max`.
#[derive(Debug)]
struct JobQueue {
    kind: Kind,
    ids: TaskIds,
    size: Resources,
    waiting: VecDeque<Job>,
    /// The number of jobs ever pushed, and of those that have ended.
    total: usize,
    done: usize,
    max: usize,
}

impl JobQueue {
    fn new(kind: Kind, name: &str, max: usize) -> Self {
        let (ids, size) = (TaskIds::new(name, 1), kind.size());
        Self { kind, ids, size, waiting: VecDeque::new(), total: 0, done: 0, max }
    }

    /// Appends a job, unless `max` jobs have been pushed before.
    fn push(&mut self, page: String) {
        if self.total < self.max {
            self.total += 1;
            self.waiting.push_back(Job { kind: self.kind, page });
        }
    }

    /// Removes and returns the first job whose backoff has ended.
    fn pop_ready(&mut self, retries: &Retries<Job>, at: Time) -> Option<Job> {
        let ready = self.waiting.iter().position(|job| retries.can_retry(job, at))?;
        self.waiting.remove(ready)
    }

    fn task(&mut self, job: &Job, command: Option<&[String]>) -> Task {
        let executor = executor::info(self.kind.executor(), command);
        let task = Task::new(self.ids.next_id(), self.size.clone()).detail("name", job.to_string());
        task.detail("executor", executor).detail("data", job.to_data())
    }
}

impl Rendler {
    /// Returns a scheduler that starts with that page.
    pub(crate) fn new(start: &str, limits: Limits) -> Self {
        let mut rendler = Self {
            graph: Graph::default(),
            crawls: JobQueue::new(Kind::Crawl, "crawl", limits.pages),
            renders: JobQueue::new(Kind::Render, "render", limits.renders),
            running: IndexMap::new(),
            retries: Retries::new(limits.retries, INITIAL_BACKOFF, MAX_BACKOFF),
            pace: Pace::new(REFUSAL, MIN_REVIVE_INTERVAL),
            retried: 0,
            offered: 0,
            launched: 0,
            notes: Vec::new(),
            stopping: false,
            command: None,
        };
        rendler.graph.insert(start);
        rendler.crawls.push(start.to_owned());
        rendler
    }

    /// Sets the command by which agents start the executors.
    pub(crate) fn executed_by(mut self, command: Vec<String>) -> Self {
        self.command = Some(command);
        self
    }

    /// Requests an offer of the right size for each job, instead of looking at all that there are. A master of Apache Mesos takes
    /// no requests.
    pub(crate) fn requesting(mut self) -> Self {
        self.pace = self.pace.requesting(Fit::Task);
        self
    }

    /// Drops all waiting jobs, and kills all running tasks.
    pub(crate) fn stop(&mut self, calls: &mut Calls) {
        self.stopping = true;
        self.crawls.waiting.clear();
        self.renders.waiting.clear();
        self.running.keys().for_each(|task| calls.kill(task.clone()));
        self.pace.idle(calls);
    }

    /// Returns whether no task runs and no job waits.
    pub(crate) fn is_done(&self) -> bool {
        self.running.is_empty() && self.crawls.waiting.is_empty() && self.renders.waiting.is_empty()
    }

    /// Returns the graph of the site so far.
    pub(crate) fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Returns the number of crawls that have ended, and of all crawls so far.
    pub(crate) fn crawls(&self) -> (usize, usize) {
        (self.crawls.done, self.crawls.total)
    }

    /// Returns the number of renders that have ended, and of all renders so far.
    pub(crate) fn renders(&self) -> (usize, usize) {
        (self.renders.done, self.renders.total)
    }

    /// Returns the number of retries.
    pub(crate) fn retried(&self) -> usize {
        self.retried
    }

    /// Returns the number of offers that came, and of tasks that were launched.
    pub(crate) fn offers_and_tasks(&self) -> (usize, usize) {
        (self.offered, self.launched)
    }

    /// Returns the problems so far, for people.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    fn queue(&mut self, kind: Kind) -> &mut JobQueue {
        match kind {
            Kind::Crawl => &mut self.crawls,
            Kind::Render => &mut self.renders,
        }
    }

    /// Launches what fits into an offer, crawls and renders in turn.
    fn accept(&mut self, offer: &Offer, at: Time) -> Accept {
        let (mut accept, mut left) = (Accept::of(offer).refuse_rest_for(REFUSAL), offer.resources.clone());
        loop {
            let launched = self.running.len();
            for queue in [&mut self.crawls, &mut self.renders] {
                let Ok(rest) = left.checked_sub(&queue.size) else { continue };
                let Some(job) = queue.pop_ready(&self.retries, at) else { continue };
                left = rest;
                let task = queue.task(&job, self.command.as_deref());
                self.running.insert(task.id.clone(), job);
                self.launched += 1;
                accept = accept.launch(task);
            }
            if self.running.len() == launched {
                return accept;
            }
        }
    }

    /// Applies the result of a job. Fails if it cannot be read.
    fn apply_result(&mut self, job: &Job, data: &[u8]) -> Result<(), serde_json::Error> {
        match job.kind {
            Kind::Crawl => {
                let found: Crawled = serde_json::from_slice(data)?;
                if matches!(found, Crawled::Page { .. }) {
                    self.renders.push(job.page.clone());
                }
                for page in self.graph.record_crawl(&job.page, found) {
                    self.crawls.push(page);
                }
            }
            Kind::Render => {
                let picture: Rendered = serde_json::from_slice(data)?;
                self.graph.record_picture(&job.page, picture);
            }
        }
        self.retries.forget(job);
        self.queue(job.kind).done += 1;
        Ok(())
    }

    /// Schedules a retry of a job, or gives it up.
    fn retry(&mut self, job: Job, why: String, calls: &mut Calls) {
        if let Retry::At(at) = self.retries.failed(job.clone(), calls.at()) {
            self.retried += 1;
            calls.wake_at(at);
            self.queue(job.kind).waiting.push_back(job);
            return;
        }
        self.retries.forget(&job);
        self.queue(job.kind).done += 1;
        match job.kind {
            Kind::Crawl => self.graph.record_failure(&job.page, why),
            Kind::Render => self.notes.push(format!("no picture of {}: {why}", job.page)),
        }
    }

    /// Asks for offers if a job can be launched now. Jobs in backoff have requested a wake-up.
    fn request_offers(&mut self, calls: &mut Calls) {
        let Self { crawls, renders, retries, pace, .. } = self;
        let at = calls.at();
        let ready = |queue: &JobQueue| queue.waiting.iter().filter(|job| retries.can_retry(job, at)).count();
        let sizes = [crawls, renders].map(|queue| std::iter::repeat_n(&queue.size, ready(queue)));
        pace.wants(sizes.into_iter().flatten(), calls);
    }
}

impl Scheduler for Rendler {
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        self.offered += offers.len();
        let (mut accepts, mut declines): (Vec<Accept>, Vec<OfferId>) = (Vec::new(), Vec::new());
        for offer in offers {
            match self.accept(&offer, calls.at()) {
                accept if accept.operations.is_empty() => declines.push(offer.id),
                accept => accepts.push(accept),
            }
        }
        self.pace.used(accepts.len() as u64);
        accepts.into_iter().for_each(|accept| calls.accept(accept));
        self.pace.decline(declines, calls);
        self.request_offers(calls);
    }

    fn update(&mut self, status: TaskStatus, calls: &mut Calls) {
        if !status.state.is_terminal() {
            return;
        }
        // An update of a task that does not run is late or a repetition.
        let Some(job) = self.running.shift_remove(&status.task) else { return };
        if self.stopping && status.state != TaskState::Finished {
            return;
        }
        let result = if status.state == TaskState::Finished {
            self.apply_result(&job, status.data.as_deref().unwrap_or_default())
                .map_err(|error| format!("its result: {error}"))
        } else {
            Err(status.message.map_or_else(|| status.state.to_string(), |why| why.to_string()))
        };
        if let Err(why) = result {
            self.retry(job, why, calls);
        }
        if self.stopping {
            self.stop(calls); // the result may have brought new jobs
        }
        self.request_offers(calls);
    }

    fn agent_lost(&mut self, agent: AgentId, _: &mut Calls) {
        self.notes.push(format!("{agent} was lost"));
    }

    fn executor_ended(&mut self, ended: Failure, _: &mut Calls) {
        let name = |id: Option<String>| id.unwrap_or_else(|| "unknown".to_owned());
        let executor = name(ended.executor.map(|executor| executor.to_string()));
        let agent = name(ended.agent.map(|agent| agent.to_string()));
        let status = ended.status.map_or_else(String::new, |status| format!(" with status {status}"));
        self.notes.push(format!("{executor} on {agent} ended{status}"));
    }

    fn woken(&mut self, calls: &mut Calls) {
        self.pace.woken(calls);
        self.request_offers(calls);
    }

    fn rejected(&mut self, rejected: Rejected, _: &mut Calls) {
        self.notes.push(format!("the master: {rejected}"));
    }
}
