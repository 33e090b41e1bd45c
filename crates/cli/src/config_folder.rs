//! The flags in a folder, as Mesos' packages keep them in `/etc/mesos-slave`: a file for each.

use crate::flags::Known;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The folder that is read if there is one and no flag names another.
pub(crate) const DEFAULT: &str = "/etc/mesos-slave";

/// The folders whose files are joined to one list.
const LISTS: [&str; 2] = ["attributes", "resources"];

/// The reason why a folder has no flags.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{}: there is no flag --{name}", path.display())]
    Unknown { path: PathBuf, name: String },
    #[error("{}: --{name} is no switch: expected the value in a file {name}", path.display())]
    NoSwitch { path: PathBuf, name: String },
}

/// Returns the flags of a folder, in the order of their names.
///
/// A file `NAME` has the value of `--NAME`, from which white space at the end is cut. A file `?NAME` or `?no-NAME` stands for a switch.
/// The files of `attributes` and `resources` are items `KEY:VALUE`, of which empty ones are left out. The file `zk` of the folder
/// `mesos` beside this one has the value of `--master`. Hidden files are skipped.
pub(crate) fn read(folder: &Path, known: &Known) -> Result<Vec<OsString>, FolderError> {
    let mut flags = Vec::new();
    let zk = folder.parent().map(|beside| beside.join("mesos").join("zk"));
    if let Some(path) = zk.filter(|path| path.is_file() && known.has("master")) {
        let master = content(&path)?;
        if !master.is_empty() {
            flags.push(known.argument("master", &master));
        }
    }
    for (name, path) in entries(folder)? {
        let unknown = || FolderError::Unknown { path: path.clone(), name: name.clone() };
        if path.is_dir() {
            if !LISTS.contains(&name.as_str()) || !known.has(&name) {
                return Err(unknown());
            }
            let mut items = Vec::new();
            for (key, path) in entries(&path)? {
                let value = content(&path)?;
                if !value.is_empty() {
                    items.push(format!("{key}:{value}"));
                }
            }
            flags.push(known.argument(&name, &items.join(";")));
        } else if let Some(switch) = name.strip_prefix('?') {
            let (name, value) = switch.strip_prefix("no-").map_or((switch, "true"), |name| (name, "false"));
            if !known.has(name) {
                return Err(FolderError::Unknown { path, name: name.to_owned() });
            }
            if !known.is_switch(name) {
                return Err(FolderError::NoSwitch { path, name: name.to_owned() });
            }
            flags.push(known.argument(name, value));
        } else if known.has(&name) {
            flags.push(known.argument(&name, &content(&path)?));
        } else {
            return Err(unknown());
        }
    }
    Ok(flags)
}

/// Returns the files and folders of a folder by name.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, FolderError> {
    let failed = |error| FolderError::File { path: folder.to_owned(), error };
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            entries.push((name, entry.path()));
        }
    }
    entries.sort_unstable();
    Ok(entries)
}

fn content(path: &Path) -> Result<String, FolderError> {
    let text = fs::read_to_string(path).map_err(|error| FolderError::File { path: path.to_owned(), error })?;
    Ok(text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        let valued =
            ["master", "containerizers", "hostname", "attributes", "resources", "executor-registration-timeout"];
        Known {
            switches: ["switch-user".to_owned(), "enforce-container-ports".to_owned()].into(),
            valued: valued.map(str::to_owned).into(),
        }
    }

    fn flags(files: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("mesos-slave");
        fs::create_dir(&folder).unwrap();
        for (name, text) in files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let flags = read(&folder, &known()).map_err(|error| error.to_string())?;
        Ok(flags.into_iter().map(|flag| flag.into_string().unwrap()).collect())
    }

    #[test]
    fn a_folder_as_mesos_packages_make_it_gives_the_flags() {
        let found = flags(&[
            ("../mesos/zk", "127.0.0.1:5050\n"),
            ("containerizers", "docker,mesos\n"),
            ("executor_registration_timeout", "5mins \n\n"),
            ("hostname", "node-1"),
            ("?no-switch_user", ""),
            ("?enforce_container_ports", "whatever"),
            ("attributes/rack", "r1\n"),
            ("attributes/empty", "\n"),
            ("attributes/zone", "a b"),
            ("resources/cpus(ops)", "2"),
            ("resources/ports", "[1-2]"),
            (".hidden", "x"),
        ]);
        let expected = [
            "--master=127.0.0.1:5050",
            "--enforce-container-ports=true",
            "--switch-user=false",
            "--attributes=rack:r1;zone:a b",
            "--containerizers=docker,mesos",
            "--executor-registration-timeout=5mins",
            "--hostname=node-1",
            "--resources=cpus(ops):2;ports:[1-2]",
        ];
        assert_eq!(found.unwrap(), expected);
        assert!(flags(&[]).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_flag_is_named_with_its_file() {
        for (file, told) in [
            ("hostnam", "/hostnam: there is no flag --hostnam"),
            ("?no-hostnam", "/?no-hostnam: there is no flag --hostnam"),
            ("?hostname", "/?hostname: --hostname is no switch"),
            ("isolators/cpu", "/isolators: there is no flag --isolators"),
        ] {
            let error = flags(&[(file, "x")]).unwrap_err();
            assert!(error.contains(told), "{file}: {error}");
        }
        let error = read(Path::new("/no/such/folder"), &known()).unwrap_err().to_string();
        assert!(error.starts_with("/no/such/folder: "), "{error}");
    }
}
