//! [`Replay`]: a master that is driven by the lines of a journal.

use super::effect::Emit;
use super::line::{HEADER, Instruction, Line, LineError, Query, read};
use super::{MAX_LINE_BYTES, header, print};
use crate::allocator::{Allocator, Hierarchical, Persist, Snapshot, SnapshotError, SorterChoice};
use crate::forms::ValueError;
use crate::master::{CommandError, Config, Emitted, Explanation, Master, State};
use crate::time::Time;

/// A master that is driven by the lines of a journal, and whose effects are lines, too.
///
/// # Examples
///
/// ```
/// use apportion::journal::Replay;
///
/// let mut replay = Replay::new();
/// let mut out = Vec::new();
/// for line in [
///     r#"{"at": 0, "do": {"add_framework": {"id": "f1", "roles": ["web"]}}}"#,
///     r#"{"do": {"add_agent": {"id": "a1", "resources": "cpus:4;mem:1024"}}}"#,
/// ] {
///     replay.feed(line, |effect| out.push(effect.to_owned()))?;
/// }
/// assert_eq!(out, [
///     r#"{"at":0,"emit":{"offer":{"id":"O1","framework":"f1","role":"web","agent":"a1","hostname":"a1","resources":"cpus:4;mem:1024"}}}"#,
/// ]);
/// # Ok::<(), apportion::journal::LineError>(())
/// ```
///
/// With a sorter of one's own:
///
/// ```
/// use apportion::allocator::{Drf, Hierarchical, Random};
/// use apportion::journal::Replay;
/// use apportion::{Config, Master, Time};
///
/// let allocator = |config: &Config| Hierarchical::new(config.options.clone(), Random::new(1), Drf::default());
/// let mut replay = Replay::with_master(Master::with_allocator(Config::default(), allocator));
/// replay.feed(r#"{"at": 2, "do": {"add_framework": {"id": "f1", "roles": ["web"]}}}"#, |_| {})?;
/// replay.run_to(Time::from_secs(3), |_| {})?;
/// assert_eq!(replay.into_master().now(), Time::from_secs(3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Replay<A = Hierarchical> {
    master: Master<A>,
    /// Makes a master of the first line, if it may.
    start: Option<Start<A>>,
    /// True after the first line that is not blank.
    has_begun: bool,
    line: u64,
    refused: u64,
    max_line_bytes: usize,
}

/// How the first line of a journal makes a master.
#[derive(Debug)]
pub(super) struct Start<A> {
    configured: fn(Config) -> Master<A>,
    restored: fn(Snapshot) -> Result<Master<A>, SnapshotError>,
}

impl<A> Clone for Start<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Start<A> {}

impl Default for Replay {
    fn default() -> Self {
        Self::new()
    }
}

impl Replay {
    /// Returns a replay before the first line, on a master with the hierarchical allocator of Mesos. If the first line is a
    /// header, the master is configured by it; if it is a snapshot, the master is restored from it; else it has the defaults.
    #[must_use]
    pub fn new() -> Self {
        let start = Start { configured: Master::new, restored: Master::restore };
        Self { start: Some(start), ..Self::with_master(Master::new(Config::default())) }
    }
}

impl<A: Allocator + Persist> Replay<A> {
    /// Returns a replay that goes on from where a master is. If the first line is a header, it must be that of the master; if
    /// it is a snapshot, the master must be new, and takes it over.
    #[must_use]
    pub fn with_master(master: Master<A>) -> Self {
        Self { master, start: None, has_begun: false, line: 0, refused: 0, max_line_bytes: MAX_LINE_BYTES }
    }

    /// Refuses lines that are longer, in bytes, in place of [`MAX_LINE_BYTES`]. A snapshot may have
    /// [`MAX_RESTORE_BYTES`](super::MAX_RESTORE_BYTES) all the same.
    #[must_use]
    pub fn with_max_line_bytes(self, max_line_bytes: usize) -> Self {
        Self { max_line_bytes, ..self }
    }

    /// Returns the number of lines read.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Returns the number of commands that were refused, each with an `error`.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Returns the master.
    #[must_use]
    pub fn master(&self) -> &Master<A> {
        &self.master
    }

    /// Ends the replay, and returns its master.
    #[must_use]
    pub fn into_master(self) -> Master<A> {
        self.master
    }

    /// Runs one line and passes each effect to `emit`, as a line without a newline.
    ///
    /// Blank lines and lines that begin with `//` are skipped. A command that the master rejects changes nothing and emits
    /// an `error`.
    ///
    /// # Errors
    ///
    /// [`LineError`] for a line that is too long or not a command, and for a first line that is refused; the state is then as
    /// before. (A master that was given, and cannot be restored from the first line, is of no use then.)
    pub fn feed(&mut self, line: &str, mut emit: impl FnMut(&str)) -> Result<(), LineError> {
        self.line += 1;
        let Some(line) = read(line, self.max_line_bytes)? else { return Ok(()) };
        let command = line.command;
        let (is_first, start) = (!self.has_begun, self.start);
        let (at, result) = run_line(line, is_first, &mut self.master, start, &mut printing(&mut emit))?;
        self.has_begun = true;
        if let Err(rejection) = result {
            self.refused += 1;
            let message = rejection.to_string();
            print(at, Emit::Error { line: self.line, command, message: &message }, &mut emit);
        }
        Ok(())
    }

    /// Runs all timers due up to `at`, as a line `advance` of that time does, and passes each effect to `emit`.
    ///
    /// # Errors
    ///
    /// Those of [`Master::advance`].
    pub fn run_to(&mut self, at: Time, mut emit: impl FnMut(&str)) -> Result<(), CommandError> {
        run_timers(&mut self.master, at, &mut printing(&mut emit))
    }
}

/// The reason why a command was rejected: the text of an `error` line.
#[derive(Debug, thiserror::Error)]
pub(super) enum Rejection {
    #[error(transparent)]
    Value(#[from] ValueError),
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// What a line makes a master say.
pub(super) enum Output<'a> {
    Effect(&'a Emitted),
    Explanation(Time, &'a Explanation),
    State(Time, &'a State),
    Snapshot(Time, &'a Snapshot),
}

fn printing(emit: &mut impl FnMut(&str)) -> impl FnMut(Output<'_>) {
    move |output| match output {
        Output::Effect(emitted) => print(emitted.at, (&emitted.effect).into(), emit),
        Output::Explanation(at, explanation) => print(at, Emit::Explanation(explanation.into()), emit),
        Output::State(at, state) => print(at, Emit::State(state.into()), emit),
        Output::Snapshot(at, snapshot) => print(at, Emit::Snapshot { snapshot }, emit),
    }
}

/// Runs a line: all timers due up to its time, which is returned, and what it asks for, unless that is rejected.
/// `start` makes the master that the first line tells of. Without it, a header must be that of the master, and a snapshot is
/// loaded into it, which must be new.
pub(super) fn run_line<A: Allocator + Persist>(
    line: Line,
    is_first: bool,
    master: &mut Master<A>,
    start: Option<Start<A>>,
    output: &mut impl FnMut(Output<'_>),
) -> Result<(Time, Result<(), Rejection>), LineError> {
    let is_header = line.command == HEADER;
    let instruction = match line.instruction {
        _ if is_header && !is_first => Err(ValueError::LateConfigure),
        Ok(Instruction::Restore(_)) if !is_first => Err(ValueError::LateRestore),
        Ok(Instruction::Restore(snapshot)) => {
            match start {
                Some(start) => {
                    let restored = (start.restored)(*snapshot)?;
                    time_of(line.at, restored.now())?;
                    *master = restored;
                }
                None => master.load(*snapshot)?,
            }
            Ok(Instruction::Query(Query::Advance))
        }
        instruction => instruction,
    };
    let at = time_of(line.at, master.now())?;
    let instruction = match instruction {
        Err(error) if is_header && is_first => return Err(LineError::Configuration(error)),
        Ok(Instruction::Configure(config)) => {
            match start {
                Some(_) if matches!(config.sorter, SorterChoice::Missing(_)) => {
                    let (kind, found) = ("a sorter", "other".into());
                    let expected = "drf, hdrf or random; one's own is given with the master";
                    return Err(LineError::Configuration(ValueError::UnknownName { kind, found, expected }));
                }
                Some(start) => *master = (start.configured)(*config),
                None => check_configuration(&config, master.config())?,
            }
            Ok(Instruction::Query(Query::Advance))
        }
        instruction => instruction,
    };
    Ok((at, run(master, at, instruction, output)))
}

/// Returns the time at which a line runs.
fn time_of(at: Option<Time>, now: Time) -> Result<Time, LineError> {
    let at = at.unwrap_or(now);
    if at < now { Err(LineError::TimeWentBack { now, at }) } else { Ok(at) }
}

fn check_configuration(found: &Config, expected: &Config) -> Result<(), LineError> {
    let (found, expected) = (header(found), header(expected));
    if found == expected { Ok(()) } else { Err(LineError::OtherConfiguration { found, expected }) }
}

fn run<A: Allocator + Persist>(
    master: &mut Master<A>,
    at: Time,
    instruction: Result<Instruction, ValueError>,
    output: &mut impl FnMut(Output<'_>),
) -> Result<(), Rejection> {
    run_timers(master, at, output)?;
    match instruction? {
        Instruction::Query(Query::Advance) | Instruction::Configure(_) | Instruction::Restore(_) => {}
        Instruction::Query(Query::State) => output(Output::State(at, &master.state())),
        Instruction::Query(Query::Snapshot) => output(Output::Snapshot(at, &master.snapshot())),
        Instruction::Query(Query::Explain { framework, role, agent }) => {
            for explanation in master.explain(&framework, role.as_ref(), agent.as_ref())? {
                output(Output::Explanation(at, &explanation));
            }
        }
        Instruction::Command(command) => {
            master.handle(at, *command)?;
            drain(master, output);
        }
    }
    Ok(())
}

/// Runs one timer at a time and drains its effects, so that a jump in time does not queue all of them.
fn run_timers<A: Allocator>(
    master: &mut Master<A>,
    at: Time,
    output: &mut impl FnMut(Output<'_>),
) -> Result<(), CommandError> {
    let mut emitted = 0;
    while let Some(wake) = master.poll_timeout().filter(|wake| wake.at <= at) {
        let reached = master.now();
        if emitted > Master::<A>::MAX_TIMER_EFFECTS && wake.at > reached {
            return Err(CommandError::TooManyTimerEffects { reached, at });
        }
        master.advance(wake.at.max(reached))?;
        emitted += drain(master, output);
    }
    master.advance(at)?;
    drain(master, output);
    Ok(())
}

/// Puts out all queued effects, and returns their number.
fn drain<A: Allocator>(master: &mut Master<A>, output: &mut impl FnMut(Output<'_>)) -> usize {
    let effects = std::iter::from_fn(|| master.poll_effect());
    let printed = effects.filter(|emitted| emitted.effect.is_in_journal());
    printed.map(|emitted| output(Output::Effect(&emitted))).count()
}
