//! [`Touched`]: what a command is about, as far as its effects do not tell.

use apportion::{AgentId, Call, Command, FrameworkId, Master, RunningTask, TaskStatus};

/// What has to be asked of the master once a command is done.
#[derive(Debug, PartialEq)]
pub(crate) enum Touched {
    /// The effects tell everything.
    Nothing,
    /// An agent came with these tasks.
    Registered(AgentId, Vec<RunningTask>),
    Agent(AgentId),
    /// An agent is unreachable: its tasks do not end.
    Unreachable(AgentId),
    /// All agents on the machine of this one.
    Machine(AgentId),
    Framework(FrameworkId),
    /// A status that has no effect: of a framework that is not registered, or of a copy of a task.
    Status(FrameworkId, Box<TaskStatus>),
}

impl Touched {
    /// Returns what a command is about. The master has not handled it yet.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the effects of the others tell everything")]
    pub(crate) fn by(command: &Command, master: &Master) -> Self {
        match command {
            Command::AddAgent(registration) => {
                Self::Registered(registration.agent.id.clone(), registration.tasks.clone())
            }
            Command::UpdateAgent(update) => Self::Agent(update.id.clone()),
            Command::AgentUnreachable(agent) => Self::Unreachable(agent.clone()),
            Command::SetMaintenance(agent, _) => Self::Machine(agent.clone()),
            Command::RemoveAgent(agent)
            | Command::DeactivateAgent(agent)
            | Command::ActivateAgent(agent)
            | Command::DisconnectAgent(agent)
            | Command::AgentGone(agent)
            | Command::UnregisterAgent(agent)
            | Command::DrainAgent(agent, _)
            | Command::Operate(agent, _) => Self::Agent(agent.clone()),
            Command::RecoverFramework(framework, _) | Command::AddFramework(framework) => {
                Self::Framework(framework.id.clone())
            }
            Command::DeactivateFramework(framework) | Command::ActivateFramework(framework) => {
                Self::Framework(framework.clone())
            }
            Command::Call(framework, call) => Self::by_call(framework, call),
            Command::TaskStatus(framework, status) if !is_told(master, framework, status) => {
                let mut status = status.clone();
                status.data = None;
                Self::Status(framework.clone(), Box::new(status))
            }
            _ => Self::Nothing,
        }
    }

    /// Returns what a call is about.
    pub(crate) fn by_call(framework: &FrameworkId, call: &Call) -> Self {
        let is_about_itself = matches!(
            call,
            Call::Subscribe(_) | Call::UpdateFramework(_) | Call::Teardown | Call::Suppress(_) | Call::Revive(_)
        );
        if is_about_itself { Self::Framework(framework.clone()) } else { Self::Nothing }
    }
}

/// Returns whether a framework is told of a status, which is an effect then.
fn is_told(master: &Master, framework: &FrameworkId, status: &TaskStatus) -> bool {
    let is_registered = master.known_framework(framework).is_some_and(|known| !known.recovered);
    let is_its_task =
        |agent: &AgentId| master.known_task(framework, &status.task).is_some_and(|task| task.holding.agent == *agent);
    is_registered && status.agent.as_ref().is_none_or(is_its_task)
}
