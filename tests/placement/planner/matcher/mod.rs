//! A slow, obvious matcher: every instance looks at every offer, and every offer is put to every check, anew each time.
//!
//! It is written from the rules of placement alone and shares none of the planner's code: of the library it takes what was
//! read (apps, offers, running tasks) and the arithmetic of resources. What it leaves out, and problems for it must leave
//! out too: seeds, random choice, and constraints and fitness of one's own.

mod conditions;
mod take;

use apportion::constraint::{Clause, Condition, Field, Operator};
use apportion::placement::{App, GpuBehavior, Load, Planner, Problem, Running, Spread, Strategy};
use apportion::{AttributeValue, Offer, Resource, Resources, Role};
use std::collections::{BTreeMap, BTreeSet};

/// Scores less than this apart are equal.
const CLOSE: f64 = 1e-9;

/// What is launched: offer, app, task, resources, ports.
pub(crate) type Launched = (String, String, String, Resources, Vec<Option<u64>>);

/// By offer, the kinds of checks that fail.
pub(crate) type Kinds = Vec<(String, BTreeSet<&'static str>)>;

/// What the matcher says.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) launches: Vec<Launched>,
    pub(crate) declines: Vec<String>,
    /// By app: how many wait, and why.
    pub(crate) unplaced: Vec<(String, u64, Kinds)>,
}

/// A place: the values of its fields, and where they come from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Place {
    hostname: String,
    region: Option<String>,
    zone: Option<String>,
    attributes: Vec<(String, AttributeValue)>,
}

/// A task that runs, or was launched just now.
#[derive(Debug, Clone)]
struct Task {
    app: String,
    id: String,
    place: Place,
    image: Option<String>,
    labels: BTreeMap<String, String>,
    keeps: Vec<Field>,
    /// To be replaced: its own app does not see it.
    is_old: bool,
}

impl Task {
    fn is_seen_by(&self, app: &App) -> bool {
        !(self.is_old && self.app == app.id.as_str())
    }
}

#[derive(Debug)]
struct Matcher<'a> {
    planner: &'a Planner,
    offers: Vec<(&'a Offer, Place, Resources)>,
    tasks: Vec<Task>,
    /// By host: cpus, memory and number of its tasks, in thousandths.
    used: BTreeMap<String, (f64, f64, f64)>,
    ids: BTreeSet<String>,
}

/// Answers a problem.
pub(crate) fn answer(problem: &Problem) -> Answer {
    let mut matcher = Matcher {
        planner: &problem.planner,
        offers: problem.offers.iter().map(|offer| (offer, place(offer), offer.resources.clone())).collect(),
        tasks: Vec::new(),
        used: BTreeMap::new(),
        ids: problem.running.iter().map(|task| task.task.to_string()).collect(),
    };
    for task in &problem.running {
        matcher.runs(task, problem.apps.iter().find(|app| app.id == task.app));
    }
    let mut answer = Answer::default();
    let mut waiting = Vec::new();
    for app in &problem.apps {
        let there = matcher.own(app).count() as u64;
        let mut left = app.instances.saturating_sub(there);
        while left > 0 {
            let Some(index) = matcher.best(app) else { break };
            answer.launches.push(matcher.launch(app, index));
            left -= 1;
        }
        if left > 0 {
            waiting.push((app, left));
        }
    }
    for (app, left) in waiting {
        let kinds = |(index, (offer, ..)): (usize, &(&Offer, Place, Resources))| {
            let kinds = matcher.failing(app, index);
            (!kinds.is_empty()).then(|| (offer.id.to_string(), kinds))
        };
        let reasons = matcher.offers.iter().enumerate().filter_map(kinds).collect();
        answer.unplaced.push((app.id.to_string(), left, reasons));
    }
    let used: BTreeSet<&String> = answer.launches.iter().map(|(offer, ..)| offer).collect();
    let ids = problem.offers.iter().map(|offer| offer.id.to_string());
    answer.declines = ids.filter(|id| !used.contains(id)).collect();
    answer
}

fn place(offer: &Offer) -> Place {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Place {
        hostname: offer.hostname.to_string(),
        region: offer.domain.as_ref().and_then(|domain| some(&domain.region)),
        zone: offer.domain.as_ref().and_then(|domain| some(&domain.zone)),
        attributes: offer.attributes.iter().map(|one| (one.name.to_string(), one.value.clone())).collect(),
    }
}

impl Matcher<'_> {
    /// A task that runs already.
    fn runs(&mut self, task: &Running, app: Option<&App>) {
        let place = Place {
            hostname: task.location.hostname.to_string(),
            region: task.location.region.as_ref().map(ToString::to_string),
            zone: task.location.zone.as_ref().map(ToString::to_string),
            attributes: task.location.attributes.iter().map(|one| (one.name.to_string(), one.value.clone())).collect(),
        };
        let amounts = match (&task.resources, app) {
            (Some(resources), _) => (resources.amount("cpus"), resources.amount("mem")),
            (None, Some(app)) => (app.cpus, app.mem),
            (None, None) => Default::default(),
        };
        self.uses(&place.hostname, amounts.0.as_f64(), amounts.1.as_f64());
        let is_old = task.version.zip(app.and_then(|app| app.changed)).is_some_and(|(version, since)| version < since);
        let image = task.image.as_ref().or_else(|| app.and_then(|app| app.image.as_ref()));
        let labels = task.labels.as_ref().or_else(|| app.map(|app| &app.labels));
        self.tasks.push(Task {
            app: task.app.to_string(),
            id: task.task.to_string(),
            place,
            image: image.map(ToString::to_string),
            labels: labels.into_iter().flat_map(|all| all.iter()).map(text_pair).collect(),
            keeps: app.map(exclusive).unwrap_or_default(),
            is_old,
        });
    }

    fn uses(&mut self, hostname: &str, cpus: f64, mem: f64) {
        let used = self.used.entry(hostname.to_owned()).or_default();
        *used = (used.0 + cpus, used.1 + mem, used.2 + 1.0);
    }

    /// The tasks of an app, but for those that are to be replaced.
    fn own<'s>(&'s self, app: &'s App) -> impl Iterator<Item = &'s Task> {
        self.tasks.iter().filter(|task| task.app == app.id.as_str() && !task.is_old)
    }

    /// How many tasks of the app have that value; none is a value too.
    fn count(&self, app: &App, field: &Field, value: Option<&str>) -> u64 {
        self.own(app).filter(|task| task.place.text(field).as_deref() == value).count() as u64
    }

    fn best(&self, app: &App) -> Option<usize> {
        let mut left: Vec<usize> =
            (0..self.offers.len()).filter(|index| self.failing(app, *index).is_empty()).collect();
        for level in 0..5 {
            let scores: Vec<f64> = left.iter().map(|index| self.score(app, *index)[level]).collect();
            let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let mut scores = scores.into_iter();
            left.retain(|_| {
                scores.next().is_some_and(|score| score > best - CLOSE || best.is_infinite() && score >= best)
            });
        }
        left.first().copied()
    }

    /// How good an offer is: wishes, spreads, few tasks on the value of a `GROUP_BY`, strategy, and what decides between
    /// equals of it.
    fn score(&self, app: &App, index: usize) -> [f64; 5] {
        let (_, place, left) = &self.offers[index];
        let all: f64 = app.prefer.iter().map(|wish| wish.weight.value().abs()).sum();
        let met = app.prefer.iter().filter(|wish| self.holds(app, &wish.clause, index)).map(|wish| wish.weight.value());
        let wishes = if all > 0.0 { met.sum::<f64>() / all } else { 0.0 };

        let shares: f64 = app.spread.iter().map(|spread| spread.weight).sum();
        let spread = app.spread.iter().map(|spread| spread.weight / shares * self.serves(app, spread, place)).sum();

        let mut groups: Vec<&Field> = Vec::new();
        each_condition(&app.require, &mut |condition| {
            if matches!(condition.operator, Operator::GroupBy(_)) && !groups.contains(&&condition.field) {
                groups.push(&condition.field);
            }
        });
        let tasks = groups.iter().filter_map(|field| place.text(field).map(|v| self.count(app, field, Some(&v))));
        let grouped = -(tasks.sum::<u64>() as f64);

        let (cpus, mem, number) = self.used.get(&place.hostname).copied().unwrap_or_default();
        let part = |name: &str, used: f64, asked: f64| {
            let there = used + left.amount(name).as_f64();
            (asked > 0.0 && there > 0.0).then(|| (used + asked) / there)
        };
        let (cpus, mem) = (part("cpus", cpus, app.cpus.as_f64()), part("mem", mem, app.mem.as_f64()));
        let mean = |parts: [Option<f64>; 2]| {
            let parts: Vec<f64> = parts.into_iter().flatten().collect();
            if parts.is_empty() { 0.0 } else { parts.iter().sum::<f64>() / parts.len() as f64 }
        };
        let load = |load: &Load| match load {
            Load::Both => mean([cpus, mem]),
            Load::Cpus => mean([cpus, None]),
            Load::Mem => mean([None, mem]),
        };
        let (fitness, ties) = match app.strategy.as_ref().unwrap_or(&self.planner.strategy) {
            Strategy::Binpack(of) => (load(of), number),
            Strategy::Spread(of) => (-load(of), -number),
            _ => (0.0, 0.0),
        };
        [wishes, spread, grouped, fitness, ties]
    }

    /// (t - c - 1) / t, c tasks being there of a target of t.
    fn serves(&self, app: &App, spread: &Spread, place: &Place) -> f64 {
        let Some(value) = place.text(&spread.field) else { return -1.0 };
        let instances = app.instances as f64;
        let own_values = self.own(app).filter_map(|task| task.place.text(&spread.field));
        let (target, count) = match &spread.targets {
            None => {
                let offered = self.offers.iter().filter_map(|(_, place, _)| place.text(&spread.field));
                let known: BTreeSet<String> = own_values.chain(offered).collect();
                (instances / known.len() as f64, self.count(app, &spread.field, Some(&value)))
            }
            Some(targets) => match (targets.get(value.as_str()), targets.get("*")) {
                (Some(percent), _) => (instances * percent / 100.0, self.count(app, &spread.field, Some(&value))),
                (None, Some(percent)) => {
                    let others = own_values.filter(|value| !targets.contains_key(value.as_str())).count() as u64;
                    (instances * percent / 100.0, others)
                }
                (None, None) => return -1.0,
            },
        };
        if target > 0.0 { (target - count as f64 - 1.0) / target } else { f64::NEG_INFINITY }
    }

    /// The kinds of all checks that fail.
    fn failing(&self, app: &App, index: usize) -> BTreeSet<&'static str> {
        let (offer, place, all_left) = &self.offers[index];
        let mut failing = BTreeSet::new();
        let left = &mut all_left.clone();
        if take::others(&app.ask, left, |resource| self.takes(app, resource)).contains(&None) {
            failing.insert("resources");
        }
        let is_other = app.role.as_ref().is_some_and(|role| *role != offer.role);
        if is_other || !offer.resources.iter().any(|resource| self.takes(app, resource)) {
            failing.insert("role");
        }
        let mut asks_for_regions = false;
        each_condition(&app.require, &mut |one| asks_for_regions |= matches!(one.field, Field::Region | Field::Zone));
        if let (Some(home), Some(region)) = (&self.planner.region, &place.region)
            && !asks_for_regions
            && home.as_str() != region
        {
            failing.insert("region");
        }
        for clause in &app.require {
            failing.extend(self.conditions(app, clause, index));
        }
        let kept = |task: &Task| {
            let same = |field: &Field| {
                let value = task.place.text(field);
                value.is_some() && value == place.text(field)
            };
            task.is_seen_by(app) && task.keeps.iter().any(same)
        };
        if self.tasks.iter().any(kept) {
            failing.insert("constraint");
        }
        if let Some(window) = offer.unavailability {
            let begun = self.planner.now + self.planner.draining > window.start;
            let over = window.duration.is_some_and(|duration| self.planner.now > window.start + duration);
            if begun && !over {
                failing.insert("maintenance");
            }
        }
        for (name, needed) in [("cpus", app.cpus), ("mem", app.mem), ("disk", app.disk), ("gpus", app.gpus)] {
            let there: u64 = self.usable(app, left, name).filter_map(Resource::scalar).map(|all| all.as_milli()).sum();
            if there < needed.as_milli() {
                failing.insert(name);
            } else if name == "disk" {
                let mut rest = left.clone();
                self.take(app, &mut rest, name, needed);
                if take::volumes(&app.volumes, &mut rest).is_none() {
                    failing.insert("disk");
                }
            }
        }
        let behavior = app.gpu_behavior.unwrap_or(self.planner.gpu_behavior);
        let is_gpu = |resource: &Resource| resource.name() == "gpus" && resource.scalar().is_some();
        let wants = !app.gpus.is_zero() || !app.ask.amount("gpus").is_zero();
        if !wants && all_left.iter().any(is_gpu) && behavior == GpuBehavior::Restricted {
            failing.insert("scarce");
        }
        if failing.is_empty() && take::ports(&app.ports, &self.pools(app, left, "ports")).is_none() {
            failing.insert("ports");
        }
        failing
    }

    /// Whether the app takes it: of a role that it accepts, not revocable, not shared.
    fn takes(&self, app: &App, resource: &Resource) -> bool {
        let mut accepted = vec![Role::default()];
        accepted.extend(app.role.clone());
        let accepted = app.accepted_roles.as_ref().or(self.planner.accepted_roles.as_ref()).unwrap_or(&accepted);
        let role = resource.role().cloned().unwrap_or_default();
        accepted.contains(&role) && !resource.is_revocable() && !resource.is_shared()
    }

    /// What it takes of that name; disk is the root disk.
    fn usable<'s>(&'s self, app: &'s App, left: &'s Resources, name: &'s str) -> impl Iterator<Item = &'s Resource> {
        let root = |one: &&Resource| one.kind().is_none_or(|kind| kind.disk.is_none());
        left.iter().filter(move |one| one.name() == name && self.takes(app, one)).filter(root)
    }

    /// The same, reserved ones first.
    fn pools(&self, app: &App, left: &Resources, name: &str) -> Vec<Resource> {
        let (free, reserved): (Vec<_>, Vec<_>) = self.usable(app, left, name).partition(|one| one.role().is_none());
        reserved.into_iter().chain(free).cloned().collect()
    }

    /// Takes an amount, and says of what.
    fn take(&self, app: &App, left: &mut Resources, name: &str, needed: apportion::Scalar) -> Vec<Resource> {
        take::amount(&self.pools(app, left, name), left, needed)
    }

    fn launch(&mut self, app: &App, index: usize) -> Launched {
        let mut left = self.offers[index].2.clone();
        let others = take::others(&app.ask, &mut left, |resource| self.takes(app, resource));
        let (ports, mut parts) = take::ports(&app.ports, &self.pools(app, &left, "ports")).unwrap();
        parts.extend(others.into_iter().flat_map(Option::unwrap));
        for (name, needed) in [("cpus", app.cpus), ("mem", app.mem), ("disk", app.disk), ("gpus", app.gpus)] {
            parts.extend(self.take(app, &mut left, name, needed));
        }
        parts.extend(take::volumes(&app.volumes, &mut left).unwrap());
        let taken = Resources::try_from_iter(parts).unwrap();
        let name = app.id.trim_start_matches('/').replace('/', "_");
        let id = (1..).map(|number| format!("{name}.{number}")).find(|id| !self.ids.contains(id)).unwrap();
        self.ids.insert(id.clone());
        let (offer, place, left) = &mut self.offers[index];
        *left = left.checked_sub(&taken).unwrap();
        let (offer, place) = (*offer, place.clone());
        self.uses(&place.hostname, app.cpus.as_f64(), app.mem.as_f64());
        self.tasks.push(Task {
            app: app.id.to_string(),
            id: id.clone(),
            place,
            image: app.image.as_ref().map(ToString::to_string),
            labels: app.labels.iter().map(text_pair).collect(),
            keeps: exclusive(app),
            is_old: false,
        });
        (offer.id.to_string(), app.id.to_string(), id, taken, ports)
    }
}

fn text_pair((key, value): (&impl ToString, &impl ToString)) -> (String, String) {
    (key.to_string(), value.to_string())
}

/// All conditions, however deep.
fn each_condition<'a>(clauses: &'a [Clause], each: &mut dyn FnMut(&'a Condition)) {
    for clause in clauses {
        match clause {
            Clause::Condition(condition) => each(condition),
            Clause::Any(clauses) | Clause::All(clauses) => each_condition(clauses, each),
            Clause::Not(clause) => each_condition(std::slice::from_ref(&**clause), each),
            Clause::Custom(_) => unreachable!("left out"),
        }
    }
}

/// The fields that an app's tasks keep for themselves: those of a required `EXCLUSIVE`.
fn exclusive(app: &App) -> Vec<Field> {
    fn required<'a>(clause: &'a Clause, found: &mut Vec<&'a Condition>) {
        match clause {
            Clause::Condition(condition) => found.push(condition),
            Clause::All(clauses) => clauses.iter().for_each(|clause| required(clause, found)),
            Clause::Any(_) | Clause::Not(_) | Clause::Custom(_) => {}
        }
    }
    let mut found = Vec::new();
    app.require.iter().for_each(|clause| required(clause, &mut found));
    let exclusive = found.into_iter().filter(|condition| condition.operator == Operator::Exclusive);
    exclusive.map(|condition| condition.field.clone()).collect()
}
