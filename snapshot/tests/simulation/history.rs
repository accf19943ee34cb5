//! What happened, and what must hold of it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use flott_core::id::{CheckpointId, JobMasterEpoch};

#[derive(Debug, Default)]
struct Events {
    /// Checkpoints whose commit was confirmed, and to whom.
    committed: BTreeMap<CheckpointId, JobMasterEpoch>,
    /// What JobMasters restored that have claimed.
    restored: BTreeMap<JobMasterEpoch, Option<CheckpointId>>,
    violations: Vec<String>,
}

#[derive(Debug, Clone, Default)]
pub struct History(Arc<Mutex<Events>>);

impl History {
    pub fn committed(&self, epoch: JobMasterEpoch, checkpoint: CheckpointId) {
        let mut events = self.0.lock().unwrap();
        if let Some(other) = events.committed.insert(checkpoint, epoch) {
            events.violations.push(format!("checkpoint {checkpoint} was confirmed to epochs {other} and {epoch}"));
        }
        events.compare();
    }

    pub fn restored(&self, epoch: JobMasterEpoch, checkpoint: Option<CheckpointId>) {
        let mut events = self.0.lock().unwrap();
        events.restored.insert(epoch, checkpoint);
        events.compare();
    }

    pub fn violation(&self, what: String) {
        self.0.lock().unwrap().violations.push(what);
    }

    pub fn was_committed(&self, checkpoint: CheckpointId) -> bool {
        self.0.lock().unwrap().committed.contains_key(&checkpoint)
    }

    /// Who has claimed last.
    pub fn leader(&self) -> Option<JobMasterEpoch> {
        self.0.lock().unwrap().restored.keys().next_back().copied()
    }

    pub fn violations(&self) -> Vec<String> {
        self.0.lock().unwrap().violations.clone()
    }

    /// Confirmed commits and successful claims.
    pub fn counts(&self) -> (usize, usize) {
        let events = self.0.lock().unwrap();
        (events.committed.len(), events.restored.len())
    }
}

impl Events {
    /// Whoever has claimed knows everything that was ever confirmed to somebody older, before or after.
    fn compare(&mut self) {
        for (checkpoint, by) in &self.committed {
            for (epoch, restored) in self.restored.range(by.next()..) {
                if *restored < Some(*checkpoint) {
                    let violation = format!("{epoch} restored {restored:?}, but {checkpoint} was confirmed to {by}");
                    if !self.violations.contains(&violation) {
                        self.violations.push(violation);
                    }
                }
            }
        }
    }
}
