//! [`Disk`]: what an agent has stored, in memory.

use crate::machine::{
    AgentRecord, ExecutorRecord, Process, Record, Recovered, RecoveredFramework, RecoveredRun, RecoveredTask, Run,
    Stray,
};
use apportion::{Framework, FrameworkId, TaskId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The records of an agent in memory: what [`Store`](crate::checkpoint::Store) is on a disk.
///
/// # Examples
///
/// ```
/// use apportion::Agent;
/// use apportion_agent::machine::simulation::Disk;
/// use apportion_agent::machine::{AgentRecord, Record};
///
/// let mut disk = Disk::default();
/// disk.write(&Record::Agent(Box::new(AgentRecord::new(Agent::new("a1", "cpus:4".parse()?), "boot-1"))));
/// assert_eq!(disk.recovered().id.expect("an id").as_str(), "a1");
/// # Ok::<(), apportion::ResourceError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Disk {
    agent: Option<AgentRecord>,
    frameworks: BTreeMap<FrameworkId, Arc<Framework>>,
    runs: BTreeMap<Run, StoredRun>,
    /// The runs of agents of before.
    strays: BTreeMap<Run, Option<Process>>,
}

#[derive(Debug, Clone)]
struct StoredRun {
    record: ExecutorRecord,
    process: Option<Process>,
    tasks: BTreeMap<TaskId, RecoveredTask>,
}

impl Disk {
    /// Writes a record.
    pub fn write(&mut self, record: &Record) {
        match record {
            Record::Agent(record) => {
                if self.agent.as_ref().is_some_and(|agent| agent.agent.id != record.agent.id) {
                    self.give_up();
                }
                self.agent = Some((**record).clone());
            }
            Record::Framework(framework) => {
                self.frameworks.insert(framework.id.clone(), Arc::clone(framework));
            }
            Record::Executor(record) => {
                let stored = StoredRun { record: (**record).clone(), process: None, tasks: BTreeMap::new() };
                self.runs.insert(record.run.clone(), stored);
            }
            Record::Process(run, process) => {
                if let Some(stored) = self.runs.get_mut(run) {
                    stored.process = Some(*process);
                }
            }
            Record::Task(run, task) => {
                if let Some(stored) = self.runs.get_mut(run) {
                    let entry = stored.tasks.entry(task.id.clone());
                    entry.or_insert_with(|| RecoveredTask::new((**task).clone())).task = (**task).clone();
                }
            }
            Record::Update(run, status) => {
                if let Some(task) = self.task(run, &status.task) {
                    task.updates.push((**status).clone());
                }
            }
            Record::Acknowledged(run, task, uuid) => {
                if let Some(task) = self.task(run, task) {
                    task.acknowledged.push(*uuid);
                }
            }
            Record::ForgetTask(run, task) => {
                if let Some(stored) = self.runs.get_mut(run) {
                    stored.tasks.remove(task);
                }
            }
            Record::ForgetRun(run) => {
                self.runs.remove(run);
            }
            Record::ForgetFramework(framework) => {
                self.frameworks.remove(framework);
                self.runs.retain(|run, _| run.framework != *framework); // its folder goes with all that is in it
            }
            Record::ForgetAgent => self.give_up(),
            Record::ForgetStrays => self.strays.clear(),
        }
    }

    /// Returns what an agent finds when it starts.
    #[must_use]
    pub fn recovered(&self) -> Recovered {
        let frameworks = self.frameworks.values().map(|framework| {
            let mut found = RecoveredFramework::new(framework.id.clone(), Some(Framework::clone(framework)));
            let runs = self.runs.iter().filter(|(run, _)| run.framework == framework.id);
            found.runs = runs.map(|(run, stored)| stored.recovered(run)).collect();
            found
        });
        Recovered {
            id: self.agent.as_ref().map(|record| record.agent.id.clone()),
            agent: self.agent.clone(),
            frameworks: frameworks.collect(),
            strays: self.strays.iter().map(|(run, process)| Stray { run: run.clone(), process: *process }).collect(),
        }
    }

    /// Returns whether nothing is stored but the agent itself.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.frameworks.is_empty() && self.runs.is_empty() && self.strays.is_empty()
    }

    fn task(&mut self, run: &Run, task: &TaskId) -> Option<&mut RecoveredTask> {
        self.runs.get_mut(run)?.tasks.get_mut(task)
    }

    fn give_up(&mut self) {
        self.agent = None;
        self.frameworks.clear();
        self.strays.extend(std::mem::take(&mut self.runs).into_iter().map(|(run, stored)| (run, stored.process)));
    }
}

impl StoredRun {
    fn recovered(&self, run: &Run) -> RecoveredRun {
        let mut found = RecoveredRun::new(run.clone(), Some(self.record.clone()));
        found.process = self.process;
        found.tasks = self.tasks.values().cloned().collect();
        found
    }
}
