//! [`Fleet`]: machines, and where on them the next task goes.

use super::demand::Demand;
use super::fitness::{DeviceFitness, Fit};
use super::machine::{Machine, Taken};
use crate::draw::draw;
use indexmap::IndexMap;

/// Machines in a fixed order, and a fitness that says where on them a task goes: the machine with the best score, the
/// first one of equals.
///
/// # Complexity
///
/// A look at each machine per task, and no more: scores are kept for equal demands until a machine changes, as long as
/// there are at most 1,024 kinds of them. So the number of scores to work out grows with the changes times the kinds of
/// demand, not with tasks times machines.
///
/// # Examples
///
/// A framework that shares GPUs: it reads offers as machines, and launches where its fitness says.
///
/// ```
/// use apportion::packing::{Demand, DeviceRequest, Fleet, Fragmentation, Machine, Mix};
/// use apportion::{Accept, Offer, Operation, Resources, Role, Task};
///
/// let offers = [("a1", "cpus:8;mem:4096;gpu0:1;gpu1:1"), ("a2", "cpus:8;mem:4096;gpu0:0.5;gpu1:1")];
/// let offer = |(agent, left): (&str, &str)| Ok(Offer::new(agent, "f1", Role::default(), agent, left.parse()?));
/// let offers: Vec<Offer> = offers.into_iter().map(offer).collect::<Result<_, apportion::ResourceError>>()?;
///
/// let part = Demand::new("2".parse()?, "512".parse()?).devices(DeviceRequest::new(1, 400)?);
/// let whole = Demand::new("2".parse()?, "512".parse()?).devices(DeviceRequest::new(1, 1000)?);
/// let fitness = Fragmentation::gradient_descent(&Mix::of([&part, &whole, &whole]));
///
/// let machines = offers.iter().map(|offer| Machine::of(&offer.resources, "gpu"));
/// let mut fleet = Fleet::new(machines.collect::<Result<Vec<_>, _>>()?, fitness);
/// let placed = fleet.place(&part).expect("there is room");
/// let task = Task::new("t1", placed.taken.resources("gpu"));
/// assert_eq!(task.resources, "cpus:2;mem:512;gpu0:0.4".parse()?);
/// let accept = Accept::of(&offers[placed.machine]).launch(task);
/// assert_eq!(accept.offers[0].as_str(), "a2"); // where a device was in use already
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Fleet<F> {
    machines: Vec<Machine>,
    fitness: F,
    /// By demand, what is known of each machine.
    known: IndexMap<Demand, Vec<Known>, foldhash::fast::FixedState>,
    seed: u64,
    decisions: u64,
}

/// Where a task went.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlacedOn {
    /// On which machine, by its number.
    pub machine: usize,
    /// What it took there.
    pub taken: Taken,
}

/// What is known of a demand on a machine.
#[derive(Debug, Clone, Copy)]
enum Known {
    Nothing,
    Misfit,
    Fits(Fit),
}

impl<F: DeviceFitness> Fleet<F> {
    /// How many kinds of demand are remembered at most.
    const MOST_KNOWN: usize = 1024;

    /// These machines, in that order.
    #[must_use]
    pub fn new(machines: impl IntoIterator<Item = Machine>, fitness: F) -> Self {
        let machines = machines.into_iter().collect();
        Self { machines, fitness, known: IndexMap::default(), seed: 0, decisions: 0 }
    }

    /// The same, with that seed for fitnesses that draw.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Serves a demand from the best machine. Nothing where it fits nowhere.
    pub fn place(&mut self, demand: &Demand) -> Option<PlacedOn> {
        self.decisions += 1;
        let (machine, fit) = if self.fitness.draws() { self.draw(demand) } else { self.choose(demand) }?;
        let taken = self.machines[machine].take(demand, fit.device)?;
        self.forget(machine);
        Some(PlacedOn { machine, taken })
    }

    /// Replaces what is left on a machine: tasks ended there, or a new offer came.
    ///
    /// # Panics
    ///
    /// If there is no machine of that number.
    pub fn update(&mut self, machine: usize, left: Machine) {
        self.machines[machine] = left;
        self.forget(machine);
    }

    /// The machines.
    #[must_use]
    pub fn machines(&self) -> &[Machine] {
        &self.machines
    }

    fn choose(&mut self, demand: &Demand) -> Option<(usize, Fit)> {
        if !self.known.contains_key(demand) {
            if self.known.len() >= Self::MOST_KNOWN {
                self.known.clear();
            }
            self.known.insert(demand.clone(), vec![Known::Nothing; self.machines.len()]);
        }
        let known = self.known.get_mut(demand)?;
        let mut best: Option<(usize, Fit)> = None;
        for (number, (known, machine)) in known.iter_mut().zip(&self.machines).enumerate() {
            if matches!(known, Known::Nothing) {
                let fits = machine.fits(demand);
                *known = if fits { Known::Fits(self.fitness.fit(machine, demand, 0)) } else { Known::Misfit };
            }
            if let Known::Fits(fit) = known
                && best.is_none_or(|(_, best)| fit.score > best.score)
            {
                best = Some((number, *fit));
            }
        }
        best
    }

    fn draw(&self, demand: &Demand) -> Option<(usize, Fit)> {
        let chance = draw(self.seed, self.decisions);
        let fitting = self.machines.iter().enumerate().filter(|(_, machine)| machine.fits(demand));
        let fits =
            fitting.map(|(number, machine)| (number, self.fitness.fit(machine, demand, draw(chance, number as u64))));
        fits.reduce(|best, next| if next.1.score > best.1.score { next } else { best })
    }

    fn forget(&mut self, machine: usize) {
        for known in self.known.values_mut() {
            known[machine] = Known::Nothing;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packing::{Baseline, DeviceRequest, Fragmentation, Horizon, Mix, Outlook};
    use crate::resources::Scalar;
    use proptest::prelude::*;

    fn demand(cpus: u64, count: u64, each: u64) -> Demand {
        Demand::new(Scalar::units(cpus), Scalar::units(1)).devices(DeviceRequest::new(count, each).unwrap())
    }

    #[test]
    fn the_first_of_equals_is_taken() {
        let machines = vec![Machine::new(Scalar::units(8), Scalar::units(9), 2); 3];
        let mut fleet = Fleet::new(machines, Baseline::BestFit);
        let placed: Vec<usize> = (0..7).filter_map(|_| fleet.place(&demand(4, 1, 1000))).map(|on| on.machine).collect();
        assert_eq!(placed, [0, 0, 1, 1, 2, 2]);
    }

    #[test]
    fn an_update_is_seen() {
        let empty = Machine::new(Scalar::units(8), Scalar::units(9), 1);
        let mut fleet = Fleet::new([empty.clone()], Baseline::BestFit);
        assert!(fleet.place(&demand(1, 1, 600)).is_some());
        assert!(fleet.place(&demand(1, 1, 600)).is_none());
        fleet.update(0, empty);
        assert!(fleet.place(&demand(1, 1, 600)).is_some());
    }

    #[test]
    fn many_kinds_of_demand_are_forgotten() {
        let mut fleet =
            Fleet::new([Machine::new(Scalar::units(1 << 30), Scalar::units(1 << 30), 1)], Baseline::BestFit);
        for cpus in 0..3000 {
            assert!(fleet.place(&demand(cpus, 0, 0)).is_some());
        }
        assert!(fleet.known.len() <= Fleet::<Baseline>::MOST_KNOWN);
    }

    #[test]
    fn chance_goes_by_the_seed() {
        let run = |seed| {
            let machines = vec![Machine::new(Scalar::units(8), Scalar::units(9), 2); 20];
            let mut fleet = Fleet::new(machines, Baseline::Random).seed(seed);
            (0..20).filter_map(|_| fleet.place(&demand(4, 1, 1000))).map(|on| on.machine).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }

    fn arbitrary_demand() -> impl Strategy<Value = Demand> {
        let devices =
            prop_oneof![Just((0, 0)), (Just(1), (1..=9_u64).prop_map(|tenths| tenths * 100)), (1..=3_u64, Just(1000))];
        (0..6_u64, devices, 0..4).prop_map(|(cpus, (count, each), model)| {
            let demand = demand(cpus, count, each);
            if model == 0 { demand.model("T4") } else { demand }
        })
    }

    proptest! {
        /// What is kept changes no decision: the same as scoring every machine anew for each task.
        #[test]
        fn what_is_kept_is_as_good_as_new(
            machines in prop::collection::vec((4..24_u64, 0..5_u32, any::<bool>()), 1..8),
            tasks in prop::collection::vec((arbitrary_demand(), 0..20_usize), 1..60),
        ) {
            let machines: Vec<Machine> = machines.into_iter().map(|(cpus, devices, t4)| {
                Machine::new(Scalar::units(cpus), Scalar::units(12), devices).model(if t4 { "T4" } else { "G2" })
            }).collect();
            let mix = Mix::of(tasks.iter().map(|(task, _)| task));
            let horizon = Horizon { futures: 4, ..Horizon::default() };
            let fitnesses: [Box<dyn DeviceFitness>; 3] = [
                Box::new(Baseline::BestFit),
                Box::new(Fragmentation::gradient_descent(&mix)),
                Box::new(Outlook::fitness(&mix, horizon)),
            ];
            for fitness in fitnesses {
                let mut fleet = Fleet::new(machines.clone(), &*fitness);
                let mut plain = machines.clone();
                for (task, renewed) in &tasks {
                    let scores = plain.iter().map(|machine| machine.fits(task).then(|| fitness.fit(machine, task, 0)));
                    let best = scores.enumerate().filter_map(|(number, fit)| fit.map(|fit| (number, fit)));
                    let best = best.reduce(|best, next| if next.1.score > best.1.score { next } else { best });
                    let expected = best.map(|(number, fit)| (number, plain[number].take(task, fit.device).unwrap()));
                    prop_assert_eq!(fleet.place(task).map(|on| (on.machine, on.taken)), expected);
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
