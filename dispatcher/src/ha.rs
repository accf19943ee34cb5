//! Several JobManagers of one cluster, of which one leads.
//!
//! Two things are kept apart. *Who should lead* is settled by a lease: it is about liveness, and may be wrong for a moment, as clocks
//! and networks may. *Who leads* is settled by the log of jobs, to which only one can append: see [`SharedStore`]. So two that both
//! think to lead cannot both accept a job or end one, and TaskManagers and checkpoints refuse the older of them by its epochs.
//!
//! A JobManager that has lost its lease ends, and is started again by whoever started it, as one that stands by. Jobs run on.
//!
//! # Layout
//! - [`candidate`]: every decision about the lease, pure; [`election`]: what carries it out, over any [`LeaseRegister`]
//! - `records`: a log in a shared directory, of which the jobs' store and the lease are made; `lease`: a lease there
//! - `programs`: executables of jobs where other JobManagers find them
//! - `setup`: what the configuration says
//!
//! [`SharedStore`]: crate::stores::SharedStore

pub mod candidate;
pub mod election;
mod lease;
mod programs;
mod records;
mod setup;

pub use candidate::{Lease, Timing};
pub(crate) use election::Network;
pub use election::{Answer, Candidature, LeaseRegister, Outlook, RegisterError, Resignation, Standing, Versioned};
pub use lease::DirectoryLease;
pub(crate) use programs::SharedPrograms;
pub(crate) use records::{AppendError, Contents, Records};
pub use setup::{HighAvailability, SetupError};
