//! The living planner beside the one that is told everything at each plan: after each of many random changes both make the
//! same plan, and what is taken back leaves no trace.

use super::problems::problem;
use super::read;
use crate::tier::tier;
use apportion::placement::{
    App, Change, ChangeError, LivePlanner, Misfit, Plan, Planner, Problem, ReleaseError, Running, Strategy as Fitness,
    Transaction,
};
use apportion::{Offer, OfferId, Resources, TaskId, Time};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Number of sequences in the short tier.
const CASES: u32 = 100;

/// A step: what is done, and to which of those that are there.
type Step = (u8, usize);

/// What the living planner should know, in plain lists.
#[derive(Debug, Clone)]
struct Model {
    planner: Planner,
    apps: Vec<App>,
    offers: Vec<Offer>,
    used: BTreeSet<OfferId>,
    /// The tasks, and whether they are released.
    tasks: Vec<(Running, bool)>,
    launched_in: BTreeMap<TaskId, OfferId>,
}

impl Model {
    fn new(planner: Planner) -> Self {
        Self {
            planner,
            apps: vec![],
            offers: vec![],
            used: BTreeSet::new(),
            tasks: vec![],
            launched_in: BTreeMap::new(),
        }
    }

    fn running(&self) -> Vec<Running> {
        self.tasks.iter().filter(|(_, is_released)| !is_released).map(|(task, _)| task.clone()).collect()
    }

    /// The plan of all apps, without the declines that a living planner leaves to its user.
    fn plan(&self) -> Plan {
        self.plan_of(&self.apps)
    }

    /// The plan of one or two apps: the others have no instances to launch.
    fn plan_some(&self, which: usize) -> (Vec<String>, Plan) {
        let (mut apps, mut ids) = (self.apps.clone(), Vec::new());
        let first = which % apps.len().max(1);
        for (at, app) in apps.iter_mut().enumerate() {
            if at == first || (which.is_multiple_of(2) && at == first + 1) {
                ids.push(app.id.to_string());
            } else {
                app.instances = 0;
            }
        }
        (ids, self.plan_of(&apps))
    }

    fn plan_of(&self, apps: &[App]) -> Plan {
        let mut planner = self.planner.clone();
        let released = self.tasks.iter().filter(|(_, is_released)| *is_released);
        planner.taken.extend(released.map(|(task, _)| task.task.clone()));
        let mut plan = planner.plan(apps, &self.running(), &self.offers);
        plan.declines.clear();
        plan
    }

    fn adopt(&mut self, plan: &Plan) {
        for launch in &plan.launches {
            let offer = self.offers.iter_mut().find(|offer| offer.id == launch.offer).unwrap();
            offer.resources = offer.resources.saturating_sub(&launch.resources);
            let mut task = launch.running();
            task.version = self.apps.iter().find(|app| app.id == launch.app).unwrap().changed;
            self.used.insert(launch.offer.clone());
            self.launched_in.insert(launch.id.clone(), launch.offer.clone());
            self.tasks.push((task, false));
        }
    }

    /// The offer that the resources of a task go to.
    fn offer_of(&mut self, task: &Running) -> Option<&mut Offer> {
        let of_launch = self.launched_in.get(&task.task);
        let at = self.offers.iter().position(|offer| Some(&offer.id) == of_launch);
        let first = || self.offers.iter().position(|offer| offer.hostname == task.location.hostname);
        let at = at.or_else(first)?;
        self.offers.get_mut(at)
    }

    fn release(&mut self, at: usize) -> bool {
        let (task, is_released) = self.tasks[at].clone();
        if is_released {
            return false;
        }
        if let (Some(resources), Some(offer)) = (&task.resources, self.offer_of(&task)) {
            let Ok(sum) = offer.resources.checked_add(resources) else { return false };
            offer.resources = sum;
        }
        self.tasks[at].1 = true;
        true
    }

    fn restore(&mut self, at: usize) -> bool {
        let (task, is_released) = self.tasks[at].clone();
        if !is_released {
            return false;
        }
        if let (Some(resources), Some(offer)) = (&task.resources, self.offer_of(&task)) {
            let Ok(left) = offer.resources.checked_sub(resources) else { return false };
            offer.resources = left;
        }
        self.tasks[at].1 = false;
        true
    }

    /// Ends the tasks that are released.
    fn commit(&mut self) {
        let ended = self.tasks.iter().filter(|(_, is_released)| *is_released).map(|(task, _)| task.task.clone());
        self.planner.taken.extend(ended);
        self.tasks.retain(|(_, is_released)| !is_released);
    }
}

fn json(plan: &Plan) -> String {
    serde_json::to_string(plan).unwrap()
}

/// Compares all that a plan shows, and then the checks of the apps that wait with those of each offer.
fn compare(model: &Model, transaction: &mut Transaction<'_>) {
    let running: Vec<Running> = transaction.running().cloned().collect();
    assert_eq!(running, model.running());
    let offers: Vec<Offer> = transaction.offers().cloned().collect();
    assert_eq!(offers, model.offers);
    let expected = model.plan();
    if let Some(first) = expected.launches.first() {
        let app = model.apps.iter().find(|app| app.id == first.app).unwrap();
        if app.group.is_none() {
            assert_eq!(transaction.can_place(app, &first.offer), Ok(()));
        }
    } else {
        for unplaced in expected.unplaced.iter().filter(|unplaced| unplaced.group.is_none()) {
            let app = model.apps.iter().find(|app| app.id == unplaced.app).unwrap();
            for offer in &model.offers {
                let of_offer = unplaced.reasons.iter().filter(|reason| reason.offer == offer.id);
                let barriers = of_offer.map(|reason| reason.barrier.clone()).collect();
                assert_eq!(transaction.can_place(app, &offer.id), Err(Misfit::Barriers(barriers)));
            }
        }
    }
    let planned = transaction.transaction(|inner| Err::<(), _>(inner.plan())).unwrap_err();
    assert_eq!(planned, expected);
    assert_eq!(json(&planned), json(&expected));
}

/// Plans, releases and restores as the steps say, until one ends the transaction; returns whether it is to be kept.
fn try_out(model: &mut Model, transaction: &mut Transaction<'_>, steps: &mut VecDeque<Step>) -> bool {
    while let Some((what, which)) = steps.pop_front() {
        let at = which.checked_rem(model.tasks.len());
        match (what % 9, at) {
            (0, _) => {
                let expected = model.plan();
                assert_eq!(transaction.plan(), expected);
                model.adopt(&expected);
            }
            (1, _) => {
                let (apps, expected) = model.plan_some(which);
                let planned = transaction.plan_only(apps.iter().rev().map(String::as_str));
                assert_eq!(planned, expected);
                model.adopt(&expected);
            }
            (2..=4, Some(at)) => {
                let id = model.tasks[at].0.task.clone();
                assert_eq!(transaction.release(&id).is_ok(), model.release(at));
            }
            (5 | 6, Some(at)) => {
                let id = model.tasks[at].0.task.clone();
                let released = model.tasks[at].1;
                let restored = transaction.restore(&id);
                assert_eq!(matches!(restored, Err(ReleaseError::NotReleased(_))), !released);
                assert_eq!(restored.is_ok(), model.restore(at));
            }
            (7, _) => {
                let mut inner_model = model.clone();
                let inner = |inner: &mut Transaction<'_>| {
                    if try_out(&mut inner_model, inner, steps) { Ok(()) } else { Err(()) }
                };
                if transaction.transaction(inner).is_ok() {
                    *model = inner_model;
                }
            }
            (8, _) => return which % 2 == 0,
            _ => {}
        }
        compare(model, transaction);
    }
    false
}

/// Tells both of a change from outside.
fn tell(model: &mut Model, live: &mut LivePlanner, pool: &mut Pool, (what, which): Step) {
    let task = which.checked_rem(model.tasks.len());
    let offer = which.checked_rem(model.offers.len());
    let app = which.checked_rem(model.apps.len());
    match (what % 20, task, offer, app) {
        (0..=5, ..) => {
            if let Some(offer) = pool.offers.pop_front() {
                live.apply(offer.clone()).unwrap();
                let taken = live.apply(offer.clone());
                assert_eq!(taken, Err(ChangeError::KnownOffer(offer.id.clone())));
                model.offers.push(offer);
            }
        }
        (6 | 7, _, Some(at), _) => {
            let id = model.offers.remove(at).id;
            model.used.remove(&id);
            live.apply(Change::OfferGone(id.clone())).unwrap();
            assert_eq!(live.apply(Change::OfferGone(id.clone())), Err(ChangeError::UnknownOffer(id)));
        }
        (8 | 9, ..) => {
            if let Some(task) = pool.running.pop_front() {
                let is_known = model.tasks.iter().any(|(other, _)| other.task == task.task);
                let is_known = is_known || model.planner.taken.contains(&task.task);
                if !is_known {
                    live.apply(task.clone()).unwrap();
                    model.tasks.push((task, false));
                }
            }
        }
        (10..=12, Some(at), ..) => {
            let id = model.tasks.remove(at).0.task;
            model.planner.taken.insert(id.clone());
            live.apply(Change::Ended(id.clone())).unwrap();
            assert_eq!(live.apply(Change::Ended(id.clone())), Err(ChangeError::UnknownTask(id)));
        }
        (13 | 14, ..) => {
            if let Some(app) = pool.apps.pop_front() {
                live.apply(app.clone()).unwrap();
                match model.apps.iter_mut().find(|known| known.id == app.id) {
                    Some(known) => *known = app,
                    None => model.apps.push(app),
                }
            }
        }
        (15, _, _, Some(at)) if which % 3 == 0 => {
            let id = model.apps.remove(at).id;
            live.apply(Change::AppRemoved(id)).unwrap();
        }
        (16 | 17, _, _, Some(at)) => {
            let (app, instances) = (&mut model.apps[at], (which % 9) as u64);
            app.instances = instances;
            live.apply(Change::Scale { app: app.id.clone(), instances }).unwrap();
        }
        (18, ..) => {
            let now = Time::from_secs((which % 250) as u64);
            model.planner.now = now;
            live.apply(Change::Now(now)).unwrap();
        }
        (19, ..) if which % 4 == 0 => {
            let unused = live.clear_offers();
            let expected = model.offers.drain(..).map(|offer| offer.id);
            let expected: Vec<OfferId> = expected.filter(|id| !model.used.contains(id)).collect();
            assert_eq!(unused, expected);
            model.used.clear();
        }
        _ => {
            let expected = model.plan();
            assert_eq!(live.plan(), expected);
            model.adopt(&expected);
        }
    }
}

/// What may come.
struct Pool {
    apps: VecDeque<App>,
    offers: VecDeque<Offer>,
    running: VecDeque<Running>,
}

impl Pool {
    fn new(problems: &[Problem], options: u8) -> Self {
        let groups = options & 24 == 24;
        let mut pool = Self { apps: VecDeque::new(), offers: VecDeque::new(), running: VecDeque::new() };
        for (round, problem) in problems.iter().enumerate() {
            for app in &problem.apps {
                let mut app = app.clone();
                app.group = (groups && app.id != "/a0").then(|| "gang".into());
                if options & 96 == 96 {
                    (app.require, app.prefer, app.spread) = (vec![], vec![], vec![]);
                }
                pool.apps.push_back(app);
            }
            for offer in &problem.offers {
                let mut offer = offer.clone();
                offer.id = format!("{round}-{}", offer.id).into();
                pool.offers.push_back(offer);
            }
            for (at, task) in problem.running.iter().enumerate() {
                let mut task = task.clone();
                let used: Resources = "cpus:1;mem:5;ports:[1-1]".parse().unwrap();
                task.resources = (at % 2 == 0).then_some(used);
                pool.running.push_back(task);
            }
        }
        pool
    }
}

fn agree(problems: &[Problem], steps: Vec<Step>, options: u8) {
    let mut planner = problems[0].planner.clone();
    planner.seed = (options & 1 == 1).then_some(7);
    if options & 32 == 32 {
        planner.region = None;
    }
    if options & 6 == 6 {
        planner.strategy = Fitness::Random;
    }
    let mut pool = Pool::new(problems, options);
    let (mut model, mut live) = (Model::new(planner.clone()), LivePlanner::new(planner));
    let mut steps = VecDeque::from(steps);
    // So that there is something from the start.
    for what in [0, 13, 0, 13, 0, 8, 0, 13] {
        tell(&mut model, &mut live, &mut pool, (what, 0));
    }
    while let Some((what, which)) = steps.pop_front() {
        if what % 5 == 4 {
            let mut inner_model = model.clone();
            let body = |transaction: &mut Transaction<'_>| {
                if try_out(&mut inner_model, transaction, &mut steps) { Ok(()) } else { Err(()) }
            };
            if live.transaction(body).is_ok() {
                inner_model.commit();
                model = inner_model;
            }
        } else {
            tell(&mut model, &mut live, &mut pool, (what / 5, which));
        }
        // A transaction begins with a compact list of offers: some plans have to be made without.
        if options & 32 == 32 && what % 3 != 0 {
            continue;
        }
        let compared = live.transaction(|transaction| {
            compare(&model, transaction);
            Err::<(), ()>(())
        });
        assert_eq!(compared, Err(()));
    }
}

proptest! {
    #![proptest_config(tier(CASES))]

    #[test]
    fn a_living_planner_makes_the_plans_of_one_that_is_told_everything(
        problems in prop::collection::vec(problem(), 2..5),
        steps in prop::collection::vec((any::<u8>(), 0_usize..1_000), 5..40),
        options in any::<u8>(),
    ) {
        let problems: Vec<Problem> = problems.iter().map(read).collect();
        agree(&problems, steps, options);
    }
}

#[test]
fn a_transaction_that_panics_is_taken_back() {
    let mut live = LivePlanner::new(Planner::new());
    live.apply(App::new("web").ports(vec![])).unwrap();
    let resources = "cpus:1;mem:128".parse().unwrap();
    live.apply(Offer::new("o1", "f1", apportion::Role::default(), "a1", resources)).unwrap();
    let attempt = std::panic::AssertUnwindSafe(|| {
        live.transaction(|transaction| -> Result<(), ()> {
            assert_eq!(transaction.plan().launches.len(), 1);
            panic!("in the middle");
        })
    });
    assert!(std::panic::catch_unwind(attempt).is_err());
    assert_eq!(live.running().count(), 0);
    assert_eq!(live.plan().launches[0].id, TaskId::from("web.1"));
}

#[test]
fn what_is_gone_is_compacted() {
    let mut live = LivePlanner::new(Planner::new());
    live.apply(
        App::new("web")
            .instances(3)
            .ports(vec![])
            .require("hostname UNIQUE".parse::<apportion::constraint::Condition>().unwrap()),
    )
    .unwrap();
    for round in 0..500_u64 {
        let offer = |host: u64| {
            let resources: Resources = format!("cpus:{};mem:1024", 1 + (round + host) % 7).parse().unwrap();
            Offer::new(format!("{round}-{host}"), "f1", apportion::Role::default(), format!("h{host}"), resources)
        };
        (0..5).for_each(|host| live.apply(offer(host)).unwrap());
        let plan = live.plan();
        assert_eq!(plan.launches.len(), if round == 0 { 3 } else { 1 });
        assert_eq!(plan.launches.last().unwrap().id, TaskId::from(format!("web.{}", round + 3)));
        assert_eq!(live.clear_offers().len(), if round == 0 { 2 } else { 4 });
        let eldest = live.running().next().unwrap().task.clone();
        live.apply(Change::Ended(eldest)).unwrap();
    }
    assert_eq!((live.running().count(), live.offers().count()), (2, 0));
}
