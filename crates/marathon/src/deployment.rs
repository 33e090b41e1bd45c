//! [`Deployment`]: a change of apps, in steps.
//!
//! As in Marathon's class `DeploymentPlan`: the actions of a step are carried out together, and a step starts when the one
//! before is complete. Apps are stopped first, dependents before their dependencies; then apps are started, scaled and
//! restarted, dependencies before their dependents.

use crate::definition::AppDefinition;
use apportion::{Text, Time};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// The kind of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ActionKind {
    Start,
    /// Changes only the number of instances.
    Scale,
    /// Replaces all instances.
    Restart,
    Stop,
}

impl ActionKind {
    /// Returns Marathon's name of it.
    fn as_str(self) -> &'static str {
        match self {
            Self::Start => "StartApplication",
            Self::Scale => "ScaleApplication",
            Self::Restart => "RestartApplication",
            Self::Stop => "StopApplication",
        }
    }
}

/// A change of one app.
#[derive(Debug, Clone)]
pub(crate) struct Action {
    pub(crate) app: Text,
    pub(crate) kind: ActionKind,
    /// The new definition of the app; none if it is to stop.
    pub(crate) to: Option<Arc<AppDefinition>>,
    /// The level of the app in the dependency graph.
    pub(crate) level: usize,
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
            ActionKind::Start => write!(f, "start {} ({instances})", self.app),
            ActionKind::Scale => write!(f, "scale {} to {instances}", self.app),
            ActionKind::Restart => write!(f, "restart {} ({instances})", self.app),
            ActionKind::Stop => write!(f, "stop {}", self.app),
        }
    }
}

/// The state of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeploymentState {
    /// Some step is not complete.
    Running,
    /// All steps are complete.
    Finished,
    /// The deployment of that number has taken over what was left to do.
    Replaced(usize),
}

/// A change of apps, in steps.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// Deployments are numbered from 1.
    pub number: usize,
    /// Its state: running, or the way in which it ended.
    pub state: DeploymentState,
    steps: Vec<Vec<Action>>,
    /// The number of steps that have started.
    started: usize,
    /// The apps of the last step started whose actions are not complete.
    pending: BTreeSet<Text>,
    since: Time,
    until: Option<Time>,
}

impl Deployment {
    /// Returns a deployment of these actions, none of which has started.
    pub(crate) fn new(number: usize, actions: Vec<Action>, since: Time) -> Self {
        let (mut stops, mut others): (BTreeMap<usize, Vec<Action>>, BTreeMap<usize, Vec<Action>>) = Default::default();
        for action in actions {
            let steps = if action.kind == ActionKind::Stop { &mut stops } else { &mut others };
            steps.entry(action.level).or_default().push(action);
        }
        let steps = stops.into_values().rev().chain(others.into_values()).collect();
        let (state, pending) = (DeploymentState::Running, BTreeSet::new());
        Self { number, state, steps, started: 0, pending, since, until: None }
    }

    /// Completes the action of an app.
    pub(crate) fn complete(&mut self, app: &str) {
        self.pending.remove(app);
    }

    /// Starts the next step once the last one is complete, and returns its actions. With no step left, the deployment is
    /// finished.
    pub(crate) fn advance(&mut self, at: Time) -> Option<&[Action]> {
        if self.state != DeploymentState::Running || !self.pending.is_empty() {
            return None;
        }
        if self.started == self.steps.len() {
            self.end(DeploymentState::Finished, at);
            return None;
        }
        let step = self.steps.get(self.started)?;
        self.started += 1;
        self.pending = step.iter().map(|action| action.app.clone()).collect();
        Some(step)
    }

    /// Ends the deployment in that state.
    pub(crate) fn end(&mut self, state: DeploymentState, at: Time) {
        self.state = state;
        self.until = Some(at);
    }

    /// Returns the apps whose actions are not complete, started or not.
    pub(crate) fn unfinished_apps(&self) -> impl Iterator<Item = &Text> {
        let pending = self.pending.iter().filter(|_| self.state == DeploymentState::Running);
        pending.chain(self.remaining().map(|action| &action.app))
    }

    /// Returns the actions that have not started.
    pub(crate) fn remaining(&self) -> impl Iterator<Item = &Action> {
        let is_running = self.state == DeploymentState::Running;
        let remaining = if is_running { self.steps.get(self.started..) } else { None };
        remaining.into_iter().flatten().flatten()
    }

    /// Returns a description of the last step started: `step 2 of 3: start /shop/web (4)`; `None` before the first.
    pub fn step(&self) -> Option<String> {
        let actions = self.steps.get(self.started.checked_sub(1)?)?;
        const MAX_SHOWN: usize = 12;
        let mut shown: Vec<String> = actions.iter().take(MAX_SHOWN).map(Action::to_string).collect();
        if actions.len() > MAX_SHOWN {
            shown.push(format!("and {} more", actions.len() - MAX_SHOWN));
        }
        Some(format!("step {} of {}: {}", self.started, self.steps.len(), shown.join(", ")))
    }

    /// Returns the apps of the last step started whose actions are not complete.
    pub fn pending(&self) -> impl Iterator<Item = &Text> {
        self.pending.iter()
    }

    /// Returns the deployment by the names of Marathon's `/v2/deployments`, with its state.
    pub fn json(&self) -> Json {
        let apps: BTreeSet<&Text> = self.steps.iter().flatten().map(|action| &action.app).collect();
        let step = |step: &Vec<Action>| json!({"actions": step.iter().map(Action::json).collect::<Vec<_>>()});
        let current = self.steps.iter().take(self.started).next_back().into_iter().flatten();
        let is_running = self.state == DeploymentState::Running;
        let current = current.filter(|action| is_running && self.pending.contains(&action.app));
        let state = match self.state {
            DeploymentState::Running => "running".to_owned(),
            DeploymentState::Finished => "finished".to_owned(),
            DeploymentState::Replaced(by) => format!("replaced by {by}"),
        };
        json!({
            "id": self.number,
            "state": state,
            "affectedApps": apps,
            "steps": self.steps.iter().map(step).collect::<Vec<_>>(),
            "currentStep": self.started,
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

    fn action(app: &str, kind: ActionKind, level: usize) -> Action {
        Action { app: app.into(), kind, to: None, level }
    }

    fn begin(deployment: &mut Deployment) -> Vec<&str> {
        deployment.advance(Time::ZERO).unwrap_or_default().iter().map(|action| action.app.as_str()).collect()
    }

    #[test]
    fn stops_come_first_and_in_reverse() {
        let actions = [
            ("/web", ActionKind::Start, 1),
            ("/db", ActionKind::Scale, 0),
            ("/old", ActionKind::Stop, 0),
            ("/older", ActionKind::Stop, 3),
        ];
        let actions = actions.map(|(app, kind, level)| action(app, kind, level));
        let mut deployment = Deployment::new(1, actions.into(), Time::ZERO);
        for app in ["/older", "/old", "/db", "/web"] {
            assert_eq!(begin(&mut deployment), [app]);
            assert!(begin(&mut deployment).is_empty(), "{app} is not done");
            assert!(deployment.unfinished_apps().any(|pending| pending == app));
            deployment.complete(app);
        }
        assert_eq!(deployment.state, DeploymentState::Running);
        assert!(deployment.advance(Time::from_secs(3)).is_none());
        assert_eq!((deployment.state, deployment.unfinished_apps().count()), (DeploymentState::Finished, 0));
        assert_eq!((&deployment.json()["until"], &deployment.json()["totalSteps"]), (&json!(3), &json!(4)));
    }

    #[test]
    fn one_that_is_replaced_does_nothing_more() {
        let actions = vec![
            action("/a", ActionKind::Start, 0),
            action("/b", ActionKind::Start, 0),
            action("/c", ActionKind::Start, 1),
        ];
        let mut deployment = Deployment::new(1, actions, Time::ZERO);
        assert_eq!(begin(&mut deployment), ["/a", "/b"]);
        deployment.complete("/a");
        assert_eq!(deployment.unfinished_apps().collect::<Vec<_>>(), ["/b", "/c"]);
        assert_eq!(deployment.json()["currentActions"], json!([{"action": "StartApplication", "app": "/b"}]));
        deployment.end(DeploymentState::Replaced(2), Time::ZERO);
        deployment.complete("/b");
        assert!(begin(&mut deployment).is_empty() && deployment.unfinished_apps().next().is_none());
        assert_eq!(deployment.json()["state"], "replaced by 2");
    }
}
