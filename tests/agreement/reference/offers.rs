//! Offers: answered and taken back.

use super::plan::{Outcome, Plan};
use super::{Held, LiveExecutor, LiveOffer, LiveTask, Reference, Refused};
use apportion::{
    Accept, Effect, Filters, FrameworkId, OfferId, Operation, OperationId, OperationState, OperationStatus, Resources,
    StatusSource, Task, TaskState, TaskStatus,
};

impl Reference {
    pub(crate) fn offer_id(&self, number: u64) -> OfferId {
        format!("{}O{number}", self.config.id_prefix).into()
    }

    /// Takes back live offers, in order of making.
    pub(super) fn rescind(&mut self, which: impl Fn(&LiveOffer) -> bool) {
        let (gone, kept) = std::mem::take(&mut self.offers).into_iter().partition(|offer| which(offer));
        self.offers = kept;
        let gone: Vec<LiveOffer> = gone;
        for offer in gone {
            let (offer, framework) = (self.offer_id(offer.number), offer.held.framework);
            self.emit(Effect::Rescind { offer, framework });
        }
    }

    /// The live offers of a framework among those named.
    fn its_live(&self, framework: &FrameworkId, ids: &[OfferId]) -> Vec<LiveOffer> {
        let mut answered: Vec<LiveOffer> = Vec::new();
        for id in ids {
            let its = self.offers.iter().find(|offer| self.offer_id(offer.number) == *id);
            let its = its.filter(|offer| offer.held.framework == *framework);
            let new = its.filter(|offer| answered.iter().all(|other| other.number != offer.number));
            answered.extend(new.cloned());
        }
        answered
    }

    /// The live offers that a framework answers, each named once.
    fn answered(&self, framework: &FrameworkId, ids: &[OfferId]) -> Result<Vec<LiveOffer>, Refused> {
        let its = self.its_live(framework, ids);
        if its.len() == ids.len() { Ok(its) } else { Err("not live, not its own, or named twice") }
    }

    pub(super) fn decline(
        &mut self,
        framework: &FrameworkId,
        ids: &[OfferId],
        filters: Filters,
        each: bool,
    ) -> Result<(), Refused> {
        self.registered(framework).ok_or("no such framework")?;
        let declined = if each { self.its_live(framework, ids) } else { self.answered(framework, ids)? };
        for declined in declined {
            self.offers.retain(|offer| offer.number != declined.number);
            self.refuse(declined.held, filters);
        }
        self.untrack_idle();
        Ok(())
    }

    /// What the offers that an accept names come to, if they are its own and of one agent and role.
    fn place(&self, framework: &FrameworkId, ids: &[OfferId]) -> Result<Held, Refused> {
        let offers = self.answered(framework, ids)?;
        let Some(first) = offers.first() else { return Err("no offers") };
        let apart = |offer: &LiveOffer| (&offer.held.agent, &offer.held.role) != (&first.held.agent, &first.held.role);
        if offers.iter().any(apart) {
            return Err("offers of several agents or roles");
        }
        let resources = offers.iter().fold(Resources::new(), |sum, offer| {
            sum.checked_add(&offer.held.resources).expect("parts of one agent's total")
        });
        Ok(Held { resources, ..first.held.clone() })
    }

    /// An accept that is refused for anything wrong with its offers or its tasks.
    pub(super) fn accept(&mut self, framework: &FrameworkId, accept: Accept) -> Result<(), Refused> {
        self.registered(framework).ok_or("no such framework")?;
        let place = self.place(framework, &accept.offers)?;
        let plan = self.plan(&place, &accept)?;
        self.carry_out(place, plan, accept);
        Ok(())
    }

    /// An accept of which what is wrong is left out.
    pub(super) fn accept_each(&mut self, framework: &FrameworkId, accept: Accept) -> Result<(), Refused> {
        self.registered(framework).ok_or("no such framework")?;
        if let Ok(place) = self.place(framework, &accept.offers) {
            let plan = self.plan(&place, &accept)?;
            self.carry_out(place, plan, accept);
            return Ok(());
        }
        let ended = self.its_live(framework, &accept.offers);
        self.offers.retain(|offer| ended.iter().all(|ended| ended.number != offer.number));
        for (index, operation) in accept.operations.iter().enumerate() {
            if let Operation::Launch(tasks) | Operation::LaunchGroup(tasks) = operation {
                for task in tasks {
                    let agent = task.agent.clone().or_else(|| accept.agent.clone());
                    let (id, reason) = (task.id.clone(), "REASON_INVALID_OFFERS");
                    self.tell_master(framework, id, agent, TaskState::Dropped, reason);
                }
            } else {
                self.fail_for(framework, operation, accept.feedback.get(&index));
            }
        }
        self.untrack_idle();
        Ok(())
    }

    fn carry_out(&mut self, place: Held, plan: Plan, accept: Accept) {
        let framework = place.framework.clone();
        let answered = self.its_live(&framework, &accept.offers);
        self.offers.retain(|offer| answered.iter().all(|answered| answered.number != offer.number));
        let done = |outcome: &Outcome| matches!(outcome, Outcome::Launched { .. } | Outcome::Done { .. });
        if plan.outcomes.iter().any(done) {
            let numbers: Vec<u64> = answered.iter().map(|answered| answered.number).collect();
            self.note_used(&framework, &place.role, &numbers);
        }
        self.set_total(&place.agent, plan.total, &plan.done);
        let groups = self.groups_launched;
        for outcome in plan.outcomes {
            match outcome {
                Outcome::Launched { task, executor, group } => {
                    let group = group.map(|group| groups + group);
                    self.groups_launched = self.groups_launched.max(group.unwrap_or(0));
                    if let Some(info) = executor {
                        let held = Held { resources: info.resources.clone(), ..place.clone() };
                        self.executors.push(LiveExecutor { id: info.id.clone(), held, info: Some(info) });
                    }
                    self.launch(&place, task, group);
                }
                Outcome::Wrong { task, reason } => {
                    let agent = Some(place.agent.clone());
                    let status = TaskStatus::new(task, TaskState::Error).reason(reason);
                    let mut status = status;
                    (status.agent, status.source) = (agent, Some(StatusSource::Master));
                    self.emit(Effect::Status { framework: framework.clone(), status });
                }
                Outcome::Failed { index, operation } => {
                    self.fail_for(&framework, &operation, accept.feedback.get(&index));
                }
                Outcome::Done { index, operation } => {
                    let (agent, to) = (place.agent.clone(), Some(framework.clone()));
                    self.emit(Effect::Operation { agent, framework: to, operation });
                    if let Some(id) = accept.feedback.get(&index) {
                        self.tell_operation(&framework, id, OperationState::Finished);
                    }
                }
            }
        }
        self.refuse(Held { resources: plan.untouched, ..place }, accept.filters);
        self.untrack_idle();
    }

    fn launch(&mut self, place: &Held, task: Task, group: Option<u64>) {
        let held = Held { resources: task.resources.clone(), ..place.clone() };
        let mut live = LiveTask::new(task.id.clone(), TaskState::Staging, held, task.details.clone());
        live.executor = super::executors::executor_of(&task).ok().flatten().map(|info| info.id);
        self.tasks.push(live);
        let Held { agent, framework, role, .. } = place.clone();
        self.emit(Effect::Launch { agent, framework, role, task, group });
    }

    /// Tells that an operation was not done, by the id under which its framework asked to hear of it if it did.
    fn fail_for(&mut self, framework: &FrameworkId, operation: &Operation, feedback: Option<&OperationId>) {
        match feedback {
            Some(id) => self.tell_operation(framework, id, OperationState::Error),
            None => self.fail(Some(framework.clone()), operation),
        }
    }

    fn tell_operation(&mut self, framework: &FrameworkId, id: &OperationId, state: OperationState) {
        let status = OperationStatus::new(id.clone(), state);
        self.emit(Effect::OperationStatus { framework: framework.clone(), status });
    }
}
