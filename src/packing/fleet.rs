//! [`Fleet`]: places tasks on machines by a [`DeviceFitness`], with a cache of scores.

use super::demand::DeviceDemand;
use super::fitness::{DeviceFitness, Fit};
use super::machine::{Allocation, Machine};
use crate::draw::draw;
use indexmap::IndexMap;

/// An ordered list of machines with a packing policy: each task goes to the machine with the highest score, ties to the
/// first machine.
///
/// # Complexity
///
/// O(machines) per task to compare scores. The scores are memoised by demand, for up to 1,024 distinct demands, and
/// invalidated when a machine changes. So the number of scores computed grows with changes × distinct demands, not with
/// tasks × machines.
///
/// # Examples
///
/// A framework that shares GPUs reads offers as machines and launches tasks where its policy places them.
///
/// ```
/// use apportion::packing::{DeviceDemand, DeviceRequest, Fleet, Fragmentation, Machine, TargetWorkload};
/// use apportion::{Accept, Offer, Operation, Resources, Role, Task};
///
/// let offers = [("a1", "cpus:8;mem:4096;gpu0:1;gpu1:1"), ("a2", "cpus:8;mem:4096;gpu0:0.5;gpu1:1")];
/// let offer = |(agent, left): (&str, &str)| Ok(Offer::new(agent, "f1", Role::default(), agent, left.parse()?));
/// let offers: Vec<Offer> = offers.into_iter().map(offer).collect::<Result<_, apportion::ResourceError>>()?;
///
/// let part = DeviceDemand::new("2".parse()?, "512".parse()?).devices(DeviceRequest::new(1, 400)?);
/// let whole = DeviceDemand::new("2".parse()?, "512".parse()?).devices(DeviceRequest::new(1, 1000)?);
/// let fitness = Fragmentation::gradient_descent(&TargetWorkload::of([&part, &whole, &whole]));
///
/// let machines = offers.iter().map(|offer| Machine::of(&offer.resources, "gpu"));
/// let mut fleet = Fleet::new(machines.collect::<Result<Vec<_>, _>>()?, fitness);
/// let placed = fleet.place(&part).expect("there is room");
/// let task = Task::new("t1", placed.allocation.resources("gpu"));
/// assert_eq!(task.resources, "cpus:2;mem:512;gpu0:0.4".parse()?);
/// let accept = Accept::of(&offers[placed.machine]).launch(task);
/// assert_eq!(accept.offers[0].as_str(), "a2"); // where a device was partly used
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Fleet<F> {
    machines: Vec<Machine>,
    fitness: F,
    /// The memoised fits of each demand, one per machine.
    cache: IndexMap<DeviceDemand, Vec<CachedFit>, foldhash::fast::FixedState>,
    seed: u64,
    decisions: u64,
}

/// The machine that a task was placed on, and its resources there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlacedOn {
    /// The index of the machine.
    pub machine: usize,
    /// The resources allocated.
    pub allocation: Allocation,
}

/// A cache entry: the fit of a demand on a machine.
#[derive(Debug, Clone, Copy)]
enum CachedFit {
    Unknown,
    DoesNotFit,
    Fits(Fit),
}

impl<F: DeviceFitness> Fleet<F> {
    /// The largest number of distinct demands in the cache.
    const MAX_CACHED_DEMANDS: usize = 1024;

    /// Makes a fleet of these machines, in this order.
    #[must_use]
    pub fn new(machines: impl IntoIterator<Item = Machine>, fitness: F) -> Self {
        let machines = machines.into_iter().collect();
        Self { machines, fitness, cache: IndexMap::default(), seed: 0, decisions: 0 }
    }

    /// Sets the seed of random policies; the default is 0.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Places a demand on the machine with the highest score, or returns `None` if it fits on no machine.
    pub fn place(&mut self, demand: &DeviceDemand) -> Option<PlacedOn> {
        self.decisions += 1;
        let (machine, fit) = if self.fitness.is_random() { self.best_uncached(demand) } else { self.best(demand) }?;
        let allocation = self.machines[machine].allocate(demand, fit.device)?;
        self.invalidate(machine);
        Some(PlacedOn { machine, allocation })
    }

    /// Replaces the state of a machine, for instance when tasks ended there or a new offer arrived.
    ///
    /// # Panics
    ///
    /// If `machine` is not the index of a machine.
    pub fn update(&mut self, machine: usize, state: Machine) {
        self.machines[machine] = state;
        self.invalidate(machine);
    }

    /// Returns the machines in their present state.
    #[must_use]
    pub fn machines(&self) -> &[Machine] {
        &self.machines
    }

    /// Returns the machine with the highest score, from the cache where it can.
    fn best(&mut self, demand: &DeviceDemand) -> Option<(usize, Fit)> {
        if !self.cache.contains_key(demand) {
            if self.cache.len() >= Self::MAX_CACHED_DEMANDS {
                self.cache.clear();
            }
            self.cache.insert(demand.clone(), vec![CachedFit::Unknown; self.machines.len()]);
        }
        let cached = self.cache.get_mut(demand)?;
        let mut best: Option<(usize, Fit)> = None;
        for (index, (entry, machine)) in cached.iter_mut().zip(&self.machines).enumerate() {
            if matches!(entry, CachedFit::Unknown) {
                *entry = if machine.fits(demand) {
                    CachedFit::Fits(self.fitness.fit(machine, demand, 0))
                } else {
                    CachedFit::DoesNotFit
                };
            }
            if let CachedFit::Fits(fit) = entry
                && best.is_none_or(|(_, best)| fit.score > best.score)
            {
                best = Some((index, *fit));
            }
        }
        best
    }

    /// Scores every machine anew, with a random number for each.
    fn best_uncached(&self, demand: &DeviceDemand) -> Option<(usize, Fit)> {
        let decision_seed = draw(self.seed, self.decisions);
        let fitting = self.machines.iter().enumerate().filter(|(_, machine)| machine.fits(demand));
        let fits = fitting
            .map(|(index, machine)| (index, self.fitness.fit(machine, demand, draw(decision_seed, index as u64))));
        fits.reduce(|best, next| if next.1.score > best.1.score { next } else { best })
    }

    fn invalidate(&mut self, machine: usize) {
        for cached in self.cache.values_mut() {
            cached[machine] = CachedFit::Unknown;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packing::{Baseline, DeviceRequest, Fragmentation, RolloutConfig, RolloutLoss, TargetWorkload};
    use crate::resources::Scalar;
    use proptest::prelude::*;

    fn demand(cpus: u64, count: u64, each: u64) -> DeviceDemand {
        DeviceDemand::new(Scalar::units(cpus), Scalar::units(1)).devices(DeviceRequest::new(count, each).unwrap())
    }

    #[test]
    fn ties_go_to_the_first_machine() {
        let machines = vec![Machine::new(Scalar::units(8), Scalar::units(9), 2); 3];
        let mut fleet = Fleet::new(machines, Baseline::BestFit);
        let placed: Vec<usize> = (0..7).filter_map(|_| fleet.place(&demand(4, 1, 1000))).map(|on| on.machine).collect();
        assert_eq!(placed, [0, 0, 1, 1, 2, 2]);
    }

    #[test]
    fn an_update_invalidates_the_cache() {
        let empty = Machine::new(Scalar::units(8), Scalar::units(9), 1);
        let mut fleet = Fleet::new([empty.clone()], Baseline::BestFit);
        assert!(fleet.place(&demand(1, 1, 600)).is_some());
        assert!(fleet.place(&demand(1, 1, 600)).is_none());
        fleet.update(0, empty);
        assert!(fleet.place(&demand(1, 1, 600)).is_some());
    }

    #[test]
    fn the_cache_is_bounded() {
        let mut fleet =
            Fleet::new([Machine::new(Scalar::units(1 << 30), Scalar::units(1 << 30), 1)], Baseline::BestFit);
        for cpus in 0..3000 {
            assert!(fleet.place(&demand(cpus, 0, 0)).is_some());
        }
        assert!(fleet.cache.len() <= Fleet::<Baseline>::MAX_CACHED_DEMANDS);
    }

    #[test]
    fn random_placement_depends_on_the_seed_alone() {
        let run = |seed| {
            let machines = vec![Machine::new(Scalar::units(8), Scalar::units(9), 2); 20];
            let mut fleet = Fleet::new(machines, Baseline::Random).seed(seed);
            (0..20).filter_map(|_| fleet.place(&demand(4, 1, 1000))).map(|on| on.machine).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }

    fn arbitrary_demand() -> impl Strategy<Value = DeviceDemand> {
        let devices =
            prop_oneof![Just((0, 0)), (Just(1), (1..=9_u64).prop_map(|tenths| tenths * 100)), (1..=3_u64, Just(1000))];
        (0..6_u64, devices, 0..4).prop_map(|(cpus, (count, each), model)| {
            let demand = demand(cpus, count, each);
            if model == 0 { demand.model("T4") } else { demand }
        })
    }

    proptest! {
        /// Caching changes no decision: it agrees with scoring every machine anew for each task.
        #[test]
        fn cached_scores_agree_with_fresh_ones(
            machines in prop::collection::vec((4..24_u64, 0..5_u32, any::<bool>()), 1..8),
            tasks in prop::collection::vec((arbitrary_demand(), 0..20_usize), 1..60),
        ) {
            let machines: Vec<Machine> = machines.into_iter().map(|(cpus, devices, t4)| {
                Machine::new(Scalar::units(cpus), Scalar::units(12), devices).model(if t4 { "T4" } else { "G2" })
            }).collect();
            let workload = TargetWorkload::of(tasks.iter().map(|(task, _)| task));
            let config = RolloutConfig { futures: 4, ..RolloutConfig::default() };
            let fitnesses: [Box<dyn DeviceFitness>; 3] = [
                Box::new(Baseline::BestFit),
                Box::new(Fragmentation::gradient_descent(&workload)),
                Box::new(RolloutLoss::fitness(&workload, config)),
            ];
            for fitness in fitnesses {
                let mut fleet = Fleet::new(machines.clone(), &*fitness);
                let mut plain = machines.clone();
                for (task, renewed) in &tasks {
                    let scores = plain.iter().map(|machine| machine.fits(task).then(|| fitness.fit(machine, task, 0)));
                    let best = scores.enumerate().filter_map(|(index, fit)| fit.map(|fit| (index, fit)));
                    let best = best.reduce(|best, next| if next.1.score > best.1.score { next } else { best });
                    let expected = best.map(|(index, fit)| (index, plain[index].allocate(task, fit.device).unwrap()));
                    prop_assert_eq!(fleet.place(task).map(|on| (on.machine, on.allocation)), expected);
                    if let Some(machine) = machines.get(*renewed) {
                        plain[*renewed] = machine.clone();
                        fleet.update(*renewed, machine.clone());
                    }
                    prop_assert_eq!(fleet.machines(), plain.as_slice());
                }
            }
        }
    }
}
