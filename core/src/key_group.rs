//! From a key to the subtask that holds its state: key → hash → key group → subtask.
//!
//! Key groups are the unit in which keyed state moves when a job is rescaled. Their number, the maximum parallelism, is
//! fixed for the life of a job's state, and each subtask holds one contiguous run of them, by Flink's formulas. The hash
//! is part of that contract: it depends on nothing but the key's serde data model, so it is the same on every machine
//! and in every release, and tests hold it to recorded values.
//!
//! The group takes the high half of the hash and leaves the low half to hash tables: see [`table_hash`].

mod assignment;
mod group;
mod hash;
mod mix;
#[cfg(test)]
mod tests;

pub use assignment::{AssignmentError, KeyGroupAssignment, Router};
pub use group::{
    KeyGroup, KeyGroupRange, MaxParallelism, MaxParallelismError, RangeError, default_max_parallelism, key_group_of,
};
pub use hash::{stable_hash, table_hash};
