//! The settings of a server, made of the flags.

use super::address;
use crate::master_flags::{MasterFlags, RoleSorter};
use apportion::allocator::{Drf, Hdrf, Options, Random, SorterChoice};
use apportion::{Config, Remembered, Uuid};
use apportion_http::{Authentication, CredentialsError, Realm, Settings};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The reason why there are no settings.
#[derive(Debug, thiserror::Error)]
pub(super) enum SettingsError {
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{}: {error}", path.display())]
    Credentials { path: PathBuf, error: CredentialsError },
    #[error("credentials are asked for: expected a file of them, --credentials=FILE")]
    NoCredentials,
    #[error("--allocation-interval: expected at least 1us, found 0")]
    Interval,
    #[error("the system: {0}")]
    System(#[from] io::Error),
}

/// Returns the settings of a server that is bound to that address.
pub(super) async fn of(flags: &MasterFlags, bound: SocketAddr) -> Result<Settings, SettingsError> {
    let id = Uuid::from_seed(drawn()?, 0).to_string();
    if let Some(folder) = &flags.work_dir {
        let path = folder.join("id");
        std::fs::write(&path, format!("{id}\n")).map_err(|error| SettingsError::File { path, error })?;
    }
    let ip = match flags.advertise_ip {
        Some(ip) => ip,
        None => address::advertised(bound.ip(), flags.hostname.as_deref()).await,
    };
    let hostname = match &flags.hostname {
        Some(hostname) => hostname.clone(),
        None if flags.hostname_lookup => address::hostname(ip).await,
        None => ip.to_string(),
    };
    let mut settings = Settings::default()
        .config(config(flags, &id)?)
        .id(id, drawn()?)
        .ip(ip)
        .port(flags.advertise_port.unwrap_or_else(|| bound.port()))
        .hostname(hostname)
        .heartbeat_interval(flags.heartbeat_interval)
        .max_request_body(usize::try_from(flags.max_request_body).unwrap_or(usize::MAX))
        .authentication(authentication(flags)?)
        .flags(flags.all.clone());
    if let Some(file) = record(flags)? {
        settings = settings.record(file).record_size(flags.record_size);
    }
    settings.log = flags.work_dir.as_deref().map(log_file);
    settings.stream_buffer = flags.stream_buffer;
    settings.cluster.clone_from(&flags.cluster);
    Ok(settings)
}

/// Returns the file of the log in a work folder.
pub(super) fn log_file(work_dir: &Path) -> PathBuf {
    work_dir.join("logs").join("master.log")
}

/// Returns the file of records, in a folder that exists.
fn record(flags: &MasterFlags) -> Result<Option<PathBuf>, SettingsError> {
    let Some(file) = &flags.record else { return Ok(None) };
    let path = flags.work_dir.as_ref().map_or_else(|| file.clone(), |folder| folder.join(file));
    let failed = |error| SettingsError::File { path: path.clone(), error };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    if std::fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
        return Err(failed(io::Error::other("expected a regular file to record in, or none")));
    }
    Ok(Some(path))
}

/// Returns a number that nobody guesses. Each use draws its own: ids of one kind then say nothing about those of another.
pub(super) fn drawn() -> io::Result<u64> {
    getrandom::u64().map_err(io::Error::other)
}

fn authentication(flags: &MasterFlags) -> Result<Authentication, SettingsError> {
    let asked = [
        (flags.authenticate_http_frameworks, Realm::Scheduler),
        (flags.authenticate_http_readwrite, Realm::ReadWrite),
        (flags.authenticate_http_readonly, Realm::ReadOnly),
    ];
    let asked = asked.into_iter().filter(|(is_asked, _)| *is_asked).map(|(_, realm)| realm);
    let Some(path) = &flags.credentials else {
        return if asked.count() == 0 { Ok(Authentication::default()) } else { Err(SettingsError::NoCredentials) };
    };
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| SettingsError::File { path: path.clone(), error })?;
    let known = Authentication::from_json(&text);
    let known = known.map_err(|error| SettingsError::Credentials { path: path.clone(), error })?;
    Ok(asked.fold(known, Authentication::asking))
}

fn config(flags: &MasterFlags, id: &str) -> Result<Config, SettingsError> {
    if flags.allocation_interval.as_micros() == 0 {
        return Err(SettingsError::Interval);
    }
    let mut options = Options::new();
    options.min_allocatable.clone_from(&flags.min_allocatable_resources.0);
    options.fair_sharing_excluded =
        flags.fair_sharing_excluded_resource_names.as_ref().map(|names| names.0.clone()).unwrap_or_default();
    options.filter_gpu_resources = flags.filter_gpu_resources;
    options.domain.clone_from(&flags.domain);
    let sorter = match flags.role_sorter {
        RoleSorter::Drf => SorterChoice::Drf(Drf::default()),
        RoleSorter::Hdrf => SorterChoice::Hdrf(Hdrf::default()),
        RoleSorter::Random => SorterChoice::Random(Random::new(drawn()?)),
    };
    let remembered = Remembered::default()
        .frameworks(flags.max_completed_frameworks)
        .unreachable_tasks(flags.max_unreachable_tasks_per_framework);
    let mut config = Config::new()
        .allocation_interval(flags.allocation_interval)
        .options(options)
        .sorter(sorter)
        .id_prefix(format!("{id}-"))
        .remembered(remembered);
    config.offer_timeout = flags.offer_timeout;
    Ok(config)
}
