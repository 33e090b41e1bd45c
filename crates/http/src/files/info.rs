//! [`FileInfo`]: what a file is, for the files API.

use serde_json::{Value as Json, json};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;

/// What a file or a folder is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "these are the fields of Mesos")]
pub struct FileInfo {
    /// The path under which it is shown.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// The number of its names.
    pub nlink: u64,
    /// The time of its last change, in seconds and nanoseconds since 1970.
    pub modified: (i64, i64),
    /// Its kind and permissions, as the system has them in `st_mode`.
    pub mode: u32,
    /// The name of its owner, or the number.
    pub user: String,
    /// The name of its group, or the number.
    pub group: String,
}

impl FileInfo {
    /// Returns what these files are. The names of users and groups are looked up once.
    #[must_use]
    pub fn all(files: Vec<(String, Metadata)>) -> Vec<Self> {
        let [users, groups] = ["/etc/passwd", "/etc/group"].map(|file| fs::read_to_string(file).unwrap_or_default());
        let info = |(path, found): (String, Metadata)| Self {
            path,
            size: found.len(),
            nlink: found.nlink(),
            modified: (found.mtime(), found.mtime_nsec()),
            mode: found.mode(),
            user: named(&users, found.uid()),
            group: named(&groups, found.gid()),
        };
        files.into_iter().map(info).collect()
    }

    /// Returns Mesos' `FileInfo`.
    #[must_use]
    pub fn v1(&self) -> Json {
        let modified = self.modified.0.saturating_mul(1_000_000_000).saturating_add(self.modified.1);
        json!({
            "path": self.path, "nlink": self.nlink, "size": self.size, "mtime": {"nanoseconds": modified},
            "mode": self.mode, "uid": self.user, "gid": self.group,
        })
    }

    /// Returns the entry of `/files/browse`.
    #[must_use]
    pub fn v0(&self) -> Json {
        json!({
            "path": self.path, "nlink": self.nlink, "size": self.size, "mtime": self.modified.0,
            "mode": permissions(self.mode), "uid": self.user, "gid": self.group,
        })
    }
}

/// Returns the name of a user or a group, or the number if it has none.
fn named(known: &str, id: u32) -> String {
    let name = known.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| id.to_string())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_as_ls_shows_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log");
        fs::write(&file, "line\n").unwrap();
        let [info] = &FileInfo::all(vec![("/master/log".to_owned(), fs::metadata(file).unwrap())])[..] else {
            panic!("one file");
        };
        let (v0, v1) = (info.v0(), info.v1());
        assert_eq!((&v0["path"], &v0["size"], &v0["nlink"]), (&json!("/master/log"), &json!(5), &json!(1)));
        assert_eq!(v1["mtime"]["nanoseconds"].as_i64().unwrap() / 1_000_000_000, v0["mtime"].as_i64().unwrap());
        assert_eq!((permissions(0o100_644), permissions(0o040_755)), ("-rw-r--r--".into(), "drwxr-xr-x".into()));
        assert_eq!(named("root:x:0:0:root:/root:/bin/sh\nwww:x:33:", 33), "www");
        assert_eq!(named("", 4_000_000_000), "4000000000");
    }
}
