//! [`Driver`]: the loop around the machine. It owns the machine, tells it what happens, and has others do what it asks for.

use crate::containers::Containers;
use crate::gc::Gc;
use crate::machine::{AgentMachine, Effect, Exit, Input, Rejected, StreamId};
use crate::master::MasterLink;
use crate::sandboxes::Sandboxes;
use crate::storage::Storage;
use crate::view::{FrameworkView, View};
use apportion::Time;
use apportion::executor::Call;
use apportion::v1::ExecutorCall;
use apportion_http::executor_api::ExecutorEvents;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

/// A question to the loop.
pub(crate) type Question = Box<dyn FnOnce(&Driver) + Send>;

/// A request of a connection to the loop.
pub(crate) enum Asked {
    /// A call of an executor other than SUBSCRIBE.
    Call {
        call: ExecutorCall,
        reply: oneshot::Sender<Result<(), Rejected>>,
    },
    /// An executor subscribes. Its stream takes events from now on.
    Subscribe {
        stream: StreamId,
        call: ExecutorCall,
        events: ExecutorEvents,
        reply: oneshot::Sender<Result<(), Rejected>>,
    },
    /// The stream of an executor has ended.
    StreamEnded(StreamId),
    Question(Question),
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Call { .. } => "Call",
            Self::Subscribe { .. } => "Subscribe",
            Self::StreamEnded(_) => "StreamEnded",
            Self::Question(_) => "Question",
        })
    }
}

/// The clock of the machine: the time since 1970, which does not go back while the program runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
    unix: Duration,
}

impl Clock {
    pub(crate) fn new(unix: Duration) -> Self {
        Self { start: Instant::now(), unix }
    }

    pub(crate) fn now(self) -> Time {
        Time::ZERO + self.unix + self.start.elapsed()
    }

    fn instant(self, at: Time) -> Instant {
        self.start + at.since(Time::ZERO).saturating_sub(self.unix)
    }
}

/// The loop around the machine.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) machine: AgentMachine,
    pub(crate) clock: Clock,
    pub(crate) streams: BTreeMap<StreamId, ExecutorEvents>,
    pub(crate) containers: Containers,
    pub(crate) master: MasterLink,
    pub(crate) storage: Storage,
    pub(crate) gc: Gc,
    pub(crate) sandboxes: Arc<Sandboxes>,
    pub(crate) counters: Counters,
}

/// The counters of the loop, for the metrics.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counters {
    pub(crate) valid_status_updates: u64,
    pub(crate) invalid_status_updates: u64,
    pub(crate) valid_framework_messages: u64,
    pub(crate) invalid_framework_messages: u64,
    pub(crate) container_launch_errors: u64,
}

impl Driver {
    /// Runs until the machine ends. `asked` are the requests of connections; `inputs` is what the helpers of the loop tell.
    pub(crate) async fn run(
        mut self,
        mut asked: mpsc::Receiver<Asked>,
        mut inputs: mpsc::UnboundedReceiver<Input>,
    ) -> Exit {
        const BATCH: usize = 64;
        let (mut batch, mut told) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        loop {
            if let Some(exit) = self.carry_out() {
                // What was written is on the disk when the program has ended.
                let _ = tokio::task::spawn_blocking(move || self.storage.finish()).await;
                return exit;
            }
            let wake = self.machine.poll_timeout().map(|at| self.clock.instant(at));
            let timer = async {
                match wake {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = asked.recv_many(&mut batch, BATCH) => {}
                _ = inputs.recv_many(&mut told, BATCH) => {}
                input = self.master.next() => {
                    told.push(input);
                    told.extend(std::iter::from_fn(|| self.master.try_next()).take(BATCH));
                }
                () = timer => {}
            }
            let now = self.clock.now();
            self.machine.advance(now);
            for input in told.drain(..) {
                self.handle(now, input);
            }
            for asked in batch.drain(..) {
                self.answer(now, asked);
            }
        }
    }

    fn handle(&mut self, now: Time, input: Input) {
        if matches!(&input, Input::Container(_, crate::machine::ContainerEvent::Failed { .. })) {
            self.counters.container_launch_errors += 1;
        }
        if let Err(rejected) = self.machine.handle(now, input) {
            tracing::debug!(%rejected, "an input of the agent is of no use");
        }
    }

    fn answer(&mut self, now: Time, asked: Asked) {
        // Those who asked may have gone: then nobody takes the answer.
        match asked {
            Asked::Question(question) => question(self),
            Asked::StreamEnded(stream) => {
                if self.streams.remove(&stream).is_some() {
                    self.handle(now, Input::StreamEnded(stream));
                }
            }
            Asked::Call { call, reply } => {
                let (is_update, is_message) =
                    (matches!(call.call, Call::Update(_)), matches!(call.call, Call::Message(_)));
                let ExecutorCall { framework, executor, call, .. } = call;
                let handled = self.machine.handle(now, Input::Call { framework, executor, call });
                let counters = &mut self.counters;
                match (&handled, is_update, is_message) {
                    (Ok(()), true, _) => counters.valid_status_updates += 1,
                    (Err(_), true, _) => counters.invalid_status_updates += 1,
                    (Ok(()), _, true) => counters.valid_framework_messages += 1,
                    (Err(_), _, true) => counters.invalid_framework_messages += 1,
                    _ => {}
                }
                let _ = reply.send(handled);
            }
            Asked::Subscribe { stream, call, events, reply } => {
                let ExecutorCall { framework, executor, call, .. } = call;
                let Call::Subscribe { tasks, updates } = call else { return };
                self.streams.insert(stream, events);
                let handled =
                    self.machine.handle(now, Input::Subscribe { stream, framework, executor, tasks, updates });
                if handled.is_err() {
                    self.streams.remove(&stream);
                }
                let _ = reply.send(handled);
            }
        }
    }

    /// Carries out what the machine asks for. Returns how the agent ends, if it does.
    fn carry_out(&mut self) -> Option<Exit> {
        while let Some(effect) = self.machine.poll_effect() {
            match effect {
                Effect::Connect(call) => self.master.connect(*call),
                Effect::Disconnect => {
                    self.master.disconnect();
                    // Which one leads is found out when a connection is opened.
                    self.handle(self.clock.now(), Input::MasterFound);
                }
                Effect::Master(call) => self.master.send(*call),
                Effect::Executor { stream, dialect, event } => {
                    let sent = self.streams.get(&stream).map(|events| events.send(&event, &dialect));
                    if let Some(Err(error)) = sent {
                        tracing::warn!(%error, kind = event.kind(), "an event cannot be sent to an executor, whose stream ends");
                        self.streams.remove(&stream);
                        self.handle(self.clock.now(), Input::StreamEnded(stream));
                    }
                }
                Effect::CloseStream(stream) => _ = self.streams.remove(&stream),
                Effect::Launch(launch) => self.containers.launch(*launch),
                Effect::Reattach { run, directory, process, containerizer } => {
                    self.containers.reattach(run, directory, process, containerizer)
                }
                Effect::Destroy(container) => self.containers.destroy(&container),
                Effect::DestroyStray(stray) => self.containers.destroy_stray(stray),
                Effect::Resize(container, resources) => self.containers.resize(&container, resources),
                Effect::Store(ticket, record) => self.storage.store(ticket, record),
                Effect::Discard(path) => self.gc.discard(path),
                Effect::RemoveVolume(folder) => self.gc.remove_volume(&folder),
                Effect::Warn(text) => tracing::warn!("{text}"),
                Effect::Exit(exit) => return Some(exit),
            }
        }
        self.sandboxes.set_agent(self.machine.agent().id.as_str());
        None
    }

    /// Returns all that people may see.
    pub(crate) fn view(&self) -> View {
        let owned = |view: crate::machine::FrameworkView<'_>| FrameworkView {
            info: view.info.clone(),
            executors: view.executors.into_iter().cloned().collect(),
            completed: view.completed_executors.into_iter().cloned().collect(),
        };
        let agent = self.machine.agent().clone();
        View {
            total: agent.resources.clone(),
            agent,
            is_registered: self.machine.is_registered(),
            frameworks: self.machine.frameworks().map(owned).collect(),
            completed: self.machine.completed_frameworks().map(owned).collect(),
        }
    }

    /// Returns the host of the master that the agent is connected to; an empty text for none.
    pub(crate) fn master_hostname(&self) -> String {
        self.master.hostname()
    }
}
