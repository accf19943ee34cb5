//! Lives of workers that are over.

use std::collections::{BTreeSet, VecDeque};

use flott_core::id::InstanceId;

/// How many are remembered. A life that registers after so many others have ended is taken for a new one.
const GONE_MAX: usize = 4096;

/// The most recent lives that are over.
#[derive(Debug, Default)]
pub(super) struct Gone {
    lives: BTreeSet<InstanceId>,
    order: VecDeque<InstanceId>,
}

impl Gone {
    pub(super) fn note(&mut self, life: InstanceId) {
        if self.lives.insert(life) {
            self.order.push_back(life);
        }
        if self.order.len() > GONE_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.lives.remove(&oldest);
        }
    }

    pub(super) fn contains(&self, life: &InstanceId) -> bool {
        self.lives.contains(life)
    }
}
