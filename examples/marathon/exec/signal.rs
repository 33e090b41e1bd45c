//! [`Signal`]: what happens outside of the cluster, and is to be heard in it.

use apportion::ExecutorRef;
use std::sync::mpsc::Sender;

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
