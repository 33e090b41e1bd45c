//! [`Connected`]: the crawl on a cluster that somebody else runs, over HTTP.

use crate::run::Signal;
use crate::scheduler::Rendler;
use apportion::v1::connection::StopReason;
use apportion::{Framework, Role};
use apportion_http::Client;
use apportion_http::client::{ClientBuilder, Masters};
use std::error::Error;
use std::sync::mpsc::Receiver;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// The longest time of one step, after which a Ctrl-C is seen.
const MAX_WAIT: Duration = Duration::from_millis(100);

/// The longest time in which the framework is removed after its crawl.
const MAX_TEARDOWN: Duration = Duration::from_secs(5);

/// A running crawl. Its tasks run in the executors `crawler` and `renderer`, which the agents have to have.
#[derive(Debug)]
pub(crate) struct Connected {
    runtime: Runtime,
    client: Client<Rendler>,
    signals: Receiver<Signal>,
}

impl Connected {
    /// Starts a crawl on the cluster of these masters.
    pub(crate) fn start(masters: Masters, rendler: Rendler, signals: Receiver<Signal>) -> Result<Self, Box<dyn Error>> {
        let mut framework = Framework::new("").role(Role::default());
        framework.name = Some("rendler".into());
        let client = ClientBuilder::new(masters, framework).build(rendler)?;
        Ok(Self { runtime: Builder::new_current_thread().enable_all().build()?, client, signals })
    }

    /// Runs the scheduler for a moment. Returns false once the crawl is done.
    ///
    /// # Errors
    ///
    /// The reason why the client has ended before.
    pub(crate) fn step(&mut self) -> Result<bool, StopReason> {
        if matches!(self.signals.try_recv(), Ok(Signal::Stop)) {
            self.client.act(Rendler::stop);
        }
        if self.client.scheduler().is_done() {
            self.leave();
            return Ok(false);
        }
        let step = self.runtime.block_on(async { timeout(MAX_WAIT, self.client.step()).await });
        step.ok().flatten().map_or(Ok(true), Err)
    }

    /// Removes the framework, if the master answers soon.
    fn leave(&mut self) {
        if self.client.connection().is_subscribed() {
            self.client.handle().teardown();
        } else {
            self.client.handle().stop(); // nobody is there to ask
        }
        let _ = self.runtime.block_on(async { timeout(MAX_TEARDOWN, self.client.run()).await });
    }

    /// Returns the scheduler.
    pub(crate) fn rendler(&self) -> &Rendler {
        self.client.scheduler()
    }
}
