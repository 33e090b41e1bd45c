//! [`Connected`]: the framework on a cluster that somebody else runs, over HTTP.

use crate::failures::Failures;
use crate::input::{Action, Input, Step};
use crate::log::Log;
use crate::report::{self, Report};
use crate::session::{REST, Resources};
use apportion::scheduler::Rejected;
use apportion::{
    Call, Calls, Capability, Effect, Framework, FrameworkId, Offer, OfferId, Role, Scheduler, TaskStatus, Time,
};
use apportion_console::Failure;
use apportion_http::Client;
use apportion_http::client::{ClientBuilder, Masters};
use apportion_marathon::Marathon;
use std::io::{self, Write};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// The longest time of one step, after which a Ctrl-C is seen.
const MAX_WAIT: Duration = Duration::from_millis(100);

/// The time for which the cluster keeps the tasks while the connection is lost.
const FAILOVER_TIMEOUT: Duration = Duration::from_secs(60);

/// The time in which offers come that were revived: Mesos' interval of batch allocations, and something more.
const MAX_REVIVAL: Duration = Duration::from_secs(2);

/// The longest time in which the framework is removed at the end.
const MAX_TEARDOWN: Duration = Duration::from_secs(5);

/// A run of the framework on a cluster.
pub(crate) struct Connected<W> {
    runtime: Runtime,
    client: Client<Watched>,
    log: Option<Log<W>>,
    resources: Resources,
    failures: Failures,
    interrupted: Arc<AtomicBool>,
    /// The end of the run, if `--for` names one.
    until: Option<Time>,
    /// The present time on the clock of the client.
    now: Time,
    /// The time of the last event of a task.
    last: Time,
    /// The time without events after which the cluster is settled.
    rest: Duration,
}

impl<W: Write> Connected<W> {
    /// Prepares a run. It connects with the first step.
    pub(crate) fn new(
        masters: Masters,
        input: &Input,
        (mut resources, log): (Resources, Option<Log<W>>),
        seconds: Option<u64>,
    ) -> Result<Self, Failure> {
        let mut framework = Framework::new("")
            .capability(Capability::GpuResources)
            .capability(Capability::RegionAware)
            .failover_timeout(FAILOVER_TIMEOUT);
        framework.name = Some("marathon".into());
        framework.user = user().map(Into::into);
        for role in input.roles() {
            framework = framework.role(role);
        }
        let watched = Watched { marathon: Marathon::default(), seen: Vec::new(), now: Time::ZERO };
        let client = ClientBuilder::new(masters, framework).build(watched);
        resources.begin_haproxy()?;
        let longest = input.longest_interval().map_or(REST, |interval| REST.max(interval + Duration::from_secs(1)));
        Ok(Self {
            runtime: Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| Failure::Run(error.to_string()))?,
            client: client.map_err(|error| Failure::input(format!("--master: {error}")))?,
            log,
            resources,
            failures: Failures::default(),
            interrupted: handle_ctrl_c()?,
            until: seconds.map(Time::from_secs),
            now: Time::ZERO,
            last: Time::ZERO,
            rest: longest,
        })
    }

    /// Runs a step, until the framework has settled.
    pub(crate) fn run(&mut self, step: &Step) -> Result<(), Failure> {
        if self.is_over() {
            return Ok(self.heading(&format!("not any more: {}", step.heading))?);
        }
        self.heading(&step.heading)?;
        self.run_until(|run| run.is_over() || run.client.connection().is_subscribed())?; // its calls would be dropped
        let Action::Deploy { target, restart } = &step.action else {
            return Err(Failure::input("the agents of this cluster are not lost on order"));
        };
        let (target, restart): (_, Vec<_>) = (Arc::clone(target), restart.iter().cloned().collect());
        self.act(|marathon, calls| marathon.deploy(target, &restart, calls));
        let (latest, rest) = (self.now + 2 * self.rest, self.rest);
        self.last = self.now;
        self.run_until(|run| {
            let marathon = run.marathon();
            let keeps_failing = || run.now >= latest && marathon.is_backing_off(run.now);
            run.is_over() || marathon.is_settled() || run.now.since(run.last) >= rest || keeps_failing()
        })
    }

    /// Runs until Ctrl-C or `--for`, prints the report, and ends all tasks. Returns the number of instances that could not be placed.
    pub(crate) fn finish(mut self) -> Result<u64, Failure> {
        self.run_until(Self::is_over)?;
        if !self.marathon().queue(self.now).is_empty() {
            self.act(Marathon::revive_offers);
            let until = self.now + MAX_REVIVAL;
            self.run_until(|run| run.now >= until)?;
        }
        let now = self.now;
        let marathon = &self.client.scheduler().marathon;
        let report = Report { marathon, now, failures: &self.failures, why: &self.resources.why, master: None };
        match &mut self.log {
            Some(log) => report.write(log)?,
            None => report.print_json()?,
        }
        let waiting = report::waiting(self.marathon(), now);
        self.log.as_mut().map_or(Ok(()), Log::gap)?;
        self.heading("all is to end")?;
        self.act(|marathon, calls| marathon.deploy(Arc::default(), &[], calls));
        self.run_until(|run| run.marathon().tasks().next().is_none())?;
        self.client.handle().teardown();
        let _ = self.runtime.block_on(async { timeout(MAX_TEARDOWN, self.client.run()).await }); // its tasks have ended
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(Failure::Interrupted("interrupted; all tasks have ended".to_owned()));
        }
        Ok(waiting)
    }

    /// Runs the framework until `is_done` says so, and logs what happens.
    fn run_until(&mut self, is_done: impl Fn(&Self) -> bool) -> Result<(), Failure> {
        loop {
            self.act(|_, _| {}); // reads the clock
            self.tell()?;
            if is_done(self) {
                return Ok(());
            }
            let step = self.runtime.block_on(async { timeout(MAX_WAIT, self.client.step()).await });
            if let Ok(Some(reason)) = step {
                self.tell()?;
                return Err(Failure::Run(reason.to_string()));
            }
        }
    }

    /// Logs what has happened.
    fn tell(&mut self) -> Result<(), Failure> {
        let (mut seen, mut notices) = (Vec::new(), Vec::new());
        self.client.act(|watched, _| {
            seen = std::mem::take(&mut watched.seen);
            notices = watched.marathon.take_notices();
        });
        let marathon = &self.client.scheduler().marathon;
        for (at, effect) in &seen {
            if !matches!(effect, Effect::Offer(_)) {
                self.last = *at;
            }
            self.failures.note(effect, marathon, |_| None);
            if let Some(log) = &mut self.log {
                log.effect(*at, effect, marathon)?;
            }
        }
        if let Some(log) = &mut self.log {
            notices.iter().try_for_each(|notice| log.notice(notice))?;
            log.flush()?;
        }
        if let Some(haproxy) = self.resources.haproxy.as_mut().filter(|_| !seen.is_empty())
            && haproxy.update(marathon, None)?
            && let Some(log) = &mut self.log
        {
            log.file(self.now, "haproxy", haproxy.file())?;
        }
        Ok(())
    }

    fn act(&mut self, act: impl FnOnce(&mut Marathon, &mut Calls)) {
        let mut now = self.now;
        self.client.act(|watched, calls| {
            now = calls.at();
            watched.watch(calls, act);
        });
        self.now = now;
    }

    fn marathon(&self) -> &Marathon {
        &self.client.scheduler().marathon
    }

    fn is_over(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed) || self.until.is_some_and(|until| until <= self.now)
    }

    fn heading(&mut self, text: &str) -> io::Result<()> {
        self.log.as_mut().map_or(Ok(()), |log| log.heading(text))
    }
}

/// Returns the name of the user of this program, as whom tasks run.
#[cfg(target_os = "linux")]
fn user() -> Option<String> {
    apportion_exec::User::current().ok().map(|user| user.name().to_owned())
}

/// Agents choose the user.
#[cfg(not(target_os = "linux"))]
fn user() -> Option<String> {
    None
}

/// Notes the first Ctrl-C, and exits at the second. Returns a flag that says whether there was one.
fn handle_ctrl_c() -> Result<Arc<AtomicBool>, Failure> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    let set = ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            process::exit(130); // the cluster ends the tasks when it misses the framework
        }
    });
    set.map_err(|error| Failure::input(format!("Ctrl-C cannot be listened to: {error}")))?;
    Ok(interrupted)
}

/// The framework, with what has happened to it, in the words of a master.
#[derive(Debug)]
struct Watched {
    marathon: Marathon,
    seen: Vec<(Time, Effect)>,
    now: Time,
}

impl Watched {
    /// Has the framework act, and notes what it orders.
    fn watch(&mut self, calls: &mut Calls, act: impl FnOnce(&mut Marathon, &mut Calls)) {
        let before = calls.as_slice().len();
        self.now = calls.at();
        act(&mut self.marathon, calls);
        for call in &calls.as_slice()[before..] {
            if let Call::Accept(accept) = call {
                for task in accept.operations.iter().flat_map(|operation| operation.tasks()) {
                    let (agent, framework) = (task.agent.clone().unwrap_or_else(|| "".into()), FrameworkId::from(""));
                    let (role, task, group) = (Role::default(), task.clone(), None);
                    self.note(Effect::Launch { agent, framework, role, task, group });
                }
            } else if let Call::Kill(kill) = call
                && let Some(instance) = self.marathon.task(&kill.task)
            {
                let (agent, framework) = (instance.launch.agent.clone(), FrameworkId::from(""));
                self.note(Effect::Kill { agent, framework, task: kill.task.clone(), grace: kill.grace });
            }
        }
    }

    fn note(&mut self, effect: Effect) {
        self.seen.push((self.now, effect));
    }
}

impl Scheduler for Watched {
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        self.seen.extend(offers.iter().map(|offer| (calls.at(), Effect::Offer(offer.clone()))));
        self.watch(calls, |marathon, calls| marathon.offers(offers, calls));
    }

    fn update(&mut self, status: TaskStatus, calls: &mut Calls) {
        self.seen.push((calls.at(), Effect::Status { framework: FrameworkId::from(""), status: status.clone() }));
        self.watch(calls, |marathon, calls| marathon.update(status, calls));
    }

    fn rescinded(&mut self, offer: OfferId, calls: &mut Calls) {
        self.seen.push((calls.at(), Effect::Rescind { framework: FrameworkId::from(""), offer }));
    }

    fn woken(&mut self, calls: &mut Calls) {
        self.watch(calls, Marathon::woken);
    }

    fn rejected(&mut self, rejected: Rejected, calls: &mut Calls) {
        self.watch(calls, |marathon, calls| marathon.rejected(rejected, calls));
    }

    fn error(&mut self, message: String, calls: &mut Calls) {
        self.watch(calls, |marathon, calls| marathon.error(message, calls));
    }
}
