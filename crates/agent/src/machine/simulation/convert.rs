//! The messages of the library's master and those of the internal protocol, from one to the other.

use apportion::delivery::AgentMessage;
use apportion::{Agent, AgentId, AgentUpdate, Command, ExecutorRef, Registration, RunningExecutor, RunningTask};
use apportion_http::internal::{AgentCall, MasterEvent, Reregister, Welcome};
use std::time::Duration;

/// Returns the event for a message to an agent; `None` for one that ends the connection.
pub(super) fn event(id: &AgentId, message: AgentMessage) -> Option<MasterEvent> {
    if let AgentMessage::Registered(agent) = message {
        // The simulation tells broken connections as such, so there are no pings to miss.
        let welcome = Welcome::new(agent.id.clone(), 1, Duration::from_secs(1 << 30), 1);
        return Some(MasterEvent::Reregistered(welcome));
    }
    MasterEvent::of(id, message)
}

/// Returns the command for a call of an agent of that id; `None` for one that the simulation does not need.
pub(super) fn command(id: &AgentId, call: AgentCall) -> Option<Command> {
    Some(match call {
        AgentCall::Register(call) => Command::AddAgent(of_id(id, call.agent_info).into()),
        AgentCall::Reregister(call) => Command::AddAgent(registration(id, *call)),
        AgentCall::StatusUpdate { framework_id, status, .. } => Command::TaskStatus(framework_id, status),
        AgentCall::ExecutorExited { framework_id, executor_id, status } => {
            Command::ExecutorEnded(ExecutorRef::new(framework_id, id.clone(), executor_id), status)
        }
        AgentCall::Message { framework_id, executor_id, data } => {
            Command::ExecutorMessage(ExecutorRef::new(framework_id, id.clone(), executor_id), data)
        }
        AgentCall::UpdateResources { resources } => {
            Command::UpdateAgent(AgentUpdate::new(id.clone()).resources(resources))
        }
        AgentCall::Unregister => Command::UnregisterAgent(id.clone()),
        AgentCall::Pong { .. } | _ => return None,
    })
}

fn of_id(id: &AgentId, agent: Agent) -> Agent {
    let mut agent = agent;
    agent.id = id.clone();
    agent
}

fn registration(id: &AgentId, call: Reregister) -> Registration {
    let mut registration = Registration::from(of_id(id, call.registration.agent_info));
    for reported in call.tasks {
        let role = reported.task.role.clone().unwrap_or_default();
        let task = RunningTask::new(reported.framework_id, role, reported.task).state(reported.latest_state);
        let task = match reported.executor_id {
            Some(executor) => task.executor(executor),
            None => task,
        };
        registration = registration.task(task);
    }
    for reported in call.executors {
        let info = reported.executor_info;
        let role = info.role.unwrap_or_default();
        registration =
            registration.executor(RunningExecutor::new(info.id, reported.framework_id, role, info.resources));
    }
    registration
}
