//! Reads checkpoints, over whatever is broken.

use super::files::{self, StoreError, remove_dir};
use super::forms::{AgentForm, ExecutorForm, FrameworkForm, Line, ProcessForm, TaskForm, run};
use super::{AGENT_FILE, EXECUTOR_FILE, FRAMEWORK_FILE, LATEST, PROCESS_FILE, TASK_FILE, UPDATES_FILE, forget_idle};
use crate::machine::{AgentRecord, Process, Recovered, RecoveredFramework, RecoveredRun, RecoveredTask, Run, Stray};
use apportion::AgentId;
use serde::de::DeserializeOwned;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Something that was found broken, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("{}: {what}; {then}", path.display())]
pub struct Broken {
    /// The file or the link.
    pub path: PathBuf,
    /// The fault, in words for people.
    pub what: String,
    /// The consequence, in words for people.
    pub then: &'static str,
}

/// A file of JSON.
enum Found<T> {
    Missing,
    Broken,
    Whole(T),
}

/// Reads checkpoints, and collects what is broken.
#[derive(Debug, Default)]
struct Reader {
    broken: Vec<Broken>,
}

pub(super) fn recover(slaves: &Path) -> Result<(Recovered, Vec<Broken>), StoreError> {
    let mut reader = Reader::default();
    let mut recovered = Recovered { id: reader.latest(slaves), ..Recovered::default() };
    if let Some(id) = recovered.id.clone() {
        let folder = slaves.join(id.as_str());
        recovered.agent = reader.agent(&folder, &id);
        recovered.frameworks = reader.frameworks(&folder)?;
    }
    for name in files::list(slaves)? {
        let is_own = recovered.id.as_ref().is_some_and(|id| name == id.as_str());
        if name != LATEST && !is_own {
            recovered.strays.extend(reader.strays(&slaves.join(name))?);
        }
    }
    Ok((recovered, reader.broken))
}

impl Reader {
    fn note(&mut self, path: &Path, what: impl ToString, then: &'static str) {
        self.broken.push(Broken { path: path.to_owned(), what: what.to_string(), then });
    }

    /// Returns the id of the agent: the target of `latest`.
    fn latest(&mut self, slaves: &Path) -> Option<AgentId> {
        let link = slaves.join(LATEST);
        let target = match fs::read_link(&link) {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                self.note(&link, error, "the agent starts anew");
                return None;
            }
        };
        let name = target.file_name().and_then(|name| name.to_str());
        let id = name.map(AgentId::from).filter(|id| id.check().is_ok() && slaves.join(id.as_str()).is_dir());
        if id.is_none() {
            self.note(&link, format_args!("{} is no folder here", target.display()), "the agent starts anew");
        }
        id
    }

    fn read<T: DeserializeOwned>(&mut self, path: &Path, then: &'static str) -> Found<T> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Found::Missing;
            }
            Err(error) => {
                self.note(path, error, then);
                return Found::Broken;
            }
        };
        match serde_json::from_slice(&text) {
            Ok(value) => Found::Whole(value),
            Err(error) => {
                self.note(path, error, then);
                Found::Broken
            }
        }
    }

    fn agent(&mut self, folder: &Path, id: &AgentId) -> Option<AgentRecord> {
        let path = folder.join(AGENT_FILE);
        let then = "the agent keeps its id; reservations and volumes that operations have made are lost";
        let record: AgentRecord = match self.read::<AgentForm>(&path, then) {
            Found::Whole(form) => form.into(),
            Found::Broken => return None,
            Found::Missing => {
                self.note(&path, "it is missing", then);
                return None;
            }
        };
        if record.agent.id != *id {
            self.note(&path, format_args!("it is of agent {}", record.agent.id), then);
            return None;
        }
        Some(record)
    }

    fn frameworks(&mut self, folder: &Path) -> Result<Vec<RecoveredFramework>, StoreError> {
        let folder = folder.join("frameworks");
        let mut found = Vec::new();
        for name in files::list(&folder)? {
            let folder = folder.join(&name);
            let path = folder.join(FRAMEWORK_FILE);
            let then = "the executors of the framework are ended";
            let form = self.read::<FrameworkForm>(&path, then);
            let runs = self.runs(&folder, &name)?;
            let info = match form {
                Found::Missing if runs.is_empty() => {
                    remove_dir(&folder)?; // half made or half removed
                    continue;
                }
                Found::Missing => {
                    self.note(&path, "it is missing", then);
                    None
                }
                Found::Broken => None,
                Found::Whole(form) => Some(form.framework),
            };
            let mut framework = RecoveredFramework::new(name, info);
            framework.runs = runs;
            found.push(framework);
        }
        Ok(found)
    }

    fn runs(&mut self, framework_folder: &Path, framework: &str) -> Result<Vec<RecoveredRun>, StoreError> {
        let mut found = Vec::new();
        let executors = framework_folder.join("executors");
        for executor in files::list(&executors)? {
            let runs = executors.join(&executor).join("runs");
            for container in files::list(&runs)? {
                if container != LATEST {
                    let id = run(framework, &executor, &container);
                    found.extend(self.run(&runs.join(&container), id)?);
                }
            }
            forget_idle(&executors.join(&executor))?;
        }
        Ok(found)
    }

    fn run(&mut self, folder: &Path, run: Run) -> Result<Option<RecoveredRun>, StoreError> {
        const THEN: &str = "the executor is ended";
        let path = folder.join(EXECUTOR_FILE);
        let record = match self.read::<ExecutorForm>(&path, THEN) {
            Found::Missing => {
                remove_dir(folder)?; // half made or half removed: nothing of it runs
                return Ok(None);
            }
            Found::Broken => None,
            Found::Whole(form) => Some(form.of(run.clone())),
        };
        let mut found = RecoveredRun::new(run, record);
        match self.read::<ProcessForm>(&folder.join(PROCESS_FILE), THEN) {
            Found::Missing => {}
            Found::Broken => found.is_broken = true,
            Found::Whole(form) => found.process = Some(form.into()),
        }
        let tasks = folder.join("tasks");
        for name in files::list(&tasks)? {
            let folder = tasks.join(&name);
            match self.read::<TaskForm>(&folder.join(TASK_FILE), THEN) {
                Found::Missing => remove_dir(&folder)?,
                Found::Broken => found.is_broken = true,
                Found::Whole(form) if form.task.id.as_str() == name => {
                    let mut task = RecoveredTask::new(form.task);
                    self.updates(&folder.join(UPDATES_FILE), &mut task);
                    found.tasks.push(task);
                }
                Found::Whole(form) => {
                    self.note(&folder.join(TASK_FILE), format_args!("it is of task {}", form.task.id), THEN);
                    found.is_broken = true;
                }
            }
        }
        Ok(Some(found))
    }

    /// Reads the statuses of a task, and cuts off what is not whole.
    fn updates(&mut self, path: &Path, task: &mut RecoveredTask) {
        const THEN: &str = "what follows is cut off";
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.note(path, error, "its statuses are lost"),
        };
        let mut whole = 0;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let read = line.strip_suffix(b"\n").ok_or_else(|| "the last line has no end".to_owned());
            let read = read.and_then(|line| serde_json::from_slice::<Line>(line).map_err(|error| error.to_string()));
            match read {
                Ok(Line::Update(status)) => task.updates.push(*status),
                Ok(Line::Acknowledged(uuid)) => task.acknowledged.push(uuid),
                Err(error) => {
                    self.note(path, format_args!("after {whole} bytes: {error}"), THEN);
                    if let Err(error) = files::cut(path, whole) {
                        self.note(path, error, "it is not cut");
                    }
                    return;
                }
            }
            whole += u64::try_from(line.len()).unwrap_or(u64::MAX);
        }
    }

    /// Returns the runs of another agent.
    fn strays(&mut self, folder: &Path) -> Result<Vec<Stray>, StoreError> {
        let frameworks = folder.join("frameworks");
        let mut strays = Vec::new();
        for name in files::list(&frameworks)? {
            let executors = frameworks.join(&name).join("executors");
            for executor in files::list(&executors)? {
                let runs = executors.join(&executor).join("runs");
                for container in files::list(&runs)?.into_iter().filter(|name| name != LATEST) {
                    let path = runs.join(&container).join(PROCESS_FILE);
                    let process = match self.read::<ProcessForm>(&path, "it is looked for by its name") {
                        Found::Whole(form) => Some(Process::from(form)),
                        Found::Missing | Found::Broken => None,
                    };
                    strays.push(Stray { run: run(&name, &executor, &container), process });
                }
            }
        }
        Ok(strays)
    }
}
