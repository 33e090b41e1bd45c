//! [`Shortfall`]: what was asked for and what was there.

use super::Resource;
use std::fmt;

/// More was asked for than there is: the first resource that falls short, and what there is of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("{asked} was asked for, {} is available", Available(.available))]
pub struct Shortfall {
    /// The resource that was asked for.
    pub asked: Resource,
    /// What there is of the same name and kind; several if they are disks or volumes side by side.
    pub available: Vec<Resource>,
}

struct Available<'a>(&'a [Resource]);

impl fmt::Display for Available<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((first, rest)) = self.0.split_first() else { return f.write_str("nothing of it") };
        write!(f, "{first}")?;
        rest.iter().try_for_each(|resource| write!(f, ";{resource}"))
    }
}
