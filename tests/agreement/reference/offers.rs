//! Offers: answered and taken back.

use super::agents::is_id;
use super::operations::{Conversion, conversion, fraction_of_a_gpu, same};
use super::{Held, LiveOffer, LiveTask, Reference, Refused};
use apportion::{
    Accept, Capability, Effect, Filters, FrameworkId, OfferId, Operation, Resource, Resources, Task, TaskState,
};

impl Reference {
    /// Takes back live offers, in order of making.
    pub(super) fn rescind(&mut self, which: impl Fn(&LiveOffer) -> bool) {
        let (gone, kept) = std::mem::take(&mut self.offers).into_iter().partition(|offer| which(offer));
        self.offers = kept;
        let gone: Vec<LiveOffer> = gone;
        for offer in gone {
            let framework = offer.held.framework;
            self.emit(Effect::Rescind { offer: id_of(offer.number), framework });
        }
    }

    /// The live offers that a framework answers, each named once.
    fn answered(&self, framework: &FrameworkId, ids: &[OfferId]) -> Result<Vec<LiveOffer>, Refused> {
        self.framework(framework).ok_or("no such framework")?;
        let mut answered: Vec<LiveOffer> = Vec::new();
        for id in ids {
            let offer = self.offers.iter().find(|offer| id_of(offer.number) == *id).ok_or("no such offer")?;
            if offer.held.framework != *framework {
                return Err("not its offer");
            }
            if answered.iter().any(|other| other.number == offer.number) {
                return Err("an offer twice");
            }
            answered.push(offer.clone());
        }
        Ok(answered)
    }

    pub(super) fn decline(
        &mut self,
        framework: &FrameworkId,
        ids: &[OfferId],
        filters: Filters,
    ) -> Result<(), Refused> {
        for declined in self.answered(framework, ids)? {
            self.offers.retain(|offer| offer.number != declined.number);
            self.refuse(declined.held, filters);
        }
        self.untrack_idle();
        Ok(())
    }

    pub(super) fn accept(&mut self, framework: &FrameworkId, accept: Accept) -> Result<(), Refused> {
        let offers = self.answered(framework, &accept.offers)?;
        let Some(first) = offers.first() else { return Err("no offers") };
        let apart = |offer: &LiveOffer| (&offer.held.agent, &offer.held.role) != (&first.held.agent, &first.held.role);
        if offers.iter().any(apart) {
            return Err("offers of several agents or roles");
        }
        let resources = offers.iter().fold(Resources::new(), |sum, offer| {
            sum.checked_add(&offer.held.resources).expect("parts of one agent's total")
        });
        let place = Held { resources, ..first.held.clone() };
        let plan = self.plan(&place, accept.operations)?;

        self.offers.retain(|offer| offers.iter().all(|answered| answered.number != offer.number));
        self.set_total(&place.agent, plan.total, &plan.done);
        for outcome in plan.outcomes {
            match outcome {
                Outcome::Launched(task) => {
                    let held = Held { resources: task.resources.clone(), ..place.clone() };
                    self.tasks.push(LiveTask { id: task.id.clone(), state: TaskState::Staging, held });
                    let (agent, framework, role) = (place.agent.clone(), framework.clone(), place.role.clone());
                    self.emit(Effect::Launch { agent, framework, role, task });
                }
                Outcome::Failed(operation) => self.fail(Some(framework.clone()), &operation),
            }
        }
        self.refuse(Held { resources: plan.untouched, ..place }, accept.filters);
        self.untrack_idle();
        Ok(())
    }

    /// What the operations of an accept come to, in order, each seeing what the one before left.
    fn plan(&self, offered: &Held, operations: Vec<Operation>) -> Result<Plan, Refused> {
        let mut plan = Plan {
            total: self.agent(&offered.agent).ok_or("no such agent")?.agent.resources.clone(),
            firm: offered.resources.filter(|resource| !resource.is_shared()),
            shared: offered.resources.filter(Resource::is_shared),
            untouched: offered.resources.clone(),
            done: Vec::new(),
            outcomes: Vec::new(),
        };
        for operation in operations {
            if let Operation::Launch(tasks) | Operation::LaunchGroup(tasks) = operation {
                for task in tasks {
                    if self.task(&offered.framework, &task.id).is_some() {
                        return Err("the task is there already");
                    }
                    plan.launch(task)?;
                    self.check_held(offered, &plan)?;
                }
            } else if self.convert(offered, &operation, &mut plan).is_err() {
                plan.outcomes.push(Outcome::Failed(operation));
            }
        }
        Ok(plan)
    }

    /// All that is held on the agent after the accept is a sum that can be told.
    fn check_held(&self, offered: &Held, plan: &Plan) -> Result<(), Refused> {
        let on_it = |held: &&Held| held.agent == offered.agent;
        let mut offers = self.offers.iter().map(|offer| &offer.held).filter(on_it);
        let offers = offers.try_fold(Resources::new(), |sum, held| sum.checked_add(&held.resources));
        let others = offers.expect("no more than a total").saturating_sub(&offered.resources);
        let running = self.tasks.iter().map(|task| &task.held).filter(on_it).map(|held| &held.resources);
        let mut all = running.chain(plan.launched().map(|task| &task.resources));
        all.try_fold(others, |sum, held| sum.checked_add(held)).map(drop).map_err(|_| "more than can be counted")
    }

    fn convert(&self, offered: &Held, operation: &Operation, plan: &mut Plan) -> Result<(), Refused> {
        let conversion = conversion(operation, Some(&offered.role))?;
        let shares = matches!(operation, Operation::Create(volumes) if volumes.iter().any(Resource::is_shared));
        let known = self.framework(&offered.framework).ok_or("no such framework")?;
        if shares && !known.framework.has_capability(Capability::SharedResources) {
            return Err("the framework cannot share");
        }
        let used: Vec<Resources> = plan.launched().map(|task| task.resources.clone()).collect();
        let total = self.converted_total(&offered.agent, &plan.total, operation, &conversion, &used)?;
        let Conversion { consumed, converted, at_once } = &conversion;
        let usable = plan.firm.checked_add(&plan.shared).expect("parts of one agent's total");
        if !usable.contains(consumed) {
            return Err("it was not offered, or is not left");
        }
        plan.total = total;
        plan.firm = plan.firm.saturating_sub(consumed);
        // A shared volume that is destroyed is gone in all its copies.
        plan.shared = plan.shared.filter(|mine| !consumed.iter().any(|gone| same(gone, mine)));
        plan.untouched =
            plan.untouched.filter(|mine| !(mine.is_shared() && consumed.iter().any(|gone| same(gone, mine))));
        plan.untouched = plan.untouched.saturating_sub(consumed);
        if *at_once {
            let sum = |mine: &Resources, which: &dyn Fn(&Resource) -> bool| {
                mine.checked_add(&converted.filter(which)).expect("parts of one agent's total")
            };
            plan.shared = sum(&plan.shared, &Resource::is_shared);
            plan.firm = sum(&plan.firm, &|resource| !resource.is_shared());
        }
        plan.done.push(conversion);
        Ok(())
    }
}

/// What an accept comes to, if nothing stands against it.
struct Plan {
    /// The agent's total after it.
    total: Resources,
    /// What later operations may take.
    firm: Resources,
    /// What later tasks may share.
    shared: Resources,
    /// What was neither launched on nor converted. A shared resource is not left over once it is used.
    untouched: Resources,
    done: Vec<Conversion>,
    outcomes: Vec<Outcome>,
}

enum Outcome {
    Launched(Task),
    Failed(Operation),
}

impl Plan {
    fn launched(&self) -> impl Iterator<Item = &Task> {
        self.outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Launched(task) => Some(task),
            Outcome::Failed(_) => None,
        })
    }

    fn launch(&mut self, task: Task) -> Result<(), Refused> {
        if self.launched().any(|other| other.id == task.id) {
            return Err("the task is there already");
        }
        if !is_id(task.id.as_str()) {
            return Err("not an id");
        }
        check_task(&task.resources)?;
        // However many copies were offered: tasks may share what one of them may use.
        let (shared, firm): (Vec<_>, Vec<_>) = task.resources.iter().cloned().partition(Resource::is_shared);
        let fits = shared.iter().all(|theirs| self.shared.iter().any(|mine| same(mine, theirs)));
        if !fits || !self.firm.contains(&Resources::try_from_iter(firm).expect("part of a task's")) {
            return Err("the task does not fit");
        }
        self.firm = self.firm.saturating_sub(&task.resources);
        self.untouched = self.untouched.saturating_sub(&task.resources);
        self.outcomes.push(Outcome::Launched(task));
        Ok(())
    }
}

fn id_of(number: u64) -> OfferId {
    format!("O{number}").into()
}

/// A task takes something, and of each name only revocable or only other resources.
fn check_task(resources: &Resources) -> Result<(), Refused> {
    let mixed = resources.iter().any(|one| {
        resources.iter().any(|other| one.name() == other.name() && one.is_revocable() != other.is_revocable())
    });
    let parted = fraction_of_a_gpu(resources);
    if mixed || parted || resources.is_empty() { Err("no resources, a mixture, or a part of a GPU") } else { Ok(()) }
}
