//! [`Outlook`]: the devices that will not have been used in the end.

use super::demand::{Demand, DeviceRequest, WHOLE};
use super::machine::Machine;
use super::marginal_loss::{Descent, Loss, Scale};
use super::target_workload::{Class, Mix};
use crate::draw::draw;
use indexmap::{IndexMap, IndexSet};
use smallvec::SmallVec;
use smol_str::SmolStr;
use std::sync::{Mutex, PoisonError};

/// How much of a machine's devices stays idle for good if tasks of the mix keep coming, in any order, and each that
/// fits is taken.
///
/// [`Fragmentation`](super::Fragmentation) asks who could use the devices *now*. That is blind to the second task to
/// come: a machine with eight free devices and cpus for three tasks is not fragmented at all by that measure, and five
/// of its devices are lost. The outlook plays the future out: it fills the machine with tasks drawn from the mix until
/// they end, in a number of futures, and takes the mean of what is then left of the devices. So it sees that cpus will
/// run out, which remnants of a device will find a taker and which will not, and whether whole machines are wanted. The
/// machine that loses least by a task is the one that the task was made for.
///
/// It is a rollout in the sense of approximate dynamic programming (Bertsekas, Tsitsiklis, Wu, *Rollout Algorithms for
/// Combinatorial Optimization*, J. Heuristics 1997), with a machine that takes everything as the base policy. The same
/// futures are looked at for every machine, so that differences between machines are not those between draws, and each
/// task of a future is drawn in equal strata over all futures. Everything is a function of the mix: nothing is learned,
/// and no clock or hash has a part in it.
///
/// # Complexity
///
/// O(futures × tasks × devices) for a state of a machine that was not met before; what is met again is remembered, up
/// to 262,144 states.
///
/// # Examples
///
/// ```
/// use apportion::Scalar;
/// use apportion::packing::{Demand, DeviceRequest, Fragmentation, Horizon, Loss, Machine, Mix, Outlook};
///
/// let task = Demand::new(Scalar::units(10), Scalar::ZERO).devices(DeviceRequest::new(1, 1000)?);
/// let mix = Mix::of([&task]);
/// let machine = Machine::new(Scalar::units(36), Scalar::ZERO, 8);
/// assert_eq!(Fragmentation::new(mix.clone()).loss(&machine), 0.0); // who comes next can use any device
/// assert_eq!(Outlook::new(&mix, Horizon::default()).loss(&machine), 5000.0); // but only three of them will come
/// # Ok::<(), apportion::packing::DeviceRequestError>(())
/// ```
#[derive(Debug)]
pub struct Outlook {
    /// The models that tasks name.
    models: IndexSet<SmolStr>,
    /// By model, and last for those that no task names, the futures.
    futures: Vec<Vec<Vec<Step>>>,
    /// What was found out.
    known: Mutex<IndexMap<State, f64, foldhash::fast::FixedState>>,
}

/// How far and how often an [`Outlook`] looks.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Horizon {
    /// How many futures are looked at.
    pub futures: usize,
    /// How many tasks come to a machine in each of them.
    pub tasks: usize,
    /// How many of the tasks without devices come to a machine that has some, as a part of all of them. The others are
    /// taken to find room elsewhere: a good placement sees to that.
    pub without_devices: f64,
}

impl Default for Horizon {
    /// 128 futures of 60 tasks each, and one in five of those without devices. They were chosen on the openb trace,
    /// where half or twice as many make a difference of a few tenths of a percent.
    fn default() -> Self {
        Self { futures: 128, tasks: 60, without_devices: 0.2 }
    }
}

impl Horizon {
    /// The part of spare cpus that tasks without devices can be brought to use.
    const USABLE: f64 = 0.75;

    /// The horizon for these machines, all free: `without_devices` is the part of the tasks without devices that will
    /// find no room but where they are in the way.
    ///
    /// Let all devices be in use by tasks of the mix. These need so many cpus for each device; what machines have
    /// beyond that is spare, and three quarters of it can be brought to use. As many tasks without devices come along
    /// as the mix says: those that want more than that will compete with the others.
    #[must_use]
    pub fn of<'a>(mix: &Mix, machines: impl IntoIterator<Item = &'a Machine>) -> Self {
        let (mut beside, mut devices, mut without) = (0.0, 0.0, 0.0);
        for Class { demand, part, .. } in mix.classes() {
            let cpus = part * demand.cpus.as_f64();
            *(if demand.devices.is_none() { &mut without } else { &mut beside }) += cpus;
            devices += part * number(demand.devices.total());
        }
        let (mut spare, mut all) = (0.0, 0.0);
        for machine in machines {
            let free = number(machine.free());
            all += free;
            spare += (machine.cpus().as_f64() - free * beside / devices).max(0.0);
        }
        let wanted = all * without / devices;
        // Where nobody wants devices, or everybody does, there is nothing to compete for.
        let competes = devices > 0.0 && wanted > 0.0;
        let without_devices = if competes { (1.0 - Self::USABLE * spare / wanted).max(0.0) } else { 0.0 };
        Self { without_devices, ..Self::default() }
    }
}

/// A task that comes.
#[derive(Debug, Clone, Copy)]
struct Step {
    cpus: u64,
    request: DeviceRequest,
}

/// What matters of a machine for what may come.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    model: usize,
    cpus: u64,
    /// What is left of the devices of which something is left, in order.
    left: SmallVec<[u16; 8]>,
}

impl Outlook {
    /// How many states are remembered at most.
    const MOST_KNOWN: usize = 1 << 18;
    /// What the futures are drawn from.
    const SEED: u64 = 1;

    /// The outlook for tasks of that mix.
    #[must_use]
    pub fn new(mix: &Mix, horizon: Horizon) -> Self {
        let models: IndexSet<SmolStr> = mix.classes().iter().flat_map(|class| class.demand.models.clone()).collect();
        let drawn = futures(mix.classes(), horizon);
        let of = |model: Option<&str>| {
            let future = |tasks: &Vec<&Demand>| {
                let tasks = tasks.iter().filter(|task| task.accepts(model));
                tasks.map(|task| Step { cpus: task.cpus.as_milli(), request: task.devices }).collect()
            };
            drawn.iter().map(future).collect()
        };
        let futures = models.iter().map(|model| of(Some(model))).chain([of(None)]).collect();
        Self { models, futures, known: Mutex::default() }
    }

    /// The fitness that keeps the outlook best, in steps of a twentieth of a device.
    #[must_use]
    pub fn fitness(mix: &Mix, horizon: Horizon) -> Descent<Self> {
        Descent::new(Self::new(mix, horizon), Scale::Steps(50.0))
    }

    fn look(&self, state: &State) -> f64 {
        let futures = &self.futures[state.model];
        let idle: u64 = futures.iter().map(|future| state.clone().fill(future)).sum();
        number(idle) / number(futures.len().max(1) as u64)
    }
}

impl Loss for Outlook {
    fn loss(&self, machine: &Machine) -> f64 {
        let model = machine.device_model().and_then(|model| self.models.get_index_of(model));
        let left = machine.devices().iter().filter_map(|left| u16::try_from(*left).ok().filter(|left| *left > 0));
        let mut left: SmallVec<[u16; 8]> = left.collect();
        left.sort_unstable();
        let state = State { model: model.unwrap_or(self.models.len()), cpus: machine.cpus().as_milli(), left };
        // Whoever panicked left a map behind that is whole: it is changed by one call.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loss) = known.get(&state) {
            return *loss;
        }
        let loss = self.look(&state);
        if known.len() >= Self::MOST_KNOWN {
            known.clear();
        }
        known.insert(state, loss);
        loss
    }
}

impl State {
    /// Takes every task that fits, and says how much of the devices is left then.
    fn fill(mut self, tasks: &[Step]) -> u64 {
        let whole = |left: &[u16]| left.iter().rev().take_while(|left| u32::from(**left) == WHOLE).count();
        for Step { cpus, request } in tasks {
            if *cpus > self.cpus
                || !request.is_none() && self.left.last().is_none_or(|most| u32::from(*most) < request.each())
            {
                continue;
            }
            if request.is_part() {
                self.cut(request.each());
            } else if !request.is_none() {
                if whole(&self.left) < request.count() as usize {
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

    /// Takes a part from the device that has least left of those that have enough.
    fn cut(&mut self, part: u32) {
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

/// The tasks that come, future by future.
fn futures(classes: &[Class], horizon: Horizon) -> Vec<Vec<&Demand>> {
    let weight =
        |class: &Class| class.part * if class.demand.devices.is_none() { horizon.without_devices } else { 1.0 };
    let all: f64 = classes.iter().map(weight).sum();
    let mut futures = vec![Vec::new(); horizon.futures];
    for task in 0..horizon.tasks as u64 {
        // Each future has a stratum of its own, another one at every step.
        let chance = draw(Outlook::SEED, task);
        let mut order: Vec<usize> = (0..horizon.futures).collect();
        order.sort_by_cached_key(|future| draw(chance, *future as u64));
        for (stratum, future) in order.into_iter().enumerate() {
            let mut rest = (number(stratum as u64) + 0.5) / number(horizon.futures as u64) * all;
            let drawn = classes.iter().find(|class| {
                rest -= weight(class);
                rest < 0.0
            });
            // Rounding may leave a last bit that is nobody's.
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

    fn demand(cpus: u64, count: u64, each: u64) -> Demand {
        Demand::new(Scalar::units(cpus), Scalar::ZERO).devices(DeviceRequest::new(count, each).unwrap())
    }

    fn machine(cpus: u64, devices: &[u64]) -> Machine {
        let mut machine = Machine::new(Scalar::units(cpus), Scalar::ZERO, u32::try_from(devices.len()).unwrap());
        for (device, left) in devices.iter().enumerate().filter(|(_, left)| **left < 1000) {
            machine
                .take(&Demand::default().devices(DeviceRequest::new(1, 1000 - left).unwrap()), Some(device))
                .unwrap();
        }
        machine
    }

    fn loss(tasks: &[Demand], machine: &Machine) -> f64 {
        Outlook::new(&Mix::of(tasks), Horizon::default()).loss(machine)
    }

    /// The same, task by task on a machine.
    fn plainly(outlook: &Outlook, machine: &Machine) -> f64 {
        let idle = outlook.futures[0].iter().map(|future| {
            let mut machine = machine.clone();
            for step in future {
                let demand = Demand::new(Scalar::milli(step.cpus), Scalar::ZERO).devices(step.request);
                if machine.fits(&demand) {
                    let device = machine.tightest(step.request);
                    machine.take(&demand, device).unwrap();
                }
            }
            machine.free() as f64
        });
        idle.sum::<f64>() / outlook.futures[0].len() as f64
    }

    #[test]
    fn remnants_count_as_far_as_nobody_takes_them() {
        let tasks = [demand(1, 1, 500), demand(1, 1, 300)];
        assert_eq!(loss(&tasks, &machine(64, &[200])).round(), 200.0);
        assert_eq!(loss(&tasks, &machine(64, &[300])).round(), 0.0);
        let either = loss(&tasks, &machine(64, &[500]));
        assert!((50.0..150.0).contains(&either), "0 or 200 is left, as it comes: {either}");
    }

    #[test]
    fn cpus_that_will_run_out_strand_devices() {
        let tasks = [demand(10, 1, 1000)];
        assert_eq!(loss(&tasks, &machine(25, &[1000, 1000, 1000])).round(), 1000.0);
        assert_eq!(loss(&tasks, &machine(9, &[1000, 500])).round(), 1500.0);
    }

    #[test]
    fn a_look_ahead_is_what_it_says() {
        let tasks = [demand(3, 1, 470), demand(2, 1, 810), demand(11, 1, 1000), demand(9, 2, 1000), demand(8, 0, 0)];
        let outlook = Outlook::new(&Mix::of(&tasks), Horizon::default());
        for (cpus, devices) in [(96, &[1000; 8][..]), (40, &[190, 530, 1000, 1000]), (7, &[60, 1000]), (30, &[])] {
            let machine = machine(cpus, devices);
            assert_eq!(outlook.loss(&machine).to_bits(), plainly(&outlook, &machine).to_bits(), "{machine:?}");
        }
    }

    #[test]
    fn futures_have_the_mix_in_them() {
        let mix =
            Mix::of(&[vec![demand(1, 1, 500); 3], vec![demand(2, 1, 1000); 1], vec![demand(4, 0, 0); 5]].concat());
        let drawn = futures(mix.classes(), Horizon { futures: 32, tasks: 10, without_devices: 0.0 });
        assert!(drawn.iter().all(|future| future.len() == 10));
        let cpus = |number| drawn.iter().flatten().filter(|task| task.cpus == Scalar::units(number)).count();
        assert_eq!([cpus(1), cpus(2), cpus(4)], [240, 80, 0]);
    }

    #[test]
    fn tasks_without_devices_compete_when_spare_cpus_run_short() {
        let tasks = [demand(10, 1, 1000), demand(40, 0, 0)];
        let of =
            |cpus| Horizon::of(&Mix::of(&tasks), &[machine(cpus, &[1000; 2]), machine(20, &[1000; 2])]).without_devices;
        // 80 cpus are wanted beside the two first devices, as many beside the others: 160, of which 3/4 of what is
        // spare.
        assert_eq!(of(20), 1.0);
        assert!((of(100) - (1.0 - 60.0 / 160.0)).abs() < 1e-12);
        assert_eq!(of(20 + 214), 0.0);
        assert_eq!(Horizon::of(&Mix::default(), &[machine(9, &[1000])]).without_devices, 0.0);
        assert_eq!(Horizon::of(&Mix::of(&tasks[1..]), &[machine(9, &[1000])]).without_devices, 0.0);
    }

    #[test]
    fn a_task_goes_where_it_was_made_for() {
        let light = demand(3, 1, 1000);
        let tasks = [vec![light.clone(); 5], vec![demand(20, 1, 1000); 5]].concat();
        let fitness = Outlook::fitness(&Mix::of(&tasks), Horizon::default());
        let (poor, rich) = (machine(24, &[1000; 8]), machine(160, &[1000; 8]));
        assert!(fitness.fit(&poor, &light, 0).score > fitness.fit(&rich, &light, 0).score);
    }

    #[test]
    fn without_tasks_nothing_is_ever_used() {
        assert_eq!(loss(&[], &machine(8, &[1000, 20])).round(), 1020.0);
    }
}
