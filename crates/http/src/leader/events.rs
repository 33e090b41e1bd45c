//! [`Events`]: the effects of the master, told to all who watch as they happen.

use apportion::{Effect, Emitted, Task, TaskStatus};
use bytes::Bytes;
use serde_json::json;
use std::sync::{Arc, OnceLock};
use tokio::sync::broadcast;

/// The number of events that a watcher may be behind.
const MAX_BEHIND: usize = 4096;

/// Where the master's task tells events. It never waits: a watcher that falls too far behind loses its place.
#[derive(Debug)]
pub(crate) struct Events {
    sender: broadcast::Sender<Arc<ToldEffect>>,
    /// The number of the last event.
    told: u64,
}

/// What a watcher gets: all events after that number.
#[derive(Debug)]
pub(crate) struct EffectWatch {
    pub(crate) after: u64,
    pub(crate) events: broadcast::Receiver<Arc<ToldEffect>>,
}

/// An event.
#[derive(Debug)]
pub(crate) struct ToldEffect {
    pub(crate) number: u64,
    emitted: Emitted,
    /// The event as JSON, once somebody has asked for it.
    json: OnceLock<Bytes>,
}

impl Events {
    pub(crate) fn new() -> Self {
        Self { sender: broadcast::Sender::new(MAX_BEHIND), told: 0 }
    }

    /// Tells an effect. It is copied only if somebody watches.
    pub(crate) fn tell(&mut self, emitted: &Emitted) {
        self.told += 1;
        if self.sender.receiver_count() > 0 {
            let mut emitted = emitted.clone();
            drop_payload(&mut emitted.effect);
            // It fails when the last watcher has just gone.
            let _ = self.sender.send(Arc::new(ToldEffect { number: self.told, emitted, json: OnceLock::new() }));
        }
    }

    pub(crate) fn watch(&self) -> EffectWatch {
        EffectWatch { after: self.told, events: self.sender.subscribe() }
    }
}

impl ToldEffect {
    /// Returns the event as a line of a journal.
    pub(crate) fn json(&self) -> &Bytes {
        self.json.get_or_init(|| json!(self.emitted).to_string().into())
    }
}

/// Drops what may be large or secret: data of messages and statuses, and what a task is besides its resources.
#[expect(clippy::wildcard_enum_match_arm, reason = "few effects carry something")]
fn drop_payload(effect: &mut Effect) {
    match effect {
        Effect::Message { data, .. } | Effect::ExecutorMessage { data, .. } => data.clear(),
        Effect::Launch { task, .. } => *task = Task::new(task.id.clone(), task.resources.clone()),
        Effect::Status { status, .. } => {
            let mut short = TaskStatus::new(status.task.clone(), status.state);
            (short.agent, short.source) = (status.agent.take(), status.source);
            (short.reason, short.message) = (status.reason.take(), status.message.take());
            *status = short;
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apportion::{Agent, Command, Config, Framework, Master, Time};

    #[test]
    fn events_are_numbered_and_told_to_those_who_watch() {
        let mut master = Master::new(Config::default());
        let mut events = Events::new();
        let mut tell = |master: &mut Master, at: u64, command: Command| {
            master.handle(Time::from_secs(at), command).unwrap();
            while let Some(emitted) = master.poll_effect() {
                events.tell(&emitted);
            }
            events.watch()
        };
        let mut watch = tell(&mut master, 1, Command::AddFramework(Framework::new("f").role("a".parse().unwrap())));
        assert_eq!(watch.after, 1);
        drop(tell(&mut master, 2, Command::AddAgent(Agent::new("s", "cpus:1;mem:64".parse().unwrap()).into())));
        let told = watch.events.try_recv().unwrap();
        assert_eq!(told.number, 2);
        let json: serde_json::Value = serde_json::from_slice(told.json()).unwrap();
        assert_eq!((&json["at"], &json["emit"]["offer"]["resources"]), (&json!(2), &json!("cpus:1;mem:64")));
        assert!(watch.events.try_recv().is_err());
    }

    #[test]
    fn what_may_be_large_or_secret_is_left_out() {
        let mut status = TaskStatus::new("t", apportion::TaskState::Failed).reason("REASON_COMMAND_EXECUTOR_FAILED");
        status.data = Some(vec![1; 1000]);
        status.details.insert("labels", json!({"secret": 1}));
        let mut effect = Effect::Status { framework: "f".into(), status };
        drop_payload(&mut effect);
        let expected = json!({"framework": "f", "task": "t", "state": "TASK_FAILED",
            "reason": "REASON_COMMAND_EXECUTOR_FAILED"});
        assert_eq!(json!(effect)["status"], expected);
        let mut task = Task::new("t", "cpus:1".parse().unwrap());
        task.details.insert("command", json!({"environment": "secret"}));
        let mut effect =
            Effect::Launch { agent: "s".into(), framework: "f".into(), role: "a".parse().unwrap(), task, group: None };
        drop_payload(&mut effect);
        assert_eq!(json!(effect)["launch"]["task"], json!({"id": "t", "resources": "cpus:1"}));
    }
}
