//! A new leader: agents and frameworks of the one before are expected.

use super::{KnownFramework, Reference, Refused};
use apportion::{AgentId, Framework, Recovery, Time};
use std::time::Duration;

/// The agents that a new leader expects.
#[derive(Debug, Clone)]
pub(crate) struct Recovering {
    pub(crate) list: Vec<AgentId>,
    /// Those of the list that have come.
    pub(crate) came: Vec<AgentId>,
    /// In thousandths.
    factor: u64,
    until: Time,
    /// Whether enough have come, or the time has ended.
    pub(crate) over: bool,
}

impl Recovering {
    pub(super) fn ends(&self) -> Option<Time> {
        Some(self.until).filter(|_| !self.over)
    }

    fn check(&mut self) {
        self.over |= self.came.len() as u64 * 1000 >= self.factor * self.list.len() as u64;
    }
}

impl Reference {
    pub(super) fn recover(&mut self, recovery: Recovery) -> Result<(), Refused> {
        if self.recovering.is_some() || self.had_an_agent {
            return Err("a second time, or after an agent");
        }
        let until = self.now + recovery.timeout;
        let factor = recovery.factor.as_milli();
        let mut recovering = Recovering { list: recovery.agents, came: Vec::new(), factor, until, over: false };
        recovering.check();
        self.recovering = Some(recovering);
        Ok(())
    }

    /// Whether it is expected, and was not heard of since.
    pub(crate) fn is_missing(&self, id: &AgentId) -> bool {
        self.missing().any(|missing| missing == id)
    }

    pub(crate) fn missing(&self) -> impl Iterator<Item = &AgentId> {
        let all = self.recovering.iter();
        all.flat_map(|expected| expected.list.iter().filter(|id| !expected.came.contains(id)))
    }

    /// While a quota is set and too few agents have come, nothing is allocated.
    pub(crate) fn waits_for_agents(&self) -> bool {
        self.recovering.as_ref().is_some_and(|expected| !expected.over) && !self.quotas.is_empty()
    }

    pub(super) fn stop_recovering(&mut self) {
        if let Some(expected) = &mut self.recovering {
            expected.over = true;
        }
    }

    pub(super) fn has_come(&mut self, id: &AgentId) {
        self.had_an_agent = true;
        if let Some(expected) = &mut self.recovering
            && expected.list.contains(id)
            && !expected.came.contains(id)
        {
            expected.came.push(id.clone());
            expected.check();
        }
    }

    pub(super) fn leave_list(&mut self, id: &AgentId) {
        if let Some(expected) = &mut self.recovering {
            expected.list.retain(|other| other != id);
            expected.came.retain(|other| other != id);
            expected.check();
        }
    }

    pub(super) fn recover_framework(&mut self, framework: Framework, give_up_after: Duration) -> Result<(), Refused> {
        super::frameworks::check(&framework)?;
        if self.framework(&framework.id).is_some() {
            return Err("the framework is there already");
        }
        let (id, suppressed) = (framework.id.clone(), framework.suppressed.clone());
        let leaves_at = Some(self.now + give_up_after);
        let wanted = std::collections::BTreeMap::new();
        let known = KnownFramework { framework, active: false, suppressed, wanted, recovered: true, leaves_at };
        self.come(known);
        self.removed.retain(|removed| *removed != id);
        Ok(())
    }
}
