//! Logins of registries, from a `config.json` of the docker command.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use serde_json::{Value, json};

use crate::beneath::Root;

/// The files of logins that a fetcher may have brought into a sandbox: today's, and the form before.
const FILES: [&str; 2] = [".docker/config.json", ".dockercfg"];
/// The most that is read of such a file.
const MAX_BYTES: u64 = 1 << 20;
/// The names under which the registry of images without a host is kept.
const HUB: [&str; 4] = ["index.docker.io", "docker.io", "registry-1.docker.io", "registry.hub.docker.com"];

/// The logins that a pull may use. Their debug form shows no secrets.
#[derive(Clone, Default, PartialEq)]
pub struct Logins {
    config: Value,
}

/// Why a login cannot be used. None of its texts has a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// A file of logins cannot be read.
    #[error("the Docker logins in {}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's words.
        cause: String,
    },
    /// The text is no JSON object.
    #[error("the Docker logins are no JSON object")]
    NoObject,
    /// The login is kept by a program, which an agent does not run.
    #[error(
        "the login for {registry} is kept by the credential helper {helper:?}, which is not supported: write it into auths"
    )]
    Helper {
        /// The registry's host.
        registry: String,
        /// The name after `docker-credential-`.
        helper: String,
    },
    /// The registry's entry holds no user and password.
    #[error("the login for {0} holds neither user and password nor a token")]
    Unreadable(String),
}

impl Logins {
    /// Reads the JSON of a `config.json`, or of a `.dockercfg`, which has the registries at its top.
    ///
    /// # Errors
    ///
    /// [`LoginError::NoObject`].
    pub fn parse(text: &str) -> Result<Self, LoginError> {
        let config: Value = serde_json::from_str(text).map_err(|_| LoginError::NoObject)?;
        if !config.is_object() {
            return Err(LoginError::NoObject);
        }
        let modern = ["auths", "credsStore", "credHelpers", "HttpHeaders"].iter().any(|key| config.get(key).is_some());
        Ok(Self { config: if modern { config } else { json!({"auths": config}) } })
    }

    /// Reads `--docker_config`: JSON, or the path of a file of it.
    ///
    /// # Errors
    ///
    /// [`LoginError::File`], [`LoginError::NoObject`].
    pub fn of_flag(flag: &str) -> Result<Self, LoginError> {
        if flag.trim_start().starts_with('{') {
            return Self::parse(flag);
        }
        let path = Path::new(flag.strip_prefix("file://").unwrap_or(flag));
        let failed = |error: io::Error| LoginError::File { path: path.to_owned(), cause: error.to_string() };
        Self::read(File::open(path).map_err(failed)?, path)
    }

    /// Reads the logins that the fetcher brought into a sandbox: `.docker/config.json`, else `.dockercfg`, else nothing. No link leads out of the sandbox.
    ///
    /// # Errors
    ///
    /// [`LoginError::File`], [`LoginError::NoObject`].
    pub fn in_sandbox(sandbox: &Path) -> Result<Option<Self>, LoginError> {
        let failed = |error: io::Error| LoginError::File { path: sandbox.to_owned(), cause: error.to_string() };
        let folder = Root::open(sandbox).map_err(failed)?;
        for name in FILES {
            match folder.file(name) {
                Ok(file) => return Self::read(file, &sandbox.join(name)).map(Some),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(None)
    }

    fn read(file: File, path: &Path) -> Result<Self, LoginError> {
        let failed = |cause: String| LoginError::File { path: path.to_owned(), cause };
        let mut text = String::new();
        file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(|error| failed(error.to_string()))?;
        if text.len() as u64 > MAX_BYTES {
            return Err(failed(format!("it is longer than {MAX_BYTES} bytes")));
        }
        Self::parse(&text)
    }

    /// Returns the value of the header `X-Registry-Auth` for an image, if there is a login for its registry.
    pub(super) fn header_for(&self, image: &str) -> Result<Option<String>, LoginError> {
        let registry = registry_of(image);
        let same = |key: &str| {
            let host = host_of(key);
            host == registry || (HUB.contains(&registry) && HUB.contains(&host))
        };
        let of = |key: &str| self.config[key].as_object().into_iter().flatten().find(|(key, _)| same(key));
        if let Some((key, login)) =
            of("auths").filter(|(_, login)| login.as_object().is_some_and(|login| !login.is_empty()))
        {
            return Ok(Some(header(key, login).ok_or_else(|| LoginError::Unreadable(registry.into()))?));
        }
        let helper = of("credHelpers").map(|(_, helper)| helper).or_else(|| self.config.get("credsStore"));
        match helper.and_then(Value::as_str).filter(|helper| !helper.is_empty()) {
            Some(helper) => Err(LoginError::Helper { registry: registry.into(), helper: helper.into() }),
            None => Ok(None),
        }
    }
}

impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let registries = self.config["auths"].as_object().map(|auths| auths.keys().collect::<Vec<_>>());
        f.debug_struct("Logins").field("registries", &registries.unwrap_or_default()).finish_non_exhaustive()
    }
}

fn header(key: &str, login: &Value) -> Option<String> {
    let text = |name: &str| login[name].as_str().filter(|text| !text.is_empty());
    let mut sent = json!({"serveraddress": key});
    if let Some(token) = text("identitytoken") {
        sent["identitytoken"] = token.into();
    } else if let Some(token) = text("registrytoken") {
        sent["registrytoken"] = token.into();
    } else if let Some(auth) = text("auth") {
        let decoded = BASE64_STANDARD.decode(auth.trim()).ok()?;
        let decoded = String::from_utf8(decoded).ok()?;
        let (user, password) = decoded.split_once(':')?;
        sent["username"] = user.into();
        sent["password"] = password.trim_end_matches('\0').into();
    } else {
        sent["username"] = text("username")?.into();
        sent["password"] = text("password")?.into();
    }
    Some(BASE64_URL_SAFE.encode(sent.to_string()))
}

/// Returns the host of an image's registry: the part before the first slash if it looks like one.
fn registry_of(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => HUB[0],
    }
}

/// Returns the host of a registry's key, which may be a URL.
fn host_of(key: &str) -> &str {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}
