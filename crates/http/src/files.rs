//! The files API, `/files/*`: reads, lists and sends the [`Files`] that a site shows under paths of its own.

mod download;
mod info;
mod log;

pub use info::FileInfo;
pub(crate) use log::Log;

use crate::transport::answer::{Answer, bad_request, json_text, only, text};
use crate::transport::jsonp;
use crate::transport::listener::{Body, streamed};
use crate::transport::query::Query;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use download::Download;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use serde_json::{Map, Value as Json, json};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::sync::Arc;

/// The most bytes that are read at once: 16 pages, as in Mesos.
const MAX_READ: u64 = 64 << 10;

/// The files that a site shows. Paths have no `.`, `..` and empty segments, and begin with `/`.
///
/// An error of the kind `NotFound` is answered with 404, of `IsADirectory` and `InvalidInput` with 400.
pub trait Files: Send + Sync + 'static {
    /// Opens a file to be read. It must not leave what is shown, whatever links there are, nor wait, as opening a pipe does.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn open(&self, path: &str) -> io::Result<File>;

    /// Returns the entries of a folder, or the one of a file, with their paths, in order.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn list(&self, path: &str) -> io::Result<Vec<FileInfo>>;

    /// Returns the folders and files that are shown, and where these are: `/files/debug`.
    fn shown(&self) -> Vec<(String, String)>;
}

/// A call of the files API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the API has these four")]
pub enum FileCall {
    /// `/files/browse`
    Browse,
    /// `/files/debug`
    Debug,
    /// `/files/download`
    Download,
    /// `/files/read`
    Read,
}

/// A piece of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    /// The size of the whole file.
    size: u64,
    offset: u64,
    data: Vec<u8>,
}

/// Answers a request of the files API.
///
/// # Errors
///
/// An answer that is no stream, whether it refuses the request or not.
pub async fn answer(
    files: Arc<impl Files>,
    call: FileCall,
    request: &Request<Bytes>,
) -> Result<Response<Body>, Answer> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(only("GET"));
    }
    let query = Query::of(request.uri());
    let path = || query.get("path").map(normalised).ok_or_else(|| bad_request("expected a parameter 'path'"));
    let json = match call {
        FileCall::Debug => {
            let shown = blocking(move || Ok(files.shown())).await?;
            Json::Object(shown.into_iter().map(|(path, file)| (path, file.into())).collect::<Map<_, _>>())
        }
        FileCall::Browse => {
            let path = path()?;
            let list = blocking(move || listed(&*files, &path)).await?;
            list.iter().map(FileInfo::v0).collect()
        }
        FileCall::Read => {
            let (offset, length) = (number("offset", query.get("offset"))?, number("length", query.get("length"))?);
            let path = path()?;
            blocking(move || Ok(Piece::read(&*files, &path, offset, length)?.v0())).await?
        }
        FileCall::Download => {
            let path = path()?;
            let disposition = disposition(path.rsplit('/').next().unwrap_or_default());
            let download = blocking(move || {
                let (file, size) = opened(&*files, &path)?;
                Ok(Download::new(file, size))
            });
            let mut answer = Response::new(streamed(download.await?));
            answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
            answer.headers_mut().insert(CONTENT_DISPOSITION, disposition);
            return Ok(answer);
        }
    };
    Err(jsonp::wrapped(request.uri(), json_text(&json)))
}

/// Returns the body of the answer to LIST_FILES. It waits for the disk.
///
/// # Errors
///
/// The answer 404 where nothing is shown, 500 where the system fails.
pub fn list_files(files: &impl Files, path: &str) -> Result<Json, Answer> {
    let list = listed(files, &normalised(path))?;
    Ok(json!({ "file_infos": list.iter().map(FileInfo::v1).collect::<Json>() }))
}

/// Returns the body of the answer to READ_FILE. It waits for the disk.
///
/// # Errors
///
/// The answer 404 where nothing is shown, 400 for a folder, 500 where the system fails.
pub fn read_file(files: &impl Files, path: &str, offset: u64, length: Option<u64>) -> Result<Json, Answer> {
    let piece = Piece::read(files, &normalised(path), Some(offset), length)?;
    Ok(json!({"size": piece.size, "data": STANDARD.encode(piece.data)}))
}

fn listed(files: &impl Files, path: &str) -> Result<Vec<FileInfo>, Answer> {
    files.list(path).map_err(|error| failed(path, &error))
}

/// Opens a regular file, and returns its size.
fn opened(files: &impl Files, path: &str) -> Result<(File, u64), Answer> {
    let open = || {
        let file = files.open(path)?;
        let found = file.metadata()?;
        if found.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if !found.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok((file, found.len()))
    };
    open().map_err(|error| failed(path, &error))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "all other failures are alike")]
fn failed(path: &str, error: &io::Error) -> Answer {
    let status = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => StatusCode::NOT_FOUND,
        io::ErrorKind::IsADirectory | io::ErrorKind::InvalidInput => StatusCode::BAD_REQUEST,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    text(status, format!("{path}: {error}"))
}

/// Reads from a disk, in a thread where that delays nobody.
async fn blocking<T: Send + 'static>(read: impl FnOnce() -> Result<T, Answer> + Send + 'static) -> Result<T, Answer> {
    let ending = |_| text(StatusCode::SERVICE_UNAVAILABLE, "the program ends");
    tokio::task::spawn_blocking(read).await.map_err(ending)?
}

/// Returns what tells a browser to save a file under its name.
fn disposition(name: &str) -> HeaderValue {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let value = if !name.is_empty() && name.bytes().all(is_plain) {
        format!("attachment; filename={name}")
    } else {
        let encode = |byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
        format!("attachment; filename*=UTF-8''{}", name.bytes().map(encode).collect::<String>())
    };
    HeaderValue::from_str(&value).expect("it is ASCII without control characters")
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

impl Piece {
    /// Reads a piece, of [`MAX_READ`] bytes at most. Without an offset it is empty, at the end of the file.
    fn read(files: &impl Files, path: &str, offset: Option<u64>, length: Option<u64>) -> Result<Self, Answer> {
        let (mut file, size) = opened(files, path)?;
        let Some(offset) = offset else { return Ok(Self { size, offset: size, data: Vec::new() }) };
        let mut data = Vec::new();
        let read = file
            .seek(SeekFrom::Start(offset.min(size)))
            .and_then(|_| file.take(length.unwrap_or(MAX_READ).min(MAX_READ)).read_to_end(&mut data));
        read.map_err(|error| failed(path, &error))?;
        Ok(Self { size, offset, data })
    }

    /// Returns the answer of `/files/read`. A character that is cut at the end is left for the next piece.
    fn v0(&self) -> Json {
        let whole = match str::from_utf8(&self.data) {
            Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => &self.data[..error.valid_up_to()],
            _ => &self.data,
        };
        json!({"data": String::from_utf8_lossy(whole), "offset": self.offset})
    }
}

/// Reads a number of `/files/read`, which is -1 for none.
fn number(name: &str, given: Option<&str>) -> Result<Option<u64>, Answer> {
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
    use std::fs;

    #[test]
    fn only_the_log_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let status = |log: &Log, path: &str| {
            let listed = list_files(log, path).map(|_| 200).unwrap_or_else(|answer| answer.status().as_u16());
            let read = read_file(log, path, 0, None).map(|_| 200).unwrap_or_else(|answer| answer.status().as_u16());
            assert_eq!(listed, read, "{path}");
            read
        };
        let log = Log(Some(folder.path().join("log")));
        assert_eq!(status(&log, "/master/log"), 404, "not written yet");
        fs::write(folder.path().join("log"), "line\n").unwrap();
        for (path, expected) in [
            ("/master/log", 200),
            ("master/log", 200),
            ("master/./x/../log/", 200),
            ("/", 404),
            ("", 404),
            ("/etc/passwd", 404),
            ("/master/log/../../etc/passwd", 404),
        ] {
            assert_eq!(status(&log, path), expected, "{path}");
        }
        assert_eq!(status(&Log(None), "/master/log"), 404);
        assert_eq!((Log(None).shown().len(), log.shown().len()), (0, 1));
    }

    #[test]
    fn a_file_is_read_in_pieces() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("log"), "a".repeat(100_000) + "b\u{e4}").unwrap();
        let log = Log(Some(folder.path().join("log")));
        let piece = |offset, length| Piece::read(&log, "/master/log", offset, length).unwrap();
        let read = |offset, length| {
            let piece = piece(offset, length);
            (piece.size, piece.offset, piece.data.len())
        };
        assert_eq!(read(None, None), (100_003, 100_003, 0));
        assert_eq!(read(Some(0), None), (100_003, 0, 65_536));
        assert_eq!(read(Some(0), Some(u64::MAX)), (100_003, 0, 65_536));
        assert_eq!(read(Some(99_999), Some(10)), (100_003, 99_999, 4));
        assert_eq!(read(Some(200_000), Some(10)), (100_003, 200_000, 0));
        let cut = piece(Some(100_000), Some(2)).v0();
        assert_eq!(cut, json!({"data": "b", "offset": 100_000}), "half a character comes with the next piece");
    }

    #[test]
    fn a_folder_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log(Some(folder.path().to_owned()));
        assert_eq!(read_file(&log, "/master/log", 0, None).unwrap_err().status(), 400);
    }

    #[test]
    fn a_name_that_is_hostile_does_no_harm_in_a_header() {
        for (name, expected) in [
            ("stdout.1", "attachment; filename=stdout.1"),
            ("a\r\nb\";\u{e4}", "attachment; filename*=UTF-8''a%0D%0Ab%22%3B%C3%A4"),
            ("", "attachment; filename*=UTF-8''"),
        ] {
            assert_eq!(disposition(name), expected);
        }
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
