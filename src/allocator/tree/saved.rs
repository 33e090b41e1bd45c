//! The numbers of allocations of a tree in a snapshot: those of inner nodes count clients that are gone, too.

use super::{NodeId, ROOT, ShareTree};
use crate::allocator::snapshot::SnapshotError;
use std::collections::BTreeMap;

impl ShareTree {
    /// Returns the number of allocations of each node that has any, by path.
    pub(in crate::allocator) fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        let mut stack: Vec<(NodeId, String)> = vec![(ROOT, String::new())];
        while let Some((node, path)) = stack.pop() {
            for &child in self.children(node) {
                let name = self.name(child);
                let path = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
                if self.count(child) > 0 {
                    counts.insert(path.clone(), self.count(child));
                }
                stack.push((child, path));
            }
        }
        counts
    }

    /// Sets the number of allocations of the node at a path.
    pub(in crate::allocator) fn set_count(&mut self, path: &str, count: u64) -> Result<(), SnapshotError> {
        let node = self.find(path.split('/')).ok_or_else(|| SnapshotError::unknown("the role", path))?;
        self.node_mut(node).count = count;
        Ok(())
    }
}
