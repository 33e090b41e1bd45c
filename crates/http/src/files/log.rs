//! [`Log`]: the log of a master, under the name that Mesos gives it.

use super::{FileInfo, Files};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// The path of the log.
const PATH: &str = "/master/log";

/// The file that a master shows, if it has one.
#[derive(Debug, Clone)]
pub(crate) struct Log(pub(crate) Option<PathBuf>);

impl Log {
    fn file(&self, path: &str) -> io::Result<&Path> {
        self.0.as_deref().filter(|_| path == PATH).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Files for Log {
    fn open(&self, path: &str) -> io::Result<File> {
        File::open(self.file(path)?)
    }

    fn list(&self, path: &str) -> io::Result<Vec<FileInfo>> {
        Ok(FileInfo::all(vec![(PATH.to_owned(), fs::metadata(self.file(path)?)?)]))
    }

    fn shown(&self) -> Vec<(String, String)> {
        self.0.iter().map(|file| (PATH.to_owned(), file.display().to_string())).collect()
    }
}
