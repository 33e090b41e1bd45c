//! [`Endpoint`]: where a master or an agent listens.

use crate::text::Text;
use std::fmt;
use std::str::FromStr;

/// The address of a master or an agent: `host:port`, with `http://` before it or `https://`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    is_secure: bool,
    authority: Text,
}

/// The reason why a text is not the address of a master or an agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// The list of masters is empty.
    #[error("no master, expected one or more, as host:port")]
    None,
    /// The text is not an address.
    #[error("{found:?} is no address, expected host:port, http://host:port or https://host:port")]
    Malformed {
        /// The text found.
        found: String,
    },
}

impl Endpoint {
    pub(super) fn scheme(&self) -> &'static str {
        if self.is_secure { "https" } else { "http" }
    }

    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns the endpoint that a `Location` header names: `//host:port/path`, as Mesos writes it, or a whole URL. The path is
    /// of no interest: it is the one that was asked for.
    pub(super) fn redirect(&self, location: &str) -> Option<Self> {
        match location.strip_prefix("//") {
            Some(rest) => Text::from_display(format_args!("{}://{rest}", self.scheme())).parse().ok(),
            None if location.contains("://") => location.parse().ok(),
            None => None,
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let (is_secure, rest) = match text.trim().split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            None => (false, text.trim()),
            Some(_) => (false, ""),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        // It goes into the head of a request: nothing in it may end a line there, or name a user.
        let is_host = |c: char| c.is_ascii_alphanumeric() || "-._~:[]%".contains(c);
        if authority.is_empty() || !authority.chars().all(is_host) {
            return Err(EndpointError::Malformed { found: text.chars().take(200).collect() });
        }
        Ok(Self { is_secure, authority: authority.into() })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_host_or_a_whole_url() {
        let endpoint: Endpoint = "m1:5050".parse().unwrap();
        let cases = [
            ("//m2:5050", Some("http://m2:5050")),
            ("//m2:5050/api/v1/scheduler?x=1", Some("http://m2:5050")),
            ("https://m2/api", Some("https://m2")),
            ("//[::1]:5050/", Some("http://[::1]:5050")),
            ("/api/v1/scheduler", None),
            ("//", None),
            ("", None),
            ("//m2:5050\r\nEvil: 1", None),
            ("//user@m2:5050/", None),
            ("ftp://m2", None),
        ];
        for (location, expected) in cases {
            let found = endpoint.redirect(location).map(|endpoint| endpoint.to_string());
            assert_eq!(found.as_deref(), expected, "{location}");
        }
        let secure: Endpoint = "https://m1:5050/".parse().unwrap();
        assert_eq!(secure.redirect("//m2:5050/").unwrap().to_string(), "https://m2:5050");
        assert_eq!(
            "zk://m1:2181/mesos".parse::<Endpoint>(),
            Err(EndpointError::Malformed { found: "zk://m1:2181/mesos".into() })
        );
    }
}
