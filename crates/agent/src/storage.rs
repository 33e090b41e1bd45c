//! [`Storage`]: writes what the agent keeps, one record after the other, in a thread of its own: disks are slow.

use crate::checkpoint::Store;
use crate::machine::{Input, Record, Ticket};
use std::io;
use std::sync::mpsc as blocking;
use std::thread::{self, JoinHandle};
use tokio::sync::mpsc;

/// Writes records.
#[derive(Debug)]
pub(crate) struct Storage {
    /// None once it ends.
    records: Option<blocking::Sender<(Ticket, Record)>>,
    thread: Option<JoinHandle<()>>,
}

impl Storage {
    /// Starts the thread. Results are told as inputs.
    pub(crate) fn start(mut store: Store, inputs: mpsc::UnboundedSender<Input>) -> io::Result<Self> {
        let (records, received) = blocking::channel::<(Ticket, Record)>();
        let write = move || {
            for (ticket, record) in received {
                let written = store.write(&record).map_err(|error| error.to_string().into());
                if inputs.send(Input::Stored(ticket, written)).is_err() {
                    return; // the agent has ended
                }
            }
        };
        let thread = thread::Builder::new().name("checkpoints".to_owned()).spawn(write)?;
        Ok(Self { records: Some(records), thread: Some(thread) })
    }

    pub(crate) fn store(&self, ticket: Ticket, record: Record) {
        if let Some(records) = &self.records {
            let _ = records.send((ticket, record)); // the thread ends with the agent alone
        }
    }

    /// Waits until all is written.
    pub(crate) fn finish(mut self) {
        self.records = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the checkpoints has panicked");
        }
    }
}
