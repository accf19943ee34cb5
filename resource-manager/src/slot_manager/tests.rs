//! The slot manager among workers that answer, or do not.

mod bench;
mod delays;
mod fairness;
mod granting;
mod random;
mod starting;
mod workers;
