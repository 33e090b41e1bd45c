//! Offers: made, answered, taken back.

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

/// All live offers, in order of making.
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

/// The number of an id that this master could have given.
fn number_of(id: &OfferId) -> Option<OfferNumber> {
    let number = id.as_str().strip_prefix('O')?.parse().ok()?;
    (offer_id(number) == *id).then_some(number)
}

impl Offers {
    pub(super) fn iter(&self) -> impl Iterator<Item = (OfferNumber, &LiveOffer)> {
        self.live.iter().map(|(number, offer)| (*number, offer))
    }

    /// When the oldest offer was made.
    pub(super) fn oldest(&self) -> Option<Time> {
        self.live.first_key_value().map(|(_, offer)| offer.made_at)
    }

    /// What a live offer holds.
    pub(super) fn resources(&self, number: OfferNumber) -> Resources {
        self.live.get(&number).map_or_else(Resources::new, |offer| offer.holding.resources.clone())
    }

    /// The numbers of the offers made up to that moment.
    fn made_by(&self, moment: Time) -> Vec<OfferNumber> {
        self.iter().take_while(|(_, offer)| offer.made_at <= moment).map(|(number, _)| number).collect()
    }

    pub(super) fn numbers(&self, which: impl Fn(&LiveOffer) -> bool) -> Vec<OfferNumber> {
        self.iter().filter(|(_, offer)| which(offer)).map(|(number, _)| number).collect()
    }
}

impl<A: Allocator> Master<A> {
    /// Makes offers of what the allocator has decided.
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
        self.ask_back(agent);
    }

    /// The numbers of live offers to a framework, each named once.
    fn answered(&self, framework: &FrameworkId, ids: &[OfferId]) -> Result<Vec<OfferNumber>, CommandError> {
        let mut named = BTreeSet::new();
        let mut numbers = Vec::with_capacity(ids.len());
        for id in ids {
            let found = number_of(id).and_then(|number| Some((number, self.offers.live.get(&number)?)));
            let Some((number, offer)) = found else { return Err(CommandError::UnknownOffer(id.clone())) };
            let to = &offer.holding.framework;
            if to != framework {
                let (offer, to, framework) = (id.clone(), to.clone(), framework.clone());
                return Err(CommandError::NotItsOffer { offer, to, framework });
            }
            if !named.insert(number) {
                return Err(CommandError::OfferTwice(id.clone()));
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
        for number in self.answered(framework, offers)? {
            if let Some(holding) = self.end_offer(number, &[]) {
                self.refuse(holding, filters)?;
            }
        }
        Ok(())
    }

    pub(super) fn accept(&mut self, framework: &FrameworkId, accept: Accept) -> Result<(), CommandError> {
        let numbers = self.answered(framework, &accept.offers)?;
        let offered = self.together(&numbers)?;
        let plan = self.plan(framework, &offered, accept.operations, &accept.feedback)?;

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
                Outcome::Told(status) => {
                    self.emit(Effect::OperationStatus { framework: framework.clone(), status });
                }
            }
        }
        self.refuse(Holding { resources: plan.untouched, ..offered }, accept.filters)
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

    /// What several offers hold together; they must be of one agent and one role.
    fn together(&self, numbers: &[OfferNumber]) -> Result<Holding, CommandError> {
        let (first, others) = numbers.split_first().ok_or(CommandError::NoOffers)?;
        let mut sum = self.offers.live[first].holding.clone();
        for other in others {
            let holding = &self.offers.live[other].holding;
            if (&holding.agent, &holding.role) != (&sum.agent, &sum.role) {
                return Err(CommandError::OffersApart { first: offer_id(*first), other: offer_id(*other) });
            }
            sum.resources.insert(&holding.resources);
        }
        Ok(sum)
    }

    /// Ends several offers of one agent and role, of which tasks hold a part from now on.
    fn end_offers(&mut self, numbers: &[OfferNumber], tasks: &[Resources]) {
        // A task may take of several offers: the first one ended hands all of them over.
        let tasks: Vec<&Resources> = tasks.iter().collect();
        let mut rest = tasks.as_slice();
        for number in numbers {
            self.end_offer(*number, std::mem::take(&mut rest));
        }
    }

    fn end_offer(&mut self, number: OfferNumber, tasks: &[&Resources]) -> Option<Holding> {
        let offer = self.offers.live.remove(&number)?;
        self.allocator.end_offer(&offer.holding, tasks).expect("an agent is only removed after its offers");
        Some(offer.holding)
    }

    /// Remembers that a framework does not want that for a while, if there is something it did not want.
    fn refuse(&mut self, left: Holding, filters: Filters) -> Result<(), CommandError> {
        if !filters.refuse.is_zero() && !left.resources.is_empty() {
            let until = self.now + filters.refuse.max(self.config.allocation_interval);
            self.allocator.refuse(&left, until)?;
        }
        Ok(())
    }

    /// Takes back all live offers for which that holds, in order of making.
    pub(super) fn rescind(&mut self, which: impl Fn(&LiveOffer) -> bool) {
        let numbers = self.offers.numbers(which);
        self.rescind_each(numbers);
    }

    /// Takes back the live offers that were made up to that moment.
    pub(super) fn rescind_made_by(&mut self, moment: Time) {
        let numbers = self.offers.made_by(moment);
        self.rescind_each(numbers);
    }

    pub(super) fn rescind_each(&mut self, numbers: Vec<OfferNumber>) {
        for number in numbers {
            if let Some(holding) = self.end_offer(number, &[]) {
                self.emit(Effect::Rescind { offer: offer_id(number), framework: holding.framework });
            }
        }
    }

    /// Ends all offers to a framework that is about to leave, without a word to it.
    pub(super) fn drop_offers(&mut self, framework: &FrameworkId) {
        for number in self.offers.numbers(|offer| offer.holding.framework == *framework) {
            self.end_offer(number, &[]);
        }
    }
}
