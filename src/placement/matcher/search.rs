//! [`Search`]: what one app looks for, worked out once for all its instances.

use crate::constraint::{Clause, Condition, Field, Operator};
use crate::placement::model::app::{App, GpuBehavior};
use crate::placement::model::fitness::TaskRequest;
use crate::placement::model::planner::Planner;
use crate::placement::model::ports::PortRequest;
use crate::placement::model::spread::Spread;
use crate::placement::model::strategy::Strategy;
use crate::resources::{Resource, Resources, Scalar};
use crate::role::Role;
use smallvec::SmallVec;
use smol_str::{SmolStr, ToSmolStr};
use std::sync::Arc;

/// What an app looks for in offers.
#[derive(Debug)]
pub(super) struct Search<'a> {
    pub(super) app: &'a App,
    /// What a fitness sees of the app.
    pub(super) request: TaskRequest<'a>,
    /// The number of the app among those that are planned.
    pub(super) number: usize,
    /// What the ids of its tasks begin with.
    pub(super) name: SmolStr,
    /// Its conditions as they are written.
    pub(super) texts: Vec<SmolStr>,
    /// Its ports, shared by its launches.
    pub(super) ports: Arc<[PortRequest]>,
    /// The fields whose value its tasks share with no later task.
    pub(super) exclusive: Vec<Field>,
    pub(super) accepted: Vec<Role>,
    pub(super) gpu_behavior: GpuBehavior,
    /// The region that it stays in.
    pub(super) home: Option<&'a SmolStr>,
    /// The fields of its `GROUP_BY` conditions, which prefer values with few tasks.
    pub(super) groups: Vec<&'a Field>,
    /// The fields whose known values its `MAX_SKEW` conditions compare.
    pub(super) skews: Vec<&'a Field>,
    /// Those of its conditions that say which offers make a value known to `MAX_SKEW`.
    pub(super) other: Vec<&'a Clause>,
    /// Each spread with its share of all weights, and how many values of its field are known.
    pub(super) spreads: Vec<(&'a Spread, f64, usize)>,
    pub(super) strategy: &'a Strategy,
    /// Instances that found no place.
    pub(super) waiting: u64,
}

impl<'a> Search<'a> {
    pub(super) fn new(planner: &'a Planner, app: &'a App, number: usize) -> Self {
        let conditions = app.conditions();
        let asks_for_regions = conditions.iter().any(|one| matches!(one.field, Field::Region | Field::Zone));
        let own_roles = || [Some(Role::default()), app.role.clone()].into_iter().flatten().collect();
        let accepted = app.accepted_roles.clone().or_else(|| planner.accepted_roles.clone());
        let mut wished = Vec::new();
        app.prefer.iter().for_each(|wish| wish.clause.conditions(&mut |condition| wished.push(condition)));
        let fields = |among: &mut dyn Iterator<Item = &&'a Condition>, test: fn(&Operator) -> bool| {
            let mut fields: Vec<&Field> = Vec::new();
            for condition in among.filter(|condition| test(&condition.operator)) {
                if !fields.contains(&&condition.field) {
                    fields.push(&condition.field);
                }
            }
            fields
        };
        let all: f64 = app.spread.iter().map(|spread| spread.weight).sum();
        Self {
            app,
            request: app.task_request(),
            number,
            name: app.id.trim_start_matches('/').replace('/', "_").into(),
            texts: app.require.iter().map(ToSmolStr::to_smolstr).collect(),
            ports: app.ports.as_slice().into(),
            exclusive: app.exclusive(),
            accepted: accepted.unwrap_or_else(own_roles),
            gpu_behavior: app.gpu_behavior.unwrap_or(planner.gpu_behavior),
            home: planner.region.as_ref().filter(|_| !asks_for_regions),
            groups: fields(&mut conditions.iter(), |operator| matches!(operator, Operator::GroupBy(_))),
            skews: fields(&mut conditions.iter().chain(&wished), |operator| matches!(operator, Operator::MaxSkew(_))),
            other: app.require.iter().filter(|clause| !counts(clause)).collect(),
            spreads: app.spread.iter().map(|spread| (spread, spread.weight / all, 0)).collect(),
            strategy: app.strategy.as_ref().unwrap_or(&planner.strategy),
            waiting: 0,
        }
    }

    /// Whether preferences, spreads or a `GROUP_BY` may make some of the offers that will do better than others.
    pub(super) fn prefers_some(&self) -> bool {
        !self.app.prefer.is_empty() || !self.app.spread.is_empty() || !self.groups.is_empty()
    }

    /// All fields of which it counts tasks.
    pub(super) fn counted(&self) -> Vec<Field> {
        let mut fields: Vec<Field> = self.app.spread.iter().map(|spread| spread.field.clone()).collect();
        let clauses = self.app.require.iter().chain(self.app.prefer.iter().map(|wish| &wish.clause));
        clauses.for_each(|clause| {
            clause.conditions(&mut |condition| {
                if condition.operator.is_counting() {
                    fields.push(condition.field.clone());
                }
            });
        });
        fields
    }

    /// What each task takes of amounts.
    pub(super) fn amounts(&self) -> [(&'static str, Scalar); 4] {
        let app = self.app;
        [("cpus", app.cpus), ("mem", app.mem), ("disk", app.disk), ("gpus", app.gpus)]
    }

    /// Whether it takes a resource: of a role that it accepts, and that it cannot lose or has to share.
    pub(super) fn takes(&self, resource: &Resource) -> bool {
        let accepted = match resource.role() {
            Some(role) => self.accepted.contains(role),
            None => self.accepted.iter().any(Role::is_default),
        };
        accepted && !resource.is_revocable() && !resource.is_shared()
    }

    /// Those of the resources called `name` that it takes amounts or numbers of; disk is the root disk.
    fn usable<'l>(&self, left: &'l Resources, name: &str) -> impl Iterator<Item = &'l Resource> {
        let plain = |resource: &&Resource| resource.kind().is_none_or(|kind| kind.disk.is_none());
        left.iter().filter(move |resource| resource.name() == name && self.takes(resource)).filter(plain)
    }

    /// How much it could take of `name`.
    pub(super) fn available(&self, left: &Resources, name: &str) -> Scalar {
        let mut sum = Scalar::ZERO;
        for resource in self.usable(left, name) {
            sum = sum.checked_add(resource.scalar().unwrap_or_default()).unwrap_or(Scalar::milli(u64::MAX));
        }
        sum
    }

    /// The resources called `name` that it takes, reserved ones first.
    pub(super) fn pools<'l>(&self, left: &'l Resources, name: &str) -> SmallVec<[&'l Resource; 4]> {
        let mut pools: SmallVec<[&Resource; 4]> = self.usable(left, name).collect();
        pools.sort_by_key(|resource| resource.role().is_none());
        pools
    }
}

fn counts(clause: &Clause) -> bool {
    let mut counts = false;
    clause.conditions(&mut |condition| counts |= condition.operator.is_counting());
    counts
}
