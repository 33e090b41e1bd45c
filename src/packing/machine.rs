//! [`Machine`]: the resources left on a machine, device by device.

use super::demand::{DeviceDemand, DeviceRequest, WHOLE};
use crate::resources::{Resources, Scalar, Value};
use crate::text::Text;
use smallvec::{SmallVec, smallvec};

/// The resources left on a machine: cpus, memory, and the thousandths of each device.
///
/// Devices are ordered: among equals the first is allocated. A part is always allocated from a single device, since two
/// half devices do not make a whole one.
///
/// # Devices as resources of an agent
///
/// On an agent each device is a scalar resource of its own, `gpu0:1;gpu1:1`. A [`Scalar`] is exact in thousandths, so
/// the ledger, offers, reservations and operations account for every device without knowing that it is shared.
/// [`Machine::of`] reads the devices of an offer, and [`Allocation::resources`] returns the resources of a task.
///
/// # Examples
///
/// ```
/// use apportion::Resources;
/// use apportion::packing::{DeviceDemand, DeviceRequest, Machine};
///
/// let offered: Resources = "cpus:16;mem:4096;gpu0:0.5;gpu1:1".parse()?;
/// let mut machine = Machine::of(&offered, "gpu")?.model("T4");
/// let demand = DeviceDemand::new("4".parse()?, "1024".parse()?).devices(DeviceRequest::new(1, 400)?);
///
/// let device = machine.tightest_device(demand.devices);
/// let allocation = machine.allocate(&demand, device).expect("it fits");
/// assert_eq!(machine.devices(), [100, 1000]);
/// assert_eq!(allocation.resources("gpu"), "cpus:4;mem:1024;gpu0:0.4".parse()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Machine {
    cpus: Scalar,
    mem: Scalar,
    devices: SmallVec<[u32; 8]>,
    model: Option<Text>,
    request_kinds: SmallVec<[DeviceRequest; 4]>,
}

/// The resources allocated to a task on a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Allocation {
    /// The cpus.
    pub cpus: Scalar,
    /// The memory.
    pub mem: Scalar,
    devices: SmallVec<[usize; 8]>,
    /// The thousandths of each device.
    pub each: u32,
}

impl Allocation {
    /// Returns the indices of the devices.
    #[must_use]
    pub fn devices(&self) -> &[usize] {
        &self.devices
    }
}

/// A resource that is named like a device but is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// More than one device under one name, or a value that is not a scalar.
    #[error("{name} is {found}: expected a device, which is 0 to 1")]
    NotADevice {
        /// The name of the resource.
        name: Text,
        /// The value or its type.
        found: String,
    },
    /// A device index that is too large.
    #[error("{name} is out of range: a machine has at most {max} devices, from 0 on", max = DeviceRequest::MAX_DEVICES)]
    OutOfRange {
        /// The name of the resource.
        name: Text,
    },
}

impl Machine {
    /// Makes a machine with that many devices, all of them idle, and at most [`DeviceRequest::MAX_DEVICES`].
    #[must_use]
    pub fn new(cpus: Scalar, mem: Scalar, devices: u32) -> Self {
        let devices = smallvec![WHOLE; devices.min(DeviceRequest::MAX_DEVICES) as usize];
        Self { cpus, mem, devices, model: None, request_kinds: SmallVec::new() }
    }

    /// Reads the resources of an offer: `cpus`, `mem`, and the devices `PREFIX0`, `PREFIX1` and so on. A device that is
    /// not in the offer has nothing left. Reserved and unreserved amounts are added up.
    ///
    /// # Errors
    ///
    /// [`DeviceError`] if a device is not a scalar, is more than 1, or has an index out of range.
    pub fn of(resources: &Resources, prefix: &str) -> Result<Self, DeviceError> {
        let mut machine = Self::new(resources.amount("cpus"), resources.amount("mem"), 0);
        for resource in resources.iter() {
            let number = resource.name().strip_prefix(prefix).filter(|digits| is_canonical_index(digits));
            let Some(number) = number else { continue };
            let name = || Text::from(resource.name());
            let number = number.parse().ok().filter(|number| *number < DeviceRequest::MAX_DEVICES as usize);
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

    /// Sets the model of the devices.
    #[must_use]
    pub fn model(mut self, model: impl Into<Text>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// Returns the cpus left.
    #[must_use]
    pub const fn cpus(&self) -> Scalar {
        self.cpus
    }

    /// Returns the memory left.
    #[must_use]
    pub const fn mem(&self) -> Scalar {
        self.mem
    }

    /// Returns what is left of each device, in thousandths.
    #[must_use]
    pub fn devices(&self) -> &[u32] {
        &self.devices
    }

    /// Returns the model of the devices, if it is known.
    #[must_use]
    pub fn device_model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// Returns the distinct kinds of device request allocated here so far, in order of arrival: [`DeviceRequest::PART`]
    /// for any part of a device, whole devices as requested.
    #[must_use]
    pub fn request_kinds(&self) -> &[DeviceRequest] {
        &self.request_kinds
    }

    /// Returns the device capacity left, summed over the devices, in thousandths.
    #[must_use]
    pub fn free(&self) -> u64 {
        self.devices.iter().map(|left| u64::from(*left)).sum()
    }

    /// Returns the number of idle devices.
    #[must_use]
    pub fn whole_devices(&self) -> usize {
        self.devices.iter().filter(|left| **left == WHOLE).count()
    }

    /// Returns true if the demand fits.
    #[must_use]
    pub fn fits(&self, demand: &DeviceDemand) -> bool {
        self.cpus >= demand.cpus
            && self.mem >= demand.mem
            && self.has_devices(demand.devices)
            && demand.accepts(self.model.as_deref())
    }

    /// Returns true if the devices have room for the request.
    #[must_use]
    pub fn has_devices(&self, request: DeviceRequest) -> bool {
        let count = self.devices.iter().filter(|left| **left >= request.each()).count();
        request.is_none() || count >= request.count() as usize
    }

    /// Returns the device with the least left that has room for a part of a device (best fit); ties go to the first.
    #[must_use]
    pub fn tightest_device(&self, request: DeviceRequest) -> Option<usize> {
        let fitting = self.devices.iter().enumerate().filter(|(_, left)| **left >= request.each());
        fitting.min_by_key(|(_, left)| **left).map(|(device, _)| device)
    }

    /// Allocates a demand: a part of a device from `device`, whole devices from the first idle ones. Returns `None`,
    /// and leaves the machine unchanged, if the demand does not fit.
    pub fn allocate(&mut self, demand: &DeviceDemand, device: Option<usize>) -> Option<Allocation> {
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
        if !request.is_none() && !self.request_kinds.contains(&kind) {
            self.request_kinds.push(kind);
        }
        Some(Allocation { cpus: demand.cpus, mem: demand.mem, devices, each: request.each() })
    }

    /// Returns the machine after the allocation of a demand; unchanged if the demand does not fit.
    #[must_use]
    pub fn after(&self, demand: &DeviceDemand, device: Option<usize>) -> Self {
        let mut after = self.clone();
        after.allocate(demand, device);
        after
    }
}

/// Returns true for a decimal number without leading zeros: `gpu07` is not another name of `gpu7`.
fn is_canonical_index(digits: &str) -> bool {
    let has_no_leading_zero = digits == "0" || !digits.is_empty() && !digits.starts_with('0');
    has_no_leading_zero && digits.bytes().all(|digit| digit.is_ascii_digit())
}

impl Allocation {
    /// Returns the allocation as unreserved resources of an agent: `cpus`, `mem`, and the devices `PREFIX0`, `PREFIX1`
    /// and so on.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "distinct names, and no more than a machine had")]
    pub fn resources(&self, prefix: &str) -> Resources {
        let cpus_and_mem = Resources::builder().scalar("cpus", self.cpus).scalar("mem", self.mem);
        let each = Scalar::milli(u64::from(self.each));
        let name = |device: &usize| Text::from_display(format_args!("{prefix}{device}"));
        let all = self.devices.iter().fold(cpus_and_mem, |all, device| all.scalar(name(device), each));
        all.build().expect("names and amounts were those of a machine")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(cpus: u64, count: u64, each: u64) -> DeviceDemand {
        DeviceDemand::new(Scalar::units(cpus), Scalar::units(1)).devices(DeviceRequest::new(count, each).unwrap())
    }

    #[test]
    fn parts_of_several_devices_do_not_make_a_whole() {
        let mut machine = Machine::new(Scalar::units(8), Scalar::units(8), 2);
        machine.allocate(&demand(1, 1, 500), Some(0)).unwrap();
        machine.allocate(&demand(1, 1, 500), Some(1)).unwrap();
        assert_eq!(machine.free(), 1000);
        assert!(!machine.fits(&demand(1, 1, 1000)) && machine.fits(&demand(1, 1, 500)));
    }

    #[test]
    fn whole_devices_are_the_first_idle_ones() {
        let mut machine = Machine::new(Scalar::units(8), Scalar::units(8), 4);
        machine.allocate(&demand(1, 1, 1), Some(1)).unwrap();
        let allocation = machine.allocate(&demand(1, 2, 1000), None).unwrap();
        assert_eq!(allocation.devices[..], [0, 2]);
        assert_eq!(machine.devices(), [0, 999, 0, 1000]);
        assert_eq!(machine.request_kinds(), [DeviceRequest::PART, DeviceRequest::new(2, 1000).unwrap()]);
    }

    #[test]
    fn a_demand_that_does_not_fit_changes_nothing() {
        let machine = Machine::new(Scalar::units(4), Scalar::units(1), 2).model("T4");
        let too_much = [
            (demand(5, 0, 0), None),
            (demand(1, 3, 1000), None),
            (demand(1, 1, 500), None),
            (demand(1, 1, 500), Some(2)),
            (demand(1, 1, 1000).model("G2"), None),
            (DeviceDemand::new(Scalar::ZERO, Scalar::units(2)), None),
        ];
        for (demand, device) in too_much {
            let mut after = machine.clone();
            assert_eq!(after.allocate(&demand, device), None, "{demand:?}");
            assert_eq!(after, machine);
        }
    }

    #[test]
    fn the_allocation_is_a_part_of_the_offer() {
        let offered: Resources = "cpus:4;gpu0:0.25;gpu02:0.5;gpu2:1;gpus:7;mem:8;ports:[1-9]".parse().unwrap();
        let mut machine = Machine::of(&offered, "gpu").unwrap();
        assert_eq!(machine.devices(), [250, 0, 1000]);
        let demand = demand(1, 1, 250);
        let allocation = machine.allocate(&demand, machine.tightest_device(demand.devices)).unwrap();
        let rest = offered.checked_sub(&allocation.resources("gpu")).unwrap();
        assert_eq!(Machine::of(&rest, "gpu").unwrap().devices(), [0, 0, 1000]);
    }

    #[test]
    fn resources_that_are_not_devices_are_errors() {
        let error = |text: &str| Machine::of(&text.parse().unwrap(), "gpu").unwrap_err().to_string();
        assert_eq!(error("gpu1:2"), "gpu1 is 2: expected a device, which is 0 to 1");
        assert_eq!(error("gpu1:[0-1]"), "gpu1 is RANGES: expected a device, which is 0 to 1");
        assert_eq!(error("gpu256:1"), "gpu256 is out of range: a machine has at most 256 devices, from 0 on");
        assert!(error("gpu99999999999999999999:1").contains("out of range"));
    }
}
