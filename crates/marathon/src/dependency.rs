//! [`Target`]: all apps that are to run, and which must be up before which.

use crate::definition::{Apps, Definition};
use crate::group::is_within;
use indexmap::{IndexMap, IndexSet};
use smol_str::SmolStr;
use std::collections::BTreeMap;
use std::sync::Arc;

/// All apps that are to run, in an order in which they can be started.
#[derive(Debug, Clone, Default)]
pub struct Target {
    apps: Apps,
    /// By app, what must be up before it, directly.
    needs: Others,
    /// By app, what it must be up before, directly.
    needed_by: Others,
    /// By app, the longest way through what it needs: 0 if it needs nothing.
    depths: IndexMap<SmolStr, usize>,
}

impl Target {
    /// These apps, and no others. It fails with all that is wrong: dependencies on what is not there, or a circle.
    pub fn new(apps: Apps) -> Result<Self, Vec<String>> {
        let mut wrong = Vec::new();
        let mut needs = Others::new();
        for (id, app) in &apps {
            let needed = needs.entry(id.clone()).or_default();
            for dependency in &app.dependencies {
                let before = needed.len();
                if apps.contains_key(&dependency.id) {
                    needed.insert(dependency.id.clone());
                } else {
                    needed.extend(apps.keys().filter(|other| is_within(other, &dependency.id)).cloned());
                }
                let is_known = needed.len() > before || needed.iter().any(|other| is_within(other, &dependency.id));
                let message = || {
                    format!("{}: {}, expected an app or a group: one of {}", app.file, dependency.place, known(&apps))
                };
                if !is_known && !wrong.contains(&message()) {
                    wrong.push(message()); // what a group needs is said once, not for each of its apps
                }
            }
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let mut needed_by = Others::new();
        for (id, needed) in needs.iter().flat_map(|(id, all)| all.iter().map(move |needed| (id, needed))) {
            needed_by.entry(needed.clone()).or_default().insert(id.clone());
        }
        match depths(&needs, &needed_by) {
            Ok(depths) => Ok(Self { apps, needs, needed_by, depths }),
            Err(circle) => {
                let names: Vec<&str> = circle.iter().map(SmolStr::as_str).collect();
                let file = circle.first().and_then(|id| apps.get(id)).map_or("", |app| &app.file);
                Err(vec![format!(
                    "{file}: found dependencies in a circle, {}: expected an order",
                    names.join(" needs ")
                )])
            }
        }
    }

    /// The apps, as they were written.
    pub fn apps(&self) -> &Apps {
        &self.apps
    }

    pub fn app(&self, id: &str) -> Option<&Arc<Definition>> {
        self.apps.get(id)
    }

    /// How many apps, each in need of the next, stand before this one at most.
    pub(crate) fn depth(&self, id: &str) -> usize {
        self.depths.get(id).copied().unwrap_or(0)
    }

    /// These apps, all that they need, and all that needs them, however far.
    pub(crate) fn related(&self, ids: &IndexSet<SmolStr>) -> IndexSet<SmolStr> {
        let names = || ids.iter().map(SmolStr::as_str);
        let (needs, needed_by) = (all_from(names(), &self.needs), all_from(names(), &self.needed_by));
        ids.iter().cloned().chain(needs).chain(needed_by).collect()
    }
}

/// By app, others.
type Others = IndexMap<SmolStr, IndexSet<SmolStr>>;

/// All that one comes to from these apps.
fn all_from<'a>(ids: impl IntoIterator<Item = &'a str>, others: &'a Others) -> IndexSet<SmolStr> {
    let mut all: IndexSet<SmolStr> = IndexSet::new();
    let mut open: Vec<&str> = ids.into_iter().collect();
    while let Some(next) = open.pop() {
        for other in others.get(next).into_iter().flatten() {
            if all.insert(other.clone()) {
                open.push(other);
            }
        }
    }
    all
}

/// The first ids of apps, and of the groups that they are in.
fn known(apps: &Apps) -> String {
    const SHOWN: usize = 12;
    let mut ids: IndexSet<&str> = IndexSet::new();
    for id in apps.keys() {
        ids.insert(id);
        ids.extend(id.match_indices('/').skip(1).map(|(end, _)| &id[..end]));
    }
    let more = if ids.len() > SHOWN { ", ..." } else { "" };
    ids.into_iter().take(SHOWN).collect::<Vec<_>>().join(", ") + more
}

/// By app, the longest way through what it needs; or a circle, which ends with the app that it begins with.
fn depths(needs: &Others, needed_by: &Others) -> Result<IndexMap<SmolStr, usize>, Vec<SmolStr>> {
    let mut open: BTreeMap<&SmolStr, usize> = needs.iter().map(|(id, all)| (id, all.len())).collect();
    let mut depths: IndexMap<SmolStr, usize> = IndexMap::new();
    let mut ready: Vec<&SmolStr> = open.iter().filter(|(_, left)| **left == 0).map(|(id, _)| *id).collect();
    while let Some(id) = ready.pop() {
        let before = needs[id].iter().filter_map(|needed| depths.get(needed)).max();
        depths.insert(id.clone(), before.map_or(0, |depth| depth + 1));
        open.remove(id);
        for other in needed_by.get(id).into_iter().flatten() {
            if let Some(left) = open.get_mut(other) {
                *left -= 1;
                if *left == 0 {
                    ready.push(other);
                }
            }
        }
    }
    // Each app that is left needs another that is left: whoever goes on from need to need comes back.
    let Some((first, _)) = open.first_key_value() else { return Ok(depths) };
    let mut way: IndexSet<SmolStr> = IndexSet::new();
    let mut next = (*first).clone();
    while way.insert(next.clone()) {
        match needs[&next].iter().find(|needed| open.contains_key(*needed)) {
            Some(needed) => next = needed.clone(),
            None => break,
        }
    }
    let begin = way.get_index_of(&next).unwrap_or(0);
    Err(way.into_iter().skip(begin).chain([next]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::Written;
    use apportion::placement::JsonNode;
    use serde_json::{Value as Json, json};
    use std::collections::BTreeSet;

    fn target(json: &Json) -> Result<Target, Vec<String>> {
        let written = Written::read(JsonNode::root(json), "shop.json").unwrap();
        Target::new(written.apps.into_iter().map(|app| (app.app.id.clone(), Arc::new(app))).collect())
    }

    #[test]
    fn what_is_needed_comes_first_however_far() {
        let target =
            target(&json!({"id": "/", "apps": [{"id": "web", "dependencies": ["shop", "mail"]}, {"id": "mail"}],
            "groups": [{"id": "shop", "apps": [{"id": "api", "dependencies": ["db"]}, {"id": "db"}]}]}));
        let target = target.unwrap();
        let depths = ["/web", "/mail", "/shop/api", "/shop/db"].map(|id| target.depth(id));
        assert_eq!(depths, [2, 0, 1, 0]);
        let related = |id: &str| target.related(&IndexSet::from([id.into()])).into_iter().collect::<BTreeSet<_>>();
        assert_eq!(related("/shop/api"), ["/shop/api", "/shop/db", "/web"].map(SmolStr::from).into());
        assert_eq!(related("/mail"), ["/mail", "/web"].map(SmolStr::from).into());
        assert_eq!(related("/web").len(), 4);
    }

    #[test]
    fn a_circle_is_named() {
        let apps = json!([{"id": "a", "dependencies": ["b"]}, {"id": "b", "dependencies": ["c"]}, {"id": "free"},
            {"id": "c", "dependencies": ["free", "b"]}]);
        let wrong = target(&json!({"id": "/", "apps": apps})).unwrap_err();
        assert_eq!(wrong, ["shop.json: found dependencies in a circle, /b needs /c needs /b: expected an order"]);
        let own = target(&json!({"id": "/shop", "dependencies": ["/shop"], "apps": [{"id": "a"}]})).unwrap_err();
        assert_eq!(own, ["shop.json: found dependencies in a circle, /shop/a needs /shop/a: expected an order"]);
    }

    #[test]
    fn what_is_not_there_is_told_once_with_what_is() {
        let wrong = target(&json!({"id": "/shop", "dependencies": ["../mail"], "apps": [{"id": "a"},
            {"id": "b", "dependencies": ["c"]}]}));
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
    fn a_chain_of_many_apps_is_no_trouble() {
        let app = |n: u32| match n {
            0 => json!({"id": "a0"}),
            _ => json!({"id": format!("a{n}"), "dependencies": [format!("a{}", n - 1)]}),
        };
        let target = target(&json!({"id": "/", "apps": (0..20_000).map(app).collect::<Vec<_>>()})).unwrap();
        assert_eq!(target.depth("/a19999"), 19_999);
    }
}
