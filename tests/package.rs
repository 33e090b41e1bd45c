//! What users rely on without a word: what can be sent to threads, kept behind a pointer, and shown on pages.

use apportion::allocator::{Allocator, Hierarchical, Sorter};
use apportion::constraint::Constraint;
use apportion::packing::{Demand, DeviceFitness, Fleet, Loss, Machine, Outlook};
use apportion::placement::Fitness;
use apportion::{
    Accept, Command, CommandError, Effect, Framework, Master, Offer, Resource, Resources, Scheduler, Task,
};

#[test]
fn values_and_machines_go_to_other_threads() {
    fn sent<T: Send + Sync + 'static>() {}
    sent::<(Resources, Offer, Accept, Task, Framework)>();
    sent::<(Command, CommandError, Effect)>();
    sent::<(Master, Hierarchical)>();
    sent::<(Demand, Machine, Outlook, Fleet<Box<dyn DeviceFitness>>)>();
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
