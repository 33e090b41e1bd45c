//! [`Reconciliation`]: asks for the states of all tasks of a framework, after each subscription but the first, and now and then.

use crate::id::{AgentId, TaskId};
use crate::scheduler::{Call, Calls, Reconciler, TaskRef};
use crate::task::{TaskState, TaskStatus};
use crate::time::Time;
use std::collections::BTreeMap;
use std::time::Duration;

/// The tasks of a framework that have not ended, as its calls and statuses tell, and the run that asks for their states.
#[derive(Debug)]
pub(super) struct Reconciliation {
    tasks: BTreeMap<TaskId, Option<AgentId>>,
    /// The time between two runs; `None` for no runs at all.
    pub(super) interval: Option<Duration>,
    run: Option<Reconciler>,
    runs: u64,
    /// The next run or, in a run, its next request.
    due: Option<Time>,
}

impl Reconciliation {
    pub(super) const INTERVAL: Duration = Duration::from_secs(15 * 60);

    pub(super) fn new() -> Self {
        Self { tasks: BTreeMap::new(), interval: Some(Self::INTERVAL), run: None, runs: 0, due: None }
    }

    /// Returns the number of runs that have begun.
    pub(super) fn runs(&self) -> u64 {
        self.runs
    }

    pub(super) fn know(&mut self, task: TaskRef) {
        self.tasks.insert(task.task, task.agent);
    }

    /// Takes the tasks that a call launches, whether the call arrives or not: if it does not, reconciliation tells.
    pub(super) fn observe_call(&mut self, call: &Call) {
        if let Call::Accept(accept) = call {
            for task in accept.tasks() {
                let agent = task.agent.clone().or_else(|| accept.agent.clone());
                self.tasks.insert(task.id.clone(), agent);
            }
        }
    }

    /// Takes a status, which may end the run. Returns the call that a run ends with.
    pub(super) fn observe_status(&mut self, status: &TaskStatus, at: Time) -> Option<Call> {
        if status.state.is_terminal() || status.state == TaskState::Unknown {
            self.tasks.remove(&status.task);
        } else {
            let agent = self.tasks.entry(status.task.clone()).or_default();
            if status.agent.is_some() {
                agent.clone_from(&status.agent);
            }
        }
        let run = self.run.as_mut()?;
        run.observe(status);
        run.is_done().then(|| self.end_run(at))
    }

    fn end_run(&mut self, at: Time) -> Call {
        self.run = None;
        self.due = self.interval.map(|interval| at + interval);
        Call::Reconcile(None)
    }

    /// Starts with a subscription: a run, or the time to the first.
    pub(super) fn subscribed(&mut self, at: Time, is_first: bool) -> Vec<Call> {
        let Some(interval) = self.interval else { return Vec::new() };
        if is_first && self.tasks.is_empty() {
            self.due = Some(at + interval);
            return Vec::new();
        }
        self.start_run(at)
    }

    fn start_run(&mut self, at: Time) -> Vec<Call> {
        let tasks = self.tasks.iter().map(|(task, agent)| TaskRef { task: task.clone(), agent: agent.clone() });
        let mut calls = Calls::new(at);
        let run = Reconciler::start(tasks, &mut calls);
        self.due = calls.wakes().last().map(|timer| timer.at);
        let is_done = run.is_done();
        self.run = Some(run);
        self.runs += 1;
        let mut calls = calls.into_vec();
        if is_done {
            calls.push(self.end_run(at));
        }
        calls
    }

    /// Ends with a subscription.
    pub(super) fn disconnected(&mut self) {
        (self.run, self.due) = (None, None);
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.due
    }

    pub(super) fn handle_timeout(&mut self, at: Time) -> Vec<Call> {
        match (&mut self.run, self.due) {
            (_, None) => Vec::new(),
            (_, Some(due)) if at < due => Vec::new(),
            (None, Some(_)) => self.start_run(at),
            (Some(run), Some(_)) => {
                let mut calls = Calls::new(at);
                run.woken(&mut calls);
                self.due = calls.wakes().last().map(|timer| timer.at);
                calls.into_vec()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(calls: &[Call]) -> Vec<Option<Vec<&str>>> {
        let asked = calls.iter().map(|call| {
            let Call::Reconcile(tasks) = call else { panic!("{call:?} is no reconciliation") };
            tasks.as_ref().map(|tasks| tasks.iter().map(|known| known.task.as_str()).collect())
        });
        asked.collect()
    }

    #[test]
    fn a_run_asks_for_each_task_until_it_is_answered_and_then_for_all() {
        let mut reconciliation = Reconciliation::new();
        assert_eq!(reconciliation.subscribed(Time::ZERO, true), []);
        assert_eq!(reconciliation.poll_timeout(), Some(Time::from_secs(900)));
        for (task, state) in [("t1", TaskState::Running), ("t2", TaskState::Staging), ("t3", TaskState::Finished)] {
            assert_eq!(reconciliation.observe_status(&TaskStatus::new(task, state), Time::from_secs(1)), None);
        }
        let calls = reconciliation.handle_timeout(Time::from_secs(900));
        assert_eq!(asked(&calls), [Some(vec!["t1", "t2"])]);
        assert_eq!(
            reconciliation.observe_status(&TaskStatus::new("t1", TaskState::Running), Time::from_secs(901)),
            None
        );
        let again = reconciliation.poll_timeout().unwrap();
        assert_eq!(again, Time::from_secs(905));
        assert_eq!(reconciliation.handle_timeout(Time::from_secs(904)), []);
        assert_eq!(asked(&reconciliation.handle_timeout(again)), [Some(vec!["t2"])]);
        let last = reconciliation.observe_status(&TaskStatus::new("t2", TaskState::Unknown), Time::from_secs(906));
        assert_eq!(asked(last.as_slice()), [None]);
        assert_eq!(reconciliation.poll_timeout(), Some(Time::from_secs(906 + 900)));
        reconciliation.disconnected();
        assert_eq!(reconciliation.poll_timeout(), None);
        assert_eq!(asked(&reconciliation.subscribed(Time::from_secs(950), false)), [Some(vec!["t1"])]);
    }
}
