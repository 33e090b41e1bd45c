//! [`rotate`]: bounds the output of containers.

use crate::beneath::Root;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::Path;

/// Bounds the output in a sandbox and in those of the tasks below it: `stdout` and `stderr` that have more than `max` bytes are copied to
/// `stdout.1` and `stderr.1`, in place of earlier copies, and emptied. Returns how many were.
///
/// Programs go on writing to the same files, which they have opened to append to. What they write between the end of the copy and the
/// emptying is lost, as with `copytruncate` of logrotate. The files may be of the user of a task: links are not followed.
///
/// ```
/// use apportion_exec::rotation::rotate;
/// use apportion_exec::sandbox::Sandbox;
/// use std::io::Write;
///
/// let folder = tempfile::tempdir()?;
/// let [mut stdout, _stderr] = Sandbox::at(folder.path()).logs(None)?;
/// stdout.write_all(b"one\ntwo\n")?;
/// assert_eq!(rotate(folder.path(), 7)?, 1);
/// stdout.write_all(b"three\n")?;
/// let text = |name| std::fs::read_to_string(folder.path().join(name));
/// assert_eq!((text("stdout.1")?, text("stdout")?), ("one\ntwo\n".to_owned(), "three\n".to_owned()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// The system's error, if there is no such folder. Files that cannot be copied or emptied stay as they are.
pub fn rotate(sandbox: &Path, max: u64) -> io::Result<usize> {
    let root = Root::open(sandbox)?;
    let mut rotated = rotate_in(&root, max);
    for task in root.browse("tasks").unwrap_or_default() {
        if let Ok(sandbox) = root.below(Path::new("tasks").join(&task.name)) {
            rotated += rotate_in(&sandbox, max);
        }
    }
    Ok(rotated)
}

fn rotate_in(root: &Root, max: u64) -> usize {
    ["stdout", "stderr"].into_iter().filter(|name| matches!(rotate_file(root, name, max), Ok(true))).count()
}

fn rotate_file(root: &Root, name: &str, max: u64) -> io::Result<bool> {
    let from = root.file(name)?;
    let found = from.metadata()?;
    if found.len() <= max {
        return Ok(false);
    }
    let log = root.append(name)?; // no link
    let opened = log.metadata()?;
    if (opened.dev(), opened.ino()) != (found.dev(), found.ino()) {
        return Ok(false); // its owner has put another file in its place
    }
    let mut copy = root.create(&format!("{name}.1"))?;
    fchown(&copy, Some(found.uid()), Some(found.gid()))?;
    // What comes meanwhile is copied too, but a program that writes faster than that is not followed for ever.
    let mut from: io::Take<File> = from.take(found.len().saturating_mul(2));
    io::copy(&mut from, &mut copy)?;
    log.set_len(0)?;
    Ok(true)
}
