//! serde of a field by its v1 JSON: `#[serde(with = "apportion::v1::part")]`.
//!
//! Some values have two forms in JSON: the short one of the [journal](crate::journal), which is their serde form, and that of v1.
//! Programs that send values in messages of their own, or store them, write the latter with this module: it keeps all fields, those
//! that the library does not interpret as well, in the default [`Dialect`].
//!
//! # Examples
//!
//! ```
//! use apportion::{Task, TaskStatus, TaskState};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! struct Stored {
//!     #[serde(with = "apportion::v1::part")]
//!     task: Task,
//!     #[serde(with = "apportion::v1::part")]
//!     updates: Vec<TaskStatus>,
//! }
//!
//! let task = Task::new("t1", "cpus:1".parse()?).detail("labels", serde_json::json!({"labels": [{"key": "k"}]}));
//! let stored = Stored { task, updates: vec![TaskStatus::new("t1", TaskState::Running)] };
//! let json = serde_json::to_string(&stored)?;
//! assert!(json.contains(r#""updates":[{"task_id":{"value":"t1"},"state":"TASK_RUNNING"}]"#), "{json}");
//! assert_eq!(serde_json::from_str::<Stored>(&json)?, stored);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::executor::write_task;
use super::framework::FrameworkInfo;
use super::offer::AgentInfo;
use super::operation::{WireOperation, read_lone, write_lone};
use super::task::{TaskInfo, WireStatus};
use super::{Dialect, V1Error};
use crate::agent::Agent;
use crate::framework::Framework;
use crate::json::{Json, read_lenient};
use crate::offer::Operation;
use crate::resources::Resources;
use crate::resources::v1::V1Resource;
use crate::task::{Task, TaskStatus};
use crate::v1::WrittenResources;
use crate::v1::wire::read_resources;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Writes a value, a list of values, or one that may be missing, as v1 JSON.
///
/// # Errors
///
/// Those of the serializer.
pub fn serialize<P: Part, S: Serializer>(part: &P, serializer: S) -> Result<S::Ok, S::Error> {
    part.write(serializer)
}

/// Reads a value, a list of values, or one that may be missing, from v1 JSON.
///
/// # Errors
///
/// Those of the deserializer, and a [`V1Error`] as its text.
pub fn deserialize<'de, P: Part, D: Deserializer<'de>>(deserializer: D) -> Result<P, D::Error> {
    P::read(deserializer)
}

/// A value that has a form in v1 JSON: [`Task`], [`TaskStatus`], [`Framework`], [`Agent`], [`Operation`], [`Resources`], a `Vec` or
/// an `Option` of such. This trait is sealed.
pub trait Part: Sized + sealed::Sealed {
    #[doc(hidden)]
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;

    #[doc(hidden)]
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

mod sealed {
    #[expect(unnameable_types, reason = "a trait that nobody can name seals Part")]
    pub trait Sealed {}
}

/// Implements [`Part`] for a type by its wire type and the functions to and from that.
macro_rules! part {
    ($type:ty, $wire:ty, $write:expr, $read:expr) => {
        impl sealed::Sealed for $type {}

        impl Part for $type {
            fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let write: fn(&Self) -> $wire = $write;
                write(self).serialize(serializer)
            }

            fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let read: fn($wire) -> Result<Self, V1Error> = $read;
                let json = Json::deserialize(deserializer)?;
                let wire = read_lenient::<$wire>(json.view()).map_err(V1Error::from);
                wire.and_then(read).map_err(de::Error::custom)
            }
        }
    };
}
part!(Task, TaskInfo, |task| write_task(task, &Dialect::default()), TaskInfo::read);
part!(TaskStatus, WireStatus, |status| status.into(), |wire| Ok(wire.into()));
part!(Framework, FrameworkInfo, |framework| framework.into(), FrameworkInfo::read);
part!(Agent, AgentInfo, |agent| agent.into(), AgentInfo::read);
part!(Operation, WireOperation, write_lone, read_lone);

impl sealed::Sealed for Resources {}

impl Part for Resources {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        WrittenResources::new(self).serialize(serializer)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Json::deserialize(deserializer)?;
        let objects = read_lenient::<Vec<V1Resource>>(json.view()).map_err(V1Error::from);
        let read = objects.and_then(|objects| Ok(read_resources(objects)?.0));
        read.map_err(de::Error::custom)
    }
}

/// One element of a list, or the value of an option.
struct Element<P>(P);

impl<P: Part> Serialize for Element<&P> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write(serializer)
    }
}

impl<'de, P: Part> Deserialize<'de> for Element<P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        P::read(deserializer).map(Self)
    }
}

impl<P: Part> sealed::Sealed for Vec<P> {}

impl<P: Part> Part for Vec<P> {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Element))
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let elements = Vec::<Element<P>>::deserialize(deserializer)?;
        Ok(elements.into_iter().map(|element| element.0).collect())
    }
}

impl<P: Part> sealed::Sealed for Option<P> {}

impl<P: Part> Part for Option<P> {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_ref().map(Element).serialize(serializer)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<Element<P>>::deserialize(deserializer)?.map(|element| element.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;
    use crate::role::Role;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct All {
        #[serde(with = "super")]
        agent: Agent,
        #[serde(with = "super")]
        framework: Framework,
        #[serde(with = "super")]
        tasks: Vec<Task>,
        #[serde(with = "super")]
        operation: Option<Operation>,
        #[serde(with = "super")]
        resources: Resources,
    }

    #[test]
    fn parts_come_back_as_they_were() {
        let role: Role = "web".parse().unwrap();
        let mut task = Task::new("t1", "cpus:1.5;ports:[1-2]".parse().unwrap()).detail("data", "AAE=");
        (task.role, task.agent) = (Some(role.clone()), Some("a1".into()));
        let reserved: Resources = "cpus(web):1".parse().unwrap();
        let all = All {
            agent: Agent::new("a1", "cpus:4;mem(web):64".parse().unwrap())
                .hostname("h")
                .attribute("rack", "r1")
                .domain("r", "z"),
            framework: Framework::new("f1").role(role),
            tasks: vec![task],
            operation: Some(Operation::Reserve(reserved.clone())),
            resources: reserved,
        };
        let text = json::to_string(&all);
        assert_eq!(json::from_str::<All>(&text).unwrap(), all, "{text}");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::from_value::<All>(value).unwrap(), all);
    }

    #[test]
    fn an_agent_that_has_no_id_yet_is_read() {
        let read = |text: &str| serde_json::from_str::<Element<Agent>>(text).map(|element| element.0);
        let agent = read(r#"{"hostname":"h","resources":[]}"#).unwrap();
        assert_eq!((agent.id.as_str(), agent.hostname.as_str()), ("", "h"));
        let error = read(r#"{"hostname":"h","resources":[{"name":"cpus","scalar":{"value":-1}}]}"#).unwrap_err();
        assert!(error.to_string().contains("-1"), "{error}");
    }
}
