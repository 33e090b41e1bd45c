//! [`HaproxyFile`]: the file of a HAProxy configuration, which is replaced whenever it changes.

use apportion::Text;
use apportion_console::Failure;
use apportion_marathon::{AppBackend, HaproxyConfig, Instance, Marathon, Server, ServicePort};
use indexmap::IndexMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A configuration, its file, and the text that was written last.
#[derive(Debug)]
pub(crate) struct HaproxyFile {
    file: PathBuf,
    config: HaproxyConfig,
    written: Option<String>,
}

impl HaproxyFile {
    /// Returns the file for a sequence of wanted sets of apps ([`HaproxyConfig::new`]). Nothing is written yet.
    pub(crate) fn new<'a, Apps>(file: &Path, wanted: impl IntoIterator<Item = Apps>) -> Result<Self, Vec<String>>
    where
        Apps: IntoIterator<Item = (&'a str, &'a [ServicePort])>,
    {
        let config = HaproxyConfig::new(wanted);
        let config =
            config.map_err(|wrong| wrong.iter().map(|wrong| format!("--haproxy: {wrong}")).collect::<Vec<_>>())?;
        Ok(Self { file: file.to_owned(), config, written: None })
    }

    /// Serves the apps of a group alone.
    #[must_use]
    pub(crate) fn for_group(mut self, group: Option<Text>) -> Self {
        self.config = self.config.for_group(group);
        self
    }

    /// Returns the path of the file.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Replaces the file if other tasks are up than before, on their own hosts or all on one. Returns whether it did.
    pub(crate) fn update(&mut self, marathon: &Marathon, host: Option<&str>) -> Result<bool, Failure> {
        let mut servers: IndexMap<&str, Vec<Server<'_>>> = IndexMap::new();
        for Instance { launch, .. } in marathon.tasks().filter(|task| task.is_up()) {
            let host = host.unwrap_or_else(|| launch.location.hostname.as_str());
            servers.entry(&launch.app).or_default().push(Server { task: &launch.id, host, ports: &launch.ports });
        }
        let entries = marathon.running_apps().map(|running| {
            let app = running.definition.app.id.as_str();
            AppBackend {
                app,
                services: &running.definition.service_ports,
                servers: servers.swap_remove(app).unwrap_or_default(),
            }
        });
        self.write(entries).map_err(|error| Failure::Run(format!("{}: {error}", self.file.display())))
    }

    /// Replaces the file if its text changes. Returns whether it did. The replacement is atomic for readers of the file.
    pub(crate) fn write<'a>(&mut self, entries: impl IntoIterator<Item = AppBackend<'a>>) -> io::Result<bool> {
        let text = self.config.text(entries);
        if self.written.as_ref() == Some(&text) {
            return Ok(false);
        }
        let target = fs::canonicalize(&self.file).unwrap_or_else(|_| self.file.clone()); // a link remains a link
        if fs::metadata(&target).is_ok_and(|old| !old.is_file()) {
            // A rename would replace a device or a pipe.
            return Err(io::Error::other("it is there and is no file, expected one that may be written anew"));
        }
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let new = target.with_file_name(name);
        let mut file = File::create(&new)?;
        let put = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        put.and_then(|()| fs::rename(&new, &target)).inspect_err(|_| drop(fs::remove_file(&new)))?;
        self.written = Some(text);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apportion::TaskId;
    use apportion::placement::JsonNode;
    use apportion_marathon::Document;
    use serde_json::json;

    #[test]
    fn the_file_is_written_when_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("haproxy.cfg");
        let app = json!({"id": "/a", "cmd": "serve", "ports": [0]});
        let document = Document::read(JsonNode::root(&app), "a.json").unwrap();
        let services = &document.apps[0].service_ports;
        let mut haproxy = HaproxyFile::new(&file, [[("/a", &services[..])]]).unwrap();
        let task = TaskId::from("a.1");
        let entry = |ports| {
            let server = Server { task: &task, host: "h", ports };
            [AppBackend { app: "/a", services, servers: vec![server] }]
        };
        assert!(haproxy.write(entry(&[Some(31_000)])).unwrap());
        assert!(!haproxy.write(entry(&[Some(31_000)])).unwrap());
        assert!(haproxy.write(entry(&[None])).unwrap());
        assert!(
            fs::read_to_string(&file).unwrap().ends_with(
                "\nlisten a-10000\n  bind 0.0.0.0:10000\n  mode tcp\n  option tcplog\n  balance leastconn\n"
            )
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1); // nothing is left beside it
        let mut no_file = HaproxyFile::new(folder.path(), [[]]).unwrap();
        assert!(no_file.write([]).unwrap_err().to_string().starts_with("it is there and is no file"));
        let mut nowhere = HaproxyFile::new(&folder.path().join("no/such.cfg"), [[]]).unwrap();
        assert_eq!(nowhere.write([]).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
