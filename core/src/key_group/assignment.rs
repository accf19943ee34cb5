//! Which subtask holds which key groups, by Flink's formulas (`KeyGroupRangeAssignment`).

use super::group::{KeyGroup, KeyGroupRange, MaxParallelism, key_group_of};
use crate::id::SubtaskIndex;

/// A parallelism that does not fit the number of key groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("parallelism must be between 1 and the maximum parallelism {max}, not {parallelism}")]
pub struct AssignmentError {
    parallelism: u32,
    max: MaxParallelism,
}

/// Key groups spread over the subtasks of one vertex, in contiguous runs whose lengths differ by at most one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyGroupAssignment {
    max: MaxParallelism,
    parallelism: u32,
}

impl KeyGroupAssignment {
    /// # Errors
    /// When `parallelism` is 0, or higher than `max`, where some subtasks would hold nothing.
    pub fn new(max: MaxParallelism, parallelism: u32) -> Result<Self, AssignmentError> {
        if parallelism == 0 || parallelism > max.get() {
            return Err(AssignmentError { parallelism, max });
        }
        Ok(Self { max, parallelism })
    }

    /// The number of key groups.
    pub fn max(self) -> MaxParallelism {
        self.max
    }

    /// The number of subtasks.
    pub fn parallelism(self) -> u32 {
        self.parallelism
    }

    /// The subtask that holds `group`; for a group that does not exist, one that does not exist either.
    pub fn subtask_of(self, group: KeyGroup) -> SubtaskIndex {
        SubtaskIndex((u64::from(group.0) * u64::from(self.parallelism) / u64::from(self.max.get())) as u32)
    }

    /// The groups that `subtask` holds; nothing if there is no such subtask.
    pub fn range_of(self, subtask: SubtaskIndex) -> Option<KeyGroupRange> {
        if subtask.0 >= self.parallelism {
            return None;
        }
        // At most 2^15 * 2^15 + 2^15: fits.
        let (index, groups, subtasks) = (subtask.0, self.max.get(), self.parallelism);
        let start = (index * groups).div_ceil(subtasks);
        let end = ((index + 1) * groups - 1) / subtasks;
        KeyGroupRange::new(KeyGroup(start as u16), KeyGroup(end as u16)).ok()
    }

    /// The table for the record path.
    pub fn router(self) -> Router {
        let subtasks = KeyGroupRange::all(self.max).iter().map(|group| self.subtask_of(group).0 as u16).collect();
        Router { max: self.max, subtasks }
    }
}

/// Finds a record's subtask without a division: key group → subtask, worked out beforehand.
#[derive(Debug, Clone)]
pub struct Router {
    max: MaxParallelism,
    subtasks: Box<[u16]>,
}

impl Router {
    /// The subtask for a key with this [`stable_hash`](super::stable_hash), as an index into the channels.
    #[inline(always)]
    pub fn route(&self, hash: u64) -> usize {
        // A group is less than the maximum parallelism for any hash, so it is in the table.
        usize::from(self.subtasks[usize::from(key_group_of(hash, self.max).0)])
    }
}
