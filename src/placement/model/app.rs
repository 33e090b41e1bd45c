//! [`App`]: what is to run, how many times, and where it may.

use super::fitness::TaskRequest;
use super::ports::PortRequest;
use super::spread::Spread;
use super::strategy::Strategy;
use super::version::Version;
use super::volume::VolumeRequest;
use crate::constraint::{Clause, Condition, Field, Preference};
use crate::resources::Scalar;
use crate::role::Role;
use smol_str::{SmolStr, format_smolstr};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An app as Marathon has it: a number of instances that are alike, and where they may run.
///
/// It is read from an app's JSON ([`App::from_json`], or `parse` for text), or built.
///
/// # Examples
///
/// ```
/// use apportion::Scalar;
/// use apportion::constraint::Condition;
/// use apportion::placement::App;
///
/// let written: App = r#"{"id": "redis", "instances": "2", "cpus": "0.25", "memory": "256",
///                        "constraints": [["hostname", "UNIQUE"]]}"#.parse()?;
/// assert_eq!(written.id, "/redis");
/// assert_eq!(written.mem, Scalar::units(256));
///
/// let unique: Condition = "hostname UNIQUE".parse()?;
/// let built = App::new("redis").instances(2).cpus(Scalar::milli(250)).require(unique);
/// assert_eq!(built.require[0].to_string(), written.require[0].to_string());
///
/// let error = r#"{"id": "redis", "constraints": [["hostname", "UNIQE"]]}"#.parse::<App>().unwrap_err();
/// assert!(error.to_string().starts_with("constraints[0]: \"UNIQE\" is not an operator: expected one of UNIQUE"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct App {
    /// Its id, with a leading `/`.
    pub id: SmolStr,
    /// How many tasks of it are to run.
    pub instances: u64,
    /// What each takes of cpus.
    pub cpus: Scalar,
    /// What each takes of memory, in MB.
    pub mem: Scalar,
    /// What each takes of the root disk, in MB.
    pub disk: Scalar,
    /// What each takes of gpus.
    pub gpus: Scalar,
    /// The ports of each.
    pub ports: Vec<PortRequest>,
    /// The persistent volumes of each.
    pub volumes: Vec<VolumeRequest>,
    /// The role in whose name it runs: it takes offers that are made to that role, and no others.
    pub role: Option<Role>,
    /// The roles of the resources that it takes; none = as the planner has it.
    pub accepted_roles: Option<Vec<Role>>,
    /// Whether it keeps off agents with gpus when it wants none; none = as the planner has it.
    pub gpu_behavior: Option<GpuBehavior>,
    /// The image of its container.
    pub image: Option<SmolStr>,
    /// Its labels.
    pub labels: Arc<BTreeMap<SmolStr, SmolStr>>,
    /// When it was last changed in more than its number of instances: tasks of an older version count for nothing.
    pub changed: Option<Version>,
    /// What must hold where it runs.
    pub require: Vec<Clause>,
    /// What should.
    pub prefer: Vec<Preference>,
    /// How it should be divided over the values of fields.
    pub spread: Vec<Spread>,
    /// Which of the places left is the best; none = as the planner has it.
    pub strategy: Option<Strategy>,
    /// The group that it belongs to: the pending tasks of all apps of a group are launched at once, or none of them is.
    pub group: Option<SmolStr>,
}

/// Whether an app that wants no gpus is placed where there are some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "it is placed there or it is not")]
pub enum GpuBehavior {
    /// It is not: gpus are scarce.
    #[default]
    Restricted,
    /// It may be.
    Unrestricted,
}

impl GpuBehavior {
    /// The behaviour of that name, as Marathon has it.
    pub(in crate::placement) fn by_name(name: &str) -> Option<Self> {
        match name {
            "restricted" => Some(Self::Restricted),
            "unrestricted" => Some(Self::Unrestricted),
            _ => None,
        }
    }
}

impl App {
    /// The most instances that an app may have when it is read.
    pub const MOST_INSTANCES: u64 = 1_000_000;

    /// An app with Marathon's defaults: one instance of 1 cpu and 128 MB, with one dynamic port.
    pub fn new(id: impl AsRef<str>) -> Self {
        Self {
            id: full_id(id.as_ref()),
            instances: 1,
            cpus: Scalar::units(1),
            mem: Scalar::units(128),
            disk: Scalar::ZERO,
            gpus: Scalar::ZERO,
            ports: vec![PortRequest::dynamic()],
            volumes: Vec::new(),
            role: None,
            accepted_roles: None,
            gpu_behavior: None,
            image: None,
            labels: Arc::default(),
            changed: None,
            require: Vec::new(),
            prefer: Vec::new(),
            spread: Vec::new(),
            strategy: None,
            group: None,
        }
    }

    /// The same, with that many instances.
    #[must_use]
    pub fn instances(mut self, instances: u64) -> Self {
        self.instances = instances;
        self
    }

    /// The same, taking so much of cpus.
    #[must_use]
    pub fn cpus(mut self, cpus: Scalar) -> Self {
        self.cpus = cpus;
        self
    }

    /// The same, taking so many MB of memory.
    #[must_use]
    pub fn mem(mut self, mem: Scalar) -> Self {
        self.mem = mem;
        self
    }

    /// The same, with these ports and no others.
    #[must_use]
    pub fn ports(mut self, ports: Vec<PortRequest>) -> Self {
        self.ports = ports;
        self
    }

    /// The same, with one more thing that must hold where it runs.
    #[must_use]
    pub fn require(mut self, clause: impl Into<Clause>) -> Self {
        self.require.push(clause.into());
        self
    }

    /// The same, with one more thing that should hold where it runs.
    #[must_use]
    pub fn prefer(mut self, preference: Preference) -> Self {
        self.prefer.push(preference);
        self
    }

    /// The same, as part of a gang: the pending tasks of all apps of that group are launched at once, or none of them is.
    /// (An app that is the only one of its group is a gang of equal ranks.)
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion::placement::{App, Planner};
    /// use apportion::{Offer, Role};
    ///
    /// let ranks = App::new("ranks").instances(3).ports(vec![]).group("job");
    /// let coordinator = App::new("coordinator").ports(vec![]).group("job");
    /// let offer = |agent: &str, cpus: &str| Offer::new(agent, "f1", Role::default(), agent, cpus.parse().unwrap());
    /// let mut offers = vec![offer("a1", "cpus:2;mem:512"), offer("a2", "cpus:1;mem:512")];
    ///
    /// let plan = Planner::new().plan([&ranks, &coordinator], &[], &offers);
    /// assert!(plan.launches.is_empty()); // three of four would fit
    /// let why = plan.unplaced[0].group.as_ref().unwrap();
    /// assert_eq!(why.to_string(), "group job needs 4 places at once, and found 3");
    ///
    /// offers.push(offer("a3", "cpus:1;mem:128"));
    /// assert_eq!(Planner::new().plan([&ranks, &coordinator], &[], &offers).launches.len(), 4);
    /// ```
    #[must_use]
    pub fn group(mut self, group: impl Into<SmolStr>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// Returns what the app asks for one of its tasks, as a [`Fitness`](super::fitness::Fitness) sees it.
    pub(in crate::placement) fn task_request(&self) -> TaskRequest<'_> {
        TaskRequest {
            id: &self.id,
            instances: self.instances,
            cpus: self.cpus,
            mem: self.mem,
            disk: self.disk,
            gpus: self.gpus,
            ports: &self.ports,
            volumes: &self.volumes,
            role: self.role.as_ref(),
            image: self.image.as_deref(),
            labels: &self.labels,
            group: self.group.as_deref(),
        }
    }

    /// All conditions that must hold where it runs, however deep.
    pub(in crate::placement) fn conditions(&self) -> Vec<&Condition> {
        let mut all = Vec::new();
        self.require.iter().for_each(|clause| clause.conditions(&mut |condition| all.push(condition)));
        all
    }

    /// The fields whose value its tasks share with no later task.
    pub(in crate::placement) fn exclusive(&self) -> Vec<Field> {
        let mut fields = Vec::new();
        let mut each = |condition: &Condition| {
            if condition.operator == crate::constraint::Operator::Exclusive && !fields.contains(&condition.field) {
                fields.push(condition.field.clone());
            }
        };
        self.require.iter().for_each(|clause| clause.required(&mut each));
        fields
    }
}

/// An id with its leading slash.
pub(in crate::placement) fn full_id(id: &str) -> SmolStr {
    if id.starts_with('/') { id.into() } else { format_smolstr!("/{id}") }
}
