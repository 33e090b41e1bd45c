//! [`VolumeSlots`]: the volumes of an app's tasks, each with its agent.
//!
//! A persistent volume outlives its task: the task that takes the place of one that ended runs on its agent, with its
//! volume. (Marathon reserves the disk meanwhile. Here the framework only keeps the place in mind, because a framework in the
//! role `*` can reserve nothing.)

use apportion::{AgentId, Text};
use std::collections::BTreeMap;

/// The volumes of one app, by number. A task holds one slot, with all volumes that the app asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct VolumeSlots {
    slots: BTreeMap<u64, Slot>,
    made: u64,
}

#[derive(Debug, Clone)]
struct Slot {
    agent: AgentId,
    /// The number of the instance that has it; none if it waits for one.
    instance: Option<u64>,
}

impl VolumeSlots {
    /// Returns the number of slots, held or free.
    pub(crate) fn len(&self) -> u64 {
        self.slots.len() as u64
    }

    /// Returns the agents of free slots in the order of the slots, each with the number of its free slots.
    pub(crate) fn free(&self) -> Vec<(AgentId, u64)> {
        let mut free: Vec<(AgentId, u64)> = Vec::new();
        for slot in self.slots.values().filter(|slot| slot.instance.is_none()) {
            match free.iter_mut().find(|(agent, _)| *agent == slot.agent) {
                Some((_, count)) => *count += 1,
                None => free.push((slot.agent.clone(), 1)),
            }
        }
        free
    }

    /// Gives an instance the first free slot on its agent, or a new one. Returns its number.
    pub(crate) fn bind(&mut self, instance: u64, agent: &AgentId) -> u64 {
        let mut slots = self.slots.iter_mut();
        if let Some((number, slot)) = slots.find(|(_, slot)| slot.instance.is_none() && slot.agent == *agent) {
            slot.instance = Some(instance);
            return *number;
        }
        self.made += 1;
        self.slots.insert(self.made, Slot { agent: agent.clone(), instance: Some(instance) });
        self.made
    }

    /// Frees the slot of an instance that has ended; its volumes wait for the next one.
    pub(crate) fn release(&mut self, instance: u64) {
        if let Some(slot) = self.slots.values_mut().find(|slot| slot.instance == Some(instance)) {
            slot.instance = None;
        }
    }

    /// Forgets the slot of an instance whose agent is gone for good.
    pub(crate) fn discard(&mut self, instance: u64) {
        self.slots.retain(|_, slot| slot.instance != Some(instance));
    }
}

/// Returns the name of a slot of an app: of the folder that has its volumes.
pub(crate) fn slot_name(app: &str, slot: u64) -> Text {
    Text::from(format!("{}-{slot}", app.trim_start_matches('/').replace('/', "_")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_stays_on_its_agent_and_goes_to_the_next_instance_there() {
        let mut slots = VolumeSlots::default();
        let agents = ["a1", "a2", "a1"].map(AgentId::from);
        assert_eq!(
            agents.iter().zip(1..).map(|(agent, instance)| slots.bind(instance, agent)).collect::<Vec<_>>(),
            [1, 2, 3]
        );
        assert!(slots.free().is_empty());
        slots.release(3);
        slots.release(2);
        assert_eq!(slots.free(), [("a2".into(), 1), ("a1".into(), 1)]);
        assert_eq!(slots.bind(4, &agents[0]), 3);
        assert_eq!(slots.bind(5, &agents[0]), 4, "there is no other free one on a1");
        slots.discard(5);
        slots.release(4);
        slots.release(1);
        assert_eq!((slots.len(), slots.free()), (3, vec![("a1".into(), 2), ("a2".into(), 1)]));
        assert_eq!(slot_name("/shop/db", 2), "shop_db-2");
    }
}
