//! The checks of a call to `/api/v1/scheduler`, in Mesos' order: the first that fails answers.

use crate::authentication::Realm;
use crate::gate::{Gate, Session};
use crate::protobuf::MessageType;
use crate::transport::answer::{Answer, bad_request, empty, only, text};
use crate::transport::encoding::Encoding;
use apportion::v1::{Dialect, SchedulerCall};
use apportion::{Call, Framework, FrameworkId, Text, Uuid};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};

/// The name of the header that binds calls to a stream. Its case does not matter.
pub(crate) const STREAM_ID: &str = "mesos-stream-id";

/// A call that has passed all checks.
#[derive(Debug, PartialEq)]
pub(crate) enum Passed {
    /// A subscription, whose stream has that encoding.
    Subscribe(Box<Framework>, Encoding),
    /// A subscription with an invalid value: the stream says so and ends.
    Refused(String, Encoding),
    /// A change of a framework, whose answer waits for the master.
    Update(FrameworkId, Box<Framework>),
    /// Any other call: it is queued, and answered at once.
    Call(FrameworkId, Uuid, Call),
}

/// The answer to a call that is queued: 202, because it may still come to nothing.
pub(crate) fn queued() -> Answer {
    empty(StatusCode::ACCEPTED)
}

/// Checks a call.
#[expect(clippy::wildcard_enum_match_arm, reason = "all other calls are alike")]
pub(crate) fn check(gate: &Gate, request: &Request<Bytes>) -> Result<Passed, Answer> {
    let headers = request.headers();
    let principal = gate.settings.authentication.check(Realm::Scheduler, headers)?;
    gate.leadership().check(request.uri())?;
    if request.method() != Method::POST {
        return Err(only("POST"));
    }
    let body = Encoding::of_body(headers)?.to_json(MessageType::SCHEDULER_CALL, request.body())?;
    let call = Dialect::default().decode::<SchedulerCall>(&*body);
    let SchedulerCall { framework: id, call, .. } = call.map_err(|error| bad_request(error.to_string()))?;
    match call {
        Call::Subscribe(framework) => subscription(headers, principal, framework),
        Call::Invalid { kind, form } if kind == "SUBSCRIBE" => {
            let (encoding, error) = (subscription_encoding(headers)?, form.error.to_string());
            Ok(Passed::Refused(error, encoding))
        }
        call => {
            let (session, stream) = session(gate, headers, &id, principal.as_ref())?;
            match call {
                Call::UpdateFramework(info) => {
                    check_update(&session.framework, &info)?;
                    Ok(Passed::Update(id, info))
                }
                Call::Invalid { kind, form } if kind == "UPDATE_FRAMEWORK" => Err(bad_request(form.error.to_string())),
                call => Ok(Passed::Call(id, stream, call)),
            }
        }
    }
}

fn subscription(headers: &HeaderMap, principal: Option<Text>, mut framework: Box<Framework>) -> Result<Passed, Answer> {
    let encoding = subscription_encoding(headers)?;
    if let Some(principal) = principal {
        let named = framework.principal.get_or_insert_with(|| principal.clone());
        if *named != principal {
            let error = format!("framework_info.principal is {named:?}, the request was sent by {principal:?}");
            return Err(bad_request(error));
        }
    }
    Ok(Passed::Subscribe(framework, encoding))
}

fn subscription_encoding(headers: &HeaderMap) -> Result<Encoding, Answer> {
    let encoding = Encoding::of_stream(headers)?;
    if headers.contains_key(STREAM_ID) {
        return Err(bad_request("expected no 'Mesos-Stream-Id' in a subscription: it begins a new stream"));
    }
    Ok(encoding)
}

/// Returns the session of a call that comes from the holder of its open stream.
fn session(
    gate: &Gate,
    headers: &HeaderMap,
    id: &FrameworkId,
    principal: Option<&Text>,
) -> Result<(Session, Uuid), Answer> {
    if id.as_str().is_empty() {
        return Err(bad_request("expected 'framework_id' to be present"));
    }
    let session = gate.session(id).ok_or_else(|| bad_request(format!("framework {id} is not subscribed")))?;
    if principal.is_some_and(|principal| session.framework.principal.as_ref() != Some(principal)) {
        return Err(bad_request(format!("framework {id} belongs to another principal")));
    }
    let Some(stream) = session.stream else {
        return Err(text(
            StatusCode::FORBIDDEN,
            format!("framework {id} has no open stream: expected it to subscribe"),
        ));
    };
    let Some(given) = headers.get(STREAM_ID) else {
        return Err(bad_request("expected a 'Mesos-Stream-Id': the stream id of the subscription"));
    };
    if given.to_str().ok().map(str::trim) != Some(stream.to_string().as_str()) {
        return Err(bad_request(format!("the stream id {given:?} is not that of the open stream of framework {id}")));
    }
    Ok((session, stream))
}

fn check_update(now: &Framework, next: &Framework) -> Result<(), Answer> {
    let fixed = |name: &str, is_same: bool| {
        if is_same { Ok(()) } else { Err(bad_request(format!("framework_info.{name} cannot be changed"))) }
    };
    fixed("principal", now.principal == next.principal)?;
    fixed("user", now.user == next.user)?;
    fixed("checkpoint", now.checkpoint == next.checkpoint)
}

#[cfg(test)]
mod tests;
