//! The settings of a server, made of the flags.

use crate::address::Advertised;
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
    let Advertised { address, hostname } = flags.advertise.resolve(bound).await;
    let mut settings = Settings::default()
        .config(config(flags, &id)?)
        .id(id, drawn()?)
        .ip(address.ip())
        .port(address.port())
        .hostname(hostname)
        .heartbeat_interval(flags.heartbeat_interval)
        .agent_pings(flags.agent_ping_timeout, flags.max_agent_ping_timeouts)
        .agent_reregister_timeout(flags.agent_reregister_timeout)
        .per_framework_metrics(flags.publish_per_framework_metrics)
        .max_completed_tasks(flags.max_completed_tasks_per_framework)
        .max_connections(flags.max_connections)
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
    options.max_offer = flags.max_offer.clone().unwrap_or_default();
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
    config.timeout_refusal = flags.timeout_refusal.unwrap_or_default();
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::Arguments;
    use apportion::Domain;
    use std::net::IpAddr;
    use std::time::Duration;

    fn settings(flags: &[&str]) -> Result<Settings, SettingsError> {
        let flags = Arguments::master(flags).unwrap();
        let bound = SocketAddr::new(flags.ip, if flags.port == 0 { 4711 } else { flags.port });
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(of(&flags, bound))
    }

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    #[test]
    fn where_to_connect_comes_from_the_flags_of_the_network() {
        let settings = |flags: &[&str]| settings(flags).unwrap();
        let told = settings(&["--ip=127.0.0.9", "--port=0"]);
        assert_eq!(told.pid(), "master@127.0.0.9:4711");
        let told =
            settings(&["--ip=0.0.0.0", "--advertise_ip=127.0.0.2", "--advertise_port=80", "--hostname=m.example"]);
        assert_eq!((told.pid().as_str(), told.hostname.as_str()), ("master@127.0.0.2:80", "m.example"));
        assert_eq!(settings(&["--no-hostname_lookup"]).hostname, "127.0.0.1");
        assert!(["localhost", "127.0.0.1"].contains(&settings(&["--hostname_lookup"]).hostname.as_str()));
        let any: IpAddr = [0, 0, 0, 0].into();
        assert_ne!(settings(&["--ip=0.0.0.0"]).ip, any);
    }

    #[test]
    fn limits_and_names_come_from_flags() {
        let told = settings(&[
            "--cluster=blue",
            "--heartbeat_interval=100ms",
            "--max_request_body=1KB",
            "--stream_buffer=2KB",
            "--max_connections=7",
            "--max_completed_tasks_per_framework=8",
            "--no-publish_per_framework_metrics",
        ])
        .unwrap();
        assert_eq!(told.cluster.as_deref(), Some("blue"));
        assert_eq!(told.heartbeat_interval, Duration::from_millis(100));
        assert_eq!((told.max_request_body, told.stream_buffer, told.max_connections), (1_024, 2_048, 7));
        assert_eq!((told.max_completed_tasks, told.per_framework_metrics), (8, false));
        assert!(settings(&[]).unwrap().per_framework_metrics);
        assert!(told.flags.contains(&("cluster".to_owned(), "blue".to_owned())), "{:?}", told.flags);
        assert!(told.config.id_prefix.as_str().starts_with(&told.id));
    }

    #[test]
    fn the_master_is_configured_by_flags() {
        let configured = |flags: &[&str]| settings(flags).unwrap().config;
        let config = configured(&["--allocation_interval=100ms", "--offer_timeout=30secs", "--domain=eu/a"]);
        assert_eq!((config.allocation_interval, config.offer_timeout), (Duration::from_millis(100), Some(seconds(30))));
        assert_eq!(config.options.domain, Some(Domain { region: "eu".into(), zone: "a".into() }));
        assert_eq!((configured(&[]).offer_timeout, configured(&[]).options.domain), (None, None));
        assert_eq!(configured(&["--max_offer=cpus:1;mem:512"]).options.max_offer.to_string(), "cpus:1;mem:512");
        assert!(Arguments::master(&["--max_offer=cpus:0"]).is_err() && Arguments::master(&["--max_offer="]).is_err());
        assert_eq!(configured(&["--timeout_refusal=5secs"]).timeout_refusal, seconds(5));
        let config = configured(&["--min_allocatable_resources=cpus:1|mem:2|disk:3", "--no-filter_gpu_resources"]);
        assert_eq!((config.options.min_allocatable.len(), config.options.filter_gpu_resources), (3, false));
        assert!(configured(&[]).options.filter_gpu_resources);
        let config = configured(&["--fair_sharing_excluded_resource_names=gpus,disk"]);
        assert_eq!(config.options.fair_sharing_excluded, ["gpus", "disk"]);
        let flags = ["--max_completed_frameworks=3", "--max_unreachable_tasks_per_framework=4"];
        let remembered = configured(&flags).remembered;
        assert_eq!((remembered.frameworks, remembered.unreachable_tasks), (3, 4));
        for (flag, is_chosen) in [
            ("--role_sorter=drf", (|sorter| matches!(sorter, SorterChoice::Drf(_))) as fn(SorterChoice) -> bool),
            ("--role_sorter=hdrf", |sorter| matches!(sorter, SorterChoice::Hdrf(_))),
            ("--role_sorter=random", |sorter| matches!(sorter, SorterChoice::Random(_))),
        ] {
            assert!(is_chosen(configured(&[flag]).sorter), "{flag}");
        }
        assert!(matches!(settings(&["--allocation_interval=0secs"]), Err(SettingsError::Interval)));
    }

    #[test]
    fn credentials_are_asked_for_where_a_flag_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("credentials");
        std::fs::write(&file, r#"{"credentials":[{"principal":"p","secret":"s"}]}"#).unwrap();
        let credentials = format!("--credentials={}", file.display());
        for (flag, realm) in [
            ("--authenticate_http_frameworks", Realm::Scheduler),
            ("--authenticate_http_readwrite", Realm::ReadWrite),
            ("--authenticate_http_readonly", Realm::ReadOnly),
        ] {
            let asking = settings(&[&credentials, flag]).unwrap().authentication;
            for other in [Realm::Scheduler, Realm::ReadWrite, Realm::ReadOnly] {
                assert_eq!(asking.asks(other), other == realm, "{flag}");
            }
            assert!(matches!(settings(&[flag]), Err(SettingsError::NoCredentials)));
        }
    }

    #[test]
    fn the_work_folder_holds_the_id_the_log_and_the_records() {
        let folder = tempfile::tempdir().unwrap();
        let work_dir = format!("--work_dir={}", folder.path().display());
        let told = settings(&[&work_dir, "--record=records/master.jsonl", "--record_size=1MB"]).unwrap();
        let id = std::fs::read_to_string(folder.path().join("id")).unwrap();
        assert_eq!((id.trim(), told.record_size), (told.id.as_str(), 1 << 20));
        assert_eq!(told.record, Some(folder.path().join("records/master.jsonl")));
        assert_eq!(told.log, Some(folder.path().join("logs/master.log")));
        assert_eq!(settings(&["--record=/dev/null"]).unwrap_err().to_string().split(':').next(), Some("/dev/null"));
        let elsewhere = folder.path().join("elsewhere.jsonl");
        let absolute = format!("--record={}", elsewhere.display());
        assert_eq!(settings(&[&work_dir, &absolute]).unwrap().record, Some(elsewhere));
        assert_eq!((settings(&[]).unwrap().record, settings(&[]).unwrap().log), (None, None));
    }
}
