//! [`Traffic`]: what the server itself counts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What paths count as that name no endpoint.
pub(crate) const OTHER: &str = "other";

/// Counters of connections, requests and calls. All connections share them.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    accepted: AtomicU64,
    open: AtomicU64,
    /// Answers by endpoint and status.
    answers: Mutex<BTreeMap<(&'static str, u16), u64>>,
    /// Calls that passed all checks, by API and type: a type is one of the API's, so there are few.
    calls: Mutex<BTreeMap<&'static str, BTreeMap<String, u64>>>,
}

/// An open connection, as long as this lives.
#[derive(Debug)]
pub(crate) struct Connected(Arc<Traffic>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Traffic {
    /// Counts a connection.
    pub(crate) fn connect(self: &Arc<Self>) -> Connected {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        Connected(self.clone())
    }

    /// Counts an answer.
    pub(crate) fn answered(&self, endpoint: &'static str, status: u16) {
        *self.answers.lock().unwrap_or_else(PoisonError::into_inner).entry((endpoint, status)).or_default() += 1;
    }

    /// Counts a call of a type of an API.
    pub(crate) fn called(&self, api: &'static str, kind: &str) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let of_api = calls.entry(api).or_default();
        match of_api.get_mut(kind) {
            Some(number) => *number += 1,
            None => _ = of_api.insert(kind.to_owned(), 1),
        }
    }

    /// Returns the number of open connections, and of all that there were.
    pub(super) fn connections(&self) -> (u64, u64) {
        (self.open.load(Ordering::Relaxed), self.accepted.load(Ordering::Relaxed))
    }

    /// Returns the answers by endpoint and status.
    pub(super) fn answers(&self) -> Vec<((&'static str, u16), u64)> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.iter().map(|(key, number)| (*key, *number)).collect()
    }

    /// Returns the calls by API and type.
    pub(super) fn calls(&self) -> Vec<(&'static str, String, u64)> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let of_api = |(api, kinds): (&&'static str, &BTreeMap<String, u64>)| {
            let api = *api;
            kinds.iter().map(move |(kind, number)| (api, kind.clone(), *number)).collect::<Vec<_>>()
        };
        calls.iter().flat_map(of_api).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_counted() {
        let traffic = Arc::new(Traffic::default());
        let first = traffic.connect();
        drop(traffic.connect());
        assert_eq!(traffic.connections(), (1, 2));
        drop(first);
        assert_eq!(traffic.connections(), (0, 2));
        for status in [202, 202, 400] {
            traffic.answered("api/v1/scheduler", status);
        }
        assert_eq!(traffic.answers(), [(("api/v1/scheduler", 202), 2), (("api/v1/scheduler", 400), 1)]);
        traffic.called("scheduler", "ACCEPT");
        traffic.called("scheduler", "ACCEPT");
        assert_eq!(traffic.calls(), [("scheduler", "ACCEPT".to_owned(), 2)]);
    }
}
