//! [`Masters`]: where the masters of a cluster are.

use apportion::v1::connection::EndpointError;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where the masters of a cluster are: `host:port`, several of them with commas between, or `file://` and the path of a file that
/// names them, a line for each.
///
/// They are tried in turn; a redirect names the leader. A file is read again before each new subscription, so that a cluster can
/// move. In it `#` begins a line for people.
///
/// # Examples
///
/// ```
/// use apportion_http::client::Masters;
///
/// let masters: Masters = "m1:5050, http://m2:5050".parse()?;
/// assert_eq!(masters.addresses()?, ["m1:5050", "http://m2:5050"]);
/// let error = "zk://z1:2181/mesos".parse::<Masters>().unwrap_err();
/// assert!(error.to_string().contains("expected host:port"));
/// # Ok::<(), apportion_http::client::MastersError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masters(Source);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    List(Vec<String>),
    File(PathBuf),
}

/// The reason why there are no masters to connect to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MastersError {
    /// ZooKeeper is to name the leader, which this client does not ask.
    #[error("{found:?}: ZooKeeper is not asked, expected host:port, a list of these, or file:///path")]
    ZooKeeper {
        /// The text found.
        found: String,
    },
    /// The file cannot be read.
    #[error("{}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// An address is none, or there is no address.
    #[error(transparent)]
    Address(#[from] EndpointError),
}

impl Masters {
    /// The longest file in bytes.
    const MAX_FILE: u64 = 1 << 20;

    /// Returns the masters at these addresses.
    pub fn at(addresses: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(Source::List(addresses.into_iter().map(Into::into).collect()))
    }

    /// Returns the addresses, read from the file if they are in one.
    ///
    /// # Errors
    ///
    /// [`MastersError::File`] when it cannot be read.
    pub fn addresses(&self) -> Result<Vec<String>, MastersError> {
        match &self.0 {
            Source::List(addresses) => Ok(addresses.clone()),
            Source::File(path) => {
                let text = read(path).map_err(|why| MastersError::File { path: path.clone(), why })?;
                let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
                Ok(lines.flat_map(listed).collect())
            }
        }
    }

    /// Returns whether the addresses may change.
    pub(super) fn may_change(&self) -> bool {
        matches!(self.0, Source::File(_))
    }
}

/// Returns the addresses of a list.
fn listed(text: &str) -> impl Iterator<Item = String> {
    text.split(',').map(str::trim).filter(|address| !address.is_empty()).map(str::to_owned)
}

fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    let read = file.take(Masters::MAX_FILE + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if read as u64 > Masters::MAX_FILE {
        return Err(format!("found more than {} bytes, expected the addresses of masters", Masters::MAX_FILE));
    }
    Ok(text)
}

impl FromStr for Masters {
    type Err = MastersError;

    fn from_str(text: &str) -> Result<Self, MastersError> {
        let text = text.trim();
        if text.starts_with("zk://") {
            return Err(MastersError::ZooKeeper { found: text.chars().take(200).collect() });
        }
        if let Some(path) = text.strip_prefix("file://") {
            return Ok(Self(Source::File(path.into())));
        }
        let addresses: Vec<String> = listed(text).collect();
        if addresses.is_empty() { Err(EndpointError::None.into()) } else { Ok(Self(Source::List(addresses))) }
    }
}

impl fmt::Display for Masters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::List(addresses) => f.write_str(&addresses.join(",")),
            Source::File(path) => write!(f, "file://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masters_are_a_list_or_a_file() {
        for (text, expected) in [("m1:5050", "m1:5050"), (" m1:1 ,m2:2,", "m1:1,m2:2"), ("file:///a/b", "file:///a/b")]
        {
            assert_eq!(text.parse::<Masters>().unwrap().to_string(), expected);
        }
        assert_eq!(" , ".parse::<Masters>(), Err(EndpointError::None.into()));
        assert!(matches!("zk://z:2181/mesos".parse::<Masters>(), Err(MastersError::ZooKeeper { .. })));
        let missing: Masters = "file:///no/such/file".parse().unwrap();
        let error = missing.addresses().unwrap_err().to_string();
        assert!(error.starts_with("/no/such/file: "), "{error}");
    }
}
