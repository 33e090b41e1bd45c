//! [`Watchers`]: the operators that subscribe to what happens, and the streams to them.

use crate::gate::Gate;
use crate::operator_api::{event, subscribed};
use crate::protobuf::MessageType;
use crate::seen::{Renderer, encoded};
use crate::transport::encoding::Encoding;
use crate::view::{Snapshot, Told};
use apportion::v1::write_record;
use bytes::Bytes;
use http_body::{Body, Frame};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, broadcast, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

/// The number of records that are on their way to a connection. Further ones wait in the ring that all who watch share.
const WINDOW: usize = 64;

/// The operators that watch. When there are too many, the oldest is cut (Mesos, `--max_operator_event_stream_subscribers`).
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    came: u64,
    cuts: BTreeMap<u64, Arc<Notify>>,
}

/// The largest number of operators that watch.
pub(crate) const MAX_WATCHERS: usize = 1000;

impl Watchers {
    fn admit(&self, cut: Arc<Notify>) -> u64 {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.came += 1;
        let number = open.came;
        open.cuts.insert(number, cut);
        if open.cuts.len() > MAX_WATCHERS
            && let Some((_, oldest)) = open.cuts.pop_first()
        {
            tracing::warn!("too many operators watch: the oldest is cut");
            oldest.notify_one();
        }
        number
    }

    fn leave(&self, number: u64) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).cuts.remove(&number);
    }

    /// Returns the number of operators that watch.
    pub(crate) fn len(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).cuts.len()
    }
}

/// What a stream to an operator needs.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) gate: Arc<Gate>,
    pub(crate) renderer: Arc<Renderer>,
    pub(crate) encoding: Encoding,
    /// Cuts the connection.
    pub(crate) cut: Arc<Notify>,
    pub(crate) watchers: Arc<Watchers>,
}

/// The reason why a stream to an operator is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// It has taken nothing for too long.
    Stuck,
    /// More has happened than may wait for it.
    Behind,
    /// Something cannot be encoded.
    Unsayable,
}

impl Watch {
    /// Begins a stream: SUBSCRIBED with the snapshot, a heartbeat, and then each change.
    pub(crate) fn start(self, snapshot: Snapshot, changes: broadcast::Receiver<Arc<Told>>) -> Records {
        let (records, body) = mpsc::channel(WINDOW);
        let number = self.watchers.admit(self.cut.clone());
        tokio::spawn(async move {
            let ended = tokio::select! {
                ended = self.feed(snapshot, changes, &records) => ended,
                () = records.closed() => Ok(()),
            };
            self.watchers.leave(number);
            if let Err(reason) = ended {
                tracing::warn!(?reason, "an operator that watches is cut");
                self.cut.notify_one();
            }
        });
        Records(body)
    }

    async fn feed(
        &self,
        snapshot: Snapshot,
        mut changes: broadcast::Receiver<Arc<Told>>,
        records: &mpsc::Sender<Bytes>,
    ) -> Result<(), Cut> {
        let interval = self.gate.settings.heartbeat_interval.max(Duration::from_millis(1));
        let text = move |_: &Gate, snapshot: &Snapshot| subscribed(snapshot, interval);
        let first = self.renderer.make(snapshot, self.encoding, text, MessageType::MASTER_EVENT).await;
        self.send(records, record(first.and_then(Result::ok).ok_or(Cut::Unsayable)?)).await?;
        let heartbeat = encoded(r#"{"type":"HEARTBEAT"}"#.to_owned(), self.encoding, MessageType::MASTER_EVENT);
        let heartbeat = record(heartbeat.map_err(|_| Cut::Unsayable)?);
        self.send(records, heartbeat.clone()).await?;
        let mut beats = interval_at(Instant::now() + interval, interval);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                told = changes.recv() => match told {
                    Ok(told) => {
                        let encode = |told: &Told, encoding| encode(&self.gate, told, encoding);
                        if let Some(bytes) = told.record(self.encoding, encode) {
                            self.send(records, bytes).await?;
                        }
                    }
                    Err(RecvError::Lagged(_)) => return Err(Cut::Behind),
                    Err(RecvError::Closed) => return Ok(()),
                },
                // One that does not read what there is needs no heartbeat.
                _ = beats.tick() => if records.capacity() == WINDOW {
                    self.send(records, heartbeat.clone()).await?;
                },
            }
        }
    }

    async fn send(&self, records: &mpsc::Sender<Bytes>, bytes: Bytes) -> Result<(), Cut> {
        match timeout(self.gate.settings.stream_timeout, records.send(bytes)).await {
            Ok(_) => Ok(()), // that the connection has ended is told otherwise
            Err(_) => Err(Cut::Stuck),
        }
    }
}

fn encode(gate: &Gate, told: &Told, encoding: Encoding) -> Option<Bytes> {
    let json = event(told, |time| i64::try_from(gate.unix_time(time).as_nanos()).unwrap_or(i64::MAX))?;
    match encoded(json, encoding, MessageType::MASTER_EVENT) {
        Ok(bytes) => Some(record(bytes)),
        Err(error) => {
            tracing::error!(error, "an event cannot be encoded, and is not sent");
            None
        }
    }
}

fn record(message: Bytes) -> Bytes {
    let mut record = Vec::with_capacity(message.len() + 12);
    write_record(&message, &mut record);
    record.into()
}

/// The body of a stream: each record in a chunk of its own.
#[derive(Debug)]
pub(crate) struct Records(mpsc::Receiver<Bytes>);

impl Body for Records {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.get_mut().0.poll_recv(cx).map(|record| record.map(|record| Ok(Frame::data(record))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leader::{Input, Leader};
    use crate::settings::Settings;
    use apportion::v1::RecordReader;
    use apportion::{Agent, Command, Time};
    use serde_json::Value as Json;
    use tokio::sync::oneshot;

    /// A leader with operators that watch it.
    struct Rig {
        leader: Leader,
        gate: Arc<Gate>,
        renderer: Arc<Renderer>,
        watchers: Arc<Watchers>,
    }

    fn rig(settings: Settings) -> Rig {
        let gate = Arc::new(Gate::new(settings, Duration::ZERO));
        let leader = Leader::new(gate.clone(), Box::new(crate::agents::NoAgents), mpsc::unbounded_channel().0);
        Rig { leader, renderer: Arc::new(Renderer::new(gate.clone())), gate, watchers: Arc::default() }
    }

    impl Rig {
        fn watch(&mut self, encoding: Encoding) -> (Records, Arc<Notify>) {
            let (reply, mut replied) = oneshot::channel();
            self.leader.handle(Time::ZERO, Input::WatchChanges(reply));
            let (snapshot, changes) = replied.try_recv().unwrap();
            let (gate, renderer, watchers) = (self.gate.clone(), self.renderer.clone(), self.watchers.clone());
            let cut = Arc::new(Notify::new());
            let watch = Watch { gate, renderer, encoding, cut: cut.clone(), watchers };
            (watch.start(snapshot, changes), cut)
        }

        fn add_agents(&mut self, numbers: std::ops::Range<usize>) {
            for number in numbers {
                let agent = Agent::new(format!("a{number}"), "cpus:1".parse().unwrap());
                let (reply, _) = oneshot::channel();
                let command = Box::new(Command::AddAgent(agent.into()));
                self.leader.handle(Time::ZERO, Input::Command { command, reply });
            }
        }
    }

    async fn next(records: &mut Records) -> Option<Vec<u8>> {
        let frame = timeout(Duration::from_secs(600), records.0.recv()).await.expect("there is a record in time")?;
        let mut piece = &frame[..];
        let record = RecordReader::default().read(&mut piece).unwrap();
        assert!(piece.is_empty(), "one record, one chunk");
        record
    }

    async fn next_type(records: &mut Records) -> String {
        let event: Json = serde_json::from_slice(&next(records).await.unwrap()).unwrap();
        event["type"].as_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn all_who_read_one_encoding_share_its_bytes() {
        let mut rig = rig(Settings::default());
        let (mut first, _) = rig.watch(Encoding::Json);
        let (mut second, _) = rig.watch(Encoding::Json);
        let (mut third, _) = rig.watch(Encoding::Protobuf);
        for records in [&mut first, &mut second, &mut third] {
            next(records).await.unwrap();
            next(records).await.unwrap();
        }
        rig.add_agents(0..1);
        let (one, other) = (first.0.recv().await.unwrap(), second.0.recv().await.unwrap());
        assert_eq!(one.as_ptr(), other.as_ptr());
        let message = MessageType::MASTER_EVENT.to_json(&next(&mut third).await.unwrap()).unwrap();
        assert!(message.contains("AGENT_ADDED"), "{message}");
        assert_eq!(rig.watchers.len(), 3);
        drop(first);
        while rig.watchers.len() > 2 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn one_that_reads_nothing_is_cut_and_the_others_go_on() {
        let mut rig = rig(Settings::default());
        let (mut slow, cut) = rig.watch(Encoding::Json);
        let (mut other, _) = rig.watch(Encoding::Json);
        assert_eq!(next_type(&mut slow).await, "SUBSCRIBED");
        assert_eq!(
            (next_type(&mut other).await, next_type(&mut other).await),
            ("SUBSCRIBED".into(), "HEARTBEAT".into())
        );
        for number in 0..2 * crate::view::MAX_WAITING_CHANGES {
            rig.add_agents(number..number + 1);
            assert_eq!(next_type(&mut other).await, "AGENT_ADDED");
        }
        let mut read = 0;
        while next(&mut slow).await.is_some() {
            read += 1;
        }
        assert!(read <= WINDOW + 2, "what is on its way: the rest is lost, so that the stream cannot go on");
        cut.notified().await;
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_takes_nothing_in_time_is_cut() {
        let mut rig = rig(Settings::default().slow_readers(1 << 20, Duration::from_secs(60)));
        let (records, cut) = rig.watch(Encoding::Json);
        rig.add_agents(0..WINDOW + 1);
        cut.notified().await; // the clock goes on as long as nothing else happens
        drop(records);
    }

    #[tokio::test(start_paused = true)]
    async fn heartbeats_come_at_once_and_then_each_interval() {
        let mut rig = rig(Settings::default());
        let (mut records, _) = rig.watch(Encoding::Json);
        assert_eq!(next_type(&mut records).await, "SUBSCRIBED");
        let start = Instant::now();
        for beat in 0..3 {
            assert_eq!(next_type(&mut records).await, "HEARTBEAT");
            assert_eq!(start.elapsed().as_secs(), beat * 15);
        }
    }

    #[test]
    fn the_oldest_of_too_many_is_cut() {
        let watchers = Watchers::default();
        let cuts: Vec<_> = (0..=MAX_WATCHERS).map(|_| Arc::new(Notify::new())).collect();
        for cut in &cuts {
            watchers.admit(cut.clone());
        }
        assert_eq!(watchers.len(), MAX_WATCHERS);
        let is_cut = |cut: &Arc<Notify>| {
            let mut notified = Box::pin(cut.notified());
            notified.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())).is_ready()
        };
        assert_eq!(
            cuts.iter().map(is_cut).collect::<Vec<_>>(),
            std::iter::once(true).chain([false; MAX_WATCHERS]).collect::<Vec<_>>()
        );
    }
}
