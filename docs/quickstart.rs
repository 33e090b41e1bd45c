//! The smallest honest two-level scheduler: a master shares machines, frameworks choose.

use apportion::simulation::Cluster;
use apportion::{Accept, Agent, Calls, Config, Framework, Offer, Role, Scheduler, Task, Time};
use std::error::Error;
use std::io::{self, Write};

/// Level two: packs waiting tasks into each offer, and declines what it has no use for.
#[derive(Debug)]
struct FirstFit {
    waiting: Vec<Task>,
}

impl Scheduler for FirstFit {
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        for offer in offers {
            let mut left = offer.resources.clone();
            let fitting = self.waiting.extract_if(.., |task| match left.take(&task.resources, &offer.role) {
                Ok((taken, rest)) => {
                    (task.resources, left) = (taken, rest); // what is reserved for the role first
                    true
                }
                Err(_) => false,
            });
            calls.accept(fitting.fold(Accept::of(&offer), Accept::launch)); // one that launches nothing is a decline
        }
    }
}

/// Level one: the master divides two machines fairly between the frameworks.
pub fn share(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let mut cluster = Cluster::new(Config::default());
    for host in ["alpha", "beta"] {
        cluster.add_agent(Agent::new(host, "cpus:4;mem:8192".parse()?))?;
    }
    for (name, size) in [("hadoop", "cpus:1;mem:3072"), ("mpi", "cpus:2;mem:512")] {
        let task = |n| Ok(Task::new(format!("{name}-{n}"), size.parse()?));
        let waiting = (1..=3).map(task).collect::<Result<_, apportion::ResourceError>>()?;
        cluster.add_framework(Framework::new(name).role(Role::new(name)?), FirstFit { waiting })?;
    }
    cluster.run_until(Time::from_secs(10));

    let state = cluster.master().state();
    for agent in &state.agents {
        writeln!(out, "{}: {} of {} in use", agent.id, agent.allocated, agent.total)?;
    }
    for framework in &state.frameworks {
        writeln!(
            out,
            "{} runs {:?}",
            framework.id,
            framework.tasks.iter().map(|task| task.as_str()).collect::<Vec<_>>()
        )?;
    }
    assert_eq!(state.frameworks.iter().map(|framework| framework.tasks.len()).sum::<usize>(), 5);
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    share(&mut io::stdout())
}
