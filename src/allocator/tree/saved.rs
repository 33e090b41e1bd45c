//! A tree in a snapshot: the numbers of allocations, where those of inner nodes count clients that are gone, too; and who came
//! when.

use super::{NodeId, ROOT, ShareTree};
use crate::allocator::snapshot::SnapshotError;
use std::collections::BTreeMap;

impl ShareTree {
    /// Returns the number of allocations of each node that has any, by path.
    pub(in crate::allocator) fn counts(&self) -> BTreeMap<String, u64> {
        self.by_path(Self::count)
    }

    /// Returns the order of arrival of each node, by path.
    pub(in crate::allocator) fn arrivals(&self) -> BTreeMap<String, u64> {
        self.by_path(Self::arrival)
    }

    /// Returns a number of each node of which it is not 0, by path.
    fn by_path(&self, number: impl Fn(&Self, NodeId) -> u64) -> BTreeMap<String, u64> {
        let mut numbers = BTreeMap::new();
        let mut stack: Vec<(NodeId, String)> = vec![(ROOT, String::new())];
        while let Some((node, path)) = stack.pop() {
            for &child in self.children(node) {
                let name = self.name(child);
                let path = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
                match number(self, child) {
                    0 => {}
                    number => drop(numbers.insert(path.clone(), number)),
                }
                stack.push((child, path));
            }
        }
        numbers
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

    fn saved_node(&self, path: &str) -> Result<NodeId, SnapshotError> {
        self.find(path.split('/')).ok_or_else(|| SnapshotError::unknown("the role", path))
    }
}
