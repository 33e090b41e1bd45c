//! Online multi-dimensional bin packing for tasks that share devices, such as fractions of a GPU.
//!
//! A [`DeviceDemand`] requests cpus, memory and devices: none, a part of one, or several whole ones. A [`Machine`] records
//! how much of each device is left. A [`Fleet`] places each demand on the machine that a [`DeviceFitness`] scores
//! highest. Of the policies here [`RolloutLoss::fitness`] leaves the least of the devices idle on the openb trace. The
//! others are [`Fragmentation::gradient_descent`] (FGD) and the policies that FGD was evaluated against, [`Baseline`].
//!
//! ```text
//!     demand: 2 cpus, 512 MB, half a device          machine 0        device 0 [######....]  device 1 [..........]
//!          |                                                             its first half is full, half is left
//!          +---> each machine on which it fits: score by DeviceFitness ---> the best one, and which of its devices
//! ```
//!
//! ```
//! use apportion::Scalar;
//! use apportion::packing::{Baseline, DeviceDemand, DeviceRequest, Fleet, Machine};
//!
//! let machines = vec![Machine::new(Scalar::units(16), Scalar::units(4096), 2); 3];
//! let mut fleet = Fleet::new(machines, Baseline::BestFit);
//! let half = DeviceDemand::new(Scalar::units(2), Scalar::units(512)).devices(DeviceRequest::new(1, 500)?);
//! let machines: Vec<usize> = (0..5).filter_map(|_| fleet.place(&half)).map(|placed| placed.machine).collect();
//! assert_eq!(machines, [0, 0, 0, 0, 1]); // two devices of the first machine hold four halves
//! # Ok::<(), apportion::packing::DeviceRequestError>(())
//! ```

mod baseline;
mod demand;
mod fitness;
mod fleet;
mod fragmentation;
mod machine;
mod marginal_loss;
mod rollout;
mod target_workload;

pub use baseline::Baseline;
pub use demand::{DeviceDemand, DeviceRequest, DeviceRequestError, WHOLE};
pub use fitness::{DeviceFitness, Fit};
pub use fleet::{Fleet, PlacedOn};
pub use fragmentation::Fragmentation;
pub use machine::{Allocation, DeviceError, Machine};
pub use marginal_loss::{Loss, MarginalLoss, Scale};
pub use rollout::{RolloutConfig, RolloutLoss};
pub use target_workload::{TargetWorkload, TaskClass};
