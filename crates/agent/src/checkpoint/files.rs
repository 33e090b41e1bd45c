//! Files that are whole or not there.

use rustix::fs::statvfs;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Why something could not be stored or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[error("{}: {error}; {} free there", folder.display(), Free(*free))]
pub struct StoreError {
    /// The folder.
    pub folder: PathBuf,
    /// The system's error.
    #[source]
    pub error: io::Error,
    /// The bytes that are free on its file system, if that is known.
    pub free: Option<u64>,
}

struct Free(Option<u64>);

impl std::fmt::Display for Free {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(bytes) => write!(f, "{} KiB are", bytes / 1024),
            None => f.write_str("an unknown amount is"),
        }
    }
}

impl StoreError {
    pub(super) fn new(folder: &Path, error: io::Error) -> Self {
        let existing = folder.ancestors().find(|folder| folder.exists()).unwrap_or(folder);
        let free = statvfs(existing).ok().map(|known| known.f_bavail.saturating_mul(known.f_frsize));
        Self { folder: folder.to_owned(), error, free }
    }
}

/// Returns the folder of a file.
fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or_else(|| Path::new("/"))
}

/// Writes a file: beside its place, to the disk, then to its place.
pub(super) fn write_file(path: &Path, text: &str) -> Result<(), StoreError> {
    let fail = |error| StoreError::new(folder(path), error);
    make_folder(folder(path)).map_err(fail)?;
    let temporary = temporary(path);
    let write = || -> io::Result<()> {
        let mut file = File::create(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        sync_folder(folder(path))
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&temporary); // it may not be there
        fail(error)
    })
}

/// Points a link to another name in its folder.
pub(super) fn link(path: &Path, target: &str) -> Result<(), StoreError> {
    let fail = |error| StoreError::new(folder(path), error);
    make_folder(folder(path)).map_err(fail)?;
    let temporary = temporary(path);
    remove_file(&temporary)?;
    let make = || -> io::Result<()> {
        symlink(target, &temporary)?;
        fs::rename(&temporary, path)?;
        sync_folder(folder(path))
    };
    make().map_err(fail)
}

/// Appends a line to a file, to the disk. What an earlier attempt has left of a line is cut off before.
pub(super) fn append_line(path: &Path, line: &str) -> Result<(), StoreError> {
    debug_assert!(!line.contains('\n'));
    let fail = |error| StoreError::new(folder(path), error);
    make_folder(folder(path)).map_err(fail)?;
    let is_new = !path.exists();
    let append = || -> io::Result<()> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let length = whole_lines(&mut file)?;
        file.set_len(length)?;
        file.seek(SeekFrom::Start(length))?;
        let written = file.write_all(format!("{line}\n").as_bytes()).and_then(|()| file.sync_data());
        if written.is_err() {
            let _ = file.set_len(length); // else the next attempt cuts it off
        }
        written?;
        if is_new { sync_folder(folder(path)) } else { Ok(()) }
    };
    append().map_err(fail)
}

/// Returns the length of a file up to the end of its last whole line.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    if length == 0 {
        return Ok(0);
    }
    let mut last = [0];
    file.seek(SeekFrom::Start(length - 1))?;
    file.read_exact(&mut last)?;
    if last == *b"\n" {
        return Ok(length);
    }
    let mut all = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut all)?;
    let end = all.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    Ok(u64::try_from(end).unwrap_or(u64::MAX))
}

/// Cuts a file to a length.
pub(super) fn cut(path: &Path, length: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(length)?;
    file.sync_all()
}

/// Removes a file or a link, if it is there.
pub(super) fn remove_file(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Ok(()) => sync_folder(folder(path)).map_err(|error| StoreError::new(folder(path), error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::new(folder(path), error)),
    }
}

/// Removes a folder with all that is in it, if it is there. Links are removed, not followed.
pub(super) fn remove_dir(path: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::new(folder(path), error)),
    }
}

/// Returns the names in a folder, in order; none if it is not there. Names that can be no id are left out.
pub(super) fn list(path: &Path) -> Result<Vec<String>, StoreError> {
    let fail = |error| StoreError::new(path, error);
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(fail(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(fail)?.file_name().into_string().ok();
        names.extend(name.filter(|name| !name.contains(char::is_control)));
    }
    names.sort();
    Ok(names)
}

/// Makes a folder and those above it that are missing, to the disk.
fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent() {
        make_folder(above)?;
    }
    match fs::create_dir(path) {
        Ok(()) => sync_folder(folder(path)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Returns where a file is written before it is renamed: a name that no id has, since ids have no control characters.
fn temporary(path: &Path) -> PathBuf {
    folder(path).join("\u{1}temporary")
}
