//! [`parse`]: a line of a journal to what it asks for.

use super::{MAX_LINE_BYTES, MAX_RESTORE_BYTES};
use crate::allocator::{Snapshot, SnapshotError};
use crate::forms::ValueError;
use crate::forms::raw::{Explain, RawCommand, RawLine, Restore};
use crate::id::{AgentId, FrameworkId};
use crate::json::{self, JsonError, ReadError};
use crate::master::{Command, Config};
use crate::role::Role;
use crate::time::{Time, TimeError};

/// A line of a journal that is not blank.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Entry {
    /// The time of the line; `None` means that of the line before, which is 0 for the first line.
    pub at: Option<Time>,
    /// The instruction.
    pub instruction: Instruction,
}

/// An instruction to a master: what a line of a journal holds.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Instruction {
    /// The header: the configuration of the master. Only the first line may be one.
    Configure(Box<Config>),
    /// The state to go on from, in place of a header. Only the first line may be one.
    Restore(Box<Snapshot>),
    /// A command for the master.
    Command(Box<Command>),
    /// A question to the master: it changes nothing but the time.
    Query(Query),
}

/// A question in a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Query {
    /// `advance`: run all timers due up to the time of the line. All other lines do so first, too.
    Advance,
    /// `state`: print a snapshot for people ([`Master::state`](crate::Master::state)).
    State,
    /// `snapshot`: print what `restore` takes ([`Master::snapshot`](crate::Master::snapshot)).
    Snapshot,
    /// `explain`: print why a framework is not offered an agent ([`Master::explain`](crate::Master::explain)).
    Explain {
        /// The framework.
        framework: FrameworkId,
        /// The role; `None` means each of the framework's.
        role: Option<Role>,
        /// The agent; `None` means all agents together.
        agent: Option<AgentId>,
    },
}

/// The reason why a line of a journal cannot be read or run. The lines after it may depend on it, so reading should stop.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// The line is not JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The line is not a known command, or has a field that is missing, unknown or of the wrong type.
    #[error("{what} at byte {at}")]
    Shape {
        /// The byte up to which the line was read, from 0.
        at: usize,
        /// The value found and the value expected.
        what: String,
    },
    /// The line is not UTF-8.
    #[error("found bytes that are no UTF-8, expected text")]
    Text(#[from] std::str::Utf8Error),
    /// The line is too long to be parsed.
    #[error("a line of {found} bytes: expected at most {limit}")]
    TooLong {
        /// The length of the line.
        found: usize,
        /// The longest line.
        limit: usize,
    },
    /// The time is invalid.
    #[error(transparent)]
    Time(#[from] TimeError),
    /// The configuration is refused: with another one the lines after it would mean something else.
    #[error("`configure` is refused: {0}")]
    Configuration(#[from] ValueError),
    /// The configuration is not that of the master, which is fixed for its lifetime.
    #[error("a journal of another configuration: found {found}, expected {expected}")]
    OtherConfiguration {
        /// The [header](super::header) of the journal.
        found: String,
        /// The header of the master.
        expected: String,
    },
    /// The snapshot is refused: nothing can be restored from it.
    #[error("`restore` is refused: {0}")]
    Restore(#[from] SnapshotError),
    /// A value has the right JSON type but is invalid, such as a negative amount. A master refuses such a command.
    #[error("`{command}` is refused: {error}")]
    Value {
        /// The name of the command.
        command: &'static str,
        /// The reason.
        error: ValueError,
    },
    /// The time is before that of the previous line.
    #[error("`at` is {at}, before {now} of the line before: expected {now} or later")]
    TimeWentBack {
        /// The time of the previous line.
        now: Time,
        /// The time of this line.
        at: Time,
    },
}

impl From<ReadError> for LineError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Syntax(error) => Self::Json(error),
            ReadError::Shape { at, what } => Self::Shape { at, what },
        }
    }
}

/// The name of the command that configures a master.
pub(super) const HEADER: &str = "configure";

/// Reads one line of a journal; `None` if it is blank or a comment (`//`).
///
/// To come back from a whole journal use [`recover`](super::recover()), to see its effects [`Replay`](super::Replay).
///
/// # Errors
///
/// [`LineError`] for a line that is too long, not a command, or has an invalid value. A line that [`record`](super::record)
/// has written can be read, whatever is in it.
///
/// # Examples
///
/// ```
/// use apportion::journal::{self, Instruction};
/// use apportion::{Command, Config, Framework, Master, Role, Time};
///
/// let line = journal::record(Time::from_secs(2), &Command::AddFramework(Framework::new("f1").role(Role::default())));
/// let mut master = Master::new(Config::default());
/// if let Some(entry) = journal::parse(&line)?
///     && let Instruction::Command(command) = entry.instruction
/// {
///     master.handle(entry.at.unwrap_or(master.now()), *command)?;
/// }
/// assert_eq!(master.now(), Time::from_secs(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn parse(line: &str) -> Result<Option<Entry>, LineError> {
    let Some(Line { at, command, instruction }) = read(line, MAX_LINE_BYTES)? else { return Ok(None) };
    let instruction = instruction.map_err(|error| match command {
        HEADER => LineError::Configuration(error),
        _ => LineError::Value { command, error },
    })?;
    Ok(Some(Entry { at, instruction }))
}

/// Returns whether a line that begins so restores a snapshot, and so may have [`MAX_RESTORE_BYTES`]. What reads lines from a
/// stream asks this when a line grows longer than others may be.
///
/// ```
/// use apportion::journal::is_restore;
///
/// assert!(is_restore(r#"{"at":12.5,"do":{"restore":{"format"#));
/// assert!(!is_restore(r#"{"at":12.5,"do":{"add_agent":{"id"#));
/// ```
#[must_use]
pub fn is_restore(start: &str) -> bool {
    let is_of_number = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
    let Some(rest) = after(without_mark(start), &["{"]) else { return false };
    let command = match after(rest, &["\"at\"", ":"]) {
        Some(time) => after(time.trim_start().trim_start_matches(is_of_number), &[","]),
        None => Some(rest),
    };
    command.and_then(|command| after(command, &["\"do\"", ":", "{", "\"restore\""])).is_some()
}

/// Returns the text after these tokens, between which there may be white space, if it begins with them.
fn after<'t>(text: &'t str, tokens: &[&str]) -> Option<&'t str> {
    tokens.iter().try_fold(text, |text, token| text.trim_start().strip_prefix(token))
}

/// Returns the text after the byte order mark with which some editors begin a file.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// A line, of which a value may be invalid.
pub(super) struct Line {
    pub(super) at: Option<Time>,
    /// The name of the command.
    pub(super) command: &'static str,
    pub(super) instruction: Result<Instruction, ValueError>,
}

/// Returns the longest line that may begin so, if others than a snapshot have that limit.
pub(super) fn limit(line: &str, limit: usize) -> usize {
    if is_restore(line) { limit.max(MAX_RESTORE_BYTES) } else { limit }
}

/// Reads a line of at most `max_bytes`, or [`MAX_RESTORE_BYTES`] for a snapshot.
pub(super) fn read(line: &str, max_bytes: usize) -> Result<Option<Line>, LineError> {
    if line.len() > max_bytes && line.len() > limit(line, max_bytes) {
        return Err(LineError::TooLong { found: line.len(), limit: limit(line, max_bytes) });
    }
    let text = without_mark(line).trim();
    if text.is_empty() || text.starts_with("//") {
        return Ok(None);
    }
    let RawLine { at, command } = json::from_str(text)?;
    let at = at.map(Time::try_from).transpose()?;
    let name = command.name();
    Ok(Some(Line { at, command: name, instruction: Instruction::try_from(command) }))
}

impl TryFrom<RawCommand> for Instruction {
    type Error = ValueError;

    #[expect(clippy::wildcard_enum_match_arm, reason = "all others are commands for the master")]
    fn try_from(raw: RawCommand) -> Result<Self, ValueError> {
        Ok(match raw {
            RawCommand::Configure(configure) => Self::Configure(Box::new(Config::try_from(*configure)?)),
            RawCommand::Advance(_) => Self::Query(Query::Advance),
            RawCommand::State(_) => Self::Query(Query::State),
            RawCommand::Snapshot(_) => Self::Query(Query::Snapshot),
            RawCommand::Restore(Restore { snapshot }) => Self::Restore(Box::new(snapshot)),
            RawCommand::Explain(Explain { framework, role, agent }) => {
                let role = role.map(Role::new).transpose()?;
                Self::Query(Query::Explain { framework, role, agent })
            }
            command => Self::Command(Box::new(Command::try_from(command)?)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_what_it_asks_for() {
        for (line, wanted) in [
            ("", "None"),
            (" // a comment", "None"),
            (r#"{"do":{"state":{}}}"#, "Some(Entry { at: None, instruction: Query(State) })"),
            (
                r#"{"at":1.5,"do":{"advance":{}}}"#,
                "Some(Entry { at: Some(Time { micros: 1500000 }), instruction: Query(Advance) })",
            ),
        ] {
            assert_eq!(format!("{:?}", parse(line).unwrap()), wanted);
        }
        let header = parse(r#"{"do":{"configure":{"format":1}}}"#).unwrap().unwrap();
        assert!(matches!(header.instruction, Instruction::Configure(_)));
    }

    #[test]
    fn errors_name_the_command() {
        for (line, wanted) in [
            (r#"{"do":{"configure":{"format":2}}}"#, "`configure` is refused: format 2: expected 1 at most"),
            (
                r#"{"do":{"explain":{"framework":"f","role":"/"}}}"#,
                r#"`explain` is refused: "/" is not a role: expected"#,
            ),
            (r#"{"do":{"set_weight":{"role":"a","weight":-1}}}"#, "`set_weight` is refused: -1 is not a weight"),
            (r#"{"at":-1,"do":{"state":{}}}"#, "-1 is not a time"),
            (r#"{"do":{"dance":{}}}"#, "unknown variant `dance`"),
        ] {
            let error = parse(line).unwrap_err().to_string();
            assert!(error.starts_with(wanted), "{error}");
        }
    }
}
