//! Key groups, their number, and runs of them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One of the shards into which a job's keyed state is divided, from 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyGroup(pub u16);

impl fmt::Display for KeyGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A maximum parallelism outside of 1 to 32768.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("maximum parallelism must be between 1 and {max}, not {0}", max = MaxParallelism::LARGEST.get())]
pub struct MaxParallelismError(pub u32);

/// How many key groups a job's keyed state has, and so the highest parallelism it can be rescaled to: 1 to 32768.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct MaxParallelism(u16);

impl MaxParallelism {
    /// The largest, as in Flink.
    pub const LARGEST: Self = Self(1 << 15);

    /// # Errors
    /// When `groups` is not between 1 and 32768.
    pub const fn new(groups: u32) -> Result<Self, MaxParallelismError> {
        if groups == 0 || groups > Self::LARGEST.get() {
            return Err(MaxParallelismError(groups));
        }
        Ok(Self(groups as u16))
    }

    /// The number of key groups.
    #[inline]
    pub const fn get(self) -> u32 {
        self.0 as u32
    }
}

impl TryFrom<u32> for MaxParallelism {
    type Error = MaxParallelismError;

    fn try_from(groups: u32) -> Result<Self, MaxParallelismError> {
        Self::new(groups)
    }
}

impl From<MaxParallelism> for u32 {
    fn from(max: MaxParallelism) -> Self {
        max.get()
    }
}

impl fmt::Display for MaxParallelism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The maximum parallelism of an operator that names none: one and a half times its parallelism, rounded up to a power
/// of two, within 128 and 32768. Flink's `KeyGroupRangeAssignment.computeDefaultMaxParallelism`.
pub fn default_max_parallelism(parallelism: u32) -> MaxParallelism {
    let parallelism = u64::from(parallelism);
    let groups = (parallelism + parallelism / 2).next_power_of_two();
    MaxParallelism(groups.clamp(128, u64::from(MaxParallelism::LARGEST.get())) as u16)
}

/// The group of a key with this [`stable_hash`](super::stable_hash).
#[inline(always)]
pub fn key_group_of(hash: u64, max: MaxParallelism) -> KeyGroup {
    // Scales the high half as a fraction of 2^32 to the number of groups: a division without one.
    KeyGroup((((hash >> 32) * u64::from(max.0)) >> 32) as u16)
}

/// A run of key groups that ends before it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("key group range must not end before its start {start}, but ends with {end}")]
pub struct RangeError {
    start: KeyGroup,
    end: KeyGroup,
}

/// A run of key groups, both ends included; never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "(KeyGroup, KeyGroup)", into = "(KeyGroup, KeyGroup)")]
pub struct KeyGroupRange {
    start: KeyGroup,
    end: KeyGroup,
}

impl KeyGroupRange {
    /// The groups from `start` to `end`, both included.
    ///
    /// # Errors
    /// When `end` is less than `start`.
    pub fn new(start: KeyGroup, end: KeyGroup) -> Result<Self, RangeError> {
        if end < start {
            return Err(RangeError { start, end });
        }
        Ok(Self { start, end })
    }

    /// All groups there are.
    pub fn all(max: MaxParallelism) -> Self {
        Self { start: KeyGroup(0), end: KeyGroup(max.0 - 1) }
    }

    /// The first group.
    pub fn start(self) -> KeyGroup {
        self.start
    }

    /// The last group.
    pub fn end(self) -> KeyGroup {
        self.end
    }

    /// How many groups; at least one.
    #[expect(clippy::len_without_is_empty, reason = "a range is never empty")]
    pub fn len(self) -> usize {
        usize::from(self.end.0 - self.start.0) + 1
    }

    /// Whether `group` is one of them.
    #[inline]
    pub fn contains(self, group: KeyGroup) -> bool {
        self.start <= group && group <= self.end
    }

    /// The groups that are in both; nothing if there are none.
    pub fn intersection(self, other: Self) -> Option<Self> {
        Self::new(self.start.max(other.start), self.end.min(other.end)).ok()
    }

    /// The groups in order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = KeyGroup> {
        // u32 would not be exact-size over inclusive ends, and a u16 end of 65535 would not fit an exclusive one.
        let start = usize::from(self.start.0);
        (start..start + self.len()).map(|group| KeyGroup(group as u16))
    }
}

impl TryFrom<(KeyGroup, KeyGroup)> for KeyGroupRange {
    type Error = RangeError;

    fn try_from((start, end): (KeyGroup, KeyGroup)) -> Result<Self, RangeError> {
        Self::new(start, end)
    }
}

impl From<KeyGroupRange> for (KeyGroup, KeyGroup) {
    fn from(range: KeyGroupRange) -> Self {
        (range.start, range.end)
    }
}

impl fmt::Display for KeyGroupRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..={}", self.start, self.end)
    }
}
