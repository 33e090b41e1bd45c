//! The checks: what a case may expect of what has come out since it last looked.
//!
//! | check | holds if |
//! | --- | --- |
//! | `offers` | exactly these `{framework, role, agent, resources}`; several of the same three are added up |
//! | `no_offers` | true: none; false: some |
//! | `offers_totals` | `{framework: {name: amount}}`: sums of scalars offered to each, nobody else got any |
//! | `offered_frameworks` | exactly these got offers |
//! | `offer_fields` | for each entry, an offer has these fields |
//! | `raw_resources` | `{agent: text}`: one offer on it, with its resources printed exactly so |
//! | `rescinded` | exactly these `{framework, agent}` (and `role`, if given) |
//! | `inverse_offers`, `rescinded_inverse`, `launches`, `kills`, `status` | exactly these; an entry names the fields it cares for |
//! | `status_includes`, `launched_task` | at least these |
//! | `operation_failed` | true, false, or exactly these |
//! | `error` | true: at least one; false: none |
//! | `rejected` | an `error` or `operation_failed` and no offer or launch, or a malformed line |
//! | `exit` | 2: a malformed line ended the replay |
//! | `explained` | an explanation with these fields and at least one reason |
//! | `shares` | `{role: share}` in the state, within 0.001 |
//! | `agents`, `frameworks` | `{id: {field: value}}` in the state; null = not known there |
//! | `live_offers` | exactly these `{framework, role, agent}` are out |
//! | `any_of`, `all_of` | lists of checks |
//!
//! Resources are compared by value, in whichever form they are written. The order of effects is not checked.

use super::run::{Check, Effect, Run};
use apportion::{Quantities, Resources, Scalar};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

fn need(holds: bool, why: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(why()) }
}

/// Looks at what has come out, and at whatever no check mentions.
pub(crate) fn expect(run: &mut Run, check: &Json) -> Check {
    let effects = run.take_effects();
    if let Some(why) = run.stopped() {
        need(mentions(check, &["exit", "rejected"]), || format!("the replay ended with status 2: {why}"))?;
    } else {
        for (name, excuses) in
            [("error", ["error", "rejected"]), ("operation_failed", ["operation_failed", "rejected"])]
        {
            if let Some(bad) = named(&effects, name).first().filter(|_| !mentions(check, &excuses)) {
                return Err(format!("unexpected {name}: {bad}"));
            }
        }
    }
    judge(run, &effects, check)
}

/// Whether a check, or one within its `any_of` or `all_of`, goes by one of these names.
fn mentions(check: &Json, names: &[&str]) -> bool {
    let within = |name: &str, inner: &Json| {
        let nested = matches!(name, "any_of" | "all_of");
        names.contains(&name) || nested && inner.as_array().unwrap().iter().any(|check| mentions(check, names))
    };
    check.as_object().unwrap().iter().any(|(name, inner)| within(name, inner))
}

fn named<'a>(effects: &'a [Effect], name: &str) -> Vec<&'a Json> {
    effects.iter().filter(|(found, _)| found == name).map(|(_, body)| body).collect()
}

fn judge(run: &Run, effects: &[Effect], check: &Json) -> Check {
    check.as_object().unwrap().iter().try_for_each(|(name, wanted)| judge_one(run, effects, name, wanted))
}

fn judge_one(run: &Run, effects: &[Effect], name: &str, wanted: &Json) -> Check {
    let offers = named(effects, "offer");
    let some = |found: bool, what: &str| {
        let (some, none) = (wanted == true, wanted == false);
        need(found && some || !found && none, || format!("expected {} {what}", if some { "an" } else { "no" }))
    };
    match name {
        "offers" => {
            let (found, expected) = (added_up(offers)?, added_up(wanted.as_array().unwrap().iter().collect())?);
            need(found == expected, || format!("offers: expected {}; got {}", show(&expected), show(&found)))
        }
        "no_offers" => {
            let found = show(&added_up(offers)?);
            let none = if wanted == true { "no" } else { "some" };
            need((found == "none") == (wanted == true), || format!("expected {none} offers; got {found}"))
        }
        "offers_totals" => totals(offers, wanted),
        "offered_frameworks" => {
            let found: BTreeSet<_> = offers.iter().map(|offer| offer["framework"].as_str()).collect();
            let expected = wanted.as_array().unwrap().iter().map(Json::as_str).collect();
            need(found == expected, || format!("expected offers to {expected:?}; got offers to {found:?}"))
        }
        "offer_fields" => includes("an offer with", wanted, &offers),
        "raw_resources" => wanted.as_object().unwrap().iter().try_for_each(|(agent, text)| {
            let on = offers.iter().filter(|offer| offer["agent"] == *agent);
            let found: Vec<_> = on.map(|offer| &offer["resources"]).collect();
            need(found == [text], || format!("expected one offer on {agent} with text {text}; got {found:?}"))
        }),
        "rescinded" => {
            let gone = named(effects, "rescind").into_iter().map(|body| {
                let offer = run.offer(body["offer"].as_str().unwrap());
                json!({"framework": body["framework"], "role": offer["role"], "agent": offer["agent"]})
            });
            exactly(name, wanted, gone.collect())
        }
        "rescinded_inverse" => {
            let gone = named(effects, "rescind_inverse_offer").into_iter().map(|body| {
                let offer = run.inverse_offer(body["offer"].as_str().unwrap());
                json!({"framework": body["framework"], "agent": offer["agent"]})
            });
            exactly(name, wanted, gone.collect())
        }
        "inverse_offers" => exactly(name, wanted, copies(effects, "inverse_offer")),
        "launches" => exactly(name, wanted, copies(effects, "launch")),
        "kills" => exactly(name, wanted, copies(effects, "kill")),
        "status" => exactly(name, wanted, copies(effects, "status")),
        "status_includes" => includes("status: one with", wanted, &named(effects, "status")),
        "launched_task" => {
            let tasks: Vec<_> = named(effects, "launch").into_iter().map(|launch| &launch["task"]).collect();
            includes("a launched task with", wanted, &tasks)
        }
        "emitted" => {
            let Some(of_effects) = wanted.as_object() else { return Err("emitted: expected an object".to_owned()) };
            of_effects.iter().try_for_each(|(effect, wanted)| exactly(effect, wanted, copies(effects, effect)))
        }
        "error" => some(!named(effects, "error").is_empty(), "error"),
        "operation_failed" if wanted.is_boolean() => some(!named(effects, name).is_empty(), name),
        "operation_failed" => exactly(name, wanted, copies(effects, name)),
        "rejected" => rejected(run, effects),
        "exit" => {
            let found = if run.stopped().is_some() { 2 } else { 0 };
            need(*wanted == found, || format!("expected exit {wanted}; the replay goes on"))
        }
        "explained" => {
            let told = |body: &&Json| {
                let reasons = body["reasons"].as_array().filter(|reasons| !reasons.is_empty());
                like(wanted, body) && reasons.is_some_and(|all| all.iter().all(|one| one["kind"].is_string()))
            };
            let found = named(effects, "explanation");
            need(found.iter().any(told), || format!("expected an explanation {wanted} with reasons; got {found:?}"))
        }
        "shares" => wanted.as_object().unwrap().iter().try_for_each(|(role, share)| {
            let roles = run.state()["roles"].as_array().into_iter().flatten();
            let found = roles.filter(|known| known["role"] == *role).find_map(|known| known["share"].as_f64());
            let close = found.is_some_and(|found| (found - share.as_f64().unwrap()).abs() <= 1e-3);
            need(close, || format!("share of {role}: expected {share}; got {found:?}"))
        }),
        "agents" | "frameworks" => in_state(run, name, wanted),
        "live_offers" => {
            let three = |offer: &Json| ["framework", "role", "agent"].map(|field| offer[field].to_string());
            let found: BTreeSet<_> = run.live_offers().map(three).collect();
            let expected = wanted.as_array().unwrap().iter().map(three).collect();
            need(found == expected, || format!("live offers: expected {expected:?}; got {found:?}"))
        }
        "any_of" => {
            let options = wanted.as_array().unwrap().iter().map(|option| judge(run, effects, option).err());
            let failures: Option<Vec<String>> = options.collect();
            failures.map_or(Ok(()), |all| Err(format!("none of the allowed outcomes: {}", all.join(" | "))))
        }
        "all_of" => wanted.as_array().unwrap().iter().try_for_each(|check| judge(run, effects, check)),
        _ => Err(format!("bad case: unknown check {name}")),
    }
}

fn copies(effects: &[Effect], name: &str) -> Vec<Json> {
    named(effects, name).into_iter().cloned().collect()
}

type Offered = BTreeMap<[String; 3], Resources>;

/// The resources of offers by framework, role and agent.
fn added_up(offers: Vec<&Json>) -> Result<Offered, String> {
    let mut sums = Offered::new();
    for offer in offers {
        let key = ["framework", "role", "agent"].map(|field| offer[field].as_str().unwrap_or_default().to_owned());
        let sum = sums.entry(key).or_default();
        *sum = sum.checked_add(&resources(&offer["resources"])?).map_err(|error| error.to_string())?;
    }
    Ok(sums)
}

fn resources(json: &Json) -> Result<Resources, String> {
    serde_json::from_value(json.clone()).map_err(|error| format!("resources that cannot be read: {json}: {error}"))
}

fn show(offers: &Offered) -> String {
    let one = |([framework, role, agent], resources): (&[String; 3], &Resources)| {
        format!("{framework}/{role}@{agent} {}", json!(resources))
    };
    let all: Vec<String> = offers.iter().map(one).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

fn totals(offers: Vec<&Json>, wanted: &Json) -> Check {
    let mut found: BTreeMap<String, Quantities> = BTreeMap::new();
    for ([framework, ..], resources) in added_up(offers)? {
        let sum = found.entry(framework).or_default();
        resources.quantities().iter().for_each(|(name, amount)| sum.add(name, amount));
    }
    let amounts = |amounts: &Json| -> Quantities {
        let scalar = |number: &Json| Scalar::try_from_f64(number.as_f64().unwrap()).unwrap();
        amounts.as_object().unwrap().iter().map(|(name, number)| (name.as_str(), scalar(number))).collect()
    };
    let all = wanted.as_object().unwrap().iter().map(|(framework, of)| (framework.clone(), amounts(of)));
    let expected: BTreeMap<_, _> = all.filter(|(_, amounts)| !amounts.is_empty()).collect();
    found.retain(|_, amounts| !amounts.is_empty());
    need(found == expected, || format!("offers_totals: expected {expected:?}; got {found:?}"))
}

fn rejected(run: &Run, effects: &[Effect]) -> Check {
    if run.stopped().is_some() {
        return Ok(());
    }
    let any = |names: [&str; 2]| effects.iter().any(|(name, _)| names.contains(&name.as_str()));
    let found: Vec<_> = effects.iter().map(|(name, _)| name).collect();
    need(any(["error", "operation_failed"]), || format!("expected an error; got {found:?}"))?;
    need(!any(["offer", "launch"]), || format!("expected an error and nothing else; got {found:?}"))
}

/// Each entry is like one effect of its own, and no effect is left over.
fn exactly(what: &str, wanted: &Json, found: Vec<Json>) -> Check {
    let mut left = found.clone();
    for one in wanted.as_array().unwrap() {
        let place = left.iter().position(|body| like(one, body));
        left.remove(place.ok_or_else(|| format!("{what}: expected {wanted}; got {found:?}"))?);
    }
    need(left.is_empty(), || format!("{what}: expected {wanted}; got {found:?}"))
}

/// Each entry is like some effect.
fn includes(what: &str, wanted: &Json, found: &[&Json]) -> Check {
    wanted.as_array().unwrap().iter().try_for_each(|one| {
        need(found.iter().any(|body| like(one, body)), || format!("expected {what} {one}; got {found:?}"))
    })
}

/// Whether an effect has all the fields that are named.
fn like(wanted: &Json, body: &Json) -> bool {
    wanted.as_object().unwrap().iter().all(|(field, value)| same_field(field, value, &body[field]))
}

fn same_field(field: &str, wanted: &Json, found: &Json) -> bool {
    match (field, wanted, found) {
        ("resources", _, _) => matches!((resources(wanted), resources(found)), (Ok(a), Ok(b)) if a == b),
        ("task", Json::String(_), Json::Object(task)) => task.get("id") == Some(wanted),
        ("unavailability", Json::Object(wanted), Json::Object(found)) => {
            wanted.iter().all(|(key, value)| found.get(key).is_some_and(|found| same(value, found)))
        }
        ("state", Json::Array(allowed), Json::String(_)) => allowed.contains(found),
        _ => same(wanted, found),
    }
}

/// Equal, however numbers are written.
fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

/// `agents` and `frameworks`: what the state tells of each.
fn in_state(run: &Run, list: &str, wanted: &Json) -> Check {
    let kind = &list[..list.len() - 1];
    wanted.as_object().unwrap().iter().try_for_each(|(id, fields)| {
        let known = run.state()[list].as_array().into_iter().flatten().find(|body| body["id"] == *id);
        let Json::Object(fields) = fields else {
            return need(known.is_none(), || format!("expected no {kind} {id} in the state"));
        };
        let known = known.ok_or_else(|| format!("expected {kind} {id} in the state"))?;
        fields.iter().try_for_each(|(field, value)| {
            let found = &known[field];
            let equal = match (list, field.as_str(), value) {
                ("agents", "total" | "offered" | "allocated", _) => resources(value)? == resources(found)?,
                (_, _, Json::Array(members)) => sorted(members) == sorted(found.as_array().unwrap()),
                _ => same(value, found),
            };
            need(equal, || format!("{kind} {id} {field}: expected {value}; got {found}"))
        })
    })
}

fn sorted(members: &[Json]) -> Vec<String> {
    let mut texts: Vec<String> = members.iter().map(Json::to_string).collect();
    texts.sort();
    texts
}
