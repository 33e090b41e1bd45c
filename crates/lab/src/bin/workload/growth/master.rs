//! Commands of a master.

use super::{Operation, each, whole};
use crate::cluster::{MACHINE, agent_id, framework_id, role};
use crate::report::{Failure, expect};
use apportion::allocator::Allocator;
use apportion::{
    Accept, Agent, AgentId, Call, Command, Config, Disk, Effect, Framework, Master, Offer, Operation as Convert,
    Registration, Reservation, Resource, Resources, Role, RunningTask, Scalar, Task, TaskState, TaskStatus, Time,
    Unavailability, Value,
};
use std::time::Duration;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        "agent-deactivate",
        "an agent that is deactivated and activated, by live offers",
        50_000,
        deactivate,
    ),
    Operation::new("agent-remove", "an agent that is removed, by live offers", 50_000, remove),
    Operation::new("agent-maintenance", "a maintenance window, by live offers", 50_000, maintenance),
    Operation::new(
        "framework-remove",
        "an offer of a framework that is removed and has a tenth of them",
        50_000,
        remove_framework,
    ),
    Operation::new("maintenance-all", "an inverse offer: windows on all agents, then 20 s", 4_000, maintenance_all),
    Operation::new(
        "maintenance-tasks",
        "n frameworks with a task on an agent that will be down",
        1_000,
        maintenance_tasks,
    ),
    Operation::new("launches", "one accept with n launches with a port each", 40_000, launches),
    Operation::new("agent-tasks", "n tasks that come with an agent", 20_000, agent_tasks),
    Operation::new("creates", "one accept with n volumes", 4_000, creates),
    Operation::new("reserves", "one accept with n reservations", 4_000, reserves),
    Operation::new("task", "a task from accept to end, by agents", 10_000, task),
    Operation::new("master-clone", "a copy of a master, by agents", 10_000, copy),
];

/// A master whose clock stands, with the offers that it has made.
struct Cluster {
    master: Master,
    offers: Vec<Offer>,
}

impl Cluster {
    fn new(agents: usize, frameworks: usize, total: &str) -> Result<Self, Failure> {
        let mut cluster = Self { master: Master::new(Config::new()), offers: Vec::new() };
        for number in 0..frameworks {
            cluster
                .tell(Command::AddFramework(Framework::new(framework_id(number)).role(role(number, usize::MAX)?)))?;
        }
        let total: Resources = total.parse()?;
        for number in 0..agents {
            let agent = Agent::new(agent_id(number), total.clone()).hostname(format!("host{number}"));
            cluster.tell(Command::AddAgent(agent.into()))?;
        }
        cluster.poll();
        expect("begin", "offers", cluster.offers.len() as u64, agents as u64)?;
        Ok(cluster)
    }

    fn tell(&mut self, command: Command) -> Result<(), Failure> {
        Ok(self.master.handle(self.master.now(), command)?)
    }

    /// Takes the effects, and keeps the offers.
    fn poll(&mut self) -> usize {
        let mut polled = 0;
        while let Some(emitted) = self.master.poll_effect() {
            polled += 1;
            if let Effect::Offer(offer) = emitted.effect {
                self.offers.push(offer);
            }
        }
        polled
    }

    fn accept(&mut self, accept: Accept) -> Result<(), Failure> {
        self.tell(Command::Call(framework_id(0), Call::Accept(accept)))
    }
}

fn deactivate(agents: usize) -> Result<f64, Failure> {
    let mut cluster = Cluster::new(agents, 10, MACHINE)?;
    each(50, |number| {
        cluster.tell(Command::DeactivateAgent(agent_id(number)))?;
        cluster.tell(Command::ActivateAgent(agent_id(number)))?;
        cluster.poll();
        Ok(())
    })
}

fn remove(agents: usize) -> Result<f64, Failure> {
    let mut cluster = Cluster::new(agents, 10, MACHINE)?;
    each(50, |number| {
        cluster.tell(Command::RemoveAgent(agent_id(number)))?;
        cluster.poll();
        Ok(())
    })
}

fn maintenance(agents: usize) -> Result<f64, Failure> {
    let mut cluster = Cluster::new(agents, 10, MACHINE)?;
    each(50, |number| {
        cluster.tell(Command::SetMaintenance(agent_id(number), Some(window())))?;
        cluster.poll();
        Ok(())
    })
}

fn window() -> Unavailability {
    Unavailability { start: Time::from_micros(3_600_000_000), duration: None }
}

fn remove_framework(agents: usize) -> Result<f64, Failure> {
    let mut cluster = Cluster::new(agents, 10, MACHINE)?;
    whole(|| {
        cluster.tell(Command::Call(framework_id(3), Call::Teardown))?;
        cluster.poll();
        Ok(agents / 10)
    })
}

fn maintenance_all(agents: usize) -> Result<f64, Failure> {
    let mut cluster = Cluster::new(agents, 10, MACHINE)?;
    for (number, offer) in std::mem::take(&mut cluster.offers).into_iter().enumerate() {
        let accept = Accept::of(&offer).launch(Task::new(format!("t{number}"), "cpus:1;mem:64".parse()?));
        cluster.tell(Command::Call(offer.framework.clone(), Call::Accept(accept)))?;
    }
    cluster.poll();
    whole(|| {
        for number in 0..agents {
            cluster.tell(Command::SetMaintenance(agent_id(number), Some(window())))?;
        }
        cluster.master.advance(cluster.master.now() + Duration::from_secs(20))?;
        cluster.poll();
        Ok(agents)
    })
}

fn maintenance_tasks(frameworks: usize) -> Result<f64, Failure> {
    let mut master = Master::new(Config::new());
    let total: Resources = format!("cpus:{frameworks};mem:{}", 64 * frameworks).parse()?;
    let mut registration = Registration::from(Agent::new("a", total));
    for number in 0..frameworks {
        let framework = Framework::new(framework_id(number)).role(role(number, usize::MAX)?);
        master.handle(Time::ZERO, Command::AddFramework(framework))?;
        let task = Task::new(format!("t{number}"), "cpus:1;mem:64".parse()?);
        registration = registration.task(RunningTask::new(framework_id(number), role(number, usize::MAX)?, task));
    }
    master.handle(Time::ZERO, Command::AddAgent(registration))?;
    while master.poll_effect().is_some() {}
    whole(|| {
        master.handle(Time::ZERO, Command::SetMaintenance("a".into(), Some(window())))?;
        master.advance(Time::ZERO + Duration::from_secs(20))?;
        let inverse = std::iter::from_fn(|| master.poll_effect());
        let inverse = inverse.filter(|emitted| matches!(emitted.effect, Effect::InverseOffer(_))).count();
        expect("maintenance-tasks", "inverse offers", inverse as u64, frameworks as u64)?;
        Ok(1)
    })
}

/// Returns the resources of an agent for that many tasks.
fn large(n: usize) -> String {
    format!("cpus:{n};mem:{};disk:{};ports:[1-{n}]", 64 * n, 64 * n)
}

fn launches(n: usize) -> Result<f64, Failure> {
    let mut cluster = Cluster::new(1, 1, &large(n))?;
    let mut accept = Accept::of(&cluster.offers[0]);
    for number in 1..=n {
        accept =
            accept.launch(Task::new(format!("t{number}"), format!("cpus:1;mem:64;ports:[{number}-{number}]").parse()?));
    }
    whole(|| cluster.accept(accept).map(|()| 1))
}

fn agent_tasks(n: usize) -> Result<f64, Failure> {
    let mut cluster = Cluster::new(0, 1, MACHINE)?;
    let mut registration = Registration::from(Agent::new("a", large(n).parse()?));
    for number in 1..=n {
        let task = Task::new(format!("t{number}"), format!("cpus:1;mem:64;ports:[{number}-{number}]").parse()?);
        registration = registration.task(RunningTask::new(framework_id(0), role(0, usize::MAX)?, task));
    }
    whole(|| cluster.tell(Command::AddAgent(registration)).map(|()| 1))
}

fn creates(n: usize) -> Result<f64, Failure> {
    let total = format!("cpus:1;mem:64;disk(role0):{}", 64 * n);
    let mut cluster = Cluster::new(1, 1, &total)?;
    let mut accept = Accept::of(&cluster.offers[0]);
    for number in 0..n {
        let disk = Resource::new("disk", Value::Scalar(Scalar::units(64)))
            .on_disk(Disk::default().volume(format!("v{number}")));
        let volume = disk.reserved(Reservation::fixed(Role::new("role0")?));
        accept = accept.then(Convert::Create(Resources::try_from_iter([volume])?));
    }
    whole(|| cluster.accept(accept).map(|()| 1))
}

fn reserves(n: usize) -> Result<f64, Failure> {
    let mut cluster = Cluster::new(1, 1, &large(n))?;
    let mut accept = Accept::of(&cluster.offers[0]);
    for number in 0..n {
        let port: Resources = format!("ports:[{0}-{0}]", number + 1).parse()?;
        let reservation = Reservation::dynamic(Role::new("role0")?).by("operator");
        let reserved = port.iter().map(|resource| resource.clone().reserved(reservation.clone()));
        accept = accept.then(Convert::Reserve(Resources::try_from_iter(reserved)?));
    }
    whole(|| cluster.accept(accept).map(|()| 1))
}

fn task(agents: usize) -> Result<f64, Failure> {
    let mut cluster = Cluster::new(agents, 10, MACHINE)?;
    let ask: Resources = "cpus:1;mem:64".parse()?;
    each(1_000, |number| {
        let offer = cluster.offers.pop().ok_or_else(|| Failure::Arguments("no offer".into()))?;
        let id = format!("t{number}");
        let (framework, agent): (_, AgentId) = (offer.framework.clone(), offer.agent.clone());
        let accept = Accept::of(&offer).launch(Task::new(id.as_str(), ask.clone()));
        cluster.tell(Command::Call(framework.clone(), Call::Accept(accept)))?;
        for state in [TaskState::Running, TaskState::Finished] {
            let mut status = TaskStatus::new(id.as_str(), state);
            status.agent = Some(agent.clone());
            cluster.tell(Command::TaskStatus(framework.clone(), status))?;
        }
        cluster.poll();
        if cluster.offers.is_empty() {
            cluster.master.advance(cluster.master.now() + Duration::from_secs(6))?;
            cluster.poll();
        }
        Ok(())
    })
}

fn copy(agents: usize) -> Result<f64, Failure> {
    let cluster = Cluster::new(agents, 10, MACHINE)?;
    each(10, |_| {
        let copy = cluster.master.clone();
        expect("copy", "agents", copy.allocator().agent(&agent_id(0)).iter().count() as u64, 1)
    })
}
