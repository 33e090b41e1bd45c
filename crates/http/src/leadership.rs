//! [`Leadership`]: which of several masters leads.

use crate::transport::answer::{Answer, bad_request, empty, text};
use http::header::{HeaderValue, LOCATION};
use http::{StatusCode, Uri};

/// The role of a master among several: it leads, or another one does. Masters do not elect a leader themselves; the program around
/// tells its [`Server`](crate::Server) the result.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a master leads, will, or does not")]
pub enum Leadership {
    /// This master leads.
    Leading,
    /// This master is about to lead: it reads what it has to know first. Clients are told to come again.
    Recovering,
    /// Another master leads: `HOST:PORT` if it is known. Clients are redirected to it.
    Standby(Option<String>),
}

impl Leadership {
    /// Returns the answer to what only a leader can do, unless this master leads.
    pub(crate) fn check(&self, asked: &Uri) -> Result<(), Answer> {
        match self {
            Self::Leading => Ok(()),
            Self::Recovering => Err(text(StatusCode::SERVICE_UNAVAILABLE, "this master is recovering: come again")),
            Self::Standby(None) => Err(text(StatusCode::SERVICE_UNAVAILABLE, "no leading master is known: come again")),
            Self::Standby(Some(leader)) => Err(redirect(leader, asked)),
        }
    }
}

/// Returns the answer 307 with the path and the query as they were asked for.
pub(crate) fn redirect(leader: &str, asked: &Uri) -> Answer {
    let path = asked.path_and_query().map_or("", http::uri::PathAndQuery::as_str);
    let Ok(location) = HeaderValue::from_str(&format!("//{leader}{path}")) else {
        return bad_request("the path cannot stand in a header");
    };
    let mut answer = empty(StatusCode::TEMPORARY_REDIRECT);
    answer.headers_mut().insert(LOCATION, location);
    answer
}
