//! The log of this program. Its lines go to standard error, and with a work folder also to a file of bounded size.

use apportion_http::Verbosity;
use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::path::PathBuf;
use std::sync::Mutex;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, fmt, reload};

/// The size at which a new file is begun. One file before it is kept.
const MAX_FILE: u64 = 64 << 20;

/// Starts the log of this program, to standard error and to a file. Returns how much it logs, which operators may set. The error has
/// the path of the file that cannot be written.
pub(crate) fn start(is_json: bool, file: Option<PathBuf>) -> Result<Verbosity, (PathBuf, io::Error)> {
    let colours = io::stderr().is_terminal();
    let mut layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> = Vec::new();
    let to_stderr = fmt::layer().with_writer(io::stderr).with_target(false);
    layers.push(if is_json { to_stderr.json().boxed() } else { to_stderr.with_ansi(colours).boxed() });
    if let Some(path) = file {
        let file = LogFile::open(path.clone(), MAX_FILE).map_err(|error| (path, error))?;
        let to_file = fmt::layer().with_writer(Mutex::new(file)).with_target(false).with_ansi(false);
        layers.push(if is_json { to_file.json().boxed() } else { to_file.boxed() });
    }
    let (filter, handle) = reload::Layer::new(level(0));
    // Only one log can be started in a program; a second one changes nothing.
    let _ = tracing_subscriber::registry().with(layers).with(filter).try_init();
    Ok(Verbosity::new(move |verbosity| {
        let _ = handle.reload(level(verbosity)); // it fails where no log was started
    }))
}

/// Returns the level of a verbosity, as operators count it.
fn level(verbosity: u32) -> LevelFilter {
    match verbosity {
        0 => LevelFilter::INFO,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    }
}

/// A file that is renamed to `PATH.1` when it is full, in place of the one before.
#[derive(Debug)]
struct LogFile {
    path: PathBuf,
    file: File,
    length: u64,
    limit: u64,
}

impl LogFile {
    fn open(path: PathBuf, limit: u64) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = File::options().create(true).append(true).open(&path)?;
        let length = file.metadata()?.len();
        Ok(Self { path, file, length, limit })
    }

    fn rotate(&mut self) -> io::Result<()> {
        let mut before = self.path.clone().into_os_string();
        before.push(".1");
        std::fs::rename(&self.path, before)?;
        self.file = File::options().create(true).append(true).open(&self.path)?;
        self.length = 0;
        Ok(())
    }
}

impl Write for LogFile {
    /// Writes one log line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.length > 0 && self.length + line.len() as u64 > self.limit {
            self.rotate()?;
        }
        let written = self.file.write(line)?;
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_full_file_is_kept_until_the_next_one_is_full() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs").join("master.log");
        let mut log = LogFile::open(path.clone(), 10).unwrap();
        for line in ["one\n", "two\n", "three\n", "four\n", "longer than the limit\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        assert_eq!(
            (read(&path).as_str(), read(&path.with_extension("log.1")).as_str()),
            ("longer than the limit\n", "four\n")
        );
        let mut log = LogFile::open(path.clone(), 100).unwrap();
        log.write_all(b"more\n").unwrap();
        assert_eq!(read(&path), "longer than the limit\nmore\n", "a new run goes on with the file");
    }
}
