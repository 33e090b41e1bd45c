//! [`Signal`]: what happens outside of the cluster, and is to be heard in it.

use super::process::Processes;
use apportion::ExecutorRef;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::{fs, process};

/// What happens outside of the cluster.
#[derive(Debug)]
pub(crate) enum Signal {
    /// An executor has something to tell, and is to be woken.
    Rung(ExecutorRef),
    /// The user wants an end.
    Stop,
}

/// What the threads of an executor ring when it has something to tell.
#[derive(Debug, Clone)]
pub(crate) struct Bell {
    sender: Sender<Signal>,
    executor: ExecutorRef,
}

impl Bell {
    /// Of that executor.
    pub(crate) fn new(sender: Sender<Signal>, executor: ExecutorRef) -> Self {
        Self { sender, executor }
    }

    pub(crate) fn ring(&self) {
        let _ = self.sender.send(Signal::Rung(self.executor.clone())); // nobody listens once all is over
    }
}

/// Makes a signal of the first Ctrl-C (or SIGTERM), and an end of the second: of all processes, of that folder, and of us.
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
