//! [`Random`]: a weighted shuffle.

use super::Sorter;
use crate::allocator::share::Totals;
use crate::allocator::tree::{ClientId, NodeId, ShareTree};
use crate::draw::{draw, draw_for};

/// Orders active clients by a weighted shuffle, drawn anew for each agent (Mesos, `sorter/random`).
///
/// A client's weight is the product, from the root, of its ancestors' and its own weight over the
/// sum of the weights of those siblings that are, or contain, active clients. The order is flat over
/// the clients, not level by level: each draws `u^(1/weight)`, u uniform in (0, 1), and the largest comes
/// first (Efraimidis and Spirakis, IPL'06). The same seed, moment and agent result in the same order.
#[derive(Debug, Clone, Default)]
pub struct Random {
    seed: u64,
    draw: u64,
    /// The rest of the order that was begun.
    rest: std::vec::IntoIter<ClientId>,
}

impl Random {
    /// Creates a sorter that draws from a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Returns the seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns `-ln(u) / weight`, which is smaller just where `u^(1/weight)` is larger.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are kept, which a double holds exactly")]
    fn key(&self, path: u64, weight: f64) -> f64 {
        let u = ((draw(draw(self.seed, self.draw), path) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        -libm::log(u) / weight
    }
}

impl Sorter for Random {
    fn begin(&mut self, tree: &ShareTree, _: &Totals) {
        let mut keys: Vec<(f64, u64, ClientId)> = Vec::new();
        let is_active = active_subtrees(tree);
        let mut stack = vec![(tree.root(), 1.0, 0)];
        while let Some((node, weight, path)) = stack.pop() {
            keys.extend(tree.active_client(node).map(|client| (self.key(path, weight), path, client)));
            let children = || tree.children(node).iter().copied().filter(|child| is_active[child.index()]);
            // Sum in order of name: the result must not depend on the order in which siblings were added.
            let mut siblings: Vec<NodeId> = children().collect();
            siblings.sort_unstable_by_key(|child| tree.name(*child));
            let sum: f64 = siblings.iter().map(|child| tree.weight(*child).as_f64()).sum();
            stack.extend(
                siblings
                    .into_iter()
                    .map(|child| (child, weight * tree.weight(child).as_f64() / sum, draw_for(path, tree.name(child)))),
            );
        }
        keys.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let order: Vec<ClientId> = keys.into_iter().map(|(_, _, client)| client).collect();
        self.rest = order.into_iter();
    }

    fn next(&mut self, _: &ShareTree, _: &Totals) -> Option<ClientId> {
        self.rest.next()
    }

    fn draws(&self) -> bool {
        true
    }

    fn draw(&mut self, number: u64) {
        self.draw = number;
    }
}

/// Returns, by node index, whether the node is, or contains, an active client.
fn active_subtrees(tree: &ShareTree) -> Vec<bool> {
    let mut is_active = vec![false; tree.capacity()];
    let mut stack = vec![tree.root()];
    while let Some(node) = stack.pop() {
        if tree.active_client(node).is_some() {
            let mut up = node;
            while !std::mem::replace(&mut is_active[up.index()], true) && up != tree.root() {
                up = tree.parent(up);
            }
        }
        stack.extend_from_slice(tree.children(node));
    }
    is_active
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocator::Weight;

    fn tree(roles: &[(&str, f64)]) -> (ShareTree, Vec<ClientId>) {
        let mut tree = ShareTree::default();
        let clients = roles.iter().map(|(path, weight)| {
            let client = tree.add(path.split('/'), 0, |_| Weight::try_from_f64(*weight).unwrap());
            tree.set_active(client, true);
            client
        });
        let clients = clients.collect();
        (tree, clients)
    }

    /// Returns how often each client came first in so many draws.
    fn firsts(tree: &ShareTree, clients: &[ClientId], draws: u64) -> Vec<u64> {
        let mut random = Random::new(7);
        let mut firsts = vec![0; clients.len()];
        for number in 0..draws {
            random.draw(number);
            random.begin(tree, &Totals::default());
            let order: Vec<ClientId> = std::iter::from_fn(|| random.next(tree, &Totals::default())).collect();
            assert_eq!(order.len(), clients.len());
            firsts[clients.iter().position(|client| *client == order[0]).unwrap()] += 1;
        }
        firsts
    }

    #[test]
    fn comes_first_as_often_as_its_weight_says() {
        let (tree, clients) = tree(&[("a", 1.0), ("b", 2.0), ("c", 1.0)]);
        let firsts = firsts(&tree, &clients, 4_000);
        assert!((900..1_100).contains(&firsts[0]) && (1_900..2_100).contains(&firsts[1]), "{firsts:?}");
    }

    #[test]
    fn a_subtree_shares_the_weight_of_its_root() {
        let (tree, clients) = tree(&[("a", 1.0), ("b/x", 1.0), ("b/y", 1.0)]);
        let firsts = firsts(&tree, &clients, 4_000);
        assert!((1_900..2_100).contains(&firsts[0]) && (900..1_100).contains(&firsts[1]), "{firsts:?}");
    }

    #[test]
    fn the_same_draw_is_the_same_order() {
        let (tree, clients) = tree(&[("a", 1.0), ("b", 2.0), ("c", 1.0)]);
        assert_eq!(firsts(&tree, &clients, 50), firsts(&tree, &clients, 50));
    }
}
