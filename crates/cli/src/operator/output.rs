//! What tasks have written: `tail`, `logs` and the files of sandboxes.

use super::arguments::{LogsArguments, SandboxAction, SandboxArguments, TailArguments};
use super::http::{Master, MasterError};
use super::sandbox::{FileInfo, Sandbox, find_task};
use super::state::State;
use super::table::{Kind, Table, counted};
use super::{Failure, Printer};
use std::io::Write;
use std::time::Duration;

/// The time between two looks at a file that is followed.
const PAUSE: Duration = Duration::from_millis(300);

/// The number of bytes in which the last lines are looked for at first; it doubles.
const FIRST_LOOK: u64 = 8 << 10;

/// Prints the last lines of a file of a sandbox, and what is appended to it.
pub(super) fn tail(master: &Master, arguments: &TailArguments, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let (sandbox, mut task) = find(master, &arguments.task)?;
    let file = arguments.file.as_str();
    let mut offset = last_lines(&sandbox, file, arguments.lines)?;
    loop {
        let is_last = !arguments.follow || task.has_ended(master)?; // asked before the file is read, so nothing is missed
        offset = copy(&sandbox, file, offset, printer.out)?;
        if is_last {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
}

/// Prints all that a task has written to its two outputs, each to the same of this program.
pub(super) fn logs(master: &Master, arguments: &LogsArguments, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let (sandbox, mut task) = find(master, &arguments.task)?;
    let mut follower = Follower::new(sandbox);
    loop {
        let is_last = !arguments.follow || task.has_ended(master)?;
        follower.copy(printer.out)?;
        if is_last {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
}

/// Lists a folder of a sandbox, or prints a file.
pub(super) fn sandbox(master: &Master, arguments: &SandboxArguments, printer: &mut Printer<'_>) -> Result<(), Failure> {
    match &arguments.action {
        SandboxAction::Ls { task, path, .. } => {
            let (answer, files) = find(master, task)?.0.list(path.as_deref().unwrap_or_default())?;
            if printer.is_json {
                return printer.answer(&answer);
            }
            let columns = [
                ("MODE", Kind::Word),
                ("LINKS", Kind::Number),
                ("USER", Kind::Word),
                ("GROUP", Kind::Word),
                ("SIZE", Kind::Number),
                ("NAME", Kind::Text),
            ];
            let mut table = Table::new(columns);
            for FileInfo { path, nlink, size, mode: bits, uid, gid, .. } in files {
                let name = path.rsplit('/').next().unwrap_or_default().to_owned();
                table.row([mode(bits), nlink.to_string(), uid, gid, size.to_string(), name]);
            }
            printer.table(&table, &counted(table.len(), "file"))
        }
        SandboxAction::Cat { task, path } => {
            copy(&find(master, task)?.0, path, 0, printer.out)?;
            Ok(())
        }
    }
}

/// A task whose end is waited for.
struct Watched {
    framework: String,
    id: String,
    has_ended: bool,
}

impl Watched {
    fn has_ended(&mut self, master: &Master) -> Result<bool, Failure> {
        if !self.has_ended {
            let state: State = master.get("/state")?.read()?;
            let mut tasks = state.tasks().filter(|placed| !placed.has_ended);
            self.has_ended =
                !tasks.any(|placed| placed.task.id == self.id && placed.task.framework_id == self.framework);
        }
        Ok(self.has_ended)
    }
}

fn find(master: &Master, name: &str) -> Result<(Sandbox, Watched), Failure> {
    let state: State = master.get("/state")?.read()?;
    let placed = find_task(&state, name)?;
    let watched = Watched {
        framework: placed.task.framework_id.clone(),
        id: placed.task.id.clone(),
        has_ended: placed.has_ended,
    };
    Ok((Sandbox::of(master, &state, &placed)?, watched))
}

/// Both outputs of a task, from the beginning on.
pub(crate) struct Follower {
    sandbox: Sandbox,
    offsets: [u64; 2],
}

impl Follower {
    pub(crate) fn new(sandbox: Sandbox) -> Self {
        Self { sandbox, offsets: [0, 0] }
    }

    /// Copies what has been written since the last time.
    pub(crate) fn copy(&mut self, out: &mut impl Write) -> Result<(), Failure> {
        self.offsets[0] = copy(&self.sandbox, "stdout", self.offsets[0], out)?;
        self.offsets[1] = copy(&self.sandbox, "stderr", self.offsets[1], &mut std::io::stderr().lock())?;
        Ok(())
    }
}

/// Copies a file from an offset up to its end, and returns the offset of that.
fn copy(sandbox: &Sandbox, file: &str, mut offset: u64, out: &mut impl Write) -> Result<u64, Failure> {
    loop {
        let piece = sandbox.read(file, offset)?;
        if piece.is_empty() {
            out.flush()?;
            return Ok(offset);
        }
        out.write_all(&piece)?;
        offset += piece.len() as u64;
    }
}

/// Returns the offset of the last so many lines of a file.
fn last_lines(sandbox: &Sandbox, file: &str, lines: usize) -> Result<u64, MasterError> {
    let size = sandbox.size(file)?;
    let mut look = FIRST_LOOK;
    loop {
        let start = size.saturating_sub(look);
        let mut text = Vec::new();
        while (text.len() as u64) < size - start {
            let piece = sandbox.read(file, start + text.len() as u64)?;
            if piece.is_empty() {
                break; // it has become shorter
            }
            text.extend(piece);
        }
        match offset_of_lines(&text, lines) {
            Some(offset) => return Ok(start + offset as u64),
            None if start == 0 => return Ok(0),
            None => look = look.saturating_mul(2),
        }
    }
}

/// Returns where the last so many lines begin; `None` if there are not so many line ends before them.
fn offset_of_lines(text: &[u8], lines: usize) -> Option<usize> {
    if lines == 0 {
        return Some(text.len());
    }
    let body = text.strip_suffix(b"\n").unwrap_or(text);
    let ends = body.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n');
    ends.map(|(index, _)| index + 1).nth(lines - 1)
}

/// Returns a mode as `ls` writes it.
fn mode(bits: u32) -> String {
    let kind = match bits & 0o170_000 {
        0o040_000 => 'd',
        0o120_000 => 'l',
        0o010_000 => 'p',
        0o140_000 => 's',
        _ => '-',
    };
    let rights = (0..9).rev().map(|bit| if bits >> bit & 1 == 1 { ["x", "w", "r"][bit % 3] } else { "-" });
    std::iter::once(kind.to_string()).chain(rights.map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_found() {
        let of = |text: &str, lines| offset_of_lines(text.as_bytes(), lines).map(|offset| text[offset..].to_owned());
        assert_eq!(of("a\nb\nc\n", 2).as_deref(), Some("b\nc\n"));
        assert_eq!(of("a\nb\nc", 1).as_deref(), Some("c"));
        assert_eq!(of("a\n\n", 1).as_deref(), Some("\n"));
        assert_eq!(of("a\nb\n", 2), None);
        assert_eq!((of("", 3), of("a\n", 0).as_deref()), (None, Some("")));
    }

    #[test]
    fn modes_are_those_of_ls() {
        assert_eq!([0o100_644, 0o040_755, 0o120_777].map(mode), ["-rw-r--r--", "drwxr-xr-x", "lrwxrwxrwx"]);
    }
}
