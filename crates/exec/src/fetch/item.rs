//! One URI of a command, and the name that its file gets.

use std::path::{Component, Path, PathBuf};

use serde_json::Value;

/// What is to be fetched: the `CommandInfo.URI` of Mesos.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Item {
    /// Where it is: `http://`, `https://`, `file://`, or an absolute path of this machine.
    pub uri: String,
    /// The path of the file in the sandbox, if it is not the last part of the URI's path.
    pub output_file: Option<String>,
    /// Makes the file executable and does not unpack it.
    pub executable: bool,
    /// Unpacks an archive beside itself.
    pub extract: bool,
}

/// Why an item cannot be fetched at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ItemError {
    /// The item of a task has no `value`.
    #[error("the URI has no value")]
    NoValue,
    /// The scheme is none of those that are fetched.
    #[error("neither http://, https://, file:// nor an absolute path")]
    Scheme,
    /// The URI's path has no last part that can name a file.
    #[error("its path ends without a name: say output_file")]
    NoName,
    /// `output_file` is absolute, empty or has a `..`.
    #[error("output_file {0:?} does not stay in the sandbox")]
    OutputFile(String),
    /// `file://` with the name of another machine.
    #[error("the file is of another machine: {0}")]
    Host(String),
}

/// Where an item comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Web(String),
    File(PathBuf),
}

impl Item {
    /// Returns the item of a URI that is unpacked if it is an archive, as Mesos takes it when nothing is said.
    pub fn new(uri: impl Into<String>) -> Self {
        Self { uri: uri.into(), output_file: None, executable: false, extract: true }
    }

    /// Sets the path of the file in the sandbox.
    #[must_use]
    pub fn output_file(mut self, path: impl Into<String>) -> Self {
        self.output_file = Some(path.into());
        self
    }

    /// Makes the file executable; it is not unpacked.
    #[must_use]
    pub fn executable(mut self) -> Self {
        self.executable = true;
        self
    }

    /// Leaves an archive as it is.
    #[must_use]
    pub fn packed(mut self) -> Self {
        self.extract = false;
        self
    }

    /// Returns the items of a v1 `CommandInfo` in JSON, in order. `cache` is taken and has no effect.
    ///
    /// # Errors
    ///
    /// [`ItemError::NoValue`] if one of its `uris` has no text as `value`.
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion_exec::fetch::Item;
    ///
    /// let command = serde_json::json!({"value": "./run", "uris": [{"value": "http://web/run", "executable": true}]});
    /// assert_eq!(Item::of_command(&command)?, [Item::new("http://web/run").executable()]);
    /// # Ok::<(), apportion_exec::fetch::ItemError>(())
    /// ```
    pub fn of_command(command: &Value) -> Result<Vec<Self>, ItemError> {
        let uris = command.get("uris").and_then(Value::as_array);
        uris.into_iter().flatten().map(Self::of_uri).collect()
    }

    fn of_uri(uri: &Value) -> Result<Self, ItemError> {
        let flag = |name: &str, unset| uri.get(name).and_then(Value::as_bool).unwrap_or(unset);
        let text = |name: &str| uri.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            uri: text("value").ok_or(ItemError::NoValue)?,
            output_file: text("output_file").filter(|path| !path.is_empty()),
            executable: flag("executable", false),
            extract: flag("extract", true),
        })
    }

    /// Returns the URI without user and password, for messages.
    pub(super) fn shown(&self) -> String {
        let Some((scheme, rest)) = self.uri.split_once("://") else {
            return self.uri.clone();
        };
        let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        match rest[..authority].rfind('@') {
            Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
            None => self.uri.clone(),
        }
    }

    /// Returns where the item comes from, and the path of its file in the sandbox.
    pub(super) fn resolve(&self) -> Result<(Place, PathBuf), ItemError> {
        let place = self.place()?;
        if let Some(output) = &self.output_file {
            return match inside(Path::new(output)) {
                Some(path) => Ok((place, path)),
                None => Err(ItemError::OutputFile(output.clone())),
            };
        }
        let last = match &place {
            Place::Web(uri) => {
                let end = uri.find(['?', '#']).unwrap_or(uri.len());
                let path = uri[..end].split_once("://").and_then(|(_, rest)| rest.split_once('/'));
                path.and_then(|(_, path)| path.rsplit('/').next()).map(PathBuf::from)
            }
            Place::File(path) => path.file_name().map(PathBuf::from),
        };
        let name = last.and_then(|name| inside(&name)).ok_or(ItemError::NoName)?;
        Ok((place, name))
    }

    fn place(&self) -> Result<Place, ItemError> {
        let uri = self.uri.trim();
        if uri.starts_with('/') {
            return Ok(Place::File(PathBuf::from(uri)));
        }
        let (scheme, rest) = uri.split_once("://").ok_or(ItemError::Scheme)?;
        match scheme.to_ascii_lowercase().as_str() {
            "http" | "https" => Ok(Place::Web(uri.to_owned())),
            "file" => match rest.strip_prefix("localhost").unwrap_or(rest) {
                path if path.starts_with('/') => Ok(Place::File(PathBuf::from(path))),
                other => Err(ItemError::Host(other.split('/').next().unwrap_or_default().to_owned())),
            },
            _ => Err(ItemError::Scheme),
        }
    }
}

/// Returns a relative path without `.`, or nothing if it is absolute, empty or has a `..`.
pub(super) fn inside(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => plain.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (!plain.as_os_str().is_empty()).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn file_is_named_by_the_last_part_of_the_path() {
        let cases = [
            ("http://web/a/app.tgz", Ok("app.tgz")),
            ("HTTPS://web/app.tgz?x=1/2", Ok("app.tgz")),
            ("http://web/app.tgz#part", Ok("app.tgz")),
            ("http://web/a%20b", Ok("a%20b")),
            ("http://web/", Err(ItemError::NoName)),
            ("http://web", Err(ItemError::NoName)),
            ("http://web?a=/b", Err(ItemError::NoName)),
            ("http://web/..", Err(ItemError::NoName)),
            ("file:///etc/hosts", Ok("hosts")),
            ("file://localhost/etc/hosts", Ok("hosts")),
            ("file://other/etc/hosts", Err(ItemError::Host("other".into()))),
            ("/etc/services", Ok("services")),
            ("/", Err(ItemError::NoName)),
            ("etc/services", Err(ItemError::Scheme)),
            ("hdfs://name/a", Err(ItemError::Scheme)),
        ];
        for (uri, expected) in cases {
            let name = Item::new(uri).resolve().map(|(_, name)| name);
            assert_eq!(name, expected.map(PathBuf::from), "{uri}");
        }
    }

    #[test]
    fn output_file_stays_in_the_sandbox() {
        let cases = [
            ("bin/run", Some("bin/run")),
            ("./bin//run", Some("bin/run")),
            ("../run", None),
            ("bin/../../run", None),
            ("/run", None),
            (".", None),
        ];
        for (output, expected) in cases {
            let name = Item::new("http://web/").output_file(output).resolve();
            let expected = expected.map(PathBuf::from).ok_or_else(|| ItemError::OutputFile(output.into()));
            assert_eq!(name.map(|(_, name)| name), expected, "{output}");
        }
    }

    #[test]
    fn message_shows_no_password() {
        let cases = [
            ("https://me:secret@web/a", "https://web/a"),
            ("https://me:se@cret@web", "https://web"),
            ("https://web/a@b", "https://web/a@b"),
            ("/a@b", "/a@b"),
        ];
        for (uri, shown) in cases {
            assert_eq!(Item::new(uri).shown(), shown);
        }
    }

    #[test]
    fn items_of_a_command_have_the_defaults_of_mesos() {
        let command = json!({"uris": [
            {"value": "http://web/a.tgz", "cache": true},
            {"value": "/b.zip", "extract": false, "executable": null},
            {"value": "/c", "executable": true, "output_file": "bin/c"},
        ]});
        let expected = [
            Item::new("http://web/a.tgz"),
            Item::new("/b.zip").packed(),
            Item::new("/c").executable().output_file("bin/c"),
        ];
        assert_eq!(Item::of_command(&command), Ok(expected.to_vec()));
        assert_eq!(Item::of_command(&json!({})), Ok(Vec::new()));
        assert_eq!(Item::of_command(&json!({"uris": [{}]})), Err(ItemError::NoValue));
    }
}
