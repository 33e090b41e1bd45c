//! [`Round`]: serves one app after another, instance by instance.

use super::app::App;
use super::barrier::Obstacle;
use super::choice::Choice;
use super::desk::Desk;
use super::search::Search;
use super::skew::Known;
use super::{Plan, Planner, Running, Unplaced};
use crate::offer::Offer;
use indexmap::{IndexMap, IndexSet};
use smol_str::SmolStr;

/// A plan in the making.
#[derive(Debug)]
pub(super) struct Round<'a> {
    desk: Desk<'a>,
    waiting: Vec<Search<'a>>,
}

impl<'a> Round<'a> {
    pub(super) fn new(
        planner: &'a Planner,
        apps: &IndexMap<&str, &App>,
        running: &'a [Running],
        offers: &'a [Offer],
    ) -> Self {
        Self { desk: Desk::new(planner, apps, running, offers), waiting: Vec::new() }
    }

    /// Serves all apps, and says what came of it.
    pub(super) fn serve(mut self, apps: &IndexMap<&str, &'a App>) -> Plan {
        for (number, app) in apps.values().enumerate() {
            let search = self.place(app, number);
            if search.waiting > 0 {
                self.waiting.push(search);
            }
        }
        let waiting = std::mem::take(&mut self.waiting);
        let unplaced = waiting.iter().map(|search| self.unplaced(search)).collect();
        let unused = self.desk.slots.iter().filter(|slot| slot.launches == 0);
        Plan {
            declines: unused.map(|slot| slot.offer.id.clone()).collect(),
            launches: self.desk.launches,
            unplaced,
        }
    }

    /// Places the pending instances of an app, until one finds no place: the others would not either.
    fn place(&mut self, app: &'a App, number: usize) -> Search<'a> {
        let desk = &mut self.desk;
        let mut search = Search::new(desk.planner, app, number);
        search.waiting = app.instances.saturating_sub(desk.placed.count(&app.id) as u64);
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

    fn unplaced(&mut self, search: &Search<'a>) -> Unplaced {
        for field in &search.skews {
            Known::new(field, search, &mut self.desk);
        }
        let mut reasons = Vec::new();
        for (index, slot) in self.desk.slots.iter().enumerate() {
            let (barriers, ports) = self.desk.barriers(search, index);
            let ports = ports.filter(|_| barriers.is_empty()).map(super::Barrier::Ports);
            let all = barriers.into_iter().chain(ports);
            reasons.extend(all.map(|barrier| Obstacle { offer: slot.offer.id.clone(), barrier }));
        }
        Unplaced { app: search.app.id.clone(), instances: search.waiting, reasons }
    }
}
