//! Slot sharing: which subtasks go into one slot.
//!
//! In a sharing group the i-th shared slot takes subtask i of every vertex that has one. So two subtasks of one vertex
//! never meet in a slot, and a group needs as many slots as its widest vertex has subtasks.

use std::collections::BTreeMap;

use flott_core::resource::ResourceProfile;

use crate::{
    execution_graph::Resolved,
    index::{ExecutionIndex, SharedSlotIndex, Table},
};

/// What shares a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedSlot {
    /// Sharing group.
    pub group: String,
    /// Which subtask of each vertex.
    pub subtask: u32,
    /// What all of them need together.
    pub profile: ResourceProfile,
    /// The subtasks, in order of their vertices.
    pub executions: Vec<ExecutionIndex>,
}

/// The shared slots of a job.
#[derive(Debug, Clone)]
pub struct SlotSharing {
    slots: Table<SharedSlotIndex, SharedSlot>,
    of: Table<ExecutionIndex, SharedSlotIndex>,
}

impl SlotSharing {
    /// Places every subtask of a job.
    pub fn new(graph: &Resolved) -> Self {
        let mut groups: BTreeMap<&str, Vec<SharedSlotIndex>> = BTreeMap::new();
        let mut profiles: BTreeMap<&str, ResourceProfile> = BTreeMap::new();
        for vertex in graph.vertices.values() {
            let profile = profiles.entry(&vertex.group).or_default();
            *profile = profile.saturating_add(&vertex.resources);
        }
        let mut slots: Table<SharedSlotIndex, SharedSlot> = Table::new(Vec::new());
        let mut of = Table::new(Vec::with_capacity(graph.subtasks as usize));
        for vertex in graph.vertices.values() {
            let group = groups.entry(&vertex.group).or_default();
            for (subtask, execution) in vertex.executions().enumerate() {
                if group.len() == subtask {
                    group.push(slots.push(SharedSlot {
                        group: vertex.group.clone(),
                        subtask: subtask as u32,
                        profile: profiles[vertex.group.as_str()],
                        executions: Vec::new(),
                    }));
                }
                slots[group[subtask]].executions.push(execution);
                of.push(group[subtask]);
            }
        }
        Self { slots, of }
    }

    /// The shared slot of a subtask.
    pub fn of(&self, execution: ExecutionIndex) -> SharedSlotIndex {
        self.of[execution]
    }

    /// A shared slot.
    pub fn slot(&self, slot: SharedSlotIndex) -> &SharedSlot {
        &self.slots[slot]
    }

    /// How many shared slots there are of each profile.
    pub fn counts(&self) -> BTreeMap<ResourceProfile, u32> {
        let mut counts = BTreeMap::new();
        for slot in self.slots.values() {
            *counts.entry(slot.profile).or_default() += 1;
        }
        counts
    }

    /// All shared slots.
    pub fn keys(&self) -> impl Iterator<Item = SharedSlotIndex> + use<> {
        self.slots.keys()
    }

    /// Number of shared slots.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none: never, as a job has subtasks.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}
