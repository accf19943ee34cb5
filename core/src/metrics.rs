//! What is measured, by its name, and the text in which Prometheus reads it.
//!
//! Names and labels are those that Flink's reporter for Prometheus gives, with `flott_` in the place of `flink_`: whoever knows
//! the one finds the other. A family is declared once, in [`table`]; what is served and `docs/metrics.md` both come from there.
//! There is no registry: every figure is computed, or read, when somebody asks.
//!
//! # Layout
//! - [`family`](Family): what is known of a metric without its value
//! - [`table`]: all of them
//! - `labels`, `exposition`: written; `format`: which of the two texts is wanted
//! - [`read`](fn@read): read again, strictly, for tests and tools
//! - `reference`: the page
//! - [`proc`]: what the files of `/proc` say of a process

mod exposition;
mod family;
mod format;
mod labels;
pub mod proc;
mod read;
mod reference;
pub mod table;

pub use exposition::{Exposition, Value};
pub use family::{Family, Group, Kind, Unit};
pub use format::Format;
pub use labels::Labels;
pub use read::{ReadError, ReadFamily, ReadSample, read};
pub use reference::reference_markdown;
