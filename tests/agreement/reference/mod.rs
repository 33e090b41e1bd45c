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
mod eligible;
mod frameworks;
mod maintenance;
mod offers;
mod operations;
mod quota;
mod refusals;
mod share;
mod tasks;
mod tree;

pub(crate) use available::{sum_of, used};
pub(crate) use maintenance::{InverseRefusal, LiveInverseOffer};
pub(crate) use operations::same;
pub(crate) use refusals::Refusal;

use apportion::allocator::Weight;
use apportion::{
    Agent, AgentId, Call, Command, Config, Effect, Framework, FrameworkId, Resources, Role, TaskId, TaskState, Time,
    Unavailability,
};
use quota::Quota;
use std::collections::BTreeMap;
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
    pub(crate) made_at: Time,
    pub(crate) held: Held,
}

#[derive(Debug, Clone)]
pub(crate) struct LiveTask {
    pub(crate) id: TaskId,
    pub(crate) state: TaskState,
    pub(crate) held: Held,
}

#[derive(Debug, Clone)]
pub(crate) struct KnownAgent {
    /// Its resources are its total at present.
    pub(crate) agent: Agent,
    pub(crate) active: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct KnownFramework {
    pub(crate) framework: Framework,
    pub(crate) active: bool,
    pub(crate) suppressed: Vec<Role>,
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
        }
    }

    /// Takes a command; whatever was due by then comes first.
    pub(crate) fn handle(&mut self, at: Time, command: Command) -> Result<(), Refused> {
        self.run_timers(at);
        match command {
            Command::AddAgent(agent, tasks) => self.add_agent(agent, tasks),
            Command::UpdateAgent(update) => self.update_agent(update),
            Command::RemoveAgent(id) => self.remove_agent(&id),
            Command::DeactivateAgent(id) => self.set_agent_active(&id, false),
            Command::ActivateAgent(id) => self.set_agent_active(&id, true),
            Command::AddFramework(framework) => self.add_framework(framework),
            Command::UpdateFramework(framework) => self.update_framework(framework),
            Command::RemoveFramework(id) if self.framework(&id).is_none() => self.remove_tasks_of(&id),
            Command::RemoveFramework(id) | Command::Call(id, Call::Teardown) => self.remove_framework(&id),
            Command::DeactivateFramework(id) => self.set_framework_active(&id, false),
            Command::ActivateFramework(id) => self.set_framework_active(&id, true),
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
            Command::TaskStatus(framework, status) => self.task_status(&framework, &status),
            Command::Call(framework, Call::Accept(accept)) => self.accept(&framework, accept),
            Command::Call(framework, Call::Decline { offers, filters }) => self.decline(&framework, &offers, filters),
            Command::Call(
                framework,
                Call::AcceptInverseOffers { offers, filters } | Call::DeclineInverseOffers { offers, filters },
            ) => self.answer_inverse(&framework, &offers, filters),
            Command::Call(framework, Call::Suppress(roles)) => self.suppress(&framework, &roles),
            Command::Call(framework, Call::Revive(roles)) => self.revive(&framework, &roles),
            Command::Call(framework, Call::Kill(kill)) => self.kill(&framework, &kill.task),
            Command::Call(framework, Call::Reconcile(tasks)) => {
                let ids = tasks.map(|tasks| tasks.into_iter().map(|task| task.task).collect());
                self.reconcile(&framework, ids)
            }
            other => panic!("the reference does not know {other:?}"),
        }
    }

    /// Runs what is due: at one instant the batch, then ends of refusals, then offer timeouts.
    pub(crate) fn run_timers(&mut self, at: Time) {
        loop {
            let ends = self.refusals.iter().map(|refusal| refusal.until);
            let refusal_ends = ends.chain(self.inverse_refusals.iter().map(|refusal| refusal.until)).min();
            let timeout = self.config.offer_timeout;
            let timed_out = |offer: &LiveOffer| timeout.map(|timeout| offer.made_at + timeout);
            let inverse_timed_out = |offer: &LiveInverseOffer| timeout.map(|timeout| offer.made_at + timeout);
            let inverse_ends = self.inverse_offers.iter().filter_map(inverse_timed_out);
            let offer_times_out = self.offers.iter().filter_map(timed_out).chain(inverse_ends).min();
            let due = [self.next_batch, refusal_ends, offer_times_out].into_iter().flatten().min();
            let Some(due) = due.filter(|due| *due <= at) else { break };
            self.now = due;
            if self.next_batch == Some(due) {
                let next = due.next_multiple_of(self.config.allocation_interval);
                self.next_batch = Some(next).filter(|next| *next > due);
                self.allocate(None);
            } else if refusal_ends == Some(due) {
                self.refusals.retain(|refusal| refusal.until > due);
                self.inverse_refusals.retain(|refusal| refusal.until > due);
            } else {
                self.rescind(|offer| timed_out(offer).is_some_and(|end| end <= due));
                self.rescind_inverse(|offer| inverse_timed_out(offer).is_some_and(|end| end <= due));
            }
        }
        self.now = at;
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
        self.offers.iter().map(|offer| &offer.held).chain(self.tasks.iter().map(|task| &task.held))
    }

    pub(crate) fn agent(&self, id: &AgentId) -> Option<&KnownAgent> {
        self.agents.iter().find(|known| known.agent.id == *id)
    }

    pub(crate) fn framework(&self, id: &FrameworkId) -> Option<&KnownFramework> {
        self.frameworks.iter().find(|known| known.framework.id == *id)
    }
}
