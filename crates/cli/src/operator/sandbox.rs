//! [`Sandbox`]: the folder of a task on its agent, found by the task's id.

use super::http::{Answer, Master, MasterError};
use super::state::{AgentState, Placed, State};
use apportion_console::Failure;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

/// The most bytes that are read at once.
const MAX_PIECE: u64 = 64 << 10;

/// The most ids that are named when there are several tasks with the same beginning.
const MAX_NAMED: usize = 10;

/// The folder of a task on its agent.
#[derive(Debug)]
pub(crate) struct Sandbox {
    agent: Master,
    folder: String,
}

/// A file or folder of a sandbox: Mesos' `FileInfo`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct FileInfo {
    pub(super) path: String,
    pub(super) nlink: u64,
    pub(super) size: u64,
    pub(super) mtime: Nanoseconds,
    pub(super) mode: u32,
    pub(super) uid: String,
    pub(super) gid: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Nanoseconds {
    pub(super) nanoseconds: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Files {
    file_infos: Vec<FileInfo>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Piece {
    size: u64,
    data: String,
}

/// Returns the task with that id, or the only one whose id begins so. One that has not ended goes before those that have.
pub(super) fn find_task<'a>(state: &'a State, name: &str) -> Result<Placed<'a>, Failure> {
    let all: Vec<Placed<'a>> = state.tasks().collect();
    let exact: Vec<&Placed<'a>> = all.iter().filter(|placed| placed.task.id == name).collect();
    let mut found =
        if exact.is_empty() { all.iter().filter(|placed| placed.task.id.starts_with(name)).collect() } else { exact };
    if found.iter().any(|placed| !placed.has_ended) {
        found.retain(|placed| !placed.has_ended);
    }
    match found[..] {
        [] => Err(Failure::Run(format!("there is no task {name}, and none whose id begins so"))),
        [one] => Ok(*one),
        _ => {
            let named: Vec<String> = found.iter().take(MAX_NAMED).map(|placed| placed.named()).collect();
            let more = if found.len() > MAX_NAMED { ", ..." } else { "" };
            Err(Failure::Run(format!(
                "{} tasks have ids that begin with {name}: {}{more}",
                found.len(),
                named.join(", ")
            )))
        }
    }
}

impl Sandbox {
    /// Finds the sandbox of a task.
    pub(super) fn of(master: &Master, state: &State, placed: &Placed<'_>) -> Result<Self, Failure> {
        let agent = state.agent(&placed.task.slave_id).and_then(super::state::Slave::authority).ok_or_else(|| {
            Failure::Run(format!("the agent {} of task {} is not connected", placed.task.slave_id, placed.task.id))
        })?;
        Self::on(master.agent(agent), &placed.task.framework_id, &placed.task.id)
    }

    /// Finds the sandbox of a task on that agent.
    pub(crate) fn on(agent: Master, framework: &str, task: &str) -> Result<Self, Failure> {
        let state: AgentState = agent.get("/state")?.read()?;
        let Some(executor) = state.executor_of(framework, task) else {
            return Err(Failure::Run(format!("the agent does not know task {task} any more")));
        };
        let mut sandbox = Self { agent, folder: executor.directory.clone() };
        if executor.id != task {
            // A task of a group has a folder of its own; others share that of their executor.
            let own = format!("{}/tasks/{task}", executor.directory);
            if sandbox.list_path(&own).is_ok() {
                sandbox.folder = own;
            }
        }
        Ok(sandbox)
    }

    /// Lists a folder of the sandbox. Returns the answer, too, as it came.
    pub(super) fn list(&self, path: &str) -> Result<(Answer, Vec<FileInfo>), MasterError> {
        self.list_path(&self.path(path))
    }

    fn list_path(&self, path: &str) -> Result<(Answer, Vec<FileInfo>), MasterError> {
        let answer = self.agent.call("LIST_FILES", Some(json!({ "path": path })))?;
        let Files { file_infos } = answer.body()?;
        Ok((answer, file_infos))
    }

    /// Returns the size of a file.
    pub(crate) fn size(&self, path: &str) -> Result<u64, MasterError> {
        let read = json!({ "path": self.path(path), "offset": 0, "length": 0 });
        let Piece { size, .. } = self.agent.call("READ_FILE", Some(read))?.body()?;
        Ok(size)
    }

    /// Reads a file from an offset on, but not all of it at once; nothing at its end.
    pub(crate) fn read(&self, path: &str, offset: u64) -> Result<Vec<u8>, MasterError> {
        let read = json!({ "path": self.path(path), "offset": offset, "length": MAX_PIECE });
        let answer = self.agent.call("READ_FILE", Some(read))?;
        let Piece { data, .. } = answer.body()?;
        STANDARD.decode(data).map_err(|error| answer.unreadable(error.to_string()))
    }

    fn path(&self, path: &str) -> String {
        format!("{}/{}", self.folder, path.trim_start_matches('/')).trim_end_matches('/').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        serde_json::from_value(json!({
            "slaves": [{"id": "S0", "hostname": "h", "pid": "slave(1)@127.0.0.1:5051"}],
            "frameworks": [
                {"id": "F1", "tasks": [{"id": "web-1", "framework_id": "F1"}, {"id": "web-12", "framework_id": "F1"}],
                    "completed_tasks": [{"id": "batch", "framework_id": "F1"}, {"id": "web-1", "framework_id": "F1"}]},
                {"id": "F2", "unreachable_tasks": [{"id": "far", "framework_id": "F2"}]},
            ],
            "completed_frameworks": [{"id": "F0", "completed_tasks": [{"id": "batch-old", "framework_id": "F0"}]}],
        }))
        .unwrap()
    }

    #[test]
    fn a_task_is_found_by_its_id_or_the_beginning_of_it() {
        let state = state();
        let found = |name: &str| find_task(&state, name).map(|placed| (placed.task.id.clone(), placed.has_ended));
        assert_eq!(found("web-1").unwrap(), ("web-1".into(), false), "the whole id, and the one that runs");
        assert_eq!(found("batch").unwrap(), ("batch".into(), true));
        assert_eq!(found("batch-").unwrap(), ("batch-old".into(), true));
        assert_eq!(found("f").unwrap(), ("far".into(), false));
        let error = found("web").unwrap_err().to_string();
        assert!(error.contains("2 tasks") && error.contains("web-1 of F1, web-12 of F1"), "{error}");
        assert!(found("nobody").unwrap_err().to_string().contains("no task nobody"));
    }

    #[test]
    fn paths_are_below_the_sandbox() {
        let master = Master::new("m:1", std::time::Duration::from_secs(1));
        let sandbox = Sandbox { agent: master.agent("a:1"), folder: "/w/runs/c".into() };
        assert_eq!(sandbox.path(""), "/w/runs/c");
        assert_eq!(sandbox.path("/stdout"), "/w/runs/c/stdout");
        assert_eq!(sandbox.path("a/b/"), "/w/runs/c/a/b");
    }
}
