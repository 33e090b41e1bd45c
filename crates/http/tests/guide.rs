//! The guide's scheduler over HTTP, on a master with simulated agents.

#![allow(clippy::unwrap_used, reason = "a test that goes wrong ends")]

#[path = "../examples/guide.rs"]
#[expect(dead_code, reason = "its `main` is another program's")]
mod guide;

use apportion::v1::connection::StopReason;
use apportion::{Command, Config};
use apportion_http::{Server, Settings, SimulatedAgents};
use std::time::Duration;
use tokio::net::TcpListener;

#[tokio::test]
async fn the_scheduler_of_the_guide_renders_its_pages() {
    let settings = Settings::default().config(Config::new().allocation_interval(Duration::from_millis(50)));
    let server = Server::start(settings, SimulatedAgents::new(1));
    let agent = SimulatedAgents::agent(0, &"cpus:2;mem:1024".parse().unwrap());
    server.command(Command::AddAgent(agent.into())).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let masters = listener.local_addr().unwrap().to_string().parse().unwrap();
    tokio::spawn(server.serve(listener));
    let pages = ["", "a", ""]; // of 0 and 1 s, on two cpus
    let ran = tokio::time::timeout(Duration::from_secs(60), guide::run(masters, &pages)).await.unwrap();
    assert_eq!(ran.unwrap(), StopReason::TornDown);
    let tasks = server.query(|master| master.metrics().tasks.finished).await.unwrap();
    assert_eq!(tasks, 3);
}
