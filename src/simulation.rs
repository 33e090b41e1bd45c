//! A cluster in virtual time: our own master, any schedulers, and agents that do as they are told.
//!
//! For tests, examples and experiments. Nothing waits: time jumps to whatever happens next.

use crate::agent::Agent;
use crate::allocator::{Allocator, Hierarchical};
use crate::framework::Framework;
use crate::id::{AgentId, FrameworkId};
use crate::master::{Command, CommandError, Config, Effect, Emitted, Master};
use crate::offer::Offer;
use crate::scheduler::{Calls, Event, Scheduler};
use crate::task::{TaskState, TaskStatus};
use crate::time::Time;
use indexmap::IndexMap;
use std::collections::{BTreeMap, VecDeque};

/// A master, its frameworks and its agents, in one process and in virtual time.
///
/// Agents report each task as running as soon as it is launched, and as killed as soon as it is to
/// be; whatever else is to happen can be [scheduled](Cluster::schedule).
///
/// # Examples
///
/// ```
/// use apportion::simulation::Cluster;
/// use apportion::{Accept, Agent, Calls, Config, Framework, Offer, Role, Scheduler, Task, Time};
///
/// #[derive(Debug)]
/// struct One(Option<Task>);
///
/// impl Scheduler for One {
///     fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
///         for offer in offers {
///             match self.0.take() {
///                 Some(task) => calls.accept(Accept::of(&offer).launch(task)),
///                 None => calls.decline(&offer),
///             }
///         }
///     }
/// }
///
/// let mut cluster = Cluster::new(Config::default());
/// cluster.add_agent(Agent::new("a1", "cpus:4;mem:1024".parse()?))?;
/// let task = Task::new("t1", "cpus:1;mem:64".parse()?);
/// cluster.add_framework(Framework::new("f1").role(Role::default()), One(Some(task)))?;
/// cluster.run_until(Time::from_secs(1));
/// assert_eq!(cluster.master().state().agents[0].allocated, "cpus:1;mem:64".parse()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Cluster<S, A = Hierarchical> {
    master: Master<A>,
    schedulers: IndexMap<FrameworkId, S>,
    /// Offers that were made and not yet handed over: those of one moment go together.
    offers: IndexMap<FrameworkId, Vec<Offer>>,
    events: VecDeque<(FrameworkId, Event)>,
    agenda: BTreeMap<(Time, u64), Command>,
    planned: u64,
    record: Option<VecDeque<(Time, Command)>>,
}

impl<S: Scheduler> Cluster<S> {
    /// An empty cluster under a master of its own.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self::with_master(Master::new(config))
    }
}

impl<S: Scheduler, A: Allocator> Cluster<S, A> {
    /// A cluster under that master; its agents and frameworks, if it has any, are nobody's here.
    #[must_use]
    pub fn with_master(master: Master<A>) -> Self {
        Self {
            master,
            schedulers: IndexMap::new(),
            offers: IndexMap::new(),
            events: VecDeque::new(),
            agenda: BTreeMap::new(),
            planned: 0,
            record: None,
        }
    }

    /// Keeps every command from now on for [`Cluster::take_commands`].
    #[must_use]
    pub fn recording(mut self) -> Self {
        self.record = Some(VecDeque::new());
        self
    }

    /// The commands since this was last asked, refused ones too, if they are [kept](Cluster::recording).
    pub fn take_commands(&mut self) -> impl Iterator<Item = (Time, Command)> {
        self.record.as_mut().map(std::mem::take).into_iter().flatten()
    }

    /// Adds an agent now.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when the master refuses it.
    pub fn add_agent(&mut self, agent: Agent) -> Result<(), CommandError> {
        self.command(Command::AddAgent(agent, Vec::new()))
    }

    /// Loses an agent now, and all tasks on it.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when there is no such agent.
    pub fn remove_agent(&mut self, agent: &AgentId) -> Result<(), CommandError> {
        self.command(Command::RemoveAgent(agent.clone()))?;
        for framework in self.schedulers.keys() {
            self.events.push_back((framework.clone(), Event::Failure(agent.clone())));
        }
        Ok(())
    }

    /// Adds a framework now, with the scheduler that decides for it.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when the master refuses it.
    pub fn add_framework(&mut self, framework: Framework, scheduler: S) -> Result<(), CommandError> {
        let id = framework.id.clone();
        self.command(Command::AddFramework(framework))?;
        self.schedulers.insert(id.clone(), scheduler);
        self.events.push_back((id.clone(), Event::Subscribed(id)));
        Ok(())
    }

    /// Gives the master a command now.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when it refuses it.
    pub fn command(&mut self, command: Command) -> Result<(), CommandError> {
        let now = self.now();
        if let Some(record) = &mut self.record {
            record.push_back((now, command.clone()));
        }
        self.master.handle(now, command)
    }

    /// Has the master given a command later; what is then refused is dropped.
    pub fn schedule(&mut self, at: Time, command: Command) {
        self.agenda.insert((at.max(self.now()), self.planned), command);
        self.planned += 1;
    }

    /// Lets a scheduler do something of its own accord, such as take in new work.
    pub fn tell(&mut self, framework: &FrameworkId, act: impl FnOnce(&mut S, &mut Calls)) {
        let mut calls = Calls::new(self.now());
        if let Some(scheduler) = self.schedulers.get_mut(framework) {
            act(scheduler, &mut calls);
        }
        self.call(framework, calls);
    }

    /// Handles the next effect up to `until`, and shows it; none when nothing more happens by then.
    pub fn step(&mut self, until: Time) -> Option<Emitted> {
        loop {
            if let Some(emitted) = self.master.poll_effect() {
                self.deliver(&emitted);
                return Some(emitted);
            }
            if self.hand_over() {
                continue;
            }
            let planned = self.agenda.first_key_value().map(|((at, _), _)| *at);
            let timer = self.master.poll_timeout().map(|wake| wake.at.max(self.now()));
            let next = planned.into_iter().chain(timer).min().filter(|next| *next <= until);
            self.master.advance(next.unwrap_or(until).max(self.now())).ok()?;
            next?;
            if planned == next
                && let Some((_, command)) = self.agenda.pop_first()
            {
                let _ = self.command(command);
            }
        }
    }

    /// Lets everything happen that happens by then.
    pub fn run_until(&mut self, until: Time) {
        while self.step(until).is_some() {}
    }

    /// The moment that the cluster has come to.
    #[must_use]
    pub fn now(&self) -> Time {
        self.master.now()
    }

    /// The master, to look at.
    #[must_use]
    pub fn master(&self) -> &Master<A> {
        &self.master
    }

    /// The scheduler of a framework, to look at.
    #[must_use]
    pub fn scheduler(&self, framework: &FrameworkId) -> Option<&S> {
        self.schedulers.get(framework)
    }

    fn deliver(&mut self, emitted: &Emitted) {
        match &emitted.effect {
            Effect::Offer(offer) => {
                self.offers.entry(offer.framework.clone()).or_default().push(offer.clone());
            }
            Effect::Rescind { offer, framework } => {
                let kept = self.offers.get_mut(framework).map_or(0, |offers| {
                    let before = offers.len();
                    offers.retain(|waiting| waiting.id != *offer);
                    before - offers.len()
                });
                // An offer that never reached its framework need not be taken back from it.
                if kept == 0 {
                    self.events.push_back((framework.clone(), Event::Rescind(offer.clone())));
                }
            }
            Effect::InverseOffer(offer) => {
                self.events.push_back((offer.framework.clone(), Event::InverseOffers(vec![offer.clone()])));
            }
            Effect::RescindInverseOffer { offer, framework } => {
                self.events.push_back((framework.clone(), Event::RescindInverseOffer(offer.clone())));
            }
            Effect::Status { framework, status } => {
                self.events.push_back((framework.clone(), Event::Update(status.clone())));
            }
            Effect::Launch { agent: _, framework, role: _, task } => {
                let status = TaskStatus::new(task.id.clone(), TaskState::Running);
                self.schedule(emitted.at, Command::TaskStatus(framework.clone(), status));
            }
            Effect::OperationFailed { framework, operation, error } => {
                if let Some(framework) = framework {
                    self.events.push_back((framework.clone(), Event::Error(format!("{operation}: {error}"))));
                }
            }
            Effect::Kill { agent: _, framework, task } => {
                let status = TaskStatus::new(task.clone(), TaskState::Killed);
                self.schedule(emitted.at, Command::TaskStatus(framework.clone(), status));
            }
        }
    }

    /// Hands the oldest event to its scheduler, or else the offers of one framework; false if there are none.
    fn hand_over(&mut self) -> bool {
        let (framework, event) = match self.events.pop_front() {
            Some(event) => event,
            None => match self.offers.shift_remove_index(0) {
                Some((framework, offers)) => (framework, Event::Offers(offers)),
                None => return false,
            },
        };
        self.tell(&framework, |scheduler, calls| scheduler.receive(event, calls));
        true
    }

    fn call(&mut self, framework: &FrameworkId, calls: Calls) {
        for call in calls.into_vec() {
            if let Err(refusal) = self.command(Command::Call(framework.clone(), call)) {
                self.events.push_back((framework.clone(), Event::Error(refusal.to_string())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offer::Accept;
    use crate::role::Role;
    use crate::task::Task;

    /// Launches one task on each offer, and notes what it is told.
    #[derive(Debug, Default)]
    struct Noting {
        launched: u32,
        told: Vec<String>,
    }

    impl Scheduler for Noting {
        fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
            self.told.push(format!("{} offers", offers.len()));
            for offer in offers {
                self.launched += 1;
                let task = Task::new(format!("t{}", self.launched), "cpus:1".parse().unwrap());
                calls.accept(Accept::of(&offer).launch(task));
            }
        }

        fn update(&mut self, status: TaskStatus, _: &mut Calls) {
            self.told.push(format!("{} {}", status.task, status.state));
        }

        fn rescinded(&mut self, offer: crate::id::OfferId, _: &mut Calls) {
            self.told.push(format!("{offer} rescinded"));
        }

        fn rejected(&mut self, message: String, _: &mut Calls) {
            self.told.push(message);
        }
    }

    fn cluster() -> Cluster<Noting> {
        let mut cluster = Cluster::new(Config::default());
        for id in ["a1", "a2"] {
            cluster.add_agent(Agent::new(id, "cpus:1;mem:64".parse().unwrap())).unwrap();
        }
        cluster.add_framework(Framework::new("f").role(Role::default()), Noting::default()).unwrap();
        cluster
    }

    fn told(cluster: &Cluster<Noting>) -> Vec<String> {
        cluster.scheduler(&"f".into()).unwrap().told.clone()
    }

    #[test]
    fn offers_of_one_moment_arrive_together_and_tasks_run() {
        let mut cluster = cluster();
        cluster.run_until(Time::ZERO);
        assert_eq!(told(&cluster), ["2 offers", "t1 TASK_RUNNING", "t2 TASK_RUNNING"]);
    }

    #[test]
    fn losing_an_agent_loses_its_tasks() {
        let mut cluster = cluster();
        cluster.run_until(Time::ZERO);
        cluster.remove_agent(&"a1".into()).unwrap();
        cluster.run_until(Time::ZERO);
        assert_eq!(told(&cluster).last().unwrap(), "t1 TASK_LOST");
    }

    #[test]
    fn a_refused_call_comes_back_to_its_scheduler() {
        let mut cluster = cluster();
        cluster.tell(&"f".into(), |_, calls| calls.kill("t9".into()));
        cluster.run_until(Time::ZERO);
        assert!(told(&cluster).contains(&"framework f has no task t9".to_owned()));
    }

    #[test]
    fn what_is_scheduled_happens_in_order_of_time() {
        let mut cluster = cluster().recording();
        let status = |state| Command::TaskStatus("f".into(), TaskStatus::new("t1", state));
        cluster.schedule(Time::from_secs(9), status(TaskState::Finished));
        cluster.schedule(Time::from_secs(3), status(TaskState::Killing));
        cluster.run_until(Time::from_secs(9));
        let told = told(&cluster);
        let killing = told.iter().position(|line| line == "t1 TASK_KILLING").unwrap();
        assert!(told.iter().skip(killing).any(|line| line == "t1 TASK_FINISHED"));
        let times: Vec<_> = cluster.take_commands().map(|(at, _)| at).collect();
        assert!(times.is_sorted() && times.len() >= 6);
    }
}
