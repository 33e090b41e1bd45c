//! [`App`]: a number of like tasks to run, and where they may run.

use super::fitness::TaskRequest;
#[cfg(feature = "testing")]
use super::fitness::{Prospect, Usage};
use super::ports::PortRequest;
use super::spread::Spread;
use super::strategy::Strategy;
use super::version::Version;
use super::volume::VolumeRequest;
use crate::constraint::{Clause, Condition, Field, Operator, Preference};
#[cfg(feature = "testing")]
use crate::offer::Offer;
use crate::resources::{Resource, Resources, Scalar, Value};
use crate::role::Role;
use crate::text::Text;
use std::collections::BTreeMap;
use std::sync::Arc;

/// An app as in Marathon: a number of like tasks (instances), and where they may run.
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
/// assert!(error.to_string().starts_with("1:33: constraints[0]: \"UNIQE\" is not an operator: expected one of UNIQUE"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct App {
    /// Its id, with a leading `/`.
    pub id: Text,
    /// The number of tasks that are to run.
    pub instances: u64,
    /// The cpus of each task.
    pub cpus: Scalar,
    /// The memory of each task, in MB.
    pub mem: Scalar,
    /// The root disk of each task, in MB.
    pub disk: Scalar,
    /// The gpus of each task.
    pub gpus: Scalar,
    /// Other resources of each task, as [`Resources::take`] reads them; see [`App::ask`]. They are chosen before the amounts
    /// above, ports and volumes.
    pub ask: Resources,
    /// The ports of each task.
    pub ports: Vec<PortRequest>,
    /// The persistent volumes of each task.
    pub volumes: Vec<VolumeRequest>,
    /// The role that it runs as: it takes only offers made to this role. None: offers to any role.
    pub role: Option<Role>,
    /// The roles whose resources it takes; none = [`Planner::accepted_roles`](super::planner::Planner::accepted_roles).
    pub accepted_roles: Option<Vec<Role>>,
    /// How agents with gpus are treated if it wants none; none =
    /// [`Planner::gpu_behavior`](super::planner::Planner::gpu_behavior).
    pub gpu_behavior: Option<GpuBehavior>,
    /// The image of its container.
    pub image: Option<Text>,
    /// Its labels.
    pub labels: Arc<BTreeMap<Text, Text>>,
    /// The version of its last change other than of `instances`; tasks of an older version will be replaced and do not
    /// count as its tasks.
    pub changed: Option<Version>,
    /// The conditions that must hold where a task runs.
    pub require: Vec<Clause>,
    /// The conditions that should hold where a task runs, each with a weight.
    pub prefer: Vec<Preference>,
    /// How its tasks should be divided over the values of fields.
    pub spread: Vec<Spread>,
    /// How the best of the remaining offers is chosen; none = [`Planner::strategy`](super::planner::Planner::strategy).
    pub strategy: Option<Strategy>,
    /// Its group: the pending tasks of all apps of a group are launched together, or none of them is.
    pub group: Option<Text>,
}

/// How agents with gpus are treated by an app that wants none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "it may be placed there or it may not")]
pub enum GpuBehavior {
    /// Not used: gpus are reserved for apps that want them.
    #[default]
    Restricted,
    /// Used like any other.
    Unrestricted,
}

impl GpuBehavior {
    /// Returns the behaviour of a name, as Marathon writes it.
    pub(in crate::placement) fn by_name(name: &str) -> Option<Self> {
        match name {
            "restricted" => Some(Self::Restricted),
            "unrestricted" => Some(Self::Unrestricted),
            _ => None,
        }
    }
}

impl App {
    /// The largest number of instances that is read from JSON.
    pub const MAX_INSTANCES: u64 = 1_000_000;

    /// Creates an app with Marathon's defaults: one instance of 1 cpu and 128 MB, with one dynamic port, named `default`.
    pub fn new(id: impl AsRef<str>) -> Self {
        Self {
            id: full_id(id.as_ref()),
            instances: 1,
            cpus: Scalar::units(1),
            mem: Scalar::units(128),
            disk: Scalar::ZERO,
            gpus: Scalar::ZERO,
            ask: Resources::new(),
            ports: vec![PortRequest::default()],
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

    /// Sets the number of instances.
    #[must_use]
    pub fn instances(mut self, instances: u64) -> Self {
        self.instances = instances;
        self
    }

    /// Sets the cpus of each task.
    #[must_use]
    pub fn cpus(mut self, cpus: Scalar) -> Self {
        self.cpus = cpus;
        self
    }

    /// Sets the memory of each task, in MB.
    #[must_use]
    pub fn mem(mut self, mem: Scalar) -> Self {
        self.mem = mem;
        self
    }

    /// Sets the resources of each task but its [ports](App::ports): cpus, mem, disk and gpus where they are plain amounts, and
    /// all others in place of those asked for before. Another resource is an amount, `licenses:3`, a number of members, or members by name, `zones:{a}`; it
    /// is taken as [`Resources::take`] does, of the roles that the app accepts.
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion::placement::{App, Planner};
    /// use apportion::{Offer, Role};
    ///
    /// let app = App::new("solver").ask("cpus:2;licenses:3".parse()?).pick("gpu_names", 1).ports(vec![]);
    /// let offered = "cpus:4;mem:512;licenses:5;gpu_names:{g0,g1}".parse()?;
    /// let offer = Offer::new("O1", "f1", Role::default(), "a1", offered);
    /// let plan = Planner::new().plan([&app], &[], &[offer.clone()]);
    /// assert_eq!(plan.launches[0].resources.to_string(), "cpus:2;gpu_names:{g0};licenses:3;mem:128");
    ///
    /// let plan = Planner::new().plan([&app.instances(2)], &[], &[offer]);
    /// assert_eq!(plan.unplaced[0].reasons[0].barrier.to_string(), "licenses:3 was asked for, licenses:2 is available");
    /// assert_eq!(plan.unplaced[0].near_miss.as_ref().unwrap().to_string(), "1 more licenses on a1");
    /// # Ok::<(), apportion::ResourceError>(())
    /// ```
    #[must_use]
    pub fn ask(mut self, resources: Resources) -> Self {
        let mut others = Vec::new();
        for resource in resources {
            match (resource.name(), resource.scalar().filter(|_| resource.kind().is_none())) {
                ("cpus", Some(amount)) => self.cpus = amount,
                ("mem", Some(amount)) => self.mem = amount,
                ("disk", Some(amount)) => self.disk = amount,
                ("gpus", Some(amount)) => self.gpus = amount,
                _ => others.push(resource),
            }
        }
        self.ask = Resources::from_sorted(others);
        self
    }

    /// Asks for any `count` members of a set or of ranges, for each task, in place of what was asked of that name before.
    #[must_use]
    pub fn pick(mut self, name: impl Into<Text>, count: u32) -> Self {
        let any = Resource::new(name, Value::Scalar(count.into()));
        self.ask = self.ask.filter(|resource| resource.name() != any.name());
        let inserted = self.ask.try_insert(any);
        debug_assert!(inserted.is_ok(), "nothing has this name, and a u32 is no large amount");
        self
    }

    /// Sets the ports of each task.
    #[must_use]
    pub fn ports(mut self, ports: Vec<PortRequest>) -> Self {
        self.ports = ports;
        self
    }

    /// Adds a condition that must hold where a task runs.
    #[must_use]
    pub fn require(mut self, clause: impl Into<Clause>) -> Self {
        self.require.push(clause.into());
        self
    }

    /// Adds a condition that should hold where a task runs.
    #[must_use]
    pub fn prefer(mut self, preference: Preference) -> Self {
        self.prefer.push(preference);
        self
    }

    /// Makes the app part of a gang: the pending tasks of all apps of the group are launched together, or none of them
    /// is. (A group of one app is a gang of equal ranks.)
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
    pub fn group(mut self, group: impl Into<Text>) -> Self {
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
            ask: &self.ask,
            ports: &self.ports,
            volumes: &self.volumes,
            role: self.role.as_ref(),
            image: self.image.as_deref(),
            labels: &self.labels,
            group: self.group.as_deref(),
        }
    }

    /// Calls `score` with a prospect of one of its tasks: on a host with so many tasks of a cpu and 64 MB each.
    #[cfg(feature = "testing")]
    pub(crate) fn with_prospect<T>(
        &self,
        offer: &Offer,
        left: &Resources,
        tasks: u32,
        draw: f64,
        score: impl FnOnce(&Prospect<'_>) -> T,
    ) -> T {
        let mut used = Usage::default();
        for _ in 0..tasks {
            used.add(Scalar::units(1), Scalar::units(64));
        }
        score(&Prospect { app: &self.task_request(), offer, left, used, draw })
    }

    /// Returns true if its tasks use gpus: an amount, or anything of that name.
    pub(in crate::placement) fn wants_gpus(&self) -> bool {
        !self.gpus.is_zero() || self.ask.iter().any(|resource| resource.name() == "gpus")
    }

    /// Returns all conditions in the required clauses, however deep.
    pub(in crate::placement) fn conditions(&self) -> Vec<&Condition> {
        let mut all = Vec::new();
        self.require.iter().for_each(|clause| clause.conditions(&mut |condition| all.push(condition)));
        all
    }

    /// Returns the fields whose value its tasks share with no later task: those of a required `EXCLUSIVE`.
    pub(in crate::placement) fn exclusive(&self) -> Vec<Field> {
        let mut fields = Vec::new();
        let mut add = |condition: &Condition| {
            if condition.operator == Operator::Exclusive && !fields.contains(&condition.field) {
                fields.push(condition.field.clone());
            }
        };
        self.require.iter().for_each(|clause| clause.required(&mut add));
        fields
    }
}

/// Returns an id with its leading slash.
pub(in crate::placement) fn full_id(id: &str) -> Text {
    if id.starts_with('/') { id.into() } else { Text::from_display(format_args!("/{id}")) }
}
