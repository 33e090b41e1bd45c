//! The package as its users find it: what it depends on, what can be sent to threads or kept behind a pointer, what the
//! README shows.

use apportion::allocator::{Allocator, Hierarchical, Sorter};
use apportion::constraint::Constraint;
use apportion::packing::{DeviceDemand, DeviceFitness, Fleet, Loss, Machine, RolloutLoss};
use apportion::placement::Fitness;
use apportion::{
    Accept, Command, CommandError, Effect, Framework, Master, Offer, Resource, Resources, Scheduler, Task,
};
use apportion_console::testing::check_endings;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Output};

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
    assert!(include_str!("../README.md").contains(include_str!("../docs/quickstart.rs")));
}

/// The commands that the README shows.
fn commands() -> impl Iterator<Item = &'static str> {
    let lines = include_str!("../README.md").lines();
    lines.filter_map(|line| line.strip_prefix("$ cargo ").or_else(|| line.strip_prefix("| `cargo ")?.split('`').next()))
}

#[test]
fn the_commands_of_the_readme_name_files_that_are_here() {
    const WRITTEN: [&str; 5] = ["--haproxy", "--svg", "--journal", "--effects", "--out"];
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(commands().filter(|command| command.starts_with("run ")).count() > 8);
    for command in commands() {
        let mut words = command.split_whitespace();
        while let Some(word) = words.next() {
            assert!(word.chars().any(char::is_lowercase) || !word.contains(char::is_uppercase), "{word} in {command}");
            if WRITTEN.contains(&word) {
                let file = words.next().expect("a file to write");
                let ignored = include_str!("../.gitignore").lines().any(|line| line == format!("/{file}"));
                assert!(ignored, "{file} in .gitignore, for {command}");
            } else if !word.starts_with(['-', '/'])
                && [".json", ".jsonl", ".csv", "site"].iter().any(|end| word.ends_with(end))
            {
                assert!(root.join(word).exists(), "{word} in {command}");
            }
        }
    }
}

/// Readers of the file itself see neither links of rustdoc nor the lines that rustdoc hides.
#[test]
fn the_guide_reads_well_on_its_own() {
    let guide = include_str!("../docs/guide.md");
    let (mut in_code, mut programs) = (false, 0);
    assert!(guide.contains(include_str!("../docs/connect.rs")));
    for line in guide.lines() {
        if line.starts_with("```") {
            in_code = !in_code;
        }
        programs += usize::from(in_code && line.starts_with("fn main()"));
        assert!(!line.contains("](crate::"), "a link that leads nowhere: {line}");
        assert!(!in_code || !line.starts_with("# "), "a hidden line: {line}");
        for path in line.split('`').skip(1).step_by(2).filter(|code| code.starts_with("tests/")) {
            assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists(), "{path}");
        }
    }
    assert_eq!(programs, 6);
}

/// The path of an example, which cargo builds beside the tests.
fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().expect("the path of this test");
    let folder = tests.ancestors().nth(2).expect("the folder of what is built").join("examples");
    folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

fn run(name: &str, arguments: &[&str]) -> (Output, String) {
    let mut command = Process::new(example(name));
    let output = command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("the example starts");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, told)
}

const RACKS: &str = "examples/inputs/racks.json";
const TWO_FRAMEWORKS: &str = "examples/inputs/two-frameworks.jsonl";

#[test]
fn examples_end_quietly_on_a_closed_pipe_and_with_a_line_on_a_full_device() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let files = std::fs::read_dir(&folder).expect("the examples").map(|file| file.expect("an example").path());
    let names = files.filter(|file| file.extension().is_some_and(|extension| extension == "rs"));
    let inputs = [("place", RACKS), ("replay", TWO_FRAMEWORKS)];
    for name in names.filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned())) {
        if ["asset_fairness", "fcfs"].contains(&name.as_str()) && !example(&name).exists() {
            continue; // built as tests
        }
        let input = inputs.iter().find(|(of, _)| *of == name).map(|(_, input)| *input);
        check_endings(&example(&name), &input.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn place_answers_the_sample_and_says_with_strict_that_something_waits() {
    let (output, told) = run("place", &[RACKS]);
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("an answer");
    assert_eq!((output.status.code(), told.as_str()), (Some(0), ""));
    assert_eq!(
        (answer["launch"].as_array().map(Vec::len), &answer["unplaced"][0]["app"]),
        (Some(3), &"/shop/web".into())
    );
    let (strict, told) = run("place", &["--strict", RACKS]);
    assert_eq!((strict.status.code(), told.as_str()), (Some(3), "1 could not be placed\n"));
    assert_eq!(strict.stdout, output.stdout);
    let (short, told) = run("place", &["--max-bytes", "100", RACKS]);
    assert_eq!(short.status.code(), Some(2));
    assert!(told.starts_with(&format!("{RACKS}: found more than 100 bytes, expected at most these")), "{told}");
}

#[test]
fn replay_reads_the_sample_and_no_line_without_end() {
    let (output, told) = run("replay", &["--strict", TWO_FRAMEWORKS]);
    assert_eq!((output.status.code(), told.as_str()), (Some(0), ""));
    assert_eq!(String::from_utf8_lossy(&output.stdout).matches(r#""emit":{"launch""#).count(), 2);
    let (short, told) = run("replay", &["--max-line-bytes", "100", TWO_FRAMEWORKS]);
    assert_eq!(short.status.code(), Some(2));
    assert_eq!(told, format!("{TWO_FRAMEWORKS}:1: a line of 101 bytes: expected at most 100\n"));
    let (bytes, told) = run("replay", &["Cargo.lock.not"]);
    assert_eq!(bytes.status.code(), Some(2));
    assert!(told.starts_with("Cargo.lock.not: No such file"), "{told}");
    if Path::new("/dev/zero").exists() {
        let (endless, told) = run("replay", &["/dev/zero"]);
        assert_eq!(endless.status.code(), Some(2));
        assert_eq!(told, "/dev/zero:1: a line of 16777217 bytes: expected at most 16777216\n");
        let (endless, told) = run("place", &["/dev/zero"]);
        assert_eq!(endless.status.code(), Some(2));
        assert!(told.starts_with("/dev/zero: found more than 16777216 bytes"), "{told}");
    }
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
