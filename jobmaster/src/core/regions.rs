//! What each region is doing, with the counts that say when it can go on.

use std::collections::BTreeSet;

use crate::{
    failover::history::EntryId,
    index::{RegionIndex, SharedSlotIndex, Table},
    region::Regions,
    slot_pool::SlotSharing,
    time::Millis,
};

/// What a region is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RegionPhase {
    /// What it reads is not finished.
    Blocked,
    /// Waits for slots and processes.
    Waiting,
    /// Its tasks were sent to their processes.
    Deployed,
    /// All its tasks have finished.
    Finished,
    /// Its tasks are being cancelled, or are gone and the delay runs. Then it starts over.
    Stopping {
        /// When the delay is over.
        at: Millis,
        /// The failure that did it; nothing if the job is rescaled.
        entry: Option<EntryId>,
    },
    /// The job ends.
    Ended,
}

#[derive(Debug, Clone)]
pub(super) struct RegionState {
    pub phase: RegionPhase,
    /// Things it reads that are not finished.
    pub unmet: u32,
    /// Shared slots that have no slot with a running process.
    pub unready: u32,
    /// Attempts that may be alive in a process.
    pub live: u32,
    /// Subtasks whose output is not there.
    pub undone: u32,
    /// Its shared slots.
    pub slots: Vec<SharedSlotIndex>,
}

/// All regions.
#[derive(Debug, Clone)]
pub(super) struct RegionStates {
    pub regions: Table<RegionIndex, RegionState>,
    /// Regions that use a shared slot.
    pub of_slot: Table<SharedSlotIndex, Vec<RegionIndex>>,
    /// Whether a shared slot has a slot with a running process.
    pub ready: Table<SharedSlotIndex, bool>,
    /// Regions that may be deployable now.
    pub deployable: BTreeSet<RegionIndex>,
    /// Stopped regions, by the end of their delay.
    pub backoff: BTreeSet<(Millis, RegionIndex)>,
    /// Regions that failed and are not deployed again.
    pub restarting: BTreeSet<RegionIndex>,
}

impl RegionStates {
    pub fn new(regions: &Regions, sharing: &SlotSharing) -> Self {
        let mut of_slot: Table<SharedSlotIndex, Vec<RegionIndex>> = Table::new(vec![Vec::new(); sharing.len()]);
        let mut states = Table::new(Vec::with_capacity(regions.len()));
        for region in regions.keys() {
            let members = regions.members(region);
            let slots: BTreeSet<_> = members.iter().map(|execution| sharing.of(*execution)).collect();
            for slot in &slots {
                of_slot[*slot].push(region);
            }
            states.push(RegionState {
                phase: RegionPhase::Blocked,
                unmet: regions.inputs(region),
                unready: slots.len() as u32,
                live: 0,
                undone: members.len() as u32,
                slots: slots.into_iter().collect(),
            });
        }
        Self {
            regions: states,
            ready: Table::new(vec![false; of_slot.len()]),
            of_slot,
            deployable: BTreeSet::new(),
            backoff: BTreeSet::new(),
            restarting: BTreeSet::new(),
        }
    }

    pub fn phase(&self, region: RegionIndex) -> RegionPhase {
        self.regions[region].phase
    }

    /// Says whether a shared slot has a slot with a running process.
    pub fn set_ready(&mut self, slot: SharedSlotIndex, ready: bool) {
        if std::mem::replace(&mut self.ready[slot], ready) == ready {
            return;
        }
        for &region in &self.of_slot[slot] {
            let state = &mut self.regions[region];
            if ready {
                state.unready -= 1;
            } else {
                state.unready += 1;
            }
            if state.unready == 0 {
                self.deployable.insert(region);
            }
        }
    }

    /// Whether any region that uses `slot` has begun and is not finished.
    pub fn wants(&self, slot: SharedSlotIndex) -> bool {
        self.of_slot[slot].iter().any(|region| match self.phase(*region) {
            RegionPhase::Waiting | RegionPhase::Deployed | RegionPhase::Stopping { .. } => true,
            RegionPhase::Blocked | RegionPhase::Finished | RegionPhase::Ended => false,
        })
    }
}
