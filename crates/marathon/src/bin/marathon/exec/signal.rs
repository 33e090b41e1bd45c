//! [`Signal`]: events from outside of the simulated cluster: a thread of an executor, or the user.

use super::process::Processes;
use apportion::ExecutorRef;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::{fs, process};

/// An event from outside of the cluster.
#[derive(Debug)]
pub(crate) enum Signal {
    /// The threads of an executor have a message for it.
    Wake(ExecutorRef),
    /// Ctrl-C, or SIGTERM.
    Stop,
}

/// Wakes an executor from its threads.
#[derive(Debug, Clone)]
pub(crate) struct Waker {
    sender: Sender<Signal>,
    executor: ExecutorRef,
}

impl Waker {
    /// Returns the waker of an executor.
    pub(crate) fn new(sender: Sender<Signal>, executor: ExecutorRef) -> Self {
        Self { sender, executor }
    }

    /// Has the executor woken.
    pub(crate) fn wake(&self) {
        let _ = self.sender.send(Signal::Wake(self.executor.clone())); // the receiver is gone at the end of the program
    }
}

/// Sends a signal at the first Ctrl-C (or SIGTERM). The second one kills all processes, removes the folder, and exits.
pub(crate) fn listen(sender: Sender<Signal>, all: Processes, folder: Option<PathBuf>) -> Result<(), ctrlc::Error> {
    let before = AtomicBool::new(false);
    ctrlc::set_handler(move || {
        if before.swap(true, Ordering::Relaxed) {
            all.close();
            let _ = folder.as_ref().map(fs::remove_dir_all);
            process::exit(130);
        }
        let _ = sender.send(Signal::Stop);
    })
}
