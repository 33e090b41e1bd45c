//! [`MasterLink`]: the connection to the leading master, one after the other.

use crate::machine::Input;
use apportion_http::client::Masters;
use apportion_http::internal::{AgentCall, AgentCalls, AgentConnection};
use std::sync::{Arc, OnceLock};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The number of events that wait for the loop; the master keeps further ones.
const MAX_EVENTS: usize = 64;

/// The connection to the leading master, if there is one.
#[derive(Debug)]
pub(crate) struct MasterLink {
    masters: Arc<Masters>,
    now: Option<Link>,
}

#[derive(Debug)]
struct Link {
    /// What the connection tells. A connection that is replaced tells nothing any more.
    told: mpsc::Receiver<Input>,
    /// Known once the connection is open.
    open: Arc<OnceLock<(AgentCalls, String)>>,
    task: JoinHandle<()>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl MasterLink {
    pub(crate) fn new(masters: Masters) -> Self {
        Self { masters: Arc::new(masters), now: None }
    }

    /// Opens a connection, in place of the one before.
    pub(crate) fn connect(&mut self, first: AgentCall) {
        let (sender, told) = mpsc::channel(MAX_EVENTS);
        let open = Arc::new(OnceLock::new());
        let (masters, opened) = (self.masters.clone(), open.clone());
        let task = tokio::spawn(async move {
            let why = follow(&masters, &first, &opened, &sender).await;
            tracing::info!(why, "there is no connection to a master");
            // The loop may have another connection by now.
            let _ = sender.send(Input::MasterLost { leader_known: true }).await;
        });
        self.now = Some(Link { told, open, task });
    }

    /// Closes the connection.
    pub(crate) fn disconnect(&mut self) {
        self.now = None;
    }

    /// Sends a call. Without a connection it is dropped: the next one begins with all that there is.
    pub(crate) fn send(&self, call: AgentCall) {
        if let Some((calls, _)) = self.now.as_ref().and_then(|link| link.open.get()) {
            calls.send(call);
        }
    }

    /// Waits for what the connection tells next; for ever if there is none. Nothing is lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> Input {
        if let Some(link) = &mut self.now
            && let Some(input) = link.told.recv().await
        {
            return input;
        }
        std::future::pending().await
    }

    /// Returns what the connection tells besides, if there is something.
    pub(crate) fn try_next(&mut self) -> Option<Input> {
        self.now.as_mut()?.told.try_recv().ok()
    }

    /// Returns the host of the master; an empty text without a connection.
    pub(crate) fn hostname(&self) -> String {
        let address = self.now.as_ref().and_then(|link| link.open.get()).map_or("", |(_, address)| address.as_str());
        address.rsplit_once(':').map_or(address, |(host, _)| host).to_owned()
    }
}

/// Opens a connection and passes on its events. Returns why it has ended.
async fn follow(
    masters: &Masters,
    first: &AgentCall,
    opened: &OnceLock<(AgentCalls, String)>,
    told: &mpsc::Sender<Input>,
) -> String {
    let mut connection = match AgentConnection::open(masters, first).await {
        Ok(connection) => connection,
        Err(error) => return error.to_string(),
    };
    tracing::info!(master = connection.master(), "connected to a master");
    let _ = opened.set((connection.calls(), connection.master().to_owned())); // once for a connection
    loop {
        match connection.next().await {
            Ok(event) => {
                if told.send(Input::Master(Box::new(event))).await.is_err() {
                    return "it is replaced".to_owned();
                }
            }
            Err(ended) => return ended.to_string(),
        }
    }
}
