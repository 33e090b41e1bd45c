//! [`Named`]: an output whose errors say which one it is.

use crate::failure::Failure;
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, StdoutLock, Write};
use std::path::Path;

/// The name of standard output in messages.
pub const STANDARD_OUTPUT: &str = "standard output";

/// Standard output, locked.
pub type Stdout = Named<StdoutLock<'static>>;

/// Returns standard output.
#[must_use]
pub fn stdout() -> Stdout {
    Named::new(STANDARD_OUTPUT, io::stdout().lock())
}

/// Standard error, with colours only where it is a terminal.
pub(crate) fn stderr() -> impl Write {
    anstream::stderr()
}

/// Writes a line to standard error. If standard error is closed, the line is lost.
pub fn warn(message: impl fmt::Display) {
    let _ = writeln!(stderr(), "{message}");
}

/// Returns the number of columns of the terminal, or 80 if standard output is not a terminal.
#[must_use]
pub fn width() -> usize {
    terminal_size::terminal_size_of(io::stdout()).map_or(80, |(width, _)| usize::from(width.0).max(20))
}

/// Creates a file, before there is anything to write: a path that cannot be written is wrong input. Flush it at the end.
///
/// # Errors
///
/// [`Failure::Input`], which begins with the path, if it cannot be created.
pub fn create(path: &Path) -> Result<Named<BufWriter<File>>, Failure> {
    let name = path.display().to_string();
    let file = File::create(path).map_err(|error| Failure::input(format!("{name}: {error}")))?;
    Ok(Named::new(name, BufWriter::new(file)))
}

/// An output whose errors begin with its name: `standard output: No space left on device (os error 28)`.
#[derive(Debug)]
pub struct Named<W> {
    name: String,
    inner: W,
}

impl<W> Named<W> {
    /// Names an output.
    pub fn new(name: impl Into<String>, inner: W) -> Self {
        Self { name: name.into(), inner }
    }

    fn named<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|source| io::Error::new(source.kind(), NamedError { name: self.name.clone(), source }))
    }
}

impl<W: Write> Write for Named<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes);
        self.named(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.inner.flush();
        self.named(flushed)
    }
}

/// The error of an output, with its name.
#[derive(Debug)]
struct NamedError {
    name: String,
    source: io::Error,
}

impl fmt::Display for NamedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.source)
    }
}

impl std::error::Error for NamedError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
