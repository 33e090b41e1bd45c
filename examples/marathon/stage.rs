//! Where it all happens: the cluster and its framework, and the log that tells of them.

use crate::framework::Marathon;
use crate::input::{Act, Input, Scene};
use crate::log::Log;
use crate::report;
use crate::simulated::{SICK, Simulated};
use apportion::simulation::Cluster;
use apportion::{Calls, Capability, CommandError, Config, Effect, ExecutorRef, Framework, FrameworkId, TaskId};
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

/// How long nothing must have happened for the cluster to have come to rest, in virtual time: long enough to be offered again
/// what was refused for a while, and longer than from one health check to the next.
const REST: Duration = Duration::from_secs(60);

/// Why a scene could not be played.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was asked for makes no sense.
    Input(Vec<String>),
    /// Nobody can be told.
    Output(io::Error),
}

impl From<CommandError> for Failure {
    /// The cluster is made of input, so what the master refuses is wrong input.
    fn from(error: CommandError) -> Self {
        Self::Input(vec![error.to_string()])
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Where it all happens, and who tells of it.
pub(crate) struct Stage<W> {
    cluster: Cluster<Marathon>,
    framework: FrameworkId,
    log: Option<Log<W>>,
    rest: Duration,
}

impl<W: Write> Stage<W> {
    pub(crate) fn new(input: &Input, log: Option<Log<W>>) -> Result<Self, CommandError> {
        let mut cluster = Cluster::new(Config::default()).with_executors(|_, _| Some(Box::new(Simulated::default())));
        let mut framework =
            Framework::new("marathon").capability(Capability::GpuResources).capability(Capability::RegionAware);
        for role in input.roles() {
            framework = framework.role(role);
        }
        let id = framework.id.clone();
        for agent in input.agents.values() {
            cluster.add_agent(agent.clone())?;
        }
        cluster.add_framework(framework, Marathon::default())?;
        let rest = input.longest_interval().map_or(REST, |interval| REST.max(interval + Duration::from_secs(1)));
        Ok(Self { cluster, framework: id, log, rest })
    }

    /// Lets something happen, and all that comes of it.
    pub(crate) fn play(&mut self, scene: &Scene) -> Result<(), Failure> {
        if let Some(log) = &mut self.log {
            log.heading(&scene.heading)?;
        }
        match &scene.act {
            Act::Deploy { target, restart } => {
                let restart: Vec<_> = restart.iter().cloned().collect();
                self.tell(|marathon, calls| marathon.deploy(Arc::clone(target), &restart, calls));
            }
            Act::Lose(agent) => self.cluster.remove_agent(agent)?,
            Act::Sicken(task) => {
                let executor = self.executor_of(task).ok_or_else(|| {
                    Failure::Input(vec![format!("--sick: {task} does not run then, expected a task that does")])
                })?;
                self.cluster.act(&executor, |executor, reports| executor.message(SICK.to_vec(), reports));
            }
        }
        Ok(self.come_to_rest()?)
    }

    fn tell(&mut self, act: impl FnOnce(&mut Marathon, &mut Calls)) {
        self.cluster.tell(&self.framework, act);
    }

    fn executor_of(&self, task: &TaskId) -> Option<ExecutorRef> {
        self.cluster.executors().find(|executor| self.cluster.tasks_of(executor).any(|own| own == task)).cloned()
    }

    /// Lets everything happen until nothing has for a while.
    fn come_to_rest(&mut self) -> io::Result<()> {
        let mut until = self.cluster.now() + REST;
        loop {
            let emitted = self.cluster.step(until);
            self.tell_news()?;
            let Some(emitted) = emitted else { break };
            if matches!(emitted.effect, Effect::Launch { .. } | Effect::Status { .. } | Effect::Kill { .. }) {
                until = until.max(emitted.at + self.rest);
            }
            if let (Some(log), Some(marathon)) = (&mut self.log, self.cluster.scheduler(&self.framework)) {
                log.tell(&emitted, marathon)?;
            }
        }
        self.log.as_mut().map_or(Ok(()), Log::flush)
    }

    fn tell_news(&mut self) -> io::Result<()> {
        let mut news = Vec::new();
        self.tell(|marathon, _| news = marathon.take_news());
        self.log.as_mut().map_or(Ok(()), |log| news.iter().try_for_each(|news| log.news(news)))
    }

    /// Learns why what waits still has to, and shows what came of it all.
    pub(crate) fn end(mut self) -> io::Result<()> {
        self.tell(Marathon::ask_again);
        self.cluster.run_until(self.cluster.now() + REST);
        let now = self.cluster.now();
        let Some(marathon) = self.cluster.scheduler(&self.framework) else { return Ok(()) };
        match self.log {
            Some(mut log) => {
                log.gap()?;
                let out = log.out();
                report::table(marathon, out)?;
                report::unfinished(marathon, out)?;
                report::waiting(&marathon.waiting(now), out)?;
                out.flush()
            }
            None => {
                let mut out = io::stdout().lock();
                serde_json::to_writer_pretty(&mut out, &report::json(marathon, now))?;
                writeln!(out)?;
                out.flush()
            }
        }
    }
}
