//! Agents in the API of operators: drained, deactivated, declared gone.

use super::Act;
use crate::transport::answer::{Answer, bad_request, text};
use apportion::allocator::AllocatorError;
use apportion::{AgentId, Command, CommandError, Drain};
use http::StatusCode;
use serde_json::Value as Json;
use std::time::Duration;

/// Declares an agent gone for good; once more changes nothing.
pub(super) fn mark_gone(agent: AgentId) -> Act {
    Box::new(move |leader, at| match leader.command(at, Command::AgentGone(agent)) {
        Ok(()) => Ok(StatusCode::OK),
        Err(error @ CommandError::Allocator(AllocatorError::UnknownAgent(_))) => {
            Err(text(StatusCode::NOT_FOUND, error.to_string()))
        }
        Err(error) => Err(bad_request(error.to_string())),
    })
}

/// Drains an agent.
pub(super) fn drain(agent: AgentId, body: &Json) -> Result<Act, Answer> {
    let mut drain = Drain::default();
    drain.mark_gone = body["mark_gone"].as_bool().unwrap_or(false);
    drain.max_grace_period = body.get("max_grace_period").map(duration).transpose()?;
    Ok(command(Command::DrainAgent(agent, drain)))
}

/// Stops offering an agent.
pub(super) fn deactivate(agent: AgentId) -> Act {
    command(Command::DeactivateAgent(agent))
}

/// Offers an agent again. One that drains has to end that first.
pub(super) fn reactivate(agent: AgentId) -> Act {
    Box::new(move |leader, at| {
        let master = leader.delivery().master();
        if master.drain(&agent).is_some() && !master.has_drained(&agent) {
            return Err(bad_request(format!("agent {agent} is still draining")));
        }
        command(Command::ActivateAgent(agent))(leader, at)
    })
}

fn command(command: Command) -> Act {
    Box::new(move |leader, at| {
        leader.command(at, command).map_err(|error| bad_request(error.to_string()))?;
        Ok(StatusCode::OK)
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_grace_period_is_a_duration_from_zero_on() {
        let expected = Ok(Duration::from_millis(90_500));
        let read = |json: Json| duration(&json).map_err(|answer| answer.status().as_u16());
        assert_eq!(read(json!({"seconds": 90, "nanos": 500_000_000})), expected);
        assert_eq!(read(json!({})), Ok(Duration::ZERO));
        for wrong in [json!({"seconds": -1}), json!({"nanos": 1_000_000_000}), json!({"seconds": 1, "nanos": -1})] {
            assert_eq!(read(wrong), Err(400));
        }
    }
}
