//! [`DeliveryMetrics`]: how much waits in the queues of a delivery.

use super::{Delivery, Recipient};
use crate::allocator::Allocator;
use serde::Serialize;

/// The lengths of the queues of a [`Delivery`]. What grows without end here is taken too slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct DeliveryMetrics {
    /// The messages to frameworks that were not taken yet. Offers of one moment to one framework are one message.
    pub framework_messages: usize,
    /// The messages to agents that were not taken yet.
    pub agent_messages: usize,
    /// The notices to operators that were not taken yet.
    pub notices: usize,
    /// The offers in those messages to frameworks.
    pub offers: usize,
    /// The inverse offers in those messages to frameworks.
    pub inverse_offers: usize,
    /// The commands that were recorded and not taken yet.
    pub commands: usize,
    /// The effects that were observed and not taken yet.
    pub effects: usize,
    /// The commands that are not stored yet: their messages are held. 0 if messages are not held.
    pub unstored_commands: u64,
    /// The frameworks and agents that were disconnected so far because they took their messages too slowly.
    pub too_slow: u64,
}

impl<A: Allocator> Delivery<A> {
    /// Returns the lengths of the queues. O(1).
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion::delivery::Delivery;
    /// use apportion::{Agent, Command, Config, Framework, Master, Role, Time};
    ///
    /// let mut delivery = Delivery::new(Master::new(Config::default()));
    /// delivery.subscribe(Time::ZERO, Framework::new("f1").role(Role::default()))?;
    /// delivery.handle(Time::ZERO, Command::AddAgent(Agent::new("a1", "cpus:1".parse()?).into()))?;
    /// let metrics = delivery.metrics();
    /// assert_eq!((metrics.framework_messages, metrics.offers), (2, 1)); // SUBSCRIBED, OFFERS
    /// assert_eq!(metrics.agent_messages, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn metrics(&self) -> DeliveryMetrics {
        DeliveryMetrics {
            framework_messages: self.frameworks.len(),
            agent_messages: self.agents.len(),
            notices: self.notices.len(),
            offers: self.offers.len(),
            inverse_offers: self.inverse_offers.len(),
            commands: self.recorded.as_ref().map_or(0, |recorded| recorded.len()),
            effects: self.observed.as_ref().map_or(0, |observed| observed.len()),
            unstored_commands: self.handled.saturating_sub(self.stored),
            too_slow: self.too_slow,
        }
    }

    /// Returns the number of messages that a framework or an agent has not taken yet, and their cost in the unit of
    /// [`bounded`](Self::bounded); both are 0 for one that is not known, and the cost of notices to the operator is not kept.
    #[must_use]
    pub fn queued_for(&self, recipient: &Recipient) -> (usize, u64) {
        match recipient {
            Recipient::Framework(framework) => (self.frameworks.len_of(framework), self.frameworks.cost(framework)),
            Recipient::Agent(agent) => (self.agents.len_of(agent), self.agents.cost(agent)),
            Recipient::Operator => (self.notices.len(), 0),
        }
    }
}
