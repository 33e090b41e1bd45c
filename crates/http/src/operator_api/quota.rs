//! Quota in the API of operators.

use super::operations::resources;
use super::{Act, roles, without_empty};
use crate::transport::answer::{Answer, bad_request, text};
use apportion::allocator::{Allocator as _, Quota, RoleAccount};
use apportion::{Command, Master, Quantities, Role, Scalar, State};
use http::StatusCode;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;

/// Quotas to set: all of them, or none.
#[derive(Debug)]
pub(crate) struct Update {
    quotas: Vec<(Role, Quota)>,
    /// True to set them although a role consumes more, or the cluster is smaller.
    force: bool,
}

impl Update {
    pub(super) fn read(body: &Json) -> Result<Self, Answer> {
        let configs = body["quota_configs"].as_array().into_iter().flatten();
        let quotas = configs.map(read_config).collect::<Result<_, _>>()?;
        Ok(Self { quotas, force: body["force"].as_bool().unwrap_or(false) })
    }

    /// Sets the quotas.
    pub(super) fn act(self) -> Act {
        Box::new(move |leader, at| {
            let commands = self.plan(leader.delivery().master()).map_err(|error| bad_request(error.to_string()))?;
            for command in commands {
                leader.command(at, command).map_err(|error| bad_request(error.to_string()))?;
            }
            Ok(StatusCode::OK)
        })
    }

    /// Returns the commands that set the quotas, or why they are not to be set.
    fn plan(&self, master: &Master) -> Result<Vec<Command>, Refusal> {
        let commands: Vec<Command> =
            self.quotas.iter().map(|(role, quota)| Command::SetQuota(role.clone(), quota.clone())).collect();
        // One that is invalid shows on a copy, before any is set.
        let mut trial = master.clone();
        for command in &commands {
            trial.handle(trial.now(), command.clone()).map_err(|error| Refusal::Invalid(error.to_string()))?;
        }
        if !self.force {
            let state = trial.state();
            self.quotas.iter().try_for_each(|(role, quota)| check_consumption(&state, role, quota))?;
            check_guarantees(&state)?;
        }
        Ok(commands)
    }
}

/// The reason why quotas are not set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    #[error("{0}")]
    Invalid(String),
    #[error("role {role} consumes {name}:{consumed}, more than the limit of {limit}")]
    Consumed { role: Role, name: String, consumed: Scalar, limit: Scalar },
    #[error("all guarantees together are {name}:{guaranteed}, more than the {total} of the cluster")]
    ClusterTooSmall { name: String, guaranteed: Scalar, total: Scalar },
}

/// Sets the quota of one role in Mesos' older form, `{role, guarantee, force}`: the guarantee is the limit, too.
pub(crate) fn set(request: &Json) -> Result<Act, Answer> {
    let role = read_role(request["role"].as_str().unwrap_or_default())?;
    let guarantee = resources(&request["guarantee"])?;
    if guarantee.is_empty() {
        return Err(bad_request("expected a guarantee of at least one resource"));
    }
    if let Some(other) =
        guarantee.iter().find(|resource| !resource.reservations().is_empty() || resource.is_revocable())
    {
        return Err(bad_request(format!("{other}: expected amounts without a reservation")));
    }
    let quota = guarantee
        .quantities()
        .iter()
        .fold(Quota::default(), |quota, (name, amount)| quota.guarantee(name, amount).limit(name.to_owned(), amount));
    let update = Update { quotas: vec![(role.clone(), quota)], force: request["force"].as_bool().unwrap_or(false) };
    Ok(Box::new(move |leader, at| {
        let master = leader.delivery().master();
        if has_quota(master, &role) {
            return Err(bad_request(format!("role {role} has a quota already: expected it to be removed first")));
        }
        let commands = update.plan(master).map_err(|error| {
            let is_too_small = matches!(error, Refusal::ClusterTooSmall { .. });
            text(if is_too_small { StatusCode::CONFLICT } else { StatusCode::BAD_REQUEST }, error.to_string())
        })?;
        for command in commands {
            leader.command(at, command).map_err(|error| bad_request(error.to_string()))?;
        }
        Ok(StatusCode::OK)
    }))
}

/// Removes the quota of a role.
pub(crate) fn remove(role: &str) -> Result<Act, Answer> {
    let role = read_role(role)?;
    Ok(Box::new(move |leader, at| {
        if !has_quota(leader.delivery().master(), &role) {
            return Err(bad_request(format!("role {role} has no quota")));
        }
        let remove = Command::SetQuota(role, Quota::default());
        leader.command(at, remove).map_err(|error| bad_request(error.to_string()))?;
        Ok(StatusCode::OK)
    }))
}

fn has_quota(master: &Master, role: &Role) -> bool {
    master.allocator().roles().iter().any(|known| known.role == *role && !known.quota.is_empty())
}

fn read_role(role: &str) -> Result<Role, Answer> {
    Role::new(role).map_err(|error| bad_request(error.to_string()))
}

/// Reads a config; one that says nothing removes the quota.
fn read_config(config: &Json) -> Result<(Role, Quota), Answer> {
    let role = read_role(config["role"].as_str().unwrap_or_default())?;
    let amounts = |name: &str| {
        let amounts = config[name].as_object().into_iter().flatten();
        let amounts = amounts.map(|(resource, amount)| {
            let amount = Scalar::try_from_f64(amount["value"].as_f64().unwrap_or(0.0));
            let amount = amount.map_err(|error| bad_request(format!("{name} of {resource}: {error}")))?;
            Ok((resource.clone(), amount))
        });
        amounts.collect::<Result<Vec<_>, Answer>>()
    };
    let mut quota = Quota::default();
    for (resource, amount) in amounts("guarantees")? {
        quota = quota.guarantee(&resource, amount);
    }
    for (resource, amount) in amounts("limits")? {
        quota = quota.limit(resource, amount);
    }
    Ok((role, quota))
}

fn check_consumption(state: &State, role: &Role, quota: &Quota) -> Result<(), Refusal> {
    let Some(known) = state.roles.iter().find(|known| known.role == *role) else { return Ok(()) };
    let consumed = roles::consumed(known, &roles::reserved_in_use(state));
    let beyond = |(name, limit): (&str, Scalar)| {
        let consumed = consumed.amount(name);
        let refusal = || Refusal::Consumed { role: role.clone(), name: name.to_owned(), consumed, limit };
        (consumed > limit).then(refusal)
    };
    quota.limits.iter().find_map(beyond).map_or(Ok(()), Err)
}

/// A guarantee includes those of the role's descendants, so the topmost ones count.
fn check_guarantees(state: &State) -> Result<(), Refusal> {
    let mut total = Quantities::new();
    state.agents.iter().for_each(|agent| total += &agent.total.quantities());
    let guarantees = state.roles.iter().filter(|role| !role.quota.guarantees.is_empty());
    let guarantees: BTreeMap<&Role, &Quantities> =
        guarantees.map(|role| (&role.role, &role.quota.guarantees)).collect();
    let mut guaranteed = Quantities::new();
    for (role, guarantee) in &guarantees {
        if !role.ancestors().any(|ancestor| guarantees.contains_key(&ancestor)) {
            guaranteed += guarantee;
        }
    }
    let beyond = guaranteed.iter().find(|(name, amount)| *amount > total.amount(name));
    beyond.map_or(Ok(()), |(name, guaranteed)| {
        Err(Refusal::ClusterTooSmall { name: name.to_owned(), guaranteed, total: total.amount(name) })
    })
}

/// Returns Mesos' `quota::QuotaStatus`, with the quotas in the older and in the newer form.
pub(crate) fn status(roles: &[RoleAccount]) -> Json {
    let scalars = |amounts: &mut dyn Iterator<Item = (&str, Scalar)>| -> Map<String, Json> {
        amounts.map(|(name, amount)| (name.to_owned(), json!({"value": amount.as_f64()}))).collect()
    };
    let (mut infos, mut configs) = (Vec::new(), Vec::new());
    for RoleAccount { role, quota, .. } in roles.iter().filter(|role| !role.quota.is_empty()) {
        let resource = |(name, amount): (&str, Scalar)| json!({"name": name, "type": "SCALAR", "scalar": {"value": amount.as_f64()}});
        let guarantee: Vec<Json> = quota.guarantees.iter().map(resource).collect();
        infos.push(without_empty(json!({"role": role.as_str(), "guarantee": guarantee})));
        let mut config = json!({"role": role.as_str()});
        for (name, amounts) in
            [("guarantees", scalars(&mut quota.guarantees.iter())), ("limits", scalars(&mut quota.limits.iter()))]
        {
            if !amounts.is_empty() {
                config[name] = amounts.into();
            }
        }
        configs.push(config);
    }
    without_empty(json!({"infos": infos, "configs": configs}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use apportion::{Accept, Agent, Call, Config, Effect, Framework, Task, Time};

    /// A master of 8 cpus, of which role `a` consumes 2.
    fn master() -> Master {
        let mut master = Master::new(Config::default());
        let mut handle = |command| master.handle(Time::ZERO, command).unwrap();
        handle(Command::AddAgent(Agent::new("a1", "cpus:8;mem:1024".parse().unwrap()).into()));
        handle(Command::AddFramework(Framework::new("f1").role("a".parse().unwrap())));
        let mut effects = std::iter::from_fn(|| master.poll_effect());
        let offer =
            effects.find_map(|emitted| if let Effect::Offer(offer) = emitted.effect { Some(offer) } else { None });
        let accept = Accept::of(&offer.unwrap()).launch(Task::new("t", "cpus:2;mem:32".parse().unwrap()));
        master.handle(Time::ZERO, Command::Call("f1".into(), Call::Accept(accept))).unwrap();
        master
    }

    fn plan(configs: Json, force: bool) -> Result<usize, String> {
        plan_of(&master(), configs, force)
    }

    fn plan_of(master: &Master, configs: Json, force: bool) -> Result<usize, String> {
        let update = Update::read(&json!({"quota_configs": configs, "force": force})).map_err(|_| "400".to_owned())?;
        update.plan(master).map(|commands| commands.len()).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn quotas_are_set_all_or_none() {
        let config = |role: &str, guarantee: f64, limit: f64| json!({"role": role, "guarantees": {"cpus": {"value": guarantee}}, "limits": {"cpus": {"value": limit}}});
        assert_eq!(plan(json!([config("a", 1.0, 2.0), config("b", 7.0, 7.0)]), false), Ok(2));
        assert!(plan(json!([config("a", 1.0, 2.0), config("b", 2.0, 1.0)]), true).is_err(), "beyond its own limit");
        let error = plan(json!([config("a", 1.0, 1.5)]), false).unwrap_err();
        assert_eq!(error, "role a consumes cpus:2, more than the limit of 1.5");
        assert_eq!(plan(json!([config("a", 1.0, 1.5)]), true), Ok(1));
        let error = plan(json!([config("a", 4.0, 8.0), config("b", 4.5, 8.0)]), false).unwrap_err();
        assert_eq!(error, "all guarantees together are cpus:8.5, more than the 8 of the cluster");
        let error = plan(json!([config("eng/web", 8.5, 9.0)]), false).unwrap_err();
        assert_eq!(error, "all guarantees together are cpus:8.5, more than the 8 of the cluster", "of a nested role");
        assert_eq!(plan(json!([config("eng", 8.0, 9.0), config("eng/web", 8.0, 9.0)]), false), Ok(2));
        assert!(plan(json!([{"role": "a b"}]), true).is_err());
        assert!(plan(json!([config("a", -1.0, 1.0)]), true).is_err());
    }

    #[test]
    fn what_is_reserved_is_consumed_and_counts_once() {
        let mut master = master(); // role `a` uses 2 unreserved cpus
        let reserve = |cpus: f64| {
            let reservation = json!([{"type": "DYNAMIC", "role": "a", "principal": "p"}]);
            let cpus =
                json!([{"name": "cpus", "type": "SCALAR", "scalar": {"value": cpus}, "reservations": reservation}]);
            apportion::Operation::Reserve(resources(&cpus).unwrap())
        };
        master.handle(Time::ZERO, Command::Operate("a1".into(), vec![reserve(3.0)])).unwrap();
        let limit = |cpus: f64| json!([{"role": "a", "limits": {"cpus": {"value": cpus}}}]);
        let error = plan_of(&master, limit(4.5), false).unwrap_err();
        assert_eq!(error, "role a consumes cpus:5, more than the limit of 4.5");
        assert_eq!(plan_of(&master, limit(5.0), false), Ok(1));
        master.advance(Time::from_secs(10)).unwrap();
        let effects = std::iter::from_fn(|| master.poll_effect());
        let offers =
            effects.filter_map(|emitted| if let Effect::Offer(offer) = emitted.effect { Some(offer) } else { None });
        let offer = offers.last().unwrap();
        let reserved = offer.resources.iter().find(|resource| resource.role().is_some()).unwrap().clone();
        let task = Task::new("t2", apportion::Resources::try_from_iter([reserved]).unwrap());
        let accept = Accept::of(&offer).launch(task);
        master.handle(master.now(), Command::Call("f1".into(), Call::Accept(accept))).unwrap();
        assert_eq!(plan_of(&master, limit(5.0), false), Ok(1), "in use it counts no more than before");
    }

    #[test]
    fn quotas_are_told_in_the_old_and_in_the_new_form() {
        let mut master = master();
        assert_eq!(status(&master.allocator().roles()), json!({}), "as recorded");
        let quota = Quota::default().guarantee("cpus", Scalar::from(1)).limit("cpus", Scalar::from(5));
        master.handle(Time::ZERO, Command::SetQuota("a".parse().unwrap(), quota)).unwrap();
        let guarantee = json!([{"name": "cpus", "type": "SCALAR", "scalar": {"value": 1.0}}]);
        let config = json!({"role": "a", "guarantees": {"cpus": {"value": 1.0}}, "limits": {"cpus": {"value": 5.0}}});
        let expected = json!({"infos": [{"role": "a", "guarantee": guarantee}], "configs": [config]});
        assert_eq!(status(&master.allocator().roles()), expected);
    }
}
