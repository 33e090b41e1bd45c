//! Operations of operators on the resources of an agent.

use super::{Act, canonical};
use crate::protobuf::MessageType;
use crate::transport::answer::{Answer, bad_request, text};
use apportion::{AgentId, Operation, OperationError, Resource, Resources, Scalar};
use http::StatusCode;
use serde_json::{Value as Json, json};

/// Reads the operation of a call, whose body has the resources.
pub(crate) fn read(kind: &str, body: &Json) -> Result<Operation, Answer> {
    if body.get("source").is_some_and(|source| source.as_array().is_none_or(|list| !list.is_empty())) {
        return Err(bad_request("expected no 'source': unreserve it, and reserve anew"));
    }
    Ok(match kind {
        "RESERVE_RESOURCES" => Operation::Reserve(resources(&body["resources"])?),
        "UNRESERVE_RESOURCES" => Operation::Unreserve(resources(&body["resources"])?),
        "CREATE_VOLUMES" => Operation::Create(resources(&body["volumes"])?),
        "DESTROY_VOLUMES" => Operation::Destroy(resources(&body["volumes"])?),
        "GROW_VOLUME" => Operation::GrowVolume {
            volume: Box::new(resource(&body["volume"], "volume")?),
            addition: Box::new(resource(&body["addition"], "addition")?),
        },
        _ => {
            let subtract = body["subtract"]["value"].as_f64();
            let subtract = subtract.ok_or_else(|| bad_request("expected 'subtract' to be present"))?;
            let subtract = Scalar::try_from_f64(subtract).map_err(|error| bad_request(format!("subtract: {error}")))?;
            Operation::ShrinkVolume { volume: Box::new(resource(&body["volume"], "volume")?), subtract }
        }
    })
}

/// Reads a list of v1 resources.
pub(crate) fn resources(list: &Json) -> Result<Resources, Answer> {
    let list = list.as_array().ok_or_else(|| bad_request("expected a list of resources"))?;
    let resource = MessageType::named("mesos.v1.Resource");
    let list: Vec<Json> = list.iter().map(|json| canonical(resource, json)).collect::<Result<_, _>>()?;
    serde_json::from_value(list.into()).map_err(|error| bad_request(error.to_string()))
}

fn resource(json: &Json, name: &str) -> Result<Resource, Answer> {
    let only = if json.is_object() { resources(&json!([json]))?.into_iter().next() } else { None };
    only.ok_or_else(|| bad_request(format!("expected '{name}' to be an amount of a resource")))
}

/// Runs an operation on what is unused of an agent. Offers in the way are rescinded.
pub(crate) fn run(agent: AgentId, operation: Operation) -> Result<Act, Answer> {
    operation.conversion(None).map_err(|error| bad_request(error.to_string()))?;
    Ok(Box::new(move |leader, at| match leader.operate(at, agent, operation) {
        Ok(None) => Ok(StatusCode::ACCEPTED),
        Ok(Some(error)) => Err(failed(&error)),
        Err(error) => Err(bad_request(error.to_string())),
    }))
}

/// The answer to an operation that has failed: 409 where the agent has not what it takes.
fn failed(error: &OperationError) -> Answer {
    let status =
        if matches!(error, OperationError::Shortfall(_)) { StatusCode::CONFLICT } else { StatusCode::BAD_REQUEST };
    text(status, error.to_string())
}
