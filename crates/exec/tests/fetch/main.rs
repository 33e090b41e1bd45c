//! The fetcher, against servers and archives that are good, bad and evil.
#![allow(clippy::unwrap_used, reason = "a test that goes wrong ends")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use apportion_exec::fetch::{Cause, Fetch, FetchError, Item};
use tempfile::TempDir;

/// Serves one connection after the other, each by a function that gets its request's head; returns the server's address.
fn serve(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let accept = move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                match connection.read(&mut byte) {
                    Ok(1) => head.push(byte[0]),
                    _ => break,
                }
            }
            answer(&String::from_utf8_lossy(&head), &mut connection);
        }
    };
    thread::Builder::new().spawn(accept).unwrap();
    format!("http://{address}")
}

fn ok(connection: &mut TcpStream, body: &[u8]) {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = connection.write_all(&[head.as_bytes(), body].concat());
}

fn fetch(items: &[Item]) -> (TempDir, Result<(), FetchError>) {
    let sandbox = tempfile::tempdir().unwrap();
    let result = Fetch::into_sandbox(sandbox.path()).start(items).and_then(|fetch| fetch.wait());
    (sandbox, result)
}

fn text(sandbox: &TempDir, name: &str) -> String {
    std::fs::read_to_string(sandbox.path().join(name)).unwrap()
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().unwrap().permissions().mode() & 0o777
}

/// A tar of entries: path, kind, content of a file or target of a link. The names are put in as they are, however evil.
fn tar_of(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, kind, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o755);
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        let data = if kind.is_file() { content.as_bytes() } else { &[] };
        if !kind.is_file() {
            header.as_mut_bytes()[157..157 + content.len()].copy_from_slice(content.as_bytes());
        }
        header.set_size(data.len() as u64);
        header.set_cksum();
        builder.append(&header, data).unwrap();
    }
    builder.into_inner().unwrap()
}

use tar::EntryType::{Directory, Fifo, Link, Regular, Symlink};

fn plain() -> Vec<u8> {
    tar_of(&[
        ("./", Directory, ""),
        ("dir/", Directory, ""),
        ("dir/file", Regular, "content"),
        ("dir/link", Symlink, "../dir/file"),
        ("hard", Link, "dir/file"),
    ])
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(6)).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Puts an archive where the fetcher takes it from, fetches it, and returns the sandbox.
fn unpack(name: &str, bytes: &[u8]) -> (TempDir, Result<(), FetchError>) {
    let source = tempfile::tempdir().unwrap();
    std::fs::write(source.path().join(name), bytes).unwrap();
    fetch(&[Item::new(source.path().join(name).to_str().unwrap())])
}

#[test]
fn files_come_from_servers_and_this_machine() {
    let server = serve(|head, connection| match head.split(' ').nth(1).unwrap_or_default() {
        "/run?x=1" => ok(connection, b"#!/bin/sh\n"),
        "/secret" if head.to_lowercase().contains("authorization: basic bwu6cebzcw==") => ok(connection, b"for me"),
        "/moved" => {
            let _ = connection.write_all(
                b"HTTP/1.1 302 Found\r\nLocation: /run?x=1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            );
        }
        _ => {
            let _ = connection.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    let source = tempfile::tempdir().unwrap();
    std::fs::write(source.path().join("data"), "local").unwrap();
    let local = source.path().join("data").to_str().unwrap().to_owned();
    let with_login = server.replace("://", "://me:p%40ss@");
    let (sandbox, result) = fetch(&[
        Item::new(format!("{server}/run?x=1")).executable(),
        Item::new(format!("{server}/moved")).output_file("sub/moved"),
        Item::new(format!("file://{local}")),
        Item::new(local).output_file("copy"),
    ]);
    result.unwrap();
    assert_eq!((text(&sandbox, "run"), text(&sandbox, "sub/moved")), ("#!/bin/sh\n".into(), "#!/bin/sh\n".into()));
    assert_eq!((mode(&sandbox.path().join("run")), mode(&sandbox.path().join("sub/moved"))), (0o755, 0o644));
    assert_eq!((text(&sandbox, "data"), text(&sandbox, "copy")), ("local".into(), "local".into()));

    let (_, missing) = fetch(&[Item::new(format!("{with_login}/none"))]);
    let missing = missing.unwrap_err();
    assert!(matches!(missing.cause, Cause::Status(404)), "{missing}");
    assert_eq!(missing.to_string(), format!("cannot fetch {server}/none: the server answers 404"));
    for (item, words) in
        [("/no/such/file", "No such file"), ("/tmp", "/tmp is no file"), ("/dev/zero", "/dev/zero is no file")]
    {
        let refused = fetch(&[Item::new(item)]).1.unwrap_err();
        assert!(refused.to_string().contains(words), "{refused}");
    }
}

#[test]
fn answer_that_breaks_off_is_a_failure() {
    let server = serve(|_, connection| {
        let _ = connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nhalf");
    });
    let broken = fetch(&[Item::new(format!("{server}/a"))]).1.unwrap_err();
    assert!(matches!(broken.cause, Cause::Transfer(_)), "{broken}");
}

#[test]
fn stall_and_cancel_end_the_wait() {
    let (reached, asked) = mpsc::channel();
    let server = serve(move |_, connection| {
        let _ = connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        reached.send(connection.try_clone().unwrap()).unwrap(); // the test keeps it open
    });
    let sandbox = tempfile::tempdir().unwrap();
    let items = [Item::new(format!("{server}/a"))];
    let stalled = Fetch::into_sandbox(sandbox.path()).stall(Duration::from_millis(200)).start(&items).unwrap().wait();
    assert!(matches!(stalled, Err(FetchError { cause: Cause::Stalled(_), .. })), "{stalled:?}");

    let fetch = Fetch::into_sandbox(sandbox.path()).start(&items).unwrap();
    let canceller = fetch.canceller();
    let (told, outcome) = mpsc::channel();
    thread::Builder::new().spawn(move || told.send(fetch.wait()).unwrap()).unwrap();
    let _open = [asked.recv().unwrap(), asked.recv().unwrap()];
    assert_eq!(canceller.progress().uri, format!("{server}/a"));
    canceller.cancel();
    let cancelled = outcome.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(matches!(cancelled, Err(FetchError { cause: Cause::Cancelled, .. })), "{cancelled:?}");
}

#[test]
fn archives_are_unpacked_beside_themselves() {
    let tar = plain();
    for (name, bytes) in [
        ("a.tar", tar.clone()),
        ("a.tar.gz", gzip(&tar)),
        ("a.tgz", [gzip(&tar[..512]), gzip(&tar[512..])].concat()), // members of gzip, one after the other
        ("a.tar.bz2", bzip2(&tar)),
        ("a.tbz2", bzip2(&tar)),
        ("a.tar.xz", xz(&tar)),
        ("a.txz", xz(&tar)),
    ] {
        let (sandbox, result) = unpack(name, &bytes);
        result.unwrap();
        for path in [name, "dir/file", "dir/link", "hard"] {
            assert!(sandbox.path().join(path).is_file(), "{path} of {name}");
        }
        assert_eq!(text(&sandbox, "dir/link"), "content");
    }
    let (sandbox, result) = unpack("log.gz", &gzip(b"lines"));
    result.unwrap();
    assert_eq!(text(&sandbox, "log"), "lines");

    let source = tempfile::tempdir().unwrap();
    std::fs::write(source.path().join("a.tar"), &tar).unwrap();
    let archive = source.path().join("a.tar").to_str().unwrap().to_owned();
    let (sandbox, result) = fetch(&[
        Item::new(archive.clone()).packed(),
        Item::new(archive.clone()).executable().output_file("x.tar"),
        Item::new(archive).output_file("sub/b.tar"),
    ]);
    result.unwrap();
    assert!(!sandbox.path().join("dir").exists() && sandbox.path().join("sub/dir/file").is_file());
}

#[test]
fn zip_keeps_files_modes_and_links() {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default;
    zip.add_directory("bin/", options()).unwrap();
    zip.start_file("bin/run", options().unix_permissions(0o755)).unwrap();
    zip.write_all(b"run").unwrap();
    zip.add_symlink("link", "bin/run", options()).unwrap();
    let good = zip.finish().unwrap().into_inner();
    let (sandbox, result) = unpack("a.zip", &good);
    result.unwrap();
    assert_eq!((text(&sandbox, "link"), mode(&sandbox.path().join("bin/run"))), ("run".into(), 0o755));

    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.add_symlink("link", "../../etc/passwd", options()).unwrap();
    let evil = zip.finish().unwrap().into_inner();
    let refused = unpack("a.zip", &evil).1.unwrap_err();
    assert!(matches!(refused.cause, Cause::Escape { .. }), "{refused}");
}

#[test]
fn entries_that_leave_the_sandbox_are_refused() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().join("evil");
    let absolute = target.to_str().unwrap();
    let cases = [
        tar_of(&[("../evil", Regular, "x")]),
        tar_of(&[(absolute, Regular, "x")]),
        tar_of(&[("a/../../evil", Regular, "x")]),
        tar_of(&[("link", Symlink, outside.path().to_str().unwrap()), ("link/evil", Regular, "x")]),
        tar_of(&[("link", Symlink, "..")]),
        tar_of(&[("here", Symlink, "."), ("here/evil", Regular, "x")]), // through a link, if only to the sandbox
        tar_of(&[("hard", Link, "/etc/passwd")]),
        tar_of(&[("hard", Link, "../../etc/passwd")]),
    ];
    for (number, bytes) in cases.iter().enumerate() {
        let (sandbox, result) = unpack("a.tar", bytes);
        let refused = result.unwrap_err();
        assert!(matches!(refused.cause, Cause::Escape { .. }), "{number}: {refused}");
        assert!(!target.exists() && !sandbox.path().parent().unwrap().join("evil").exists(), "{number}");
    }
    let refused = unpack("a.tar", &tar_of(&[("pipe", Fifo, "")])).1.unwrap_err();
    assert!(matches!(refused.cause, Cause::Special(_)), "{refused}");
    for (name, bytes) in
        [("a.tar.gz", b"no archive".to_vec()), ("a.zip", b"no archive".to_vec()), ("a.tar.xz", b"no archive".to_vec())]
    {
        let refused = unpack(name, &bytes).1.unwrap_err();
        assert!(matches!(refused.cause, Cause::Archive(_)), "{refused}");
    }
}
