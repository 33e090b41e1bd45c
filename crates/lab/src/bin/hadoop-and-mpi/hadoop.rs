//! [`Hadoop`]: a scheduler like Hadoop's, for many short map tasks near their data, and then reduces.

use crate::worker::task;
use apportion::scheduler::{Pace, TaskIds};
use apportion::{Accept, AgentId, Calls, Offer, Resources, Scheduler, TaskId, TaskState, TaskStatus, Time};
use indexmap::IndexMap;
use std::time::Duration;

/// A job.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    /// For each map, the agents that have its data.
    pub(crate) maps: Vec<Vec<AgentId>>,
    pub(crate) map_length: Duration,
    pub(crate) reduces: u32,
    pub(crate) reduce_length: Duration,
}

/// Runs one job, by delay scheduling (Zaharia et al., EuroSys'10): an offer of an agent without data for any map is declined,
/// but not for longer than the delay.
#[derive(Debug)]
pub(crate) struct Hadoop {
    size: Resources,
    job: Job,
    maps: Vec<Vec<AgentId>>,
    reduces: u32,
    delay: Duration,
    /// The time since which offers have been declined.
    waiting: Option<Time>,
    running: IndexMap<TaskId, Work>,
    ids: [TaskIds; 2],
    pace: Pace,
    pub(crate) local: usize,
    pub(crate) done: Option<Time>,
}

#[derive(Debug, Clone)]
enum Work {
    Map(Vec<AgentId>),
    Reduce,
}

impl Hadoop {
    pub(crate) fn new(job: Job, delay: Duration) -> Self {
        Self {
            size: "cpus:1;mem:1024".parse().expect("it is written here"),
            maps: job.maps.clone(),
            reduces: job.reduces,
            job,
            delay,
            waiting: None,
            running: IndexMap::new(),
            ids: ["map", "reduce"].map(|name| TaskIds::new(name, 1)),
            pace: Pace::new(Duration::from_secs(1), Duration::from_secs(1)),
            local: 0,
            done: None,
        }
    }

    /// Returns the number of maps.
    pub(crate) fn maps(&self) -> usize {
        self.job.maps.len()
    }

    fn is_mapping(&self) -> bool {
        !self.maps.is_empty() || self.running.values().any(|work| matches!(work, Work::Map(_)))
    }

    /// Returns the next task to run on that agent, if there is one.
    fn next(&mut self, agent: &AgentId, at: Time) -> Option<Work> {
        if let Some(local) = self.maps.iter().position(|hosts| hosts.contains(agent)) {
            self.waiting = None;
            self.local += 1;
            return Some(Work::Map(self.maps.swap_remove(local)));
        }
        if !self.maps.is_empty() {
            let waited = at.since(*self.waiting.get_or_insert(at));
            return (waited >= self.delay).then(|| self.maps.pop().map(Work::Map)).flatten();
        }
        if self.is_mapping() || self.reduces == 0 {
            return None;
        }
        self.reduces -= 1;
        Some(Work::Reduce)
    }

    fn go_on(&mut self, calls: &mut Calls) {
        if !self.maps.is_empty() || (!self.is_mapping() && self.reduces > 0) {
            self.pace.busy(calls);
        } else {
            self.pace.idle(calls);
            if self.running.is_empty() {
                let at = calls.at();
                self.done.get_or_insert(at);
            }
        }
    }
}

impl Scheduler for Hadoop {
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        for offer in offers {
            let (mut accept, mut left) = (Accept::of(&offer), offer.resources.clone());
            while let Ok(rest) = left.checked_sub(&self.size) {
                let Some(work) = self.next(&offer.agent, calls.at()) else { break };
                let (kind, length) = match work {
                    Work::Map(_) => (0, self.job.map_length),
                    Work::Reduce => (1, self.job.reduce_length),
                };
                let id = self.ids[kind].next_id();
                accept = accept.launch(task(id.clone(), &self.size, "hadoop", length, None));
                self.running.insert(id, work);
                left = rest;
            }
            if accept.operations.is_empty() {
                self.pace.decline([offer.id], calls);
            } else {
                calls.accept(accept.refuse_rest_for(Duration::from_secs(1)));
            }
        }
    }

    fn update(&mut self, status: TaskStatus, calls: &mut Calls) {
        if !status.state.is_terminal() {
            return;
        }
        let Some(work) = self.running.shift_remove(&status.task) else { return };
        match work {
            _ if status.state == TaskState::Finished => {}
            Work::Map(hosts) => self.maps.push(hosts),
            Work::Reduce => self.reduces += 1,
        }
        self.go_on(calls);
    }

    fn woken(&mut self, calls: &mut Calls) {
        self.pace.woken(calls);
    }
}
