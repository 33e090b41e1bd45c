//! [`Demand`]: what a task wants of a machine and of its devices.

use crate::resources::Scalar;
use smol_str::SmolStr;

/// The thousandths of a whole device.
pub const WHOLE: u32 = 1000;

/// How many devices a task wants, and how much of each: none, a part of one, or whole ones.
///
/// Parts of several devices at once are left out: no scheduler for shared GPUs that we know of grants them, since tasks
/// that span devices want them whole.
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

/// A number of devices and thousandths that no task may want.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error(
    "{count} devices of {each} thousandths each: expected 0 of 0, 1 of 1 to 999, or 1 to {most} of 1000",
    most = DeviceRequest::MOST
)]
pub struct DeviceRequestError {
    /// How many devices.
    pub count: u64,
    /// How much of each.
    pub each: u64,
}

impl DeviceRequest {
    /// No device.
    pub const NONE: Self = Self { each: 0, count: 0 };
    /// The most devices of one machine.
    pub const MOST: u32 = 256;
    /// The smallest part of a device; stands for any part where only the kind of request matters.
    pub const PART: Self = Self { each: 1, count: 1 };

    /// So many devices, so many thousandths of each.
    ///
    /// # Errors
    ///
    /// [`DeviceRequestError`] for what is neither nothing, nor a part of one device, nor whole devices.
    pub fn new(count: u64, each: u64) -> Result<Self, DeviceRequestError> {
        let error = DeviceRequestError { count, each };
        let narrow = |number: u64| u32::try_from(number).map_err(|_| error);
        match (narrow(count)?, narrow(each)?) {
            (0, 0) => Ok(Self::NONE),
            (1, each @ 1..WHOLE) => Ok(Self { each, count: 1 }),
            (count @ 1..=Self::MOST, WHOLE) => Ok(Self { each: WHOLE, count }),
            _ => Err(error),
        }
    }

    /// How many devices.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.count
    }

    /// How many thousandths of each.
    #[must_use]
    pub const fn each(self) -> u32 {
        self.each
    }

    /// How many thousandths in all.
    #[must_use]
    pub fn total(self) -> u64 {
        u64::from(self.count) * u64::from(self.each)
    }

    /// Whether it is for nothing.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.count == 0
    }

    /// Whether it is for a part of a device, of which others may have the rest.
    #[must_use]
    pub const fn is_part(self) -> bool {
        0 < self.each && self.each < WHOLE
    }

    /// What kind of request it is: any part of a device is [`DeviceRequest::PART`], whole devices are as they are.
    pub(super) const fn kind(self) -> Self {
        if self.is_part() { Self::PART } else { self }
    }
}

/// What a task wants: cpus, memory, devices, and of which models these may be.
///
/// # Examples
///
/// ```
/// use apportion::Scalar;
/// use apportion::packing::{Demand, DeviceRequest};
///
/// let inference = Demand::new(Scalar::units(4), Scalar::units(8192)).devices(DeviceRequest::new(1, 320)?).model("T4");
/// assert!(inference.accepts(Some("T4")) && !inference.accepts(Some("V100")));
/// # Ok::<(), apportion::packing::DeviceRequestError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct Demand {
    /// Of cpus.
    pub cpus: Scalar,
    /// Of memory, in whichever unit the machines have.
    pub mem: Scalar,
    /// Of devices.
    pub devices: DeviceRequest,
    /// The models of device that will do; none: any.
    pub models: Vec<SmolStr>,
}

impl Demand {
    /// Of cpus and memory only.
    #[must_use]
    pub const fn new(cpus: Scalar, mem: Scalar) -> Self {
        Self { cpus, mem, devices: DeviceRequest::NONE, models: Vec::new() }
    }

    /// The same, with these devices.
    #[must_use]
    pub const fn devices(mut self, devices: DeviceRequest) -> Self {
        self.devices = devices;
        self
    }

    /// The same, with devices of that model too, where so far only others would do.
    #[must_use]
    pub fn model(mut self, model: impl Into<SmolStr>) -> Self {
        self.models.push(model.into());
        self
    }

    /// Whether devices of that model will do. Without devices, any will.
    #[must_use]
    pub fn accepts(&self, model: Option<&str>) -> bool {
        self.devices.is_none() || self.models.is_empty() || self.models.iter().any(|mine| model == Some(mine))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_part_or_whole_devices_may_be_wanted() {
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
        let demand = Demand::new(Scalar::units(1), Scalar::ZERO).model("T4");
        assert!(demand.accepts(None));
        let demand = demand.devices(DeviceRequest::new(1, 1000).unwrap());
        assert!(!demand.accepts(None));
        assert!(demand.model("G2").accepts(Some("G2")));
    }
}
