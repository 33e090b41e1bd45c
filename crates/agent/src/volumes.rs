//! [`Volume`]: a persistent volume, a folder of the agent that outlives the tasks which use it.

use apportion::{Disk, DiskType, Resource, Resources};
use apportion_exec::User;
use apportion_exec::sandbox::check_name;
use std::borrow::Cow;
use std::fs;
use std::io;
use std::os::unix::fs::{chown, symlink};
use std::path::{Component, Path, PathBuf};

/// A persistent volume as its container has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Volume {
    /// The folder on the agent.
    pub folder: PathBuf,
    /// Where the container finds it: in its sandbox, unless the container has a file system of its own.
    pub container_path: String,
    /// True if the container may only read it.
    pub read_only: bool,
}

/// The reason why a container cannot have its volume.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VolumeError {
    /// The path leads out of the sandbox.
    #[error("the volume's container_path {0:?} is not in the sandbox: expected a relative path without ..")]
    Path(String),
    /// The system refuses it.
    #[error("the volume {}: {error}", path.display())]
    System {
        /// The folder, or the link to it.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
}

impl Volume {
    /// Returns the persistent volumes among resources. Their folders are below that of the agent, or below the root of a PATH disk
    /// (Mesos' `paths::getPersistentVolumePath`); volumes of other disks are left out.
    #[must_use]
    pub fn all(resources: &Resources, work_dir: &Path) -> Vec<Self> {
        resources.iter().filter_map(|resource| Self::of(resource, work_dir)).collect()
    }

    fn of(resource: &Resource, work_dir: &Path) -> Option<Self> {
        let disk = resource.kind()?.disk.as_ref()?;
        let folder = folder(resource, disk, work_dir)?;
        let volume = disk.volume.as_ref();
        let field = |name| volume.and_then(|volume| volume.get(name)?.as_str().map(Cow::into_owned));
        let container_path = field("container_path").unwrap_or_default();
        Some(Self { folder, container_path, read_only: field("mode").as_deref() == Some("RO") })
    }

    /// Makes the folder if it is missing, as the owner's, and links it into a sandbox. What is read-only is no more than asked for:
    /// a link has no mode (as in Mesos' `filesystem/posix`).
    ///
    /// # Errors
    ///
    /// [`VolumeError`].
    pub fn link(&self, sandbox: &Path, owner: Option<&User>) -> Result<(), VolumeError> {
        let inside = Path::new(&self.container_path);
        let is_inside = inside.components().all(|part| matches!(part, Component::Normal(_)));
        if !is_inside || self.container_path.is_empty() {
            return Err(VolumeError::Path(self.container_path.clone()));
        }
        let failed = |path: &Path| {
            let path = path.to_owned();
            |error| VolumeError::System { path, error }
        };
        if !self.folder.is_dir() {
            fs::create_dir_all(&self.folder).map_err(failed(&self.folder))?;
            if let Some(owner) = owner {
                chown(&self.folder, Some(owner.uid()), Some(owner.gid())).map_err(failed(&self.folder))?;
            }
        }
        let link = sandbox.join(inside);
        if let Some(parent) = link.parent() {
            fs::create_dir_all(parent).map_err(failed(parent))?;
        }
        symlink(&self.folder, &link).map_err(failed(&link))
    }

    /// Returns the volume as a `Volume` of Mesos' `ContainerInfo`, for a container that mounts it.
    #[must_use]
    pub fn mounted(&self) -> serde_json::Value {
        serde_json::json!({
            "host_path": self.folder.to_string_lossy(),
            "container_path": self.container_path,
            "mode": if self.read_only { "RO" } else { "RW" },
        })
    }
}

/// Adds volumes to those of Mesos' `ContainerInfo`, as JSON.
pub(crate) fn mount(volumes: &[Volume], container: &mut serde_json::Value) {
    if volumes.is_empty() {
        return;
    }
    let known = container["volumes"].as_array().cloned().unwrap_or_default();
    container["volumes"] = known.into_iter().chain(volumes.iter().map(Volume::mounted)).collect();
}

/// Returns the folder of a volume; `None` for what is none, or of a disk that has no folder of ours.
fn folder(resource: &Resource, disk: &Disk, work_dir: &Path) -> Option<PathBuf> {
    let id = disk.persistence.as_ref().filter(|id| check_name(id.as_str()).is_ok())?;
    let role = resource.reservations().last()?.role.as_str().replace('/', " "); // a role has no spaces
    let root = match &disk.source {
        None => work_dir.to_owned(),
        Some(source) if source.kind == DiskType::Path => work_dir.join(source.root.as_ref()?.as_str()),
        Some(_) => return None,
    };
    Some(root.join("volumes").join("roles").join(role).join(id.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use apportion::{Details, DiskSource, Reservation};

    fn disk(disk: Disk) -> Resources {
        let resources: Resources = "disk:5".parse().unwrap();
        let volumes = resources.iter().map(|resource| {
            let reserved = resource.clone().reserved(Reservation::dynamic("web/a".parse().unwrap()));
            let mut kind = reserved.kind().unwrap().clone();
            kind.disk = Some(disk.clone());
            reserved.with_kind(kind)
        });
        Resources::try_from_iter(volumes).unwrap()
    }

    fn at(container_path: &str) -> Volume {
        let mut volume = Disk::default().volume("v1");
        volume.volume = Some(Details::from_iter([("container_path", container_path), ("mode", "RO")]));
        Volume::all(&disk(volume), Path::new("/work")).remove(0)
    }

    #[test]
    fn folders_are_where_mesos_has_them() {
        let volume = at("data");
        assert_eq!(volume.folder, Path::new("/work/volumes/roles/web a/v1"));
        assert_eq!((volume.container_path.as_str(), volume.read_only), ("data", true));
        assert_eq!(volume.mounted()["mode"], "RO");
        for (root, folder) in [("/ssd", "/ssd/volumes/roles/web a/v1"), ("ssd", "/work/ssd/volumes/roles/web a/v1")] {
            let on_path = Disk::of(DiskSource::new(DiskType::Path).root(root)).volume("v1");
            assert_eq!(Volume::all(&disk(on_path), Path::new("/work"))[0].folder, Path::new(folder));
        }
        let others = [
            Disk::default(),
            Disk::of(DiskSource::new(DiskType::Mount).root("/m")).volume("v1"),
            Disk::default().volume(".."),
        ];
        for other in others {
            assert_eq!(Volume::all(&disk(other), Path::new("/work")), []);
        }
    }

    #[test]
    fn a_volume_is_linked_within_the_sandbox_alone() {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = folder.path().join("sandbox");
        fs::create_dir(&sandbox).unwrap();
        let with = |container_path: &str| Volume { folder: folder.path().join("volume"), ..at(container_path) };
        with("data/of/mine").link(&sandbox, None).unwrap();
        fs::write(sandbox.join("data/of/mine/file"), "x").unwrap();
        assert!(folder.path().join("volume/file").is_file());
        for path in ["/data", "../data", "a/../../b", ""] {
            assert!(matches!(with(path).link(&sandbox, None), Err(VolumeError::Path(_))), "{path}");
        }
        let error = with("data/of/mine").link(&sandbox, None).unwrap_err().to_string();
        assert!(error.contains("data/of/mine"), "{error}");
    }
}
