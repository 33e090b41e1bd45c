//! [`Input`]: what connections and the program around ask of the leader.

use super::Leader;
use crate::internal::api::Enrolment;
use crate::internal::stream::AgentStream;
use crate::internal::{AgentCall, Reregister};
use crate::leader::events::EffectWatch;
use crate::transport::encoding::Encoding;
use crate::transport::stream::Stream;
use crate::view::{Snapshot, Told};
use apportion::{AgentId, Call, Command, CommandError, Framework, FrameworkId, Master, Time, Uuid};
use std::fmt;
use std::sync::Arc;
use tokio::sync::{Notify, broadcast, oneshot};

/// Something that the leader is to handle.
pub(crate) enum Input {
    /// A framework subscribes. The stream says how that went.
    Subscribe {
        framework: Box<Framework>,
        encoding: Encoding,
        /// Cuts the connection.
        cut: Arc<Notify>,
        reply: oneshot::Sender<Stream>,
    },
    /// A subscription that is refused before the master sees it.
    Refuse { reason: String, encoding: Encoding, reply: oneshot::Sender<Stream> },
    /// A framework changes its description.
    Update { id: FrameworkId, framework: Box<Framework>, reply: oneshot::Sender<Result<(), CommandError>> },
    /// A framework calls over the stream of that id.
    Call { id: FrameworkId, stream: Uuid, call: Call },
    /// An agent registers over the network. The stream says how that went.
    OpenAgent {
        back: Box<Reregister>,
        enrolment: Enrolment,
        /// Cuts the connection.
        cut: Arc<Notify>,
        reply: oneshot::Sender<AgentStream>,
    },
    /// An agent calls over the stream of that id.
    AgentCall { agent: AgentId, stream: Uuid, call: Box<AgentCall> },
    /// A command of an operator, or of the program around.
    Command { command: Box<Command>, reply: oneshot::Sender<Result<(), CommandError>> },
    /// Somebody watches the effects of the master.
    WatchEffects(oneshot::Sender<EffectWatch>),
    /// A question.
    Query(Box<dyn FnOnce(&Master) + Send>),
    /// Something that takes several commands, or what the master itself does not know.
    Act(Step),
    /// The state of the cluster as operators see it, at this moment.
    Snapshot(oneshot::Sender<Snapshot>),
    /// The same, and all changes after it.
    WatchChanges(oneshot::Sender<(Snapshot, broadcast::Receiver<Arc<Told>>)>),
}

/// Something that a leader is to do.
pub(crate) type Step = Box<dyn FnOnce(&mut Leader, Time) + Send>;

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Subscribe { .. } => "Subscribe",
            Self::Refuse { .. } => "Refuse",
            Self::Update { .. } => "Update",
            Self::Call { .. } => "Call",
            Self::OpenAgent { .. } => "OpenAgent",
            Self::AgentCall { .. } => "AgentCall",
            Self::Command { .. } => "Command",
            Self::WatchEffects(_) => "WatchEffects",
            Self::Query(_) => "Query",
            Self::Act(_) => "Act",
            Self::Snapshot(_) => "Snapshot",
            Self::WatchChanges(_) => "WatchChanges",
        })
    }
}
