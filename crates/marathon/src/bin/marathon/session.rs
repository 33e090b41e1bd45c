//! [`Session`]: a cluster with the framework, the log of its events, and the transport between them: virtual or real time.

use crate::arguments::Arguments;
use crate::exec::Machine;
use crate::failures::Failures;
use crate::haproxy::HaproxyFile;
use crate::input::{Action, Input, Step};
use crate::log::Log;
use crate::report::{self, Report};
use apportion::executor::{Executor, Reports};
use apportion::simulation::Cluster;
use apportion::{
    Calls, Capability, CommandError, Config, Effect, ExecutorInfo, ExecutorRef, Framework, FrameworkId, TaskId, Text,
    Time,
};
use apportion_console::Failure;
use apportion_marathon::{FAIL_CHECKS, Marathon, SimulatedExecutor};
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

/// The time without events after which the cluster is settled.
pub(crate) const REST: Duration = Duration::from_secs(60);

/// The allocation interval of the master in real time.
const ALLOCATION_INTERVAL: Duration = Duration::from_millis(100);

/// Starts the executor of a task.
type Start = dyn FnMut(&ExecutorRef, &ExecutorInfo) -> Option<Box<dyn Executor>> + Send;

/// The cluster is made from the input, so a command that the master rejects is wrong input.
#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn wrong(error: CommandError) -> Failure {
    Failure::input(error.to_string())
}

/// The resources of a session outside of the cluster.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    /// With `--exec`: this machine.
    machine: Option<Machine>,
    /// With `--haproxy`: the configuration file.
    pub(crate) haproxy: Option<HaproxyFile>,
    /// With `--why`: the apps to explain.
    pub(crate) why: Vec<Text>,
}

impl Resources {
    /// Returns the resources that the arguments ask for.
    pub(crate) fn new(arguments: &Arguments, input: &Input) -> Result<Self, Vec<String>> {
        let wanted = input.targets().map(|apps| apps.map(|app| (app.app.id.as_str(), app.service_ports.as_slice())));
        let haproxy = arguments.haproxy.as_ref().map(|file| HaproxyFile::new(file, wanted)).transpose()?;
        let haproxy = haproxy.map(|haproxy| haproxy.for_group(arguments.haproxy_group.clone()));
        let machine =
            arguments.exec.is_enabled.then(|| Machine::new(&arguments.exec, arguments.seconds, &input.follow));
        let why = arguments.why.clone();
        Ok(Self { machine: machine.transpose().map_err(|message| vec![message])?, haproxy, why })
    }

    /// Writes the file of HAProxy for the first time.
    pub(crate) fn begin_haproxy(&mut self) -> Result<(), Failure> {
        let Some(haproxy) = &mut self.haproxy else { return Ok(()) };
        let written = haproxy.write([]);
        written.map_err(|error| Failure::input(format!("--haproxy {}: {error}", haproxy.file().display())))?;
        Ok(())
    }
}

/// A run of the program.
pub(crate) struct Session<W> {
    cluster: Cluster<Marathon>,
    framework: FrameworkId,
    log: Option<Log<W>>,
    /// The same while health checks matter: longer than their longest interval.
    rest_with_checks: Duration,
    resources: Resources,
    /// The time from which the file of HAProxy may be out of date.
    stale_since: Option<Time>,
    failures: Failures,
}

impl<W: Write> Session<W> {
    pub(crate) fn new(input: &Input, mut resources: Resources, log: Option<Log<W>>) -> Result<Self, Failure> {
        let mut config = Config::default();
        let start: Box<Start> = match &resources.machine {
            Some(machine) => {
                config.allocation_interval = ALLOCATION_INTERVAL;
                Box::new(machine.starter())
            }
            None => Box::new(|_, _| Some(Box::new(SimulatedExecutor::default()))),
        };
        let mut cluster = Cluster::new(config).with_executors(start);
        let mut framework =
            Framework::new("marathon").capability(Capability::GpuResources).capability(Capability::RegionAware);
        for role in input.roles() {
            framework = framework.role(role);
        }
        let id = framework.id.clone();
        for agent in input.agents.values() {
            cluster.add_agent(agent.clone()).map_err(wrong)?;
        }
        cluster.add_framework(framework, Marathon::default()).map_err(wrong)?;
        resources.begin_haproxy()?;
        let rest_with_checks =
            input.longest_interval().map_or(REST, |interval| REST.max(interval + Duration::from_secs(1)));
        Ok(Self {
            cluster,
            framework: id,
            log,
            rest_with_checks,
            resources,
            stale_since: None,
            failures: Failures::default(),
        })
    }

    /// Runs a step, until the cluster has settled.
    pub(crate) fn run(&mut self, step: &Step) -> Result<(), Failure> {
        if self.resources.machine.as_ref().is_some_and(Machine::is_over) {
            return Ok(self.heading(&format!("not any more: {}", step.heading))?);
        }
        self.heading(&step.heading)?;
        self.stale_since = Some(self.cluster.now());
        match &step.action {
            Action::Deploy { target, restart } => {
                let restart: Vec<_> = restart.iter().cloned().collect();
                self.tell(|marathon, calls| marathon.deploy(Arc::clone(target), &restart, calls));
            }
            Action::Lose(agent) => self.cluster.remove_agent(agent).map_err(wrong)?,
            Action::FailChecks(task) => {
                let fail = |executor: &mut dyn Executor, reports: &mut Reports| {
                    executor.message(FAIL_CHECKS.to_vec(), reports);
                };
                let executor = self.executor_of(task);
                if executor.and_then(|executor| self.cluster.act(&executor, fail).ok()).is_none() {
                    let message = format!("--sick: {task} does not run then, expected a task that does");
                    return Err(Failure::input(message));
                }
            }
        }
        self.settle(matches!(step.action, Action::FailChecks(_)))
    }

    fn heading(&mut self, text: &str) -> io::Result<()> {
        self.log.as_mut().map_or(Ok(()), |log| log.heading(text))
    }

    fn tell<T>(&mut self, act: impl FnOnce(&mut Marathon, &mut Calls) -> T) -> T {
        self.cluster.tell(&self.framework, act).expect("the session has added it")
    }

    fn executor_of(&self, task: &TaskId) -> Option<ExecutorRef> {
        self.cluster.executors().find(|executor| self.cluster.tasks_of(executor).any(|own| own == task)).cloned()
    }

    /// Runs the cluster until no event has come for a while; in real time, until the framework is settled. There, an app that
    /// keeps failing is waited for no longer than twice that while.
    fn settle(&mut self, checks_fail: bool) -> Result<(), Failure> {
        let rest = if checks_fail || self.resources.machine.is_some() { self.rest_with_checks } else { REST };
        if let Some(machine) = &self.resources.machine {
            let latest = machine.now() + 2 * rest;
            return self.run_live(|marathon, machine, idle| {
                let keeps_failing = || machine.now() >= latest && marathon.is_backing_off(machine.now());
                machine.is_over() || marathon.is_settled() || idle >= rest || keeps_failing()
            });
        }
        let mut until = self.cluster.now() + rest;
        loop {
            while let Some(last) = self.process_until(until)? {
                until = until.max(last + rest);
            }
            // Tasks on an agent that is lost are replaced only after a while.
            let marathon = self.cluster.scheduler(&self.framework);
            match marathon.and_then(|marathon| marathon.next_deadline(until)) {
                Some(deadline) => until = deadline + rest,
                None => return Ok(()),
            }
        }
    }

    /// Runs the cluster up to that time, and logs its events. Returns the time of the last event of a task.
    fn process_until(&mut self, until: Time) -> Result<Option<Time>, Failure> {
        let mut last = None;
        loop {
            let emitted = self.cluster.step(until);
            self.log_notices()?;
            let now = emitted.as_ref().map(|emitted| emitted.at);
            if self.stale_since.is_some_and(|since| now != Some(since)) {
                self.update_haproxy()?;
            }
            let Some(emitted) = emitted else { break };
            if matches!(emitted.effect, Effect::Launch { .. } | Effect::Status { .. } | Effect::Kill { .. }) {
                (last, self.stale_since) = (now, now);
            }
            let lines = self.resources.machine.as_mut().map(|machine| machine.note(&emitted)).unwrap_or_default();
            let Some(marathon) = self.cluster.scheduler(&self.framework) else { continue };
            let machine = self.resources.machine.as_ref();
            self.failures.note(&emitted.effect, marathon, |task| machine?.last_words(task));
            if let Some(log) = &mut self.log {
                lines.iter().try_for_each(|line| log.output(line))?;
                log.effect(emitted.at, &emitted.effect, marathon)?;
            }
        }
        self.log.as_mut().map_or(Ok(()), Log::flush)?;
        Ok(last)
    }

    /// Runs the cluster in real time until `is_done` says so. The last argument of `is_done` is the time since the last event
    /// of a task.
    fn run_live(&mut self, is_done: impl Fn(&Marathon, &Machine, Duration) -> bool) -> Result<(), Failure> {
        let mut last = self.cluster.now();
        loop {
            let Some(machine) = &mut self.resources.machine else { return Ok(()) };
            let (now, lines) = (machine.now().max(self.cluster.now()), machine.lines());
            if let Some(log) = &mut self.log {
                lines.iter().try_for_each(|line| log.output(line))?;
            }
            last = self.process_until(now)?.unwrap_or(last);
            let Some(machine) = &mut self.resources.machine else { return Ok(()) };
            let Some(marathon) = self.cluster.scheduler(&self.framework) else { return Ok(()) };
            if is_done(marathon, machine, now.since(last)) {
                return Ok(());
            }
            if let Some(executor) = machine.wait(self.cluster.next_due()) {
                self.cluster.wake_executor(&executor);
            }
        }
    }

    /// Writes the configuration of HAProxy for the tasks that are up.
    fn update_haproxy(&mut self) -> Result<(), Failure> {
        self.stale_since = None;
        let Some(marathon) = self.cluster.scheduler(&self.framework) else { return Ok(()) };
        let Some(haproxy) = &mut self.resources.haproxy else { return Ok(()) };
        let is_new = haproxy.update(marathon, self.resources.machine.as_ref().map(|_| Machine::HOST))?;
        if let Some(log) = self.log.as_mut().filter(|_| is_new) {
            log.file(self.cluster.now(), "haproxy", haproxy.file())?;
        }
        Ok(())
    }

    fn log_notices(&mut self) -> io::Result<()> {
        let notices = self.tell(|marathon, _| marathon.take_notices());
        self.log.as_mut().map_or(Ok(()), |log| notices.iter().try_for_each(|notice| log.notice(notice)))
    }

    /// Collects the reasons of the launches that wait, and prints the report. Processes run until Ctrl-C or `--for`, and are
    /// ended after the report. Returns the number of instances that could not be placed.
    pub(crate) fn finish(mut self) -> Result<u64, Failure> {
        self.run_live(|_, machine, _| machine.is_over())?;
        if self.resources.machine.is_none() {
            self.tell(Marathon::revive_offers);
            self.cluster.run_until(self.cluster.now() + REST);
            self.print_report()?;
            return Ok(self.waiting());
        }
        let now = self.cluster.now();
        if self.cluster.scheduler(&self.framework).is_some_and(|marathon| !marathon.queue(now).is_empty()) {
            self.tell(Marathon::revive_offers);
            self.run_live(|_, machine, _| machine.now() >= now + 2 * ALLOCATION_INTERVAL)?;
        }
        self.print_report()?;
        let waiting = self.waiting();
        self.log.as_mut().map_or(Ok(()), Log::gap)?;
        self.heading("all is to end")?;
        self.tell(|marathon, calls| marathon.deploy(Arc::default(), &[], calls));
        self.run_live(|marathon, _, _| marathon.tasks().next().is_none())?;
        let is_interrupted = self.resources.machine.is_some_and(|machine| machine.is_interrupted());
        if is_interrupted {
            return Err(Failure::Interrupted("interrupted; all tasks have ended".to_owned()));
        }
        Ok(waiting)
    }

    /// Returns the number of instances for which there is no place.
    fn waiting(&self) -> u64 {
        let marathon = self.cluster.scheduler(&self.framework);
        marathon.map_or(0, |marathon| report::waiting(marathon, self.cluster.now()))
    }

    fn print_report(&mut self) -> io::Result<()> {
        let now = self.cluster.now();
        let Some(marathon) = self.cluster.scheduler(&self.framework) else { return Ok(()) };
        let master = Some((self.cluster.master(), &self.framework));
        let report = Report { marathon, now, failures: &self.failures, why: &self.resources.why, master };
        match &mut self.log {
            Some(log) => report.write(log),
            None => report.print_json(),
        }
    }
}
