//! The Rust program of the README's section "Connect".

#![allow(clippy::unwrap_used, reason = "a test that goes wrong ends")]

use apportion::v1::connection::StopReason;
use apportion::{Agent, Command, TaskState, TaskStatus, Uuid};
use apportion_http::{NoAgents, Server, Settings};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::timeout;

#[path = "../examples/connect.rs"]
#[expect(dead_code, reason = "the program connects to one master")]
mod connect;

#[test]
fn the_readme_has_it_as_it_is() {
    let (_, program) = include_str!("../examples/connect.rs").split_once("use ").unwrap();
    assert!(include_str!("../../../README.md").contains(program));
}

#[tokio::test]
async fn it_runs_its_task_and_leaves() {
    let server = Server::start(Settings::default(), NoAgents);
    let agent = Agent::new("a1", "cpus:4;mem:1024".parse().unwrap());
    server.command(Command::AddAgent(agent.into())).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(server.serve(listener));
    let task = async {
        while server.query(|master| master.metrics().tasks.staging).await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
        for (number, state) in [TaskState::Running, TaskState::Finished].into_iter().enumerate() {
            let mut status = TaskStatus::new("hello", state);
            (status.agent, status.uuid) = (Some("a1".into()), Some(Uuid::from_seed(1, number as u64)));
            server.command(Command::TaskStatus("apportion-F1".into(), status)).await.unwrap();
        }
    };
    let both = async { tokio::join!(connect::run(&address), task) };
    let (reason, ()) = timeout(Duration::from_secs(30), both).await.expect("it ends");
    assert_eq!(reason.unwrap(), StopReason::TornDown);
}
