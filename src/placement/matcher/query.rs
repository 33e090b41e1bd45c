//! [`Query`]: an app compiled for matching, once for all its instances.

use super::index::AppIx;
use crate::constraint::{Clause, Condition, Field, Operator};
use crate::placement::model::app::{App, GpuBehavior};
use crate::placement::model::fitness::TaskRequest;
use crate::placement::model::planner::Planner;
use crate::placement::model::ports::PortRequest;
use crate::placement::model::spread::Spread;
use crate::placement::model::strategy::Strategy;
use crate::placement::model::withheld::{Withheld, Withholding};
use crate::resources::{Resource, Resources, Scalar, Value};
use crate::role::Role;
use crate::text::Text;
use smallvec::SmallVec;
use std::sync::Arc;

/// An app of the plan, with the options of the planner.
#[derive(Debug, Clone, Copy)]
pub(super) struct ListedApp<'a> {
    pub(super) planner: &'a Planner,
    /// Its number, which tells it from other apps and from itself before its last change.
    pub(super) ix: AppIx,
    /// Its place in the list of apps.
    pub(super) place: usize,
    pub(super) app: &'a App,
}

/// An app with the planner's options filled in where it does not say, and with what its matching needs.
#[derive(Debug)]
pub(super) struct Query<'a> {
    pub(super) planner: &'a Planner,
    pub(super) app: &'a App,
    pub(super) ix: AppIx,
    /// The app as a fitness sees it.
    pub(super) request: TaskRequest<'a>,
    /// The name that the ids of its tasks begin with.
    pub(super) name: Text,
    /// Its required clauses as they are written.
    pub(super) clause_texts: Vec<Text>,
    /// Its ports, shared by its launches.
    pub(super) ports: Arc<[PortRequest]>,
    /// The fields whose value its tasks share with no later task.
    pub(super) exclusive: Vec<Field>,
    /// The roles whose resources it takes.
    pub(super) accepted_roles: Vec<Role>,
    pub(super) gpu_behavior: GpuBehavior,
    /// The region that it stays in.
    pub(super) home_region: Option<&'a Text>,
    /// The fields of its `GROUP_BY` conditions, which prefer values with few tasks.
    pub(super) group_by: Vec<&'a Field>,
    /// The fields of its `MAX_SKEW` conditions.
    pub(super) max_skew: Vec<&'a Field>,
    /// Its required clauses that count no tasks: only offers that meet these make a value known to `MAX_SKEW`.
    pub(super) non_counting: Vec<&'a Clause>,
    pub(super) spreads: Vec<WeightedSpread<'a>>,
    pub(super) strategy: &'a Strategy,
}

/// A spread of an app with its share of the weights of all spreads.
#[derive(Debug, Clone, Copy)]
pub(super) struct WeightedSpread<'a> {
    pub(super) spread: &'a Spread,
    pub(super) share: f64,
}

impl<'a> Query<'a> {
    pub(super) fn new(listed: ListedApp<'a>) -> Self {
        let ListedApp { planner, ix, app, .. } = listed;
        let required = app.conditions();
        let mut preferred = Vec::new();
        for preference in &app.prefer {
            preference.clause.conditions(&mut |condition| preferred.push(condition));
        }
        let asks_for_regions = required.iter().any(|one| matches!(one.field, Field::Region | Field::Zone));
        let own_roles = || [Some(Role::default()), app.role.clone()].into_iter().flatten().collect();
        let accepted_roles = app.accepted_roles.clone().or_else(|| planner.accepted_roles.clone());
        let total_weight: f64 = app.spread.iter().map(|spread| spread.weight).sum();
        let weighted = |spread: &'a Spread| WeightedSpread { spread, share: spread.weight / total_weight };
        Self {
            planner,
            app,
            ix,
            request: app.task_request(),
            name: app.id.trim_start_matches('/').replace('/', "_").into(),
            clause_texts: app.require.iter().map(Text::from_display).collect(),
            ports: app.ports.as_slice().into(),
            exclusive: app.exclusive(),
            accepted_roles: accepted_roles.unwrap_or_else(own_roles),
            gpu_behavior: app.gpu_behavior.unwrap_or(planner.gpu_behavior),
            home_region: planner.region.as_ref().filter(|_| !asks_for_regions),
            group_by: fields_of(&required, |operator| matches!(operator, Operator::GroupBy(_))),
            max_skew: fields_of(required.iter().chain(&preferred), |operator| matches!(operator, Operator::MaxSkew(_))),
            non_counting: app.require.iter().filter(|clause| !counts_tasks(clause)).collect(),
            spreads: app.spread.iter().map(weighted).collect(),
            strategy: app.strategy.as_ref().unwrap_or(&planner.strategy),
        }
    }

    /// Returns true if preferences, spreads or a `GROUP_BY` may rank one suitable offer above another.
    pub(super) fn has_preferences(&self) -> bool {
        !self.app.prefer.is_empty() || !self.app.spread.is_empty() || !self.group_by.is_empty()
    }

    /// Returns true if a clause or preference asks a custom constraint.
    pub(super) fn has_custom_constraints(&self) -> bool {
        let clauses = self.app.require.iter().chain(self.app.prefer.iter().map(|wish| &wish.clause));
        clauses.into_iter().any(Clause::is_custom)
    }

    /// Returns all fields of which the app counts tasks.
    pub(super) fn counted_fields(&self) -> Vec<Field> {
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

    /// Returns the amounts that each task takes, by name.
    pub(super) fn amounts(&self) -> [(&'static str, Scalar); 4] {
        let app = self.app;
        [("cpus", app.cpus), ("mem", app.mem), ("disk", app.disk), ("gpus", app.gpus)]
    }

    /// Returns true if the app may take of a resource: it accepts its role, and can neither lose it nor has to share
    /// it.
    pub(super) fn accepts(&self, resource: &Resource) -> bool {
        let accepted = match resource.role() {
            Some(role) => self.accepted_roles.contains(role),
            None => self.accepted_roles.iter().any(Role::is_default),
        };
        accepted && !resource.is_revocable() && !resource.is_shared()
    }

    /// Returns the resources of a name that the app takes amounts or ports of; of disk, the root disk.
    fn usable<'l>(&self, left: &'l Resources, name: &str) -> impl Iterator<Item = &'l Resource> {
        let no_volume = |resource: &&Resource| resource.kind().is_none_or(|kind| kind.disk.is_none());
        left.iter().filter(move |resource| resource.name() == name && self.accepts(resource)).filter(no_volume)
    }

    /// Returns the amount of a name that the app could take.
    pub(super) fn available(&self, left: &Resources, name: &str) -> Scalar {
        let mut sum = Scalar::ZERO;
        for resource in self.usable(left, name) {
            sum = sum.checked_add(resource.scalar().unwrap_or_default()).unwrap_or(Scalar::milli(u64::MAX));
        }
        sum
    }

    /// Returns the amounts of a name that the app does not accept, of disk those of the root disk.
    pub(super) fn withheld(&self, left: &Resources, name: &str) -> Vec<Withheld> {
        let no_volume = |resource: &&Resource| resource.kind().is_none_or(|kind| kind.disk.is_none());
        let others = left.iter().filter(|resource| resource.name() == name && !self.accepts(resource));
        let mut parts: Vec<Withheld> = Vec::new();
        for resource in others.filter(no_volume) {
            let by = match resource.role() {
                _ if resource.is_revocable() => Withholding::Revocable,
                _ if resource.is_shared() => Withholding::Shared,
                Some(role) => Withholding::Reserved(role.clone()),
                None => Withholding::Unreserved,
            };
            let amount = resource.value().count();
            match parts.iter_mut().find(|part| part.by == by) {
                Some(part) => part.amount = part.amount.checked_add(amount).unwrap_or(part.amount),
                None => parts.push(Withheld { amount, by }),
            }
        }
        parts
    }

    /// Returns the resources of a name that the app takes, reserved ones first.
    pub(super) fn pools<'l>(&self, left: &'l Resources, name: &str) -> SmallVec<[&'l Resource; 4]> {
        let mut pools: SmallVec<[&Resource; 4]> = self.usable(left, name).collect();
        pools.sort_by_key(|resource| resource.role().is_none());
        pools
    }

    /// Allocates an amount into `parts`: from reserved resources first, from several pools if one is too small.
    pub(super) fn take(&self, left: &Resources, name: &str, needed: Scalar, parts: &mut Vec<Resource>) {
        if needed.is_zero() {
            return;
        }
        let mut missing = needed;
        for pool in self.pools(left, name) {
            let amount = pool.scalar().unwrap_or_default().min(missing);
            if !amount.is_zero() {
                parts.push(pool.like(Value::Scalar(amount)));
                missing = missing.saturating_sub(amount);
            }
        }
    }
}

/// Returns the fields of the conditions whose operator passes, each once.
fn fields_of<'a: 'i, 'i>(
    conditions: impl IntoIterator<Item = &'i &'a Condition>,
    test: impl Fn(&Operator) -> bool,
) -> Vec<&'a Field> {
    let mut fields: Vec<&Field> = Vec::new();
    for condition in conditions.into_iter().filter(|condition| test(&condition.operator)) {
        if !fields.contains(&&condition.field) {
            fields.push(&condition.field);
        }
    }
    fields
}

fn counts_tasks(clause: &Clause) -> bool {
    let mut counts = false;
    clause.conditions(&mut |condition| counts |= condition.operator.is_counting());
    counts
}
