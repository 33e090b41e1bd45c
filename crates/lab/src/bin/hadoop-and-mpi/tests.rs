//! Hadoop and MPI on one cluster: both complete, share alike while both want more, and are faster than apart; and the
//! simulator agrees with the closed forms of the Mesos paper.

use crate::picture;
use crate::run::{Participants, run};
use crate::theory::CASES;

#[test]
fn both_complete_share_alike_and_are_faster_than_apart() {
    let shared = run(6, Participants::Both, |_, _| ()).unwrap();
    let (hadoop, mpi) =
        (run(3, Participants::OnlyHadoop, |_, _| ()).unwrap(), run(3, Participants::OnlyMpi, |_, _| ()).unwrap());
    assert_eq!((shared.mpi.len(), mpi.mpi.len()), (21, 21));
    assert!(shared.hadoop.unwrap() < hadoop.hadoop.unwrap(), "{:?} {:?}", shared.hadoop, hadoop.hadoop);
    let last = |times: &[f64]| times.iter().copied().fold(0.0, f64::max);
    assert!(last(&shared.mpi) < last(&mpi.mpi), "{:?} {:?}", shared.mpi, mpi.mpi);
    assert!(shared.utilisation > (hadoop.utilisation + mpi.utilisation) / 2.0);
    assert!(shared.local > 0.9, "{}", shared.local);

    // For a minute both have more to do than they can. One task is a 24th of the cpus; in a moment in which many tasks
    // end, shares may differ by more until the next batch.
    let minute = &shared.samples[..60];
    let alike = minute.iter().filter(|sample| (sample.hadoop - sample.mpi).abs() < 1.001 / 24.0).count();
    assert!(alike >= 54, "{alike}");
    let mean = minute.iter().map(|sample| sample.hadoop - sample.mpi).sum::<f64>() / 60.0;
    assert!(mean.abs() < 1.0 / 24.0, "{mean}");
}

#[test]
fn the_simulator_agrees_with_the_papers_closed_forms() {
    for case in CASES {
        let (form, seen) = (case.closed_form(), case.simulated().unwrap());
        // The table leaves out what vanishes for many slots and much work: e^-t/T, and 1/2 in k·H(k).
        let near = |seen: f64, form: f64, part: f64| (seen - form).abs() <= part * form;
        match seen.ramp_up {
            Some(ramp_up) => assert!(near(ramp_up, form.ramp_up.unwrap(), 0.02), "{case:?} {form:?} {seen:?}"),
            None => assert!(seen.completion < form.ramp_up.unwrap(), "{case:?} {form:?} {seen:?}"),
        }
        assert!(near(seen.completion, form.completion, 0.02), "{case:?} {form:?} {seen:?}");
        assert!(near(seen.utilisation, form.utilisation, 0.03), "{case:?} {form:?} {seen:?}");
    }
}

#[test]
fn the_picture_shows_executors_and_tasks_of_both() {
    let mut drawn = String::new();
    let shared = run(2, Participants::Both, |cluster, at| {
        if at == apportion::Time::from_secs(5) {
            drawn = picture::draw(cluster);
        }
    });
    assert_eq!(
        drawn.lines().collect::<Vec<_>>(),
        [
            "┌──────────┐ ┌──────────┐",
            "│agent-1   │ │agent-2   │",
            "││hadoop│  │ ││mpi │    │",
            "││mmmm  │  │ ││====│    │",
            "└──────────┘ └──────────┘",
        ]
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shares.svg");
    picture::plot(&shared.unwrap().samples, &file).unwrap();
    let svg = std::fs::read_to_string(&file).unwrap();
    assert!(svg.starts_with("<svg") && svg.matches("<polyline").count() >= 2 && svg.contains("Dominant shares"));
}
