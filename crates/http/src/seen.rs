//! [`Seen`]: what is asked of the state of the cluster, and [`Renderer`], which makes the answers outside of the leader's task.

use crate::gate::Gate;
use crate::leader::Input;
use crate::operator_api::Part;
use crate::protobuf::MessageType;
use crate::transport::encoding::Encoding;
use crate::transport::query::Query;
use crate::v0::Reading;
use crate::view::Snapshot;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// What is asked of the state of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Seen {
    /// A call of `/api/v1`.
    Part(Part),
    /// An older endpoint, with the parameters that it knows.
    Reading(Reading, Query),
}

impl Seen {
    fn text(&self, gate: &Gate, snapshot: &Snapshot) -> String {
        match self {
            Self::Part(part) => part.response(snapshot),
            Self::Reading(reading, query) => reading.answer(gate, query, snapshot),
        }
    }
}

/// An answer, or the reason why it cannot be said in the encoding; none when the leader has ended.
type Made = Option<Result<Bytes, String>>;

/// Those who wait for an answer, by what they ask.
type Waiting = BTreeMap<(Seen, Encoding), Vec<oneshot::Sender<Made>>>;

/// Makes answers of snapshots, one at a time: however many are asked for, the leader keeps the other cores. Those who ask for
/// the same while they wait share an answer (Mesos batches its endpoints for reading likewise). It is never older than what
/// they asked.
#[derive(Debug)]
pub(crate) struct Renderer {
    gate: Arc<Gate>,
    turn: Semaphore,
    waiting: Mutex<Waiting>,
}

impl Renderer {
    pub(crate) fn new(gate: Arc<Gate>) -> Self {
        Self { gate, turn: Semaphore::new(1), waiting: Mutex::default() }
    }

    /// Answers what is asked of the state of the cluster.
    pub(crate) async fn answer(self: &Arc<Self>, inputs: &mpsc::Sender<Input>, seen: Seen, encoding: Encoding) -> Made {
        let (reply, replied) = oneshot::channel();
        let key = (seen, encoding);
        let is_first = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let replies = waiting.entry(key.clone()).or_default();
            replies.push(reply);
            replies.len() == 1
        };
        if is_first {
            // A task of its own: the one who asked first may go, and the others still wait.
            let (renderer, inputs) = (self.clone(), inputs.clone());
            tokio::spawn(async move { renderer.serve(&inputs, key).await });
        }
        replied.await.ok().flatten()
    }

    async fn serve(self: &Arc<Self>, inputs: &mpsc::Sender<Input>, key: (Seen, Encoding)) {
        let turn = self.turn.acquire().await.expect("it is never closed");
        // Those who come from now on get an answer of their own: the snapshot is taken before they ask.
        let replies = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&key).unwrap_or_default();
        let made = self.made(inputs, key).await;
        drop(turn);
        for reply in replies {
            let _ = reply.send(made.clone()); // whoever has gone needs none
        }
    }

    async fn made(&self, inputs: &mpsc::Sender<Input>, (seen, encoding): (Seen, Encoding)) -> Made {
        let (reply, replied) = oneshot::channel();
        inputs.send(Input::Snapshot(reply)).await.ok()?;
        let (snapshot, gate) = (replied.await.ok()?, self.gate.clone());
        let make = move || encoded(seen.text(&gate, &snapshot), encoding, MessageType::MASTER_RESPONSE);
        tokio::task::spawn_blocking(make).await.ok()
    }

    /// Makes a message of a snapshot when it is its turn.
    pub(crate) async fn make(
        self: &Arc<Self>,
        snapshot: Snapshot,
        encoding: Encoding,
        text: impl FnOnce(&Gate, &Snapshot) -> String + Send + 'static,
        message: MessageType,
    ) -> Made {
        let _turn = self.turn.acquire().await.expect("it is never closed");
        let gate = self.gate.clone();
        tokio::task::spawn_blocking(move || encoded(text(&gate, &snapshot), encoding, message)).await.ok()
    }
}

/// Returns a message in an encoding, which is given as JSON.
pub(crate) fn encoded(json: String, encoding: Encoding, message: MessageType) -> Result<Bytes, String> {
    match encoding {
        Encoding::Json => Ok(json.into()),
        Encoding::Protobuf => message.from_json(&json).map(Bytes::from).map_err(|error| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leader::Leader;
    use crate::settings::Settings;
    use apportion::{Agent, Command, Time};
    use std::time::Duration;
    use tokio::time::timeout;

    /// Starts a leader's task.
    fn start() -> (Arc<Renderer>, mpsc::Sender<Input>) {
        let gate = Arc::new(Gate::new(Settings::default(), Duration::ZERO));
        let (inputs, mut received) = mpsc::channel(16);
        let mut leader = Leader::new(gate.clone(), Box::new(crate::agents::NoAgents), mpsc::unbounded_channel().0);
        tokio::spawn(async move {
            while let Some(input) = received.recv().await {
                leader.handle(Time::ZERO, input);
                leader.flush(Time::ZERO);
            }
        });
        (Arc::new(Renderer::new(gate)), inputs)
    }

    async fn in_time<T>(future: impl Future<Output = T>) -> T {
        timeout(Duration::from_secs(60), future).await.expect("it happens in time")
    }

    #[tokio::test]
    async fn the_leader_goes_on_while_answers_are_made_and_equal_questions_share_one() {
        let (renderer, inputs) = start();
        let turn = renderer.turn.acquire().await.unwrap(); // as if an answer were being made
        let ask = |seen: Seen| {
            let (renderer, inputs) = (renderer.clone(), inputs.clone());
            tokio::spawn(async move { renderer.answer(&inputs, seen, Encoding::Json).await })
        };
        let agents: Vec<_> = (0..50).map(|_| ask(Seen::Part(Part::Agents))).collect();
        let state = ask(Seen::Reading(Reading::State, Query::default()));
        let waiting = || renderer.waiting.lock().unwrap().values().map(Vec::len).sum::<usize>();
        in_time(async {
            while waiting() < 51 {
                tokio::task::yield_now().await
            }
        })
        .await;

        for number in 0..100 {
            let agent = Agent::new(format!("a{number}"), "cpus:1".parse().unwrap());
            let (reply, replied) = oneshot::channel();
            inputs.send(Input::Command { command: Box::new(Command::AddAgent(agent.into())), reply }).await.unwrap();
            in_time(replied).await.unwrap().unwrap();
        }
        assert_eq!(waiting(), 51, "the leader does not wait for answers, nor the other way round");
        drop(turn);

        let mut made = Vec::new();
        for answer in agents {
            made.push(in_time(answer).await.unwrap().unwrap().unwrap());
        }
        assert!(made.iter().all(|answer| answer.as_ptr() == made[0].as_ptr()), "one answer for all");
        let text = std::str::from_utf8(&made[0]).unwrap();
        assert!(text.contains(r#""hostname":"a99""#), "as it is when the answer is made: {text}");
        let state = in_time(state).await.unwrap().unwrap().unwrap();
        assert!(std::str::from_utf8(&state).unwrap().contains(r#""activated_slaves":100.0"#));
        assert_eq!(waiting(), 0);
    }

    #[tokio::test]
    async fn nobody_waits_for_a_leader_that_has_ended() {
        let (renderer, inputs) = start();
        let (closed, receiver) = mpsc::channel(1);
        drop((inputs, receiver));
        assert_eq!(in_time(renderer.answer(&closed, Seen::Part(Part::State), Encoding::Json)).await, None);
    }
}
