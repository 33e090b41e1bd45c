//! [`Inspector`]: questions about the whole cluster, answered on a copy of the master outside of its task.

use crate::leader::{Input, Leader};
use crate::transport::answer::{Answer, text};
use apportion::allocator::AllocatorMetrics;
use apportion::{AgentId, Master, State};
use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER};
use serde_json::Value as Json;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

/// The part of the master's time that copies may take: one twentieth.
const TIME_SHARE: u32 = 20;

/// A copy that takes less time than this is made anew for each question.
const CHEAP: Duration = Duration::from_millis(1);

/// How many tables are made at the same time, and how many questions wait for that.
const TABLES: (usize, usize) = (2, 64);

/// How many explanations and trials are made at the same time, and how many questions wait for that.
const TRIALS: (usize, usize) = (1, 16);

/// Answers questions about the whole cluster. The master's task makes a copy, in milliseconds; all else happens in threads of
/// their own, a bounded number of them.
#[derive(Debug)]
pub(crate) struct Inspector {
    inputs: mpsc::Sender<Input>,
    latest: Mutex<Option<Recent>>,
    tables: Lane,
    trials: Lane,
}

/// A master as it was at one moment.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) master: Master,
    state: OnceLock<State>,
    metrics: OnceLock<AllocatorMetrics>,
}

/// The latest copy.
#[derive(Debug)]
struct Recent {
    image: Arc<Image>,
    taken: Instant,
    /// How long the master's task was busy with it.
    cost: Duration,
}

/// A bounded number of threads, and of questions that wait for one.
#[derive(Debug)]
struct Lane {
    running: Arc<Semaphore>,
    admitted: Semaphore,
}

/// How much work a question is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// A look at everything.
    Table,
    /// Decisions, as of an allocation.
    Trial,
}

impl Inspector {
    pub(crate) fn new(inputs: mpsc::Sender<Input>) -> Self {
        Self { inputs, latest: Mutex::new(None), tables: Lane::new(TABLES), trials: Lane::new(TRIALS) }
    }

    /// Asks a question of a recent copy of the master. The answer is 503 when too many wait.
    ///
    /// A copy is shared by all who ask until it is [twenty times](TIME_SHARE) as old as it took to make, so that questions take
    /// no more than that part of the master's time however many there are.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        effort: Effort,
        question: impl FnOnce(&Image) -> T + Send + 'static,
    ) -> Result<T, Answer> {
        let lane = match effort {
            Effort::Table => &self.tables,
            Effort::Trial => &self.trials,
        };
        let _admitted = lane.admitted.try_acquire().map_err(|_| busy())?;
        let permit = lane.running.clone().acquire_owned().await.map_err(|_| busy())?;
        let image = self.image().await?;
        // Whoever asked may leave: the work then ends all the same, and only then another one begins.
        let work = spawn_blocking(move || {
            let answer = question(&image);
            drop(image); // which may be the last handle of it
            drop::<OwnedSemaphorePermit>(permit);
            answer
        });
        work.await.map_err(|_| text(StatusCode::INTERNAL_SERVER_ERROR, "the question cannot be answered"))
    }

    /// Adds the address of its page to each agent that has one.
    pub(crate) async fn add_pages(&self, agents: &mut Json) -> Result<(), Answer> {
        let Some(agents) = agents.as_array_mut() else { return Ok(()) };
        let id = |agent: &Json| AgentId::from(agent["id"].as_str().unwrap_or_default());
        let ids: Vec<AgentId> = agents.iter().map(id).collect();
        let (reply, replied) = oneshot::channel();
        let look =
            move |leader: &mut Leader, _| drop(reply.send(ids.iter().map(|id| leader.page(id)).collect::<Vec<_>>()));
        self.inputs.send(Input::Act(Box::new(look))).await.map_err(|_| ending())?;
        for (agent, page) in agents.iter_mut().zip(replied.await.map_err(|_| ending())?) {
            if let Some(page) = page {
                agent["page"] = page.into();
            }
        }
        Ok(())
    }

    async fn image(&self) -> Result<Arc<Image>, Answer> {
        let mut latest = self.latest.lock().await; // those who wait here share the copy
        if let Some(recent) = &*latest
            && recent.cost >= CHEAP
            && recent.taken.elapsed() < recent.cost * TIME_SHARE
        {
            return Ok(recent.image.clone());
        }
        let (reply, replied) = oneshot::channel();
        let query = Box::new(move |master: &Master| {
            let begun = Instant::now();
            let image = Image { master: master.clone(), state: OnceLock::new(), metrics: OnceLock::new() };
            drop(reply.send((image, begun.elapsed())));
        });
        self.inputs.send(Input::Query(query)).await.map_err(|_| ending())?;
        let (image, cost) = replied.await.map_err(|_| ending())?;
        let image = Arc::new(image);
        if let Some(before) = latest.replace(Recent { image: image.clone(), taken: Instant::now(), cost }) {
            drop(spawn_blocking(move || drop(before))); // to drop it takes as long as to make it
        }
        Ok(image)
    }
}

impl Image {
    /// Returns the state of the master.
    pub(crate) fn state(&self) -> &State {
        self.state.get_or_init(|| self.master.state())
    }

    /// Returns the metrics of its allocator.
    pub(crate) fn metrics(&self) -> &AllocatorMetrics {
        self.metrics.get_or_init(|| self.master.allocator().metrics())
    }
}

#[cfg(test)]
impl From<Master> for Image {
    fn from(master: Master) -> Self {
        Self { master, state: OnceLock::new(), metrics: OnceLock::new() }
    }
}

impl Lane {
    fn new((running, waiting): (usize, usize)) -> Self {
        Self { running: Arc::new(Semaphore::new(running)), admitted: Semaphore::new(running + waiting) }
    }
}

/// The answer when too many wait.
fn busy() -> Answer {
    let mut answer = text(StatusCode::SERVICE_UNAVAILABLE, "too many questions of this kind wait: ask again");
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

fn ending() -> Answer {
    text(StatusCode::SERVICE_UNAVAILABLE, "the master shuts down")
}
