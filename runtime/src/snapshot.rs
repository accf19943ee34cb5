//! Snapshots of a task: what its operators give at a barrier, and what they start from.
//!
//! A barrier goes through the chain of a task as a record would. Each operator that it comes to first gives what must take
//! effect before it, then what it remembers ([`StateSink`]), and passes it on. When the barrier has left the chain, the cut is
//! whole, and the task goes on. Tables of keyed state are then given in steps, between batches, as they were at the barrier. All
//! of it goes to whoever stores it ([`SnapshotPort`]), who says so to the JobMaster when it is done.
//!
//! A task that starts from a snapshot finds what each of its operators had in [`Restored`], by the operator's identity.
//! States are filled when they are registered, so that a function can read them as soon as it is opened.
//!
//! # Layout
//! - `section`: what a piece of state is, and how it is stored
//! - `sink`: where operators put their state
//! - `restored`: where they find it again
//! - `tables`: tables that come and go
//! - `watermark`: how far event time had come
//! - `in_flight`: records that a barrier has overtaken
//! - `cut`: all that a task gives at one barrier
//! - `task`: the snapshots of one task

mod cut;
pub(crate) mod in_flight;
mod restored;
pub(crate) mod section;
mod sink;
mod tables;
mod task;
mod watermark;

pub use cut::{Cut, Piece};
pub(crate) use restored::Chunks;
pub(crate) use restored::without_owner;
pub use restored::{Restored, RestoredTask};
pub use section::{Chunk, Section, SectionSort};
pub use sink::StateSink;
pub use tables::RestoredTables;
pub(crate) use task::groups;
pub use task::{SnapshotPort, TaskSnapshots};
