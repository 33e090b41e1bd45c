//! The journal: the whole library driven by text, one JSON object a line.
//!
//! Commands come in as `{"at": SECONDS, "do": {COMMAND: {...}}}`, effects go out as
//! `{"at": SECONDS, "emit": {EFFECT: {...}}}`. The same input gives the same bytes on every machine:
//! a journal can be recorded in production ([`record`]) and replayed later ([`Replay`]).

mod decode;
mod effect;
mod encode;
mod explanation;
mod raw;

pub use decode::ValueError;

use crate::master::{Command, CommandError, Config, Emitted, Master};
use crate::role::Role;
use crate::time::{Time, TimeError};
use effect::{Emit, Line};
use raw::{Explain, WrittenCommand};
use serde::Serialize;

/// Replays a journal, line by line.
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
#[derive(Debug, Default)]
pub struct Replay {
    master: Option<Master>,
    line: u64,
}

/// A line that is no command: nothing after it can be trusted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// Not JSON, not a known command, or with a field that is missing, unknown or of the wrong type.
    #[error("{0}")]
    Shape(#[from] serde_json::Error),
    /// A moment that is none.
    #[error(transparent)]
    Time(#[from] TimeError),
    /// A moment before the line before.
    #[error("`at` is {at}, before {now} of the line before: expected {now} or later")]
    TimeWentBack {
        /// The moment of the line before.
        now: Time,
        /// The moment of this line.
        at: Time,
    },
}

/// Why a command was refused.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Value(#[from] ValueError),
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl Replay {
    /// Starts before the first line.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many lines were read.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Reads one line and hands each effect of it, a line without its end, to `emit`.
    ///
    /// Blank lines and those that begin with `//` are passed over. A command that the state does not
    /// allow has no effect but an `error`.
    ///
    /// # Errors
    ///
    /// [`LineError`] for a line that is no command; the state is then as it was before.
    pub fn feed(&mut self, line: &str, mut emit: impl FnMut(&str)) -> Result<(), LineError> {
        self.line += 1;
        let text = line.trim();
        if text.is_empty() || text.starts_with("//") {
            return Ok(());
        }
        let written: raw::Line = serde_json::from_str(text)?;
        let now = self.master.as_ref().map_or(Time::ZERO, Master::now);
        let at = written.at.map_or(Ok(now), Time::try_from_secs_f64)?;
        if at < now {
            return Err(LineError::TimeWentBack { now, at });
        }
        let name = written.command.name();
        if let Err(refusal) = self.run(at, written.command, &mut emit) {
            let message = refusal.to_string();
            print(at, Emit::Error { line: self.line, command: name, message: &message }, &mut emit);
        }
        Ok(())
    }

    fn run(&mut self, at: Time, command: WrittenCommand, emit: &mut impl FnMut(&str)) -> Result<(), Refusal> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "only the first line can configure; it is refused later on")]
        let command = match command {
            WrittenCommand::Configure(written) if self.master.is_none() => {
                let config = Config::try_from(written)?;
                self.master = Some(Master::new(config));
                return Ok(self.started().advance(at)?);
            }
            command => command,
        };
        // Timer by timer, so that a long sleep does not pile up its effects.
        let mut emitted = 0;
        while let Some(wake) = self.started().poll_timeout().filter(|wake| wake.at <= at) {
            let reached = self.started().now();
            if emitted > <Master>::MAX_TIMER_EFFECTS && wake.at > reached {
                return Err(CommandError::TooManyTimerEffects { reached, at }.into());
            }
            self.started().advance(wake.at.max(reached))?;
            emitted += self.drain(emit);
        }
        self.started().advance(at)?;
        self.drain(emit);
        if let WrittenCommand::State(_) = command {
            print(at, Emit::State((&self.started().state()).into()), emit);
        } else if let WrittenCommand::Explain(Explain { framework, role, agent }) = command {
            let role = role.map(Role::new).transpose().map_err(ValueError::from)?;
            for explanation in self.started().explain(&framework, role.as_ref(), agent.as_ref())? {
                print(at, Emit::Explanation((&explanation).into()), emit);
            }
        } else if !matches!(command, WrittenCommand::Advance(_)) {
            let command = Command::try_from(command)?;
            self.started().handle(at, command)?;
            self.drain(emit);
        }
        Ok(())
    }

    fn started(&mut self) -> &mut Master {
        self.master.get_or_insert_with(|| Master::new(Config::default()))
    }

    /// Hands all effects on, and counts them.
    fn drain(&mut self, emit: &mut impl FnMut(&str)) -> usize {
        let effects = std::iter::from_fn(|| self.started().poll_effect());
        effects.map(|emitted| print(emitted.at, (&emitted.effect).into(), emit)).count()
    }
}

fn print(at: Time, emit: Emit<'_>, to: &mut impl FnMut(&str)) {
    to(&json(&Line { at, emit }));
}

fn json(line: &impl Serialize) -> String {
    serde_json::to_string(line).expect("a line has text keys and nothing that JSON cannot tell")
}

/// Writes down an effect as [`Replay`] does: one line, without its end.
#[must_use]
pub fn effect_line(emitted: &Emitted) -> String {
    let mut line = String::new();
    print(emitted.at, (&emitted.effect).into(), &mut |text: &str| text.clone_into(&mut line));
    line
}

/// Writes down a command, so that it can be replayed: one line, without its end.
///
/// # Examples
///
/// ```
/// use apportion::{Command, Framework, Role, Time, journal};
///
/// let command = Command::AddFramework(Framework::new("f1").role(Role::default()));
/// let line = journal::record(Time::from_secs(2), &command);
/// assert_eq!(line, r#"{"at":2.0,"do":{"add_framework":{"id":"f1","roles":["*"]}}}"#);
/// ```
#[must_use]
pub fn record(at: Time, command: &Command) -> String {
    let line = raw::Line { at: Some(at.as_secs_f64()), command: command.into() };
    json(&line)
}
