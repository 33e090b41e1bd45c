//! How the tasks of an app give way to others: how many at once there may be, and how many up there must be.
//!
//! The rules of Marathon's class `TaskReplaceActor` (`computeRestartStrategy`), kept at every moment rather than counted out
//! at the beginning: so they hold too when tasks fail, and when a change comes before the last one is done.

use crate::census::{Census, Class};
use crate::definition::{Definition, KillFirst};
use apportion::placement::{JsonNode, ReadError};

/// Marathon's `upgradeStrategy`, in millionths of the instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capacity {
    /// So many must be up: `minimumHealthCapacity`.
    healthy: u64,
    /// So many more may be there: `maximumOverCapacity`.
    over: u64,
}

const WHOLE: u64 = 1_000_000;

impl Capacity {
    /// Reads that of an app.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to a million")]
    pub(crate) fn read(app: JsonNode<'_>) -> Result<Self, ReadError> {
        let Some(strategy) = app.get("upgradeStrategy") else { return Ok(Self { healthy: WHOLE, over: WHOLE }) };
        strategy.only(&["minimumHealthCapacity", "maximumOverCapacity"])?;
        let share = |key: &str| match strategy.get(key) {
            None => Ok(WHOLE),
            Some(given) => match given.number() {
                Ok(share) if (0.0..=1.0).contains(&share) => Ok((share * WHOLE as f64).round() as u64),
                _ => Err(given.wrong("a number from 0 to 1")),
            },
        };
        Ok(Self { healthy: share("minimumHealthCapacity")?, over: share("maximumOverCapacity")? })
    }
}

/// What must hold while old tasks give way to new ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// So many new tasks are wanted.
    pub(crate) wanted: u64,
    /// So many tasks must be up, as far as it depends on us.
    pub(crate) least: u64,
    /// So many tasks may be there at once.
    pub(crate) most: u64,
}

impl Bounds {
    /// The bounds of an app while its old tasks are replaced.
    ///
    /// Where all must be up and none may be there besides, nothing could ever begin. Then one more may be there; or, of an app
    /// whose volumes tie it to its places, one fewer must be up.
    pub(crate) fn rolling(definition: &Definition) -> Self {
        let (wanted, capacity) = (definition.app.instances, definition.capacity);
        let mut least = wanted.saturating_mul(capacity.healthy).div_ceil(WHOLE);
        let mut most = wanted.saturating_add(wanted.saturating_mul(capacity.over) / WHOLE);
        if least == most && wanted > 0 {
            if definition.app.volumes.is_empty() { most += 1 } else { least -= 1 }
        }
        Self { wanted, least, most }
    }

    /// The bounds of an app that has no old tasks.
    pub(crate) fn steady(wanted: u64) -> Self {
        Self { wanted, least: 0, most: wanted }
    }

    /// The tasks to kill now, by their numbers, and how many may be launched.
    pub(crate) fn next(&self, census: &Census, kill_first: KillFirst) -> Next {
        let mut kill = Vec::new();
        let mut take = |class: Class, count: u64| {
            let before = kill.len();
            kill.extend(census.first(class, count, kill_first));
            (kill.len() - before) as u64
        };
        // What has not come up yet is no loss.
        let surplus = census.count(Class::Starting) + census.count(Class::Up);
        let surplus = surplus.saturating_sub(self.wanted);
        let unborn = take(Class::Starting, surplus);
        let ended = take(Class::Up, surplus - unborn);
        take(Class::OldDown, u64::MAX);
        let up = census.count(Class::Up) - ended + census.count(Class::OldUp);
        take(Class::OldUp, up.saturating_sub(self.least));
        let wanted = (self.wanted + surplus).saturating_sub(census.count(Class::Starting) + census.count(Class::Up));
        Next { kill, launch: wanted.min(self.most.saturating_sub(census.all())) }
    }
}

/// What is to be done now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Next {
    /// The numbers of the tasks to kill.
    pub(crate) kill: Vec<u64>,
    /// How many tasks may be launched.
    pub(crate) launch: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn bounds(instances: u64, healthy: f64, over: f64) -> (u64, u64) {
        let strategy = json!({"minimumHealthCapacity": healthy, "maximumOverCapacity": over});
        of(&json!({"id": "a", "instances": instances, "upgradeStrategy": strategy}))
    }

    fn of(app: &serde_json::Value) -> (u64, u64) {
        let definition = Definition::read(JsonNode::root(app), ("a.json", "/a".into(), "/"), &[]).unwrap();
        let bounds = Bounds::rolling(&definition);
        (bounds.least, bounds.most)
    }

    #[test]
    fn capacities_are_exact_shares_of_the_instances() {
        assert_eq!(of(&json!({"id": "a", "instances": 3})), (3, 6)); // both 1.0 if nothing is written
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
        let mut census = Census::default();
        (1..=4).for_each(|task| census.put(task, Class::OldUp));
        let bounds = Bounds { wanted: 4, least: 3, most: 5 };
        assert_eq!(bounds.next(&census, KillFirst::Youngest), Next { kill: vec![4], launch: 1 });
        assert_eq!(bounds.next(&census, KillFirst::Oldest).kill, [1]);
        census.put(4, Class::Dying);
        census.put(5, Class::Starting);
        assert_eq!(bounds.next(&census, KillFirst::Youngest), Next { kill: vec![], launch: 0 }); // five are there
        census.put(5, Class::Up);
        assert_eq!(bounds.next(&census, KillFirst::Youngest), Next { kill: vec![3], launch: 0 });
        census.remove(4);
        assert_eq!(bounds.next(&census, KillFirst::Youngest), Next { kill: vec![3], launch: 1 });
        census.put(3, Class::OldDown); // no loss, and no gain
        assert_eq!(bounds.next(&census, KillFirst::Youngest), Next { kill: vec![3], launch: 1 });
    }

    #[test]
    fn without_old_tasks_there_are_as_many_as_are_wanted() {
        let mut census = Census::default();
        census.put(1, Class::Up);
        census.put(2, Class::Starting);
        census.put(3, Class::Up);
        assert_eq!(Bounds::steady(5).next(&census, KillFirst::Youngest), Next { kill: vec![], launch: 2 });
        assert_eq!(Bounds::steady(1).next(&census, KillFirst::Youngest), Next { kill: vec![2, 3], launch: 0 });
        assert_eq!(Bounds::steady(0).next(&census, KillFirst::Oldest).kill, [2, 1, 3]);
        census.put(3, Class::Dying); // its place is free only when it has ended
        assert_eq!(Bounds::steady(3).next(&census, KillFirst::Youngest).launch, 0);
    }
}
