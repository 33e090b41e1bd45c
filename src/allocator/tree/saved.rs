//! A tree in a snapshot: who came when; the numbers of allocations and the times of the last offers, where those of inner nodes
//! are of clients that are gone, too.

use super::{NodeId, ROOT, ShareTree, Times};
use crate::allocator::snapshot::SnapshotError;
use std::collections::BTreeMap;

impl ShareTree {
    /// Returns the number of allocations of each node that has any, by path.
    pub(in crate::allocator) fn counts(&self) -> BTreeMap<String, u64> {
        self.by_path(|tree, node| Some(tree.count(node)).filter(|count| *count > 0))
    }

    /// Returns the order of arrival of each node, by path.
    pub(in crate::allocator) fn arrivals(&self) -> BTreeMap<String, u64> {
        self.by_path(|tree, node| Some(tree.arrival(node)))
    }

    /// Returns the times of the last offers of each node that has any, by path.
    pub(in crate::allocator) fn times(&self) -> BTreeMap<String, Times> {
        self.by_path(|tree, node| tree.node(node).times.as_deref().copied())
    }

    /// Returns what is told of each node, by path.
    fn by_path<T>(&self, told: impl Fn(&Self, NodeId) -> Option<T>) -> BTreeMap<String, T> {
        let mut by_path = BTreeMap::new();
        let mut stack: Vec<(NodeId, String)> = vec![(ROOT, String::new())];
        while let Some((node, path)) = stack.pop() {
            for &child in self.children(node) {
                let name = self.name(child);
                let path = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
                by_path.extend(told(self, child).map(|told| (path.clone(), told)));
                stack.push((child, path));
            }
        }
        by_path
    }

    /// Sets the number of allocations of the node at a path.
    pub(in crate::allocator) fn set_count(&mut self, path: &str, count: u64) -> Result<(), SnapshotError> {
        let node = self.saved_node(path)?;
        self.node_mut(node).count = count;
        Ok(())
    }

    /// Sets the order of arrival of the node at a path.
    pub(in crate::allocator) fn set_arrival(&mut self, path: &str, arrival: u64) -> Result<(), SnapshotError> {
        let node = self.saved_node(path)?;
        self.node_mut(node).arrival = arrival;
        Ok(())
    }

    /// Sets the times of the last offers of the node at a path.
    pub(in crate::allocator) fn set_times(&mut self, path: &str, times: Times) -> Result<(), SnapshotError> {
        let node = self.saved_node(path)?;
        self.node_mut(node).times = Some(Box::new(times));
        Ok(())
    }

    fn saved_node(&self, path: &str) -> Result<NodeId, SnapshotError> {
        self.find(path.split('/')).ok_or_else(|| SnapshotError::unknown("the role", path))
    }
}
