//! An allocator of one's own: first come, first served.
//!
//! The framework that came first is offered all that it may have, whatever it holds; the next one gets what the first one
//! refuses. [`Accounts`] know who may be offered what; the order is all that is left to decide.

use apportion::allocator::{
    Accounts, AgentAccount, Allocator, AllocatorError, Change, Claim, Claimable, Contents, DenialReason, Holding,
    IneffectiveLimit, Persist, Quota, QuotaError, RoleAccount, SnapshotError,
};
use apportion::{
    Accept, Agent, AgentId, Call, Command, Config, Effect, Framework, Json, Master, Resources, Role, Task, Time,
};
use std::error::Error;

#[derive(Debug, Clone, Default)]
pub(crate) struct FirstCome {
    accounts: Accounts,
}

impl Allocator for FirstCome {
    fn apply(&mut self, change: Change<'_>) -> Result<(), AllocatorError> {
        self.accounts.apply(change)
    }

    fn allocate_into(&mut self, at: Time, only: Option<&AgentId>, offers: &mut Vec<Holding>) {
        for agent in self.accounts.take_changed(at, only) {
            // Candidates are in the order of coming: the first one is served.
            let first = |accounts: &Accounts| accounts.candidates(&agent).next();
            while let Some(offer) = first(&self.accounts) {
                self.accounts.offer(at, &offer).expect("a candidate may be offered");
                offers.push(offer);
            }
        }
    }

    fn has_pending(&self) -> bool {
        self.accounts.has_changed()
    }

    fn next_expiry(&self) -> Option<Time> {
        self.accounts.next_expiry()
    }

    fn agent(&self, agent: &AgentId) -> Option<AgentAccount<'_>> {
        self.accounts.agent(agent)
    }

    fn set_quota(&mut self, role: &Role, quota: Quota) -> Result<Vec<IneffectiveLimit>, QuotaError> {
        self.accounts.set_quota(role, quota)
    }

    fn roles(&self) -> Vec<RoleAccount> {
        self.accounts.roles()
    }
}

/// So that a master with it can be saved, and its journal recovered.
impl Persist for FirstCome {
    fn save(&self) -> Json {
        self.accounts.save()
    }

    fn load(&mut self, saved: Json, contents: &Contents<'_>) -> Result<(), SnapshotError> {
        self.accounts.load(saved, contents)
    }
}

/// So that a pool can grant claims of it, in the order in which they come.
impl Claimable for FirstCome {
    fn quote(&self, claim: &Claim, agent: &AgentId) -> Result<Resources, DenialReason> {
        self.accounts.quote(claim, agent)
    }

    fn offer(&mut self, at: Time, offer: &Holding) -> Result<(), AllocatorError> {
        self.accounts.offer(at, offer)
    }
}

/// Returns who is offered which resources.
fn run() -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let mut master = Master::with_allocator(Config::default(), |_| FirstCome::default());
    let role = Role::new("any")?;
    for id in ["early", "late"] {
        master.handle(Time::ZERO, Command::AddFramework(Framework::new(id).role(role.clone())))?;
    }
    master.handle(Time::ZERO, Command::AddAgent(Agent::new("a1", "cpus:4;mem:1024".parse()?).into()))?;
    let mut offered = Vec::new();
    for second in 1..4 {
        master.advance(Time::from_secs(second))?;
        while let Some(emitted) = master.poll_effect() {
            let Effect::Offer(offer) = emitted.effect else { continue };
            offered.push((offer.framework.to_string(), offer.resources.to_string()));
            if offered.len() == 1 {
                // What is left over is refused for a while.
                let accept = Accept::of(&offer).launch(Task::new("t", "cpus:1".parse()?));
                master.handle(master.now(), Command::Call(offer.framework, Call::Accept(accept)))?;
            }
        }
    }
    Ok(offered)
}

fn main() -> std::process::ExitCode {
    apportion_console::example("Shows who is offered what, first come, first served.", |out| {
        run()?
            .into_iter()
            .try_for_each(|(framework, resources)| writeln!(out, "{framework} is offered {resources}"))?;
        Ok(())
    })
}

#[test]
fn who_came_first_is_offered_all_until_it_refuses() {
    let told = run().expect("nothing is refused");
    let told: Vec<(&str, &str)> =
        told.iter().map(|(framework, resources)| (framework.as_str(), resources.as_str())).collect();
    assert_eq!(told, [("early", "cpus:4;mem:1024"), ("late", "cpus:3;mem:1024")]);
}
