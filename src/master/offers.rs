//! Offers: making, accepting, declining and rescinding them.

use super::operations::Outcome;
use super::{CommandError, Effect, Master};
use crate::allocator::{Allocator, Holding};
use crate::id::{AgentId, FrameworkId, OfferId};
use crate::offer::{Accept, Filters, Offer};
use crate::resources::Resources;
use crate::task::{Task, TaskState};
use crate::time::Time;
use serde_json::Map;
use std::collections::{BTreeMap, BTreeSet};

/// An offer's number: the `1` of `O1`.
pub(super) type OfferNumber = u64;

/// The live offers by number: an ordered map, so iteration is in order of making.
#[derive(Debug, Clone, Default)]
pub(super) struct Offers {
    live: BTreeMap<OfferNumber, LiveOffer>,
    made: OfferNumber,
}

#[derive(Debug, Clone)]
pub(super) struct LiveOffer {
    pub(super) holding: Holding,
    pub(super) made_at: Time,
}

pub(super) fn offer_id(number: OfferNumber) -> OfferId {
    OfferId::from(format!("O{number}"))
}

/// Parses an id in the one spelling that this master uses: `O01` is not `O1`.
fn number_of(id: &OfferId) -> Option<OfferNumber> {
    let number = id.as_str().strip_prefix('O')?.parse().ok()?;
    (offer_id(number) == *id).then_some(number)
}

impl Offers {
    pub(super) fn iter(&self) -> impl Iterator<Item = (OfferNumber, &LiveOffer)> {
        self.live.iter().map(|(number, offer)| (*number, offer))
    }

    /// Returns the time at which the oldest live offer was made.
    pub(super) fn oldest(&self) -> Option<Time> {
        self.live.first_key_value().map(|(_, offer)| offer.made_at)
    }

    /// Returns the resources of a live offer; empty if there is no such offer.
    pub(super) fn resources(&self, number: OfferNumber) -> Resources {
        self.live.get(&number).map_or_else(Resources::new, |offer| offer.holding.resources.clone())
    }

    /// Returns the offers made up to `time`.
    fn made_up_to(&self, time: Time) -> Vec<OfferNumber> {
        self.iter().take_while(|(_, offer)| offer.made_at <= time).map(|(number, _)| number).collect()
    }

    /// Returns the offers that match.
    pub(super) fn select(&self, matches: impl Fn(&LiveOffer) -> bool) -> Vec<OfferNumber> {
        self.iter().filter(|(_, offer)| matches(offer)).map(|(number, _)| number).collect()
    }
}

impl<A: Allocator> Master<A> {
    /// Runs an allocation, of one agent or of all, and makes an offer of each holding that the allocator returns.
    pub(super) fn make_offers(&mut self, agent: Option<&AgentId>) {
        for holding in self.allocator.allocate(self.now, agent) {
            self.offers.made += 1;
            let number = self.offers.made;
            let agent = &self.agents[&holding.agent];
            self.emit(Effect::Offer(Offer {
                id: offer_id(number),
                framework: holding.framework.clone(),
                role: holding.role.clone(),
                agent: holding.agent.clone(),
                hostname: agent.hostname.clone(),
                resources: holding.resources.clone(),
                attributes: agent.attributes.clone(),
                domain: agent.domain.clone(),
                unavailability: agent.unavailability,
                executors: Vec::new(),
                details: Map::new(),
            }));
            self.offers.live.insert(number, LiveOffer { holding, made_at: self.now });
        }
        self.make_inverse_offers(agent);
    }

    /// Looks up the live offers that a framework answers; each must be its own and be named once.
    fn owned_offers(&self, framework: &FrameworkId, ids: &[OfferId]) -> Result<Vec<OfferNumber>, CommandError> {
        let mut named = BTreeSet::new();
        let mut numbers = Vec::with_capacity(ids.len());
        for id in ids {
            let found = number_of(id).and_then(|number| Some((number, self.offers.live.get(&number)?)));
            let Some((number, offer)) = found else { return Err(CommandError::UnknownOffer(id.clone())) };
            let to = &offer.holding.framework;
            if to != framework {
                let (offer, to, framework) = (id.clone(), to.clone(), framework.clone());
                return Err(CommandError::OfferNotOwned { offer, to, framework });
            }
            if !named.insert(number) {
                return Err(CommandError::DuplicateOffer(id.clone()));
            }
            numbers.push(number);
        }
        Ok(numbers)
    }

    pub(super) fn decline(
        &mut self,
        framework: &FrameworkId,
        offers: &[OfferId],
        filters: Filters,
    ) -> Result<(), CommandError> {
        for number in self.owned_offers(framework, offers)? {
            if let Some(holding) = self.end_offer(number, &[]) {
                self.refuse(holding, filters)?;
            }
        }
        Ok(())
    }

    pub(super) fn accept(&mut self, framework: &FrameworkId, accept: Accept) -> Result<(), CommandError> {
        let numbers = self.owned_offers(framework, &accept.offers)?;
        let offered = self.combine(&numbers)?;
        let plan = self.plan_accept(framework, &offered, accept.operations, &accept.feedback)?;

        for conversion in &plan.conversions {
            self.allocator.convert(&offered.agent, conversion)?;
        }
        let tasks: Vec<Resources> = plan.tasks().map(|task| task.resources.clone()).collect();
        self.end_offers(&numbers, &tasks);
        self.rescind_destroyed(&offered.agent, &plan.conversions);
        for outcome in plan.outcomes {
            match outcome {
                Outcome::Launched(task) => self.launch(&offered, task),
                Outcome::Failed(operation, error) => {
                    let framework = Some(framework.clone());
                    self.emit(Effect::OperationFailed { framework, operation, error });
                }
                Outcome::Feedback(status) => {
                    self.emit(Effect::OperationStatus { framework: framework.clone(), status });
                }
            }
        }
        self.refuse(Holding { resources: plan.unused, ..offered }, accept.filters)
    }

    fn launch(&mut self, offered: &Holding, task: Task) {
        let (agent, role) = (Some(offered.agent.clone()), Some(offered.role.clone()));
        let task = Task { agent, role, ..task };
        let holding = Holding { resources: task.resources.clone(), ..offered.clone() };
        self.tasks.add(task.id.clone(), holding, TaskState::Staging);
        self.emit(Effect::Launch {
            agent: offered.agent.clone(),
            framework: offered.framework.clone(),
            role: offered.role.clone(),
            task,
        });
    }

    /// Adds up the holdings of several offers, which must be of one agent and one role.
    fn combine(&self, numbers: &[OfferNumber]) -> Result<Holding, CommandError> {
        let (first, others) = numbers.split_first().ok_or(CommandError::NoOffers)?;
        let mut sum = self.offers.live[first].holding.clone();
        for other in others {
            let holding = &self.offers.live[other].holding;
            if (&holding.agent, &holding.role) != (&sum.agent, &sum.role) {
                let (first, other) = (offer_id(*first), offer_id(*other));
                return Err(CommandError::OffersNotCombinable { first, other });
            }
            sum.resources.insert(&holding.resources);
        }
        Ok(sum)
    }

    /// Ends several offers of one agent and role, and allocates what the launched tasks use.
    fn end_offers(&mut self, numbers: &[OfferNumber], tasks: &[Resources]) {
        // A task may use resources of several offers, so all tasks are allocated with the first one that ends.
        let tasks: Vec<&Resources> = tasks.iter().collect();
        let mut launched = tasks.as_slice();
        for number in numbers {
            self.end_offer(*number, std::mem::take(&mut launched));
        }
    }

    fn end_offer(&mut self, number: OfferNumber, tasks: &[&Resources]) -> Option<Holding> {
        let offer = self.offers.live.remove(&number)?;
        self.allocator.end_offer(&offer.holding, tasks).expect("an agent is only removed after its offers");
        Some(offer.holding)
    }

    /// Adds a refusal of the unused resources, which lasts at least until the next batch.
    fn refuse(&mut self, unused: Holding, filters: Filters) -> Result<(), CommandError> {
        if !filters.refuse.is_zero() && !unused.resources.is_empty() {
            let until = self.now + filters.refuse.max(self.config.allocation_interval);
            self.allocator.refuse(&unused, until)?;
        }
        Ok(())
    }

    /// Rescinds the live offers that match, in order of making.
    pub(super) fn rescind(&mut self, matches: impl Fn(&LiveOffer) -> bool) {
        let numbers = self.offers.select(matches);
        self.rescind_all(numbers);
    }

    /// Rescinds the live offers made up to `time`.
    pub(super) fn rescind_made_up_to(&mut self, time: Time) {
        let numbers = self.offers.made_up_to(time);
        self.rescind_all(numbers);
    }

    pub(super) fn rescind_all(&mut self, numbers: Vec<OfferNumber>) {
        for number in numbers {
            if let Some(holding) = self.end_offer(number, &[]) {
                self.emit(Effect::Rescind { offer: offer_id(number), framework: holding.framework });
            }
        }
    }

    /// Ends the offers of a framework that is being removed, without rescinding them.
    pub(super) fn drop_offers(&mut self, framework: &FrameworkId) {
        for number in self.offers.select(|offer| offer.holding.framework == *framework) {
            self.end_offer(number, &[]);
        }
    }
}
