//! The time that a snapshot of 10,000 agents with 20,000 tasks takes in the master's task, and the time to make an answer of it,
//! which other tasks spend.

use apportion::{Accept, Agent, Call, Command, Framework, Role, Task};
use apportion_http::{NoAgents, Server, Settings};
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

const AGENTS: usize = 10_000;

type Failed = Box<dyn std::error::Error>;

/// Starts a master with agents of two tasks each.
async fn start() -> Result<Server, Failed> {
    let server = Server::start(Settings::default(), NoAgents);
    server.command(Command::AddFramework(Framework::new("f1").role(Role::new("web")?))).await?;
    for number in 0..AGENTS {
        let agent = Agent::new(format!("a{number}"), "cpus:4;mem:4096;disk:10000;ports:[31000-32000]".parse()?);
        let agent = agent.hostname(format!("host-{number}")).attribute("rack", "r1");
        server.command(Command::AddAgent(agent.into())).await?;
    }
    let offers = server.query(|master| master.state().offers).await?;
    for offer in &offers {
        let task = |number: usize| -> Result<Task, Failed> {
            let labels = serde_json::json!({"labels": [{"key": "app", "value": "bench"}]});
            Ok(Task::new(format!("{}.{number}", offer.id), "cpus:0.5;mem:64".parse()?).detail("labels", labels))
        };
        let accept = Accept::to([offer.id.clone()]).launch(task(0)?).launch(task(1)?);
        server.command(Command::Call(offer.framework.clone(), Call::Accept(accept))).await?;
    }
    Ok(server)
}

fn snapshots(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    let server = runtime.block_on(start()).expect("the master takes all of it");
    let mut group = c.benchmark_group("snapshot");
    group.sample_size(10);
    // From the question to the snapshot, the way of both through channels included.
    group.bench_function("taken", |b| b.iter(|| runtime.block_on(server.snapshot()).expect("the master is there")));
    // The next change copies the pages that it touches.
    group.bench_function("taken, and a change", |b| {
        let mut number = 0;
        b.iter(|| {
            let snapshot = runtime.block_on(server.snapshot()).expect("the master is there");
            number += 1;
            let agent = format!("a{}", number % AGENTS).into();
            let command = if (number / AGENTS).is_multiple_of(2) {
                Command::DeactivateAgent(agent)
            } else {
                Command::ActivateAgent(agent)
            };
            runtime.block_on(server.command(command)).expect("there is such an agent");
            snapshot
        });
    });
    let snapshot = runtime.block_on(server.snapshot()).expect("the master is there");
    group.bench_function("told as GET_STATE", |b| b.iter(|| black_box(&snapshot).get_state().len()));
    group.finish();
}

criterion_group!(benches, snapshots);
criterion_main!(benches);
