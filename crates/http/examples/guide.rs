//! The scheduler of the guide over HTTP: it renders pages, one task each, and leaves when all are done.
//!
//! `cargo run -p apportion-http --example guide -- --master 127.0.0.1:5050`

#![expect(clippy::print_stdout, reason = "a program that tells how it ended")]

use apportion::scheduler::TaskIds;
use apportion::v1::connection::StopReason;
use apportion::{Accept, Call, Calls, Framework, Offer, Role, Scheduler, Task, TaskId, TaskState, TaskStatus};
use apportion_http::client::{ClientBuilder, Masters};
use serde_json::json;
use std::collections::BTreeMap;

/// Renders pages, one task each.
struct Renders {
    pages: Vec<String>,
    running: BTreeMap<TaskId, String>,
    ids: TaskIds,
}

impl Scheduler for Renders {
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        for offer in offers {
            let (mut accept, mut left) = (Accept::of(&offer), offer.resources.clone());
            let size = "cpus:1;mem:256".parse().expect("a valid literal");
            while let Ok((taken, rest)) = left.take(&size, &offer.role) {
                let Some(page) = self.pages.pop() else { break };
                let task = Task::new(self.ids.next_id(), taken);
                self.running.insert(task.id.clone(), page.clone());
                let command = json!({"value": format!("sleep {}", page.len())}); // the longer, the longer
                accept = accept.launch(task.detail("name", page).detail("command", command));
                left = rest;
            }
            calls.accept(accept); // one that launches nothing is a decline
        }
    }

    fn update(&mut self, status: TaskStatus, calls: &mut Calls) {
        if !status.state.is_terminal() {
            return;
        }
        let Some(page) = self.running.remove(&status.task) else { return }; // told twice
        if status.state != TaskState::Finished {
            self.pages.push(page);
            calls.revive();
        } else if self.running.is_empty() && self.pages.is_empty() {
            calls.push(Call::Teardown);
        }
    }
}

/// Renders these pages on the cluster of these masters.
pub(crate) async fn run(masters: Masters, pages: &[&str]) -> Result<StopReason, Box<dyn std::error::Error>> {
    let pages = pages.iter().map(|page| (*page).to_owned()).collect();
    let renders = Renders { pages, running: BTreeMap::new(), ids: TaskIds::new("render", std::process::id().into()) };
    let mut framework = Framework::new("").role(Role::new("web")?);
    framework.name = Some("renders".into());
    Ok(ClientBuilder::new(masters, framework).build(renders)?.run().await)
}

#[derive(clap::Parser)]
struct Arguments {
    /// The masters: `host:port`, several with commas between, or `file:///path`.
    #[arg(long, default_value = "127.0.0.1:5050")]
    master: Masters,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    apportion_console::log_warnings(); // why a master cannot be reached, for example
    let arguments = <Arguments as clap::Parser>::parse();
    println!("{}", run(arguments.master, &["a", "ab", "abc"]).await?);
    Ok(())
}
