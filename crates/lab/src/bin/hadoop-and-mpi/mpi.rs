//! [`Mpi`]: a scheduler like MPI's, for gangs of equal ranks, all or none.

use crate::worker::task;
use apportion::scheduler::{Pace, TaskIds};
use apportion::{
    Accept, AgentId, Calls, ExecutorId, Filters, Offer, OfferId, Resources, Scheduler, TaskId, TaskState, TaskStatus,
    Time,
};
use indexmap::{IndexMap, IndexSet};
use std::collections::VecDeque;
use std::time::Duration;

/// The shape of all jobs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) ranks: usize,
    pub(crate) length: Duration,
}

/// Keeps offers until a whole gang fits into them, but not for longer than `patience`: two frameworks that wait for each
/// other's offers would deadlock.
#[derive(Debug)]
pub(crate) struct Mpi {
    size: Resources,
    shape: Shape,
    patience: Duration,
    waiting: VecDeque<String>,
    kept: Vec<Offer>,
    since: Option<Time>,
    gangs: IndexMap<String, Gang>,
    by_task: IndexMap<TaskId, String>,
    submitted: usize,
    ids: TaskIds,
    pace: Pace,
    pub(crate) finished: Vec<Time>,
}

/// The ranks of a gang that runs.
#[derive(Debug, Default)]
struct Gang {
    ranks: IndexMap<TaskId, AgentId>,
    running: IndexSet<TaskId>,
    broken: bool,
}

impl Mpi {
    pub(crate) fn new(shape: Shape, patience: Duration) -> Self {
        Self {
            size: "cpus:1;mem:1024".parse().expect("it is written here"),
            shape,
            patience,
            waiting: VecDeque::new(),
            kept: Vec::new(),
            since: None,
            gangs: IndexMap::new(),
            by_task: IndexMap::new(),
            submitted: 0,
            ids: TaskIds::new("rank", 1),
            pace: Pace::new(Duration::from_secs(1), Duration::from_secs(1)),
            finished: Vec::new(),
        }
    }

    /// Submits jobs.
    pub(crate) fn submit(&mut self, jobs: usize, calls: &mut Calls) {
        for _ in 0..jobs {
            self.submitted += 1;
            self.waiting.push_back(format!("gang-{}", self.submitted));
        }
        self.go_on(calls);
    }

    /// Returns whether all submitted jobs are done.
    pub(crate) fn is_done(&self) -> bool {
        self.finished.len() == self.submitted
    }

    fn slots(&self, offer: &Offer) -> usize {
        let mut left = offer.resources.clone();
        std::iter::from_fn(|| {
            left = left.checked_sub(&self.size).ok()?;
            Some(())
        })
        .take(self.shape.ranks)
        .count()
    }

    /// Launches gangs while a whole one fits into the kept offers, and then declines the offers that are of no use.
    fn place(&mut self, calls: &mut Calls) {
        loop {
            let slots: Vec<usize> = self.kept.iter().map(|offer| self.slots(offer)).collect();
            if slots.iter().sum::<usize>() < self.shape.ranks {
                break;
            }
            let Some(gang) = self.waiting.pop_front() else { break };
            self.launch(&gang, &slots, calls);
        }
        let tired = self.since.is_some_and(|since| calls.at().since(since) >= self.patience);
        if self.waiting.is_empty() || tired {
            self.since = None;
            for offer in self.kept.drain(..) {
                calls.decline_for(&offer, Filters::refuse_for(Duration::from_secs(1)));
            }
        } else if !self.kept.is_empty() && self.since.is_none() {
            self.since = Some(calls.at());
            calls.wake_at(calls.at() + self.patience);
        }
        if self.waiting.is_empty() {
            self.pace.idle(calls);
        }
    }

    fn launch(&mut self, name: &str, slots: &[usize], calls: &mut Calls) {
        let mut missing = self.shape.ranks;
        let mut gang = Gang::default();
        let mut kept = Vec::new();
        for (offer, slots) in std::mem::take(&mut self.kept).into_iter().zip(slots) {
            let taken = missing.min(*slots);
            missing -= taken;
            if taken == 0 {
                kept.push(offer);
                continue;
            }
            let mut accept = Accept::of(&offer).refuse_rest_for(Duration::ZERO);
            for _ in 0..taken {
                let id = self.ids.next_id();
                accept = accept.launch(task(id.clone(), &self.size, "mpi", self.shape.length, Some(name)));
                gang.ranks.insert(id.clone(), offer.agent.clone());
                self.by_task.insert(id, name.to_owned());
            }
            calls.accept(accept);
        }
        self.kept = kept;
        self.gangs.insert(name.to_owned(), gang);
    }

    fn go_on(&mut self, calls: &mut Calls) {
        if self.waiting.is_empty() { self.pace.idle(calls) } else { self.pace.busy(calls) }
    }

    /// Handles the end of a rank. If the rank failed, the rest of its gang is killed, and the job is submitted again.
    fn ended(&mut self, name: &str, status: &TaskStatus, calls: &mut Calls) {
        let Some(gang) = self.gangs.get_mut(name) else { return };
        gang.ranks.shift_remove(&status.task);
        if status.state != TaskState::Finished && !gang.broken {
            gang.broken = true;
            gang.ranks.keys().for_each(|rank| calls.kill(rank.clone()));
        }
        if !gang.ranks.is_empty() {
            return;
        }
        if self.gangs.shift_remove(name).is_some_and(|gang| gang.broken) {
            self.waiting.push_front(name.to_owned());
            self.pace.busy(calls);
        } else {
            self.finished.push(calls.at());
        }
    }
}

impl Scheduler for Mpi {
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        self.kept.extend(offers);
        self.place(calls);
    }

    fn rescinded(&mut self, offer: OfferId, _: &mut Calls) {
        self.kept.retain(|kept| kept.id != offer);
    }

    fn update(&mut self, status: TaskStatus, calls: &mut Calls) {
        let Some(name) = self.by_task.get(&status.task).cloned() else { return };
        if status.state.is_terminal() {
            self.by_task.shift_remove(&status.task);
            self.ended(&name, &status, calls);
        } else if status.state == TaskState::Running
            && let Some(gang) = self.gangs.get_mut(&name)
            && gang.running.insert(status.task)
            && gang.running.len() == self.shape.ranks
        {
            let agents: IndexSet<&AgentId> = gang.ranks.values().collect();
            for agent in agents {
                calls.message(agent.clone(), ExecutorId::from("mpi"), format!("go {name}"));
            }
        }
    }

    fn woken(&mut self, calls: &mut Calls) {
        self.pace.woken(calls);
        self.place(calls);
    }
}
