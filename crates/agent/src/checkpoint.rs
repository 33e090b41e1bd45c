//! Checkpoints: what an agent keeps below `work_dir/meta`, so that its executors outlive it.
//!
//! ```text
//!     meta/slaves/latest -> AGENT
//!     meta/slaves/AGENT/slave.info                                   the agent itself
//!                       frameworks/FRAMEWORK/framework.info
//!                                            executors/EXECUTOR/runs/latest -> CONTAINER
//!                                                               runs/CONTAINER/executor.info
//!                                                                              forked.pid
//!                                                                              tasks/TASK/task.info
//!                                                                                         task.updates
//! ```
//!
//! A file is written beside its place, brought to the disk and renamed, so that it is whole or not there. Statuses are appended to
//! `task.updates`, a line each; a line that is not whole is cut off. Whatever else is found broken costs its executor, not the agent.

mod files;
mod forms;
mod recover;

pub use files::StoreError;
pub use recover::Broken;

use crate::machine::{Record, Recovered, Run};
use apportion::{AgentId, FrameworkId, TaskId};
use files::{append_line, link, remove_dir, remove_file, write_file};
use forms::{AgentForm, ExecutorForm, Line, ProcessForm, TaskForm, to_json};
use std::io;
use std::path::{Path, PathBuf};

const AGENT_FILE: &str = "slave.info";
const FRAMEWORK_FILE: &str = "framework.info";
const EXECUTOR_FILE: &str = "executor.info";
const PROCESS_FILE: &str = "forked.pid";
const TASK_FILE: &str = "task.info";
const UPDATES_FILE: &str = "task.updates";
const LATEST: &str = "latest";

/// The checkpoints of an agent on disk.
///
/// # Examples
///
/// ```
/// use apportion::Agent;
/// use apportion_agent::checkpoint::Store;
/// use apportion_agent::machine::{AgentRecord, Record};
///
/// let work_dir = tempfile::tempdir()?;
/// let (mut store, found, _) = Store::open(work_dir.path())?;
/// assert!(found.agent.is_none());
/// let agent = Agent::new("a1", "cpus:4".parse()?);
/// store.write(&Record::Agent(Box::new(AgentRecord::new(agent, "boot-1"))))?;
///
/// let (_, found, broken) = Store::open(work_dir.path())?;
/// assert_eq!(found.agent.expect("an agent").agent.id.as_str(), "a1");
/// assert!(broken.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Store {
    slaves: PathBuf,
    /// The agent whose records are written.
    agent: Option<AgentId>,
    /// True if `latest` is a link to it.
    is_latest: bool,
}

impl Store {
    /// Opens the checkpoints below a working directory and reads them. What is half written or half removed is told, and otherwise
    /// as if it were not there.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the folder itself cannot be made or read.
    pub fn open(work_dir: &Path) -> Result<(Self, Recovered, Vec<Broken>), StoreError> {
        let slaves = work_dir.join("meta").join("slaves");
        let (recovered, broken) = recover::recover(&slaves)?;
        let (agent, is_latest) = (recovered.id.clone(), recovered.id.is_some());
        Ok((Self { slaves, agent, is_latest }, recovered, broken))
    }

    /// Writes a record; it is on the disk when this returns.
    ///
    /// # Errors
    ///
    /// [`StoreError`], with the folder and what is free there. Nothing of the record is kept then. The first record must be an agent,
    /// unless one was found.
    pub fn write(&mut self, record: &Record) -> Result<(), StoreError> {
        match record {
            Record::Agent(record) => {
                let id = &record.agent.id;
                write_file(&self.slaves.join(id.as_str()).join(AGENT_FILE), &to_json(&AgentForm::from(&**record)))?;
                if !self.is_latest || self.agent.as_ref() != Some(id) {
                    link(&self.slaves.join(LATEST), id.as_str())?;
                    (self.agent, self.is_latest) = (Some(id.clone()), true);
                }
                Ok(())
            }
            Record::Framework(framework) => {
                write_file(&self.framework(&framework.id)?.join(FRAMEWORK_FILE), &to_json(&forms::framework(framework)))
            }
            Record::Executor(record) => {
                let folder = self.run(&record.run)?;
                write_file(&folder.join(EXECUTOR_FILE), &to_json(&ExecutorForm::from(&**record)))?;
                link(&folder.with_file_name(LATEST), record.run.container.as_str())
            }
            Record::Process(run, process) => {
                write_file(&self.run(run)?.join(PROCESS_FILE), &to_json(&ProcessForm::from(*process)))
            }
            Record::Task(run, task) => {
                write_file(&self.task(run, &task.id)?.join(TASK_FILE), &to_json(&TaskForm::from(&**task)))
            }
            Record::Update(run, status) => {
                let line = Line::Update(Box::new((**status).clone()));
                append_line(&self.task(run, &status.task)?.join(UPDATES_FILE), &to_json(&line))
            }
            Record::Acknowledged(run, task, uuid) => {
                append_line(&self.task(run, task)?.join(UPDATES_FILE), &to_json(&Line::Acknowledged(*uuid)))
            }
            // What makes a folder count goes first, so that one which is half removed counts no more.
            Record::ForgetTask(run, task) => forget(&self.task(run, task)?, TASK_FILE),
            Record::ForgetRun(run) => {
                forget(&self.run(run)?, EXECUTOR_FILE)?;
                forget_idle(&self.executor(run)?)
            }
            Record::ForgetFramework(framework) => forget(&self.framework(framework)?, FRAMEWORK_FILE),
            Record::ForgetAgent => {
                self.is_latest = false;
                remove_file(&self.slaves.join(LATEST))
            }
            Record::ForgetStrays => self.forget_strays(),
        }
    }

    /// Removes the folders of all agents but this one.
    fn forget_strays(&self) -> Result<(), StoreError> {
        for entry in files::list(&self.slaves)? {
            let is_own = entry == LATEST || self.agent.as_ref().is_some_and(|agent| entry == agent.as_str());
            if !is_own {
                forget(&self.slaves.join(entry), AGENT_FILE)?;
            }
        }
        Ok(())
    }

    fn framework(&self, framework: &FrameworkId) -> Result<PathBuf, StoreError> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "the agent itself is not stored");
        let agent = self.agent.as_ref().ok_or_else(|| StoreError::new(&self.slaves, missing()))?;
        Ok(self.slaves.join(agent.as_str()).join("frameworks").join(framework.as_str()))
    }

    fn executor(&self, run: &Run) -> Result<PathBuf, StoreError> {
        Ok(self.framework(&run.framework)?.join("executors").join(run.executor.as_str()))
    }

    fn run(&self, run: &Run) -> Result<PathBuf, StoreError> {
        Ok(self.executor(run)?.join("runs").join(run.container.as_str()))
    }

    fn task(&self, run: &Run, task: &TaskId) -> Result<PathBuf, StoreError> {
        Ok(self.run(run)?.join("tasks").join(task.as_str()))
    }
}

fn forget(folder: &Path, file: &str) -> Result<(), StoreError> {
    remove_file(&folder.join(file))?;
    remove_dir(folder)
}

/// Removes the folder of an executor that has no run: else there were one for each executor that has ever run.
fn forget_idle(executor: &Path) -> Result<(), StoreError> {
    let has_runs = files::list(&executor.join("runs"))?.iter().any(|name| name != LATEST);
    if has_runs || !executor.is_dir() { Ok(()) } else { remove_dir(executor) }
}
