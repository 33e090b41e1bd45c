//! [`ClusterMaker`]: agents, frameworks, roles and tasks of a seed.

use super::draws::Draws;
use crate::agent::Agent;
use crate::framework::{Capability, Framework};
use crate::resources::{Resources, Scalar};
use crate::role::Role;
use crate::task::Task;

/// Makes clusters of a seed: the same calls make the same.
///
/// Sizes are those of common machines and tasks: of every ten agents five are of one size, and one has GPUs; small tasks are
/// many, large ones few. Every fourth agent has a reservation.
///
/// # Examples
///
/// ```
/// use apportion::testing::ClusterMaker;
/// use apportion::{Command, Config, Effect, Master, Time};
///
/// let mut make = ClusterMaker::new(7);
/// let mut master = Master::new(Config::default());
/// for _ in 0..3 {
///     master.handle(Time::ZERO, Command::AddFramework(make.framework()))?;
/// }
/// for _ in 0..20 {
///     master.handle(Time::ZERO, Command::AddAgent(make.agent().into()))?;
/// }
/// master.advance(Time::from_secs(1))?;
/// let is_offer = |effect: &Effect| matches!(effect, Effect::Offer(_));
/// assert!(std::iter::from_fn(|| master.poll_effect()).filter(|emitted| is_offer(&emitted.effect)).count() >= 20);
/// assert_eq!(ClusterMaker::new(7).agent().resources, ClusterMaker::new(7).agent().resources);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ClusterMaker {
    draws: Draws,
    agents: u64,
    frameworks: u64,
    tasks: u64,
}

const DEPARTMENTS: [&str; 5] = ["ads", "eng", "ops", "research", "web"];
const TEAMS: [&str; 4] = ["", "/batch", "/serving", "/test"];

#[expect(clippy::missing_panics_doc, reason = "what is written here can be read")]
impl ClusterMaker {
    /// Makes a maker of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { draws: Draws::new(seed), agents: 0, frameworks: 0, tasks: 0 }
    }

    /// Makes a role: one of twenty, some of which are below others.
    pub fn role(&mut self) -> Role {
        let path = [self.draws.one_of(&DEPARTMENTS), self.draws.one_of(&TEAMS)].concat();
        path.parse().expect("these are roles")
    }

    /// Makes the next agent, `a1` and so on, with a rack.
    pub fn agent(&mut self) -> Agent {
        self.agents += 1;
        let (cpus, mem, disk, gpus) = self.draws.one_of(&[
            (16, 65_536, 500_000, 0),
            (16, 65_536, 500_000, 0),
            (16, 65_536, 500_000, 0),
            (16, 65_536, 500_000, 0),
            (16, 65_536, 500_000, 0),
            (8, 32_768, 200_000, 0),
            (8, 61_440, 200_000, 0),
            (32, 131_072, 1_000_000, 0),
            (64, 262_144, 2_000_000, 0),
            (32, 262_144, 1_000_000, 8),
        ]);
        let mut builder = Resources::builder()
            .scalar("cpus", Scalar::units(cpus))
            .scalar("mem", Scalar::units(mem))
            .scalar("disk", Scalar::units(disk))
            .range("ports", 31_000..=32_000);
        if gpus > 0 {
            builder = builder.scalar("gpus", Scalar::units(gpus));
        }
        let mut resources = builder.build().expect("each name is there once");
        if self.draws.below(4) == 0 {
            let reserved: Resources = format!("cpus({}):2", self.role()).parse().expect("an amount for a role");
            resources.remove(&"cpus:2".parse().expect("an amount"));
            resources.try_add(&reserved).expect("as much as was removed");
        }
        let rack = self.draws.below(1 + self.agents / 8);
        Agent::new(format!("a{}", self.agents), resources)
            .hostname(format!("host-{}", self.agents))
            .attribute("rack", format!("r{rack}").as_str())
    }

    /// Makes the next framework, `f1` and so on, with one to three roles.
    pub fn framework(&mut self) -> Framework {
        self.frameworks += 1;
        let mut framework = Framework::new(format!("f{}", self.frameworks)).role(self.role());
        for _ in 0..self.draws.below(3) {
            let another = self.role();
            if !framework.roles.contains(&another) {
                framework = framework.role(another);
            }
        }
        if self.draws.below(3) == 0 { framework.capability(Capability::GpuResources) } else { framework }
    }

    /// Makes the next task, `t1` and so on: it fits an empty agent of any size.
    pub fn task(&mut self) -> Task {
        self.tasks += 1;
        let (milli, mem) =
            self.draws.one_of(&[(100, 64), (250, 128), (500, 512), (500, 1024), (1000, 2048), (4000, 16_384)]);
        let builder = Resources::builder().scalar("cpus", Scalar::milli(milli)).scalar("mem", Scalar::units(mem));
        Task::new(format!("t{}", self.tasks), builder.build().expect("each name is there once"))
    }
}
