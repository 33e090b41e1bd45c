//! The order in which pods arrive: that of the published runs of FGD, draw by draw.

use crate::go::GoRandom;
use crate::trace::{Node, Order, Pod};

/// Pods arrive until their demand is this fraction of all devices.
const INFLATION: (u64, u64) = (13, 10);
/// The most arrivals; more are taken for a mistake, such as tiny pods for a vast cluster.
const MAX_ARRIVALS: usize = 10_000_000;

/// Returns the order for a seed.
///
/// The pods are shuffled. Then, if they want less than 130 % of the devices, pods drawn from the list follow until it
/// is reached; if they want more, pods drawn from among them are left out until it is kept. Last, the nodes are put in
/// the order in which equals are chosen.
pub(crate) fn drawn(nodes: &[Node], pods: &[Pod], capacity: u64, seed: i64) -> Result<Order, String> {
    let total = |row: usize| pods[row].demand.devices.total();
    if (0..pods.len()).all(|row| total(row) == 0) {
        return Err("no pod wants a GPU: expected some that arrive until they want 130 % of all GPUs".to_owned());
    }
    let limit = capacity * INFLATION.0 / INFLATION.1;
    let mut random = GoRandom::new(seed);
    let mut by_name: Vec<usize> = (0..pods.len()).collect();
    by_name.sort_by_key(|row| &pods[*row].name);

    let mut arrivals = by_name.clone();
    random.next(); // the published program draws a name for its run here
    random.shuffle(&mut arrivals);
    let mut demand: u64 = (0..pods.len()).map(total).sum();
    if demand < limit {
        loop {
            let row = by_name[random.below(narrow(by_name.len())?)];
            // The published program adds only the pod's demand on one device here.
            if demand + u64::from(pods[row].demand.devices.each()) > limit {
                break;
            }
            demand += total(row);
            arrivals.push(row);
            if arrivals.len() > MAX_ARRIVALS {
                return Err(format!(
                    "more than {MAX_ARRIVALS} pods until they want 130 % of all GPUs: expected larger ones"
                ));
            }
        }
    } else {
        while demand > limit {
            let place = random.below(narrow(arrivals.len())?);
            demand -= total(arrivals.remove(place));
        }
    }
    (0..10).for_each(|_| _ = random.next()); // the published program draws these while it starts
    Ok(Order { arrivals, ranks: random.permutation(narrow(nodes.len())?) })
}

fn narrow(len: usize) -> Result<u32, String> {
    // Twice as many would exceed the 31 bits of Go's generator.
    u32::try_from(len).ok().filter(|len| *len < 1 << 30).ok_or_else(|| format!("{len} rows: expected fewer than 2^30"))
}
