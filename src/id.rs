//! Identifiers: a newtype for each kind, so that the compiler keeps them apart.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(SmolStr);

        impl $name {
            /// Makes an id from any text. Texts of up to 23 bytes are stored inline.
            pub fn new(id: impl Into<SmolStr>) -> Self {
                Self(id.into())
            }

            /// Returns the id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self::new(id)
            }
        }

        impl From<String> for $name {
            fn from(id: String) -> Self {
                Self::new(id)
            }
        }
    };
}

id! {
    /// The id of an agent: a machine that has resources.
    AgentId
}
id! {
    /// The id of a framework: a custom scheduler that receives offers.
    FrameworkId
}
id! {
    /// The id of an offer. The [`Master`](crate::Master) of this crate numbers offers `O1`, `O2`, ...; a Mesos master
    /// may use any text.
    OfferId
}
id! {
    /// The id of a task, unique within its framework.
    TaskId
}
id! {
    /// The id of an executor: the process that runs tasks of one framework on one agent.
    ExecutorId
}
id! {
    /// The id of an operation for which a framework requests status updates.
    OperationId
}
