//! [`Hdrf`]: hierarchical dominant resource fairness that starves no leaf.

use super::{Sorter, depth_first};
use crate::allocator::demand::Demand;
use crate::allocator::share::Totals;
use crate::allocator::tree::{ClientId, NodeId, ShareTree};
use std::cmp::Ordering;

/// Hierarchical DRF (Bhattacharya et al., *Hierarchical Scheduling for Diverse Datacenter Workloads*,
/// SoCC'13), in its dynamic form.
///
/// Mesos adds up the holdings below a role and compares dominant shares level by level. That starves: a
/// child that holds all of a resource that no other role wants makes its parent's share large, and its
/// sibling pays. Mesos' own sorter, [`Drf`](super::Drf), does so. Here, before they are added up,
///
/// 1. children that still demand something are scaled down to the smallest share over the weight among them;
/// 2. children that do not ([`Demand::is_blocked`]) are added as they are, and scale no other;
/// 3. resources that are used up ([`Demand::is_used_up`]) do not count in a parent's share.
///
/// Siblings that demand something come first, ordered by share over weight, then number of
/// allocations, then name, the smaller first. Shares are products of quotients: they are rounded to
/// twelve digits after the point, so that equal ones tie.
///
/// O(nodes × resources) for each agent, on top of the snapshot of demand.
#[derive(Debug, Clone, Default)]
pub struct Hdrf {
    demand: Demand,
    /// The rest of the order that was begun.
    rest: std::vec::IntoIter<ClientId>,
}

/// What counts of a node in its parent's share.
#[derive(Debug, Clone, Default)]
struct Scaled {
    /// By resource: the fraction of the cluster that counts as held.
    fractions: Vec<f64>,
    share: f64,
    blocked: bool,
}

impl Hdrf {
    fn leaf(&self, tree: &ShareTree, totals: &Totals, node: NodeId) -> Scaled {
        let fractions = fractions(tree, totals, node);
        let share = fractions.iter().copied().fold(0.0, f64::max);
        let blocked = tree.active_client(node).is_none_or(|client| self.demand.is_blocked(client));
        Scaled { fractions, share, blocked }
    }

    fn inner(&self, tree: &ShareTree, children: &[NodeId], scaled_nodes: &[Scaled]) -> Scaled {
        let of = |child: &NodeId| (&scaled_nodes[child.index()], tree.weight(*child).as_f64());
        let demanding = || children.iter().map(of).filter(|(scaled, _)| !scaled.blocked);
        let least = demanding().map(|(scaled, weight)| scaled.share / weight).fold(f64::INFINITY, f64::min);
        let mut sum = Scaled { blocked: demanding().next().is_none(), ..Scaled::default() };
        for (scaled, weight) in children.iter().map(of) {
            let scale = if scaled.blocked || scaled.share <= 0.0 { 1.0 } else { least * weight / scaled.share };
            if sum.fractions.len() < scaled.fractions.len() {
                sum.fractions.resize(scaled.fractions.len(), 0.0);
            }
            for (total, fraction) in sum.fractions.iter_mut().zip(&scaled.fractions) {
                *total += fraction * scale;
            }
        }
        let all_used_up = self.demand.all_used_up();
        let counted = (0..sum.fractions.len()).filter(|ix| all_used_up || !self.demand.is_used_up(*ix));
        sum.share = counted.map(|ix| sum.fractions[ix]).fold(0.0, f64::max);
        sum
    }

    fn scaled_nodes(&self, tree: &ShareTree, totals: &Totals) -> Vec<Scaled> {
        let mut nodes = vec![tree.root()];
        for next in 0.. {
            let Some(&node) = nodes.get(next) else { break };
            nodes.extend_from_slice(tree.children(node));
        }
        let mut scaled_nodes = vec![Scaled::default(); tree.capacity()];
        // Parents come before their children: iterate from the end.
        for node in nodes.into_iter().rev() {
            let children = tree.children(node);
            let scaled = if children.is_empty() {
                self.leaf(tree, totals, node)
            } else {
                self.inner(tree, children, &scaled_nodes)
            };
            scaled_nodes[node.index()] = scaled;
        }
        scaled_nodes
    }
}

#[expect(clippy::cast_precision_loss, reason = "shares are kept to twelve digits, see `Hdrf`")]
fn fractions(tree: &ShareTree, totals: &Totals, node: NodeId) -> Vec<f64> {
    let mut fractions = Vec::new();
    for (resource, held, total) in tree.holdings(node, totals) {
        if fractions.len() <= resource {
            fractions.resize(resource + 1, 0.0);
        }
        fractions[resource] = held as f64 / total as f64;
    }
    fractions
}

impl Sorter for Hdrf {
    fn begin(&mut self, tree: &ShareTree, totals: &Totals) {
        let scaled_nodes = self.scaled_nodes(tree, totals);
        let key = |node: NodeId| {
            let scaled = &scaled_nodes[node.index()];
            (scaled.blocked, (scaled.share / tree.weight(node).as_f64() * 1e12).round())
        };
        let order = depth_first(tree, |a, b| {
            let ((blocked_a, share_a), (blocked_b, share_b)) = (key(a), key(b));
            let by_share: Ordering = blocked_a.cmp(&blocked_b).then(share_a.total_cmp(&share_b));
            by_share.then(tree.count(a).cmp(&tree.count(b))).then_with(|| tree.name(a).cmp(tree.name(b)))
        });
        self.rest = order.into_iter();
    }

    fn next(&mut self, _: &ShareTree, _: &Totals) -> Option<ClientId> {
        self.rest.next()
    }

    fn asks_for_demand(&self) -> bool {
        true
    }

    fn demand(&mut self, demand: &Demand) {
        self.demand.clone_from(demand);
    }
}
