//! Refusals in a snapshot.

use super::{AgentRefusals, Refusal, Refusals};
use crate::allocator::books::Books;
use crate::allocator::index::AgentIx;
use crate::allocator::snapshot::SnapshotError;
use crate::allocator::sorter::Sorter;
use crate::id::{AgentId, FrameworkId};
use crate::resources::Resources;
use crate::role::Role;
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// The refusals of each agent, in the order in which the agents were added.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(in crate::allocator) struct SavedRefusals(Vec<SavedAgent>);

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedAgent {
    agent: AgentId,
    members: Vec<SavedMember>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedMember {
    framework: FrameworkId,
    role: Role,
    /// In the order of refusing.
    refused: Vec<(Time, Resources)>,
}

impl SavedRefusals {
    pub(in crate::allocator) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Refusals {
    pub(in crate::allocator) fn save<R: Sorter, F: Sorter + Clone>(&self, books: &Books<R, F>) -> SavedRefusals {
        let in_order = books.ledger().in_order_of_adding().into_iter();
        let refused = in_order.filter_map(|agent| Some((agent, self.of(agent)?)));
        let save = |(agent, refusals): (AgentIx, &AgentRefusals)| SavedAgent {
            agent: books.ledger().id(agent).clone(),
            members: refusals.save(books),
        };
        SavedRefusals(refused.map(save).collect())
    }

    /// Restores what was saved, in place of no refusals at all.
    pub(in crate::allocator) fn load<R: Sorter, F: Sorter + Clone>(
        &mut self,
        saved: SavedRefusals,
        books: &Books<R, F>,
    ) -> Result<(), SnapshotError> {
        for SavedAgent { agent, members } in saved.0 {
            let ix = books.agent_named(&agent)?;
            self.agents.grow_to(ix, || None);
            if members.is_empty() || self.agents[ix].is_some() {
                return Err(SnapshotError::repeated("what is refused of agent", agent.as_str()));
            }
            let mut refusals = AgentRefusals::default();
            for SavedMember { framework, role, refused } in members {
                let (name, member) = books.member_named(&framework, &role)?;
                if refused.is_empty() || !refusals.of(member).is_empty() {
                    return Err(SnapshotError::repeated("what is refused by", name));
                }
                self.list_agent(member, ix);
                for (until, resources) in refused {
                    refusals.live.push(Refusal { member, until, resources });
                    self.ends.entry(until).or_default().push((member, ix));
                    (self.live, self.queued) = (self.live + 1, self.queued + 1);
                    self.members[member].live += 1;
                }
                refusals.live.sort_by_key(|refusal| refusal.member); // stable
            }
            refusals.snapshot = books.ledger()[ix].available().clone();
            let AgentRefusals { live, refused_all, snapshot } = &mut refusals;
            for refusal in live.iter().filter(|refusal| refusal.resources.contains(snapshot)) {
                refused_all.insert(refusal.member);
            }
            self.agents[ix] = Some(Box::new(refusals));
        }
        Ok(())
    }
}

impl AgentRefusals {
    /// Returns the refusals by member, in order of framework and role.
    fn save<R: Sorter, F: Sorter + Clone>(&self, books: &Books<R, F>) -> Vec<SavedMember> {
        let by_member = self.live.chunk_by(|a, b| a.member == b.member);
        let save = |refusals: &[Refusal]| {
            let (framework, role) = books.membership().name_of(refusals[0].member)?;
            let refused = refusals.iter().map(|refusal| (refusal.until, refusal.resources.clone())).collect();
            Some(SavedMember { framework: framework.clone(), role: role.clone(), refused })
        };
        let mut members: Vec<SavedMember> = by_member.filter_map(save).collect();
        members.sort_by(|a, b| (&a.framework, &a.role).cmp(&(&b.framework, &b.role)));
        members
    }
}
