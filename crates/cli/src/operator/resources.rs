//! Resources of answers, as far as tables show them.

use apportion::{Quantities, Scalar};
use serde::Deserialize;

/// A resource of Mesos' v1 API.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Resource {
    name: String,
    scalar: Option<Amount>,
}

/// A scalar: `{"value": 4.0}`.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Amount {
    pub(crate) value: f64,
}

impl Amount {
    /// Returns the amount, rounded to thousandths; 0 where it is none.
    pub(crate) fn scalar(self) -> Scalar {
        Scalar::try_from_f64(self.value).unwrap_or_default()
    }
}

/// Returns the sums of all scalars by name.
pub(crate) fn sum(resources: &[Resource]) -> Quantities {
    let mut sum = Quantities::new();
    for resource in resources {
        if let Some(amount) = resource.scalar {
            sum.add(&resource.name, amount.scalar());
        }
    }
    sum
}

/// The resources that tables have a column for, with its head.
pub(crate) const SHOWN: [(&str, &str); 4] = [("cpus", "CPUS"), ("mem", "MEM"), ("disk", "DISK"), ("gpus", "GPUS")];

/// Returns the columns for these amounts: cpus and mem always, the others if one of the rows has some.
pub(crate) fn shown<'a>(rows: impl Iterator<Item = &'a Quantities> + Clone) -> Vec<(&'static str, &'static str)> {
    let has = |name: &str| rows.clone().any(|amounts| !amounts.amount(name).is_zero());
    SHOWN.into_iter().filter(|(name, _)| matches!(*name, "cpus" | "mem") || has(name)).collect()
}
