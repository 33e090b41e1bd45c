//! Two greedy frameworks on one agent: each takes all that it is offered.

use apportion::allocator::Options;
use apportion::simulation::Cluster;
use apportion::{Accept, Agent, Calls, Config, Framework, FrameworkId, Offer, Resources, Role, Scheduler, Task, Time};
use serde::Serialize;
use std::error::Error;
use std::time::Duration;

/// The number of units that the agent has; each is a cpu with some memory.
const UNITS: u64 = 240;

/// The tasks that each framework has launched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Outcome {
    /// The most units in an offer; none if an offer is a whole agent.
    pub(crate) chunk: Option<u64>,
    pub(crate) tasks: [usize; 2],
}

/// Launches as many tasks of one unit as fit in an offer.
#[derive(Debug)]
struct Greedy {
    name: &'static str,
    unit: Resources,
    launched: usize,
}

impl Scheduler for Greedy {
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        for offer in offers {
            let (mut accept, mut left) = (Accept::of(&offer), offer.resources.clone());
            while let Ok(rest) = left.checked_sub(&self.unit) {
                self.launched += 1;
                let task = Task::new(format!("{}.{}", self.name, self.launched), self.unit.clone());
                accept = accept.launch(task.lasts(Duration::from_secs(60 * 60)));
                left = rest;
            }
            calls.accept(accept);
        }
    }
}

/// Divides the agent between two frameworks that come at once.
pub(crate) fn run(chunk: Option<u64>) -> Result<Outcome, Box<dyn Error>> {
    let units = |units: u64| format!("cpus:{units};mem:{}", units * 32);
    let mut options = Options::new();
    if let Some(chunk) = chunk {
        options = options.max_offer(units(chunk).parse()?);
    }
    let mut cluster = Cluster::new(Config::new().options(options));
    let names = ["first", "second"];
    for name in names {
        let greedy = Greedy { name, unit: units(1).parse()?, launched: 0 };
        cluster.add_framework(Framework::new(name).role(Role::new(name)?), greedy)?;
    }
    cluster.add_agent(Agent::new("whole", units(UNITS).parse()?))?;
    cluster.run_until(Time::from_secs(60));
    let tasks = names.map(|name| cluster.scheduler(&FrameworkId::from(name)).map_or(0, |greedy| greedy.launched));
    Ok(Outcome { chunk, tasks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_divide_an_agent_that_the_first_would_take_whole() {
        let cases = [(None, [240, 0]), (Some(100), [140, 100]), (Some(10), [120, 120]), (Some(1), [120, 120])];
        for (chunk, tasks) in cases {
            assert_eq!(run(chunk).unwrap(), Outcome { chunk, tasks });
        }
    }
}
