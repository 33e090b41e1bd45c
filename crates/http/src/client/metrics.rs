//! [`ClientMetrics`]: what a client is doing and has done.

use super::requests::Requests;
use apportion::v1::connection::ConnectionMetrics;
use apportion::{FrameworkId, Time};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The state of a client; see the [drawing](super).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "a client has no other states")]
pub enum ClientState {
    /// It waits before its next attempt to subscribe.
    #[default]
    Disconnected,
    /// It has asked a master for a subscription.
    Connecting,
    /// It is subscribed: events come, and calls are sent.
    Subscribed,
    /// It has ended for good.
    Stopped,
}

impl ClientState {
    /// Returns the state of a client with these requests.
    pub(super) fn of(is_stopped: bool, is_subscribed: bool, requests: &Requests) -> Self {
        if is_stopped {
            Self::Stopped
        } else if is_subscribed {
            Self::Subscribed
        } else if requests.has_stream() {
            Self::Connecting
        } else {
            Self::Disconnected
        }
    }
}

/// The state and the counts of a client, for people and for a program that watches it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ClientMetrics {
    /// The state.
    pub state: ClientState,
    /// The master that it is connected to, or tries next, as `http://host:port`.
    pub master: String,
    /// The framework; none before it has an id.
    pub framework: Option<FrameworkId>,
    /// The time since the last record came, be it a heartbeat; none before the first.
    pub last_record_age: Option<Duration>,
    /// Its counts: subscriptions, redirects, calls by type and result, events by type, reconciliations.
    pub counts: ConnectionMetrics,
}

/// The clock of a client, and metrics that it writes and its handles read.
#[derive(Debug)]
pub(super) struct Published {
    start: Instant,
    /// The time of the client at its start.
    began: Time,
    metrics: Mutex<ClientMetrics>,
}

impl Published {
    /// Returns the metrics of a client whose clock begins now, at that time.
    pub(super) fn new(began: Time) -> Self {
        Self { start: Instant::now(), began, metrics: Mutex::default() }
    }

    pub(super) fn now(&self) -> Time {
        self.began + self.start.elapsed()
    }

    /// Changes the metrics, and returns the state from before.
    pub(super) fn write(&self, change: impl FnOnce(&mut ClientMetrics)) -> ClientState {
        let mut metrics = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        let before = metrics.state;
        change(&mut metrics);
        before
    }

    pub(super) fn read(&self) -> ClientMetrics {
        let mut metrics = self.metrics.lock().unwrap_or_else(PoisonError::into_inner).clone();
        metrics.last_record_age = metrics.counts.last_record.map(|last| self.now() - last);
        metrics
    }
}
