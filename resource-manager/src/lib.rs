//! Slots for jobs, and workers to have slots on.
//!
//! Jobs declare what they need, whole and idempotently; the slot manager matches that with free slots, asks a cluster
//! backend for workers to cover the rest, and tells people why something that is wanted is not there. It is the only
//! writer of worker counts.
//!
//! This crate knows nothing of what jobs run. Who carries messages to workers, and who is told of losses, is behind
//! [`WorkerPort`] and [`ResourceListener`].
//!
//! # Layout
//! - [`options`]: every knob, plain data
//! - [`declaration`]: what a job needs
//! - [`slot_manager`]: every decision; pure, `handle(now, event) -> actions`
//! - [`service`], [`handle`]: the mailbox around it
//! - [`ports`]: what the service calls
//! - [`backend`]: where workers come from: nowhere (`standalone`), child processes (`process`); those of other crates pass
//!   the same contract (feature `testing`)
//! - [`time`], [`error`]

pub mod backend;
pub mod declaration;
pub mod error;
pub mod handle;
pub mod options;
pub mod ports;
pub mod service;
pub mod slot_manager;
pub mod time;

pub use backend::{Backend, BackendEvent, WorkerSpec};
pub use declaration::Declaration;
pub use error::Error;
pub use handle::ResourceManagerHandle;
pub use options::{Options, SlotManagerOptions, WorkerShape};
pub use ports::{ConnectionNumber, ResourceListener, WorkerPort};
pub use service::ResourceManagerService;
pub use time::Time;
