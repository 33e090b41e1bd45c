//! [`Sandbox`]: the folder of a container, with its output; and how much of a disk a folder uses.

use crate::beneath::Root;
use crate::user::User;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The longest name of a folder, in bytes, on all common file systems.
const MAX_NAME: usize = 255;

/// The folder of a container: `work_dir/slaves/AID/frameworks/FID/executors/EID/runs/CID`, beside which `latest` is a link to the
/// newest.
///
/// ```
/// use apportion_exec::sandbox::Sandbox;
///
/// let work_dir = tempfile::tempdir()?;
/// let sandbox = Sandbox::new(work_dir.path(), ["a1", "f1", "web.1", "c1"])?;
/// sandbox.create(None)?;
/// assert!(sandbox.path().ends_with("slaves/a1/frameworks/f1/executors/web.1/runs/c1"));
/// assert_eq!(std::fs::canonicalize(sandbox.latest())?, std::fs::canonicalize(sandbox.path())?);
/// assert!(Sandbox::new(work_dir.path(), ["a1", "f1", "../../etc", "c1"]).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    path: PathBuf,
}

/// An id that cannot be the name of a folder: it is empty, longer than 255 bytes, `.`, `..`, or has a slash or a control character.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("found id {id:?}, expected the name of a folder: 1 to 255 bytes, no slash, not . or ..")]
#[non_exhaustive]
pub struct NameError {
    /// The id.
    pub id: String,
}

/// A file or folder of a sandbox that cannot be made, changed or removed.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", path.display())]
#[non_exhaustive]
pub struct SandboxError {
    /// The file or folder.
    pub path: PathBuf,
    /// The system's error.
    pub error: io::Error,
}

/// Checks that an id can be the name of a folder.
///
/// # Errors
///
/// [`NameError`] if it cannot.
pub fn check_name(id: &str) -> Result<(), NameError> {
    let is_bad = id.is_empty() || id.len() > MAX_NAME || matches!(id, "." | "..");
    if is_bad || id.chars().any(|letter| letter == '/' || letter.is_control()) {
        return Err(NameError { id: id.to_owned() });
    }
    Ok(())
}

impl Sandbox {
    /// Returns the sandbox of a container by the ids of its agent, framework and executor, and its own. Makes nothing.
    ///
    /// # Errors
    ///
    /// [`NameError`] for the first id that cannot be the name of a folder.
    pub fn new(work_dir: &Path, [agent, framework, executor, container]: [&str; 4]) -> Result<Self, NameError> {
        let mut path = work_dir.to_owned();
        for (kind, id) in [("slaves", agent), ("frameworks", framework), ("executors", executor), ("runs", container)] {
            check_name(id)?;
            path.extend([kind, id]);
        }
        Ok(Self { path })
    }

    /// Returns the sandbox of a task in that of its executor: `tasks/ID` below it.
    ///
    /// # Errors
    ///
    /// [`NameError`] if the id cannot be the name of a folder.
    pub fn of_task(&self, task: &str) -> Result<Self, NameError> {
        check_name(task)?;
        Ok(Self { path: self.path.join("tasks").join(task) })
    }

    /// Returns the sandbox that is this folder, as an executor is told it (`MESOS_SANDBOX`).
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Returns the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the link to the newest container of the same executor.
    pub fn latest(&self) -> PathBuf {
        self.path.with_file_name("latest")
    }

    /// Makes the folder, which becomes the owner's, and sets the link `latest` if the folder is that of a container.
    ///
    /// # Errors
    ///
    /// [`SandboxError`] for the part that cannot be made; the message of a full disk is that of the system.
    pub fn create(&self, owner: Option<&User>) -> Result<(), SandboxError> {
        let failed = |error| SandboxError { path: self.path.clone(), error };
        fs::create_dir_all(&self.path).map_err(failed)?;
        if let Some(owner) = owner {
            chown(&self.path, Some(owner.uid()), Some(owner.gid())).map_err(failed)?;
        }
        let runs = self.path.parent().and_then(Path::file_name);
        if runs == Some(OsStr::new("runs"))
            && let Some(name) = self.path.file_name()
        {
            let latest = self.latest();
            replace_link(&latest, Path::new(name)).map_err(|error| SandboxError { path: latest, error })?;
        }
        Ok(())
    }

    /// Opens `stdout` and `stderr` to be appended to, and makes them where they are missing, as the owner's. Links are not followed.
    ///
    /// # Errors
    ///
    /// [`SandboxError`] for the file that cannot be opened.
    pub fn logs(&self, owner: Option<&User>) -> Result<[File; 2], SandboxError> {
        let root = Root::open(&self.path).map_err(|error| SandboxError { path: self.path.clone(), error })?;
        let open = |name: &str| {
            let failed = |error| SandboxError { path: self.path.join(name), error };
            let file = root.append(name).map_err(failed)?;
            if let Some(owner) = owner {
                std::os::unix::fs::fchown(&file, Some(owner.uid()), Some(owner.gid())).map_err(failed)?;
            }
            Ok(file)
        };
        Ok([open("stdout")?, open("stderr")?])
    }

    /// Appends a line to `stderr`, for the owner of the sandbox: why nothing runs in it, for example.
    ///
    /// # Errors
    ///
    /// [`SandboxError`] if the output cannot be opened or written.
    pub fn note(&self, message: &str) -> Result<(), SandboxError> {
        let [_, mut stderr] = self.logs(None)?;
        let failed = |error| SandboxError { path: self.path.join("stderr"), error };
        stderr.write_all(format!("{message}\n").as_bytes()).map_err(failed)
    }

    /// Removes the folder with all that is in it; links are removed, not followed. It is not an error if it is gone.
    ///
    /// # Errors
    ///
    /// [`SandboxError`] if something cannot be removed.
    pub fn remove(&self) -> Result<(), SandboxError> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(SandboxError { path: self.path.clone(), error })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Sets a link in one step, so that it is never missing.
fn replace_link(link: &Path, target: &Path) -> io::Result<()> {
    match symlink(target, link) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        done => return done,
    }
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let new = link.with_file_name(format!(".latest-{}-{number}", std::process::id()));
    symlink(target, &new)?;
    fs::rename(&new, link).inspect_err(|_| {
        let _ = fs::remove_file(&new);
    })
}

/// Returns the bytes of a disk that a folder uses with all that is below it: blocks, not lengths. A file with several names counts
/// once, links are not followed, and other file systems do not count. What vanishes meanwhile is passed over.
///
/// It takes as long as there are files: call it on a thread of its own.
///
/// # Errors
///
/// The system's error if there is no such folder.
pub fn disk_use(folder: &Path) -> io::Result<u64> {
    let top = fs::symlink_metadata(folder)?;
    let mut seen = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    let mut blocks = top.blocks();
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).into_iter().flatten().flatten() {
            let Ok(found) = entry.metadata() else { continue }; // of the entry itself, not of what a link points to
            if found.dev() != top.dev() || (found.nlink() > 1 && !found.is_dir() && !seen.insert(found.ino())) {
                continue;
            }
            blocks = blocks.saturating_add(found.blocks());
            if found.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Ok(blocks.saturating_mul(512)) // st_blocks counts 512 bytes, whatever the file system's block is
}
