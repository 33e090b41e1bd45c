//! Operations of operators on the resources of an agent.

use super::{Act, canonical};
use crate::protobuf::MessageType;
use crate::transport::answer::{Answer, bad_request, text};
use apportion::{AgentId, Operation, OperationError, Reservation, Resource, Resources, Scalar};
use http::StatusCode;
use serde_json::{Value as Json, json};

/// Reads the operation of a call, whose body has the resources: one operation, or the steps of a reservation in place of another.
pub(crate) fn read(kind: &str, body: &Json) -> Result<Vec<Operation>, Answer> {
    if kind == "RESERVE_RESOURCES" {
        let source = body.get("source").map_or_else(|| Ok(Resources::new()), resources)?;
        if !source.is_empty() {
            return moved(&source, &resources(&body["resources"])?);
        }
    }
    Ok(vec![match kind {
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
    }])
}

/// Returns the steps from resources that are reserved in one way to the same amounts, reserved in another way (Mesos, `source` of
/// RESERVE_RESOURCES): reservations are popped down to what both have in common, and pushed from there.
fn moved(source: &Resources, target: &Resources) -> Result<Vec<Operation>, Answer> {
    let (before, after) = (stack(source, "source")?, stack(target, "resources")?);
    if with_stack(source, &[])? != with_stack(target, &[])? {
        return Err(bad_request(format!(
            "source: found {source}, expected the same amounts as in 'resources', {target}"
        )));
    }
    if before == after {
        return Err(bad_request("source: expected another reservation than that of 'resources'"));
    }
    let common = before.iter().zip(after).take_while(|(one, other)| one == other).count();
    let popped =
        (common + 1..=before.len()).rev().map(|depth| Ok(Operation::Unreserve(with_stack(source, &before[..depth])?)));
    let pushed = (common + 1..=after.len()).map(|depth| Ok(Operation::Reserve(with_stack(target, &after[..depth])?)));
    popped.chain(pushed).collect()
}

/// Returns the stack of reservations that all resources of a list have.
fn stack<'a>(resources: &'a Resources, name: &str) -> Result<&'a [Reservation], Answer> {
    let mut stacks = resources.iter().map(Resource::reservations);
    let first = stacks.next().ok_or_else(|| bad_request(format!("expected '{name}' to be present")))?;
    let is_one = stacks.all(|other| other == first);
    if is_one { Ok(first) } else { Err(bad_request(format!("{name}: expected the same reservation of all resources"))) }
}

/// Returns resources with that stack of reservations in place of their own.
fn with_stack(resources: &Resources, stack: &[Reservation]) -> Result<Resources, Answer> {
    let changed = resources.iter().map(|resource| {
        let mut kind = resource.kind().cloned().unwrap_or_default();
        kind.reservations = stack.to_vec();
        resource.clone().with_kind(kind)
    });
    Resources::try_from_iter(changed).map_err(|error| bad_request(error.to_string()))
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

/// Runs operations on what is unused of an agent, one after the other; if one fails, those before it are taken back. Offers in the
/// way are rescinded.
pub(crate) fn run(agent: AgentId, operations: Vec<Operation>) -> Result<Act, Answer> {
    for operation in &operations {
        operation.conversion(None).map_err(|error| bad_request(error.to_string()))?;
    }
    Ok(Box::new(move |leader, at| {
        for (done, operation) in operations.iter().enumerate() {
            let refusal = match leader.operate(at, agent.clone(), operation.clone()) {
                Ok(None) => continue,
                Ok(Some(error)) => failed(&error),
                Err(error) => bad_request(error.to_string()),
            };
            for undone in operations[..done].iter().rev().filter_map(inverse) {
                if let Ok(Some(error)) = leader.operate(at, agent.clone(), undone) {
                    tracing::error!(%agent, %error, "a step of a reservation cannot be taken back");
                }
            }
            return Err(refusal);
        }
        Ok(StatusCode::ACCEPTED)
    }))
}

/// Returns the operation that takes a step of a reservation back.
#[expect(clippy::wildcard_enum_match_arm, reason = "other operations are alone")]
fn inverse(step: &Operation) -> Option<Operation> {
    match step {
        Operation::Reserve(resources) => Some(Operation::Unreserve(resources.clone())),
        Operation::Unreserve(resources) => Some(Operation::Reserve(resources.clone())),
        _ => None,
    }
}

/// The answer to an operation that has failed: 409 where the agent has not what it takes.
fn failed(error: &OperationError) -> Answer {
    let status =
        if matches!(error, OperationError::Shortfall(_)) { StatusCode::CONFLICT } else { StatusCode::BAD_REQUEST };
    text(status, error.to_string())
}
