//! [`SimulatedAgents`]: agents that run nothing, in real time.

use apportion::delivery::AgentMessage;
use apportion::simulation::{AgentWake, Agents};
use apportion::{Agent, AgentId, Command, Resources, StatusSource, Task, Time, Uuid};
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// The name that the ids of agents begin with.
const PREFIX: &str = "agent-";

/// Agents that report tasks as running, and as finished after a time.
#[derive(Debug)]
pub(crate) struct SimulatedAgents {
    agents: Agents,
    commands: VecDeque<Command>,
    /// The timers, by time and in order of setting.
    wakes: BTreeMap<(Time, u64), AgentWake>,
    set: u64,
    /// How long a task runs that does not say.
    task_duration: Option<Duration>,
    /// What ids of statuses are drawn from.
    seed: u64,
    reported: u64,
}

/// Returns the description of agent `number`, of one of three racks. Its hostname is an address, so that it resolves.
pub(crate) fn agent(number: u32, resources: &Resources) -> Agent {
    let rack = format!("r{}", number % 3 + 1);
    Agent::new(format!("{PREFIX}{number}"), resources.clone())
        .hostname(address(number).to_string())
        .attribute("rack", rack.as_str())
}

/// The loopback addresses from 127.0.0.2 on; the first is the master's.
fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + 1 + number)
}

impl SimulatedAgents {
    pub(crate) fn new(task_duration: Option<Duration>, seed: u64) -> Self {
        let (agents, commands, wakes) = (Agents::new(), VecDeque::new(), BTreeMap::new());
        Self { agents, commands, wakes, set: 0, task_duration, seed, reported: 0 }
    }

    /// Has a task end as its command would: `sleep N` after so many seconds, any other after the time for all.
    fn time(&self, task: &mut Task) {
        if task.duration().is_some() {
            return;
        }
        let command = task.details.get("command").and_then(|command| command.get("value")?.as_str());
        let slept = command.as_deref().and_then(|command| command.trim().strip_prefix("sleep ")?.trim().parse().ok());
        let slept = slept.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        if let Some(duration) = slept.or(self.task_duration) {
            *task = task.clone().lasts(duration);
        }
    }

    /// Takes over what the agents have to tell, and their timers.
    fn collect(&mut self) {
        while let Some((_, mut command)) = self.agents.poll_command() {
            if let Command::TaskStatus(_, status) = &mut command {
                self.reported += 1;
                status.uuid = Some(Uuid::from_seed(self.seed, self.reported)); // it is acknowledged, as if it were real
                status.source = Some(StatusSource::Executor);
            }
            self.commands.push_back(command);
        }
        while let Some((at, wake)) = self.agents.poll_wake() {
            self.set += 1;
            self.wakes.insert((at, self.set), wake);
        }
    }
}

impl apportion_http::Agents for SimulatedAgents {
    #[expect(clippy::wildcard_enum_match_arm, reason = "only tasks are timed")]
    fn receive(&mut self, at: Time, agent: &AgentId, mut message: AgentMessage) {
        match &mut message {
            AgentMessage::Launch { task, .. } => self.time(task),
            AgentMessage::LaunchGroup { tasks, .. } => tasks.iter_mut().for_each(|task| self.time(task)),
            _ => {}
        }
        self.agents.receive(at, agent, message);
        self.collect();
    }

    fn advance(&mut self, at: Time) {
        while let Some(entry) = self.wakes.first_entry().filter(|entry| entry.key().0 <= at) {
            let wake = entry.remove();
            self.agents.wake(at, &wake);
            self.collect();
        }
    }

    fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.wakes.first_key_value().map(|((at, _), _)| *at)
    }

    fn address(&self, agent: &AgentId) -> (IpAddr, u16) {
        let number = agent.as_str().strip_prefix(PREFIX).and_then(|number| number.parse().ok());
        (address(number.unwrap_or(0)).into(), 5051)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apportion::{Framework, Role, TaskState};
    use apportion_http::Agents as _;
    use serde_json::json;
    use std::sync::Arc;

    #[test]
    fn a_task_runs_as_long_as_its_command_sleeps() {
        let mut agents = SimulatedAgents::new(None, 1);
        let (agent, framework) = (Arc::new(agent(7, &Resources::new())), Arc::new(Framework::new("f")));
        assert_eq!(
            (agent.hostname.as_str(), agents.address(&agent.id).0.to_string()),
            ("127.0.0.9", "127.0.0.9".into())
        );
        agents.receive(Time::ZERO, &agent.id, AgentMessage::Registered(agent.clone()));
        for (id, command) in [("sleeps", "sleep 2.5"), ("runs", "python3 -m http.server")] {
            let task = Task::new(id, Resources::new()).detail("command", json!({ "value": command }));
            let (framework, role) = (framework.clone(), Role::default());
            agents.receive(Time::from_secs(1), &agent.id, AgentMessage::Launch { framework, role, task });
        }
        let told = |agents: &mut SimulatedAgents| {
            let mut told = Vec::new();
            while let Some(command) = agents.poll_command() {
                let Command::TaskStatus(_, status) = command else { panic!("{command:?}") };
                assert!(status.uuid.is_some());
                told.push((status.task.to_string(), status.state));
            }
            told
        };
        assert_eq!(told(&mut agents), [("sleeps".into(), TaskState::Running), ("runs".into(), TaskState::Running)]);
        let end = agents.poll_timeout().unwrap();
        assert_eq!(end, Time::from_secs(1) + Duration::from_millis(2_500));
        agents.advance(end);
        assert_eq!(told(&mut agents), [("sleeps".into(), TaskState::Finished)]);
        assert_eq!(agents.poll_timeout(), None);
    }
}
