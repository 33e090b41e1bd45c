//! The journal: a text codec for the master's commands and effects, one JSON object per line.
//!
//! A command is `{"at": SECONDS, "do": {COMMAND: {...}}}`, an effect is `{"at": SECONDS, "emit": {EFFECT: {...}}}`.
//!
//! | to | call |
//! | --- | --- |
//! | write a journal | [`header`], the first line: the configuration of the master (or [`restore`]: a snapshot); then [`record`] for each command |
//! | come back from it after a crash | [`recover`] |
//! | run it and see the effects, as text | [`Replay`] |
//! | read a single line | [`parse`] |
//!
//! ```
//! use apportion::{Agent, Command, Config, Framework, Master, Role, Time, journal};
//!
//! let mut master = Master::new(Config::default());
//! let mut lines = vec![journal::header(&Config::default())];
//! let commands = [
//!     Command::AddAgent(Agent::new("a1", "cpus:4;mem:1024".parse()?).into()),
//!     Command::AddFramework(Framework::new("f1").role(Role::default())),
//! ];
//! for (at, command) in commands.into_iter().enumerate().map(|(at, command)| (Time::from_secs(at as u64), command)) {
//!     lines.push(journal::record(at, &command)); // write, then do, then tell
//!     master.handle(at, command)?;
//! }
//! assert_eq!(lines[1], r#"{"at":0.0,"do":{"add_agent":{"id":"a1","resources":"cpus:4;mem:1024"}}}"#);
//!
//! // After a crash:
//! let mut again = Master::new(Config::default());
//! journal::recover(&mut again, lines.iter().map(|line| line.as_bytes()))?;
//! assert_eq!(again.state(), master.state());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! All is deterministic: the same input gives the same bytes on every machine, so a journal that was recorded in production
//! can be replayed for debugging.

mod effect;
mod explanation;
mod line;
#[cfg(test)]
mod lossless;
mod output;
mod recover;
mod replay;

pub use crate::forms::ValueError;
pub use line::{Entry, Instruction, LineError, Query, is_restore, parse};
pub use recover::{RecoverError, Recovered, recover};
pub use replay::Replay;

use crate::allocator::Snapshot;
use crate::forms::raw::{self, RawCommand};
use crate::json;
use crate::master::{Command, Config, Emitted};
use crate::time::Time;
use effect::{Emit, Line};

/// The longest line in bytes, 16 MiB, unless a [`Replay`] is given [another limit](Replay::with_max_line_bytes): JSON takes several
/// times the memory of its text, so a longer line is refused before it is parsed.
pub const MAX_LINE_BYTES: usize = 16 << 20;

/// The longest line in bytes that restores a snapshot, 1 GiB: it has a whole cluster in it.
pub const MAX_RESTORE_BYTES: usize = 1 << 30;

fn print(at: Time, emit: Emit<'_>, to: &mut impl FnMut(&str)) {
    to(&json::to_string(&Line { at, emit }));
}

/// Encodes an effect as [`Replay`] emits it: one line, without a newline.
#[must_use]
pub fn effect_line(emitted: &Emitted) -> String {
    let mut line = String::new();
    print(emitted.at, (&emitted.effect).into(), &mut |text: &str| text.clone_into(&mut line));
    line
}

/// Encodes the configuration of a master: the first line of a journal, without a newline. It has the number of the format,
/// and the settings that differ from the defaults.
///
/// # Examples
///
/// ```
/// use apportion::{Config, journal};
/// use std::time::Duration;
///
/// let mut config = Config::default();
/// config.offer_timeout = Some(Duration::from_secs(60));
/// assert_eq!(journal::header(&config), r#"{"do":{"configure":{"format":1,"offer_timeout":60.0}}}"#);
/// ```
#[must_use]
pub fn header(config: &Config) -> String {
    json::to_string(&raw::RawLine { at: None, command: RawCommand::Configure(Box::new(config.into())) })
}

/// Encodes a snapshot as the first line of a journal, without a newline, in place of a [`header`]: so a journal that is
/// rotated can be replayed alone. What follows goes on from the snapshot.
///
/// # Examples
///
/// ```
/// use apportion::{Config, Master, Time, journal};
///
/// let mut master = Master::new(Config::default());
/// master.advance(Time::from_secs(9))?;
/// let line = journal::restore(&master.snapshot());
///
/// let mut restored = Master::new(Config::default());
/// assert_eq!(journal::recover(&mut restored, [line])?.lines, 1);
/// assert_eq!(restored.now(), Time::from_secs(9));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn restore(snapshot: &Snapshot) -> String {
    let command = RawCommand::Restore(raw::Restore { snapshot: snapshot.clone() });
    json::to_string(&raw::RawLine { at: None, command })
}

/// Encodes a command: one line of a journal, without a newline. [`parse`] reads it back as an equal command.
///
/// # Examples
///
/// ```
/// use apportion::{Command, Framework, Role, Time, journal};
///
/// let command = Command::AddFramework(Framework::new("f1").role(Role::default()));
/// let line = journal::record(Time::from_secs(2), &command);
/// assert_eq!(line, r#"{"at":2.0,"do":{"add_framework":{"id":"f1","roles":["*"]}}}"#);
/// ```
#[must_use]
pub fn record(at: Time, command: &Command) -> String {
    let line = raw::RawLine { at: Some(at.into()), command: command.into() };
    json::to_string(&line)
}

/// Encodes that time goes on: one line, without a newline. It runs the timers due by then, which a journal does not record
/// otherwise: they follow from the time of the next command.
///
/// # Examples
///
/// ```
/// use apportion::{Time, journal};
///
/// assert_eq!(journal::advance(Time::from_secs(2)), r#"{"at":2.0,"do":{"advance":{}}}"#);
/// ```
#[must_use]
pub fn advance(at: Time) -> String {
    json::to_string(&raw::RawLine { at: Some(at.into()), command: RawCommand::Advance(raw::Empty {}) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::{Agent, Domain, Unavailability};
    use crate::allocator::{AgentOrder, Hdrf, Hierarchical, Quota, QuotaError, Random, SorterChoice};
    use crate::attributes::AttributeValue;
    use crate::framework::OfferConstraints;
    use crate::id::TaskId;
    use crate::master::{CommandError, Master};
    use crate::resources::{Limits, Quantities, Resources, Scalar};
    use crate::role::Role;
    use crate::scheduler::Call;
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn a_configuration_read_again_is_equal() {
        for sorter in
            [SorterChoice::default(), SorterChoice::Hdrf(Hdrf::default()), SorterChoice::Random(Random::new(7))]
        {
            let mut config = Config { sorter, ..Config::default() };
            for changed in [false, true] {
                if changed {
                    config.allocation_interval = Duration::from_micros(1_500_001);
                    config.offer_timeout = Some(Duration::ZERO);
                    config.options.min_allocatable = Vec::new();
                    config.options.fair_sharing_excluded = vec!["mem".into()];
                    config.options.filter_gpu_resources = false;
                    config.options.domain = Some(Domain { region: "r".into(), zone: "z".into() });
                    config.options.agent_order = AgentOrder::Shuffle(u64::MAX);
                }
                let line: raw::RawLine = json::from_str(&header(&config)).unwrap();
                let RawCommand::Configure(configure) = line.command else { panic!("no configure") };
                assert_eq!(format!("{:?}", Config::try_from(*configure).unwrap()), format!("{config:?}"));
            }
        }
    }

    #[test]
    fn a_refused_configuration_ends_the_run() {
        let mut replay = Replay::new();
        let refused = replay.feed(r#"{"do":{"configure":{"sorter":"fifo"}}}"#, |_| panic!("an effect"));
        assert!(matches!(refused, Err(LineError::Configuration(_))), "{refused:?}");
    }

    #[test]
    fn a_sorter_of_ones_own_has_to_be_given_to_the_reader() {
        let config = Config::new().sorter(SorterChoice::other(Random::new(7)));
        let lines = [header(&config), r#"{"do":{"snapshot":{}}}"#.to_owned()];
        let refused = Replay::new().feed(&lines[0], |_| panic!("an effect"));
        assert!(matches!(refused, Err(LineError::Configuration(_))), "{refused:?}");

        let mut replay = Replay::with_master(Master::new(config.clone()));
        let mut output = Vec::new();
        lines.iter().for_each(|line| replay.feed(line, |effect| output.push(effect.to_owned())).unwrap());
        assert!(matches!(output.as_slice(), [only] if only.contains("snapshot")), "{output:?}");

        let snapshot = replay.master().snapshot();
        assert!(Master::restore(snapshot.clone()).is_err());
        let make = |_: &Config| Hierarchical::new(config.options.clone(), config.sorter.clone(), config.sorter.clone());
        assert!(Master::restore_with(snapshot, make).is_ok());
    }

    #[test]
    fn large_amounts_and_late_times_come_back_from_a_line() {
        let amount = Scalar::milli(8_900_000_000_000_001);
        let window = |start, duration| Some(Unavailability { start, duration: Some(duration) });
        let quota = Quota::new(Quantities::from_iter([("cpus", amount)]), Limits::from_iter([("cpus", amount)]));
        let kill = crate::scheduler::Kill { grace: Some(Duration::MAX), ..TaskId::from("t").into() };
        let end = Time::MAX.since(Time::ZERO);
        for (command, read) in [
            (Command::SetQuota(Role::default(), quota.clone()), Command::SetQuota(Role::default(), quota)),
            (
                Command::SetMaintenance("a".into(), window(Time::MAX, Duration::MAX)),
                Command::SetMaintenance("a".into(), window(Time::MAX, end)),
            ),
            (
                Command::Call("f".into(), Call::Kill(kill.clone())),
                Command::Call("f".into(), Call::Kill(crate::scheduler::Kill { grace: Some(end), ..kill })),
            ),
        ] {
            for at in [Time::ZERO, Time::from_micros(8_589_934_592_000_001), Time::MAX] {
                let text = record(at, &command);
                let line: raw::RawLine = json::from_str(&text).unwrap();
                assert_eq!(Time::try_from(line.at.unwrap()), Ok(at), "{text}");
                assert_eq!(Command::try_from(line.command).unwrap(), read, "{text}");
            }
        }
    }

    #[test]
    fn odd_values_of_the_typed_interface_make_lines_that_can_be_read() {
        for interval in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
            let config = Config { allocation_interval: interval, offer_timeout: Some(interval), ..Config::default() };
            Replay::new().feed(&header(&config), |_| {}).unwrap();
        }
        let mut agent = Agent::new("a", Resources::new());
        agent.attributes.push("level", AttributeValue::Scalar(f64::INFINITY));
        agent.attributes.push("level", AttributeValue::Scalar(f64::NAN));
        let mut replay = Replay::new();
        replay.feed(&record(Time::MAX, &Command::AddAgent(agent.into())), |_| {}).unwrap();
        assert_eq!(replay.refused(), 0);
    }

    #[test]
    fn an_amount_above_the_largest_is_refused_in_a_quota() {
        let above = |milli: u64| [("cpus", Scalar::milli(milli))];
        for milli in [Scalar::MAX.as_milli() + 1, u64::MAX] {
            for quota in [
                Quota::new(above(milli).into_iter().collect(), Limits::new()),
                Quota::new(Quantities::new(), above(milli).into_iter().collect()),
            ] {
                let command = Command::SetQuota(Role::default(), quota);
                let line = record(Time::ZERO, &command);
                let refused = Master::new(Config::default()).handle(Time::ZERO, command);
                assert!(matches!(refused, Err(CommandError::Quota(QuotaError::TooLarge { .. }))), "{refused:?}");
                let mut replay = Replay::new();
                replay.feed(&line, |_| {}).unwrap();
                assert_eq!(replay.refused(), 1);
            }
        }
    }

    #[test]
    fn digits_of_large_amounts_are_printed_as_they_were_read() {
        let (mut replay, mut lines) = (Replay::new(), Vec::new());
        let reserve = |amount: &str| {
            let cpus = format!(
                r#"[{{"name":"cpus","scalar":{{"value":{amount}}},"reservations":[{{"type":"DYNAMIC","role":"r"}}]}}]"#
            );
            format!(r#"{{"do":{{"operate":{{"agent":"a","operations":[{{"reserve":{{"resources":{cpus}}}}}]}}}}}}"#)
        };
        for line in [
            r#"{"at":9000000000000.000001,"do":{"set_quota":{"role":"r","limits":{"cpus":8900000000000.001}}}}"#,
            r#"{"do":{"add_agent":{"id":"a","resources":"cpus:8900000000000.001","unavailability":{"start":18446744073709.551615}}}}"#,
            &reserve("8900000000000.001"),
            r#"{"do":{"add_framework":{"id":"f","roles":["r"]}}}"#,
            r#"{"do":{"state":{}}}"#,
        ] {
            replay.feed(line, |effect| lines.push(effect.to_owned())).unwrap();
        }
        for wanted in [
            r#""limits":{"cpus":8900000000000.001}"#,
            r#""start":18446744073709.551615"#,
            r#""value":8900000000000.001"#,
        ] {
            assert!(lines.iter().any(|line| line.contains(wanted)), "{wanted}: {lines:#?}");
        }
        assert!(lines.iter().all(|line| line.starts_with(r#"{"at":9000000000000.000001,"#)), "{lines:#?}");
    }

    #[test]
    fn a_line_that_is_too_long_is_refused_before_it_is_parsed() {
        let numbers = "[1,".repeat(MAX_LINE_BYTES / 3 + 1);
        let refused = Replay::new().feed(&numbers, |_| panic!("an effect"));
        assert!(matches!(refused, Err(LineError::TooLong { found, .. }) if found == numbers.len()), "{refused:?}");
        let comment = "//".repeat(MAX_LINE_BYTES / 2);
        assert!(Replay::new().feed(&comment, |_| panic!("an effect")).is_ok());
        let mut short = Replay::new().with_max_line_bytes(10);
        let refused = short.feed("// 12345678", |_| panic!("an effect")).unwrap_err();
        assert_eq!(refused.to_string(), "a line of 11 bytes: expected at most 10");
        assert!(short.feed("// 1234567", |_| panic!("an effect")).is_ok());
    }

    #[test]
    fn a_snapshot_may_be_a_longer_line() {
        let mut replay = Replay::new();
        let mut snapshot = String::new();
        replay.feed(r#"{"at":1,"do":{"snapshot":{}}}"#, |line| line.clone_into(&mut snapshot)).unwrap();
        let json: serde_json::Value = serde_json::from_str(&snapshot).unwrap();
        let restore = format!("{{ \"at\": 1.0,\n\"do\": {{ \"restore\" : {} }}}}", json["emit"]["snapshot"]);
        let mut short = Replay::new().with_max_line_bytes(10);
        short.feed(&restore, |_| panic!("an effect")).unwrap();
        assert_eq!(short.master().now(), Time::from_secs(1));
        assert!(is_restore(r#"{"do":{"restore":"#) && is_restore("\u{feff} {\"at\" : 5e3 ,\"do\": {\"restore\" :{"));
        for other in
            ["", "{", r#"{"do":{"restored":"#, r#"{"at":1,"do":{"advance":"#, r#"{"id":"restore","do":{"restore":"#]
        {
            assert!(!is_restore(other), "{other}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        let mut replay = Replay::new();
        replay.feed("\u{feff}{\"do\":{\"configure\":{}}}", |_| panic!("an effect")).unwrap();
        replay.feed("\u{feff}// and of a file that was appended", |_| panic!("an effect")).unwrap();
        assert!(replay.feed("{\u{feff}}", |_| panic!("an effect")).is_err());
    }

    #[test]
    fn a_key_twice_is_named() {
        for (line, key) in [
            (r#"{"do":{"set_quota":{"role":"r","limits":{"cpus":1,"mem":1,"cpus":1}}}}"#, "cpus"),
            (r#"{"do":{"add_agent":{"id":"a","resources":[{"name":"x","set":{"item":["a"],"item":[]}}]}}}"#, "item"),
            (r#"{"do":{"add_agent":{"id":"a","resources":"","attributes":{"rack":"1","rack":"1"}}}}"#, "rack"),
        ] {
            let error = Replay::new().feed(line, |_| panic!("an effect")).unwrap_err().to_string();
            assert!(error.starts_with(&format!("duplicate field `{key}` at byte")), "{error}");
        }
    }

    #[test]
    fn empty_offer_constraints_and_odd_sets_come_back() {
        for v1 in [json!({}), json!({"role_constraints": {}})] {
            let mut framework = crate::framework::Framework::new("f");
            framework.offer_constraints = OfferConstraints::from_v1(v1).unwrap();
            let command = Command::AddFramework(framework);
            let line: raw::RawLine = json::from_str(&record(Time::ZERO, &command)).unwrap();
            assert_eq!(Command::try_from(line.command).unwrap(), command);
        }
        for names in [vec![""], vec!["", "a"], vec![" a"], vec!["a;b"], vec!["{"]] {
            let resources = Resources::builder().set("z", names.clone()).build().unwrap();
            let mut agent = Agent::new("a", resources);
            agent.attributes.push("z", AttributeValue::Set(names.into_iter().collect()));
            let command = Command::AddAgent(agent.into());
            let line: raw::RawLine = json::from_str(&record(Time::ZERO, &command)).unwrap();
            assert_eq!(Command::try_from(line.command).unwrap(), command);
        }
    }

    #[test]
    fn refused_commands_are_counted() {
        let mut replay = Replay::new();
        for line in
            [r#"{"do":{"configure":{}}}"#, r#"{"do":{"configure":{}}}"#, r#"{"do":{"remove_agent":{"id":"s"}}}"#]
        {
            replay.feed(line, |_| {}).unwrap();
        }
        assert_eq!(replay.refused(), 2);
    }
}
