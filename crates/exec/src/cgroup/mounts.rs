//! Where cgroups are mounted, and in which of them this program is.

use std::path::PathBuf;

/// All mounts of cgroups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mounts {
    pub(crate) v1: Vec<Mount>,
    pub(crate) v2: Option<Mount>,
}

/// A mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// The controllers of version 1, named hierarchies as `name=systemd`.
    pub(crate) controllers: Vec<String>,
    pub(crate) folder: PathBuf,
    /// The folder of the cgroup that this program is in.
    pub(crate) own: PathBuf,
}

impl Mounts {
    /// Reads `/proc/self/mounts` and `/proc/self/cgroup`.
    pub(crate) fn parse(mounts: &str, own: &str) -> Self {
        let mut found = Self::default();
        for line in mounts.lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            let [_, folder, kind @ ("cgroup" | "cgroup2"), options, ..] = fields[..] else { continue };
            let folder = PathBuf::from(folder.replace("\\040", " "));
            let options: Vec<String> = options.split(',').map(str::to_owned).collect();
            let below = |path: &str| folder.join(path.trim_start_matches('/'));
            if kind == "cgroup2" {
                let path = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default();
                if found.v2.is_none() {
                    found.v2 = Some(Mount { controllers: Vec::new(), own: below(path), folder });
                }
                continue;
            }
            let mut lines = own.lines().filter_map(|line| {
                let mut fields = line.splitn(3, ':').skip(1);
                Some((fields.next()?, fields.next()?))
            });
            // Of the options the controllers are those that /proc/self/cgroup has in one line.
            let line = lines.find(|(names, _)| {
                !names.is_empty() && names.split(',').all(|name| options.iter().any(|option| option == name))
            });
            if let Some((names, path)) = line {
                let controllers = names.split(',').map(str::to_owned).collect();
                found.v1.push(Mount { controllers, own: below(path), folder });
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_of_both_versions_are_found() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
            cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,cpu,cpuacct 0 0\n\
            cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n\
            cgroup /sys/fs/cgroup/systemd cgroup rw,xattr,name=systemd 0 0\n\
            cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\nproc /proc proc rw 0 0\n";
        let own = "5:memory:/a/b\n4:cpu,cpuacct:/\n1:name=systemd:/init.scope\n0::/c\n";
        let found = Mounts::parse(mounts, own);
        let v1 = found.v1.iter().map(|mount| (mount.controllers.join("+"), mount.own.display().to_string()));
        let v1: Vec<_> = v1.collect();
        let expected = [
            ("cpu+cpuacct", "/sys/fs/cgroup/cpu,cpuacct/"),
            ("memory", "/sys/fs/cgroup/memory/a/b"),
            ("name=systemd", "/sys/fs/cgroup/systemd/init.scope"),
        ];
        assert_eq!(v1, expected.map(|(names, own)| (names.to_owned(), own.to_owned())));
        let v2 = found.v2.unwrap();
        assert_eq!(
            (v2.folder.to_str(), v2.own.to_str()),
            (Some("/sys/fs/cgroup/unified"), Some("/sys/fs/cgroup/unified/c"))
        );
        assert_eq!(Mounts::parse("proc /proc proc rw 0 0\nx\n", "0::/"), Mounts::default());
    }
}
