//! Brings one file into the sandbox, from a server or from this machine.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustix::fs::OFlags;

use super::Cause;
use super::folder::{Folder, plain_io};
use super::item::Place;
use super::job::Shared;

/// Makes the client of one fetch: it trusts whom the system trusts, and takes proxies from the environment as other programs do.
pub(super) fn agent(stall: Duration) -> ureq::Agent {
    let backstop = stall.saturating_mul(2); // the wait judges a stall; this ends a thread that nobody waits for
    let config = ureq::Agent::config_builder()
        .tls_config(crate::tls::of_system())
        .user_agent("apportion")
        .timeout_connect(Some(backstop))
        .timeout_per_read(Some(backstop))
        .timeout_per_write(Some(backstop));
    config.build().new_agent()
}

pub(super) fn fetch(
    place: &Place,
    folder: &Folder,
    name: &Path,
    executable: bool,
    shared: &Shared,
) -> Result<(), Cause> {
    let (mut from, mode): (Box<dyn Read>, u32) = match place {
        Place::Web(uri) => (Box::new(request(uri, shared)?), 0o644),
        Place::File(path) => {
            let (file, mode) = open(path)?;
            (Box::new(file), mode)
        }
    };
    let mode = if executable { mode | 0o111 } else { mode };
    let mut to = folder.create(name, mode)?;
    let failed = |error| match place {
        Place::Web(_) => transfer(error),
        Place::File(path) => plain_io(path, error),
    };
    copy(&mut from, &mut to, name, shared, failed)?;
    // The mode that a file gets at first is cut by the process' mask.
    to.set_permissions(PermissionsExt::from_mode(mode)).map_err(|error| plain_io(name, error))
}

/// Copies until the end, and notes each piece.
pub(super) fn copy(
    from: &mut dyn Read,
    to: &mut File,
    name: &Path,
    shared: &Shared,
    failed: impl Fn(std::io::Error) -> Cause,
) -> Result<(), Cause> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error)),
        };
        shared.step(read)?;
        to.write_all(&buffer[..read]).map_err(|error| plain_io(name, error))?;
    }
}

/// Opens a file of this machine; nothing else, so that no pipe or device holds the fetch up.
fn open(path: &Path) -> Result<(File, u32), Cause> {
    let no_wait = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(no_wait).open(path);
    let file = file.map_err(|error| plain_io(path, error))?;
    let metadata = file.metadata().map_err(|error| plain_io(path, error))?;
    if !metadata.is_file() {
        return Err(Cause::NoFile(path.to_owned()));
    }
    Ok((file, metadata.permissions().mode() & 0o777))
}

fn request(uri: &str, shared: &Shared) -> Result<impl Read + use<>, Cause> {
    let (uri, login) = split_login(uri);
    let mut request = shared.agent().get(uri);
    if let Some(login) = login {
        request = request.header("authorization", format!("Basic {}", BASE64_STANDARD.encode(login)));
    }
    let answer = match request.call() {
        Ok(answer) => answer,
        Err(ureq::Error::StatusCode(status)) => return Err(Cause::Status(status)),
        Err(ureq::Error::BadUri(_)) => return Err(Cause::Transfer("the URI cannot be read".into())),
        Err(ureq::Error::Io(error)) => return Err(transfer(error)),
        Err(other) => return Err(Cause::Transfer(other.to_string())),
    };
    shared.step(0)?;
    Ok(answer.into_body().into_reader())
}

fn transfer(error: std::io::Error) -> Cause {
    Cause::Transfer(error.to_string())
}

/// Takes user and password out of a URI, with their escapes resolved.
fn split_login(uri: &str) -> (String, Option<Vec<u8>>) {
    let whole = || (uri.to_owned(), None);
    let Some((scheme, rest)) = uri.split_once("://") else { return whole() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => (format!("{scheme}://{}", &rest[at + 1..]), Some(unescape(&rest.as_bytes()[..at]))),
        None => whole(),
    }
}

fn unescape(text: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| {
        byte.and_then(|&byte| char::from(byte).to_digit(16)).and_then(|digit| u8::try_from(digit).ok())
    };
    let mut plain = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match (byte, digit(text.get(at + 1)), digit(text.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                plain.push(high << 4 | low);
                at += 3;
            }
            _ => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn login_is_taken_out_of_the_uri() {
        let (uri, login) = split_login("https://me:a%40b%2F%zz@web/x@y");
        assert_eq!(uri, "https://web/x@y");
        assert_eq!(login.as_deref(), Some(b"me:a@b/%zz".as_slice()));
        assert_eq!(split_login("https://web/x@y"), ("https://web/x@y".into(), None));
    }
}
