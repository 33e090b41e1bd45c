//! The API of operators, `/api/v1`: the checks of a call, what it asks for, and the form of the answers.

mod quota;

use crate::answer::{Answer, bad_request, empty, only, text, typed};
use crate::authentication::Realm;
use crate::encoding::Encoding;
use crate::gate::Gate;
use crate::protobuf::MessageType;
use crate::settings::Settings;
use apportion::allocator::{AllocatorError, Weight};
use apportion::{
    AgentId, Call, Command, CommandError, Drain, FrameworkId, FrameworkState, Master, Role, RoleState, State,
};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use serde_json::{Value as Json, json};
use std::time::Duration;

/// What a call asks for.
#[derive(Debug)]
pub(crate) enum Asked {
    /// An answer that needs no master.
    Known(Json),
    /// A question to the master.
    Question(fn(&Master) -> Json),
    /// Commands, done in this order.
    Commands(Vec<Command>),
    /// Quotas to set: which commands that takes depends on the state of the master.
    Quota(quota::Update),
}

/// Checks a call. Returns what it asks for, and the encoding of its answer.
pub(crate) fn check(gate: &Gate, request: &Request<Bytes>) -> Result<(Asked, Encoding), Answer> {
    let headers = request.headers();
    gate.settings.authentication.check(Realm::ReadWrite, headers)?;
    gate.leadership().check(request.uri())?;
    if request.method() != Method::POST {
        return Err(only("POST"));
    }
    let body = Encoding::of_body(headers)?.to_json(MessageType::MASTER_CALL, request.body())?;
    // Once to protobuf and back, a call has the types of the API and no others.
    let canonical = MessageType::MASTER_CALL.from_json(&body).and_then(|call| MessageType::MASTER_CALL.to_json(&call));
    let canonical = canonical.map_err(|error| bad_request(error.to_string()))?;
    let call: Json = serde_json::from_str(&canonical).map_err(|error| bad_request(error.to_string()))?;
    let asked = asked(gate, &call)?;
    Ok((asked, Encoding::of_answer(headers)?))
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

/// Returns the answer to commands: whether all were done, or why one was not.
pub(crate) fn outcome(result: Result<(), CommandError>, first: &Command) -> Answer {
    match result {
        Ok(()) => empty(StatusCode::OK),
        Err(CommandError::Allocator(error @ AllocatorError::UnknownAgent(_)))
            if matches!(first, Command::AgentGone(_)) =>
        {
            text(StatusCode::NOT_FOUND, error.to_string())
        }
        Err(error) => bad_request(error.to_string()),
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
    Ok(match kind {
        "GET_HEALTH" => Asked::Known(response(kind, &json!({ "healthy": true }))),
        "GET_VERSION" => Asked::Known(response(kind, &json!({"version_info": {"version": Settings::VERSION}}))),
        "GET_FLAGS" => {
            let flag = |(name, value): &(String, String)| json!({ "name": name, "value": value });
            let flags: Vec<Json> = gate.settings.flags.iter().map(flag).collect();
            Asked::Known(response(kind, &without_empty(json!({ "flags": flags }))))
        }
        "GET_LOGGING_LEVEL" => Asked::Known(response(kind, &json!({ "level": 0 }))),
        "GET_MASTER" => {
            let (info, start) = (gate.settings.master_info(), gate.started.as_secs_f64());
            Asked::Known(response(kind, &json!({"master_info": info, "start_time": start, "elected_time": start})))
        }
        "GET_ROLES" => Asked::Question(|master| roles(&master.state())),
        "GET_WEIGHTS" => Asked::Question(|master| weights(&master.state())),
        "GET_QUOTA" => Asked::Question(|master| quota::get(&master.state())),
        "UPDATE_QUOTA" => Asked::Quota(quota::Update::read(body()?)?),
        "UPDATE_WEIGHTS" => Asked::Commands(set_weights(body()?)?),
        "TEARDOWN" => Asked::Commands(vec![Command::Call(FrameworkId::from(id("framework_id")?), Call::Teardown)]),
        "MARK_AGENT_GONE" => Asked::Commands(vec![Command::AgentGone(agent()?)]),
        "DRAIN_AGENT" => {
            let mut drain = Drain::default();
            drain.mark_gone = body()?["mark_gone"].as_bool().unwrap_or(false);
            drain.max_grace_period = body()?.get("max_grace_period").map(duration).transpose()?;
            Asked::Commands(vec![Command::DrainAgent(agent()?, drain)])
        }
        "DEACTIVATE_AGENT" => Asked::Commands(vec![Command::DeactivateAgent(agent()?)]),
        "REACTIVATE_AGENT" => Asked::Commands(vec![Command::ActivateAgent(agent()?)]),
        "UNKNOWN" => return Err(bad_request("expected 'type' to be present")),
        _ => return Err(text(StatusCode::NOT_IMPLEMENTED, format!("{kind} is not implemented"))),
    })
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

/// Reads a `google.protobuf.Duration` from 0 on.
fn duration(json: &Json) -> Result<Duration, Answer> {
    let part = |name: &str| json.get(name).map_or(Some(0), Json::as_u64);
    let nanos = part("nanos").and_then(|nanos| u32::try_from(nanos).ok()).filter(|nanos| *nanos < 1_000_000_000);
    match part("seconds").zip(nanos) {
        Some((seconds, nanos)) => Ok(Duration::new(seconds, nanos)),
        None => Err(bad_request(format!("max_grace_period: expected a duration from 0 on, found {json}"))),
    }
}

/// Reads weights: all are valid, or none is set.
fn set_weights(body: &Json) -> Result<Vec<Command>, Answer> {
    let set = |info: &Json| {
        let role = Role::new(info["role"].as_str().unwrap_or_default());
        let weight = info["weight"].as_f64().ok_or_else(|| bad_request("expected 'weight' to be present"))?;
        let weight = Weight::try_from_f64(weight).map_err(|error| bad_request(error.to_string()))?;
        Ok(Command::SetWeight(role.map_err(|error| bad_request(error.to_string()))?, weight))
    };
    body["weight_infos"].as_array().into_iter().flatten().map(set).collect()
}

fn roles(state: &State) -> Json {
    let role = |role: &RoleState| {
        let members =
            state.frameworks.iter().filter(|framework: &&FrameworkState| framework.roles.contains(&role.role));
        let members: Vec<Json> = members.map(|framework| json!({"value": framework.id.as_str()})).collect();
        let mut held = role.allocated.clone();
        held += &role.offered;
        let scalar = |(name, amount): (&str, apportion::Scalar)| json!({"name": name, "type": "SCALAR", "scalar": {"value": amount.as_f64()}});
        let held: Vec<Json> = held.iter().map(scalar).collect();
        let weight = role.weight.as_f64();
        without_empty(json!({"name": role.role.as_str(), "weight": weight, "frameworks": members, "resources": held}))
    };
    let roles: Vec<Json> = state.roles.iter().map(role).collect();
    response("GET_ROLES", &without_empty(json!({ "roles": roles })))
}

fn weights(state: &State) -> Json {
    let set = state.roles.iter().filter(|role| role.weight != Weight::default());
    let infos: Vec<Json> =
        set.map(|role| json!({"weight": role.weight.as_f64(), "role": role.role.as_str()})).collect();
    response("GET_WEIGHTS", &without_empty(json!({ "weight_infos": infos })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(body: &Json) -> Result<(Asked, Encoding), u16> {
        let request = Request::post("/api/v1").header("content-type", "application/json");
        let request = request.body(body.to_string().into()).unwrap();
        check(&Gate::new(Settings::default(), Duration::from_secs(5)), &request)
            .map_err(|answer| answer.status().as_u16())
    }

    fn commands(body: &Json) -> Vec<Command> {
        match ask(body) {
            Ok((Asked::Commands(commands), _)) => commands,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn calls_that_lack_something_are_refused() {
        for (body, expected) in [
            (json!({}), 400),
            (json!({"type": "FLY"}), 400),
            (json!({"type": "TEARDOWN"}), 400),
            (json!({"type": "TEARDOWN", "teardown": {}}), 400),
            (
                json!({"type": "DRAIN_AGENT", "drain_agent": {"agent_id": {"value": "a"}, "max_grace_period": "1s"}}),
                400,
            ),
            (
                json!({"type": "DRAIN_AGENT", "drain_agent": {"agent_id": {"value": "a"}, "max_grace_period": {"seconds": -1}}}),
                400,
            ),
            (
                json!({"type": "UPDATE_WEIGHTS", "update_weights": {"weight_infos": [{"role": "a b", "weight": 1}]}}),
                400,
            ),
            (json!({"type": "UPDATE_WEIGHTS", "update_weights": {"weight_infos": [{"role": "a", "weight": -1}]}}), 400),
            (json!({"type": "PRUNE_IMAGES"}), 400),
            (json!({"type": "GET_STATE"}), 501),
        ] {
            assert_eq!(ask(&body).err(), Some(expected), "{body}");
        }
    }

    #[test]
    fn calls_become_commands() {
        let infos = json!([{"role": "a", "weight": "2"}, {"weight": 0.5, "role": "b/c"}]);
        let set = commands(&json!({"type": "UPDATE_WEIGHTS", "update_weights": {"weight_infos": infos}}));
        let weight =
            |role: &str, weight| Command::SetWeight(role.parse().unwrap(), Weight::try_from_f64(weight).unwrap());
        assert_eq!(set, [weight("a", 2.0), weight("b/c", 0.5)]);
        let body = json!({"agent_id": {"value": "a"}, "max_grace_period": {"seconds": 90}, "mark_gone": true});
        let mut drain = Drain::default();
        (drain.max_grace_period, drain.mark_gone) = (Some(Duration::from_secs(90)), true);
        let drained = commands(&json!({"type": "DRAIN_AGENT", "drain_agent": body}));
        assert_eq!(drained, [Command::DrainAgent("a".into(), drain)]);
        let unknown = || Err(CommandError::Allocator(AllocatorError::UnknownAgent("a".into())));
        assert_eq!(outcome(unknown(), &Command::AgentGone("a".into())).status().as_u16(), 404);
        assert_eq!(outcome(unknown(), &drained[0]).status().as_u16(), 400);
    }

    #[test]
    fn answers_have_the_form_that_mesos_gives_them() {
        let mut master = Master::new(apportion::Config::default());
        assert_eq!(weights(&master.state()), json!({"type": "GET_WEIGHTS"}), "as recorded: no empty body");
        let framework = apportion::Framework::new("f1").role("web".parse().unwrap());
        let agent = apportion::Agent::new("a1", "cpus:4;mem:1024;ports:[1-2]".parse().unwrap());
        for command in [
            Command::AddAgent(agent.into()),
            Command::AddFramework(framework),
            Command::SetWeight("web".parse().unwrap(), Weight::try_from_f64(2.5).unwrap()),
        ] {
            master.handle(apportion::Time::ZERO, command).unwrap();
        }
        let set = json!([{"weight": 2.5, "role": "web"}]);
        assert_eq!(weights(&master.state()), json!({"type": "GET_WEIGHTS", "get_weights": {"weight_infos": set}}));
        let scalar = |name: &str, value: f64| json!({"name": name, "type": "SCALAR", "scalar": {"value": value}});
        let expected = json!({"name": "web", "weight": 2.5, "frameworks": [{"value": "f1"}],
            "resources": [scalar("cpus", 4.0), scalar("mem", 1024.0)]});
        let found = roles(&master.state());
        assert_eq!(found, json!({"type": "GET_ROLES", "get_roles": {"roles": [expected]}}));
        let bytes = answer(&found, Encoding::Protobuf);
        assert_eq!(MessageType::MASTER_RESPONSE.to_json(bytes.body()).unwrap(), found.to_string());
    }
}
