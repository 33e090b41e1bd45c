//! [`Gate`]: the state that connections need to check a call before the master sees it.

use crate::leadership::Leadership;
use crate::metrics::Traffic;
use crate::settings::Settings;
use apportion::{AgentId, Framework, FrameworkId, Time, Uuid};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// The settings, who leads and the sessions of all registered frameworks, which the connections and the
/// master share.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) settings: Settings,
    /// The time of the start, since 1970.
    pub(crate) started: Duration,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) agents: AgentSessions,
    leadership: RwLock<Leadership>,
    sessions: RwLock<BTreeMap<FrameworkId, Session>>,
}

/// A registered framework.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// The framework as it subscribed or was updated last.
    pub(crate) framework: Arc<Framework>,
    /// The id of its open stream; none while it is disconnected.
    pub(crate) stream: Option<Uuid>,
}

/// The open streams of agents that are connected over the network, by their ids.
#[derive(Debug, Default)]
pub(crate) struct AgentSessions(RwLock<BTreeMap<String, (AgentId, Uuid)>>);

impl AgentSessions {
    /// Returns the agent that holds the open stream of that id.
    pub(crate) fn of_stream(&self, id: &str) -> Option<(AgentId, Uuid)> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Notes that the stream of an agent has begun.
    pub(crate) fn begin_stream(&self, id: Uuid, agent: AgentId) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(id.to_string(), (agent, id));
    }

    /// Notes that a stream has ended.
    pub(crate) fn end_stream(&self, id: Uuid) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&id.to_string());
    }
}

impl Gate {
    pub(crate) fn new(settings: Settings, started: Duration) -> Self {
        Self {
            settings,
            started,
            traffic: Arc::default(),
            agents: AgentSessions::default(),
            leadership: RwLock::new(Leadership::Leading),
            sessions: RwLock::new(BTreeMap::new()),
        }
    }

    /// Converts a time of the master to the time since 1970.
    pub(crate) fn unix_time(&self, at: Time) -> Duration {
        self.started + at.since(Time::ZERO)
    }

    pub(crate) fn leadership(&self) -> Leadership {
        self.leadership.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_leadership(&self, leadership: Leadership) {
        *self.leadership.write().unwrap_or_else(PoisonError::into_inner) = leadership;
    }

    /// Returns the session of a framework, if it is registered.
    pub(crate) fn session(&self, framework: &FrameworkId) -> Option<Session> {
        self.sessions.read().unwrap_or_else(PoisonError::into_inner).get(framework).cloned()
    }

    /// Notes a framework that has subscribed or changed.
    pub(crate) fn set_session(&self, session: Session) {
        let id = session.framework.id.clone();
        self.sessions.write().unwrap_or_else(PoisonError::into_inner).insert(id, session);
    }

    /// Notes that the stream of a framework has ended.
    pub(crate) fn end_stream(&self, framework: &FrameworkId) {
        let mut sessions = self.sessions.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = sessions.get_mut(framework) {
            session.stream = None;
        }
    }

    /// Notes that a framework was removed.
    pub(crate) fn remove(&self, framework: &FrameworkId) {
        self.sessions.write().unwrap_or_else(PoisonError::into_inner).remove(framework);
    }
}
