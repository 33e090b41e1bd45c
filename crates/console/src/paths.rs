//! Outputs that would overwrite each other, or an input.

use crate::failure::Failure;
use std::fs;
use std::path::{Path, PathBuf};

/// Checks that no output is an input or another output; the options are for the message. Devices and pipes are fine.
///
/// # Errors
///
/// [`Failure::Input`] for the first two paths that are one file.
pub fn check<'a>(
    inputs: impl IntoIterator<Item = &'a Path>,
    outputs: impl IntoIterator<Item = (&'static str, &'a Path)>,
) -> Result<(), Failure> {
    let mut taken: Vec<(PathBuf, String)> =
        inputs.into_iter().filter_map(|path| Some((identity(path)?, "an input".to_owned()))).collect();
    for (option, path) in outputs {
        let Some(identity) = identity(path) else { continue };
        if let Some((_, what)) = taken.iter().find(|(other, _)| *other == identity) {
            let path = path.display();
            return Err(Failure::input(format!(
                "{option} {path}: found the file of {what} too, expected another file"
            )));
        }
        taken.push((identity, option.to_owned()));
    }
    Ok(())
}

/// Returns the canonical path of a file, which need not exist yet. Returns `None` for a device, a pipe or a folder.
fn identity(path: &Path) -> Option<PathBuf> {
    match fs::canonicalize(path) {
        Ok(path) => fs::metadata(&path).is_ok_and(|data| data.is_file()).then_some(path),
        Err(_) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            Some(fs::canonicalize(folder.unwrap_or_else(|| Path::new("."))).ok()?.join(path.file_name()?))
        }
    }
}
