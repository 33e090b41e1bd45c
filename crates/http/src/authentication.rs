//! [`Authentication`]: the credentials of principals, and the endpoints that ask for them.

use crate::transport::answer::{Answer, text};
use apportion::Text;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

/// Credentials, and the parts of the API that ask for them. By default none does.
///
/// # Examples
///
/// ```
/// use apportion_http::{Authentication, Realm};
///
/// let file = r#"{"credentials":[{"principal":"marathon","secret":"s3cret"}]}"#;
/// let authentication = Authentication::from_json(file)?.asking(Realm::Scheduler);
/// assert!(authentication.asks(Realm::Scheduler) && !authentication.asks(Realm::ReadWrite));
/// # Ok::<(), apportion_http::CredentialsError>(())
/// ```
#[derive(Clone, Default)]
pub struct Authentication {
    secrets: BTreeMap<Text, String>,
    realms: Vec<Realm>,
}

/// A part of the API that may ask for credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Realm {
    /// The API of frameworks.
    Scheduler,
    /// Calls of operators, and endpoints that change something.
    ReadWrite,
    /// Endpoints that change nothing.
    ReadOnly,
}

impl Realm {
    /// Returns the name that clients see.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scheduler => "mesos-master-scheduler",
            Self::ReadWrite => "mesos-master-readwrite",
            Self::ReadOnly => "mesos-master-readonly",
        }
    }
}

/// The reason why a file of credentials cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {{\"credentials\":[{{\"principal\":..,\"secret\":..}}]}}: {0}")]
pub struct CredentialsError(String);

#[derive(Deserialize)]
struct File {
    credentials: Vec<Credential>,
}

#[derive(Deserialize)]
struct Credential {
    principal: Text,
    secret: String,
}

impl fmt::Debug for Authentication {
    /// Shows the principals, but not their secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let principals: Vec<_> = self.secrets.keys().collect();
        f.debug_struct("Authentication").field("principals", &principals).field("realms", &self.realms).finish()
    }
}

impl Authentication {
    /// Reads credentials in the form of Mesos' `--credentials`.
    ///
    /// # Errors
    ///
    /// [`CredentialsError`] when the text has another form.
    pub fn from_json(text: &str) -> Result<Self, CredentialsError> {
        let file: File = serde_json::from_str(text).map_err(|error| CredentialsError(error.to_string()))?;
        let secrets = file.credentials.into_iter().map(|credential| (credential.principal, credential.secret));
        Ok(Self { secrets: secrets.collect(), realms: Vec::new() })
    }

    /// Asks for credentials in a realm.
    #[must_use]
    pub fn asking(mut self, realm: Realm) -> Self {
        self.realms.push(realm);
        self
    }

    /// Returns whether a realm asks for credentials.
    #[must_use]
    pub fn asks(&self, realm: Realm) -> bool {
        self.realms.contains(&realm)
    }

    /// Returns the principal whose secret a request has, or none if the realm does not ask for one. Other requests get 401.
    pub(crate) fn check(&self, realm: Realm, headers: &HeaderMap) -> Result<Option<Text>, Answer> {
        if !self.asks(realm) {
            return Ok(None);
        }
        let given = headers.get(AUTHORIZATION).and_then(|value| basic(value.to_str().ok()?));
        let known = given.and_then(|(principal, secret)| {
            let (principal, expected) = self.secrets.get_key_value(principal.as_str())?;
            is_same(expected.as_bytes(), secret.as_bytes()).then(|| principal.clone())
        });
        known.map(Some).ok_or_else(|| {
            let mut answer =
                text(StatusCode::UNAUTHORIZED, "expected the principal and the secret of one that is known");
            let challenge = format!("Basic realm=\"{}\"", realm.name());
            let challenge = HeaderValue::from_str(&challenge).expect("names of realms are ASCII");
            answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            answer
        })
    }
}

/// Reads `Basic BASE64`.
fn basic(value: &str) -> Option<(String, String)> {
    let (scheme, encoded) = value.trim().split_once(' ')?;
    let decoded = STANDARD.decode(encoded.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (principal, secret) = decoded.split_once(':')?;
    Some((principal.to_owned(), secret.to_owned()))
}

/// Compares in a time that does not depend on where two secrets differ.
fn is_same(first: &[u8], second: &[u8]) -> bool {
    let differences = first.iter().zip(second).fold(0, |all, (first, second)| all | (first ^ second));
    first.len() == second.len() && differences == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_checked_where_they_are_asked_for() {
        let file = r#"{"credentials":[{"principal":"a","secret":"b:c"},{"principal":"d","secret":""}]}"#;
        let authentication = Authentication::from_json(file).unwrap().asking(Realm::Scheduler);
        let check = |realm, value: Option<String>| {
            let value = value.map(|value| (AUTHORIZATION, value.parse().unwrap()));
            let headers: HeaderMap = value.into_iter().collect();
            authentication.check(realm, &headers).map_err(|answer| answer.status().as_u16())
        };
        let login = |text: &str| Some(format!("Basic {}", STANDARD.encode(text)));
        assert_eq!(check(Realm::Scheduler, login("a:b:c")), Ok(Some("a".into())));
        assert_eq!(check(Realm::Scheduler, login("d:")), Ok(Some("d".into())));
        assert_eq!(check(Realm::ReadWrite, login("a:wrong")), Ok(None)); // nobody asked
        for wrong in [None, login("a:b"), login("e:b"), login("a"), Some("Bearer YTpiOmM=".into())] {
            assert_eq!(check(Realm::Scheduler, wrong), Err(401));
        }
        let answer = authentication.check(Realm::Scheduler, &HeaderMap::new()).unwrap_err();
        assert_eq!(answer.headers()[WWW_AUTHENTICATE], "Basic realm=\"mesos-master-scheduler\"");
        assert!(!format!("{authentication:?}").contains("b:c"));
        assert!(Authentication::from_json("{}").is_err());
    }
}
