//! `sort`: the DRF sorter alone.

use crate::Arguments;
use crate::cluster::{Cluster, agents, framework_id, timed};
use crate::report::{Failure, Report, Step, expect};
use apportion::allocator::{Allocator, ClientId, Drf, Hierarchical, Options, ShareTree, Sorter, Totals};
use apportion::{Framework, Resources, Role, Time};
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// The durations of sorting, in seconds.
#[derive(Debug, Clone, Copy)]
struct Sorted {
    clients: usize,
    full: f64,
    again: f64,
}

/// A sorter that has [`Drf`] sort from scratch, and then once more with nothing changed.
#[derive(Debug, Clone, Default)]
struct Watched {
    sorted: Arc<Mutex<Vec<Sorted>>>,
    rest: std::vec::IntoIter<ClientId>,
}

impl Sorter for Watched {
    fn begin(&mut self, tree: &ShareTree, totals: &Totals) {
        let mut drf = Drf::default();
        let mut sort = || {
            drf.begin(tree, totals);
            std::iter::from_fn(|| drf.next(tree, totals)).collect::<Vec<_>>()
        };
        let (order, full) = timed(&mut sort);
        let (once_more, again) = timed(&mut sort);
        let clients = if once_more == order { order.len() } else { 0 };
        self.sorted.lock().unwrap_or_else(PoisonError::into_inner).push(Sorted { clients, full, again });
        self.rest = order.into_iter();
    }

    fn next(&mut self, _: &ShareTree, _: &Totals) -> Option<ClientId> {
        self.rest.next()
    }
}

/// Charges as many clients as there are frameworks for tasks on the agents, sorts them twice, and discharges them.
pub(crate) fn sort(arguments: &Arguments, report: &Report) -> Result<(), Failure> {
    let (count, clients) = (arguments.agents(), arguments.frameworks());
    let watched = Watched::default();
    let mut allocator = Hierarchical::new(Options::default(), Drf::default(), watched.clone());
    let total: Resources = "cpus:24;mem:4096;disk:4096;ports:[31000-32000]".parse()?;
    let mut text = "cpus:16;mem:2014;disk:1024;ports:[".to_owned();
    for port in (31_000..31_198).step_by(2) {
        write!(text, "{port}-{port},").expect("text grows");
    }
    let used: Resources = (text + "31198-32000]").parse()?;
    let held = Cluster::held(count, clients, 1, Some(&used))?;
    for number in 0..clients {
        let framework = Framework::new(framework_id(number)).role(Role::default());
        allocator.add_framework(&Arc::new(framework), &[])?;
    }
    let agents = agents(&total, count);
    let add = || agents.iter().zip(&held).try_for_each(|(agent, held)| allocator.add_agent(agent, held));
    let (done, seconds) = timed(add);
    done?;
    report.step(&Step { step: "add agents, charge", seconds, times: Some(count as u64), ..Step::default() })?;

    for (round, agent) in agents.iter().enumerate().take(arguments.rounds(3)) {
        let offers = allocator.allocate(Time::ZERO, Some(&agent.id)).len();
        expect("sort", "offers", offers as u64, 1)?;
        let last = watched.sorted.lock().unwrap_or_else(PoisonError::into_inner).last().copied();
        let sorted = last.unwrap_or(Sorted { clients: 0, full: 0.0, again: 0.0 });
        expect("sort", "clients in order", sorted.clients as u64, clients as u64)?;
        report.step(&Step { step: "full sort", round: Some(round), seconds: sorted.full, ..Step::default() })?;
        report.step(&Step { step: "no-op sort", seconds: sorted.again, ..Step::default() })?;
    }

    let end = || held.iter().flatten().try_for_each(|task| allocator.end_task(task));
    let (done, seconds) = timed(end);
    done?;
    report.step(&Step { step: "discharge", seconds, times: Some(count as u64), ..Step::default() })
}
