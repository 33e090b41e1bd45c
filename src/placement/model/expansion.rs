//! [`Expansion`]: what would have to be added for all instances that wait, counted by kind.

use crate::resources::Scalar;
use crate::text::Text;
use serde::{Serialize, Serializer};
use std::fmt;

/// What would have to be added for all instances of an app that wait: the question of an autoscaler.
///
/// It is found by trying: the nearest miss is granted, as often as the next instances need it, until all of them fit. So it
/// is enough; another choice of kinds may be cheaper. None is looked for where more than 10,000 instances wait.
///
/// In JSON: a list of texts, `["3 more hosts with rack:r2", "12 cpus"]`.
///
/// # Examples
///
/// ```
/// use apportion::placement::Problem;
///
/// let problem: Problem = r#"{
///     "app": {"id": "web", "instances": 4, "constraints": [["hostname", "UNIQUE"], ["rack", "IS", "r2"]]},
///     "offers": [{"id": "o1", "hostname": "h1", "attributes": "rack:r2", "resources": "cpus:4;mem:512;ports:[1-9]"}]
/// }"#.parse()?;
/// let mut plan = problem.solve();
/// problem.expand(&mut plan);
/// assert_eq!(plan.unplaced[0].expansion.as_ref().unwrap().to_string(), "3 more hosts with rack:r2");
/// # Ok::<(), apportion::placement::TextError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Expansion {
    /// The additions, all of which are needed.
    pub additions: Vec<Addition>,
}

/// A number of things of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Addition {
    /// More hosts, with these values and amounts beside those of the hosts that there are.
    Hosts {
        /// Their number.
        count: u64,
        /// What is particular about them: `rack:r2`.
        with: Vec<Text>,
    },
    /// More of an amount, on hosts that there are.
    Amount {
        /// `cpus`, `mem`, `disk`, `gpus` or `ports`.
        name: &'static str,
        /// The amount.
        amount: Scalar,
    },
}

impl fmt::Display for Addition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hosts { count, with } => {
                write!(f, "{count} more host{}", if *count == 1 { "" } else { "s" })?;
                for (i, one) in with.iter().enumerate() {
                    write!(f, "{}{one}", if i == 0 { " with " } else { " and " })?;
                }
                Ok(())
            }
            Self::Amount { name, amount } => write!(f, "{amount} {name}"),
        }
    }
}

impl fmt::Display for Expansion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, addition) in self.additions.iter().enumerate() {
            write!(f, "{}{addition}", if i == 0 { "" } else { " and " })?;
        }
        Ok(())
    }
}

impl Serialize for Expansion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.additions.iter().map(Addition::to_string))
    }
}
