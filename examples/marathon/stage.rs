//! Where it all happens: the cluster and its framework, and the log that tells of them.

use crate::framework::Marathon;
use crate::input::Agents;
use crate::log::Log;
use crate::report;
use apportion::placement::App;
use apportion::simulation::Cluster;
use apportion::{Calls, Capability, CommandError, Config, Framework, FrameworkId};
use std::io::{self, Write};
use std::time::Duration;

/// How long the cluster is given to come to rest, in virtual time.
const REST: Duration = Duration::from_secs(60);

/// Where it all happens, and who tells of it.
pub(crate) struct Stage<W> {
    pub(crate) cluster: Cluster<Marathon>,
    framework: FrameworkId,
    log: Option<Log<W>>,
}

impl<W: Write> Stage<W> {
    pub(crate) fn new(apps: Vec<App>, agents: Agents, log: Option<Log<W>>) -> Result<Self, CommandError> {
        let mut cluster = Cluster::new(Config::default());
        let marathon = Marathon::new(apps);
        let mut framework =
            Framework::new("marathon").capability(Capability::GpuResources).capability(Capability::RegionAware);
        for role in marathon.roles() {
            framework = framework.role(role);
        }
        let id = framework.id.clone();
        for agent in agents.into_values() {
            cluster.add_agent(agent)?;
        }
        cluster.add_framework(framework, marathon)?;
        Ok(Self { cluster, framework: id, log })
    }

    pub(crate) fn tell(&mut self, act: impl FnOnce(&mut Marathon, &mut Calls)) {
        self.cluster.tell(&self.framework, act);
    }

    /// Lets everything happen until the cluster has come to rest.
    pub(crate) fn play(&mut self, heading: &str) -> io::Result<()> {
        if let Some(log) = &mut self.log {
            log.heading(heading)?;
        }
        let until = self.cluster.now() + REST;
        while let Some(emitted) = self.cluster.step(until) {
            if let (Some(log), Some(marathon)) = (&mut self.log, self.cluster.scheduler(&self.framework)) {
                log.tell(&emitted, marathon)?;
            }
        }
        let (now, mut refusals) = (self.cluster.now(), Vec::new());
        self.tell(|marathon, _| refusals = marathon.take_refusals());
        if let Some(log) = &mut self.log {
            log.flush()?;
            log.refusals(now, &refusals)?;
        }
        Ok(())
    }

    /// Learns why what waits still has to, and shows what came of it all.
    pub(crate) fn end(mut self) -> io::Result<()> {
        self.tell(Marathon::ask_again);
        self.cluster.run_until(self.cluster.now() + REST);
        let Some(marathon) = self.cluster.scheduler(&self.framework) else { return Ok(()) };
        match self.log {
            Some(mut log) => {
                log.gap()?;
                let out = log.out();
                report::table(marathon, out)?;
                report::waiting(&marathon.waiting(), out)?;
                out.flush()
            }
            None => {
                let mut out = io::stdout().lock();
                serde_json::to_writer_pretty(&mut out, &report::json(&self.cluster, &self.framework))?;
                writeln!(out)?;
                out.flush()
            }
        }
    }
}
