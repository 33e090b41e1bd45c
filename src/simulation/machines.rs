//! [`Machines`]: agents of another kind, in place of the obedient ones.

use crate::delivery::AgentMessage;
use crate::id::AgentId;
use crate::master::Command;
use crate::time::Time;
use std::any::Any;
use std::fmt;

/// Agents of another kind than the simulated [`Agents`](super::Agents), which always do what they are told: such as the state
/// machines of real ones, with executors, disks and faults of a simulation.
///
/// They register by themselves, with a [`Command::AddAgent`]. A cluster gets them with
/// [`Cluster::with_machines`](super::Cluster::with_machines).
pub trait Machines: fmt::Debug + Send + Any {
    /// Handles a message of the master to an agent.
    fn receive(&mut self, at: Time, agent: &AgentId, message: AgentMessage);

    /// Does what is due by then.
    fn advance(&mut self, at: Time);

    /// Returns the time at which something is due.
    fn poll_timeout(&self) -> Option<Time>;

    /// Removes and returns the next command for the master, with the agent that it comes from.
    fn poll_command(&mut self) -> Option<(AgentId, Command)>;

    /// Cuts the connection of an agent. Returns false if there is no such agent.
    fn cut(&mut self, agent: &AgentId) -> bool;

    /// Heals the connection of an agent that was cut. Returns false if there is no such agent.
    fn heal(&mut self, agent: &AgentId) -> bool;

    /// Returns whether the connection of an agent is cut.
    fn is_cut(&self, agent: &AgentId) -> bool;

    /// Handles that another master leads: all connections are broken.
    fn master_failed(&mut self);
}
