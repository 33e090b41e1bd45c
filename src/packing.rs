//! Packing tasks onto machines with devices that they share: GPUs in thousandths.
//!
//! A [`Demand`] wants cpus, memory, and nothing, a part of one or some whole devices. A [`Machine`] has so much left of
//! each device. A [`Fleet`] serves demands from machines by a [`DeviceFitness`]: [`Outlook::fitness`] packs best, next
//! to it stand [`Fragmentation::gradient_descent`] (FGD) and the fitnesses that it was measured against, [`Baseline`].
//!
//! `cargo run --release --example packing` runs them all on a trace of a real cluster.

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
pub use demand::{Demand, DeviceRequest, DeviceRequestError, WHOLE};
pub use fitness::{DeviceFitness, Fit};
pub use fleet::{Fleet, PlacedOn};
pub use fragmentation::Fragmentation;
pub use machine::{DeviceError, Machine, Taken};
pub use marginal_loss::{Descent, Loss, Scale};
pub use rollout::{Horizon, Outlook};
pub use target_workload::{Class, Mix};
