//! What a failure leads to: the restart strategies, their jitter, and the history of failures.
//!
//! Which regions a failure touches is decided where the regions are kept (`core::failing`); here is what does not depend
//! on them.

pub mod history;
pub mod random;
pub mod strategy;

pub use history::History;
pub use strategy::{Decision, RestartBackoff};
