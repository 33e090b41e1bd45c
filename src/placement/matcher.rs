//! The matcher: finds an offer for each pending task, or says why there is none.
//!
//! [`plan`] is the algorithm in five phases; [`app`] and [`gang`] are its steps, and [`PlanState`] is what they change.
//! [`LiveState`](live::LiveState) keeps one between plans.
//! A [`Query`](query::Query) is an app, a [`Pairing`](pairing::Pairing) is an app and an offer; the
//! [`Selector`](selector::Selector) finds the best offer without pairing the app with all of them.

mod app;
mod candidates;
mod class;
mod classes;
mod domains;
mod gang;
mod heads;
mod host_scores;
mod index;
pub(super) mod live;
mod near_miss;
mod offer_state;
mod pairing;
mod plan_state;
mod port_holders;
mod ports;
mod query;
mod score;
mod selector;
mod table;
mod task_ids;
mod terms;
mod volumes;

use self::app::Waiting;
use self::index::AppIx;
use self::plan_state::PlanState;
use self::query::ListedApp;
use super::model::app::App;
use super::model::plan::{Plan, Unplaced};
use super::model::planner::Planner;
use super::model::running::Running;
use crate::offer::Offer;
use crate::text::Text;
use indexmap::IndexMap;

/// Plans all apps, by id and in the order in which they are listed.
pub(super) fn plan<'a>(
    planner: &'a Planner,
    apps: &IndexMap<&str, &'a App>,
    running: &'a [Running],
    offers: &'a [Offer],
) -> Plan {
    // 1. Take stock of the offers, the loads of their hosts, and the placed tasks.
    let mut state = PlanState::new(planner, apps, running, offers);

    // 2. to 4. Place the apps.
    let listed = |(place, app)| ListedApp { planner, ix: AppIx::new(place), place, app };
    let unplaced = place(&mut state, apps.values().copied().enumerate().map(listed));

    // 5. Decline the offers of which nothing is taken.
    let declines = state.unused_offers();
    Plan { launches: state.launches, declines, unplaced }
}

/// Places apps in the order in which they are listed, and returns those that have to wait.
fn place<'a>(state: &mut PlanState<'_>, apps: impl Iterator<Item = ListedApp<'a>>) -> Vec<Unplaced> {
    // 2. Join the apps of each group: a gang takes the turn of its first member.
    let turns = turns(apps);

    // 3. Place turn by turn: an app instance by instance, a gang whole or not at all.
    let mut waiting: Vec<Waiting<'_>> = turns.iter().flat_map(|turn| turn.place(state)).collect();

    // 4. Explain why the others have to wait, once all is placed that can be.
    waiting.sort_by_key(|one| one.app.place);
    waiting.into_iter().map(|one| one.explained(state)).collect()
}

/// Apps that are placed as one: those of a group, or a single one without a group.
struct Turn<'a> {
    group: Option<&'a Text>,
    members: Vec<ListedApp<'a>>,
}

fn turns<'a>(apps: impl Iterator<Item = ListedApp<'a>>) -> Vec<Turn<'a>> {
    let mut turns: Vec<Turn<'a>> = Vec::with_capacity(apps.size_hint().0);
    let mut by_group: IndexMap<&Text, usize> = IndexMap::new();
    for listed in apps {
        let group = listed.app.group.as_ref();
        let turn = group.map_or(turns.len(), |group| *by_group.entry(group).or_insert(turns.len()));
        match turns.get_mut(turn) {
            Some(turn) => turn.members.push(listed),
            None => turns.push(Turn { group, members: vec![listed] }),
        }
    }
    turns
}

impl<'a> Turn<'a> {
    /// Places the members, and returns those that have to wait.
    fn place(&self, state: &mut PlanState<'_>) -> Vec<Waiting<'a>> {
        if let Some(group) = self.group {
            return gang::plan_gang(state, group, &self.members);
        }
        let place = |app: &ListedApp<'a>| {
            let instances = app::plan_app(state, *app);
            (instances > 0).then_some(Waiting { app: *app, instances, group: None, explanation: None })
        };
        self.members.iter().filter_map(place).collect()
    }
}
