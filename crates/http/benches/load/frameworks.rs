//! Frameworks that fill every offer with tasks, each with a [`Client`] of its own.

use apportion::scheduler::TaskIds;
use apportion::v1::connection::Connection;
use apportion::{Accept, Calls, Framework, Offer, Resources, Role, Scheduler, Task};
use apportion_http::Client;
use std::net::SocketAddr;

/// Launches as many tasks as fit.
#[derive(Debug)]
struct Filler {
    ids: TaskIds,
    size: Resources,
}

impl Scheduler for Filler {
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        for offer in offers {
            let mut accept = Accept::of(&offer);
            let mut left = offer.resources.clone();
            while let Ok((taken, rest)) = left.take(&self.size, &offer.role) {
                accept = accept.launch(Task::new(self.ids.next_id(), taken));
                left = rest;
            }
            calls.accept(accept);
        }
    }
}

/// Runs so many frameworks in a thread, until the process ends.
pub(crate) fn start(number: usize, master: SocketAddr, size: &Resources) -> Result<(), super::Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut clients = Vec::with_capacity(number);
    for index in 0..number {
        let framework = Framework::new("").role(Role::new("bench")?);
        let connection = Connection::new([master.to_string()], framework, index as u64)?;
        let ids = TaskIds::new(format!("f{index}"), 1);
        clients.push((connection, Filler { ids, size: size.clone() }));
    }
    std::thread::spawn(move || {
        let all = tokio::task::LocalSet::new();
        for (connection, filler) in clients {
            all.spawn_local(async move { Client::new(connection, filler).run().await });
        }
        runtime.block_on(all);
    });
    Ok(())
}
