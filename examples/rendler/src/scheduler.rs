//! [`Rendler`]: the framework. Knows pages, links and pictures, and nothing of how messages or pages come.

use crate::graph::Graph;
use crate::job::{Crawled, Job, Kind, Rendered};
use apportion::scheduler::{Failure, Pace, Retries, Retry, TaskIds};
use apportion::{
    Accept, AgentId, Calls, ExecutorInfo, Offer, OfferId, Resources, Scheduler, Task, TaskId, TaskState, TaskStatus,
    Time,
};
use indexmap::IndexMap;
use std::collections::VecDeque;
use std::time::Duration;

/// How much of a site is wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How many pages are crawled at most, in the order in which they are found.
    pub(crate) pages: usize,
    /// How many pages are rendered at most, in the order in which they are read.
    pub(crate) renders: usize,
    /// How often something that fails is tried again.
    pub(crate) retries: u32,
}

/// How long what does not fit is not wanted again; new work revives it, but not more often than this.
const REFUSAL: Duration = Duration::from_secs(5);
const BETWEEN_REVIVES: Duration = Duration::from_millis(20);

/// How long to wait after a first failure, and at most.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Crawls a site from its first page on, and has its pages rendered.
#[derive(Debug)]
pub(crate) struct Rendler {
    graph: Graph,
    crawls: Line,
    renders: Line,
    running: IndexMap<TaskId, Job>,
    retries: Retries<Job>,
    pace: Pace,
    retried: usize,
    notes: Vec<String>,
    stopping: bool,
}

/// The jobs of one kind: first come, first served.
#[derive(Debug)]
struct Line {
    kind: Kind,
    ids: TaskIds,
    size: Resources,
    waiting: VecDeque<Job>,
    /// How many jobs there have been, and how many of them have come to an end.
    taken: usize,
    done: usize,
    most: usize,
}

impl Line {
    fn new(kind: Kind, name: &str, most: usize) -> Self {
        let (ids, size) = (TaskIds::new(name, 1), kind.size());
        Self { kind, ids, size, waiting: VecDeque::new(), taken: 0, done: 0, most }
    }

    /// Takes in one more job, unless there have been enough.
    fn join(&mut self, page: String) {
        if self.taken < self.most {
            self.taken += 1;
            self.waiting.push_back(Job { kind: self.kind, page });
        }
    }

    /// Takes out the first job that need not wait any longer.
    fn next(&mut self, retries: &Retries<Job>, at: Time) -> Option<Job> {
        let ready = self.waiting.iter().position(|job| retries.can_retry(job, at))?;
        self.waiting.remove(ready)
    }

    fn task(&mut self, job: &Job) -> Task {
        let executor = ExecutorInfo::new(self.kind.executor());
        let task = Task::new(self.ids.next_id(), self.size.clone()).detail("name", job.to_string());
        task.detail("executor", executor).detail("data", job.to_data())
    }
}

impl Rendler {
    /// A framework that begins with that page.
    pub(crate) fn new(start: &str, limits: Limits) -> Self {
        let mut rendler = Self {
            graph: Graph::default(),
            crawls: Line::new(Kind::Crawl, "crawl", limits.pages),
            renders: Line::new(Kind::Render, "render", limits.renders),
            running: IndexMap::new(),
            retries: Retries::new(limits.retries, FIRST_WAIT, LONGEST_WAIT),
            pace: Pace::new(REFUSAL, BETWEEN_REVIVES),
            retried: 0,
            notes: Vec::new(),
            stopping: false,
        };
        rendler.graph.see(start);
        rendler.crawls.join(start.to_owned());
        rendler
    }

    /// Starts nothing more, and ends what runs.
    pub(crate) fn stop(&mut self, calls: &mut Calls) {
        self.stopping = true;
        self.crawls.waiting.clear();
        self.renders.waiting.clear();
        self.running.keys().for_each(|task| calls.kill(task.clone()));
        self.pace.idle(calls);
    }

    /// Whether nothing runs and nothing waits.
    pub(crate) fn is_done(&self) -> bool {
        self.running.is_empty() && self.crawls.waiting.is_empty() && self.renders.waiting.is_empty()
    }

    /// What is known of the site so far.
    pub(crate) fn graph(&self) -> &Graph {
        &self.graph
    }

    /// How many crawls have come to an end, and how many there are so far.
    pub(crate) fn crawls(&self) -> (usize, usize) {
        (self.crawls.done, self.crawls.taken)
    }

    /// The same of renders.
    pub(crate) fn renders(&self) -> (usize, usize) {
        (self.renders.done, self.renders.taken)
    }

    /// How often something was tried again.
    pub(crate) fn retried(&self) -> usize {
        self.retried
    }

    /// What has gone wrong on the way.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    fn line(&mut self, kind: Kind) -> &mut Line {
        match kind {
            Kind::Crawl => &mut self.crawls,
            Kind::Render => &mut self.renders,
        }
    }

    /// Takes of an offer what fits, crawls and renders by turns.
    fn fill(&mut self, offer: &Offer, at: Time) -> Accept {
        let (mut accept, mut left) = (Accept::of(offer).refuse_rest_for(REFUSAL), offer.resources.clone());
        loop {
            let launched = self.running.len();
            for line in [&mut self.crawls, &mut self.renders] {
                let Ok(rest) = left.checked_sub(&line.size) else { continue };
                let Some(job) = line.next(&self.retries, at) else { continue };
                left = rest;
                let task = line.task(&job);
                self.running.insert(task.id.clone(), job);
                accept = accept.launch(task);
            }
            if self.running.len() == launched {
                return accept;
            }
        }
    }

    /// Takes the result of a job; an error if it has no meaning.
    fn take(&mut self, job: &Job, data: &[u8]) -> Result<(), serde_json::Error> {
        match job.kind {
            Kind::Crawl => {
                let found: Crawled = serde_json::from_slice(data)?;
                if matches!(found, Crawled::Page { .. }) {
                    self.renders.join(job.page.clone());
                }
                for page in self.graph.crawled(&job.page, found) {
                    self.crawls.join(page);
                }
            }
            Kind::Render => {
                let picture: Rendered = serde_json::from_slice(data)?;
                self.graph.rendered(&job.page, picture);
            }
        }
        self.retries.forget(job);
        self.line(job.kind).done += 1;
        Ok(())
    }

    /// Tries a job again later, or gives it up.
    fn again(&mut self, job: Job, why: String, calls: &mut Calls) {
        if let Retry::At(at) = self.retries.failed(job.clone(), calls.at()) {
            self.retried += 1;
            calls.wake_at(at);
            self.line(job.kind).waiting.push_back(job);
            return;
        }
        self.retries.forget(&job);
        self.line(job.kind).done += 1;
        match job.kind {
            Kind::Crawl => self.graph.failed(&job.page, why),
            Kind::Render => self.notes.push(format!("no picture of {}: {why}", job.page)),
        }
    }

    /// Wants offers if something can be launched now; what has to wait has asked to be woken.
    fn go_on(&mut self, calls: &mut Calls) {
        let mut waiting = self.crawls.waiting.iter().chain(&self.renders.waiting).peekable();
        if waiting.peek().is_none() {
            self.pace.idle(calls);
        } else if waiting.any(|job| self.retries.can_retry(job, calls.at())) {
            self.pace.busy(calls);
        }
    }
}

impl Scheduler for Rendler {
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        let (mut accepts, mut declines): (Vec<Accept>, Vec<OfferId>) = (Vec::new(), Vec::new());
        for offer in offers {
            match self.fill(&offer, calls.at()) {
                accept if accept.operations.is_empty() => declines.push(offer.id),
                accept => accepts.push(accept),
            }
        }
        accepts.into_iter().for_each(|accept| calls.accept(accept));
        self.pace.decline(declines, calls);
        if self.crawls.waiting.is_empty() && self.renders.waiting.is_empty() {
            self.pace.idle(calls);
        }
    }

    fn update(&mut self, status: TaskStatus, calls: &mut Calls) {
        if !status.state.is_terminal() {
            return;
        }
        // News of a task that does not run is old, or comes a second time.
        let Some(job) = self.running.shift_remove(&status.task) else { return };
        if self.stopping && status.state != TaskState::Finished {
            return;
        }
        let result = if status.state == TaskState::Finished {
            self.take(&job, status.data.as_deref().unwrap_or_default()).map_err(|error| format!("its result: {error}"))
        } else {
            Err(status.message.map_or_else(|| status.state.to_string(), |why| why.to_string()))
        };
        if let Err(why) = result {
            self.again(job, why, calls);
        }
        if self.stopping {
            self.stop(calls); // a result that came before the end may have brought new work
        }
        self.go_on(calls);
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
        self.go_on(calls);
    }

    fn rejected(&mut self, message: String, _: &mut Calls) {
        self.notes.push(format!("the master: {message}"));
    }
}
