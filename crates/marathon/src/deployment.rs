//! [`Deployment`]: a change of apps, in steps.
//!
//! As in Marathon's class `DeploymentPlan`: the actions of a step are carried out together, and a step begins when all of the
//! one before is done. What is to stop does so first, and before what it needs; what is to run comes after what it needs.

use crate::definition::Definition;
use apportion::Time;
use serde_json::{Value as Json, json};
use smol_str::SmolStr;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// What is done about an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Start,
    /// Only the number of its instances changes.
    Scale,
    /// Its tasks give way to new ones.
    Restart,
    Stop,
}

impl Kind {
    /// Marathon's name of it.
    fn as_str(self) -> &'static str {
        match self {
            Self::Start => "StartApplication",
            Self::Scale => "ScaleApplication",
            Self::Restart => "RestartApplication",
            Self::Stop => "StopApplication",
        }
    }
}

/// Something to be done about an app.
#[derive(Debug, Clone)]
pub(crate) struct Action {
    pub(crate) app: SmolStr,
    pub(crate) kind: Kind,
    /// How it is to be from then on; none if it is not to be.
    pub(crate) to: Option<Arc<Definition>>,
    /// How many apps, each in need of the next, stand before it.
    pub(crate) depth: usize,
}

impl Action {
    fn json(&self) -> Json {
        json!({"action": self.kind.as_str(), "app": self.app})
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instances = self.to.as_ref().map_or(0, |to| to.app.instances);
        match self.kind {
            Kind::Start => write!(f, "start {} ({instances})", self.app),
            Kind::Scale => write!(f, "scale {} to {instances}", self.app),
            Kind::Restart => write!(f, "restart {} ({instances})", self.app),
            Kind::Stop => write!(f, "stop {}", self.app),
        }
    }
}

/// How far a deployment has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    Running,
    /// All is as it should be.
    Finished,
    /// A later one, of that number, does what was left to do.
    Replaced(usize),
}

/// A change of apps, in steps.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// The first has 1.
    pub number: usize,
    pub state: State,
    steps: Vec<Vec<Action>>,
    /// How many steps have begun.
    begun: usize,
    /// The apps of the last of them that are not done.
    open: BTreeSet<SmolStr>,
    since: Time,
    until: Option<Time>,
}

impl Deployment {
    /// A deployment of these actions, none of which has begun.
    pub(crate) fn new(number: usize, actions: Vec<Action>, since: Time) -> Self {
        let (mut stops, mut others): (BTreeMap<usize, Vec<Action>>, BTreeMap<usize, Vec<Action>>) = Default::default();
        for action in actions {
            let steps = if action.kind == Kind::Stop { &mut stops } else { &mut others };
            steps.entry(action.depth).or_default().push(action);
        }
        let steps = stops.into_values().rev().chain(others.into_values()).collect();
        Self { number, state: State::Running, steps, begun: 0, open: BTreeSet::new(), since, until: None }
    }

    /// An app is as it should be.
    pub(crate) fn done(&mut self, app: &str) {
        self.open.remove(app);
    }

    /// Begins the next step, if it can: its actions. With none left, the deployment is finished.
    pub(crate) fn advance(&mut self, at: Time) -> Option<&[Action]> {
        if self.state != State::Running || !self.open.is_empty() {
            return None;
        }
        if self.begun == self.steps.len() {
            self.end(State::Finished, at);
            return None;
        }
        let step = self.steps.get(self.begun)?;
        self.begun += 1;
        self.open = step.iter().map(|action| action.app.clone()).collect();
        Some(step)
    }

    /// Ends it.
    pub(crate) fn end(&mut self, state: State, at: Time) {
        self.state = state;
        self.until = Some(at);
    }

    /// The apps that it has still to do something about.
    pub(crate) fn unfinished(&self) -> impl Iterator<Item = &SmolStr> {
        let open = self.open.iter().filter(|_| self.state == State::Running);
        open.chain(self.later().map(|action| &action.app))
    }

    /// The actions that it has still to begin.
    pub(crate) fn later(&self) -> impl Iterator<Item = &Action> {
        let later = if self.state == State::Running { self.steps.get(self.begun..) } else { None };
        later.into_iter().flatten().flatten()
    }

    /// The step that it is at, for people; none before the first.
    pub fn step(&self) -> Option<String> {
        let actions = self.steps.get(self.begun.checked_sub(1)?)?;
        const SHOWN: usize = 12;
        let mut shown: Vec<String> = actions.iter().take(SHOWN).map(Action::to_string).collect();
        if actions.len() > SHOWN {
            shown.push(format!("and {} more", actions.len() - SHOWN));
        }
        Some(format!("step {} of {}: {}", self.begun, self.steps.len(), shown.join(", ")))
    }

    /// The apps of the step that it is at that are not done.
    pub fn open(&self) -> impl Iterator<Item = &SmolStr> {
        self.open.iter()
    }

    /// By the names of Marathon's `/v2/deployments`, with what has become of it.
    pub fn json(&self) -> Json {
        let apps: BTreeSet<&SmolStr> = self.steps.iter().flatten().map(|action| &action.app).collect();
        let step = |step: &Vec<Action>| json!({"actions": step.iter().map(Action::json).collect::<Vec<_>>()});
        let current = self.steps.iter().take(self.begun).next_back().into_iter().flatten();
        let current = current.filter(|action| self.state == State::Running && self.open.contains(&action.app));
        let state = match self.state {
            State::Running => "running".to_owned(),
            State::Finished => "finished".to_owned(),
            State::Replaced(by) => format!("replaced by {by}"),
        };
        json!({
            "id": self.number,
            "state": state,
            "affectedApps": apps,
            "steps": self.steps.iter().map(step).collect::<Vec<_>>(),
            "currentStep": self.begun,
            "totalSteps": self.steps.len(),
            "currentActions": current.map(Action::json).collect::<Vec<_>>(),
            "since": self.since,
            "until": self.until,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(app: &str, kind: Kind, depth: usize) -> Action {
        Action { app: app.into(), kind, to: None, depth }
    }

    fn begin(deployment: &mut Deployment) -> Vec<&str> {
        deployment.advance(Time::ZERO).unwrap_or_default().iter().map(|action| action.app.as_str()).collect()
    }

    #[test]
    fn stops_come_first_and_in_reverse() {
        let actions =
            [("/web", Kind::Start, 1), ("/db", Kind::Scale, 0), ("/old", Kind::Stop, 0), ("/older", Kind::Stop, 3)];
        let actions = actions.map(|(app, kind, depth)| action(app, kind, depth));
        let mut deployment = Deployment::new(1, actions.into(), Time::ZERO);
        for app in ["/older", "/old", "/db", "/web"] {
            assert_eq!(begin(&mut deployment), [app]);
            assert!(begin(&mut deployment).is_empty(), "{app} is not done");
            assert!(deployment.unfinished().any(|open| open == app));
            deployment.done(app);
        }
        assert_eq!(deployment.state, State::Running);
        assert!(deployment.advance(Time::from_secs(3)).is_none());
        assert_eq!((deployment.state, deployment.unfinished().count()), (State::Finished, 0));
        assert_eq!((&deployment.json()["until"], &deployment.json()["totalSteps"]), (&json!(3), &json!(4)));
    }

    #[test]
    fn one_that_is_replaced_does_nothing_more() {
        let actions = vec![action("/a", Kind::Start, 0), action("/b", Kind::Start, 0), action("/c", Kind::Start, 1)];
        let mut deployment = Deployment::new(1, actions, Time::ZERO);
        assert_eq!(begin(&mut deployment), ["/a", "/b"]);
        deployment.done("/a");
        assert_eq!(deployment.unfinished().collect::<Vec<_>>(), ["/b", "/c"]);
        assert_eq!(deployment.json()["currentActions"], json!([{"action": "StartApplication", "app": "/b"}]));
        deployment.end(State::Replaced(2), Time::ZERO);
        deployment.done("/b");
        assert!(begin(&mut deployment).is_empty() && deployment.unfinished().next().is_none());
        assert_eq!(deployment.json()["state"], "replaced by 2");
    }
}
