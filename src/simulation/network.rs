//! The network of a simulated cluster: messages that are lost, late, doubled or out of order.

use crate::delivery::AgentMessage;
use crate::draw::draw;
use crate::id::{AgentId, FrameworkId};
use crate::master::Command;
use crate::scheduler::{Call, Event};
use std::time::Duration;

/// A message between the master and a scheduler or an agent.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Crossing<'a> {
    /// From the master to a scheduler.
    Event(&'a FrameworkId, &'a Event),
    /// From a scheduler to the master.
    Call(&'a FrameworkId, &'a Call),
    /// From the master to an agent.
    AgentMessage(&'a AgentId, &'a AgentMessage),
    /// From an agent to the master.
    Report(&'a AgentId, &'a Command),
}

/// The fate of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It arrives at once.
    Arrives,
    /// It is lost.
    Lost,
    /// It arrives so much later: after those that are sent meanwhile and are not late.
    Late(Duration),
    /// It arrives at once, and once more so much later.
    Twice(Duration),
}

/// Decides about each message.
pub(super) type Network = dyn FnMut(Crossing<'_>) -> Fate + Send;

/// Faults by chance, of which a seed decides: the same seed and the same messages give the same faults.
///
/// # Examples
///
/// ```
/// use apportion::simulation::{Cluster, Faults};
/// # use apportion::{Config, Scheduler};
/// use std::time::Duration;
///
/// # fn run<S: Scheduler>(cluster: Cluster<S>) {
/// let mut faults = Faults::new(7).lost(0.01).twice(0.01).late(0.1, Duration::from_secs(3));
/// let cluster = cluster.with_network(move |_| faults.fate());
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Faults {
    seed: u64,
    drawn: u64,
    lost: f64,
    twice: f64,
    late: f64,
    most: Duration,
}

impl Faults {
    /// Returns no faults, for that seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, drawn: 0, lost: 0.0, twice: 0.0, late: 0.0, most: Duration::ZERO }
    }

    /// Sets the part of all messages that is lost.
    #[must_use]
    pub fn lost(mut self, part: f64) -> Self {
        self.lost = part;
        self
    }

    /// Sets the part of all messages that arrives twice, the second time as late as one that [is late](Self::late).
    #[must_use]
    pub fn twice(mut self, part: f64) -> Self {
        self.twice = part;
        self
    }

    /// Sets the part of all messages that is late, each by up to so much.
    #[must_use]
    pub fn late(mut self, part: f64, most: Duration) -> Self {
        (self.late, self.most) = (part, most);
        self
    }

    /// Draws the fate of the next message.
    pub fn fate(&mut self) -> Fate {
        let kind = self.draw();
        let delay = self.most.mul_f64(self.draw());
        if kind < self.lost {
            Fate::Lost
        } else if kind < self.lost + self.twice {
            Fate::Twice(delay)
        } else if kind < self.lost + self.twice + self.late {
            Fate::Late(delay)
        } else {
            Fate::Arrives
        }
    }

    /// Draws a number from 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are what a double holds")]
    fn draw(&mut self) -> f64 {
        self.drawn += 1;
        (draw(self.seed, self.drawn) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
