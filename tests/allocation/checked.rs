//! The bare allocator believes nothing: what is not held or offered cannot be given back, and a refused call changes nothing.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use crate::tier::tier;
use apportion::allocator::{Allocator, AllocatorError, Drf, EndedOffers, Hierarchical, Holding, Options};
use apportion::{Agent, Conversion, Framework, Quantities, Resources, Role, Scalar, Time};
use proptest::prelude::*;
use std::sync::Arc;

type Bare = Hierarchical<Drf, Drf>;

fn text(resources: &str) -> Resources {
    resources.parse().unwrap()
}

fn agent(id: &str, resources: &str) -> Arc<Agent> {
    Arc::new(Agent::new(id, text(resources)))
}

fn framework(id: &str) -> Arc<Framework> {
    Arc::new(Framework::new(id).role(Role::new("r").unwrap()))
}

fn holding(framework: &str, agent: &str, resources: &str) -> Holding {
    let (framework, role, agent) = (framework.into(), Role::new("r").unwrap(), agent.into());
    Holding { framework, role, agent, resources: text(resources) }
}

/// An allocator with agent `a` of 4 cpus, and a framework `f` that has a task of 1 cpu there and is offered the rest.
fn one_offer() -> (Bare, Holding, Holding) {
    let mut allocator = Hierarchical::new(Options::default(), Drf::default(), Drf::default());
    allocator.add_framework(&framework("f"), &[]).unwrap();
    let task = holding("f", "a", "cpus:1");
    allocator.add_agent(&agent("a", "cpus:4;mem:64;zones:{x,y}"), std::slice::from_ref(&task)).unwrap();
    let offer = allocator.allocate(Time::ZERO, None).pop().unwrap();
    (allocator, task, offer)
}

/// All that can be seen from outside, and the offers that come next.
fn seen(allocator: &Bare) -> String {
    let agents: Vec<_> = ["a", "b", "c"].map(|id| format!("{:?}", allocator.agent(&id.into()))).into();
    let offers = allocator.clone().allocate(Time::from_secs(99), None);
    format!("{agents:?} {:?} {} {:?} {offers:?}", allocator.roles(), allocator.has_pending(), allocator.next_expiry())
}

#[test]
fn what_is_not_held_is_not_given_back() {
    let (mut allocator, task, offer) = one_offer();
    let before = seen(&allocator);
    for wrong in [
        holding("f", "a", "cpus:2"),
        holding("f", "a", "cpus:0.5"),
        holding("g", "a", "cpus:1"),
        holding("f", "a", "zones:{x}"),
        holding("f", "a", "cpus:{x}"),
        holding("f", "a", ""),
        Holding { role: Role::new("r/s").unwrap(), ..task.clone() },
        offer,
    ] {
        let error = allocator.end_task(&wrong).unwrap_err();
        assert!(matches!(&error, AllocatorError::NotHeld { task, .. } if **task == wrong), "{error}");
    }
    assert_eq!(before, seen(&allocator));
    allocator.end_task(&task).unwrap();
    let error = allocator.end_task(&task).unwrap_err();
    assert_eq!(
        error.to_string(),
        "framework f has no task that holds cpus:1 of agent a under role r; in all its tasks hold nothing"
    );
}

#[test]
fn an_offer_ends_once_and_as_it_was_made() {
    let (mut allocator, task, offer) = one_offer();
    let before = seen(&allocator);
    let part = Holding { resources: text("cpus:1"), ..offer.clone() };
    let of_another = Holding { framework: "g".into(), ..offer.clone() };
    for wrong in [&task, &part, &of_another, &holding("f", "a", "")] {
        let error = allocator.end_offer(wrong, &[]).unwrap_err();
        assert!(matches!(error, AllocatorError::NotOffered { .. }), "{error}");
    }
    let Holding { framework, role, agent, resources } = &offer;
    let twice = EndedOffers { framework, role, agent, offers: &[resources; 2], conversions: &[], tasks: &[] };
    assert!(matches!(allocator.end_offers(&twice), Err(AllocatorError::NotOffered { .. })));
    let most = text("cpus:9000000000000");
    for tasks in [&[&most, &most][..], &[&text("cpus:4")], &[&text("cpus:2"), &text("cpus:2")], &[&text("cpus:{x}")]] {
        let error = allocator.end_offer(&offer, tasks).unwrap_err();
        assert!(matches!(error, AllocatorError::TaskTooLarge { .. }), "{error}");
    }
    assert_eq!(before, seen(&allocator));
    allocator.end_offer(&offer, &[&text("cpus:3;zones:{x}")]).unwrap();
    assert!(matches!(allocator.end_offer(&offer, &[]), Err(AllocatorError::NotOffered { .. })));
    allocator.end_task(&holding("f", "a", "cpus:3;zones:{x}")).unwrap();
}

#[test]
fn what_is_in_use_is_not_removed() {
    let (mut allocator, task, offer) = one_offer();
    let before = seen(&allocator);
    assert!(matches!(allocator.remove_agent(&"a".into()), Err(AllocatorError::AgentInUse { .. })));
    let error = allocator.remove_framework(&"f".into()).unwrap_err();
    assert_eq!(error.to_string(), "framework f has 2 offers and tasks under role r");
    assert_eq!(before, seen(&allocator));
    allocator.end_offer(&offer, &[]).unwrap();
    assert!(matches!(allocator.remove_agent(&"a".into()), Err(AllocatorError::AgentInUse { .. })));
    allocator.end_task(&task).unwrap();
    allocator.remove_framework(&"f".into()).unwrap();
    allocator.remove_agent(&"a".into()).unwrap();
}

#[test]
fn a_framework_brings_only_tasks_that_came_with_their_agents() {
    let mut allocator = Hierarchical::new(Options::default(), Drf::default(), Drf::default());
    let tasks = [holding("g", "a", "cpus:1"), holding("g", "a", "cpus:1")];
    allocator.add_agent(&agent("a", "cpus:4"), &tasks).unwrap();
    let before = seen(&allocator);
    assert!(matches!(allocator.add_framework(&framework(""), &[]), Err(AllocatorError::FrameworkWithoutId)));
    for wrong in [&[tasks.clone(), tasks.clone()].concat()[..], &[holding("g", "a", "cpus:2")]] {
        let error = allocator.add_framework(&framework("g"), wrong).unwrap_err();
        assert!(matches!(error, AllocatorError::NotHeld { .. }), "{error}");
    }
    let error = allocator.add_framework(&framework("f"), &tasks).unwrap_err();
    assert!(matches!(error, AllocatorError::NotHeld { .. }), "{error}");
    let elsewhere = allocator.add_agent(&agent("b", "cpus:4"), &tasks).unwrap_err();
    assert!(matches!(elsewhere, AllocatorError::OnOtherAgent { .. }), "{elsewhere}");
    assert_eq!(before, seen(&allocator));
    allocator.end_task(&tasks[0]).unwrap();
    allocator.add_framework(&framework("g"), &tasks[1..]).unwrap();
    assert_eq!(allocator.roles()[0].held, Quantities::from_iter([("cpus", Scalar::units(1))]));
    allocator.end_task(&tasks[1]).unwrap();
    allocator.remove_framework(&"g".into()).unwrap();
}

#[test]
fn offers_convert_and_end_as_one() {
    let (mut allocator, _, offer) = one_offer();
    let before = seen(&allocator);
    let Holding { framework, role, agent, resources } = &offer;
    let reserve = |cpus: &str| Conversion::new(text(cpus), text(&cpus.replace("cpus", "cpus(r)")));
    let task = text("cpus(r):2");
    let (offers, tasks) = ([resources], [&task]);
    let end = |allocator: &mut Bare, conversions: &[Conversion]| {
        allocator.end_offers(&EndedOffers { framework, role, agent, offers: &offers, conversions, tasks: &tasks })
    };
    let too_much = end(&mut allocator, &[reserve("cpus:4")]).unwrap_err();
    assert!(matches!(too_much, AllocatorError::NotAvailable { .. }), "{too_much}");
    let too_little = end(&mut allocator, &[reserve("cpus:1")]).unwrap_err();
    assert!(matches!(too_little, AllocatorError::TaskTooLarge { .. }), "{too_little}");
    let in_use = allocator.convert(agent, &reserve("cpus:1")).unwrap_err();
    assert!(matches!(in_use, AllocatorError::NotAvailable { .. }), "{in_use}");
    assert_eq!(before, seen(&allocator));
    end(&mut allocator, &[reserve("cpus:2"), reserve("cpus:1")]).unwrap();
    assert_eq!(
        allocator.agent(agent).unwrap().available.to_string(),
        "cpus(r):1;mem:64;zones:{x, y}".replace(", ", ",")
    );
    allocator.convert(agent, &Conversion::new(text("cpus(r):1"), text("cpus:1"))).unwrap();
    assert_eq!(allocator.agent(agent).unwrap().total.to_string(), "cpus:2;cpus(r):2;mem:64;zones:{x,y}");
}

/// A call, most of which make no sense. Numbers choose among the few things that there are.
#[derive(Debug, Clone)]
struct Nonsense {
    verb: u8,
    agent: usize,
    framework: usize,
    amount: usize,
    other: usize,
}

const AMOUNTS: [&str; 8] = [
    "cpus:1",
    "cpus:2;mem:32",
    "cpus:{x}",
    "cpus(r):1;ports:[1-2]",
    "ports:[2-4]",
    "cpus:9000000000000",
    "mem:32;zones:{x}",
    "",
];
const TOTALS: [&str; 5] =
    ["cpus:4;mem:64;ports:[1-4]", "cpus:{x,y}", "cpus(r):4;cpus:2;mem:64", "cpus:9000000000000;mem:9", "zones:{x,y}"];

fn nonsense() -> impl Strategy<Value = Nonsense> {
    (0..16_u8, 0..3_usize, 0..3_usize, 0..8_usize, 0..8_usize)
        .prop_map(|(verb, agent, framework, amount, other)| Nonsense { verb, agent, framework, amount, other })
}

/// The allocator, and the offers and tasks of which the calls that it took tell.
#[derive(Debug, Clone)]
struct Run {
    allocator: Bare,
    offers: Vec<Holding>,
    tasks: Vec<Holding>,
}

impl Run {
    fn call(&mut self, call: &Nonsense) -> Result<(), AllocatorError> {
        let (id, name) = (["a", "b", "c"][call.agent], ["f", "g", "h"][call.framework]);
        let (amount, other) = (AMOUNTS[call.amount], AMOUNTS[call.other]);
        let (task, more) = (holding(name, id, amount), holding(["g", "f", "h"][call.framework], id, other));
        let total = agent(id, TOTALS[call.amount % TOTALS.len()]);
        let known = |list: &[Holding]| list.get((call.amount * 8 + call.other) % list.len().max(1)).cloned();
        match call.verb {
            0 => {
                let held = [task, more];
                let held = &held[..call.framework];
                self.allocator.add_agent(&total, held)?;
                self.tasks.extend_from_slice(held);
            }
            1 => self.allocator.update_agent(&total)?,
            2 => {
                let ended: Vec<Holding> = known(&self.tasks).into_iter().collect();
                self.allocator.readmit_agent(&total, std::slice::from_ref(&task), &ended)?;
                forget(&mut self.tasks, &ended);
                self.tasks.push(task);
            }
            3 => self.allocator.remove_agent(&id.into())?,
            4 | 5 => {
                let mine: Vec<Holding> =
                    self.tasks.iter().filter(|task| task.framework.as_str() == name).cloned().collect();
                let held = if call.amount == 7 { vec![task] } else { mine };
                self.allocator.add_framework(&framework(name), &held)?;
            }
            6 => self.allocator.remove_framework(&name.into())?,
            7 => {
                self.allocator.end_task(&task)?;
                forget(&mut self.tasks, &[task]);
            }
            8 => {
                self.allocator.end_offer(&task, &[&more.resources])?;
                forget(&mut self.offers, std::slice::from_ref(&task));
                self.tasks.push(Holding { resources: more.resources, ..task });
            }
            9 | 10 => {
                let Some(offer) = known(&self.offers) else { return Ok(()) };
                let tasks = [&task.resources, &more.resources];
                self.allocator.end_offer(&offer, &tasks[..call.framework])?;
                forget(&mut self.offers, std::slice::from_ref(&offer));
                let launched =
                    |resources: &&Resources| Holding { resources: Resources::clone(resources), ..offer.clone() };
                self.tasks.extend(tasks[..call.framework].iter().map(launched));
            }
            11 => {
                let Some(task) = known(&self.tasks) else { return Ok(()) };
                self.allocator.end_task(&task)?;
                forget(&mut self.tasks, &[task]);
            }
            12 => {
                let mut conversion = Conversion::new(task.resources, more.resources);
                if call.framework > 0 {
                    conversion.converted = conversion.consumed.clone();
                }
                self.allocator.convert(&id.into(), &conversion)?;
            }
            13 => self.allocator.refuse(&task, Time::from_secs(call.other as u64))?,
            _ => self.offers.extend(self.allocator.allocate(Time::ZERO, None)),
        }
        Ok(())
    }

    /// Checks each agent against the list of what is held of it.
    fn check(&self) {
        for id in ["a", "b", "c"] {
            let Some(account) = self.allocator.agent(&id.into()) else { continue };
            for (sum, list) in [(account.offered, &self.offers), (account.allocated, &self.tasks)] {
                let mut held = Resources::new();
                for holding in list.iter().filter(|holding| holding.agent.as_str() == id) {
                    held.try_add(&holding.resources).expect("what is held can be added up");
                }
                assert_eq!(*sum, held, "of {id}");
            }
        }
    }
}

fn forget(list: &mut Vec<Holding>, ended: &[Holding]) {
    for one in ended {
        let position = list.iter().position(|holding| holding == one).expect("it was held");
        list.remove(position);
    }
}

/// Stores an allocator and restores it: it is the same, and decides the same.
fn pass_on(allocator: &Bare) -> Bare {
    let stored = serde_json::to_string(&allocator.snapshot()).unwrap();
    let restored =
        Hierarchical::restore(serde_json::from_str(&stored).unwrap(), Drf::default(), Drf::default()).unwrap();
    assert_eq!(serde_json::to_string(&restored.snapshot()).unwrap(), stored);
    assert_eq!(seen(&restored), seen(allocator));
    let [mut one, mut other] = [allocator, &restored].map(Bare::clone);
    assert_eq!(one.allocate(Time::from_secs(99), None), other.allocate(Time::from_secs(99), None));
    assert_eq!(one.snapshot(), other.snapshot());
    restored
}

proptest! {
    #![proptest_config(tier(300))]

    /// Whatever is called: nothing panics, a call that is refused changes nothing, and what the others say is what is held.
    #[test]
    fn nonsense_is_refused(calls in prop::collection::vec(nonsense(), 1..60)) {
        let allocator = Hierarchical::new(Options::default(), Drf::default(), Drf::default());
        let mut run = Run { allocator, offers: Vec::new(), tasks: Vec::new() };
        for (i, call) in calls.iter().enumerate() {
            if i % 3 == 0 {
                run.allocator = pass_on(&run.allocator);
            }
            let before = seen(&run.allocator);
            if run.call(call).is_err() {
                prop_assert_eq!(before, seen(&run.allocator));
            }
            run.check();
        }
        // All that is held can be given back, and then all can be removed.
        for offer in std::mem::take(&mut run.offers) {
            run.allocator.end_offer(&offer, &[]).unwrap();
        }
        for task in std::mem::take(&mut run.tasks) {
            run.allocator.end_task(&task).unwrap();
        }
        for id in ["a", "b", "c"] {
            let removed = run.allocator.remove_agent(&id.into());
            prop_assert!(matches!(removed, Ok(()) | Err(AllocatorError::UnknownAgent(_))));
        }
        for id in ["f", "g", "h"] {
            let removed = run.allocator.remove_framework(&id.into());
            prop_assert!(matches!(removed, Ok(()) | Err(AllocatorError::UnknownFramework(_))));
        }
        prop_assert!(run.allocator.roles().iter().all(|role| role.held.is_empty()));
    }
}
