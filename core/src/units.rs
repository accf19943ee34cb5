//! Byte sizes and durations as people write them: `512m`, `4 gb`, `10 s`, `1 min`.
//!
//! The spellings are Flink's. A value is a whole number and a unit; the text that is shown again names the largest unit
//! that divides the value, so that reading it back gives the same value.

mod bytes;
mod duration;
mod quantity;

pub use bytes::ByteSize;
pub(crate) use duration::parse_duration_bare_seconds;
pub use duration::{DurationText, parse_duration};
pub use quantity::UnitError;
