//! Level one as plainly as it can be said: slow, without memory of what it worked out before, and
//! written from the rules alone. `tests/agreement.rs` holds the real one against it.
//!
//! Nothing here is shared with `src/allocator` or `src/master` but the values that go in and out.
//! All that is kept is what cannot be worked out again: who is there, the live offers, the tasks, the
//! refusals, and how often each node of the tree was served. Shares, consumption, headroom and
//! orders are worked out from these anew at every decision.

mod agents;
mod allocate;
mod available;
mod constraints;
mod departures;
mod drains;
mod eligible;
mod executors;
mod frameworks;
mod maintenance;
mod offers;
mod operations;
mod plan;
mod quota;
mod recovery;
mod refusals;
mod requests;
mod returns;
mod share;
mod tasks;
mod tree;

pub(crate) use available::{sum_of, used};
pub(crate) use departures::{Departed, Fate, UnreachableTask};
pub(crate) use executors::LiveExecutor;
pub(crate) use maintenance::{InverseRefusal, LiveInverseOffer};
pub(crate) use operations::same;
pub(crate) use quota::{Amounts, of_quantities, of_resources};
pub(crate) use recovery::Recovering;
pub(crate) use refusals::Refusal;
pub(crate) use requests::Wanted;
pub(crate) use share::amounts;

use apportion::allocator::Weight;
use apportion::{
    Agent, AgentId, Call, Command, Config, Details, Drain, Effect, ExecutorId, Filters, Framework, FrameworkId, Json,
    Resources, Role, TaskId, TaskState, Time, Unavailability,
};
use quota::Quota;
use std::collections::BTreeMap;
use std::time::Duration;
use tree::Served;

/// Why a command was turned away; only that it was is compared.
pub(crate) type Refused = &'static str;

/// Resources of an agent in the hands of a framework, under a role.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Held {
    pub(crate) framework: FrameworkId,
    pub(crate) role: Role,
    pub(crate) agent: AgentId,
    pub(crate) resources: Resources,
}

#[derive(Debug, Clone)]
pub(crate) struct LiveOffer {
    /// The `1` of `O1`.
    pub(crate) number: u64,
    pub(crate) times_out_at: Option<Time>,
    /// Whether it is one of several of an agent, none of which is added to.
    pub(crate) is_chunk: bool,
    pub(crate) held: Held,
}

#[derive(Debug, Clone)]
pub(crate) struct LiveTask {
    pub(crate) id: TaskId,
    pub(crate) state: TaskState,
    pub(crate) held: Held,
    pub(crate) executor: Option<ExecutorId>,
    /// What the latest status said of its health and its container.
    pub(crate) healthy: Option<bool>,
    pub(crate) container_status: Option<Json>,
    /// What the task is besides its id and its resources.
    pub(crate) details: Details,
}

impl LiveTask {
    fn new(id: TaskId, state: TaskState, held: Held, details: Details) -> Self {
        Self { id, state, held, executor: None, healthy: None, container_status: None, details }
    }
}

/// A task that runs besides another one of its id, or although it was said to be lost: it only holds something.
#[derive(Debug, Clone)]
pub(crate) struct TaskCopy {
    pub(crate) id: TaskId,
    pub(crate) held: Held,
}

#[derive(Debug, Clone)]
pub(crate) struct KnownAgent {
    /// Its resources are its total at present.
    pub(crate) agent: Agent,
    /// False if an operator has deactivated it.
    pub(crate) active: bool,
    pub(crate) connected: bool,
    /// The tasks that were said to be lost when its connection broke.
    pub(crate) told_lost: Vec<(FrameworkId, TaskId)>,
}

#[derive(Debug, Clone)]
pub(crate) struct KnownFramework {
    pub(crate) framework: Framework,
    pub(crate) active: bool,
    pub(crate) suppressed: Vec<Role>,
    /// What it has requested, by role.
    pub(crate) wanted: BTreeMap<Role, Wanted>,
    /// Whether it is only known from the leader before, and not registered.
    pub(crate) recovered: bool,
    /// When it is removed, unless it comes back.
    pub(crate) leaves_at: Option<Time>,
}

/// The whole of level one, master and allocator together.
#[derive(Debug, Clone)]
pub(crate) struct Reference {
    pub(crate) config: Config,
    pub(crate) now: Time,
    /// In the order in which they came.
    pub(crate) agents: Vec<KnownAgent>,
    pub(crate) frameworks: Vec<KnownFramework>,
    /// In order of making.
    pub(crate) offers: Vec<LiveOffer>,
    /// In order of launching.
    pub(crate) tasks: Vec<LiveTask>,
    /// In order of coming.
    pub(crate) copies: Vec<TaskCopy>,
    pub(crate) executors: Vec<LiveExecutor>,
    /// Unreachable and gone agents, as many as are remembered, the latest last.
    pub(crate) departed: Vec<Departed>,
    pub(crate) unreachable_tasks: Vec<UnreachableTask>,
    /// Removed frameworks, as many as are remembered, the latest last.
    pub(crate) removed: Vec<FrameworkId>,
    pub(crate) drains: BTreeMap<AgentId, Drain>,
    /// Expected agents that will not be active when they come.
    deactivated: Vec<AgentId>,
    pub(crate) recovering: Option<Recovering>,
    had_an_agent: bool,
    groups_launched: u64,
    pub(crate) refusals: Vec<Refusal>,
    /// In order of making.
    pub(crate) inverse_offers: Vec<LiveInverseOffer>,
    /// The machines that will be down, by hostname, whether or not there is an agent on them.
    windows: BTreeMap<String, Unavailability>,
    inverse_refusals: Vec<InverseRefusal>,
    inverse_offers_made: u64,
    pub(crate) weights: BTreeMap<Role, Weight>,
    pub(crate) quotas: BTreeMap<Role, Quota>,
    pub(crate) whitelist: Option<Vec<String>>,
    served: Served,
    /// None at the end of time.
    next_batch: Option<Time>,
    offers_made: u64,
    effects: Vec<(Time, Effect)>,
    /// The state before each framework was given up since the effects were last taken, with the number of effects by then.
    parts: Vec<(usize, Self)>,
}

impl Reference {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            next_batch: Some(Time::ZERO.next_multiple_of(config.allocation_interval)),
            config,
            now: Time::ZERO,
            agents: Vec::new(),
            frameworks: Vec::new(),
            offers: Vec::new(),
            tasks: Vec::new(),
            copies: Vec::new(),
            executors: Vec::new(),
            departed: Vec::new(),
            unreachable_tasks: Vec::new(),
            removed: Vec::new(),
            drains: BTreeMap::new(),
            deactivated: Vec::new(),
            recovering: None,
            had_an_agent: false,
            groups_launched: 0,
            refusals: Vec::new(),
            inverse_offers: Vec::new(),
            windows: BTreeMap::new(),
            inverse_refusals: Vec::new(),
            inverse_offers_made: 0,
            weights: BTreeMap::new(),
            quotas: BTreeMap::new(),
            whitelist: None,
            served: Served::default(),
            offers_made: 0,
            effects: Vec::new(),
            parts: Vec::new(),
        }
    }

    /// Takes a command; whatever was due by then comes first.
    pub(crate) fn handle(&mut self, at: Time, command: Command) -> Result<(), Refused> {
        self.run_timers(at);
        self.take(command)?;
        self.end_drains();
        Ok(())
    }

    fn take(&mut self, command: Command) -> Result<(), Refused> {
        match command {
            Command::AddAgent(registration) => self.add_agent(registration),
            Command::UpdateAgent(update) => self.update_agent(update),
            Command::RemoveAgent(id) | Command::UnregisterAgent(id) => self.remove_agent(&id),
            Command::DeactivateAgent(id) => self.set_agent_active(&id, false),
            Command::ActivateAgent(id) => self.set_agent_active(&id, true),
            Command::DisconnectAgent(id) => self.disconnect_agent(&id),
            Command::AgentUnreachable(id) => self.agent_unreachable(&id),
            Command::AgentGone(id) => self.agent_gone(&id),
            Command::DrainAgent(id, drain) => self.drain_agent(&id, drain),
            Command::Recover(recovery) => self.recover(recovery),
            Command::RecoverFramework(framework, give_up_after) => self.recover_framework(framework, give_up_after),
            Command::AddFramework(framework) => self.add_framework(framework),
            Command::DeactivateFramework(id) => self.deactivate_framework(&id),
            Command::ActivateFramework(id) => self.activate_framework(&id),
            Command::SetWeight(role, weight) => {
                self.weights.insert(role, weight);
                Ok(())
            }
            Command::SetWhitelist(hostnames) => {
                self.whitelist = hostnames.map(|names| names.iter().map(ToString::to_string).collect());
                Ok(())
            }
            Command::SetQuota(role, quota) => self.set_quota(&role, &quota),
            Command::SetMaintenance(agent, unavailability) => self.set_maintenance(&agent, unavailability),
            Command::Operate(agent, operations) => self.operate(&agent, &operations),
            Command::TaskStatus(framework, status) => self.task_status(&framework, status),
            Command::ExecutorEnded(executor, status) => self.executor_ended(executor, status),
            Command::Call(framework, call) => self.call(&framework, call),
            other => panic!("the reference does not know {other:?}"),
        }
    }

    fn call(&mut self, framework: &FrameworkId, call: Call) -> Result<(), Refused> {
        match call {
            Call::Subscribe(info) => self.subscribe(*info),
            Call::UpdateFramework(info) => self.update_framework(*info),
            Call::Teardown => self.tear_down(framework),
            Call::Accept(accept) if accept.each => self.accept_each(framework, accept),
            Call::Accept(accept) => self.accept(framework, accept),
            Call::Decline { offers, filters, each } => self.decline(framework, &offers, filters, each),
            Call::AcceptInverseOffers { offers, filters, each }
            | Call::DeclineInverseOffers { offers, filters, each } => {
                self.answer_inverse(framework, &offers, filters, each)
            }
            Call::Suppress(roles) => self.suppress(framework, &roles),
            Call::Revive(roles) => self.revive(framework, &roles),
            Call::Request(request) => self.request(framework, &request),
            Call::Kill(kill) => self.kill(framework, kill),
            Call::Reconcile(tasks) => self.reconcile(framework, tasks),
            other => panic!("the reference does not know {other:?}"),
        }
    }

    /// Runs what is due: at one instant the batch, then ends of refusals, then offer timeouts, then the end of the time
    /// in which agents are expected, then frameworks that stayed away for too long.
    pub(crate) fn run_timers(&mut self, at: Time) {
        loop {
            let ends = self.refusals.iter().map(|refusal| refusal.until);
            let refusal_ends = ends.chain(self.inverse_refusals.iter().map(|refusal| refusal.until)).min();
            let inverse_ends = self.inverse_offers.iter().filter_map(|offer| offer.times_out_at);
            let offer_times_out = self.offers.iter().filter_map(|offer| offer.times_out_at).chain(inverse_ends).min();
            let recovery_ends = self.recovering.as_ref().and_then(Recovering::ends);
            let leaves = self.frameworks.iter().filter_map(|known| known.leaves_at).min();
            let timers = [self.next_batch, refusal_ends, offer_times_out, recovery_ends, leaves];
            let Some(due) = timers.into_iter().flatten().min().filter(|due| *due <= at) else { break };
            self.now = due;
            if self.next_batch == Some(due) {
                let next = due.next_multiple_of(self.config.allocation_interval);
                self.next_batch = Some(next).filter(|next| *next > due);
                self.allocate(None);
            } else if refusal_ends == Some(due) {
                self.refusals.retain(|refusal| refusal.until > due);
                self.inverse_refusals.retain(|refusal| refusal.until > due);
            } else if offer_times_out == Some(due) {
                let is_due = |end: Option<Time>| end.is_some_and(|end| end <= due);
                let refused: Vec<Held> = self
                    .offers
                    .iter()
                    .filter(|offer| is_due(offer.times_out_at))
                    .map(|offer| offer.held.clone())
                    .collect();
                self.rescind(|offer| is_due(offer.times_out_at));
                let filters = Filters::refuse_for(self.config.timeout_refusal);
                refused.into_iter().for_each(|held| self.refuse(held, filters));
                self.rescind_inverse(|offer| is_due(offer.times_out_at));
            } else if recovery_ends == Some(due) {
                self.stop_recovering();
            } else {
                let first = self.frameworks.iter().find(|known| known.leaves_at == Some(due));
                let id = first.map(|known| known.framework.id.clone()).expect("one that leaves");
                self.give_up(&id);
            }
            self.end_drains();
        }
        self.now = at;
    }

    /// When an offer or inverse offer that is made to a framework now times out.
    fn times_out_at(&self, framework: &FrameworkId) -> Option<Time> {
        let own = self.framework(framework).and_then(|known| known.framework.offer_timeout);
        let timeout = own.or(self.config.offer_timeout)?;
        (own != Some(Duration::ZERO)).then_some(self.now + timeout)
    }

    /// The states before frameworks were given up since the last time, each with the number of effects by then.
    pub(crate) fn take_parts(&mut self) -> Vec<(usize, Self)> {
        std::mem::take(&mut self.parts)
    }

    /// What has come out since the last time.
    pub(crate) fn take_effects(&mut self) -> Vec<(Time, Effect)> {
        std::mem::take(&mut self.effects)
    }

    fn emit(&mut self, effect: Effect) {
        self.effects.push((self.now, effect));
    }

    /// All that anyone holds: "held" is in a live offer or in use.
    pub(crate) fn holdings(&self) -> impl Iterator<Item = &Held> {
        self.offers.iter().map(|offer| &offer.held).chain(self.in_use())
    }

    /// What runs holds: tasks, their copies, and executors that take something for themselves.
    pub(crate) fn in_use(&self) -> impl Iterator<Item = &Held> {
        let copies = self.copies.iter().map(|copy| &copy.held);
        let executors = self.executors.iter().map(|executor| &executor.held);
        let executors = executors.filter(|held| !held.resources.is_empty());
        self.tasks.iter().map(|task| &task.held).chain(copies).chain(executors)
    }

    pub(crate) fn agent(&self, id: &AgentId) -> Option<&KnownAgent> {
        self.agents.iter().find(|known| known.agent.id == *id)
    }

    pub(crate) fn framework(&self, id: &FrameworkId) -> Option<&KnownFramework> {
        self.frameworks.iter().find(|known| known.framework.id == *id)
    }

    /// A framework that can be told something: known, and not only from the leader before.
    pub(crate) fn registered(&self, id: &FrameworkId) -> Option<&KnownFramework> {
        self.framework(id).filter(|known| !known.recovered)
    }
}
