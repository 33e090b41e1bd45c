//! Operations: what an accept, or an operator, does to an agent's resources.

use super::{CommandError, Effect, Master};
use crate::allocator::{Allocator, AllocatorError, Holding};
use crate::id::{AgentId, FrameworkId, OperationId, TaskId};
use crate::offer::{Conversion, Operation, OperationError, OperationState, OperationStatus, volume_id};
use crate::resources::{Resource, Resources};
use crate::task::Task;
use std::collections::{BTreeMap, BTreeSet};

/// What an accept will come to, if nothing stands against it.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) conversions: Vec<Conversion>,
    /// In the order of the operations.
    pub(super) outcomes: Vec<Outcome>,
    /// What of the offers was neither launched on nor converted.
    pub(super) untouched: Resources,
    /// What later operations may use.
    left: Resources,
}

#[derive(Debug)]
pub(super) enum Outcome {
    Launched(Task),
    Failed(&'static str, OperationError),
    /// How an operation goes of which the framework wants to hear.
    Told(OperationStatus),
}

impl Plan {
    pub(super) fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Launched(task) => Some(task),
            Outcome::Failed(..) | Outcome::Told(_) => None,
        })
    }

    /// Takes what a task needs; shared resources stay for the next one, but a copy in use is not left over.
    fn launch(&mut self, task: Task) -> Result<(), CommandError> {
        check_task(&task)?;
        if let Some(shortfall) = self.left.shortfall(&task.resources) {
            return Err(CommandError::TaskTooLarge { task: task.id, shortfall: Box::new(shortfall) });
        }
        self.left.remove(&task.resources.filter(|resource| !resource.is_shared()));
        self.untouched.remove(&task.resources);
        self.outcomes.push(Outcome::Launched(task));
        Ok(())
    }

    fn convert(&mut self, conversion: Conversion) -> Result<(), OperationError> {
        let mut left = self.left.checked_sub(&conversion.consumed).map_err(Box::new)?;
        // A shared volume that is destroyed is gone, in however many copies it was offered.
        let gone = |mine: &Resource| conversion.consumed.iter().any(|gone| gone.is_shared() && gone.same_shared(mine));
        left = left.filter(|mine| !gone(mine));
        if conversion.at_once {
            left = left.checked_add(&conversion.converted).map_err(Box::new)?;
        }
        self.left = left;
        self.untouched = self.untouched.filter(|mine| !gone(mine));
        self.untouched.remove(&conversion.consumed);
        self.conversions.push(conversion);
        Ok(())
    }
}

impl<A: Allocator> Master<A> {
    /// Goes through the operations of an accept one after the other, each seeing what the one before
    /// left. Nothing has changed yet.
    pub(super) fn plan(
        &self,
        framework: &FrameworkId,
        offered: &Holding,
        operations: Vec<Operation>,
        feedback: &BTreeMap<usize, OperationId>,
    ) -> Result<Plan, CommandError> {
        let mut ids: BTreeSet<TaskId> = BTreeSet::new();
        let mut plan = Plan {
            conversions: Vec::new(),
            outcomes: Vec::new(),
            untouched: offered.resources.clone(),
            left: offered.resources.clone(),
        };
        for (place, operation) in operations.into_iter().enumerate() {
            let name = operation.name();
            match operation {
                Operation::Launch(tasks) | Operation::LaunchGroup(tasks) => {
                    for task in tasks {
                        if self.tasks.has(framework, &task.id) || !ids.insert(task.id.clone()) {
                            return Err(CommandError::TaskExists { framework: framework.clone(), task: task.id });
                        }
                        plan.launch(task)?;
                    }
                }
                Operation::Reserve(_)
                | Operation::Unreserve(_)
                | Operation::Create(_)
                | Operation::Destroy(_)
                | Operation::GrowVolume { .. }
                | Operation::ShrinkVolume { .. } => {
                    let in_use: Vec<_> = plan.tasks().map(|task| task.resources.clone()).collect();
                    let done = operation.conversion(Some(&offered.role)).and_then(|conversion| {
                        self.check_agent(&offered.agent, &operation, &conversion, &plan.conversions, &in_use)?;
                        plan.convert(conversion)
                    });
                    let told = feedback.get(&place).map(|id| {
                        let state = if done.is_ok() { OperationState::Finished } else { OperationState::Error };
                        let message = done.as_ref().err().map(|error| error.to_string().into());
                        let agent = Some(offered.agent.clone());
                        OperationStatus { message, agent, ..OperationStatus::new(id.clone(), state) }
                    });
                    let failed = |error| Outcome::Failed(name, error);
                    plan.outcomes.extend(told.map(Outcome::Told).or_else(|| done.err().map(failed)));
                }
            }
        }
        Ok(plan)
    }

    /// Checks what an operation asks of the whole agent: that it has what is to be taken (its total may have
    /// shrunk below what is offered), that what comes of it can be added up, that a new id is new, that
    /// what is destroyed is unused.
    fn check_agent(
        &self,
        agent: &AgentId,
        operation: &Operation,
        conversion: &Conversion,
        before: &[Conversion],
        in_use: &[Resources],
    ) -> Result<(), OperationError> {
        let Some(account) = self.allocator.agent(agent) else { return Ok(()) };
        let mut total = account.total.clone();
        for conversion in before {
            total.remove(&conversion.consumed);
            total.insert(&conversion.converted);
        }
        let rest = total.checked_sub(&conversion.consumed).map_err(Box::new)?;
        rest.checked_add(&conversion.converted).map_err(Box::new)?; // two kinds may merge to more than can be told
        if let Operation::Create(volumes) = operation {
            let mut known: BTreeSet<_> = total.iter().filter_map(|old| Some((old.role()?, volume_id(old)?))).collect();
            for volume in volumes.iter().filter_map(|new| Some((new.role()?, volume_id(new)?))) {
                if !known.insert(volume) {
                    return Err(OperationError::VolumeExists(volume.1.clone()));
                }
            }
        }
        if let Operation::Destroy(volumes) = operation {
            let held = |volume: &&Resource| {
                let tasks = account.allocated.iter().chain(in_use.iter().flatten());
                tasks.into_iter().any(|resource| resource.same_shared(volume))
            };
            if let Some(volume) = volumes.iter().filter(|volume| volume.is_shared()).find(held) {
                return Err(OperationError::InUse(Box::new(volume.clone())));
            }
        }
        Ok(())
    }

    /// Takes back the offers of shared volumes that are no more.
    pub(super) fn rescind_destroyed(&mut self, agent: &AgentId, conversions: &[Conversion]) {
        let consumed = conversions.iter().flat_map(|conversion| conversion.consumed.iter());
        let gone: Vec<_> = consumed.filter(|resource| resource.is_shared()).cloned().collect();
        if !gone.is_empty() {
            self.rescind(|offer| {
                let mut offered = offer.holding.resources.iter();
                offer.holding.agent == *agent
                    && offered.any(|resource| gone.iter().any(|gone| gone.same_shared(resource)))
            });
        }
    }

    /// Does what an operator asks for, each operation by itself: one that cannot be done is told, and
    /// the next is tried.
    pub(super) fn operate(&mut self, agent: &AgentId, operations: Vec<Operation>) -> Result<(), CommandError> {
        if self.allocator.agent(agent).is_none() {
            return Err(AllocatorError::UnknownAgent(agent.clone()).into());
        }
        let launches = |operation: &&Operation| matches!(operation, Operation::Launch(_) | Operation::LaunchGroup(_));
        if let Some(launch) = operations.iter().find(launches) {
            return Err(CommandError::NotForOperators(launch.name()));
        }
        for operation in operations {
            let done = operation.conversion(None).and_then(|conversion| {
                self.check_agent(agent, &operation, &conversion, &[], &[])?;
                self.make_room(agent, &conversion.consumed)?;
                Ok(conversion)
            });
            match done {
                Ok(conversion) => {
                    self.allocator.convert(agent, &conversion)?;
                    self.rescind_destroyed(agent, &[conversion]);
                }
                Err(error) => {
                    self.emit(Effect::OperationFailed { framework: None, operation: operation.name(), error });
                }
            }
        }
        Ok(())
    }

    /// Rescinds just the offers that hold what is needed, the oldest first; none if that is not enough.
    fn make_room(&mut self, agent: &AgentId, needed: &Resources) -> Result<(), OperationError> {
        let Some(account) = self.allocator.agent(agent) else { return Ok(()) };
        let mut free = account.available.clone();
        let mut missing = needed.saturating_sub(&free);
        let mut rescinded = Vec::new();
        for number in self.offers.numbers(|offer| offer.holding.agent == *agent) {
            let offered = self.offers.resources(number);
            let rest = missing.saturating_sub(&offered);
            if rest != missing {
                rescinded.push(number);
                free.insert(&offered.filter(|resource| !resource.is_shared()));
                missing = needed.saturating_sub(&free);
            }
        }
        if let Some(shortfall) = free.shortfall(needed) {
            return Err(Box::new(shortfall).into());
        }
        self.rescind_each(rescinded);
        Ok(())
    }
}

fn check_task(task: &Task) -> Result<(), CommandError> {
    if task.resources.is_empty() {
        return Err(CommandError::TaskWithoutResources(task.id.clone()));
    }
    let mut revocable = task.resources.iter().filter(|resource| resource.is_revocable());
    let firm = |name: &str| task.resources.iter().any(|resource| resource.name() == name && !resource.is_revocable());
    match revocable.find(|resource| firm(resource.name())).map(Resource::name) {
        Some(name) => Err(CommandError::MixedRevocable { task: task.id.clone(), name: name.into() }),
        None => Ok(()),
    }
}
