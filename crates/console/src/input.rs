//! [`read`]: whole documents of a bounded size; `-` is standard input.

use crate::failure::Failure;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The argument that stands for standard input.
pub const STANDARD_INPUT: &str = "-";

/// The longest document in bytes, 16 MiB, unless `--max-bytes` says otherwise.
pub const MAX_DOCUMENT_BYTES: usize = 16 << 20;

/// Opens a file, or standard input for `-`.
///
/// # Errors
///
/// [`Failure::Input`], which begins with the name of the file, if it cannot be opened.
pub fn open(file: &Path) -> Result<Box<dyn Read>, Failure> {
    if file == Path::new(STANDARD_INPUT) {
        return Ok(Box::new(io::stdin().lock()));
    }
    let opened = File::open(file).map_err(|error| Failure::input(format!("{}: {error}", file.display())))?;
    Ok(Box::new(opened))
}

/// Reads a file to its end, or standard input for `-`. No more than `limit` bytes and one are read.
///
/// # Errors
///
/// [`Failure::Input`], which begins with the name of the file, if it cannot be read or is longer.
pub fn read(file: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let limit_and_one = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let read = open(file)?.take(limit_and_one).read_to_end(&mut bytes);
    read.map_err(|error| Failure::input(format!("{}: {error}", file.display())))?;
    if bytes.len() > limit {
        return Err(Failure::input(format!(
            "{}: found more than {limit} bytes, expected at most these: --max-bytes sets another limit",
            file.display()
        )));
    }
    Ok(bytes)
}
