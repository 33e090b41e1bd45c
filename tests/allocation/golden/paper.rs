//! Papers: the DRF paper's instances, and one of the H-DRF paper on which all variants agree.

use super::user::{Instance, Pick, pool};
use apportion::allocator::{Drf, Hdrf, SorterChoice};

/// The running example: A needs most of the memory, B of the cpus.
fn running_example(scale: u64, a: &'static str, b: &'static str) -> Instance {
    pool([9 * scale, 18 * scale], [(a, [1, 4]), (b, [3, 1])])
}

fn close(found: &[Pick], expected: &[(&str, [f64; 2])]) {
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for ((user, shares), (expected_user, expected_shares)) in found.iter().zip(expected) {
        let near = shares.iter().zip(expected_shares).all(|(share, expected)| (share - expected).abs() < 1e-12);
        assert!(user == expected_user && near, "{found:?}, expected {expected:?}");
    }
}

/// DRF, section 4.1, table 1: on the first tie B is first.
#[test]
fn table_1_pick_by_pick() {
    let picks = running_example(1, "2-A", "1-B").picks();
    let (n, t) = (1.0 / 9.0, 1.0 / 3.0);
    let expected = [
        ("1-B", [0.0, t]),
        ("2-A", [2.0 * n, t]),
        ("2-A", [4.0 * n, t]),
        ("1-B", [4.0 * n, 2.0 * t]),
        ("2-A", [2.0 * t, 2.0 * t]),
    ];
    close(&picks, &expected);
}

/// DRF, section 4.1: whoever is first, A ends with 3 tasks <3, 12> and B with 2 <6, 2>, two thirds each.
#[test]
fn the_running_example_ends_the_same_whoever_is_first() {
    for names in [["A", "B"], ["2-A", "1-B"]] {
        let instance = running_example(1, names[0], names[1]);
        assert_eq!(instance.filled(), [3, 2]);
        let last = instance.picks().pop().unwrap().1;
        assert!(last.iter().all(|share| (share - 2.0 / 3.0).abs() < 1e-12), "{last:?}");
    }
}

/// DRF, section 4.3, `s = max(u / w)`, on the running example: whole tasks come out alike, 13 and 5 times
/// as many do not.
#[test]
fn weights_count_the_dominant_share_less() {
    let weighted = |scale, a, b| Instance { weights: vec![("A", a), ("B", b)], ..running_example(scale, "A", "B") };
    assert_eq!(weighted(1, 2.0, 1.0).filled(), [3, 2]);
    assert_eq!(weighted(1, 1.0, 2.0).filled(), [3, 2]);
    assert_eq!(weighted(13, 2.0, 1.0).filled(), [54, 18]);
    assert_eq!(weighted(5, 1.0, 2.0).filled(), [9, 12]);
}

/// DRF, theorem 2: with whole tasks the paper's 7/2 and 21/8 are 3 each, less than one task away.
#[test]
fn whole_tasks_differ_by_less_than_one() {
    assert_eq!(pool([21, 21], [("A", [3, 2]), ("B", [4, 1])]).filled(), [3, 3]);
}

/// DRF, theorem 4, six times: 25/6 and 100/3, whether or not user 1 says that it needs <16, 8>.
#[test]
fn lying_does_not_pay() {
    for said in [[16, 1], [16, 8]] {
        assert_eq!(pool([600, 600], [("A", said), ("B", [1, 2])]).filled(), [25, 200]);
    }
}

/// DRF, theorem 5, 33 times: 400/33, 100/33, 100/33; when user 3 leaves nobody has less than before, but 20 and 5.
#[test]
fn nobody_loses_when_a_user_leaves() {
    let users = [("A", [4, 1]), ("B", [1, 16]), ("C", [16, 1])];
    assert_eq!(pool([3300, 3300], users).filled(), [400, 100, 100]);
    assert_eq!(pool([100, 100], [users[0], users[1]]).filled(), [20, 5]);
}

/// DRF, theorem 6, on an instance of ours: four times as much of resource 2, and A falls from 4 tasks to
/// 3. No policy that satisfies the sharing incentive and is Pareto efficient avoids it.
#[test]
fn more_of_one_resource_may_leave_a_user_with_less() {
    let users = [("A", [2, 1]), ("B", [1, 2])];
    assert_eq!(pool([12, 12], users).filled(), [4, 4]);
    assert_eq!(pool([12, 48], users).filled(), [3, 6]);
}

/// DRF, section 7.1: 48 agents of <4, 14>, each filled by itself; job 1 has 71.4 % of the memory, job 2
/// 75 % of the cpus (the paper plots some 70 and 75). Then the second phase.
#[test]
fn the_testbed_agent_by_agent() {
    let testbed = |one, two| pool([4, 14], [("job-1", one), ("job-2", two)]).filled_one_by_one(48);
    assert_eq!(testbed([1, 10], [1, 1]), [48, 144]);
    assert_eq!(testbed([2, 4], [1, 3]), [48, 96]);
}

/// DRF, section 7.1, as if the 48 agents were one: nine times 448/9 and 1280/9, then 48, 96 and 48, 84.
#[test]
fn the_testbed_as_one() {
    let testbed = |times: u64, one, two| pool([192 * times, 672 * times], [("job-1", one), ("job-2", two)]).filled();
    assert_eq!(testbed(9, [1, 10], [1, 1]), [448, 1280]);
    assert_eq!(testbed(1, [2, 4], [1, 3]), [48, 96]);
    assert_eq!(testbed(1, [1, 7], [1, 4]), [48, 84]);
}

/// DRF, section 7.2, static and as if the 48 agents of <8, 6> were one: four users of <1, 0.5> with 54
/// tasks each, four of <2, 2> with 21 (384/7 and 144/7 divisible ones). In halves of a unit.
#[test]
fn the_mix_of_large_and_small_jobs() {
    let (small, large) = ([2, 1], [4, 4]);
    let users = [
        ("a", small),
        ("b", small),
        ("c", small),
        ("d", small),
        ("e", large),
        ("f", large),
        ("g", large),
        ("h", large),
    ];
    assert_eq!(pool([768, 576], users).filled(), [54, 54, 54, 54, 21, 21, 21, 21]);
}

/// H-DRF (Bhattacharya et al., SoCC'13), first example: n1 <1, 1>; n2 {n21 <1, 0>, n22 <0, 1>} on <10, 10>.
#[test]
fn hierarchies_that_all_variants_divide_alike() {
    for sorter in [SorterChoice::Drf(Drf::default()), SorterChoice::Hdrf(Hdrf::default())] {
        let users = [("n1", [1, 1]), ("n2/n21", [1, 0]), ("n2/n22", [0, 1])];
        assert_eq!(Instance { sorter, ..pool([10, 10], users) }.filled(), [5, 5, 5]);
    }
}
