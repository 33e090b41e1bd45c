//! [`Kills`]: the tasks of an agent that are to be killed. A kill is lost with the connection that it went over, or if there is none:
//! it is sent again when the agent returns with the task (Mesos, `Slave::killedTasks` of the master).

use super::Leader;
use apportion::{FrameworkId, TaskId};
use std::collections::BTreeMap;
use std::time::Duration;

/// The number of kills that are kept before those are looked for whose tasks have ended.
const FEW: usize = 64;

/// The tasks of an agent whose frameworks have asked for their end, each with the time that it has to shut down.
#[derive(Debug, Default)]
pub(super) struct Kills {
    asked: BTreeMap<(FrameworkId, TaskId), Option<Duration>>,
    /// Those that go out again over the latest stream.
    again: BTreeMap<(FrameworkId, TaskId), Option<Duration>>,
    /// The number at which those are forgotten whose tasks have ended.
    most: usize,
}

impl Kills {
    /// Notes a kill.
    fn note(&mut self, framework: FrameworkId, task: TaskId, grace: Option<Duration>) {
        self.asked.insert((framework, task), grace);
    }

    /// Forgets the kills of tasks that are not on the agent any more, if there are many.
    fn prune(&mut self, is_here: impl Fn(&FrameworkId, &TaskId) -> bool) {
        if self.asked.len() > self.most.max(FEW) {
            self.asked.retain(|(framework, task), _| is_here(framework, task));
            self.most = self.asked.len() * 2;
        }
    }

    /// Sends the kills again of those tasks that the agent still has.
    pub(super) fn repeat(&mut self, is_here: impl Fn(&FrameworkId, &TaskId) -> bool) {
        self.asked.retain(|(framework, task), _| is_here(framework, task));
        self.again = self.asked.clone();
    }

    /// Removes and returns the next kill that goes out again.
    pub(super) fn next(&mut self) -> Option<(FrameworkId, TaskId, Option<Duration>)> {
        self.again.pop_first().map(|((framework, task), grace)| (framework, task, grace))
    }
}

impl Leader {
    /// Notes that a framework has asked for the end of a task, for the time when its agent returns.
    pub(super) fn note_kill(&mut self, framework: &FrameworkId, task: TaskId, grace: Option<Duration>) {
        let master = self.delivery.master();
        let Some(known) = master.known_task(framework, &task) else { return };
        let id = &known.holding.agent;
        if let Some(agent) = self.remote.agents.get_mut(id) {
            agent.kills.note(framework.clone(), task, grace);
            agent.kills.prune(|framework, task| {
                master.known_task(framework, task).is_some_and(|known| known.holding.agent == *id)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_of_tasks_that_have_ended_are_not_kept_for_ever() {
        let mut kills = Kills::default();
        for number in 0..10 * FEW {
            kills.note("f".into(), number.to_string().into(), None);
            kills.prune(|_, task| *task == TaskId::from(number.to_string()));
        }
        assert!(kills.asked.len() <= FEW, "{}", kills.asked.len());
    }
}
