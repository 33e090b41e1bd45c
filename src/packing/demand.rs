//! [`DeviceDemand`]: the cpus, memory and devices that a task requests.

use crate::resources::Scalar;
use crate::text::Text;

/// A whole device, in thousandths.
pub const WHOLE: u32 = 1000;

/// A request for devices: none, a part of one, or several whole ones.
///
/// Parts of several devices at once are not supported: no scheduler for shared GPUs that we know of grants them, since
/// tasks that span devices need them whole.
///
/// # Examples
///
/// ```
/// use apportion::packing::DeviceRequest;
///
/// assert_eq!(DeviceRequest::new(1, 460)?.total(), 460);
/// assert_eq!(DeviceRequest::new(8, 1000)?.total(), 8000);
/// assert!(DeviceRequest::new(2, 500).is_err());
/// # Ok::<(), apportion::packing::DeviceRequestError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct DeviceRequest {
    each: u32,
    count: u32,
}

/// A number of devices and thousandths that is not a valid [`DeviceRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error(
    "{count} devices of {each} thousandths each: expected 0 of 0, 1 of 1 to 999, or 1 to {most} of 1000",
    most = DeviceRequest::MAX_DEVICES
)]
pub struct DeviceRequestError {
    /// The number of devices.
    pub count: u64,
    /// The thousandths of each.
    pub each: u64,
}

impl DeviceRequest {
    /// A request for no device.
    pub const NONE: Self = Self { each: 0, count: 0 };
    /// The largest number of devices of one machine.
    pub const MAX_DEVICES: u32 = 256;
    /// The smallest part of a device. [`Machine::request_kinds`](super::Machine::request_kinds) uses it for every part.
    pub const PART: Self = Self { each: 1, count: 1 };

    /// Requests `count` devices, `each` thousandths of each.
    ///
    /// # Errors
    ///
    /// [`DeviceRequestError`] unless the request is for nothing, for a part of one device, or for 1 to
    /// [`MAX_DEVICES`](Self::MAX_DEVICES) whole devices.
    pub fn new(count: u64, each: u64) -> Result<Self, DeviceRequestError> {
        let error = DeviceRequestError { count, each };
        let narrow = |number: u64| u32::try_from(number).map_err(|_| error);
        match (narrow(count)?, narrow(each)?) {
            (0, 0) => Ok(Self::NONE),
            (1, each @ 1..WHOLE) => Ok(Self { each, count: 1 }),
            (count @ 1..=Self::MAX_DEVICES, WHOLE) => Ok(Self { each: WHOLE, count }),
            _ => Err(error),
        }
    }

    /// Returns the number of devices.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.count
    }

    /// Returns the thousandths of each device.
    #[must_use]
    pub const fn each(self) -> u32 {
        self.each
    }

    /// Returns the thousandths over all devices.
    #[must_use]
    pub fn total(self) -> u64 {
        u64::from(self.count) * u64::from(self.each)
    }

    /// Returns true if the request is for no device.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.count == 0
    }

    /// Returns true if the request is for a part of one device; other tasks may use the rest of it.
    #[must_use]
    pub const fn is_part(self) -> bool {
        0 < self.each && self.each < WHOLE
    }

    /// Returns the kind of the request: [`DeviceRequest::PART`] for any part of a device, else the request itself.
    pub(super) const fn kind(self) -> Self {
        if self.is_part() { Self::PART } else { self }
    }
}

/// The cpus, memory and devices that a task requests, and the device models that it can run on.
///
/// # Examples
///
/// ```
/// use apportion::Scalar;
/// use apportion::packing::{DeviceDemand, DeviceRequest};
///
/// let inference = DeviceDemand::new(Scalar::units(4), Scalar::units(8192)).devices(DeviceRequest::new(1, 320)?).model("T4");
/// assert!(inference.accepts(Some("T4")) && !inference.accepts(Some("V100")));
/// # Ok::<(), apportion::packing::DeviceRequestError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct DeviceDemand {
    /// The cpus.
    pub cpus: Scalar,
    /// The memory, in the unit that the machines use.
    pub mem: Scalar,
    /// The devices.
    pub devices: DeviceRequest,
    /// The device models that the task can run on; empty for any model.
    pub models: Vec<Text>,
}

impl DeviceDemand {
    /// Requests cpus and memory, no device, and accepts any model.
    #[must_use]
    pub const fn new(cpus: Scalar, mem: Scalar) -> Self {
        Self { cpus, mem, devices: DeviceRequest::NONE, models: Vec::new() }
    }

    /// Requests these devices.
    #[must_use]
    pub const fn devices(mut self, devices: DeviceRequest) -> Self {
        self.devices = devices;
        self
    }

    /// Accepts devices of this model too; once one model is named, no other is accepted.
    #[must_use]
    pub fn model(mut self, model: impl Into<Text>) -> Self {
        self.models.push(model.into());
        self
    }

    /// Returns true if the task can run on devices of that model. A demand without devices accepts every model.
    #[must_use]
    pub fn accepts(&self, model: Option<&str>) -> bool {
        self.devices.is_none() || self.models.is_empty() || self.models.iter().any(|accepted| model == Some(accepted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_for_nothing_a_part_or_whole_devices() {
        for (count, each) in [(0, 0), (1, 1), (1, 999), (1, 1000), (256, 1000)] {
            let request = DeviceRequest::new(count, each).unwrap();
            assert_eq!(request.total(), count * each);
            assert_eq!(request.is_part(), (1..1000).contains(&each));
        }
        for (count, each) in [(0, 1), (1, 0), (1, 1001), (2, 500), (257, 1000), (u64::MAX, 1000), (1, u64::MAX)] {
            assert_eq!(DeviceRequest::new(count, each), Err(DeviceRequestError { count, each }));
        }
    }

    #[test]
    fn without_devices_no_model_matters() {
        let demand = DeviceDemand::new(Scalar::units(1), Scalar::ZERO).model("T4");
        assert!(demand.accepts(None));
        let demand = demand.devices(DeviceRequest::new(1, 1000).unwrap());
        assert!(!demand.accepts(None));
        assert!(demand.model("G2").accepts(Some("G2")));
    }
}
