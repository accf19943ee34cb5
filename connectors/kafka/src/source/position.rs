//! Where reading begins and ends.

use super::Offsets;

/// Where a partition is read from, if nothing of it has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartFrom {
    /// The first record that there is.
    Earliest,
    /// What comes after the job has started.
    Latest,
    /// The first record that is not older than this, in milliseconds since the epoch.
    Timestamp(i64),
    /// Where the source's group has come to; partitions that it has not read, from `otherwise`.
    Committed {
        /// One of the others.
        otherwise: Box<Self>,
    },
    /// These offsets; other partitions from `otherwise`.
    Offsets {
        /// The next record to read, by partition.
        offsets: Offsets,
        /// One of the others.
        otherwise: Box<Self>,
    },
}

impl StartFrom {
    /// Where the group has come to, or the first record that there is.
    pub fn committed_or_earliest() -> Self {
        Self::Committed { otherwise: Box::new(Self::Earliest) }
    }

    /// These offsets, and other partitions from the first record.
    pub fn offsets(offsets: Offsets) -> Self {
        Self::Offsets { offsets, otherwise: Box::new(Self::Earliest) }
    }
}

/// Where a partition ends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum StopAt {
    /// Nowhere: the source waits for more.
    #[default]
    Never,
    /// What there is when the job starts.
    Latest,
    /// Before the first record that is not older than this, in milliseconds since the epoch; what comes after the job has
    /// started is not read either.
    Timestamp(i64),
    /// Before these offsets. A partition that is not among them ends where it does when the job starts.
    Offsets(Offsets),
}

/// What to do when the record that is to be read next is gone, by retention say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OutOfRange {
    /// The job fails, and says what is missing.
    #[default]
    Fail,
    /// Goes on with the first record that there is.
    Earliest,
    /// Goes on with what comes next.
    Latest,
}
