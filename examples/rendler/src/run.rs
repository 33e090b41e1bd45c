//! [`Run`]: master, framework, agents and executors in this process, in real time.
#![expect(clippy::disallowed_types, reason = "executors do real work, so the clock is a real one")]

use crate::crawler::Crawler;
use crate::job::Kind;
use crate::painter::Painter;
use crate::renderer::Renderer;
use crate::scheduler::{Limits, Rendler};
use crate::site::Site;
use apportion::simulation::Cluster;
use apportion::{Agent, CommandError, Config, Executor, ExecutorInfo, ExecutorRef, Framework, FrameworkId, Role, Time};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

/// The resources of each agent.
const AGENT: &str = "cpus:2;mem:1024";

/// How often the master looks for something to offer.
const ALLOCATION_INTERVAL: Duration = Duration::from_millis(50);

/// How long nothing may happen before one turn ends.
const TURN: Duration = Duration::from_millis(100);

/// What happens outside of the cluster.
#[derive(Debug)]
pub(crate) enum Signal {
    /// An executor has done something, and is to be woken to tell of it.
    Done(ExecutorRef),
    /// The user wants an end.
    Stop,
}

/// A crawl on its way.
#[derive(Debug)]
pub(crate) struct Run {
    cluster: Cluster<Rendler>,
    framework: FrameworkId,
    began: Instant,
    signals: Receiver<Signal>,
}

impl Run {
    /// Begins a crawl on so many agents. Executors send their signals, and any one else may.
    pub(crate) fn begin(
        painter: Painter,
        agents: u16,
        limits: Limits,
        (sender, signals): (Sender<Signal>, Receiver<Signal>),
    ) -> Result<Self, CommandError> {
        let mut config = Config::default();
        config.allocation_interval = ALLOCATION_INTERVAL;
        let (site, painter) = (painter.site(), Arc::new(painter));
        let rendler = Rendler::new(site.start(), limits);
        let start = move |id: &ExecutorRef, info: &ExecutorInfo| start(&site, &painter, &sender, id, info);
        let mut cluster = Cluster::new(config).with_executors(start);
        for number in 1..=agents {
            let resources = AGENT.parse().expect("these are resources");
            cluster.add_agent(Agent::new(format!("agent-{number}"), resources))?;
        }
        let framework = Framework::new("rendler").role(Role::default());
        let id = framework.id.clone();
        cluster.add_framework(framework, rendler)?;
        Ok(Self { cluster, framework: id, began: Instant::now(), signals })
    }

    /// Lets happen what happens until the next signal, for a moment at most; false once all is done.
    pub(crate) fn turn(&mut self) -> bool {
        self.catch_up();
        let goes_on = !self.rendler().is_done();
        if goes_on {
            self.listen();
        }
        goes_on
    }

    /// Lets happen what is due by now: launches, timers, and what executors have told.
    pub(crate) fn catch_up(&mut self) {
        let elapsed = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.cluster.run_until(Time::from_micros(elapsed).max(self.cluster.now()));
    }

    /// Waits for a signal, for a moment at most, and passes it on.
    pub(crate) fn listen(&mut self) {
        let due = self.cluster.next_due().map_or(TURN, |due| due.since(self.cluster.now()));
        // Nothing but a timeout is an error here: the executors' start holds a sender as long as there is a cluster.
        match self.signals.recv_timeout(due.min(TURN)) {
            Ok(Signal::Done(executor)) => self.cluster.act(&executor, |executor, reports| executor.woken(reports)),
            Ok(Signal::Stop) => self.cluster.tell(&self.framework, Rendler::stop),
            Err(_) => {}
        }
    }

    /// The framework, to look at.
    pub(crate) fn rendler(&self) -> &Rendler {
        self.cluster.scheduler(&self.framework).expect("it was added at the beginning and never left")
    }

    /// The cluster, to break something in it.
    #[cfg(test)]
    pub(crate) fn cluster(&mut self) -> &mut Cluster<Rendler> {
        &mut self.cluster
    }
}

/// Starts the executor of that id, if it is one of ours.
fn start(
    site: &Arc<Site>,
    painter: &Arc<Painter>,
    sender: &Sender<Signal>,
    id: &ExecutorRef,
    info: &ExecutorInfo,
) -> Option<Box<dyn Executor>> {
    let (sender, this) = (sender.clone(), id.clone());
    let bell = Arc::new(move || {
        let _ = sender.send(Signal::Done(this.clone())); // the run may be over
    });
    let is = |kind: Kind| info.id.as_str() == kind.executor();
    if is(Kind::Crawl) {
        Some(Box::new(Crawler::new(Arc::clone(site), bell)))
    } else if is(Kind::Render) {
        Some(Box::new(Renderer::new(Arc::clone(painter), bell)))
    } else {
        None
    }
}
