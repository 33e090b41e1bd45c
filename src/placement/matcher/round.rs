//! One plan: serves one app after another, groups as one.

use super::desk::Desk;
use super::group::place_group;
use super::search::Search;
use super::serve::{explain, place};
use crate::offer::Offer;
use crate::placement::model::app::App;
use crate::placement::model::plan::{Plan, Unplaced};
use crate::placement::model::planner::Planner;
use crate::placement::model::running::Running;
use indexmap::IndexMap;
use smol_str::SmolStr;

/// What is said of an app that has to wait.
enum Waiting<'a> {
    /// To be said when all is placed that can be.
    Search(Search<'a>),
    /// Said when its group was given up.
    Told(Unplaced),
}

/// Serves all apps, and says what came of it.
pub(in crate::placement) fn serve<'a>(
    planner: &'a Planner,
    apps: &IndexMap<&str, &'a App>,
    running: &'a [Running],
    offers: &'a [Offer],
) -> Plan {
    let mut desk = Desk::new(planner, apps, running, offers);
    let mut waiting: Vec<(usize, Waiting<'_>)> = Vec::new();
    let mut groups: IndexMap<&SmolStr, Vec<(usize, &App)>> = IndexMap::new();
    for (number, app) in apps.values().copied().enumerate() {
        if let Some(group) = &app.group {
            groups.entry(group).or_default().push((number, app));
        }
    }
    for (number, app) in apps.values().copied().enumerate() {
        let Some(group) = &app.group else {
            let search = place(&mut desk, app, number);
            if search.waiting > 0 {
                waiting.push((number, Waiting::Search(search)));
            }
            continue;
        };
        // A group is served as one, when its first member is due.
        if let Some(members) = groups.swap_remove(group) {
            let told = place_group(&mut desk, group, &members);
            waiting.extend(told.into_iter().map(|(number, unplaced)| (number, Waiting::Told(unplaced))));
        }
    }
    waiting.sort_by_key(|(number, _)| *number);
    let unplaced = waiting.into_iter().map(|(_, waiting)| match waiting {
        Waiting::Told(unplaced) => unplaced,
        Waiting::Search(search) => {
            let (reasons, near_miss) = explain(&mut desk, &search);
            Unplaced { app: search.app.id.clone(), instances: search.waiting, reasons, near_miss, group: None }
        }
    });
    let unplaced = unplaced.collect();
    let unused = desk.slots.iter().filter(|slot| slot.launches == 0);
    Plan { declines: unused.map(|slot| slot.offer.id.clone()).collect(), launches: desk.launches, unplaced }
}
