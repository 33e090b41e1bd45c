//! [`ClientBuilder`]: the settings of a client.

use super::{Client, Masters, MastersError, random_seed};
use crate::protobuf::Protobuf;
use apportion::scheduler::{Scheduler, TaskRef};
use apportion::v1::connection::{Codec, Connection};
use apportion::v1::{Dialect, SchedulerCall};
use apportion::{Event, Framework, FrameworkId};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use std::fmt;
use std::time::Duration;

/// The settings of a [`Client`].
///
/// A Mesos runs tasks as the [user](Framework::user) of the framework: name one there.
///
/// # Examples
///
/// ```no_run
/// use apportion::{Framework, Role, Scheduler};
/// use apportion_http::client::ClientBuilder;
/// use std::fs;
///
/// # fn connect<S: Scheduler>(scheduler: S) -> Result<(), Box<dyn std::error::Error>> {
/// let id = fs::read_to_string("framework-id").unwrap_or_default();
/// let mut framework = Framework::new(id.trim()).role(Role::new("web")?);
/// framework.name = Some("web".into());
/// let client = ClientBuilder::new("m1:5050,m2:5050".parse()?, framework)
///     .credentials("web", "s3cret")
///     .protobuf()
///     .on_registered(|id| {
///         if let Err(error) = fs::write("framework-id", id.as_str()) {
///             eprintln!("framework-id: {error}");
///         }
///     })
///     .build(scheduler)?;
/// # drop(client);
/// # Ok(())
/// # }
/// ```
pub struct ClientBuilder<K = Dialect> {
    masters: Masters,
    framework: Framework,
    codec: K,
    seed: Option<u64>,
    authorization: Option<String>,
    max_record: Option<usize>,
    reconcile_every: Option<Option<Duration>>,
    tasks: Vec<TaskRef>,
    on_registered: Option<OnRegistered>,
}

/// Is told the id of the framework.
pub(super) type OnRegistered = Box<dyn FnMut(&FrameworkId) + Send>;

impl ClientBuilder {
    /// Returns the settings of a client of these masters, in JSON, for a framework with the id that SUBSCRIBED gave to it before, or
    /// with an empty one.
    #[must_use]
    pub fn new(masters: Masters, framework: Framework) -> Self {
        Self {
            masters,
            codec: Dialect::of(&framework),
            framework,
            seed: None,
            authorization: None,
            max_record: None,
            reconcile_every: None,
            tasks: Vec::new(),
            on_registered: None,
        }
    }

    /// Sets the encoding to protobuf; without it, it is JSON.
    #[must_use]
    pub fn protobuf(self) -> ClientBuilder<Protobuf> {
        let codec = Protobuf(self.codec.clone());
        self.codec(codec)
    }
}

impl<K> ClientBuilder<K> {
    /// Sets the codec of the messages.
    #[must_use]
    pub fn codec<L: Codec<SchedulerCall, Event>>(self, codec: L) -> ClientBuilder<L> {
        let Self {
            masters,
            framework,
            codec: _,
            seed,
            authorization,
            max_record,
            reconcile_every,
            tasks,
            on_registered,
        } = self;
        ClientBuilder {
            masters,
            framework,
            codec,
            seed,
            authorization,
            max_record,
            reconcile_every,
            tasks,
            on_registered,
        }
    }

    /// Sets the login that goes into each request (HTTP Basic). A framework without a principal gets that one.
    #[must_use]
    pub fn credentials(mut self, principal: &str, secret: &str) -> Self {
        self.authorization = Some(format!("Basic {}", BASE64_STANDARD.encode(format!("{principal}:{secret}"))));
        self.framework.principal.get_or_insert_with(|| principal.into());
        self
    }

    /// Sets what is told the id of the framework, before the scheduler hears of it: at the first subscription, and whenever a master
    /// gives another one. A program that stores it, and begins with it the next time, goes on with its tasks.
    #[must_use]
    pub fn on_registered(mut self, tell: impl FnMut(&FrameworkId) + Send + 'static) -> Self {
        self.on_registered = Some(Box::new(tell));
        self
    }

    /// Names a task of the framework from before this program: it is reconciled after the first subscription too.
    #[must_use]
    pub fn task(mut self, task: TaskRef) -> Self {
        self.tasks.push(task);
        self
    }

    /// Sets the time between two reconciliations, 15 minutes by default. With `None` the client never reconciles by itself.
    #[must_use]
    pub fn reconcile_every(mut self, interval: Option<Duration>) -> Self {
        self.reconcile_every = Some(interval);
        self
    }

    /// Sets the length in bytes of the longest record of the stream; a longer one ends the subscription. It is 64 MiB by default.
    #[must_use]
    pub fn max_record(mut self, bytes: usize) -> Self {
        self.max_record = Some(bytes);
        self
    }

    /// Sets the seed of the random times of the back-off. Without it, it is drawn anew for each client, so that many do not all come
    /// at once.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }
}

impl<K: Codec<SchedulerCall, Event>> ClientBuilder<K> {
    /// Returns the client of that scheduler. It connects when it [runs](Client::run).
    ///
    /// # Errors
    ///
    /// [`MastersError`] when the file of masters cannot be read, or an address is none.
    pub fn build<S: Scheduler>(self, scheduler: S) -> Result<Client<S, K>, MastersError> {
        let seed = self.seed.unwrap_or_else(random_seed);
        let mut connection = Connection::with_codec(self.codec, self.masters.addresses()?, self.framework, seed)?;
        if let Some(authorization) = self.authorization {
            connection = connection.header("Authorization", authorization);
        }
        if let Some(bytes) = self.max_record {
            connection = connection.max_record(bytes);
        }
        if let Some(interval) = self.reconcile_every {
            connection = connection.reconcile_every(interval);
        }
        let connection = self.tasks.into_iter().fold(connection, Connection::task);
        let mut client = Client::new(connection, scheduler);
        client.masters = Some(self.masters);
        client.on_registered = self.on_registered;
        Ok(client)
    }
}

impl<K: fmt::Debug> fmt::Debug for ClientBuilder<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("masters", &self.masters)
            .field("framework", &self.framework)
            .field("codec", &self.codec)
            .finish_non_exhaustive()
    }
}
