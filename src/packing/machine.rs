//! [`Machine`]: what is left on a machine, device by device.

use super::demand::{Demand, DeviceRequest, WHOLE};
use crate::resources::{Resources, Scalar, Value};
use smallvec::{SmallVec, smallvec};
use smol_str::{SmolStr, format_smolstr};

/// What is left on a machine: cpus, memory, and so many thousandths of each device.
///
/// The order of the devices counts: among equals the first one is taken. Devices are never added up, since two halves
/// are no whole.
///
/// # As resources
///
/// On an agent each device is a scalar of its own, `gpu0:1;gpu1:1`. A [`Scalar`] is exact in thousandths, so the
/// ledger, offers, reservations and operations account for every device without knowing of sharing. [`Machine::of`]
/// reads what an offer has left of them, [`Taken::resources`] is what a task launched there takes.
///
/// # Examples
///
/// ```
/// use apportion::Resources;
/// use apportion::packing::{Demand, DeviceRequest, Machine};
///
/// let offered: Resources = "cpus:16;mem:4096;gpu0:0.5;gpu1:1".parse()?;
/// let mut machine = Machine::of(&offered, "gpu")?.model("T4");
/// let demand = Demand::new("4".parse()?, "1024".parse()?).devices(DeviceRequest::new(1, 400)?);
///
/// let tightest = machine.tightest(demand.devices);
/// let taken = machine.take(&demand, tightest).expect("it fits");
/// assert_eq!(machine.devices(), [100, 1000]);
/// assert_eq!(taken.resources("gpu"), "cpus:4;mem:1024;gpu0:0.4".parse()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Machine {
    cpus: Scalar,
    mem: Scalar,
    devices: SmallVec<[u32; 8]>,
    model: Option<SmolStr>,
    tenants: SmallVec<[DeviceRequest; 4]>,
}

/// What a task got.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Taken {
    /// Of cpus.
    pub cpus: Scalar,
    /// Of memory.
    pub mem: Scalar,
    /// Of which devices.
    pub devices: SmallVec<[usize; 8]>,
    /// How many thousandths of each.
    pub each: u32,
}

/// Resources that are no devices to be shared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// More than one device under one name, or no amount at all.
    #[error("{name} is {found}: expected a device, which is 0 to 1")]
    NotADevice {
        /// The name.
        name: SmolStr,
        /// What is there.
        found: String,
    },
    /// A number of a device beyond what a machine has.
    #[error("{name} is out of range: a machine has at most {most} devices, from 0 on", most = DeviceRequest::MOST)]
    OutOfRange {
        /// The name.
        name: SmolStr,
    },
}

impl Machine {
    /// A machine with that many devices, all of them whole.
    ///
    /// Of more than [`DeviceRequest::MOST`] devices the rest does not count.
    #[must_use]
    pub fn new(cpus: Scalar, mem: Scalar, devices: u32) -> Self {
        let devices = smallvec![WHOLE; devices.min(DeviceRequest::MOST) as usize];
        Self { cpus, mem, devices, model: None, tenants: SmallVec::new() }
    }

    /// What an offer has left: `cpus`, `mem`, and of the devices `PREFIX0`, `PREFIX1` and so on. Of a device that is
    /// not named nothing is left. Reserved resources count like others.
    ///
    /// # Errors
    ///
    /// [`DeviceError`] if a device is no scalar or more than 1, or its number is out of range.
    pub fn of(resources: &Resources, prefix: &str) -> Result<Self, DeviceError> {
        let mut machine = Self::new(resources.amount("cpus"), resources.amount("mem"), 0);
        for resource in resources.iter() {
            let number = resource.name().strip_prefix(prefix).filter(|digits| is_number(digits));
            let Some(number) = number else { continue };
            let name = || SmolStr::from(resource.name());
            let number = number.parse().ok().filter(|number| *number < DeviceRequest::MOST as usize);
            let number = number.ok_or_else(|| DeviceError::OutOfRange { name: name() })?;
            if !matches!(resource.value(), Value::Scalar(_)) {
                return Err(DeviceError::NotADevice { name: name(), found: resource.value().type_name().to_owned() });
            }
            let left = resources.amount(resource.name());
            let thousandths = u32::try_from(left.as_milli()).ok().filter(|left| *left <= WHOLE);
            let thousandths =
                thousandths.ok_or_else(|| DeviceError::NotADevice { name: name(), found: left.to_string() })?;
            if machine.devices.len() <= number {
                machine.devices.resize(number + 1, 0);
            }
            machine.devices[number] = thousandths;
        }
        Ok(machine)
    }

    /// The same, with devices of that model.
    #[must_use]
    pub fn model(mut self, model: impl Into<SmolStr>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// The cpus left.
    #[must_use]
    pub const fn cpus(&self) -> Scalar {
        self.cpus
    }

    /// The memory left.
    #[must_use]
    pub const fn mem(&self) -> Scalar {
        self.mem
    }

    /// What is left of each device, in thousandths.
    #[must_use]
    pub fn devices(&self) -> &[u32] {
        &self.devices
    }

    /// The model of the devices.
    #[must_use]
    pub fn device_model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// The kinds of request that were served here: any part of a device as [`DeviceRequest::PART`], whole devices as they
    /// are. In order of their coming, each once.
    #[must_use]
    pub fn tenants(&self) -> &[DeviceRequest] {
        &self.tenants
    }

    /// The thousandths left of all devices.
    #[must_use]
    pub fn free(&self) -> u64 {
        self.devices.iter().map(|left| u64::from(*left)).sum()
    }

    /// How many devices are whole.
    #[must_use]
    pub fn whole(&self) -> usize {
        self.devices.iter().filter(|left| **left == WHOLE).count()
    }

    /// Whether the demand can be served.
    #[must_use]
    pub fn fits(&self, demand: &Demand) -> bool {
        self.cpus >= demand.cpus
            && self.mem >= demand.mem
            && self.has(demand.devices)
            && demand.accepts(self.model.as_deref())
    }

    /// Whether enough is left of enough devices.
    #[must_use]
    pub fn has(&self, request: DeviceRequest) -> bool {
        let count = self.devices.iter().filter(|left| **left >= request.each()).count();
        request.is_none() || count >= request.count() as usize
    }

    /// The device with the least left that serves a part of a device; of equals the first one.
    #[must_use]
    pub fn tightest(&self, request: DeviceRequest) -> Option<usize> {
        let fitting = self.devices.iter().enumerate().filter(|(_, left)| **left >= request.each());
        fitting.min_by_key(|(_, left)| **left).map(|(device, _)| device)
    }

    /// Serves a demand: a part from that device, whole devices from the first ones that are free. Nothing if it does
    /// not fit, and then nothing has changed.
    pub fn take(&mut self, demand: &Demand, device: Option<usize>) -> Option<Taken> {
        let (request, mut devices) = (demand.devices, SmallVec::new());
        if request.is_part() {
            devices
                .push(device.filter(|device| self.devices.get(*device).is_some_and(|left| *left >= request.each()))?);
        } else {
            let free = (0..self.devices.len()).filter(|device| self.devices[*device] == WHOLE);
            devices.extend(free.take(request.count() as usize));
        }
        if !self.fits(demand) {
            return None;
        }
        for device in &devices {
            self.devices[*device] -= request.each();
        }
        self.cpus = self.cpus.saturating_sub(demand.cpus);
        self.mem = self.mem.saturating_sub(demand.mem);
        let kind = request.kind();
        if !request.is_none() && !self.tenants.contains(&kind) {
            self.tenants.push(kind);
        }
        Some(Taken { cpus: demand.cpus, mem: demand.mem, devices, each: request.each() })
    }

    /// The machine as it would be then; as it is if the demand does not fit.
    #[must_use]
    pub fn after(&self, demand: &Demand, device: Option<usize>) -> Self {
        let mut after = self.clone();
        after.take(demand, device);
        after
    }
}

/// Whether it is a number as we write it: `gpu07` is another name, not another one for `gpu7`.
fn is_number(digits: &str) -> bool {
    let is_plain = digits == "0" || !digits.is_empty() && !digits.starts_with('0');
    is_plain && digits.bytes().all(|digit| digit.is_ascii_digit())
}

impl Taken {
    /// What the task takes, as resources: `cpus`, `mem`, and of each device `PREFIX0`, `PREFIX1` and so on.
    /// Nothing of it is reserved.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "distinct names, and no more than a machine had")]
    pub fn resources(&self, prefix: &str) -> Resources {
        let base = Resources::builder().scalar("cpus", self.cpus).scalar("mem", self.mem);
        let each = Scalar::milli(u64::from(self.each));
        let name = |device: &usize| format_smolstr!("{prefix}{device}");
        let all = self.devices.iter().fold(base, |all, device| all.scalar(name(device), each));
        all.build().expect("names and amounts were those of a machine")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(cpus: u64, count: u64, each: u64) -> Demand {
        Demand::new(Scalar::units(cpus), Scalar::units(1)).devices(DeviceRequest::new(count, each).unwrap())
    }

    #[test]
    fn devices_are_never_added_up() {
        let mut machine = Machine::new(Scalar::units(8), Scalar::units(8), 2);
        machine.take(&demand(1, 1, 500), Some(0)).unwrap();
        machine.take(&demand(1, 1, 500), Some(1)).unwrap();
        assert_eq!(machine.free(), 1000);
        assert!(!machine.fits(&demand(1, 1, 1000)) && machine.fits(&demand(1, 1, 500)));
    }

    #[test]
    fn whole_devices_are_the_first_ones_that_are_free() {
        let mut machine = Machine::new(Scalar::units(8), Scalar::units(8), 4);
        machine.take(&demand(1, 1, 1), Some(1)).unwrap();
        let taken = machine.take(&demand(1, 2, 1000), None).unwrap();
        assert_eq!(taken.devices[..], [0, 2]);
        assert_eq!(machine.devices(), [0, 999, 0, 1000]);
        assert_eq!(machine.tenants(), [DeviceRequest::PART, DeviceRequest::new(2, 1000).unwrap()]);
    }

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let machine = Machine::new(Scalar::units(4), Scalar::units(1), 2).model("T4");
        let too_much = [
            (demand(5, 0, 0), None),
            (demand(1, 3, 1000), None),
            (demand(1, 1, 500), None),
            (demand(1, 1, 500), Some(2)),
            (demand(1, 1, 1000).model("G2"), None),
            (Demand::new(Scalar::ZERO, Scalar::units(2)), None),
        ];
        for (demand, device) in too_much {
            let mut after = machine.clone();
            assert_eq!(after.take(&demand, device), None, "{demand:?}");
            assert_eq!(after, machine);
        }
    }

    #[test]
    fn an_offer_and_what_is_taken_of_it_add_up() {
        let offered: Resources = "cpus:4;gpu0:0.25;gpu02:0.5;gpu2:1;gpus:7;mem:8;ports:[1-9]".parse().unwrap();
        let mut machine = Machine::of(&offered, "gpu").unwrap();
        assert_eq!(machine.devices(), [250, 0, 1000]);
        let demand = demand(1, 1, 250);
        let taken = machine.take(&demand, machine.tightest(demand.devices)).unwrap();
        let rest = offered.checked_sub(&taken.resources("gpu")).unwrap();
        assert_eq!(Machine::of(&rest, "gpu").unwrap().devices(), [0, 0, 1000]);
    }

    #[test]
    fn resources_that_are_no_devices_are_told() {
        let error = |text: &str| Machine::of(&text.parse().unwrap(), "gpu").unwrap_err().to_string();
        assert_eq!(error("gpu1:2"), "gpu1 is 2: expected a device, which is 0 to 1");
        assert_eq!(error("gpu1:[0-1]"), "gpu1 is RANGES: expected a device, which is 0 to 1");
        assert_eq!(error("gpu256:1"), "gpu256 is out of range: a machine has at most 256 devices, from 0 on");
        assert!(error("gpu99999999999999999999:1").contains("out of range"));
    }
}
