//! The master against a plain reference, on random sequences of commands: the same effects at the same
//! times, and after every command all that must hold.
//!
//! By default a short tier runs. `PROPTEST_CASES=10000 cargo test --test agreement` runs ten times as many sequences, and
//! crowds in proportion; any other number does too.

#![expect(clippy::wildcard_enum_match_arm, reason = "what a match here does not name makes no difference to it")]

mod found;
mod generate;
mod invariants;
mod kinds;
mod limits;
mod metrics;
mod reference;
#[path = "../tier/mod.rs"]
mod tier;

use apportion::journal::{self, Replay};
use apportion::{Command, Config, Domain, Effect, Emitted, Master, OperationError, OperationStatus, Snapshot, Time};
use generate::{Dice, Move, command, crowds, minimum, moves, parsed};
use invariants::Watch;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngSeed, TestCaseError, TestRunner};
use reference::Reference;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use tier::tier;

/// Number of command sequences in the short tier.
const CASES: u32 = 1_000;
/// Number of tests that share a property's cases, so that each core judges a part of them.
const SHARDS: u32 = 4;
/// Sequences for each crowd: a crowd is twenty times as long.
const SEQUENCES_PER_CROWD: u32 = 20;
/// The most crowds that are tried, however many sequences are.
const MAX_CROWDS: u32 = 5_000;

/// A test for each shard; what they share is a function `shard`.
macro_rules! shards {
    () => {
        shards!(first 0, second 1, third 2, fourth 3);
    };
    ($($name:ident $number:literal),+) => {
        $(
            #[test]
            fn $name() {
                shard($number);
            }
        )+
    };
}

mod master_and_reference_agree {
    use super::{agree, moves};

    fn shard(shard: u32) {
        agree(shard, |cases| cases, moves(), 30);
    }

    shards!();
}

/// Many frameworks that decline most of what they are offered.
mod master_and_reference_agree_on_crowds {
    use super::{MAX_CROWDS, SEQUENCES_PER_CROWD, agree, crowds};

    fn shard(shard: u32) {
        agree(shard, |cases| (cases / SEQUENCES_PER_CROWD).min(MAX_CROWDS), crowds(), 100);
    }

    shards!();
}

/// Runs one shard of the property that master and reference agree: `total` says how many cases all shards have
/// together, given the number of the tier; a copy of the master is taken before one of the first `twin_before` commands.
fn agree(shard: u32, total: fn(u32) -> u32, moves: impl Strategy<Value = Vec<Move>>, twin_before: usize) {
    let mut config = tier(CASES);
    config.max_shrink_iters = 20_000;
    config.cases = total(config.cases).div_ceil(SHARDS);
    if let RngSeed::Fixed(seed) = config.rng_seed {
        config.rng_seed = RngSeed::Fixed(seed.wrapping_add(u64::from(shard)));
    }
    let cases = (any::<[u8; 11]>(), moves, 0..twin_before);
    let judged =
        TestRunner::new(config).run(&cases, |(options, moves, twin_at)| run(options, &moves, twin_at).map(drop));
    judged.unwrap_or_else(|disagreement| panic!("{disagreement}"));
}

/// What is never taken, or never comes out, would be judged by nobody.
#[test]
fn every_kind_of_command_is_taken_and_every_effect_comes_out() {
    let mut runner = TestRunner::deterministic();
    let (mut commands, mut effects) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..600 {
        let tree = (any::<[u8; 11]>(), moves()).new_tree(&mut runner).expect("a sequence");
        let (options, moves) = tree.current();
        let done = run(options, &moves, 0).expect("agreement");
        commands.extend(done.taken);
        effects.extend(done.effects.iter().filter_map(|line| Some(line.split('"').nth(5)?.to_owned())));
    }
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    assert_eq!(commands.join(" "), COMMANDS);
    let effects: Vec<&str> = effects.iter().map(String::as_str).collect();
    assert_eq!(
        effects.join(" "),
        "acknowledge drain executor_ended framework_removed inverse_offer kill launch offer operation operation_failed \
        operation_status rescind rescind_inverse_offer shutdown_agent shutdown_framework status task_conflict warning"
    );
}

const COMMANDS: &str = "accept accept_inverse_offer activate_agent activate_framework add_agent add_framework agent_gone \
    agent_unreachable deactivate_agent deactivate_framework decline decline_inverse_offer disconnect_agent drain_agent \
    executor_ended kill operate reconcile recover recover_framework remove_agent remove_framework request revive set_maintenance \
    set_quota set_weight set_whitelist subscribe suppress task_status unregister_agent update_agent update_framework";

/// Options of the master, and the journal line that says the same.
fn configure(options: [u8; 11]) -> (Config, String) {
    let mut dice = Dice(options.iter());
    let mut config = Config::default();
    let interval = dice.pick(&[1.0, 1.0, 0.5, 3.0]);
    let timeout = dice.pick(&[None, None, None, Some(3.0), Some(0.0)]);
    let excluded: Vec<&str> = dice.pick(&[vec![], vec![], vec!["mem"]]);
    let minimums = dice.pick(&[
        None,
        None,
        Some(vec![]),
        Some(vec![("cpus", 1000)]),
        Some(vec![("ports", 1000), ("mem", 16_000)]),
    ]);
    let filter_gpus = !dice.one_in(4);
    let home = dice.one_in(2);
    config.allocation_interval = Duration::from_secs_f64(interval);
    config.offer_timeout = timeout.map(Duration::from_secs_f64);
    config.options.fair_sharing_excluded = excluded.iter().copied().map(Into::into).collect();
    config.options.filter_gpu_resources = filter_gpus;
    if let Some(minimums) = minimums {
        config.options.min_allocatable = minimums.iter().map(|(name, milli)| minimum(name, *milli)).collect();
    }
    if home {
        config.options.domain = Some(Domain { region: "home".into(), zone: "z0".into() });
    }
    if dice.one_in(4) {
        config.id_prefix = "p-".into();
    }
    if dice.one_in(2) {
        config.remembered.frameworks = dice.pick(&[50, 1, 0]);
        config.remembered.unreachable_tasks = dice.pick(&[1000, 1, 0]);
        config.remembered.agents = dice.pick(&[1000, 1, 0]);
    }
    config.timeout_refusal = Duration::from_secs_f64(dice.pick(&[0.0, 0.0, 2.5, 0.1]));
    let most = dice.pick(&[None, None, None, Some("cpus:2"), Some("mem:64;cpus:3"), Some("disk:4;gpus:1")]);
    config.options.max_offer = most.map(parsed).unwrap_or_default();
    let line = journal::header(&config);
    (config, line)
}

/// The master, all that it is held against, and what happened so far.
struct Run {
    master: Master,
    reference: Reference,
    /// A copy, taken at some moment, that is told the same from then on.
    twin: Option<Master>,
    /// One that is not told what the master refuses, only that time goes on.
    sober: Master,
    /// One that is told the same as the sober one, and is stored and restored again and again.
    relay: Master,
    watch: Watch,
    journal: Vec<String>,
    effects: Vec<String>,
    refused: usize,
    /// The names of the commands that were taken.
    taken: BTreeSet<String>,
}

fn run(options: [u8; 11], moves: &[Move], twin_at: usize) -> Result<Run, TestCaseError> {
    let (config, configure) = configure(options);
    let mut run = Run {
        master: Master::new(config.clone()),
        reference: Reference::new(config.clone()),
        twin: None,
        sober: Master::new(config.clone()),
        relay: Master::new(config.clone()),
        watch: Watch::new(config),
        journal: vec![configure],
        effects: Vec::new(),
        refused: 0,
        taken: BTreeSet::new(),
    };
    let mut at = Time::ZERO;
    for (i, made) in moves.iter().enumerate() {
        if i == twin_at {
            run.twin = Some(run.master.clone());
        }
        at += made.wait;
        if i % 4 == 3 {
            run.ask_why(at);
        }
        let stepped = run.step(at, made).and_then(|()| if i % 3 == 0 { run.pass_on() } else { Ok(()) });
        stepped.map_err(|fault| TestCaseError::fail(format!("{fault}\n{}", run.journal.join("\n"))))?;
    }
    match run.replay() {
        Ok(()) => Ok(run),
        Err(fault) => Err(TestCaseError::fail(format!("{fault}\n{}", run.journal.join("\n")))),
    }
}

impl Run {
    fn step(&mut self, at: Time, made: &Move) -> Result<(), String> {
        // Timers first, by themselves: a refused command must leave what they left.
        self.journal.push(json!({"at": at.as_secs_f64(), "do": {"advance": {}}}).to_string());
        self.master.advance(at).map_err(|error| error.to_string())?;
        self.reference.run_timers(at);
        self.compare(at)?;
        let Some(command) = command(made, &self.reference) else {
            return self.follow(at, None);
        };
        self.journal.push(journal::record(at, &command));
        let known = self.reference.clone();
        let done = self.master.handle(at, command.clone());
        let expected = self.reference.handle(at, command.clone());
        match (&done, expected) {
            (Ok(()), Err(error)) => Err(format!("taken, should have been refused: {error}")),
            (Err(error), Ok(())) => Err(format!("refused, should have been taken: {error}")),
            (Err(_), Err(_)) => {
                self.refused += 1;
                self.compare(at)?;
                self.follow(at, None)?;
                // The sober one was not told: a refused command leaves what there would be without it.
                if self.master.state() != self.sober.state() {
                    return Err("a refused command changed something".to_owned());
                }
                Ok(())
            }
            (Ok(()), Ok(())) => {
                self.taken.extend(self.journal.last().and_then(|line| line.split('"').nth(5)).map(str::to_owned));
                self.watch.learn(&known, &command, at);
                self.compare(at)?;
                self.follow(at, Some(command))
            }
        }
    }

    /// Asks in the journal why a framework is not offered an agent: whatever is answered, nothing changes.
    fn ask_why(&mut self, at: Time) {
        // Not of one that may leave before it is asked: that is an error.
        let to = self.reference.frameworks.iter().rfind(|known| known.leaves_at.is_none());
        let on = self.reference.agents.iter().find(|known| !self.reference.drains.contains_key(&known.agent.id));
        let (Some(to), Some(on)) = (to, on) else { return };
        let (framework, agent) = (to.framework.id.as_str(), on.agent.id.as_str());
        let explain = json!({"at": at.as_secs_f64(), "do": {"explain": {"framework": framework, "agent": agent}}});
        self.journal.push(explain.to_string());
    }

    /// Compares what has come out, and checks what must hold.
    fn compare(&mut self, at: Time) -> Result<(), String> {
        let (expected, parts) = (self.reference.take_effects(), self.reference.take_parts());
        let all = std::iter::from_fn(|| self.master.poll_effect());
        let found: Vec<Emitted> = all.filter(|emitted| emitted.effect.is_in_journal()).collect();
        self.effects.extend(found.iter().map(journal::effect_line));
        let bare: Vec<(Time, Effect)> = found.iter().map(|emitted| (emitted.at, bare(&emitted.effect))).collect();
        let expected: Vec<(Time, Effect)> = expected.iter().map(|(at, effect)| (*at, bare_of(effect))).collect();
        if bare != expected {
            return Err(format!("found\n{}\nexpected\n{}", list(&bare), list(&expected)));
        }
        metrics::check(&self.master, &self.reference)?;
        self.watch.check(&found, &self.master.state(), &self.reference, &parts, at)
    }

    /// Tells the copies the same.
    fn follow(&mut self, at: Time, command: Option<Command>) -> Result<(), String> {
        for other in self.twin.iter_mut().chain([&mut self.sober, &mut self.relay]) {
            other.advance(at).map_err(|error| error.to_string())?;
            if let Some(command) = &command {
                other.handle(at, command.clone()).map_err(|error| format!("a copy refused it: {error}"))?;
            }
        }
        Ok(())
    }

    /// Stores the relay and restores it: it must be as the one that was never restored, effects that wait and all.
    fn pass_on(&mut self) -> Result<(), String> {
        let text = |master: &Master| serde_json::to_string(&master.snapshot()).expect("JSON");
        let (stored, expected) = (text(&self.relay), text(&self.sober));
        if stored != expected {
            return Err(format!("a restored master went on otherwise: {stored}\nexpected {expected}"));
        }
        let snapshot: Snapshot = serde_json::from_str(&stored).map_err(|error| error.to_string())?;
        self.relay = Master::restore(snapshot).map_err(|error| format!("cannot be restored: {error}: {stored}"))?;
        let again = text(&self.relay);
        if again != stored {
            return Err(format!("a restored master is another: {again}\nexpected {stored}"));
        }
        Ok(())
    }

    /// Replays the journal, and drains the copies: all must come to the same lines.
    fn replay(&mut self) -> Result<(), String> {
        let mut replay = Replay::new();
        let (mut lines, mut errors) = (Vec::new(), 0);
        for line in &self.journal {
            let emit = |line: &str| {
                if line.contains(r#""emit":{"error""#) {
                    errors += 1;
                } else if !line.contains(r#""emit":{"explanation""#) {
                    lines.push(line.to_owned());
                }
            };
            replay.feed(line, emit).map_err(|error| format!("cannot be replayed: {error}: {line}"))?;
        }
        if lines != self.effects || errors != self.refused {
            let differs = lines.iter().zip(&self.effects).find(|(replayed, direct)| replayed != direct);
            return Err(format!("replayed otherwise: {differs:?}, {errors} errors for {} refused", self.refused));
        }
        for other in self.twin.iter().chain([&self.sober]) {
            if other.state() != self.master.state() {
                return Err("a copy, or one that was not told what was refused, came to another state".to_owned());
            }
        }
        let drained = |master: &mut Master| -> Vec<String> {
            let all = std::iter::from_fn(|| master.poll_effect());
            all.filter(|emitted| emitted.effect.is_in_journal()).map(|emitted| journal::effect_line(&emitted)).collect()
        };
        if drained(&mut self.sober) != self.effects {
            return Err("without the refused commands other effects".to_owned());
        }
        match self.twin.as_mut().map(drained) {
            Some(twin) if !self.effects.ends_with(&twin) => Err("a copy went on otherwise".to_owned()),
            _ => Ok(()),
        }
    }
}

fn list(effects: &[(Time, Effect)]) -> String {
    effects.iter().map(|(at, effect)| format!("  {at}: {effect:?}")).collect::<Vec<_>>().join("\n")
}

/// An effect without what is said for people only.
fn bare(effect: &Effect) -> Effect {
    match effect.clone() {
        Effect::Offer(mut offer) => {
            offer.executors.clear();
            Effect::Offer(offer)
        }
        Effect::Status { framework, mut status } => {
            status.message = None;
            Effect::Status { framework, status }
        }
        Effect::OperationFailed { framework, operation, .. } => {
            Effect::OperationFailed { framework, operation, error: OperationError::Empty }
        }
        Effect::OperationStatus { framework, status } => {
            let told = status.operation.expect("the id of an operation");
            Effect::OperationStatus { framework, status: OperationStatus::new(told, status.state) }
        }
        Effect::Warning { command, .. } => Effect::Warning { command, message: String::new() },
        Effect::ShutdownAgent { agent, .. } => Effect::ShutdownAgent { agent, message: "" },
        Effect::Launch { agent, framework, role, mut task, group } => {
            (task.agent, task.role) = (None, None); // said beside it
            Effect::Launch { agent, framework, role, task, group }
        }
        other => other,
    }
}

fn bare_of(effect: &Effect) -> Effect {
    bare(effect)
}
