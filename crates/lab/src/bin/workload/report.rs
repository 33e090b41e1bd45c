//! [`Report`]: the duration and the offers of each step, and at the end the peak memory.

use crate::Arguments;
use apportion::allocator::{AllocatorError, QuotaError};
use apportion::journal::RecoverError;
use apportion::{CommandError, ResourceError, RoleError, SnapshotError, SumError};
use apportion_console::stdout;
use clap::ValueEnum;
use serde::Serialize;
use std::io::{self, Write};
use std::time::Duration;

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The arguments are wrong.
    #[error("{0}")]
    Arguments(String),
    /// The allocator made another number of offers than expected.
    #[error("{step}: {found} {what}, expected {expected}")]
    Wrong { step: String, what: &'static str, found: u64, expected: u64 },
    /// The allocator rejected a call of the workload.
    #[error(transparent)]
    Allocator(#[from] AllocatorError),
    #[error(transparent)]
    Quota(#[from] QuotaError),
    #[error(transparent)]
    Resources(#[from] ResourceError),
    #[error(transparent)]
    Sum(#[from] SumError),
    #[error(transparent)]
    Role(#[from] RoleError),
    /// A command was rejected.
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    Recover(#[from] RecoverError),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A snapshot cannot be written or read.
    #[error("a snapshot as JSON: {0}")]
    Json(serde_json::Error),
    /// The output cannot be written.
    #[error("{0}")]
    Write(#[from] io::Error),
}

impl From<Failure> for apportion_console::Failure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Arguments(message) => Self::input(message),
            Failure::Write(error) => Self::Output(error),
            failure @ (Failure::Wrong { .. }
            | Failure::Allocator(_)
            | Failure::Quota(_)
            | Failure::Resources(_)
            | Failure::Sum(_)
            | Failure::Role(_)
            | Failure::Command(_)
            | Failure::Recover(_)
            | Failure::Snapshot(_)
            | Failure::Json(_)) => Self::Run(failure.to_string()),
        }
    }
}

/// Fails unless the number found is the expected one.
pub(crate) fn expect(step: &str, what: &'static str, found: u64, expected: u64) -> Result<(), Failure> {
    let wrong = || Failure::Wrong { step: step.to_owned(), what, found, expected };
    (found == expected).then_some(()).ok_or_else(wrong)
}

/// One step of a workload.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Step<'a> {
    pub(crate) step: &'a str,
    /// Counted from 0; none for a preparatory step.
    pub(crate) round: Option<usize>,
    pub(crate) seconds: f64,
    pub(crate) offers: usize,
    /// The duration of the preparation of the step: ending offers, declining, suppressing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<f64>,
    /// The number of repetitions in that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) times: Option<u64>,
    #[serde(flatten)]
    pub(crate) latency: Option<Latency>,
}

/// The latency of single events, in seconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Latency {
    p50: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

impl Latency {
    /// Returns the percentiles; all are 0 without any spans.
    pub(crate) fn of(mut spans: Vec<Duration>) -> Self {
        spans.sort_unstable();
        let at = |per_mille: usize| {
            let place = (spans.len() * per_mille).div_ceil(1000).saturating_sub(1);
            spans.get(place).map_or(0.0, Duration::as_secs_f64)
        };
        Self { p50: at(500), p99: at(990), p999: at(999), max: at(1000) }
    }
}

/// Prints each step, for people or as JSON.
#[derive(Debug)]
pub(crate) struct Report {
    workload: String,
    agents: usize,
    frameworks: usize,
    roles: usize,
    json: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    workload: &'a str,
    agents: usize,
    frameworks: usize,
    roles: usize,
    #[serde(flatten)]
    step: &'a Step<'a>,
}

#[derive(Serialize)]
struct Peak {
    peak_rss_bytes: Option<u64>,
}

impl Report {
    pub(crate) fn begin(arguments: &Arguments) -> Result<Self, Failure> {
        let name = arguments.name.to_possible_value().map_or_else(String::new, |name| name.get_name().to_owned());
        let (agents, frameworks, roles) = (arguments.agents(), arguments.frameworks(), arguments.roles());
        let report = Self { workload: name, agents, frameworks, roles, json: arguments.json };
        if !report.json {
            let name = &report.workload;
            writeln!(stdout(), "{name}: {agents} agents, {frameworks} frameworks, {roles} roles")?;
        }
        Ok(report)
    }

    pub(crate) fn step(&self, step: &Step<'_>) -> Result<(), Failure> {
        let mut out = stdout();
        if self.json {
            let Self { workload, agents, frameworks, roles, .. } = self;
            let line = Line { workload, agents: *agents, frameworks: *frameworks, roles: *roles, step };
            serde_json::to_writer(&mut out, &line).map_err(io::Error::from)?;
            writeln!(out)?;
            return Ok(());
        }
        let name = step.round.map_or_else(|| step.step.to_owned(), |round| format!("{} {round}", step.step));
        write!(out, "{name:<44} {:>10}", span(step.seconds))?;
        if step.offers > 0 {
            write!(out, "  {:>7} offers, {} each", step.offers, span(per(step.seconds, step.offers as u64)))?;
        }
        if let Some(times) = step.times {
            write!(out, "  {times:>7} times, {} each", span(per(step.seconds, times)))?;
        }
        if let Some(before) = step.before {
            write!(out, "  ({} before)", span(before))?;
        }
        writeln!(out)?;
        if let Some(Latency { p50, p99, p999, max }) = step.latency {
            let [p50, p99, p999, max] = [p50, p99, p999, max].map(span);
            writeln!(out, "    p50 {p50}, p99 {p99}, p99.9 {p999}, max {max}")?;
        }
        Ok(())
    }

    pub(crate) fn end(&self) -> Result<(), Failure> {
        let peak = peak_rss();
        let mut out = stdout();
        if self.json {
            serde_json::to_writer(&mut out, &Peak { peak_rss_bytes: peak }).map_err(io::Error::from)?;
            writeln!(out)?;
        } else {
            match peak {
                Some(bytes) => writeln!(out, "peak memory: {} MiB", bytes / (1 << 20))?,
                None => writeln!(out, "peak memory: not known")?,
            }
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn per(seconds: f64, times: u64) -> f64 {
    seconds / times.max(1) as f64
}

pub(crate) fn span(seconds: f64) -> String {
    match seconds {
        long if long >= 1.0 => format!("{long:.3} s"),
        milli if milli >= 1e-3 => format!("{:.3} ms", milli * 1e3),
        micro if micro >= 1e-6 => format!("{:.3} µs", micro * 1e6),
        nano => format!("{:.1} ns", nano * 1e9),
    }
}

/// Returns the peak memory of this process, on Linux.
fn peak_rss() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
