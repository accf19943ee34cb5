//! The newest JobMaster epoch of jobs that have nothing here any more, so that a late message of an older JobMaster
//! finds the door shut. Bounded: the oldest entries go first.

use std::collections::{BTreeMap, VecDeque};

use flott_core::id::{JobId, JobMasterEpoch};

const REMEMBERED_MAX: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Fences {
    newest: BTreeMap<JobId, JobMasterEpoch>,
    order: VecDeque<JobId>,
}

impl Fences {
    pub(super) fn newest(&self, job: JobId) -> Option<JobMasterEpoch> {
        self.newest.get(&job).copied()
    }

    pub(super) fn note(&mut self, job: JobId, epoch: JobMasterEpoch) {
        if self.newest.insert(job, epoch).is_none() {
            self.order.push_back(job);
        }
        while self.order.len() > REMEMBERED_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.newest.remove(&oldest);
            }
        }
    }
}
