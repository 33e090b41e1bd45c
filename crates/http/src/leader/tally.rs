//! [`Tally`]: what a framework has called, was told and was offered since it registered.

use apportion::{Call, Event, FrameworkId, OfferEnd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The types of calls, as Mesos' metrics name them.
const CALLS: [&str; 17] = [
    "accept",
    "accept_inverse_offers",
    "acknowledge",
    "acknowledge_operation_status",
    "decline",
    "decline_inverse_offers",
    "kill",
    "message",
    "reconcile",
    "reconcile_operations",
    "request",
    "revive",
    "shutdown",
    "subscribe",
    "suppress",
    "teardown",
    "update_framework",
];

/// The types of events, but for heartbeats.
const EVENTS: [&str; 10] = [
    "error",
    "failure",
    "inverse_offers",
    "message",
    "offers",
    "rescind",
    "rescind_inverse_offer",
    "subscribed",
    "update",
    "update_operation_status",
];

/// The types of operations.
const OPERATIONS: [&str; 10] = [
    "create",
    "create_disk",
    "destroy",
    "destroy_disk",
    "grow_volume",
    "launch",
    "launch_group",
    "reserve",
    "shrink_volume",
    "unreserve",
];

/// The tallies of all registered frameworks.
pub(super) type Tallies = indexmap::IndexMap<FrameworkId, Tally, foldhash::fast::RandomState>;

/// The numbers of calls, events and offers of a framework since it registered.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    calls: Counters<17>,
    events: Counters<10>,
    operations: Counters<10>,
    offers: Offers,
    /// Its streams count these themselves.
    heartbeats: Arc<AtomicU64>,
}

/// The offers of a framework by what became of them.
#[derive(Debug, Clone, Copy, Default)]
struct Offers {
    sent: u64,
    accepted: u64,
    declined: u64,
    rescinded: u64,
}

/// A counter for each of some names.
#[derive(Debug, Clone)]
struct Counters<const N: usize> {
    names: &'static [&'static str; N],
    counts: [u64; N],
}

impl<const N: usize> Counters<N> {
    fn new(names: &'static [&'static str; N]) -> Self {
        Self { names, counts: [0; N] }
    }

    /// Counts a name, in any case. Others are passed over.
    fn count(&mut self, name: &str) {
        if let Some(index) = self.names.iter().position(|known| known.eq_ignore_ascii_case(name)) {
            self.counts[index] += 1;
        }
    }

    /// Returns the sum under the name of the group, and the counters below it.
    fn named(&self, group: &str, more: u64) -> Vec<(String, u64)> {
        let each = self.names.iter().zip(self.counts).map(|(name, count)| (format!("{group}/{name}"), count));
        let mut all: Vec<_> = each.collect();
        all.push((group.to_owned(), self.counts.iter().sum::<u64>() + more));
        all
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            calls: Counters::new(&CALLS),
            events: Counters::new(&EVENTS),
            operations: Counters::new(&OPERATIONS),
            offers: Offers::default(),
            heartbeats: Arc::default(),
        }
    }
}

impl Tally {
    /// Counts a call.
    pub(super) fn called(&mut self, call: &Call) {
        self.calls.count(call.kind());
        if let Call::Accept(accept) = call {
            accept.operations.iter().for_each(|operation| self.operations.count(operation.name()));
        }
    }

    pub(super) fn subscribed(&mut self) {
        self.calls.count("subscribe");
    }

    /// Counts an event that is sent.
    pub(super) fn told(&mut self, event: &Event) {
        self.events.count(event.kind());
        if let Event::Offers(offers) = event {
            self.offers.sent += offers.len() as u64;
        }
    }

    /// Counts an offer that has ended.
    pub(super) fn ended(&mut self, end: OfferEnd) {
        match end {
            OfferEnd::Accepted => self.offers.accepted += 1,
            OfferEnd::Declined => self.offers.declined += 1,
            OfferEnd::Rescinded | OfferEnd::TimedOut => self.offers.rescinded += 1,
            OfferEnd::Void | _ => {}
        }
    }

    /// Returns the counter of heartbeats, for a stream.
    pub(super) fn heartbeats(&self) -> Arc<AtomicU64> {
        self.heartbeats.clone()
    }

    /// Returns all counters by the names that they have below the framework's.
    pub(crate) fn named(&self) -> Vec<(String, u64)> {
        let heartbeats = self.heartbeats.load(Ordering::Relaxed);
        let mut all = self.calls.named("calls", 0);
        all.extend(self.events.named("events", heartbeats));
        all.extend(self.operations.named("operations", 0));
        let Offers { sent, accepted, declined, rescinded } = self.offers;
        for (name, number) in [
            ("events/heartbeat", heartbeats),
            ("offers/sent", sent),
            ("offers/accepted", accepted),
            ("offers/declined", declined),
            ("offers/rescinded", rescinded),
        ] {
            all.push((name.to_owned(), number));
        }
        all
    }
}
