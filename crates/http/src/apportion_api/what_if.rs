//! `POST /apportion/what-if`: who would be offered what after a change. It is tried on a copy, and changes nothing.

use super::explain::{form, refusal};
use crate::transport::answer::{Answer, bad_request, only, text};
use crate::transport::encoding::Encoding;
use apportion::allocator::AllocatorError;
use apportion::journal::{self, Instruction};
use apportion::{
    Call, Command, CommandError, Effect, Filters, FrameworkId, KnownOffer, Master, OfferId, Quantities, Role,
    WakeReason,
};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// The longest body in bytes.
const MAX_BODY: usize = 64 << 10;

/// The most changes of one trial.
const MAX_CHANGES: usize = 32;

/// The most offers that an answer lists.
const MAX_OFFERS: usize = 1000;

/// A change to try, and the framework of which to explain why it would not be offered all that there is even then.
#[derive(Debug)]
pub(super) struct Trial {
    changes: Vec<Command>,
    framework: Option<FrameworkId>,
}

/// The body of a request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    /// Commands in the journal's form.
    changes: Vec<apportion::Json>,
    #[serde(default)]
    framework: Option<String>,
}

/// The offers to a framework under a role, and the sum of their amounts.
#[derive(Debug, Default, PartialEq)]
struct Offered {
    offers: usize,
    amounts: Quantities,
}

type Key = (FrameworkId, Role);

/// Checks the head of a request. That it comes from a page of ours, if from any, has been checked.
pub(super) fn check(request: &Request<Bytes>) -> Result<(), Answer> {
    if request.method() != Method::POST {
        return Err(only("POST"));
    }
    if Encoding::of_body(request.headers())? != Encoding::Json {
        return Err(text(StatusCode::UNSUPPORTED_MEDIA_TYPE, "expected a 'Content-Type' of application/json"));
    }
    if request.body().len() > MAX_BODY {
        return Err(text(StatusCode::PAYLOAD_TOO_LARGE, format!("a body of more than {MAX_BODY} bytes")));
    }
    Ok(())
}

impl Trial {
    pub(super) fn read(body: &Bytes) -> Result<Self, Answer> {
        let Body { changes, framework } =
            serde_json::from_slice(body).map_err(|error| bad_request(format!("not a change to try: {error}")))?;
        if changes.len() > MAX_CHANGES {
            return Err(bad_request(format!("changes: expected at most {MAX_CHANGES}, found {}", changes.len())));
        }
        let read = |(index, change): (usize, &apportion::Json)| {
            read_change(change.text()).map_err(|reason| bad_request(format!("changes[{index}]: {reason}")))
        };
        let changes = changes.iter().enumerate().map(read).collect::<Result<_, _>>()?;
        Ok(Self { changes, framework: framework.map(FrameworkId::from) })
    }

    /// Tries the change on a copy of the master: live offers are taken back, the change is made, and one allocation runs.
    /// Without the change the same is done on another copy, to compare.
    pub(super) fn run(self, master: &Master) -> Result<Json, Answer> {
        if let Some(framework) = &self.framework
            && master.known_framework(framework).is_none()
        {
            return Err(refusal(&AllocatorError::UnknownFramework(framework.clone()).into()));
        }
        let mut without = master.clone();
        take_back(&mut without);
        let mut with = without.clone();
        for (index, change) in self.changes.into_iter().enumerate() {
            apply(&mut with, change).map_err(|error| bad_request(format!("changes[{index}]: {error}")))?;
        }
        take_back(&mut with); // what an agent more was offered as at once
        let mut warnings = Vec::new();
        while let Some(emitted) = with.poll_effect() {
            if let Effect::Warning { message, .. } = emitted.effect {
                warnings.push(message);
            }
        }
        // Explained before the allocation, as it decides: afterwards all that is offered is not available.
        let explained = self.framework.map(|framework| with.explain(&framework, None, None));
        let explained = explained.transpose().map_err(|error| refusal(&error))?;
        let explanations: Vec<Json> = explained.iter().flatten().map(form).collect();
        allocate(&mut without);
        allocate(&mut with);
        Ok(json!({
            "at": master.now(),
            "frameworks": compare(&offered(&without), &offered(&with)),
            "offers": offers(&with), "offers_total": with.known_offers().count(),
            "explanations": explanations, "warnings": warnings,
        }))
    }
}

/// Reads a change. The reason why it is none is for people.
fn read_change(text: &str) -> Result<Command, String> {
    let expected = "expected set_quota, set_weight or add_agent, as in a journal";
    if !text.trim_start().starts_with('{') {
        return Err(format!("{expected}, found {text}"));
    }
    let entry = journal::parse(&format!(r#"{{"do":{text}}}"#)).map_err(|error| error.to_string())?;
    match entry.map(|entry| entry.instruction) {
        Some(Instruction::Command(command))
            if matches!(*command, Command::SetQuota(..) | Command::SetWeight(..) | Command::AddAgent(_)) =>
        {
            Ok(*command)
        }
        _ => Err(expected.to_owned()),
    }
}

/// Makes a change. An agent more is another one: a known one would only come back.
fn apply(master: &mut Master, change: Command) -> Result<(), CommandError> {
    if let Command::AddAgent(registration) = &change
        && master.agent(&registration.agent.id).is_some()
    {
        return Err(AllocatorError::AgentExists(registration.agent.id.clone()).into());
    }
    master.handle(master.now(), change)
}

/// Takes all live offers back, as if their frameworks had declined them without a refusal.
fn take_back(master: &mut Master) {
    let mut offers: BTreeMap<FrameworkId, Vec<OfferId>> = BTreeMap::new();
    for offer in master.known_offers() {
        let id = master.config().offer_id(offer.number);
        offers.entry(offer.holding.framework.clone()).or_default().push(id);
    }
    let mut filters = Filters::default();
    filters.refuse = Duration::ZERO;
    for (framework, offers) in offers {
        let decline = Call::Decline { offers, filters, each: true };
        // A framework with offers is registered, and time does not go back.
        let _ = master.handle(master.now(), Command::Call(framework, decline));
    }
}

/// Runs the next allocation, if there is anything to offer; up to it, the timers that are due before.
fn allocate(master: &mut Master) {
    let end = master.now().next_multiple_of(master.config().allocation_interval);
    while let Some(wake) = master.poll_timeout().filter(|wake| wake.at <= end) {
        if wake.at < master.now() || master.advance(wake.at).is_err() || wake.reason == WakeReason::Batch {
            return;
        }
    }
}

/// Returns what each framework is offered under each role, in that order.
fn offered(master: &Master) -> BTreeMap<Key, Offered> {
    let mut all: BTreeMap<Key, Offered> = BTreeMap::new();
    for KnownOffer { holding, .. } in master.known_offers() {
        let offered = all.entry((holding.framework.clone(), holding.role.clone())).or_default();
        offered.offers += 1;
        holding.resources.quantities().iter().for_each(|(name, amount)| offered.amounts.add(name, amount));
    }
    all
}

/// Returns a line for each framework and role that is offered something with or without the change.
fn compare(without: &BTreeMap<Key, Offered>, with: &BTreeMap<Key, Offered>) -> Vec<Json> {
    let nothing = Offered::default();
    let keys: std::collections::BTreeSet<&Key> = without.keys().chain(with.keys()).collect();
    let side = |Offered { offers, amounts }: &Offered| json!({ "offers": offers, "amounts": amounts });
    let line = |key: &Key| {
        let (before, after) = (without.get(key).unwrap_or(&nothing), with.get(key).unwrap_or(&nothing));
        json!({"framework": key.0, "role": key.1, "without": side(before), "with": side(after)})
    };
    keys.into_iter().map(line).collect()
}

fn offers(master: &Master) -> Vec<Json> {
    let row = |KnownOffer { holding, .. }: KnownOffer<'_>| {
        json!({"framework": holding.framework, "role": holding.role, "agent": holding.agent,
            "resources": holding.resources})
    };
    master.known_offers().take(MAX_OFFERS).map(row).collect()
}

#[cfg(test)]
mod tests;
