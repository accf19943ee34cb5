//! Answers and requests as they stand on the wire, field by field as Flink 2.3 names them. No logic: [`super::render`]
//! fills the answers.

mod checkpoint;
mod cluster;
mod flott;
mod jar;
mod job;
mod operation;
mod rescale;
mod rescale_history;
mod vertex;
mod worker;

pub use checkpoint::*;
pub use cluster::*;
pub use flott::*;
pub use jar::*;
pub use job::*;
pub use operation::*;
pub use rescale::*;
pub use rescale_history::*;
pub use vertex::*;
pub use worker::*;
