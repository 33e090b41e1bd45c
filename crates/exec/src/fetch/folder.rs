//! Files made below one directory, never outside of it: each step of a path is opened by its parent's handle and must be a directory, not a link.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, linkat, mkdirat, open, openat, symlinkat, unlinkat};
use rustix::io::Errno;

use super::Cause;
use super::item::inside;

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A directory below which files are made.
#[derive(Debug)]
pub(super) struct Folder {
    root: OwnedFd,
    path: PathBuf,
}

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Self, Cause> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = open(path, flags, Mode::empty()).map_err(|error| io_cause(path, error))?;
        Ok(Self { root, path: path.to_owned() })
    }

    /// Makes a file that did not exist before, open to be written: what stood at its path is removed.
    pub(super) fn create(&self, path: &Path, mode: u32) -> Result<File, Cause> {
        let (parent, name) = self.make_way(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made =
            remove(&parent, &name).and_then(|()| openat(&parent, &name, flags, Mode::from_raw_mode(mode & 0o777)));
        made.map(File::from).map_err(|error| io_cause(path, error))
    }

    /// Opens a file that was made here, to be read.
    pub(super) fn read(&self, path: &Path) -> Result<File, Cause> {
        let (parent, name) = self.make_way(path)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = openat(&parent, &name, flags, Mode::empty());
        opened.map(File::from).map_err(|error| io_cause(path, error))
    }

    /// Makes a directory, unless it is there.
    pub(super) fn directory(&self, path: &Path) -> Result<(), Cause> {
        let mut handle = self.root.try_clone().map_err(|error| plain_io(path, error))?;
        for component in path.components() {
            handle = self.enter(&handle, component, path)?;
        }
        Ok(())
    }

    /// Makes a symbolic link, if its target lies in the folder.
    pub(super) fn symlink(&self, path: &Path, target: &Path) -> Result<(), Cause> {
        if !stays(path, target) {
            return Err(Cause::Escape { entry: path.to_owned(), target: Some(target.to_owned()) });
        }
        let (parent, name) = self.make_way(path)?;
        let made = remove(&parent, &name).and_then(|()| symlinkat(target, &parent, &name));
        made.map_err(|error| io_cause(path, error))
    }

    /// Makes a further name of a file in the folder; `target` is a path from the folder, as in archives.
    pub(super) fn hard_link(&self, path: &Path, target: &Path) -> Result<(), Cause> {
        let escape = || Cause::Escape { entry: path.to_owned(), target: Some(target.to_owned()) };
        let plain = inside(target).ok_or_else(escape)?;
        let (from, old) = self.make_way(&plain)?;
        let (to, new) = self.make_way(path)?;
        if plain == path {
            return Ok(());
        }
        let made = remove(&to, &new).and_then(|()| linkat(&from, &old, &to, &new, AtFlags::empty()));
        made.map_err(|error| io_cause(path, error))
    }

    /// Opens the parent of a path, making the directories on the way.
    fn make_way(&self, path: &Path) -> Result<(OwnedFd, PathBuf), Cause> {
        let escape = || Cause::Escape { entry: path.to_owned(), target: None };
        let name = path.file_name().map(PathBuf::from).ok_or_else(escape)?;
        let mut handle = self.root.try_clone().map_err(|error| plain_io(path, error))?;
        for component in path.parent().into_iter().flat_map(Path::components) {
            handle = self.enter(&handle, component, path)?;
        }
        Ok((handle, name))
    }

    fn enter(&self, parent: &OwnedFd, component: Component<'_>, path: &Path) -> Result<OwnedFd, Cause> {
        let Component::Normal(name) = component else {
            return Err(Cause::Escape { entry: path.to_owned(), target: None });
        };
        match mkdirat(parent, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(io_cause(&self.path.join(path), error)),
        }
        openat(parent, name, DIRECTORY, Mode::empty()).map_err(|error| match error {
            // A link, or a file, where the path needs a directory.
            Errno::LOOP | Errno::NOTDIR => Cause::Escape { entry: path.to_owned(), target: None },
            error => io_cause(&self.path.join(path), error),
        })
    }
}

/// Removes a file or link, if there is one.
fn remove(parent: &OwnedFd, name: &Path) -> Result<(), Errno> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        done => done,
    }
}

/// Tells whether a link at `path` stays in the folder, going by the text of its target.
fn stays(path: &Path, target: &Path) -> bool {
    let mut depth = path.components().count().saturating_sub(1);
    for component in target.components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
}

fn io_cause(path: &Path, error: Errno) -> Cause {
    plain_io(path, error.into())
}

pub(super) fn plain_io(path: &Path, error: io::Error) -> Cause {
    Cause::Io { path: path.to_owned(), error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn nothing_is_made_through_a_link() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        symlink(outside.path(), inside.path().join("link")).unwrap();
        symlink(outside.path().join("file"), inside.path().join("file")).unwrap();
        std::fs::write(outside.path().join("file"), "kept").unwrap();
        let folder = Folder::open(inside.path()).unwrap();
        let within = Path::new("link/new");
        for result in [
            folder.create(within, 0o644).map(drop),
            folder.directory(within),
            folder.symlink(within, Path::new("a")),
            folder.hard_link(within, Path::new("a")),
            folder.hard_link(Path::new("b"), Path::new("link/file")),
            folder.read(Path::new("link/file")).map(drop),
        ] {
            assert!(matches!(result, Err(Cause::Escape { .. })), "{result:?}");
        }
        assert!(folder.read(Path::new("file")).is_err(), "the last part is a link");
        drop(folder.create(Path::new("file"), 0o644).unwrap());
        assert_eq!(std::fs::read(outside.path().join("file")).unwrap(), b"kept");
        assert_eq!(std::fs::read(inside.path().join("file")).unwrap(), b"");
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
    }

    #[test]
    fn target_of_a_link_is_judged_from_its_directory() {
        let cases = [
            ("link", "a/b", true),
            ("link", "../a", false),
            ("a/link", "../b", true),
            ("a/link", "../../b", false),
            ("a/link", "b/../../c", true),
            ("a/link", "/etc/passwd", false),
        ];
        for (path, target, expected) in cases {
            assert_eq!(stays(Path::new(path), Path::new(target)), expected, "{path} to {target}");
        }
    }
}
