//! The journal that a running master writes, read again.

#![allow(clippy::unwrap_used, reason = "a test that goes wrong ends")]

mod wire;

use apportion::journal::{Replay, is_restore};
use apportion::{Accept, Agent, Call, Command, Filters, Framework, Master, Snapshot, Task, TaskState, TaskStatus};
use apportion_http::{NoAgents, Server, Settings};
use serde_json::{Value as Json, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use wire::{Client, start, subscribed};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

/// Has a server do things until it has begun a third file. Returns the master at the end.
async fn live(settings: Settings, third: &Path) -> Snapshot {
    const MOST: u32 = 100_000;
    let server = Server::start(settings, NoAgents);
    for number in 0..3 {
        let agent = Agent::new(format!("a{number}"), "cpus:8;mem:4096;ports:[31000-31009]".parse().unwrap());
        server.command(Command::AddAgent(agent.into())).await.unwrap();
    }
    for id in ["f1", "f2"] {
        let framework = Framework::new(id).role("web".parse().unwrap()).failover_timeout(Duration::from_secs(7));
        server.command(Command::AddFramework(framework)).await.unwrap();
    }
    let mut after = 0;
    for step in 0..MOST {
        tokio::time::advance(Duration::from_millis(u64::from(step % 5) * 300)).await;
        let offer = server
            .query(|master| master.state().offers.first().map(|offer| (offer.id.clone(), offer.framework.clone())));
        if let Some((offer, framework)) = offer.await.unwrap() {
            let task = format!("t{step}");
            let call = match step % 3 {
                0 => Call::Decline { offers: vec![offer], filters: Filters::default(), each: true },
                _ => Call::Accept(
                    Accept::to([offer]).each().launch(Task::new(task.as_str(), "cpus:1;mem:64".parse().unwrap())),
                ),
            };
            server.command(Command::Call(framework.clone(), call)).await.unwrap();
            if step % 3 == 1 {
                let status = TaskStatus::new(task.as_str(), TaskState::Finished);
                let _ = server.command(Command::TaskStatus(framework, status)).await; // unknown where the offer was too small
            }
        }
        if step % 7 == 0 {
            server.command(Command::RemoveAgent("nobody".into())).await.unwrap_err(); // is recorded, and refused again
        }
        after += u32::from(third.exists());
        if after == 30 {
            break;
        }
    }
    assert_eq!(after, 30, "{MOST} commands make three files");
    server.query(Master::snapshot).await.unwrap()
}

/// Runs a file. Returns the master at the end.
fn replayed(file: &PathBuf) -> Master {
    let mut replay = Replay::new();
    let text = fs::read_to_string(file).unwrap();
    assert!(is_restore(text.lines().next().unwrap()) && text.ends_with('\n'), "{file:?}");
    text.lines().for_each(|line| replay.feed(line, |_| {}).unwrap());
    replay.into_master()
}

#[test]
fn each_file_is_replayed_to_the_state_in_which_the_next_one_begins() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("journal");
    fs::write(&file, "of an earlier run\n").unwrap();
    let kept = |number: u32| folder.path().join(format!("journal.{number}"));
    let (runtime, settings) = (runtime(), Settings::default().record(&file).record_size(20_000));
    let live = runtime.block_on(live(settings, &kept(3)));
    drop(runtime); // ends the master, and waits for what it has still to write

    assert_eq!(fs::read_to_string(kept(1)).unwrap(), "of an earlier run\n");
    let number = (2..).find(|number| !kept(*number).exists()).unwrap();
    let files: Vec<PathBuf> = (2..number).map(kept).chain([file]).collect();
    assert!(files.len() >= 3, "two rotations: {files:?}");
    for pair in files.windows(2) {
        // A file ends when it is long. The last one ends with the master, which may be right after its begin.
        let lines = fs::read_to_string(&pair[0]).unwrap().lines().count();
        assert!(lines > 10, "{:?} has {lines} lines", pair[0]);
        let begin = fs::read_to_string(&pair[1]).unwrap().lines().next().unwrap().to_owned();
        let mut next = Replay::new();
        next.feed(&begin, |_| {}).unwrap();
        assert_eq!(replayed(&pair[0]).snapshot(), next.master().snapshot(), "{:?}", pair[0]);
    }
    let restored = Master::restore(live.clone()).unwrap();
    let mut last = replayed(files.last().unwrap());
    last.advance(restored.now()).unwrap(); // nothing has happened since, but that time went on
    assert_eq!(last.snapshot(), live);
}

#[test]
fn what_cannot_be_written_does_not_end_the_master() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = runtime();
    runtime.block_on(async {
        // Where the link leads to, there is no room.
        std::os::unix::fs::symlink("/dev/full", folder.path().join("full.new")).unwrap();
        fs::create_dir(folder.path().join("folder")).unwrap();
        for file in ["no/such/folder/journal", "full", "folder"].map(|name| folder.path().join(name)) {
            let server = Server::start(Settings::default().record(file), NoAgents);
            for number in 0..100 {
                let agent = Agent::new(format!("a{number}"), "cpus:8".parse().unwrap());
                server.command(Command::AddAgent(agent.into())).await.unwrap();
                tokio::task::yield_now().await;
            }
            assert_eq!(server.query(|master| master.agents().count()).await.unwrap(), 100);
        }
    });
    drop(runtime);
    assert!(!folder.path().join("full").exists() && folder.path().join("folder").is_dir());
}

/// A framework that comes, launches, and goes with its connection; an operator who changes things meanwhile.
async fn session(address: std::net::SocketAddr) {
    let mut framework = subscribed(address, None, 0.0).await;
    let offer = framework.stream.event_of("OFFERS").await["offers"]["offers"][0].clone();
    let resources = json!([{"name": "cpus", "type": "SCALAR", "scalar": {"value": 1.0}}]);
    let task = json!({"name": "t", "task_id": {"value": "t"}, "agent_id": {"value": "a1"}, "resources": resources,
        "command": {"value": "true"}, "labels": {"labels": [{"key": "k", "value": "v"}]}});
    let operations = json!([{"type": "LAUNCH", "launch": {"task_infos": [task]}}]);
    let accept = json!({"type": "ACCEPT", "accept": {"offer_ids": [offer["id"]], "operations": operations}});
    assert_eq!(framework.call(address, accept).await.status, 202);
    let weights = json!({"type": "UPDATE_WEIGHTS", "update_weights": {"weight_infos": [{"role": "web", "weight": 2}]}});
    let mut operator = Client::connect(address).await;
    let body = weights.to_string();
    let head = format!(
        "POST /api/v1 HTTP/1.1\r\nHost: m\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    operator.send(head + &body).await;
    assert_eq!(operator.answer().await.unwrap().status, 200);
    framework.stream.event_of("OFFERS").await; // what the task left over, from a timer
}

#[test]
fn a_session_over_http_is_replayed_to_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("journal");
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let live = runtime.block_on(async {
        let config = apportion::Config::new().allocation_interval(Duration::from_millis(10));
        let (server, address) = start(Settings::default().config(config).record(&file)).await;
        session(address).await;
        // The connection has ended, so the framework is removed: at once, it wants no time to come back.
        while server.query(|master| !master.state().frameworks.is_empty()).await.unwrap() {
            tokio::task::yield_now().await;
        }
        server.query(Master::snapshot).await.unwrap()
    });
    drop(runtime);
    let now = Master::restore(live.clone()).unwrap().now();
    let mut replay = Replay::new();
    let text = fs::read_to_string(&file).unwrap();
    for line in text.lines() {
        let json: Json = serde_json::from_str(line).unwrap();
        if json["at"].as_f64().is_none_or(|at| at <= now.as_secs_f64()) {
            replay.feed(line, |_| {}).unwrap(); // what came after the snapshot is left out
        }
    }
    replay.run_to(now, |_| {}).unwrap();
    assert_eq!(replay.master().snapshot(), live);
    assert_eq!(replay.refused(), 0, "{text}");
}
