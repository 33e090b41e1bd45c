//! [`Request`]: so many offers, each with so much, for roles that are suppressed otherwise.

use crate::id::AgentId;
use crate::resources::{Limits, Quantities, Scalar};
use crate::role::Role;

/// A request of a framework for so many offers.
///
/// A role that is [suppressed](super::Call::Suppress) is offered nothing, and one that is revived whatever there is. A request is
/// between the two: as long as fewer offers than it asks for are live or were used, the suppressed role counts as active for the
/// framework, and each offer has at least what the request names. An offer is used when it is accepted with an operation that is
/// done; a declined, rescinded or timed-out one is replaced by another.
///
/// Each role has a request of its own; a later one replaces it. A request stays until it is withdrawn, replaced, or ended by
/// [`Call::Revive`](super::Call::Revive), by an update of the framework that takes the role out of suppression, or by a new
/// subscription. For a role that is not suppressed it waits until the role is.
///
/// # Examples
///
/// Two offers with room for one task each, and not much more:
///
/// ```
/// use apportion::{Call, Request};
///
/// let request = Request::offers(2).each("cpus:1;mem:512".parse()?).most("cpus:1;mem:1024".parse()?);
/// assert_eq!(request.check(), Ok(()));
/// let call = Call::from(request);
/// assert_eq!(call.kind(), "REQUEST");
/// # Ok::<(), apportion::ResourceError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Request {
    /// The roles, each of which gets a request of its own; none = all roles of the framework.
    pub roles: Vec<Role>,
    /// The number of offers for each role; 0 withdraws what was requested before.
    pub offers: u64,
    /// The least that an offer has, in place of every other minimum; `None` for the ordinary minimum.
    pub each: Option<Quantities>,
    /// The most of unreserved, not revocable scalars in an offer; a name that is absent is not limited. If there are any, an agent
    /// is divided into several offers, up to as many as are asked for.
    pub most: Limits,
    /// The agents that will do, whether or not they are known yet; none = all.
    pub agents: Vec<AgentId>,
    /// True to pass over roles that are not suppressed: so a v1 REQUEST is read, which Mesos takes and ignores.
    pub if_suppressed: bool,
}

/// The reason why a [`Request`] contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The least or the most of a resource is 0.
    #[error("a request for offers of 0 {name}: expected more")]
    Nothing {
        /// The resource.
        name: String,
    },
    /// An offer has to have more of a resource than it may have.
    #[error("a request for offers of at least {each} {name} and at most {most}")]
    EachOverMost {
        /// The resource.
        name: String,
        /// The least of it.
        each: Scalar,
        /// The most of it.
        most: Scalar,
    },
}

impl Request {
    /// Requests so many offers for each role of the framework; 0 withdraws what was requested before.
    #[must_use]
    pub fn offers(offers: u64) -> Self {
        Self { offers, ..Self::default() }
    }

    /// Withdraws what was requested before. Offers that are out stay.
    #[must_use]
    pub fn withdraw() -> Self {
        Self::offers(0)
    }

    /// Requests the offers for this role, and others that were added so.
    #[must_use]
    pub fn role(mut self, role: Role) -> Self {
        self.roles.push(role);
        self
    }

    /// Sets the least that an offer has.
    #[must_use]
    pub fn each(mut self, least: Quantities) -> Self {
        self.each = Some(least);
        self
    }

    /// Sets the most that an offer has.
    #[must_use]
    pub fn most(mut self, most: Limits) -> Self {
        self.most = most;
        self
    }

    /// Adds an agent that will do.
    #[must_use]
    pub fn on(mut self, agent: impl Into<AgentId>) -> Self {
        self.agents.push(agent.into());
        self
    }

    /// Checks that an offer can have what it must have.
    ///
    /// # Errors
    ///
    /// [`RequestError`] with the first name for which it cannot.
    pub fn check(&self) -> Result<(), RequestError> {
        let mut amounts = self.each.iter().flat_map(Quantities::iter).chain(self.most.iter());
        if let Some((name, _)) = amounts.find(|(_, amount)| amount.is_zero()) {
            return Err(RequestError::Nothing { name: name.into() });
        }
        for (name, most) in self.most.iter() {
            let each = self.each.as_ref().map_or(Scalar::ZERO, |each| each.amount(name));
            if each > most {
                return Err(RequestError::EachOverMost { name: name.into(), each, most });
            }
        }
        Ok(())
    }
}
