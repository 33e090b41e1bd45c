//! A scheduler of one task, over HTTP.

#![expect(clippy::print_stdout, reason = "a program that tells what it sees")]

use apportion::export::serde_json::json;
use apportion::v1::connection::{Connection, StopReason};
use apportion::{Accept, Call, Calls, Framework, Offer, Role, Scheduler, Task, TaskStatus};
use apportion_http::Client;
use std::error::Error;

/// Launches its task once, and leaves when that has ended.
struct OneTask(Option<Task>);

impl Scheduler for OneTask {
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        for offer in offers {
            let accept = Accept::of(&offer); // one that launches nothing is a decline
            calls.accept(self.0.take().into_iter().fold(accept, Accept::launch));
        }
    }

    fn update(&mut self, status: TaskStatus, calls: &mut Calls) {
        println!("{} is {}", status.task, status.state);
        if status.state.is_terminal() {
            calls.push(Call::Teardown);
        }
    }
}

/// Runs the scheduler against a master, `HOST:PORT`, until it leaves.
pub(crate) async fn run(master: &str) -> Result<StopReason, Box<dyn Error>> {
    let framework = Framework::new("").role(Role::new("web")?);
    let task = Task::new("hello", "cpus:0.5;mem:64".parse()?).detail("command", json!({"value": "sleep 1"}));
    let seed = std::process::id().into(); // of the pauses between attempts to connect: each process has its own
    let connection = Connection::new([master], framework, seed)?;
    Ok(Client::new(connection, OneTask(Some(task))).run().await)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    println!("{:?}", run("127.0.0.1:5050").await?);
    Ok(())
}
