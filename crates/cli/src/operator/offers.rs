//! The list of live offers.

use super::Printer;
use super::arguments::OffersArguments;
use super::http::Master;
use super::query::Query;
use super::table::{Kind, Table, counted};
use apportion_console::Failure;
use serde::Deserialize;
use serde_json::Value as Json;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Offer {
    id: String,
    framework: String,
    role: String,
    agent: String,
    resources: Json,
    /// In seconds.
    age: f64,
}

/// Lists the offers that wait for an answer.
pub(super) fn list(master: &Master, arguments: &OffersArguments, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let query = Query::new("/apportion/offers")
        .with("framework", arguments.framework.as_ref())
        .with("agent", arguments.agent.as_ref());
    let is_json = printer.is_json;
    let offers = query.pages(master, |page| if is_json { printer.answer(page) } else { Ok(()) })?;
    if is_json {
        return Ok(());
    }
    let mut table = Table::new([
        ("ID", Kind::Id),
        ("FRAMEWORK", Kind::Id),
        ("ROLE", Kind::Text),
        ("AGENT", Kind::Id),
        ("AGE", Kind::Number),
        ("RESOURCES", Kind::Text),
    ]);
    for offer in offers {
        let offer: Offer = serde_json::from_value(offer).unwrap_or_default(); // a field of another type is shown as empty
        let resources = offer.resources.as_str().map_or_else(|| offer.resources.to_string(), str::to_owned);
        table.row([offer.id, offer.framework, offer.role, offer.agent, age(offer.age), resources]);
    }
    printer.table(&table, &counted(table.len(), "offer"))
}

/// Returns a time in seconds as people say it: `90s`, `5min`, `3h`, `2d`.
pub(super) fn age(seconds: f64) -> String {
    let units = [(172_800.0, 86_400.0, "d"), (7_200.0, 3_600.0, "h"), (120.0, 60.0, "min")];
    let unit = units.into_iter().find(|(least, ..)| seconds >= *least);
    unit.map_or_else(|| format!("{seconds:.0}s"), |(_, size, unit)| format!("{:.0}{unit}", seconds / size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        let ages = [0.2, 90.0, 300.0, 10_800.0, 259_200.0].map(age);
        assert_eq!(ages, ["0s", "90s", "5min", "3h", "3d"]);
    }
}
