//! `recover`: a master comes back from its journal, and from a snapshot.

use crate::Arguments;
use crate::cluster::timed;
use crate::report::{Failure, Report, Step, expect};
use apportion::journal;
use apportion::{
    Accept, Agent, Call, Command, Config, Effect, Filters, Framework, Master, Offer, Resources, Role, Snapshot, Task,
    TaskState, TaskStatus, Time,
};
use std::collections::VecDeque;
use std::time::Duration;

/// The tasks that run on each agent.
const TASKS_OF_AGENT: usize = 8;

/// A master with what it was told.
struct Recorded {
    master: Master,
    at: Time,
    journal: String,
    commands: usize,
    /// The tasks that run, from the oldest.
    running: VecDeque<(String, Task)>,
}

/// Runs eight tasks on each agent, ends the oldest and launches others on what they leave, until as many commands as there are
/// rounds (a million) have been recorded. Then the master is recovered from their text, stored as a snapshot, and restored.
pub(crate) fn recover(arguments: &Arguments, report: &Report) -> Result<(), Failure> {
    let mut recorded = Recorded::begin(arguments)?;
    let commands = arguments.rounds(1_000_000).max(recorded.commands);
    let (driven, seconds) = timed(|| recorded.drive(arguments.agents() * TASKS_OF_AGENT, commands));
    driven?;
    let Recorded { master, journal, .. } = recorded;
    report.step(&Step { step: "drive and record", seconds, times: Some(commands as u64), ..Step::default() })?;

    let mut recovered = Master::new(master.config().clone());
    let (read, seconds) = timed(|| journal::recover(&mut recovered, journal.split_inclusive('\n')));
    expect("recover", "commands refused", read?.refused, 0)?;
    report.step(&Step { step: "recover from text", seconds, times: Some(commands as u64), ..Step::default() })?;

    let (stored, seconds) = timed(|| serde_json::to_string(&recovered.snapshot()).map_err(Failure::Json));
    let stored = stored?;
    report.step(&Step { step: "take and write a snapshot", seconds, ..Step::default() })?;
    let (restored, seconds) = timed(|| {
        let snapshot: Snapshot = serde_json::from_str(&stored).map_err(Failure::Json)?;
        Master::restore(snapshot).map_err(Failure::from)
    });
    report.step(&Step { step: "read and restore it", seconds, ..Step::default() })?;
    let restored = restored?;
    let again = serde_json::to_string(&restored.snapshot()).map_err(Failure::Json)?;
    expect("restore", "bytes of a snapshot that differ", u64::from(again != stored), 0)?;
    expect("restore", "states that differ", u64::from(restored.state() != recovered.state()), 0)
}

impl Recorded {
    fn begin(arguments: &Arguments) -> Result<Self, Failure> {
        let config = Config::new();
        let (journal, master) = (journal::header(&config) + "\n", Master::new(config));
        let mut recorded = Self { master, at: Time::ZERO, journal, commands: 0, running: VecDeque::new() };
        let total: Resources = "cpus:16;mem:65536;disk:262144;ports:[31000-32000]".parse()?;
        for number in 0..arguments.agents() {
            let agent = Agent::new(format!("agent-{number}"), total.clone()).hostname(format!("host-{number}.example"));
            let agent = agent.attribute("rack", format!("r{}", number % 40).as_str());
            recorded.tell(Command::AddAgent(agent.into()))?;
        }
        for number in 0..arguments.frameworks() {
            let role = Role::new(format!("team-{}", number % arguments.roles()))?;
            recorded.tell(Command::AddFramework(Framework::new(format!("framework-{number}")).role(role)))?;
        }
        Ok(recorded)
    }

    fn tell(&mut self, command: Command) -> Result<(), Failure> {
        self.journal.push_str(&journal::record(self.at, &command));
        self.journal.push('\n');
        self.commands += 1;
        self.master.handle(self.at, command)?;
        Ok(())
    }

    fn drive(&mut self, tasks: usize, commands: usize) -> Result<(), Failure> {
        let ask: Resources = "cpus:2;mem:4096".parse()?;
        let (mut launched, mut full) = (0, false);
        while self.commands < commands {
            let offers: Vec<Offer> = std::iter::from_fn(|| self.master.poll_effect())
                .filter_map(|emitted| if let Effect::Offer(offer) = emitted.effect { Some(offer) } else { None })
                .collect();
            for offer in offers {
                if self.commands + TASKS_OF_AGENT + 1 > commands {
                    break;
                }
                let room = tasks.saturating_sub(self.running.len()).min(TASKS_OF_AGENT);
                let framework = offer.framework.clone();
                if room == 0 || !offer.resources.contains(&ask) {
                    let filters = Filters::from(Duration::from_secs(5));
                    self.tell(Command::Call(framework, Call::Decline { offers: vec![offer.id], filters, each: true }))?;
                    continue;
                }
                let mut accept = Accept::of(&offer).refuse_rest_for(Duration::from_secs(5));
                let mut left = offer.resources.clone();
                let mut new = Vec::new();
                while new.len() < room && left.contains(&ask) {
                    left = left.saturating_sub(&ask);
                    let task = Task::new(format!("task-{launched}"), ask.clone());
                    launched += 1;
                    accept = accept.launch(task.clone());
                    new.push(task);
                }
                self.tell(Command::Call(framework.clone(), Call::Accept(accept)))?;
                for task in new {
                    let status = TaskStatus::new(task.id.clone(), TaskState::Running);
                    self.tell(Command::TaskStatus(framework.clone(), status))?;
                    self.running.push_back((framework.to_string(), task));
                }
            }
            full |= self.running.len() >= tasks;
            let ended = if full { (tasks / 20).min(commands - self.commands) } else { 0 };
            for (framework, task) in self.running.drain(..ended.min(self.running.len())).collect::<Vec<_>>() {
                let status = TaskStatus::new(task.id, TaskState::Finished);
                self.tell(Command::TaskStatus(framework.into(), status))?;
            }
            self.at += Duration::from_secs(1);
            if self.commands + TASKS_OF_AGENT + 1 > commands {
                while self.commands < commands {
                    self.tell(Command::SetWhitelist(None))?;
                }
            }
            let _ = self.master.advance(self.at);
        }
        Ok(())
    }
}
