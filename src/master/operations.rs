//! Operations of accepts and of operators: launches, reservations and volumes.

use super::{CommandError, Effect, FrameworkEntry, Master};
use crate::allocator::{Allocator, AllocatorError, Holding, available};
use crate::framework::Capability;
use crate::id::{AgentId, FrameworkId, OperationId, TaskId};
use crate::offer::{
    Conversion, Operation, OperationError, OperationState, OperationStatus, fractional_gpus, volume_id,
};
use crate::resources::{Resource, Resources};
use crate::task::Task;
use std::collections::{BTreeMap, BTreeSet};

/// The validated result of an accept, before any of it is applied.
#[derive(Debug)]
pub(super) struct AcceptPlan {
    pub(super) conversions: Vec<Conversion>,
    /// In the order of the operations.
    pub(super) outcomes: Vec<Outcome>,
    /// The offered resources that no launch or conversion has used: the accept refuses them.
    pub(super) unused: Resources,
    /// The resources that the remaining operations may use.
    left: Resources,
    /// All that is held on the agent after the accept, once a conversion may have made it more than a sum can hold.
    held: Option<Resources>,
}

#[derive(Debug)]
pub(super) enum Outcome {
    Launched(Task),
    /// An operation without feedback has failed.
    Failed(&'static str, OperationError),
    /// The status of an operation for which the framework asked for feedback.
    Feedback(OperationStatus),
}

impl AcceptPlan {
    pub(super) fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Launched(task) => Some(task),
            Outcome::Failed(..) | Outcome::Feedback(_) => None,
        })
    }

    /// Uses the resources of a task. Shared resources stay available to further tasks, but they count as used.
    fn launch(&mut self, task: Task) -> Result<(), CommandError> {
        check_task(&task)?;
        if let Some(shortfall) = self.left.shortfall(&task.resources) {
            return Err(CommandError::TaskTooLarge { task: task.id, shortfall: Box::new(shortfall) });
        }
        if let Some(held) = &mut self.held
            && let Err(source) = held.try_add(&task.resources)
        {
            return Err(CommandError::TaskUncountable { task: task.id, source });
        }
        self.left.remove(&task.resources.filter(|resource| !resource.is_shared()));
        self.unused.remove(&task.resources);
        self.outcomes.push(Outcome::Launched(task));
        Ok(())
    }

    fn convert(&mut self, conversion: Conversion) -> Result<(), OperationError> {
        let mut left = self.left.checked_sub(&conversion.consumed).map_err(Box::new)?;
        // A destroyed shared volume disappears with all the copies of it that were offered.
        let destroyed = |resource: &Resource| {
            conversion.consumed.iter().any(|consumed| consumed.is_shared() && consumed.same_shared(resource))
        };
        left = left.filter(|resource| !destroyed(resource));
        if conversion.speculative {
            left = left.checked_add(&conversion.converted).map_err(Box::new)?;
        }
        self.left = left;
        self.unused = self.unused.filter(|resource| !destroyed(resource));
        self.unused.remove(&conversion.consumed);
        self.conversions.push(conversion);
        Ok(())
    }
}

impl<A: Allocator> Master<A> {
    /// Validates the operations of an accept in order, each on the resources that the previous ones leave. Changes nothing:
    /// an invalid task rejects the whole accept, any other operation fails by itself.
    pub(super) fn plan_accept(
        &self,
        framework: &FrameworkId,
        offered: &Holding,
        operations: Vec<Operation>,
        feedback: &BTreeMap<usize, OperationId>,
    ) -> Result<AcceptPlan, CommandError> {
        let mut launched: BTreeSet<TaskId> = BTreeSet::new();
        let mut plan = AcceptPlan {
            conversions: Vec::new(),
            outcomes: Vec::new(),
            unused: offered.resources.clone(),
            left: offered.resources.clone(),
            held: None,
        };
        for (index, operation) in operations.into_iter().enumerate() {
            let name = operation.name();
            match operation {
                Operation::Launch(tasks) | Operation::LaunchGroup(tasks) => {
                    for task in tasks {
                        if self.tasks.contains(framework, &task.id) || !launched.insert(task.id.clone()) {
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
                    let result = operation.conversion(Some(&offered.role)).and_then(|conversion| {
                        self.check_sharing(framework, &operation)?;
                        self.check_agent(&offered.agent, &operation, &conversion, &plan.conversions, &in_use)?;
                        if plan.held.is_none() {
                            plan.held = Some(self.held_beside(offered, &in_use)?);
                        }
                        plan.convert(conversion)
                    });
                    let status = feedback.get(&index).map(|id| {
                        let state = if result.is_ok() { OperationState::Finished } else { OperationState::Error };
                        let message = result.as_ref().err().map(|error| error.to_string().into());
                        let agent = Some(offered.agent.clone());
                        OperationStatus { message, agent, ..OperationStatus::new(id.clone(), state) }
                    });
                    let failed = |error| Outcome::Failed(name, error);
                    plan.outcomes.extend(status.map(Outcome::Feedback).or_else(|| result.err().map(failed)));
                }
            }
        }
        Ok(plan)
    }

    /// Returns what is held on the agent of an accepted offer once its tasks run: other offers, older tasks, and these.
    fn held_beside(&self, offered: &Holding, tasks: &[Resources]) -> Result<Resources, OperationError> {
        let Some(account) = self.allocator.agent(&offered.agent) else { return Ok(Resources::new()) };
        let mut held = account.offered.saturating_sub(&offered.resources);
        let parts = std::iter::once(account.allocated).chain(tasks);
        parts.into_iter().try_for_each(|part| held.try_add(part)).map_err(Box::new)?;
        Ok(held)
    }

    /// Checks that only a framework that may be offered shared volumes creates one.
    fn check_sharing(&self, framework: &FrameworkId, operation: &Operation) -> Result<(), OperationError> {
        let Operation::Create(volumes) = operation else { return Ok(()) };
        let is_capable = |entry: &FrameworkEntry| entry.framework.has_capability(Capability::SharedResources);
        match volumes.iter().find(|volume| volume.is_shared()) {
            Some(shared) if !self.frameworks.get(framework).is_some_and(is_capable) => {
                Err(OperationError::SharingUnsupported(Box::new(shared.clone())))
            }
            _ => Ok(()),
        }
    }

    /// Checks an operation against the whole agent: its total contains what the operation consumes (it may have shrunk
    /// below what is offered), the result stays within the bounds of amounts, a new volume's id is unique, and a destroyed
    /// shared volume is not in use. `before` are the conversions of the same accept that come first.
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
        rest.checked_add(&conversion.converted).map_err(Box::new)?; // amounts that merge may overflow
        if let Operation::Create(volumes) = operation {
            let mut ids: BTreeSet<_> = total.iter().filter_map(|old| Some((old.role()?, volume_id(old)?))).collect();
            for volume in volumes.iter().filter_map(|new| Some((new.role()?, volume_id(new)?))) {
                if !ids.insert(volume) {
                    return Err(OperationError::VolumeExists(volume.1.clone()));
                }
            }
        }
        if let Operation::Destroy(volumes) = operation {
            let is_used = |volume: &&Resource| {
                let mut used = account.allocated.iter().chain(in_use.iter().flatten());
                used.any(|resource| resource.same_shared(volume))
            };
            if let Some(volume) = volumes.iter().filter(|volume| volume.is_shared()).find(is_used) {
                return Err(OperationError::InUse(Box::new(volume.clone())));
            }
        }
        Ok(())
    }

    /// Rescinds the offers with a copy of a destroyed shared volume.
    pub(super) fn rescind_destroyed(&mut self, agent: &AgentId, conversions: &[Conversion]) {
        let consumed = conversions.iter().flat_map(|conversion| conversion.consumed.iter());
        let destroyed: Vec<_> = consumed.filter(|resource| resource.is_shared()).cloned().collect();
        if !destroyed.is_empty() {
            self.rescind(|offer| {
                let mut offered = offer.holding.resources.iter();
                offer.holding.agent == *agent
                    && offered.any(|resource| destroyed.iter().any(|volume| volume.same_shared(resource)))
            });
        }
    }

    /// Runs the operations of an operator. Each succeeds or fails by itself; a failure is an effect.
    pub(super) fn operate(&mut self, agent: &AgentId, operations: Vec<Operation>) -> Result<(), CommandError> {
        if self.allocator.agent(agent).is_none() {
            return Err(AllocatorError::UnknownAgent(agent.clone()).into());
        }
        let launches = |operation: &&Operation| matches!(operation, Operation::Launch(_) | Operation::LaunchGroup(_));
        if let Some(launch) = operations.iter().find(launches) {
            return Err(CommandError::NotForOperators(launch.name()));
        }
        for operation in operations {
            let result = operation.conversion(None).and_then(|conversion| {
                self.check_agent(agent, &operation, &conversion, &[], &[])?;
                self.rescind_to_free(agent, &conversion.consumed)?;
                Ok(conversion)
            });
            match result {
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

    /// Rescinds offers that hold needed resources, the oldest first, until enough is free. Rescinds none if that cannot be.
    fn rescind_to_free(&mut self, agent: &AgentId, needed: &Resources) -> Result<(), OperationError> {
        let Some(account) = self.allocator.agent(agent) else { return Ok(()) };
        let (mut free, mut held) = (account.available.clone(), account.offered.clone());
        let mut missing = needed.saturating_sub(&free);
        let mut rescinded = Vec::new();
        for number in self.offers.select(|offer| offer.holding.agent == *agent) {
            let offered = self.offers.resources(number);
            let still_missing = missing.saturating_sub(&offered);
            if still_missing != missing {
                rescinded.push(number);
                held.remove(&offered);
                free = available(account.total, &held, account.allocated);
                missing = needed.saturating_sub(&free);
            }
        }
        if let Some(shortfall) = free.shortfall(needed) {
            return Err(Box::new(shortfall).into());
        }
        self.rescind_all(rescinded);
        Ok(())
    }
}

fn check_task(task: &Task) -> Result<(), CommandError> {
    task.id.check().map_err(|error| CommandError::InvalidTaskId { task: task.id.clone(), error })?;
    if task.resources.is_empty() {
        return Err(CommandError::TaskWithoutResources(task.id.clone()));
    }
    if let Some(gpus) = fractional_gpus(&task.resources) {
        return Err(CommandError::FractionalGpus { task: task.id.clone(), gpus });
    }
    let mut revocable = task.resources.iter().filter(|resource| resource.is_revocable());
    let has_non_revocable =
        |name: &str| task.resources.iter().any(|resource| resource.name() == name && !resource.is_revocable());
    match revocable.find(|resource| has_non_revocable(resource.name())).map(Resource::name) {
        Some(name) => Err(CommandError::MixedRevocable { task: task.id.clone(), name: name.into() }),
        None => Ok(()),
    }
}
