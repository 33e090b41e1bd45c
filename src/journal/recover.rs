//! [`recover`]: a master comes back from its journal.

use super::MAX_LINE_BYTES;
use super::line::{Instruction, Line, LineError, Query, limit, read};
use super::replay::run_line;
use crate::allocator::{Allocator, Persist};
use crate::json::Json;
use crate::master::Master;

/// What [`recover`] has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use = "a line that was cut off must be removed before the journal goes on"]
#[non_exhaustive]
pub struct Recovered {
    /// The number of lines, blank ones and comments too; not a last one that was cut off.
    pub lines: u64,
    /// The number of bytes of these lines. If each was given with its newline, it is the length to which the file is to be
    /// truncated before the journal goes on.
    pub bytes: u64,
    /// The number of commands that the master refused, as it did when they came.
    pub refused: u64,
    /// True if the last line was cut off, which happens when a process is killed as it writes. It is not part of the state:
    /// what it asked for was never stored, so nobody can have been told of it.
    pub is_cut_off: bool,
}

/// The reason why a journal cannot be read to its end. The master is as the lines before have made it.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {error}")]
#[non_exhaustive]
pub struct RecoverError {
    /// The number of the line, from 1.
    pub line: u64,
    /// What is wrong with it.
    #[source]
    pub error: LineError,
}

/// Runs the lines of a journal on a master, so that it is as the one that wrote them.
///
/// The master is a new one, or one as of which the lines go on. Its allocator is any that can be [saved](Persist): give it the sorters that decided when
/// the journal was written. If the first line is a [`header`](super::header), it must be that of the master; if it is a
/// snapshot, as of a rotated journal, the master must be new, and takes it over.
///
/// The lines may be bytes or text, with or without their newlines: a file may end within a character. Of what the commands
/// emit nothing is kept: it was told when they ran. Whoever was not reached any more, for the process that wrote the journal
/// has ended, comes back by himself: a framework subscribes again, an agent registers again with what runs on it. To see the
/// effects, use [`Replay`](super::Replay).
///
/// A last line that was cut off is left out, see [`Recovered::is_cut_off`]. A line that is complete but for its newline
/// counts; begin what is appended to such a file with a newline, since blank lines are skipped.
///
/// A million commands take one to three seconds.
///
/// # Errors
///
/// [`RecoverError`] with the first line that is no command, or whose time is before that of the line before. A command that
/// the master refuses is no error.
///
/// # Examples
///
/// ```
/// use apportion::{Command, Config, Framework, Master, Role, Time, journal};
///
/// let config = Config::default();
/// let command = Command::AddFramework(Framework::new("f1").role(Role::default()));
/// let mut file = format!("{}\n{}\n", journal::header(&config), journal::record(Time::from_secs(2), &command));
/// let length = file.len();
/// file += r#"{"at":3,"do":{"remove_fra"#; // killed while it wrote
///
/// let mut master = Master::new(config);
/// let recovered = journal::recover(&mut master, file.split_inclusive('\n'))?;
/// assert_eq!((recovered.lines, recovered.is_cut_off, recovered.bytes), (2, true, length as u64));
/// assert_eq!(master.now(), Time::from_secs(2));
/// # Ok::<(), apportion::journal::RecoverError>(())
/// ```
pub fn recover<A: Allocator + Persist>(
    master: &mut Master<A>,
    lines: impl IntoIterator<Item = impl AsRef<[u8]>>,
) -> Result<Recovered, RecoverError> {
    let mut recovered = Recovered::default();
    let mut has_begun = false;
    let mut lines = lines.into_iter().peekable();
    while let Some(line) = lines.next() {
        let bytes = line.as_ref();
        let read = match read_bytes(bytes) {
            Err(_) if lines.peek().is_none() && is_cut_off(bytes) => {
                recovered.is_cut_off = true;
                break;
            }
            read => read,
        };
        let run = |line: Option<Line>| match line {
            Some(line) => {
                let result = run_line(without_questions(line), !has_begun, master, None, &mut |_| ())?.1;
                has_begun = true;
                Ok(result.is_err())
            }
            None => Ok(false),
        };
        let refused = read.and_then(run).map_err(|error| RecoverError { line: recovered.lines + 1, error })?;
        recovered.lines += 1;
        recovered.bytes += bytes.len() as u64;
        recovered.refused += u64::from(refused);
    }
    Ok(recovered)
}

fn read_bytes(line: &[u8]) -> Result<Option<Line>, LineError> {
    read(std::str::from_utf8(line)?, MAX_LINE_BYTES)
}

/// Returns whether a line that cannot be read is the beginning of one that could be.
fn is_cut_off(line: &[u8]) -> bool {
    let text = match std::str::from_utf8(line) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => return true, // the end of a character is missing
        Err(_) => return false,
    };
    let is_begun = |text: &str| Json::parse(text).is_err_and(|error| error.is_cut_off());
    // What ends in a number may lack its next digit, which is another error.
    text.trim() == "/" || line.len() <= limit(text, MAX_LINE_BYTES) && (is_begun(text) || is_begun(&format!("{text}0")))
}

/// Drops what only prints something.
fn without_questions(line: Line) -> Line {
    match line.instruction {
        Ok(Instruction::Query(_)) => Line { instruction: Ok(Instruction::Query(Query::Advance)), ..line },
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocator::{Drf, Hierarchical, Random};
    use crate::journal::{Replay, header};
    use crate::master::Config;
    use crate::time::Time;

    const JOURNAL: &str = r#"{"do":{"configure":{"format":1}}}
// what follows is a whole life
{"at":0,"do":{"add_agent":{"id":"ä","resources":"cpus:4;mem:1024"}}}
{"do":{"add_framework":{"id":"f","roles":["web"]}}}
{"at":1,"do":{"decline":{"framework":"f","offers":["O1"]}}}

{"do":{"decline":{"framework":"f","offers":["O1"]}}}
{"at":1.5,"do":{"state":{}}}
{"at":9.5,"do":{"suppress":{"framework":"f"}}}
"#;

    fn new() -> Master {
        Master::new(Config::default())
    }

    /// What a journal makes of a new master.
    fn recovered(journal: &[u8]) -> (Master, Result<Recovered, RecoverError>) {
        let mut master = new();
        let result = recover(&mut master, journal.split_inclusive(|byte| *byte == b'\n'));
        (master, result)
    }

    #[test]
    fn a_master_comes_back_as_a_replay_has_it() {
        let mut replay = Replay::new();
        JOURNAL.lines().for_each(|line| replay.feed(line, |_| {}).unwrap());
        let (master, result) = recovered(JOURNAL.as_bytes());
        let all = Recovered { lines: 9, bytes: JOURNAL.len() as u64, refused: 1, is_cut_off: false };
        assert_eq!(result.unwrap(), all);
        assert_eq!((master.state(), master.now()), (replay.master().state(), replay.master().now()));
        assert_eq!(master.poll_timeout(), replay.master().poll_timeout());
        assert!(!master.has_effects());
    }

    #[test]
    fn a_journal_that_is_cut_anywhere_is_read_up_to_the_last_whole_line() {
        for end in 0..JOURNAL.len() {
            let (_, result) = recovered(&JOURNAL.as_bytes()[..end]);
            let read = result.unwrap_or_else(|error| panic!("at {end}: {error}"));
            let whole = JOURNAL.as_bytes()[..end].iter().filter(|byte| **byte == b'\n').count() as u64;
            assert!(read.lines == whole || (read.lines == whole + 1 && !read.is_cut_off), "at {end}: {read:?}");
            let kept = usize::try_from(read.bytes).unwrap();
            assert_eq!(recovered(&JOURNAL.as_bytes()[..kept]).1.unwrap(), Recovered { is_cut_off: false, ..read });
        }
    }

    #[test]
    fn a_wrong_line_leaves_the_master_as_the_lines_before_made_it() {
        for wrong in [
            &b"{\"do\":{\"dance\":{}}}"[..],
            b"\0\0\0",
            b"\xff",
            b"{\"at\":1,\"do\":{\"advance\":{}}}",
            b"{\"do\":{\n{}",
        ] {
            let journal = [JOURNAL.as_bytes(), wrong].concat();
            let (master, result) = recovered(&journal);
            assert_eq!((result.unwrap_err().line, master.now()), (10, Time::from_micros(9_500_000)), "{wrong:?}");
        }
    }

    #[test]
    fn a_header_must_be_that_of_the_master() {
        let config = Config { id_prefix: "x-".into(), ..Config::default() };
        let mut other = Master::new(config.clone());
        let error = recover(&mut other, JOURNAL.lines()).unwrap_err();
        assert!(matches!(error.error, LineError::OtherConfiguration { .. }), "{error}");
        let allocator = |config: &Config| Hierarchical::new(config.options.clone(), Random::new(1), Drf::default());
        let mut mine = Master::with_allocator(config.clone(), allocator);
        assert_eq!(recover(&mut mine, [header(&config)]).unwrap().lines, 1);
    }
}
