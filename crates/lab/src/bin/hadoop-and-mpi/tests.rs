//! Hadoop and MPI on one cluster: both complete, share alike while both want more, and are faster than apart; and the
//! simulator agrees with the closed forms of the Mesos paper.

use crate::hadoop::{Hadoop, Job};
use crate::mpi::{Mpi, Shape};
use crate::run::{Participants, run};
use crate::theory::CASES;
use crate::worker::Worker;
use crate::{connected, picture};
use apportion::{Command, Config};
use apportion_http::{Server, Settings, SimulatedAgents};
use std::time::Duration;
use tokio::net::TcpListener;

#[test]
fn both_complete_share_alike_and_are_faster_than_apart() {
    let shared = run(6, Participants::Both, |_, _| Ok(())).unwrap();
    let (hadoop, mpi) = (
        run(3, Participants::OnlyHadoop, |_, _| Ok(())).unwrap(),
        run(3, Participants::OnlyMpi, |_, _| Ok(())).unwrap(),
    );
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

/// The same schedulers over HTTP: with their executors, and where agents only say that tasks run.
#[tokio::test]
async fn both_complete_over_http() {
    let executors = SimulatedAgents::new(1).with_executors(|_, _| Some(Box::<Worker>::default()));
    for agents in [executors, SimulatedAgents::new(1)] {
        let settings = Settings::default().config(Config::new().allocation_interval(Duration::from_millis(20)));
        let server = Server::start(settings, agents);
        for number in 0..2 {
            let agent = SimulatedAgents::agent(number, &"cpus:2;mem:4096".parse().unwrap());
            server.command(Command::AddAgent(agent.into())).await.unwrap();
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let masters = listener.local_addr().unwrap().to_string().parse().unwrap();
        tokio::spawn(server.serve(listener));
        let moment = Duration::from_millis(50);
        let maps = (0..6).map(|block| vec![format!("agent-{}", block % 2).into()]).collect();
        let job = Job { maps, map_length: moment, reduces: 2, reduce_length: moment };
        let (hadoop, mpi) =
            (Hadoop::new(job, Duration::from_secs(1)), Mpi::new(Shape { ranks: 2, length: moment }, moment));
        let ran =
            tokio::time::timeout(Duration::from_secs(60), connected::run(&masters, hadoop, mpi, 3)).await.unwrap();
        let outcome = ran.unwrap();
        assert!(outcome.hadoop.is_some() && outcome.local > 0.0, "{outcome:?}");
        assert_eq!(outcome.mpi.len(), 3);
        let left = server.query(|master| master.state().frameworks.len()).await.unwrap();
        assert_eq!(left, 0, "both were removed");
    }
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
    let (mut drawn, mut narrow) = (String::new(), String::new());
    let shared = run(2, Participants::Both, |cluster, at| {
        if at == apportion::Time::from_secs(5) {
            drawn = picture::draw(cluster, 80);
            narrow = picture::draw(cluster, 20);
        }
        Ok(())
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
    assert_eq!(
        narrow.lines().map(|line| line.chars().next().unwrap()).collect::<String>(),
        "┌│││└┌│││└" // one below the other
    );
    for width in [40, 80, 200] {
        let strip = picture::strip(&shared.as_ref().unwrap().samples, width, |sample| sample.mpi);
        assert!((width / 2..=width).contains(&strip.chars().count()), "{width}: {strip}");
    }
}

#[test]
fn the_plot_has_steps_and_a_legend_beside_it() {
    let shared = run(2, Participants::Both, |_, _| Ok(())).unwrap();
    let svg = picture::plot(&shared.samples).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("Dominant shares"), "{svg}");
    let attribute = |line: &str, name: &str| {
        let text = line.split(&format!(" {name}=\"")).nth(1)?.split('"').next()?;
        Some(text.to_owned())
    };
    let lines: Vec<Vec<(i32, i32)>> = svg
        .split('<')
        .filter(|tag| tag.starts_with("polyline"))
        .map(|tag| {
            let points = attribute(tag, "points").unwrap();
            let point =
                |point: &str| point.split_once(',').map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap())).unwrap();
            points.split_whitespace().map(point).collect()
        })
        .collect();
    let longest = lines.iter().map(Vec::len).max().unwrap();
    let curves: Vec<_> = lines.iter().filter(|line| line.len() == longest).collect();
    assert_eq!(curves.len(), 2);
    let right = curves.iter().flat_map(|curve| curve.iter()).map(|(x, _)| *x).max().unwrap();
    for curve in curves {
        assert!(curve.windows(2).all(|two| two[0].0 == two[1].0 || two[0].1 == two[1].1), "a slope in {curve:?}");
    }
    for name in ["hadoop", "mpi"] {
        let end = svg.find(&format!("\n{name}\n")).unwrap();
        let tag = svg[..end].rsplit('<').next().unwrap();
        assert!(attribute(tag, "x").unwrap().parse::<i32>().unwrap() > right, "{tag}");
    }
}
