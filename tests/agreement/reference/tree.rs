//! The order of roles and frameworks: the tree of roles, and how often each was served.

use super::{Held, Reference};
use apportion::allocator::Weight;
use apportion::{FrameworkId, Role};
use std::collections::BTreeMap;

/// How often the nodes of the tree, and the frameworks under each role, were given something. A role is a
/// client as long as a framework is tracked under it; other nodes are there because of clients below.
#[derive(Debug, Clone, Default)]
pub(crate) struct Served {
    clients: BTreeMap<Role, BTreeMap<FrameworkId, u64>>,
    /// By path; `a/.` is the virtual leaf of the client `a` that has clients below.
    nodes: BTreeMap<String, u64>,
}

impl Served {
    pub(crate) fn track(&mut self, role: &Role, framework: &FrameworkId) {
        if !self.clients.contains_key(role) {
            self.add_client(role);
        }
        self.clients.entry(role.clone()).or_default().entry(framework.clone()).or_default();
    }

    pub(crate) fn untrack(&mut self, role: &Role, framework: &FrameworkId) {
        let frameworks = self.clients.entry(role.clone()).or_default();
        frameworks.remove(framework);
        if frameworks.is_empty() {
            self.clients.remove(role);
            self.remove_client(role);
        }
    }

    pub(crate) fn tracked(&self) -> Vec<(Role, FrameworkId)> {
        let each = self.clients.iter();
        each.flat_map(|(role, frameworks)| frameworks.keys().map(|framework| (role.clone(), framework.clone())))
            .collect()
    }

    /// Counts for the framework under the role, for the role's leaf, and for every node above it.
    pub(crate) fn count(&mut self, role: &Role, framework: &FrameworkId) {
        *self.clients.entry(role.clone()).or_default().entry(framework.clone()).or_default() += 1;
        let mut paths: Vec<String> = role.ancestors().map(|above| above.to_string()).collect();
        paths.extend([role.to_string(), virtual_leaf(role)]);
        for path in paths {
            if let Some(count) = self.nodes.get_mut(&path) {
                *count += 1;
            }
        }
    }

    fn has_clients_below(&self, role: &Role) -> bool {
        self.clients.keys().any(|client| client.is_below(role))
    }

    fn add_client(&mut self, role: &Role) {
        for above in role.ancestors() {
            if self.clients.contains_key(&above) && !self.has_clients_below(&above) {
                // A leaf that gets its first child hands its count to the virtual leaf, and keeps it as the node's.
                self.nodes.insert(virtual_leaf(&above), self.nodes[above.as_str()]);
            }
            self.nodes.entry(above.to_string()).or_default();
        }
        let leaf = if self.has_clients_below(role) { virtual_leaf(role) } else { role.to_string() };
        self.nodes.insert(leaf, 0);
    }

    fn remove_client(&mut self, role: &Role) {
        let leaf = if self.has_clients_below(role) { virtual_leaf(role) } else { role.to_string() };
        self.nodes.remove(&leaf);
        for above in role.ancestors().filter(|above| !self.clients.keys().any(|client| client.is_below(above))) {
            if self.clients.contains_key(&above) {
                // Its last child went: a plain leaf again, which keeps the count of the whole node.
                self.nodes.remove(&virtual_leaf(&above));
            } else {
                self.nodes.remove(above.as_str());
            }
        }
    }

    fn children(&self, parent: Option<&str>) -> Vec<&str> {
        let above = |path: &str| path.rfind('/').map(|slash| path[..slash].to_owned());
        self.nodes.keys().map(String::as_str).filter(|path| above(path).as_deref() == parent).collect()
    }
}

fn virtual_leaf(role: &Role) -> String {
    format!("{role}/.")
}

impl Reference {
    /// The clients among the roles, in the order in which they are served.
    pub(super) fn role_order(&self) -> Vec<Role> {
        let mut order = Vec::new();
        self.walk(None, &mut order);
        order
    }

    /// Siblings by share, then count, then path; all of a subtree before the next sibling.
    fn walk(&self, parent: Option<&str>, order: &mut Vec<Role>) {
        let mut siblings = self.served.children(parent);
        siblings.sort_by_cached_key(|path| (self.node_share(path), self.served.nodes[*path], path.to_owned()));
        for path in siblings {
            if self.served.children(Some(path)).is_empty() {
                order.push(path.strip_suffix("/.").unwrap_or(path).parse().expect("a node's path is a role's"));
            } else {
                self.walk(Some(path), order);
            }
        }
    }

    fn node_share(&self, path: &str) -> super::share::Share {
        if let Some(alone) = path.strip_suffix("/.") {
            let own = self.weighing().filter(|held| held.role.as_str() == alone);
            return self.share(own, Weight::ONE);
        }
        let role: Role = path.parse().expect("a node's path is a role's");
        let weight = self.weights.get(&role).copied().unwrap_or_default();
        self.share(self.weighing().filter(|held| held.role.is_within(&role)), weight)
    }

    /// The frameworks that may be served under a role, in order.
    pub(super) fn framework_order(&self, role: &Role) -> Vec<FrameworkId> {
        let Some(tracked) = self.served.clients.get(role) else { return Vec::new() };
        let share = |id: &FrameworkId| {
            self.share(self.weighing().filter(|held| held.framework == *id && held.role == *role), Weight::ONE)
        };
        let mut order: Vec<(&FrameworkId, u64)> = tracked.iter().map(|(id, count)| (id, *count)).collect();
        order.sort_by_cached_key(|(id, count)| (share(id), *count, id.as_str()));
        order.into_iter().map(|(id, _)| id.clone()).collect()
    }

    /// What counts for shares: all that registered frameworks hold.
    pub(crate) fn weighing(&self) -> impl Iterator<Item = &Held> {
        self.holdings().filter(|held| self.framework(&held.framework).is_some())
    }
}
