//! The start of an agent: with what it finds on disk, or anew.

use super::effect::{Effect, Exit};
use super::hosted::{Hosted, HostedExecutor, HostedTask, Phase, RunIx, Stage};
use super::link::Link;
use super::record::{ExecutorKind, Record, Recovered, RecoveredFramework, RecoveredRun, Stray};
use super::reservations;
use super::settings::{ReconfigurationPolicy, Recover, Settings};
use super::timers::{Timer, Timers};
use super::updates::Updates;
use super::{AgentMachine, AgentRecord, Containerizer, describe};
use apportion::{Agent, ExecutorInfo, Framework, Resources, Time};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::path::PathBuf;

/// An agent cannot start, because it is not what it was before. The program ends with status 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error(
    "the agent is not what it was before, which --reconfiguration_policy={policy} does not allow: {}; either set it as before, or \
     run `rm -f {}`, and the agent starts anew: it gets another id, and what runs of the old one is ended",
    Listed(differences), latest.display()
)]
pub struct Incompatible {
    /// The policy.
    pub policy: &'static str,
    /// What has changed.
    pub differences: Vec<Difference>,
    /// The link that is to be removed for the agent to start anew.
    pub latest: PathBuf,
}

/// What has changed about an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a key with both values")]
pub struct Difference {
    /// The flag or the key.
    pub key: String,
    /// The value before, if there was one.
    pub before: String,
    /// The value now, if there is one.
    pub now: String,
}

struct Listed<'a>(&'a [Difference]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Difference { key, before, now }) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{key} was {before:?} and is {now:?}")?;
        }
        Ok(())
    }
}

impl AgentMachine {
    /// Starts an agent with what was found on disk. Effects of the start wait in [`poll_effect`](Self::poll_effect): containers that
    /// are looked for, or ended.
    ///
    /// The agent keeps its id. If the machine was booted since, none of its executors is waited for. Then an agent that has
    /// [changed](Incompatible) starts anew, without an id.
    ///
    /// # Errors
    ///
    /// [`Incompatible`] when the agent has changed in a way that its policy does not allow.
    pub fn start(at: Time, settings: Settings, recovered: Recovered) -> Result<Self, Incompatible> {
        let given = settings.agent.resources.clone();
        let mut machine = Self {
            settings,
            checkpointed: Resources::new(),
            given,
            drain: None,
            epoch: 0,
            link: Link::default(),
            hosted: Hosted::default(),
            strays: BTreeMap::new(),
            timers: Timers::default(),
            store_agent: None,
            unstored: VecDeque::new(),
            effects: VecDeque::new(),
            stores: BTreeMap::new(),
            tickets: 0,
            leaving: None,
            has_left: false,
            now: at,
            drawn: 0,
        };
        let Recovered { id, agent, frameworks, strays } = recovered;
        for stray in strays {
            machine.end_stray(stray, false);
        }
        let record = agent.or_else(|| {
            let mut agent = machine.settings.agent.clone();
            agent.id = id?;
            Some(AgentRecord::new(agent, machine.settings.boot_id.clone()))
        });
        if let Some(record) = record {
            let has_booted = record.boot_id != machine.settings.boot_id;
            match machine.take_over(record) {
                Ok(()) => machine.recover(frameworks, has_booted),
                Err(_) if has_booted => {
                    // The old id is given up. What was started since the boot runs, if its record could not be written then.
                    for RecoveredRun { run, .. } in frameworks.into_iter().flat_map(|framework| framework.runs) {
                        machine.end_stray(Stray { run, process: None }, false);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        if machine.settings.recover == Recover::Cleanup {
            machine.leave(Exit::CleanedUp);
        }
        Ok(machine)
    }

    /// Takes the stored agent over, if this one may follow it.
    fn take_over(&mut self, record: AgentRecord) -> Result<(), Incompatible> {
        let mut differences = differences(&record.agent, &self.settings);
        let resources = reservations::apply(&self.given, &record.checkpointed);
        if resources.is_none() {
            let (before, now) = (record.checkpointed.to_string(), self.given.to_string());
            differences.push(Difference { key: "reserved resources".to_owned(), before, now });
        }
        let Some(resources) = resources.filter(|_| differences.is_empty()) else {
            let policy = match self.settings.reconfiguration_policy {
                ReconfigurationPolicy::Equal => "equal",
                ReconfigurationPolicy::Additive => "additive",
            };
            let latest = self.settings.work_dir.join("meta/slaves/latest");
            return Err(Incompatible { policy, differences, latest });
        };
        self.settings.agent.resources = resources;
        self.settings.agent.id = record.agent.id;
        (self.checkpointed, self.drain, self.epoch) = (record.checkpointed, record.drain, record.epoch);
        self.store_agent();
        Ok(())
    }

    fn end_stray(&mut self, stray: Stray, is_own: bool) {
        self.strays.insert(stray.run.container.clone(), (stray.run.clone(), is_own));
        self.emit(Effect::DestroyStray(stray));
    }

    fn recover(&mut self, frameworks: Vec<RecoveredFramework>, has_booted: bool) {
        for RecoveredFramework { id, framework, runs } in frameworks {
            let Some(framework) = framework.filter(|framework| framework.id == id) else {
                for RecoveredRun { run, process, .. } in runs {
                    self.end_stray(Stray { run, process }, true);
                }
                continue;
            };
            let (framework, _) = self.hosted.update_framework(framework);
            let runs: Vec<RunIx> = runs.into_iter().map(|run| self.recover_run(&framework, run)).collect();
            for ix in &runs {
                self.find_run(*ix, has_booted);
            }
            if runs.is_empty() {
                self.hosted.complete_framework(&framework.id);
                self.store_for_sure(Record::ForgetFramework(framework.id.clone()));
            }
        }
    }

    fn recover_run(&mut self, framework: &Framework, found: RecoveredRun) -> RunIx {
        let RecoveredRun { run, record, is_broken, process, tasks } = found;
        let role = tasks.iter().find_map(|task| task.task.role.clone());
        let (kind, role, info) = match record {
            Some(record) => (record.kind, record.role, record.info),
            None => (ExecutorKind::Custom, role.unwrap_or_default(), ExecutorInfo::new(run.executor.clone())),
        };
        let directory = describe::sandbox(&self.settings.work_dir, self.id(), &run);
        let mut executor = HostedExecutor::new(run, kind, role, info, directory);
        executor.checkpoint = true;
        executor.process = process;
        executor.step = "looked for".into();
        executor.phase = if is_broken { Phase::Terminating } else { Phase::Recovering };
        executor.containerizer = contained_by(&executor);
        debug_assert!(framework.id == executor.run.framework);
        for found in tasks {
            let mut task = HostedTask::new(found.task, true);
            task.stage = if found.updates.is_empty() { Stage::Unclear } else { Stage::Launched };
            for status in &found.updates {
                task.note(status);
            }
            task.updates = Updates::recovered(found.updates, &found.acknowledged);
            let is_over = task.state.is_terminal() && task.updates.is_done();
            if !is_over {
                executor.tasks.insert(task.task.id.clone(), task);
            }
        }
        self.hosted.add(executor)
    }

    /// Has the container of a recovered run looked for, or ended.
    fn find_run(&mut self, ix: RunIx, has_booted: bool) {
        let due = self.now + self.settings.executor_reregistration_timeout;
        let is_cleanup = self.settings.recover == Recover::Cleanup;
        let Some(executor) = self.hosted.get_mut(ix) else { return };
        if has_booted {
            // Its process is gone, and the number may be another's. But if the disk was full when the agent started after the boot, what
            // was launched since then is known by its container alone, and is ended.
            executor.phase = Phase::Terminating;
        }
        let (run, directory) = (executor.run.clone(), executor.directory.clone());
        let (process, containerizer) = (executor.process.filter(|_| !has_booted), executor.containerizer);
        let is_terminating = executor.phase == Phase::Terminating;
        if !is_terminating && !is_cleanup {
            executor.timer = Some(self.timers.set(due, Timer::Run(ix)));
        }
        self.emit(Effect::Reattach { run: run.clone(), directory, process, containerizer });
        if is_terminating {
            self.emit(Effect::Destroy(run.container));
        }
    }
}

fn contained_by(executor: &HostedExecutor) -> Containerizer {
    let container = executor.info.details.get("container");
    let kind = container.and_then(|container| container.get("type")?.as_str());
    if kind.is_some_and(|kind| kind == "DOCKER") { Containerizer::Docker } else { Containerizer::Mesos }
}

/// Returns what has changed about an agent that the policy does not allow.
fn differences(before: &Agent, settings: &Settings) -> Vec<Difference> {
    let now = &settings.agent;
    let is_additive = settings.reconfiguration_policy == ReconfigurationPolicy::Additive;
    let mut found = Vec::new();
    let mut differ = |key: &str, before: String, now: String| {
        if before != now {
            found.push(Difference { key: key.to_owned(), before, now });
        }
    };
    differ("hostname", before.hostname.to_string(), now.hostname.to_string());
    let domain = |agent: &Agent| {
        let domain = agent.domain.as_ref();
        domain.map(|domain| format!("{}/{}", domain.region, domain.zone)).unwrap_or_default()
    };
    differ("domain", domain(before), domain(now));

    let attributes = |agent: &Agent| -> BTreeMap<String, String> {
        let mut known: BTreeMap<String, String> = BTreeMap::new();
        for attribute in agent.attributes.iter() {
            let values = known.entry(attribute.name.to_string()).or_default();
            if !values.is_empty() {
                values.push(';');
            }
            values.push_str(&attribute.value.to_string());
        }
        known
    };
    compare("attributes", &attributes(before), &attributes(now), is_additive, |_, _| false, &mut differ);

    let is_found = |name: &str| settings.found_resources.iter().any(|found| found == name);
    let resources = |agent: &Agent| -> BTreeMap<String, Resources> {
        let mut known: BTreeMap<String, Resources> = BTreeMap::new();
        for resource in agent.resources.iter().filter(|resource| !is_found(resource.name())) {
            let all = known.entry(resource.name().to_owned()).or_default();
            all.try_insert(resource.clone()).unwrap_or_default();
        }
        known
    };
    let (old, new) = (resources(before), resources(now));
    let print = |known: &BTreeMap<String, Resources>| -> BTreeMap<String, String> {
        known.iter().map(|(name, all)| (name.clone(), all.to_string())).collect()
    };
    let is_more = |name: &str, _: &str| match (old.get(name), new.get(name)) {
        (Some(old), Some(new)) => new.contains(old),
        (None, _) | (_, None) => false,
    };
    compare("resources", &print(&old), &print(&new), is_additive, is_more, &mut differ);
    found
}

/// Compares two maps. Additive: keys may be added, and values may change that `is_more` accepts.
fn compare(
    flag: &str,
    before: &BTreeMap<String, String>,
    now: &BTreeMap<String, String>,
    is_additive: bool,
    is_more: impl Fn(&str, &str) -> bool,
    differ: &mut impl FnMut(&str, String, String),
) {
    for (name, old) in before {
        let new = now.get(name);
        if !(is_additive && is_more(name, old)) {
            differ(&format!("{flag}/{name}"), old.clone(), new.cloned().unwrap_or_default());
        }
    }
    for (name, new) in now.iter().filter(|(name, _)| !before.contains_key(*name) && !is_additive) {
        differ(&format!("{flag}/{name}"), String::new(), new.clone());
    }
}
