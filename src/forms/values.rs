//! serde for what a master is given, in the forms of the journal.

use super::decode::{ValueError, add_agent, one_resource, read_operation, read_task, span};
use super::encode::{write_accept, write_status, write_task, write_window};
use super::raw::{
    AddAgent, Configure, LoneAccept, LoneStatus, RawCommand, RawDrain, RawFramework, RawOperation, RawTask,
    RawUnavailability, own,
};
use crate::agent::{Agent, Unavailability};
use crate::framework::Framework;
use crate::id::FrameworkId;
use crate::json::Number;
use crate::master::{Command, Config, Drain, Registration};
use crate::offer::{Accept, Operation};
use crate::resources::{Resource, Written};
use crate::task::{Task, TaskStatus};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Implements serde for a type by a form of the journal, and functions to and from that.
macro_rules! by_form {
    ($type:ty, $form:ty, $write:expr, $read:expr) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let write: fn(&Self) -> $form = $write;
                write(self).serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let read: fn($form) -> Result<Self, ValueError> = $read;
                read(<$form>::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }
    };
}

by_form!(Command, RawCommand, |command| command.into(), |form| form.try_into());
by_form!(Config, Configure, |config| config.into(), |form| form.try_into());
by_form!(Registration, AddAgent, |registration| registration.into(), add_agent);
by_form!(Operation, RawOperation, |operation| operation.into(), |form| read_operation(form, true));
by_form!(Unavailability, RawUnavailability, |window| write_window(*window), |form| form.try_into());
by_form!(Accept, LoneAccept, |accept| write_accept(nobody(), accept).into(), |form| form.of(nobody()).try_into());
by_form!(TaskStatus, LoneStatus, |status| write_status(&nobody(), status).into(), |form| form.of(nobody()).try_into());
by_form!(Task, RawTask, |task| write_task(task), |form| read_task(form, true));
by_form!(Resource, Written, |resource| Written::one(resource), |form| one_resource(form).map(|resource| *resource));
by_form!(
    Drain,
    RawDrain,
    |drain| RawDrain {
        max_grace_period: drain.max_grace_period.map(Number::from),
        mark_gone: drain.mark_gone.then_some(true),
    },
    |form| Ok(Drain {
        max_grace_period: form.max_grace_period.map(span).transpose()?,
        mark_gone: form.mark_gone.unwrap_or(false),
    })
);

/// The framework of what is written without one.
fn nobody() -> FrameworkId {
    FrameworkId::new("")
}

/// An agent alone: its registration without what runs on it.
impl Serialize for Agent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        AddAgent::of(self, &[], &[]).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Agent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let form = AddAgent::deserialize(deserializer)?;
        match (&form.tasks, &form.executors) {
            (Some(_), _) => return Err(D::Error::unknown_field("tasks", &[])),
            (_, Some(_)) => return Err(D::Error::unknown_field("executors", &[])),
            (None, None) => {}
        }
        add_agent(form).map(|registration| registration.agent).map_err(D::Error::custom)
    }
}

impl Serialize for Framework {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawFramework::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Framework {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        own(deserializer).and_then(|form| Self::try_from(*form).map_err(D::Error::custom))
    }
}
