//! [`Placed`]: all tasks that run or were just launched, as constraints see them.

use super::{Field, Location};
use crate::id::TaskId;
use indexmap::{Equivalent, IndexMap};
use smol_str::SmolStr;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A task that is placed: whose it is, where it runs, what it is made of.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PlacedTask {
    /// Its app.
    pub app: SmolStr,
    /// Its id.
    pub id: TaskId,
    /// Where it runs.
    pub location: Arc<Location>,
    /// The image of its container, with tag or without.
    pub image: Option<SmolStr>,
    /// Its labels.
    pub labels: Arc<BTreeMap<SmolStr, SmolStr>>,
    /// The fields whose value it shares with no later task (a required `EXCLUSIVE`).
    pub exclusive: Vec<Field>,
}

impl PlacedTask {
    /// A task without image and labels, which lets others in.
    pub fn new(app: impl Into<SmolStr>, id: impl Into<TaskId>, location: impl Into<Arc<Location>>) -> Self {
        Self {
            app: app.into(),
            id: id.into(),
            location: location.into(),
            image: None,
            labels: Arc::default(),
            exclusive: Vec::new(),
        }
    }

    /// What it has under a field that is about tasks.
    fn values(&self, field: &Field) -> [Option<&str>; 2] {
        match field {
            Field::App => [Some(&self.app), None],
            Field::Task => [Some(self.id.as_str()), None],
            Field::Image => {
                let image = self.image.as_deref();
                [image, image.map(repository).filter(|name| Some(*name) != image)]
            }
            Field::Label(key) => [self.labels.get(key).map(SmolStr::as_str), None],
            Field::Hostname | Field::Region | Field::Zone | Field::Attribute(_) => [None, None],
        }
    }
}

/// An image's name without its tag and digest; the port of a registry is no tag.
fn repository(image: &str) -> &str {
    let image = image.split_once('@').map_or(image, |(name, _)| name);
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    }
}

/// How many tasks have each value of a field; those without the field have the value none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tally {
    counts: Map<Option<SmolStr>, u64>,
    /// How many values have so many tasks: what is asked of all values is answered by their few counts.
    levels: BTreeMap<u64, u64>,
}

impl Tally {
    /// How many tasks have that value.
    #[must_use]
    pub fn count(&self, value: &str) -> u64 {
        self.counts.get(&Named(value)).copied().unwrap_or(0)
    }

    /// The values that tasks have, in order of their first task, with how many have them.
    pub fn iter(&self) -> impl Iterator<Item = (Option<&SmolStr>, u64)> {
        self.counts.iter().map(|(value, count)| (value.as_ref(), *count))
    }

    /// How many values tasks have; none counts as one.
    pub(crate) fn groups(&self) -> u64 {
        self.counts.len() as u64
    }

    /// How many tasks the value with the fewest has; none counts as a value.
    pub(crate) fn fewest(&self) -> Option<u64> {
        self.levels.first_key_value().map(|(count, _)| *count)
    }

    /// The same, but for tasks without the field.
    pub(super) fn fewest_named(&self) -> Option<u64> {
        let unnamed = self.counts.get(&None);
        let named = |(count, values): &(&u64, &u64)| Some(*count) != unnamed || **values > 1;
        self.levels.iter().find(named).map(|(count, _)| *count)
    }

    /// How many tasks are above a quota, over all values; O(different counts).
    pub(crate) fn above(&self, quota: u64) -> u64 {
        self.levels.range(quota..).map(|(count, values)| (count - quota) * values).sum()
    }

    fn add(&mut self, value: Option<&str>) {
        let known = match value {
            Some(value) => self.counts.get_mut(&Named(value)),
            None => self.counts.get_mut(&None),
        };
        let count = match known {
            Some(count) => count,
            None => self.counts.entry(value.map(SmolStr::from)).or_default(),
        };
        *count += 1;
        move_level(&mut self.levels, *count - 1, *count);
    }

    /// Takes away what was added last of all values.
    fn remove_last(&mut self, value: &Option<SmolStr>) {
        let Some(count) = self.counts.get_mut(value) else { return };
        *count -= 1;
        move_level(&mut self.levels, *count + 1, *count);
        if *count == 0 {
            self.counts.shift_remove(value);
        }
    }
}

/// A value as it is looked up, without a copy of it.
struct Named<'a>(&'a str);

impl Hash for Named<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Some(self.0).hash(state);
    }
}

impl Equivalent<Option<SmolStr>> for Named<'_> {
    fn equivalent(&self, value: &Option<SmolStr>) -> bool {
        value.as_deref() == Some(self.0)
    }
}

/// One value has so many tasks now; 0 is no level.
fn move_level(levels: &mut BTreeMap<u64, u64>, from: u64, to: u64) {
    if let Some(values) = levels.get_mut(&from) {
        *values -= 1;
        if *values == 0 {
            levels.remove(&from);
        }
    }
    if to > 0 {
        *levels.entry(to).or_default() += 1;
    }
}

/// All tasks that are placed, by app and by host, in the order in which they came.
///
/// # Complexity
///
/// The tally of a field that is [watched](Placed::watch) is at hand; any other is counted anew.
#[derive(Debug, Clone, Default)]
pub struct Placed {
    tasks: Vec<PlacedTask>,
    by_app: Map<SmolStr, Vec<usize>>,
    /// The first and the last task of each host; each task of a host leads to the next one.
    by_host: Map<SmolStr, (usize, usize)>,
    next: Vec<Option<usize>>,
    watched: Map<Field, Watched>,
    /// For each field that a task keeps for itself, who keeps which value.
    kept: Map<Field, Map<SmolStr, Vec<TaskId>>>,
    known: Map<Field, Known>,
}

#[derive(Debug, Clone, Default)]
struct Watched {
    by_app: Map<SmolStr, Tally>,
    first: Map<SmolStr, usize>,
}

/// The values of a field that were said to be there, for tasks of one app.
#[derive(Debug, Clone, Default)]
struct Known {
    app: SmolStr,
    /// Each with whether the app has a task there.
    values: Map<SmolStr, bool>,
    /// How many of them have none.
    empty: usize,
}

/// Iterates in order of insertion, so no verdict depends on the hash.
type Map<K, V> = IndexMap<K, V, foldhash::fast::RandomState>;

impl Placed {
    /// Nothing is placed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a task after all others.
    pub fn push(&mut self, task: PlacedTask) {
        let index = self.tasks.len();
        for (field, watched) in &mut self.watched {
            watched.add(index, field, &task);
        }
        for (field, known) in &mut self.known {
            if known.app == task.app
                && let Some(value) = task.location.value(field)
                && let Some(has_task) = known.values.get_mut(value.as_ref())
                && !std::mem::replace(has_task, true)
            {
                known.empty -= 1;
            }
        }
        for field in &task.exclusive {
            if let Some(value) = task.location.value(field) {
                self.kept.entry(field.clone()).or_default().entry(value.into()).or_default().push(task.id.clone());
            }
        }
        match self.by_app.get_mut(&task.app) {
            Some(tasks) => tasks.push(index),
            None => drop(self.by_app.insert(task.app.clone(), vec![index])),
        }
        match self.by_host.get_mut(&task.location.hostname) {
            Some((_, last)) => self.next[std::mem::replace(last, index)] = Some(index),
            None => drop(self.by_host.insert(task.location.hostname.clone(), (index, index))),
        }
        self.next.push(None);
        self.tasks.push(task);
    }

    /// Takes the last task away again, and everything that came with it.
    pub(crate) fn pop(&mut self) -> Option<PlacedTask> {
        let task = self.tasks.pop()?;
        let index = self.tasks.len();
        self.next.pop();
        let host = &task.location.hostname;
        if let Some((first, last)) = self.by_host.get_mut(host) {
            if *first == index {
                self.by_host.shift_remove(host);
            } else {
                let mut before = *first;
                while let Some(after) = self.next[before].filter(|after| *after != index) {
                    before = after;
                }
                (self.next[before], *last) = (None, before);
            }
        }
        if let Some(tasks) = self.by_app.get_mut(&task.app) {
            tasks.pop();
        }
        for (field, watched) in &mut self.watched {
            watched.remove(index, field, &task);
        }
        for field in &task.exclusive {
            if let (Some(value), Some(kept)) = (task.location.value(field), self.kept.get_mut(field))
                && let Some(keepers) = kept.get_mut(value.as_ref())
            {
                keepers.pop();
                if keepers.is_empty() {
                    kept.shift_remove(value.as_ref());
                }
            }
        }
        for (field, known) in &mut self.known {
            if known.app == task.app
                && let Some(value) = task.location.value(field)
                && let Some(has_task) = known.values.get_mut(value.as_ref())
            {
                let mut siblings = self.by_app.get(&task.app).into_iter().flatten();
                let still = siblings.any(|other| self.tasks[*other].location.value(field).as_ref() == Some(&value));
                if std::mem::replace(has_task, still) && !still {
                    known.empty += 1;
                }
            }
        }
        Some(task)
    }

    /// Keeps the tallies of a field at hand from now on.
    pub fn watch(&mut self, field: &Field) {
        if !self.watched.contains_key(field) {
            let mut watched = Watched::default();
            for (index, task) in self.tasks.iter().enumerate() {
                watched.add(index, field, task);
            }
            self.watched.insert(field.clone(), watched);
        }
    }

    /// Says which values of a field there are for tasks of an app, beside those that its tasks have: `MAX_SKEW`
    /// compares with these too. Replaces what was said of that field before.
    pub fn know(&mut self, app: &str, field: &Field, values: impl IntoIterator<Item = SmolStr>) {
        let tally = self.tally(app, field);
        let values = values.into_iter().map(|value| (value.clone(), tally.count(&value) > 0));
        let values: Map<SmolStr, bool> = values.collect();
        let empty = values.values().filter(|has_task| !**has_task).count();
        self.known.insert(field.clone(), Known { app: app.into(), values, empty });
    }

    /// Says that a value of a field has come to be there, or is there no more, beside what was [said](Self::know) before.
    pub(crate) fn know_of(&mut self, app: &str, field: &Field, value: &str, is_there: bool) {
        let has_task = self.tally(app, field).count(value) > 0;
        let Some(known) = self.known.get_mut(field).filter(|known| known.app == app) else { return };
        let before =
            if is_there { known.values.insert(value.into(), has_task) } else { known.values.swap_remove(value) };
        match (before, is_there) {
            (None, true) if !has_task => known.empty += 1,
            (Some(false), false) => known.empty -= 1,
            _ => {}
        }
    }

    /// How many tasks of the app the value has that has the fewest, of those that tasks have and those that are known.
    pub(crate) fn fewest(&self, app: &str, field: &Field) -> Option<u64> {
        if self.known.get(field).is_some_and(|known| known.app == app && known.empty > 0) {
            return Some(0);
        }
        self.tally(app, field).fewest_named()
    }

    /// The tasks of an app, in the order in which they came.
    pub fn siblings(&self, app: &str) -> impl Iterator<Item = &PlacedTask> {
        self.by_app.get(app).into_iter().flatten().map(|index| &self.tasks[*index])
    }

    /// How many tasks an app has.
    #[must_use]
    pub fn count(&self, app: &str) -> usize {
        self.by_app.get(app).map_or(0, Vec::len)
    }

    /// The tasks of all apps on a host, in the order in which they came.
    pub fn neighbours(&self, hostname: &str) -> impl Iterator<Item = &PlacedTask> {
        let first = self.by_host.get(hostname).map(|(first, _)| *first);
        std::iter::successors(first, |index| self.next[*index]).map(|index| &self.tasks[index])
    }

    /// How many tasks of an app have each value of a field.
    #[must_use]
    pub fn tally(&self, app: &str, field: &Field) -> Cow<'_, Tally> {
        match self.watched.get(field) {
            Some(watched) => watched.by_app.get(app).map_or_else(|| Cow::Owned(Tally::default()), Cow::Borrowed),
            None => {
                let mut tally = Tally::default();
                for task in self.siblings(app) {
                    tally.add(task.location.value(field).as_deref());
                }
                Cow::Owned(tally)
            }
        }
    }

    /// The first task of any app that has that value.
    #[must_use]
    pub fn holder(&self, field: &Field, value: &str) -> Option<&PlacedTask> {
        match self.watched.get(field) {
            Some(watched) => watched.first.get(value).map(|index| &self.tasks[*index]),
            None => self.tasks.iter().find(|task| task.location.value(field).as_deref() == Some(value)),
        }
    }

    /// The field, the value and the task that keeps every other task away from there, if one does.
    #[must_use]
    pub fn keeper(&self, location: &Location) -> Option<(&Field, &SmolStr, &TaskId)> {
        self.kept.iter().find_map(|(field, values)| {
            let (value, tasks) = values.get_key_value(location.value(field)?.as_ref())?;
            Some((field, value, tasks.last()?))
        })
    }

    /// Whether any task keeps others away from anywhere.
    pub(crate) fn keeps_any(&self) -> bool {
        self.kept.values().any(|values| !values.is_empty())
    }

    /// What the tasks on a host have under a field that is about tasks.
    pub(super) fn values<'a>(&'a self, hostname: &str, field: &'a Field) -> impl Iterator<Item = &'a str> {
        self.neighbours(hostname).flat_map(|task| task.values(field)).flatten()
    }
}

impl Watched {
    fn add(&mut self, index: usize, field: &Field, task: &PlacedTask) {
        let value = task.location.value(field);
        let value = value.as_deref();
        if let Some(new) = value.filter(|value| !self.first.contains_key(*value)) {
            self.first.insert(new.into(), index);
        }
        match self.by_app.get_mut(&task.app) {
            Some(tally) => tally.add(value),
            None => self.by_app.entry(task.app.clone()).or_default().add(value),
        }
    }

    /// Takes the last of all tasks away.
    fn remove(&mut self, index: usize, field: &Field, task: &PlacedTask) {
        let value = task.location.value(field).map(SmolStr::from);
        if let Some(value) = value.as_ref().filter(|value| self.first.get(*value) == Some(&index)) {
            self.first.shift_remove(value);
        }
        if let Some(tally) = self.by_app.get_mut(&task.app) {
            tally.remove_last(&value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_and_a_digest_are_no_part_of_the_name() {
        let cases = [
            ("redis", "redis"),
            ("redis:7", "redis"),
            ("hub:5000/db/redis", "hub:5000/db/redis"),
            ("hub:5000/db/redis:7", "hub:5000/db/redis"),
            ("redis@sha256:00ff", "redis"),
            ("redis:7@sha256:00ff", "redis"),
        ];
        for (image, name) in cases {
            assert_eq!(repository(image), name, "{image}");
        }
    }

    #[test]
    fn what_is_taken_away_again_leaves_no_trace() {
        let (rack, host) = ("rack".parse::<Field>().unwrap(), Field::Hostname);
        let task = |i: usize| {
            let location = Location {
                attributes: format!("rack:r{}", i % 3).parse().unwrap(),
                ..Location::new(format!("h{}", i % 2))
            };
            let mut task = PlacedTask::new(["/a", "/b"][i % 5 / 3], format!("t.{i}"), location);
            task.exclusive = if i % 4 == 3 { vec![rack.clone()] } else { Vec::new() };
            task
        };
        let mut placed = Placed::new();
        placed.watch(&rack);
        placed.watch(&host);
        placed.know("/a", &rack, ["r0", "r1", "r7"].map(SmolStr::from));
        let seen = |placed: &Placed| {
            let of_app = |app| (placed.tally(app, &rack).into_owned(), placed.fewest(app, &rack), placed.count(app));
            let on = |host| placed.neighbours(host).map(|task| task.id.clone()).collect::<Vec<_>>();
            let keeper = placed.keeper(&task(0).location).map(|(_, _, id)| id.clone());
            let first = placed.holder(&rack, "r2").map(|task| task.id.clone());
            (of_app("/a"), of_app("/b"), on("h0"), on("h1"), keeper, first)
        };
        let mut states = Vec::new();
        for i in 0..20 {
            states.push(seen(&placed));
            placed.push(task(i));
        }
        for i in (0..20).rev() {
            assert_eq!(placed.pop(), Some(task(i)));
            assert_eq!(seen(&placed), states[i], "{i}");
        }
        assert_eq!(placed.pop(), None);
    }

    #[test]
    fn a_watched_tally_is_what_counting_gives() {
        let (rack, mut counted) = ("rack".parse::<Field>().unwrap(), Placed::new());
        let mut watched = Placed::new();
        for (i, attributes) in ["rack:r1", "", "rack:r2", "rack:r1"].into_iter().enumerate() {
            if i == 2 {
                watched.watch(&rack); // some came before, some come after
            }
            let location = Location { attributes: attributes.parse().unwrap(), ..Location::new("h") };
            let task = PlacedTask::new("/a", format!("a.{i}"), location);
            counted.push(task.clone());
            watched.push(task);
        }
        assert_eq!(watched.tally("/a", &rack), counted.tally("/a", &rack));
        assert_eq!(watched.tally("/b", &rack), counted.tally("/b", &rack));
        assert_eq!(watched.tally("/a", &rack).count("r1"), 2);
        assert_eq!(watched.tally("/a", &rack).above(1), 1);
        for value in ["r1", "r2", "r3"] {
            let id = |placed: &Placed| placed.holder(&rack, value).map(|task| task.id.clone());
            assert_eq!(id(&watched), id(&counted), "{value}");
        }
    }
}
