//! [`ConnectionMetrics`]: counts of what a connection has done.

use super::Output;
use crate::text::Text;
use crate::time::Time;
use std::collections::BTreeMap;

/// Counts of what a connection has done since it was made, for people and for a program that watches it.
///
/// # Examples
///
/// ```
/// use apportion::v1::connection::Connection;
/// use apportion::{Call, Framework, Role, Time};
///
/// let framework = Framework::new("f1").role(Role::new("web")?);
/// let mut connection = Connection::new(["m1:5050"], framework, 7)?;
/// connection.send(Call::Revive(vec![])); // there is no subscription yet
/// let _ = connection.poll_output();
/// let _ = connection.poll_request(Time::ZERO);
/// let metrics = connection.metrics();
/// assert_eq!((metrics.attempts, metrics.connects, metrics.calls["REVIVE"].dropped), (1, 0, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ConnectionMetrics {
    /// The number of SUBSCRIBEs that were sent.
    pub attempts: u64,
    /// The number of subscriptions that were made.
    pub connects: u64,
    /// The number of subscriptions that were lost; the last one, if it ended for good, is not among them.
    pub disconnects: u64,
    /// The number of redirects that were followed.
    pub redirects: u64,
    /// The calls by type, as in `ACCEPT`; those that are on their way are not counted yet.
    pub calls: BTreeMap<Text, CallCounts>,
    /// The events by type, as in `OFFERS`; those of unknown types are `UNKNOWN`.
    pub events: BTreeMap<Text, u64>,
    /// The number of records that could not be read as events.
    pub unreadable: u64,
    /// The number of times that reconciliation has begun.
    pub reconciliations: u64,
    /// The time at which the last record came; none before the first.
    pub last_record: Option<Time>,
}

/// The results of the calls of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CallCounts {
    /// The number of calls that were accepted.
    pub accepted: u64,
    /// The number of calls that were answered with a status of 400 to 499.
    pub rejected: u64,
    /// The number of calls that were not sent, or not answered before the subscription was lost.
    pub dropped: u64,
}

impl ConnectionMetrics {
    /// Returns the counts of calls of that type, all zero if there was none.
    pub(super) fn calls_of(&mut self, kind: &str) -> &mut CallCounts {
        if !self.calls.contains_key(kind) {
            self.calls.insert(kind.into(), CallCounts::default());
        }
        self.calls.get_mut(kind).expect("it was there or inserted")
    }

    /// Counts what is handed out.
    pub(super) fn count<C, E>(
        &mut self,
        output: &Output<C, E>,
        kind_of_call: impl Fn(&C) -> &str,
        kind_of_event: impl Fn(&E) -> &'static str,
    ) {
        match output {
            Output::Event(event) => {
                *self.events.entry(Text::new_static(kind_of_event(event))).or_default() += 1;
            }
            Output::Unreadable { .. } => self.unreadable += 1,
            Output::Rejected { call, .. } => self.calls_of(kind_of_call(call)).rejected += 1,
            Output::Dropped(call) => self.calls_of(kind_of_call(call)).dropped += 1,
            Output::Disconnected { .. } => self.disconnects += 1,
            Output::AttemptFailed { .. } | Output::Stopped(_) => {}
        }
    }
}
