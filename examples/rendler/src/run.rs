//! [`Run`]: the transport. Master, framework, agents and executors run in this process, in real time.
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

/// The allocation interval of the master.
const ALLOCATION_INTERVAL: Duration = Duration::from_millis(50);

/// The longest wait of one step.
const MAX_WAIT: Duration = Duration::from_millis(100);

/// An event from outside of the cluster.
#[derive(Debug)]
pub(crate) enum Signal {
    /// A thread of an executor has ended, and the executor has to report it.
    Wake(ExecutorRef),
    /// Ctrl-C.
    Stop,
}

/// A running crawl.
#[derive(Debug)]
pub(crate) struct Run {
    cluster: Cluster<Rendler>,
    framework: FrameworkId,
    began: Instant,
    signals: Receiver<Signal>,
}

impl Run {
    /// Starts a crawl on that many agents. Executors send their signals to `sender`.
    pub(crate) fn start(
        painter: Painter,
        agents: u16,
        limits: Limits,
        (sender, signals): (Sender<Signal>, Receiver<Signal>),
    ) -> Result<Self, CommandError> {
        let config = Config::new().allocation_interval(ALLOCATION_INTERVAL);
        let (site, painter) = (painter.site(), Arc::new(painter));
        let rendler = Rendler::new(site.start(), limits).requesting();
        let start = move |id: &ExecutorRef, info: &ExecutorInfo| start_executor(&site, &painter, &sender, id, info);
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

    /// Runs the cluster until the next signal, or for a moment. Returns false once the crawl is done.
    pub(crate) fn step(&mut self) -> bool {
        self.catch_up();
        let is_running = !self.rendler().is_done();
        if is_running {
            self.wait();
        }
        is_running
    }

    /// Runs the cluster up to now.
    pub(crate) fn catch_up(&mut self) {
        let elapsed = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.cluster.run_until(Time::from_micros(elapsed).max(self.cluster.now()));
    }

    /// Waits for a signal, for a moment at most, and handles it.
    pub(crate) fn wait(&mut self) {
        let due = self.cluster.next_due().map_or(MAX_WAIT, |due| due.since(self.cluster.now()));
        // The only error is a timeout: the cluster's function that starts executors holds a sender.
        match self.signals.recv_timeout(due.min(MAX_WAIT)) {
            Ok(Signal::Wake(executor)) => self.cluster.wake_executor(&executor),
            Ok(Signal::Stop) => self.cluster.tell(&self.framework, Rendler::stop).expect("it was added"),
            Err(_) => {}
        }
    }

    /// Returns the scheduler.
    pub(crate) fn rendler(&self) -> &Rendler {
        self.cluster.scheduler(&self.framework).expect("it was added at the beginning and never left")
    }

    /// Returns the cluster, for faults.
    #[cfg(test)]
    pub(crate) fn cluster(&mut self) -> &mut Cluster<Rendler> {
        &mut self.cluster
    }
}

/// Starts a crawler or a renderer; `None` for any other executor id.
pub(crate) fn start_executor(
    site: &Arc<Site>,
    painter: &Arc<Painter>,
    sender: &Sender<Signal>,
    id: &ExecutorRef,
    info: &ExecutorInfo,
) -> Option<Box<dyn Executor>> {
    let (sender, this) = (sender.clone(), id.clone());
    let waker = Arc::new(move || {
        let _ = sender.send(Signal::Wake(this.clone())); // the run may be over
    });
    executor_of(info.id.as_str(), site, painter, waker)
}

/// Returns a crawler or a renderer; `None` for any other executor id. Its threads call `waker` when a task has ended.
pub(crate) fn executor_of(
    id: &str,
    site: &Arc<Site>,
    painter: &Arc<Painter>,
    waker: Arc<dyn Fn() + Send + Sync>,
) -> Option<Box<dyn Executor>> {
    let is = |kind: Kind| id == kind.executor();
    if is(Kind::Crawl) {
        Some(Box::new(Crawler::new(Arc::clone(site), waker)))
    } else if is(Kind::Render) {
        Some(Box::new(Renderer::new(Arc::clone(painter), waker)))
    } else {
        None
    }
}
