//! [`Placed`]: an index over the placed tasks for evaluating constraints.

mod changes;
mod field_index;

use self::field_index::FieldIndex;
use super::tally::Map;
use super::{Field, Location, Tally};
use crate::id::TaskId;
use crate::text::Text;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A task that runs or was just launched, with the properties that constraints evaluate.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PlacedTask {
    /// Its app.
    pub app: Text,
    /// Its id.
    pub id: TaskId,
    /// Where it runs.
    pub location: Arc<Location>,
    /// Its container image, with or without a tag.
    pub image: Option<Text>,
    /// Its labels.
    pub labels: Arc<BTreeMap<Text, Text>>,
    /// The fields whose value it holds exclusively: no later task may have the same value (its required `EXCLUSIVE`).
    pub exclusive: Vec<Field>,
    /// It is of an old version and will be replaced: its own app does not count it, other apps see it until it ends.
    pub is_outdated: bool,
}

impl PlacedTask {
    /// Makes a task without image and labels that holds no value exclusively.
    pub fn new(app: impl Into<Text>, id: impl Into<TaskId>, location: impl Into<Arc<Location>>) -> Self {
        Self {
            app: app.into(),
            id: id.into(),
            location: location.into(),
            image: None,
            labels: Arc::default(),
            exclusive: Vec::new(),
            is_outdated: false,
        }
    }

    /// Returns true if an app's conditions see the task: all but the outdated tasks of the app itself.
    #[must_use]
    pub fn is_visible_to(&self, app: &str) -> bool {
        !self.is_outdated || self.app != app
    }

    /// Returns the values of a field of tasks: an image has two if it has a tag, with the tag and without.
    fn values(&self, field: &Field) -> [Option<&str>; 2] {
        match field {
            Field::App => [Some(&self.app), None],
            Field::Task => [Some(self.id.as_str()), None],
            Field::Image => {
                let image = self.image.as_deref();
                [image, image.map(repository).filter(|name| Some(*name) != image)]
            }
            Field::Label(key) => [self.labels.get(key).map(Text::as_str), None],
            Field::Hostname | Field::Region | Field::Zone | Field::Attribute(_) => [None, None],
        }
    }
}

/// Returns an image name without its tag and digest; the port of a registry is not a tag.
fn repository(image: &str) -> &str {
    let image = image.split_once('@').map_or(image, |(name, _)| name);
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    }
}

/// The placed tasks in order of placement, indexed by app and by host.
///
/// [Outdated](PlacedTask::is_outdated) tasks count for other apps only: they are no [`siblings`](Placed::siblings) and in
/// no [`tally`](Placed::tally).
///
/// # Complexity
///
/// The tallies of an [indexed](Placed::index_field) field are maintained incrementally; those of any other field are
/// counted at each call, in O(tasks of the app).
///
/// # Examples
///
/// ```
/// use apportion::constraint::{Field, Location, Placed, PlacedTask};
///
/// let mut placed = Placed::new();
/// placed.index_field(&Field::Hostname);
/// for (id, host) in [("web.1", "h1"), ("web.2", "h1"), ("web.3", "h2")] {
///     placed.push(PlacedTask::new("/web", id, Location::new(host)));
/// }
/// assert_eq!(placed.tally("/web", &Field::Hostname).count("h1"), 2);
/// assert_eq!(placed.neighbours("h2").count(), 1);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Placed {
    /// By index in order of placement, the task; none if it was removed.
    tasks: Vec<Option<PlacedTask>>,
    /// The number of indices without a task.
    removed: usize,
    by_app: Map<Text, AppTasks>,
    /// A linked list of the tasks of each host: its head and tail here, the links in `next`.
    by_host: Map<Text, (usize, usize)>,
    next: Vec<Option<usize>>,
    indexed: Map<Field, FieldIndex>,
    /// By field and value, the tasks that hold the value exclusively.
    exclusive_holders: Map<Field, Map<Text, Vec<usize>>>,
    /// The fields of `exclusive_holders` may be in another order than that of their first tasks.
    has_reordered_holders: bool,
    domains: Map<Field, TopologyDomains>,
}

/// The tasks of an app.
#[derive(Debug, Clone, Default)]
struct AppTasks {
    /// Outdated and removed tasks included.
    indices: Vec<usize>,
    /// The number of tasks, without the outdated and the removed ones.
    count: usize,
}

/// The topology domains of a field for one app: the values at which its tasks can run.
#[derive(Debug, Clone, Default)]
struct TopologyDomains {
    app: Text,
    /// By value, true if the app has a task there.
    values: Map<Text, bool>,
    /// The number of values without a task.
    empty: usize,
}

impl Placed {
    /// Makes an index without tasks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a task after all others.
    pub fn push(&mut self, task: PlacedTask) {
        let index = self.tasks.len();
        for (field, field_index) in &mut self.indexed {
            field_index.add(index, field, &task);
        }
        for (field, domains) in &mut self.domains {
            if domains.app == task.app
                && !task.is_outdated
                && let Some(value) = task.location.value(field)
                && let Some(has_task) = domains.values.get_mut(value.as_ref())
                && !std::mem::replace(has_task, true)
            {
                domains.empty -= 1;
            }
        }
        for field in &task.exclusive {
            if let Some(value) = task.location.value(field) {
                let holders = self.exclusive_holders.entry(field.clone()).or_default();
                holders.entry(value.into()).or_default().push(index);
            }
        }
        let count = usize::from(!task.is_outdated);
        match self.by_app.get_mut(&task.app) {
            Some(tasks) => {
                tasks.indices.push(index);
                tasks.count += count;
            }
            None => drop(self.by_app.insert(task.app.clone(), AppTasks { indices: vec![index], count })),
        }
        match self.by_host.get_mut(&task.location.hostname) {
            Some((_, last)) => self.next[std::mem::replace(last, index)] = Some(index),
            None => drop(self.by_host.insert(task.location.hostname.clone(), (index, index))),
        }
        self.next.push(None);
        self.tasks.push(Some(task));
    }

    /// Undoes the last [`push`](Self::push) and returns its task, unless it was removed.
    pub(crate) fn pop(&mut self) -> Option<PlacedTask> {
        let task = self.tasks.pop_if(|last| last.is_some())??;
        let index = self.tasks.len();
        self.next.pop();
        let host = &task.location.hostname;
        if let Some((first, last)) = self.by_host.get_mut(host) {
            if *first == index {
                self.by_host.swap_remove(host);
            } else {
                let mut previous = *first;
                while let Some(next) = self.next[previous].filter(|next| *next != index) {
                    previous = next;
                }
                (self.next[previous], *last) = (None, previous);
            }
        }
        if let Some(tasks) = self.by_app.get_mut(&task.app) {
            tasks.indices.pop();
            tasks.count -= usize::from(!task.is_outdated);
        }
        for (field, field_index) in &mut self.indexed {
            field_index.remove_last(field, &task);
        }
        self.has_reordered_holders |= !task.exclusive.is_empty();
        for field in &task.exclusive {
            if let (Some(value), Some(values)) = (task.location.value(field), self.exclusive_holders.get_mut(field))
                && let Some(holders) = values.get_mut(value.as_ref())
            {
                holders.pop();
                if holders.is_empty() {
                    values.shift_remove(value.as_ref());
                }
            }
        }
        for (field, domains) in &mut self.domains {
            if domains.app == task.app
                && !task.is_outdated
                && let Some(value) = task.location.value(field)
                && let Some(has_task) = domains.values.get_mut(value.as_ref())
            {
                let mut siblings = siblings(&self.by_app, &self.tasks, &task.app);
                let has_other = siblings.any(|other| other.location.value(field).as_ref() == Some(&value));
                if std::mem::replace(has_task, has_other) && !has_other {
                    domains.empty += 1;
                }
            }
        }
        Some(task)
    }

    /// Builds an index over a field and maintains it from now on: [`tally`](Self::tally) and
    /// [`first_with`](Self::first_with) then take O(1). O(tasks).
    pub fn index_field(&mut self, field: &Field) {
        if !self.indexed.contains_key(field) {
            let mut field_index = FieldIndex::default();
            for (index, task) in self.tasks.iter().enumerate() {
                if let Some(task) = task {
                    field_index.add(index, field, task);
                }
            }
            self.indexed.insert(field.clone(), field_index);
        }
    }

    /// Sets the topology domains of a field for an app: `MAX_SKEW` compares a value with these and with the values of
    /// the app's tasks. Replaces the domains that were set for the field before.
    pub fn set_domains(&mut self, app: &str, field: &Field, values: impl IntoIterator<Item = Text>) {
        let tally = self.tally(app, field);
        let values = values.into_iter().map(|value| (value.clone(), tally.count(&value) > 0));
        let values: Map<Text, bool> = values.collect();
        let empty = values.values().filter(|has_task| !**has_task).count();
        self.domains.insert(field.clone(), TopologyDomains { app: app.into(), values, empty });
    }

    /// Adds a value to the [domains](Self::set_domains) of a field, or removes it if it no longer `exists`.
    pub(crate) fn update_domain(&mut self, app: &str, field: &Field, value: &str, exists: bool) {
        let has_task = self.tally(app, field).count(value) > 0;
        let Some(domains) = self.domains.get_mut(field).filter(|domains| domains.app == app) else { return };
        let previous =
            if exists { domains.values.insert(value.into(), has_task) } else { domains.values.swap_remove(value) };
        match (previous, exists) {
            (None, true) if !has_task => domains.empty += 1,
            (Some(false), false) => domains.empty -= 1,
            _ => {}
        }
    }

    /// Returns the smallest number of tasks of the app at any value, over its topology domains and the values of its
    /// tasks.
    pub(crate) fn fewest(&self, app: &str, field: &Field) -> Option<u64> {
        if self.domains.get(field).is_some_and(|domains| domains.app == app && domains.empty > 0) {
            return Some(0);
        }
        self.tally(app, field).fewest_of_values()
    }

    /// Returns the first value, as they sort, that has the [fewest](Self::fewest) tasks of the app.
    pub(crate) fn value_behind(&self, app: &str, field: &Field) -> Option<Text> {
        let domains = self.domains.get(field).filter(|domains| domains.app == app && domains.empty > 0);
        match domains {
            Some(domains) => {
                domains.values.iter().filter(|(_, has_task)| !**has_task).map(|(value, _)| value.clone()).min()
            }
            None => self.tally(app, field).first_with_fewest(),
        }
    }

    /// Iterates over all tasks in order of placement.
    pub fn iter(&self) -> impl Iterator<Item = &PlacedTask> {
        self.tasks.iter().flatten()
    }

    /// Iterates over the tasks of an app in order of placement, without the outdated ones.
    pub fn siblings(&self, app: &str) -> impl Iterator<Item = &PlacedTask> {
        siblings(&self.by_app, &self.tasks, app)
    }

    /// Returns the number of tasks of an app, without the outdated ones.
    #[must_use]
    pub fn count(&self, app: &str) -> usize {
        self.by_app.get(app).map_or(0, |tasks| tasks.count)
    }

    /// Iterates over the tasks of all apps on a host in order of placement, outdated ones included.
    pub fn neighbours(&self, hostname: &str) -> impl Iterator<Item = &PlacedTask> {
        self.indexed_neighbours(hostname).map(|(_, task)| task)
    }

    /// Iterates over the tasks on a host with their indices.
    pub(crate) fn indexed_neighbours(&self, hostname: &str) -> impl Iterator<Item = (usize, &PlacedTask)> {
        let first = self.by_host.get(hostname).map(|(first, _)| *first);
        let indices = std::iter::successors(first, |index| self.next[*index]);
        indices.filter_map(|index| Some((index, self.tasks[index].as_ref()?)))
    }

    /// Returns the tally of a field over the tasks of an app.
    #[must_use]
    pub fn tally(&self, app: &str, field: &Field) -> Cow<'_, Tally> {
        match self.indexed.get(field) {
            Some(field_index) => field_index.tally(app).map_or_else(|| Cow::Owned(Tally::default()), Cow::Borrowed),
            None => {
                let mut tally = Tally::default();
                for task in self.siblings(app) {
                    tally.add(task.location.value(field).as_deref());
                }
                Cow::Owned(tally)
            }
        }
    }

    /// Returns the first task of any app with that value of a field that conditions of `app` see.
    #[must_use]
    pub fn first_with(&self, field: &Field, value: &str, app: &str) -> Option<&PlacedTask> {
        let is_visible = |task: &&PlacedTask| task.is_visible_to(app);
        match self.indexed.get(field) {
            Some(field_index) => {
                field_index.with(value).filter_map(|index| self.tasks[index].as_ref()).find(is_visible)
            }
            None => {
                let mut tasks = self.iter().filter(is_visible);
                tasks.find(|task| task.location.value(field).as_deref() == Some(value))
            }
        }
    }

    /// Returns the field, the value and the task if a task that conditions of `app` see holds a value of this location
    /// exclusively.
    #[must_use]
    pub fn exclusive_holder(&self, location: &Location, app: &str) -> Option<(&Field, &Text, &TaskId)> {
        self.exclusive_holders.iter().find_map(|(field, values)| {
            let (value, holders) = values.get_key_value(location.value(field)?.as_ref())?;
            let mut tasks = holders.iter().rev().filter_map(|index| self.tasks[*index].as_ref());
            Some((field, value, &tasks.find(|task| task.is_visible_to(app))?.id))
        })
    }

    /// Returns true if any task holds a value exclusively.
    pub(crate) fn has_exclusive_holder(&self) -> bool {
        self.exclusive_holders.values().any(|values| !values.is_empty())
    }

    /// Iterates over the values of a field of tasks, for all tasks on a host that conditions of `app` see.
    pub(super) fn values<'a>(
        &'a self,
        hostname: &str,
        field: &'a Field,
        app: &'a str,
    ) -> impl Iterator<Item = &'a str> {
        let visible = self.neighbours(hostname).filter(move |task| task.is_visible_to(app));
        visible.flat_map(|task| task.values(field)).flatten()
    }
}

/// Iterates over the tasks of an app, without the outdated and the removed ones.
fn siblings<'a>(
    by_app: &'a Map<Text, AppTasks>,
    tasks: &'a [Option<PlacedTask>],
    app: &str,
) -> impl Iterator<Item = &'a PlacedTask> + use<'a> {
    let indices = by_app.get(app).into_iter().flat_map(|tasks| &tasks.indices);
    indices.filter_map(|index| tasks[*index].as_ref()).filter(|task| !task.is_outdated)
}

#[cfg(test)]
mod tests;
