//! How many cases a property tries: a short tier by default, a full one where `PROPTEST_CASES` says so.

use proptest::test_runner::{Config, RngSeed};

/// Returns the number of cases and the seed of a property whose short tier has `short` cases.
///
/// The short tier always tries the same cases, so that a change is judged by nothing else. `PROPTEST_CASES` sets another
/// number and draws a seed; `PROPTEST_RNG_SEED` fixes that too.
pub(crate) fn tier(short: u32) -> Config {
    let default = Config::default();
    let (cases, rng_seed) = match (default.cases, default.rng_seed) {
        (256, RngSeed::Random) => (short, RngSeed::Fixed(1)), // proptest's own defaults: nothing was asked for
        (cases, rng_seed) => (cases, rng_seed),
    };
    Config { cases, rng_seed, failure_persistence: None, ..default }
}
