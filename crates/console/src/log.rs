//! [`log_warnings`]: what a library has to tell beside its results.

use std::io::{self, IsTerminal as _};
use tracing_subscriber::filter::LevelFilter;

/// Writes warnings and errors that are `tracing` events to standard error, a line each: why a master cannot be reached, for example.
///
/// The first call counts; later ones change nothing.
pub fn log_warnings() {
    let log = tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let _ = log.with_target(false).with_max_level(LevelFilter::WARN).try_init(); // there may be one
}
