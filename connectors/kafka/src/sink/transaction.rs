//! Names of transactions, and what is remembered of those that are prepared.
//!
//! A name says whose it is: job, sink, JobMaster, attempt, subtask, and the place in the writer's pool. So no two attempts share
//! one, and who starts can tell the transactions of older attempts from those of newer ones, which it must leave alone: two
//! attempts of a subtask may be alive for a moment, and the older one may be the later to look.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An attempt of a writer, as far as names go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WriterName {
    /// What the user has given, the job and the sink: the same for all attempts.
    pub stem: String,
    /// The JobMaster.
    pub epoch: u64,
    /// The attempt.
    pub attempt: u32,
    /// The subtask.
    pub subtask: u32,
}

/// The name of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TransactionName {
    pub writer: WriterName,
    pub slot: u32,
}

impl fmt::Display for TransactionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { writer: WriterName { stem, epoch, attempt, subtask }, slot } = self;
        write!(f, "{stem}-{epoch}-{attempt}-{subtask}-{slot}")
    }
}

impl TransactionName {
    /// The name behind `text`, if it is one that begins with `stem`.
    pub fn parse(stem: &str, text: &str) -> Option<Self> {
        let rest = text.strip_prefix(stem)?.strip_prefix('-')?;
        let mut numbers = rest.split('-');
        let epoch = numbers.next()?.parse().ok()?;
        let mut next = || numbers.next()?.parse().ok();
        let (attempt, subtask, slot) = (next()?, next()?, next()?);
        let name = Self { writer: WriterName { stem: stem.to_owned(), epoch, attempt, subtask }, slot };
        // Nothing else may stand for the same name.
        (numbers.next().is_none() && name.to_string() == text).then_some(name)
    }
}

impl WriterName {
    /// The name of the transaction in this place of the pool.
    pub fn slot(&self, slot: u32) -> TransactionName {
        TransactionName { writer: self.clone(), slot }
    }

    /// Whether transactions of `other` are of an attempt that this one has taken the place of, one of `parallelism`. Subtasks
    /// that there are no more have their places taken by those that are left, in turn.
    pub fn succeeds(&self, other: &Self, parallelism: u32) -> bool {
        self.stem == other.stem
            && (other.epoch, other.attempt) < (self.epoch, self.attempt)
            && other.subtask % parallelism.max(1) == self.subtask
    }
}

/// A transaction that holds all that was written before a barrier, and waits for the word to commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Prepared {
    /// Its name.
    pub id: String,
    pub producer_id: i64,
    pub epoch: i16,
    /// Records in it.
    pub records: u64,
    /// Where its first batch in one of its partitions begins.
    pub first: Option<Place>,
}

/// An offset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
}

/// How what is remembered is written.
#[derive(Serialize, Deserialize)]
#[serde(tag = "format")]
enum Stored {
    #[serde(rename = "1")]
    One(Prepared),
}

impl Prepared {
    /// For committables and snapshots.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&Stored::One(self.clone()))
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes).map(|Stored::One(prepared)| prepared)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn writer(epoch: u64, attempt: u32, subtask: u32) -> WriterName {
        WriterName { stem: "orders-1f-2e".into(), epoch, attempt, subtask }
    }

    #[track_caller]
    fn check_succeeds(own: (u64, u32, u32), other: (u64, u32, u32), parallelism: u32, expected: bool) {
        let of = |(epoch, attempt, subtask)| writer(epoch, attempt, subtask);
        assert_eq!(of(own).succeeds(&of(other), parallelism), expected, "{own:?} {other:?} {parallelism}");
    }

    #[test]
    fn newer_attempts_and_those_of_others_are_left_alone() {
        check_succeeds((1, 1, 0), (1, 0, 0), 2, true);
        check_succeeds((1, 1, 0), (1, 1, 0), 2, false);
        check_succeeds((1, 1, 0), (1, 2, 0), 2, false);
        check_succeeds((1, 9, 0), (2, 0, 0), 2, false);
        check_succeeds((2, 0, 0), (1, 9, 0), 2, true);
        check_succeeds((1, 1, 0), (1, 0, 1), 2, false);
        // After a job has been made smaller.
        check_succeeds((1, 3, 0), (1, 2, 2), 2, true);
        check_succeeds((1, 3, 1), (1, 2, 2), 2, false);
    }

    #[test]
    fn what_is_no_name_of_this_sink_is_none() {
        for text in [
            "",
            "orders",
            "orders-1f-2e-1-2-3",
            "orders-1f-2e-1-2-3-4-5",
            "orders-1f-2e-01-2-3-4",
            "orders-1f-2f-1-2-3-4",
        ] {
            assert_eq!(TransactionName::parse("orders-1f-2e", text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn names_are_read_back(stem in "[a-z0-9-]{0,12}", epoch: u64, attempt: u32, subtask: u32, slot: u32) {
            let name = TransactionName { writer: WriterName { stem: stem.clone(), epoch, attempt, subtask }, slot };
            prop_assert_eq!(TransactionName::parse(&stem, &name.to_string()), Some(name));
        }

        #[test]
        fn what_is_remembered_is_read_back(id in ".{0,20}", producer_id: i64, epoch: i16, records: u64, offset: i64) {
            let first = Some(Place { topic: "t".into(), partition: 3, offset });
            let prepared = Prepared { id, producer_id, epoch, records, first };
            prop_assert_eq!(Prepared::from_bytes(&prepared.to_bytes().unwrap()).unwrap(), prepared);
        }

        #[test]
        fn hostile_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(Prepared::from_bytes(&bytes).is_err());
        }
    }
}
