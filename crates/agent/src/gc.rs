//! [`Gc`]: removes sandboxes of the past, after a time, or earlier when the disk fills.

use crate::settings::Settings;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// The longest time between two looks at the disk (Mesos, `--disk_watch_interval`).
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// The shortest one.
const MIN_PAUSE: Duration = Duration::from_millis(100);

/// The sandboxes that are not needed any more. A clone is another handle of the same ones.
#[derive(Debug, Clone)]
pub(crate) struct Gc(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: Arc<Settings>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Each with the time since which it is not needed.
    waiting: BTreeMap<PathBuf, Instant>,
    counts: Counts,
}

/// How many folders wait, were removed, and could not be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) pending: usize,
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    /// The age at which folders are removed now.
    pub(crate) max_age: Duration,
}

impl Gc {
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        let state = State { counts: Counts { max_age: settings.gc_delay, ..Counts::default() }, ..State::default() };
        Self(Arc::new(Shared { settings, state: Mutex::new(state) }))
    }

    /// Removes a folder after its time.
    pub(crate) fn discard(&self, folder: PathBuf) {
        self.0.lock().waiting.entry(folder).or_insert_with(Instant::now);
    }

    /// Removes the folder of a persistent volume, if it is there. Another of that name may be made as soon as this returns.
    pub(crate) fn remove_volume(&self, folder: &Path) {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let removed = self.0.settings.removed_volumes().join(format!("{}-{number}", std::process::id()));
        let moved = fs::create_dir_all(self.0.settings.removed_volumes()).and_then(|()| fs::rename(folder, &removed));
        let removed = match moved {
            Ok(()) => removed,
            Err(error) if error.kind() == ErrorKind::NotFound => return,
            Err(_) => folder.to_owned(), // it is on another disk
        };
        tokio::task::spawn_blocking(move || {
            if let Err(error) = fs::remove_dir_all(&removed) {
                tracing::warn!(%error, folder = %removed.display(), "a persistent volume cannot be removed");
            }
        });
    }

    /// Removes what an earlier run has left of persistent volumes. It takes as long as there are files.
    pub(crate) fn remove_leftover_volumes(&self) {
        let _ = fs::remove_dir_all(self.0.settings.removed_volumes()); // what cannot be removed is tried again by the next run
    }

    /// Discards the sandboxes of runs before this start that are none of `live`, as of their last change.
    pub(crate) fn discard_old(&self, live: &[PathBuf]) {
        let now = Instant::now();
        for folder in runs(&self.0.settings.machine.work_dir) {
            if live.contains(&folder) {
                continue;
            }
            let age = fs::metadata(&folder).and_then(|found| found.modified());
            let age = age.ok().and_then(|changed| changed.elapsed().ok()).unwrap_or_default();
            self.0.lock().waiting.entry(folder).or_insert_with(|| now.checked_sub(age).unwrap_or(now));
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        let state = self.0.lock();
        Counts { pending: state.waiting.len(), ..state.counts }
    }

    /// Removes what is old, again and again.
    pub(crate) async fn run(self) {
        let pause = self.0.settings.gc_delay.clamp(MIN_PAUSE, MAX_PAUSE);
        let mut ticks = interval(pause);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let gc = self.clone();
            if tokio::task::spawn_blocking(move || gc.collect()).await.is_err() {
                return; // the program ends
            }
        }
    }

    /// Removes what is old now.
    fn collect(&self) {
        let settings = &self.0.settings;
        let used = used(&settings.machine.work_dir).unwrap_or(0.0);
        let max_age = max_age(settings.gc_delay, settings.gc_disk_headroom, used);
        let old: Vec<PathBuf> = {
            let mut state = self.0.lock();
            state.counts.max_age = max_age;
            let is_old = |(folder, since): (&PathBuf, &Instant)| (since.elapsed() >= max_age).then(|| folder.clone());
            state.waiting.iter().filter_map(is_old).collect()
        };
        for folder in old {
            let removed = remove(&folder, &settings.machine.work_dir);
            let mut state = self.0.lock();
            state.waiting.remove(&folder);
            match removed {
                Ok(()) => state.counts.succeeded += 1,
                Err(error) => {
                    state.counts.failed += 1;
                    tracing::warn!(%error, folder = %folder.display(), "a sandbox cannot be removed");
                }
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the age at which folders are removed: none at all when the disk is as full as it may be (Mesos, `Slave::age`).
fn max_age(delay: Duration, headroom: f64, used: f64) -> Duration {
    delay.mul_f64((1.0 - headroom - used).clamp(0.0, 1.0))
}

/// Returns the part of the disk that is used.
#[expect(clippy::cast_precision_loss, reason = "a part, for which a few digits do")]
fn used(folder: &Path) -> Option<f64> {
    let system = rustix::fs::statvfs(folder).ok()?;
    (system.f_blocks > 0).then(|| 1.0 - system.f_bavail as f64 / system.f_blocks as f64)
}

/// Returns the sandboxes in a work folder.
pub(crate) fn runs(work_dir: &Path) -> Vec<PathBuf> {
    let mut folders = vec![work_dir.join("slaves")];
    for below in [None, Some("frameworks"), None, Some("executors"), None, Some("runs"), None] {
        folders = match below {
            Some(name) => folders.into_iter().map(|folder| folder.join(name)).collect(),
            None => folders.iter().flat_map(|folder| subfolders(folder)).collect(),
        };
    }
    folders.sort_unstable();
    folders
}

/// Returns the folders in a folder, without links.
fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

/// Removes a folder, the link `latest` to it, and the folders above it that are empty then.
fn remove(folder: &Path, work_dir: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let latest = folder.with_file_name("latest");
    if fs::read_link(&latest).is_ok_and(|target| Some(target.as_os_str()) == folder.file_name()) {
        fs::remove_file(&latest)?;
    }
    let top = work_dir.join("slaves");
    let above = folder.ancestors().skip(1).take_while(|above| above.starts_with(&top) && *above != top);
    for above in above {
        if fs::remove_dir(above).is_err() {
            break; // something else is in it
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use apportion::Agent;

    fn gc(folder: &Path, delay: Duration) -> Gc {
        let mut settings = Settings::new("127.0.0.1:5050", Agent::new("", "cpus:1".parse().unwrap()), folder);
        settings.gc_delay = delay;
        settings.gc_disk_headroom = -1.0; // how full the disk of this machine is makes no difference
        Gc::new(Arc::new(settings))
    }

    fn sandbox(work_dir: &Path, executor: &str, run: &str) -> PathBuf {
        let runs = work_dir.join("slaves/a/frameworks/f/executors").join(executor).join("runs");
        fs::create_dir_all(runs.join(run)).unwrap();
        let _ = fs::remove_file(runs.join("latest"));
        std::os::unix::fs::symlink(run, runs.join("latest")).unwrap();
        runs.join(run)
    }

    #[test]
    fn the_fuller_the_disk_the_earlier() {
        let week = Duration::from_secs(604_800);
        assert_eq!(max_age(week, 0.1, 0.9), Duration::ZERO);
        assert_eq!(max_age(week, 0.1, 0.95), Duration::ZERO);
        assert_eq!(max_age(week, 0.0, 0.0), week);
        assert_eq!(max_age(week, 0.25, 0.25).as_secs(), 302_400);
    }

    #[test]
    fn what_is_old_is_removed_with_what_is_empty_then() {
        let folder = tempfile::tempdir().unwrap();
        let gc = gc(folder.path(), Duration::ZERO);
        let (old, other) = (sandbox(folder.path(), "e1", "r1"), sandbox(folder.path(), "e2", "r2"));
        gc.discard(old.clone());
        gc.collect();
        assert!(!old.exists() && !folder.path().join("slaves/a/frameworks/f/executors/e1").exists());
        assert!(other.exists() && other.with_file_name("latest").exists());
        assert_eq!((gc.counts().pending, gc.counts().succeeded, gc.counts().failed), (0, 1, 0));
    }

    #[test]
    fn sandboxes_of_before_are_found_but_for_those_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let (old, live) = (sandbox(folder.path(), "e1", "r1"), sandbox(folder.path(), "e1", "r2"));
        let gc = gc(folder.path(), Duration::from_secs(3600));
        gc.discard_old(std::slice::from_ref(&live));
        gc.collect();
        assert!(old.exists(), "its time has not come");
        assert_eq!(gc.counts().pending, 1);
        assert_eq!(runs(folder.path()), [old, live]);
    }
}
