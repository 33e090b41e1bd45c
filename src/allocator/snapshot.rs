//! [`Snapshot`]: a master, or an allocator alone, as a value that can be stored.

use super::books::SavedBooks;
use super::refusals::SavedRefusals;
use super::rules::Options;
use super::sorter::Sorter;
use super::{AllocatorError, Hierarchical, Holding, QuotaError};
use crate::agent::Agent;
use crate::framework::Framework;
use crate::id::AgentId;
use crate::json::{self, Exact, Json, ReadError};
use crate::resources::Resources;
use crate::text::Text;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;

/// The version of snapshots that this release writes and reads.
const VERSION: u64 = 1;

/// The state of a [`Master`](crate::Master), or of a [`Hierarchical`] allocator alone, at a moment: what was restored from it
/// goes on as the original does, effect by effect and byte by byte.
///
/// It is a serde value, to be stored in JSON or any other format; no number in it loses a digit there. What is in it is private to its version: only restore it. Its size is in
/// proportion to the state, whatever has come and gone before.
///
/// # Examples
///
/// ```
/// use apportion::{Agent, Command, Config, Framework, Master, Role, Snapshot, Time};
///
/// let mut master = Master::new(Config::default());
/// master.handle(Time::ZERO, Command::AddAgent(Agent::new("a1", "cpus:8;mem:4096".parse()?).into()))?;
///
/// let stored = serde_json::to_string(&master.snapshot())?;
/// let snapshot: Snapshot = serde_json::from_str(&stored)?;
/// let mut restored = Master::restore(snapshot)?;
///
/// for master in [&mut master, &mut restored] {
///     master.handle(Time::from_secs(1), Command::AddFramework(Framework::new("f1").role(Role::default())))?;
/// }
/// assert_eq!(restored.poll_effect(), master.poll_effect());
/// assert_eq!(restored.snapshot(), master.snapshot());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot(Json);

impl Serialize for Snapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Exact(&self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Snapshot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Exact::deserialize(deserializer).map(|Exact(json)| Self(json))
    }
}

/// The reason why nothing is restored from a snapshot.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The master into which a journal restores is not new.
    #[error("a master that has begun: expected a new one")]
    NotNew,
    /// The snapshot is of another version.
    #[error("a snapshot of version {found}: expected {VERSION}")]
    Version {
        /// The version of the snapshot.
        found: u64,
    },
    /// The value is not a snapshot, or not one of this kind: a field is missing, unknown, or of the wrong type.
    #[error("not a snapshot: {what} at byte {at}")]
    Shape {
        /// The byte up to which the part that is wrong was read, from 0.
        at: usize,
        /// The value found and the value expected.
        what: String,
    },
    /// The same thing is there twice.
    #[error("{kind} {id} is there twice")]
    Repeated {
        /// The kind of thing.
        kind: &'static str,
        /// Its id.
        id: Text,
    },
    /// A thing is referred to that is not there.
    #[error("{kind} {id} is not there")]
    Unknown {
        /// The kind of thing.
        kind: &'static str,
        /// Its id.
        id: Text,
    },
    /// A number is larger than any that counting can lead to, or a thing has a number that was not given yet.
    #[error("{found} {kind}: expected at most {most}")]
    Count {
        /// What is counted.
        kind: &'static str,
        /// The number in the snapshot.
        found: u64,
        /// The largest number that is possible.
        most: u64,
    },
    /// What is said to be available of an agent is not what offers, tasks and executors leave of it.
    #[error("agent {agent}: {found} is said to be available, and {expected} is")]
    Available {
        /// The agent.
        agent: AgentId,
        /// What is said to be available.
        found: Box<Resources>,
        /// What is left.
        expected: Box<Resources>,
    },
    /// The accounts of the agents, or of quota, contradict each other.
    #[error(transparent)]
    Allocator(#[from] AllocatorError),
    /// The quotas contradict each other.
    #[error(transparent)]
    Quota(#[from] QuotaError),
}

impl From<ReadError> for SnapshotError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Syntax(error) => Self::Shape { at: error.position(), what: error.to_string() },
            ReadError::Shape { at, what } => Self::Shape { at, what },
        }
    }
}

impl SnapshotError {
    pub(crate) fn repeated(kind: &'static str, id: impl Into<Text>) -> Self {
        Self::Repeated { kind, id: id.into() }
    }

    pub(crate) fn unknown(kind: &'static str, id: impl Into<Text>) -> Self {
        Self::Unknown { kind, id: id.into() }
    }
}

/// All that a master knows of: what an allocator is restored from, besides what it has saved itself.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Contents<'a> {
    /// The agents as they describe themselves, in order of registration.
    pub agents: &'a [Arc<Agent>],
    /// The frameworks as they describe themselves, in order of registration.
    pub frameworks: &'a [Arc<Framework>],
    /// The live offers, in order of making.
    pub offers: &'a [Holding],
    /// What tasks and executors hold. Their frameworks need not be registered.
    pub tasks: &'a [Holding],
}

/// The largest count in a snapshot: it can still be added to for ever.
const MAX_COUNT: u64 = 1 << 62;

/// Checks a count, so that what is added to it later does not overflow.
pub(crate) fn check_count(kind: &'static str, found: u64) -> Result<u64, SnapshotError> {
    if found <= MAX_COUNT { Ok(found) } else { Err(SnapshotError::Count { kind, found, most: MAX_COUNT }) }
}

/// Returns whether resources are equal and print the same: equal disks may be mounted differently.
pub(crate) fn is_identical(one: &Resources, other: &Resources) -> bool {
    let has_disk = |resources: &Resources| {
        resources.iter().any(|resource| resource.kind().is_some_and(|kind| kind.disk.is_some()))
    };
    one == other && (!has_disk(one) || json::to_string(one) == json::to_string(other))
}

impl Snapshot {
    /// Makes a snapshot of a kind of thing.
    pub(crate) fn of(kind: &str, state: impl Serialize) -> Self {
        Self(Json::object([("version", Json::from(VERSION)), (kind, Json::of(&state))]))
    }

    /// Adds a part.
    pub(crate) fn with(self, part: &str, state: Json) -> Self {
        let parts = self.0.fields().map(|(name, state)| (Text::new(name), state.into()));
        Self(Json::object(parts.chain([(part.into(), state)])))
    }

    /// Returns a part, if there is one.
    pub(crate) fn part(&self, part: &str) -> Option<Json> {
        self.0.get(part).map(Json::from)
    }

    /// Returns the state in a snapshot of a kind of thing.
    pub(crate) fn state<T: DeserializeOwned>(&self, kind: &'static str) -> Result<T, SnapshotError> {
        #[derive(Deserialize)]
        struct Version {
            version: u64,
        }
        let Version { version } = self.0.read()?;
        if version != VERSION {
            return Err(SnapshotError::Version { found: version });
        }
        let state = self.0.get(kind).ok_or_else(|| SnapshotError::unknown("the part", kind))?;
        Ok(json::from_str(state.text())?)
    }
}

/// An allocator alone in a snapshot.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedAllocator {
    options: Options,
    agents: Vec<Agent>,
    frameworks: Vec<Framework>,
    offers: Vec<Holding>,
    tasks: Vec<Holding>,
    state: SavedState,
}

const ALLOCATOR: &str = "allocator";

/// All that decisions depend on besides the agents and the frameworks as they describe themselves.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedState {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    whitelist: Option<Vec<Text>>,
    books: SavedBooks,
    #[serde(default, skip_serializing_if = "SavedRefusals::is_empty")]
    refusals: SavedRefusals,
}

impl<R: Sorter, F: Sorter + Clone> Hierarchical<R, F> {
    /// Takes a snapshot: all but the sorters, whose orders follow from it. (As part of a master, [`Master::snapshot`] has it.)
    ///
    /// [`Master::snapshot`]: crate::Master::snapshot
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion::allocator::{Allocator, Drf, Hierarchical, Options};
    /// use apportion::{Agent, Time};
    /// use std::sync::Arc;
    ///
    /// let mut allocator = Hierarchical::new(Options::default(), Drf::default(), Drf::default());
    /// allocator.add_agent(&Arc::new(Agent::new("a1", "cpus:4;mem:4096".parse()?)), &[])?;
    /// let restored = Hierarchical::restore(allocator.snapshot(), Drf::default(), Drf::default())?;
    /// assert_eq!(restored.snapshot(), allocator.snapshot());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let ledger = self.books.ledger();
        let in_order = ledger.in_order_of_adding().into_iter();
        let [offers, tasks] = self.books.all_holdings();
        let saved = SavedAllocator {
            options: self.rules.options.clone(),
            agents: in_order.map(|agent| Agent::clone(ledger[agent].agent())).collect(),
            frameworks: self.books.membership().all_frameworks().into_iter().cloned().collect(),
            offers,
            tasks,
            state: self.saved(),
        };
        Snapshot::of(ALLOCATOR, saved)
    }

    /// Restores an allocator from a snapshot, with sorters as the original had.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] for a snapshot of another version, one that is malformed, and one whose parts contradict each other.
    pub fn restore(snapshot: Snapshot, roles: R, frameworks: F) -> Result<Self, SnapshotError> {
        let saved: SavedAllocator = snapshot.state(ALLOCATOR)?;
        let mut allocator = Self::new(saved.options, roles, frameworks);
        let agents: Vec<Arc<Agent>> = saved.agents.into_iter().map(Arc::new).collect();
        let frameworks: Vec<Arc<Framework>> = saved.frameworks.into_iter().map(Arc::new).collect();
        let contents =
            Contents { agents: &agents, frameworks: &frameworks, offers: &saved.offers, tasks: &saved.tasks };
        allocator.load_saved(saved.state, &contents)?;
        Ok(allocator)
    }

    /// See [`Persist::save`](super::Persist::save).
    pub(super) fn save_state(&self) -> Json {
        Json::of(&self.saved())
    }

    /// See [`Persist::load`](super::Persist::load).
    pub(super) fn load_state(&mut self, saved: Json, contents: &Contents<'_>) -> Result<(), SnapshotError> {
        self.load_saved(saved.read()?, contents)
    }

    fn saved(&self) -> SavedState {
        SavedState {
            whitelist: self.rules.whitelist.as_ref().map(|hosts| hosts.iter().cloned().collect()),
            books: self.books.save(),
            refusals: self.refusals.save(&self.books),
        }
    }

    fn load_saved(&mut self, saved: SavedState, contents: &Contents<'_>) -> Result<(), SnapshotError> {
        self.rules.whitelist = saved.whitelist.map(|hosts| hosts.into_iter().collect());
        self.books.load(saved.books, contents)?;
        self.books.update_quotas(&self.rules.options.min_allocatable);
        self.refusals.load(saved.refusals, &self.books)
    }
}
