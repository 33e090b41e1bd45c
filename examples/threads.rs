//! A master behind threads and channels: the master, each scheduler and each agent run in a thread of their own.
//!
//! Every command is written to a journal, here standard output, before anybody is told of it.

#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "a program has threads and a clock")]

use apportion::delivery::{AgentMessage, Delivery, FrameworkMessage};
use apportion::scheduler::{self, Calls};
use apportion::{
    Accept, Agent, AgentId, Call, Command, Config, Framework, FrameworkId, Master, Offer, Role, Scheduler, Task,
    TaskId, TaskState, TaskStatus, Time, journal,
};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Runs as many tasks as there are left to start.
#[derive(Debug)]
struct Batch {
    waiting: Vec<TaskId>,
    running: usize,
}

impl Scheduler for Batch {
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        let size = "cpus:1;mem:64".parse().expect("resources");
        for offer in offers {
            let (mut accept, mut left) = (Accept::of(&offer), offer.resources.clone());
            while let Ok(rest) = left.checked_sub(&size) {
                let Some(task) = self.waiting.pop() else { break };
                accept = accept.launch(Task::new(task, size.clone()));
                (left, self.running) = (rest, self.running + 1);
            }
            calls.accept(accept.refuse_rest_for(Duration::ZERO));
        }
    }

    fn update(&mut self, status: TaskStatus, _: &mut Calls) {
        self.running -= usize::from(status.state.is_terminal());
    }
}

/// A scheduler's thread.
fn schedule(id: FrameworkId, tasks: u32, inbox: Receiver<FrameworkMessage>, master: Sender<Command>) {
    let mut batch = Batch { waiting: (0..tasks).map(|n| TaskId::from(format!("{id}.{n}"))).collect(), running: 0 };
    for message in inbox {
        let mut calls = Calls::new(Time::ZERO);
        match message {
            FrameworkMessage::Event(event) => scheduler::deliver(&mut batch, event, &mut calls),
            FrameworkMessage::Rejected(rejected) => batch.rejected(rejected, &mut calls),
            FrameworkMessage::Close(_) | _ => return,
        }
        let done = (batch.waiting.is_empty() && batch.running == 0).then_some(Call::Teardown);
        for call in calls.into_vec().into_iter().chain(done) {
            if master.send(Command::Call(id.clone(), call)).is_err() {
                return; // the master could not write its journal
            }
        }
    }
}

/// An agent's thread: each task takes a moment.
fn run_tasks(id: AgentId, inbox: Receiver<AgentMessage>, master: Sender<Command>) {
    for message in inbox {
        let AgentMessage::Launch { framework, task, .. } = message else { continue };
        for state in [TaskState::Running, TaskState::Finished] {
            thread::sleep(Duration::from_millis(2));
            let mut status = TaskStatus::new(task.id.clone(), state);
            status.agent = Some(id.clone());
            if master.send(Command::TaskStatus(framework.id.clone(), status)).is_err() {
                return;
            }
        }
    }
}

fn main() -> std::process::ExitCode {
    let about = "A master with frameworks and agents in threads of their own; prints its journal.";
    apportion_console::example(about, |mut out| run(&mut out))
}

/// The master's thread.
pub(crate) fn run(journal: &mut impl Write) -> Result<(), Box<dyn std::error::Error>> {
    let (start, (inputs, inbox)) = (Instant::now(), channel());
    writeln!(journal, "{}", journal::header(&Config::default()))?;
    let mut delivery = Delivery::new(Master::new(Config::default())).recording().holding();
    let (mut agents, mut frameworks) = (BTreeMap::new(), BTreeMap::new()); // the senders of their threads
    for name in ["a1", "a2"] {
        let ((sender, receiver), master) = (channel(), inputs.clone());
        thread::spawn(move || run_tasks(name.into(), receiver, master));
        agents.insert(AgentId::from(name), sender);
        delivery.handle(Time::ZERO, Command::AddAgent(Agent::new(name, "cpus:4;mem:1024".parse()?).into()))?;
    }
    for tasks in [12, 8] {
        let ((sender, receiver), master) = (channel(), inputs.clone());
        let id = delivery.subscribe(Time::ZERO, Framework::new("").role(Role::default()))?;
        frameworks.insert(id.clone(), sender);
        thread::spawn(move || schedule(id, tasks, receiver, master));
    }
    while !frameworks.is_empty() {
        while let Some(recorded) = delivery.poll_command() {
            writeln!(journal, "{}", journal::record(recorded.at, &recorded.command))?;
        }
        delivery.stored(delivery.last_command()); // what was written may be told
        while let Some(envelope) = delivery.poll_framework_message() {
            let is_over = matches!(envelope.message, FrameworkMessage::Close(_));
            frameworks.get(&envelope.to).and_then(|thread| thread.send(envelope.message).ok());
            frameworks.retain(|id, _| !is_over || *id != envelope.to);
        }
        while let Some(envelope) = delivery.poll_agent_message() {
            agents.get(&envelope.to).and_then(|thread| thread.send(envelope.message).ok());
        }
        let now = Time::ZERO + start.elapsed();
        let wait = delivery.poll_timeout().map_or(Duration::from_secs(60), |wake| wake.at.since(now));
        match inbox.recv_timeout(wait) {
            Ok(Command::Call(framework, call)) => drop(delivery.call(now, &framework, call)), // it is told if it is rejected
            Ok(command) => delivery.handle(now, command)?,
            Err(_) => delivery.advance(Time::ZERO + start.elapsed()), // a timer is due
        }
    }
    Ok(())
}
