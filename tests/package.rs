//! The package as its users find it: what it depends on, what can be sent to threads or kept behind a pointer, what the
//! README shows.

use apportion::allocator::{Allocator, Hierarchical, Sorter};
use apportion::constraint::Constraint;
use apportion::packing::{DeviceDemand, DeviceFitness, Fleet, Loss, Machine, RolloutLoss};
use apportion::placement::Fitness;
use apportion::{
    Accept, Command, CommandError, Effect, Framework, Master, Offer, Resource, Resources, Scheduler, Task,
};
use std::collections::BTreeSet;
use std::process::Command as Process;

#[test]
fn values_and_machines_go_to_other_threads() {
    fn sent<T: Send + Sync + 'static>() {}
    sent::<(Resources, Offer, Accept, Task, Framework)>();
    sent::<(Command, CommandError, Effect)>();
    sent::<(Master, Hierarchical)>();
    sent::<(DeviceDemand, Machine, RolloutLoss, Fleet<Box<dyn DeviceFitness>>)>();
}

#[test]
fn seams_can_be_kept_behind_a_pointer() {
    // That this compiles is the test: each of them is dyn-compatible.
    fn kept<T: ?Sized>(_: Option<Box<T>>) {}
    kept::<dyn Sorter>(None);
    kept::<dyn Allocator>(None);
    kept::<dyn Scheduler>(None);
    kept::<dyn Constraint>(None);
    kept::<dyn Fitness>(None);
    kept::<dyn DeviceFitness>(None);
    kept::<dyn Loss>(None);
}

#[test]
fn the_readme_shows_the_quickstart_as_it_is() {
    assert!(include_str!("../README.md").contains(include_str!("../examples/quickstart.rs")));
}

#[test]
fn what_is_handed_around_stays_small() {
    assert!(size_of::<CommandError>() <= 128, "{}", size_of::<CommandError>());
    assert!(size_of::<Result<(), CommandError>>() <= 128);
    assert_eq!(size_of::<Resources>(), size_of::<usize>());
    assert!(size_of::<Resource>() <= 72, "{}", size_of::<Resource>());
    assert!(size_of::<Effect>() <= 320, "{}", size_of::<Effect>());
}

/// The crates that the library may depend on, directly or not: none of them does I/O, starts a thread or reads a clock.
const PURE: [&str; 27] = [
    "aho-corasick",
    "apportion",
    "base64",
    "equivalent",
    "foldhash",
    "hashbrown",
    "indexmap",
    "itoa",
    "libm",
    "memchr",
    "proc-macro2",
    "quote",
    "regex",
    "regex-automata",
    "regex-syntax",
    "ryu",
    "serde",
    "serde_core",
    "serde_derive",
    "serde_json",
    "smallvec",
    "smol_str",
    "syn",
    "thiserror",
    "thiserror-impl",
    "unicode-ident",
    "zmij",
];

/// What the library leaves out without its features.
const OPTIONAL: [&str; 9] =
    ["aho-corasick", "itoa", "memchr", "regex", "regex-automata", "regex-syntax", "ryu", "serde_json", "zmij"];

/// Returns the names of the crates in the library's tree.
fn crates_of_tree(options: &[&str]) -> BTreeSet<String> {
    let tree = ["tree", "--offline", "--package", "apportion", "--edges", "normal", "--prefix", "none"];
    let output = Process::new(env!("CARGO")).args(tree).args(options).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let output = output.expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8_lossy(&output.stdout).into_owned();
    let crates: BTreeSet<String> = tree.lines().filter_map(|line| Some(line.split(' ').next()?.to_owned())).collect();
    assert!(crates.contains("apportion") && crates.contains("serde"), "{tree}");
    crates
}

#[test]
fn no_dependency_does_io() {
    let crates = crates_of_tree(&["--all-features"]);
    let unknown: Vec<&String> = crates.iter().filter(|name| !PURE.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "{unknown:?} came into the tree: see that they do no I/O");
}

#[test]
fn without_features_there_are_neither_serde_json_nor_regexes() {
    let crates = crates_of_tree(&["--no-default-features"]);
    let unneeded: Vec<&String> = crates.iter().filter(|name| OPTIONAL.contains(&name.as_str())).collect();
    assert!(unneeded.is_empty(), "{unneeded:?}");
    assert!(crates_of_tree(&[]).contains("serde_json"));
}
