//! One run: pods arrive one by one, and are placed or dropped for good.

use crate::trace::{Node, Order, Pod};
use apportion::packing::{Baseline, DeviceFitness, Fleet, Fragmentation, RolloutConfig, RolloutLoss, TargetWorkload};
use clap::ValueEnum;
use serde::Serialize;
use std::fmt;

/// How nodes are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
pub(crate) enum Policy {
    /// Any node and device that fit.
    #[value(name = "Random")]
    Random,
    /// The smallest product of what is left and what is wanted.
    #[value(name = "DotProd")]
    DotProd,
    /// Next to pods of the same kind.
    #[value(name = "GpuClustering")]
    GpuClustering,
    /// On GPUs in use, then on nodes in use.
    #[value(name = "GpuPacking")]
    GpuPacking,
    /// Where least is left.
    #[value(name = "BestFit")]
    BestFit,
    /// Fragmentation gradient descent.
    #[value(name = "FGD")]
    #[serde(rename = "FGD")]
    Fgd,
    /// Where the pods to come will leave least idle: this library's own, `RolloutLoss`.
    #[value(name = "Outlook")]
    Outlook,
}

/// The outcome of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) policy: Policy,
    /// The number of pods that were placed.
    pub(crate) placed: usize,
    /// The number of pods that arrived.
    pub(crate) arrived: usize,
    /// The percentage of all devices in use, when the pods that arrived want 0, 1, ... 130 % of them.
    pub(crate) columns: Vec<Option<f64>>,
}

impl Policy {
    /// Returns the fitness, for pods of that mix on these nodes.
    pub(crate) fn fitness(self, mix: &TargetWorkload, nodes: &[Node]) -> Box<dyn DeviceFitness> {
        match self {
            Self::Random => Box::new(Baseline::Random),
            Self::DotProd => Box::new(Baseline::DotProduct),
            Self::GpuClustering => Box::new(Baseline::Clustering),
            Self::GpuPacking => Box::new(Baseline::Packing),
            Self::BestFit => Box::new(Baseline::BestFit),
            Self::Fgd => Box::new(Fragmentation::gradient_descent(mix)),
            Self::Outlook => {
                let config = RolloutConfig::for_machines(mix, nodes.iter().map(|node| &node.machine));
                Box::new(RolloutLoss::fitness(mix, config))
            }
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_possible_value().map_or(Ok(()), |value| f.write_str(value.get_name()))
    }
}

/// Places the pods of an order, one by one.
pub(crate) fn run(
    nodes: &[Node],
    pods: &[Pod],
    order: &Order,
    policy: Policy,
    fitness: &dyn DeviceFitness,
    seed: u64,
) -> Outcome {
    let mut by_name: Vec<&Node> = nodes.iter().collect();
    by_name.sort_by_key(|node| &node.name);
    let mut ranked: Vec<(usize, &Node)> = order.ranks.iter().copied().zip(by_name).collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    let mut fleet = Fleet::new(ranked.into_iter().map(|(_, node)| node.machine.clone()), fitness).seed(seed);

    let mut columns = Columns::new(capacity(nodes));
    let (mut arrived, mut used, mut placed) = (0, 0, 0);
    for row in &order.arrivals {
        let demand = &pods[*row].demand;
        arrived += demand.devices.total();
        if fleet.place(demand).is_some() {
            used += demand.devices.total();
            placed += 1;
        }
        columns.add(arrived, used);
    }
    Outcome { policy, placed, arrived: order.arrivals.len(), columns: columns.means() }
}

/// Returns the capacity of all devices, in thousandths.
pub(crate) fn capacity(nodes: &[Node]) -> u64 {
    nodes.iter().map(|node| node.machine.free()).sum()
}

/// The percentages in use, by the percentage that arrived, rounded and averaged as in the published tables.
struct Columns {
    capacity: f64,
    values: Vec<Vec<f64>>,
}

impl Columns {
    fn new(capacity: u64) -> Self {
        Self { capacity: float(capacity), values: vec![Vec::new(); 132] }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates, and is looked up")]
    fn add(&mut self, arrived: u64, used: u64) {
        let percent = |amount| 100.0 * float(amount) / self.capacity;
        let (column, value) = (percent(arrived).round_ties_even() as usize, hundredths(percent(used)));
        self.values.get_mut(column).into_iter().for_each(|values| values.push(value));
    }

    /// Returns the mean of each column; where one is empty, that of its neighbours, if they have any.
    fn means(&self) -> Vec<Option<f64>> {
        let mean = |values: &[f64]| {
            let count = u32::try_from(values.len()).ok().filter(|count| *count > 0)?;
            Some(hundredths(pairwise_sum(values) / f64::from(count)))
        };
        let around = |at: usize| mean(&self.values[at.saturating_sub(1)..=at + 1].concat());
        (0..=130).map(|at| mean(&self.values[at]).or_else(|| around(at))).collect()
    }
}

/// Returns the sum in numpy's order of addition: eight partial sums up to 128 numbers, recursive halves beyond. The published
/// means are of such sums, and where a mean lies between two hundredths, the last bit of the sum decides the rounding.
fn pairwise_sum(values: &[f64]) -> f64 {
    let len = values.len();
    if len < 8 {
        return values.iter().sum();
    }
    if len > 128 {
        let (left, right) = values.split_at(len / 2 - len / 2 % 8);
        return pairwise_sum(left) + pairwise_sum(right);
    }
    let (eights, rest) = values.as_chunks::<8>();
    let mut strands = [0.0; 8];
    for eight in eights {
        strands.iter_mut().zip(eight).for_each(|(strand, value)| *strand += value);
    }
    let [a, b, c, d, e, f, g, h] = strands;
    rest.iter().fold(((a + b) + (c + d)) + ((e + f) + (g + h)), |sum, value| sum + value)
}

fn hundredths(number: f64) -> f64 {
    (number * 100.0).round_ties_even() / 100.0
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53 thousandths")]
fn float(thousandths: u64) -> f64 {
    thousandths as f64
}
