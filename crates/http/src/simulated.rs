//! [`SimulatedAgents`]: agents within the program of the master, in real time.

use apportion::delivery::AgentMessage;
use apportion::executor::Executor;
use apportion::simulation::{AgentWake, Agents};
use apportion::{Agent, AgentId, Command, ExecutorInfo, ExecutorRef, Resources, StatusSource, Task, Time, Uuid};
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// The name that the ids of agents begin with.
const PREFIX: &str = "agent-";

/// The interval at which executors are woken: what their threads have done is told by then.
const EXECUTOR_INTERVAL: Duration = Duration::from_millis(20);

/// Agents within the program of a master, to try frameworks with, in real time.
///
/// They run nothing: they report tasks as running, and as finished after a time. With [executors](Self::with_executors), these run
/// the tasks.
///
/// # Examples
///
/// ```
/// use apportion::Command;
/// use apportion_http::{Server, Settings, SimulatedAgents};
/// use std::time::Duration;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let seed = 7; // of the ids of statuses
/// let agents = SimulatedAgents::new(seed).task_duration(Duration::from_secs(10));
/// let server = Server::start(Settings::default(), agents);
/// for number in 0..3 {
///     let agent = SimulatedAgents::agent(number, &"cpus:4;mem:8192".parse()?);
///     server.command(Command::AddAgent(agent.into())).await?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SimulatedAgents {
    agents: Agents,
    commands: VecDeque<Command>,
    /// The timers, by time and in order of setting.
    wakes: BTreeMap<(Time, u64), AgentWake>,
    set: u64,
    /// The time that a task runs, if its command does not say another.
    task_duration: Option<Duration>,
    /// The time at which executors are woken next, if there are executors.
    executors_due: Option<Time>,
    has_executors: bool,
    /// The seed of the ids of statuses.
    seed: u64,
    reported: u64,
}

/// The loopback addresses from 127.0.0.2 on; the first is the master's.
fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + 1 + number)
}

impl SimulatedAgents {
    /// Returns agents whose tasks run until they are killed, unless their command is `sleep N`. The ids of their statuses are drawn
    /// from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            agents: Agents::new(),
            commands: VecDeque::new(),
            wakes: BTreeMap::new(),
            set: 0,
            task_duration: None,
            executors_due: None,
            has_executors: false,
            seed,
            reported: 0,
        }
    }

    /// Sets how long a task runs whose command is not `sleep N`, and that does not [say](Task::lasts); with `None`, until it is killed.
    #[must_use]
    pub fn task_duration(mut self, duration: impl Into<Option<Duration>>) -> Self {
        self.task_duration = duration.into();
        self
    }

    /// Runs tasks in executors, which `start` creates: one for all tasks of a framework on an agent that name the same executor, and
    /// one for each task that names none. `None` means that the executor cannot be started: the task fails. They run within the
    /// master's task, so they must not block; each is [woken](Executor::woken) every 20 ms, to tell what its threads have done.
    #[must_use]
    pub fn with_executors(
        mut self,
        start: impl FnMut(&ExecutorRef, &ExecutorInfo) -> Option<Box<dyn Executor>> + Send + 'static,
    ) -> Self {
        self.agents = self.agents.with_executors(start);
        self.has_executors = true;
        self
    }

    /// Returns the description of agent `number`, `agent-0` and so on, of one of three racks. Its hostname is an address of the
    /// loopback, so that it resolves.
    #[must_use]
    pub fn agent(number: u32, resources: &Resources) -> Agent {
        let rack = format!("r{}", number % 3 + 1);
        Agent::new(format!("{PREFIX}{number}"), resources.clone())
            .hostname(address(number).to_string())
            .attribute("rack", rack.as_str())
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
                // It is acknowledged, as if it were real. Executors give ids of their own.
                status.uuid.get_or_insert_with(|| Uuid::from_seed(self.seed, self.reported));
                status.source.get_or_insert(StatusSource::Executor);
            }
            self.commands.push_back(command);
        }
        while let Some((at, wake)) = self.agents.poll_wake() {
            self.set += 1;
            self.wakes.insert((at, self.set), wake);
        }
    }
}

impl crate::Agents for SimulatedAgents {
    #[expect(clippy::wildcard_enum_match_arm, reason = "only tasks are timed")]
    fn receive(&mut self, at: Time, agent: &AgentId, mut message: AgentMessage) {
        match &mut message {
            AgentMessage::Launch { task, .. } => self.time(task),
            AgentMessage::LaunchGroup { tasks, .. } => tasks.iter_mut().for_each(|task| self.time(task)),
            _ => {}
        }
        self.agents.receive(at, agent, message);
        if self.has_executors && self.executors_due.is_none() {
            self.executors_due = Some(at + EXECUTOR_INTERVAL);
        }
        self.collect();
    }

    fn advance(&mut self, at: Time) {
        while let Some(entry) = self.wakes.first_entry().filter(|entry| entry.key().0 <= at) {
            let wake = entry.remove();
            self.agents.wake(at, &wake);
            self.collect();
        }
        if self.executors_due.is_some_and(|due| due <= at) {
            let executors: Vec<ExecutorRef> = self.agents.executors().cloned().collect();
            self.executors_due = (!executors.is_empty()).then_some(at + EXECUTOR_INTERVAL);
            for executor in executors {
                self.agents.act(at, &executor, |executor, reports| executor.woken(reports));
            }
            self.collect();
        }
    }

    fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.wakes.first_key_value().map(|((at, _), _)| *at).into_iter().chain(self.executors_due).min()
    }

    fn address(&self, agent: &AgentId) -> (IpAddr, u16) {
        let number = agent.as_str().strip_prefix(PREFIX).and_then(|number| number.parse().ok());
        (address(number.unwrap_or(0)).into(), 5051)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Agents as _;
    use apportion::{Framework, Role, TaskState};
    use serde_json::json;
    use std::sync::Arc;

    #[test]
    fn a_task_runs_as_long_as_its_command_sleeps() {
        let mut agents = SimulatedAgents::new(1);
        let (agent, framework) =
            (Arc::new(SimulatedAgents::agent(7, &Resources::new())), Arc::new(Framework::new("f")));
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
