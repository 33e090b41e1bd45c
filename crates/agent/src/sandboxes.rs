//! [`Sandboxes`]: the files that an agent shows, sandboxes and its log. No path and no link leads out of them.

use crate::gc::runs;
use crate::settings::Settings;
use apportion_exec::beneath::Root;
use apportion_http::files::{FileInfo, Files};
use rustix::io::Errno;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// The path of the log.
const LOG: &str = "/slave/log";

/// The path of the log of an agent, as other versions of Mesos call it.
const AGENT_LOG: &str = "/agent/log";

/// The files that an agent shows.
#[derive(Debug)]
pub(crate) struct Sandboxes {
    settings: Arc<Settings>,
    /// The id of the agent, once it has one.
    agent: RwLock<String>,
}

/// A place in what is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Log(PathBuf),
    /// A sandbox, and the path of something in it.
    Sandbox(PathBuf, PathBuf),
}

impl Sandboxes {
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        Self { settings, agent: RwLock::default() }
    }

    /// Notes the id of the agent, whose sandboxes are shown under `/frameworks`.
    pub(crate) fn set_agent(&self, id: &str) {
        let mut agent = self.agent.write().unwrap_or_else(PoisonError::into_inner);
        if *agent != id {
            id.clone_into(&mut agent);
        }
    }

    /// Returns the id of the agent; an empty text if it has none.
    pub(crate) fn agent(&self) -> String {
        self.agent.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Finds the place of a path: that of a sandbox on this machine, or one below `/frameworks`, of which both may say `latest` for
    /// the last run.
    fn place(&self, path: &str) -> io::Result<Place> {
        let not_found = || io::Error::from(io::ErrorKind::NotFound);
        if path == LOG || path == AGENT_LOG {
            return self.settings.log.clone().map(Place::Log).ok_or_else(not_found);
        }
        let work_dir = &self.settings.machine.work_dir;
        let agent = self.agent();
        let whole = if path.starts_with("/frameworks/") {
            work_dir.join("slaves").join(agent).join(&path[1..])
        } else {
            PathBuf::from(path)
        };
        let below = whole.strip_prefix(work_dir).map_err(|_| not_found())?;
        let parts: Vec<&str> = below.iter().map(|part| part.to_str().unwrap_or_default()).collect();
        let &["slaves", agent, "frameworks", framework, "executors", executor, "runs", run, ref rest @ ..] = &parts[..]
        else {
            return Err(not_found());
        };
        let runs = work_dir.join("slaves").join(agent).join("frameworks").join(framework);
        let runs = runs.join("executors").join(executor).join("runs");
        let run = match run {
            "latest" => latest(&runs)?,
            run => runs.join(run),
        };
        if !fs::symlink_metadata(&run)?.is_dir() {
            return Err(not_found());
        }
        Ok(Place::Sandbox(run, rest.iter().collect()))
    }
}

/// Returns the last run, to which the link of that name in a folder leads.
fn latest(runs: &Path) -> io::Result<PathBuf> {
    let target = fs::read_link(runs.join("latest"))?;
    match target.file_name() {
        Some(name) => Ok(runs.join(name)),
        None => Err(io::ErrorKind::NotFound.into()),
    }
}

impl Files for Sandboxes {
    fn open(&self, path: &str) -> io::Result<File> {
        match self.place(path)? {
            Place::Log(file) => File::open(file),
            Place::Sandbox(root, rest) => Root::open(&root)?.file(rest).map_err(hidden),
        }
    }

    fn list(&self, path: &str) -> io::Result<Vec<FileInfo>> {
        match self.place(path)? {
            Place::Log(file) => Ok(FileInfo::all(vec![(path.to_owned(), fs::metadata(file)?)])),
            Place::Sandbox(root, rest) => {
                let root = Root::open(&root)?;
                match root.browse(&rest) {
                    Ok(entries) => {
                        let info = |entry: apportion_exec::beneath::Entry| FileInfo {
                            path: format!("{path}/{}", entry.name),
                            size: entry.size,
                            nlink: entry.nlink,
                            modified: (entry.mtime, 0),
                            mode: entry.mode_bits,
                            user: entry.uid,
                            group: entry.gid,
                        };
                        Ok(entries.into_iter().map(info).collect())
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                        let found = root.file(&rest).and_then(|file| file.metadata()).map_err(hidden)?;
                        Ok(FileInfo::all(vec![(path.to_owned(), found)]))
                    }
                    Err(error) => Err(hidden(error)),
                }
            }
        }
    }

    fn shown(&self) -> Vec<(String, String)> {
        let log = self.settings.log.iter().map(|file| (LOG.to_owned(), file.display().to_string()));
        let sandboxes = runs(&self.settings.machine.work_dir).into_iter().map(|run| run.display().to_string());
        log.chain(sandboxes.map(|run| (run.clone(), run))).collect()
    }
}

/// What leads out of a sandbox is not there.
fn hidden(error: io::Error) -> io::Error {
    let leads_out = [Errno::XDEV, Errno::LOOP].map(|errno| Some(errno.raw_os_error()));
    if leads_out.contains(&error.raw_os_error()) { io::ErrorKind::NotFound.into() } else { error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apportion::Agent;
    use std::io::Read as _;
    use std::os::unix::fs::symlink;

    fn sandboxes(work_dir: &Path) -> (Sandboxes, PathBuf) {
        let run = work_dir.join("slaves/a/frameworks/f/executors/e/runs/r");
        fs::create_dir_all(run.join("tasks/t")).unwrap();
        symlink("r", run.with_file_name("latest")).unwrap();
        fs::write(run.join("stdout"), "hello\n").unwrap();
        fs::write(work_dir.join("secret"), "x").unwrap();
        let agent = Agent::new("", "cpus:1".parse().unwrap());
        let mut settings = Settings::new("127.0.0.1:5050", agent, work_dir);
        settings.log = Some(work_dir.join("secret"));
        let sandboxes = Sandboxes::new(Arc::new(settings));
        sandboxes.set_agent("a");
        (sandboxes, run)
    }

    #[test]
    fn a_sandbox_is_shown_by_three_paths() {
        let folder = tempfile::tempdir().unwrap();
        let (sandboxes, run) = sandboxes(folder.path());
        let run = run.display().to_string();
        let latest = format!("{}/latest", run.rsplit_once('/').unwrap().0);
        for path in [run.as_str(), &latest, "/frameworks/f/executors/e/runs/latest", "/frameworks/f/executors/e/runs/r"]
        {
            let mut text = String::new();
            sandboxes.open(&format!("{path}/stdout")).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "hello\n");
            let listed: Vec<String> = sandboxes.list(path).unwrap().into_iter().map(|info| info.path).collect();
            assert_eq!(listed, [format!("{path}/stdout"), format!("{path}/tasks")]);
            assert_eq!(sandboxes.list(&format!("{path}/tasks/t")).unwrap().len(), 0);
            assert_eq!(sandboxes.list(&format!("{path}/stdout")).unwrap()[0].size, 6);
        }
        assert!(sandboxes.shown().contains(&(run.clone(), run)), "{:?}", sandboxes.shown());
        assert!(sandboxes.open(LOG).is_ok());
    }

    #[test]
    fn nothing_else_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let (sandboxes, run) = sandboxes(folder.path());
        let work_dir = folder.path().display().to_string();
        symlink(folder.path().join("secret"), run.join("absolute")).unwrap();
        symlink("../../../../../../../../secret", run.join("relative")).unwrap();
        symlink("/etc", run.join("folder")).unwrap();
        symlink(folder.path(), run.with_file_name("evil")).unwrap();
        let run = run.display().to_string();
        for path in [
            "/",
            "/etc/passwd",
            &work_dir,
            &format!("{work_dir}/secret"),
            &format!("{work_dir}/meta"),
            &format!("{work_dir}/slaves/a"),
            &format!("{work_dir}/slaves/a/frameworks/f/executors/e/runs"),
            &format!("{work_dir}/slaves/a/frameworks/f/executors/e/runs/evil/secret"),
            &format!("{run}/absolute"),
            &format!("{run}/relative"),
            &format!("{run}/folder/passwd"),
            &format!("{run}/nothing"),
            "/frameworks/f/executors/e",
        ] {
            let error = sandboxes.open(path).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound, "{path}: {error}");
            assert_eq!(sandboxes.list(path).map(|_| ()).unwrap_err().kind(), io::ErrorKind::NotFound, "{path}");
        }
        assert_eq!(sandboxes.open(&run).unwrap_err().kind(), io::ErrorKind::IsADirectory);
    }
}
