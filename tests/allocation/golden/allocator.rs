//! Mesos' scenarios for its allocator, `hierarchical_allocator_tests.cpp`: who is offered what.

use apportion::allocator::{Quota, Weight};
use apportion::{
    Agent, Call, Command, Config, Effect, Filters, Framework, Limits, Master, Offer, Quantities, Role, Scalar,
};
use std::collections::BTreeMap;
use std::time::Duration;

struct Scene {
    master: Master,
    /// Live offers that nobody has answered.
    live: Vec<Offer>,
}

impl Scene {
    fn new() -> Self {
        Self { master: Master::new(Config::default()), live: Vec::new() }
    }

    fn command(&mut self, command: Command) {
        self.master.handle(self.master.now(), command).unwrap();
    }

    fn framework(&mut self, id: &str, role: &str) {
        self.command(Command::AddFramework(Framework::new(id).role(Role::new(role).unwrap())));
    }

    /// Adds an agent: who is offered what of it.
    fn agent(&mut self, id: &str, total: &str) -> Vec<String> {
        self.command(Command::AddAgent(Agent::new(id, total.parse().unwrap()).into()));
        self.offers()
    }

    fn weight(&mut self, role: &str, weight: f64) {
        self.command(Command::SetWeight(Role::new(role).unwrap(), Weight::try_from_f64(weight).unwrap()));
    }

    /// Guarantees a role that much and no more, as the quota of these scenarios does.
    fn quota(&mut self, role: &str, cpus: Scalar, mem: Scalar) {
        let amounts = [("cpus", cpus), ("mem", mem)];
        let quota = Quota::new(Quantities::from_iter(amounts), Limits::from_iter(amounts));
        self.command(Command::SetQuota(Role::new(role).unwrap(), quota));
    }

    fn offers(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        while let Some(emitted) = self.master.poll_effect() {
            if !emitted.effect.is_in_journal() {
                continue;
            }
            let Effect::Offer(offer) = emitted.effect else { panic!("not an offer: {:?}", emitted.effect) };
            told.push(format!("{} {}", offer.framework, offer.resources));
            self.live.push(offer);
        }
        told
    }

    /// Everyone gives everything back; how many offers each gets in the next batch.
    fn share_out_anew(&mut self) -> BTreeMap<String, usize> {
        for offer in std::mem::take(&mut self.live) {
            let decline =
                Call::Decline { offers: vec![offer.id], filters: Filters::refuse_for(Duration::ZERO), each: false };
            self.command(Command::Call(offer.framework, decline));
        }
        self.master.advance(self.master.now() + Duration::from_secs(1)).unwrap();
        self.offers();
        let mut counts = BTreeMap::new();
        self.live.iter().for_each(|offer| *counts.entry(offer.framework.to_string()).or_insert(0) += 1);
        counts
    }
}

fn counts<const N: usize>(expected: [(&str, usize); N]) -> BTreeMap<String, usize> {
    expected.map(|(framework, offers)| (framework.to_owned(), offers)).into()
}

/// `UpdateWeight`: six equal agents, shared out anew as weights change and a role comes.
#[test]
fn update_weight() {
    let mut scene = Scene::new();
    scene.framework("f1", "role1");
    scene.framework("f2", "role2");
    for agent in 1..=6 {
        scene.agent(&agent.to_string(), "cpus:2;mem:1024");
    }
    assert_eq!(scene.share_out_anew(), counts([("f1", 3), ("f2", 3)]));
    scene.weight("role1", 1.0);
    scene.weight("role2", 2.0);
    assert_eq!(scene.share_out_anew(), counts([("f1", 2), ("f2", 4)]));
    scene.weight("role3", 3.0);
    scene.framework("f3", "role3");
    assert_eq!(scene.share_out_anew(), counts([("f1", 1), ("f2", 2), ("f3", 3)]));
}

/// `UnreservedDRF`: the role with the smaller share, and in it the framework with the smaller one.
#[test]
fn unreserved_drf() {
    let mut scene = Scene::new();
    scene.framework("f1", "role1");
    assert_eq!(scene.agent("1", "cpus:2;mem:1024"), ["f1 cpus:2;mem:1024"]);
    scene.framework("f2", "role2");
    assert_eq!(scene.agent("2", "cpus:1;mem:512"), ["f2 cpus:1;mem:512"]);
    assert_eq!(scene.agent("3", "cpus:3;mem:2048"), ["f2 cpus:3;mem:2048"]);
    scene.framework("f3", "role1");
    assert_eq!(scene.agent("4", "cpus:4;mem:4096"), ["f3 cpus:4;mem:4096"]);
    assert_eq!(scene.agent("5", "cpus:1;mem:512"), ["f2 cpus:1;mem:512"]);
}

/// `DRFWithQuota`: what is guaranteed, then what is left.
#[test]
fn drf_with_quota() {
    let mut scene = Scene::new();
    scene.quota("quota", Scalar::milli(250), Scalar::units(128));
    scene.framework("f1", "quota");
    scene.framework("f2", "no-quota");
    assert_eq!(scene.agent("1", "cpus:1;mem:512"), ["f1 cpus:0.25;mem:128", "f2 cpus:0.75;mem:384"]);
    assert_eq!(scene.agent("2", "cpus:2;mem:1024"), ["f2 cpus:2;mem:1024"]);
}

/// `DisproportionateQuotaVsAllocation`: once a resource of a quota is had in full, only the other comes.
#[test]
fn disproportionate_quota_vs_allocation() {
    let mut scene = Scene::new();
    scene.quota("quota", Scalar::units(4), Scalar::units(1024));
    scene.framework("f1", "quota");
    assert_eq!(scene.agent("1", "cpus:2;mem:1024"), ["f1 cpus:2;mem:1024"]);
    assert_eq!(scene.agent("2", "cpus:2;mem:1024"), ["f1 cpus:2"]);
}
