//! Serves one app: places its pending instances, and says why the rest has to wait.

use super::choice::Choice;
use super::desk::Desk;
use super::miss::Miss;
use super::search::Search;
use super::skew::Known;
use crate::placement::model::app::App;
use crate::placement::model::barrier::Obstacle;
use crate::placement::model::near_miss::NearMiss;
use indexmap::IndexSet;
use smol_str::SmolStr;

/// How many instances of an app are to be placed.
pub(super) fn pending(desk: &Desk<'_>, app: &App) -> u64 {
    app.instances.saturating_sub(desk.placed.count(&app.id) as u64)
}

/// Places the pending instances of an app, until one finds no place: the others would not either.
pub(super) fn place<'d: 's, 's>(desk: &mut Desk<'d>, app: &'s App, number: usize) -> Search<'s> {
    let mut search = Search::new(desk.planner, app, number);
    search.waiting = pending(desk, app);
    if search.waiting == 0 {
        return search;
    }
    for field in search.counted() {
        desk.placed.watch(&field);
    }
    for (spread, _, known) in &mut search.spreads {
        let column = desk.table.printed(&desk.slots, &spread.field);
        let of_offers = column.firsts.iter().filter_map(|first| desk.slots[*first].location.value(&spread.field));
        let tally = desk.placed.tally(&app.id, &spread.field);
        let of_tasks = tally.iter().filter_map(|(value, _)| value.cloned());
        *known = of_tasks.chain(of_offers.map(SmolStr::from)).collect::<IndexSet<_>>().len();
    }
    let mut known: Vec<Known<'_>> = search.skews.iter().map(|field| Known::new(field, &search, desk)).collect();
    let mut choice = Choice::new(&search, desk);
    while search.waiting > 0 {
        let Some(index) = choice.pick(&search, desk) else { break };
        desk.launch(&search, index);
        known.iter_mut().for_each(|known| known.refresh(index, &search, desk));
        choice.refresh(index, &search, desk);
        search.waiting -= 1;
    }
    search
}

/// Every check that fails, offer by offer, and the smallest change that would let one more in.
pub(super) fn explain(desk: &mut Desk<'_>, search: &Search<'_>) -> (Vec<Obstacle>, Option<NearMiss>) {
    for field in &search.skews {
        Known::new(field, search, desk);
    }
    let (mut reasons, mut nearest) = (Vec::new(), None::<Miss>);
    for (index, slot) in desk.slots.iter().enumerate() {
        let findings = desk.findings(search, index);
        nearest = Miss::of(search, desk, index, &findings, nearest.as_ref()).or(nearest);
        let obstacle = |barrier| Obstacle { offer: slot.offer.id.clone(), barrier };
        reasons.extend(findings.told.into_iter().map(obstacle));
    }
    (reasons, nearest.and_then(|miss| miss.told(desk)))
}
