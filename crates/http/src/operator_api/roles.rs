//! Roles and their weights in the API of operators.

use super::{Act, canonical, without_empty};
use crate::protobuf::MessageType;
use crate::transport::answer::{Answer, bad_request};
use apportion::allocator::{RoleAccount, Weight};
use apportion::{Command, Quantities, Role, RoleState, Scalar, State};
use http::StatusCode;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;

/// Sets weights, `[{role, weight}]`: all are valid, or none is set.
pub(crate) fn set_weights(infos: &Json) -> Result<Act, Answer> {
    let infos = infos.as_array().ok_or_else(|| bad_request("expected a list of roles with weights"))?;
    let set = |info: &Json| {
        let info = canonical(MessageType::named("mesos.v1.WeightInfo"), info)?;
        let role = Role::new(info["role"].as_str().unwrap_or_default());
        let weight = info["weight"].as_f64().ok_or_else(|| bad_request("expected 'weight' to be present"))?;
        let weight = Weight::try_from_f64(weight).map_err(|error| bad_request(error.to_string()))?;
        Ok(Command::SetWeight(role.map_err(|error| bad_request(error.to_string()))?, weight))
    };
    let commands: Vec<Command> = infos.iter().map(set).collect::<Result<_, Answer>>()?;
    Ok(Box::new(move |leader, at| {
        for command in commands {
            leader.command(at, command).map_err(|error| bad_request(error.to_string()))?;
        }
        Ok(StatusCode::OK)
    }))
}

/// Returns the weights that were set: a list of Mesos' `WeightInfo`.
pub(crate) fn weights(roles: &[RoleAccount]) -> Vec<Json> {
    let set = roles.iter().filter(|role| role.weight != Weight::default());
    set.map(|role| json!({"weight": role.weight.as_f64(), "role": role.role.as_str()})).collect()
}

/// Returns the ids of the frameworks that are subscribed to a role.
fn members<'a>(state: &'a State, role: &'a RoleState) -> impl Iterator<Item = &'a str> {
    let members = state.frameworks.iter().filter(|framework| framework.roles.contains(&role.role));
    members.map(|framework| framework.id.as_str())
}

/// Returns what a role holds, offered or in use.
fn held(role: &RoleState) -> Quantities {
    let mut held = role.allocated.clone();
    held += &role.offered;
    held
}

/// Returns the roles as GET_ROLES tells them.
pub(super) fn list(state: &State) -> Json {
    let role = |role: &RoleState| {
        let members: Vec<Json> = members(state, role).map(|framework| json!({"value": framework})).collect();
        let scalar = |(name, amount): (&str, Scalar)| json!({"name": name, "type": "SCALAR", "scalar": {"value": amount.as_f64()}});
        let held: Vec<Json> = held(role).iter().map(scalar).collect();
        let weight = role.weight.as_f64();
        without_empty(json!({"name": role.role.as_str(), "weight": weight, "frameworks": members, "resources": held}))
    };
    without_empty(json!({"roles": state.roles.iter().map(role).collect::<Vec<Json>>()}))
}

/// Returns the roles as `/roles` tells them.
pub(crate) fn list_v0(state: &State) -> Json {
    let reserved_in_use = reserved_in_use(state);
    let role = |role: &RoleState| {
        let name = role.role.as_str();
        let consumed = consumed(role, &reserved_in_use);
        let limits: Map<String, Json> =
            role.quota.limits.iter().map(|(name, limit)| (name.to_owned(), limit.as_f64().into())).collect();
        let quota = json!({
            "role": name, "guarantee": amounts(&role.quota.guarantees), "limit": limits, "consumed": amounts(&consumed),
        });
        let mut resources = amounts(&held(role));
        for always in ["cpus", "mem", "disk", "gpus"] {
            resources.entry(always).or_insert_with(|| json!(0.0));
        }
        json!({
            "name": name, "weight": role.weight.as_f64(), "quota": quota, "resources": resources,
            "allocated": amounts(&role.allocated), "offered": amounts(&role.offered), "reserved": amounts(&role.reserved),
            "frameworks": members(state, role).collect::<Vec<_>>(),
        })
    };
    json!({"roles": state.roles.iter().map(role).collect::<Vec<Json>>()})
}

/// Returns what counts against the quota of a role: what is reserved to it, in use or not, and what it uses besides.
pub(super) fn consumed(role: &RoleState, reserved_in_use: &BTreeMap<Role, Quantities>) -> Quantities {
    let mut consumed = role.allocated.clone();
    consumed += &role.reserved;
    if let Some(twice) = reserved_in_use.get(&role.role) {
        consumed -= twice;
    }
    consumed
}

/// Returns by role, ancestors included, what is reserved to it and in use.
pub(super) fn reserved_in_use(state: &State) -> BTreeMap<Role, Quantities> {
    let mut by_role: BTreeMap<Role, Quantities> = BTreeMap::new();
    for resource in state.agents.iter().flat_map(|agent| agent.allocated.iter()) {
        let Some((role, amount)) = resource.role().zip(resource.scalar()) else { continue };
        for holder in role.ancestors().chain([role.clone()]) {
            by_role.entry(holder).or_default().add(resource.name(), amount);
        }
    }
    by_role
}

fn amounts(amounts: &Quantities) -> Map<String, Json> {
    amounts.iter().map(|(name, amount)| (name.to_owned(), amount.as_f64().into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use apportion::allocator::Allocator as _;
    use apportion::{Agent, Config, Framework, Master, Time};

    fn master() -> Master {
        let mut master = Master::new(Config::default());
        let framework = Framework::new("f1").role("web".parse().unwrap());
        let agent = Agent::new("a1", "cpus:4;mem:1024;ports:[1-2]".parse().unwrap());
        for command in [
            Command::AddAgent(agent.into()),
            Command::AddFramework(framework),
            Command::SetWeight("web".parse().unwrap(), Weight::try_from_f64(2.5).unwrap()),
        ] {
            master.handle(Time::ZERO, command).unwrap();
        }
        master
    }

    #[test]
    fn weights_are_read_all_or_none() {
        assert!(set_weights(&json!([{"role": "a", "weight": "2"}, {"weight": 0.5, "role": "b/c"}])).is_ok());
        for wrong in [
            json!([{"role": "a", "weight": 1.0}, {"role": "a b", "weight": 1}]),
            json!([{"role": "a", "weight": -1}]),
            json!([{"role": "a", "weight": 0}]),
            json!([{"role": "a"}]),
            json!({"role": "a", "weight": 1}),
        ] {
            assert_eq!(set_weights(&wrong).err().map(|answer| answer.status().as_u16()), Some(400), "{wrong}");
        }
    }

    #[test]
    fn roles_and_weights_have_the_form_that_mesos_gives_them() {
        assert!(weights(&Master::new(Config::default()).allocator().roles()).is_empty());
        let state = master().state();
        assert_eq!(weights(&master().allocator().roles()), [json!({"weight": 2.5, "role": "web"})]);
        let scalar = |name: &str, value: f64| json!({"name": name, "type": "SCALAR", "scalar": {"value": value}});
        let expected = json!({"name": "web", "weight": 2.5, "frameworks": [{"value": "f1"}],
            "resources": [scalar("cpus", 4.0), scalar("mem", 1024.0)]});
        assert_eq!(list(&state), json!({"roles": [expected]}));
        let quota = json!({"role": "web", "guarantee": {}, "limit": {}, "consumed": {}});
        let expected = json!({
            "name": "web", "weight": 2.5, "quota": quota, "frameworks": ["f1"], "allocated": {}, "reserved": {},
            "resources": {"cpus": 4.0, "mem": 1024.0, "disk": 0.0, "gpus": 0.0}, "offered": {"cpus": 4.0, "mem": 1024.0},
        });
        assert_eq!(list_v0(&state), json!({"roles": [expected]}));
    }
}
