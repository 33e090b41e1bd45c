//! The checks of a call to `/internal/v1/agent`: the first that fails answers.

use super::message::{AgentCall, Reregister};
use crate::gate::Gate;
use crate::scheduler_api::STREAM_ID;
use crate::transport::answer::{Answer, bad_request, only, text};
use apportion::{AgentId, Uuid};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, StatusCode};

/// A call that has passed all checks.
#[derive(Debug, PartialEq)]
pub(crate) enum Passed {
    /// A registration, which opens a stream; of an agent that has an id, or has none yet.
    Open(Box<Reregister>, Enrolment),
    /// Any other call, of the agent that holds the stream of that id. It is queued, and answered at once.
    Call(AgentId, Uuid, Box<AgentCall>),
}

/// Whether an agent comes with an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Enrolment {
    New,
    Returns,
}

impl Enrolment {
    /// Returns the type of the call.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::New => "REGISTER",
            Self::Returns => "REREGISTER",
        }
    }
}

/// Checks a call.
#[expect(clippy::wildcard_enum_match_arm, reason = "two calls open a stream")]
pub(crate) fn check(gate: &Gate, request: &Request<Bytes>) -> Result<Passed, Answer> {
    gate.leadership().check(request.uri())?;
    if request.method() != Method::POST {
        return Err(only("POST"));
    }
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|given| given.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        let expected = format!("expected 'application/json' in 'Content-Type', found {content_type:?}");
        return Err(text(StatusCode::UNSUPPORTED_MEDIA_TYPE, expected));
    }
    let call: AgentCall = serde_json::from_slice(request.body()).map_err(|error| bad_request(error.to_string()))?;
    let given = request.headers().get(STREAM_ID);
    let call = match call {
        AgentCall::Register(register) => Err((Box::new(Reregister::new(*register)), Enrolment::New)),
        AgentCall::Reregister(back) => Err((back, Enrolment::Returns)),
        call => Ok(call),
    };
    let call = match (call, given) {
        (Ok(call), _) => call,
        (Err((back, enrolment)), None) => return Ok(Passed::Open(back, enrolment)),
        (Err(_), Some(_)) => {
            return Err(bad_request("expected no 'Mesos-Stream-Id' in a registration: it begins a new stream"));
        }
    };
    let given = given.ok_or_else(|| bad_request("expected a 'Mesos-Stream-Id': the stream id of the registration"))?;
    let stream = given.to_str().ok().and_then(|given| gate.agents.of_stream(given.trim()));
    let (agent, stream) =
        stream.ok_or_else(|| bad_request(format!("the stream id {given:?} is not that of an agent's open stream")))?;
    Ok(Passed::Call(agent, stream, Box::new(call)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::internal::Register;
    use crate::leadership::Leadership;
    use crate::settings::Settings;
    use apportion::Agent;
    use std::time::Duration;

    fn status(gate: &Gate, call: &AgentCall, stream: Option<&str>) -> Result<Passed, u16> {
        let request = Request::post("/internal/v1/agent").header(CONTENT_TYPE, "application/json; charset=utf-8");
        let request = stream.into_iter().fold(request, |request, stream| request.header(STREAM_ID, stream));
        let request = request.body(serde_json::to_vec(call).unwrap().into()).unwrap();
        check(gate, &request).map_err(|answer| answer.status().as_u16())
    }

    #[test]
    fn a_call_belongs_to_the_open_stream_of_its_agent() {
        let gate = Gate::new(Settings::default(), Duration::ZERO);
        let stream = Uuid::from_seed(1, 1);
        gate.agents.begin_stream(stream, "a1".into());
        let pong = AgentCall::Pong { seq: 1 };
        let passed = Passed::Call("a1".into(), stream, Box::new(pong.clone()));
        assert_eq!(status(&gate, &pong, Some(&stream.to_string())), Ok(passed));
        assert_eq!(status(&gate, &pong, None), Err(400));
        assert_eq!(status(&gate, &pong, Some(&Uuid::from_seed(1, 2).to_string())), Err(400));
        gate.agents.end_stream(stream);
        assert_eq!(status(&gate, &pong, Some(&stream.to_string())), Err(400));

        let register = Register::new(Agent::new("", "cpus:1".parse().unwrap()), ([127, 0, 0, 1], 1).into(), stream);
        let passed = Passed::Open(Box::new(Reregister::new(register.clone())), Enrolment::New);
        let register = AgentCall::Register(Box::new(register));
        assert_eq!(status(&gate, &register, Some("any")), Err(400));
        assert_eq!(status(&gate, &register, None), Ok(passed));
        gate.set_leadership(Leadership::Recovering);
        assert_eq!(status(&gate, &register, None), Err(503));
        gate.set_leadership(Leadership::Standby(Some("m2:5050".to_owned())));
        assert_eq!(status(&gate, &register, None), Err(307));
    }

    #[test]
    fn what_is_no_call_is_refused() {
        let gate = Gate::new(Settings::default(), Duration::ZERO);
        for (method, content_type, body, expected) in [
            ("GET", "application/json", "", 405),
            ("POST", "application/x-protobuf", "", 415),
            ("POST", "application/json", "{", 400),
            ("POST", "application/json", r#"{"type":"PING"}"#, 400),
        ] {
            let request =
                Request::builder().method(method).uri("/internal/v1/agent").header(CONTENT_TYPE, content_type);
            let answer = check(&gate, &request.body(body.into()).unwrap()).unwrap_err();
            assert_eq!(answer.status().as_u16(), expected, "{method} {content_type} {body}");
        }
    }
}
