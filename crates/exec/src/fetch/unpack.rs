//! Unpacks an archive beside itself, in memory that does not grow with the archive.

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use bzip2::read::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use tar::EntryType;
use zip::ZipReadOptions;
use zip::read::Config;
use zip::unstable::read::ZipIterable;

use super::Cause;
use super::folder::{Folder, plain_io};
use super::item::inside;
use super::job::Shared;
use super::source::copy;

/// The most that is read between two entries of a tar archive: padding, and headers of long names.
const MAX_HEADERS: u64 = 1 << 20;
/// The most memory, in KiB, that .xz may ask for: its highest preset takes 65 MiB.
const MAX_XZ_KIB: u32 = 256 << 10;

/// The most that a link of a .zip may say: the longest path of Linux.
const MAX_TARGET: u64 = 4096;
/// The bits of a mode that say what an entry is, and two of their values.
const FORMAT: u32 = 0o170_000;
const LINK: u32 = 0o120_000;
const FILE: u32 = 0o100_000;

/// The kinds of archives, by the ends of their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tar(Packing),
    /// One file that is compressed by gzip; its name is the archive's without `.gz`.
    Gzip,
    Zip,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Plain,
    Gzip,
    Bzip2,
    Xz,
}

const KINDS: [(&str, Kind); 9] = [
    (".tar", Kind::Tar(Packing::Plain)),
    (".tar.gz", Kind::Tar(Packing::Gzip)),
    (".tgz", Kind::Tar(Packing::Gzip)),
    (".tar.bz2", Kind::Tar(Packing::Bzip2)),
    (".tbz2", Kind::Tar(Packing::Bzip2)),
    (".tar.xz", Kind::Tar(Packing::Xz)),
    (".txz", Kind::Tar(Packing::Xz)),
    (".gz", Kind::Gzip), // after .tar.gz, which it ends too
    (".zip", Kind::Zip),
];

fn kind_of(name: &Path) -> Option<Kind> {
    let name = name.file_name()?.to_str()?;
    let ends = |end: &str| name.len() > end.len() && name.ends_with(end);
    KINDS.iter().find(|(end, _)| ends(end)).map(|&(_, kind)| kind)
}

/// Unpacks the file at `name` into its own directory, if it is an archive by its name.
pub(super) fn unpack(folder: &Folder, name: &Path, shared: &Shared) -> Result<(), Cause> {
    let Some(kind) = kind_of(name) else { return Ok(()) };
    let beside = name.parent().unwrap_or_else(|| Path::new(""));
    let archive = folder.read(name)?;
    let into = Unpacking { folder, beside, shared };
    match kind {
        Kind::Zip => into.zip(archive, folder.read(name)?),
        Kind::Gzip => into.gzip(archive, &name.with_extension("")),
        Kind::Tar(Packing::Plain) => into.tar(archive),
        Kind::Tar(Packing::Gzip) => into.tar(MultiGzDecoder::new(BufReader::new(archive))),
        Kind::Tar(Packing::Bzip2) => into.tar(MultiBzDecoder::new(archive)),
        Kind::Tar(Packing::Xz) => into.tar(XzReader::new_mem_limit(BufReader::new(archive), true, MAX_XZ_KIB)),
    }
}

/// Where an archive is unpacked.
struct Unpacking<'a> {
    folder: &'a Folder,
    beside: &'a Path,
    shared: &'a Shared,
}

impl Unpacking<'_> {
    fn gzip(&self, archive: File, to: &Path) -> Result<(), Cause> {
        self.file(&mut MultiGzDecoder::new(BufReader::new(archive)), to, 0o644)
    }

    fn tar(&self, archive: impl Read) -> Result<(), Cause> {
        let budget = Rc::new(Cell::new(MAX_HEADERS));
        let reader = Budgeted { reader: archive, budget: Rc::clone(&budget) };
        let mut archive = tar::Archive::new(reader);
        let mut entries = archive.entries().map_err(broken)?;
        loop {
            budget.set(MAX_HEADERS);
            let Some(entry) = entries.next() else { return Ok(()) };
            self.shared.step(0)?;
            let mut entry = entry.map_err(broken)?;
            let header = entry.header();
            let (kind, mode) = (header.entry_type(), header.mode().map_err(broken)?);
            let stated = entry.path().map_err(broken)?.into_owned();
            if kind == EntryType::XGlobalHeader {
                continue;
            }
            let Some(path) = self.place(&stated)? else { continue };
            let target = entry.link_name().map_err(broken)?.map(std::borrow::Cow::into_owned);
            match (kind, target) {
                (EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse, _) => {
                    budget.set(u64::MAX);
                    self.file(&mut entry, &path, mode)?;
                }
                (EntryType::Directory, _) => self.folder.directory(&path)?,
                (EntryType::Symlink, Some(target)) => self.folder.symlink(&path, &target)?,
                // The target counts from where the archive is unpacked.
                (EntryType::Link, Some(target)) => match self.place(&target) {
                    Ok(Some(old)) => self.folder.hard_link(&path, &old)?,
                    Ok(None) | Err(_) => {
                        return Err(Cause::Escape { entry: stated, target: Some(target) });
                    }
                },
                _ => return Err(Cause::Special(stated)),
            }
        }
    }

    /// The list of entries at the archive's end is read beside the contents, so it is never in memory as a whole.
    fn zip(&self, list: File, contents: File) -> Result<(), Cause> {
        let mut archive = ZipIterable::try_new(BufReader::new(list), Config::default()).map_err(broken)?;
        let contents = BufReader::new(contents);
        let mut entries = archive.files_with_reader(contents, ZipReadOptions::new()).map_err(broken)?;
        while let Some(entry) = entries.next() {
            self.shared.step(0)?;
            let mut entry = entry.map_err(broken)?;
            let stated = PathBuf::from(entry.name().map_err(broken)?.into_owned());
            let Some(path) = self.place(&stated)? else { continue };
            let mode = entry.unix_mode().unwrap_or(0o644);
            match mode & FORMAT {
                _ if entry.is_dir() => self.folder.directory(&path)?,
                LINK => {
                    let mut target = Vec::new();
                    (&mut entry).take(MAX_TARGET).read_to_end(&mut target).map_err(broken)?;
                    self.folder.symlink(&path, Path::new(OsStr::from_bytes(&target)))?;
                }
                0 | FILE => self.file(&mut entry, &path, mode & !FORMAT)?,
                _ => return Err(Cause::Special(stated)),
            }
        }
        Ok(())
    }

    /// Returns the path of an entry from the sandbox, or nothing for the directory where the archive is unpacked.
    fn place(&self, stated: &Path) -> Result<Option<PathBuf>, Cause> {
        if stated.components().all(|part| part == std::path::Component::CurDir) {
            return Ok(None);
        }
        let plain = inside(stated).ok_or_else(|| Cause::Escape { entry: stated.to_owned(), target: None })?;
        Ok(Some(self.beside.join(plain)))
    }

    fn file(&self, from: &mut dyn Read, path: &Path, mode: u32) -> Result<(), Cause> {
        let mut file = self.folder.create(path, mode | 0o600)?;
        copy(from, &mut file, path, self.shared, broken)?;
        let mode = (mode | 0o600) & 0o777; // never set-user-id
        file.set_permissions(PermissionsExt::from_mode(mode)).map_err(|error| plain_io(path, error))
    }
}

/// Reads from an archive as much as its budget allows.
struct Budgeted<R> {
    reader: R,
    budget: Rc<Cell<u64>>,
}

impl<R: Read> Read for Budgeted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let budget = self.budget.get();
        let most = usize::try_from(budget).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 && !buffer.is_empty() {
            return Err(io::Error::other("its headers are too long"));
        }
        let read = self.reader.read(&mut buffer[..most])?;
        self.budget.set(budget.saturating_sub(read as u64));
        Ok(read)
    }
}

fn broken(error: impl ToString) -> Cause {
    Cause::Archive(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_is_that_of_the_longest_end() {
        let cases = [
            ("a.tar", Some(Kind::Tar(Packing::Plain))),
            ("a.tar.gz", Some(Kind::Tar(Packing::Gzip))),
            ("a.tgz", Some(Kind::Tar(Packing::Gzip))),
            ("a.tar.bz2", Some(Kind::Tar(Packing::Bzip2))),
            ("a.tbz2", Some(Kind::Tar(Packing::Bzip2))),
            ("a.tar.xz", Some(Kind::Tar(Packing::Xz))),
            ("a.txz", Some(Kind::Tar(Packing::Xz))),
            ("log.gz", Some(Kind::Gzip)),
            ("a.zip", Some(Kind::Zip)),
            ("sub/a.zip", Some(Kind::Zip)),
            (".zip", None),
            ("a.zip.txt", None),
            ("tar", None),
        ];
        for (name, kind) in cases {
            assert_eq!(kind_of(Path::new(name)), kind, "{name}");
        }
    }
}
