//! The suite of constraints: tasks come to hosts, and each visit is judged in several ways that must agree.

use super::draws::Draws;
use super::shrink::{Broken, run};
use crate::constraint::{Candidate, Constraint, Location, Placed, PlacedTask, Scope, Verdict};

/// A task that comes to a host. Whatever the verdict, it runs there from then on. Its `Debug` form is its Rust source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "sequences that are pasted construct these")]
pub struct Visit {
    /// The app of the task.
    pub app: &'static str,
    /// The target number of its instances.
    pub instances: u64,
    /// The image of its container.
    pub image: &'static str,
    /// The host.
    pub host: &'static str,
    /// The attributes of the host.
    pub attributes: &'static str,
    /// The zone of the host; empty for none.
    pub zone: &'static str,
}

const HOSTS: [(&str, &str, &str); 6] = [
    ("h1", "rack:r1;os:linux;level:1", "z1"),
    ("h2", "rack:r1;os:linux;level:2", "z1"),
    ("h3", "rack:r2;level:2.5", "z2"),
    ("h4", "rack:r2;os:bsd;ports:[1-4]", "z2"),
    ("h5", "rack:r3;os:linux;disks:{a,b}", ""),
    ("h6", "", ""),
];

impl Draws {
    pub(super) fn visit(&mut self, _: usize) -> Visit {
        let (host, attributes, zone) = self.one_of(&HOSTS);
        let app = self.one_of(&["/web", "/web", "/db", "/cache"]);
        let image = self.one_of(&["nginx:1", "nginx:2", "postgres"]);
        Visit { app, instances: 1 + self.below(6), image, host, attributes, zone }
    }
}

impl Visit {
    fn location(&self) -> Location {
        let mut location = Location::new(self.host);
        location.attributes = self.attributes.parse().expect("the visits have attributes");
        location.zone = (!self.zone.is_empty()).then(|| self.zone.into());
        location
    }

    fn task(&self, number: usize) -> PlacedTask {
        let mut task = PlacedTask::new(self.app, format!("{}.{number}", self.app), self.location());
        task.image = Some(self.image.into());
        task
    }

    fn judged<C: Constraint>(&self, rule: &C, placed: &Placed) -> Verdict {
        let location = self.location();
        rule.check(&Candidate::new(self.app, &location).instances(self.instances), placed)
    }
}

fn index<'t>(tasks: impl IntoIterator<Item = &'t PlacedTask>) -> Placed {
    let mut placed = Placed::new();
    tasks.into_iter().for_each(|task| placed.push(task.clone()));
    placed
}

/// Lets tasks come to hosts, one after the other, and a constraint judge each; see
/// [`Suite::constraint`](super::Suite::constraint).
///
/// # Errors
///
/// [`Broken`] with what does not hold.
///
/// # Panics
///
/// If a text in a visit is not of attributes.
pub fn check_constraint<C: Constraint>(make: &impl Fn() -> C, visits: &[Visit]) -> Result<(), Broken> {
    let rule = make();
    let (mut tasks, mut placed) = (Vec::<PlacedTask>::new(), Placed::new());
    let mut earlier: Option<(Visit, Verdict, Placed)> = None;
    run(visits, |visit| {
        let verdict = visit.judged(&rule, &placed);
        let agrees = |how: &str, other: Verdict| match other == verdict {
            true => Ok(()),
            false => Err(format!("its verdict is {verdict:?}, and {how} it is {other:?}")),
        };
        agrees("asked again", visit.judged(&rule, &placed))?;
        if let Some((before, expected, placed)) = earlier.take() {
            let now = before.judged(&rule, &placed);
            if now != expected {
                return Err(format!("its verdict of the last visit was {expected:?}, and now it is {now:?}"));
            }
        }
        agrees("of a new constraint", visit.judged(&make(), &placed))?;
        agrees("with the same tasks indexed anew", visit.judged(&rule, &index(&tasks)))?;
        let location = visit.location();
        let candidate = Candidate::new(visit.app, &location).instances(visit.instances);
        if rule.holds(&candidate, &placed) != verdict.is_accept() {
            return Err(format!("`check` says {verdict:?}, and `holds` says otherwise"));
        }
        if let Verdict::Reject(reason) = &verdict
            && reason.to_string().is_empty()
        {
            return Err("it rejects without a word".to_owned());
        }
        if rule.describe().is_empty() || rule.describe() != rule.describe() {
            return Err("it describes itself in no words, or in others each time".to_owned());
        }
        let in_scope = |task: &&PlacedTask| match rule.scope() {
            Scope::Location => false,
            Scope::Host => task.location.hostname == location.hostname,
            Scope::Cluster => true,
        };
        let narrow = visit.judged(&rule, &index(tasks.iter().filter(in_scope)));
        if narrow.is_accept() != verdict.is_accept() {
            let scope = rule.scope();
            return Err(format!(
                "its scope is {scope:?}, its verdict {verdict:?}, and with the tasks in scope {narrow:?}"
            ));
        }
        earlier = Some((*visit, verdict, placed.clone()));
        let task = visit.task(tasks.len());
        placed.push(task.clone());
        tasks.push(task);
        Ok(())
    })
}
