//! [`Agents`]: the agents of a master, and how messages reach them.

use apportion::delivery::AgentMessage;
use apportion::{AgentId, Command, Time};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// The agents of a master that live in its own program. A message to them is a call of a function, which must not block: the
/// master waits for it.
pub trait Agents: fmt::Debug + Send + 'static {
    /// Passes a message to an agent.
    fn receive(&mut self, at: Time, agent: &AgentId, message: AgentMessage);

    /// Runs the timers that are due by then.
    fn advance(&mut self, at: Time);

    /// Removes and returns the next command that comes from an agent.
    fn poll_command(&mut self) -> Option<Command>;

    /// Returns the time of the next timer, if there is one.
    fn poll_timeout(&self) -> Option<Time>;

    /// Returns the address and the port of an agent, which offers name.
    fn address(&self, agent: &AgentId) -> (IpAddr, u16) {
        let _ = agent;
        (Ipv4Addr::LOCALHOST.into(), 5051)
    }
}

/// No agents at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing in it")]
pub struct NoAgents;

impl Agents for NoAgents {
    fn receive(&mut self, _: Time, _: &AgentId, _: AgentMessage) {}

    fn advance(&mut self, _: Time) {}

    fn poll_command(&mut self) -> Option<Command> {
        None
    }

    fn poll_timeout(&self) -> Option<Time> {
        None
    }
}
