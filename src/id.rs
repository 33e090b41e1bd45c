//! The names of things: one newtype for each, so that they cannot be mixed up.

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
            /// Names something. Any text will do; short ones are kept inline.
            pub fn new(id: impl Into<SmolStr>) -> Self {
                Self(id.into())
            }

            /// The text of the id.
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
    /// Names an agent: a machine that has resources.
    AgentId
}
id! {
    /// Names a framework: a custom scheduler that receives offers.
    FrameworkId
}
id! {
    /// Names an offer. Our own master counts them `O1`, `O2`, ...; another master may use any text.
    OfferId
}
id! {
    /// Names a task within its framework.
    TaskId
}
id! {
    /// Names an executor: what runs tasks of one framework on one agent.
    ExecutorId
}
id! {
    /// Names an operation of which a framework wants to hear how it went.
    OperationId
}
