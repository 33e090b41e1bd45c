//! The API of operators, `/api/v1`: the checks of a call, what it asks for, and the form of the answers.

mod agents;
mod events;
pub(crate) mod maintenance;
pub(crate) mod operations;
pub(crate) mod quota;
pub(crate) mod roles;
mod state;
pub(crate) mod watchers;

pub(crate) use events::{event, subscribed};
pub(crate) use state::{AGENT_CAPABILITIES, ConstraintsForm, DrainInfo, Part, SumsForm, TaskForm, agent_url};

use crate::authentication::Realm;
use crate::files::{self, Log};
use crate::gate::Gate;
use crate::leader::Leader;
use crate::protobuf::MessageType;
use crate::seen::Seen;
use crate::settings::Settings;
use crate::transport::answer::{Answer, bad_request, only, text, typed};
use crate::transport::encoding::Encoding;
use crate::verbosity::Verbosity;
use apportion::{AgentId, Call, Command, FrameworkId, Master, Time};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// The request of a call that has passed all checks.
pub(crate) enum Asked {
    /// An answer that needs no master.
    Known(Json),
    /// The metrics, of the master only if it tells them in that time.
    Metrics(Option<Duration>),
    /// Something that is read from a disk.
    Read(Box<dyn FnOnce() -> Result<Json, Answer> + Send>),
    /// The state of the cluster, or a part of it.
    Seen(Seen),
    /// The state of the cluster, and all changes after it.
    Watch,
    /// A level of the log, for a time.
    Log(Verbosity, u32, Duration),
    /// A question to the master.
    Question(fn(&Leader) -> Json),
    /// A question that takes a look at everything, and so a copy of the master.
    Survey(fn(&Master) -> Json),
    /// A change.
    Change(Act),
}

/// A change that an operator asks for: done as a whole, with the status of success, or not at all.
pub(crate) type Act = Box<dyn FnOnce(&mut Leader, Time) -> Result<StatusCode, Answer> + Send>;

/// Checks a call. Returns what it asks for, and the encoding of its answer.
pub(crate) fn check(gate: &Gate, request: &Request<Bytes>) -> Result<(Asked, Encoding), Answer> {
    let headers = request.headers();
    gate.settings.authentication.check(Realm::ReadWrite, headers)?;
    gate.leadership().check(request.uri())?;
    if request.method() != Method::POST {
        return Err(only("POST"));
    }
    let body = Encoding::of_body(headers)?.to_json(MessageType::MASTER_CALL, request.body())?;
    let call = canonical_text(MessageType::MASTER_CALL, &body)?;
    let asked = asked(gate, &call)?;
    let is_stream = matches!(asked, Asked::Watch);
    let encoding = if is_stream { Encoding::of_stream(headers)? } else { Encoding::of_answer(headers)? };
    gate.traffic.called("operator", call["type"].as_str().unwrap_or_default());
    Ok((asked, encoding))
}

/// Returns a message that has the types of the API, and no others: once to protobuf and back.
fn canonical_text(message: MessageType, json: &str) -> Result<Json, Answer> {
    let canonical = message.from_json(json).and_then(|bytes| message.to_json(&bytes));
    let canonical = canonical.map_err(|error| bad_request(error.to_string()))?;
    serde_json::from_str(&canonical).map_err(|error| bad_request(error.to_string()))
}

/// Returns a part of a message that has the types of the API, and no others.
pub(crate) fn canonical(message: Option<MessageType>, json: &Json) -> Result<Json, Answer> {
    canonical_text(message.expect("the tables have it"), &json.to_string())
}

/// Returns an answer to a question.
pub(crate) fn answer(response: &Json, encoding: Encoding) -> Answer {
    let json = response.to_string();
    match encoding {
        Encoding::Json => typed(StatusCode::OK, encoding.content_type(), json),
        Encoding::Protobuf => match MessageType::MASTER_RESPONSE.from_json(&json) {
            Ok(bytes) => typed(StatusCode::OK, encoding.content_type(), bytes),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        },
    }
}

fn asked(gate: &Gate, call: &Json) -> Result<Asked, Answer> {
    let kind = call["type"].as_str().ok_or_else(|| bad_request("expected 'type' to be present"))?;
    let name = kind.to_ascii_lowercase();
    let body = || call.get(&name).ok_or_else(|| bad_request(format!("expected '{name}' to be present")));
    let id = |field: &str| match body()?[field]["value"].as_str() {
        Some(id) => Ok(id.to_owned()),
        None => Err(bad_request(format!("expected '{name}.{field}.value' to be present"))),
    };
    let agent = || id("agent_id").map(AgentId::from);
    if let Some(part) = Part::of(kind) {
        return Ok(Asked::Seen(Seen::Part(part)));
    }
    Ok(match kind {
        "SUBSCRIBE" => Asked::Watch,
        "GET_HEALTH" => Asked::Known(response(kind, &json!({ "healthy": true }))),
        "GET_VERSION" => Asked::Known(response(kind, &json!({"version_info": {"version": Settings::VERSION}}))),
        "GET_FLAGS" => {
            let flag = |(name, value): &(String, String)| json!({ "name": name, "value": value });
            let flags: Vec<Json> = gate.settings.flags.iter().map(flag).collect();
            Asked::Known(response(kind, &without_empty(json!({ "flags": flags }))))
        }
        "GET_LOGGING_LEVEL" => {
            let level = gate.settings.verbosity.as_ref().map_or(0, Verbosity::level);
            Asked::Known(response(kind, &json!({ "level": level })))
        }
        "SET_LOGGING_LEVEL" => log(gate, body()?)?,
        "GET_MASTER" => {
            let (info, start) = (gate.settings.master_info(), gate.started.as_secs_f64());
            Asked::Known(response(kind, &json!({"master_info": info, "start_time": start, "elected_time": start})))
        }
        "LIST_FILES" => {
            let (log, path) = (Log(gate.settings.log.clone()), body()?["path"].as_str().unwrap_or_default().to_owned());
            Asked::Read(Box::new(move || Ok(response("LIST_FILES", &files::list_files(&log, &path)?))))
        }
        "READ_FILE" => {
            let (log, path) = (Log(gate.settings.log.clone()), body()?["path"].as_str().unwrap_or_default().to_owned());
            let offset = body()?["offset"].as_u64().ok_or_else(|| bad_request("expected 'offset' to be present"))?;
            let length = body()?["length"].as_u64();
            Asked::Read(Box::new(move || Ok(response("READ_FILE", &files::read_file(&log, &path, offset, length)?))))
        }
        "GET_METRICS" => {
            let timeout = body()?["timeout"].get("nanoseconds");
            let timeout = timeout.map(|given| {
                let nanoseconds =
                    given.as_u64().ok_or_else(|| bad_request("timeout: expected a duration from 0 on"))?;
                Ok::<_, Answer>(Duration::from_nanos(nanoseconds))
            });
            Asked::Metrics(timeout.transpose()?)
        }
        "GET_ROLES" => Asked::Survey(|master| response("GET_ROLES", &roles::list(&master.state()))),
        "GET_WEIGHTS" => Asked::Question(|leader| {
            let weights = json!({"weight_infos": roles::weights(&leader.roles())});
            response("GET_WEIGHTS", &without_empty(weights))
        }),
        "GET_QUOTA" => {
            Asked::Question(|leader| response("GET_QUOTA", &json!({"status": quota::status(&leader.roles())})))
        }
        "UPDATE_QUOTA" => Asked::Change(quota::Update::read(body()?)?.act()),
        "SET_QUOTA" => Asked::Change(quota::set(&body()?["quota_request"])?),
        "REMOVE_QUOTA" => Asked::Change(quota::remove(body()?["role"].as_str().unwrap_or_default())?),
        "UPDATE_WEIGHTS" => Asked::Change(roles::set_weights(body()?.get("weight_infos").unwrap_or(&json!([])))?),
        "RESERVE_RESOURCES"
        | "UNRESERVE_RESOURCES"
        | "CREATE_VOLUMES"
        | "DESTROY_VOLUMES"
        | "GROW_VOLUME"
        | "SHRINK_VOLUME" => Asked::Change(operations::run(agent()?, operations::read(kind, body()?)?)?),
        "TEARDOWN" => Asked::Change(teardown(id("framework_id")?)),
        "MARK_AGENT_GONE" => Asked::Change(agents::mark_gone(agent()?)),
        "DRAIN_AGENT" => Asked::Change(agents::drain(agent()?, body()?)?),
        "DEACTIVATE_AGENT" => Asked::Change(agents::deactivate(agent()?)),
        "REACTIVATE_AGENT" => Asked::Change(agents::reactivate(agent()?)),
        "GET_MAINTENANCE_SCHEDULE" => Asked::Question(|leader| {
            response("GET_MAINTENANCE_SCHEDULE", &json!({"schedule": leader.machines.schedule()}))
        }),
        "GET_MAINTENANCE_STATUS" => {
            Asked::Question(|leader| response("GET_MAINTENANCE_STATUS", &json!({"status": leader.machines.status()})))
        }
        "UPDATE_MAINTENANCE_SCHEDULE" => {
            let schedule = body()?.get("schedule").ok_or_else(|| bad_request("expected 'schedule' to be present"))?;
            Asked::Change(maintenance::update(schedule)?)
        }
        "START_MAINTENANCE" => Asked::Change(maintenance::start(body()?.get("machines").unwrap_or(&json!([])))?),
        "STOP_MAINTENANCE" => Asked::Change(maintenance::stop(body()?.get("machines").unwrap_or(&json!([])))?),
        "UNKNOWN" => return Err(bad_request("expected 'type' to be present")),
        _ => return Err(text(StatusCode::NOT_IMPLEMENTED, format!("{kind} is not implemented"))),
    })
}

/// Reads a SET_LOGGING_LEVEL.
fn log(gate: &Gate, body: &Json) -> Result<Asked, Answer> {
    let level = body["level"].as_u64().and_then(|level| u32::try_from(level).ok());
    let level = level.ok_or_else(|| bad_request("expected 'level' to be present"))?;
    let nanoseconds = body["duration"]["nanoseconds"].as_u64();
    let time = nanoseconds.ok_or_else(|| bad_request("expected 'duration' to be present, and from 0 on"))?;
    let verbosity = gate.settings.verbosity.clone();
    let verbosity =
        verbosity.ok_or_else(|| text(StatusCode::NOT_IMPLEMENTED, "the log of this program has one level"))?;
    Ok(Asked::Log(verbosity, level, Duration::from_nanos(time)))
}

/// Returns the response to GET_METRICS.
pub(crate) fn metrics(metrics: &BTreeMap<String, f64>) -> Json {
    let metrics: Vec<Json> = metrics.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    response("GET_METRICS", &json!({ "metrics": metrics }))
}

/// Returns a response of that type. A body without anything is left out.
fn response(kind: &str, body: &Json) -> Json {
    let mut response = json!({ "type": kind });
    if body.as_object().is_some_and(|fields| !fields.is_empty()) {
        response[kind.to_ascii_lowercase()] = body.clone();
    }
    response
}

/// Returns an object without its empty lists.
fn without_empty(mut json: Json) -> Json {
    if let Some(fields) = json.as_object_mut() {
        fields.retain(|_, value| value.as_array().is_none_or(|list| !list.is_empty()));
    }
    json
}

/// Removes a framework.
pub(crate) fn teardown(framework: String) -> Act {
    Box::new(move |leader, at| {
        let teardown = Command::Call(FrameworkId::from(framework), Call::Teardown);
        leader.command(at, teardown).map_err(|error| bad_request(error.to_string()))?;
        Ok(StatusCode::OK)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_lack_something_are_refused() {
        let ask = |body: &Json| {
            let request = Request::post("/api/v1").header("content-type", "application/json");
            let request = request.body(body.to_string().into()).unwrap();
            let asked = check(&Gate::new(Settings::default(), Duration::from_secs(5)), &request);
            asked.err().map(|answer| answer.status().as_u16())
        };
        for (body, expected) in [
            (json!({}), Some(400)),
            (json!({"type": "FLY"}), Some(400)),
            (json!({"type": "GET_HEALTH"}), None),
            (json!({"type": "TEARDOWN"}), Some(400)),
            (json!({"type": "TEARDOWN", "teardown": {}}), Some(400)),
            (json!({"type": "TEARDOWN", "teardown": {"framework_id": {"value": "f1"}}}), None),
            (json!({"type": "UPDATE_MAINTENANCE_SCHEDULE", "update_maintenance_schedule": {}}), Some(400)),
            (json!({"type": "PRUNE_IMAGES"}), Some(400)),
            (json!({"type": "SET_LOGGING_LEVEL", "set_logging_level": {"level": 1}}), Some(400)),
            (
                json!({"type": "SET_LOGGING_LEVEL", "set_logging_level": {"level": 1, "duration": {"nanoseconds": -1}}}),
                Some(400),
            ),
            (
                json!({"type": "SET_LOGGING_LEVEL", "set_logging_level": {"level": 1, "duration": {"nanoseconds": 1}}}),
                Some(501),
            ),
            (json!({"type": "GET_METRICS"}), Some(400)),
            (json!({"type": "GET_METRICS", "get_metrics": {}}), None),
            (json!({"type": "GET_METRICS", "get_metrics": {"timeout": {"nanoseconds": -1}}}), Some(400)),
            (json!({"type": "GET_STATE"}), None),
            (json!({"type": "SUBSCRIBE"}), None),
        ] {
            assert_eq!(ask(&body), expected, "{body}");
        }
    }

    #[test]
    fn an_empty_body_is_left_out() {
        assert_eq!(
            response("GET_WEIGHTS", &without_empty(json!({"weight_infos": []}))),
            json!({"type": "GET_WEIGHTS"})
        );
        let told = response("GET_QUOTA", &json!({"status": {}}));
        assert_eq!(told, json!({"type": "GET_QUOTA", "get_quota": {"status": {}}}), "as recorded");
    }
}
