//! Operations on resources: the checks against the agent, and the operations of operators.

use super::offer_watch::OfferEnd;
use super::offers::OfferNumber;
use super::{CommandError, Effect, Master};
use crate::allocator::{Allocator, AllocatorError, Change, available};
use crate::id::AgentId;
use crate::offer::{Conversion, Operation, OperationError, fractional_gpus, volume_id};
use crate::resources::{Resource, Resources};
use crate::task::Task;
use std::collections::BTreeSet;

impl<A: Allocator> Master<A> {
    /// Checks an operation against the whole agent: its total contains what the operation consumes (it may have shrunk
    /// below what is offered), the result stays within the bounds of amounts, a new volume's id is unique, and a destroyed
    /// shared volume is not in use. `before` are the conversions of the same accept that come first.
    pub(super) fn check_agent(
        &self,
        agent: &AgentId,
        operation: &Operation,
        conversion: &Conversion,
        before: &[Conversion],
        in_use: &[Resources],
    ) -> Result<(), OperationError> {
        let Some(account) = self.allocator.agent(agent) else { return Ok(()) };
        let mut total = Resources::clone(&account.total);
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
            let has_copy = |number: &OfferNumber| {
                let offered = self.offers.resources(*number);
                offered.iter().any(|resource| destroyed.iter().any(|volume| volume.same_shared(resource)))
            };
            let numbers = self.offers.of_agent(agent).into_iter().filter(has_copy).collect();
            self.rescind_all(numbers, OfferEnd::Rescinded);
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
                    self.allocator.apply(Change::Convert { agent, conversion: &conversion })?;
                    self.rescind_destroyed(agent, &[conversion]);
                    self.emit(Effect::Operation { agent: agent.clone(), framework: None, operation });
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
        let (mut free, mut held) = (Resources::clone(&account.available), Resources::clone(&account.offered));
        let mut missing = needed.saturating_sub(&free);
        let mut rescinded = Vec::new();
        for number in self.offers.of_agent(agent) {
            let offered = self.offers.resources(number);
            let still_missing = missing.saturating_sub(&offered);
            if still_missing != missing {
                rescinded.push(number);
                held.remove(&offered);
                free = available(&account.total, &held, &account.allocated);
                missing = needed.saturating_sub(&free);
            }
        }
        if let Some(shortfall) = free.shortfall(needed) {
            return Err(Box::new(shortfall).into());
        }
        self.rescind_all(rescinded, OfferEnd::Rescinded);
        Ok(())
    }
}

/// Checks a task by itself.
pub(super) fn check_task(task: &Task) -> Result<(), CommandError> {
    task.id.check().map_err(|error| CommandError::InvalidTaskId { task: task.id.clone(), error })?;
    if let Some(form) = &task.invalid {
        return Err(CommandError::InvalidResources { task: task.id.clone(), error: form.error.clone() });
    }
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
