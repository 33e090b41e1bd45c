//! [`RootGroup`]: all the apps that are wanted, with their dependency graph.

use crate::definition::{AppDefinition, Apps};
use crate::group::is_within;
use apportion::Text;
use indexmap::{IndexMap, IndexSet};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The apps that are wanted, and the acyclic graph of their dependencies.
#[derive(Debug, Clone, Default)]
pub struct RootGroup {
    apps: Apps,
    /// From an app to its direct dependencies.
    dependencies: Edges,
    /// From an app to its direct dependents: the inverse of `dependencies`.
    dependents: Edges,
    /// The length of the longest path from an app along its dependencies: 0 if it has none.
    levels: IndexMap<Text, usize>,
    missing: Vec<DependencyError>,
}

/// Why apps are no [`RootGroup`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DependencyError {
    /// A dependency on an app or a group that does not exist.
    #[error("{file}: {dependency}, expected an app or a group: one of {known}")]
    Unknown {
        /// The file of the app or group with the dependency.
        file: Text,
        /// The place and the text of the dependency.
        dependency: String,
        /// The first ids that exist.
        known: String,
    },
    /// A cycle of dependencies.
    #[error("{file}: found dependencies in a circle, {}: expected an order", cycle.join(" needs "))]
    Cycle {
        /// The file of the first app.
        file: Text,
        /// The apps along the cycle; the last one is the first one.
        cycle: Vec<Text>,
    },
}

/// Adjacency lists: from an app to others.
type Edges = IndexMap<Text, IndexSet<Text>>;

impl RootGroup {
    /// Returns the group of these apps. A dependency on a group is one on all apps within it. One that does not exist and
    /// [need not](crate::Dependency::is_required) is passed over; see [`missing`](Self::missing).
    ///
    /// # Errors
    ///
    /// All [`DependencyError::Unknown`], or else one [`DependencyError::Cycle`].
    pub fn new(apps: Apps) -> Result<Self, Vec<DependencyError>> {
        let (dependencies, missing) = resolve(&apps)?;
        let mut dependents = Edges::new();
        for (id, needed) in dependencies.iter().flat_map(|(id, all)| all.iter().map(move |needed| (id, needed))) {
            dependents.entry(needed.clone()).or_default().insert(id.clone());
        }
        match levels(&dependencies, &dependents) {
            Ok(levels) => Ok(Self { apps, dependencies, dependents, levels, missing }),
            Err(cycle) => {
                let file = cycle.first().and_then(|id| apps.get(id)).map(|app| app.file.clone()).unwrap_or_default();
                Err(vec![DependencyError::Cycle { file, cycle }])
            }
        }
    }

    /// Returns the apps, in the order in which they were given.
    pub fn apps(&self) -> &Apps {
        &self.apps
    }

    /// Returns the app of that id.
    pub fn app(&self, id: &str) -> Option<&Arc<AppDefinition>> {
        self.apps.get(id)
    }

    /// Returns the dependencies that do not exist and need not.
    pub fn missing(&self) -> &[DependencyError] {
        &self.missing
    }

    /// Returns the length of the longest path from an app along its dependencies. An app is of a higher level than any of
    /// its dependencies.
    pub(crate) fn level(&self, id: &str) -> usize {
        self.levels.get(id).copied().unwrap_or(0)
    }

    /// Returns these apps with all their dependencies and dependents, direct and transitive.
    pub(crate) fn connected(&self, ids: &IndexSet<Text>) -> IndexSet<Text> {
        let names = || ids.iter().map(Text::as_str);
        let (down, up) = (reachable(names(), &self.dependencies), reachable(names(), &self.dependents));
        ids.iter().cloned().chain(down).chain(up).collect()
    }
}

/// Returns the direct dependencies of each app, and those that do not exist and need not.
fn resolve(apps: &Apps) -> Result<(Edges, Vec<DependencyError>), Vec<DependencyError>> {
    let (mut wrong, mut missing) = (Vec::new(), Vec::new());
    let mut edges = Edges::new();
    for (id, app) in apps {
        let needed = edges.entry(id.clone()).or_default();
        for dependency in &app.dependencies {
            let before = needed.len();
            if apps.contains_key(&dependency.id) {
                needed.insert(dependency.id.clone());
            } else {
                needed.extend(apps.keys().filter(|other| is_within(other, &dependency.id)).cloned());
            }
            let is_known = needed.len() > before || needed.iter().any(|other| is_within(other, &dependency.id));
            if !is_known {
                let list = if dependency.is_required { &mut wrong } else { &mut missing };
                let (file, dependency) = (app.file.clone(), dependency.source.clone());
                let error = DependencyError::Unknown { file, dependency, known: known_ids(apps) };
                if !list.contains(&error) {
                    list.push(error); // once for a group, not for each of its apps
                }
            }
        }
    }
    if wrong.is_empty() { Ok((edges, missing)) } else { Err(wrong) }
}

/// Returns everything that can be reached from these apps, by a depth-first search.
fn reachable<'a>(ids: impl IntoIterator<Item = &'a str>, edges: &'a Edges) -> IndexSet<Text> {
    let mut found: IndexSet<Text> = IndexSet::new();
    let mut stack: Vec<&str> = ids.into_iter().collect();
    while let Some(next) = stack.pop() {
        for other in edges.get(next).into_iter().flatten() {
            if found.insert(other.clone()) {
                stack.push(other);
            }
        }
    }
    found
}

/// Returns the first ids of apps and of their groups, for a message.
fn known_ids(apps: &Apps) -> String {
    const MAX_SHOWN: usize = 12;
    let mut ids: IndexSet<&str> = IndexSet::new();
    for id in apps.keys() {
        ids.insert(id);
        ids.extend(id.match_indices('/').skip(1).map(|(end, _)| &id[..end]));
    }
    let more = if ids.len() > MAX_SHOWN { ", ..." } else { "" };
    ids.into_iter().take(MAX_SHOWN).collect::<Vec<_>>().join(", ") + more
}

/// Returns the level of each app, by Kahn's topological sort; or a cycle, whose last app is its first.
fn levels(dependencies: &Edges, dependents: &Edges) -> Result<IndexMap<Text, usize>, Vec<Text>> {
    let mut open: BTreeMap<&Text, usize> = dependencies.iter().map(|(id, all)| (id, all.len())).collect();
    let mut levels: IndexMap<Text, usize> = IndexMap::new();
    let mut ready: Vec<&Text> = open.iter().filter(|(_, left)| **left == 0).map(|(id, _)| *id).collect();
    while let Some(id) = ready.pop() {
        let below = dependencies[id].iter().filter_map(|needed| levels.get(needed)).max();
        levels.insert(id.clone(), below.map_or(0, |level| level + 1));
        open.remove(id);
        for other in dependents.get(id).into_iter().flatten() {
            if let Some(left) = open.get_mut(other) {
                *left -= 1;
                if *left == 0 {
                    ready.push(other);
                }
            }
        }
    }
    // Each app that is left has a dependency that is left, so a walk along such dependencies comes to an app twice.
    let Some((first, _)) = open.first_key_value() else { return Ok(levels) };
    let mut path: IndexSet<Text> = IndexSet::new();
    let mut next = (*first).clone();
    while path.insert(next.clone()) {
        match dependencies[&next].iter().find(|needed| open.contains_key(*needed)) {
            Some(needed) => next = needed.clone(),
            None => break,
        }
    }
    let begin = path.get_index_of(&next).unwrap_or(0);
    Err(path.into_iter().skip(begin).chain([next]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::Document;
    use apportion::placement::JsonNode;
    use serde_json::{Value as Json, json};
    use std::collections::BTreeSet;

    fn target(json: &Json) -> Result<RootGroup, Vec<String>> {
        let written = Document::read(JsonNode::root(json), "shop.json").unwrap();
        let apps = written.apps.into_iter().map(|app| (app.app.id.clone(), Arc::new(app))).collect();
        RootGroup::new(apps).map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_is_needed_comes_first_however_far() {
        let target = target(
            &json!({"id": "/", "apps": [{"id": "web", "cmd": "x", "dependencies": ["shop", "mail"]}, {"id": "mail", "cmd": "x"}],
            "groups": [{"id": "shop", "apps": [{"id": "api", "cmd": "x", "dependencies": ["db"]}, {"id": "db", "cmd": "x"}]}]}),
        );
        let target = target.unwrap();
        let levels = ["/web", "/mail", "/shop/api", "/shop/db"].map(|id| target.level(id));
        assert_eq!(levels, [2, 0, 1, 0]);
        let connected = |id: &str| target.connected(&IndexSet::from([id.into()])).into_iter().collect::<BTreeSet<_>>();
        assert_eq!(connected("/shop/api"), ["/shop/api", "/shop/db", "/web"].map(Text::from).into());
        assert_eq!(connected("/mail"), ["/mail", "/web"].map(Text::from).into());
        assert_eq!(connected("/web").len(), 4);
    }

    #[test]
    fn a_circle_is_named() {
        let apps = json!([{"id": "a", "cmd": "x", "dependencies": ["b"]}, {"id": "b", "cmd": "x", "dependencies": ["c"]}, {"id": "free", "cmd": "x"},
            {"id": "c", "cmd": "x", "dependencies": ["free", "b"]}]);
        let wrong = target(&json!({"id": "/", "apps": apps})).unwrap_err();
        assert_eq!(wrong, ["shop.json: found dependencies in a circle, /b needs /c needs /b: expected an order"]);
        let own =
            target(&json!({"id": "/shop", "dependencies": ["/shop"], "apps": [{"id": "a", "cmd": "x"}]})).unwrap_err();
        assert_eq!(own, ["shop.json: found dependencies in a circle, /shop/a needs /shop/a: expected an order"]);
    }

    #[test]
    fn what_is_not_there_is_told_once_with_what_is() {
        let wrong = target(&json!({"id": "/shop", "dependencies": ["../mail"], "apps": [{"id": "a", "cmd": "x"},
            {"id": "b", "cmd": "x", "dependencies": ["c"]}]}));
        let expected = "expected an app or a group: one of /shop/a, /shop, /shop/b";
        assert_eq!(
            wrong.unwrap_err(),
            [
                format!("shop.json: dependencies[0]: found \"../mail\", {expected}"),
                format!("shop.json: apps[1].dependencies[0]: found \"c\", {expected}")
            ]
        );
    }

    #[test]
    fn what_an_app_alone_needs_may_be_elsewhere() {
        let target = target(&json!({"id": "web", "cmd": "x", "dependencies": ["db", "/mail"]})).unwrap();
        assert_eq!(target.level("/web"), 0);
        let told: Vec<String> = target.missing().iter().map(ToString::to_string).collect();
        let expected = "expected an app or a group: one of /web";
        let missing = |index, id| format!("shop.json: dependencies[{index}]: found \"{id}\", {expected}");
        assert_eq!(told, [missing(0, "db"), missing(1, "/mail")]);
    }

    #[test]
    fn a_chain_of_many_apps_is_no_trouble() {
        let app = |n: u32| match n {
            0 => json!({"id": "a0", "cmd": "x"}),
            _ => json!({"id": format!("a{n}"), "cmd": "x", "dependencies": [format!("a{}", n - 1)]}),
        };
        let target = target(&json!({"id": "/", "apps": (0..20_000).map(app).collect::<Vec<_>>()})).unwrap();
        assert_eq!(target.level("/a19999"), 19_999);
    }
}
