//! [`Rejected`]: a call that the master has not done.

use super::Call;
use std::fmt;

/// A call that the master has not done, or of which it has left something out, with the reason.
///
/// A transport in the same process hands it to [`Scheduler::rejected`](crate::Scheduler::rejected). The v1 API has no message
/// for it: a Mesos master only logs it. A call that is wrong in itself is answered with a status of 400 to 499, which a
/// [`Connection`](crate::v1::connection::Connection) tells.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Rejected {
    /// The call.
    pub call: Call,
    /// The reason, for people.
    pub why: String,
}

impl Rejected {
    /// Returns the rejection of a call for that reason.
    #[must_use]
    pub fn new(call: Call, why: impl Into<String>) -> Self {
        Self { call, why: why.into() }
    }
}

impl fmt::Display for Rejected {
    /// Formats it as `REVIVE: framework f1 does not have the role web`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.call.kind(), self.why)
    }
}
