//! The lists of roles, of quotas and of weights.

use super::Printer;
use super::agents::Value;
use super::http::Master;
use super::resources::{Amount, Resource, shown, sum};
use super::table::{Kind, Table, counted};
use apportion::Quantities;
use apportion_console::Failure;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Roles {
    roles: Vec<Role>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Role {
    name: String,
    weight: f64,
    frameworks: Vec<Value>,
    resources: Vec<Resource>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Quotas {
    status: QuotaStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct QuotaStatus {
    configs: Vec<QuotaConfig>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct QuotaConfig {
    role: String,
    guarantees: BTreeMap<String, Amount>,
    limits: BTreeMap<String, Amount>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Weights {
    weight_infos: Vec<WeightInfo>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WeightInfo {
    role: String,
    weight: f64,
}

/// Lists the roles, with what is offered to their frameworks or used by them.
pub(super) fn list(master: &Master, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let answer = master.call("GET_ROLES", None)?;
    if printer.is_json {
        return printer.answer(&answer);
    }
    let Roles { roles } = answer.body()?;
    let held: Vec<Quantities> = roles.iter().map(|role| sum(&role.resources)).collect();
    let shown = shown(held.iter());
    let mut columns = vec![("ROLE", Kind::Text), ("WEIGHT", Kind::Number), ("FRAMEWORKS", Kind::Number)];
    columns.extend(shown.iter().map(|(_, head)| (*head, Kind::Number)));
    let mut table = Table::new(columns);
    for (role, held) in roles.iter().zip(&held) {
        let start = [role.name.clone(), role.weight.to_string(), role.frameworks.len().to_string()];
        table.row(start.into_iter().chain(shown.iter().map(|(name, _)| held.amount(name).to_string())));
    }
    printer.table(&table, &counted(table.len(), "role"))
}

/// Lists the quotas, a row for each resource of each.
pub(super) fn quotas(master: &Master, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let answer = master.call("GET_QUOTA", None)?;
    if printer.is_json {
        return printer.answer(&answer);
    }
    let Quotas { status: QuotaStatus { configs } } = answer.body()?;
    let columns =
        [("ROLE", Kind::Text), ("RESOURCE", Kind::Text), ("GUARANTEE", Kind::Number), ("LIMIT", Kind::Number)];
    let mut table = Table::new(columns);
    for QuotaConfig { role, guarantees, limits } in &configs {
        let amount = |of: &BTreeMap<String, Amount>, name: &str| of.get(name).map(|amount| amount.scalar().to_string());
        let mut names: Vec<&String> = guarantees.keys().chain(limits.keys()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let [guarantee, limit] = [guarantees, limits].map(|of| amount(of, name).unwrap_or_default());
            table.row([role.clone(), name.clone(), guarantee, limit]);
        }
    }
    printer.table(&table, &counted(configs.len(), "quota"))
}

/// Lists the weights that were set.
pub(super) fn weights(master: &Master, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let answer = master.call("GET_WEIGHTS", None)?;
    if printer.is_json {
        return printer.answer(&answer);
    }
    let Weights { weight_infos } = answer.body()?;
    let mut table = Table::new([("ROLE", Kind::Text), ("WEIGHT", Kind::Number)]);
    for WeightInfo { role, weight } in &weight_infos {
        table.row([role.clone(), weight.to_string()]);
    }
    printer.table(&table, &format!("{} set; any other is 1", counted(table.len(), "weight")))
}
