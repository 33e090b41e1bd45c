//! [`Root`]: a folder, and files below it that are named by others: no `..`, no link and no race leads out of it.
//!
//! The kernel resolves paths itself (`openat2` with `RESOLVE_BENEATH`). Before Linux 5.6, or where that is forbidden, they are walked
//! here, one folder after the other, each opened without following links.

use crate::user::name_of;
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, openat, openat2, readlinkat, statat, unlinkat,
};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// The most bytes that one read returns (Mesos: 16 pages).
pub const MAX_READ: u64 = 64 * 1024;

/// The most links in one path, as the kernel has it.
const MAX_LINKS: u32 = 40;

/// How often a path is looked up again that changed meanwhile.
const MAX_TRIES: u32 = 32;

/// A folder with all that is below it.
///
/// ```
/// use apportion_exec::beneath::Root;
///
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("stdout"), "hello")?;
/// std::os::unix::fs::symlink("/etc/passwd", folder.path().join("evil"))?;
/// let root = Root::open(folder.path())?;
/// assert_eq!(root.read("stdout", Some(1), Some(3))?.data, b"ell");
/// assert!(root.read("evil", Some(0), None).is_err());
/// assert!(root.read("../stdout", Some(0), None).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Root {
    folder: OwnedFd,
}

/// An entry of a folder, as `/files/browse` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its name. What is not UTF-8 in it is replaced.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    /// The number of its names.
    pub nlink: u64,
    /// The time of its last change, in seconds since 1970.
    pub mtime: i64,
    /// Its kind and permissions, as `ls` shows them: `-rw-r--r--`.
    pub mode: String,
    /// The same as the system has them, in `st_mode`.
    pub mode_bits: u32,
    /// The name of its owner, or the number.
    pub uid: String,
    /// The name of its group, or the number.
    pub gid: String,
    /// Whether it is a folder.
    pub is_folder: bool,
}

/// A part of a file, as `/files/read` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "as the endpoint has it")]
pub struct Part {
    /// The bytes.
    pub data: Vec<u8>,
    /// Where they begin; the length of the file if there are none.
    pub offset: u64,
}

impl Root {
    /// Opens a folder. Links in its own path are followed.
    ///
    /// # Errors
    ///
    /// The system's error if it is not there or no folder.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { folder: rustix::fs::open(folder, flags, Mode::empty())? })
    }

    /// Returns the entries of a folder, by name. `""` and `/` are the root itself.
    ///
    /// # Errors
    ///
    /// The system's error: `NotFound`, `NotADirectory`; `CrossesDevices` or `FilesystemLoop` for a path that leads out of the root.
    pub fn browse(&self, path: impl AsRef<Path>) -> io::Result<Vec<Entry>> {
        let folder = self.resolve(path.as_ref(), OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut entries = Vec::new();
        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            if let Ok(stat) = statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                entries.push(Entry::of(name.to_string_lossy().into_owned(), &stat));
            }
        }
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    /// Opens a file to be read. Pipes and devices are refused: opening or reading them may wait, or act.
    ///
    /// # Errors
    ///
    /// As [`Self::browse`]; `IsADirectory` for a folder, `InvalidInput` for what is no file.
    pub fn file(&self, path: impl AsRef<Path>) -> io::Result<File> {
        let file = self.resolve(path.as_ref(), OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        regular(file)
    }

    /// Reads a part of a file: at most `length` bytes, and at most [`MAX_READ`]. Without an offset, and beyond the end, there are no
    /// bytes, and the offset is the length of the file, from which a client can go on.
    ///
    /// # Errors
    ///
    /// As [`Self::file`].
    pub fn read(&self, path: impl AsRef<Path>, offset: Option<u64>, length: Option<u64>) -> io::Result<Part> {
        let mut file = self.file(path)?;
        let size = file.metadata()?.len();
        let Some(offset) = offset.filter(|offset| *offset < size) else {
            return Ok(Part { data: Vec::new(), offset: size });
        };
        file.seek(SeekFrom::Start(offset))?;
        let mut data = Vec::new();
        file.take(length.unwrap_or(MAX_READ).min(MAX_READ)).read_to_end(&mut data)?;
        Ok(Part { data, offset })
    }

    /// Opens a file right in the root to be appended to, and makes it if it is missing. A link is refused.
    ///
    /// # Errors
    ///
    /// As [`Self::file`].
    pub fn append(&self, name: &str) -> io::Result<File> {
        if name.contains('/') || matches!(name, "" | "." | "..") {
            return Err(Errno::INVAL.into());
        }
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW;
        let flags = flags | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = openat(&self.folder, name, flags, Mode::from_raw_mode(0o644))?;
        regular(file)
    }

    /// Makes a new, empty file right in the root to be written, in place of one of that name.
    ///
    /// # Errors
    ///
    /// As [`Self::file`].
    pub fn create(&self, name: &str) -> io::Result<File> {
        if name.contains('/') || matches!(name, "" | "." | "..") {
            return Err(Errno::INVAL.into());
        }
        match unlinkat(&self.folder, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(&self.folder, name, flags, Mode::from_raw_mode(0o644))?.into())
    }

    /// Returns a folder below the root as a root of its own.
    ///
    /// # Errors
    ///
    /// As [`Self::file`].
    pub fn below(&self, path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self { folder: self.resolve(path.as_ref(), OFlags::RDONLY | OFlags::DIRECTORY)? })
    }

    fn resolve(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC;
        let path = relative(path);
        for _ in 0..MAX_TRIES {
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
            match openat2(&self.folder, path.as_os_str(), flags, Mode::empty(), resolve) {
                Ok(file) => return Ok(file),
                Err(Errno::AGAIN | Errno::INTR) => {} // something was renamed meanwhile
                Err(Errno::NOSYS | Errno::PERM) => return Ok(walk(&self.folder, &path, flags)?),
                Err(error) => return Err(error.into()),
            }
        }
        Err(Errno::AGAIN.into())
    }
}

impl Entry {
    fn of(name: String, stat: &Stat) -> Self {
        Self {
            name,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            nlink: stat.st_nlink,
            mtime: stat.st_mtime,
            mode: mode_text(stat.st_mode),
            mode_bits: stat.st_mode,
            uid: name_of::user(stat.st_uid),
            gid: name_of::group(stat.st_gid),
            is_folder: FileType::from_raw_mode(stat.st_mode) == FileType::Directory,
        }
    }
}

/// Returns a file that waits for nothing, unless it is no regular one.
fn regular(file: OwnedFd) -> io::Result<File> {
    let file = File::from(file);
    let kind = file.metadata()?;
    if kind.is_dir() {
        return Err(Errno::ISDIR.into());
    }
    if !kind.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    Ok(file)
}

/// Returns a path without slashes at its start; the empty one is the folder itself.
fn relative(path: &Path) -> std::path::PathBuf {
    let bytes = path.as_os_str().as_bytes();
    let start = bytes.iter().position(|byte| *byte != b'/').unwrap_or(bytes.len());
    let rest = OsStr::from_bytes(&bytes[start..]);
    if rest.is_empty() { ".".into() } else { rest.into() }
}

/// Resolves a path below a folder step by step, and opens what it names. A step up is back to a folder that was opened before.
fn walk(root: &OwnedFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut folders: Vec<OwnedFd> = Vec::new();
    let mut parts = parts_of(path.as_os_str());
    let mut links = 0;
    loop {
        let Some(part) = parts.pop_front() else {
            let here = folders.last().unwrap_or(root);
            return openat(here, ".", flags, Mode::empty()); // the path ended with a folder
        };
        if part == ".." {
            folders.pop().ok_or(Errno::XDEV)?;
            continue;
        }
        let here = folders.last().unwrap_or(root).as_fd();
        let is_last = parts.is_empty();
        let found = if is_last {
            openat(here, &part, flags | OFlags::NOFOLLOW, Mode::empty())
        } else {
            openat(here, &part, step, Mode::empty())
        };
        match found {
            Ok(file) if is_last => return Ok(file),
            Ok(folder) => folders.push(folder),
            Err(error @ (Errno::LOOP | Errno::NOTDIR)) => {
                // A link, or what is no folder.
                let target = match readlinkat(here, &part, Vec::new()) {
                    Ok(target) => OsString::from_vec(target.into_bytes()),
                    Err(_) => return Err(error),
                };
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno::LOOP);
                }
                if target.as_bytes().first() == Some(&b'/') {
                    return Err(Errno::XDEV);
                }
                let mut rest = parts_of(&target);
                rest.append(&mut parts);
                parts = rest;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Returns the parts of a path, without empty ones and `.`.
fn parts_of(path: &OsStr) -> VecDeque<OsString> {
    let parts = path.as_bytes().split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
    parts.map(|part| OsStr::from_bytes(part).to_owned()).collect()
}

/// Returns a mode as `ls` shows it.
fn mode_text(mode: u32) -> String {
    let kind = match FileType::from_raw_mode(mode) {
        FileType::Directory => 'd',
        FileType::Symlink => 'l',
        FileType::Fifo => 'p',
        FileType::Socket => 's',
        FileType::CharacterDevice => 'c',
        FileType::BlockDevice => 'b',
        FileType::RegularFile | FileType::Unknown => '-',
    };
    let special = [(0o4000, 's', 'S'), (0o2000, 's', 'S'), (0o1000, 't', 'T')];
    let mut text = String::from(kind);
    for (index, (bit, with, without)) in special.into_iter().enumerate() {
        let bits = mode >> (6 - 3 * index);
        text.push(if bits & 4 == 0 { '-' } else { 'r' });
        text.push(if bits & 2 == 0 { '-' } else { 'w' });
        text.push(match (mode & bit != 0, bits & 1 != 0) {
            (true, true) => with,
            (true, false) => without,
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// Both ways resolve alike, and say the same of what is refused.
    #[test]
    fn a_path_is_walked_as_the_kernel_walks_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root");
        fs::create_dir_all(path.join("a/b")).unwrap();
        fs::write(path.join("a/file"), "x").unwrap();
        fs::write(folder.path().join("secret"), "x").unwrap();
        let links =
            [("good", "a/./file"), ("up", "../secret"), ("loop", "loop"), ("a/b/over", "../.."), ("dir", "a/b/")];
        links.iter().for_each(|(link, target)| symlink(target, path.join(link)).unwrap());
        symlink(folder.path().join("secret"), path.join("absolute")).unwrap();
        let root = Root::open(&path).unwrap();
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        for path in [
            "a/file",
            "good",
            "a/b/../file",
            "a/b/over/a/file",
            "dir",
            "dir/over",
            ".",
            "a/..",
            "up",
            "loop",
            "absolute",
            "..",
            "a/../..",
            "a/b/over/..",
            "none",
            "a/none/x",
            "a/file/x",
            "../root/a",
            "dir/over/../secret",
            "a//b//..//file",
        ] {
            let same_file = |file: OwnedFd| {
                let stat = rustix::fs::fstat(file).unwrap();
                (stat.st_dev, stat.st_ino)
            };
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
            let of_kernel = openat2(&root.folder, path, flags, Mode::empty(), resolve);
            let walked = walk(&root.folder, Path::new(path), flags);
            assert_eq!(walked.map(same_file), of_kernel.map(same_file), "{path}");
        }
    }

    #[test]
    fn modes_are_shown_as_ls_shows_them() {
        let cases = [
            (0o100_644, "-rw-r--r--"),
            (0o040_755, "drwxr-xr-x"),
            (0o120_777, "lrwxrwxrwx"),
            (0o041_777, "drwxrwxrwt"),
            (0o104_755, "-rwsr-xr-x"),
            (0o102_644, "-rw-r-Sr--"),
            (0o010_000, "p---------"),
        ];
        cases.iter().for_each(|(mode, text)| assert_eq!(mode_text(*mode), *text));
    }
}
