//! An order of one's own beside the crate's: asset fairness against dominant resource fairness.
//!
//! Asset fairness (Ghodsi et al., *Dominant Resource Fairness*, NSDI'11, section 5.1) equalises the sums
//! of the users' fractions of all resources; DRF equalises their dominant shares. The paper shows with
//! small clusters why the first is not fair. This program plugs asset fairness in as a [`Policy`] of a
//! few lines, fills those clusters under both, and prints the number of tasks of each user:
//!
//! - section 4.1: the running example;
//! - theorem 1: alone on half of the cluster user 2 would run 15 tasks; asset fairness gives it 12;
//! - theorem 2: both users need cpus most; asset fairness gives user 1 less than half of them;
//! - theorem 3: when there is twice as much memory, asset fairness gives user 1 less than before.
//!
//! The paper divides tasks; a master launches whole ones. So each cluster is scaled until the paper's
//! fractions are whole numbers.
//!
//! `cargo run --release --example asset_fairness`

use apportion::allocator::{Drf, Hierarchical, Node, Options, Ordered, Policy, Sorter};
use apportion::simulation::Cluster;
use apportion::{
    Accept, Agent, Calls, Config, Filters, Framework, FrameworkId, Master, Offer, Resources, Role, Scheduler, Task,
    Time,
};
use comfy_table::Table;
use std::error::Error;
use std::io::Write;
use std::time::Duration;

/// Orders clients by the sum of their fractions of all resources, then by the number of allocations.
#[derive(Debug, Clone)]
struct AssetFairness;

impl Policy for AssetFairness {
    type Key = (u128, u64);

    fn key(&self, node: &Node<'_>) -> (u128, u64) {
        let fractions = node.holdings().map(|(_, held, total)| (u128::from(held) << 60) / u128::from(total));
        (fractions.sum(), node.count())
    }
}

/// A framework whose tasks are all alike. It launches one task per offer, so that the sorter decides about each.
#[derive(Debug)]
struct User {
    demand: Resources,
    launched: usize,
}

impl Scheduler for User {
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        for offer in offers {
            if offer.resources.contains(&self.demand) {
                self.launched += 1;
                let task = Task::new(self.launched.to_string(), self.demand.clone());
                calls.accept(Accept::of(&offer).launch(task).refuse_rest_for(Duration::ZERO));
            } else {
                calls.decline_for(&offer, Filters::refuse_for(Filters::MAX_REFUSE));
            }
        }
    }
}

/// An instance: the capacity of two resources, and the demand of a task of each user.
#[derive(Debug, Clone, Copy)]
struct Instance {
    source: &'static str,
    capacity: [u64; 2],
    demands: [[u64; 2]; 2],
}

const fn instance(source: &'static str, capacity: [u64; 2], demands: [[u64; 2]; 2]) -> Instance {
    Instance { source, capacity, demands }
}

/// The instances of the paper, scaled.
const INSTANCES: [Instance; 6] = [
    instance("section 4.1", [9, 18], [[1, 4], [3, 1]]),
    instance("section 4.1, 25 times", [225, 450], [[1, 4], [3, 1]]),
    instance("theorem 1", [30, 30], [[1, 3], [1, 1]]),
    instance("theorem 2, 8 times", [168, 168], [[3, 2], [4, 1]]),
    instance("theorem 3, 8 times", [616, 616], [[4, 2], [1, 1]]),
    instance("and with twice the memory", [616, 1232], [[4, 2], [1, 1]]),
];

impl Instance {
    /// Returns the number of tasks of each user when nothing more fits.
    fn filled<S: Sorter + Clone>(&self, sorter: S) -> Result<[usize; 2], Box<dyn Error>> {
        let resources = |[cpus, mem]: [u64; 2]| format!("cpus:{cpus};mem:{mem}").parse::<Resources>();
        let options = Options::new().min_allocatable([]);
        let allocator = Hierarchical::new(options, sorter, Drf::default());
        let mut cluster = Cluster::with_master(Master::with_allocator(Config::default(), |_| allocator));
        let ids = ["user-1", "user-2"];
        for (id, demand) in ids.into_iter().zip(self.demands) {
            let user = User { demand: resources(demand)?, launched: 0 };
            cluster.add_framework(Framework::new(id).role(Role::new(id)?), user)?;
        }
        cluster.add_agent(Agent::new("pool", resources(self.capacity)?))?;
        cluster.run_until(Time::from_secs(10_000)); // a task a second; at the end both users have declined the rest
        let launched = |id: &str| cluster.scheduler(&FrameworkId::from(id)).map_or(0, |user| user.launched);
        Ok(ids.map(launched))
    }

    fn row(&self) -> Result<[String; 5], Box<dyn Error>> {
        let pair = |[cpus, mem]: [u64; 2]| format!("<{cpus}, {mem}>");
        let tasks = |[one, two]: [usize; 2]| format!("{one}, {two}");
        Ok([
            self.source.to_owned(),
            pair(self.capacity),
            self.demands.map(pair).join(", "),
            tasks(self.filled(Ordered::new(AssetFairness))?),
            tasks(self.filled(Drf::default())?),
        ])
    }
}

fn main() -> std::process::ExitCode {
    apportion_console::example("Compares asset fairness with DRF on the instances of the DRF paper.", print)
}

fn print(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["INSTANCE", "CAPACITY", "TASKS OF USER 1, USER 2", "ASSET FAIRNESS", "DRF"]);
    for instance in INSTANCES {
        table.add_row(instance.row()?);
    }
    writeln!(out, "{table}")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// DRF, section 5.1 and theorems 1 to 3.
    #[test]
    fn tasks_are_those_of_the_paper() {
        let rows: Vec<_> = INSTANCES.iter().map(|instance| instance.row().expect("an instance")).collect();
        let tasks: Vec<_> = rows.iter().map(|row| (row[3].as_str(), row[4].as_str())).collect();
        let expected = [
            ("3, 2", "3, 2"),       // section 4.1, whole tasks
            ("63, 54", "75, 50"),   // 63/25, 54/25 and 3, 2
            ("6, 12", "5, 15"),     // theorem 1
            ("24, 24", "28, 21"),   // theorem 2: 3, 3 and 7/2, 21/8
            ("88, 264", "77, 308"), // theorem 3: <44, 22>, <33, 33> and 77/8, 77/2
            ("84, 280", "77, 308"), // then <42, 21>, <35, 35> and no change
        ];
        assert_eq!(tasks, expected);
    }
}
