//! [`Registered`]: the agents that are registered, by id and by machine, in order of registration.

use crate::agent::Agent;
use crate::id::AgentId;
use crate::text::Text;
use indexmap::IndexMap;
use indexmap::map::Entry;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The registered agents. All but the iterations cost O(log agents) at most, removal too.
#[derive(Debug, Clone, Default)]
pub(super) struct Registered {
    /// The agents with their places, in no order.
    agents: IndexMap<AgentId, (u64, Arc<Agent>), foldhash::fast::RandomState>,
    /// The ids in order of registration: by place.
    places: BTreeMap<u64, AgentId>,
    /// The places of the agents on each machine, by hostname; in no order.
    machines: IndexMap<Text, SmallVec<[u64; 1]>, foldhash::fast::RandomState>,
    /// The number of agents that have ever been inserted.
    inserted: u64,
}

impl Registered {
    pub(super) fn len(&self) -> usize {
        self.agents.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.agents.is_empty()
    }

    pub(super) fn contains(&self, id: &AgentId) -> bool {
        self.agents.contains_key(id)
    }

    pub(super) fn get(&self, id: &AgentId) -> Option<&Arc<Agent>> {
        self.agents.get(id).map(|(_, agent)| agent)
    }

    /// Returns a number that is smaller for agents that were registered earlier.
    pub(super) fn place(&self, id: &AgentId) -> Option<u64> {
        self.agents.get(id).map(|(place, _)| *place)
    }

    /// Iterates in order of registration.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Agent>> {
        self.places.values().filter_map(|id| self.get(id))
    }

    /// Returns the agents on a machine, in order of registration.
    pub(super) fn on_machine(&self, hostname: &Text) -> Vec<Arc<Agent>> {
        let mut places = self.machines.get(hostname).cloned().unwrap_or_default();
        places.sort_unstable();
        let agents = places.iter().filter_map(|place| self.get(self.places.get(place)?));
        agents.cloned().collect()
    }

    /// Inserts an agent, or replaces the one of its id in its place. Returns the one before.
    pub(super) fn insert(&mut self, agent: Arc<Agent>) -> Option<Arc<Agent>> {
        match self.agents.entry(agent.id.clone()) {
            Entry::Occupied(mut entry) => {
                let place = entry.get().0;
                let before = std::mem::replace(&mut entry.get_mut().1, Arc::clone(&agent));
                if before.hostname != agent.hostname {
                    self.leave(&before.hostname, place);
                    self.machines.entry(agent.hostname.clone()).or_default().push(place);
                }
                Some(before)
            }
            Entry::Vacant(entry) => {
                self.inserted += 1;
                self.places.insert(self.inserted, agent.id.clone());
                self.machines.entry(agent.hostname.clone()).or_default().push(self.inserted);
                entry.insert((self.inserted, agent));
                None
            }
        }
    }

    pub(super) fn remove(&mut self, id: &AgentId) {
        if let Some((place, agent)) = self.agents.swap_remove(id) {
            self.places.remove(&place);
            self.leave(&agent.hostname, place);
        }
    }

    fn leave(&mut self, hostname: &Text, place: u64) {
        if let Some(places) = self.machines.get_mut(hostname) {
            places.retain(|other| *other != place);
            if places.is_empty() {
                self.machines.swap_remove(hostname);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::Resources;

    fn agent(id: &str, hostname: &str) -> Arc<Agent> {
        Arc::new(Agent::new(id, Resources::new()).hostname(hostname))
    }

    fn ids<'a>(agents: impl IntoIterator<Item = &'a Arc<Agent>>) -> Vec<&'a str> {
        agents.into_iter().map(|agent| agent.id.as_str()).collect()
    }

    #[test]
    fn agents_stay_in_their_places_and_move_between_machines() {
        let mut registered = Registered::default();
        for (id, hostname) in [("c", "h1"), ("a", "h2"), ("b", "h1"), ("d", "h1")] {
            assert_eq!(registered.insert(agent(id, hostname)), None);
        }
        registered.remove(&"c".into());
        assert_eq!(registered.insert(agent("a", "h1")).map(|before| before.hostname.clone()), Some("h2".into()));
        assert_eq!(registered.insert(agent("c", "h1")), None);
        assert_eq!(ids(registered.iter()), ["a", "b", "d", "c"]);
        assert_eq!(ids(&registered.on_machine(&"h1".into())), ["a", "b", "d", "c"]);
        assert!(registered.on_machine(&"h2".into()).is_empty());
        assert_eq!(registered.machines.len(), 1);
        let places: Vec<Option<u64>> = ["a", "c", "x"].map(|id| registered.place(&id.into())).into();
        assert_eq!(places, [Some(2), Some(5), None]);
    }
}
