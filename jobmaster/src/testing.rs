//! The other side of a JobMaster, in memory: a ResourceManager, TaskManagers, job processes and tasks, all of them plain
//! data that a test drives message by message.
//!
//! [`FakeCluster`] carries messages between a [`JobMasterCore`](crate::JobMasterCore) and [`FakeWorker`]s, in order or in
//! an order drawn from a seed, and watches what must hold all the time. A [`FakeWorker`] can be used without it, behind
//! another carrier. Time is whatever the cluster says it is. [`Overheard`] is the ear of a JobMaster: who drives the machine itself has
//! others tell it through a handle.

mod cluster;
mod graph;
mod worker;

pub use crate::service::overheard::Overheard;
pub use cluster::{FakeCluster, Order};
pub use graph::{TestGraph, spec_of};
pub use worker::{FakeWorker, Outcome, Profile};
