//! The files that a master shows: its log, under the name that Mesos gives it.

mod download;

pub(crate) use download::Download;

use crate::settings::Settings;
use crate::transport::answer::{Answer, bad_request, text};
use http::StatusCode;
use serde_json::{Map, Value as Json, json};
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

/// The path of the log.
const LOG: &str = "/master/log";

/// The most bytes that are read at once: 16 pages, as in Mesos.
const MAX_READ: u64 = 64 << 10;

/// A request for a file, whose path is one that is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    path: String,
    file: PathBuf,
}

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Info {
    path: String,
    size: u64,
    nlink: u64,
    /// Seconds and nanoseconds since 1970.
    modified: (i64, i64),
    mode: u32,
    user: String,
    group: String,
}

/// A piece of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The size of the whole file.
    pub(crate) size: u64,
    pub(crate) offset: u64,
    pub(crate) data: Vec<u8>,
}

impl Shown {
    /// Returns the file that is shown under a path; 404 if there is none.
    pub(crate) fn find(settings: &Settings, path: &str) -> Result<Self, Answer> {
        let file = settings.log.clone().filter(|_| normalised(path) == LOG);
        let file = file.ok_or_else(|| text(StatusCode::NOT_FOUND, format!("there is no {path:?}")))?;
        Ok(Self { path: LOG.to_owned(), file })
    }

    fn failed(&self, error: &io::Error) -> Answer {
        let status = if error.kind() == io::ErrorKind::NotFound {
            StatusCode::NOT_FOUND
        } else {
            StatusCode::INTERNAL_SERVER_ERROR
        };
        text(status, format!("{}: {error}", self.path))
    }

    /// Returns what the file is.
    pub(crate) fn info(&self) -> Result<Info, Answer> {
        let found = fs::metadata(&self.file).map_err(|error| self.failed(&error))?;
        Ok(Info {
            path: self.path.clone(),
            size: found.len(),
            nlink: found.nlink(),
            modified: (found.mtime(), found.mtime_nsec()),
            mode: found.mode(),
            user: named("/etc/passwd", found.uid()),
            group: named("/etc/group", found.gid()),
        })
    }

    /// Reads a piece, of [`MAX_READ`] bytes at most. Without an offset it is empty, at the end of the file.
    pub(crate) fn read(&self, offset: Option<u64>, length: Option<u64>) -> Result<Piece, Answer> {
        let read = || {
            let mut file = File::open(&self.file)?;
            let size = file.metadata()?.len();
            let Some(offset) = offset else { return Ok(Piece { size, offset: size, data: Vec::new() }) };
            let mut data = Vec::new();
            file.seek(SeekFrom::Start(offset.min(size)))?;
            file.take(length.unwrap_or(MAX_READ).min(MAX_READ)).read_to_end(&mut data)?;
            Ok(Piece { size, offset, data })
        };
        read().map_err(|error| self.failed(&error))
    }

    /// Opens the file, to be sent whole.
    pub(crate) fn download(&self) -> Result<Download, Answer> {
        Download::open(&self.file).map_err(|error| self.failed(&error))
    }

    /// Returns the name of the file itself.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

/// Returns all that is shown, and which files that are.
pub(crate) fn all(settings: &Settings) -> Json {
    let log = settings.log.iter().map(|file| (LOG.to_owned(), file.display().to_string().into()));
    Json::Object(log.collect::<Map<_, _>>())
}

/// Returns a path without `.`, `..` and empty segments.
fn normalised(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => _ = segments.pop(),
            segment => segments.push(segment),
        }
    }
    format!("/{}", segments.join("/"))
}

/// Returns the name of a user or a group, or the number if it has none.
fn named(file: &str, id: u32) -> String {
    let known = fs::read_to_string(file).unwrap_or_default();
    let name = known.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| id.to_string())
}

impl Info {
    /// Returns Mesos' `FileInfo`.
    pub(crate) fn v1(&self) -> Json {
        let modified = self.modified.0.saturating_mul(1_000_000_000).saturating_add(self.modified.1);
        json!({
            "path": self.path, "nlink": self.nlink, "size": self.size, "mtime": {"nanoseconds": modified},
            "mode": self.mode, "uid": self.user, "gid": self.group,
        })
    }

    /// Returns the entry of `/files/browse`.
    pub(crate) fn v0(&self) -> Json {
        json!({
            "path": self.path, "nlink": self.nlink, "size": self.size, "mtime": self.modified.0,
            "mode": permissions(self.mode), "uid": self.user, "gid": self.group,
        })
    }
}

/// Returns a mode as `ls` shows it.
fn permissions(mode: u32) -> String {
    let kind = match mode & 0o170_000 {
        0o040_000 => 'd',
        0o120_000 => 'l',
        _ => '-',
    };
    let bits = (0..9).rev().map(|bit| if mode >> bit & 1 == 1 { ['x', 'w', 'r'][bit % 3] } else { '-' });
    [kind].into_iter().chain(bits).collect()
}

impl Piece {
    /// Returns the answer of `/files/read`. A character that is cut at the end is left for the next piece.
    pub(crate) fn v0(&self) -> Json {
        let whole = match str::from_utf8(&self.data) {
            Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => &self.data[..error.valid_up_to()],
            _ => &self.data,
        };
        json!({"data": String::from_utf8_lossy(whole), "offset": self.offset})
    }
}

/// Reads a number of `/files/read`, which is -1 for none.
pub(crate) fn number(name: &str, given: Option<&str>) -> Result<Option<u64>, Answer> {
    match given {
        None | Some("-1") => Ok(None),
        Some(given) => match given.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(bad_request(format!("{name}: expected a number from 0 on, or -1, found {given:?}"))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(folder: &std::path::Path) -> Shown {
        let settings = Settings::default().log(folder.join("log"));
        Shown::find(&settings, "master/./x/../log/").unwrap()
    }

    #[test]
    fn only_the_log_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let status = |settings: &Settings, path: &str| {
            let shown = Shown::find(settings, path).and_then(|shown| shown.info());
            shown.map(|_| 200).unwrap_or_else(|answer| answer.status().as_u16())
        };
        let settings = Settings::default().log(folder.path().join("log"));
        assert_eq!(status(&settings, LOG), 404, "not written yet");
        fs::write(folder.path().join("log"), "line\n").unwrap();
        for (path, expected) in [
            (LOG, 200),
            ("master/log", 200),
            ("/", 404),
            ("", 404),
            ("/etc/passwd", 404),
            ("/master/log/../../etc/passwd", 404),
        ] {
            assert_eq!(status(&settings, path), expected, "{path}");
        }
        assert_eq!(status(&Settings::default(), LOG), 404);
        assert_eq!((all(&Settings::default()), all(&settings).as_object().unwrap().len()), (json!({}), 1));
    }

    #[test]
    fn a_file_is_read_in_pieces() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("log"), "a".repeat(100_000) + "b\u{e4}").unwrap();
        let shown = shown(folder.path());
        let read = |offset, length| {
            let piece = shown.read(offset, length).unwrap();
            (piece.size, piece.offset, piece.data.len())
        };
        assert_eq!(read(None, None), (100_003, 100_003, 0));
        assert_eq!(read(Some(0), None), (100_003, 0, 65_536));
        assert_eq!(read(Some(0), Some(u64::MAX)), (100_003, 0, 65_536));
        assert_eq!(read(Some(99_999), Some(10)), (100_003, 99_999, 4));
        assert_eq!(read(Some(200_000), Some(10)), (100_003, 200_000, 0));
        let cut = shown.read(Some(100_000), Some(2)).unwrap();
        assert_eq!(cut.v0(), json!({"data": "b", "offset": 100_000}), "half a character comes with the next piece");
    }

    #[test]
    fn a_file_is_told_as_ls_shows_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("log"), "line\n").unwrap();
        let info = shown(folder.path()).info().unwrap();
        let (v0, v1) = (info.v0(), info.v1());
        assert_eq!((&v0["path"], &v0["size"], &v0["nlink"]), (&json!(LOG), &json!(5), &json!(1)));
        assert_eq!(v1["mtime"]["nanoseconds"].as_i64().unwrap() / 1_000_000_000, v0["mtime"].as_i64().unwrap());
        assert_eq!((permissions(0o100_644), permissions(0o040_755)), ("-rw-r--r--".into(), "drwxr-xr-x".into()));
        assert_eq!(named("/etc/passwd", 0), "root");
        assert_eq!(named("/etc/passwd", 4_000_000_000), "4000000000");
    }

    #[test]
    fn numbers_are_from_zero_on_or_none() {
        let read = |given| number("offset", given).map_err(|answer| answer.status().as_u16());
        assert_eq!((read(None), read(Some("-1")), read(Some("7"))), (Ok(None), Ok(None), Ok(Some(7))));
        for wrong in ["", "-2", "1.5", "many"] {
            assert_eq!(read(Some(wrong)), Err(400), "{wrong}");
        }
    }
}
