//! Rolling upgrades: which instances of an app are killed, and how many launched, within the bounds of its upgrade strategy.
//!
//! The rules of Marathon's class `TaskReplaceActor` (`computeRestartStrategy`). Marathon counts them out once, when a restart
//! begins; here they hold at every moment, also when tasks fail and when a change comes before the last one is complete.

use crate::definition::AppDefinition;
use crate::phases::{InstancesByPhase, Phase};
use crate::upgrade_strategy::{KillSelection, ONE};

/// The bounds on the instances of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// The number of instances of the present version that are wanted.
    pub(crate) target: u64,
    /// The number of instances below which no kill may bring those that are up.
    pub(crate) min_up: u64,
    /// The number of instances, of all versions, that no launch may exceed.
    pub(crate) max_total: u64,
}

impl Bounds {
    /// Returns the bounds of an app while its old instances are replaced.
    ///
    /// Were all to stay up and none to exist in addition, no replacement could begin. Then one more may exist; or, if the
    /// app has volumes, which tie its instances to their agents, one fewer must be up.
    pub(crate) fn rolling(definition: &AppDefinition) -> Self {
        let (target, strategy) = (definition.app.instances, definition.upgrade_strategy);
        let mut min_up = target.saturating_mul(strategy.minimum_health).div_ceil(ONE);
        let mut max_total = target.saturating_add(target.saturating_mul(strategy.maximum_over) / ONE);
        if min_up == max_total && target > 0 {
            if definition.app.volumes.is_empty() { max_total += 1 } else { min_up -= 1 }
        }
        Self { target, min_up, max_total }
    }

    /// Returns the bounds of an app that is only started, scaled or stopped.
    pub(crate) fn steady(target: u64) -> Self {
        Self { target, min_up: 0, max_total: target }
    }

    /// Returns the instances to kill now, and the number that may be launched.
    pub(crate) fn step(&self, instances: &InstancesByPhase, kill_selection: KillSelection) -> RolloutStep {
        let mut kill = Vec::new();
        let mut select = |phase: Phase, count: u64| {
            let before = kill.len();
            kill.extend(instances.select(phase, count, kill_selection));
            (kill.len() - before) as u64
        };
        let present = instances.count(Phase::Starting) + instances.count(Phase::Up);
        let surplus = present.saturating_sub(self.target);
        // Instances that are not up go first: killing them costs no capacity.
        let not_started = select(Phase::Starting, surplus);
        let killed_up = select(Phase::Up, surplus - not_started);
        select(Phase::OldDown, u64::MAX);
        let up = instances.count(Phase::Up) - killed_up + instances.count(Phase::OldUp);
        select(Phase::OldUp, up.saturating_sub(self.min_up));
        let missing = (self.target + surplus).saturating_sub(present);
        RolloutStep { kill, launch: missing.min(self.max_total.saturating_sub(instances.total())) }
    }
}

/// The kills and launches that are due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RolloutStep {
    /// The instances to kill, by their numbers.
    pub(crate) kill: Vec<u64>,
    /// The number of instances that may be launched.
    pub(crate) launch: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::Scope;
    use apportion::placement::JsonNode;
    use serde_json::json;

    fn bounds(instances: u64, healthy: f64, over: f64) -> (u64, u64) {
        let strategy = json!({"minimumHealthCapacity": healthy, "maximumOverCapacity": over});
        of(&json!({"id": "a", "cmd": "true", "instances": instances, "upgradeStrategy": strategy}))
    }

    fn of(app: &serde_json::Value) -> (u64, u64) {
        let definition = AppDefinition::read(JsonNode::root(app), ("a.json", "/a".into(), Scope::Root), &[]).unwrap();
        let bounds = Bounds::rolling(&definition);
        (bounds.min_up, bounds.max_total)
    }

    #[test]
    fn capacities_are_exact_shares_of_the_instances() {
        assert_eq!(of(&json!({"id": "a", "cmd": "true", "instances": 3})), (3, 6)); // both 1.0 if nothing is written
        assert_eq!(bounds(100, 0.07, 0.29), (7, 129)); // 0.07 * 100 > 7 and 1.29 * 100 < 129 in doubles
        assert_eq!(bounds(3, 0.5, 0.5), (2, 4));
        assert_eq!(bounds(10, 0.0, 0.0), (0, 10));
        assert_eq!(bounds(1_000_000, 1.0, 1.0), (1_000_000, 2_000_000));
        assert_eq!(bounds(0, 1.0, 0.0), (0, 0));
    }

    #[test]
    fn where_nothing_could_begin_one_more_may_be_there_or_one_fewer_must_be_up() {
        assert_eq!(bounds(4, 1.0, 0.0), (4, 5));
        assert_eq!(bounds(1, 1.0, 0.9), (1, 2));
        let volumes = json!([{"containerPath": "data", "mode": "RW", "persistent": {"size": 10}}]);
        let strategy = json!({"maximumOverCapacity": 0});
        let app = json!({"id": "a", "instances": 4, "upgradeStrategy": strategy, "container": {"volumes": volumes}});
        assert_eq!(of(&app), (3, 4));
    }

    #[test]
    fn one_gives_way_for_each_that_comes_up() {
        let mut instances = InstancesByPhase::default();
        (1..=4).for_each(|task| instances.set(task, Phase::OldUp));
        let bounds = Bounds { target: 4, min_up: 3, max_total: 5 };
        assert_eq!(bounds.step(&instances, KillSelection::YoungestFirst), RolloutStep { kill: vec![4], launch: 1 });
        assert_eq!(bounds.step(&instances, KillSelection::OldestFirst).kill, [1]);
        instances.set(4, Phase::Killed);
        instances.set(5, Phase::Starting);
        assert_eq!(bounds.step(&instances, KillSelection::YoungestFirst), RolloutStep { kill: vec![], launch: 0 }); // five are there
        instances.set(5, Phase::Up);
        assert_eq!(bounds.step(&instances, KillSelection::YoungestFirst), RolloutStep { kill: vec![3], launch: 0 });
        instances.remove(4);
        assert_eq!(bounds.step(&instances, KillSelection::YoungestFirst), RolloutStep { kill: vec![3], launch: 1 });
        instances.set(3, Phase::OldDown); // no loss, and no gain
        assert_eq!(bounds.step(&instances, KillSelection::YoungestFirst), RolloutStep { kill: vec![3], launch: 1 });
    }

    #[test]
    fn without_old_tasks_there_are_as_many_as_are_wanted() {
        let mut instances = InstancesByPhase::default();
        instances.set(1, Phase::Up);
        instances.set(2, Phase::Starting);
        instances.set(3, Phase::Up);
        assert_eq!(
            Bounds::steady(5).step(&instances, KillSelection::YoungestFirst),
            RolloutStep { kill: vec![], launch: 2 }
        );
        assert_eq!(
            Bounds::steady(1).step(&instances, KillSelection::YoungestFirst),
            RolloutStep { kill: vec![2, 3], launch: 0 }
        );
        assert_eq!(Bounds::steady(0).step(&instances, KillSelection::OldestFirst).kill, [2, 1, 3]);
        instances.set(3, Phase::Killed); // its place is free only when it has ended
        assert_eq!(Bounds::steady(3).step(&instances, KillSelection::YoungestFirst).launch, 0);
    }
}
