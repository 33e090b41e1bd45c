//! [`RolloutLoss`]: the device capacity still idle after simulated future tasks, by Monte Carlo rollout.

use super::demand::{DeviceDemand, DeviceRequest, WHOLE};
use super::machine::Machine;
use super::marginal_loss::{Loss, MarginalLoss, Scale};
use super::target_workload::{TargetWorkload, TaskClass};
use crate::draw::draw;
use crate::text::Text;
use indexmap::{IndexMap, IndexSet};
use smallvec::SmallVec;
use std::sync::{Mutex, PoisonError};

/// The expected device capacity of a machine that stays idle for good while tasks of the target workload keep arriving
/// and every task that fits is admitted.
///
/// [`Fragmentation`](super::Fragmentation) measures which tasks could use the devices *now*, so it sees one task ahead:
/// a machine with eight idle devices and cpus for three tasks has fragmentation 0, yet five of its devices will stay
/// idle. This loss simulates further: in each of a number of futures it fills the machine with a random sequence of
/// tasks, and it returns the mean of the capacity left at the end. So it accounts for cpus that will run out, for
/// remnants of a device that no task will fit, and for tasks that need whole machines.
///
/// This is a rollout in the sense of approximate dynamic programming (Bertsekas, Tsitsiklis, Wu, *Rollout Algorithms
/// for Combinatorial Optimization*, J. Heuristics 1997); the base policy admits every task that fits. All machines see
/// the same futures (common random numbers), so that their losses differ by the machines and not by the draws, and the
/// tasks at each step are drawn by stratified sampling over the futures. Nothing is learned: the loss is a pure
/// function of the workload and the machine.
///
/// # Complexity
///
/// O(futures × tasks × devices) for a machine state that is not in the cache, which holds up to 262,144 states.
///
/// # Examples
///
/// ```
/// use apportion::Scalar;
/// use apportion::packing::{DeviceDemand, DeviceRequest, Fragmentation, Loss, Machine};
/// use apportion::packing::{RolloutConfig, RolloutLoss, TargetWorkload};
///
/// let task = DeviceDemand::new(Scalar::units(10), Scalar::ZERO).devices(DeviceRequest::new(1, 1000)?);
/// let workload = TargetWorkload::of([&task]);
/// let machine = Machine::new(Scalar::units(36), Scalar::ZERO, 8);
/// let rollout = RolloutLoss::new(&workload, RolloutConfig::default());
/// assert_eq!(Fragmentation::new(workload).loss(&machine), 0.0); // the next task can use any device
/// assert_eq!(rollout.loss(&machine), 5000.0); // but there are cpus for three tasks only
/// # Ok::<(), apportion::packing::DeviceRequestError>(())
/// ```
#[derive(Debug)]
pub struct RolloutLoss {
    /// The device models that tasks name.
    models: IndexSet<Text>,
    /// For each model, and last for all other models, the futures: sequences of the tasks that accept the model.
    futures: Vec<Vec<Vec<Arrival>>>,
    /// The losses computed so far.
    cache: Mutex<IndexMap<MachineState, f64, foldhash::fast::FixedState>>,
}

/// The number and length of the simulated futures of a [`RolloutLoss`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct RolloutConfig {
    /// The number of futures.
    pub futures: usize,
    /// The number of tasks that arrive in each future.
    pub tasks: usize,
    /// The fraction of the tasks without devices that arrive at a machine with devices. The others are assumed to be
    /// placed on other machines.
    pub without_devices: f64,
}

impl Default for RolloutConfig {
    /// 128 futures of 60 tasks each, and a fifth of the tasks without devices. The values were tuned on the openb
    /// trace, where half or twice as many change the result by a few tenths of a percent.
    fn default() -> Self {
        Self { futures: 128, tasks: 60, without_devices: 0.2 }
    }
}

impl RolloutConfig {
    /// The fraction of spare cpus that tasks without devices are assumed to use.
    const USABLE: f64 = 0.75;

    /// Estimates `without_devices` for these machines, all of them idle: the fraction of the tasks without devices that
    /// will compete for cpus with the tasks that use devices.
    ///
    /// Suppose that tasks of the workload occupy all devices. They use a certain number of cpus per device; the cpus of
    /// a machine beyond that are spare, and three quarters of the spare cpus are usable by tasks without devices. Those
    /// arrive in proportion to their popularity; the fraction that requests more than the usable cpus competes.
    #[must_use]
    pub fn for_machines<'a>(workload: &TargetWorkload, machines: impl IntoIterator<Item = &'a Machine>) -> Self {
        // Expected cpus of tasks with devices, devices, and cpus of tasks without devices, per task.
        let (mut cpus_with, mut devices, mut cpus_without) = (0.0, 0.0, 0.0);
        for TaskClass { demand, popularity, .. } in workload.classes() {
            let cpus = popularity * demand.cpus.as_f64();
            *(if demand.devices.is_none() { &mut cpus_without } else { &mut cpus_with }) += cpus;
            devices += popularity * number(demand.devices.total());
        }
        let (mut spare_cpus, mut all_devices) = (0.0, 0.0);
        for machine in machines {
            let free = number(machine.free());
            all_devices += free;
            spare_cpus += (machine.cpus().as_f64() - free * cpus_with / devices).max(0.0);
        }
        let requested = all_devices * cpus_without / devices;
        // If no task requests devices, or every task does, there is no competition.
        let competes = devices > 0.0 && requested > 0.0;
        let without_devices = if competes { (1.0 - Self::USABLE * spare_cpus / requested).max(0.0) } else { 0.0 };
        Self { without_devices, ..Self::default() }
    }
}

/// A task that arrives in a future.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    cpus: u64,
    request: DeviceRequest,
}

/// The part of a machine's state that the rollout depends on: the cache key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct MachineState {
    /// The index of the model in [`RolloutLoss::futures`].
    model: usize,
    cpus: u64,
    /// What is left of the devices that are not exhausted, in ascending order.
    left: SmallVec<[u16; 8]>,
}

impl RolloutLoss {
    /// The largest number of states in the cache.
    const MAX_CACHED_STATES: usize = 1 << 18;
    /// The seed of the futures.
    const SEED: u64 = 1;

    /// Draws the futures for this target workload.
    #[must_use]
    pub fn new(workload: &TargetWorkload, config: RolloutConfig) -> Self {
        let models: IndexSet<Text> = workload.classes().iter().flat_map(|class| class.demand.models.clone()).collect();
        let drawn = futures(workload.classes(), config);
        let accepted_by = |model: Option<&str>| {
            let future = |tasks: &Vec<&DeviceDemand>| {
                let tasks = tasks.iter().filter(|task| task.accepts(model));
                tasks.map(|task| Arrival { cpus: task.cpus.as_milli(), request: task.devices }).collect()
            };
            drawn.iter().map(future).collect()
        };
        let futures = models.iter().map(|model| accepted_by(Some(model))).chain([accepted_by(None)]).collect();
        Self { models, futures, cache: Mutex::default() }
    }

    /// Makes the policy that minimises this loss, in score steps of a twentieth of a device.
    #[must_use]
    pub fn fitness(workload: &TargetWorkload, config: RolloutConfig) -> MarginalLoss<Self> {
        MarginalLoss::new(Self::new(workload, config), Scale::Linear(50.0))
    }

    /// Returns the idle capacity at the end, averaged over the futures.
    fn roll_out(&self, state: &MachineState) -> f64 {
        let futures = &self.futures[state.model];
        let idle: u64 = futures.iter().map(|future| state.clone().idle_after(future)).sum();
        number(idle) / number(futures.len().max(1) as u64)
    }
}

impl Loss for RolloutLoss {
    fn loss(&self, machine: &Machine) -> f64 {
        let model = machine.device_model().and_then(|model| self.models.get_index_of(model));
        let left = machine.devices().iter().filter_map(|left| u16::try_from(*left).ok().filter(|left| *left > 0));
        let mut left: SmallVec<[u16; 8]> = left.collect();
        left.sort_unstable();
        let state = MachineState { model: model.unwrap_or(self.models.len()), cpus: machine.cpus().as_milli(), left };
        // A poisoned lock is harmless: each update of the map is a single call.
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loss) = cache.get(&state) {
            return *loss;
        }
        let loss = self.roll_out(&state);
        if cache.len() >= Self::MAX_CACHED_STATES {
            cache.clear();
        }
        cache.insert(state, loss);
        loss
    }
}

impl MachineState {
    /// Admits every task that fits and returns the device capacity left at the end.
    fn idle_after(mut self, tasks: &[Arrival]) -> u64 {
        let whole_devices = |left: &[u16]| left.iter().rev().take_while(|left| u32::from(**left) == WHOLE).count();
        for Arrival { cpus, request } in tasks {
            if *cpus > self.cpus
                || !request.is_none() && self.left.last().is_none_or(|most| u32::from(*most) < request.each())
            {
                continue;
            }
            if request.is_part() {
                self.allocate_part(request.each());
            } else if !request.is_none() {
                if whole_devices(&self.left) < request.count() as usize {
                    continue;
                }
                self.left.truncate(self.left.len() - request.count() as usize);
            }
            self.cpus -= cpus;
            if self.left.is_empty() {
                break;
            }
        }
        self.left.iter().map(|left| u64::from(*left)).sum()
    }

    /// Allocates a part of a device by best fit.
    fn allocate_part(&mut self, part: u32) {
        let tightest = self.left.partition_point(|left| u32::from(*left) < part);
        let rest = u32::from(self.left.remove(tightest)) - part;
        if let Some(rest) = u16::try_from(rest).ok().filter(|rest| *rest > 0) {
            let place = self.left.partition_point(|left| *left < rest);
            self.left.insert(place, rest);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of futures and of thousandths are far below 2^53")]
fn number(count: u64) -> f64 {
    count as f64
}

/// Draws the sequences of tasks by stratified sampling: at each step the futures cover the distribution evenly.
fn futures(classes: &[TaskClass], config: RolloutConfig) -> Vec<Vec<&DeviceDemand>> {
    let weight = |class: &TaskClass| {
        class.popularity * if class.demand.devices.is_none() { config.without_devices } else { 1.0 }
    };
    let all: f64 = classes.iter().map(weight).sum();
    let mut futures = vec![Vec::new(); config.futures];
    for task in 0..config.tasks as u64 {
        // A random permutation assigns one stratum to each future.
        let step_seed = draw(RolloutLoss::SEED, task);
        let mut order: Vec<usize> = (0..config.futures).collect();
        order.sort_by_cached_key(|future| draw(step_seed, *future as u64));
        for (stratum, future) in order.into_iter().enumerate() {
            let mut rest = (number(stratum as u64) + 0.5) / number(config.futures as u64) * all;
            let drawn = classes.iter().find(|class| {
                rest -= weight(class);
                rest < 0.0
            });
            // Rounding may leave the sum of the weights below the stratum: use the last class.
            futures[future].extend(drawn.or_else(|| classes.last()).map(|class| &class.demand));
        }
    }
    futures
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "whole thousandths, and means of few: exact")]
mod tests {
    use super::*;
    use crate::packing::DeviceFitness;
    use crate::resources::Scalar;

    fn demand(cpus: u64, count: u64, each: u64) -> DeviceDemand {
        DeviceDemand::new(Scalar::units(cpus), Scalar::ZERO).devices(DeviceRequest::new(count, each).unwrap())
    }

    fn machine(cpus: u64, devices: &[u64]) -> Machine {
        let mut machine = Machine::new(Scalar::units(cpus), Scalar::ZERO, u32::try_from(devices.len()).unwrap());
        for (device, left) in devices.iter().enumerate().filter(|(_, left)| **left < 1000) {
            machine
                .allocate(&DeviceDemand::default().devices(DeviceRequest::new(1, 1000 - left).unwrap()), Some(device))
                .unwrap();
        }
        machine
    }

    fn loss(tasks: &[DeviceDemand], machine: &Machine) -> f64 {
        RolloutLoss::new(&TargetWorkload::of(tasks), RolloutConfig::default()).loss(machine)
    }

    /// The same by plain simulation: task by task on a [`Machine`].
    fn plain_loss(rollout: &RolloutLoss, machine: &Machine) -> f64 {
        let idle = rollout.futures[0].iter().map(|future| {
            let mut machine = machine.clone();
            for arrival in future {
                let demand = DeviceDemand::new(Scalar::milli(arrival.cpus), Scalar::ZERO).devices(arrival.request);
                if machine.fits(&demand) {
                    let device = machine.tightest_device(arrival.request);
                    machine.allocate(&demand, device).unwrap();
                }
            }
            machine.free() as f64
        });
        idle.sum::<f64>() / rollout.futures[0].len() as f64
    }

    #[test]
    fn remnants_count_unless_a_task_uses_them() {
        let tasks = [demand(1, 1, 500), demand(1, 1, 300)];
        assert_eq!(loss(&tasks, &machine(64, &[200])).round(), 200.0);
        assert_eq!(loss(&tasks, &machine(64, &[300])).round(), 0.0);
        let either = loss(&tasks, &machine(64, &[500]));
        assert!((50.0..150.0).contains(&either), "0 or 200 is left, depending on the future: {either}");
    }

    #[test]
    fn cpus_that_will_run_out_strand_devices() {
        let tasks = [demand(10, 1, 1000)];
        assert_eq!(loss(&tasks, &machine(25, &[1000, 1000, 1000])).round(), 1000.0);
        assert_eq!(loss(&tasks, &machine(9, &[1000, 500])).round(), 1500.0);
    }

    #[test]
    fn the_rollout_agrees_with_a_plain_simulation() {
        let tasks = [demand(3, 1, 470), demand(2, 1, 810), demand(11, 1, 1000), demand(9, 2, 1000), demand(8, 0, 0)];
        let rollout = RolloutLoss::new(&TargetWorkload::of(&tasks), RolloutConfig::default());
        for (cpus, devices) in [(96, &[1000; 8][..]), (40, &[190, 530, 1000, 1000]), (7, &[60, 1000]), (30, &[])] {
            let machine = machine(cpus, devices);
            assert_eq!(rollout.loss(&machine).to_bits(), plain_loss(&rollout, &machine).to_bits(), "{machine:?}");
        }
    }

    #[test]
    fn futures_follow_the_distribution() {
        let workload = TargetWorkload::of(
            &[vec![demand(1, 1, 500); 3], vec![demand(2, 1, 1000); 1], vec![demand(4, 0, 0); 5]].concat(),
        );
        let drawn = futures(workload.classes(), RolloutConfig { futures: 32, tasks: 10, without_devices: 0.0 });
        assert!(drawn.iter().all(|future| future.len() == 10));
        let cpus = |number| drawn.iter().flatten().filter(|task| task.cpus == Scalar::units(number)).count();
        assert_eq!([cpus(1), cpus(2), cpus(4)], [240, 80, 0]);
    }

    #[test]
    fn tasks_without_devices_compete_when_spare_cpus_run_short() {
        let tasks = [demand(10, 1, 1000), demand(40, 0, 0)];
        let without_devices = |cpus| {
            RolloutConfig::for_machines(
                &TargetWorkload::of(&tasks),
                &[machine(cpus, &[1000; 2]), machine(20, &[1000; 2])],
            )
            .without_devices
        };
        // Tasks without devices request 80 cpus for each pair of devices, 160 in all; 3/4 of the spare cpus are usable.
        assert_eq!(without_devices(20), 1.0);
        assert!((without_devices(100) - (1.0 - 60.0 / 160.0)).abs() < 1e-12);
        assert_eq!(without_devices(20 + 214), 0.0);
        assert_eq!(
            RolloutConfig::for_machines(&TargetWorkload::default(), &[machine(9, &[1000])]).without_devices,
            0.0
        );
        assert_eq!(
            RolloutConfig::for_machines(&TargetWorkload::of(&tasks[1..]), &[machine(9, &[1000])]).without_devices,
            0.0
        );
    }

    #[test]
    fn a_light_task_prefers_the_machine_with_few_cpus() {
        let light = demand(3, 1, 1000);
        let tasks = [vec![light.clone(); 5], vec![demand(20, 1, 1000); 5]].concat();
        let fitness = RolloutLoss::fitness(&TargetWorkload::of(&tasks), RolloutConfig::default());
        let (poor, rich) = (machine(24, &[1000; 8]), machine(160, &[1000; 8]));
        assert!(fitness.fit(&poor, &light, 0).score > fitness.fit(&rich, &light, 0).score);
    }

    #[test]
    fn without_tasks_all_capacity_stays_idle() {
        assert_eq!(loss(&[], &machine(8, &[1000, 20])).round(), 1020.0);
    }
}
