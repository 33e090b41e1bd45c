//! [`Follower`]: reads the output of running tasks, line by line, like `tail -f`.

use apportion::{TaskId, Text};
use indexmap::IndexMap;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// The longest line, in bytes; a longer one is split.
const MAX_LINE: usize = 64 * 1024;

/// The most bytes read of a file at once, so that a task that writes without end does not block all others.
const MAX_READ: u64 = 64 * 1024;

/// The most bytes read of a file once its task has ended; if more are left, the last ones.
const MAX_READ_AT_END: u64 = 1024 * 1024;

/// Follows the output of some tasks.
#[derive(Debug, Default)]
pub(crate) struct Follower {
    /// The ids of the apps and tasks to follow.
    wanted: Vec<Text>,
    tails: IndexMap<TaskId, [Tail; 2]>,
}

/// A line of a task's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) task: TaskId,
    pub(crate) is_error: bool,
    pub(crate) text: String,
}

/// A file, and how far it has been read.
#[derive(Debug)]
struct Tail {
    path: PathBuf,
    file: Option<File>,
    /// The bytes of an incomplete line.
    rest: Vec<u8>,
    /// Whether the last read stopped at its limit.
    is_behind: bool,
}

impl Follower {
    /// Follows the tasks with these ids, and all tasks of apps with these ids.
    pub(crate) fn new(wanted: impl IntoIterator<Item = Text>) -> Self {
        Self { wanted: wanted.into_iter().collect(), tails: IndexMap::new() }
    }

    /// Begins to follow a task that was launched, if it is wanted.
    pub(crate) fn begin(&mut self, app: &str, task: &TaskId, sandbox: &Path) {
        if self.wanted.iter().any(|wanted| wanted == app || wanted == task.as_str()) {
            let tails = ["stdout", "stderr"].map(|name| Tail::new(sandbox.join(name)));
            self.tails.insert(task.clone(), tails);
        }
    }

    /// Returns the lines since the last call, task by task.
    pub(crate) fn lines(&mut self) -> Vec<Line> {
        let mut lines = Vec::new();
        for (task, tails) in &mut self.tails {
            take(task, tails, false, &mut lines);
        }
        lines
    }

    /// Returns whether a file has more than was read of it.
    pub(crate) fn is_behind(&self) -> bool {
        self.tails.values().flatten().any(|tail| tail.is_behind)
    }

    /// Ends the following of a task. Returns its last lines.
    pub(crate) fn end(&mut self, task: &TaskId) -> Vec<Line> {
        let mut lines = Vec::new();
        if let Some(mut tails) = self.tails.shift_remove(task) {
            take(task, &mut tails, true, &mut lines);
        }
        lines
    }
}

fn take(task: &TaskId, tails: &mut [Tail; 2], is_end: bool, lines: &mut Vec<Line>) {
    for (tail, is_error) in tails.iter_mut().zip([false, true]) {
        let line = |text| Line { task: task.clone(), is_error, text };
        tail.read(is_end, |text| lines.push(line(text)));
    }
}

impl Tail {
    fn new(path: PathBuf) -> Self {
        Self { path, file: None, rest: Vec::new(), is_behind: false }
    }

    /// Reads the next part of the file. Errors are ignored: the file belongs to the task, which may remove it.
    fn read(&mut self, is_end: bool, mut line: impl FnMut(String)) {
        if self.file.is_none() {
            self.file = File::open(&self.path).ok();
        }
        let Some(file) = &mut self.file else { return };
        if is_end
            && let Ok(skipped) = skip_to_last(file, MAX_READ_AT_END)
            && skipped > 0
        {
            if !self.rest.is_empty() {
                line(text_of(&mut self.rest));
            }
            line(format!("[{skipped} bytes are not shown]"));
        }
        let mut file = file.take(if is_end { MAX_READ_AT_END } else { MAX_READ });
        let mut piece = [0; 8192];
        loop {
            let read = match file.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            for part in piece[..read].split_inclusive(|byte| *byte == b'\n') {
                self.rest.extend_from_slice(part);
                if part.ends_with(b"\n") || self.rest.len() >= MAX_LINE {
                    line(text_of(&mut self.rest));
                }
            }
        }
        self.is_behind = file.limit() == 0;
        if is_end && !self.rest.is_empty() {
            line(text_of(&mut self.rest));
        }
    }
}

/// Skips all but the last `end` bytes. Returns how many it skipped.
fn skip_to_last(file: &mut File, end: u64) -> io::Result<u64> {
    let (at, all) = (file.stream_position()?, file.metadata()?.len());
    let skipped = all.saturating_sub(at).saturating_sub(end);
    file.seek(SeekFrom::Start(at + skipped))?;
    Ok(skipped)
}

/// Takes a line out of the buffer, without its line end.
fn text_of(bytes: &mut Vec<u8>) -> String {
    let text = String::from_utf8_lossy(bytes).trim_end_matches(['\n', '\r']).to_owned();
    bytes.clear();
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    fn texts(lines: &[Line]) -> Vec<&str> {
        lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn lines_come_when_they_are_whole_and_the_rest_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut follower = Follower::new(["/web".into(), "db.2".into()]);
        let task = TaskId::from("web.1");
        follower.begin("/web", &task, folder.path());
        assert!(follower.lines().is_empty()); // it has not started yet
        let mut stdout = File::create(folder.path().join("stdout")).unwrap();
        let mut stderr = File::create(folder.path().join("stderr")).unwrap();
        stdout.write_all(b"one\r\ntw").unwrap();
        stderr.write_all(b"bad \xff\n").unwrap();
        let lines = follower.lines();
        assert_eq!(texts(&lines), ["one", "bad \u{fffd}"]);
        assert_eq!(lines.iter().map(|line| line.is_error).collect::<Vec<_>>(), [false, true]);
        stdout.write_all(b"o\n\nthree").unwrap();
        assert_eq!(texts(&follower.lines()), ["two", ""]);
        assert!(follower.lines().is_empty());
        assert_eq!(texts(&follower.end(&task)), ["three"]);
        assert!(follower.end(&task).is_empty() && follower.lines().is_empty());
    }

    #[test]
    fn a_line_without_an_end_comes_in_parts() {
        let folder = tempfile::tempdir().unwrap();
        let mut follower = Follower::new(["/web".into()]);
        let task = TaskId::from("web.1");
        follower.begin("/web", &task, folder.path());
        fs::write(folder.path().join("stdout"), "x".repeat(3 * MAX_LINE + 1)).unwrap();
        let lines = (0..4).flat_map(|_| follower.lines());
        let lines: Vec<usize> = lines.map(|line| line.text.len()).collect();
        assert_eq!(lines, [MAX_LINE; 3]);
        assert_eq!(texts(&follower.end(&task)), ["x"]);
    }

    #[test]
    fn a_task_that_writes_much_is_read_in_parts_and_at_last_only_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut follower = Follower::new(["/web".into()]);
        let task = TaskId::from("web.1");
        follower.begin("/web", &task, folder.path());
        let mut stdout = File::create(folder.path().join("stdout")).unwrap();
        let at_once = usize::try_from(MAX_READ).unwrap();
        stdout.write_all(&b"y\n".repeat(at_once)).unwrap();
        for _ in 0..2 {
            assert_eq!(follower.lines().len(), at_once / 2);
            assert!(follower.is_behind());
        }
        assert!(follower.lines().is_empty() && !follower.is_behind());
        let at_end = usize::try_from(MAX_READ_AT_END).unwrap();
        stdout.write_all(&b"n\n".repeat(at_once)).unwrap();
        stdout.write_all(&b"z\n".repeat(at_end / 2)).unwrap();
        let lines = follower.end(&task);
        assert_eq!(texts(&lines[..2]), [&format!("[{} bytes are not shown]", 2 * at_once), "z"]);
        assert_eq!(lines.len(), 1 + at_end / 2);
    }

    #[test]
    fn only_what_is_wanted_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("stdout"), "x\n").unwrap();
        let mut follower = Follower::new(["/web".into(), "db.2".into()]);
        for (app, task) in [("/web", "web.7"), ("/db", "db.1"), ("/db", "db.2"), ("/webs", "webs.1")] {
            follower.begin(app, &task.into(), folder.path());
        }
        let tasks: Vec<_> = follower.lines().into_iter().map(|line| line.task.to_string()).collect();
        assert_eq!(tasks, ["web.7", "db.2"]);
    }
}
