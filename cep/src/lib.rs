//! Complex event processing.

mod automaton;
mod condition;
mod error;
mod found;
mod pattern;
mod runs;
mod skip;

pub use condition::Matched;
pub use error::PatternError;
pub use found::Match;
pub use pattern::{Part, Pattern};
pub use skip::AfterMatchSkip;
