//! [`Shortfall`]: a request that exceeds the available resources.

use super::Resource;
use std::fmt;

/// The first resource of a request that exceeds what is available, with the resources that are available.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("{asked} was asked for, {} is available", Available(.available))]
pub struct Shortfall {
    /// The requested resource.
    pub asked: Resource,
    /// The available resources that would have counted: of the same name and kind, or for
    /// [`Resources::take`](super::Resources::take) those that the role may take.
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
